/* The panel's event stream: GET /api/v3/events/stream (WHATWG HTML, server-sent events). The main loop, which
 * serves no viewer, asks the master once a second while anybody listens, and writes each event once for all
 * who see every stream; whoever sees some gets his own. Clients live on their hubs (feed_client.c) and take
 * finished text: one that does not read is dropped there, and nobody waits for it.
 *
 * Nothing is kept for a client but a number: what has changed behind it is asked of the table (feed_rows.h),
 * so that one that comes back by Last-Event-ID misses nothing. docs/reference/events.md. Tests:
 * tests/unit/httpd/test_feed_rows.c, tests/e2e/test_feed.py. */
#ifndef HTTPD_FEED_H
#define HTTPD_FEED_H

#include <stdatomic.h>

#include "common/net/loop.h"
#include "common/ring/ring.h"
#include "httpd/caller.h"

#define FEED_CLIENTS_MAX 200
#define FEED_TICK_US     US_PER_S
#define FEED_SERVER_S    2 /* between two samples of the server */
#define FEED_PING_S      2
#define FEED_QUEUE_MAX   (8u << 20) /* bytes that a client has not read: it is dropped */
#define FEED_DETAILS_MAX 8          /* streams that one client looks at closely */

enum feed_topic { FEED_STREAMS = 1, FEED_SERVER = 2, FEED_NOTICES = 4 };

/* What a client wants, and may have. */
struct feed_wish {
    unsigned topics; /* enum feed_topic */
    struct camera_list cameras;
    bool all;                                         /* sees what is no stream's: root, admin */
    bool looks_back;                                  /* sees what happened and was changed (caller.h) */
    char details[FEED_DETAILS_MAX][RING_UID_MAX + 1]; /* stream:<uid> */
    size_t n_details;
    uint64_t boot, since; /* of Last-Event-ID; 0: none */
};
/* "streams,server,stream:cam-1"; "": streams, server and notices. false: there is no such topic, or too many
 * streams. */
bool feed_topics(struct span text, struct feed_wish *ret);
/* "1a2b3c4d-17"; anything else is none. */
void feed_last_id(struct span text, struct feed_wish *ret);

/* Text that several hubs send. */
struct feed_text {
    _Atomic unsigned refs;
    size_t n;
    uint8_t bytes[];
};
void feed_text_unref(struct feed_text *t);

/* Everything below happens on the main loop. */
struct feed;
struct hub;
struct master_asks;
struct server;
struct stream_rows;
struct feed *feed_new(struct loop *l, struct stream_rows *rows, struct master_asks *master);
void feed_free(struct feed *f); /* NULL too */
/* Something has happened (docs/reference/webhooks.md): its name, and a JSON object. */
void feed_notice(struct feed *f, struct span event, struct span data);

/* From any hub's thread. id: of the client, unique on its hub; text comes by feed_client_text. */
void feed_join(struct feed *f, struct hub *hub, uint64_t id, const struct feed_wish *wish);
void feed_leave(struct feed *f, struct hub *hub, uint64_t id);

/* feed_client.c: to a client of this hub, which may be gone. Takes the reference. text NULL: there are too
 * many. beat: whether it may still listen is looked at. */
void feed_client_text(struct hub *hub, uint64_t id, struct feed_text *text, bool beat);

#endif
