#include "master/edits.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "master/cluster/records.h"
#include "master/edits_impl.h"
#include "master/master.h"
#include "master/reload.h"
#include "master/revisions.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MODE_NEW     0600 /* it holds the camera's password */
#define SINGLE_SYNCS 4    /* more files at once: one sync of their file system */

const char *edits_etag(struct span text, char dst[static EDITS_ETAG_MAX])
{
    snprintf(dst, EDITS_ETAG_MAX, "%016llx", (unsigned long long)hash_fnv1a(text));
    return dst;
}

int edits_refuse(struct edits_work *w, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w->ret->text, EDITS_TEXT_MAX, fmt, ap);
    va_end(ap);
    return code;
}

/* --- would it be a configuration? --- */

int edits_judge(struct edits_work *w, struct conf **ret, struct conf_report *r)
{
    struct conf_draft *as = mem_renew(NULL, MAX(w->n, 1) * sizeof(*as));
    size_t mistakes = r->n;
    struct certs certs;
    int err;

    for (size_t i = 0; i < w->n; i++) {
        struct span text = buf_span(&w->drafts[i].text);

        as[i] = (struct conf_draft){w->drafts[i].file, w->drafts[i].gone ? SPAN_NONE : text};
    }
    err = conf_load_as(w->m->file, as, w->n, ret, r);
    mem_free(as);
    if (err == 0 && certs_read(*ret, clock_wall_us(), r, &certs)) return certs_done(&certs), CTL_OK;
    for (; mistakes < r->n; mistakes++) {
        const struct conf_remark *v = &r->v[mistakes];

        if (v->level == CONF_MISTAKE)
            return edits_refuse(
                w, CTL_FAILED, "not done: %.60s: %.200s (%.160s:%u)", v->key, v->text, v->file, v->line);
    }
    return edits_refuse(w, CTL_FAILED, "not done: %s", err_text(err));
}

/* --- storing --- */

static char *beside(const char *real, const char *before, const char *behind)
{
    const char *slash = strrchr(real, '/');
    size_t folder = slash ? (size_t)(slash - real) + 1 : 0,
           n = strlen(real) + strlen(before) + strlen(behind) + 1;
    char *path = mem_new(n);

    snprintf(path, n, "%.*s%s%s%s", (int)folder, real, before, real + folder, behind);
    return path;
}

/* As its owner left it: whoever could read it still can, and nobody else. */
static int like_old(int fd, const char *real)
{
    struct stat st;

    if (stat(real, &st) < 0) return -errno;
    if (fchown(fd, st.st_uid, st.st_gid) < 0 || fchmod(fd, st.st_mode & 07777) < 0) return -errno;
    return 0;
}

static int write_next(struct draft *d, bool sync)
{
    CLEANUP(fd_close) int fd = -1;
    int err;

    d->next = beside(d->real, ".", ".new"); /* a name that no pattern takes */
    fd = open(d->next, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, MODE_NEW);
    if (fd < 0) return -errno;
    err = d->is_new ? 0 : like_old(fd, d->real);
    if (err == 0) err = fd_write_all(fd, buf_span(&d->text));
    if (err == 0 && sync && fsync(fd) < 0) err = -errno;
    return err;
}

static int sync_folder(const char *real, bool all)
{
    char *folder = beside(real, "", "");
    CLEANUP(fd_close) int fd = -1;
    int err = 0;

    *(strrchr(folder, '/') + 1) = 0;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (all ? syncfs(fd) : fsync(fd)) < 0) err = -errno;
    mem_free(folder);
    return err;
}

/* A removed file keeps its content under a name that no pattern takes. */
static int set_aside(const struct draft *d)
{
    time_t now = (time_t)(clock_wall_us() / US_PER_S);
    struct tm tm;
    char *to, behind[64];
    int err = 0;

    gmtime_r(&now, &tm);
    strftime(behind, sizeof(behind), ".removed-%Y%m%dT%H%M%SZ", &tm);
    to = beside(d->file, "", behind);
    if (rename(d->file, to) < 0) err = -errno;
    mem_free(to);
    return err;
}

static int put_in_place(struct edits_work *w, size_t *ret_at)
{
    for (*ret_at = 0; *ret_at < w->n; ++*ret_at) {
        struct draft *d = &w->drafts[*ret_at];
        int err = d->gone ? set_aside(d) : rename(d->next, d->real) < 0 ? -errno : 0;

        if (err < 0) return err;
        mem_free(d->next);
        d->next = NULL;
    }
    return 0;
}

int edits_store(struct edits_work *w)
{
    bool many = w->n > SINGLE_SYNCS;
    size_t at = 0;
    int err = 0;

    for (at = 0; at < w->n; at++) {
        if (!w->drafts[at].gone) err = write_next(&w->drafts[at], !many);
        if (err < 0)
            return edits_refuse(w, CTL_FAILED, "not done: %.256s: %s", w->drafts[at].real, err_text(err));
    }
    if (many) err = sync_folder(w->drafts[0].real, true);
    if (err == 0) err = put_in_place(w, &at);
    if (err < 0)
        return edits_refuse(w, CTL_FAILED, "%s: %.256s: %s", at ? "done in part" : "not done",
            w->drafts[MIN(at, w->n - 1)].real, err_text(err));
    for (at = 0; at < w->n && err == 0; at++) {
        const char *real = w->drafts[at].real, *before = at ? w->drafts[at - 1].real : "";
        size_t folder = (size_t)(strrchr(real, '/') - real) + 1;

        if (strncmp(real, before, folder) != 0 || strchr(before + folder, '/'))
            err = sync_folder(real, false);
    }
    if (err < 0) log_error("stream-edit", "error=%s", err_text(err));
    return CTL_OK;
}

void edits_draft_done(struct draft *d)
{
    if (d->next) unlink(d->next);
    mem_free(d->next);
    mem_free(d->file);
    mem_free(d->real);
    mem_free(d->was);
    buf_done(&d->text);
    *d = (struct draft){.file = NULL};
}

void edits_drafts_done(struct edits_work *w)
{
    for (size_t i = 0; i < w->n; i++) edits_draft_done(&w->drafts[i]);
    mem_free(w->drafts);
}

/* --- what remains of it --- */

static bool is_stream(const struct stream_edit *e)
{
    return strcmp(e->uid, EDIT_SITE_UID) != 0;
}

static void say(const struct edits_work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        log_note(w->drafts[i].site ? "server-edit" : "stream-edit", "uid=%s what=%s revision=%llu",
            w->v[i].uid, edit_kind_word(w->v[i].kind), (unsigned long long)w->ret->revision);
        if (is_stream(&w->v[i])) hooks_edited(w->m, w->v[i].uid, w->ret->revision);
    }
}

static void tell_nodes(const struct edits_work *w)
{
    for (size_t i = 0; i < w->n; i++)
        if (is_stream(&w->v[i])) files_edited(w->m, w->v[i].uid, w->drafts[i].gone);
}

/* Files that all nodes are to have are changed only where nodes enough are there. */
static bool may_change(const struct edits_work *w)
{
    bool streams = false;

    for (size_t i = 0; i < w->n; i++) streams |= is_stream(&w->v[i]);
    return !streams || files_may_edit(w->m, w->ret->text);
}

/* --- what the site's etcd keeps --- */

/* RECORDS_STORE: all of it is kept there. false: some is, and some is not. */
static bool home_of(const struct edits_work *w, enum records_home *ret)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++)
        n += is_stream(&w->v[i]) && records_home(w->m, w->v[i].uid) == RECORDS_STORE;
    *ret = n > 0 ? RECORDS_STORE : RECORDS_FILE;
    return n == 0 || n == w->n;
}

static int put(struct edits_work *w, const struct edits_order *order)
{
    struct records_change *v = mem_renew(NULL, w->n * sizeof(*v));
    const struct records_order o = {.v = v, .n = w->n, .who = order->who, .by = order->by, .why = order->why};
    const char *why;

    for (size_t i = 0; i < w->n; i++)
        v[i] = (struct records_change){
            w->v[i].uid, w->drafts[i].gone ? SPAN_NONE : buf_span(&w->drafts[i].text)};
    why = records_change(w->m, &o);
    mem_free(v);
    return why ? edits_refuse(w, CTL_BUSY, "%s", why) : EDITS_LATER;
}

static void keep_revision(struct edits_work *w, const struct edits_order *order)
{
    struct revision_change *changes = mem_renew(NULL, w->n * sizeof(*changes));
    size_t n = 0;

    for (size_t i = 0; i < w->n; i++) {
        const struct draft *d = &w->drafts[i];

        if (w->v[i].quiet) continue;
        changes[n++] = (struct revision_change){.uid = w->v[i].uid,
            .file = d->file,
            .before = d->is_new ? SPAN_NONE : span(d->was, d->was_n),
            .after = d->gone ? SPAN_NONE : buf_span(&w->drafts[i].text)};
    }
    if (n > 0) w->ret->revision = revisions_add(&w->m->revisions, order->by, order->why, changes, n);
    mem_free(changes);
}

static void tag_all(struct edits_work *w)
{
    w->ret->etags = mem_renew(NULL, w->n * sizeof(w->ret->etags[0]));
    for (size_t i = 0; i < w->n; i++) {
        w->ret->etags[i][0] = 0;
        if (!w->drafts[i].gone) edits_etag(buf_span(&w->drafts[i].text), w->ret->etags[i]);
    }
}

/* Of a change of media-server.ini: what comes of it. */
static void note_effects(struct edits_work *w, const struct conf *after)
{
    struct edits_result *ret = w->ret;
    struct conf_diff d;

    for (size_t i = 0; i < w->n; i++) ret->site = ret->site || w->drafts[i].site;
    if (!ret->site) return;
    conf_diff(w->m->conf, after, &d);
    ret->httpd = d.httpd;
    ret->streams = d.n_streams;
    ret->restart = d.restart;
    d.restart = (struct conf_list){0};
    conf_diff_done(&d);
}

void edits_result_done(struct edits_result *r)
{
    for (size_t i = 0; i < r->restart.n; i++) mem_free(r->restart.v[i]);
    mem_free(r->restart.v);
    mem_free(r->etags);
    *r = (struct edits_result){.at = 0};
}

static int do_it(
    struct edits_work *w, const struct edits_order *order, struct conf *after, struct conf_report *r)
{
    int code = edits_store(w);

    if (code != CTL_OK) return conf_free(after), code;
    keep_revision(w, order);
    code = reload_take(w->m, after, r, w->ret->text, EDITS_HTTPD_US) ? CTL_OK : CTL_FAILED;
    if (code == CTL_OK) say(w);
    if (code == CTL_OK && !order->pushed) tell_nodes(w);
    return code;
}

int edits_apply(
    struct master *m, const struct edits_order *order, struct conf_report *r, struct edits_result *ret)
{
    struct edits_work w = {.m = m,
        .v = order->v,
        .n = order->n,
        .remote = order->remote,
        .unsure = order->unsure && !order->dry,
        .ret = ret};
    struct conf *after = NULL;
    enum records_home home = RECORDS_FILE;
    int code;

    *ret = (struct edits_result){.at = 0};
    if (w.n == 0 || w.n > EDITS_MAX) return edits_refuse(&w, CTL_USAGE, "1 to %d streams at once", EDITS_MAX);
    if (!order->pushed && !home_of(&w, &home))
        return edits_refuse(&w, CTL_FAILED,
            "not done: the site's etcd keeps some of these streams, and this node others: change them apart");
    w.drafts = mem_new_n(w.n, sizeof(*w.drafts));
    memset(w.drafts, 0, w.n * sizeof(*w.drafts));
    if (!order->dry && !order->pushed && home == RECORDS_FILE && !may_change(&w)) {
        edits_drafts_done(&w);
        return CTL_BUSY;
    }
    code = edits_drafts(&w);
    if (code == CTL_OK) code = edits_judge(&w, &after, r);
    if (code == CTL_OK) note_effects(&w, after);
    if (code == CTL_OK) tag_all(&w);
    if (code == CTL_OK && !order->dry && home == RECORDS_FILE) {
        code = do_it(&w, order, after, r);
        after = NULL;
    } else if (code == CTL_OK && !order->dry) {
        code = put(&w, order);
    }
    conf_free(after);
    edits_drafts_done(&w);
    return code;
}
