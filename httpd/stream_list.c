/* A page of streams: what matches, in order, as JSON. */
#include "common/base/mem.h"
#include "common/wire/base64.h"
#include "common/wire/json.h"
#include "httpd/stream_rows.h"

#include <math.h>
#include <stdlib.h>

#define SORT_MAX    3
#define CURSOR_MAX  2048
#define STATES_MAX  16
#define LIMIT_USUAL 100
#define KEY_MAX     32

struct sort_key {
    char key[KEY_MAX];
    bool down;
};
struct question {
    const struct packed *only, *is, *min, *max, *select;
    struct span q;
    struct sort_key sort[SORT_MAX];
    size_t n_sort, limit;
    struct unpack *after; /* NULL: from the beginning */
    struct buf after_bytes;
};

static const struct packed *field(const struct packed *row, struct span key)
{
    const struct packed *v;
    struct span k;

    for (size_t i = 0; packed_pair(row, i, &k, &v); i++)
        if (span_eq(k, key)) return v;
    return NULL;
}

/* --- which --- */

bool stream_rows_seen(const struct packed *only, struct span uid)
{
    if (!only) return true;
    for (size_t i = 0; i < packed_n(only); i++) {
        struct span p = packed_as_str(packed_at(only, i));
        bool prefix = p.n > 0 && p.p[p.n - 1] == '*';

        if (prefix ? span_starts(uid, span_sub(p, 0, p.n - 1)) : span_eq(uid, p)) return true;
    }
    return false;
}

static bool same(const struct packed *a, const struct packed *b)
{
    switch (packed_kind(a)) {
    case PACKED_TEXT: return packed_is_str(b) && span_eq(packed_as_str(a), packed_as_str(b));
    case PACKED_BOOL:
        return packed_kind(b) == PACKED_BOOL && packed_as_bool(a, false) == packed_as_bool(b, false);
    case PACKED_INT:
    case PACKED_FLOAT: {
        double x = packed_as_f64(a, 0), y = packed_as_f64(b, (double)NAN);

        return !(x < y) && !(x > y) && !isnan(y);
    }
    case PACKED_NIL:
    case PACKED_ARRAY:
    case PACKED_MAP:
    default: return false;
    }
}

static bool is_one_of(const struct packed *row, const struct packed *is)
{
    const struct packed *values;
    struct span key;

    for (size_t i = 0; packed_pair(is, i, &key, &values); i++) {
        const struct packed *v = field(row, key);
        bool found = false;

        for (size_t k = 0; k < packed_n(values) && !found; k++) found = same(v, packed_at(values, k));
        if (!found) return false;
    }
    return true;
}

static bool is_within(const struct packed *row, const struct packed *bounds, bool least)
{
    const struct packed *bound;
    struct span key;

    for (size_t i = 0; packed_pair(bounds, i, &key, &bound); i++) {
        double v = packed_as_f64(field(row, key), (double)NAN), b = packed_as_f64(bound, 0);

        if (!(least ? v >= b : v <= b)) return false;
    }
    return true;
}

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c | 0x20) : c;
}

/* Letters of ASCII whatever their case; others as they are. */
static bool holds(struct span text, struct span part)
{
    for (size_t i = 0; i + part.n <= text.n; i++) {
        size_t k = 0;

        while (k < part.n && lower(text.p[i + k]) == lower(part.p[k])) k++;
        if (k == part.n) return true;
    }
    return false;
}

static bool is_found(const struct packed *row, struct span q)
{
    static const char *const keys[] = {"uid", "name", "camera_uid", "reason"};

    for (size_t i = 0; i < ARRAY_N(keys); i++)
        if (holds(packed_str(row, keys[i]), q)) return true;
    return false;
}

static bool matches(const struct packed *row, const struct question *q)
{
    return is_one_of(row, q->is) && is_within(row, q->min, true) && is_within(row, q->max, false) &&
        (q->q.n == 0 || is_found(row, q->q));
}

/* --- in which order --- */

static int text_order(struct span a, struct span b)
{
    int c = memcmp(a.p ? a.p : (const uint8_t *)"", b.p ? b.p : (const uint8_t *)"", MIN(a.n, b.n));

    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

static int value_order(const struct packed *a, const struct packed *b)
{
    double x, y;

    if (packed_is_str(a) || packed_is_str(b)) return text_order(packed_as_str(a), packed_as_str(b));
    x = packed_kind(a) == PACKED_BOOL ? packed_as_bool(a, false) : packed_as_f64(a, 0);
    y = packed_kind(b) == PACKED_BOOL ? packed_as_bool(b, false) : packed_as_f64(b, 0);
    return (x > y) - (x < y);
}

/* A row with what it is sorted by. */
struct sorted {
    const struct packed *row, *by[SORT_MAX];
    struct span uid;
    const struct question *q;
};

static struct sorted sorted_of(const struct packed *row, const struct question *q)
{
    struct sorted s = {.row = row, .uid = packed_str(row, "uid"), .q = q};

    for (size_t i = 0; i < q->n_sort; i++) s.by[i] = packed_get(row, q->sort[i].key);
    return s;
}

static int by_order(const void *a, const void *b)
{
    const struct sorted *x = a, *y = b;

    for (size_t i = 0; i < x->q->n_sort; i++) {
        int c = value_order(x->by[i], y->by[i]);

        if (c != 0) return x->q->sort[i].down ? -c : c;
    }
    return text_order(x->uid, y->uid);
}

/* --- the question --- */

static const char *take_sort(const struct packed *keys, struct question *q)
{
    for (size_t i = 0; i < packed_n(keys); i++) {
        struct span key = packed_as_str(packed_at(keys, i));
        struct sort_key *s = &q->sort[q->n_sort];

        if (q->n_sort == SORT_MAX) return "sort: three fields at most";
        s->down = key.n > 0 && key.p[0] == '-';
        if (!span_copy(span_from(key, s->down), s->key, sizeof(s->key)))
            return "sort: there is no such field";
        q->n_sort++;
    }
    return NULL;
}

/* The cursor is the last row's map of those fields, in msgpack and base64. */
static const char *take_after(struct span text, struct question *q)
{
    uint8_t bytes[CURSOR_MAX];
    struct wr w = wr_of(bytes, sizeof(bytes));

    if (text.n == 0) return NULL;
    buf_init(&q->after_bytes, CURSOR_MAX);
    if (!base64_read(text, &w) || !buf_put(&q->after_bytes, wr_span(&w)) ||
        unpack_new(buf_span(&q->after_bytes), &q->after) != 0 ||
        packed_str(unpack_root(q->after), "uid").n == 0)
        return "cursor: it is none; begin without one";
    return NULL;
}

static const char *take_question(const struct packed *p, struct question *q)
{
    const char *wrong;
    int64_t limit = packed_i64(p, "limit", LIMIT_USUAL);

    *q = (struct question){.only = packed_get(p, "only"),
        .is = packed_get(p, "is"),
        .min = packed_get(p, "min"),
        .max = packed_get(p, "max"),
        .select = packed_get(p, "select"),
        .q = packed_str(p, "q")};
    if (limit < 1 || limit > ROWS_LIMIT_MAX) return "limit: 1 to 1000";
    q->limit = (size_t)limit;
    wrong = take_sort(packed_get(p, "sort"), q);
    return wrong ? wrong : take_after(packed_str(p, "after"), q);
}

/* --- as JSON --- */

/* A page is tens of thousands of small pieces: those of a row are written into room that was made for all of
 * them. */
#define NUMBER_MAX 32

static size_t room_for(struct span key, const struct packed *v)
{
    return key.n + 5 + (packed_is_str(v) ? packed_as_str(v).n + 2 : NUMBER_MAX);
}

static uint8_t *put_bytes(uint8_t *p, struct span s)
{
    if (s.n > 0) memcpy(p, s.p, s.n);
    return p + s.n;
}

static uint8_t *put_int(uint8_t *p, int64_t v)
{
    uint8_t digits[NUMBER_MAX];
    uint64_t rest = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    size_t n = 0;

    if (v < 0) *p++ = '-';
    do digits[n++] = (uint8_t)('0' + rest % 10);
    while ((rest /= 10) > 0);
    while (n > 0) *p++ = digits[--n];
    return p;
}

static uint8_t *put_float(uint8_t *p, double v)
{
    char text[NUMBER_MAX];

    if (!isfinite(v)) return put_bytes(p, SPAN_LIT("null"));
    if (!(v < 0) && !(v > 0)) return put_bytes(p, SPAN_LIT("0"));
    snprintf(text, sizeof(text), "%.6g", v);
    return put_bytes(p, span_of(text));
}

/* Texts are written by json_put_text where they are not plain. */
static uint8_t *put_plain(uint8_t *p, const struct packed *v)
{
    switch (packed_kind(v)) {
    case PACKED_TEXT:
        *p++ = '"';
        p = put_bytes(p, packed_as_str(v));
        *p++ = '"';
        return p;
    case PACKED_BOOL: return put_bytes(p, packed_as_bool(v, false) ? SPAN_LIT("true") : SPAN_LIT("false"));
    case PACKED_INT: return put_int(p, packed_as_i64(v, 0));
    case PACKED_FLOAT: return put_float(p, packed_as_f64(v, 0));
    case PACKED_NIL:
    case PACKED_ARRAY:
    case PACKED_MAP:
    default: return put_bytes(p, SPAN_LIT("null"));
    }
}

static bool is_plain(const struct packed *v)
{
    struct span s = packed_as_str(v);

    for (size_t i = 0; packed_is_str(v) && i < s.n; i++)
        if (s.p[i] < 0x20 || s.p[i] >= 0x7f || s.p[i] == '"' || s.p[i] == '\\' || s.p[i] == '<' ||
            s.p[i] == '>' || s.p[i] == '&')
            return false;
    return true;
}

static bool is_selected(const struct packed *select, struct span key)
{
    if (!select) return true;
    for (size_t i = 0; i < packed_n(select); i++)
        if (span_eq(packed_as_str(packed_at(select, i)), key)) return true;
    return false;
}

static bool put_field(struct span key, const struct packed *v, char before, struct buf *to)
{
    bool plain = is_plain(v);
    uint8_t *from = buf_room(to, room_for(key, v)), *p = from;

    if (!from) return false;
    *p++ = (uint8_t)before;
    *p++ = '"';
    p = put_bytes(p, key);
    *p++ = '"';
    *p++ = ':';
    if (plain) p = put_plain(p, v);
    buf_added(to, (size_t)(p - from));
    return plain || json_put_text(to, packed_as_str(v));
}

/* Keys are words of ours. */
static bool put_row(const struct packed *row, const struct packed *select, struct buf *to)
{
    const struct packed *v;
    char before = '{';
    struct span key;

    for (size_t i = 0; packed_pair(row, i, &key, &v); i++) {
        if (!is_selected(select, key)) continue;
        if (!put_field(key, v, before, to)) return false;
        before = ',';
    }
    return buf_text(to, before == '{' ? "{}" : "}");
}

static bool put_next(const struct packed *last, const struct question *q, struct buf *to)
{
    char text[BASE64_N(CURSOR_MAX) + 1];
    struct wr w = wr_of(text, sizeof(text));
    struct packer p;
    struct buf b;

    buf_init(&b, CURSOR_MAX);
    p = packer_of(&b);
    pack_map(&p, (uint32_t)q->n_sort + 1);
    pack_kv_str(&p, "uid", packed_str(last, "uid"));
    for (size_t i = 0; i < q->n_sort; i++) {
        pack_key(&p, q->sort[i].key);
        pack_value(&p, packed_get(last, q->sort[i].key));
    }
    base64url_write(&w, buf_span(&b));
    buf_done(&b);
    return !p.bad && wr_ok(&w) && buf_fmt(to, "\"%s\"", wr_cstr(&w));
}

/* A page ends where its limit is, or its bytes are. false: nothing fits. */
static bool put_items(
    const struct sorted *v, size_t n, const struct question *q, struct buf *to, size_t *ret_shown)
{
    size_t shown = 0, most = buf_n(to) + ROWS_LIST_MAX;
    bool ok = buf_text(to, "{\"items\":[");

    for (; ok && shown < MIN(n, q->limit) && buf_n(to) < most; shown++)
        ok = (shown == 0 || buf_text(to, ",")) && put_row(v[shown].row, q->select, to);
    *ret_shown = shown;
    return ok && buf_text(to, "]");
}

struct count {
    struct span state;
    size_t n;
};

static void count_state(struct count *counts, struct span state)
{
    for (size_t i = 0; i < STATES_MAX; i++) {
        if (counts[i].n > 0 && !span_eq(counts[i].state, state)) continue;
        counts[i].state = state;
        counts[i].n++;
        return;
    }
}

static bool put_counts(const struct count *counts, struct buf *to)
{
    bool ok = buf_text(to, ",\"counts\":{");

    for (size_t i = 0; ok && i < STATES_MAX && counts[i].n > 0; i++)
        ok = buf_text(to, i ? "," : "") && json_put_text(to, counts[i].state) &&
            buf_fmt(to, ":%zu", counts[i].n);
    return ok && buf_text(to, "}}");
}

static bool write_list(const struct rows *rows, struct question *q, struct buf *to)
{
    struct sorted *v = mem_renew(NULL, (rows->n + 1) * sizeof(*v));
    struct count counts[STATES_MAX] = {{SPAN_NONE, 0}};
    size_t n = 0, from = 0, shown = 0;
    bool ok;

    for (size_t i = 0; i < rows->n; i++) {
        if (!stream_rows_seen(q->only, packed_str(rows->v[i], "uid"))) continue;
        count_state(counts, packed_str(rows->v[i], "state"));
        if (matches(rows->v[i], q)) v[n++] = sorted_of(rows->v[i], q);
    }
    if (q->n_sort > 0) qsort(v, n, sizeof(*v), by_order);
    if (q->after) {
        const struct sorted last = sorted_of(unpack_root(q->after), q);

        while (from < n && by_order(&v[from], &last) <= 0) from++;
    }
    ok = put_items(v + from, n - from, q, to, &shown) && buf_fmt(to, ",\"total\":%zu,\"next\":", n) &&
        (shown > 0 && from + shown < n ? put_next(v[from + shown - 1].row, q, to) : buf_text(to, "null")) &&
        put_counts(counts, to);
    mem_free(v);
    return ok;
}

const char *stream_rows_list(const struct rows *rows, const struct packed *p, struct buf *to)
{
    struct question q;
    const char *wrong = take_question(p, &q);

    if (!wrong && !write_list(rows, &q, to)) wrong = "out of memory";
    unpack_done(q.after);
    buf_done(&q.after_bytes);
    return wrong;
}
