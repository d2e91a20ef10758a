/* common/ipc/pack: round trips, and what a hostile peer may send (reliability.md F25, C15, C17). */
#include "common/ipc/pack.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static int try_bytes(const void *p, size_t n)
{
    struct unpack *u;
    int err = unpack_new(span(p, n), &u);

    if (err == 0) unpack_done(u);
    return err;
}

static void round_trip(void **state)
{
    struct buf b;
    struct packer p;
    struct unpack *u;
    const struct packed *m, *list, *v;
    struct span key;
    char text[8];

    (void)state;
    buf_init(&b, 4096);
    p = packer_of(&b);
    pack_map(&p, 7);
    pack_kv_u64(&p, "big", UINT64_MAX);
    pack_kv_i64(&p, "neg", -5);
    pack_kv_bool(&p, "yes", true);
    pack_kv_text(&p, "text", "hello");
    pack_kv_text(&p, "none", NULL);
    pack_kv_bin(&p, "bin", SPAN_LIT("\0\1"));
    pack_key(&p, "list");
    pack_array(&p, 2);
    pack_str(&p, SPAN_LIT("a"));
    pack_u64(&p, 7);
    assert_false(p.bad);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    m = unpack_root(u);
    assert_true(packed_u64(m, "big", 0) == UINT64_MAX);
    assert_int_equal(packed_i64(m, "big", -1), -1);
    assert_int_equal(packed_i64(m, "neg", 0), -5);
    assert_int_equal(packed_u64(m, "neg", 9), 9);
    assert_true(packed_bool(m, "yes", false));
    assert_true(packed_text(m, "text", text, sizeof(text)));
    assert_string_equal(text, "hello");
    assert_false(packed_text(m, "text", text, 5));
    assert_string_equal(text, "");
    assert_true(packed_is_str(packed_get(m, "none")));
    assert_int_equal(packed_str(m, "none").n, 0);
    assert_null(packed_str(m, "missing").p);
    assert_int_equal(packed_str(m, "bin").n, 2);
    list = packed_get(m, "list");
    assert_int_equal(packed_n(list), 2);
    assert_true(span_is(packed_as_str(packed_at(list, 0)), "a"));
    assert_int_equal(packed_as_u64(packed_at(list, 1), 0), 7);
    assert_null(packed_at(list, 2));
    assert_true(packed_pair(m, 6, &key, &v));
    assert_true(span_is(key, "list"));
    assert_false(packed_pair(m, 7, &key, &v));
    assert_null(packed_get(list, "x"));
    assert_null(packed_at(m, 0));
    assert_int_equal(packed_u64(NULL, "x", 3), 3);
    unpack_done(u);
    buf_done(&b);
}

static void writer_knows_its_limit(void **state)
{
    struct buf b;
    struct packer p;

    (void)state;
    buf_init(&b, 8);
    p = packer_of(&b);
    pack_kv_text(&p, "key", "value that is too long");
    assert_true(p.bad);
    assert_true(buf_n(&b) <= 8);
    buf_done(&b);
}

static void bombs_are_refused_before_memory(void **state)
{
    struct mallinfo2 before = mallinfo2();

    (void)state;
    assert_int_equal(try_bytes("\xdd\xff\xff\xff\xff", 5), UNPACK_E_BAD); /* array of 2^32-1: 96 GB */
    assert_int_equal(try_bytes("\xdf\xff\xff\xff\xff", 5), UNPACK_E_BAD);
    assert_int_equal(try_bytes("\xdc\xff\xff\xc0", 4), UNPACK_E_BAD);
    assert_int_equal(try_bytes("\xdb\xff\xff\xff\xff", 5), UNPACK_E_BAD); /* text longer than the message */
    assert_int_equal(try_bytes("\xdf\x80\x00\x00\x00", 5), UNPACK_E_BAD); /* count * 2 overflows */
    assert_int_equal(try_bytes("\xc9\x00\x00\x00\x01\x00\x00", 7), UNPACK_E_BAD); /* ext */
    assert_int_equal(try_bytes("\xc1", 1), UNPACK_E_BAD);
    assert_int_equal(try_bytes("", 0), UNPACK_E_BAD);
    assert_int_equal(try_bytes("\x90\x90", 2), UNPACK_E_BAD); /* something behind */
    assert_int_equal(mallinfo2().uordblks, before.uordblks);
}

static void depth_ends_at_eight(void **state)
{
    uint8_t m[16];

    (void)state;
    memset(m, 0x91, sizeof(m));
    m[PACK_DEPTH_MAX] = 0xc0;
    assert_int_equal(try_bytes(m, PACK_DEPTH_MAX + 1), 0);
    m[PACK_DEPTH_MAX] = 0x91;
    m[PACK_DEPTH_MAX + 1] = 0xc0;
    assert_int_equal(try_bytes(m, PACK_DEPTH_MAX + 2), UNPACK_E_DEEP);
}

static void items_end_at_their_limit(void **state)
{
    size_t n = PACK_ITEMS_MAX + 4;
    uint8_t *m = mem_new(n);

    (void)state;
    memset(m, 0xc0, n);
    m[0] = 0xdc;
    m[1] = (uint8_t)((PACK_ITEMS_MAX - 1) >> 8);
    m[2] = (uint8_t)((PACK_ITEMS_MAX - 1) & 255);
    assert_int_equal(try_bytes(m, PACK_ITEMS_MAX + 2), 0);
    m[1] = (uint8_t)(PACK_ITEMS_MAX >> 8);
    m[2] = (uint8_t)(PACK_ITEMS_MAX & 255);
    assert_int_equal(try_bytes(m, PACK_ITEMS_MAX + 3), UNPACK_E_MANY);
    mem_free(m);
}

static void memory_stays_below_64_times(void **state)
{
    uint8_t m[1024];
    struct unpack *u;
    size_t before, used;

    (void)state;
    memset(m, 0x80, sizeof(m)); /* empty maps: the worst ratio */
    m[0] = 0xdc;
    m[1] = (sizeof(m) - 3) >> 8;
    m[2] = (sizeof(m) - 3) & 255;
    before = mallinfo2().uordblks;
    assert_int_equal(unpack_new(span(m, sizeof(m)), &u), 0);
    used = mallinfo2().uordblks - before;
    assert_true(used <= 64 * sizeof(m));
    unpack_done(u);
}

static void random_bytes_never_hurt(void **state)
{
    uint8_t m[64];

    (void)state;
    for (int i = 0; i < 20000; i++) {
        rng_bytes(m, sizeof(m));
        if (i % 2) m[0] = 0x92;
        (void)try_bytes(m, 1 + m[63] % 63);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(round_trip),
        cmocka_unit_test(writer_knows_its_limit),
        cmocka_unit_test(bombs_are_refused_before_memory),
        cmocka_unit_test(depth_ends_at_eight),
        cmocka_unit_test(items_end_at_their_limit),
        cmocka_unit_test(memory_stays_below_64_times),
        cmocka_unit_test(random_bytes_never_hurt),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
