/* A pass over a real index: what goes, in which order, and what locks hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/reap.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "tests/support/tool.h"

#define NOW    (1700000000 * US_PER_S)
#define MINUTE (60 * US_PER_S)
#define MB     (1ull << 20)

struct place {
    char dir[64];
    struct index *ix;
    struct map policies;
    struct locks locks;
    struct keep_policy policy[4];
    size_t n_policies;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    assert_int_equal(index_open(p->dir, &p->ix), INDEX_OK);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    index_close(p->ix);
    map_done(&p->policies);
    locks_done(&p->locks);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

/* One-minute segments of a megabyte; ages in minutes, of their ends. */
static void footage(struct place *p, const char *uid, int oldest, int newest)
{
    struct seg_info *s = NEW(struct seg_info);
    const struct seg_info *list[] = {s};

    for (int age = oldest; age >= newest; age--) {
        *s = (struct seg_info){
            .start_us = NOW - (age + 1) * MINUTE, .end_us = NOW - age * MINUTE, .bytes = MB};
        s->id = (uint64_t)(s->start_us / US_PER_MS) << 8;
        span_copy(span_of(uid), s->uid, sizeof(s->uid));
        seg_path_of(s->id, s->path);
        assert_int_equal(index_put(p->ix, list, 1), INDEX_OK);
    }
    mem_free(s);
}

static void keep(struct place *p, const char *uid, int minutes, uint64_t capacity)
{
    struct keep_policy *k = &p->policy[p->n_policies++];

    *k = (struct keep_policy){.duration_us = minutes * MINUTE, .capacity_bytes = capacity};
    map_set(&p->policies, span_of(uid), k);
}

static void lock(struct place *p, const char *uid, uint64_t id, int from_age, int to_age, bool released)
{
    struct index_lock l = {.id = id,
        .start_us = NOW - from_age * MINUTE,
        .end_us = NOW - to_age * MINUTE,
        .version_us = NOW + released,
        .released_us = released ? NOW : 0};

    span_copy(span_of(uid), l.uid, sizeof(l.uid));
    assert_true(locks_put(&p->locks, &l));
}

struct passed {
    char text[8192]; /* "cam:age59 old:floor120": uid, why, age of the end */
    size_t n, pages;
    uint64_t needed;
    struct retention_sum sum;
};

/* A pass; take: what it finds leaves the index. needed: megabytes, for the floor. */
static void pass_with(
    struct place *p, unsigned needed, bool take, reap_protects *protects, struct passed *ret)
{
    struct wr w = wr_of(ret->text, sizeof(ret->text));
    struct reap_setup s = {.ix = p->ix,
        .policies = &p->policies,
        .locks = &p->locks,
        .protects = protects,
        .room = {.total = 20 * MB, .floor = 3000 * MB},
        .now_us = NOW};
    struct reap r;
    int got;

    s.room.free = needed > 0 ? retention_end(&s.room) - needed * MB : 9000 * MB;
    *ret = (struct passed){.n = 0};
    reap_begin(&r, &s);
    do {
        got = reap_step(&r);
        assert_true(got >= 0);
        if (got == REAP_MORE) continue;
        for (size_t i = 0; i < r.n; i++) {
            const struct reap_item *item = &r.items[i];

            wr_fmt(&w, "%s%s:%s%d", ret->n > 0 ? " " : "", item->ref.uid, retention_word(item->why),
                (int)((NOW - item->end_us) / MINUTE));
            if (take) assert_int_equal(index_drop(p->ix, &item->ref, 1), INDEX_OK);
            ret->n++;
        }
        ret->pages++;
        r.n = 0;
    } while (got != REAP_DONE);
    wr_cstr(&w);
    ret->needed = r.needed;
    ret->sum = r.sum;
    reap_end(&r);
}

static void passes(struct place *p, unsigned needed, const char *want)
{
    struct passed got[2];

    pass_with(p, needed, false, NULL, &got[0]); /* only counted: the same */
    pass_with(p, needed, true, NULL, &got[1]);
    assert_string_equal(got[0].text, want);
    assert_string_equal(got[1].text, want);
}

static void by_age(void **state)
{
    struct place *p = *state;

    footage(p, "cam", 12, 0);
    footage(p, "gone", 100, 99); /* not configured */
    footage(p, "long", 50, 48);
    keep(p, "cam", 10, 0);
    keep(p, "long", 0, 0);
    passes(p, 0, "cam:age12 cam:age11 cam:age10");
    passes(p, 0, "");
}

static void by_capacity(void **state)
{
    struct place *p = *state;

    footage(p, "cam", 9, 0);
    footage(p, "two", 9, 0);
    keep(p, "cam", 0, 7 * MB);
    keep(p, "two", 9, 100 * MB);
    passes(p, 0, "cam:capacity9 cam:capacity8 cam:capacity7 two:age9");
}

static void the_oldest_of_all_go_for_the_floor(void **state)
{
    struct place *p = *state;

    footage(p, "a", 5, 0);
    footage(p, "gone", 4, 3);
    footage(p, "z", 6, 4);
    keep(p, "a", 0, 0);
    keep(p, "z", 0, 0);
    passes(p, 5, "z:floor6 a:floor5 z:floor5 a:floor4 gone:floor4");
}

/* What another node is to get from here goes when nothing else is left; by age as everything does. */
static void what_another_node_lacks_goes_last(void **state)
{
    struct place *p = *state;

    footage(p, "a", 9, 0);
    footage(p, "b", 3, 0);
    footage(p, "old", 20, 20);
    keep(p, "a", 9, 0);
    p->policy[0].late_us = NOW - 8 * MINUTE; /* what ends behind it */
    keep(p, "b", 0, 0);
    keep(p, "old", 0, 0);
    p->policy[2].late_us = 1;
    passes(p, 6, "a:age9 a:floor8 b:floor3 b:floor2 b:floor1 b:floor0");
    passes(p, 2, "old:floor20 a:floor7");
}

/* What age takes counts for the floor too. */
static void age_makes_room(void **state)
{
    struct place *p = *state;

    footage(p, "a", 5, 0);
    footage(p, "b", 8, 7);
    keep(p, "a", 4, 0);
    passes(p, 3, "a:age5 a:age4 b:floor8");
}

static void locks_hold_what_they_touch(void **state)
{
    struct place *p = *state;
    struct passed got;

    footage(p, "cam", 12, 0);
    keep(p, "cam", 3, 0);
    lock(p, "cam", 1, 10, 8, false);  /* ends 9 and 8 */
    lock(p, "cam", 2, 12, 11, false); /* end 11 */
    lock(p, "cam", 2, 12, 11, true);  /* is released */
    lock(p, "other", 3, 100, 0, false);
    passes(p, 0, "cam:age12 cam:age11 cam:age10 cam:age7 cam:age6 cam:age5 cam:age4 cam:age3");
    lock(p, "cam", 4, 13, 0, false);
    pass_with(p, 100, true, NULL, &got);
    assert_string_equal(got.text, ""); /* under pressure too */
    assert_true(got.needed == 100 * MB && got.sum.footage == 5 * MB);
}

static bool even_minutes(
    void *arg, const char *uid, const struct keep_policy *p, const struct seg_info *s, usec_t now_us)
{
    (void)arg, (void)uid, (void)p;
    return (now_us - s->end_us) / MINUTE % 2 == 0;
}

static void events_hold_too(void **state)
{
    struct place *p = *state;
    struct passed got;

    footage(p, "cam", 9, 0);
    keep(p, "cam", 5, 0);
    pass_with(p, 0, true, even_minutes, &got);
    assert_string_equal(got.text, "cam:age9 cam:age7 cam:age5");
}

/* Longer than a batch, and locked for longer than a step reads. */
static void many(void **state)
{
    struct place *p = *state;
    struct passed got;

    footage(p, "cam", 400, 0);
    footage(p, "b", 300, 200);
    keep(p, "cam", 1, 0);
    lock(p, "b", 1, 1000, 0, false);
    pass_with(p, 2000, true, NULL, &got);
    assert_int_equal(got.n, 401);
    assert_true(got.pages >= 4);
    footage(p, "c", 299, 0);
    pass_with(p, 2000, true, even_minutes, &got);
    assert_int_equal(got.n, 150);
    pass_with(p, 2000, true, NULL, &got);
    assert_int_equal(got.n, 150);
    assert_true(got.sum.footage == 251 * MB); /* as it was found */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(by_age),
        TEST(by_capacity),
        TEST(the_oldest_of_all_go_for_the_floor),
        TEST(what_another_node_lacks_goes_last),
        TEST(age_makes_room),
        TEST(locks_hold_what_they_touch),
        TEST(events_hold_too),
        TEST(many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
