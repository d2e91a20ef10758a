/* Who pushes: the login that a camera shows with ANNOUNCE. Digest, SHA-256 and MD5 (RFC 7616, RFC 2069), with
 * a nonce of the connection's own; Basic is neither offered nor taken. Or an access token, in the URL
 * (?token=) or in Authorization, which is not looked at here. Pure. Tests:
 * tests/unit/worker/test_rtsp_publish.c. */
#ifndef WORKER_PUBLISH_LOGIN_H
#define WORKER_PUBLISH_LOGIN_H

#include "common/base/span.h"
#include "common/wire/head.h"

#define PUBLISH_NONCE_MAX 40

struct publish_login {
    struct span user, password; /* outlive it; empty user: everybody is right */
    char nonce[PUBLISH_NONCE_MAX];
};

enum publish_known {
    PUBLISH_KNOWN = 0,
    PUBLISH_UNSIGNED, /* no login was shown: to be asked for one */
    PUBLISH_STALE,    /* of another nonce: to be asked again, and no guess */
    PUBLISH_WRONG,
    PUBLISH_TOKEN /* a token was: somebody else knows it */
};

struct wr;
/* two random numbers */
void publish_login_init(
    struct publish_login *l, struct span user, struct span password, const uint64_t seed[2]);
/* Is the ANNOUNCE from who it should be? */
enum publish_known publish_login_of(const struct publish_login *l, const struct head *announce);
/* The token of an ANNOUNCE, decoded, into dst (wiped by the caller); n 0: none. A login that stands in
 * Authorization is judged before it. */
#define PUBLISH_TOKEN_MAX 2048
struct span publish_token_of(const struct head *announce, char dst[PUBLISH_TOKEN_MAX + 1]);
/* The WWW-Authenticate fields. */
void publish_login_ask(const struct publish_login *l, bool stale, struct wr *w);

#endif
