/* Sound and documents: AAC (RFC 3640, mode AAC-hbr), G.711 (RFC 3551), Opus (RFC 7587), ONVIF metadata. */
#include "common/media/g711.h"
#include "common/media/opus.h"
#include "common/wire/hex.h"
#include "httpd/rtsp/pay_impl.h"

#define AU_HEADERS_N  4    /* length of the headers in bits, one header */
#define AU_SIZE_MAX   8191 /* sizelength=13 */
#define AU_HEAD_BITS  16
#define AU_INDEX_BITS 3

/* One access unit a packet; one that is too long goes over several, each with the size of the whole
 * (3.2.3.2).
 */
static void aac_frame(struct pay_out *o, const struct track *t)
{
    size_t n = o->f->data.n;
    uint8_t head[AU_HEADERS_N] = {
        0, AU_HEAD_BITS, (uint8_t)(n << AU_INDEX_BITS >> 8), (uint8_t)(n << AU_INDEX_BITS)};
    struct span rest = o->f->data;

    (void)t;
    if (n > AU_SIZE_MAX) return;
    while (rest.n > 0) {
        struct span part = span_sub(rest, 0, pay_room(o) - sizeof(head));

        rest = span_from(rest, part.n);
        pay_packet(o, rest.n == 0, span(head, sizeof(head)), part);
    }
}

static void aac_fmtp(const struct track *t, struct wr *w)
{
    wr_text(w,
        "streamtype=5;profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3;"
        "config=");
    hex_write(w, span(t->config, t->config_n));
}

static void g711_frame(struct pay_out *o, const struct track *t)
{
    unsigned channels = MAX(t->channels, 1);
    struct span rest = o->f->data;

    while (rest.n > 0) {
        size_t room = pay_room(o) / channels * channels;
        struct span part = span_sub(rest, 0, room);

        rest = span_from(rest, part.n);
        pay_packet(o, false, SPAN_NONE, part);
        o->ts += g711_samples(part.n, channels);
    }
}

static void opus_frame(struct pay_out *o, const struct track *t)
{
    (void)t;
    pay_packet(o, false, SPAN_NONE, o->f->data);
}

static void opus_fmtp(const struct track *t, struct wr *w)
{
    if (t->channels > 1) wr_text(w, "sprop-stereo=1");
}

/* The marker ends a document (ONVIF 5.1.2.1.1). */
static void onvif_frame(struct pay_out *o, const struct track *t)
{
    struct span rest = o->f->data;

    (void)t;
    while (rest.n > 0) {
        struct span part = span_sub(rest, 0, pay_room(o));

        rest = span_from(rest, part.n);
        pay_packet(o, rest.n == 0, SPAN_NONE, part);
    }
}

const struct pay_form pay_aac = {
    .codec = CODEC_AAC, .name = "MPEG4-GENERIC", .frame = aac_frame, .fmtp = aac_fmtp};
const struct pay_form pay_pcma = {
    .codec = CODEC_PCMA, .name = "PCMA", .fixed = true, .pt = 8, .frame = g711_frame};
const struct pay_form pay_pcmu = {
    .codec = CODEC_PCMU, .name = "PCMU", .fixed = true, .pt = 0, .frame = g711_frame};
const struct pay_form pay_opus = {
    .codec = CODEC_OPUS, .name = "opus", .hz = OPUS_HZ, .frame = opus_frame, .fmtp = opus_fmtp};
const struct pay_form pay_onvif = {
    .codec = CODEC_ONVIF, .name = "vnd.onvif.metadata", .hz = 90000, .frame = onvif_frame};
