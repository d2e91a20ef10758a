/* common/base: spans, reader, writer, bits, buffer, map, clock, CRC. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/bits.h"
#include "common/base/buf.h"
#include "common/base/clock.h"
#include "common/base/crc.h"
#include "common/base/log.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "common/base/rng.h"
#include "common/base/secret.h"
#include "common/base/wr.h"

static void span_cuts_and_compares(void **state)
{
    struct span s = SPAN_LIT(" a=1;b;;c "), rest = SPAN_LIT("a;b;;c"), piece;
    char small[4];

    (void)state;
    assert_true(span_is(span_trim(s), "a=1;b;;c"));
    assert_int_equal(span_from(s, 100).n, 0);
    assert_int_equal(span_sub(s, 8, 100).n, 2);
    assert_true(span_iis(SPAN_LIT("Content-LENGTH"), "content-length"));
    assert_false(span_iis(SPAN_LIT("Content"), "content-length"));
    assert_true(span_istarts(SPAN_LIT("RTSP/1.0 200"), "rtsp/"));
    assert_true(span_ends(SPAN_LIT("x.ini"), SPAN_LIT(".ini")));
    assert_int_equal(span_find_span(SPAN_LIT("abcabd"), SPAN_LIT("abd")), 3);
    assert_int_equal(span_find(SPAN_NONE, 'x'), -1);

    const char *want[] = {"a", "b", "", "c"};
    size_t n = 0;
    while (span_split(&rest, ';', &piece)) assert_true(span_is(piece, want[n++]));
    assert_int_equal(n, 4);

    assert_false(span_copy(SPAN_LIT("abcdef"), small, sizeof(small)));
    assert_string_equal(small, "abc");
    assert_true(span_copy(SPAN_LIT("a\0b"), small, sizeof(small)));
    assert_string_equal(small, "a?b");
}

static void span_numbers_at_the_edge(void **state)
{
    uint64_t u = 7;
    int64_t i;

    (void)state;
    assert_true(span_u64(SPAN_LIT("18446744073709551615"), UINT64_MAX, &u));
    assert_true(u == UINT64_MAX);
    assert_false(span_u64(SPAN_LIT("18446744073709551616"), UINT64_MAX, &u));
    assert_true(span_u64(SPAN_LIT("65535"), 65535, &u));
    assert_false(span_u64(SPAN_LIT("65536"), 65535, &u));
    assert_false(span_u64(SPAN_LIT(""), 9, &u));
    assert_false(span_u64(SPAN_LIT("-1"), 9, &u));
    assert_false(span_u64(SPAN_LIT("1 "), 9, &u));
    assert_true(span_i64(SPAN_LIT("-12"), &i) && i == -12);
    assert_true(span_i64(SPAN_LIT("+12"), &i) && i == 12);
    assert_false(span_i64(SPAN_LIT("--12"), &i));
    assert_true(span_hex64(SPAN_LIT("DEADbeef"), &u) && u == 0xdeadbeef);
    assert_false(span_hex64(SPAN_LIT("12345678901234567"), &u));
    assert_false(span_hex64(SPAN_LIT("0x12"), &u));
}

static void reader_turns_bad_for_good(void **state)
{
    static const uint8_t in[] = {1, 2, 3, 4, 5, 6, 7};
    struct rd r = rd_of(span(in, sizeof(in)));

    (void)state;
    assert_int_equal(rd_u8(&r), 1);
    assert_int_equal(rd_u16(&r), 0x0203);
    assert_int_equal(rd_u16(&r), 0x0405);
    assert_int_equal(rd_peek(&r, 2).n, 2);
    assert_int_equal(rd_peek(&r, 3).n, 0);
    assert_true(rd_ok(&r));
    assert_int_equal(rd_u24(&r), 0);
    assert_false(rd_ok(&r));
    assert_int_equal(rd_u8(&r), 0);
    assert_int_equal(rd_left(&r), 0);
}

static void writer_knows_its_capacity(void **state)
{
    uint8_t mem[8];
    struct wr w = wr_of(mem, sizeof(mem));

    (void)state;
    wr_u32(&w, 0);
    wr_u24(&w, 0x010203);
    wr_patch_u32(&w, 0, 0xa1b2c3d4);
    assert_true(wr_ok(&w));
    assert_memory_equal(mem, "\xa1\xb2\xc3\xd4\x01\x02\x03", 7);
    wr_u16(&w, 1);
    assert_false(wr_ok(&w));
    wr_u8(&w, 1);
    assert_int_equal(wr_span(&w).n, 0);

    w = wr_of(mem, sizeof(mem));
    wr_fmt(&w, "%d", 1234567);
    assert_string_equal(wr_cstr(&w), "1234567");
    w = wr_of(mem, sizeof(mem));
    wr_fmt(&w, "%d", 12345678);
    assert_false(wr_ok(&w));
    assert_string_equal(wr_cstr(&w), "");
}

static void bits_read_exp_golomb(void **state)
{
    /* 1 | 010 | 011 | 00100 | 00111 | 1... : ue 0, 1, 2, 3 and se -3 (codeNum 6) */
    static const uint8_t in[] = {0xa6, 0x42, 0x3c};
    static const uint8_t zeros[] = {0, 0, 0, 0, 0x40, 0, 0, 0, 0, 0};
    struct bits b = bits_of(span(in, sizeof(in)));

    (void)state;
    assert_int_equal(bits_ue(&b), 0);
    assert_int_equal(bits_ue(&b), 1);
    assert_int_equal(bits_ue(&b), 2);
    assert_int_equal(bits_ue(&b), 3);
    b = bits_of(span("\x38", 1)); /* 00111 */
    assert_int_equal(bits_se(&b), -3);
    b = bits_of(span(zeros, sizeof(zeros))); /* 33 zeros: refused */
    assert_int_equal(bits_ue(&b), 0);
    assert_false(bits_ok(&b));
}

static void bits_skip_emulation_prevention(void **state)
{
    static const uint8_t nal[] = {0x00, 0x00, 0x03, 0x01, 0x80};
    struct bits b = bits_of_nal(span(nal, sizeof(nal)));

    (void)state;
    assert_int_equal(bits_u(&b, 24), 0x000001);
    assert_false(bits_more_rbsp(&b));
    assert_true(bits_flag(&b));
    bits_u(&b, 32);
    assert_false(bits_ok(&b));
}

static void buffer_grows_to_its_limit(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1000);
    for (int i = 0; i < 100; i++) assert_true(buf_text(&b, "0123456789"));
    assert_false(buf_text(&b, "x"));
    buf_take(&b, 995);
    assert_true(span_is(buf_span(&b), "56789"));
    assert_true(buf_fmt(&b, "%s-%d", "abc", 7));
    assert_true(span_is(buf_span(&b), "56789abc-7"));
    buf_take(&b, 10);
    buf_shrink(&b);
    assert_null(b.mem);
    buf_done(&b);
    buf_done(&b);
}

static void map_holds_thousands(void **state)
{
    struct map m = {0};
    struct map_slot slot;
    static int values[3000];
    char key[16];
    size_t at = 0, seen = 0;

    (void)state;
    assert_null(map_get(&m, SPAN_LIT("none")));
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "cam-%d", i);
        assert_null(map_set(&m, span_of(key), &values[i]));
    }
    for (int i = 0; i < 3000; i += 2) {
        snprintf(key, sizeof(key), "cam-%d", i);
        assert_ptr_equal(map_remove(&m, span_of(key)), &values[i]);
        assert_null(map_remove(&m, span_of(key)));
    }
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof(key), "cam-%d", i);
        assert_ptr_equal(map_get(&m, span_of(key)), i % 2 ? &values[i] : NULL);
    }
    while (map_next(&m, &at, &slot)) seen++;
    assert_int_equal(seen, 1500);
    map_done(&m);
}

static void clock_writes_iso(void **state)
{
    char iso[CLOCK_ISO_MAX];

    (void)state;
    assert_string_equal(clock_iso(1700000000123456, iso), "2023-11-14T22:13:20.123Z");
    assert_string_equal(clock_iso(-1, iso), "1969-12-31T23:59:59.999Z");
    assert_true(scale_i64(INT64_C(153000000000000), 1000000, 90000) == INT64_C(1700000000000000));
}

static void crc_matches_rfc3720(void **state)
{
    uint8_t bytes[32];

    (void)state;
    memset(bytes, 0, sizeof(bytes));
    assert_int_equal(crc32c(0, span(bytes, 32)), 0x8a9136aa);
    memset(bytes, 0xff, sizeof(bytes));
    assert_int_equal(crc32c(0, span(bytes, 32)), 0x62a8ab43);
    for (int i = 0; i < 32; i++) bytes[i] = (uint8_t)i;
    assert_int_equal(crc32c(0, span(bytes, 32)), 0x46dd794e);
    assert_int_equal(crc32c(crc32c(0, span(bytes, 13)), span(bytes + 13, 19)), 0x46dd794e);
}

/* Long pieces go another way through the processor than short ones. */
static void crc_is_the_same_in_pieces(void **state)
{
    uint8_t *bytes = mem_new(20000);

    (void)state;
    for (size_t i = 0; i < 20000; i++) bytes[i] = (uint8_t)(i * i >> 3 ^ i);
    for (size_t n = 3000; n < 20000; n += 311) {
        uint32_t whole = crc32c(7, span(bytes + n % 9, n)), pieces = 7;

        for (size_t at = 0; at < n; at += 100)
            pieces = crc32c(pieces, span_sub(span(bytes + n % 9, n), at, 100));
        assert_int_equal(whole, pieces);
    }
    mem_free(bytes);
}

static char last_line[LOG_LINE_MAX];

static void keep_line(enum log_level level, const char *line, size_t n)
{
    (void)level;
    span_copy(span(line, n), last_line, sizeof(last_line));
}

static void log_lines_cannot_be_forged(void **state)
{
    struct log_setup setup = {.process = "test", .id = "cam-1", .level = LOG_INFO, .json = true, .fd = -1};
    struct log_rate rate = {0};
    uint32_t held = 9;

    (void)state;
    log_init(&setup);
    log_set_mirror(keep_line);
    log_info("login", "agent=%s n=%d", log_q(SPAN_LIT("a\" \n{\x1b[31m")), 3);
    assert_non_null(strstr(last_line, "\"event\":\"login\",\"agent\":\"a\\\\\\\" .{.[31m\",\"n\":\"3\"}"));
    last_line[0] = 0;
    log_debug("quiet", "n=%d", 1);
    assert_string_equal(last_line, "");
    log_set_mirror(NULL);

    assert_true(log_limited(&rate, 1, &held));
    assert_int_equal(held, 0);
    assert_false(log_limited(&rate, 59 * US_PER_S, &held));
    assert_false(log_limited(&rate, 60 * US_PER_S, &held));
    assert_true(log_limited(&rate, 61 * US_PER_S, &held));
    assert_int_equal(held, 2);
}

static void jitter_stays_in_its_band(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) assert_in_range(rng_jitter(1000, 20), 800, 1200);
    assert_int_equal(rng_jitter(0, 20), 0);
}

static void secrets_copy_and_wipe(void **state)
{
    struct secret s = secret_of(SPAN_LIT("pa#ss"));

    (void)state;
    assert_true(span_is(secret_reveal(&s), "pa#ss"));
    secret_done(&s);
    secret_done(&s);
    assert_false(secret_set(&s));
}

/* Calls with effects may stand inside, and one inside the other. */
static void test_min_max_evaluate_once(void **state)
{
    int n = 0, m = 10;
    size_t some = 7;

    (void)state;
    assert_int_equal(MIN(n++, m--), 0);
    assert_int_equal(n, 1);
    assert_int_equal(m, 9);
    assert_int_equal(MAX(MIN(++n, 5), MAX(--m, n)), 8);
    assert_int_equal(n, 2);
    assert_int_equal(CLAMP(++n, 4, 6), 4);
    assert_int_equal(n, 3);
    assert_int_equal(CLAMP(-5, 4, 6), 4);
    assert_int_equal(CLAMP(50, 4, 6), 6);
    assert_int_equal(CLAMP(5, 4, 6), 5);
    assert_true(MIN(some, 9) == 7 && MAX(some, 9) == 9);
    assert_true(MAX(INT64_MIN, (int64_t)-1) == -1);
    assert_true(MIN((uint64_t)UINT32_MAX + 1, UINT64_MAX) == (uint64_t)UINT32_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_min_max_evaluate_once),
        cmocka_unit_test(span_cuts_and_compares),
        cmocka_unit_test(span_numbers_at_the_edge),
        cmocka_unit_test(reader_turns_bad_for_good),
        cmocka_unit_test(writer_knows_its_capacity),
        cmocka_unit_test(bits_read_exp_golomb),
        cmocka_unit_test(bits_skip_emulation_prevention),
        cmocka_unit_test(buffer_grows_to_its_limit),
        cmocka_unit_test(map_holds_thousands),
        cmocka_unit_test(clock_writes_iso),
        cmocka_unit_test(crc_matches_rfc3720),
        cmocka_unit_test(crc_is_the_same_in_pieces),
        cmocka_unit_test(log_lines_cannot_be_forged),
        cmocka_unit_test(jitter_stays_in_its_band),
        cmocka_unit_test(secrets_copy_and_wipe),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
