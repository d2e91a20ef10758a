/* Stamps: their order, and as msgpack. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/ipc/stamp.h"

static void they_have_one_order(void **state)
{
    static const struct stamp rising[] = {
        {0, 0, 0}, {1, 1, 5}, {1, 1, UINT64_MAX}, {1, 2, 0}, {2, 1, 0}, {UINT64_MAX / 2, 65535, 1}};

    (void)state;
    for (int i = 0; i < (int)ARRAY_N(rising); i++)
        for (int k = 0; k < (int)ARRAY_N(rising); k++)
            assert_int_equal(stamp_cmp(&rising[i], &rising[k]), (i > k) - (i < k));
}

static bool trip(const struct stamp *s, struct stamp *ret)
{
    struct unpack *u = NULL;
    struct packer p;
    struct buf b;
    bool ok;

    buf_init(&b, 256);
    p = packer_of(&b);
    pack_map(&p, 1);
    stamp_kv(&p, "stamp", s);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    ok = stamp_get(unpack_root(u), "stamp", ret);
    unpack_done(u);
    buf_done(&b);
    return ok;
}

static void they_come_back(void **state)
{
    static const struct stamp good[] = {
        {1, 1, 0}, {UINT32_MAX, 65535, UINT64_MAX}, {7, 2, UINT64_C(1) << 63}};
    static const struct stamp bad[] = {{0, 1, 1}, {1, 0, 1}};
    struct stamp got;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(good); i++) {
        assert_true(trip(&good[i], &got));
        assert_int_equal(stamp_cmp(&good[i], &got), 0);
    }
    for (size_t i = 0; i < ARRAY_N(bad); i++) {
        assert_false(trip(&bad[i], &got));
        assert_int_equal(got.term, 0);
    }
    assert_false(stamp_get(NULL, "stamp", &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_have_one_order), cmocka_unit_test(they_come_back)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
