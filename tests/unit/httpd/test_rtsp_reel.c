/* The archive as RTP packets: where it begins, in which order, across segments and gaps, both ways, at a
 * pace; and what it says where nothing is. Segments of real footage, read here as a pool reads them. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <stdio.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "httpd/rtsp_reel.h"
#include "tests/support/archive_site.h"

#define T0        SITE_T0
#define TURNS_MAX 4000
#define GAP_US    (T0 + 16 * US_PER_S) /* 100 s without footage */
#define BEHIND_US (T0 + 116 * US_PER_S)
#define END_US    (T0 + 124 * US_PER_S)

static struct {
    struct reel *r;
    struct reel_frame *f;
    size_t n, cap;
    enum reel_state state; /* that it ended with */
} T;

static struct reel *reel_of(const char *uid)
{
    struct storage *st[ARCHIVE_STORAGES_MAX];
    size_t n = storages_of(site.help.storages, SPAN_LIT("default"), NULL, 0, st, ARCHIVE_STORAGES_MAX);

    assert_int_equal(n, 1);
    return reel_new(uid, st, n, 77);
}

static void drop(void)
{
    for (size_t i = 0; i < T.n; i++) chunk_unref(T.f[i].c);
    mem_free(T.f);
    T.f = NULL;
    T.n = T.cap = 0;
}

static int end(void **state)
{
    (void)state;
    drop();
    reel_free(T.r);
    T.r = NULL;
    return 0;
}

/* All frames of that way, until it says why there are no more. The open segment is not known here. */
static void run(const struct reel_way *way)
{
    const struct open_segment open = {0};

    drop();
    if (!T.r) T.r = reel_of(SITE_UID);
    reel_seek(T.r, way);
    for (unsigned i = 0; i < TURNS_MAX; i++) {
        struct reel_frame batch[REEL_FRAMES];
        size_t n = 0;

        assert_non_null(reel_storage(T.r));
        reel_note_open(T.r, &open);
        T.state = reel_turn(T.r, batch, REEL_FRAMES, &n);
        assert_true(n <= REEL_FRAMES);
        while (T.n + n > T.cap) {
            T.cap = T.cap ? 2 * T.cap : 1024;
            T.f = mem_renew(T.f, T.cap * sizeof(*T.f));
        }
        for (size_t k = 0; k < n; k++) T.f[T.n + k] = batch[k];
        T.n += n;
        if (T.state != REEL_MORE) return;
    }
    fail_msg("it does not end");
}

static unsigned count(unsigned track)
{
    unsigned n = 0;

    for (size_t i = 0; i < T.n; i++) n += T.f[i].track == track;
    return n;
}

/* Sequence numbers of a track run on from packet to packet, over all its frames. */
static void check_sequence(unsigned track)
{
    int next = -1;

    for (size_t i = 0; i < T.n; i++) {
        struct span rest = span(T.f[i].c->data, T.f[i].c->n), packet;

        if (T.f[i].track != track) continue;
        while (pay_next(&rest, &packet)) {
            int seq = packet.p[2] << 8 | packet.p[3];

            if (next >= 0) assert_int_equal(seq, next);
            next = (seq + 1) & 0xffff;
        }
    }
    assert_true(next >= 0);
}

/* The two bits that say where footage is missing, of the first packet of a track's frames. */
static unsigned flagged(unsigned track, uint8_t bit)
{
    unsigned n = 0;

    for (size_t i = 0; i < T.n; i++) {
        struct span rest = span(T.f[i].c->data, T.f[i].c->n), packet;

        if (T.f[i].track != track) continue;
        assert_true(pay_next(&rest, &packet));
        n += (packet.p[24] & bit) != 0;
    }
    return n;
}

static void check_due(void)
{
    for (size_t i = 1; i < T.n; i++) assert_true(T.f[i].play_us >= T.f[i - 1].play_us - US_PER_S);
}

/* Three segments and the gap between them: every frame once, time runs on over the gap. */
static void forwards(void **state)
{
    unsigned joined = 0;

    (void)state;
    site_need_footage();
    run(&(struct reel_way){.at_us = T0, .scale_milli = 1000, .replay = true});
    assert_int_equal(T.state, REEL_END);
    assert_int_equal(count(0), 3 * 8 * 25);
    assert_true(count(1) > 3 * 8 * 10);
    assert_true(T.f[0].entry && T.f[0].wall_us == T0);
    assert_true(T.f[T.n - 1].wall_us > END_US - US_PER_S);
    for (size_t i = 0; i < T.n; i++) joined += T.f[i].joined;
    assert_int_equal(joined, 2); /* the begin, the gap; D says it on each track, for who has only one */
    for (unsigned k = 0; k < 2; k++) assert_int_equal(flagged(k, 0x20), 2);
    assert_int_equal(flagged(0, 0x40), 2); /* E */
    assert_true(T.f[T.n - 1].play_us > 23 * US_PER_S && T.f[T.n - 1].play_us < 25 * US_PER_S);
    check_sequence(0);
    check_sequence(1);
    check_due();
}

/* By the key frame at or before the moment; up to another moment; then elsewhere, numbers run on. */
static void a_part_and_another(void **state)
{
    uint16_t seq;

    (void)state;
    site_need_footage();
    run(&(struct reel_way){
        .at_us = T0 + 3500 * US_PER_MS, .to_us = T0 + 6 * US_PER_S, .scale_milli = 1000, .strict = true});
    assert_int_equal(T.state, REEL_END);
    assert_true(
        T.f[0].entry && T.f[0].wall_us <= T0 + 3500 * US_PER_MS && T.f[0].wall_us > T0 + 2 * US_PER_S);
    for (size_t i = 0; i < T.n; i++) assert_true(T.f[i].wall_us < T0 + 6 * US_PER_S);
    seq = reel_pays(T.r)[0].seq;
    run(&(struct reel_way){.at_us = BEHIND_US, .to_us = BEHIND_US + US_PER_S, .scale_milli = 1000});
    assert_int_equal(T.f[0].seq, seq);
    assert_int_equal(T.f[0].wall_us, BEHIND_US);
}

static void at_a_pace(void **state)
{
    (void)state;
    site_need_footage();
    run(&(struct reel_way){.at_us = T0, .to_us = T0 + 8 * US_PER_S, .scale_milli = 2000});
    assert_int_equal(count(0), 8 * 25);
    assert_int_equal(count(1), 0); /* sound at its own pace only */
    for (size_t i = 1; i < T.n; i++) {
        assert_int_equal(T.f[i].play_us - T.f[i - 1].play_us, 20 * US_PER_MS);
        assert_int_equal(T.f[i].wall_us - T.f[i - 1].wall_us, 40 * US_PER_MS);
    }
}

/* Key frames alone, from the end to the begin, over the gap. */
static void backwards(void **state)
{
    unsigned joined = 0;

    (void)state;
    site_need_footage();
    run(&(struct reel_way){.at_us = END_US, .scale_milli = -4000, .keys = true, .replay = true, .cseq = 9});
    assert_int_equal(T.state, REEL_END);
    assert_int_equal(count(0), T.n);
    assert_true(T.n >= 3 * 4);
    for (size_t i = 0; i < T.n; i++) {
        struct span rest = span(T.f[i].c->data, T.f[i].c->n), packet;

        assert_true(T.f[i].entry);
        if (i > 0) assert_true(T.f[i].wall_us < T.f[i - 1].wall_us);
        joined += T.f[i].joined;
        assert_true(pay_next(&rest, &packet));
        assert_true((packet.p[0] & 0x10) && packet.p[12] == 0xab && packet.p[13] == 0xac); /* ONVIF */
        assert_int_equal(packet.p[25], 9);
    }
    assert_int_equal(T.f[T.n - 1].wall_us, T0);
    assert_int_equal(joined, 2);
    check_sequence(0);
    check_due();
}

static void where_nothing_is(void **state)
{
    static const struct {
        usec_t at_us;
        bool strict;
        enum reel_state state;
    } rows[] = {
        {GAP_US + 10 * US_PER_S, true, REEL_NONE},
        {T0 - 3600 * US_PER_S, true, REEL_NONE},
        {END_US + 10 * US_PER_S, true, REEL_NONE},
        {END_US + 10 * US_PER_S, false, REEL_END},
    };

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        run(&(struct reel_way){.at_us = rows[i].at_us, .scale_milli = 1000, .strict = rows[i].strict});
        assert_int_equal(T.state, rows[i].state);
        assert_int_equal(T.n, 0);
    }
    run(&(struct reel_way){.at_us = clock_wall_us() + 3600 * US_PER_S, .scale_milli = 1000, .strict = true});
    assert_int_equal(T.state, REEL_EMPTY);
    /* A moment that footage follows closely stands for it; without strictness any. */
    run(&(struct reel_way){.at_us = BEHIND_US - 500 * US_PER_MS, .scale_milli = 1000, .strict = true});
    assert_int_equal(T.f[0].wall_us, BEHIND_US);
    run(&(struct reel_way){.at_us = GAP_US + 10 * US_PER_S, .scale_milli = 1000});
    assert_int_equal(T.f[0].wall_us, BEHIND_US);
    reel_free(T.r);
    T.r = reel_of("nobody");
    run(&(struct reel_way){.scale_milli = 1000});
    assert_int_equal(T.state, REEL_EMPTY);
}

/* A segment whose file has gone is a gap. */
static void a_segment_that_is_not_there(void **state)
{
    char path[256], away[300], rel[SEG_PATH_MAX];
    struct seg_info *info = NEW(struct seg_info);
    struct index_query q = {.uid = SITE_UID, .from_us = T0 + 9 * US_PER_S, .to_us = INT64_MAX};
    size_t n = 0;

    (void)state;
    if (!site.have_footage) mem_free(info);
    site_need_footage();
    assert_int_equal(index_segments(site.ix, &q, info, 1, &n), INDEX_OK);
    assert_int_equal(n, 1);
    seg_path_of(info->id, rel);
    mem_free(info);
    snprintf(path, sizeof(path), "%s/%s/records/%s", site.dir, SITE_UID, rel);
    snprintf(away, sizeof(away), "%s.away", path);
    assert_int_equal(rename(path, away), 0);
    run(&(struct reel_way){.at_us = T0, .scale_milli = 1000});
    assert_int_equal(rename(away, path), 0);
    assert_int_equal(T.state, REEL_END);
    assert_int_equal(count(0), 2 * 8 * 25);
    check_sequence(0);
}

/* The clock was set back: another pass over a time that is recorded. Of both only what may be seen. The last
 * test: the others do not know of it. */
static void another_pass_in_a_window(void **state)
{
    static const usec_t from_us = T0 + 13500 * US_PER_MS; /* the second pass is 11 s to 19 s */
    unsigned frames = 0, passes = 1;

    (void)state;
    site_need_footage();
    site_put_segment(site.dir, site.ix, T0 + 11 * US_PER_S, true);
    run(&(struct reel_way){
        .sight = {from_us, T0 + 60 * US_PER_S}, .at_us = from_us, .scale_milli = 1000, .strict = true});
    for (size_t i = 0; i < T.n; i++) {
        if (T.f[i].wall_us < from_us) fail_msg("%.3f s is shown", (double)(T.f[i].wall_us - T0) / 1e6);
        passes += i > 0 && T.f[i].wall_us < T.f[i - 1].wall_us - US_PER_S;
        frames += T.f[i].track == 0;
    }
    assert_int_equal(passes, 2);
    assert_int_equal(frames, 2 * 25 + 5 * 25); /* from the key frame at 14 s on, twice */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(forwards, end),
        cmocka_unit_test_teardown(a_part_and_another, end),
        cmocka_unit_test_teardown(at_a_pace, end),
        cmocka_unit_test_teardown(backwards, end),
        cmocka_unit_test_teardown(where_nothing_is, end),
        cmocka_unit_test_teardown(a_segment_that_is_not_there, end),
        cmocka_unit_test_teardown(another_pass_in_a_window, end),
    };

    return cmocka_run_group_tests(tests, site_start, site_stop);
}
