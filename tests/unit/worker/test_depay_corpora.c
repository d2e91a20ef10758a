/* Every elementary stream of the corpora, cut into packets by the simulated camera in all its ways, comes out
 * bit by bit as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/media/h264.h"
#include "common/media/h265.h"
#include "tests/camera/packet.h"
#include "tests/support/corpora.h"
#include "tests/support/depay_help.h"
#include "tests/support/manifest.h"

struct ways {
    const char *dir;
    const struct buf *manifest;
    enum pack_style style;
    unsigned mtu, batch;
    unsigned files;
};

static bool belongs(enum codec codec, struct span nal)
{
    uint8_t type = codec == CODEC_H264 ? h264_type(nal.p[0]) : h265_type(nal.p[0]);

    if (codec == CODEC_H264) return (type >= H264_SLICE && type <= H264_IDR) || type == H264_SEI;
    return type <= H265_VCL_LAST || type == H265_SEI_PREFIX || type == H265_SEI_SUFFIX;
}

/* The access unit as the ring would hold it. */
static void expected(const struct source *s, const struct source_au *au, struct buf *to)
{
    buf_clear(to);
    for (uint32_t i = au->first; i < au->first + au->n; i++) {
        struct span nal = s->pieces[i];
        uint8_t len[4];
        struct wr w = wr_of(len, sizeof len);

        if (!belongs(s->codec, nal)) continue;
        while (nal.n > 0 && nal.p[nal.n - 1] == 0) nal.n--;
        wr_u32(&w, (uint32_t)nal.n);
        assert_true(buf_put(to, wr_span(&w)) && buf_put(to, nal));
    }
}

static void feed(struct depay_help *h, const struct pack *p)
{
    for (size_t f = 0; f < p->n_frames; f++) {
        const struct pack_frame *frame = &p->frames[f];
        size_t at = frame->at;

        for (uint32_t i = 0; i < frame->n; i++) {
            const struct pack_packet *packet = &p->packets[frame->first + i];
            struct span bytes = span(p->mem + at, packet->len);

            depay_help_feed(h, span_from(bytes, PACKET_HDR), (uint32_t)frame->pts,
                bytes.p[INTERLEAVED_HDR + 1] & 0x80, false);
            at += packet->len;
        }
    }
    depay_flush(h->d);
}

/* Parameter sets that change all the time travel in the frames (V8): looked at without them. */
static void without_params(const struct source *s, struct span unit, struct buf *to)
{
    struct rd r = rd_of(unit);

    buf_clear(to);
    while (rd_left(&r) > 0) {
        struct span at = rd_peek(&r, 4), nal = rd_bytes(&r, rd_u32(&r));

        assert_true(rd_ok(&r) && nal.n > 0);
        if (!source_is_param(s->codec, nal)) assert_true(buf_put(to, at) && buf_put(to, nal));
    }
}

static void compare(const struct source *s, const struct depay_help *h, const char *name)
{
    struct buf want, got;
    size_t at = 0;

    buf_init(&want, DEPAY_UNIT_MAX);
    buf_init(&got, DEPAY_UNIT_MAX);
    /* What comes before the first key frame is not handed out (V18). */
    while (at < s->n_aus && !s->aus[at].key) at++;
    if (h->n != s->n_aus - at) print_message("%s: %u units of %zu\n", name, h->n, s->n_aus - at);
    assert_int_equal(h->n, s->n_aus - at);
    for (unsigned i = 0; i < h->n; i++, at++) {
        expected(s, &s->aus[at], &want);
        without_params(s, depay_help_bytes(h, i), &got);
        if (!span_eq(buf_span(&want), buf_span(&got)))
            print_message("%s: unit %u differs: %zu bytes of %zu\n", name, i, buf_n(&got), buf_n(&want));
        assert_true(span_eq(buf_span(&want), buf_span(&got)));
        assert_int_equal(h->u[i].timestamp, (uint32_t)s->aus[at].pts);
        assert_false(h->u[i].flags & FRAME_DAMAGED);
        if (s->aus[at].key) assert_true(h->u[i].flags & FRAME_KEY);
    }
    buf_done(&want);
    buf_done(&got);
}

static void round_trip(const char *name, struct span data, void *arg)
{
    static struct depay_help h;
    struct ways *w = arg;
    struct manifest_probe probe;
    struct pack_opts o = {.mtu = w->mtu, .style = w->style, .params = PARAMS_AS_IS, .aggregate = 1, .pt = 96};
    const struct source *s;
    const char *base = strrchr(name, '/') ? strrchr(name, '/') + 1 : name;
    char path[512];
    struct track t;

    (void)data;
    if (!manifest_find(w->manifest, base, &probe) || strstr(base, ".mp4") || strstr(base, ".m4s")) return;
    snprintf(path, sizeof path, "%s/%s", w->dir, base);
    s = source_load(path, 25000);
    depay_help_init(&h, s->codec, 90000, NULL);
    h.batch = w->batch;
    feed(&h, pack_get(s, &o));
    compare(s, &h, base);
    assert_true(depay_track(h.d, &t));
    assert_int_equal(t.width, probe.width);
    assert_int_equal(t.height, probe.height);
    assert_true(t.config_n > 0);
    depay_help_done(&h);
    w->files++;
}

static void all_ways(const char *folder, unsigned files)
{
    static const struct {
        enum pack_style style;
        unsigned mtu, batch;
    } ways[] = {{PACK_NORMAL, 1400, 1}, {PACK_NORMAL, 1400, 17}, {PACK_SINGLE, 65000, 3},
        {PACK_NORMAL, 200, 64}, {PACK_ANNEXB, 65000, 1}, {PACK_ANNEXB, 1400, 5}, {PACK_FU_NO_END, 1400, 4},
        {PACK_FU_TYPE, 1400, 4}, {PACK_FU_RESERVED, 1400, 4}, {PACK_FU_WHOLE, 1400, 4},
        {PACK_STAP_ZERO, 1400, 4}, {PACK_MARKER_PARAMS, 1400, 4}, {PACK_JUNK, 1400, 4}};
    struct buf manifest;
    char dir[256];

    if (!corpora_dir(folder, dir, sizeof dir)) {
        print_message("skipped: no corpora\n");
        skip();
    }
    buf_init(&manifest, 1 << 20);
    assert_true(manifest_load(dir, &manifest));
    for (size_t i = 0; i < ARRAY_N(ways); i++) {
        struct ways w = {.dir = dir,
            .manifest = &manifest,
            .style = ways[i].style,
            .mtu = ways[i].mtu,
            .batch = ways[i].batch};

        print_message("style %d, mtu %u, batch %u\n", ways[i].style, ways[i].mtu, ways[i].batch);
        corpora_each(dir, NULL, round_trip, &w);
        assert_true(w.files >= files);
        pack_free_all();
    }
    source_free_all();
    buf_done(&manifest);
}

static void test_h264(void **state)
{
    (void)state;
    all_ways("h264", 20);
}

static void test_h265(void **state)
{
    (void)state;
    all_ways("h265", 3);
}

/* What broke another implementation's readers: as payloads and as parameter sets. */
static void crasher(const char *name, struct span data, void *arg)
{
    static struct depay_help h;
    static const enum codec codecs[] = {
        CODEC_H264, CODEC_H265, CODEC_AAC, CODEC_OPUS, CODEC_ONVIF, CODEC_PCMU};
    unsigned *n = arg;

    (void)name;
    for (size_t i = 0; i < ARRAY_N(codecs); i++) {
        depay_help_init(&h, codecs[i], 0, NULL);
        for (uint32_t k = 0; k < 8; k++)
            depay_help_feed(
                &h, span_sub(data, k * data.n / 8, k < 4 ? SIZE_MAX : data.n / 8), k / 2, k & 1, k == 5);
        depay_flush(h.d);
        depay_help_done(&h);
    }
    ++*n;
}

static void test_crashers(void **state)
{
    static const char *const parts[] = {"h264", "h265", "H264", "H265", "mpeg4audio", "opus", "rtp"};
    char dir[256];
    unsigned n = 0;

    (void)state;
    if (!corpora_dir("fuzz", dir, sizeof dir)) {
        print_message("skipped: no corpora\n");
        skip();
    }
    for (size_t i = 0; i < ARRAY_N(parts); i++) corpora_each(dir, parts[i], crasher, &n);
    print_message("%u inputs\n", n);
    assert_true(n > 150);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_h264),
        cmocka_unit_test(test_h265),
        cmocka_unit_test(test_crashers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
