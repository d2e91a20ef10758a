/* Media loops. Every hub is a thread with an event loop of its own; what a hub owns (connections, streams at
 * home here, everything followed live) is touched by its thread only, without locks (docs/decisions/002).
 * Other threads reach it by loop_post. A stream's home is hub_home(uid). Tests: tests/unit/httpd,
 * tests/e2e/test_http*.py. */
#ifndef HTTPD_HUB_H
#define HTTPD_HUB_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/buf.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/net/loop.h"
#include "httpd/metrics.h"
#include "httpd/refusals.h"
#include "httpd/revoked.h"
#include "httpd/sessions.h"

#define HUBS_MAX           64
#define HTTP_CONNS_MAX     20000 /* until the configuration says another; more are closed at once */
#define ALLOW_ORIGIN_MAX   512
#define EXPORT_MAX_US      (86400 * US_PER_S) /* until the configuration says another */
#define HTTP_DATE_LINE_MAX 64

struct assets;
struct audit;
struct auth;
struct feed;
struct cameras;
struct conn;
struct films;
struct lua;
struct pictures;
struct storages;
struct server;
struct signins;
struct tls_server;

enum hub_tls { HUB_TLS_STREAM, HUB_TLS_MODULE, HUB_TLS }; /* of which listeners */

/* Counted by the hub, read by the main thread. */
struct hub_count {
    _Atomic uint64_t requests, bytes_out;
    _Atomic uint64_t requests_of[ROADS]; /* of HTTP, by the road of the URL */
    _Atomic uint32_t viewers;
};

struct hub {
    struct loop *loop;
    struct server *server;
    unsigned index;
    pthread_t thread;
    uint32_t followed;               /* streams of it that somebody follows live */
    struct list cursors;             /* struct cursor: those that follow them */
    struct loop_timer pull;          /* armed: they are all looked at together (cursor.h) */
    struct map streams;              /* uid -> struct stream, at home here */
    struct list conns;               /* struct http */
    struct buf frame;                /* what a cursor has read; until the next read of any */
    struct list rtsp_conns;          /* struct rtsp_conn */
    struct list doors;               /* struct door: listeners */
    struct list h2_conns;            /* struct h2_conn */
    struct list relays;              /* struct relay: cameras that push inside TLS (push_tls.c) */
    struct list pushes;              /* struct push: cameras that push by a token (pushes.c) */
    struct list arrivals;            /* struct arrival: of trusted proxies (arrivals.c) */
    struct list shaking;             /* struct shaking: TLS handshakes (doors.c) */
    struct tls_server *tls[HUB_TLS]; /* certificates of new connections; NULL: none has come */
    struct hub_count count;
    uint64_t closed_bytes; /* sent on connections that are gone */
    char allow_origin[ALLOW_ORIGIN_MAX];
    struct list feed_clients; /* struct feed_client */
    uint64_t last_feed_client;
    uint64_t last_viewer; /* number of the newest session or hold (viewers.h) */
    struct auth *auth;    /* who may watch at all; never NULL */
    struct sessions sessions;
    struct revoked revoked;
    struct refusals refusals;
    usec_t backend_rests_us;           /* monotonic: who does not answer (auth-backend) is not asked before */
    struct asset_chunks *asset_chunks; /* this hub's shared copies of the static files */
    struct loop_timer second;
    char date[HTTP_DATE_LINE_MAX]; /* "Date: ...", of date_s */
    int64_t date_s;
};

struct server {
    unsigned n_hubs;
    struct hub hubs[HUBS_MAX];
    const struct assets *assets;
    struct storages *storages;
    struct cameras *cameras;       /* which streams are of one camera */
    struct films *films;           /* of the archive, laid out a moment ago */
    _Atomic int64_t export_max_us; /* the longest of them */
    struct outgoing *outgoing;     /* requests of our own */
    _Atomic uint32_t watching;     /* viewers that count */
    _Atomic uint32_t conns_max;
    _Atomic uint64_t bandwidth_max; /* bit/s; 0: no limit */
    struct guess *guesses;          /* who guesses credentials */
    struct rates *rates;            /* who calls the API how fast */
    struct nonces *nonces;          /* of logins */
    struct signins *signins;        /* who has signed in to API and panel */
    struct feed *feed;           /* the panel's event stream; set before server_start; NULL: there is none */
    struct audit *audit;         /* where it is said who did what; set before server_start; NULL: nowhere */
    struct pool *passwords;      /* where those are looked at that take time */
    struct proven *proven;       /* those that were right (proven.h) */
    struct quota *quota;         /* viewers that are counted over hubs */
    _Atomic bool plain;          /* a listener of HTTP is without TLS */
    _Atomic bool over_bandwidth; /* more is sent than may be: nobody new */
    struct pictures *pictures;   /* set before server_start; NULL: none are made */
    struct lua *lua;             /* set before server_start; NULL: no script runs */
    struct lua *plugins;         /* the same for plug-ins, in a process of their own */
    struct metrics_master metrics;
    _Atomic uint32_t
        conns; /* connections, and streams of HTTP/2, which cost as much: what conns_max bounds */
    _Atomic uint32_t carried; /* streams of HTTP/2 among them */
    /* For doors of cameras that push: from any thread, takes fd (PUSH_TLS). */
    void (*give_push)(int fd, const char *addr, const char *base);
    /* From any thread: who pushes may, or may not any more (PUSH_MAY). */
    void (*push_said)(const char *uid, uint64_t id, unsigned status);
};
/* Connections of clients. */
static inline uint32_t server_connections(struct server *s)
{
    uint32_t all = atomic_load(&s->conns), carried = atomic_load(&s->carried);

    return all > carried ? all - carried : 0;
}

/* Starts the threads. assets may be NULL. 0 or -errno. */
int server_start(struct server *s, unsigned threads, const struct assets *assets, struct storages *storages);
/* Ends the threads; connections are closed. Pools may still post to the loops until server_free. */
void server_stop(struct server *s);
void server_free(struct server *s);
struct hub *hub_home(struct server *s, struct span uid);

/* Once all is sent: takes a connection out of its hub's list, to another one's thread, where fn(c) puts it
 * into a list again. false: something is still queued; to be asked again when on_sent comes. */
bool hub_leave(
    struct conn *c, struct list *link, struct loop_timer *timer, struct hub *to, void (*fn)(struct conn *c));

/* fn(hub, arg) in every hub's thread; arg is freed by mem_free when the last is through. */
void server_each(struct server *s, void (*fn)(struct hub *hub, void *arg), void *arg);
/* fn(hub, arg) in one hub's thread; fn owns arg. */
void hub_post(struct hub *hub, void (*fn)(struct hub *hub, void *arg), void *arg);

/* "Date: Sun, 22 Nov 2026 17:03:20 GMT\r\n", made once a second. */
const char *hub_date(struct hub *hub);

#endif
