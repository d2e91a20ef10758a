/* MPEG transport streams: what is written is read back by a strict reader, byte for byte, and by ffprobe and
 * tsdemux where they are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/media/ts.h"
#include "tests/support/media_file.h"
#include "tests/support/tool.h"
#include "tests/support/ts_read.h"

#include <fcntl.h>
#include <unistd.h>

#define SECONDS  4
#define START_US (1700000000 * US_PER_S)
#define ROOM     (64u << 20)

static char dir[64];

static int make_dir(void **state)
{
    (void)state;
    tool_tmpdir(dir, sizeof(dir));
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    tool_rmdir(dir);
    return 0;
}

/* A stream as it is written: pieces of one picture and the sound that lies with it. */
struct stream {
    struct media_file file;
    struct track_set tracks;
    struct ts_program program;
    struct ts_run run;
    struct buf out;
    struct mp4_sample s[64];
    struct buf data;
    size_t n;
    usec_t at_us; /* media time of the file's start */
};

static bool open_stream(struct stream *t, const char *codec, const char *audio)
{
    char path[128];

    *t = (struct stream){.at_us = START_US};
    snprintf(path, sizeof(path), "%s/%s.mp4", dir, codec);
    if (!media_file_make(path, codec, audio, SECONDS) || media_file_load(path, &t->file) != 0) {
        print_message("skipped: no ffmpeg with %s\n", codec);
        return false;
    }
    t->tracks = t->file.movie.tracks;
    ts_program_of(&t->program, &t->tracks, ~0u);
    buf_init(&t->out, ROOM);
    buf_init(&t->data, ROOM);
    return true;
}

static void close_stream(struct stream *t)
{
    media_file_done(&t->file);
    buf_done(&t->out);
    buf_done(&t->data);
}

static void flush(struct stream *t, bool begins)
{
    struct ts_place place;
    struct ts_piece piece = {&t->program, &place, t->s, t->n, buf_span(&t->data)};
    size_t bytes;
    uint8_t *at;

    if (t->n == 0) return;
    ts_run_next(&t->run, &piece, ticks_us((struct ticks){t->s[0].dts, t->tracks.t[t->s[0].track].clock_hz}),
        begins || t->s[0].flags & FRAME_KEY, &place);
    bytes = place.packets * TS_PACKET;
    at = buf_room(&t->out, bytes);
    assert_non_null(at);
    ts_write(&piece, at);
    buf_added(&t->out, bytes);
    t->n = 0;
    buf_clear(&t->data);
}

static void take(struct stream *t, size_t i)
{
    struct frame f = media_file_frame(&t->file, i, t->at_us);

    t->s[t->n++] = (struct mp4_sample){.size = (uint32_t)f.data.n,
        .dts = f.dts,
        .cts = f.cts,
        .dur = f.dur,
        .flags = f.flags,
        .track = f.track};
    assert_true(buf_put(&t->data, f.data));
}

/* The file once more, in the order of decode times, as frames come from a camera. */
static void play(struct stream *t)
{
    size_t next[TRACK_MAX] = {0}, left = t->file.n;

    for (; left > 0; left--) {
        size_t best = SIZE_MAX;
        int64_t best_us = INT64_MAX;

        for (uint8_t track = 0; track < t->tracks.n; track++) {
            size_t i = next[track];
            int64_t us;

            while (i < t->file.n && t->file.s[i].track != track) i++;
            next[track] = i;
            if (i == t->file.n) continue;
            us = ticks_us((struct ticks){t->file.s[i].dts, t->tracks.t[track].clock_hz});
            if (us < best_us) {
                best_us = us;
                best = i;
            }
        }
        next[t->file.s[best].track]++;
        if (t->tracks.t[t->file.s[best].track].kind == TRACK_VIDEO || t->n == ARRAY_N(t->s)) flush(t, false);
        take(t, best);
    }
    flush(t, false);
    t->at_us += SECONDS * US_PER_S;
}

static struct ts_read *read_back(const struct stream *t)
{
    struct ts_read *r = ts_read_new();

    if (!ts_read(r, buf_span(&t->out)) || !ts_read_end(r)) fail_msg("packet %zu: %s", r->packets, r->bad);
    return r;
}

/* A picture's units, each behind a start code in place of its length, are the end of its PES packet. */
static void same_picture(const struct media_file *f, size_t i, struct span es)
{
    struct span want = media_file_data(f, i), got = span_from(es, es.n - MIN(want.n, es.n));
    struct rd w = rd_of(want), g = rd_of(got);

    while (rd_left(&w) > 0) {
        uint32_t n = rd_u32(&w);

        assert_int_equal(rd_u32(&g), 1);
        assert_true(span_eq(rd_bytes(&g, n), rd_bytes(&w, n)));
    }
    assert_true(rd_ok(&w) && rd_ok(&g));
}

static void pictures_come_back(const struct stream *t, const struct ts_read *r, uint8_t aud)
{
    size_t k = 0, pictures = 0;

    for (size_t i = 0; i < t->file.n; i++) {
        const struct mp4_sample *s = &t->file.s[i];
        struct span es;
        bool key = s->flags & FRAME_KEY;

        if (s->track != 0) continue;
        while (k < r->n_pes && r->pes[k].pid != TS_PID_TRACKS) k++;
        assert_true(k < r->n_pes);
        es = span_sub(buf_span(&r->es), r->pes[k].at, r->pes[k].n);
        assert_int_equal(es.p[3], 1);
        assert_int_equal(es.p[4], aud);
        assert_int_equal(r->pes[k].random, key);
        assert_true(r->pes[k].n > s->size + (key ? 20u : 0));
        same_picture(&t->file, i, es);
        assert_int_equal(r->pes[k].pts - r->pes[k].dts, scale_i64(s->cts, 90000, t->tracks.t[0].clock_hz));
        pictures++;
        k++;
    }
    assert_int_equal(pictures, SECONDS * 25);
}

static unsigned frames_said(struct span said, const char *codec)
{
    struct span line, name;
    uint64_t n;

    while (span_split(&said, '\n', &line))
        if (span_split(&line, ',', &name) && span_is(name, codec) && span_u64(span_trim(line), 100000, &n))
            return (unsigned)n;
    return 0;
}

static void save(const struct stream *t, char *path, size_t cap)
{
    int fd;

    snprintf(path, cap, "%s/out.ts", dir);
    fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    must(fd >= 0 && fd_write_all(fd, buf_span(&t->out)) == 0);
    fd_close(&fd);
}

/* Every frame decodes, and ffmpeg has nothing to say. */
static void ffmpeg_plays(const struct stream *t, const char *codec, unsigned pictures)
{
    char path[128];
    const char *count[] = {"ffprobe", "-v", "error", "-count_frames", "-show_entries",
        "stream=codec_name,nb_read_frames", "-of", "csv=p=0", path, NULL};
    const char *decode[] = {"ffmpeg", "-nostdin", "-v", "warning", "-xerror", "-err_detect", "explode", "-i",
        path, "-f", "null", "-", NULL};
    struct buf said;

    save(t, path, sizeof(path));
    buf_init(&said, 1 << 20);
    assert_int_equal(tool_run(count, &said), 0);
    assert_int_equal(frames_said(buf_span(&said), codec), pictures);
    buf_done(&said);
    assert_int_equal(tool_run(decode, NULL), 0);
}

static void gstreamer_plays(const struct stream *t, const char *parser)
{
    char path[128], location[160];
    const char *argv[] = {
        "gst-launch-1.0", "-q", "filesrc", location, "!", "tsdemux", "!", parser, "!", "fakesink", NULL};

    if (!tool_exists("gst-launch-1.0")) return;
    save(t, path, sizeof(path));
    snprintf(location, sizeof(location), "location=%s", path);
    assert_int_equal(tool_run(argv, NULL), 0);
}

static void h264_and_aac(void **state)
{
    struct stream t;
    struct ts_read *r;

    (void)state;
    if (!open_stream(&t, "libx264", "aac")) skip();
    play(&t);
    r = read_back(&t);
    assert_int_equal(r->n_streams, 2);
    assert_int_equal(r->stream[0].type, 0x1b);
    assert_int_equal(r->stream[1].type, 0x0f);
    assert_int_equal(r->pcr_pid, TS_PID_TRACKS);
    assert_int_equal(r->version, 0);
    assert_true(r->pmts >= SECONDS * 8); /* each 100 ms, on a picture */
    pictures_come_back(&t, r, 9);
    ts_read_free(r);
    ffmpeg_plays(&t, "h264", SECONDS * 25);
    gstreamer_plays(&t, "h264parse");
    close_stream(&t);
}

static void h265(void **state)
{
    struct stream t;
    struct ts_read *r;

    (void)state;
    if (!open_stream(&t, "libx265", "aac")) skip();
    play(&t);
    r = read_back(&t);
    assert_int_equal(r->stream[0].type, 0x24);
    pictures_come_back(&t, r, 0x46);
    assert_true(span_find_span(buf_span(&t.out), SPAN_LIT("\x05\x04HEVC")) > 0);
    ts_read_free(r);
    ffmpeg_plays(&t, "hevc", SECONDS * 25);
    gstreamer_plays(&t, "h265parse");
    close_stream(&t);
}

/* Opus and G.711 are left out, the picture is not. */
static void what_has_no_form_is_left_out(void **state)
{
    struct stream t;
    struct ts_read *r;

    (void)state;
    if (!open_stream(&t, "libx264", "libopus")) skip();
    assert_int_equal(t.tracks.n, 2);
    assert_int_equal(t.program.mask, 1);
    play(&t);
    r = read_back(&t);
    assert_int_equal(r->n_streams, 1);
    ts_read_free(r);
    close_stream(&t);
}

static void nothing_to_write(void **state)
{
    struct track_set set = {.n = 1, .t = {{.codec = CODEC_PCMA, .kind = TRACK_AUDIO, .clock_hz = 8000}}};
    struct mp4_sample s = {.size = 160, .dur = 160};
    struct ts_program p;
    struct ts_run run = {0};
    struct ts_place place;

    (void)state;
    ts_program_of(&p, &set, ~0u);
    assert_int_equal(p.mask, 0);
    ts_run_next(&run, &(struct ts_piece){.program = &p, .s = &s, .n = 1}, 0, true, &place);
    assert_int_equal(place.packets, 0);
}

/* Sound alone has the clock on it. */
static void sound_alone(void **state)
{
    struct stream t;
    struct ts_read *r;

    (void)state;
    if (!open_stream(&t, "libx264", "aac")) skip();
    ts_program_of(&t.program, &t.tracks, 1u << 1);
    play(&t);
    r = read_back(&t);
    assert_int_equal(r->n_streams, 1);
    assert_int_equal(r->pcr_pid, TS_PID_TRACKS + 1);
    ts_read_free(r);
    close_stream(&t);
}

/* A camera of one picture in two seconds: the clock is still told. */
static void the_clock_goes_on_between_pictures(void **state)
{
    struct stream t;
    struct ts_read *r;

    (void)state;
    if (!open_stream(&t, "libx264", NULL)) skip();
    for (unsigned i = 0; i < 10; i++) {
        take(&t, 0);
        t.s[0].dts += (int64_t)i * 2 * t.tracks.t[0].clock_hz;
        t.s[0].dur = 2 * t.tracks.t[0].clock_hz;
        flush(&t, false);
    }
    r = read_back(&t);
    assert_true(r->pcrs >= 200);
    ts_read_free(r);
    close_stream(&t);
}

/* Media time passes 2^33 ticks of 90 kHz each 26.5 hours. */
static void the_clock_wraps(void **state)
{
    struct stream t;
    struct ts_read *r;

    (void)state;
    if (!open_stream(&t, "libx264", "aac")) skip();
    t.at_us = scale_i64(INT64_C(179000) << 33, 1000000, 90000) - 2 * US_PER_S;
    play(&t);
    r = read_back(&t);
    assert_true(r->pes[0].dts > r->pes[r->n_pes - 1].dts);
    ts_read_free(r);
    close_stream(&t);
}

/* Another set of tracks: another version of the map, and the counters go on. */
static void other_tracks_go_on(void **state)
{
    struct stream a, b;
    struct ts_read *r;

    (void)state;
    if (!open_stream(&a, "libx264", "aac") || !open_stream(&b, "libx265", "aac")) skip();
    play(&a);
    b.run = a.run;
    b.run.discont = true;
    b.at_us = a.at_us + 5 * US_PER_S;
    play(&b);
    assert_true(buf_put(&a.out, buf_span(&b.out)));
    r = read_back(&a);
    assert_int_equal(r->version, 1);
    assert_int_equal(r->said_jumps, 1);
    ts_read_free(r);
    close_stream(&a);
    close_stream(&b);
}

/* Half a second is left out for a slow viewer: it is said, on every PID. */
static void a_gap_is_said(void **state)
{
    struct stream t;
    struct ts_read *r = ts_read_new();
    struct ts_place place = {.cc = {3, 4, 5, 6}};
    uint8_t gap[TS_GAP_MAX];
    size_t first;

    (void)state;
    if (!open_stream(&t, "libx264", "aac")) skip();
    play(&t);
    first = buf_n(&t.out);
    assert_true(ts_read(r, buf_span(&t.out)));
    t.at_us += 7 * US_PER_S;
    for (unsigned i = 0; i < TS_SLOTS; i++) place.cc[i] = t.run.cc[i] = (t.run.cc[i] + 5) & 15;
    play(&t);
    assert_int_equal(ts_gap(&t.program, &place, gap), 4 * TS_PACKET);
    assert_true(ts_read(r, span(gap, 4 * TS_PACKET)));
    if (!ts_read(r, span_from(buf_span(&t.out), first)) || !ts_read_end(r)) fail_msg("%s", r->bad);
    ts_read_free(r);
    close_stream(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(h264_and_aac),
        cmocka_unit_test(h265),
        cmocka_unit_test(what_has_no_form_is_left_out),
        cmocka_unit_test(nothing_to_write),
        cmocka_unit_test(sound_alone),
        cmocka_unit_test(the_clock_goes_on_between_pictures),
        cmocka_unit_test(the_clock_wraps),
        cmocka_unit_test(other_tracks_go_on),
        cmocka_unit_test(a_gap_is_said),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
