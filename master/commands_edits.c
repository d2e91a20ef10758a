/* What the API asks about files of the configuration: the commands "api edit", "api config", "config show",
 * "api revision..." of common/ipc/ctl.h. */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/conf/mask.h"
#include "common/conf/report.h"
#include "master/edits_read.h"
#include "master/master.h"

#include <errno.h>
#include <fcntl.h>

/* What a command that edits has to show: an item a stream, then the remarks. */
struct outcome {
    struct conf_report report;
    struct edits_result result;
    struct edits_read in;
    struct revision_file file, newer[REVISIONS_MAX];
    size_t n_newer;
    bool dry;
};

static void outcome_free(void *p)
{
    struct outcome *o = p;

    conf_report_done(&o->report);
    edits_result_done(&o->result);
    edits_read_done(&o->in);
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

/* What was not done has no new etags. */
static void take_late(struct session *s, int code, uint64_t revision)
{
    struct outcome *o = s->data;

    o->result.revision = revision;
    if (code == CTL_OK) return;
    mem_free(o->result.etags);
    o->result.etags = NULL;
}

static int apply(struct session *s, struct outcome *o, const char *why)
{
    char by[CONTROL_BY_MAX];
    const struct edits_order order = {.v = o->in.v,
        .n = o->in.n,
        .dry = o->dry,
        .remote = s->api,
        .unsure = !s->caller.confirmed,
        .who = control_act(s),
        .by = control_by(s, by),
        .why = why};
    int code = edits_apply(s->m, &order, &o->report, &o->result);

    s->late = take_late;
    span_copy(span_of(o->result.text), s->text, sizeof(s->text));
    return code == EDITS_LATER ? control_wait_act(s) : code;
}

static void pack_whole(const struct edits_result *r, struct packer *p)
{
    pack_map(p, r->site ? 7 : 3);
    pack_kv_text(p, "kind", "edit");
    pack_kv_u64(p, "revision", r->revision);
    pack_kv_u64(p, "at", r->at);
    if (!r->site) return;
    pack_kv_bool(p, "site", true);
    pack_kv_bool(p, "httpd", r->httpd);
    pack_kv_u64(p, "streams", r->streams);
    pack_key(p, "restart");
    pack_array(p, (uint32_t)r->restart.n);
    for (size_t i = 0; i < r->restart.n; i++) pack_str(p, span_of(r->restart.v[i]));
}

/* The server's own configuration has no uid. */
static const char *shown_uid(const char *uid)
{
    return strcmp(uid, EDIT_SITE_UID) == 0 ? "" : uid;
}

/* First the whole (revision, at), then items, then remarks. */
static bool row_outcome(struct session *s, struct packer *p)
{
    struct outcome *o = s->data;
    size_t at = s->at;

    if (at == 0) {
        s->at++;
        pack_whole(&o->result, p);
        return true;
    }
    at--;
    if (o->result.etags && at < o->in.n) {
        s->at++;
        pack_map(p, 3);
        pack_kv_text(p, "kind", "item");
        pack_kv_text(p, "uid", shown_uid(o->in.v[at].uid));
        pack_kv_text(p, "etag", o->result.etags[at]);
        return true;
    }
    if (o->result.etags) at -= o->in.n;
    return control_row_remark(s, &o->report, at, p);
}

/* --- api edit DRY WHY, with a body --- */

/* Of whoever asks: what is his to change. */
static int may_edit(struct session *s, const struct edits_read *in)
{
    for (size_t i = 0; i < in->n; i++) {
        const struct stream_edit *e = &in->v[i];

        if (control_sees(s, e->uid)) continue;
        snprintf(s->text, sizeof(s->text), "no such stream: %.64s", shown_uid(e->uid));
        return CTL_NOT_FOUND;
    }
    return CTL_OK;
}

/* For the audit log: "set gate stream-name=Gate dvr-chunk". */
static void name_edits(struct session *s, const struct edits_read *in)
{
    struct wr *w = audit_command_words(s, in->n == 1 ? shown_uid(in->v[0].uid) : "");

    for (size_t i = 0; w && i < in->n; i++) {
        const struct stream_edit *e = &in->v[i];

        wr_fmt(w, "%s%s", i > 0 ? "; " : "", edit_kind_word(e->kind));
        if (in->n > 1) wr_fmt(w, " %s", shown_uid(e->uid));
        for (size_t k = 0; k < e->n; k++) audit_set(w, &e->set[k]);
    }
}

static int run_edit(struct session *s)
{
    struct outcome *o = outcome_new(s);
    int code;

    if (!edits_read(buf_span(&s->body), &o->in)) {
        o->in.n = 0;
        return refuse(s, CTL_USAGE, "the edits cannot be read");
    }
    o->dry = strcmp(s->args[0], "dry") == 0;
    if (o->dry)
        audit_command_forget(s);
    else
        name_edits(s, &o->in);
    code = may_edit(s, &o->in);
    return code == CTL_OK ? apply(s, o, s->args[1]) : code;
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

static void show_item(void *arg, const char *section, const struct source_item *item)
{
    char masked[CONF_SHOWN_MAX], name[SOURCE_PATH_MAX + SOURCE_KEY_MAX + 2];
    struct shown *x = arg;

    snprintf(name, sizeof(name), "%s%s%s", section ? section : "", section ? "/" : "", item->key);
    x->v = mem_renew(x->v, (x->n + 1) * sizeof(*x->v));
    x->v[x->n].key = mem_strdup(name);
    x->v[x->n++].value = mem_strdup(conf_mask(section, item, masked));
}

static void show_key(void *arg, const char *key, struct span value)
{
    char name[SOURCE_KEY_MAX + 1];
    const struct source_item item = {.key = name, .value = value};

    span_copy(span_of(key), name, sizeof(name));
    show_item(arg, NULL, &item);
}

/* Of the streams file of this uid, or of media-server.ini. */
static void show_text(struct span text, const char *uid, struct shown *x)
{
    if (strcmp(uid, EDIT_SITE_UID) == 0)
        conf_show_site(text, show_item, x);
    else
        conf_show(text, span_of(uid), show_key, x);
}

static int show_file(struct session *s, const char *file, const char *uid)
{
    struct shown *x;
    uint8_t *text;
    size_t n;
    int err = fd_read_file(AT_FDCWD, file, SOURCE_FILE_MAX, &text, &n);

    if (err < 0) {
        snprintf(s->text, sizeof(s->text), "its file cannot be read: %s", err_text(err));
        return CTL_FAILED;
    }
    s->data = x = NEW(struct shown);
    s->data_free = shown_free;
    edits_etag(span(text, n), x->etag);
    show_text(span(text, n), uid, x);
    mem_free(text);
    return CTL_OK;
}

static int run_config(struct session *s)
{
    const struct conf_stream *c = conf_stream(s->m->conf, span_of(s->args[0]));

    return c ? show_file(s, c->file, c->uid) : refuse(s, CTL_NOT_FOUND, "no such stream");
}

static void pack_pair(const struct shown_key *k, struct packer *p)
{
    pack_map(p, 2);
    pack_kv_text(p, "key", k->key);
    pack_kv_text(p, "value", k->value);
}

static bool row_config(struct session *s, struct packer *p)
{
    const struct shown *x = s->data;

    if (!x || s->at > x->n) return false;
    if (s->at > 0) return pack_pair(&x->v[s->at++ - 1], p), true;
    s->at++;
    pack_map(p, 1);
    pack_kv_text(p, "etag", x->etag);
    return true;
}

/* --- config show: file and etag, the keys that are set, those that wait for a restart --- */

static int run_site(struct session *s)
{
    if (!control_sees(s, EDIT_SITE_UID)) return refuse(s, CTL_NOT_FOUND, "that is for root alone");
    return show_file(s, s->m->file, EDIT_SITE_UID);
}

/* The first at or behind row i; conf_rows_n: none. */
static size_t next_pending(const struct master *m, size_t i)
{
    uint64_t now[CONF_ROWS_MAX];

    conf_hashes(m->conf, now);
    while (i < conf_rows_n && (conf_rows[i].reload != RELOAD_RESTART || now[i] == m->started_with[i])) i++;
    return i;
}

static bool row_site(struct session *s, struct packer *p)
{
    const struct shown *x = s->data;
    char name[100];
    size_t row;

    if (!x) return false;
    if (s->at == 0) {
        pack_map(p, 2);
        pack_kv_text(p, "file", s->m->file);
        pack_kv_text(p, "etag", x->etag);
        return s->at++, true;
    }
    if (s->at <= x->n) return pack_pair(&x->v[s->at++ - 1], p), true;
    row = next_pending(s->m, s->at - 1 - x->n);
    if (row >= conf_rows_n) return false;
    s->at = row + x->n + 2;
    pack_map(p, 1);
    snprintf(name, sizeof(name), "%s/%s", conf_rows[row].section, conf_rows[row].name);
    pack_kv_text(p, "pending", name);
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

/* One that touches what whoever asks does not see is not there for him. */
static bool sees_revision(const struct session *s, const struct revision *v)
{
    struct span rest = span_of(v->uids), uid;
    char text[CONF_UID_MAX + 1];

    while (span_split(&rest, ',', &uid))
        if (!span_copy(uid, text, sizeof(text)) || !control_sees(s, text)) return false;
    return true;
}

static bool row_revisions(struct session *s, struct packer *p)
{
    const struct revisions *r = &s->m->revisions;

    while (s->at < r->n) {
        const struct revision *v = &r->v[r->n - 1 - s->at++];

        if (sees_revision(s, v)) return pack_revision(v, p), true;
    }
    return false;
}

static bool revision_id(struct session *s, uint64_t *ret)
{
    return span_u64(span_of(s->args[0]), INT64_MAX, ret);
}

/* NULL: there is none, or not for whoever asks. */
static const struct revision *find_revision(struct session *s)
{
    const struct revisions *r = &s->m->revisions;
    uint64_t id;

    for (size_t i = 0; revision_id(s, &id) && i < r->n; i++)
        if (r->v[i].id == id) return sees_revision(s, &r->v[i]) ? &r->v[i] : NULL;
    return NULL;
}

static int open_revision(struct session *s, struct outcome *o)
{
    const struct revision *v = find_revision(s);
    int err = v ? revisions_read(&s->m->revisions, v->id, &o->file) : -ENOENT;

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
    show_text(text, uid, &x);
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
    const struct revision *v = s->at == 0 ? find_revision(s) : NULL;
    const struct revision_change *c;

    if (s->at == 0) s->at++;
    if (v) return pack_revision(v, p), true;
    if (s->at > o->file.n) return false;
    c = &o->file.changes[s->at++ - 1];
    pack_map(p, 5);
    pack_kv_text(p, "kind", "change");
    pack_kv_text(p, "uid", shown_uid(c->uid));
    pack_kv_text(p, "what", !c->before.p ? "create" : !c->after.p ? "delete" : "change");
    pack_keys(p, "before", c->uid, c->before);
    pack_keys(p, "after", c->uid, c->after);
    return true;
}

/* --- api undo ID DRY, api rollback ID DRY --- */

static void take_back(struct outcome *o, const struct revision_change *c, bool keys)
{
    struct edits_read *in = &o->in;

    for (size_t i = 0; i < in->n; i++)
        if (strcmp(in->v[i].file, c->file) == 0) { /* a newer one has it already */
            in->v[i].text = c->before;
            return;
        }
    in->v = mem_renew(in->v, (in->n + 1) * sizeof(*in->v));
    in->v[in->n++] = (struct stream_edit){
        .kind = EDIT_TEXT, .uid = c->uid, .file = c->file, .was = c->after, .text = c->before, .keys = keys};
}

/* What is the same before and after needs no edit: it was made and taken away again. */
static void drop_idle(struct outcome *o)
{
    size_t n = 0;

    for (size_t i = 0; i < o->in.n; i++) {
        const struct stream_edit *e = &o->in.v[i];

        if (!(e->was.p == NULL && e->text.p == NULL)) o->in.v[n++] = *e;
    }
    o->in.n = n;
}

static int run_undo(struct session *s)
{
    struct outcome *o = outcome_new(s);
    char why[64];
    int code = open_revision(s, o);

    if (code != CTL_OK) return code;
    for (size_t i = 0; i < o->file.n; i++) take_back(o, &o->file.changes[i], true);
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

        if (!sees_revision(s, &r->v[i]))
            return refuse(s, CTL_FAILED, "a newer revision is about what is not yours: ask an administrator");
        if (revisions_read(r, r->v[i].id, f) < 0)
            return refuse(s, CTL_FAILED, "a newer revision cannot be read");
        o->n_newer++;
        for (size_t k = 0; k < f->n; k++) take_back(o, &f->changes[k], false);
    }
    drop_idle(o);
    if (o->in.n == 0) return refuse(s, CTL_OK, "nothing has changed since then");
    o->dry = strcmp(s->args[1], "dry") == 0;
    snprintf(why, sizeof(why), "back to revision %.20s", s->args[0]);
    return apply(s, o, why);
}

const struct command commands_edits[] = {
    {"api edit", 2, 2, run_edit, row_outcome},
    {"api config", 1, 1, run_config, row_config},
    {"config show", 0, 0, run_site, row_site},
    {"api revisions", 0, 0, run_revisions, row_revisions},
    {"api revision", 1, 1, run_revision, row_revision},
    {"api undo", 2, 2, run_undo, row_outcome},
    {"api rollback", 2, 2, run_rollback, row_outcome},
};
const size_t n_commands_edits = ARRAY_N(commands_edits);
