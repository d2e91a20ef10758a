/* The HLS window: how long segments are, what the playlist promises. Fragments are made up, of 40 ms. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "httpd/hls.h"
#include "httpd/window.h"
#include "tests/support/playlist.h"
#include "tests/support/ring_help.h"

#define FRAME_US (40 * US_PER_MS)

struct bench {
    struct window w;
    struct init *init;
    struct chunk *bytes;
    int64_t us;
    unsigned promised;
    uint64_t msn;
};

static int setup(void **state)
{
    struct bench *b = NEW(struct bench);
    struct track_set tracks;

    ring_help_tracks(&tracks);
    b->init = init_new(&tracks, 0);
    b->bytes = chunk_new(1000);
    assert_true(b->init && b->bytes);
    window_init(&b->w, 100, 0);
    window_watched(&b->w, true);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    window_done(&b->w);
    init_unref(b->init);
    chunk_unref(b->bytes);
    mem_free(b);
    return 0;
}

static bool fragment(struct bench *b, bool key, usec_t dur_us)
{
    struct fragment *f = mem_new(sizeof(*f));
    bool closed;

    *f = (struct fragment){.refs = 1,
        .c = chunk_ref(b->bytes),
        .key = key,
        .wall_us = b->us + US_PER_S,
        .start_us = b->us,
        .end_us = b->us + dur_us};
    b->us += dur_us;
    closed = window_add(&b->w, f, b->init);
    fragment_unref(f);
    return closed;
}

/* What a player holds the server to, each time it asks. */
static struct span playlist(struct bench *b)
{
    struct body *body = window_playlist(&b->w);
    struct span text = span(body->plain->data, body->plain->n);
    unsigned target = (unsigned)playlist_tag(text, "#EXT-X-TARGETDURATION:");

    if (b->promised == 0) b->promised = target;
    assert_int_equal(target, b->promised);
    assert_true(playlist_tag(text, "#EXT-X-MEDIA-SEQUENCE:") >= b->msn);
    b->msn = playlist_tag(text, "#EXT-X-MEDIA-SEQUENCE:");
    for (size_t i = b->w.n - b->w.n_listed; i < b->w.n; i++) {
        assert_true(b->w.v[i].dur_us > 0);
        assert_true(hls_rounded_s(b->w.v[i].dur_us) <= b->promised);
    }
    return text;
}

static bool says(struct span text, const char *what)
{
    return span_find_span(text, span_of(what)) >= 0;
}

/* Pictures of 40 ms, a key frame every gop_us, asked for whenever a segment was closed. */
static void run(struct bench *b, usec_t gop_us, usec_t for_us)
{
    for (usec_t at = 0; at < for_us; at += FRAME_US)
        if (fragment(b, at % gop_us == 0, FRAME_US)) playlist(b);
}

static usec_t newest(const struct bench *b)
{
    return b->w.v[b->w.n - 1].dur_us;
}

static void the_usual_camera(void **state)
{
    struct bench *b = *state;

    run(b, 2 * US_PER_S, 60 * US_PER_S);
    assert_int_equal(b->promised, 4); /* the first segment closes with the first whole group */
    assert_int_equal(newest(b), 4 * US_PER_S);
    assert_true(says(playlist(b), "#EXT-X-INDEPENDENT-SEGMENTS"));
}

/* The first viewer does not wait for the end of the first group. */
static void a_group_not_seen_yet(void **state)
{
    struct bench *b = *state;

    run(b, 5 * US_PER_S, WINDOW_FIRST_US);
    assert_true(window_hurry(&b->w));
    playlist(b);
    assert_int_equal(b->promised, WINDOW_UNKNOWN_S);
    for (usec_t at = WINDOW_FIRST_US; at < 60 * US_PER_S; at += FRAME_US)
        if (fragment(b, at % (5 * US_PER_S) == 0, FRAME_US)) playlist(b);
    assert_int_equal(newest(b), 5 * US_PER_S);
}

/* Captured for a while when the first viewer comes: the worker has measured it. */
static void what_was_measured_is_promised(void **state)
{
    struct bench *b = *state;

    window_hint(&b->w, 2 * US_PER_S);
    run(b, 2 * US_PER_S, 60 * US_PER_S);
    assert_int_equal(b->promised, 4);
    assert_int_equal(newest(b), 4 * US_PER_S);
}

static void a_long_group_is_promised(void **state)
{
    struct bench *b = *state;

    window_hint(&b->w, 8 * US_PER_S);
    run(b, 8 * US_PER_S, 80 * US_PER_S);
    assert_int_equal(b->promised, 9);
    assert_int_equal(newest(b), 8 * US_PER_S);
    assert_true(says(playlist(b), "#EXT-X-INDEPENDENT-SEGMENTS"));
}

/* Groups get longer while somebody watches: two of them no longer fit, so a segment is one. */
static void longer_groups_that_fit_one_by_one(void **state)
{
    struct bench *b = *state;

    window_hint(&b->w, 2 * US_PER_S);
    run(b, 2 * US_PER_S, 40 * US_PER_S);
    run(b, 3 * US_PER_S, 60 * US_PER_S);
    assert_int_equal(b->promised, 4);
    assert_int_equal(newest(b), 3 * US_PER_S);
    assert_true(says(playlist(b), "#EXT-X-INDEPENDENT-SEGMENTS"));
}

/* They get longer than the promise: segments begin inside them, and players are told where they can begin. */
static void longer_groups_are_cut(void **state)
{
    struct bench *b = *state;

    window_hint(&b->w, US_PER_S);
    run(b, US_PER_S, 40 * US_PER_S);
    assert_int_equal(b->promised, 4);
    run(b, 12 * US_PER_S, 60 * US_PER_S);
    assert_false(says(playlist(b), "#EXT-X-INDEPENDENT-SEGMENTS"));
    assert_true(says(playlist(b), "#EXT-X-START:TIME-OFFSET=-"));
    run(b, US_PER_S, 60 * US_PER_S);
    assert_int_equal(newest(b), 4 * US_PER_S);
    assert_true(says(playlist(b), "#EXT-X-INDEPENDENT-SEGMENTS"));
}

static void no_key_frames_at_all(void **state)
{
    struct bench *b = *state;

    run(b, INT64_MAX, 120 * US_PER_S);
    assert_int_equal(b->promised, WINDOW_MOST_S);
    run(b, 2 * US_PER_S, 60 * US_PER_S);
    assert_true(says(playlist(b), "#EXT-X-INDEPENDENT-SEGMENTS"));
}

/* One picture stands longer than a segment may be: it ends at the promise, and a gap follows. */
static void a_picture_that_stands(void **state)
{
    struct bench *b = *state;

    window_hint(&b->w, US_PER_S);
    run(b, US_PER_S, 20 * US_PER_S);
    fragment(b, true, 9 * US_PER_S);
    fragment(b, true, FRAME_US);
    fragment(b, false, FRAME_US);
    playlist(b);
    window_break(&b->w);
    assert_true(b->w.v[b->w.n - 1].discont);
    playlist(b);
}

/* Long before anybody asks, and then for the first time. */
static void nothing_is_promised_before_it_is_asked(void **state)
{
    struct bench *b = *state;

    window_watched(&b->w, false);
    for (usec_t at = 0; at < 30 * US_PER_S; at += FRAME_US) fragment(b, at % (5 * US_PER_S) == 0, FRAME_US);
    assert_int_equal(b->w.target_s, 0);
    window_watched(&b->w, true);
    playlist(b);
    assert_int_equal(b->promised, 5);
    run(b, 5 * US_PER_S, 60 * US_PER_S);
    assert_int_equal(newest(b), 5 * US_PER_S);
}

/* Behind a change of the kinds of tracks the playlist lists nothing of before; numbers go on. */
static void sound_that_comes_late(void **state)
{
    struct bench *b = *state;
    struct init *both = b->init;
    struct track_set tracks;

    ring_help_tracks(&tracks);
    b->init = init_new(&tracks, 1u << 1);
    run(b, 2 * US_PER_S, 30 * US_PER_S);
    init_unref(b->init);
    b->init = both;
    window_break(&b->w);
    assert_int_equal(playlist_tag(playlist(b), "#EXT-X-DISCONTINUITY-SEQUENCE:"), 0);
    run(b, 2 * US_PER_S, 4 * US_PER_S);
    fragment(b, true, FRAME_US);
    assert_int_equal(b->w.n_listed, 1);
    assert_true(says(playlist(b), "#EXT-X-DISCONTINUITY\n"));
    run(b, 2 * US_PER_S, 30 * US_PER_S);
    assert_int_equal(playlist_tag(playlist(b), "#EXT-X-DISCONTINUITY-SEQUENCE:"), 1);
}

/* --- low latency --- */

static struct span low(struct bench *b)
{
    struct body *body = window_low_playlist(&b->w);

    playlist(b);
    return span(body->plain->data, body->plain->n);
}

/* Eight frames a part, eleven parts and a rest in 4 s; those of three targets are listed, and the next is
 * hinted. */
static void parts_are_listed_and_hinted(void **state)
{
    struct bench *b = *state;
    struct span text;

    run(b, 2 * US_PER_S, 30 * US_PER_S);
    window_low_begin(&b->w);
    text = low(b);
    assert_true(says(
        text, "#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK=1.041000,CAN-SKIP-UNTIL=24.0\n"));
    assert_true(says(text, "#EXT-X-PART-INF:PART-TARGET=0.347000\n"));
    run(b, 2 * US_PER_S, 6 * US_PER_S);
    text = low(b);
    assert_true(
        playlist_count(text, "#EXT-X-PART:") >= 3 * 12 && playlist_count(text, "#EXT-X-PART:") <= 5 * 13);
    assert_int_equal(playlist_count(text, "#EXT-X-PRELOAD-HINT:TYPE=PART,URI="), 1);
    assert_true(says(text, "#EXT-X-PART:DURATION=0.320000,URI=\"live-"));
    assert_true(says(text, ".0.m4s\",INDEPENDENT=YES\n"));
    assert_false(says(playlist(b), "PART")); /* the plain one stays as it is */
    /* More is listed than in the plain one, up to the same end. */
    assert_true(
        playlist_tag(text, "#EXT-X-MEDIA-SEQUENCE:") < playlist_tag(playlist(b), "#EXT-X-MEDIA-SEQUENCE:"));
    run(b, 2 * US_PER_S, 60 * US_PER_S);
    text = low(b);
    assert_int_equal(playlist_count(text, "#EXTINF:"), WINDOW_LOW_LISTED);
    assert_int_equal(playlist_tag(text, "#EXT-X-MEDIA-SEQUENCE:") + WINDOW_LOW_LISTED, b->w.next_msn);
}

/* What a delta update says behind what it leaves out is what the whole playlist says there. */
static void delta_updates_leave_out_what_is_old(void **state)
{
    struct bench *b = *state;
    struct span whole, delta, line, rest;
    uint64_t n, behind_us = 0;

    run(b, 2 * US_PER_S, 12 * US_PER_S);
    window_low_begin(&b->w);
    playlist(b);
    assert_ptr_equal(window_low_delta(&b->w), window_low_playlist(&b->w)); /* nothing is old enough */
    run(b, 2 * US_PER_S, 60 * US_PER_S);
    whole = low(b);
    delta = span(window_low_delta(&b->w)->plain->data, window_low_delta(&b->w)->plain->n);
    assert_true(says(delta, "#EXT-X-VERSION:9\n") && !says(whole, "#EXT-X-SKIP"));
    n = playlist_tag(delta, "#EXT-X-SKIP:SKIPPED-SEGMENTS=");
    assert_int_equal(playlist_count(whole, "#EXTINF:") - playlist_count(delta, "#EXTINF:"), n);
    assert_true(n >= 3);
    assert_int_equal(
        playlist_tag(delta, "#EXT-X-MEDIA-SEQUENCE:"), playlist_tag(whole, "#EXT-X-MEDIA-SEQUENCE:"));
    assert_false(says(delta, "#EXT-X-MAP")); /* the player has it */
    for (size_t i = b->w.n - WINDOW_LOW_LISTED + n; i < b->w.n; i++) behind_us += (uint64_t)b->w.v[i].dur_us;
    assert_true(behind_us + 4 * US_PER_S >= HLS_SKIP_TARGETS * 4 * US_PER_S);
    /* Line by line the same, from the end on. */
    rest = span_from(delta, (size_t)span_find_span(delta, SPAN_LIT("#EXT-X-SKIP")));
    span_split(&rest, '\n', &line);
    assert_true(span_eq(span_from(whole, whole.n - rest.n), rest));
    window_watched(&b->w, false);
    assert_null(window_low_delta(&b->w));
}

/* What is listed for low latency only counts as not yet over. */
static void discontinuities_that_are_still_listed(void **state)
{
    struct bench *b = *state;
    uint64_t plain = 0, low_seq = 0;

    run(b, 2 * US_PER_S, 12 * US_PER_S);
    window_low_begin(&b->w);
    for (unsigned i = 0; i < 12; i++) {
        window_break(&b->w);
        run(b, 2 * US_PER_S, 12 * US_PER_S);
        plain = playlist_tag(playlist(b), "#EXT-X-DISCONTINUITY-SEQUENCE:");
        assert_true(playlist_tag(low(b), "#EXT-X-DISCONTINUITY-SEQUENCE:") >= low_seq);
        low_seq = playlist_tag(low(b), "#EXT-X-DISCONTINUITY-SEQUENCE:");
    }
    assert_int_equal(plain + playlist_count(playlist(b), "#EXT-X-DISCONTINUITY\n"), 12);
    assert_int_equal(low_seq + playlist_count(low(b), "#EXT-X-DISCONTINUITY\n"), 12);
    assert_true(low_seq < plain);
}

static void other_renditions_are_reported(void **state)
{
    struct bench *b = *state;
    struct window_report r = {.uri = "../sub/video.ll.m3u8", .msn = 7, .part = 3};
    uint64_t msn;
    int64_t part;

    run(b, 2 * US_PER_S, 30 * US_PER_S);
    assert_false(window_low_last(&b->w, &msn, &part));
    window_low_begin(&b->w);
    b->w.reports[b->w.n_reports++] = r;
    r.part = -1;
    b->w.reports[b->w.n_reports++] = r;
    assert_true(says(low(b),
        "m4s\"\n#EXT-X-RENDITION-REPORT:URI=\"../sub/video.ll.m3u8\",LAST-MSN=7,LAST-PART=3\n"
        "#EXT-X-RENDITION-REPORT:URI=\"../sub/video.ll.m3u8\",LAST-MSN=7\n"));
    assert_false(says(playlist(b), "REPORT"));
    while (!fragment(b, b->us % (2 * US_PER_S) == 0, FRAME_US)) continue;
    assert_true(window_low_last(&b->w, &msn, &part)); /* of the one that has just closed */
    assert_true(msn == b->w.next_msn - 1 && part == 12);
    for (unsigned i = 0; i < 8; i++) fragment(b, false, FRAME_US);
    assert_true(window_low_last(&b->w, &msn, &part));
    assert_true(msn == b->w.next_msn - 1 && part == 12); /* a part of 0 is none to hls.js */
    for (unsigned i = 0; i < 8; i++) fragment(b, false, FRAME_US);
    assert_true(window_low_last(&b->w, &msn, &part));
    assert_true(msn == b->w.next_msn && part == 1);
}

static void what_is_there_comes_soon_or_is_far(void **state)
{
    struct bench *b = *state;
    const struct segment *s;
    const struct part *p;
    uint64_t next;

    run(b, 2 * US_PER_S, 30 * US_PER_S);
    window_low_begin(&b->w);
    while (!fragment(b, b->us % (2 * US_PER_S) == 0, FRAME_US)) continue; /* a segment has just begun */
    for (unsigned i = 1; i < 10; i++) fragment(b, false, FRAME_US);
    next = b->w.next_msn;
    assert_int_equal(b->w.open.parts.n, 1);
    assert_int_equal(window_has(&b->w, next - 1, -1), WINDOW_THERE);
    assert_int_equal(window_has(&b->w, next, 0), WINDOW_THERE);
    assert_int_equal(window_has(&b->w, next, 1), WINDOW_SOON);
    assert_int_equal(window_has(&b->w, next, -1), WINDOW_SOON);
    assert_int_equal(window_has(&b->w, next, 9), WINDOW_SOON); /* 3 s ahead are 9 parts */
    assert_int_equal(window_has(&b->w, next, 10), WINDOW_FAR);
    assert_int_equal(window_has(&b->w, next + 1, 0), WINDOW_SOON);
    assert_int_equal(window_has(&b->w, next + 2, 0), WINDOW_FAR);
    assert_int_equal(window_has(&b->w, 0, 0), WINDOW_THERE);
    assert_int_equal(window_has(&b->w, next - 1, 99), WINDOW_THERE); /* the next segment's first */
    assert_int_equal(window_part(&b->w, next, 0, &s, &p), WINDOW_THERE);
    assert_int_equal(p->n, 8);
    assert_int_equal(window_part(&b->w, next, 1, &s, &p), WINDOW_SOON); /* it is hinted at */
    assert_int_equal(window_part(&b->w, next, 2, &s, &p), WINDOW_GONE);
    assert_int_equal(window_part(&b->w, next + 1, 0, &s, &p), WINDOW_GONE);
    assert_int_equal(window_part(&b->w, next - 1, 99, &s, &p), WINDOW_GONE);
    for (unsigned i = 0; i < 6; i++) fragment(b, false, FRAME_US);
    assert_int_equal(window_has(&b->w, next, 1), WINDOW_THERE);
}

/* What plain players fetch takes nothing from those of low latency, and the other way round. */
static void segments_keep_their_parts_while_listed(void **state)
{
    struct bench *b = *state;
    const struct segment *s;
    const struct part *p;
    uint64_t msn;

    run(b, 2 * US_PER_S, 20 * US_PER_S);
    window_low_begin(&b->w);
    run(b, 2 * US_PER_S, 8 * US_PER_S);
    msn = b->w.next_msn - 1;
    assert_int_equal(window_part(&b->w, msn, 0, &s, &p), WINDOW_THERE);
    assert_int_equal(s->parts.n, 13);
    assert_int_equal(s->n, 100);
    run(b, 2 * US_PER_S, 30 * US_PER_S);
    assert_non_null(window_find(&b->w, msn)); /* not listed any more */
    assert_int_equal(window_part(&b->w, msn, 0, &s, &p), WINDOW_THERE);
    window_watched(&b->w, false);
    assert_int_equal(b->w.part_us, 0);
    assert_int_equal(b->w.open.parts.n, 0);
    run(b, 2 * US_PER_S, 10 * US_PER_S);
    assert_null(window_low_playlist(&b->w));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_usual_camera, setup, teardown),
        cmocka_unit_test_setup_teardown(a_group_not_seen_yet, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_measured_is_promised, setup, teardown),
        cmocka_unit_test_setup_teardown(a_long_group_is_promised, setup, teardown),
        cmocka_unit_test_setup_teardown(longer_groups_that_fit_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(longer_groups_are_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(no_key_frames_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(a_picture_that_stands, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_promised_before_it_is_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(sound_that_comes_late, setup, teardown),
        cmocka_unit_test_setup_teardown(parts_are_listed_and_hinted, setup, teardown),
        cmocka_unit_test_setup_teardown(delta_updates_leave_out_what_is_old, setup, teardown),
        cmocka_unit_test_setup_teardown(discontinuities_that_are_still_listed, setup, teardown),
        cmocka_unit_test_setup_teardown(other_renditions_are_reported, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_there_comes_soon_or_is_far, setup, teardown),
        cmocka_unit_test_setup_teardown(segments_keep_their_parts_while_listed, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
