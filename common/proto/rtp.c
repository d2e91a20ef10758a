#include "common/proto/rtp.h"
#include "common/proto/rtcp.h"

#define RTP_VERSION 2

bool rtp_is_rtcp(struct span s)
{
    return s.n >= 8 && s.p[0] >> 6 == RTP_VERSION && s.p[1] >= RTCP_TYPE_FIRST && s.p[1] <= RTCP_TYPE_LAST;
}

static void extension(struct rd *r, struct rtp_packet *p)
{
    p->has_ext = true;
    p->ext_id = rd_u16(r);
    p->ext = rd_bytes(r, (size_t)rd_u16(r) * 4);
}

int rtp_parse(struct span s, struct rtp_packet *ret)
{
    struct rd r = rd_of(s);
    struct rtp_packet p = {0};
    uint8_t first = rd_u8(&r), second = rd_u8(&r);

    if (s.n < RTP_HEADER_MIN) return RTP_E_SHORT;
    if (first >> 6 != RTP_VERSION) return RTP_E_VERSION;
    if (rtp_is_rtcp(s)) return RTP_E_RTCP;
    p.marker = second >> 7;
    p.pt = second & 0x7f;
    p.seq = rd_u16(&r);
    p.ts = rd_u32(&r);
    p.ssrc = rd_u32(&r);
    rd_skip(&r, (size_t)(first & 15) * 4);
    if (first & 0x10) extension(&r, &p);
    p.payload = rd_rest(&r);
    if (!rd_ok(&r)) return RTP_E_SHORT;
    if ((first & 0x20) && p.payload.n > 0) {
        uint8_t pad = p.payload.p[p.payload.n - 1];

        if (pad > p.payload.n) return RTP_E_PADDING;
        p.payload.n -= pad;
    }
    *ret = p;
    return p.payload.n > 0 ? 0 : RTP_E_EMPTY;
}

bool rtp_onvif_time(const struct rtp_packet *p, int64_t *ret_wall_us)
{
    struct rd r = rd_of(p->ext);
    uint64_t seconds, fraction;

    if (!p->has_ext || p->ext_id != RTP_EXT_ONVIF) return false;
    seconds = rd_u32(&r);
    fraction = rd_u32(&r);
    if (!rd_ok(&r) || seconds == 0) return false;
    if (seconds < 0x80000000u) seconds += (uint64_t)1 << 32; /* NTP era 1, from 2036 on */
    *ret_wall_us = ((int64_t)seconds - NTP_TO_UNIX_S) * US_PER_S + (int64_t)(fraction * US_PER_S >> 32);
    return true;
}

void rtp_write_header(uint8_t dst[RTP_HEADER_MIN], const struct rtp_packet *p)
{
    dst[0] = RTP_VERSION << 6;
    dst[1] = (uint8_t)(p->marker << 7 | (p->pt & 0x7f));
    dst[2] = (uint8_t)(p->seq >> 8);
    dst[3] = (uint8_t)p->seq;
    for (unsigned i = 0; i < 4; i++) {
        dst[4 + i] = (uint8_t)(p->ts >> (24 - 8 * i));
        dst[8 + i] = (uint8_t)(p->ssrc >> (24 - 8 * i));
    }
}
