#include "common/base/err.h"
#include "common/base/rd.h"
#include "worker/rtp_order.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct state {
    bool any;
    uint16_t last;
    uint64_t sum, n;
};

/* Within a run numbers rise, and a step of more than one is said to be a loss. */
static void on_packet(void *arg, const struct rtp_order_packet *p, bool lost, bool new_run)
{
    struct state *s = arg;

    if (s->any && !new_run && !lost) must((uint16_t)(p->seq - s->last) >= 1);
    must(p->payload.n > 0);
    for (size_t i = 0; i < p->payload.n; i++) s->sum += p->payload.p[i];
    s->any = true;
    s->last = p->seq;
    s->n++;
}

/* First byte: UDP or not, payload types; then 6 bytes a packet. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct state s = {0};
    struct rd r = rd_of(span(data, n));
    uint8_t first = rd_u8(&r);
    struct rtp_order_config c = {
        .pts = {96, 97}, .pts_n = first >> 1 & 3, .clock_hz = first & 8 ? 8000 : 90000, .hold = first & 1};
    struct rtp_order_out out = {on_packet, &s};
    struct rtp_order *o = rtp_order_new(&c, &out);
    struct rtp_order_report report;
    usec_t mono = 0;

    while (rd_left(&r) >= 6) {
        uint8_t what = rd_u8(&r), step = rd_u8(&r);
        struct rtp_order_packet p = {.seq = rd_u16(&r),
            .ssrc = what & 3,
            .pt = (uint8_t)(96 + (what >> 2 & 3)),
            .timestamp = rd_u16(&r) * 100u,
            .payload = span(data, MIN(what >> 4, (int)MIN(n, 16)))};

        mono += step * 1000;
        p.mono_us = mono;
        if (step == 255) rtp_order_hint(o, p.seq);
        if (step == 254) rtp_order_flush(o);
        rtp_order_feed(o, &p);
        if (rtp_order_due(o) != 0 && rtp_order_due(o) <= mono) rtp_order_tick(o, mono);
        if (step == 253) rtp_order_report(o, &report);
    }
    must(rtp_order_counters(o)->packets >= s.n);
    rtp_order_free(o);
    return 0;
}
