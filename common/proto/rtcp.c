#include "common/proto/rtcp.h"

#define RTCP_VERSION 2
#define SDES_CNAME   1
#define LOST_MAX     0x7fffff
#define LOST_MIN     (-0x800000)

/* ---- reading ---- */

static void read_blocks(struct rd *r, struct rtcp_packet *p)
{
    while (p->n_blocks < p->count && rd_left(r) >= 24) {
        struct rtcp_block *b = &p->block[p->n_blocks++];
        uint32_t lost;

        b->ssrc = rd_u32(r);
        b->fraction = rd_u8(r);
        lost = rd_u24(r);
        b->lost = lost > LOST_MAX ? (int32_t)lost - (1 << 24) : (int32_t)lost;
        b->high_seq = rd_u32(r);
        b->jitter = rd_u32(r);
        b->lsr = rd_u32(r);
        b->dlsr = rd_u32(r);
    }
}

static void read_sr(struct rd *r, struct rtcp_packet *p)
{
    p->ssrc = rd_u32(r);
    p->ntp = rd_u64(r);
    p->rtp_ts = rd_u32(r);
    p->packets = rd_u32(r);
    p->bytes = rd_u32(r);
    read_blocks(r, p);
}

static void read_rr(struct rd *r, struct rtcp_packet *p)
{
    p->ssrc = rd_u32(r);
    read_blocks(r, p);
}

/* The CNAME of the first chunk; a list without its end byte is read as far as it goes (T17). */
static void read_sdes(struct rd *r, struct rtcp_packet *p)
{
    if (p->count == 0) return;
    p->ssrc = rd_u32(r);
    while (rd_left(r) >= 2) {
        uint8_t type = rd_u8(r);
        size_t n;

        if (type == 0) return;
        n = rd_u8(r);
        if (n > rd_left(r)) return;
        if (type == SDES_CNAME)
            p->cname = rd_bytes(r, n);
        else
            rd_skip(r, n);
    }
}

static void read_bye(struct rd *r, struct rtcp_packet *p)
{
    size_t n;

    if (p->count == 0) return;
    p->ssrc = rd_u32(r);
    if (rd_left(r) < (size_t)(p->count - 1) * 4 + 1) return;
    rd_skip(r, (size_t)(p->count - 1) * 4);
    n = rd_u8(r);
    if (n <= rd_left(r)) p->reason = rd_bytes(r, n);
}

static void read_other(struct rd *r, struct rtcp_packet *p)
{
    if (rd_left(r) >= 4) p->ssrc = rd_u32(r);
}

static void read_body(struct rd *r, struct rtcp_packet *p)
{
    static void (*const readers[])(struct rd *, struct rtcp_packet *) = {
        read_sr, read_rr, read_sdes, read_bye};

    if (p->type >= RTCP_SR && p->type <= RTCP_BYE)
        readers[p->type - RTCP_SR](r, p);
    else
        read_other(r, p);
}

bool rtcp_next(struct span *rest, struct rtcp_packet *ret, unsigned *bad)
{
    while (rest->n >= 4) {
        struct rd r = rd_of(*rest);
        struct rtcp_packet p = {0};
        uint8_t first = rd_u8(&r);
        size_t n;

        p.type = rd_u8(&r);
        n = ((size_t)rd_u16(&r) + 1) * 4;
        if (first >> 6 != RTCP_VERSION || p.type < RTCP_TYPE_FIRST || p.type > RTCP_TYPE_LAST) break;
        p.count = first & 31;
        r = rd_of(span_sub(*rest, 4, n - 4));
        *rest = span_from(*rest, n);
        read_body(&r, &p);
        if (!rd_ok(&r)) {
            ++*bad;
            continue;
        }
        *ret = p;
        return true;
    }
    *bad += rest->n > 0;
    *rest = SPAN_NONE;
    return false;
}

/* ---- time ---- */

uint64_t rtcp_ntp_of_us(int64_t wall_us)
{
    uint64_t seconds = (uint64_t)(wall_us / US_PER_S + NTP_TO_UNIX_S);
    uint64_t us = (uint64_t)(wall_us % US_PER_S);

    /* Rounded up, so that the way back gives the same microsecond. */
    return seconds << 32 | MIN(((us << 32) + US_PER_S - 1) / US_PER_S, (uint64_t)UINT32_MAX);
}

/* ---- writing ---- */

static void header(struct wr *w, unsigned count, uint8_t type, size_t bytes)
{
    wr_u8(w, (uint8_t)(RTCP_VERSION << 6 | count));
    wr_u8(w, type);
    wr_u16(w, (uint16_t)(bytes / 4 - 1));
}

static void write_blocks(struct wr *w, const struct rtcp_block *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        wr_u32(w, b[i].ssrc);
        wr_u8(w, b[i].fraction);
        wr_u24(w, (uint32_t)CLAMP(b[i].lost, LOST_MIN, LOST_MAX) & 0xffffff);
        wr_u32(w, b[i].high_seq);
        wr_u32(w, b[i].jitter);
        wr_u32(w, b[i].lsr);
        wr_u32(w, b[i].dlsr);
    }
}

void rtcp_write_rr(struct wr *w, uint32_t ssrc, const struct rtcp_block *blocks, size_t n)
{
    n = MIN(n, (size_t)RTCP_BLOCKS_MAX);
    header(w, (unsigned)n, RTCP_RR, 8 + 24 * n);
    wr_u32(w, ssrc);
    write_blocks(w, blocks, n);
}

void rtcp_write_sr(struct wr *w, const struct rtcp_packet *sr)
{
    size_t n = MIN(sr->n_blocks, (size_t)RTCP_BLOCKS_MAX);

    header(w, (unsigned)n, RTCP_SR, 28 + 24 * n);
    wr_u32(w, sr->ssrc);
    wr_u64(w, sr->ntp);
    wr_u32(w, sr->rtp_ts);
    wr_u32(w, sr->packets);
    wr_u32(w, sr->bytes);
    write_blocks(w, sr->block, n);
}

void rtcp_write_sdes(struct wr *w, uint32_t ssrc, const char *cname)
{
    struct span name = span_sub(span_of(cname), 0, RTCP_CNAME_MAX);
    size_t bytes = (8 + 2 + name.n) / 4 * 4 + 4; /* at least one zero byte ends the list */

    header(w, 1, RTCP_SDES, bytes);
    wr_u32(w, ssrc);
    wr_u8(w, SDES_CNAME);
    wr_u8(w, (uint8_t)name.n);
    wr_bytes(w, name);
    for (size_t i = 8 + 2 + name.n; i < bytes; i++) wr_u8(w, 0);
}

void rtcp_write_bye(struct wr *w, uint32_t ssrc)
{
    header(w, 1, RTCP_BYE, 8);
    wr_u32(w, ssrc);
}
