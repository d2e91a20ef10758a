/* Silence in the place of sound that pauses. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/media/aac.h"
#include "common/media/opus.h"
#include "httpd/hush.h"

#define MS      US_PER_MS
#define PICTURE (40 * MS)
#define SOUND   (64 * MS) /* 1,024 samples of 16 kHz */

static struct {
    struct track_set tracks;
    struct hush h;
    usec_t every_us;             /* between two pictures */
    usec_t picture_us, sound_us; /* what comes next */
    usec_t end_us;               /* of what was given */
    unsigned given, dropped, silent;
    bool whole; /* nothing of it overlaps, no silence is ahead of the picture */
} T;

static void set_codec(enum codec codec, uint8_t channels, uint8_t object)
{
    struct track *t = &T.tracks.t[1];
    struct wr w = wr_of(t->config, sizeof(t->config));

    *t = (struct track){.codec = codec, .kind = TRACK_AUDIO, .clock_hz = codec == CODEC_OPUS ? 48000 : 16000};
    if (codec == CODEC_AAC) aac_config_write(&w, object, 16000, channels);
    t->config_n = (uint16_t)w.n;
}

static int set_up(void **state)
{
    (void)state;
    memset(&T, 0, sizeof(T));
    T.tracks.n = 2;
    T.tracks.t[0] = (struct track){.codec = CODEC_H264, .kind = TRACK_VIDEO, .clock_hz = 90000};
    set_codec(CODEC_AAC, 1, AAC_LC);
    T.every_us = PICTURE;
    T.picture_us = T.sound_us = 1000 * US_PER_S;
    T.whole = true;
    return 0;
}

static int64_t ticks(unsigned track, usec_t us)
{
    return scale_i64(us, T.tracks.t[track].clock_hz, 1000000);
}

static usec_t us_of(const struct frame *f)
{
    return ticks_us((struct ticks){f->dts, T.tracks.t[f->track].clock_hz});
}

static void take(const struct frame *f, usec_t dur_us)
{
    if (T.end_us > 0 && us_of(f) < T.end_us - MS) T.whole = false;
    T.end_us = us_of(f) + dur_us;
}

static void picture(void)
{
    struct frame f = {.dts = ticks(0, T.picture_us), .track = 0}, silence;

    hush_picture(&T.h, &T.tracks, 3, &f);
    while (hush_next(&T.h, &T.tracks, 1, &silence)) {
        take(&silence, ticks_us((struct ticks){silence.dur, T.tracks.t[1].clock_hz}));
        if (T.end_us > T.picture_us) T.whole = false; /* never ahead of the picture */
        T.silent++;
    }
    T.picture_us += T.every_us;
}

static void sound(void)
{
    struct frame f = {.dts = ticks(1, T.sound_us), .track = 1};

    if (hush_heard(&T.h, &T.tracks, &f)) {
        take(&f, SOUND);
        T.given++;
    } else {
        T.dropped++;
    }
    T.sound_us += SOUND;
}

/* Sound up to the next picture; it comes `late` behind in portions of so many frames. */
static void sounds(unsigned portion, usec_t late_us)
{
    while (portion > 0 && T.sound_us + (usec_t)portion * SOUND + late_us <= T.picture_us)
        for (unsigned i = 0; i < portion; i++) sound();
}

/* Pictures for so long, with sound. */
static void play(usec_t us, unsigned portion, usec_t late_us)
{
    for (usec_t end = T.picture_us + us; T.picture_us < end;) {
        picture();
        sounds(portion, late_us);
    }
}

static void silent_for(usec_t us)
{
    play(us, 0, 0);
    T.sound_us += us;
}

static void flowing_sound_is_left_alone(void **state)
{
    (void)state;
    play(10 * US_PER_S, 1, 0);
    assert_int_equal(T.silent + T.dropped, 0);
    assert_int_equal(T.given, 10 * US_PER_S / SOUND);
}

/* However far apart the pictures are: all of it is heard. */
static void few_pictures(void **state)
{
    static const usec_t every_us[] = {US_PER_S, 2500 * MS, 10 * US_PER_S};

    for (size_t i = 0; i < ARRAY_N(every_us); i++) {
        set_up(state);
        T.every_us = every_us[i];
        play(60 * US_PER_S, 1, 0);
        assert_int_equal(T.silent + T.dropped, 0);
        assert_int_equal(T.given, 60 * US_PER_S / SOUND);
        play(20 * US_PER_S, 0, 0); /* and when it stops, silence comes all the same */
        assert_true(T.silent > 0 && T.whole);
        assert_true(T.picture_us - T.every_us - T.end_us <= HUSH_US + SOUND);
    }
}

/* Late, too: once that is known, no frame of it is lost. */
static void few_pictures_and_late(void **state)
{
    unsigned silent, dropped;

    (void)state;
    T.every_us = US_PER_S;
    play(5 * US_PER_S, 1, 500 * MS);
    silent = T.silent;
    dropped = T.dropped;
    play(60 * US_PER_S, 1, 500 * MS);
    assert_int_equal(T.silent - silent + T.dropped - dropped, 0);
    assert_true(T.whole);
}

/* The encoder of the pictures stands, and sound goes on. */
static void pictures_that_stand(void **state)
{
    (void)state;
    play(5 * US_PER_S, 1, 0);
    for (unsigned i = 0; i < 3; i++) {
        T.picture_us += 3 * US_PER_S;
        sounds(1, 0);
        play(US_PER_S, 1, 0);
    }
    assert_int_equal(T.silent + T.dropped, 0);
    assert_true(T.whole && T.picture_us - T.end_us < SOUND);
}

static void late_by_habit(void **state)
{
    (void)state;
    play(2 * US_PER_S, 1, 200 * MS);
    silent_for(2 * US_PER_S);
    assert_true(T.silent > 0);
    play(2 * US_PER_S, 1, 200 * MS);
    assert_true(T.whole);
    /* as far behind the pictures as it was: what comes then is not taken for late */
    assert_true(T.dropped <= 1);
}

static void goes_on_as_silence(void **state)
{
    (void)state;
    play(5 * US_PER_S, 1, 0);
    for (unsigned i = 0; i < 25; i++) {
        silent_for(10 * PICTURE);
        assert_true(T.picture_us - T.end_us <= HUSH_US + 2 * SOUND);
    }
    assert_int_equal(T.dropped, 0);
    play(US_PER_S, 1, 0);
    assert_true(T.whole && T.dropped <= 1);
    assert_true(T.picture_us - T.end_us <= 2 * SOUND + PICTURE);
}

/* What comes for a time that was filled is left out; then it is there again. */
static void comes_after_all(void **state)
{
    unsigned before;

    (void)state;
    play(5 * US_PER_S, 1, 0);
    play(US_PER_S, 0, 0);
    assert_in_range(T.silent, (US_PER_S - 3 * SOUND) / SOUND, US_PER_S / SOUND + 1);
    before = T.given;
    while (T.sound_us + SOUND <= T.picture_us) sound(); /* at once what it had missed */
    assert_in_range(T.dropped, T.silent - 2, T.silent + 1);
    assert_true(T.given - before <= 2);
    play(US_PER_S, 1, 0);
    assert_true(T.whole && T.given - before >= US_PER_S / SOUND - 1);
}

/* Sixteen frames each second: once it is known for that, no frame of it is lost. */
static void comes_in_portions(void **state)
{
    unsigned dropped, silent;

    (void)state;
    play(3 * US_PER_S, 16, 0);
    dropped = T.dropped;
    silent = T.silent;
    play(20 * US_PER_S, 16, 0);
    assert_int_equal(T.dropped - dropped + T.silent - silent, 0);
    play(4 * US_PER_S, 0, 0); /* and when it stops, silence comes all the same */
    assert_true(T.silent > silent && T.whole);
    assert_true(T.picture_us - T.end_us < 2 * US_PER_S);
}

/* Behind missing footage; and where nothing was heard at all. */
static void after_a_break(void **state)
{
    (void)state;
    play(US_PER_S, 1, 0);
    hush_break(&T.h);
    T.picture_us += 60 * US_PER_S;
    T.sound_us = T.picture_us;
    T.end_us = 0;
    play(HUSH_US, 0, 0);
    assert_int_equal(T.silent, 0);
    play(US_PER_S, 0, 0);
    assert_true(T.silent > 0 && T.whole && T.picture_us - T.end_us <= HUSH_US);
}

/* No more at once than a fragment takes; the rest before the next pictures. */
static void pictures_jump(void **state)
{
    (void)state;
    play(US_PER_S, 1, 0);
    T.picture_us += 9 * US_PER_S;
    picture();
    assert_true(T.silent > 100 && T.whole);
}

static void sound_without_pictures(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++) sound();
    assert_int_equal(T.given, 100);
}

static void which_silence_is_known(void **state)
{
    static const struct {
        enum codec codec;
        uint8_t channels, object;
        bool can;
    } rows[] = {
        {CODEC_AAC, 1, AAC_LC, true},
        {CODEC_AAC, 2, AAC_LC, true},
        {CODEC_AAC, 6, AAC_LC, false},
        {CODEC_AAC, 1, 1, false},
        {CODEC_OPUS, 0, 0, true},
        {CODEC_PCMA, 0, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        set_codec(rows[i].codec, rows[i].channels, rows[i].object);
        assert_int_equal(hush_can(&T.tracks.t[1]), rows[i].can);
        T.silent = 0;
        hush_break(&T.h);
        silent_for(2 * US_PER_S);
        assert_int_equal(T.silent > 0, rows[i].can);
        if (rows[i].codec == CODEC_OPUS) assert_int_equal(opus_samples(hush_silence(&T.tracks.t[1])), 960);
    }
    T.tracks.t[1].config_n = 0; /* a config that is none */
    T.tracks.t[1].codec = CODEC_AAC;
    assert_false(hush_can(&T.tracks.t[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(flowing_sound_is_left_alone, set_up),
        cmocka_unit_test_setup(few_pictures, set_up),
        cmocka_unit_test_setup(few_pictures_and_late, set_up),
        cmocka_unit_test_setup(pictures_that_stand, set_up),
        cmocka_unit_test_setup(late_by_habit, set_up),
        cmocka_unit_test_setup(goes_on_as_silence, set_up),
        cmocka_unit_test_setup(comes_after_all, set_up),
        cmocka_unit_test_setup(comes_in_portions, set_up),
        cmocka_unit_test_setup(after_a_break, set_up),
        cmocka_unit_test_setup(pictures_jump, set_up),
        cmocka_unit_test_setup(sound_without_pictures, set_up),
        cmocka_unit_test_setup(which_silence_is_known, set_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
