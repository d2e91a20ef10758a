/* A stream's session with its camera, again and again: drives the RTSP client (rtsp_client.h), keeps its
 * sockets, feeds ingest, notices silence, waits between attempts. Has no timer of its own: the worker calls
 * session_tick when session_due says so.
 *
 *     OFF ─ start ─> RUN ─ the session ended ─> WAIT ─ retry ─> RUN ... stop ─> STOP ─ TEARDOWN done ─> OFF
 */
#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include "worker/connector_link.h"
#include "worker/ingest.h"
#include "worker/settings.h"

struct session;
/* A step of an attempt. */
struct session_step {
    const char *name; /* "connect", "DESCRIBE" */
    bool ok;
    usec_t took_us;
    const char *text; /* the camera's address, "401 Unauthorized", what was wrong */
};
struct session_ops {
    void (*state)(void *arg, enum stream_state to, const char *reason);
    void (*source)(void *arg, const char *text); /* "tcp 192.168.1.5:554" */
    void (*connecting)(void *arg);               /* an attempt begins */
    void (*ended)(void *arg);                    /* a session that had played is over */
    /* an attempt or a session is, whether it had played or not */
    void (*over)(void *arg, enum ring_end why, const char *text);
    void (*step)(void *arg, const struct session_step *step);
    void (*sdp)(void *arg, struct span text); /* how the camera describes its session */
    void (*drained)(void *arg, size_t bytes); /* a batch of packets was taken */
    void (*off)(void *arg);                   /* after session_stop; may free the session */
    void (*turn)(void *arg);                  /* look at session_due again */
    /* A camera shows a token to push by: may it? session_push_said answers, by its number. */
    void (*push_ask)(void *arg, uint64_t id, const char *addr, struct span token);
    void (*push_over)(void *arg, uint64_t id); /* one that was asked about has gone */
    void *arg;
};

/* settings and ingest must outlive it. NULL: the URL cannot be used, *ret_why says why. */
struct session *session_new(struct loop *l, const struct settings *settings, struct ingest *ingest,
    const struct session_ops *ops, const char **ret_why);
void session_free(struct session *s);
void session_connector(struct session *s, int fd); /* takes fd */
/* All is being stopped: the connector goes too, and that is no news. */
void session_leave_connector(struct session *s);
void session_settings(struct session *s); /* its settings have changed, the source has not */

void session_start(struct session *s);
void session_stop(struct session *s); /* off() comes, at once or within a second */
bool session_is_off(const struct session *s);
bool session_playing(const struct session *s);
/* Receiver reports, by the way that the track's packets come. */
void session_send_rtcp(struct session *s, uint8_t track, struct span compound);
/* Of those that push by a token (push_ask): 200: it may; 5xx: nobody can say, and who pushes goes on and is
 * asked about again; else it ends. */
void session_push_said(struct session *s, uint64_t id, unsigned status);
/* Who decides has forgotten them: they are asked about again. */
void session_push_again(struct session *s);
/* Somebody follows the stream live: every packet at once, or in batches so far apart; else as seldom as can
 * be. */
void session_live(struct session *s, bool live, usec_t pace_us);
/* Nobody else is known to have the camera's session: who waits because the camera was full tries now, unless
 * it has just done so. Refused again, it waits on as before: this counts as no attempt of its own. */
void session_camera_free(struct session *s);
/* The session is given up and tried again after a wait. */
void session_restart(struct session *s, enum stream_state to, const char *reason);

void session_tick(struct session *s, usec_t now_us);
usec_t session_due(const struct session *s); /* 0: nothing */

#endif
