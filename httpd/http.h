/* One HTTP/1.1 connection: requests are parsed strictly (common/wire/http.h), served one after the other in
 * their order, and answered from the hub where the stream of the URL is at home. Source: RFC 9110, 9112.
 *
 * A handler (routes.h) either answers before it returns (answer.h), or leaves the request open: it waits
 * (http_wait), streams, or has a pool thread at work; then it sets ask->abort, called when the connection
 * goes. Tests: tests/unit/httpd/test_http.c, tests/e2e/test_http_slow.py. */
#ifndef HTTPD_HTTP_H
#define HTTPD_HTTP_H

#include "common/net/conn.h"
#include "common/net/listener.h"
#include "common/wire/http.h"
#include "httpd/access.h"
#include "httpd/credentials.h"
#include "httpd/hub.h"
#include "httpd/routes.h"
#include "httpd/stream.h"

#define HTTP_HEAD_TIMEOUT_US  (15 * US_PER_S) /* from the first byte of a head to its last */
#define HTTP_IDLE_TIMEOUT_US  (60 * US_PER_S) /* between requests */
#define HTTP_STALL_TIMEOUT_US (30 * US_PER_S) /* bytes to send and none accepted */
#define HTTP_WAIT_US          (10 * US_PER_S) /* for a camera, a first segment */
#define HTTP_BODY_MAX         (256u << 10)    /* most routes take none: it is read and forgotten */
#define HTTP_BODY_V3_MAX      (960u << 10)    /* of ROUTE_V3: it has to fit a script's request */
#define HTTP_QUEUE_HIGH       (8u << 20) /* above: a slow viewer. Chunks are shared, so this costs little */

/* A listening socket on one hub. */
struct door {
    struct list link;
    struct hub *hub;
    struct listener *listener;
    int fd;
    bool module; /* the listener of API and cpanel */
    bool rtsp, tls;
    bool push;     /* cameras that push, inside TLS */
    char base[64]; /* begins and ends with '/' */
};

/* The request being served. */
struct ask {
    struct http *http;
    struct http_request req;
    struct route_match match; /* spans into path */
    char path[HTTP_PATH_MAX];
    uint8_t *kept;         /* own copy of the head, once the request outlives on_data */
    struct stream *stream; /* of this run of the handler; looked up again on the next */
    usec_t wait_until_us;  /* 0: has not waited yet */
    struct list waiting;   /* link in the list it waits on */
    struct buf body;       /* of a route that takes one (body.h) */
    bool gathers;          /* it is not all there yet */
    bool timed_out;
    bool head_only;
    bool not_public; /* not everybody may watch the stream: nothing of it belongs into a shared cache */
    bool asked;      /* who may watch: access has an answer, or is asked */
    bool decided;
    bool tried;             /* its login by Basic was looked at */
    struct span session_id; /* of /s/<id>/ before the path; empty: none */
    struct access_ask access;
    struct credentials given;
    struct caller *caller;         /* who asks the panel (who.h); NULL: not looked at, or nobody */
    struct access_hold hold;       /* from the decision until the answer is complete */
    struct list deciding;          /* it waits here until access has decided */
    void (*abort)(struct http *h); /* the connection goes, and `work` with it */
    void (*ended)(struct http *h); /* the grant has ended: says so and is done. NULL: the connection is cut */
    void (*sent)(struct http *h);  /* the queue has drained, or the lent socket takes bytes again */
    void (*data)(struct http *h, struct span in); /* the connection speaks another protocol now (ws.h) */
    void *work;                                   /* the handler's */
};

struct http {
    struct hub *hub;
    struct conn *conn;
    struct list link;
    struct head_find find;
    struct ask *ask;
    struct http_chunked chunked;
    uint64_t skip; /* bytes of a body to come */
    bool skip_chunked;
    bool in_data; /* inside on_data */
    bool last;    /* close behind the answer */
    bool partial; /* part of a head is there */
    bool moving;  /* to another hub, when the queue is empty */
    bool paused;  /* the connection is not read */
    bool closing;
    bool module;
    bool carried; /* a stream of HTTP/2 */
    bool tunnels; /* the request is one of RTSP over HTTP */
    char base[64];
    struct loop_timer timer;
};

/* Takes what it comes on. */
void http_accept(struct door *door, struct conn_over over);
/* Bytes sent on this hub's connections. */
uint64_t http_bytes_out(const struct hub *hub);
void http_close_all(struct hub *hub);

/* Runs the handler again when http_wake is called for that list, or when `most_us` since its first wait are
 * over (ask->timed_out is then set). A client that goes meanwhile is noticed. */
void http_wait(struct http *h, struct list *on, usec_t most_us);
void http_wake(struct list *waiting);
/* Runs the handler again. */
void http_again(struct http *h);
/* The answer is complete (queued): goes on with the next request, or closes. */
void http_done(struct http *h);
/* The answer cannot be completed: the connection is cut, so that the client sees it. */
void http_cut(struct http *h);
/* The hub's timer of this connection, for a handler that left its request open. */
void http_timer(struct http *h, usec_t after_us, void (*fn)(struct loop_timer *t));

#endif
