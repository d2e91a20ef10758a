/* The server side of a push: a camera says ANNOUNCE, SETUP, RECORD and sends (RFC 2326 10.3, 10.11). A state
 * machine of one connection, without a socket and without a clock; what it finds is said in the events of the
 * RTSP client (rtsp_client.h), so that behind it a camera that pushes is one like any other.
 *
 *     NEW ─ ANNOUNCE, the right user (a token: ASK ─ said), claim ─> ANNOUNCED
 *         ─ SETUP (UDP: BIND ─ udp_bound) ─> ANNOUNCED
 *         ─ RECORD ─> TRACKS, PLAYING: RECORDING ─ TEARDOWN, closed, stop ─> FAILED or CLOSED
 *
 * Credentials: Digest, SHA-256 and MD5 (RFC 7616; FFmpeg and GStreamer know MD5 only); Basic is neither
 * offered nor taken, since the listener has no TLS; or an access token, which somebody else decides about.
 * They are asked for with ANNOUNCE; a session belongs to its connection. A request in the wrong state is 455,
 * another session's 454, a transport that is none of ours 461, what a viewer would ask 405, an unknown method
 * 501; what is no RTSP is 400 and the end. Tests: tests/unit/worker/test_rtsp_publish.c,
 * tests/fuzz/fuzz_rtsp_publish.c. */
#ifndef WORKER_RTSP_PUBLISH_H
#define WORKER_RTSP_PUBLISH_H

#include "worker/rtsp_client.h"

#define PUBLISH_HANDSHAKE_US (15 * US_PER_S) /* from the connection to RECORD */
#define PUBLISH_REQUESTS_MAX 40              /* before RECORD */
#define PUBLISH_WRONG_MAX    3               /* wrong logins of one connection */
#define PUBLISH_TIMEOUT_S    60              /* said in Session; whether it lives is seen by its media */

/* May this connection be the stream's, now that its login is right? */
enum publish_claim { PUBLISH_YES = 0, PUBLISH_TAKEN /* another one pushes */ };

struct publish_conf {
    const char *uid;            /* a segment of the URL that is announced */
    struct span user, password; /* outlive the machine; empty user: nobody is asked for one */
    unsigned tracks;            /* 1 << TRACK_VIDEO and so on */
    uint64_t seed[3];           /* random: nonce, session */
};

struct publish_ops {
    void (*send)(void *arg, struct span bytes);
    /* UDP_BIND, UDP_CONNECT, TRACKS, PLAYING, and at the end one FAILED or CLOSED */
    void (*event)(void *arg, const struct rtsp_event *e);
    void (*packet)(void *arg, uint8_t track, bool rtcp, struct span packet);
    enum publish_claim (*claim)(void *arg);
    void (*wrong)(void *arg); /* a login that is not right */
    /* May it push by this token? rtsp_publish_said comes later, once. */
    void (*token)(void *arg, struct span token);
};

struct rtsp_publish;
struct rtsp_publish *rtsp_publish_new(
    const struct publish_conf *conf, const struct publish_ops *ops, void *arg, usec_t now_us);
void rtsp_publish_free(struct rtsp_publish *p); /* NULL too; sends nothing */
/* All unread bytes; returns how many of them are done with. */
size_t rtsp_publish_feed(struct rtsp_publish *p, struct span in);
size_t rtsp_publish_need(const struct rtsp_publish *p);
/* 200: it may push by its token; 5xx: nobody can say. What was not taken is to be fed again then. */
void rtsp_publish_said(struct rtsp_publish *p, unsigned status);
void rtsp_publish_udp_bound(struct rtsp_publish *p, uint8_t track, uint16_t port, int err);
void rtsp_publish_send_rtcp(struct rtsp_publish *p, uint8_t track, struct span compound);
void rtsp_publish_closed(struct rtsp_publish *p, int err, const char *text);
void rtsp_publish_stop(struct rtsp_publish *p); /* CLOSED, at once */
void rtsp_publish_tick(struct rtsp_publish *p, usec_t now_us);
usec_t rtsp_publish_deadline(const struct rtsp_publish *p); /* 0: none */
struct rtsp_client_counts rtsp_publish_counts(const struct rtsp_publish *p);

#endif
