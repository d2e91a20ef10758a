#include "courier/gateway.h"
#include "common/base/mem.h"
#include "common/base/utf8.h"
#include "common/wire/base64.h"
#include "common/wire/json.h"

#define TEXT_MAX (BASE64_N(GATEWAY_VALUE_MAX) + 4) /* of a value between JSON's quotes, escapes resolved */

/* --- reading --- */

struct reading {
    void (*fn)(void *arg, const struct gateway_record *r);
    void *arg;
    struct gateway_answer *to;
    /* Depths; 0: not in one. A record is an object in an array "kvs", or the "kv" of one in "events". */
    unsigned array, row, inner;
    bool event;
    struct gateway_record record;
    bool keyed;
    uint8_t key[GATEWAY_KEY_MAX], value[GATEWAY_VALUE_MAX], text[TEXT_MAX];
};

enum field_kind { FIELD_U64, FIELD_BOOL, FIELD_WHY, FIELD_TOKEN };
struct field {
    const char *name;
    enum field_kind kind;
    size_t at;
};
#define ANSWER(field) offsetof(struct gateway_answer, field)
#define RECORD(field) offsetof(struct gateway_record, field)

static const struct field answer_fields[] = {
    {"cluster_id", FIELD_U64, ANSWER(cluster)},
    {"revision", FIELD_U64, ANSWER(revision)},
    {"ID", FIELD_U64, ANSWER(lease)},
    {"TTL", FIELD_U64, ANSWER(ttl_s)},
    {"compact_revision", FIELD_U64, ANSWER(compacted)},
    {"code", FIELD_U64, ANSWER(code)},
    {"grpc_code", FIELD_U64, ANSWER(code)},
    {"more", FIELD_BOOL, ANSWER(more)},
    {"succeeded", FIELD_BOOL, ANSWER(succeeded)},
    {"created", FIELD_BOOL, ANSWER(created)},
    {"canceled", FIELD_BOOL, ANSWER(canceled)},
    {"error", FIELD_WHY, ANSWER(why)},
    {"message", FIELD_WHY, ANSWER(why)},
    {"cancel_reason", FIELD_WHY, ANSWER(why)},
    {"token", FIELD_TOKEN, ANSWER(token)},
};
static const struct field record_fields[] = {
    {"create_revision", FIELD_U64, RECORD(created)},
    {"mod_revision", FIELD_U64, RECORD(changed)},
    {"lease", FIELD_U64, RECORD(lease)},
};

static const struct field *field_of(const struct field *v, size_t n, struct span key)
{
    for (size_t i = 0; i < n; i++)
        if (span_is(key, v[i].name)) return &v[i];
    return NULL;
}

static void read_why(struct span text, char *to)
{
    struct wr w = wr_of(to, GATEWAY_WHY_MAX - 1);
    char shown[UTF8_SHOWN_MAX];

    while (text.n > 0) {
        struct span c = utf8_shown(&text, shown);

        if (w.n + c.n > w.cap) break;
        wr_bytes(&w, c);
    }
    to[w.n] = 0;
}

static void take(void *base, const struct field *f, const struct json_item *i)
{
    uint8_t *to = (uint8_t *)base + f->at;
    uint64_t number = 0;
    bool yes = span_is(i->text, "true");

    switch (f->kind) {
    case FIELD_U64:
        if (!span_u64(i->text, UINT64_MAX, &number)) number = 0;
        memcpy(to, &number, sizeof(number));
        break;
    case FIELD_BOOL: memcpy(to, &yes, sizeof(yes)); break;
    case FIELD_WHY:
        if (i->type == JSON_TEXT) read_why(i->text, (char *)to);
        break;
    case FIELD_TOKEN:
        if (!span_copy(i->text, (char *)to, GATEWAY_TOKEN_MAX)) to[0] = 0;
        break;
    }
}

/* Base64 between quotes. false: none, or longer than cap. */
static bool bytes(struct reading *r, struct span text, uint8_t *to, size_t cap, struct span *ret)
{
    struct wr plain = wr_of(r->text, sizeof(r->text)), w = wr_of(to, cap);

    if (!json_read_text(&plain, text) || !base64_read(wr_span(&plain), &w)) return false;
    *ret = wr_span(&w);
    return true;
}

static void take_record(struct reading *r, const struct json_item *i)
{
    const struct field *f = field_of(record_fields, ARRAY_N(record_fields), i->key);

    if (f)
        take(&r->record, f, i);
    else if (i->type == JSON_TEXT && span_is(i->key, "key"))
        r->keyed = bytes(r, i->text, r->key, sizeof(r->key), &r->record.key);
    else if (i->type == JSON_TEXT && span_is(i->key, "value"))
        r->record.large = !bytes(r, i->text, r->value, sizeof(r->value), &r->record.value);
}

static void take_scalar(struct reading *r, const struct json_item *i)
{
    const struct field *f;

    if (r->row == 0) {
        f = r->array == 0 ? field_of(answer_fields, ARRAY_N(answer_fields), i->key) : NULL;
        if (f) take(r->to, f, i);
    } else if (i->depth == (r->event ? r->inner : r->row)) {
        take_record(r, i);
    } else if (r->event && i->depth == r->row && span_is(i->key, "type")) {
        r->record.gone = span_is(i->text, "DELETE");
    }
}

static void enter(struct reading *r, const struct json_item *i)
{
    bool events = span_is(i->key, "events");

    if (r->array == 0 && i->type == JSON_ARRAY && (events || span_is(i->key, "kvs"))) {
        r->array = i->depth + 1;
        r->event = events;
    } else if (r->row == 0 && r->array > 0 && i->type == JSON_OBJECT && i->depth == r->array) {
        r->row = r->array + 1;
        r->keyed = false;
        r->record = (struct gateway_record){.key = SPAN_NONE};
    } else if (r->event && r->row > 0 && i->depth == r->row && i->type == JSON_OBJECT &&
        span_is(i->key, "kv")) {
        r->inner = r->row + 1;
    }
}

static void leave(struct reading *r, const struct json_item *i)
{
    if (r->row > 0 && i->depth == r->row) {
        r->inner = 0;
    } else if (r->row > 0 && i->depth == r->array) {
        r->row = 0;
        r->to->records += r->keyed;
        if (r->keyed && r->fn) r->fn(r->arg, &r->record);
    } else if (r->array > 0 && i->depth == r->array - 1) {
        r->array = 0;
    }
}

static bool whole(struct span json)
{
    struct json j = json_of(json);
    struct json_item i;

    if (!json_next(&j, &i) || i.type != JSON_OBJECT) return false;
    while (json_next(&j, &i)) continue;
    return !j.bad;
}

bool gateway_read(struct span json, void (*fn)(void *arg, const struct gateway_record *r), void *arg,
    struct gateway_answer *ret)
{
    struct json j = json_of(json);
    struct reading *r;
    struct json_item i;

    *ret = (struct gateway_answer){.revision = 0};
    if (!whole(json)) return false;
    r = NEW(struct reading);
    r->fn = fn;
    r->arg = arg;
    r->to = ret;
    while (json_next(&j, &i)) {
        if (i.depth == 1 && i.type != JSON_END && span_is(i.key, "error")) ret->failed = true;
        if (i.type == JSON_OBJECT || i.type == JSON_ARRAY)
            enter(r, &i);
        else if (i.type == JSON_END)
            leave(r, &i);
        else
            take_scalar(r, &i);
    }
    mem_free(r);
    return true;
}

/* --- writing --- */

static bool put_bytes(struct buf *to, const char *key, struct span s, size_t zeros)
{
    uint8_t *mem = mem_try(s.n + zeros + 1), *at;
    size_t n = BASE64_N(s.n + zeros);
    struct wr w;
    bool ok = mem && buf_fmt(to, "\"%s\":\"", key);

    if (ok && s.n > 0) memcpy(mem, s.p, s.n);
    at = ok ? buf_room(to, n) : NULL;
    if (at) {
        w = wr_of(at, n);
        base64_write(&w, span(mem, s.n + zeros));
        buf_added(to, wr_span(&w).n);
    }
    mem_free(mem);
    return at && buf_text(to, "\"");
}

bool gateway_range(struct buf *to, const struct gateway_range *r)
{
    /* the next key behind a key is that key and a NUL */
    return buf_text(to, "{") && put_bytes(to, "key", r->from, r->behind) && buf_text(to, ",") &&
        put_bytes(to, "range_end", r->end, 0) &&
        buf_fmt(to, ",\"limit\":\"%llu\",\"revision\":\"%llu\"}", (unsigned long long)r->limit,
            (unsigned long long)r->revision);
}

bool gateway_watch(struct buf *to, struct span from, struct span end, uint64_t revision)
{
    return buf_text(to, "{\"create_request\":{") && put_bytes(to, "key", from, 0) && buf_text(to, ",") &&
        put_bytes(to, "range_end", end, 0) &&
        buf_fmt(to, ",\"start_revision\":\"%llu\"}}", (unsigned long long)revision);
}

bool gateway_authenticate(struct buf *to, struct span name, struct span password)
{
    return buf_text(to, "{\"name\":") && json_put_text(to, name) && buf_text(to, ",\"password\":") &&
        json_put_text(to, password) && buf_text(to, "}");
}

bool gateway_grant(struct buf *to, uint64_t ttl_s)
{
    return buf_fmt(to, "{\"TTL\":\"%llu\"}", (unsigned long long)ttl_s);
}

bool gateway_keep(struct buf *to, uint64_t lease)
{
    return buf_fmt(to, "{\"ID\":\"%llu\"}", (unsigned long long)lease);
}

bool gateway_revoke(struct buf *to, uint64_t lease)
{
    return gateway_keep(to, lease);
}

bool gateway_put(struct buf *to, struct span key, struct span value)
{
    return buf_text(to, "{") && put_bytes(to, "key", key, 0) && buf_text(to, ",") &&
        put_bytes(to, "value", value, 0) && buf_text(to, "}");
}

bool gateway_delete(struct buf *to, struct span key)
{
    return buf_text(to, "{") && put_bytes(to, "key", key, 0) && buf_text(to, "}");
}

static bool put_created(struct buf *to, struct span key, uint64_t created)
{
    return buf_text(to, "{\"compare\":[{\"target\":\"CREATE\",\"result\":\"EQUAL\",") &&
        put_bytes(to, "key", key, 0) &&
        buf_fmt(to, ",\"create_revision\":\"%llu\"}],", (unsigned long long)created);
}

bool gateway_claim(struct buf *to, struct span key, struct span value, uint64_t lease)
{
    return put_created(to, key, 0) && buf_text(to, "\"success\":[{\"request_put\":{") &&
        put_bytes(to, "key", key, 0) && buf_text(to, ",") && put_bytes(to, "value", value, 0) &&
        buf_fmt(to, ",\"lease\":\"%llu\"}}],\"failure\":[{\"request_range\":{", (unsigned long long)lease) &&
        put_bytes(to, "key", key, 0) && buf_text(to, "}}]}");
}

bool gateway_yield(struct buf *to, struct span key, uint64_t created)
{
    return put_created(to, key, created) && buf_text(to, "\"success\":[{\"request_delete_range\":{") &&
        put_bytes(to, "key", key, 0) && buf_text(to, "}}]}");
}

static bool put_was(struct buf *to, const struct gateway_change *c)
{
    return buf_text(to, "{\"target\":\"MOD\",\"result\":\"EQUAL\",") && put_bytes(to, "key", c->key, 0) &&
        buf_fmt(to, ",\"mod_revision\":\"%llu\"}", (unsigned long long)c->was);
}

static bool put_new(struct buf *to, const struct gateway_change *c)
{
    if (c->gone)
        return buf_text(to, "{\"request_delete_range\":{") && put_bytes(to, "key", c->key, 0) &&
            buf_text(to, "}}");
    return buf_text(to, "{\"request_put\":{") && put_bytes(to, "key", c->key, 0) && buf_text(to, ",") &&
        put_bytes(to, "value", c->value, 0) && buf_text(to, "}}");
}

bool gateway_change(struct buf *to, const struct gateway_change *v, size_t n)
{
    bool ok = buf_text(to, "{\"compare\":[");

    for (size_t i = 0; i < n && ok; i++) ok = buf_text(to, i > 0 ? "," : "") && put_was(to, &v[i]);
    ok = ok && buf_text(to, "],\"success\":[");
    for (size_t i = 0; i < n && ok; i++) ok = buf_text(to, i > 0 ? "," : "") && put_new(to, &v[i]);
    return ok && buf_text(to, "]}");
}
