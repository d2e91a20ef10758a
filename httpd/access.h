/* Who may watch: one function decides, on every road. The facts are found here (address lists, token,
 * account), the verdict is taken over them, and what is allowed is a session of the stream's hub
 * (sessions.h): it carries the grant's limits, and ends what runs on it when the grant ends.
 *
 * HTTP asks by its route's row (op and road) before a handler runs. Whoever speaks another protocol fills a
 * struct access_ask and calls access_ask() on the stream's home hub. Tests: tests/unit/httpd/test_access.c.
 */
#ifndef HTTPD_ACCESS_H
#define HTTPD_ACCESS_H

#include "common/base/list.h"
#include "common/base/span.h"
#include "common/net/addr.h"
#include "httpd/sight.h"

#define ACCESS_USER_MAX  64
#define ACCESS_TOKEN_MAX 2048 /* bytes; a longer one is none */
#define ACCESS_AGENT_MAX 128
#define ACCESS_AGAIN_US  (2 * US_PER_S) /* where who decides is away, what runs is looked at again */
#define ACCESS_CIDRS_MAX 256            /* of one list */

struct caller;
struct hub;
struct stream;
struct session;
struct question;
struct wr;

enum access_mode { ACCESS_PUBLIC = 0, ACCESS_PROTECTED, ACCESS_PRIVATE, ACCESS_NONE };
/* What the request is about. */
enum access_op {
    ACCESS_PAGE = 0,
    ACCESS_LIVE,
    ACCESS_DVR,
    ACCESS_COPY,    /* files of the archive */
    ACCESS_PREVIEW, /* the picture of now */
    ACCESS_PUBLISH,
    ACCESS_OPS
};
enum access_road {
    ROAD_HLS = 0,
    ROAD_MP4,
    ROAD_WS,
    ROAD_RTSP,
    ROAD_TS,
    ROAD_PICTURE,
    ROAD_INFO,
    ROAD_PAGE,
    ROAD_PUSH,
    ROADS
};
#define ACCESS_ROADS_ALL ((1u << ROADS) - 1)
const char *access_op_name(enum access_op op);
const char *access_road_name(enum access_road road);

/* What the master says of a stream (VIEW). */
struct access_rule {
    enum access_mode mode;
    bool enabled;
    unsigned roads; /* bits 1 << enum access_road: stream-proto lets it be watched so */
    struct cidrs whitelist;
};
/* "public", "protected", "private", "none"; anything else is private, the safe side. */
enum access_mode access_mode_of(struct span text);
/* The roads of a stream-proto list (text, may be empty: all). */
unsigned access_roads_of(struct span proto);

struct access_verdict {
    unsigned status; /* 200: allowed */
    const char *why; /* short text for the viewer; the same for every refusal of credentials */
};

/* What runs on a grant until one of both ends: an answer, an RTSP session. Zeroed: not held. It lives as long
 * as it is held. */
struct access_hold {
    struct list link;
    struct session *session; /* NULL: what everybody may */
    enum access_road road;
    enum access_op op;
    bool slot; /* counts as a viewer */
    /* Who it is, as lists of viewers show him (viewers.h). */
    uint64_t serial;
    usec_t since_us; /* wall clock */
    struct addr address;
    char agent[ACCESS_AGENT_MAX / 2];
    /* The grant has ended (revoked, expired, the rule has changed), and the hold with it. From a timer or a
     * message of the hub; may not ask or release here. */
    void (*on_end)(struct access_hold *hold);
};
static inline bool access_held(const struct access_hold *hold)
{
    return hold->link.next != NULL;
}
void access_release(struct access_hold *hold); /* harmless when it is not held */
/* What of the archive may be shown to who holds it; nothing where it is not held. */
struct sight access_sight(const struct access_hold *hold);

/* One question. It is its asker's, and stays until done or access_cancel; so do the spans. */
struct access_ask {
    struct hub *hub; /* the stream's home */
    struct stream *stream;
    enum access_op op;
    enum access_road road;
    struct addr address;       /* of the viewer, behind trusted proxies */
    bool secure;               /* TLS, up to us or to a trusted proxy: Basic is taken */
    struct span token;         /* of the URL or the cookie; decoded */
    struct span session_id;    /* of a path /s/<id>/; empty: none */
    struct span authorization; /* the field's value; empty: none */
    const char *method;        /* of the request, for Digest */
    struct span uri;           /* of the request line, for Digest */
    struct span user_agent;
    const struct caller *caller;          /* who has signed in to the panel; NULL: nobody */
    usec_t from_us, to_us;                /* the time asked for, of DVR and COPY; 0: not known yet */
    struct access_hold *hold;             /* not held, on_end set */
    void (*done)(struct access_ask *ask); /* later, when access_ask has said false */
    /* answer */
    struct access_verdict verdict;
    bool challenge;           /* 401: an account may sign in; see access_challenge */
    bool stale;               /* its nonce was too old: the same login may be right */
    struct question *pending; /* own; the question that answers it */
    struct list wait;         /* own; of those that it answers */
};
/* true: decided, the answer is in *ask; false: done(ask) comes later. What is allowed is held by ask->hold
 * from then on. */
bool access_ask(struct access_ask *ask);
void access_cancel(struct access_ask *ask); /* done does not come any more; harmless when it is decided */

/* Lines of WWW-Authenticate, each with CRLF, for an ask that ended with `challenge`: at most
 * ACCESS_CHALLENGE_MAX bytes. */
#define ACCESS_CHALLENGE_MAX 640
void access_challenge(const struct access_ask *ask, struct wr *w);
/* Something that this address has shown was wrong as only a guess is: it costs time (guess.h). */
void access_guessed(struct hub *hub, const struct addr *a);
/* What runs on a session is asked about again, since the verdict was for a time. */
void access_look_again(struct session *s);
/* The rule has changed: what runs and is not allowed by it any more ends. */
void access_rule_changed(struct stream *s);
void access_stream_gone(struct stream *s);
/* Is nothing of this stream ever asked for, so that a shared cache may keep what is sent? */
bool access_open(const struct hub *hub, const struct stream *s);

#endif
