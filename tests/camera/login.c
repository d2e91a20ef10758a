/* Basic (RFC 7617) and Digest (RFC 2617, 7616) from the camera's side, strict: uri= must be the text of the
 * request line (U5), the algorithm one that was offered. */
#include <stdio.h>
#include <string.h>

#include "common/base/rng.h"
#include "common/wire/base64.h"
#include "common/wire/crypto.h"
#include "tests/camera/rtsp.h"

#define HEX_MAX   (2 * CRYPTO_HASH_MAX + 1)
#define PIECES    16
#define LOGIN_MAX (2 * KNOB_TEXT_MAX)

/* Which challenges a value of the knob `auth` gives. */
static const struct offer {
    bool basic, md5, sha256;
} offers[] = {
    [AUTH_ONLY_BASIC] = {.basic = true},
    [AUTH_MD5] = {.md5 = true},
    [AUTH_SHA256] = {.sha256 = true},
    [AUTH_BOTH] = {.md5 = true, .sha256 = true},
    [AUTH_BASIC_MD5] = {.basic = true, .md5 = true},
};

static void new_nonce(struct conn *c)
{
    snprintf(c->nonce, sizeof c->nonce, "%08x%08x%08x", rng_u32(), rng_u32(), rng_u32());
    c->nc = 0;
    c->nonce_used = false;
    /* A camera that closes after 401 takes the answer on the next connection. */
    memcpy(c->stream->nonce, c->nonce, sizeof c->nonce);
}

static void challenge(struct conn *c, const struct request *r, bool stale)
{
    const struct knobs *k = &c->stream->k;
    const struct offer *o = &offers[k->auth];
    const char *tail = stale && k->stale_flag != 0 ? ", stale=TRUE" : "";
    const char *qop = k->qop != 0 ? ", qop=\"auth\"" : "";
    struct buf b;

    if (c->nonce[0] == '\0') new_nonce(c);
    buf_init(&b, 4096);
    if (o->basic) buf_fmt(&b, "WWW-Authenticate: Basic realm=\"%s\"\r\n", k->realm);
    if (o->md5)
        buf_fmt(
            &b, "WWW-Authenticate: Digest realm=\"%s\", nonce=\"%s\"%s%s\r\n", k->realm, c->nonce, qop, tail);
    if (o->sha256)
        buf_fmt(&b, "WWW-Authenticate: Digest realm=\"%s\", nonce=\"%s\", algorithm=\"SHA-256\"%s%s\r\n",
            k->realm, c->nonce, qop, tail);
    c->stream->c.refused_login++;
    if (k->auth_close != 0) c->close_after_out = true;
    rtsp_reply(c, r, 401, buf_span(&b), SPAN_NONE);
    buf_done(&b);
}

static bool basic_right(const struct knobs *k, struct span given)
{
    char want[LOGIN_MAX];
    uint8_t mem[LOGIN_MAX];
    struct wr w = wr_of(mem, sizeof mem);

    snprintf(want, sizeof want, "%s:%s", k->user, k->pass);
    return base64_read(span_trim(given), &w) && span_is(wr_span(&w), want);
}

static void hash_of(enum crypto_hash h, char *ret, const char *const *texts, size_t n)
{
    struct span v[PIECES];

    for (size_t i = 0; i < n; i++) v[i] = span_of(texts[i]);
    crypto_hash_hex(h, v, n, ret);
}

/* A parameter as a C string. */
static const char *text_param(struct span list, const char *name, char *mem, size_t cap)
{
    (void)span_copy(list_param(list, ',', name), mem, cap);
    return mem;
}

static bool digest_right(struct conn *c, const struct request *r, struct span given)
{
    const struct knobs *k = &c->stream->k;
    struct span algorithm = list_param(given, ',', "algorithm"), qop = list_param(given, ',', "qop");
    bool sha256 = span_iis(algorithm, "SHA-256");
    enum crypto_hash h = sha256 ? CRYPTO_SHA256 : CRYPTO_MD5;
    char ha1[HEX_MAX], ha2[HEX_MAX], want[HEX_MAX], uri[2048], nonce[256], nc[32], cnonce[256], method[32];
    uint64_t count = 0;

    if (sha256 ? !offers[k->auth].sha256 : !offers[k->auth].md5) return false;
    if (k->qop != 0 && !span_is(qop, "auth")) return false;
    (void)span_copy(r->method, method, sizeof method);
    text_param(given, "uri", uri, sizeof uri);
    text_param(given, "nonce", nonce, sizeof nonce);
    text_param(given, "nc", nc, sizeof nc);
    text_param(given, "cnonce", cnonce, sizeof cnonce);
    if (!span_eq(list_param(given, ',', "uri"), r->url) ||
        !span_is(list_param(given, ',', "username"), k->user))
        return false;
    hash_of(h, ha1, (const char *const[]){k->user, ":", k->realm, ":", k->pass}, 5);
    hash_of(h, ha2, (const char *const[]){method, ":", uri}, 3);
    if (k->qop != 0) {
        if (!span_hex64(span_of(nc), &count) || count <= c->nc) return false;
        c->nc = (uint32_t)count;
        hash_of(h, want, (const char *const[]){ha1, ":", nonce, ":", nc, ":", cnonce, ":auth:", ha2}, 9);
    } else {
        hash_of(h, want, (const char *const[]){ha1, ":", nonce, ":", ha2}, 5);
    }
    return span_is(list_param(given, ',', "response"), want);
}

bool login_check(struct conn *c, const struct request *r)
{
    const struct knobs *k = &c->stream->k;
    struct span given = request_header(r, "Authorization");

    if (k->auth == AUTH_OFF) return true;
    if (k->auth_close != 0 && c->nonce[0] == '\0') memcpy(c->nonce, c->stream->nonce, sizeof c->nonce);
    if (span_istarts(given, "Basic ") && offers[k->auth].basic) {
        if (basic_right(k, span_from(given, 6))) return true;
    } else if (span_istarts(given, "Digest ")) {
        struct span params = span_from(given, 7);
        bool known = c->nonce[0] != '\0' && span_is(list_param(params, ',', "nonce"), c->nonce);
        bool spent = k->nonce == NONCE_REQUEST && c->nonce_used;
        if (!known || spent) {
            new_nonce(c);
            challenge(c, r, true);
            return false;
        }
        if (digest_right(c, r, params)) {
            c->nonce_used = true;
            return true;
        }
    }
    challenge(c, r, false);
    return false;
}
