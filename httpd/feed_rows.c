#include "httpd/feed_rows.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/ipc/pack.h"
#include "common/ring/ring.h"
#include "common/wire/json.h"

#include <math.h>

#define FIELD_MAX 1024 /* bytes of a field as JSON */

/* Those of a list's row that do not change with every look. */
static const struct {
    const char *key, *as;
    bool steady; /* small changes are none */
} fields[] = {{"name", "name", false}, {"camera_uid", "camera", false}, {"profile", "profile", false},
    {"enabled", "enabled", false}, {"on_demand", "on_demand", false}, {"access", "access", false},
    {"dvr_mode", "dvr_mode", false}, {"paused", "paused", false}, {"state", "state", false},
    {"reason", "reason", false}, {"since", "since", false}, {"record", "record", false},
    {"record_reason", "record_reason", false}, {"storage", "storage", false}, {"codec", "codec", false},
    {"audio", "audio", false}, {"width", "width", false}, {"height", "height", false},
    {"bitrate", "bitrate", true}, {"viewers", "viewers", false}, {"losses", "losses", false},
    {"repairs", "repairs", false}, {"reconnects", "reconnects", false}, {"restarts", "restarts", false}};

struct field {
    char *text; /* JSON; NULL: it has none */
    uint64_t seq;
};
struct row {
    char uid[RING_UID_MAX + 1];
    struct field f[ARRAY_N(fields)];
    uint64_t seq; /* of the newest of them */
    bool there;
};
struct gone {
    char uid[RING_UID_MAX + 1];
    uint64_t seq;
};
struct feed_rows {
    struct map by_uid;
    struct row **v;
    size_t n, cap;
    uint64_t now, floor; /* what is gone is remembered behind the floor */
    struct gone gone[FEED_GONE_MAX];
    size_t n_gone; /* ever */
};

struct feed_rows *feed_rows_new(void)
{
    return NEW(struct feed_rows);
}

static void row_free(struct row *r)
{
    for (size_t i = 0; i < ARRAY_N(fields); i++) mem_free(r->f[i].text);
    mem_free(r);
}

void feed_rows_free(struct feed_rows *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->n; i++) row_free(t->v[i]);
    map_done(&t->by_uid);
    mem_free(t->v);
    mem_free(t);
}

uint64_t feed_rows_now(const struct feed_rows *t)
{
    return t->now;
}

bool feed_rows_reach(const struct feed_rows *t, uint64_t since)
{
    return since >= t->floor && since > 0 && since <= t->now;
}

/* --- values --- */

static bool json_number(struct buf *to, double v)
{
    return isfinite(v) ? buf_fmt(to, "%.6g", v) : buf_text(to, "null");
}

static bool json_array(struct buf *to, const struct packed *v)
{
    bool ok = buf_text(to, "[");

    for (size_t i = 0; ok && i < packed_n(v); i++)
        ok = (i == 0 || buf_text(to, ",")) && feed_json(to, packed_at(v, i));
    return ok && buf_text(to, "]");
}

static bool json_map(struct buf *to, const struct packed *v)
{
    bool ok = buf_text(to, "{");
    const struct packed *value;
    struct span key;

    for (size_t i = 0; ok && packed_pair(v, i, &key, &value); i++)
        ok = (i == 0 || buf_text(to, ",")) && json_put_text(to, key) && buf_text(to, ":") &&
            feed_json(to, value);
    return ok && buf_text(to, "}");
}

/* As deep as a message may be (pack.h). */
bool feed_json(struct buf *to, const struct packed *v)
{
    switch (packed_kind(v)) {
    case PACKED_BOOL: return buf_text(to, packed_as_bool(v, false) ? "true" : "false");
    case PACKED_INT: return buf_fmt(to, "%lld", (long long)packed_as_i64(v, 0));
    case PACKED_FLOAT: return json_number(to, packed_as_f64(v, (double)NAN));
    case PACKED_TEXT: return json_put_text(to, packed_as_str(v));
    case PACKED_ARRAY: return json_array(to, v);
    case PACKED_MAP: return json_map(to, v);
    case PACKED_NIL: break;
    }
    return buf_text(to, "null");
}

/* --- taking --- */

static bool is_near(const char *was, int64_t is)
{
    uint64_t before;

    if (!was || !span_u64(span_of(was), INT64_MAX, &before) || is <= 0 || before == 0) return false;
    return llabs(is - (int64_t)before) * FEED_STEADY < (int64_t)before;
}

static void set(struct row *r, size_t i, const struct packed *v, uint64_t seq)
{
    struct field *f = &r->f[i];
    struct buf b;

    if (fields[i].steady && is_near(f->text, packed_as_i64(v, 0))) return;
    buf_init(&b, FIELD_MAX);
    if (!v || !feed_json(&b, v)) buf_clear(&b);
    if (f->text ? !span_is(buf_span(&b), f->text) : buf_n(&b) > 0) {
        mem_free(f->text);
        f->text = buf_n(&b) > 0 ? span_dup(buf_span(&b)) : NULL;
        f->seq = r->seq = seq;
    }
    buf_done(&b);
}

static struct row *row_of(struct feed_rows *t, struct span uid)
{
    struct row *r = map_get(&t->by_uid, uid);

    if (r) return r;
    r = NEW(struct row);
    span_copy(uid, r->uid, sizeof(r->uid));
    if (t->n == t->cap) {
        t->cap = MAX(t->cap * 2, 64);
        t->v = mem_renew(t->v, t->cap * sizeof(*t->v));
    }
    t->v[t->n++] = r;
    map_set(&t->by_uid, uid, r);
    return r;
}

static void note_gone(struct feed_rows *t, const struct row *r, uint64_t seq)
{
    struct gone *g = &t->gone[t->n_gone++ % FEED_GONE_MAX];

    t->floor = MAX(t->floor, g->seq);
    memcpy(g->uid, r->uid, sizeof(g->uid));
    g->seq = seq;
}

static bool sweep(struct feed_rows *t, uint64_t seq)
{
    size_t left = 0;

    for (size_t i = 0; i < t->n; i++) {
        struct row *r = t->v[i];

        if (r->there) {
            r->there = false;
            t->v[left++] = r;
            continue;
        }
        note_gone(t, r, seq);
        map_remove(&t->by_uid, span_of(r->uid));
        row_free(r);
    }
    if (left == t->n) return false;
    t->n = left;
    return true;
}

void feed_rows_take(struct feed_rows *t, const struct packed *const *v, size_t n)
{
    uint64_t seq = t->now + 1;
    bool changed = t->now == 0;

    for (size_t i = 0; i < n; i++) {
        struct span uid = packed_str(v[i], "uid");
        struct row *r;

        if (uid.n == 0 || uid.n > RING_UID_MAX) continue;
        r = row_of(t, uid);
        r->there = true;
        if (r->seq == 0) r->seq = seq;
        for (size_t k = 0; k < ARRAY_N(fields); k++) set(r, k, packed_get(v[i], fields[k].key), seq);
        changed |= r->seq == seq;
    }
    changed |= sweep(t, seq);
    if (changed) t->now = seq;
}

/* --- telling --- */

static bool write_row(const struct row *r, uint64_t since, struct buf *to)
{
    bool ok = buf_text(to, "{\"uid\":") && json_put_text(to, span_of(r->uid));

    for (size_t i = 0; ok && i < ARRAY_N(fields); i++) {
        const struct field *f = &r->f[i];

        if (f->seq <= since || (since == 0 && !f->text)) continue;
        ok = buf_fmt(to, ",\"%s\":", fields[i].as) && buf_text(to, f->text ? f->text : "null");
    }
    return ok && buf_text(to, "}");
}

/* It may have come again. */
static bool still_gone(const struct feed_rows *t, const struct gone *g, uint64_t since)
{
    return g->seq > since && !map_get(&t->by_uid, span_of(g->uid));
}

static bool write_gone(
    const struct feed_rows *t, uint64_t since, const struct camera_list *seen, struct buf *to, size_t *n)
{
    bool ok = true;

    for (size_t i = 0; ok && since > 0 && i < MIN(t->n_gone, FEED_GONE_MAX); i++) {
        const struct gone *g = &t->gone[i];

        if (!still_gone(t, g, since) || !camera_list_has(seen, span_of(g->uid))) continue;
        ok = ((*n)++ == 0 || buf_text(to, ",")) && json_put_text(to, span_of(g->uid));
    }
    return ok;
}

bool feed_rows_write(
    const struct feed_rows *t, uint64_t since, const struct camera_list *seen, struct buf *to)
{
    size_t before = buf_n(to), n = 0, n_gone = 0;
    bool ok = buf_text(to, since == 0 ? "{\"all\":true,\"rows\":[" : "{\"rows\":[");

    for (size_t i = 0; ok && i < t->n; i++) {
        const struct row *r = t->v[i];

        if (r->seq <= since || !camera_list_has(seen, span_of(r->uid))) continue;
        ok = (n++ == 0 || buf_text(to, ",")) && write_row(r, since, to);
    }
    ok = ok && buf_text(to, "],\"gone\":[") && write_gone(t, since, seen, to, &n_gone) && buf_text(to, "]}");
    if (ok && (since == 0 || n > 0 || n_gone > 0)) return true;
    to->to = to->from + before;
    return false;
}
