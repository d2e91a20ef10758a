/* A frame's packets patched for one session, spoilt by the knobs, and sent: one send a frame on TCP, one
 * sendmmsg on UDP. */
#include <limits.h>
#include <sys/socket.h>

#include "common/base/mem.h"
#include "common/base/rng.h"
#include "tests/camera/play.h"

#define PIECES_MAX   (PACKET_PER_FRAME * 3 + 16)
#define PER          100000
#define STRANGE      77 /* interleaved channel that nobody set up */
#define OTHER_PT     50 /* S9: as Geovision sends behind each IDR */
#define FOREIGN_SSRC 0x0f0e0d0c
#define SPARE_MAX    64 /* packets put in between, of one frame */
#define GARBAGE_MAX  65536
#define UDP_BATCH    64
#define MARKER_BIT   0x80

static uint8_t *scratch;
static size_t scratch_n;
static struct iovec pieces[PIECES_MAX];
static int n_pieces;
static uint8_t spare[SPARE_MAX][PACKET_HDR + 64];
static unsigned n_spare;
static uint8_t garbage[GARBAGE_MAX];

static uint32_t random_u32(void)
{
    static uint64_t x;

    if (x == 0) x = (uint64_t)rng_u32() << 32 | rng_u32() | 1;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return (uint32_t)(x >> 32);
}

static bool happens(int64_t rate)
{
    return rate > 0 && random_u32() % PER < (uint32_t)rate;
}

static void put_u16(uint8_t *p, uint32_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static void put_u32(uint8_t *p, uint32_t v)
{
    put_u16(p, v >> 16);
    put_u16(p + 2, v);
}

static void piece(void *p, size_t n)
{
    if (n_pieces < PIECES_MAX) pieces[n_pieces++] = (struct iovec){p, n};
}

/* A short packet of our own making, after the packet h. */
static void put_spare(const uint8_t *h, uint8_t channel, uint8_t pt, uint32_t ssrc, uint16_t seq)
{
    if (n_spare == SPARE_MAX) return;
    uint8_t *p = spare[n_spare++];

    memcpy(p, h, PACKET_HDR);
    p[1] = channel;
    memset(p + PACKET_HDR, 0x5a, 48);
    put_u16(p + 2, RTP_HDR + 48);
    p[5] = pt;
    put_u16(p + 6, seq);
    put_u32(p + 12, ssrc);
    piece(p, PACKET_HDR + 48);
}

static uint8_t rtp_channel(const struct play *p)
{
    if (p->conn->stream->k.channels == CHANNELS_LIE) return (uint8_t)(p->channel + 20);
    return p->channel;
}

/* Writes what differs between sessions into packet i at h. */
static void patch(struct play *p, uint8_t *h, const struct pack_packet *q, uint32_t ts)
{
    const struct knobs *k = &p->conn->stream->k;

    h[1] = rtp_channel(p);
    if (k->marker == MARKER_NEVER)
        h[5] &= (uint8_t)~MARKER_BIT;
    else if (k->marker == MARKER_ALWAYS)
        h[5] |= MARKER_BIT;
    put_u16(h + 6, p->seq++);
    put_u32(h + 8, q->param ? ts + (uint32_t)k->params_ts : ts);
    put_u32(h + 12, p->ssrc);
}

/* Puts the packet into the list, or not, or twice, or with company. */
static void spoil(struct play *p, uint8_t *h, size_t len)
{
    struct stream *s = p->conn->stream;
    uint16_t seq = (uint16_t)(h[6] << 8 | h[7]);

    if (happens(s->k.loss)) {
        s->c.packets_lost++;
        return;
    }
    piece(h, len);
    if (happens(s->k.duplicate)) piece(h, len);
    if (happens(s->k.reorder) && n_pieces > 1) {
        struct iovec last = pieces[n_pieces - 1];
        pieces[n_pieces - 1] = pieces[n_pieces - 2];
        pieces[n_pieces - 2] = last;
    }
    if (happens(s->k.other_pt)) put_spare(h, h[1], OTHER_PT, p->ssrc, seq);
    if (happens(s->k.foreign)) put_spare(h, h[1], h[5] & 0x7f, FOREIGN_SSRC, seq);
    if (happens(s->k.strange_channel)) put_spare(h, STRANGE, h[5] & 0x7f, p->ssrc, seq);
}

static bool plain(const struct knobs *k)
{
    return (k->loss | k->reorder | k->duplicate | k->foreign | k->other_pt | k->strange_channel | k->tear |
               k->garbage | k->packets) == 0;
}

static void send_tcp(struct play *p)
{
    struct stream *s = p->conn->stream;

    if (happens(s->k.tear) && n_pieces > 0) {
        struct iovec *v = &pieces[(uint32_t)n_pieces > 1 ? random_u32() % (uint32_t)n_pieces : 0];
        v->iov_len = 1 + random_u32() % (uint32_t)v->iov_len;
        n_pieces = (int)(v - pieces) + 1;
    }
    if (s->k.packets != 0) {
        for (int i = 0; i < n_pieces; i++) (void)conn_send_media(p->conn, &pieces[i], 1, pieces[i].iov_len);
        return;
    }
    for (int i = 0; i < n_pieces; i += IOV_MAX) {
        size_t part = 0;
        int n = MIN(n_pieces - i, IOV_MAX);
        for (int j = 0; j < n; j++) part += pieces[i + j].iov_len;
        if (!conn_send_media(p->conn, &pieces[i], n, part)) s->c.frames_dropped++;
    }
}

static void send_udp(struct play *p)
{
    struct mmsghdr m[UDP_BATCH];
    struct stream *s = p->conn->stream;

    if (s->k.udp_silent != 0) return;
    for (int i = 0; i < n_pieces;) {
        unsigned n = (unsigned)MIN(n_pieces - i, UDP_BATCH);
        memset(m, 0, n * sizeof *m);
        for (unsigned j = 0; j < n; j++) {
            struct iovec *v = &pieces[i + (int)j];
            v->iov_base = (uint8_t *)v->iov_base + INTERLEAVED_HDR;
            v->iov_len -= INTERLEAVED_HDR;
            m[j].msg_hdr.msg_iov = v;
            m[j].msg_hdr.msg_iovlen = 1;
        }
        s->c.sends++;
        int sent = sendmmsg(p->rtp.fd, m, n, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < (int)n) s->c.udp_errors++;
        i += (int)n;
    }
}

static void gather(struct play *p, const struct pack *pack, const struct pack_frame *f, uint32_t ts)
{
    const struct knobs *k = &p->conn->stream->k;
    bool is_plain = plain(k);
    uint8_t *h = scratch;

    n_pieces = 0;
    n_spare = 0;
    if (k->garbage > 0 && p->sent % 2 == 1 && !p->udp) {
        for (int64_t i = 0; i < k->garbage; i += 4) put_u32(garbage + MIN(i, GARBAGE_MAX - 4), random_u32());
        piece(garbage, (size_t)k->garbage);
    }
    for (uint32_t i = 0; i < f->n; i++) {
        const struct pack_packet *q = &pack->packets[f->first + i];
        patch(p, h, q, ts);
        p->octets += q->len - PACKET_HDR;
        if (!is_plain)
            spoil(p, h, q->len);
        else if (p->udp)
            piece(h, q->len);
        h += q->len;
    }
    if (is_plain && !p->udp) piece(scratch, f->len);
}

void wire_frame(struct play *p, const struct pack *pack, const struct pack_frame *f, uint32_t ts)
{
    struct stream *s = p->conn->stream;

    if (scratch_n < pack->frame_max) {
        scratch_n = pack->frame_max;
        scratch = mem_renew(scratch, scratch_n);
    }
    memcpy(scratch, pack->mem + f->at, f->len);
    gather(p, pack, f, ts);
    p->packets += f->n;
    s->c.frames_sent++;
    s->c.packets_sent += f->n;
    s->c.bytes_sent += f->len;
    if (p->udp)
        send_udp(p);
    else
        send_tcp(p);
}

void wire_rtcp(struct play *p, struct span packet)
{
    uint8_t frame[INTERLEAVED_HDR + 256];

    if (packet.n > sizeof frame - INTERLEAVED_HDR) return;
    if (p->udp) {
        if (p->conn->stream->k.udp_silent == 0)
            (void)send(p->rtcp.fd, packet.p, packet.n, MSG_DONTWAIT | MSG_NOSIGNAL);
        return;
    }
    frame[0] = '$';
    frame[1] = p->conn->stream->k.channels == CHANNELS_RTCP_ON_RTP ? p->channel : p->rtcp_channel;
    put_u16(frame + 2, (uint32_t)packet.n);
    memcpy(frame + INTERLEAVED_HDR, packet.p, packet.n);
    struct iovec v = {frame, INTERLEAVED_HDR + packet.n};
    (void)conn_send_media(p->conn, &v, 1, v.iov_len);
}
