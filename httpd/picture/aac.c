#include "httpd/picture/aac.h"

#include <libavcodec/avcodec.h>

#define BITS_A_CHANNEL 32000 /* a second: more than telephone sound has to say */

/* --- G.711 (ITU-T G.711) as linear samples, 16 bits --- */

static int16_t of_alaw(uint8_t v)
{
    unsigned a = v ^ 0x55u, seg = a >> 4 & 7u;
    int t = (int)(a & 15u) << 4;

    t = seg == 0 ? t + 8 : (t + 0x108) << (seg - 1);
    return (int16_t)(a & 0x80u ? t : -t);
}

static int16_t of_mulaw(uint8_t v)
{
    unsigned u = ~(unsigned)v & 0xffu;
    int t = (int)(((u & 15u) << 3) + 0x84) << (u >> 4 & 7u);

    return (int16_t)(u & 0x80u ? 0x84 - t : t - 0x84);
}

struct encoder {
    AVCodecContext *ctx;
    AVFrame *frame;
    AVPacket *packet;
};

static void encoder_done(struct encoder *e)
{
    av_packet_free(&e->packet);
    av_frame_free(&e->frame);
    avcodec_free_context(&e->ctx);
}

static bool encoder_open(struct encoder *e, const struct picture_ask *a)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_AAC);

    e->ctx = codec ? avcodec_alloc_context3(codec) : NULL;
    e->frame = av_frame_alloc();
    e->packet = av_packet_alloc();
    if (!e->ctx || !e->frame || !e->packet) return false;
    e->ctx->sample_rate = (int)a->rate;
    e->ctx->sample_fmt = AV_SAMPLE_FMT_FLTP;
    av_channel_layout_default(&e->ctx->ch_layout, a->channels);
    e->ctx->bit_rate = (int64_t)BITS_A_CHANNEL * a->channels;
    e->ctx->thread_count = 1;
    if (avcodec_open2(e->ctx, codec, NULL) < 0 || e->ctx->frame_size != PICTURE_AAC_SAMPLES) return false;
    e->frame->nb_samples = PICTURE_AAC_SAMPLES;
    e->frame->format = AV_SAMPLE_FMT_FLTP;
    return av_channel_layout_copy(&e->frame->ch_layout, &e->ctx->ch_layout) == 0 &&
        av_frame_get_buffer(e->frame, 0) == 0;
}

static bool feed(struct encoder *e, const struct picture_ask *a, struct span bytes, unsigned n)
{
    struct span s = span_from(bytes, (size_t)n * PICTURE_AAC_SAMPLES * a->channels);

    if (av_frame_make_writable(e->frame) < 0) return false;
    for (unsigned c = 0; c < a->channels; c++) {
        float *to = (float *)(void *)e->frame->extended_data[c];

        for (unsigned i = 0; i < PICTURE_AAC_SAMPLES; i++) {
            uint8_t v = s.p[i * a->channels + c];

            to[i] = (float)(a->codec == CODEC_PCMA ? of_alaw(v) : of_mulaw(v)) / 32768.0f;
        }
    }
    e->frame->pts = (int64_t)n * PICTURE_AAC_SAMPLES;
    return avcodec_send_frame(e->ctx, e->frame) == 0;
}

/* A packet's place in the answer follows from its time. */
static void keep(struct encoder *e, const struct picture_ask *a, uint8_t *out)
{
    size_t size = (size_t)PICTURE_AAC_BYTES * a->channels;
    int64_t i = e->packet->pts / PICTURE_AAC_SAMPLES - PICTURE_AAC_RUN_IN;

    if (e->packet->pts < 0 || i < 0 || i >= a->frames) return;
    (void)aac_pad(span(e->packet->data, (size_t)e->packet->size), out + (size_t)i * size, size);
}

enum picture_err picture_aac(const struct picture_ask *a, struct span bytes, struct buf *to)
{
    size_t size = (size_t)PICTURE_AAC_BYTES * a->channels;
    unsigned n = PICTURE_AAC_RUN_IN + a->frames + 1u;
    struct encoder e = {0};
    uint8_t *out = buf_room(to, picture_aac_out(a));
    bool ok;

    av_log_set_level(AV_LOG_QUIET); /* what it would say of bytes is nobody's to read */
    ok = out != NULL && encoder_open(&e, a);
    for (unsigned i = 0; ok && i < a->frames; i++) aac_silence(a->channels, out + i * size, size);
    for (unsigned i = 0; ok && i <= n; i++) {
        ok = i < n ? feed(&e, a, bytes, i) : avcodec_send_frame(e.ctx, NULL) == 0;
        while (ok && avcodec_receive_packet(e.ctx, e.packet) == 0) {
            keep(&e, a, out);
            av_packet_unref(e.packet);
        }
    }
    if (ok) buf_added(to, picture_aac_out(a));
    encoder_done(&e);
    return ok ? PICTURE_OK : PICTURE_E_BAD;
}
