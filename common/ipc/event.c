#include "common/ipc/event.h"

#define TIME_MAX (INT64_MAX / 2)

bool event_kind_ok(struct span kind)
{
    if (kind.n == 0 || kind.n >= EVENT_KIND_MAX) return false;
    for (size_t i = 0; i < kind.n; i++) {
        uint8_t c = kind.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!word && (c == 0 || !strchr("-_./:", c))) return false;
    }
    return true;
}

void event_pack(struct packer *p, const struct event *e)
{
    pack_kv_u64(p, "id", e->id);
    pack_kv_text(p, "uid", e->uid);
    pack_kv_text(p, "kind", e->kind);
    pack_kv_text(p, "source", e->source);
    pack_kv_i64(p, "start_us", e->start_us);
    pack_kv_i64(p, "end_us", e->end_us);
    pack_kv_i64(p, "before_us", e->before_us);
    pack_kv_i64(p, "after_us", e->after_us);
    pack_kv_text(p, "payload", e->payload);
}

void event_send(struct channel *to, const struct event *e)
{
    event_pack(channel_begin(to, MSG_EVENT, EVENT_KEYS), e);
    channel_end(to, NULL, 0);
}

bool event_read(const struct packed *body, struct event *ret)
{
    *ret = (struct event){.id = packed_u64(body, "id", 0),
        .start_us = packed_i64(body, "start_us", 0),
        .end_us = packed_i64(body, "end_us", 0),
        .before_us = packed_i64(body, "before_us", 0),
        .after_us = packed_i64(body, "after_us", 0)};
    return packed_text(body, "uid", ret->uid, sizeof(ret->uid)) && ret->uid[0] &&
        packed_text(body, "kind", ret->kind, sizeof(ret->kind)) && event_kind_ok(span_of(ret->kind)) &&
        packed_text(body, "source", ret->source, sizeof(ret->source)) &&
        packed_text(body, "payload", ret->payload, sizeof(ret->payload)) && ret->id != 0 &&
        ret->start_us > EVENT_ROLL_MAX_US && ret->start_us < TIME_MAX &&
        (ret->end_us == 0 ||
            (ret->end_us >= ret->start_us && ret->end_us - ret->start_us <= EVENT_LENGTH_MAX_US)) &&
        ret->before_us >= 0 && ret->before_us <= EVENT_ROLL_MAX_US && ret->after_us >= 0 &&
        ret->after_us <= EVENT_ROLL_MAX_US;
}

usec_t event_footage_end_us(const struct event *e)
{
    return e->end_us == 0 ? MIN(e->start_us + EVENT_LENGTH_MAX_US, INT64_MAX / 2) + e->after_us
                          : e->end_us + e->after_us;
}

bool event_query_take(struct event_query *q, struct span arg, bool (*time)(struct span text, usec_t *ret))
{
    struct span name;

    if (span_find(arg, '=') < 0) return span_copy(arg, q->uid, sizeof(q->uid));
    (void)span_split(&arg, '=', &name);
    if (span_is(name, "from")) return time(arg, &q->from_us);
    if (span_is(name, "to")) return time(arg, &q->to_us);
    if (span_is(name, "limit")) return span_u64(arg, EVENT_LIMIT_MAX, &q->limit) && q->limit > 0;
    if (span_is(name, "seen")) return span_copy(arg, q->seen, sizeof(q->seen));
    return span_is(name, "kind") && event_kind_ok(arg) && span_copy(arg, q->kind, sizeof(q->kind));
}

bool event_matches(const struct event *e, const struct event_query *q)
{
    usec_t end_us = e->end_us ? e->end_us : e->start_us + EVENT_LENGTH_MAX_US;

    return e->start_us < q->to_us && MAX(end_us, e->start_us + 1) > q->from_us &&
        (!q->kind[0] || strcmp(q->kind, e->kind) == 0);
}

void event_row(struct packer *p, const struct event *e)
{
    pack_kv_u64(p, "id", e->id);
    pack_kv_text(p, "uid", e->uid);
    pack_kv_text(p, "kind", e->kind);
    pack_kv_text(p, "source", e->source);
    pack_kv_i64(p, "start_s", e->start_us / US_PER_S);
    pack_kv_i64(p, "start_us", e->start_us);
    if (e->end_us) pack_kv_i64(p, "end_s", e->end_us / US_PER_S);
    if (e->end_us) pack_kv_i64(p, "end_us", e->end_us);
    pack_kv_i64(p, "before_us", e->before_us);
    pack_kv_i64(p, "after_us", e->after_us);
    pack_kv_text(p, "payload", e->payload);
}
