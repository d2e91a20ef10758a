/* Sessions: what one viewer was allowed on one stream, so that what follows needs neither token nor script.
 * A session belongs to the stream's home hub, whose thread alone touches it.
 *
 * It is found again by its id (128 random bits, in the path /s/<id>/...), or by who asks (stream, address,
 * credentials, user agent). Every use looks at its times; whatever runs on it is held by it and is ended with
 * it. It counts against limits while it is watched: for every endless answer or RTSP session, and for
 * SESSION_WATCH_US behind the last request of HLS. Tests: tests/unit/httpd/test_sessions.c. */
#ifndef HTTPD_SESSIONS_H
#define HTTPD_SESSIONS_H

#include "common/base/map.h"
#include "common/ring/ring.h"
#include "common/wire/token.h"
#include "httpd/access_facts.h"
#include "httpd/caller.h"

#define SESSIONS_MAX       20000             /* of one hub; the one not used for longest goes */
#define SESSION_IDLE_US    (3600 * US_PER_S) /* not used for so long: forgotten */
#define SESSION_WATCH_US   (30 * US_PER_S)   /* three of the longest HLS segments */
#define SESSION_ID_DIGITS  32
#define SESSION_HOLDER_MAX (2 * TOKEN_ID_N + ACCESS_USER_MAX + 2)
#define SESSION_V4_BITS    (ADDR_V4_BITS + 24) /* of the address it is bound to: networks hand viewers about */
#define SESSION_V6_BITS    64

/* What was granted. */
struct grant {
    unsigned ops;          /* bits 1 << enum access_op: what was asked for and allowed */
    int64_t until_s;       /* wall clock; 0: no end */
    usec_t from_us, to_us; /* footage; 0: open */
    bool free;             /* by the stream's rule alone: nothing in it was given to this viewer */
    char user[ACCESS_USER_MAX + 1];
    char sign_in[CALLER_ID_DIGITS + 1]; /* to the panel, which it ends with; "": none */
    bool by_token;
    uint8_t token_id[TOKEN_ID_N];
    int64_t made_us;       /* the token, or the session */
    uint32_t sessions_max; /* of the token or the user; 0: no limit */
};

struct session {
    struct list link; /* of the hub, the one used last at the end */
    struct hub *hub;
    char id[SESSION_ID_DIGITS + 1], identity[SESSION_ID_DIGITS + 1];
    char uid[RING_UID_MAX + 1];
    uint64_t serial; /* its name in lists of viewers (viewers.h); the id is a key */
    usec_t since_us; /* wall clock */
    char agent[ACCESS_AGENT_MAX];
    char holder[SESSION_HOLDER_MAX], source[ADDR_TEXT_MAX]; /* what it counts under */
    struct addr address;
    struct grant grant;  /* what it counts under does not change */
    struct facts facts;  /* by which it was granted */
    usec_t again_us;     /* the verdict is for a time: to be asked again then; 0: never */
    bool looking;        /* it is being asked */
    struct secret token; /* for the backend */
    unsigned number;     /* so often that was asked */
    struct list holds;
    unsigned slots;             /* that it counts for */
    usec_t used_us, watched_us; /* monotonic; watched_us 0: not by HLS now */
};
struct sessions {
    struct map by_id, by_identity;
    struct list all;
    size_t n;
};
void sessions_init(struct sessions *s);
/* Ends them all. */
void sessions_done(struct hub *hub);

/* A text that stands for who asks: SESSION_ID_DIGITS and a NUL. By what he has brought, or, account given, as
 * which account he has signed in. */
void session_identity(const struct access_ask *a, const char *account, char *ret);
/* NULL: there is none, or it has ended. Neither looks at what is asked for. */
struct session *session_by_id(struct hub *hub, struct span id);
struct session *session_by_identity(struct hub *hub, const char *identity);
/* NULL: there are too many that run. */
struct session *sessions_add(const struct question *q, const struct grant *g);
/* It was used now. */
void session_used(struct session *s);
/* Its holds are told, and it is gone. */
void session_end(struct session *s);
bool session_near(const struct session *s, const struct addr *a);

/* Is the time of its verdict over, and nobody asked yet? */
bool session_is_due(const struct session *s);
/* Once a second: what is over ends, what is not watched any more does not count. */
void sessions_tick(struct hub *hub);
/* Every session for which `over` says so. */
void sessions_end_where(struct hub *hub, bool (*over)(struct session *s, void *arg), void *arg);

#endif
