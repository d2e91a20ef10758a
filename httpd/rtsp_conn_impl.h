/* Between the parts of an RTSP connection: rtsp_conn.c (life, requests, who may watch), rtsp_play.c (what it
 * is sent). */
#ifndef HTTPD_RTSP_CONN_IMPL_H
#define HTTPD_RTSP_CONN_IMPL_H

#include "httpd/rtsp/server.h"
#include "httpd/rtsp/tunnel.h"
#include "httpd/rtsp_conn.h"
#include "httpd/rtsp_dvr.h"
#include "httpd/rtsp_live.h"
#include "httpd/rtsp_udp.h"

struct rtsp_ask;

struct rtsp_conn {
    struct hub *hub;
    struct conn *conn;
    struct list link;
    struct rtsp_server server;
    struct loop_timer timer; /* of the machine; while an answer waits, of that */
    char base[64];
    char uid[RING_UID_MAX + 1];
    struct addr address; /* of the viewer, behind trusted proxies */
    bool secure;         /* TLS, up to us or to one of them */
    bool moving, closing;
    void (*arrived)(struct conn *c); /* once it has moved */
    /* how it is spoken: by itself, or as one side of a tunnel */
    enum tunnel_kind way; /* TUNNEL_MORE: not known yet; NONE, GET, POST */
    struct head_find find;
    char cookie[TUNNEL_COOKIE_MAX];
    struct rtsp_conn *other; /* GET and POST know each other */
    struct tunnel_text text; /* of a POST */
    bool feeding;
    struct buf in; /* of a GET: what the POST has said and is not taken yet */
    /* what is open */
    struct rtsp_open open; /* spans: until it is answered */
    struct rtsp_ask *ask;  /* NULL: nobody was asked, or has answered */
    struct access_hold hold;
    uint64_t epoch;
    /* an answer that waits */
    struct rtsp_wait wait;
    usec_t wait_until_us;
    bool timed_out;
    struct rtsp_dvr *dvr;            /* NULL: live */
    struct rtsp_udp *udp[TRACK_MAX]; /* of lanes over UDP */
    /* playing */
    struct rtsp_viewer viewer;
    bool playing, behind;
    size_t burst;     /* of what it began with: bytes that have not been sent */
    uint64_t mark_at; /* when so many bytes are sent ... */
    usec_t mark_us;   /* ... what was queued then is, too */
};

/* rtsp_conn.c: answers of a request that waited. */
struct stream *rtsp_conn_stream(struct rtsp_conn *r);
void rtsp_conn_opened(struct rtsp_conn *r, unsigned status, const char *fields, const struct describe *d);
void rtsp_conn_played(struct rtsp_conn *r, unsigned status, const struct rtsp_played *p);
/* Looks again when that may have changed, or when its time is over (r->timed_out). */
void rtsp_conn_wait(struct rtsp_conn *r, struct rtsp_live *l);
/* Its state has changed by itself. */
void rtsp_conn_look(struct rtsp_conn *r);

/* Bytes for the machine: how many were taken. */
size_t rtsp_conn_feed(struct rtsp_conn *r, struct span in);
/* To the home of r->uid; fn(conn) there. */
void rtsp_conn_move(struct rtsp_conn *r, void (*arrived)(struct conn *c));

/* rtsp_tunnel.c: what a connection begins with says how it is spoken. How many bytes were taken. */
size_t rtsp_tunnel_begin(struct rtsp_conn *r, struct span in);
size_t rtsp_tunnel_post(struct rtsp_conn *r, struct span in);
/* A GET's machine may take more. */
void rtsp_tunnel_go_on(struct rtsp_conn *r);
void rtsp_tunnel_close(struct rtsp_conn *r);

/* rtsp_play.c */
void rtsp_play_init(struct rtsp_conn *r);
void rtsp_open_live(struct rtsp_conn *r, struct stream *s);
void rtsp_open_dvr(struct rtsp_conn *r, struct stream *s);
/* The time that the URL of the archive names; 0: none. false: it is no time. */
bool rtsp_dvr_time(struct span query, usec_t *ret_us);
void rtsp_play_start(struct rtsp_conn *r);            /* live, also once it was waited for */
void rtsp_play(void *arg, const struct rtsp_play *p); /* the machine's play */
void rtsp_play_stop(void *arg);                       /* pause */
void rtsp_play_close(struct rtsp_conn *r);            /* gives lanes and archive back */
unsigned rtsp_play_udp(void *arg, unsigned track, struct rtsp_lane *lane);

#endif
