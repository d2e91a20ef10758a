#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/bits.h"
#include "common/media/annexb.h"
#include "common/media/h264.h"
#include "tests/support/corpora.h"
#include "tests/support/manifest.h"

/* 1920x1080 High 4.0, 1088 lines cropped, with a whole VUI. */
static const uint8_t sps_1080[] = {0x67, 0x64, 0x00, 0x28, 0xac, 0xd9, 0x40, 0x78, 0x02, 0x27, 0xe5, 0x84,
    0x00, 0x00, 0x03, 0x00, 0x04, 0x00, 0x00, 0x03, 0x00, 0xf0, 0x3c, 0x60, 0xc6, 0x58};
static const uint8_t pps_0[] = {0x68, 0xee, 0x3c, 0x80};

/* A writer of bits for hand-made parameter sets. */
struct bw {
    uint8_t p[256];
    size_t bits;
};

static void put(struct bw *w, uint32_t v, unsigned n)
{
    for (unsigned i = n; i-- > 0; w->bits++)
        if (v >> i & 1) w->p[w->bits / 8] |= (uint8_t)(0x80 >> w->bits % 8);
}

static void put_ue(struct bw *w, uint32_t v)
{
    unsigned n = 0;

    while ((v + 1) >> (n + 1)) n++;
    put(w, 0, n);
    put(w, v + 1, n + 1);
}

/* Baseline, in macroblocks, cropped, then a VUI or not. */
static struct bw make_sps(uint8_t profile, uint32_t mb_w, uint32_t mb_h, const uint32_t *crop)
{
    struct bw w = {0};

    put(&w, 0x67, 8);
    put(&w, profile, 8);
    put(&w, 0, 8);
    put(&w, 30, 8);
    put_ue(&w, 0);
    put_ue(&w, 0); /* frame_num: 4 bits */
    put_ue(&w, 0); /* poc type 0 */
    put_ue(&w, 4); /* lsb: 8 bits */
    put_ue(&w, 1);
    put(&w, 0, 1);
    put_ue(&w, mb_w - 1);
    put_ue(&w, mb_h - 1);
    put(&w, 1, 1);
    put(&w, 1, 1);
    put(&w, crop != NULL, 1);
    for (unsigned i = 0; crop && i < 4; i++) put_ue(&w, crop[i]);
    return w;
}

static struct span bytes(const struct bw *w)
{
    return span(w->p, (w->bits + 7) / 8);
}

static void test_sps(void **state)
{
    struct h264_sps s;

    (void)state;
    assert_int_equal(h264_sps_parse(span(sps_1080, sizeof sps_1080), &s), H264_OK);
    assert_int_equal(s.profile, 100);
    assert_int_equal(s.level, 40);
    assert_int_equal(s.width, 1920);
    assert_int_equal(s.height, 1080);
    assert_int_equal(s.sar_w, 1);
}

/* V10: crop, SAR, a VUI that breaks off, bytes behind the end. */
static void test_v10_sps_oddities(void **state)
{
    static const uint32_t crop[] = {0, 2, 0, 4}, absurd[] = {1000, 1000, 1000, 1000};
    struct bw w = make_sps(66, 22, 18, crop);
    struct h264_sps s, t;
    uint8_t tail[300];

    (void)state;
    put(&w, 0, 1);
    put(&w, 1, 1);
    assert_int_equal(h264_sps_parse(bytes(&w), &s), H264_OK);
    assert_int_equal(s.width, 352 - 4);
    assert_int_equal(s.height, 288 - 8);
    assert_int_equal(s.reorder, 0); /* baseline */

    w = make_sps(77, 44, 36, NULL);
    put(&w, 1, 1);   /* VUI */
    put(&w, 1, 1);   /* aspect ratio */
    put(&w, 255, 8); /* extended */
    put(&w, 40, 16);
    put(&w, 33, 16);
    put(&w, 3, 2); /* and then nothing */
    assert_int_equal(h264_sps_parse(bytes(&w), &s), H264_OK);
    assert_int_equal(s.width, 704);
    assert_int_equal(s.sar_w, 40);
    assert_int_equal(s.sar_h, 33);
    assert_int_equal(s.reorder, -1);

    memset(tail, 0x5a, sizeof tail);
    memcpy(tail, bytes(&w).p, bytes(&w).n);
    assert_int_equal(h264_sps_parse(span(tail, sizeof tail), &t), H264_OK);
    assert_int_equal(t.width, 704);

    w = make_sps(66, 22, 18, absurd);
    put(&w, 0, 1);
    put(&w, 1, 1);
    assert_int_equal(h264_sps_parse(bytes(&w), &s), H264_OK);
    assert_int_equal(s.width, 352);
    assert_int_equal(s.height, 288);
}

static void test_sps_refused(void **state)
{
    struct bw w = make_sps(66, 22, 18, NULL);
    struct h264_sps s;

    (void)state;
    for (size_t n = 0; n < 8; n++) assert_int_equal(h264_sps_parse(span(w.p, n), &s), H264_E_BAD);
    w.p[0] = 0x68;
    assert_int_equal(h264_sps_parse(bytes(&w), &s), H264_E_BAD);
    w = make_sps(66, H264_SIZE_MAX / 16, 18, NULL);
    assert_int_equal(h264_sps_parse(bytes(&w), &s), H264_OK);
    w = make_sps(66, H264_SIZE_MAX / 16 + 1, 18, NULL);
    assert_int_equal(h264_sps_parse(bytes(&w), &s), H264_E_BAD);
}

/* The core of two SPS is the same when they differ in timing only. */
static void test_core(void **state)
{
    struct h264_sps s[3];

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct bw w = make_sps(77, i == 2 ? 40 : 44, 36, NULL);

        put(&w, 1, 1); /* VUI: only timing */
        put(&w, 0, 4);
        put(&w, 1, 1);
        put(&w, 1000, 32);
        put(&w, i == 0 ? 50000 : 60000, 32);
        put(&w, 1, 1);
        put(&w, 0, 4);
        put(&w, 1, 1);
        assert_int_equal(h264_sps_parse(bytes(&w), &s[i]), H264_OK);
    }
    assert_true(s[0].core == s[1].core);
    assert_true(s[0].core != s[2].core);
}

static void test_config(void **state)
{
    struct params p = {0};
    struct track_bytes {
        uint8_t b[2048];
    } mem;
    struct wr w = wr_of(mem.b, sizeof mem.b);
    static const uint8_t pps_1[] = {0x68, 0x5b, 0x8f, 0x20};
    struct h264_pps got;

    (void)state;
    assert_false(h264_config(&w, &p, PARAMS_WANTED));
    assert_int_equal(h264_params_put(&p, span(pps_1, sizeof pps_1)), PARAMS_NEW);
    assert_int_equal(h264_params_put(&p, span(sps_1080, sizeof sps_1080)), PARAMS_NEW);
    assert_int_equal(h264_params_put(&p, span(pps_0, sizeof pps_0)), PARAMS_NEW);
    assert_int_equal(h264_params_put(&p, span(pps_0, sizeof pps_0)), PARAMS_OK);
    assert_int_equal(h264_pps_parse(span(pps_1, sizeof pps_1), &got), H264_OK);
    assert_int_equal(got.id, 1);
    w = wr_of(mem.b, sizeof mem.b);
    assert_true(h264_config(&w, &p, PARAMS_WANTED));
    assert_int_equal(mem.b[0], 1);
    assert_int_equal(mem.b[1], 0x64);
    assert_int_equal(mem.b[5], 0xe1);
    assert_int_equal(mem.b[8 + sizeof sps_1080], 2); /* both picture parameter sets (V8) */
    assert_int_equal(w.n, 6 + 2 + sizeof sps_1080 + 1 + 2 * (2 + 4) + 4);
    w = wr_of(mem.b, 20);
    assert_false(h264_config(&w, &p, PARAMS_WANTED));
    params_done(&p);
}

/* V14: recovery points, behind another SEI and with long sizes. */
static void test_v14_recovery_point(void **state)
{
    static const uint8_t exact[] = {0x06, 0x05, 0x02, 0xaa, 0xbb, 0x06, 0x01, 0xc4, 0x80};
    static const uint8_t later[] = {0x06, 0x06, 0x01, 0x28, 0x80};
    static const uint8_t none[] = {0x06, 0x05, 0xff, 0x01, 0x80};
    struct h264_recovery r;

    (void)state;
    assert_true(h264_recovery_point(span(exact, sizeof exact), &r));
    assert_int_equal(r.frames, 0);
    assert_true(r.exact);
    assert_true(h264_recovery_point(span(later, sizeof later), &r));
    assert_int_equal(r.frames, 4);
    assert_false(h264_recovery_point(span(none, sizeof none), &r));
}

static void test_other_picture(void **state)
{
    struct h264_slice a = {.nal_type = 1, .ref_idc = 2, .frame_num = 3, .has_poc = true, .poc_lsb = 6}, b = a;

    (void)state;
    assert_false(h264_other_picture(&a, &b));
    b.poc_lsb = 8;
    assert_true(h264_other_picture(&a, &b));
    b = a;
    b.ref_idc = 0;
    assert_true(h264_other_picture(&a, &b));
    b = a;
    b.frame_num = 4;
    assert_true(h264_other_picture(&a, &b));
    a.nal_type = b.nal_type = 5;
    b.frame_num = 3;
    b.idr_id = 1;
    assert_true(h264_other_picture(&a, &b));
    /* The fields of one frame: a P field completes an IDR field. */
    a.field = b.field = b.bottom = true;
    b.nal_type = 1;
    b.idr_id = 0;
    assert_false(h264_other_picture(&a, &b));
}

static void test_poc_wraps(void **state)
{
    struct h264_sps sps = {.poc_lsb_bits = 4};
    struct h264_poc p = {0};
    struct h264_slice s = {.nal_type = H264_IDR, .ref_idc = 1};

    (void)state;
    assert_int_equal(h264_poc_next(&p, &sps, &s), 0);
    s.nal_type = H264_SLICE;
    for (int i = 1; i < 40; i++) {
        s.poc_lsb = (uint32_t)(i * 2) & 15;
        assert_int_equal(h264_poc_next(&p, &sps, &s), i * 2);
    }
    s.ref_idc = 0;
    s.poc_lsb = 76 & 15;
    assert_int_equal(h264_poc_next(&p, &sps, &s), 76);
}

static void test_annexb(void **state)
{
    static const uint8_t stream[] = {
        0, 0, 0, 1, 0x67, 1, 2, 0, 0, 0, 0, 1, 0x68, 3, 0, 0, 1, 0, 0, 1, 0x65, 4, 0};
    struct span rest = span(stream, sizeof stream), nal;

    (void)state;
    assert_true(annexb_next(&rest, &nal));
    assert_int_equal(nal.n, 3);
    assert_true(annexb_next(&rest, &nal));
    assert_int_equal(nal.p[0], 0x68);
    assert_int_equal(nal.n, 2);
    assert_true(annexb_next(&rest, &nal));
    assert_int_equal(nal.p[0], 0x65);
    assert_int_equal(nal.n, 2);
    assert_false(annexb_next(&rest, &nal));
    rest = span(stream + 4, 3);
    assert_true(annexb_next(&rest, &nal));
    assert_int_equal(nal.p[0], 0x67);
}

struct seen {
    struct buf *manifest;
    unsigned files;
};

/* Size and number of pictures as ffprobe has them. */
static void check_stream(const char *name, struct span data, void *arg)
{
    struct seen *seen = arg;
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    struct manifest_probe probe;
    struct params store = {0};
    struct h264_sps sps = {0};
    struct h264_slice last = {0}, s;
    struct span nal;
    unsigned pictures = 0;

    if (!manifest_find(seen->manifest, base, &probe)) return;
    seen->files++;
    while (annexb_next(&data, &nal)) {
        uint8_t type = h264_type(nal.p[0]);

        if (type == H264_SPS || type == H264_PPS) assert_true(h264_params_put(&store, nal) >= 0);
        if (type == H264_SPS) {
            assert_int_equal(h264_sps_parse(nal, &sps), H264_OK);
            assert_int_equal(sps.width, probe.width);
            assert_int_equal(sps.height, probe.height);
        }
        if (type != H264_SLICE && type != H264_IDR) continue;
        assert_int_equal(h264_slice_parse(span_sub(nal, 0, 64), &sps, &s), H264_OK);
        pictures += pictures == 0 || h264_other_picture(&last, &s);
        last = s;
    }
    if (pictures != probe.packets)
        print_message("%s: %u pictures, ffprobe %u\n", base, pictures, probe.packets);
    assert_int_equal(pictures, probe.packets);
    params_done(&store);
}

static void test_corpora(void **state)
{
    struct buf manifest;
    struct seen seen = {.manifest = &manifest};
    char dir[256];

    (void)state;
    if (!corpora_dir("h264", dir, sizeof dir)) {
        print_message("skipped: no corpora\n");
        skip();
    }
    buf_init(&manifest, 1 << 20);
    assert_true(manifest_load(dir, &manifest));
    corpora_each(dir, NULL, check_stream, &seen);
    assert_true(seen.files >= 20);
    buf_done(&manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sps),
        cmocka_unit_test(test_v10_sps_oddities),
        cmocka_unit_test(test_sps_refused),
        cmocka_unit_test(test_core),
        cmocka_unit_test(test_config),
        cmocka_unit_test(test_v14_recovery_point),
        cmocka_unit_test(test_other_picture),
        cmocka_unit_test(test_poc_wraps),
        cmocka_unit_test(test_annexb),
        cmocka_unit_test(test_corpora),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
