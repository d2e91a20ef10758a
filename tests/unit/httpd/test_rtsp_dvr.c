/* The archive for one RTSP viewer, on its hub: opened, played at a pace or without, stopped and sought in,
 * and its answers where nothing is. Segments of real footage. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <unistd.h>

#include "common/base/clock.h"
#include "common/proto/rtcp.h"
#include "httpd/rtsp_dvr.h"
#include "tests/support/archive_site.h"

#define T0      SITE_T0
#define WAIT_US (60 * US_PER_S)
#define STEP_US (5 * US_PER_MS)

/* Touched in the hub's thread; read here once that has settled. */
static struct {
    struct rtsp_dvr *d;
    usec_t at_us;
    int32_t scale_milli;
    struct rtsp_play play;
    unsigned opened, played; /* statuses; 0: not yet */
    usec_t start_us, from_us, to_us;
    int32_t said_milli;
    unsigned frames, sound, reports, byes, ended;
    usec_t first_us, last_us; /* of what was captured */
    struct sight sight;       /* what the viewer may see */
    bool full;                /* it takes no more */
    bool leaves;              /* once it plays */
} T;

static void on_opened(void *arg, unsigned status, const struct describe *d)
{
    (void)arg;
    T.opened = status;
    if (d) T.start_us = d->start_us;
}

static void on_played(void *arg, unsigned status, const struct rtsp_played *p)
{
    (void)arg;
    T.played = status;
    if (!p) return;
    if (T.leaves) {
        rtsp_dvr_free(T.d);
        T.d = NULL;
    }
    assert_true(p->clock);
    T.from_us = p->from_us;
    T.to_us = p->to_us;
    T.said_milli = p->has_scale ? p->scale_milli : 0;
}

static bool has_room(void *arg)
{
    (void)arg;
    return !T.full;
}

static struct sight may_see(void *arg)
{
    (void)arg;
    return T.sight;
}

static void on_frame(void *arg, struct rtp_frame *f, usec_t wall_us)
{
    (void)arg;
    assert_true(T.reports > 0);
    if (T.frames + T.sound == 0) T.first_us = wall_us;
    T.last_us = wall_us;
    if (f->track == 0)
        T.frames++;
    else
        T.sound++;
}

static void on_report(void *arg, unsigned track, struct span compound)
{
    struct rtcp_packet p;
    unsigned bad = 0;

    (void)arg;
    (void)track;
    T.reports++;
    while (rtcp_next(&compound, &p, &bad)) T.byes += p.type == RTCP_BYE;
}

static void on_ended(void *arg)
{
    (void)arg;
    T.ended++;
}

static const struct rtsp_dvr_ops ops = {
    on_opened, on_played, may_see, has_room, on_frame, on_report, on_ended};

static struct hub *home(void)
{
    return hub_home(&site.help.server, SPAN_LIT(SITE_UID));
}

static void in_hub(void (*fn)(struct hub *hub, void *arg))
{
    hub_post(home(), fn, NULL);
    httpd_help_settle(&site.help);
}

static void do_open(struct hub *hub, void *arg)
{
    (void)arg;
    T.d = rtsp_dvr_new(stream_get(hub, SPAN_LIT(SITE_UID)), T.at_us, T.scale_milli, &ops, &T);
    rtsp_dvr_open(T.d);
}

static void do_play(struct hub *hub, void *arg)
{
    (void)hub;
    (void)arg;
    T.played = T.ended = T.frames = T.sound = T.byes = 0; /* of what was played before */
    rtsp_dvr_play(T.d, &T.play);
}

static void do_pause(struct hub *hub, void *arg)
{
    (void)hub;
    (void)arg;
    rtsp_dvr_pause(T.d);
}

static void do_make_room(struct hub *hub, void *arg)
{
    (void)hub;
    (void)arg;
    T.full = false;
}

static void do_describe(struct hub *hub, void *arg)
{
    struct describe d;

    (void)hub;
    (void)arg;
    rtsp_dvr_describe(T.d, &d);
    T.start_us = d.start_us;
    assert_true(d.pay[0].form && d.n == TRACK_MAX);
}

static void do_free(struct hub *hub, void *arg)
{
    (void)hub;
    (void)arg;
    rtsp_dvr_free(T.d);
}

static unsigned peeked;

static void do_peek(struct hub *hub, void *arg)
{
    (void)hub;
    peeked = *(const unsigned *)arg;
}

/* Until it is not 0 any more, as the hub has it. */
static void until(const unsigned *what)
{
    usec_t by = clock_mono_us() + WAIT_US;

    for (peeked = 0; peeked == 0 && clock_mono_us() < by; usleep(STEP_US)) {
        hub_post(home(), do_peek, (void *)(uintptr_t)what);
        httpd_help_settle(&site.help);
    }
    assert_true(peeked != 0);
}

static unsigned open_seeing(usec_t at_us, struct sight sight)
{
    memset(&T, 0, sizeof(T));
    T.sight = sight;
    T.at_us = at_us;
    T.scale_milli = 1000;
    in_hub(do_open);
    until(&T.opened);
    return T.opened;
}

static unsigned open_at(usec_t at_us)
{
    return open_seeing(at_us, (struct sight){0, 0});
}

static unsigned play(const struct rtsp_play *p)
{
    T.play = *p;
    in_hub(do_play);
    until(&T.played);
    return T.played;
}

static int end(void **state)
{
    (void)state;
    in_hub(do_free);
    if (site.have_footage) site_settle_pool();
    assert_int_equal(atomic_load(&home()->count.viewers), 0);
    return 0;
}

static struct rtsp_play range(usec_t from_us, usec_t to_us)
{
    return (struct rtsp_play){.has_range = true,
        .range = {.clock = true, .from_us = from_us, .to_us = to_us},
        .scale_milli = 1000,
        .no_rate = true};
}

/* As fast as it is taken: all frames, a report first, a BYE for each track last. */
static void plays_to_its_end(void **state)
{
    struct rtsp_play p = range(T0 + 4 * US_PER_S, T0 + 12 * US_PER_S);

    (void)state;
    site_need_footage();
    assert_int_equal(open_at(T0), 200);
    assert_int_equal(T.start_us, T0);
    assert_int_equal(play(&p), 200);
    until(&T.ended);
    assert_true(T.from_us <= T0 + 4 * US_PER_S && T.to_us == T0 + 12 * US_PER_S && T.said_milli == 0);
    assert_true(T.first_us <= T0 + 4 * US_PER_S && T.last_us < T0 + 12 * US_PER_S);
    assert_true(T.frames >= 8 * 25 && T.sound > 0 && T.byes == 2 && T.ended == 1);
}

/* As fast as it is shown: it counts as a viewer, until it stops; then it goes on where it was. */
static void stops_and_goes_on(void **state)
{
    struct rtsp_play p = {.scale_milli = 1000}, far = range(T0 + 118 * US_PER_S, 0);
    usec_t stopped_us;

    (void)state;
    site_need_footage();
    assert_int_equal(open_at(T0 + 5 * US_PER_S), 200);
    assert_int_equal(play(&p), 200);
    until(&T.frames);
    assert_int_equal(atomic_load(&home()->count.viewers), 1);
    in_hub(do_pause);
    assert_int_equal(atomic_load(&home()->count.viewers), 0);
    stopped_us = T.last_us;
    assert_true(T.frames < 3 * 25 && stopped_us < T0 + 10 * US_PER_S);
    assert_int_equal(play(&p), 200);
    assert_true(T.from_us <= stopped_us && T.from_us > stopped_us - 4 * US_PER_S);
    assert_int_equal(play(&far), 200); /* elsewhere, while it plays */
    until(&T.frames);
    assert_true(T.first_us >= T0 + 116 * US_PER_S);
}

/* A viewer that takes nothing is waited for. */
static void waits_for_room(void **state)
{
    struct rtsp_play p = range(T0, T0 + 2 * US_PER_S);

    (void)state;
    site_need_footage();
    assert_int_equal(open_at(T0), 200);
    T.full = true;
    assert_int_equal(play(&p), 200);
    httpd_help_settle(&site.help);
    assert_int_equal(T.frames, 0);
    in_hub(do_make_room);
    until(&T.ended);
    assert_int_equal(T.frames, 2 * 25);
}

/* A client's TEARDOWN may lie behind its PLAY, and is heard with the answer. */
static void freed_by_its_answer(void **state)
{
    struct rtsp_play p = range(T0, T0 + 2 * US_PER_S);

    (void)state;
    site_need_footage();
    assert_int_equal(open_at(T0), 200);
    T.leaves = true;
    assert_int_equal(play(&p), 200);
    httpd_help_settle(&site.help);
    assert_int_equal(T.frames, 0);
}

/* Described while it plays, it is the same, and plays on. */
static void described_again(void **state)
{
    struct rtsp_play p = range(T0 + 4 * US_PER_S, T0 + 6 * US_PER_S);

    (void)state;
    site_need_footage();
    assert_int_equal(open_at(T0), 200);
    T.full = true;
    assert_int_equal(play(&p), 200);
    in_hub(do_describe);
    assert_int_equal(T.start_us, T0);
    in_hub(do_make_room);
    until(&T.ended);
    assert_true(T.first_us <= T0 + 4 * US_PER_S && T.frames >= 2 * 25);
}

#define S(ms) (T0 + (ms)*US_PER_MS)

/* Of a token's window: ranges that reach over its edges are cut there, ranges outside are refused. The
 * footage has a key frame each second. */
static void no_further_than_allowed(void **state)
{
    static const struct {
        usec_t see_from_us, see_to_us; /* the window */
        usec_t from_us, to_us;         /* of the PLAY */
        int32_t scale_milli;
        unsigned status;
        usec_t first_us, end_us; /* first frame, and before when the last is */
        unsigned frames;         /* two less where what comes last is shown late */
    } rows[] = {
        {S(2500), S(6200), S(0), S(12000), 1000, 200, S(3000), S(6200), 80},
        {S(2500), S(6200), S(0), 0, 1000, 200, S(3000), S(6200), 80},
        {S(2500), S(6200), S(4000), S(5000), 1000, 200, S(4000), S(5000), 25},
        {S(2500), S(6200), S(2600), S(5000), 1000, 200, S(3000), S(5000), 50},
        {S(3000), S(6000), S(3000), S(6000), 1000, 200, S(3000), S(6000), 75},
        {S(3000) + 1, 0, S(0), S(6000), 1000, 200, S(4000), S(6000), 50},
        {0, S(6200), S(5000), 0, 1000, 200, S(5000), S(6200), 30},
        {S(2500), S(6200), S(0), S(2500), 1000, 403, 0, 0, 0},
        {S(2500), S(6200), S(6200), S(7000), 1000, 403, 0, 0, 0},
        {S(2500), S(6200), S(6200), 0, 1000, 403, 0, 0, 0},
        {S(2500), S(6200), S(100000), 0, 1000, 403, 0, 0, 0},
        {S(2500), S(6200), S(12000), 0, -1000, 200, S(6000), S(6200), 4}, /* backwards: 6, 5, 4, 3 s */
        {S(2500), S(6200), S(12000), S(4500), -1000, 200, S(6000), S(6200), 2},
        {S(2500), S(6200), S(12000), S(7000), -1000, 403, 0, 0, 0},
        {S(2500), S(6200), S(2000), 0, -1000, 403, 0, 0, 0},
    };

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct rtsp_play p = range(rows[i].from_us, rows[i].to_us);

        p.has_scale = rows[i].scale_milli != 1000;
        p.scale_milli = rows[i].scale_milli;
        assert_int_equal(open_seeing(0, (struct sight){rows[i].see_from_us, rows[i].see_to_us}), 200);
        assert_true(T.start_us >= rows[i].see_from_us);
        if (play(&p) != rows[i].status) fail_msg("row %zu: %u", i, T.played);
        if (T.played == 200) {
            until(&T.ended);
            if (T.first_us != rows[i].first_us || MAX(T.first_us, T.last_us) >= rows[i].end_us ||
                T.frames > rows[i].frames || T.frames + 2 < rows[i].frames ||
                MIN(T.first_us, T.last_us) < rows[i].see_from_us)
                fail_msg("row %zu: %u frames, %.3f to %.3f s", i, T.frames, (double)(T.first_us - T0) / 1e6,
                    (double)(T.last_us - T0) / 1e6);
        }
        if (i + 1 < ARRAY_N(rows)) in_hub(do_free);
    }
}

/* A seek to where nothing may be seen is refused, and what plays goes on. */
static void refused_while_it_plays(void **state)
{
    struct rtsp_play p = {.scale_milli = 1000}, outside = range(S(9000), 0);

    (void)state;
    site_need_footage();
    assert_int_equal(open_seeing(S(2000), (struct sight){S(2000), S(8000)}), 200);
    assert_int_equal(play(&p), 200);
    until(&T.frames);
    assert_int_equal(play(&outside), 403);
    until(&T.frames);
    assert_int_equal(T.ended, 0);
}

/* One to where nothing is recorded ends what plays, with a BYE for each track; then it plays again. */
static void ended_by_a_place_without_footage(void **state)
{
    struct rtsp_play p = {.scale_milli = 1000}, empty = range(clock_wall_us() + 3600 * US_PER_S, 0);

    (void)state;
    site_need_footage();
    assert_int_equal(open_at(T0), 200);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(play(&p), 200);
        until(&T.frames);
        assert_int_equal(play(&empty), 457);
        assert_int_equal(T.ended, 1);
        assert_int_equal(T.byes, 2);
        assert_int_equal(atomic_load(&home()->count.viewers), 0);
        assert_int_equal(play(&empty), 457); /* nothing plays that could end */
        assert_int_equal(T.ended + T.byes, 0);
    }
}

/* The window decides where what names no moment begins; before and behind all footage there is nothing. */
static void opened_in_a_window(void **state)
{
    static const struct {
        usec_t at_us;
        struct sight sight;
        unsigned status;
        usec_t start_us;
    } rows[] = {
        {0, {S(2500), S(6200)}, 200, S(3000)},
        {0, {S(50000), S(60000)}, 204, 0},
        {0, {S(2400), S(2900)}, 204, 0},
        {S(6200), {S(2500), S(6200)}, 403, 0},
        {S(4500), {S(2500), S(6200)}, 200, S(4000)},
        {0, {S(50000), 0}, 200, S(116000)},
    };

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        if (open_seeing(rows[i].at_us, rows[i].sight) != rows[i].status || T.start_us != rows[i].start_us)
            fail_msg("row %zu: %u, %.3f s", i, T.opened, (double)(T.start_us - T0) / 1e6);
        if (i + 1 < ARRAY_N(rows)) in_hub(do_free);
    }
}

static void paces_are_bounded(void **state)
{
    static const struct {
        int32_t asked, said;
    } rows[] = {{100, 250}, {500, 500}, {2000, 2000}, {64000, 32000}, {-1000, -1000}, {-99000, -32000}};

    (void)state;
    site_need_footage();
    assert_int_equal(open_at(T0 + 6 * US_PER_S), 200);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct rtsp_play p = {.has_scale = true, .scale_milli = rows[i].asked};

        assert_int_equal(play(&p), 200);
        assert_int_equal(T.said_milli, rows[i].said);
    }
}

/* By the place that the URL names 204 and 422; by a Range of the client's own 457. */
static void where_nothing_is(void **state)
{
    static const struct {
        usec_t at_us; /* behind T0 */
        unsigned status;
    } rows[] = {{50 * US_PER_S, 204}, {-3600 * US_PER_S, 204}, {INT64_C(100000000) * US_PER_S * 10, 422}};
    struct rtsp_play p;

    (void)state;
    site_need_footage();
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(open_at(T0 + rows[i].at_us), rows[i].status);
        in_hub(do_free);
    }
    assert_int_equal(open_at(T0), 200);
    p = range(clock_wall_us() + 3600 * US_PER_S, 0);
    assert_int_equal(play(&p), 457);
    p = range(T0 + 50 * US_PER_S, 0); /* a gap: the next footage */
    p.no_rate = false;
    assert_int_equal(play(&p), 200);
    assert_int_equal(T.from_us, T0 + 116 * US_PER_S);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(plays_to_its_end, end),
        cmocka_unit_test_teardown(stops_and_goes_on, end),
        cmocka_unit_test_teardown(waits_for_room, end),
        cmocka_unit_test_teardown(freed_by_its_answer, end),
        cmocka_unit_test_teardown(described_again, end),
        cmocka_unit_test_teardown(no_further_than_allowed, end),
        cmocka_unit_test_teardown(refused_while_it_plays, end),
        cmocka_unit_test_teardown(ended_by_a_place_without_footage, end),
        cmocka_unit_test_teardown(opened_in_a_window, end),
        cmocka_unit_test_teardown(paces_are_bounded, end),
        cmocka_unit_test_teardown(where_nothing_is, end),
    };

    return cmocka_run_group_tests(tests, site_start, site_stop);
}
