/* Stamps of singular acts: nothing older comes behind what was promised or done. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/index_acts.h"
#include "common/base/mem.h"
#include "tests/support/index_place.h"

#define T0 (1700000000 * US_PER_S)

static const struct stamp s5 = {5, 1, 77}, s6 = {6, 2, UINT64_MAX}, s6b = {6, 2, 3}, s7 = {7, 2, 3};

static void put(struct index *ix, uint64_t id)
{
    struct seg_info *s = NEW(struct seg_info);
    const struct seg_info *list[] = {s};

    s->id = id;
    s->start_us = T0;
    s->end_us = T0 + US_PER_S;
    s->bytes = 100;
    s->samples = 1;
    span_copy(SPAN_LIT("cam"), s->uid, sizeof(s->uid));
    seg_path_of(s->id, s->path);
    assert_int_equal(index_put(ix, list, 1), INDEX_OK);
    mem_free(s);
}

static uint64_t segments(struct index *ix)
{
    struct index_total t;

    return index_total(ix, "cam", &t) == INDEX_OK ? t.segments : 0;
}

static int promise(struct index *ix, const struct stamp *s, struct stamp *held)
{
    return index_act(ix, &(struct index_act){.uid = "cam", .stamp = *s}, held);
}

static void older_ones_do_nothing(void **state)
{
    struct index_place *p = *state;
    const uint64_t id = (uint64_t)(T0 / US_PER_MS) << 8;
    const struct index_ref ref = {.uid = "cam", .id = id};
    struct index_act act = {.uid = "cam", .stamp = s5, .over = true, .refs = &ref, .n = 1};
    struct stamp held;

    put(p->ix, id);
    assert_int_equal(promise(p->ix, &s5, &held), INDEX_OK);
    assert_int_equal(promise(p->ix, &s5, &held), INDEX_OK); /* said again */
    assert_int_equal(promise(p->ix, &s6, &held), INDEX_OK);
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_E_OLD);
    assert_int_equal(stamp_cmp(&held, &s6), 0);
    assert_int_equal(segments(p->ix), 1);
    assert_int_equal(promise(p->ix, &s6b, &held), INDEX_E_OLD); /* of another start of that node */
    act.stamp = s6;
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_OK);
    assert_int_equal(segments(p->ix), 0);
    act.uid = "other";
    act.stamp = s5; /* another stream's are its own */
    act.n = 0;
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_OK);
}

static void an_act_is_done_once(void **state)
{
    struct index_place *p = *state;
    struct index_act act = {.uid = "cam", .stamp = s6, .id = 8};
    struct stamp held;

    assert_int_equal(index_act(p->ix, &act, &held), INDEX_OK); /* a part of it */
    act.over = true;
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_OK);
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_E_OVER);
    assert_int_equal(promise(p->ix, &s6, &held), INDEX_E_OVER);
    assert_int_equal(stamp_cmp(&held, &s6), 0);
    assert_int_equal(promise(p->ix, &s7, &held), INDEX_OK);
    assert_int_equal(
        index_act(p->ix, &act, &held), INDEX_E_OVER); /* older, and done: it is not stamped anew */
    act.stamp = s7;                                   /* nor done by another stamp */
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_E_OVER);
    act.id = 9;
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_OK);
}

static void a_lock_comes_with_its_stamp(void **state)
{
    struct index_place *p = *state;
    struct index_lock lock = {.uid = "cam", .id = 9, .start_us = T0, .end_us = T0 + 1, .version_us = 1}, got;
    struct index_act act = {.uid = "cam", .stamp = s5, .over = true, .lock = &lock};
    struct stamp held;
    size_t n;

    assert_int_equal(promise(p->ix, &s6, &held), INDEX_OK);
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_E_OLD);
    assert_int_equal(index_locks(p->ix, NULL, &got, 1, &n), INDEX_OK);
    assert_int_equal(n, 0);
    act.stamp = s6;
    assert_int_equal(index_act(p->ix, &act, &held), INDEX_OK);
    assert_int_equal(index_locks(p->ix, NULL, &got, 1, &n), INDEX_OK);
    assert_int_equal(n, 1);
    assert_int_equal(got.id, 9);
}

static void stamps_outlive_the_keeper(void **state)
{
    struct index_place *p = *state;
    struct stamp held;

    assert_int_equal(promise(p->ix, &s6, &held), INDEX_OK);
    index_close(p->ix);
    p->ix = NULL;
    assert_int_equal(index_open(p->dir, &p->ix), INDEX_OK);
    assert_int_equal(promise(p->ix, &s5, &held), INDEX_E_OLD);
    assert_int_equal(held.boot, s6.boot);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, index_place_make, index_place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(older_ones_do_nothing),
        TEST(an_act_is_done_once),
        TEST(a_lock_comes_with_its_stamp),
        TEST(stamps_outlive_the_keeper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
