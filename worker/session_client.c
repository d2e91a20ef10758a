/* A camera that is asked: the RTSP client, its connections, the waits between attempts. */
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/rng.h"
#include "worker/session_impl.h"

#include <errno.h>

#define DIAL_LATE_US (CLINK_TIMEOUT_US + 5 * US_PER_S) /* the connector should have answered */

/* --- its connection --- */

static size_t on_bytes(void *arg, struct span unread)
{
    struct session *s = arg;

    return rtsp_client_feed(s->client, unread, clock_mono_us());
}

static size_t bytes_needed(void *arg)
{
    struct session *s = arg;

    return rtsp_client_need(s->client);
}

static void on_conn_closed(void *arg, int err)
{
    struct session *s = arg;

    rtsp_client_closed(s->client, err, err ? err_text(err) : "closed by the camera", clock_mono_us());
    s->ops.turn(s->ops.arg);
}

static const struct camera_conn_ops conn_ops = {.begin = session_begin_batch,
    .end = session_end_batch,
    .feed = on_bytes,
    .need = bytes_needed,
    .closed = on_conn_closed};

/* A name that is none (ENOENT), or that no name server tells (EIO), is a step of its own: nobody was called
 * yet. */
static void say_dialed(struct session *s, int err, const char *text, const char *addr, usec_t now_us)
{
    const struct session_step step = {.name = err == -ENOENT || err == -EIO ? "resolve" : "connect",
        .ok = err == 0,
        .took_us = now_us - s->dialed_us,
        .text = err == 0 ? addr
            : text[0]    ? text
                         : err_text(err)};

    s->ops.step(s->ops.arg, &step);
}

static void on_dialed(void *arg, int err, const char *text, const char *addr, int fd)
{
    struct session *s = arg;
    socklen_t n = sizeof(s->peer);
    usec_t now_us = clock_mono_us();

    s->dial_late_us = 0;
    say_dialed(s, err, text, addr, now_us);
    if (err != 0) {
        rtsp_client_closed(s->client, err, text[0] ? text : err_text(err), now_us);
    } else {
        if (getpeername(fd, (struct sockaddr *)&s->peer, &n) < 0) s->peer.ss_family = AF_UNSPEC;
        span_copy(span_of(addr), s->addr, sizeof(s->addr));
        camera_conn_free(s->conn);
        s->conn = camera_conn_new(s->loop, fd, &conn_ops, s);
        log_debug("connected", "addr=%s", addr);
        rtsp_client_connected(s->client, now_us);
    }
    s->ops.turn(s->ops.arg);
}

static void dial(struct session *s, usec_t now_us)
{
    s->dial_us = 0;
    s->dialed_us = now_us;
    s->dial_late_us = now_us + DIAL_LATE_US;
    clink_dial(&s->connector, s->host, s->port);
}

static void dial_late(struct session *s, usec_t now_us)
{
    const char *why =
        clink_waits_for_connector(&s->connector) ? "no connector" : "the connector does not answer";

    s->dial_late_us = 0;
    clink_cancel(&s->connector);
    rtsp_client_closed(s->client, -ETIMEDOUT, why, now_us);
}

/* --- attempts --- */

static void start(struct session *s, usec_t now_us)
{
    s->ops.connecting(s->ops.arg);
    rtsp_client_start(s->client, now_us);
}

static bool refused(enum rtsp_fail f)
{
    return f == RTSP_FAIL_AUTH || f == RTSP_FAIL_CAPACITY;
}

/* Says so, and waits: longer with each that fails. */
static void note_and_wait(struct session *s, usec_t now_us)
{
    struct ingest_view v = ingest_view(s->ingest);
    usec_t played_us = v.first_frame_us ? now_us - v.first_frame_us : 0;
    usec_t wait_us = rng_jitter(backoff_wait(&s->backoff, played_us, refused(s->fail)), BACKOFF_JITTER);
    enum stream_state to = s->restarting ? s->over_state : played_us > 0 ? STREAM_CONNECTING : STREAM_DOWN;

    wait_us = MAX(wait_us, s->fail_retry_us);
    ingest_end(s->ingest);
    s->phase = WAIT;
    s->retry_us = now_us + wait_us;
    if (s->playing_us != 0) s->ops.ended(s->ops.arg);
    s->playing_us = 0;
    log_info("retry", "in_ms=%lld tries=%u why=%s", (long long)(wait_us / US_PER_MS), s->backoff.tries,
        log_q(span_of(s->why)));
    if (s->settings->retry_numbers != 0 && s->backoff.tries == s->settings->retry_numbers) {
        log_error("unreachable", "tries=%u why=%s", s->backoff.tries, log_q(span_of(s->why)));
        to = STREAM_DOWN;
    }
    s->ops.state(s->ops.arg, to, s->why);
}

/* An attempt, or a session that had played, is over. */
static void wait_and_retry(struct session *s, usec_t now_us)
{
    s->over_us = now_us;
    if (s->between && s->fail == RTSP_FAIL_CAPACITY && now_us < s->retry_us) {
        ingest_end(s->ingest);
        s->phase = WAIT;
        return;
    }
    note_and_wait(s, now_us);
}

/* --- the speaker --- */

static void stop(struct session *s, usec_t now_us)
{
    rtsp_client_stop(s->client, now_us);
}

static void sockets_closed(struct session *s)
{
    (void)s;
}

static void tick(struct session *s, usec_t now_us)
{
    usec_t deadline_us;

    if (s->dial_us != 0 && now_us >= s->dial_us && !s->redial) dial(s, now_us);
    if (s->dial_late_us != 0 && now_us >= s->dial_late_us) dial_late(s, now_us);
    deadline_us = rtsp_client_deadline(s->client);
    if (deadline_us == 0 || now_us < deadline_us || s->over) return;
    rtsp_client_tick(s->client, now_us);
    if (s->conn) camera_conn_again(s->conn);
}

static usec_t sooner(usec_t a_us, usec_t b_us)
{
    return a_us == 0 || (b_us != 0 && b_us < a_us) ? b_us : a_us;
}

static usec_t deadline(const struct session *s)
{
    usec_t due_us = sooner(s->redial ? 0 : s->dial_us, s->dial_late_us);

    return sooner(due_us, rtsp_client_deadline(s->client));
}

static void send_rtcp(struct session *s, uint8_t track, struct span compound)
{
    rtsp_client_send_rtcp(s->client, track, compound);
}

static void udp_bound(struct session *s, uint8_t track, uint16_t port, int err, usec_t now_us)
{
    rtsp_client_udp_bound(s->client, track, port, err, now_us);
}

static void udp_seen(struct session *s, uint8_t track, usec_t now_us)
{
    rtsp_client_udp_seen(s->client, track, now_us);
}

static bool tracks(struct session *s, unsigned kinds)
{
    return rtsp_client_tracks(s->client, kinds);
}

static struct rtsp_client_counts counts(const struct session *s)
{
    return rtsp_client_counts(s->client);
}

static void free_client(struct session *s)
{
    rtsp_client_free(s->client);
}

const struct speaker session_client = {.start = start,
    .stop = stop,
    .over = wait_and_retry,
    .closed = sockets_closed,
    .tick = tick,
    .deadline = deadline,
    .send_rtcp = send_rtcp,
    .udp_bound = udp_bound,
    .udp_seen = udp_seen,
    .tracks = tracks,
    .counts = counts,
    .free = free_client};

/* The client goes on at once behind UDP_CONNECT: a camera shows its port only once it plays (T18). */
static void on_event(void *arg, const struct rtsp_event *e)
{
    struct session *s = arg;

    session_event(s, e);
    if (e->kind == RTSP_EV_UDP_CONNECT) rtsp_client_udp_connected(s->client, e->track, 0, clock_mono_us());
}

static void on_answered(void *arg, enum rtsp_method m, unsigned status, usec_t took_us)
{
    struct session *s = arg;
    char text[64];
    const struct session_step step = {
        .name = rtsp_method_name(m), .ok = status >= 200 && status < 300, .took_us = took_us, .text = text};

    snprintf(text, sizeof(text), "%u %s", status, rtsp_reason(status));
    s->ops.step(s->ops.arg, &step);
}

bool session_client_new(struct session *s, const char **ret_why)
{
    static const struct rtsp_client_ops ops = {
        .send = session_send, .event = on_event, .packet = session_packet, .answered = on_answered};
    static const struct clink_ops link_ops = {
        .dialed = on_dialed, .udp_bound = session_udp_bound, .udp_connected = session_udp_connected};
    struct rtsp_client_conf conf = {.url = secret_reveal(&s->settings->url),
        .user_agent = span_of(s->settings->user_agent),
        .transport = s->settings->transport,
        .tracks = settings_tracks(s->settings)};

    rng_bytes(&conf.seed, sizeof(conf.seed));
    clink_init(&s->connector, s->loop, &link_ops, s);
    s->client = rtsp_client_new(&conf, &ops, s, ret_why);
    return s->client != NULL;
}
