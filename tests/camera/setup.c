/* The Transport header (RFC 2326 12.39), asked and answered, right and wrong (P7, P8, P17). */
#include "tests/camera/play.h"
#include "tests/camera/rtsp.h"

#define CHANNEL_MAX 254
#define MOVED_BY    4

/* "8-9" or "8": both numbers. */
static bool read_pair(struct span s, uint64_t most, uint64_t *ret_a, uint64_t *ret_b)
{
    struct span first;

    if (!span_split(&s, '-', &first) || !span_u64(span_trim(first), most, ret_a)) return false;
    *ret_b = *ret_a + 1;
    return s.p == NULL || span_u64(span_trim(s), most + 1, ret_b);
}

static unsigned setup_tcp(struct play *p, struct span spec, struct buf *to)
{
    const struct knobs *k = &p->conn->stream->k;
    uint64_t a = p->track * 2, b = a + 1;
    struct span asked = list_param(spec, ';', "interleaved");

    if (asked.p != NULL && !read_pair(asked, CHANNEL_MAX, &a, &b)) return 400;
    if (k->channels == CHANNELS_MOVED) {
        a += MOVED_BY;
        b = a + 1;
    }
    if (k->channels == CHANNELS_SWAPPED) {
        b = a;
        a = b + 1;
    }
    p->udp = false;
    p->channel = (uint8_t)a;
    p->rtcp_channel = (uint8_t)b;
    switch (k->transport) {
    case TRANSPORT_NO_TCP:
        buf_fmt(to, "Transport: RTP/AVP;unicast;interleaved=%u-%u\r\n", (unsigned)a, (unsigned)b);
        break;
    case TRANSPORT_SINGLE:
        buf_fmt(to, "Transport: RTP/AVP/TCP;unicast;interleaved=%u\r\n", (unsigned)a);
        break;
    case TRANSPORT_SSRC_FIRST:
        buf_fmt(to, "Transport: ssrc=%08X;RTP/AVP/TCP;interleaved=%u-%u;unicast\r\n", p->ssrc, (unsigned)a,
            (unsigned)b);
        break;
    case TRANSPORT_BARE: buf_text(to, "Transport: RTP/AVP/TCP\r\n"); break;
    case TRANSPORT_BAD_SSRC:
        buf_fmt(to, "Transport: RTP/AVP/TCP;unicast;interleaved=%u-%u;ssrc= 4294967299999\r\n", (unsigned)a,
            (unsigned)b);
        break;
    default:
        buf_fmt(to, "Transport: RTP/AVP/TCP;unicast;interleaved=%u-%u;ssrc=%08X\r\n", (unsigned)a,
            (unsigned)b, p->ssrc);
    }
    return 200;
}

static unsigned setup_udp(struct play *p, struct span spec, struct buf *to)
{
    const struct knobs *k = &p->conn->stream->k;
    uint64_t a, b;

    if (!read_pair(list_param(spec, ';', "client_port"), UINT16_MAX - 1, &a, &b)) return 461;
    watch_stop(&p->rtp);
    watch_stop(&p->rtcp);
    uint16_t port = play_bind_udp(p, (uint16_t)a, (uint16_t)b);
    if (port == 0) return 461;
    p->udp = true;
    buf_fmt(
        to, "Transport: RTP/AVP;unicast;client_port=%u-%u;server_port=%u", (unsigned)a, (unsigned)b, port);
    if (k->transport != TRANSPORT_SINGLE) buf_fmt(to, "-%u", port + 1);
    if (k->transport != TRANSPORT_BARE) buf_fmt(to, ";ssrc=%08X", p->ssrc);
    buf_text(to, "\r\n");
    return 200;
}

unsigned setup_track(struct conn *c, struct play *p, struct span transport, struct buf *to)
{
    struct span spec;

    /* The first one offered that this camera can do. */
    while (span_split(&transport, ',', &spec)) {
        bool tcp =
            span_istarts(span_trim(spec), "RTP/AVP/TCP") || list_param(spec, ';', "interleaved").p != NULL;
        unsigned status = 461;
        if (tcp && c->stream->k.tcp != 0)
            status = setup_tcp(p, spec, to);
        else if (!tcp && c->stream->k.udp != 0)
            status = setup_udp(p, spec, to);
        if (status == 200) return 200;
    }
    return 461;
}
