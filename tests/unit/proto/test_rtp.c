/* common/proto/rtp and rtcp. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/proto/rtcp.h"
#include "common/proto/rtp.h"

static const uint8_t PLAIN[] = {0x80, 0xe0, 0x12, 0x34, 0, 0, 0, 9, 0xaa, 0xbb, 0xcc, 0xdd, 'p', 'q'};

static void header(void **state)
{
    struct rtp_packet p;
    uint8_t written[RTP_HEADER_MIN];

    (void)state;
    assert_int_equal(rtp_parse(span(PLAIN, sizeof(PLAIN)), &p), 0);
    assert_true(p.marker && p.pt == 96 && p.seq == 0x1234 && p.ts == 9 && p.ssrc == 0xaabbccdd);
    assert_true(span_is(p.payload, "pq"));
    rtp_write_header(written, &p);
    assert_memory_equal(written, PLAIN, sizeof(written));
    for (size_t n = 0; n < RTP_HEADER_MIN; n++) assert_int_equal(rtp_parse(span(PLAIN, n), &p), RTP_E_SHORT);
    assert_int_equal(rtp_parse(span(PLAIN, RTP_HEADER_MIN), &p), RTP_E_EMPTY); /* T14 */
    assert_int_equal(p.seq, 0x1234);
    assert_int_equal(rtp_seq_diff(2, 65535), 3);
    assert_int_equal(rtp_seq_diff(65535, 2), -3);
    assert_int_equal(rtp_ts_diff(5, 0xfffffffb), 10);
}

/* T13 */
static void csrc_extension_padding(void **state)
{
    uint8_t b[] = {0xb1, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 9, 9, 9, 9,          /* one CSRC */
        0xab, 0xac, 0, 3, 0xe6, 0xd2, 0x5e, 0x80, 0x80, 0, 0, 0, 0xe0, 0, 0, 0, /* ONVIF, 3 words */
        'd', 'a', 0, 2};
    struct rtp_packet p;
    int64_t wall_us;

    (void)state;
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), 0);
    assert_true(span_is(p.payload, "da"));
    assert_true(p.has_ext && p.ext_id == RTP_EXT_ONVIF && p.ext.n == 12);
    assert_true(rtp_onvif_time(&p, &wall_us));
    assert_int_equal(wall_us, ((int64_t)0xe6d25e80 - 2208988800) * US_PER_S + 500000);
    b[sizeof(b) - 1] = 4;
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), RTP_E_EMPTY);
    b[sizeof(b) - 1] = 5;
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), RTP_E_PADDING);
    b[sizeof(b) - 1] = 0; /* padding that says nothing takes nothing */
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), 0);
    assert_int_equal(p.payload.n, 4);
    b[19] = 5; /* extension beyond the end */
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), RTP_E_SHORT);
    assert_int_equal(rtp_parse(span(b, 15), &p), RTP_E_SHORT);
}

static void not_rtp(void **state)
{
    uint8_t b[sizeof(PLAIN)];
    struct rtp_packet p;

    (void)state;
    memcpy(b, PLAIN, sizeof(b));
    b[0] = 0x40;
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), RTP_E_VERSION);
    b[0] = 0x80;
    b[1] = 200; /* P9 */
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), RTP_E_RTCP);
    assert_true(rtp_is_rtcp(span(b, sizeof(b))));
    b[1] = 223;
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), RTP_E_RTCP);
    b[1] = 224;
    assert_int_equal(rtp_parse(span(b, sizeof(b)), &p), 0);
    assert_false(rtp_is_rtcp(span(b, 7)));
}

static void reports_round_trip(void **state)
{
    uint8_t mem[512];
    struct wr w = wr_of(mem, sizeof(mem));
    const struct rtcp_block blocks[] = {
        {7, 128, -5, 70000, 3, 0x11223344, 65536}, {8, 0, 9000000, 1, 0, 0, 0}};
    struct rtcp_packet sr = {
        .ssrc = 42, .ntp = 0xe6d25e8080000000, .rtp_ts = 90000, .packets = 3, .bytes = 4};
    struct rtcp_packet p;
    struct span rest;
    unsigned bad = 0;

    (void)state;
    sr.n_blocks = 1;
    sr.block[0] = blocks[0];
    rtcp_write_rr(&w, 42, blocks, 2);
    rtcp_write_sdes(&w, 42, "abc");
    rtcp_write_sr(&w, &sr);
    rtcp_write_bye(&w, 42);
    assert_true(wr_ok(&w));
    assert_int_equal(w.n % 4, 0);
    rest = wr_span(&w);
    assert_true(rtcp_next(&rest, &p, &bad) && p.type == RTCP_RR && p.ssrc == 42 && p.n_blocks == 2);
    assert_int_equal(p.block[0].lost, -5);
    assert_int_equal(p.block[0].fraction, 128);
    assert_int_equal(p.block[0].high_seq, 70000);
    assert_int_equal(p.block[0].dlsr, 65536);
    assert_int_equal(p.block[1].lost, 0x7fffff); /* clamped to 24 bits */
    assert_true(rtcp_next(&rest, &p, &bad) && p.type == RTCP_SDES && span_is(p.cname, "abc"));
    assert_true(rtcp_next(&rest, &p, &bad) && p.type == RTCP_SR && p.ntp == sr.ntp && p.rtp_ts == 90000 &&
        p.bytes == 4);
    assert_int_equal(p.n_blocks, 1);
    assert_true(rtcp_next(&rest, &p, &bad) && p.type == RTCP_BYE && p.ssrc == 42);
    assert_false(rtcp_next(&rest, &p, &bad));
    for (size_t n = 0; n < 9; n++) { /* every length of CNAME is padded with at least one zero */
        char name[16] = "";

        memset(name, 'x', n);
        w = wr_of(mem, sizeof(mem));
        rtcp_write_sdes(&w, 1, name);
        assert_int_equal(w.n % 4, 0);
        assert_int_equal(mem[w.n - 1], 0);
        rest = wr_span(&w);
        assert_true(rtcp_next(&rest, &p, &bad) && span_is(p.cname, name) && rest.n == 0);
    }
    assert_int_equal(bad, 0);
}

/* T17 */
static void malformed_compounds(void **state)
{
    static const uint8_t sdes_without_end[] = {
        0x81, 202, 0, 3, 0, 0, 0, 1, 1, 6, 'a', 'b', 'c', 'd', 'e', 'f'};
    static const uint8_t too_long[] = {0x80, 201, 0, 9, 0, 0, 0, 5};
    static const uint8_t short_inside[] = {0x80, 200, 0, 1, 0, 0, 0, 5, 0x81, 203, 0, 1, 0, 0, 0, 6};
    static const uint8_t unknown[] = {
        0x80, 204, 0, 2, 0, 0, 0, 5, 'n', 'a', 'm', 'e', 0x80, 205, 0, 0, 0, 0, 0, 0};
    static const uint8_t blocks_missing[] = {0x9f, 201, 0, 1, 0, 0, 0, 5};
    static const uint8_t bye_reason[] = {
        0x82, 203, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 3, 'b', 'y', 'e', 0, 0, 0, 0};
    struct rtcp_packet p;
    struct span rest = span(sdes_without_end, sizeof(sdes_without_end));
    unsigned bad = 0;

    (void)state;
    assert_true(rtcp_next(&rest, &p, &bad) && span_is(p.cname, "abcdef"));
    rest = span(too_long, sizeof(too_long));
    assert_true(rtcp_next(&rest, &p, &bad) && p.ssrc == 5 && rest.n == 0);
    assert_int_equal(bad, 0);
    rest = span(short_inside, sizeof(short_inside));
    assert_true(rtcp_next(&rest, &p, &bad) && p.type == RTCP_BYE && p.ssrc == 6);
    assert_int_equal(bad, 1);
    rest = span(unknown, sizeof(unknown));
    assert_true(rtcp_next(&rest, &p, &bad) && p.type == RTCP_APP && p.ssrc == 5);
    assert_true(rtcp_next(&rest, &p, &bad) && p.type == 205);
    assert_false(rtcp_next(&rest, &p, &bad));
    rest = span(blocks_missing, sizeof(blocks_missing));
    assert_true(rtcp_next(&rest, &p, &bad) && p.n_blocks == 0);
    rest = span(bye_reason, sizeof(bye_reason));
    assert_true(rtcp_next(&rest, &p, &bad) && span_is(p.reason, "bye"));
    assert_int_equal(bad, 2); /* four zeros behind the last */
    rest = SPAN_LIT("\x80\xc9\0");
    assert_false(rtcp_next(&rest, &p, &bad));
    assert_int_equal(bad, 3);
    rest = SPAN_LIT("\x40\xc9\0\0");
    assert_false(rtcp_next(&rest, &p, &bad));
    assert_int_equal(bad, 4);
}

static void ntp(void **state)
{
    (void)state;
    assert_int_equal(rtcp_ntp_of_us(0), (uint64_t)2208988800 << 32);
    assert_int_equal(rtcp_ntp_of_us(500000), (uint64_t)2208988800 << 32 | 0x80000000);
    assert_int_equal(rtcp_ntp_of_us(999999), (uint64_t)2208988800 << 32 | 0xffffef3a);
    assert_int_equal(rtcp_ntp_of_us(2085978496000000), 0); /* 7 February 2036: era 1 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header),
        cmocka_unit_test(csrc_extension_padding),
        cmocka_unit_test(not_rtp),
        cmocka_unit_test(reports_round_trip),
        cmocka_unit_test(malformed_compounds),
        cmocka_unit_test(ntp),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
