/* The recorder with a policy: stretches begin with a key frame of the ring, end before the first picture
 * behind them, join without a cut, and survive the worker. Times are seconds of footage; a key frame a
 * second. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "tests/support/recorder_rig.h"
#include "tests/support/ring_help.h"

#define GOP 25

/* The footage of this test ends about now: a stretch in the future is not yet over. */
static void begin(struct rec_rig *b, bool all)
{
    struct rec_policy *p = NEW(struct rec_policy);

    b->step_us = clock_wall_us() / US_PER_S * US_PER_S - REC_RIG_START_US;
    p->all = all;
    recorder_policy(b->rec, p);
    recorder_set(b->rec, true, 120 * US_PER_S);
    recorder_folder(b->rec, "a", rec_rig_folder(b), 0);
    mem_free(p);
}

static usec_t at(const struct rec_rig *b, double s)
{
    return REC_RIG_START_US + b->step_us + (usec_t)(s * 1e6);
}

static void want(struct rec_rig *b, struct rec_policy *p, uint64_t id, double from, double to)
{
    rec_policy_event(p, id, at(b, from), at(b, to), at(b, from));
    recorder_policy(b->rec, p);
}

/* Until n segments are closed: the recorder is woken as the worker does. */
static void wait_closed(struct rec_rig *b, unsigned n)
{
    while (b->n_infos < n) {
        recorder_poke(b->rec);
        loop_run(b->loop);
    }
}

static double second_of(const struct rec_rig *b, usec_t t_us)
{
    return (double)(t_us - at(b, 0)) / 1e6;
}

static void assert_spans(const struct rec_rig *b, unsigned i, double from, double to)
{
    const struct seg_info *s = &b->infos[i];

    if (second_of(b, s->start_us) != from || second_of(b, s->end_us) != to)
        fail_msg("segment %u: %.3f to %.3f", i, second_of(b, s->start_us), second_of(b, s->end_us));
}

static void nothing_is_recorded_without_a_window(void **state)
{
    struct rec_rig *b = *state;
    struct ring_status *s = ring_writer_status(b->w);
    usec_t late_us = clock_mono_us() + REC_RIG_WAIT_US;

    begin(b, false);
    rec_rig_put(b, 100, GOP, 0);
    recorder_poke(b->rec);
    while (atomic_load(&s->record_state) != RECORD_ARMED) assert_true(clock_mono_us() < late_us);
    rec_rig_stop(b);
    assert_int_equal(b->opened, 0);
}

/* From the key frame at or before the beginning, to the last picture before the end. */
static void a_window_begins_at_a_key_frame_and_ends_exactly(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    rec_rig_put(b, 100, GOP, 0);
    want(b, &p, 1, 2.5, 5.2);
    rec_rig_put(b, 100, GOP, 0);
    wait_closed(b, 1);
    assert_spans(b, 0, 2, 5.2);
    rec_rig_stop(b);
    assert_int_equal(b->n_infos, 1);
    assert_int_equal(rec_rig_video_samples(b), 80);
    assert_true(b->infos[0].flags & SEG_DISCONT);
}

static void a_window_that_begins_with_a_key_frame(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    rec_rig_put(b, 150, GOP, 0);
    want(b, &p, 1, 3, 4);
    wait_closed(b, 1);
    assert_spans(b, 0, 3, 4);
}

/* The ring does not go back so far: from its first key frame on. */
static void a_window_from_before_the_ring(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    b->frame = 5;
    rec_rig_put(b, 100, GOP, 0);
    want(b, &p, 1, -10, 3);
    wait_closed(b, 1);
    assert_spans(b, 0, 1, 3);
}

static void overlapping_windows_are_one_recording(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    rec_rig_put(b, 100, GOP, 0);
    rec_policy_event(&p, 1, at(b, 1), at(b, 3), at(b, 1)); /* told at once: the first alone would be over */
    want(b, &p, 2, 2.5, 6);
    rec_rig_put(b, 100, GOP, 0);
    wait_closed(b, 1);
    rec_rig_stop(b);
    assert_int_equal(b->n_infos, 1);
    assert_spans(b, 0, 1, 6);
}

/* The first one is in a file already when the second is told of: no frame twice, none missing. */
static void a_window_told_late_goes_on_behind_the_file(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    rec_rig_put(b, 100, GOP, 0);
    want(b, &p, 1, 1, 2.6);
    wait_closed(b, 1);
    want(b, &p, 2, 2.2, 3.4);
    wait_closed(b, 2);
    assert_spans(b, 0, 1, 2.6);
    assert_spans(b, 1, 2.6, 3.4);
    assert_int_equal(b->infos[1].flags & SEG_DISCONT, 0);
    /* The key frame before this one is in the file: the frames between are taken too. */
    want(b, &p, 3, 3.6, 3.8);
    wait_closed(b, 3);
    assert_spans(b, 2, 3.4, 3.8);
    rec_rig_stop(b);
    assert_int_equal(rec_rig_video_samples(b), 70);
}

static void windows_apart_are_recordings_apart(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    rec_rig_put(b, 200, GOP, 0);
    want(b, &p, 1, 1.5, 2.2);
    want(b, &p, 2, 5.5, 6.2);
    wait_closed(b, 2);
    assert_spans(b, 0, 1, 2.2);
    assert_spans(b, 1, 5, 6.2);
    assert_true(b->infos[1].flags & SEG_DISCONT);
}

/* The camera was silent from 4 s to 24 s: nothing is kept of what came before and behind. */
static void a_window_without_frames_is_nothing(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    rec_rig_put(b, 100, GOP, 0);
    b->frame = 600;
    rec_rig_put(b, 100, GOP, FRAME_DISCONT);
    want(b, &p, 1, 10, 20);
    want(b, &p, 2, 25, 26);
    wait_closed(b, 1);
    rec_rig_stop(b);
    assert_int_equal(b->n_infos, 1);
    assert_spans(b, 0, 25, 26);
}

/* dvr-chunk cuts a long event, at key frames. */
static void a_long_window_is_cut(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    recorder_set(b->rec, true, 5 * US_PER_S);
    want(b, &p, 1, 1, 9);
    rec_rig_put(b, 25, GOP, 0);
    for (int i = 0; i < 8; i++) {
        rec_rig_put(b, 25, GOP, 0);
        recorder_poke(b->rec);
        rec_rig_recorded(b);
    }
    rec_rig_put(b, 25, GOP, 0);
    wait_closed(b, 2);
    assert_spans(b, 0, 1, 6);
    assert_spans(b, 1, 6, 9);
    assert_int_equal(b->infos[1].flags & SEG_DISCONT, 0);
}

/* A worker that died in an event: the next one is told of it again, and goes on where the files end. */
static void the_next_worker_goes_on(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    want(b, &p, 1, 1.5, 60);
    rec_rig_put(b, 100, GOP, 0);
    recorder_poke(b->rec);
    rec_rig_recorded(b);
    rec_rig_stop(b);
    rec_rig_recorder(b);
    rec_rig_put(b, 50, GOP, 0); /* by the dead one: the ring has them, no file has */
    want(b, &p, 1, 1.5, 7);
    recorder_set(b->rec, true, 120 * US_PER_S);
    recorder_folder(b->rec, "a", rec_rig_folder(b), 0);
    rec_rig_put(b, 50, GOP, 0);
    wait_closed(b, 2);
    assert_spans(b, 0, 1, 4);
    assert_spans(b, 1, 4, 7);
    assert_int_equal(b->infos[1].flags & SEG_DISCONT, 0);
}

/* From everything to windows, and back. */
static void the_mode_changes_while_it_records(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, true);
    rec_rig_put(b, 100, GOP, 0);
    recorder_poke(b->rec);
    rec_rig_recorded(b);
    recorder_policy(b->rec, &p);
    wait_closed(b, 1);
    assert_spans(b, 0, 0, 4);
    rec_rig_put(b, 50, GOP, 0);
    p.all = true;
    recorder_policy(b->rec, &p);
    rec_rig_recorded(b);
    rec_rig_stop(b);
    assert_spans(b, 1, 4, 6);
}

/* No frame comes any more: the file is closed when the stretch is over by the clock. */
static void a_silent_camera_ends_the_recording(void **state)
{
    struct rec_rig *b = *state;
    struct rec_policy p = {.n = 0};

    begin(b, false);
    b->step_us -= 10 * US_PER_S;
    rec_rig_put(b, 100, GOP, 0);
    want(b, &p, 1, 1, 6);
    wait_closed(b, 1);
    assert_spans(b, 0, 1, 4);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rec_rig_setup, rec_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_recorded_without_a_window),
        TEST(a_window_begins_at_a_key_frame_and_ends_exactly),
        TEST(a_window_that_begins_with_a_key_frame),
        TEST(a_window_from_before_the_ring),
        TEST(overlapping_windows_are_one_recording),
        TEST(a_window_told_late_goes_on_behind_the_file),
        TEST(windows_apart_are_recordings_apart),
        TEST(a_window_without_frames_is_nothing),
        TEST(a_long_window_is_cut),
        TEST(the_next_worker_goes_on),
        TEST(the_mode_changes_while_it_records),
        TEST(a_silent_camera_ends_the_recording),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
