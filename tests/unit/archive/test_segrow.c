/* A segment's record in the index: back as it was written, small, and refused when a bit of it or its key is
 * another. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/segrow.h"
#include "common/base/rng.h"

#define ID (1700000000123ull << 8 | 7)

static struct seg_info info, got;
static uint8_t mem[SEGROW_MAX];

/* Two minutes as a camera makes them: 25 frames a second, a key frame every 4 s, audio between. */
static void two_minutes(void)
{
    info = (struct seg_info){.id = ID,
        .uid = "cam-0001",
        .start_us = 1700000000123456,
        .end_us = 1700000120123456,
        .bytes = 30123456,
        .table_at = 30081234,
        .samples = 8640,
        .flags = SEG_CONTINUES,
        .tracks_hash = 0x123456789abcdef0,
        .base_dts = {123456789012, 65432109876},
        .clock = SEG_CLOCK_CAMERA,
        .clock_offset_us = -1234567,
        .crc = 0xdeadbeef,
        .n_keys = 30};
    for (uint16_t i = 0; i < 30; i++) info.keys[i] = (struct seg_key){i * 4000u + i % 3, i * 288u + (i & 1)};
    seg_path_of(info.id, info.path);
}

static size_t round_trip(void)
{
    struct wr w = wr_of(mem, sizeof(mem));

    segrow_write(&w, &info);
    assert_true(wr_ok(&w));
    memset(&got, 0xee, sizeof(got));
    assert_true(segrow_read(wr_span(&w), info.uid, info.id, &got));
    assert_int_equal(got.n_keys, info.n_keys);
    assert_memory_equal(got.keys, info.keys, info.n_keys * sizeof(info.keys[0]));
    assert_memory_equal(&got, &info, offsetof(struct seg_info, keys));
    return w.n;
}

static void an_ordinary_one_is_small(void **state)
{
    (void)state;
    two_minutes();
    assert_in_range(round_trip(), 60, 130);
}

static void extremes_come_back(void **state)
{
    (void)state;
    two_minutes();
    info.n_keys = 0;
    info.samples = 0;
    memset(info.keys, 0, sizeof(info.keys));
    info.start_us = 0; /* long before its id */
    info.end_us = SEG_TIME_MAX_US - 1;
    info.bytes = info.table_at = INT64_MAX;
    info.base_dts[2] = INT64_MIN;
    info.base_dts[3] = INT64_MAX;
    info.clock_offset_us = INT64_MIN;
    info.flags = info.damaged = info.repaired = UINT32_MAX;
    round_trip();
    info.table_at = 0;
    info.samples = UINT32_MAX;
    info.n_keys = SEG_KEYS_MAX;
    for (uint32_t i = 0; i < SEG_KEYS_MAX; i++) /* times go to and fro; samples only forward */
        info.keys[i] = (struct seg_key){i & 1 ? UINT32_MAX : 0, i < 2 ? i : UINT32_MAX - SEG_KEYS_MAX + i};
    round_trip();
}

static void any_of_them_comes_back(void **state)
{
    (void)state;
    for (int n = 0; n < 2000; n++) {
        uint64_t r[8];

        rng_bytes(r, sizeof(r));
        two_minutes();
        info.id = r[0] % (SEG_TIME_MAX_US / US_PER_MS) << 8 | (r[0] & 0xff);
        seg_path_of(info.id, info.path);
        info.start_us = (usec_t)(r[1] % (SEG_TIME_MAX_US / 2));
        info.end_us = info.start_us + (usec_t)(r[2] % (SEG_TIME_MAX_US / 2));
        info.bytes = r[3] >> (1 + r[2] % 40);
        info.table_at = r[4] % (info.bytes + 1);
        info.crc = (uint32_t)r[5];
        for (size_t i = 0; i < TRACK_MAX; i++) info.base_dts[i] = (int64_t)r[4 + i] >> (r[i] & 63);
        info.n_keys = (uint16_t)(r[6] % (SEG_KEYS_MAX + 1));
        info.samples = SEG_KEYS_MAX * 100;
        for (uint32_t i = 0; i < info.n_keys; i++)
            info.keys[i] = (struct seg_key){
                (uint32_t)(r[i & 7] >> (i & 31)), i * 100 + (uint32_t)((r[7] >> (i & 63)) % 100)};
        round_trip();
    }
}

static void no_bit_may_differ(void **state)
{
    struct wr w = wr_of(mem, sizeof(mem));

    (void)state;
    two_minutes();
    segrow_write(&w, &info);
    for (size_t n = 0; n < w.n; n++) assert_false(segrow_read(span(mem, n), info.uid, info.id, &got));
    for (size_t bit = 0; bit < w.n * 8; bit++) {
        mem[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(segrow_read(wr_span(&w), info.uid, info.id, &got));
        mem[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_false(segrow_read(wr_span(&w), "cam-0002", info.id, &got));
    assert_false(segrow_read(wr_span(&w), info.uid, info.id + 1, &got));
    assert_true(segrow_read(wr_span(&w), info.uid, info.id, &got));
}

static void senseless_numbers_are_refused(void **state)
{
    struct wr w = wr_of(mem, sizeof(mem));

    (void)state;
    two_minutes();
    info.keys[3].sample = info.keys[2].sample; /* written as it stands, with a CRC that holds */
    segrow_write(&w, &info);
    assert_false(segrow_read(wr_span(&w), info.uid, info.id, &got));
    two_minutes();
    info.samples = info.keys[29].sample;
    w = wr_of(mem, sizeof(mem));
    segrow_write(&w, &info);
    assert_false(segrow_read(wr_span(&w), info.uid, info.id, &got));
    two_minutes();
    info.end_us = info.start_us - 1;
    w = wr_of(mem, sizeof(mem));
    segrow_write(&w, &info);
    assert_false(segrow_read(wr_span(&w), info.uid, info.id, &got));
}

static void an_older_server_wrote_another_form(void **state)
{
    struct wr w = wr_of(mem, sizeof(mem));

    (void)state;
    two_minutes();
    seg_info_write(&w, &info);
    assert_true(segrow_read(wr_span(&w), info.uid, info.id, &got));
    assert_memory_equal(&got, &info, sizeof(info));
    assert_false(segrow_read(wr_span(&w), "cam-0002", info.id, &got));
    assert_false(segrow_read(wr_span(&w), info.uid, info.id + 1, &got));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordinary_one_is_small),
        cmocka_unit_test(extremes_come_back),
        cmocka_unit_test(any_of_them_comes_back),
        cmocka_unit_test(no_bit_may_differ),
        cmocka_unit_test(senseless_numbers_are_refused),
        cmocka_unit_test(an_older_server_wrote_another_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
