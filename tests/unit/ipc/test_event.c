/* common/ipc/event: what passes between processes, what cannot be an event, and which ones are asked for. */
#include "common/ipc/event.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define T0 (1700000000 * US_PER_S)

static struct event *event_at(usec_t start_us, usec_t end_us)
{
    struct event *e = NEW(struct event);

    *e = (struct event){.id = 7,
        .uid = "cam-1",
        .kind = "door",
        .source = "call",
        .start_us = start_us,
        .end_us = end_us,
        .before_us = 10 * US_PER_S,
        .after_us = 30 * US_PER_S,
        .payload = "badge \"17\"\n"};
    return e;
}

static bool passes(const struct event *e, struct event *ret)
{
    struct unpack *u;
    struct packer p;
    struct buf b;
    bool ok;

    buf_init(&b, 1 << 16);
    p = packer_of(&b);
    pack_map(&p, EVENT_KEYS);
    event_pack(&p, e);
    assert_false(p.bad);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    ok = event_read(unpack_root(u), ret);
    unpack_done(u);
    buf_done(&b);
    return ok;
}

static void assert_same(const struct event *a, const struct event *b)
{
    assert_string_equal(a->uid, b->uid);
    assert_string_equal(a->kind, b->kind);
    assert_string_equal(a->source, b->source);
    assert_string_equal(a->payload, b->payload);
    assert_true(a->id == b->id && a->start_us == b->start_us && a->end_us == b->end_us);
    assert_true(a->before_us == b->before_us && a->after_us == b->after_us);
}

static void what_is_sent_is_read(void **state)
{
    struct event *e = event_at(T0, 0), *got = NEW(struct event);

    (void)state;
    assert_true(passes(e, got));
    assert_same(got, e);
    e->end_us = T0;
    memset(e->payload, 'x', sizeof(e->payload) - 1);
    memset(e->kind, 'k', sizeof(e->kind) - 1);
    assert_true(passes(e, got));
    assert_same(got, e);
    mem_free(e);
    mem_free(got);
}

/* Each limit's edge passes, and one more does not. */
static void what_cannot_be(void **state)
{
    struct event *e = event_at(T0, 0), *got = NEW(struct event);
    const struct {
        usec_t *field, last, first_bad;
    } rows[] = {{&e->start_us, EVENT_ROLL_MAX_US + 1, EVENT_ROLL_MAX_US},
        {&e->start_us, INT64_MAX / 2 - 1, INT64_MAX / 2}, {&e->end_us, T0, T0 - 1},
        {&e->end_us, T0 + EVENT_LENGTH_MAX_US, T0 + EVENT_LENGTH_MAX_US + 1}, {&e->before_us, 0, -1},
        {&e->before_us, EVENT_ROLL_MAX_US, EVENT_ROLL_MAX_US + 1}, {&e->after_us, 0, -1},
        {&e->after_us, EVENT_ROLL_MAX_US, EVENT_ROLL_MAX_US + 1}};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        usec_t was = *rows[i].field;

        *rows[i].field = rows[i].last;
        if (!passes(e, got)) fail_msg("row %zu: its last value is refused", i);
        *rows[i].field = rows[i].first_bad;
        if (passes(e, got)) fail_msg("row %zu: one more is taken", i);
        *rows[i].field = was;
    }
    e->id = 0;
    assert_false(passes(e, got));
    e->id = 1;
    e->uid[0] = 0;
    assert_false(passes(e, got));
    mem_free(e);
    mem_free(got);
}

static void kinds(void **state)
{
    static const char *const good[] = {"a", "RuleEngine/LineDetector/Crossed", "x-1_2.3:4"},
                             *const bad[] = {"", "two words", "tab\t", "\xc3\xa4", "a=b", "a\"b"};
    char text[EVENT_KIND_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(good); i++) assert_true(event_kind_ok(span_of(good[i])));
    for (size_t i = 0; i < ARRAY_N(bad); i++) assert_false(event_kind_ok(span_of(bad[i])));
    assert_false(event_kind_ok(span("a\0b", 3)));
    memset(text, 'k', sizeof(text));
    assert_true(event_kind_ok(span(text, EVENT_KIND_MAX - 1)));
    assert_false(event_kind_ok(span(text, EVENT_KIND_MAX)));
}

static bool seconds(struct span text, usec_t *ret)
{
    int64_t s;

    if (!span_i64(text, &s)) return false;
    *ret = s * US_PER_S;
    return true;
}

static struct event_query query(const char *a, const char *b, const char *c)
{
    struct event_query q = EVENT_QUERY_ALL;
    const char *const args[] = {a, b, c};

    for (size_t i = 0; i < ARRAY_N(args); i++)
        if (args[i] && !event_query_take(&q, span_of(args[i]), seconds)) fail_msg("%s", args[i]);
    return q;
}

static void which_are_asked_for(void **state)
{
    static const char *const bad[] = {"from=x", "to=", "kind=", "kind=two words", "start=1", "=", "limit=0",
        "limit=5001", "limit=ten", "a-uid-that-is-longer-than-any-uid-may-be"};
    struct event *e = event_at(T0, T0 + 10 * US_PER_S);
    struct event_query q;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        if (event_query_take(&q, span_of(bad[i]), seconds)) fail_msg("%s", bad[i]);
    q = query("cam-1", "kind=door", NULL);
    assert_string_equal(q.uid, "cam-1");
    assert_true(event_matches(e, &q));
    q = query("limit=5000", "seen=cam-1,yard-*", NULL);
    assert_int_equal(q.limit, 5000);
    assert_string_equal(q.seen, "cam-1,yard-*");
    q = query("kind=doors", NULL, NULL);
    assert_false(event_matches(e, &q));
    q = query("from=1700000009", "to=1700000100", NULL);
    assert_true(event_matches(e, &q));
    q = query("from=1700000010", NULL, NULL); /* the end is not in it any more */
    assert_false(event_matches(e, &q));
    q = query("to=1700000000", NULL, NULL);
    assert_false(event_matches(e, &q));
    q = query("from=1699999000", "to=1700000001", NULL);
    assert_true(event_matches(e, &q));
    e->end_us = e->start_us; /* but a moment */
    q = query("from=1700000000", NULL, NULL);
    assert_true(event_matches(e, &q));
    e->end_us = 0; /* goes on */
    q = query("from=1700080000", NULL, NULL);
    assert_true(event_matches(e, &q));
    mem_free(e);
}

static void rows_have_an_end_when_there_is_one(void **state)
{
    struct event *e = event_at(T0 + 5, 0);

    (void)state;
    for (int i = 0; i < 2; i++, e->end_us = T0 + US_PER_S) {
        struct unpack *u;
        struct packer p;
        struct buf b;

        buf_init(&b, 1 << 16);
        p = packer_of(&b);
        pack_map(&p, EVENT_ROW_KEYS(e));
        event_row(&p, e);
        assert_int_equal(unpack_new(buf_span(&b), &u), 0);
        assert_int_equal(packed_n(unpack_root(u)), EVENT_ROW_KEYS(e));
        assert_int_equal(packed_i64(unpack_root(u), "start_us", 0), T0 + 5);
        assert_int_equal(packed_i64(unpack_root(u), "end_s", -1), i == 0 ? -1 : 1700000001);
        assert_true(span_is(packed_str(unpack_root(u), "payload"), e->payload));
        unpack_done(u);
        buf_done(&b);
    }
    mem_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_sent_is_read),
        cmocka_unit_test(what_cannot_be),
        cmocka_unit_test(kinds),
        cmocka_unit_test(which_are_asked_for),
        cmocka_unit_test(rows_have_an_end_when_there_is_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
