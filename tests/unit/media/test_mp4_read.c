/* The box walker and the readers of moov and moof against hostile files (C1 of the regression classes), and
 * against files of many writers where the corpora are there. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "common/media/mp4_read.h"
#include "tests/support/media_file.h"

#include <dirent.h>

#define CORPUS "../shared/corpora/mp4-hls"

static int head(const char *hex_head, size_t n, uint64_t left, struct mp4_box *ret)
{
    return mp4_box_head(span(hex_head, n), left, ret);
}

static void c1_sizes_of_boxes(void **state)
{
    struct mp4_box b;

    (void)state;
    assert_int_equal(head("\0\0\0\x08"
                          "free",
                         8, 8, &b),
        MP4_OK);
    assert_int_equal(b.size, 8);
    assert_int_equal(b.head, 8);
    for (char n = 2; n < 8; n++) {
        char small[] = {0, 0, 0, n, 'f', 'r', 'e', 'e'};

        assert_int_equal(head(small, 8, 8, &b), MP4_E_BAD);
    }
    /* 0: to the end */
    assert_int_equal(head("\0\0\0\0mdat", 8, 1ull << 33, &b), MP4_OK);
    assert_int_equal(b.size, 1ull << 33);
    /* larger than the file */
    assert_int_equal(head("\0\0\0\x09mdat", 8, 8, &b), MP4_E_SHORT);
    assert_int_equal(head("\xff\xff\xff\xffmdat", 8, 4096, &b), MP4_E_SHORT);
    /* large sizes: 16 is the least, 15 is none, 2^63 and 2^64-1 are longer than any file */
    assert_int_equal(head("\0\0\0\1mdat\0\0\0\0\0\0\0\x10", 16, 16, &b), MP4_OK);
    assert_int_equal(b.head, 16);
    assert_int_equal(head("\0\0\0\1mdat\0\0\0\0\0\0\0\x0f", 16, 16, &b), MP4_E_BAD);
    assert_int_equal(head("\0\0\0\1mdat\0\0\0\0\0\0\0\0", 16, 16, &b), MP4_E_BAD);
    assert_int_equal(head("\0\0\0\1mdat\x80\0\0\0\0\0\0\0", 16, 4096, &b), MP4_E_SHORT);
    assert_int_equal(head("\0\0\0\1mdat\xff\xff\xff\xff\xff\xff\xff\xff", 16, 4096, &b), MP4_E_SHORT);
    /* cut in the header */
    for (size_t n = 0; n < 8; n++)
        assert_int_equal(head("\0\0\0\x08"
                              "free",
                             n, n, &b),
            MP4_E_SHORT);
    assert_int_equal(head("\0\0\0\1mdat\0\0\0\0\0\0\0\x10", 15, 15, &b), MP4_E_SHORT);
}

static void c1_child_larger_than_its_parent(void **state)
{
    static const char in[] = "\0\0\0\x10moof\0\0\0\x09mfhd"
                             "\0\0\0\x08"
                             "free";
    struct span rest = span(in, sizeof(in) - 1), body, child;
    uint32_t type;

    (void)state;
    assert_true(mp4_next(&rest, &type, &body));
    assert_int_equal(type, MP4_TYPE('m', 'o', 'o', 'f'));
    assert_int_equal(body.n, 8);
    assert_false(mp4_next(&body, &type, &child)); /* it would reach into free */
    assert_int_equal(body.n, 8);
    assert_true(mp4_next(&rest, &type, &body));
    assert_false(mp4_next(&rest, &type, &body));
    assert_int_equal(rest.n, 0);
    rest = SPAN_LIT("\0\0\0\0free");
    assert_false(mp4_next(&rest, &type, &body)); /* size 0 inside a parent */
    assert_null(mp4_find(SPAN_LIT("\0\0\0\x08"
                                  "free"),
        MP4_TYPE('m', 'o', 'o', 'v'))
                    .p);
}

/* A moof with one traf, tfhd of flags and fields, trun of flags and fields. */
struct made {
    uint8_t mem[512];
    struct wr w;
};
static struct span moof_of(struct made *m, uint32_t tfhd_flags, struct span tfhd, uint32_t trun_flags,
    uint32_t count, struct span trun)
{
    size_t traf, b;

    m->w = wr_of(m->mem, sizeof(m->mem));
    b = mp4_full_box(&m->w, "mfhd", 0, 0);
    wr_u32(&m->w, 1);
    mp4_box_end(&m->w, b);
    traf = mp4_box(&m->w, "traf");
    b = mp4_full_box(&m->w, "tfhd", 0, tfhd_flags);
    wr_u32(&m->w, 1);
    wr_bytes(&m->w, tfhd);
    mp4_box_end(&m->w, b);
    b = mp4_full_box(&m->w, "trun", 0, trun_flags);
    wr_u32(&m->w, count);
    wr_bytes(&m->w, trun);
    mp4_box_end(&m->w, b);
    mp4_box_end(&m->w, traf);
    return wr_span(&m->w);
}

static bool count(void *arg, const struct mp4_sample *s)
{
    size_t *n = arg;

    (void)s;
    ++*n;
    return true;
}

static int read_moof(struct span body, uint64_t bytes, size_t *ret_n)
{
    static const struct mp4_movie m = {
        .tracks = {.n = 1, .t = {{.codec = CODEC_PCMA, .clock_hz = 8000}}}, .id = {1}};
    struct mp4_sink sink = {count, ret_n};
    uint32_t seq;

    *ret_n = 0;
    return mp4_read_moof(body, 100, bytes, &m, &sink, &seq);
}

static void c1_counts_times_sizes(void **state)
{
    struct made m;
    size_t n;

    (void)state;
    /* 2^32-1 samples that need no byte each */
    assert_int_equal(read_moof(moof_of(&m, 0, SPAN_NONE, 0, UINT32_MAX, SPAN_NONE), 1000, &n), MP4_E_MANY);
    assert_int_equal(n, 0);
    assert_int_equal(read_moof(moof_of(&m, 0, SPAN_NONE, 0, MP4_SAMPLES_MAX, SPAN_NONE), 1000, &n), MP4_OK);
    assert_int_equal(n, MP4_SAMPLES_MAX);
    assert_int_equal(
        read_moof(moof_of(&m, 0, SPAN_NONE, 0, MP4_SAMPLES_MAX + 1, SPAN_NONE), 1000, &n), MP4_E_MANY);
    /* more samples than the box holds */
    assert_int_equal(
        read_moof(moof_of(&m, 0, SPAN_NONE, 0x200, 3, SPAN_LIT("\0\0\0\1\0\0\0\1")), 1000, &n), MP4_E_BAD);
    /* count times 16 would be 0 in 32 bits */
    assert_int_equal(
        read_moof(moof_of(&m, 0, SPAN_NONE, 0xf00, 0x10000000, SPAN_LIT("0123456789abcdef")), 1000, &n),
        MP4_E_MANY);
    /* a size that reaches behind the file, that sum up behind it, 2^32-1 */
    assert_int_equal(
        read_moof(moof_of(&m, 0, SPAN_NONE, 0x200, 1, SPAN_LIT("\0\0\3\x84")), 1000, &n), MP4_OK);
    assert_int_equal(
        read_moof(moof_of(&m, 0, SPAN_NONE, 0x200, 1, SPAN_LIT("\0\0\3\x85")), 1000, &n), MP4_E_BAD);
    assert_int_equal(
        read_moof(moof_of(&m, 0, SPAN_NONE, 0x200, 1, SPAN_LIT("\xff\xff\xff\xff")), 1000, &n), MP4_E_BAD);
    assert_int_equal(
        read_moof(moof_of(&m, 0x10, SPAN_LIT("\0\0\2\0"), 0, 2, SPAN_NONE), 1000, &n), MP4_E_BAD);
}

static void c1_offsets(void **state)
{
    struct made m;
    size_t n;

    (void)state;
    /* data offsets: before the file, at its end, behind it */
    assert_int_equal(
        read_moof(moof_of(&m, 0x20000, SPAN_NONE, 1, 0, SPAN_LIT("\xff\xff\xff\x9b")), 1000, &n), MP4_E_BAD);
    assert_int_equal(
        read_moof(moof_of(&m, 0x20000, SPAN_NONE, 1, 0, SPAN_LIT("\xff\xff\xff\x9c")), 1000, &n), MP4_OK);
    assert_int_equal(
        read_moof(moof_of(&m, 0x20000, SPAN_NONE, 1, 0, SPAN_LIT("\0\0\3\x84")), 1000, &n), MP4_OK);
    assert_int_equal(
        read_moof(moof_of(&m, 0x20000, SPAN_NONE, 1, 0, SPAN_LIT("\x7f\xff\xff\xff")), 1000, &n), MP4_E_BAD);
    /* base data offset: 2^63, 2^64-1 */
    assert_int_equal(
        read_moof(moof_of(&m, 1, SPAN_LIT("\x80\0\0\0\0\0\0\0"), 0, 1, SPAN_NONE), 1000, &n), MP4_E_BAD);
    assert_int_equal(
        read_moof(moof_of(&m, 1, SPAN_LIT("\xff\xff\xff\xff\xff\xff\xff\xff"), 0, 1, SPAN_NONE), 1000, &n),
        MP4_E_BAD);
    /* the moof itself behind the file */
    assert_int_equal(read_moof(moof_of(&m, 0, SPAN_NONE, 0, 1, SPAN_NONE), 99, &n), MP4_E_BAD);
    /* a fragment without a header, without anything */
    assert_int_equal(read_moof(SPAN_NONE, 1000, &n), MP4_E_BAD);
    assert_int_equal(read_moof(SPAN_LIT("\0\0\0\x08traf"), 1000, &n), MP4_E_BAD);
}

static void every_cut_of_a_moov_is_refused_or_read(void **state)
{
    struct track_set s = {.n = 1};
    struct mp4_movie m;
    struct span moov;
    struct buf b;

    (void)state;
    s.t[0] = (struct track){.codec = CODEC_AAC,
        .kind = TRACK_AUDIO,
        .clock_hz = 8000,
        .sample_rate = 8000,
        .channels = 1,
        .config_n = 2,
        .config = {0x15, 0x88}};
    buf_init(&b, 1u << 20);
    assert_true(mp4_init_segment(&b, &s, 0xff));
    moov = mp4_find(buf_span(&b), MP4_TYPE('m', 'o', 'o', 'v'));
    assert_true(moov.n > 0);
    for (size_t n = 0; n < moov.n; n++) {
        uint8_t *copy = mem_dup(moov.p, MAX(n, 1)); /* ends where it ends */

        mp4_read_moov(span(copy, n), &m);
        assert_true(m.tracks.n <= 1);
        mem_free(copy);
    }
    assert_int_equal(mp4_read_moov(moov, &m), MP4_OK);
    assert_int_equal(m.tracks.n, 1);
    buf_done(&b);
}

/* name in the corpus, tracks of ours, samples in fragments; from its MANIFEST and README */
static const struct corpus_row {
    const char *path;
    unsigned tracks;
    size_t samples;
} corpus[] = {
    {"androidx/mp4/sample_fragmented.mp4", 2, 76},
    {"androidx/mp4/sample_fragmented_seekable_multiple_sidx.mp4", 1, 600},
    {"androidx/mp4/sample_fragmented_sgpd_v2.mp4", 0, 0}, /* encrypted: not ours */
    {"androidx/mp4/sample_opus_fragmented.mp4", 1, 250}, {"mp4ff/bbb5s_aac_sidx.mp4", 1, 235},
    {"mp4ff/v300_multiple_segments.mp4", 1, 240},
    {"mp4ff/bbb_prog_10s.mp4", 2, 0}, /* progressive: tracks only */
};

static void files_of_other_writers(void **state)
{
    DIR *dir = opendir(CORPUS);

    (void)state;
    if (!dir) {
        print_message("skipped: no " CORPUS "\n");
        skip();
    }
    closedir(dir);
    for (size_t i = 0; i < ARRAY_N(corpus); i++) {
        struct media_file f;
        char path[256];

        snprintf(path, sizeof(path), CORPUS "/%s", corpus[i].path);
        assert_int_equal(media_file_load(path, &f), MP4_OK);
        if (f.movie.tracks.n != corpus[i].tracks || f.n != corpus[i].samples)
            fail_msg("%s: %u tracks, %zu samples", path, f.movie.tracks.n, f.n);
        media_file_done(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(c1_sizes_of_boxes),
        cmocka_unit_test(c1_child_larger_than_its_parent),
        cmocka_unit_test(c1_counts_times_sizes),
        cmocka_unit_test(c1_offsets),
        cmocka_unit_test(every_cut_of_a_moov_is_refused_or_read),
        cmocka_unit_test(files_of_other_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
