#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/media/annexb.h"
#include "common/media/h265.h"
#include "common/media/track.h"
#include "tests/support/corpora.h"
#include "tests/support/manifest.h"

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

static struct span bytes(const struct bw *w)
{
    return span(w->p, (w->bits + 7) / 8);
}

/* Up to the reorder depth, with any number of sub-layers whose levels are stated. */
static struct bw make_sps(unsigned layers, uint32_t width, uint32_t height)
{
    struct bw w = {0};

    put(&w, H265_SPS << 9 | 1, 16);
    put(&w, 0, 4);
    put(&w, layers - 1, 3);
    put(&w, 1, 1);
    put(&w, 1, 8);
    put(&w, 0x60000000, 32);
    put(&w, 0x9000aa00, 32); /* not 00 00 0x: nothing to escape */
    put(&w, 0xbbcc, 16);
    put(&w, 93, 8);
    for (unsigned i = 0; i + 1 < layers; i++) put(&w, 1, 2); /* level only */
    if (layers > 1) put(&w, 0, 2 * (9 - layers));
    for (unsigned i = 0; i + 1 < layers; i++) put(&w, 90, 8);
    put_ue(&w, 0);
    put_ue(&w, 1);
    put_ue(&w, width);
    put_ue(&w, height);
    put(&w, 1, 1); /* window: 8 lines below */
    put_ue(&w, 0);
    put_ue(&w, 0);
    put_ue(&w, 0);
    put_ue(&w, 4);
    put_ue(&w, 0);
    put_ue(&w, 0);
    put_ue(&w, 4); /* lsb: 8 bits */
    put(&w, 0, 1);
    put_ue(&w, 4);
    put_ue(&w, 2);
    put_ue(&w, 0);
    return w;
}

/* V11: several sub-layers in profile_tier_level. */
static void test_v11_sub_layers(void **state)
{
    struct h265_sps s;

    (void)state;
    for (unsigned layers = 1; layers <= 7; layers++) {
        struct bw w = make_sps(layers, 1920, 1088);

        assert_int_equal(h265_sps_parse(bytes(&w), &s), H265_OK);
        assert_int_equal(s.width, 1920);
        assert_int_equal(s.height, 1080);
        assert_int_equal(s.layers, layers);
        assert_int_equal(s.reorder, 2);
        assert_int_equal(s.poc_lsb_bits, 8);
        assert_int_equal(s.general[11], 93);
    }
}

/* V10: what ends behind the size falls back to defaults. */
static void test_v10_ends_behind_size(void **state)
{
    struct bw w = make_sps(1, 1920, 1088);
    struct h265_sps s;
    size_t ok = 0;

    (void)state;
    for (size_t n = 0; n < bytes(&w).n; n++) {
        if (h265_sps_parse(span(w.p, n), &s) != H265_OK) {
            assert_int_equal(ok, 0);
            continue;
        }
        ok++;
        assert_int_equal(s.width, 1920);
        assert_true(s.reorder == -1 || s.reorder == 2);
    }
    assert_true(ok > 0);
}

static void test_refused(void **state)
{
    struct bw w = make_sps(1, H265_SIZE_MAX, 1088);
    struct h265_sps s;
    struct h265_pps p;

    (void)state;
    assert_int_equal(h265_sps_parse(bytes(&w), &s), H265_OK);
    w = make_sps(1, H265_SIZE_MAX + 1, 1088);
    assert_int_equal(h265_sps_parse(bytes(&w), &s), H265_E_BAD);
    w = make_sps(1, 0, 1088);
    assert_int_equal(h265_sps_parse(bytes(&w), &s), H265_E_BAD);
    assert_int_equal(h265_pps_parse(SPAN_NONE, &p), H265_E_BAD);
}

/* V13: a picture parameter set id out of range is no set. */
static void test_v13_pps_id(void **state)
{
    struct bw w = {0};
    struct h265_pps p;

    (void)state;
    put(&w, H265_PPS << 9 | 1, 16);
    put_ue(&w, 64);
    put_ue(&w, 0);
    put(&w, 0xff, 8);
    assert_int_equal(h265_pps_parse(bytes(&w), &p), H265_E_BAD);
    memset(&w, 0, sizeof w);
    put(&w, H265_PPS << 9 | 1, 16);
    put_ue(&w, 63);
    put_ue(&w, 15);
    put(&w, 0x9f, 8);
    assert_int_equal(h265_pps_parse(bytes(&w), &p), H265_OK);
    assert_int_equal(p.id, 63);
    assert_true(p.dependent_slices);
    assert_int_equal(p.extra_bits, 3);
}

static void test_recovery_point(void **state)
{
    static const uint8_t sei[] = {0x4e, 0x01, 0x06, 0x01, 0xd0, 0x80};
    int32_t frames;

    (void)state;
    assert_true(h265_recovery_point(span(sei, sizeof sei), &frames));
    assert_int_equal(frames, 0);
    assert_false(h265_recovery_point(span(sei, 2), &frames));
}

struct seen {
    struct buf *manifest;
    unsigned files;
};

static void check_config(const struct params *store, const struct h265_sps *sps)
{
    struct track t = {.codec = CODEC_H265};
    struct wr w = wr_of(t.config, sizeof t.config);
    char name[48];

    assert_true(h265_config(&w, store, PARAMS_WANTED));
    t.config_n = (uint16_t)w.n;
    assert_int_equal(t.config[0], 1);
    assert_int_equal(t.config[12], sps->general[11]);
    codec_rfc6381(&t, name, sizeof name);
    assert_memory_equal(name, "hvc1.", 5);
}

static void check_stream(const char *name, struct span data, void *arg)
{
    struct seen *seen = arg;
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    struct manifest_probe probe;
    struct params store = {0};
    struct h265_sps sps = {0};
    struct h265_pps pps = {0};
    struct h265_poc poc = {0};
    struct span nal;
    unsigned pictures = 0, backward = 0;
    int32_t top = 0;

    if (!manifest_find(seen->manifest, base, &probe) || !strstr(base, "265")) return;
    seen->files++;
    while (annexb_next(&data, &nal)) {
        uint8_t type = h265_type(nal.p[0]);
        struct h265_slice s;
        int32_t at;

        if (type >= H265_VPS && type <= H265_PPS) assert_true(h265_params_put(&store, nal) >= 0);
        if (type == H265_PPS) assert_int_equal(h265_pps_parse(nal, &pps), H265_OK);
        if (type == H265_SPS) {
            assert_int_equal(h265_sps_parse(nal, &sps), H265_OK);
            assert_int_equal(sps.width, probe.width);
            assert_int_equal(sps.height, probe.height);
        }
        if (type > H265_IRAP_LAST) continue;
        assert_int_equal(h265_slice_parse(span_sub(nal, 0, 64), &sps, &pps, &s), H265_OK);
        if (!s.first) continue;
        pictures++;
        at = h265_poc_next(&poc, &sps, &s);
        if (h265_is_idr(type)) top = at;
        backward += at < top;
        top = MAX(top, at);
    }
    assert_int_equal(pictures, probe.packets);
    assert_true((sps.reorder > 0) == (probe.reorder > 0));
    assert_true((backward > 0) == (probe.reorder > 0));
    check_config(&store, &sps);
    params_done(&store);
}

static void test_corpora(void **state)
{
    struct buf manifest;
    struct seen seen = {.manifest = &manifest};
    char dir[256];

    (void)state;
    if (!corpora_dir("h265", dir, sizeof dir)) {
        print_message("skipped: no corpora\n");
        skip();
    }
    buf_init(&manifest, 1 << 20);
    assert_true(manifest_load(dir, &manifest));
    corpora_each(dir, NULL, check_stream, &seen);
    assert_int_equal(seen.files, 3);
    buf_done(&manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v11_sub_layers),
        cmocka_unit_test(test_v10_ends_behind_size),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_v13_pps_id),
        cmocka_unit_test(test_recovery_point),
        cmocka_unit_test(test_corpora),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
