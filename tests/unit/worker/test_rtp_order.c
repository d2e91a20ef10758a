#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "worker/rtp_order.h"

#define GOT_MAX 8192

static struct got {
    uint16_t seq[GOT_MAX];
    bool lost[GOT_MAX], run[GOT_MAX];
    unsigned n;
} got;

static void on_packet(void *arg, const struct rtp_order_packet *p, bool lost, bool new_run)
{
    (void)arg;
    assert_true(got.n < GOT_MAX);
    /* Each payload is its number, so that a copy kept too short is seen. */
    assert_int_equal(p->payload.n, 2);
    assert_int_equal(p->payload.p[0] << 8 | p->payload.p[1], p->seq);
    got.seq[got.n] = p->seq;
    got.lost[got.n] = lost;
    got.run[got.n++] = new_run;
}

static struct rtp_order *make(bool hold, uint8_t pt)
{
    struct rtp_order_config c = {.pts = {pt}, .pts_n = 1, .clock_hz = 90000, .hold = hold};
    struct rtp_order_out out = {on_packet, NULL};

    got.n = 0;
    return rtp_order_new(&c, &out);
}

static void feed_as(struct rtp_order *o, uint16_t seq, uint32_t ssrc, uint8_t pt, usec_t mono_us)
{
    uint8_t *mem = mem_new(2);
    struct rtp_order_packet p = {.payload = span(mem, 2),
        .ssrc = ssrc,
        .timestamp = seq * 3600u,
        .seq = seq,
        .pt = pt,
        .mono_us = mono_us};

    mem[0] = (uint8_t)(seq >> 8);
    mem[1] = (uint8_t)seq;
    rtp_order_feed(o, &p);
    mem_free(mem);
}

static void feed(struct rtp_order *o, uint16_t seq, usec_t mono_us)
{
    feed_as(o, seq, 7, 96, mono_us);
}

static void expect(const char *list)
{
    struct span rest = span_of(list), word;
    unsigned i = 0;

    while (span_split(&rest, ' ', &word)) {
        bool lost = span_starts(word, SPAN_LIT("!"));
        uint64_t seq = 0;

        assert_true(span_u64(span_from(word, lost), 65535, &seq));
        assert_true(i < got.n);
        assert_int_equal(got.seq[i], seq);
        assert_int_equal(got.lost[i], lost);
        i++;
    }
    assert_int_equal(got.n, i);
}

/* T1: the number wraps; T2: gaps over TCP are loss. */
static void test_t1_t2_tcp(void **state)
{
    struct rtp_order *o = make(false, 96);
    struct rtp_order_report r;

    (void)state;
    assert_false(rtp_order_report(o, &r)); /* K4 */
    feed(o, 65534, 0);
    feed(o, 65535, 0);
    feed(o, 0, 0);
    feed(o, 3, 0);
    feed(o, 3, 0);
    feed(o, 2, 0);
    feed(o, 4, 0);
    expect("65534 65535 0 !3 4");
    assert_true(got.run[0]);
    assert_false(got.run[1]);
    assert_int_equal(rtp_order_counters(o)->lost, 2);
    assert_int_equal(rtp_order_counters(o)->duplicate, 1);
    assert_int_equal(rtp_order_counters(o)->late, 1);
    assert_true(rtp_order_report(o, &r));
    assert_int_equal(r.highest_seq, 65536 + 4);
    assert_int_equal(r.ssrc, 7);
    rtp_order_free(o);
}

/* T3: reordered packets over UDP find their place; duplicates do not come twice. */
static void test_t3_reorder(void **state)
{
    struct rtp_order *o = make(true, 96);

    (void)state;
    feed(o, 10, 0);
    feed(o, 12, 1000);
    feed(o, 13, 2000);
    feed(o, 12, 2500);
    assert_int_equal(rtp_order_due(o), 1000 + RTP_ORDER_HOLD_US);
    feed(o, 11, 3000);
    feed(o, 14, 4000);
    expect("10 11 12 13 14");
    assert_int_equal(rtp_order_due(o), 0);
    assert_int_equal(rtp_order_counters(o)->reordered, 1);
    assert_int_equal(rtp_order_counters(o)->duplicate, 1);
    assert_int_equal(rtp_order_counters(o)->lost, 0);
    rtp_order_free(o);
}

static void test_t3_window_by_time(void **state)
{
    struct rtp_order *o = make(true, 96);

    (void)state;
    feed(o, 10, 0);
    feed(o, 12, 1000);
    feed(o, 15, 50000);
    rtp_order_tick(o, RTP_ORDER_HOLD_US);
    expect("10");
    rtp_order_tick(o, 1000 + RTP_ORDER_HOLD_US);
    expect("10 !12");
    feed(o, 11, 102000);
    assert_int_equal(rtp_order_counters(o)->late, 1);
    rtp_order_tick(o, 50000 + RTP_ORDER_HOLD_US);
    expect("10 !12 !15");
    assert_int_equal(rtp_order_counters(o)->lost, 3);
    assert_int_equal(rtp_order_due(o), 0);
    rtp_order_free(o);
}

static void test_t3_window_by_count(void **state)
{
    struct rtp_order *o = make(true, 96);

    (void)state;
    feed(o, 0, 0);
    for (uint16_t i = 2; i <= RTP_ORDER_WINDOW; i++) feed(o, i, 0);
    assert_int_equal(got.n, 1); /* the window is full and still holds */
    feed(o, RTP_ORDER_WINDOW + 1, 0);
    assert_int_equal(got.n, RTP_ORDER_WINDOW + 1);
    assert_true(got.lost[1]);
    assert_int_equal(rtp_order_counters(o)->lost, 1);
    feed(o, RTP_ORDER_WINDOW + 2, 0);
    assert_int_equal(got.seq[got.n - 1], RTP_ORDER_WINDOW + 2);
    /* A gap wider than the window is given up at once. */
    feed(o, RTP_ORDER_WINDOW + 1000, 0);
    assert_int_equal(got.seq[got.n - 1], RTP_ORDER_WINDOW + 1000);
    assert_int_equal(rtp_order_counters(o)->lost, 1 + 997);
    rtp_order_free(o);
}

/* T4: a jump back without another SSRC: two in a row are the new run, and the first of them is not lost. */
static void test_t4_jump(void **state)
{
    for (int hold = 0; hold < 2; hold++) {
        struct rtp_order *o = make(hold, 96);

        (void)state;
        for (uint16_t i = 40000; i < 40010; i++) feed(o, i, 0);
        feed(o, 7, 0);
        feed(o, 40010, 0); /* a stray one */
        feed(o, 100, 0);
        feed(o, 101, 0);
        feed(o, 102, 0);
        assert_int_equal(got.n, 14);
        assert_int_equal(got.seq[11], 100);
        assert_true(got.lost[11]);
        assert_false(got.run[11]);
        assert_int_equal(rtp_order_counters(o)->resyncs, 1);
        rtp_order_free(o);
    }
}

/* MAX_DROPOUT and MAX_MISORDER of RFC 3550 A.1, at the edge and beyond. */
static void test_dropout_edges(void **state)
{
    struct rtp_order *o = make(false, 96);

    (void)state;
    feed(o, 0, 0);
    feed(o, 3000, 0); /* 2,999 missing */
    expect("0 !3000");
    feed(o, 6001, 0); /* 3,000 missing: a jump */
    expect("0 !3000");
    feed(o, 3001 - 100, 0);
    assert_int_equal(rtp_order_counters(o)->late, 1);
    feed(o, 3001, 0);
    expect("0 !3000 3001");
    rtp_order_free(o);
}

/* T6: another SSRC takes over after silence with two packets in sequence, none of them lost. */
static void test_t6_ssrc_change(void **state)
{
    struct rtp_order *o = make(false, 96);

    (void)state;
    feed_as(o, 1, 7, 96, 0);
    feed_as(o, 500, 8, 96, 300000);
    expect("1");
    feed_as(o, 501, 8, 96, 300000);
    expect("1 !500 501");
    assert_true(got.run[1]);
    assert_true(rtp_order_is_ssrc(o, 8));
    assert_false(rtp_order_is_ssrc(o, 7));
    assert_int_equal(rtp_order_counters(o)->ssrc_changes, 1);
    rtp_order_free(o);
}

static void test_t6_sixteen(void **state)
{
    struct rtp_order *o = make(false, 96);

    (void)state;
    feed_as(o, 1, 7, 96, 0);
    for (uint16_t i = 0; i < 15; i++) feed_as(o, (uint16_t)(500 + i), 8, 96, 0);
    expect("1");
    feed_as(o, 515, 8, 96, 0);
    assert_int_equal(got.n, 17);
    assert_int_equal(got.seq[1], 500);
    assert_int_equal(got.seq[16], 515);
    rtp_order_free(o);
}

/* K6: packets of an old session among ours never take over; P17: an announced SSRC plays no part. */
static void test_k6_foreign_ssrc(void **state)
{
    struct rtp_order *o = make(false, 96);

    (void)state;
    for (uint16_t i = 0; i < 200; i++) {
        feed_as(o, i, 7, 96, i * 1000);
        for (uint16_t k = 0; k < 5; k++) feed_as(o, (uint16_t)(900 + i * 5 + k), 8, 96, i * 1000);
    }
    assert_int_equal(got.n, 200);
    assert_int_equal(rtp_order_counters(o)->foreign_ssrc, 1000);
    assert_int_equal(rtp_order_counters(o)->ssrc_changes, 0);
    rtp_order_free(o);
}

/* S8: an undeclared payload type is adopted after five in a row, while the declared one never came. */
static void test_s8_adopt(void **state)
{
    struct rtp_order *o = make(false, 96);

    (void)state;
    for (uint16_t i = 0; i < 8; i++) feed_as(o, i, 7, 97, 0);
    expect("4 5 6 7");
    assert_int_equal(rtp_order_pt(o), 97);
    feed_as(o, 8, 7, 96, 0); /* the declared one after all */
    assert_int_equal(rtp_order_pt(o), 96);
    for (uint16_t i = 9; i < 20; i++) feed_as(o, i, 7, 97, 0);
    expect("4 5 6 7 8");
    rtp_order_free(o);
}

/* S9: Geovision's packets of type 50 with the number of the packet before them. */
static void test_s9_same_number(void **state)
{
    struct rtp_order *o = make(true, 96);

    (void)state;
    for (uint16_t i = 0; i < 50; i++) {
        feed_as(o, i, 7, 96, 0);
        feed_as(o, i, 7, 50, 0);
    }
    assert_int_equal(got.n, 50);
    assert_int_equal(rtp_order_counters(o)->foreign_pt, 50);
    assert_int_equal(rtp_order_counters(o)->duplicate, 0);
    rtp_order_free(o);
}

/* S12: of several declared types the one that comes first is it. */
static void test_s12_lock(void **state)
{
    struct rtp_order_config c = {.pts = {96, 97, 98}, .pts_n = 3, .clock_hz = 90000};
    struct rtp_order_out out = {on_packet, NULL};
    struct rtp_order *o = rtp_order_new(&c, &out);

    (void)state;
    got.n = 0;
    feed_as(o, 1, 7, 97, 0);
    feed_as(o, 2, 7, 96, 0);
    feed_as(o, 2, 7, 97, 0);
    expect("1 2");
    assert_int_equal(rtp_order_pt(o), 97);
    rtp_order_free(o);
}

/* P16: the announced first number is believed when it is near, and 0 and 1 never are. */
static void test_p16_hint(void **state)
{
    static const struct {
        uint16_t hint, first;
        unsigned lost;
    } rows[] = {{500, 503, 3}, {500, 600, 100}, {500, 601, 0}, {0, 50, 0}, {1, 50, 0}, {500, 400, 0}};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct rtp_order *o = make(false, 96);

        rtp_order_hint(o, rows[i].hint);
        feed(o, rows[i].first, 0);
        assert_int_equal(rtp_order_counters(o)->lost, rows[i].lost);
        assert_int_equal(got.n, 1);
        rtp_order_free(o);
    }
}

/* T3, P16: over UDP the announced first packet may come behind the second, or not at all. */
static void test_t3_reordered_start(void **state)
{
    struct rtp_order *o = make(true, 96);

    (void)state;
    rtp_order_hint(o, 500);
    feed(o, 501, 0);
    assert_int_equal(got.n, 0);
    feed(o, 500, 0);
    feed(o, 502, 0);
    expect("500 501 502");
    assert_int_equal(rtp_order_counters(o)->lost, 0);
    assert_int_equal(rtp_order_counters(o)->reordered, 1);
    rtp_order_free(o);
    o = make(true, 96);
    rtp_order_hint(o, 500);
    feed(o, 503, 0);
    rtp_order_tick(o, rtp_order_due(o));
    assert_int_equal(got.n, 1);
    assert_int_equal(rtp_order_counters(o)->lost, 3);
    rtp_order_free(o);
}

/* T14: packets without payload count by their number and go no further. */
static void test_t14_empty(void **state)
{
    struct rtp_order *o = make(true, 96);
    struct rtp_order_packet p = {.ssrc = 7, .seq = 2, .pt = 96};

    (void)state;
    feed(o, 1, 0);
    rtp_order_feed(o, &p);
    feed(o, 3, 0);
    expect("1 3");
    rtp_order_free(o);
}

/* RFC 3550 A.3, A.8. */
static void test_report(void **state)
{
    struct rtp_order *o = make(false, 96);
    struct rtp_order_report r;

    (void)state;
    for (uint16_t i = 0; i < 100; i++)
        if (i % 4 != 3) feed(o, i, i * 40000 + (i % 2) * 10000);
    assert_true(rtp_order_report(o, &r));
    assert_int_equal(r.lost, 24); /* of 99, since the last one is not known to be missing */
    assert_int_equal(r.fraction_lost, 24 * 256 / 99);
    assert_true(r.jitter > 100 && r.jitter < 900);
    assert_true(rtp_order_report(o, &r));
    assert_int_equal(r.fraction_lost, 0);
    rtp_order_free(o);
}

/* Whatever comes: in order, each number once, everything accounted for. */
static void test_shuffled(void **state)
{
    struct rtp_order *o = make(true, 96);
    uint32_t seed = 12345, at = 65000;
    uint16_t block[16];

    (void)state;
    for (unsigned b = 0; b < 100; b++) {
        for (unsigned i = 0; i < 16; i++) block[i] = (uint16_t)(at + i);
        for (unsigned i = 16; i-- > 1;) {
            unsigned k = (seed = seed * 1664525 + 1013904223) >> 16 & 15;

            if (b == 0) break; /* the very first packet begins the run */
            k %= i + 1;
            seed ^= block[k];
            uint16_t swap = block[i];
            block[i] = block[k];
            block[k] = swap;
        }
        for (unsigned i = 0; i < 16; i++) feed(o, block[i], b * 1000);
        at += 16;
    }
    assert_int_equal(got.n, 1600);
    for (unsigned i = 0; i < got.n; i++) {
        assert_int_equal(got.seq[i], (uint16_t)(65000 + i));
        assert_false(got.lost[i]);
    }
    rtp_order_free(o);
}

static void test_flush(void **state)
{
    struct rtp_order *o = make(true, 96);

    (void)state;
    feed(o, 1, 0);
    feed(o, 3, 0);
    feed(o, 5, 0);
    rtp_order_flush(o);
    expect("1 !3 !5");
    feed(o, 9, 0);
    rtp_order_free(o); /* with one waiting */
    rtp_order_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_t1_t2_tcp),
        cmocka_unit_test(test_t3_reorder),
        cmocka_unit_test(test_t3_window_by_time),
        cmocka_unit_test(test_t3_window_by_count),
        cmocka_unit_test(test_t4_jump),
        cmocka_unit_test(test_dropout_edges),
        cmocka_unit_test(test_t6_ssrc_change),
        cmocka_unit_test(test_t6_sixteen),
        cmocka_unit_test(test_k6_foreign_ssrc),
        cmocka_unit_test(test_s8_adopt),
        cmocka_unit_test(test_s9_same_number),
        cmocka_unit_test(test_s12_lock),
        cmocka_unit_test(test_p16_hint),
        cmocka_unit_test(test_t3_reordered_start),
        cmocka_unit_test(test_t14_empty),
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_shuffled),
        cmocka_unit_test(test_flush),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
