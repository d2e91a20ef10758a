#include "worker/session_impl.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/rng.h"

#include <errno.h>

#define SOURCE_MAX 112
/* Between attempts while a session of the camera may become free. */
#define CAMERA_FREE_US (250 * US_PER_MS)

static void do_later(struct loop_task *t);

void session_later(struct session *s)
{
    loop_defer(s->loop, &s->later, do_later);
}

/* --- sockets --- */

static void say_faults(struct session *s)
{
    struct rtsp_client_counts c = s->speaker->counts(s), was = s->said;

    ingest_fault(s->ingest, FAULT_RTSP, 0, c.bad_heads - was.bad_heads);
    ingest_fault(s->ingest, FAULT_FRAMING, 0, c.searches - was.searches);
    ingest_fault(s->ingest, FAULT_CHANNEL, 0, c.unknown - was.unknown);
    ingest_fault(s->ingest, FAULT_SDP, 0, c.bad_descriptions - was.bad_descriptions);
    s->said = c;
}

void session_close_sockets(struct session *s)
{
    camera_conn_free(s->conn);
    s->conn = NULL;
    for (size_t i = 0; i < ARRAY_N(s->udp); i++) session_udp_close(s, &s->udp[i]);
    clink_cancel(&s->connector);
    s->dial_us = s->dial_late_us = 0;
    s->speaker->closed(s);
}

static void pace(struct session *s)
{
    if (s->conn) camera_conn_pace(s->conn, s->playing_us != 0 && !s->live);
}

void session_begin_batch(void *arg)
{
    struct session *s = arg;

    ingest_now(s->ingest, clock_mono_us(), clock_wall_us());
}

void session_end_batch(void *arg, size_t bytes)
{
    struct session *s = arg;

    ingest_detach(s->ingest);
    if (bytes > 0) s->ops.drained(s->ops.arg, bytes);
}

/* --- what the RTSP machines say --- */

void session_send(void *arg, struct span bytes)
{
    struct session *s = arg;

    if (s->conn) camera_conn_send(s->conn, bytes);
}

void session_packet(void *arg, uint8_t track, bool rtcp, struct span packet)
{
    struct session *s = arg;

    ingest_packet(s->ingest, track, rtcp, packet);
}

static void ev_dial(struct session *s, const struct rtsp_event *e)
{
    camera_conn_shut(s->conn);
    span_copy(span_of(e->host), s->host, sizeof(s->host));
    s->port = e->port;
    s->dial_us = clock_mono_us() + e->after_us;
    s->redial = true;
    if (e->redirect) log_info("redirect", "host=%s port=%u", log_q(span_of(e->host)), e->port);
    session_later(s);
}

static void ev_udp_bind(struct session *s, const struct rtsp_event *e)
{
    clink_udp_bind(&s->connector, e->track, s->pushed);
}

static void ev_udp_connect(struct session *s, const struct rtsp_event *e)
{
    s->udp[e->track].port[0] = e->rtp_port;
    s->udp[e->track].port[1] = e->rtcp_port;
}

static void ev_udp_close(struct session *s, const struct rtsp_event *e)
{
    session_udp_close(s, &s->udp[e->track]);
}

static void ev_tracks(struct session *s, const struct rtsp_event *e)
{
    usec_t now_us = clock_mono_us();

    ingest_now(s->ingest, now_us, clock_wall_us());
    ingest_tracks(s->ingest, e->tracks, e->n_tracks, now_us);
    if (e->sdp_text.n > 0) s->ops.sdp(s->ops.arg, e->sdp_text);
}

static void ev_playing(struct session *s, const struct rtsp_event *e)
{
    char text[SOURCE_MAX];
    bool udp = session_udp_any(s);

    s->playing_us = clock_mono_us();
    s->drain_us = s->udp_since_us = s->playing_us;
    s->udp_bytes = 0;
    ingest_hints(s->ingest, e->tracks, e->n_tracks);
    snprintf(text, sizeof(text), "%s%s %s", s->push ? "push " : "", udp ? "udp" : "tcp", s->addr);
    s->ops.source(s->ops.arg, text);
    log_info("playing", "source=\"%s\" tracks=%zu", text, e->n_tracks);
    session_later(s);
}

static void ev_over(struct session *s, const struct rtsp_event *e)
{
    camera_conn_shut(s->conn);
    s->over = true;
    s->fail = e->kind == RTSP_EV_FAILED ? e->fail : 0;
    s->fail_retry_us = e->kind == RTSP_EV_FAILED ? e->retry_us : 0;
    if (e->kind == RTSP_EV_FAILED)
        snprintf(s->why, sizeof(s->why), "%s", e->text && e->text[0] ? e->text : "the session failed");
    session_later(s);
}

void session_event(void *arg, const struct rtsp_event *e)
{
    static void (*const handlers[])(struct session *, const struct rtsp_event *) = {
        [RTSP_EV_DIAL] = ev_dial,
        [RTSP_EV_UDP_BIND] = ev_udp_bind,
        [RTSP_EV_UDP_CONNECT] = ev_udp_connect,
        [RTSP_EV_UDP_CLOSE] = ev_udp_close,
        [RTSP_EV_TRACKS] = ev_tracks,
        [RTSP_EV_PLAYING] = ev_playing,
        [RTSP_EV_ANNOUNCED] = ev_tracks,
        [RTSP_EV_FAILED] = ev_over,
        [RTSP_EV_CLOSED] = ev_over,
    };

    must((size_t)e->kind < ARRAY_N(handlers) && handlers[e->kind]);
    handlers[e->kind](arg, e);
}

/* --- its turns --- */

void session_attempt(struct session *s)
{
    s->phase = RUN;
    s->playing_us = 0;
    s->restarting = s->told_no_key = s->between = false;
    s->speaker->start(s, clock_mono_us());
}

static enum ring_end end_of(const struct session *s)
{
    static const enum ring_end ends[] = {[RTSP_FAIL_UNREACHABLE] = END_UNREACHABLE,
        [RTSP_FAIL_AUTH] = END_AUTH,
        [RTSP_FAIL_CAPACITY] = END_CAPACITY,
        [RTSP_FAIL_NOTFOUND] = END_NOT_FOUND,
        [RTSP_FAIL_UNSUPPORTED] = END_UNSUPPORTED,
        [RTSP_FAIL_PROTOCOL] = END_PROTOCOL,
        [RTSP_FAIL_TIMEOUT] = END_TIMEOUT,
        [RTSP_FAIL_ENDED] = END_CLOSED};

    return s->restarting ? END_SILENT : s->fail ? ends[s->fail] : END_CLOSED;
}

static void do_later(struct loop_task *t)
{
    struct session *s = CONTAINER(t, struct session, later);
    usec_t now_us = clock_mono_us();

    if (s->over) {
        s->over = s->redial = false;
        say_faults(s);
        session_close_sockets(s);
        if (s->phase == STOP) {
            ingest_end(s->ingest);
            s->phase = OFF;
            s->playing_us = 0;
            s->ops.off(s->ops.arg);
            return;
        }
        s->ops.over(s->ops.arg, end_of(s), s->why);
        s->speaker->over(s, now_us);
    }
    if (s->redial) {
        s->redial = false;
        camera_conn_free(s->conn);
        s->conn = NULL;
        for (size_t i = 0; i < ARRAY_N(s->udp); i++) session_udp_close(s, &s->udp[i]);
        if (s->playing_us != 0) {
            ingest_end(s->ingest);
            s->ops.ended(s->ops.arg);
        }
        s->playing_us = 0;
    }
    s->speaker->tick(s, now_us);
    pace(s);
    s->ops.turn(s->ops.arg);
}

/* Silence on the track that matters, or no key frame for long. */
static void look_at_media(struct session *s)
{
    struct ingest_view v = ingest_view(s->ingest);

    if (v.silent && s->phase == RUN && !s->restarting) {
        session_restart(s, STREAM_STALE, "no media from the camera");
    } else if (v.starving && !s->told_no_key) {
        s->told_no_key = true;
        s->ops.state(s->ops.arg, STREAM_STALE, "no key frame from the camera");
    }
}

void session_tick(struct session *s, usec_t now_us)
{
    usec_t deadline_us, held_us = ingest_due(s->ingest);

    if (s->phase == RUN) say_faults(s);
    if (s->phase == WAIT && now_us >= s->retry_us) session_attempt(s);
    if (s->phase != RUN && s->phase != STOP) return;
    if (s->playing_us != 0 && now_us >= s->drain_us) {
        if (s->conn && camera_conn_paced(s->conn)) camera_conn_drain(s->conn);
        if (!s->live) session_udp_drain(s, now_us);
        s->drain_us = session_udp_next_us(s, now_us);
    } else if (held_us != 0 && now_us >= held_us) {
        session_udp_drain(s, now_us); /* before a packet is given up that is here already */
    }
    deadline_us = s->speaker->deadline(s);
    if (deadline_us != 0 && now_us >= deadline_us) s->speaker->tick(s, now_us);
    if (s->playing_us == 0) return;
    ingest_now(s->ingest, now_us, clock_wall_us());
    ingest_tick(s->ingest);
    look_at_media(s);
}

static usec_t sooner(usec_t a_us, usec_t b_us)
{
    return a_us == 0 || (b_us != 0 && b_us < a_us) ? b_us : a_us;
}

usec_t session_due(const struct session *s)
{
    usec_t due_us = 0;

    if (s->phase == WAIT) return s->retry_us;
    if (s->phase == OFF || s->over) return 0;
    due_us = s->speaker->deadline(s);
    if (s->playing_us == 0) return due_us;
    due_us = sooner(due_us, s->live && !session_udp_any(s) ? 0 : s->drain_us);
    due_us = sooner(due_us, ingest_due(s->ingest));
    return sooner(due_us, ingest_silent_at(s->ingest));
}

/* --- the owner's face --- */

void session_send_rtcp(struct session *s, uint8_t track, struct span compound)
{
    if (track < ARRAY_N(s->udp) && s->udp[track].open)
        camera_udp_send(&s->udp[track].u, true, compound);
    else if (s->conn)
        s->speaker->send_rtcp(s, track, compound);
}

struct session *session_new(struct loop *l, const struct settings *settings, struct ingest *ingest,
    const struct session_ops *ops, const char **ret_why)
{
    struct session *s = NEW(struct session);
    bool good;

    *s = (struct session){
        .loop = l, .settings = settings, .ingest = ingest, .ops = *ops, .udp_ssrc = rng_u32()};
    session_settings(s);
    for (size_t i = 0; i < ARRAY_N(s->udp); i++) s->udp[i].u.fd[0] = s->udp[i].u.fd[1] = -1;
    s->speaker = settings_pushed(settings) ? &session_push : &session_client;
    good = s->speaker == &session_push ? session_push_new(s, ret_why) : session_client_new(s, ret_why);
    if (good) return s;
    session_free(s);
    return NULL;
}

void session_free(struct session *s)
{
    if (!s) return;
    session_close_sockets(s);
    clink_done(&s->connector);
    s->speaker->free(s);
    camera_udp_batch_done(&s->batch);
    loop_defer_stop(s->loop, &s->later);
    mem_free(s);
}

void session_connector(struct session *s, int fd)
{
    clink_connector(&s->connector, fd);
}

void session_leave_connector(struct session *s)
{
    clink_done(&s->connector);
}

void session_settings(struct session *s)
{
    s->backoff.first_us = s->settings->retry_first_us;
    s->backoff.most_us = s->settings->retry_most_us;
    if (s->speaker && s->speaker->tracks(s, settings_tracks(s->settings)))
        session_restart(s, STREAM_CONNECTING, "other tracks are wanted");
}

void session_start(struct session *s)
{
    if (s->phase == OFF) session_attempt(s);
    s->ops.turn(s->ops.arg);
}

void session_stop(struct session *s)
{
    enum phase was = s->phase;

    if (was == STOP) return;
    s->phase = STOP;
    if (was == RUN && !s->over) {
        s->speaker->stop(s, clock_mono_us());
    } else {
        s->over = true;
        session_later(s);
    }
    s->ops.turn(s->ops.arg);
}

void session_camera_free(struct session *s)
{
    if (s->phase != WAIT || s->fail != RTSP_FAIL_CAPACITY) return;
    if (clock_mono_us() - s->over_us < CAMERA_FREE_US) return;
    session_attempt(s);
    s->between = true;
    s->ops.turn(s->ops.arg);
}

bool session_is_off(const struct session *s)
{
    return s->phase == OFF;
}

bool session_playing(const struct session *s)
{
    return s->playing_us != 0 && !s->restarting;
}

void session_live(struct session *s, bool live, usec_t pace_us)
{
    bool at_once = live && pace_us == 0;
    usec_t every_us = live && pace_us > 0 ? MIN(pace_us, CAMERA_DRAIN_US) : CAMERA_DRAIN_US;

    if (s->live == at_once && s->pace_us == every_us) return;
    if (every_us < s->pace_us && s->drain_us != 0) s->drain_us = MIN(s->drain_us, clock_mono_us() + every_us);
    s->live = at_once;
    s->pace_us = every_us;
    session_udp_watch(s);
    pace(s);
    if (at_once && s->playing_us != 0) session_udp_drain(s, clock_mono_us());
}

void session_restart(struct session *s, enum stream_state to, const char *reason)
{
    if (s->phase != RUN || s->over || s->restarting) return;
    s->restarting = true;
    s->over_state = to;
    span_copy(span_of(reason), s->why, sizeof(s->why));
    s->ops.state(s->ops.arg, to, reason);
    s->speaker->stop(s, clock_mono_us());
}
