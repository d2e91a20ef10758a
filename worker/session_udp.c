#include "worker/session_impl.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"

#define LATCH_US                                                                                             \
    (1500 * US_PER_MS) /* UDP: so long the camera may show its port, then the announced one is taken */
/* A pair that cannot be connected sends no reports, and cameras end such sessions: another one is set up. */
#define CONNECT_TRIES    3
#define CONNECT_AGAIN_US (1 * US_PER_S)

void session_udp_close(struct session *s, struct udp_track *t)
{
    if (!t->open) return;
    loop_io_stop(&t->io[0]);
    loop_io_stop(&t->io[1]);
    camera_udp_close(&t->u);
    clink_udp_close(&s->connector, t->index);
    t->open = t->asked = false;
}

static void between_batches(void *arg)
{
    struct udp_track *t = arg;

    ingest_detach(t->s->ingest);
    session_begin_batch(t->s);
}

static void on_datagram(void *arg, bool rtcp, struct span packet)
{
    struct udp_track *t = arg;

    ingest_packet(t->s->ingest, t->index, rtcp, packet);
}

/* The ports that the camera really sends from, when it has shown them; else those it announced. */
static void connect_udp(struct udp_track *t)
{
    uint16_t rtp = t->u.seen_port[0], rtcp = t->u.seen_port[1];

    if (rtp == 0) rtp = t->port[0];
    if (rtcp == 0) rtcp = rtp == t->port[0] ? t->port[1] : (uint16_t)(rtp + 1);
    if (rtp == 0 || rtcp == 0) return;
    t->asked = true;
    clink_udp_connect(&t->s->connector, t->index, rtp, rtcp);
}

static void say_faults(struct udp_track *t)
{
    struct ingest *in = t->s->ingest;

    ingest_fault(in, FAULT_STRANGER, t->index, t->u.strangers - t->strangers_said);
    ingest_fault(in, FAULT_OVERFLOW, t->index, t->u.drops - t->drops_said);
    t->strangers_said = t->u.strangers;
    t->drops_said = t->u.drops;
}

void session_udp_drain(struct session *s, usec_t now_us)
{
    size_t sum = 0;

    for (size_t i = 0; i < ARRAY_N(s->udp); i++) {
        struct udp_track *t = &s->udp[i];
        size_t bytes;

        if (!t->open) continue;
        session_begin_batch(s);
        bytes = camera_udp_drain(&t->u, &s->batch, on_datagram, between_batches, t);
        say_faults(t);
        if (bytes > 0) s->speaker->udp_seen(s, t->index, now_us);
        if (!t->asked && now_us >= t->again_us && s->playing_us != 0 &&
            (t->u.seen_port[0] != 0 || now_us - s->playing_us > LATCH_US))
            connect_udp(t);
        camera_udp_punch(&t->u, s->udp_ssrc, now_us);
        sum += bytes;
    }
    s->udp_bytes += sum;
    if (sum > 0) s->ops.drained(s->ops.arg, sum);
}

static void on_udp_ready(struct loop_io *io, unsigned events)
{
    struct udp_track *t = io->arg;

    (void)events;
    session_udp_drain(t->s, clock_mono_us());
    t->s->ops.turn(t->s->ops.arg);
}

void session_udp_watch(struct session *s)
{
    for (size_t i = 0; i < ARRAY_N(s->udp); i++)
        for (int j = 0; j < 2; j++) loop_io_events(&s->udp[i].io[j], s->live ? LOOP_READ : 0);
}

void session_udp_bound(void *arg, uint8_t track, int err, uint16_t port, int rtp_fd, int rtcp_fd)
{
    struct session *s = arg;
    struct udp_track *t = &s->udp[track];

    if (err == 0) {
        *t = (struct udp_track){.s = s, .index = track, .open = true};
        camera_udp_open(&t->u, rtp_fd, rtcp_fd, &s->peer);
        loop_io_start(s->loop, &t->io[0], rtp_fd, s->live ? LOOP_READ : 0, on_udp_ready, t);
        loop_io_start(s->loop, &t->io[1], rtcp_fd, s->live ? LOOP_READ : 0, on_udp_ready, t);
    }
    s->speaker->udp_bound(s, track, port, err, clock_mono_us());
    s->ops.turn(s->ops.arg);
}

void session_udp_connected(void *arg, uint8_t track, int err)
{
    struct session *s = arg;
    struct udp_track *t = &s->udp[track];

    t->u.connected = t->open && err == 0;
    if (!t->open || err == 0) return;
    log_info("udp-connect", "track=%u err=%s", track, log_q(span_of(err_text(err))));
    t->asked = false;
    t->again_us = clock_mono_us() + CONNECT_AGAIN_US;
    if (++t->refusals == CONNECT_TRIES) session_restart(s, STREAM_CONNECTING, "the UDP ports were lost");
}

bool session_udp_any(const struct session *s)
{
    for (size_t i = 0; i < ARRAY_N(s->udp); i++)
        if (s->udp[i].open) return true;
    return false;
}

usec_t session_udp_next_us(struct session *s, usec_t now_us)
{
    usec_t every_us = s->pace_us > 0 ? s->pace_us : CAMERA_DRAIN_US;

    if (!session_udp_any(s)) return now_us + every_us;
    for (size_t i = 0; i < ARRAY_N(s->udp); i++)
        if (s->udp[i].open)
            every_us =
                MIN(every_us, camera_udp_drain_us(&s->udp[i].u, s->udp_bytes, now_us - s->udp_since_us));
    if (now_us - s->udp_since_us > 4 * US_PER_S) {
        s->udp_bytes /= 2;
        s->udp_since_us += (now_us - s->udp_since_us) / 2;
    }
    return now_us + every_us;
}
