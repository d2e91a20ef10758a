#include "httpd/accounts.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/proto/auth.h"
#include "common/wire/base64.h"
#include "common/wire/hex.h"
#include "common/wire/scrypt.h"
#include "common/wire/url.h"

#include <pthread.h>

static const char *const roles[] = {"root", "admin", "user", "guest"};

bool accounts_add(
    struct accounts *l, struct span login, struct span password, struct span role, struct span cameras)
{
    struct account *a = &l->v[l->n];

    if (l->n == ACCOUNTS_MAX || login.n == 0 || !span_copy(login, a->login, sizeof(a->login))) return false;
    for (size_t i = 0; i < ARRAY_N(roles); i++)
        if (span_is(role, roles[i])) a->role = roles[i];
    if (!a->role || !camera_list_read(cameras, &a->cameras)) {
        *a = (struct account){.role = NULL};
        return false;
    }
    a->password = secret_of(password);
    l->n++;
    return true;
}

void accounts_done(struct accounts *l)
{
    for (size_t i = 0; i < l->n; i++) secret_done(&l->v[i].password);
    *l = (struct accounts){.n = 0};
}

bool account_is_scrypt(const struct account *a)
{
    return scrypt_is(secret_reveal(&a->password));
}

/* --- nonces: <time>-<random>-<mac of both and the address>, in hex --- */

#define RANDOM_N 8
#define MAC_N    16
#define NONCE_N  (16 + 1 + 2 * RANDOM_N + 1 + 2 * MAC_N)

struct used {
    char nonce[NONCE_N + 1];
    uint64_t newest, seen; /* the highest count, and the 64 below it as bits */
};
struct nonces {
    pthread_mutex_t lock;
    uint8_t key[CRYPTO_SHA256_N];
    struct used used[ACCOUNT_NONCES_MAX]; /* the oldest is overwritten */
    size_t at;
};

struct nonces *nonces_new(void)
{
    struct nonces *n = NEW(struct nonces);

    pthread_mutex_init(&n->lock, NULL);
    rng_bytes(n->key, sizeof(n->key));
    return n;
}

void nonces_free(struct nonces *n)
{
    if (!n) return;
    pthread_mutex_destroy(&n->lock);
    explicit_bzero(n->key, sizeof(n->key));
    mem_free(n);
}

static void nonce_write(const struct nonces *n, int64_t now_s, struct span random, const struct addr *address,
    char ret[NONCE_N + 1])
{
    struct wr w = wr_of(ret, NONCE_N + 1);
    struct addr source = addr_source(address);
    uint8_t mac[CRYPTO_SHA256_N];
    struct span pieces[2];

    wr_fmt(&w, "%016llx-", (unsigned long long)now_s);
    wr_bytes(&w, random);
    pieces[0] = wr_span(&w);
    pieces[1] = span(source.b, sizeof(source.b));
    crypto_hmac_sha256(span(n->key, sizeof(n->key)), pieces, ARRAY_N(pieces), mac);
    wr_text(&w, "-");
    hex_write(&w, span(mac, MAC_N));
    wr_cstr(&w);
}

static void nonce_new(
    const struct nonces *n, int64_t now_s, const struct addr *address, char ret[NONCE_N + 1])
{
    uint8_t random[RANDOM_N];
    char digits[2 * RANDOM_N];
    struct wr w = wr_of(digits, sizeof(digits));

    rng_bytes(random, sizeof(random));
    hex_write(&w, span(random, sizeof(random)));
    nonce_write(n, now_s, wr_span(&w), address, ret);
}

/* Did we give it to this address, a moment ago? */
static bool nonce_ours(const struct nonces *n, struct span nonce, const struct addr *address, int64_t now_s)
{
    char want[NONCE_N + 1];
    uint64_t made_s;

    if (nonce.n != NONCE_N || !span_hex64(span_sub(nonce, 0, 16), &made_s)) return false;
    nonce_write(n, (int64_t)made_s, span_sub(nonce, 17, 2 * RANDOM_N), address, want);
    return crypto_equal(span_of(want), nonce) && (int64_t)made_s <= now_s &&
        now_s - (int64_t)made_s < ACCOUNT_NONCE_S;
}

/* The place of a nonce, a new one where it was not used yet. With the lock. */
static struct used *used_of(struct nonces *n, struct span nonce)
{
    struct used *u;

    for (size_t i = 0; i < ACCOUNT_NONCES_MAX; i++)
        if (span_is(nonce, n->used[i].nonce)) return &n->used[i];
    u = &n->used[n->at++ % ACCOUNT_NONCES_MAX];
    *u = (struct used){.newest = 0};
    span_copy(nonce, u->nonce, sizeof(u->nonce));
    return u;
}

/* Each count once; those that come in another order within 64. */
static bool count_fresh(struct nonces *n, struct span nonce, struct span nc)
{
    uint64_t count;
    struct used *u;
    bool fresh;

    if (!span_hex64(nc, &count) || count == 0) return false;
    pthread_mutex_lock(&n->lock);
    u = used_of(n, nonce);
    if (count > u->newest) {
        u->seen = count - u->newest < 64 ? u->seen << (count - u->newest) | 1 : 1;
        u->newest = count;
        fresh = true;
    } else {
        uint64_t bit = u->newest - count < 64 ? 1ull << (u->newest - count) : 0;

        fresh = bit && !(u->seen & bit);
        u->seen |= bit;
    }
    pthread_mutex_unlock(&n->lock);
    return fresh;
}

/* --- logins --- */

static enum account_result check_digest(const struct account_try *t, const struct access_ask *a,
    const struct auth_given *g, const struct account **ret)
{
    char nonce[AUTH_NONCE_MAX];
    struct auth_offer o = {AUTH_DIGEST, g->hash, true, false, ACCOUNT_REALM, nonce};
    const struct account *found = NULL;

    if (g->hash != CRYPTO_SHA256 && !(g->hash == CRYPTO_MD5 && t->md5)) return ACCOUNT_WRONG;
    if (!span_copy(g->nonce, nonce, sizeof(nonce))) return ACCOUNT_WRONG;
    for (size_t i = 0; i < t->accounts->n; i++) {
        const struct account *c = &t->accounts->v[i];
        struct auth_login login = {span_of(c->login), secret_reveal(&c->password)};

        if (!account_is_scrypt(c) && auth_verify(g, &o, &login, a->method, a->uri) == AUTH_OK) found = c;
    }
    if (!found) return ACCOUNT_WRONG;
    if (!nonce_ours(t->nonces, g->nonce, &a->address, t->now_s)) return ACCOUNT_STALE;
    if (g->qop.n > 0 && !count_fresh(t->nonces, g->nonce, g->nc)) return ACCOUNT_STALE;
    *ret = found;
    return ACCOUNT_RIGHT;
}

bool account_basic(
    struct span authorization, struct wr *mem, struct span *ret_user, struct span *ret_password)
{
    struct auth_given g;
    struct span rest;

    if (!auth_given(authorization, &g) || g.scheme != AUTH_BASIC || !base64_read(g.basic, mem)) return false;
    rest = wr_span(mem);
    if (rest.n == 0 || !span_split(&rest, ':', ret_user) || !rest.p) return false;
    *ret_password = rest;
    return true;
}

enum account_result account_named(const struct accounts *l, struct span user, struct span password,
    const struct account **ret, bool *ret_nobody)
{
    const struct account *named = NULL, *slow = NULL;

    for (size_t i = 0; i < l->n; i++) {
        const struct account *c = &l->v[i];

        if (account_is_scrypt(c)) slow = c;
        if (crypto_equal(user, span_of(c->login))) named = c;
    }
    *ret_nobody = !named;
    *ret = named ? named : slow;
    if (!*ret) return ACCOUNT_WRONG;
    if (account_is_scrypt(*ret)) return ACCOUNT_SLOW;
    return crypto_equal(password, secret_reveal(&named->password)) ? ACCOUNT_RIGHT : ACCOUNT_WRONG;
}

static enum account_result check_basic(
    const struct account_try *t, const struct access_ask *a, const struct account **ret)
{
    uint8_t mem[2 * URL_USER_MAX + 2];
    struct wr w = wr_of(mem, sizeof(mem));
    enum account_result result = ACCOUNT_WRONG;
    const struct account *found;
    struct span user, password;
    bool nobody;

    if (a->secure && account_basic(a->authorization, &w, &user, &password)) {
        result = account_named(t->accounts, user, password, &found, &nobody);
        if (nobody) result = ACCOUNT_WRONG;
        if (result != ACCOUNT_WRONG) *ret = found;
    }
    explicit_bzero(mem, sizeof(mem));
    return result;
}

enum account_result account_check(
    const struct account_try *t, const struct access_ask *a, const struct account **ret)
{
    struct auth_given g;

    if (!auth_given(a->authorization, &g)) return ACCOUNT_WRONG;
    return g.scheme == AUTH_BASIC ? check_basic(t, a, ret) : check_digest(t, a, &g, ret);
}

/* --- what is offered --- */

void account_challenge(
    struct wr *w, const struct account_try *t, const struct addr *address, bool secure, bool stale)
{
    static const enum crypto_hash hashes[] = {CRYPTO_SHA256, CRYPTO_MD5};
    char nonce[NONCE_N + 1];

    nonce_new(t->nonces, t->now_s, address, nonce);
    for (size_t i = 0; i < ARRAY_N(hashes); i++) {
        const struct auth_offer o = {AUTH_DIGEST, hashes[i], true, stale, ACCOUNT_REALM, nonce};

        if (hashes[i] == CRYPTO_MD5 && !t->md5) continue;
        wr_text(w, "WWW-Authenticate: ");
        auth_challenge_write(w, &o);
        wr_text(w, "\r\n");
    }
    if (!secure) return;
    wr_text(w, "WWW-Authenticate: ");
    auth_challenge_write(w, &(struct auth_offer){.scheme = AUTH_BASIC, .realm = ACCOUNT_REALM});
    wr_text(w, "\r\n");
}
