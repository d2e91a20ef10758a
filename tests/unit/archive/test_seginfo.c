/* What the index knows of a segment: its bytes, and the paths that belong to ids. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/seginfo.h"
#include "archive/segment.h"

static void info_is_checked(void **state)
{
    static struct seg_info i, got;
    uint8_t mem[SEG_INFO_WIRE_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    (void)state;
    i = (struct seg_info){.id = 1700000000000ull << 8,
        .uid = "cam",
        .start_us = 5,
        .end_us = 9,
        .bytes = 100,
        .table_at = 50,
        .samples = SEG_KEYS_MAX,
        .n_keys = SEG_KEYS_MAX,
        .base_dts = {1, 2, 3, 4}};
    for (uint16_t k = 0; k < SEG_KEYS_MAX; k++) i.keys[k] = (struct seg_key){k * 4000u, k};
    seg_info_write(&w, &i);
    assert_true(wr_ok(&w));
    assert_true(seg_info_read(wr_span(&w), &got));
    assert_memory_equal(got.keys, i.keys, sizeof(i.keys));
    for (size_t n = 0; n < w.n; n++) assert_false(seg_info_read(span(mem, n), &got));
    for (size_t n = 0; n < w.n; n++) {
        mem[n] ^= 0x80;
        assert_false(seg_info_read(wr_span(&w), &got));
        mem[n] ^= 0x80;
    }
    i.samples--; /* the last key is now behind the last sample */
    w = wr_of(mem, sizeof(mem));
    seg_info_write(&w, &i);
    assert_false(seg_info_read(wr_span(&w), &got));
}

static void paths_belong_to_ids(void **state)
{
    uint64_t id = 0;

    (void)state;
    assert_true(seg_path_parse("2023/11/14/221319-18bcfe567f900.mp4", &id));
    assert_int_equal(id, 0x18bcfe567f900);
    assert_false(seg_path_parse("2023/11/14/221320-18bcfe567f900.mp4", &id)); /* another time than its id's */
    assert_false(seg_path_parse("2023/11/14/221319-18bcfe567f900", &id));
    assert_false(seg_path_parse("2023/11/14/221319-18bcfe567f900.mp4/..", &id));
    assert_false(seg_path_parse("2023/11/14/221319-18BCFE567C900.mp4", &id));
    assert_false(seg_path_parse("", &id));
    assert_true(seg_uid_ok("cam-1"));
    assert_false(seg_uid_ok(""));
    assert_false(seg_uid_ok(".index"));
    assert_false(seg_uid_ok("a/b"));
    assert_false(seg_uid_ok("a\nb"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(info_is_checked),
        cmocka_unit_test(paths_belong_to_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
