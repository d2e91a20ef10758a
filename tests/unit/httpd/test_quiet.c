/* Sound that is announced and does not come, comes late, stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <string.h>

#include "common/base/err.h"
#include "common/base/fd.h"
#include "httpd/quiet.h"

#define VIDEO_HZ 90000
#define SOUND_HZ 16000
#define SOUND    1u

struct bench {
    struct track_set tracks;
    struct ring_writer *w;
    struct ring_reader *r;
    int fd;
};

static int set_up(void **state)
{
    static struct bench b;

    b = (struct bench){.fd = -1};
    b.tracks.gen = 1;
    b.tracks.n = 2;
    b.tracks.t[0] = (struct track){.codec = CODEC_H264, .kind = TRACK_VIDEO, .clock_hz = VIDEO_HZ};
    b.tracks.t[1] = (struct track){.codec = CODEC_AAC, .kind = TRACK_AUDIO, .clock_hz = SOUND_HZ};
    must(ring_mem_create("quiet", 1, 7, (struct ring_geom){1u << 20, 4096}, &b.fd) == 0);
    must(ring_writer_open(b.fd, &b.w) == 0);
    must(ring_reader_open(b.fd, &b.r) == 0);
    *state = &b;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *b = *state;

    ring_reader_close(b->r);
    ring_writer_close(b->w);
    fd_close(&b->fd);
    return 0;
}

static struct frame frame_at(const struct bench *b, unsigned track, usec_t at_us)
{
    int64_t dts = scale_i64(at_us, b->tracks.t[track].clock_hz, 1000000);

    return (struct frame){.dts = dts, .gen = 1, .track = (uint8_t)track, .flags = FRAME_KEY};
}

static void put(struct bench *b, unsigned track, usec_t at_us)
{
    struct frame f = frame_at(b, track, at_us);
    struct piece piece = {.s = SPAN_LIT("x")};
    uint64_t seq;

    must(ring_put(b->w, &f, &piece, 1, &seq) == RING_OK);
}

static void heard(struct bench *b, struct quiet *q, unsigned track, usec_t from_us, usec_t to_us)
{
    for (usec_t at = from_us; at <= to_us; at += 100 * US_PER_MS) {
        struct frame f = frame_at(b, track, at);

        quiet_frame(q, &b->tracks, &f);
    }
}

static void test_only_announced(void **state)
{
    struct bench *b = *state;
    struct quiet q = {.out = 0};

    for (usec_t at = 0; at < QUIET_US; at += US_PER_S / 10) put(b, 0, at);
    assert_false(quiet_look(&q, b->r, 1, &b->tracks, US_PER_S));
    put(b, 0, QUIET_US);
    assert_true(quiet_look(&q, b->r, 1, &b->tracks, US_PER_S));
    assert_int_equal(q.out, 1u << SOUND);
}

/* A picture that comes too slowly to measure by it. */
static void test_decided_in_the_end(void **state)
{
    struct bench *b = *state;
    struct quiet q = {.out = 0};

    put(b, 0, 0);
    assert_false(quiet_look(&q, b->r, 1, &b->tracks, US_PER_S));
    assert_false(quiet_look(&q, b->r, 1, &b->tracks, US_PER_S + QUIET_LATE_US - 1));
    assert_true(quiet_look(&q, b->r, 1, &b->tracks, US_PER_S + QUIET_LATE_US));
    assert_int_equal(q.out, 1u << SOUND);
}

static void test_sound_is_there_at_once(void **state)
{
    struct bench *b = *state;
    struct quiet q = {.out = 0};

    put(b, 0, 0);
    assert_false(quiet_look(&q, b->r, 1, &b->tracks, US_PER_S));
    put(b, SOUND, 20 * US_PER_MS);
    assert_true(quiet_look(&q, b->r, 1, &b->tracks, US_PER_S));
    assert_int_equal(q.out, 0);
}

static void test_nothing_to_decide_without_video(void **state)
{
    struct bench *b = *state;
    struct quiet q = {.out = 0};

    b->tracks.t[0].kind = TRACK_DATA;
    assert_true(quiet_look(&q, b->r, 1, &b->tracks, US_PER_S));
    assert_int_equal(q.out, 0);
}

static void test_comes_late(void **state)
{
    struct bench *b = *state;
    struct quiet q = {.out = 1u << SOUND};

    heard(b, &q, 0, 0, 10 * US_PER_S);
    assert_int_equal(quiet_now(&q, &b->tracks), 1u << SOUND);
    /* a click is no sound yet */
    heard(b, &q, SOUND, 10 * US_PER_S, 10 * US_PER_S + QUIET_BACK_US - 100 * US_PER_MS);
    assert_int_equal(quiet_now(&q, &b->tracks), 1u << SOUND);
    heard(b, &q, SOUND, 10 * US_PER_S + QUIET_BACK_US, 11 * US_PER_S);
    heard(b, &q, 0, 11 * US_PER_S, 11 * US_PER_S);
    assert_int_equal(quiet_now(&q, &b->tracks), 0);
}

static void test_stops(void **state)
{
    struct bench *b = *state;
    struct quiet q = {.out = 0};

    heard(b, &q, SOUND, 0, 5 * US_PER_S);
    heard(b, &q, 0, 0, 5 * US_PER_S + QUIET_AFTER_US);
    assert_int_equal(quiet_now(&q, &b->tracks), 0);
    heard(b, &q, 0, 5 * US_PER_S + QUIET_AFTER_US + US_PER_MS, 5 * US_PER_S + QUIET_AFTER_US + US_PER_MS);
    assert_int_equal(quiet_now(&q, &b->tracks), 1u << SOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_announced, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_decided_in_the_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sound_is_there_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nothing_to_decide_without_video, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_comes_late, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stops, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
