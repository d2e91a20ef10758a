#include "worker/rtp_order.h"
#include "common/base/mem.h"

#define MAX_DROPOUT    3000 /* RFC 3550 A.1: what is further ahead is a jump */
#define MAX_MISORDER   100  /* what is less behind is late */
#define SSRC_SILENT_US (200 * US_PER_MS)
#define SSRC_FAST      2  /* packets of a new SSRC when ours is silent */
#define SSRC_SLOW      16 /* and when it is not known to be */
#define PT_ADOPT       5  /* packets in a row (S8) */
#define HINT_NEAR      100

/* A copy of a packet that waits. */
struct held {
    struct rtp_order_packet p;
    uint8_t *mem; /* NULL: empty place, or an empty payload */
    bool full;
};

/* Packets of what may be another source or another run. */
struct candidate {
    uint32_t ssrc;
    uint16_t next;
    unsigned n;
    struct held h[SSRC_SLOW];
};

struct rtp_order {
    struct rtp_order_config conf;
    struct rtp_order_out out;
    struct rtp_order_counters c;
    int pt;
    uint8_t pt_other; /* a foreign payload type and how many came in a row */
    unsigned pt_other_n;
    bool locked; /* to ssrc */
    uint32_t ssrc;
    usec_t last_us;
    struct candidate *cand; /* of another SSRC */
    struct candidate *jump; /* of ours, behind a jump */
    bool started;
    uint16_t next; /* to be handed on */
    bool lost;     /* before what is handed on next */
    bool new_run;
    bool has_hint;
    uint16_t hint;
    /* UDP: packets behind a gap, by number modulo RTP_ORDER_WINDOW; allocated at the first gap. */
    struct held *window;
    unsigned held_n;
    size_t held_bytes;
    usec_t due_us;
    /* For reports. */
    uint32_t base_seq, highest; /* extended */
    uint64_t received;
    uint64_t expected_before, received_before;
    uint32_t transit, jitter16;
    bool has_transit;
};

struct rtp_order *rtp_order_new(const struct rtp_order_config *c, const struct rtp_order_out *out)
{
    struct rtp_order *o = NEW(struct rtp_order);

    o->conf = *c;
    o->conf.pts_n = MIN(c->pts_n, RTP_ORDER_PTS);
    o->out = *out;
    o->pt = -1;
    return o;
}

static void release(struct rtp_order *o, struct held *h)
{
    if (!h->full) return;
    o->held_bytes -= h->p.payload.n;
    mem_free(h->mem);
    *h = (struct held){0};
}

static void candidate_drop(struct rtp_order *o, struct candidate **c)
{
    if (!*c) return;
    for (unsigned i = 0; i < SSRC_SLOW; i++) release(o, &(*c)->h[i]);
    mem_free(*c);
    *c = NULL;
}

void rtp_order_free(struct rtp_order *o)
{
    if (!o) return;
    candidate_drop(o, &o->cand);
    candidate_drop(o, &o->jump);
    for (unsigned i = 0; o->window && i < RTP_ORDER_WINDOW; i++) release(o, &o->window[i]);
    mem_free(o->window);
    mem_free(o);
}

void rtp_order_hint(struct rtp_order *o, uint16_t seq)
{
    /* 0 and 1 are what cameras say that do not know (P16). */
    o->has_hint = seq > 1;
    o->hint = seq;
}

/* false: no memory for it. */
static bool hold(struct rtp_order *o, struct held *to, const struct rtp_order_packet *p)
{
    uint8_t *mem = NULL;

    if (p->payload.n > RTP_ORDER_HELD_MAX - o->held_bytes) return false;
    if (p->payload.n > 0) {
        mem = mem_try(p->payload.n);
        if (!mem) return false;
        memcpy(mem, p->payload.p, p->payload.n);
    }
    *to = (struct held){.p = *p, .mem = mem, .full = true};
    to->p.payload = span(mem, p->payload.n);
    o->held_bytes += p->payload.n;
    return true;
}

static void hand_on(struct rtp_order *o, const struct rtp_order_packet *p)
{
    bool lost = o->lost, new_run = o->new_run;

    o->next = (uint16_t)(p->seq + 1);
    o->c.packets++;
    /* T14: without payload only its number counts. */
    if (p->payload.n == 0) return;
    o->lost = o->new_run = false;
    o->out.packet(o->out.arg, p, lost, new_run);
}

/* --- reports --- */

static void account_begin(struct rtp_order *o, uint16_t seq)
{
    o->base_seq = o->highest = seq;
    o->received = o->expected_before = o->received_before = 0;
    o->jitter16 = 0;
    o->has_transit = false;
}

static void account(struct rtp_order *o, const struct rtp_order_packet *p)
{
    int16_t ahead = (int16_t)(uint16_t)(p->seq - (uint16_t)o->highest);
    uint32_t transit = (uint32_t)scale_i64(p->mono_us, o->conf.clock_hz, 1000000) - p->timestamp;

    if (ahead > 0) o->highest += (uint32_t)ahead;
    o->received++;
    o->last_us = p->mono_us;
    if (o->has_transit) {
        int32_t d = (int32_t)(transit - o->transit);
        uint32_t step = d < 0 ? 0u - (uint32_t)d : (uint32_t)d;

        /* A jump of the timestamps is no jitter. */
        if (step < o->conf.clock_hz) o->jitter16 += step - ((o->jitter16 + 8) >> 4);
    }
    o->transit = transit;
    o->has_transit = true;
}

bool rtp_order_report(struct rtp_order *o, struct rtp_order_report *ret)
{
    uint64_t expected = (uint64_t)o->highest - o->base_seq + 1, span_n, got_n;
    int64_t lost;

    if (!o->started) return false;
    lost = (int64_t)expected - (int64_t)o->received;
    span_n = expected - o->expected_before;
    got_n = o->received - o->received_before;
    o->expected_before = expected;
    o->received_before = o->received;
    *ret = (struct rtp_order_report){.ssrc = o->ssrc,
        .lost = (int32_t)CLAMP(lost, -0x800000, 0x7fffff),
        .highest_seq = o->highest,
        .jitter = o->jitter16 >> 4};
    if (span_n > 0 && got_n < span_n) ret->fraction_lost = (uint8_t)MIN((span_n - got_n) * 256 / span_n, 255);
    return true;
}

/* --- order --- */

static struct held *place_of(struct rtp_order *o, uint16_t seq)
{
    return &o->window[seq % RTP_ORDER_WINDOW];
}

/* Hands on what lies ready behind the last one handed on. */
static void drain(struct rtp_order *o)
{
    while (o->held_n > 0) {
        struct held h = *place_of(o, o->next);

        if (!h.full || h.p.seq != o->next) return;
        *place_of(o, o->next) = (struct held){0};
        o->held_n--;
        hand_on(o, &h.p);
        release(o, &h);
    }
}

/* The gap before the first packet that waits is given up. */
static void give_up_gap(struct rtp_order *o)
{
    while (o->held_n > 0 && !(place_of(o, o->next)->full && place_of(o, o->next)->p.seq == o->next)) {
        o->next++;
        o->c.lost++;
        o->lost = true;
    }
    drain(o);
}

static void set_due(struct rtp_order *o)
{
    usec_t first = 0;

    for (unsigned i = 0; o->held_n > 0 && i < RTP_ORDER_WINDOW; i++)
        if (o->window[i].full && (first == 0 || o->window[i].p.mono_us < first))
            first = o->window[i].p.mono_us;
    o->due_us = first ? first + RTP_ORDER_HOLD_US : 0;
}

usec_t rtp_order_due(const struct rtp_order *o)
{
    return o->due_us;
}

void rtp_order_tick(struct rtp_order *o, usec_t mono_us)
{
    while (o->due_us != 0 && mono_us >= o->due_us) {
        give_up_gap(o);
        set_due(o);
    }
}

void rtp_order_flush(struct rtp_order *o)
{
    while (o->held_n > 0) give_up_gap(o);
    o->due_us = 0;
}

/* A gap lies before p. */
static void wait_for_gap(struct rtp_order *o, const struct rtp_order_packet *p)
{
    struct held *to;

    if (!o->window) o->window = mem_new_n(RTP_ORDER_WINDOW, sizeof *o->window);
    while (o->held_n > 0 && (uint16_t)(p->seq - o->next) >= RTP_ORDER_WINDOW) give_up_gap(o);
    to = (uint16_t)(p->seq - o->next) < RTP_ORDER_WINDOW ? place_of(o, p->seq) : NULL;
    if (to && to->full) {
        o->c.duplicate++;
        return;
    }
    if (p->seq == o->next || !to) {
        o->c.lost += (uint16_t)(p->seq - o->next);
        o->lost = o->lost || p->seq != o->next;
        hand_on(o, p);
        drain(o);
        set_due(o);
    } else if (hold(o, to, p)) {
        o->held_n++;
        if (o->due_us == 0) o->due_us = p->mono_us + RTP_ORDER_HOLD_US;
    }
}

static void in_run(struct rtp_order *o, const struct rtp_order_packet *p, uint16_t ahead)
{
    if (ahead == 0) {
        o->c.reordered += o->held_n > 0;
        hand_on(o, p);
        drain(o);
        if (o->due_us != 0) set_due(o);
    } else if (o->conf.hold) {
        wait_for_gap(o, p);
    } else {
        o->c.lost += ahead;
        o->lost = true;
        hand_on(o, p);
    }
}

static void start(struct rtp_order *o, uint16_t seq)
{
    o->started = true;
    o->next = seq;
    o->new_run = true;
    account_begin(o, seq);
    if (o->has_hint && (uint16_t)(seq - o->hint) <= HINT_NEAR && seq != o->hint) {
        if (o->conf.hold)
            o->next = o->hint; /* a gap like any other: what is before it may still come (T3) */
        else
            o->c.lost += (uint16_t)(seq - o->hint);
        o->base_seq = o->hint;
        o->highest = o->hint + (uint32_t)(uint16_t)(seq - o->hint);
    }
    o->has_hint = false;
}

/* Puts p behind the others of its candidate, which begins anew when p does not follow. */
static unsigned candidate_add(struct rtp_order *o, struct candidate **c, const struct rtp_order_packet *p)
{
    if (*c && ((*c)->ssrc != p->ssrc || (*c)->next != p->seq || (*c)->n == SSRC_SLOW)) candidate_drop(o, c);
    if (!*c) *c = NEW(struct candidate);
    hold(o, &(*c)->h[(*c)->n], p);
    (*c)->ssrc = p->ssrc;
    (*c)->next = (uint16_t)(p->seq + 1);
    return ++(*c)->n;
}

static void sequence(struct rtp_order *o, const struct rtp_order_packet *p);

/* What was held of the candidate comes first. */
static void candidate_win(struct rtp_order *o, struct candidate **c)
{
    struct candidate *won = *c;

    *c = NULL;
    for (unsigned i = 0; i < won->n; i++)
        if (won->h[i].full) sequence(o, &won->h[i].p);
    candidate_drop(o, &won);
}

/* RFC 3550 A.1; T4: two in a row behind a jump are the new run. */
static void sequence(struct rtp_order *o, const struct rtp_order_packet *p)
{
    uint16_t ahead;

    if (!o->started) start(o, p->seq);
    ahead = (uint16_t)(p->seq - o->next);
    if (ahead < MAX_DROPOUT) {
        candidate_drop(o, &o->jump);
        account(o, p);
        in_run(o, p, ahead);
    } else if (ahead >= 0x10000 - MAX_MISORDER) {
        account(o, p);
        if (ahead == 0xffff)
            o->c.duplicate++;
        else
            o->c.late++;
    } else if (candidate_add(o, &o->jump, p) >= 2) {
        rtp_order_flush(o);
        o->c.resyncs++;
        o->lost = true;
        o->next = o->jump->h[0].p.seq;
        account_begin(o, o->next);
        candidate_win(o, &o->jump);
    }
}

/* --- source --- */

static bool is_declared(const struct rtp_order *o, uint8_t pt)
{
    return o->conf.pts_n == 0 || memchr(o->conf.pts, pt, o->conf.pts_n) != NULL;
}

/* S8, S9, S11, S12. */
static bool take_pt(struct rtp_order *o, uint8_t pt)
{
    bool declared = is_declared(o, pt);

    if (pt == o->pt || (declared && (o->pt < 0 || !is_declared(o, (uint8_t)o->pt)))) {
        o->pt = pt;
        o->pt_other_n = 0;
        return true;
    }
    o->pt_other_n = o->pt_other == pt ? o->pt_other_n + 1 : 1;
    o->pt_other = pt;
    /* Not declared: only while nothing declared was seen. */
    if (o->pt_other_n < PT_ADOPT || (!declared && o->pt >= 0 && is_declared(o, (uint8_t)o->pt))) {
        o->c.foreign_pt++;
        return false;
    }
    o->pt = pt;
    o->pt_other_n = 0;
    return true;
}

static void switch_source(struct rtp_order *o, uint32_t ssrc)
{
    rtp_order_flush(o);
    candidate_drop(o, &o->jump);
    o->ssrc = ssrc;
    o->started = false;
    o->lost = true;
    o->c.ssrc_changes++;
    candidate_win(o, &o->cand);
}

static bool take_ssrc(struct rtp_order *o, const struct rtp_order_packet *p)
{
    unsigned n;

    if (!o->locked) {
        o->locked = true;
        o->ssrc = p->ssrc;
    }
    if (p->ssrc == o->ssrc) {
        candidate_drop(o, &o->cand);
        return true;
    }
    n = candidate_add(o, &o->cand, p);
    if (n >= SSRC_SLOW || (n >= SSRC_FAST && p->mono_us - o->last_us >= SSRC_SILENT_US))
        switch_source(o, p->ssrc);
    else
        o->c.foreign_ssrc++;
    return false;
}

void rtp_order_feed(struct rtp_order *o, const struct rtp_order_packet *p)
{
    if (!take_pt(o, p->pt) || !take_ssrc(o, p)) return;
    sequence(o, p);
}

bool rtp_order_is_ssrc(const struct rtp_order *o, uint32_t ssrc)
{
    return o->locked && o->ssrc == ssrc;
}

int rtp_order_pt(const struct rtp_order *o)
{
    return o->pt;
}

const struct rtp_order_counters *rtp_order_counters(const struct rtp_order *o)
{
    return &o->c;
}
