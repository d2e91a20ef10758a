/* Sequence accounting of one track: which packets go on to the depacketiser, in what order, and what was
 * lost. Source: RFC 3550 A.1 (sequence), A.3 (loss), A.8 (jitter), 8.2 (SSRC). No clock: arrival is a
 * parameter.
 *
 *   session -> rtp_order_feed -> out, once a packet, in order
 *
 * TCP: packets pass through at once and are never copied. UDP: a packet behind a gap waits, copied, for what
 * is missing: RTP_ORDER_WINDOW packets or RTP_ORDER_HOLD_US at most (T3); call rtp_order_tick when
 * rtp_order_due says. Order of rules: payload type first (S9: a foreign type on the same SSRC and number is
 * dropped before it counts), then SSRC (T6, K6, P17: the one seen is the one; another takes over after 2
 * packets in sequence when ours was silent for 200 ms, or after 16), then sequence (T2 to T4). Tests:
 * tests/unit/worker/test_rtp_order.c, fuzz_rtp_order. */
#ifndef WORKER_RTP_ORDER_H
#define WORKER_RTP_ORDER_H

#include "common/base/span.h"

#define RTP_ORDER_WINDOW   128               /* packets that may wait */
#define RTP_ORDER_HOLD_US  (100 * US_PER_MS) /* the longest wait */
#define RTP_ORDER_HELD_MAX (4u << 20)        /* bytes that may wait */

struct rtp_order_packet {
    struct span payload;
    uint32_t ssrc, timestamp;
    uint16_t seq;
    uint8_t pt;
    bool marker;
    usec_t mono_us, wall_us; /* arrival */
};

struct rtp_order_out {
    /* lost: packets right before this one are missing. new_run: sequence, timestamps and SR mapping begin
     * anew (first packet, SSRC change). p is valid during the call. */
    void (*packet)(void *arg, const struct rtp_order_packet *p, bool lost, bool new_run);
    void *arg;
};

struct rtp_order_counters {
    uint64_t packets;   /* handed on */
    uint64_t lost;      /* never came, by sequence number */
    uint64_t reordered; /* came late and were put in their place */
    uint64_t duplicate;
    uint64_t late;         /* came after their place was given up */
    uint64_t foreign_pt;   /* S9 */
    uint64_t foreign_ssrc; /* K6 */
    uint64_t resyncs;      /* big jumps (T4) */
    uint64_t ssrc_changes; /* T6 */
};

/* The figures of a receiver report (RFC 3550 6.4.1), and the start of a new interval. */
struct rtp_order_report {
    uint32_t ssrc;
    uint8_t fraction_lost;
    int32_t lost;         /* cumulative, clamped to 24 bit */
    uint32_t highest_seq; /* extended */
    uint32_t jitter;      /* ticks */
};

struct rtp_order;

/* pts: payload types of the session description for this track, pts_n of them (0: take the first that comes,
 * S18); RTP_ORDER_PTS at most. hold: UDP. clock_hz: for jitter. */
#define RTP_ORDER_PTS 8
struct rtp_order_config {
    uint8_t pts[RTP_ORDER_PTS];
    unsigned pts_n;
    uint32_t clock_hz;
    bool hold;
};

struct rtp_order *rtp_order_new(const struct rtp_order_config *c, const struct rtp_order_out *out);
void rtp_order_free(struct rtp_order *o); /* NULL is fine; what waits is dropped */
/* RTP-Info said that the first packet has this number (P16: believed only within +-100 of what comes first).
 */
void rtp_order_hint(struct rtp_order *o, uint16_t seq);
void rtp_order_feed(struct rtp_order *o, const struct rtp_order_packet *p);
/* Gives up what has waited too long. */
void rtp_order_tick(struct rtp_order *o, usec_t mono_us);
/* When rtp_order_tick is next needed; 0: nothing waits. */
usec_t rtp_order_due(const struct rtp_order *o);
/* Hands on whatever waits (end of the session). */
void rtp_order_flush(struct rtp_order *o);
/* false: no packet yet, send no report (K4). */
bool rtp_order_report(struct rtp_order *o, struct rtp_order_report *ret);
/* Is this the SSRC that the track is locked to? For sender reports (T8: unknown ones are ignored). */
bool rtp_order_is_ssrc(const struct rtp_order *o, uint32_t ssrc);
/* The payload type in use, -1 before the first packet; with several in the description it chooses the codec
 * (S12). */
int rtp_order_pt(const struct rtp_order *o);
const struct rtp_order_counters *rtp_order_counters(const struct rtp_order *o);

#endif
