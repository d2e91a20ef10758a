/* HTTP authentication as RTSP uses it: Basic and Digest, both sides. Source: RFC 7616, RFC 7617, RFC 2069 for
 * the form without qop; cameras.md A2 (U1 to U10). No clock, no randomness: both come in. Tests:
 * tests/unit/proto/test_auth.c, tests/fuzz/fuzz_auth_challenge.c. */
#ifndef PROTO_AUTH_H
#define PROTO_AUTH_H

#include "common/base/wr.h"
#include "common/wire/crypto.h"
#include "common/wire/head.h"

#define AUTH_REALM_MAX  256
#define AUTH_NONCE_MAX  512
#define AUTH_OPAQUE_MAX 512
#define AUTH_HEADER_MAX 2560

enum auth_scheme { AUTH_NONE = 0, AUTH_BASIC = 1, AUTH_DIGEST = 2 };

struct auth_challenge {
    enum auth_scheme scheme;
    enum crypto_hash hash; /* digest */
    bool sess;             /* -sess variant */
    bool hash_named;       /* algorithm= was there: echo it */
    bool hash_quoted;      /* in quotes: echo it so (U2, U3) */
    bool qop_auth;         /* qop offers auth; without qop the form of RFC 2069 (U4) */
    bool qop_only_int;     /* qop offers auth-int only: not usable */
    bool stale;
    bool has_opaque;
    char realm[AUTH_REALM_MAX];
    char nonce[AUTH_NONCE_MAX];
    char opaque[AUTH_OPAQUE_MAX];
};

/* One challenge out of a WWW-Authenticate value, which may hold several (RFC 9110 11.6.1); *rest moves on.
 * false: the end. What cannot be used (unknown scheme or algorithm, over-long) is left out. */
bool auth_challenge_next(struct span *rest, struct auth_challenge *ret);
/* The strongest of all in a head: SHA-512-256, SHA-256, MD5, then Basic if allowed (U1). false: none usable.
 */
bool auth_pick(const struct head *h, bool basic_allowed, struct auth_challenge *ret);

/* Client side: what is remembered between requests. Zeroed: no challenge yet. */
struct auth_client {
    struct auth_challenge c;
    uint32_t nc;
};
/* Takes a challenge. true: it is a new one, sign and try again; false: the same nonce and realm once more, so
 * the password is wrong (U6). */
bool auth_client_challenged(struct auth_client *a, const struct auth_challenge *c);
struct auth_login {
    struct span user, password; /* decoded */
};
/* Value of Authorization for the next request. uri: exactly the text of the request line (U5). cnonce:
 * random. Nothing is written without a challenge. */
void auth_authorization(struct auth_client *a, const struct auth_login *login, const char *method,
    struct span uri, uint64_t cnonce, struct wr *w);

/* Server side. Value of WWW-Authenticate. */
struct auth_offer {
    enum auth_scheme scheme;
    enum crypto_hash hash;
    bool qop_auth;
    bool stale;
    const char *realm;
    const char *nonce;
};
void auth_challenge_write(struct wr *w, const struct auth_offer *o);

struct auth_given {
    enum auth_scheme scheme;
    struct span user; /* may hold escapes; auth_verify undoes them */
    struct span realm, nonce, uri, response, cnonce, nc, opaque, qop;
    enum crypto_hash hash;
    bool sess;
    struct span basic; /* base64 of user:password */
};
/* The token in an Authorization value: what stands behind Bearer (RFC 6750), or the whole of a value without
 * a blank, as clients of the original send it. n 0: there is none. */
struct span auth_token(struct span value);
/* Authorization value. false: nothing usable. */
bool auth_given(struct span value, struct auth_given *ret);

enum auth_verdict {
    AUTH_OK = 0,
    AUTH_E_LOGIN = 1,
    AUTH_E_NONCE = 2 /* known user, other nonce: say stale */,
    AUTH_E_URI = 3
};
/* Is it a right answer? uri: of the request line; a digest over the absolute URL, its path, or the base URL
 * with or without the last slash is accepted (U5). */
enum auth_verdict auth_verify(const struct auth_given *g, const struct auth_offer *o,
    const struct auth_login *login, const char *method, struct span uri);

#endif
