/* What the API asks about streams' files: the commands "api edit", "api config", "api revision..." of
 * common/ipc/ctl.h. */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/report.h"
#include "common/conf/source.h"
#include "common/wire/url.h"
#include "master/edits.h"
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>

#define EDIT_ITEMS 4 /* of an edit in the body: kind, uid, etag, keys */

/* What a command that edits has to show: an item a stream, then the remarks. */
struct outcome {
    struct conf_report report;
    struct edits_result result;
    struct stream_edit *edits;
    size_t n;
    struct conf_set *sets;
    char *texts; /* of uids, etags, keys and values */
    struct revision_file file, newer[REVISIONS_MAX];
    size_t n_newer;
    bool dry;
};

static void outcome_free(void *p)
{
    struct outcome *o = p;

    conf_report_done(&o->report);
    mem_free(o->result.etags);
    mem_free(o->edits);
    mem_free(o->sets);
    mem_free(o->texts);
    revision_file_done(&o->file);
    for (size_t i = 0; i < o->n_newer; i++) revision_file_done(&o->newer[i]);
    mem_free(o);
}

static struct outcome *outcome_new(struct session *s)
{
    struct outcome *o = NEW(struct outcome);

    s->data = o;
    s->data_free = outcome_free;
    return o;
}

static int refuse(struct session *s, int code, const char *text)
{
    span_copy(span_of(text), s->text, sizeof(s->text));
    return code;
}

static int apply(struct session *s, struct outcome *o, const char *why)
{
    char by[CONTROL_BY_MAX];
    const struct edits_order order = {o->edits, o->n, o->dry, control_by(s, by), why};
    int code = edits_apply(s->m, &order, &o->report, &o->result);

    span_copy(span_of(o->result.text), s->text, sizeof(s->text));
    return code;
}

/* First the whole (revision, at), then items, then remarks. */
static bool row_outcome(struct session *s, struct packer *p)
{
    struct outcome *o = s->data;
    size_t at = s->at;

    if (at == 0) {
        s->at++;
        pack_map(p, 3);
        pack_kv_text(p, "kind", "edit");
        pack_kv_u64(p, "revision", o->result.revision);
        pack_kv_u64(p, "at", o->result.at);
        return true;
    }
    at--;
    if (o->result.etags && at < o->n) {
        s->at++;
        pack_map(p, 3);
        pack_kv_text(p, "kind", "item");
        pack_kv_text(p, "uid", o->edits[at].uid);
        pack_kv_text(p, "etag", o->result.etags[at]);
        return true;
    }
    if (o->result.etags) at -= o->n;
    return control_row_remark(s, &o->report, at, p);
}

/* --- api edit DRY WHY, with a body: array of [kind, uid, etag, "key=value\nkey\n"] --- */

static char *put_text(char **to, struct span s)
{
    char *text = *to;

    memcpy(text, s.p ? s.p : (const uint8_t *)"", s.n);
    text[s.n] = 0;
    *to += s.n + 1;
    return text;
}

static size_t lines_of(struct span s)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) n += s.p[i] == '\n';
    return n;
}

/* "key=value" a line, "key" for one that goes. */
static size_t take_sets(struct span lines, struct conf_set *to, char **texts)
{
    struct span line, key;
    size_t n = 0;

    while (span_split(&lines, '\n', &line)) {
        bool has_value = span_find(line, '=') >= 0;

        if (line.n == 0) continue;
        span_split(&line, '=', &key);
        to[n].key = put_text(texts, key);
        to[n++].value = has_value ? put_text(texts, line) : NULL;
    }
    return n;
}

static bool has_nul(struct span s)
{
    return s.n > 0 && memchr(s.p, 0, s.n);
}

static bool take_edit(const struct packed *row, struct stream_edit *e, struct conf_set *sets, char **texts)
{
    struct span uid = packed_as_str(packed_at(row, 1)), etag = packed_as_str(packed_at(row, 2));
    struct span lines = packed_as_str(packed_at(row, 3));

    if (packed_n(row) != EDIT_ITEMS || !edit_kind_of(packed_as_str(packed_at(row, 0)), &e->kind) ||
        uid.n == 0 || has_nul(uid) || has_nul(etag) || has_nul(lines))
        return false;
    e->uid = put_text(texts, uid);
    e->etag = etag.n > 0 ? put_text(texts, etag) : NULL;
    e->set = sets;
    e->n = take_sets(lines, sets, texts);
    return true;
}

static bool take_edits(struct outcome *o, const struct packed *rows)
{
    size_t bytes = 0, sets = 0;
    char *at;

    o->n = packed_n(rows);
    if (o->n == 0 || o->n > EDITS_MAX) return false;
    for (size_t i = 0; i < o->n; i++)
        for (size_t k = 0; k < EDIT_ITEMS; k++) {
            struct span s = packed_as_str(packed_at(packed_at(rows, i), k));

            bytes += s.n + 2;
            if (k == EDIT_ITEMS - 1) sets += lines_of(s) + 1;
        }
    o->edits = mem_renew(NULL, o->n * sizeof(*o->edits));
    memset(o->edits, 0, o->n * sizeof(*o->edits));
    o->sets = mem_renew(NULL, sets * sizeof(*o->sets));
    o->texts = at = mem_new(bytes + sets);
    for (size_t i = 0, k = 0; i < o->n; k += o->edits[i++].n)
        if (!take_edit(packed_at(rows, i), &o->edits[i], &o->sets[k], &at)) return false;
    return true;
}

static int run_edit(struct session *s)
{
    struct outcome *o = outcome_new(s);
    struct unpack *u = NULL;
    bool ok = unpack_new(buf_span(&s->body), &u) == 0 && take_edits(o, unpack_root(u));

    unpack_done(u);
    if (!ok) {
        o->n = 0;
        return refuse(s, CTL_USAGE, "the edits cannot be read");
    }
    o->dry = strcmp(s->args[0], "dry") == 0;
    return apply(s, o, s->args[1]);
}

/* --- api config UID: its etag, then the keys of its file; URLs without their passwords --- */

struct shown_key {
    char *key, *value;
};
struct shown {
    char etag[EDITS_ETAG_MAX];
    struct shown_key *v;
    size_t n;
};

static void shown_free(void *data)
{
    struct shown *x = data;

    for (size_t i = 0; i < x->n; i++) {
        mem_free(x->v[i].key);
        mem_free(x->v[i].value);
    }
    mem_free(x->v);
    mem_free(x);
}

static void show_key(void *arg, const char *key, struct span value)
{
    struct shown *x = arg;
    char masked[URL_MAX];
    bool url = span_find_span(value, SPAN_LIT("://")) >= 0;

    x->v = mem_renew(x->v, (x->n + 1) * sizeof(*x->v));
    x->v[x->n].key = mem_strdup(key);
    x->v[x->n++].value = url ? mem_strdup(url_masked(value, masked, sizeof(masked))) : span_dup(value);
}

static int run_config(struct session *s)
{
    const struct conf_stream *c = conf_stream(s->m->conf, span_of(s->args[0]));
    struct shown *x;
    uint8_t *text;
    size_t n;
    int err;

    if (!c) return refuse(s, CTL_NOT_FOUND, "no such stream");
    err = fd_read_file(AT_FDCWD, c->file, SOURCE_FILE_MAX, &text, &n);
    if (err < 0) {
        snprintf(s->text, sizeof(s->text), "its file cannot be read: %s", err_text(err));
        return CTL_FAILED;
    }
    s->data = x = NEW(struct shown);
    s->data_free = shown_free;
    edits_etag(span(text, n), x->etag);
    conf_show(span(text, n), span_of(c->uid), show_key, x);
    mem_free(text);
    return CTL_OK;
}

static bool row_config(struct session *s, struct packer *p)
{
    const struct shown *x = s->data;

    if (!x || s->at > x->n) return false;
    pack_map(p, s->at == 0 ? 1 : 2);
    if (s->at == 0) {
        pack_kv_text(p, "etag", x->etag);
    } else {
        pack_kv_text(p, "key", x->v[s->at - 1].key);
        pack_kv_text(p, "value", x->v[s->at - 1].value);
    }
    s->at++;
    return true;
}

/* --- api revisions, api revision ID --- */

static int run_revisions(struct session *s)
{
    (void)s;
    return CTL_OK;
}

static void pack_revision(const struct revision *v, struct packer *p)
{
    pack_map(p, 6);
    pack_kv_text(p, "kind", "revision");
    pack_kv_u64(p, "id", v->id);
    pack_kv_f64(p, "at", (double)v->at_us / US_PER_S);
    pack_kv_text(p, "by", v->by);
    pack_kv_text(p, "text", v->text);
    pack_kv_u64(p, "changes", v->changes);
}

static bool row_revisions(struct session *s, struct packer *p)
{
    const struct revisions *r = &s->m->revisions;

    if (s->at >= r->n) return false;
    pack_revision(&r->v[r->n - 1 - s->at++], p);
    return true;
}

static bool revision_id(struct session *s, uint64_t *ret)
{
    return span_u64(span_of(s->args[0]), INT64_MAX, ret);
}

static int open_revision(struct session *s, struct outcome *o)
{
    uint64_t id;
    int err = revision_id(s, &id) ? revisions_read(&s->m->revisions, id, &o->file) : -ENOENT;

    return err == 0 ? CTL_OK : refuse(s, CTL_NOT_FOUND, "there is no such revision any more");
}

static int run_revision(struct session *s)
{
    return open_revision(s, outcome_new(s));
}

static void pack_keys(struct packer *p, const char *name, const char *uid, struct span text)
{
    struct shown x = {.n = 0};

    pack_key(p, name);
    if (!text.p) {
        pack_nil(p);
        return;
    }
    conf_show(text, span_of(uid), show_key, &x);
    pack_map(p, (uint32_t)x.n);
    for (size_t i = 0; i < x.n; i++) {
        pack_kv_text(p, x.v[i].key, x.v[i].value);
        mem_free(x.v[i].key);
        mem_free(x.v[i].value);
    }
    mem_free(x.v);
}

static bool row_revision(struct session *s, struct packer *p)
{
    const struct outcome *o = s->data;
    const struct revision_change *c;
    uint64_t id;

    if (s->at == 0) {
        const struct revisions *r = &s->m->revisions;

        s->at++;
        for (size_t i = 0; i < r->n && revision_id(s, &id); i++)
            if (r->v[i].id == id) return pack_revision(&r->v[i], p), true;
    }
    if (s->at > o->file.n) return false;
    c = &o->file.changes[s->at++ - 1];
    pack_map(p, 5);
    pack_kv_text(p, "kind", "change");
    pack_kv_text(p, "uid", c->uid);
    pack_kv_text(p, "what", !c->before.p ? "create" : !c->after.p ? "delete" : "change");
    pack_keys(p, "before", c->uid, c->before);
    pack_keys(p, "after", c->uid, c->after);
    return true;
}

/* --- api undo ID DRY, api rollback ID DRY --- */

static void take_back(struct outcome *o, const struct revision_change *c)
{
    for (size_t i = 0; i < o->n; i++)
        if (strcmp(o->edits[i].file, c->file) == 0) { /* a newer one has it already */
            o->edits[i].text = c->before;
            return;
        }
    o->edits = mem_renew(o->edits, (o->n + 1) * sizeof(*o->edits));
    o->edits[o->n++] = (struct stream_edit){
        .kind = EDIT_TEXT, .uid = c->uid, .file = c->file, .was = c->after, .text = c->before};
}

/* What is the same before and after needs no edit: it was made and taken away again. */
static void drop_idle(struct outcome *o)
{
    size_t n = 0;

    for (size_t i = 0; i < o->n; i++) {
        const struct stream_edit *e = &o->edits[i];

        if (!(e->was.p == NULL && e->text.p == NULL)) o->edits[n++] = *e;
    }
    o->n = n;
}

static int run_undo(struct session *s)
{
    struct outcome *o = outcome_new(s);
    char why[64];
    int code = open_revision(s, o);

    if (code != CTL_OK) return code;
    for (size_t i = 0; i < o->file.n; i++) take_back(o, &o->file.changes[i]);
    o->dry = strcmp(s->args[1], "dry") == 0;
    snprintf(why, sizeof(why), "undoes revision %.20s", s->args[0]);
    return apply(s, o, why);
}

/* All that is newer is taken back, newest first. */
static int run_rollback(struct session *s)
{
    const struct revisions *r = &s->m->revisions;
    struct outcome *o = outcome_new(s);
    char why[64];
    uint64_t id;
    int code = open_revision(s, o);

    if (code != CTL_OK) return code;
    (void)revision_id(s, &id);
    for (size_t i = r->n; i-- > 0 && r->v[i].id > id;) {
        struct revision_file *f = &o->newer[o->n_newer];

        if (revisions_read(r, r->v[i].id, f) < 0)
            return refuse(s, CTL_FAILED, "a newer revision cannot be read");
        o->n_newer++;
        for (size_t k = 0; k < f->n; k++) take_back(o, &f->changes[k]);
    }
    drop_idle(o);
    if (o->n == 0) return refuse(s, CTL_OK, "nothing has changed since then");
    o->dry = strcmp(s->args[1], "dry") == 0;
    snprintf(why, sizeof(why), "back to revision %.20s", s->args[0]);
    return apply(s, o, why);
}

const struct command commands_edits[] = {
    {"api edit", 2, 2, run_edit, row_outcome},
    {"api config", 1, 1, run_config, row_config},
    {"api revisions", 0, 0, run_revisions, row_revisions},
    {"api revision", 1, 1, run_revision, row_revision},
    {"api undo", 2, 2, run_undo, row_outcome},
    {"api rollback", 2, 2, run_rollback, row_outcome},
};
const size_t n_commands_edits = ARRAY_N(commands_edits);
