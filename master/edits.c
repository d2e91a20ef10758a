#include "master/edits.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/source.h"
#include "master/master.h"
#include "master/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_MAX_OURS 4096
#define MODE_NEW      0600 /* it holds the camera's password */
#define SINGLE_SYNCS  4    /* more files at once: one sync of their file system */

/* One file on its way. */
struct draft {
    char *file; /* as the configuration names it */
    char *real; /* where links lead: what is replaced */
    char *next; /* the new file, beside it; NULL: not written yet */
    struct buf text;
    bool gone, is_new;
};
struct work {
    struct master *m;
    const struct stream_edit *v;
    size_t n;
    struct draft *drafts; /* of each edit */
    char *text;
};

static int refuse(struct work *w, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
static int refuse(struct work *w, int code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(w->text, EDITS_TEXT_MAX, fmt, ap);
    va_end(ap);
    return code;
}

/* --- what the files are to hold --- */

static size_t streams_of_file(const struct conf *c, const char *file)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_streams; i++) n += strcmp(c->streams[i]->file, file) == 0;
    return n;
}

/* Where a new one goes; nothing may lie there. */
static int draft_new(struct work *w, const char *uid, struct draft *d)
{
    const char *refused = conf_uid_refused(span_of(uid));
    char path[PATH_MAX_OURS];

    if (refused) return refuse(w, CTL_USAGE, "%.64s: %s", uid, refused);
    if (conf_stream(w->m->conf, span_of(uid)))
        return refuse(w, CTL_EXISTS, "stream %.64s is there already", uid);
    if (!conf_stream_path(w->m->conf, span_of(uid), path, sizeof(path)))
        return refuse(w, CTL_FAILED, "no pattern of [streams] include takes a file %.64s.ini", uid);
    if (access(path, F_OK) == 0)
        return refuse(w, CTL_EXISTS, "%.256s is there already, and is no stream %.64s", path, uid);
    d->file = mem_strdup(path);
    d->real = mem_strdup(path);
    d->is_new = true;
    return CTL_OK;
}

static int draft_old(struct work *w, const char *uid, struct draft *d)
{
    const struct conf_stream *s = conf_stream(w->m->conf, span_of(uid));

    if (!s) return refuse(w, CTL_NOT_FOUND, "no such stream: %.64s", uid);
    d->file = mem_strdup(s->file);
    d->real = realpath(s->file, NULL);
    if (!d->real) return refuse(w, CTL_FAILED, "%.256s: %s", s->file, err_text(-errno));
    return CTL_OK;
}

static int draft_text(struct work *w, const struct stream_edit *e, struct draft *d)
{
    uint8_t *old = NULL;
    size_t n = 0, at = 0;
    int err = d->is_new ? 0 : fd_read_file(AT_FDCWD, d->real, SOURCE_FILE_MAX, &old, &n);

    if (err < 0) return refuse(w, CTL_FAILED, "%.256s: %s", d->file, err_text(err));
    err = conf_edit(span(old, n), span_of(e->uid), e->set, e->n, &d->text, &at);
    mem_free(old);
    if (err == CONF_EDIT_E_KEY) return refuse(w, CTL_USAGE, "%.64s is no key", e->set[at].key);
    if (err == CONF_EDIT_E_VALUE)
        return refuse(w, CTL_USAGE,
            "the value of %.64s cannot stand in a file: control characters, both kinds of quotes, or too "
            "long",
            e->set[at].key);
    return err ? refuse(w, CTL_FAILED, "%.256s would be too large", d->file) : CTL_OK;
}

static int draft_make(struct work *w, const struct stream_edit *e, struct draft *d)
{
    int code = e->kind == EDIT_CREATE ? draft_new(w, e->uid, d) : draft_old(w, e->uid, d);

    if (code != CTL_OK) return code;
    if (e->kind != EDIT_REMOVE) return draft_text(w, e, d);
    d->gone = true;
    if (streams_of_file(w->m->conf, d->file) > 1)
        return refuse(w, CTL_FAILED, "%.256s holds other streams too: take it out there", d->file);
    return CTL_OK;
}

static int drafts_make(struct work *w)
{
    struct map seen = {0};
    int code = CTL_OK;

    for (size_t i = 0; i < w->n && code == CTL_OK; i++) {
        buf_init(&w->drafts[i].text, 2 * SOURCE_FILE_MAX);
        code = draft_make(w, &w->v[i], &w->drafts[i]);
        if (code == CTL_OK && map_set(&seen, span_of(w->drafts[i].file), w))
            code = refuse(w, CTL_USAGE, "%.256s would be changed twice at once", w->drafts[i].file);
    }
    map_done(&seen);
    return code;
}

/* --- would it be a configuration? --- */

static int judge(struct work *w, struct conf **ret, struct conf_report *r)
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
            return refuse(
                w, CTL_FAILED, "not done: %.60s: %.200s (%.160s:%u)", v->key, v->text, v->file, v->line);
    }
    return refuse(w, CTL_FAILED, "not done: %s", err_text(err));
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

static int put_in_place(struct work *w, size_t *ret_at)
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

static int store(struct work *w)
{
    bool many = w->n > SINGLE_SYNCS;
    size_t at = 0;
    int err = 0;

    for (at = 0; at < w->n; at++) {
        if (!w->drafts[at].gone) err = write_next(&w->drafts[at], !many);
        if (err < 0) return refuse(w, CTL_FAILED, "not done: %.256s: %s", w->drafts[at].real, err_text(err));
    }
    if (many) err = sync_folder(w->drafts[0].real, true);
    if (err == 0) err = put_in_place(w, &at);
    if (err < 0)
        return refuse(w, CTL_FAILED, "%s: %.256s: %s", at ? "done in part" : "not done",
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

static void drafts_done(struct work *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct draft *d = &w->drafts[i];

        if (d->next) unlink(d->next);
        mem_free(d->next);
        mem_free(d->file);
        mem_free(d->real);
        buf_done(&d->text);
    }
    mem_free(w->drafts);
}

int edits_apply(struct master *m, const struct stream_edit *v, size_t n, bool dry, struct conf_report *r,
    char text[static EDITS_TEXT_MAX])
{
    struct work w = {.m = m, .v = v, .n = n, .text = text};
    struct conf *after = NULL;
    int code;

    text[0] = 0;
    if (n == 0 || n > EDITS_MAX) return refuse(&w, CTL_USAGE, "1 to %d streams at once", EDITS_MAX);
    w.drafts = mem_new_n(n, sizeof(*w.drafts));
    memset(w.drafts, 0, n * sizeof(*w.drafts));
    code = drafts_make(&w);
    if (code == CTL_OK) code = judge(&w, &after, r);
    if (code == CTL_OK && !dry) code = store(&w);
    if (code == CTL_OK && !dry) {
        code = reload_take(m, after, r, text) ? CTL_OK : CTL_FAILED;
        after = NULL;
    }
    for (size_t i = 0; i < n && code == CTL_OK && !dry; i++)
        log_note("stream-edit", "uid=%s what=%s", v[i].uid,
            v[i].kind == EDIT_CREATE    ? "create"
                : v[i].kind == EDIT_SET ? "set"
                                        : "remove");
    conf_free(after);
    drafts_done(&w);
    return code;
}
