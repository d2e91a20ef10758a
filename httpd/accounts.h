/* Accounts of [[[users]]] as viewers sign in with them: Digest (SHA-256 first, MD5 second) with nonces that
 * need no memory until they are used, and Basic where nobody can listen in. A password is kept as it is, or
 * as scrypt (common/wire/scrypt.h), which only what is sent in clear text can be checked against, and which
 * takes a thread some 50 ms. Sources: RFC 7616, RFC 7617, RFC 7914. Tests:
 * tests/unit/httpd/test_accounts.c. */
#ifndef HTTPD_ACCOUNTS_H
#define HTTPD_ACCOUNTS_H

#include "common/base/secret.h"
#include "common/base/wr.h"
#include "httpd/caller.h"

#define ACCOUNTS_MAX       36 /* the four of [[[users]]], and [[[accounts]]] */
#define ACCOUNT_REALM      "media-server"
#define ACCOUNT_NONCE_S    300  /* a nonce is good for so long; then "stale" */
#define ACCOUNT_NONCES_MAX 4096 /* that were used and are remembered against replay */

struct account {
    char login[ACCESS_USER_MAX + 1];
    struct secret password;
    const char *role; /* "root", "admin", "user", "guest" */
    struct camera_list cameras;
};
struct accounts {
    struct account v[ACCOUNTS_MAX];
    size_t n;
};
/* cameras: a list of patterns, "": all. */
bool accounts_add(
    struct accounts *l, struct span login, struct span password, struct span role, struct span cameras);
void accounts_done(struct accounts *l);

/* Nonces of the process. Thread-safe. */
struct nonces;
struct nonces *nonces_new(void);
void nonces_free(struct nonces *n); /* NULL too */

enum account_result {
    ACCOUNT_RIGHT = 0,
    ACCOUNT_WRONG,
    ACCOUNT_STALE, /* right, by a nonce that is too old or was used: to be asked again */
    ACCOUNT_SLOW   /* only scrypt_check can tell: in a thread */
};
struct account_try {
    const struct accounts *accounts;
    struct nonces *nonces;
    bool md5;      /* Digest by MD5 is taken */
    int64_t now_s; /* wall clock */
};
/* The login of a->authorization. *ret: whose it is. The same work for an unknown name as for a known one. */
enum account_result account_check(
    const struct account_try *t, const struct access_ask *a, const struct account **ret);

/* The account of this name whose password this is, for who has asked in clear text. RIGHT, WRONG, or SLOW:
 * scrypt_check tells, and *ret is whose it would be; of a name that nobody has *ret is some account whose
 * password takes as long, and *ret_nobody says so. */
enum account_result account_named(const struct accounts *l, struct span user, struct span password,
    const struct account **ret, bool *ret_nobody);
/* "user:password" of a Basic login into mem, which is to be wiped. false: it is none. */
bool account_basic(
    struct span authorization, struct wr *mem, struct span *ret_user, struct span *ret_password);
bool account_is_scrypt(const struct account *a);

/* Lines of WWW-Authenticate, each with CRLF: what a viewer at this address may sign in with. */
void account_challenge(
    struct wr *w, const struct account_try *t, const struct addr *address, bool secure, bool stale);

#endif
