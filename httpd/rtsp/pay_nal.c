/* H.264 (RFC 6184: single NAL units and FU-A, packetization-mode 1) and H.265 (RFC 7798: single NAL units and
 * fragmentation units, without DONL). */
#include "common/base/rd.h"
#include "common/media/h264.h"
#include "common/media/h265.h"
#include "common/wire/base64.h"
#include "httpd/rtsp/pay_impl.h"

#define H264_FU        28
#define H265_FU        49
#define FU_START       0x80
#define FU_END         0x40
#define LENGTH_N       4  /* bytes of a NAL unit's length in a frame */
#define H265_ARRAYS_AT 22 /* numOfArrays in the decoder configuration */

/* --- parameter sets of a decoder configuration (ISO 14496-15) --- */

/* The next set and its kind. */
typedef bool (*next_set)(struct rd *r, unsigned *left, uint8_t *kind, struct span *ret);

static struct rd h264_sets(const struct track *t)
{
    struct rd r = rd_of(span(t->config, t->config_n));

    rd_skip(&r, 5);
    return r;
}

/* left: of the list at hand; its lists are SPS, then PPS. */
static bool h264_set(struct rd *r, unsigned *left, uint8_t *kind, struct span *ret)
{
    while (*left == 0) {
        if (*kind == H264_PPS) return false;
        *kind = *kind == 0 ? H264_SPS : H264_PPS;
        *left = rd_u8(r) & (*kind == H264_SPS ? 31 : 255);
    }
    (*left)--;
    *ret = rd_bytes(r, rd_u16(r));
    return rd_ok(r) && ret->n > 0;
}

static struct rd h265_sets(const struct track *t)
{
    struct rd r = rd_of(span(t->config, t->config_n));

    rd_skip(&r, H265_ARRAYS_AT + 1);
    return r;
}

static bool h265_set(struct rd *r, unsigned *left, uint8_t *kind, struct span *ret)
{
    while (*left == 0) {
        *kind = rd_u8(r) & 63;
        *left = rd_u16(r);
        if (!rd_ok(r)) return false;
    }
    (*left)--;
    *ret = rd_bytes(r, rd_u16(r));
    return rd_ok(r) && ret->n > 0;
}

/* --- NAL units --- */

struct fu {
    uint8_t head[3];
    size_t n;    /* 2 for H.264, 3 for H.265; its last byte holds the type and the flags */
    size_t skip; /* bytes of the NAL unit's header, which are not repeated */
};

static struct fu h264_fu(struct span nal)
{
    return (struct fu){{(uint8_t)((nal.p[0] & 0xe0) | H264_FU), h264_type(nal.p[0])}, 2, 1};
}

static struct fu h265_fu(struct span nal)
{
    return (struct fu){{(uint8_t)((nal.p[0] & 0x81) | H265_FU << 1), nal.p[1], h265_type(nal.p[0])}, 3, 2};
}

static void send_nal(struct pay_out *o, struct span nal, bool last, struct fu (*fu_of)(struct span nal))
{
    struct fu fu;
    struct span rest;
    uint8_t type;

    if (nal.n <= pay_room(o)) {
        pay_packet(o, last, SPAN_NONE, nal);
        return;
    }
    fu = fu_of(nal);
    type = fu.head[fu.n - 1];
    rest = span_from(nal, fu.skip);
    for (bool first = true; rest.n > 0; first = false) {
        struct span part = span_sub(rest, 0, pay_room(o) - fu.n);

        rest = span_from(rest, part.n);
        fu.head[fu.n - 1] = (uint8_t)(type | (first ? FU_START : 0) | (rest.n == 0 ? FU_END : 0));
        pay_packet(o, last && rest.n == 0, span(fu.head, fu.n), part);
    }
}

/* What is behind a length that does not fit is left out: nothing of it can be told apart. */
static void send_nals(struct pay_out *o, struct fu (*fu_of)(struct span nal), size_t least)
{
    struct rd r = rd_of(o->f->data);

    while (rd_left(&r) > LENGTH_N) {
        struct span nal = rd_bytes(&r, rd_u32(&r));

        if (!rd_ok(&r)) return;
        if (nal.n >= least) send_nal(o, nal, rd_left(&r) <= LENGTH_N, fu_of);
    }
}

static void h264_frame(struct pay_out *o, const struct track *t)
{
    struct rd r = h264_sets(t);
    struct span set;
    unsigned left = 0;
    uint8_t kind = 0;

    while ((o->f->flags & FRAME_KEY) && h264_set(&r, &left, &kind, &set)) send_nal(o, set, false, h264_fu);
    send_nals(o, h264_fu, 1);
}

static void h265_frame(struct pay_out *o, const struct track *t)
{
    struct rd r = h265_sets(t);
    struct span set;
    unsigned left = 0;
    uint8_t kind = 0;

    while ((o->f->flags & FRAME_KEY) && h265_set(&r, &left, &kind, &set))
        if (set.n >= 2) send_nal(o, set, false, h265_fu);
    send_nals(o, h265_fu, 2);
}

/* --- a=fmtp --- */

/* All sets of a kind (0: of all kinds) in base64, separated by commas. */
static void put_sets(struct wr *w, struct rd r, next_set next, uint8_t wanted)
{
    struct span set;
    unsigned left = 0;
    uint8_t kind = 0;
    bool first = true;

    while (next(&r, &left, &kind, &set)) {
        if (wanted != 0 && kind != wanted) continue;
        if (!first) wr_u8(w, ',');
        base64_write(w, set);
        first = false;
    }
}

static void h264_fmtp(const struct track *t, struct wr *w)
{
    wr_text(w, "packetization-mode=1");
    if (t->config_n < 7) return;
    wr_fmt(
        w, ";profile-level-id=%02X%02X%02X;sprop-parameter-sets=", t->config[1], t->config[2], t->config[3]);
    put_sets(w, h264_sets(t), h264_set, 0);
}

static void h265_fmtp(const struct track *t, struct wr *w)
{
    static const struct {
        const char *name;
        uint8_t kind;
    } lists[] = {{"sprop-vps", H265_VPS}, {";sprop-sps", H265_SPS}, {";sprop-pps", H265_PPS}};

    for (size_t i = 0; t->config_n > H265_ARRAYS_AT && i < ARRAY_N(lists); i++) {
        wr_fmt(w, "%s=", lists[i].name);
        put_sets(w, h265_sets(t), h265_set, lists[i].kind);
    }
}

const struct pay_form pay_h264 = {
    .codec = CODEC_H264, .name = "H264", .hz = 90000, .frame = h264_frame, .fmtp = h264_fmtp};
const struct pay_form pay_h265 = {
    .codec = CODEC_H265, .name = "H265", .hz = 90000, .frame = h265_frame, .fmtp = h265_fmtp};
