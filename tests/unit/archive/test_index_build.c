/* An index that is made at once is the one that puts would have made. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/index_build.h"
#include "common/base/mem.h"
#include "tests/support/tool.h"

#include <errno.h>

#define T0      (1700000000 * US_PER_S)
#define STREAMS 7
#define EACH    400

static struct seg_info info, a, b;

static void make(unsigned stream, unsigned n)
{
    /* a gap now and then, and a clock that was set back once */
    usec_t at = T0 + (usec_t)n * 120 * US_PER_S + (n % 50 == 49 ? 30 * US_PER_S : 0);

    info = (struct seg_info){.id = (uint64_t)(at / US_PER_MS) << 8,
        .start_us = n == 100 ? at - 500 * US_PER_S : at,
        .bytes = 1000 + n,
        .table_at = 900,
        .samples = 3000,
        .n_keys = 2,
        .keys = {{0, 0}, {4000, 100}}};
    info.end_us = info.start_us + 120 * US_PER_S - (n % 50 == 49 ? 40 * US_PER_S : 0);
    snprintf(info.uid, sizeof(info.uid), "cam-%03u", stream);
    seg_path_of(info.id, info.path);
}

struct place {
    char built_dir[64], put_dir[64];
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->built_dir, sizeof(p->built_dir));
    tool_tmpdir(p->put_dir, sizeof(p->put_dir));
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    tool_rmdir(p->built_dir);
    tool_rmdir(p->put_dir);
    mem_free(p);
    return 0;
}

static void equal(struct index *x, struct index *y)
{
    struct index_range rx[64], ry[64];
    struct index_total tx[STREAMS + 1], ty[STREAMS + 1];
    size_t nx, ny;

    assert_int_equal(index_totals(x, "", tx, ARRAY_N(tx), &nx), INDEX_OK);
    assert_int_equal(index_totals(y, "", ty, ARRAY_N(ty), &ny), INDEX_OK);
    assert_int_equal(nx, STREAMS);
    assert_int_equal(nx, ny);
    for (size_t i = 0; i < nx; i++) {
        struct index_query q = {.uid = tx[i].uid, .from_us = 0, .to_us = INT64_MAX};
        size_t n;

        assert_string_equal(tx[i].uid, ty[i].uid);
        assert_int_equal(tx[i].bytes, ty[i].bytes);
        assert_int_equal(tx[i].segments, ty[i].segments);
        assert_int_equal(index_ranges(x, &q, rx, ARRAY_N(rx), &n), INDEX_OK);
        assert_int_equal(index_ranges(y, &q, ry, ARRAY_N(ry), &ny), INDEX_OK);
        assert_int_equal(n, ny);
        assert_true(n > 5);
        assert_memory_equal(rx, ry, n * sizeof(rx[0]));
        for (q.after_id = 0; index_segments(x, &q, &a, 1, &n) == INDEX_OK && n == 1; q.after_id = a.id) {
            assert_int_equal(index_get(y, a.uid, a.id, &b), INDEX_OK);
            assert_memory_equal(&a, &b, offsetof(struct seg_info, keys));
            assert_memory_equal(a.keys, b.keys, a.n_keys * sizeof(a.keys[0]));
            tx[i].segments--;
        }
        assert_int_equal(tx[i].segments, 0);
    }
}

static void it_equals_what_puts_make(void **state)
{
    const struct place *p = *state;
    const struct seg_info *one[] = {&info};
    struct index *built, *was_put;
    struct index_build *build;

    assert_int_equal(index_build_new(p->built_dir, &build), 0);
    for (unsigned s = 0; s < STREAMS; s++)
        for (unsigned n = 0; n < EACH; n++) {
            make(s, n);
            assert_int_equal(index_build_add(build, &info), INDEX_OK);
        }
    assert_int_equal(index_build_end(build), INDEX_OK);
    assert_int_equal(index_open(p->put_dir, &was_put), INDEX_OK);
    for (unsigned n = 0; n < EACH; n++)
        for (unsigned s = 0; s < STREAMS; s++) {
            make(s, n);
            assert_int_equal(index_put(was_put, one, 1), INDEX_OK);
        }
    assert_int_equal(index_open_ro(p->built_dir, &built), INDEX_OK);
    equal(built, was_put);
    index_close(built);
    index_close(was_put);
}

static void order_is_asked_for(void **state)
{
    const struct place *p = *state;
    struct index_build *build;

    assert_int_equal(index_build_new(p->built_dir, &build), 0);
    make(1, 5);
    assert_int_equal(index_build_add(build, &info), INDEX_OK);
    assert_int_equal(index_build_add(build, &info), -EINVAL);
    index_build_drop(build);
    assert_int_equal(index_build_new(p->built_dir, &build), -EEXIST);
    index_build_drop(NULL);
}

static void none_is_an_index_too(void **state)
{
    const struct place *p = *state;
    struct index_build *build;
    uint64_t n, flaws;

    assert_int_equal(index_build_new(p->put_dir, &build), 0);
    assert_int_equal(index_build_end(build), INDEX_OK);
    assert_int_equal(index_check(p->put_dir, &n, &flaws), INDEX_OK);
    assert_int_equal(n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_equals_what_puts_make, make_place, drop_place),
        cmocka_unit_test_setup_teardown(order_is_asked_for, make_place, drop_place),
        cmocka_unit_test_setup_teardown(none_is_an_index_too, make_place, drop_place),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
