/* Raw data blocks of a constant size, read back element by element as ISO 14496-3 4.4.2.1 has them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/bits.h"
#include "httpd/picture/aac.h"

#define ID_FIL 6u
#define ID_END 7u

/* A silent mono block in four bytes: 29 bits and ID_END. */
static const uint8_t silent[] = {0, 0, 0, 0x07};

/* Fill elements up to ID_END, from bit `at` on: the bits behind it, or -1. */
static int tail(const uint8_t *p, size_t n, size_t at)
{
    struct bits b = bits_of(span(p, n));
    uint32_t id;

    bits_skip(&b, at);
    while ((id = bits_u(&b, 3)) == ID_FIL) {
        uint32_t count = bits_u(&b, 4);

        if (count == 15) count += bits_u(&b, 8) - 1;
        if (count > 0 && bits_u(&b, 4) != 0) return -1; /* EXT_FILL */
        if (count > 0) bits_skip(&b, count * 8 - 4);
    }
    return bits_ok(&b) && id == ID_END ? (int)bits_left(&b) : -1;
}

static void test_every_size_is_filled_to_its_last_byte(void **state)
{
    uint8_t out[1600];

    (void)state;
    for (size_t size = sizeof(silent); size <= 1536; size++) {
        int left;

        memset(out, 0xee, sizeof(out));
        assert_true(aac_pad(span(silent, sizeof(silent)), out, size));
        left = tail(out, size, 29);
        assert_true(left >= 0 && left < 8);
        assert_int_equal(out[size], 0xee);
    }
}

static void test_every_place_of_the_end(void **state)
{
    uint8_t block[12], out[768];

    (void)state;
    for (size_t at = 32; at < 88; at++) { /* ones, then ID_END: no other end is found */
        memset(block, 0, sizeof(block));
        block[0] = 0x80;
        for (size_t i = at; i < at + 3; i++) block[i / 8] |= (uint8_t)(0x80u >> i % 8);
        assert_true(aac_pad(span(block, (at + 3 + 7) / 8), out, sizeof(out)));
        assert_memory_equal(out, block, at / 8);
        assert_true(tail(out, sizeof(out), at) >= 0);
    }
}

static void test_what_is_no_block(void **state)
{
    const uint8_t zeros[8] = {0}, no_end[] = {0x12, 0x05}, short_end[] = {0x60};
    uint8_t out[8];

    (void)state;
    assert_false(aac_pad(SPAN_NONE, out, sizeof(out)));
    assert_false(aac_pad(span(zeros, sizeof(zeros)), out, sizeof(out)));
    assert_false(aac_pad(span(no_end, sizeof(no_end)), out, sizeof(out)));
    assert_false(aac_pad(span(short_end, 1), out, sizeof(out)));
    assert_false(aac_pad(span(silent, sizeof(silent)), out, 3)); /* does not fit */
}

static void test_silence(void **state)
{
    uint8_t out[2 * PICTURE_AAC_BYTES];

    (void)state;
    aac_silence(1, out, PICTURE_AAC_BYTES);
    assert_int_equal(out[0] >> 5, 0); /* single channel element */
    assert_true(tail(out, PICTURE_AAC_BYTES, 3 + 4 + 8 + 11 + 3) >= 0);
    aac_silence(2, out, sizeof(out));
    assert_int_equal(out[0] >> 5, 1); /* channel pair */
    assert_true(tail(out, sizeof(out), 3 + 4 + 1 + 11 + 2 + 2 * 11) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_size_is_filled_to_its_last_byte),
        cmocka_unit_test(test_every_place_of_the_end),
        cmocka_unit_test(test_what_is_no_block),
        cmocka_unit_test(test_silence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
