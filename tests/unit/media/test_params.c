#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/media/params.h"

static int put(struct params *s, uint8_t kind, uint16_t id, uint64_t core, const char *text)
{
    struct param what = {.kind = kind, .id = id, .core = core};

    return params_put(s, &what, span_of(text));
}

/* V8: other bytes with the same core are no change; other cores are. */
static void test_v8_content(void **state)
{
    struct params s = {0};
    struct param *p;

    (void)state;
    assert_int_equal(put(&s, 7, 0, 1, "one"), PARAMS_NEW);
    p = params_find(&s, 7, 0);
    params_use(&s, p);
    p->in_config = true;
    assert_int_equal(put(&s, 7, 0, 1, "one"), PARAMS_OK);
    assert_int_equal(put(&s, 7, 0, 1, "one, other timing"), PARAMS_OK);
    assert_true(params_find(&s, 7, 0)->in_config);
    assert_int_equal(put(&s, 7, 0, 2, "two"), PARAMS_CHANGED);
    assert_false(params_find(&s, 7, 0)->in_config);
    assert_true(params_find(&s, 7, 0)->used);
    params_done(&s);
    params_done(&s);
}

static void test_picks(void **state)
{
    struct params s = {0};
    struct param pps = {.kind = 8, .id = 3, .parent = 1, .parent_kind = 7};

    (void)state;
    put(&s, 7, 5, 1, "stray");
    put(&s, 7, 1, 1, "sps");
    assert_int_equal(params_put(&s, &pps, SPAN_LIT("pps")), PARAMS_NEW);
    assert_int_equal(params_count(&s, 7, PARAMS_WANTED), 2);
    assert_int_equal(params_next(&s, 7, PARAMS_WANTED, -1)->id, 1);
    assert_int_equal(params_next(&s, 7, PARAMS_WANTED, 1)->id, 5);
    assert_null(params_next(&s, 7, PARAMS_WANTED, 5));
    params_use(&s, params_find(&s, 7, 1));
    assert_int_equal(params_count(&s, 7, PARAMS_WANTED), 1);
    assert_int_equal(params_count(&s, 8, PARAMS_WANTED), 1);
    assert_int_equal(params_count(&s, 8, PARAMS_USED), 0);
    params_done(&s);
}

static void test_limits(void **state)
{
    struct params s = {0};
    char text[PARAMS_SET_MAX + 2];

    (void)state;
    memset(text, 'x', sizeof text);
    text[PARAMS_SET_MAX + 1] = 0;
    assert_int_equal(put(&s, 7, 0, 1, text), PARAMS_FULL);
    text[PARAMS_SET_MAX] = 0;
    assert_int_equal(put(&s, 7, 0, 1, text), PARAMS_NEW);
    assert_int_equal(put(&s, 7, 0, 1, ""), PARAMS_FULL);
    for (uint16_t i = 1; i < PARAMS_MAX; i++) assert_int_equal(put(&s, 8, i, 1, "p"), PARAMS_NEW);
    /* One more takes the place of one that nobody used. */
    for (unsigned i = 1; i < PARAMS_MAX; i++) params_use(&s, &s.v[i]);
    assert_int_equal(put(&s, 8, 200, 1, "p"), PARAMS_NEW);
    assert_null(params_find(&s, 7, 0));
    params_use(&s, params_find(&s, 8, 200));
    assert_int_equal(put(&s, 8, 201, 1, "p"), PARAMS_FULL);
    params_done(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v8_content),
        cmocka_unit_test(test_picks),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
