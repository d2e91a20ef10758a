/* RTP and RTCP packets; a report that was read is written and read again. */
#include "common/proto/rtcp.h"
#include "common/proto/rtp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void rtp(struct span s)
{
    uint8_t mem[RTP_HEADER_MIN + 1];
    struct rtp_packet p, again;
    int64_t wall_us;
    int e = rtp_parse(s, &p);

    if (e != 0 && e != RTP_E_EMPTY) return;
    if (p.payload.n > s.n || p.ext.n > s.n) __builtin_trap();
    rtp_onvif_time(&p, &wall_us);
    rtp_write_header(mem, &p);
    mem[RTP_HEADER_MIN] = 1;
    e = rtp_parse(span(mem, sizeof(mem)), &again);
    if (e == RTP_E_RTCP) return;
    if (e != 0 || again.seq != p.seq || again.ts != p.ts || again.ssrc != p.ssrc || again.pt != p.pt)
        __builtin_trap();
}

static void sender_report(const struct rtcp_packet *p)
{
    uint8_t mem[1024];
    struct wr w = wr_of(mem, sizeof(mem));
    struct rtcp_packet again;
    unsigned bad = 0;
    struct span rest;

    rtcp_write_sr(&w, p);
    rest = wr_span(&w);
    if (!rtcp_next(&rest, &again, &bad) || again.ntp != p->ntp || again.n_blocks != p->n_blocks)
        __builtin_trap();
    for (size_t i = 0; i < p->n_blocks; i++)
        if (again.block[i].lost != p->block[i].lost || again.block[i].dlsr != p->block[i].dlsr)
            __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span rest = span(data, n);
    struct rtcp_packet p;
    unsigned bad = 0;

    rtp(rest);
    while (rtcp_next(&rest, &p, &bad)) {
        if (p.n_blocks > RTCP_BLOCKS_MAX || p.cname.n > RTCP_CNAME_MAX) __builtin_trap();
        if (p.type == RTCP_SR) sender_report(&p);
    }
    return 0;
}
