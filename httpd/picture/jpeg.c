#include "httpd/picture/jpeg.h"
#include "common/base/mem.h"

#include <libavcodec/avcodec.h>
#include <libswscale/swscale.h>

#define QSCALE_MIN 2 /* of the JPEG encoder: best */
#define QSCALE_MAX 31
#define SAR_MOST   16 /* a sample that is longer than this to its side is a mistake of the stream */

struct decoder {
    AVCodecContext *ctx;
    AVPacket *packet;
    AVFrame *next, *found;
};

static void decoder_done(struct decoder *d)
{
    av_frame_free(&d->found);
    av_frame_free(&d->next);
    av_packet_free(&d->packet);
    avcodec_free_context(&d->ctx);
}

/* The configuration (avcC, hvcC) tells the decoder that NAL units have their length before them. */
static enum picture_err decoder_open(struct decoder *d, const struct picture_ask *a)
{
    const AVCodec *codec = avcodec_find_decoder(a->codec == CODEC_H264 ? AV_CODEC_ID_H264 : AV_CODEC_ID_HEVC);

    d->ctx = codec ? avcodec_alloc_context3(codec) : NULL;
    d->packet = av_packet_alloc();
    d->next = av_frame_alloc();
    d->found = av_frame_alloc();
    if (!d->ctx || !d->packet || !d->next || !d->found) return PICTURE_E_MEMORY;
    d->ctx->thread_count = 1;
    d->ctx->max_pixels = (int64_t)PICTURE_SIDE_MAX * PICTURE_SIDE_MAX;
    d->ctx->flags2 |= AV_CODEC_FLAG2_SHOW_ALL; /* the picture of a recovery point too */
    d->ctx->flags |= AV_CODEC_FLAG_OUTPUT_CORRUPT;
    if (a->config_n > 0) {
        d->ctx->extradata = av_mallocz((size_t)a->config_n + AV_INPUT_BUFFER_PADDING_SIZE);
        if (!d->ctx->extradata) return PICTURE_E_MEMORY;
        memcpy(d->ctx->extradata, a->config, a->config_n);
        d->ctx->extradata_size = a->config_n;
    }
    return avcodec_open2(d->ctx, codec, NULL) < 0 ? PICTURE_E_BAD : PICTURE_OK;
}

/* Of the pictures up to the one that is wanted the last; before it, the first there is. */
static void take_pictures(struct decoder *d, int64_t want_pts)
{
    while (avcodec_receive_frame(d->ctx, d->next) == 0) {
        bool have = d->found->width > 0;

        if (!have || (d->next->pts <= want_pts && d->next->pts >= d->found->pts)) {
            av_frame_unref(d->found);
            av_frame_move_ref(d->found, d->next);
        }
        av_frame_unref(d->next);
    }
}

static enum picture_err decode(struct decoder *d, const struct picture_ask *a, struct span bytes)
{
    for (unsigned i = 0; i < a->n_units; i++) {
        struct span unit = span_sub(bytes, 0, a->units[i].size);

        bytes = span_from(bytes, unit.n);
        av_packet_unref(d->packet);
        if (av_new_packet(d->packet, (int)unit.n) < 0) return PICTURE_E_MEMORY;
        memcpy(d->packet->data, unit.p, unit.n);
        d->packet->pts = a->units[i].pts;
        d->packet->flags = i == 0 ? AV_PKT_FLAG_KEY : 0;
        /* What is broken in one unit need not cost the picture. */
        (void)avcodec_send_packet(d->ctx, d->packet);
        take_pictures(d, a->want_pts);
    }
    (void)avcodec_send_packet(d->ctx, NULL);
    take_pictures(d, a->want_pts);
    if (d->found->width <= 0 || d->found->height <= 0) return PICTURE_E_BAD;
    if (d->found->width > PICTURE_SIDE_MAX || d->found->height > PICTURE_SIDE_MAX) return PICTURE_E_LARGE;
    return PICTURE_OK;
}

/* --- its size as JPEG: square samples --- */

struct size {
    int w, h;
};

static struct size size_of(const struct picture_ask *a, const AVFrame *f)
{
    int64_t sar_w = a->sar_w, sar_h = a->sar_h, w = f->width, h = f->height;

    if (sar_w > 0 && sar_h > 0 && sar_w <= sar_h * SAR_MOST && sar_h <= sar_w * SAR_MOST)
        w = MAX((w * sar_w + sar_h / 2) / sar_h, 1);
    if (a->width > 0) {
        h = h * a->width / w;
        w = a->width;
    }
    if (w > PICTURE_OUT_MAX) {
        h = h * PICTURE_OUT_MAX / w;
        w = PICTURE_OUT_MAX;
    }
    if (h > PICTURE_OUT_MAX) {
        w = w * PICTURE_OUT_MAX / h;
        h = PICTURE_OUT_MAX;
    }
    return (struct size){(int)MAX(w, 1), (int)MAX(h, 1)};
}

static int matrix_of(const AVFrame *f)
{
    if (f->colorspace == AVCOL_SPC_BT2020_NCL || f->colorspace == AVCOL_SPC_BT2020_CL) return SWS_CS_BT2020;
    if (f->colorspace == AVCOL_SPC_BT709) return SWS_CS_ITU709;
    if (f->colorspace == AVCOL_SPC_UNSPECIFIED && f->height >= 720) return SWS_CS_ITU709;
    return SWS_CS_ITU601;
}

/* JFIF: full range, BT.601. */
static AVFrame *scale(const AVFrame *from, struct size size)
{
    bool full = from->color_range == AVCOL_RANGE_JPEG || from->format == AV_PIX_FMT_YUVJ420P ||
        from->format == AV_PIX_FMT_YUVJ422P || from->format == AV_PIX_FMT_YUVJ444P;
    AVFrame *to = av_frame_alloc();
    /* No fast bilinear: that one makes code at run time. */
    struct SwsContext *sws = sws_getContext(from->width, from->height, from->format, size.w, size.h,
        AV_PIX_FMT_YUV420P, SWS_AREA | SWS_ACCURATE_RND, NULL, NULL, NULL);
    bool ok = sws && to;

    if (ok) {
        to->format = AV_PIX_FMT_YUV420P;
        to->width = size.w;
        to->height = size.h;
        to->color_range = AVCOL_RANGE_JPEG;
        (void)sws_setColorspaceDetails(sws, sws_getCoefficients(matrix_of(from)), full,
            sws_getCoefficients(SWS_CS_ITU601), 1, 0, 1 << 16, 1 << 16);
        ok = av_frame_get_buffer(to, 0) == 0 &&
            sws_scale(sws, (const uint8_t *const *)from->data, from->linesize, 0, from->height, to->data,
                to->linesize) == size.h;
    }
    sws_freeContext(sws);
    if (!ok) av_frame_free(&to);
    return to;
}

static bool encode(AVCodecContext *ctx, AVFrame *f, AVPacket *packet, struct buf *to)
{
    if (avcodec_send_frame(ctx, f) < 0 || avcodec_receive_packet(ctx, packet) < 0) return false;
    return buf_put(to, span(packet->data, (size_t)packet->size));
}

static enum picture_err write_jpeg(AVFrame *f, uint8_t quality, struct buf *to)
{
    const AVCodec *codec = avcodec_find_encoder(AV_CODEC_ID_MJPEG);
    AVCodecContext *ctx = codec ? avcodec_alloc_context3(codec) : NULL;
    AVPacket *packet = av_packet_alloc();
    bool ok = ctx && packet;

    if (ok) {
        f->quality = FF_QP2LAMBDA * (QSCALE_MAX - (QSCALE_MAX - QSCALE_MIN) * quality / 100);
        ctx->width = f->width;
        ctx->height = f->height;
        ctx->pix_fmt = AV_PIX_FMT_YUV420P;
        ctx->color_range = AVCOL_RANGE_JPEG;
        ctx->time_base = (AVRational){1, 1};
        ctx->flags |= AV_CODEC_FLAG_QSCALE;
        ctx->global_quality = f->quality;
        ctx->thread_count = 1;
        ctx->strict_std_compliance = FF_COMPLIANCE_UNOFFICIAL;
        ok = avcodec_open2(ctx, codec, NULL) == 0 && encode(ctx, f, packet, to);
    }
    av_packet_free(&packet);
    avcodec_free_context(&ctx);
    return ok ? PICTURE_OK : PICTURE_E_MEMORY;
}

static enum picture_err make(
    const struct picture_ask *a, struct span bytes, struct decoder *d, struct buf *to)
{
    enum picture_err err = decoder_open(d, a);
    AVFrame *scaled;

    if (err == PICTURE_OK) err = decode(d, a, bytes);
    if (err != PICTURE_OK) return err;
    scaled = scale(d->found, size_of(a, d->found));
    if (!scaled) return PICTURE_E_MEMORY;
    /* What the decoder holds is not needed beside the encoder. */
    avcodec_free_context(&d->ctx);
    err = write_jpeg(scaled, a->quality, to);
    av_frame_free(&scaled);
    return err;
}

enum picture_err picture_jpeg(
    const struct picture_ask *a, struct span bytes, struct buf *to, struct picture_answer *ret)
{
    struct decoder d = {0};
    enum picture_err err;

    av_log_set_level(AV_LOG_QUIET);
    err = make(a, bytes, &d, to);
    if (err == PICTURE_OK) {
        struct size size = size_of(a, d.found);

        ret->width = (uint16_t)size.w;
        ret->height = (uint16_t)size.h;
        ret->pts = d.found->pts;
    }
    decoder_done(&d);
    return err;
}
