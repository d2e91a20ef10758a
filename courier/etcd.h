/* A client of etcd's JSON gateway, by libcurl's multi interface on the courier's loop: its only door here.
 * Several endpoints, one of which is asked at a time; who asks decides when it is the next one's turn.
 * Questions have one answer within ETCD_PATIENCE_US; a watch has lines until it ends. http and https only,
 * no redirect is followed, no proxy of the environment is used, certificates are checked against the site's
 * authority, or the machine's where none is named. Tests: tests/unit/courier/test_etcd.c, against a real
 * etcd-server. */
#ifndef COURIER_ETCD_H
#define COURIER_ETCD_H

#include "common/base/span.h"
#include "common/net/loop.h"

#define ETCD_ENDPOINTS_MAX 8
#define ETCD_URL_MAX       320
#define ETCD_CALLS_MAX     128                /* under way */
#define ETCD_CONNECT_US    (2 * US_PER_S)     /* to reach an endpoint, */
#define ETCD_PATIENCE_US   (5 * US_PER_S)     /* and to the last byte of an answer */
#define ETCD_ANSWER_MAX    ((size_t)8u << 20) /* of an answer; of a line of a watch */
#define ETCD_WHY_MAX       160

struct etcd;

/* Conditions (positive). */
enum etcd_err {
    ETCD_E_CALLS = 1, /* too many are under way */
    ETCD_E_CONNECT,   /* nobody there, or the connection broke, or TLS: why says it */
    ETCD_E_LATE,
    ETCD_E_LARGE,
    ETCD_E_END /* a watch: it has ended without an error */
};
struct etcd_reply {
    int err;          /* 0: body is there; of a watch, a line: more may come */
    const char *why;  /* err */
    unsigned status;  /* of HTTP */
    struct span body; /* lives until the call returns */
};
/* In the loop; may ask, drop and free. */
typedef void etcd_fn(void *arg, const struct etcd_reply *r);

struct etcd *etcd_new(struct loop *l); /* NULL: libcurl has no memory */
void etcd_free(struct etcd *e);        /* NULL too; nobody is called */
/* "http://host:2379" or https, each; drops what is under way, and the token. The first one is asked. */
void etcd_endpoints(struct etcd *e, const char *const *urls, size_t n);
/* For https: PEM of the authority that signs for endpoints (empty: the machine's), and of what this node
 * shows (empty: nothing). Copied; drops what is under way. */
void etcd_tls(struct etcd *e, struct span authority, struct span cert, struct span key);
usec_t etcd_answered_us(const struct etcd *e);   /* CLOCK_MONOTONIC, when bytes last came; 0: never */
const char *etcd_endpoint(const struct etcd *e); /* "": none */
/* Drops what is under way, whose fn is not called, and asks the next endpoint from now on. true: it is the
 * first one again. */
bool etcd_next(struct etcd *e);
void etcd_drop(struct etcd *e);
void etcd_token(struct etcd *e, const char *token); /* of authenticate, goes with what is asked from now on */

/* POST of a body, which is copied. 0: fn comes, once. */
int etcd_ask(struct etcd *e, const char *path, struct span body, etcd_fn *fn, void *arg);
/* The same; fn comes for each line, and last with an err. */
int etcd_follow(struct etcd *e, const char *path, struct span body, etcd_fn *fn, void *arg);

#endif
