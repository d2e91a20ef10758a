/* archive/index_events: what is put is found by time, stream and kind; footage that belongs to an event; and
 * what is too old goes. */
#include "archive/index.h"
#include "common/base/mem.h"
#include "tests/support/index_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define T0 (INT64_C(1700000000) * US_PER_S)

static usec_t at(int64_t s)
{
    return T0 + s * US_PER_S;
}

/* end -1: it goes on. */
static void put(
    struct index_place *p, uint64_t id, const char *uid, const char *kind, int64_t start, int64_t end)
{
    struct event *e = NEW(struct event);

    *e = (struct event){.id = id,
        .start_us = at(start),
        .end_us = end < 0 ? 0 : at(end),
        .before_us = 10 * US_PER_S,
        .after_us = 30 * US_PER_S};
    span_copy(span_of(uid), e->uid, sizeof(e->uid));
    span_copy(span_of(kind), e->kind, sizeof(e->kind));
    span_copy(SPAN_LIT("call"), e->source, sizeof(e->source));
    memset(e->payload, 'x', id % 2 ? EVENT_PAYLOAD_MAX - 1 : 7);
    assert_int_equal(index_events_put(p->ix, e, 1), INDEX_OK);
    mem_free(e);
}

/* Ids that the query gives, in pages of one. */
static void found(
    struct index_place *p, const char *uid, const char *kind, int64_t from, int64_t to, const char *want)
{
    struct event_query q = {.from_us = at(from), .to_us = at(to)};
    struct index_event_at where = {.n = 0};
    struct event *e = NEW(struct event);
    char got[256] = "";
    size_t n, len = 0;

    span_copy(span_of(uid), q.uid, sizeof(q.uid));
    span_copy(span_of(kind), q.kind, sizeof(q.kind));
    while (!where.end) {
        assert_int_equal(index_events(p->ix, &q, &where, e, 1, &n), INDEX_OK);
        if (n > 0) len += (size_t)snprintf(got + len, sizeof(got) - len, "%d ", (int)e->id);
        if (n > 0) assert_int_equal(strlen(e->payload), e->id % 2 ? EVENT_PAYLOAD_MAX - 1 : 7);
    }
    assert_string_equal(got, want);
    mem_free(e);
}

static void events_are_found(void **state)
{
    struct index_place *p = *state;

    put(p, 1, "a", "motion", 100, 110);
    put(p, 2, "a", "door", 105, 300);
    put(p, 3, "a", "motion", 200, -1);
    put(p, 4, "ab", "motion", 100, 100);
    found(p, "", "", 0, 1000, "1 2 3 4 ");
    found(p, "a", "", 0, 1000, "1 2 3 ");
    found(p, "a", "motion", 0, 1000, "1 3 ");
    found(p, "a", "", 110, 200, "2 ");
    found(p, "a", "", 500, 1000, "3 "); /* goes on, as far as is known */
    found(p, "ab", "", 100, 101, "4 "); /* a moment */
    found(p, "ab", "", 101, 200, "");
    found(p, "b", "", 0, 1000, "");
    found(p, "", "door", 0, 1000, "2 ");
    put(p, 3, "a", "motion", 200, 220); /* its end is known */
    found(p, "a", "", 500, 1000, "");
    found(p, "a", "", 0, 1000, "1 2 3 ");
}

static void their_footage_is_protected(void **state)
{
    static const struct {
        const char *uid;
        int64_t from, to;
        bool is;
    } rows[] = {{"a", 0, 90, false}, {"a", 0, 91, true}, {"a", 95, 96, true}, {"a", 139, 200, true},
        {"a", 140, 200, false}, {"b", 95, 96, false}, {"c", 990, 991, true}, {"c", 80000, 80001, true},
        {"c", 0, 990, false}, {"c", 90000, 90001, false}};
    struct index_place *p = *state;

    put(p, 1, "a", "motion", 100, 110);
    put(p, 2, "c", "motion", 1000, -1);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        bool is;

        assert_int_equal(
            index_event_protects(p->ix, rows[i].uid, at(rows[i].from), at(rows[i].to), &is), INDEX_OK);
        if (is != rows[i].is)
            fail_msg("%s %lld to %lld", rows[i].uid, (long long)rows[i].from, (long long)rows[i].to);
    }
}

static void old_ones_go(void **state)
{
    struct index_place *p = *state;
    char uid[EVENT_UID_MAX];
    size_t n;

    put(p, 1, "a", "motion", 100, 110);
    put(p, 2, "a", "motion", 200, 5000);
    put(p, 3, "a", "motion", 300, 310);
    put(p, 4, "b", "motion", 100, 110);
    assert_int_equal(index_events_uid(p->ix, "", uid), INDEX_OK);
    assert_string_equal(uid, "a");
    assert_int_equal(index_events_uid(p->ix, "a", uid), INDEX_OK);
    assert_string_equal(uid, "b");
    assert_int_equal(index_events_uid(p->ix, "b", uid), INDEX_E_NONE);
    assert_int_equal(index_events_drop(p->ix, "a", at(140), 100, &n), INDEX_OK);
    assert_int_equal(n, 0); /* its footage ends then */
    assert_int_equal(index_events_drop(p->ix, "a", at(1000), 100, &n), INDEX_OK);
    assert_int_equal(n, 2);
    found(p, "", "", 0, 10000, "2 4 ");
    assert_int_equal(index_events_drop(p->ix, "none", at(1000), 100, &n), INDEX_OK);
    assert_int_equal(n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, index_place_make, index_place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_are_found), TEST(their_footage_is_protected), TEST(old_ones_go)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
