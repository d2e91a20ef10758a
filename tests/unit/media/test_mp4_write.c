/* MP4 written by us: read back by our reader, and by ffmpeg where it is there. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/media/mp4_read.h"
#include "tests/support/media_file.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <unistd.h>

#define ROOM (64u << 20)

static struct track_set every_codec_by_kind(void)
{
    struct track_set s = {.n = 4};

    s.t[0] = (struct track){CODEC_H264, TRACK_VIDEO, 90000, .width = 704, .height = 576, .sar_w = 12,
        .sar_h = 11, .config_n = 3, .config = {1, 2, 3}};
    s.t[1] = (struct track){CODEC_AAC, TRACK_AUDIO, 16000, 16000, 1, .config_n = 2, .config = {0x14, 0x08}};
    s.t[2] = (struct track){
        .codec = CODEC_PCMU, .kind = TRACK_AUDIO, .clock_hz = 8000, .sample_rate = 8000, .channels = 1};
    s.t[3] = (struct track){.codec = CODEC_ONVIF,
        .kind = TRACK_DATA,
        .clock_hz = 90000,
        .config_n = 18,
        .config = MP4_ONVIF_PLAIN};
    return s;
}

static struct span box_body(struct buf *b, const char *type)
{
    struct span all = buf_span(b), body = mp4_find(all, MP4_TYPE(type[0], type[1], type[2], type[3]));

    assert_non_null(body.p);
    return body;
}

static void init_segment_comes_back(void **state)
{
    struct track_set s = every_codec_by_kind();
    struct mp4_movie m;
    struct buf b;

    (void)state;
    buf_init(&b, ROOM);
    assert_true(mp4_init_segment(&b, &s, mp4_mask(&s, MP4_ALL)));
    assert_int_equal(mp4_read_moov(box_body(&b, "moov"), &m), MP4_OK);
    assert_int_equal(m.tracks.n, 4);
    for (unsigned i = 0; i < 4; i++) assert_int_equal(m.id[i], i + 1);
    assert_true(track_set_same(&s, &m.tracks));
    buf_done(&b);
}

static void other_video_and_audio_come_back(void **state)
{
    struct track_set s = {.n = 4};
    struct mp4_movie m;
    struct buf b;

    (void)state;
    s.t[0] = (struct track){.codec = CODEC_H265,
        .kind = TRACK_VIDEO,
        .clock_hz = 90000,
        .width = 3840,
        .height = 2160,
        .sar_w = 1,
        .sar_h = 1,
        .config_n = TRACK_CONFIG_MAX};
    s.t[1] = (struct track){.codec = CODEC_OPUS,
        .kind = TRACK_AUDIO,
        .clock_hz = 48000,
        .sample_rate = 48000,
        .channels = 2,
        .config_n = 11};
    s.t[2] = (struct track){
        .codec = CODEC_PCMA, .kind = TRACK_AUDIO, .clock_hz = 8000, .sample_rate = 8000, .channels = 2};
    s.t[3] = (struct track){.codec = CODEC_ONVIF,
        .kind = TRACK_DATA,
        .clock_hz = 90000,
        .config_n = 23,
        .config = "vnd.onvif.metadata.gzip"};
    buf_init(&b, ROOM);
    assert_true(mp4_init_segment(&b, &s, 0xff));
    assert_int_equal(mp4_read_moov(box_body(&b, "moov"), &m), MP4_OK);
    assert_true(track_set_same(&s, &m.tracks));
    buf_done(&b);
}

static void masks_leave_out_what_cannot_be_played(void **state)
{
    struct track_set s = every_codec_by_kind();
    struct mp4_movie m;
    struct buf b;

    (void)state;
    assert_int_equal(mp4_mask(&s, MP4_ALL), 0xf);
    assert_int_equal(mp4_mask(&s, MP4_PLAYABLE), 0x3);
    s.t[0].config_n = 0; /* parameter sets not seen yet */
    assert_int_equal(mp4_mask(&s, MP4_ALL), 0xe);
    buf_init(&b, ROOM);
    assert_true(mp4_init_segment(&b, &s, MP4_PLAYABLE));
    assert_int_equal(mp4_read_moov(box_body(&b, "moov"), &m), MP4_OK);
    assert_int_equal(m.tracks.n, 3);
    assert_int_equal(m.id[0], 2); /* ids do not move up */
    buf_clear(&b);
    b.limit = 100;
    assert_false(mp4_init_segment(&b, &s, 0xff));
    assert_int_equal(buf_n(&b), 0);
    buf_done(&b);
}

struct got {
    struct mp4_sample s[64];
    size_t n;
};
static bool put(void *arg, const struct mp4_sample *s)
{
    struct got *g = arg;

    g->s[g->n++] = *s;
    return g->n < ARRAY_N(g->s);
}

static int by_offset(const void *a, const void *b)
{
    const struct mp4_sample *x = a, *y = b;

    return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Writes a fragment, reads it back and compares all but the offset, which must run without a gap. */
static void fragment_comes_back(const struct mp4_sample *s, size_t n, const int64_t *base)
{
    struct track_set set = every_codec_by_kind();
    struct got got = {.n = 0};
    struct mp4_movie m;
    struct buf b;
    uint64_t head, at, payload = 0;
    uint32_t seq;

    for (size_t i = 0; i < n; i++) payload += s[i].size;
    buf_init(&b, ROOM);
    assert_true(mp4_init_segment(&b, &set, 0xff));
    assert_int_equal(mp4_read_moov(box_body(&b, "moov"), &m), MP4_OK);
    buf_clear(&b);
    assert_true(mp4_fragment_head(&b, 77, s, n, base));
    head = buf_n(&b);
    assert_int_equal(mp4_read_moof(box_body(&b, "moof"), 1000, 1000 + head + payload, &m,
                         &(struct mp4_sink){put, &got}, &seq),
        MP4_OK);
    assert_int_equal(seq, 77);
    assert_int_equal(got.n, n);
    qsort(got.s, n, sizeof(got.s[0]), by_offset);
    at = 1000 + head;
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got.s[i].offset, at);
        assert_int_equal(got.s[i].size, s[i].size);
        assert_int_equal(got.s[i].track, s[i].track);
        assert_int_equal(got.s[i].dts, s[i].dts - (base ? base[s[i].track] : 0));
        assert_int_equal(got.s[i].cts, s[i].cts);
        assert_int_equal(got.s[i].flags, s[i].flags & FRAME_KEY);
        at += s[i].size;
    }
    /* one byte less of the file, and the last sample is out of it */
    got.n = 0;
    assert_int_equal(mp4_read_moof(box_body(&b, "moof"), 1000, 1000 + head + payload - 1, &m,
                         &(struct mp4_sink){put, &got}, &seq),
        MP4_E_BAD);
    buf_done(&b);
}

static void fragments_come_back(void **state)
{
    static const int64_t base[TRACK_MAX] = {90000, 16000, 8000, 0};
    static const struct mp4_sample runs[] = {
        {.size = 5000, .dts = 90000, .cts = 7200, .dur = 3600, .flags = FRAME_KEY},
        {.size = 100, .dts = 93600, .cts = -3600, .dur = 3600},
        {.size = 300, .dts = 16000, .dur = 1024, .flags = FRAME_KEY, .track = 1},
        {.size = 301, .dts = 17024, .dur = 1024, .flags = FRAME_KEY, .track = 1},
        {.size = 100, .dts = 97300, .cts = 0, .dur = 3600},
        {.size = 302, .dts = 18048, .dur = 1024, .flags = FRAME_KEY, .track = 1},
        {.size = 160, .dts = 8000, .dur = 160, .flags = FRAME_KEY, .track = 2},
        {.size = 1, .dts = 7, .dur = 90000, .flags = FRAME_KEY, .track = 3},
    };
    static const struct mp4_sample one[] = {{.size = 1, .dts = 1ll << 48, .dur = 1, .flags = FRAME_KEY}};

    (void)state;
    fragment_comes_back(runs, ARRAY_N(runs), base);
    fragment_comes_back(runs, 1, NULL);
    fragment_comes_back(runs + 2, 2, NULL);
    fragment_comes_back(one, 1, NULL);
}

static void fragments_have_limits(void **state)
{
    struct mp4_sample s = {.size = INT32_MAX, .dur = 1}, bad = {.size = 1, .track = TRACK_MAX};
    struct buf b;

    (void)state;
    buf_init(&b, ROOM);
    assert_false(mp4_fragment_head(&b, 1, &s, 0, NULL));
    assert_false(mp4_fragment_head(&b, 1, &s, 1, NULL));
    assert_false(mp4_fragment_head(&b, 1, &bad, 1, NULL));
    assert_int_equal(buf_n(&b), 0);
    buf_done(&b);
}

static void write_file(const char *path, struct span a, struct span b)
{
    CLEANUP(fd_close) int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fd_write_all(fd, a), 0);
    assert_int_equal(fd_write_all(fd, b), 0);
}

/* The pictures and sounds ffmpeg decodes, as checksums. */
static void framemd5(const char *path, struct buf *out)
{
    buf_clear(out);
    assert_int_equal(tool_run((const char *const[]){"ffmpeg", "-nostdin", "-v", "error", "-xerror", "-i",
                                  path, "-map", "0", "-f", "streamhash", "-hash", "md5", "-", NULL},
                         out),
        0);
}

/* A file of ffmpeg's, read by our reader and written again by our writer in fragments of a second, decodes to
 * the same. */
static void rewritten_decodes_the_same(const char *codec, const char *audio)
{
    char dir[64], in[128], out[128];
    struct media_file f;
    struct buf b, want, got;

    tool_tmpdir(dir, sizeof(dir));
    snprintf(in, sizeof(in), "%s/in.mp4", dir);
    snprintf(out, sizeof(out), "%s/out.mp4", dir);
    if (!media_file_make(in, codec, audio, 3)) {
        tool_rmdir(dir);
        print_message("skipped: no ffmpeg with %s\n", codec);
        skip();
    }
    assert_int_equal(media_file_load(in, &f), MP4_OK);
    assert_int_equal(f.movie.tracks.n, audio ? 2 : 1);
    assert_true(f.n >= 75);
    buf_init(&b, ROOM);
    assert_true(mp4_init_segment(&b, &f.movie.tracks, 0xff));
    for (size_t from = 0; from < f.n; from += 60) {
        size_t n = MIN(f.n - from, 60);

        assert_true(mp4_fragment_head(&b, (uint32_t)from, f.s + from, n, NULL));
        for (size_t i = 0; i < n; i++) assert_true(buf_put(&b, media_file_data(&f, from + i)));
    }
    write_file(out, buf_span(&b), SPAN_NONE);
    buf_init(&want, ROOM);
    buf_init(&got, ROOM);
    framemd5(in, &want);
    framemd5(out, &got);
    assert_true(buf_n(&want) > 30);
    assert_true(span_eq(buf_span(&want), buf_span(&got)));

    /* the first key frame as a file of its own */
    buf_clear(&b);
    assert_true(mp4_one_frame(&b, &f.movie.tracks, 0, f.s[0].size));
    write_file(out, buf_span(&b), media_file_data(&f, 0));
    framemd5(out, &got);
    buf_clear(&got);
    assert_int_equal(
        tool_run((const char *const[]){"ffprobe", "-v", "error", "-count_frames", "-show_entries",
                     "stream=nb_read_frames,width,height", "-of", "csv=p=0", out, NULL},
            &got),
        0);
    assert_true(span_is(span_trim(buf_span(&got)), "320,240,1"));
    buf_done(&want);
    buf_done(&got);
    buf_done(&b);
    media_file_done(&f);
    tool_rmdir(dir);
}

static void h264_and_aac_decode_the_same(void **state)
{
    (void)state;
    rewritten_decodes_the_same("libx264", "aac");
}

static void h265_and_opus_decode_the_same(void **state)
{
    (void)state;
    rewritten_decodes_the_same("libx265", "libopus");
}

static void g711_decodes_the_same(void **state)
{
    (void)state;
    rewritten_decodes_the_same("libx264", "pcm_alaw");
}

static void one_frame_has_limits(void **state)
{
    struct track_set s = every_codec_by_kind();
    struct buf b;

    (void)state;
    buf_init(&b, ROOM);
    assert_true(mp4_one_frame(&b, &s, 0, 1));
    assert_false(mp4_one_frame(&b, &s, 0, 0));
    assert_false(mp4_one_frame(&b, &s, 4, 1));
    s.t[0].config_n = 0;
    assert_false(mp4_one_frame(&b, &s, 0, 1));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(init_segment_comes_back),
        cmocka_unit_test(other_video_and_audio_come_back),
        cmocka_unit_test(masks_leave_out_what_cannot_be_played),
        cmocka_unit_test(fragments_come_back),
        cmocka_unit_test(fragments_have_limits),
        cmocka_unit_test(one_frame_has_limits),
        cmocka_unit_test(h264_and_aac_decode_the_same),
        cmocka_unit_test(h265_and_opus_decode_the_same),
        cmocka_unit_test(g711_decodes_the_same),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
