/* What the files are to hold: from an edit and the file of today to a draft. */
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/conf/keys.h"
#include "common/conf/mask.h"
#include "master/edits_impl.h"
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define PATH_MAX_OURS 4096
#define URL_KEY       "stream-url"
#define SETS_MAX      (CONF_ROWS_MAX * 2) /* of one edit, with the keys that go */

static const char *const words[] = {[EDIT_CREATE] = "create",
    [EDIT_SET] = "set",
    [EDIT_MERGE] = "merge",
    [EDIT_REPLACE] = "replace",
    [EDIT_REMOVE] = "remove",
    [EDIT_SITE] = "site",
    [EDIT_TEXT] = "restore"};

const char *edit_kind_word(enum edit_kind k)
{
    return words[k];
}

bool edit_kind_of(struct span word, enum edit_kind *ret)
{
    for (unsigned k = 0; k < EDIT_TEXT; k++)
        if (span_is(word, words[k])) {
            *ret = (enum edit_kind)k;
            return true;
        }
    return false;
}

/* --- which file --- */

static size_t streams_of_file(const struct conf *c, const char *file)
{
    size_t n = 0;

    for (size_t i = 0; i < c->n_streams; i++) n += strcmp(c->streams[i]->file, file) == 0;
    return n;
}

/* Where a new one goes; nothing may lie there. */
static int draft_new(struct edits_work *w, const char *uid, struct draft *d)
{
    const char *refused = conf_uid_refused(span_of(uid));
    char path[PATH_MAX_OURS];

    if (refused) return edits_refuse(w, CTL_USAGE, "%.64s: %s", uid, refused);
    if (conf_stream(w->m->conf, span_of(uid)))
        return edits_refuse(w, CTL_EXISTS, "stream %.64s is there already", uid);
    if (!conf_stream_path(w->m->conf, span_of(uid), path, sizeof(path)))
        return edits_refuse(w, CTL_FAILED, "no pattern of [streams] include takes a file %.64s.ini", uid);
    if (access(path, F_OK) == 0)
        return edits_refuse(w, CTL_EXISTS, "%.256s is there already, and is no stream %.64s", path, uid);
    d->file = mem_strdup(path);
    d->real = mem_strdup(path);
    d->is_new = true;
    return CTL_OK;
}

int edits_read_file(struct edits_work *w, struct draft *d)
{
    int err = fd_read_file(AT_FDCWD, d->real, SOURCE_FILE_MAX, &d->was, &d->was_n);

    return err < 0 ? edits_refuse(w, CTL_FAILED, "%.256s: %s", d->file, err_text(err)) : CTL_OK;
}

static int draft_old(struct edits_work *w, const char *uid, struct draft *d)
{
    const struct conf_stream *s = conf_stream(w->m->conf, span_of(uid));

    if (!s) return edits_refuse(w, CTL_NOT_FOUND, "no such stream: %.64s", uid);
    d->file = mem_strdup(s->file);
    d->real = realpath(s->file, NULL);
    if (!d->real) return edits_refuse(w, CTL_FAILED, "%.256s: %s", s->file, err_text(-errno));
    return edits_read_file(w, d);
}

/* --- what it holds --- */

struct old_url {
    char text[CONF_VALUE_MAX + 1]; /* a copy: what conf_show gives is gone behind it */
    bool found;
};

static void find_url(void *arg, const char *key, struct span value)
{
    struct old_url *old = arg;

    if (strcmp(key, URL_KEY) == 0) old->found = span_copy(value, old->text, sizeof(old->text));
}

/* A URL whose password is masked means the password that is there. *own: where another text is put. */
static int unmask(struct edits_work *w, const struct draft *d, const struct stream_edit *e,
    struct conf_set *set, char **own)
{
    struct old_url old = {.found = false};
    struct source_item was = {0};
    struct wr wr;

    if (strcmp(set->key, URL_KEY) != 0 || !set->value) return CTL_OK;
    conf_show(span(d->was, d->was_n), span_of(e->uid), find_url, &old);
    was.value = span_of(old.text);
    *own = mem_new(CONF_SHOWN_MAX);
    wr = wr_of(*own, CONF_SHOWN_MAX);
    if (!conf_unmask(NULL, set->key, span_of(set->value), old.found ? &was : NULL, &wr))
        return edits_refuse(w, CTL_USAGE,
            "the password in %s is masked, and none is known for this host: type it again", URL_KEY);
    set->value = wr_cstr(&wr);
    return CTL_OK;
}

struct gather {
    const struct stream_edit *e;
    struct conf_set *to;
    size_t n;
    char keys[CONF_ROWS_MAX][SOURCE_KEY_MAX + 1];
    size_t n_keys;
};

/* A key of the file that a replacement does not name goes. */
static void drop_unnamed(void *arg, const char *key, struct span value)
{
    struct gather *g = arg;

    (void)value;
    for (size_t i = 0; i < g->e->n; i++)
        if (strcmp(g->e->set[i].key, key) == 0) return;
    if (g->n_keys == ARRAY_N(g->keys) || g->n == SETS_MAX) return;
    snprintf(g->keys[g->n_keys], sizeof(g->keys[0]), "%s", key);
    g->to[g->n++] = (struct conf_set){.key = g->keys[g->n_keys++]};
}

static int draft_text(struct edits_work *w, const struct stream_edit *e, struct draft *d)
{
    CLEANUP(mem_freep) struct conf_set *set = mem_renew(NULL, SETS_MAX * sizeof(*set));
    CLEANUP(mem_freep) struct gather *g = NEW(struct gather);
    CLEANUP(mem_freep) char *own = NULL;
    int err, code = CTL_OK;
    size_t at = 0;

    if (e->n > SETS_MAX / 2) return edits_refuse(w, CTL_USAGE, "too many keys");
    *g = (struct gather){.e = e, .to = set, .n = e->n};
    memcpy(set, e->set, e->n * sizeof(*set));
    for (size_t i = 0; i < e->n && code == CTL_OK; i++)
        if (!own) code = unmask(w, d, e, &set[i], &own);
    if (code != CTL_OK) return code;
    if (e->kind == EDIT_REPLACE && !d->is_new)
        conf_show(span(d->was, d->was_n), span_of(e->uid), drop_unnamed, g);
    err = conf_edit(span(d->was, d->was_n), span_of(e->uid), set, g->n, &d->text, &at);
    if (err == CONF_EDIT_E_KEY) return edits_refuse(w, CTL_USAGE, "%.64s is no key", set[at].key);
    if (err == CONF_EDIT_E_VALUE)
        return edits_refuse(w, CTL_USAGE,
            "the value of %.64s cannot stand in a file: control characters, both kinds of quotes, or too "
            "long",
            set[at].key);
    return err ? edits_refuse(w, CTL_FAILED, "%.256s would be too large", d->file) : CTL_OK;
}

/* A file of a revision comes back only where nobody has changed it meanwhile; keys of it, where nobody has
 * changed those. */
static int draft_restored(struct edits_work *w, const struct stream_edit *e, struct draft *d)
{
    bool same;
    int err;

    d->file = mem_strdup(e->file);
    d->real = realpath(e->file, NULL);
    d->is_new = d->real == NULL;
    d->gone = e->text.p == NULL;
    d->site = strcmp(e->file, w->m->file) == 0;
    if (d->is_new) {
        d->real = mem_strdup(e->file);
        same = e->was.p == NULL;
    } else {
        err = edits_read_file(w, d);
        if (err != CTL_OK) return err;
        same = e->was.p && span_eq(e->was, span(d->was, d->was_n));
    }
    if (!same && e->keys && e->was.p && e->text.p && !d->is_new) {
        err = edits_undo(w, e, d);
        return err == CTL_OK && d->site ? edits_site_check(w, d) : err;
    }
    if (!same) return edits_refuse(w, CTL_CHANGED, "the file of %.64s has changed since then", e->uid);
    if (!d->gone && !buf_put(&d->text, e->text)) return edits_refuse(w, CTL_FAILED, "out of memory");
    return d->site ? edits_site_check(w, d) : CTL_OK;
}

static int check_etag(struct edits_work *w, const struct stream_edit *e, const struct draft *d)
{
    char is[EDITS_ETAG_MAX];

    const char *name = e->kind == EDIT_SITE ? "the configuration" : e->uid;

    if (!e->etag) return CTL_OK;
    if (strcmp(e->etag, "-") == 0 ? d->is_new
            : strcmp(e->etag, "*") == 0
            ? !d->is_new
            : !d->is_new && strcmp(e->etag, edits_etag(span(d->was, d->was_n), is)) == 0)
        return CTL_OK;
    return edits_refuse(w, CTL_CHANGED, "%.64s is not as it was when it was read: read it again", name);
}

static int draft_make(struct edits_work *w, const struct stream_edit *e, struct draft *d)
{
    bool known = conf_stream(w->m->conf, span_of(e->uid)) != NULL;
    bool fresh = e->kind == EDIT_CREATE || (!known && (e->kind == EDIT_MERGE || e->kind == EDIT_REPLACE));
    int code;

    if (e->kind == EDIT_TEXT) return draft_restored(w, e, d);
    if (e->kind == EDIT_SITE) {
        code = edits_site(w, e, d);
        return code == CTL_OK ? check_etag(w, e, d) : code;
    }
    code = fresh ? draft_new(w, e->uid, d) : draft_old(w, e->uid, d);
    if (code == CTL_OK) code = check_etag(w, e, d);
    if (code != CTL_OK) return code;
    if (e->kind != EDIT_REMOVE) return draft_text(w, e, d);
    d->gone = true;
    if (streams_of_file(w->m->conf, d->file) > 1)
        return edits_refuse(w, CTL_FAILED, "%.256s holds other streams too: take it out there", d->file);
    return CTL_OK;
}

int edits_drafts(struct edits_work *w)
{
    struct map seen = {0};
    int code = CTL_OK;

    for (size_t i = 0; i < w->n && code == CTL_OK; i++) {
        w->ret->at = i;
        buf_init(&w->drafts[i].text, 2 * SOURCE_FILE_MAX);
        code = draft_make(w, &w->v[i], &w->drafts[i]);
        if (code == CTL_OK && map_set(&seen, span_of(w->drafts[i].file), w))
            code = edits_refuse(w, CTL_USAGE, "%.256s would be changed twice at once", w->drafts[i].file);
    }
    map_done(&seen);
    return code;
}
