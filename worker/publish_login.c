#include "worker/publish_login.h"
#include "common/proto/auth.h"
#include "common/proto/rtsp.h"
#include "common/wire/url.h"

#include <string.h>

#define REALM  "media-server"
#define OFFERS 2

void publish_login_init(
    struct publish_login *l, struct span user, struct span password, const uint64_t seed[2])
{
    *l = (struct publish_login){.user = user, .password = password};
    snprintf(l->nonce, sizeof(l->nonce), "%016llx%016llx", (unsigned long long)seed[0],
        (unsigned long long)seed[1]);
}

/* The weaker one last: FFmpeg takes the last that it knows. */
static void offers(const struct publish_login *l, struct auth_offer v[OFFERS])
{
    v[0] = (struct auth_offer){
        .scheme = AUTH_DIGEST, .hash = CRYPTO_SHA256, .qop_auth = true, .realm = REALM, .nonce = l->nonce};
    v[1] = (struct auth_offer){.scheme = AUTH_DIGEST, .hash = CRYPTO_MD5, .realm = REALM, .nonce = l->nonce};
}

struct span publish_token_of(const struct head *announce, char dst[PUBLISH_TOKEN_MAX + 1])
{
    struct span value = head_get(announce, "Authorization"), token = auth_token(value);
    ssize_t at = span_find(announce->target, '?');

    dst[0] = '\0';
    if (token.n > PUBLISH_TOKEN_MAX) return SPAN_NONE;
    if (token.n > 0)
        span_copy(token, dst, PUBLISH_TOKEN_MAX + 1);
    else if (value.p == NULL && at >= 0 &&
        !url_query_get(span_from(announce->target, (size_t)at + 1), "token", dst, PUBLISH_TOKEN_MAX + 1))
        dst[0] = '\0';
    return span_of(dst);
}

static bool shows_token(const struct head *announce)
{
    char mem[PUBLISH_TOKEN_MAX + 1];
    bool shown = publish_token_of(announce, mem).n > 0;

    explicit_bzero(mem, sizeof(mem));
    return shown;
}

enum publish_known publish_login_of(const struct publish_login *l, const struct head *announce)
{
    struct auth_login login = {l->user, l->password};
    struct span value = head_get(announce, "Authorization");
    struct auth_offer v[OFFERS];
    struct auth_given g;

    if (l->user.n == 0) return PUBLISH_KNOWN;
    if (shows_token(announce)) return PUBLISH_TOKEN;
    if (value.p == NULL) return PUBLISH_UNSIGNED;
    if (!auth_given(value, &g)) return PUBLISH_WRONG;
    offers(l, v);
    for (size_t i = 0; i < OFFERS; i++) {
        enum auth_verdict verdict;

        if (g.scheme != v[i].scheme || g.hash != v[i].hash) continue;
        verdict = auth_verify(&g, &v[i], &login, "ANNOUNCE", announce->target);
        if (verdict == AUTH_OK) return PUBLISH_KNOWN;
        return verdict == AUTH_E_NONCE ? PUBLISH_STALE : PUBLISH_WRONG;
    }
    return PUBLISH_WRONG;
}

void publish_login_ask(const struct publish_login *l, bool stale, struct wr *w)
{
    struct auth_offer v[OFFERS];

    offers(l, v);
    for (size_t i = 0; i < OFFERS; i++) {
        char mem[AUTH_HEADER_MAX];
        struct wr field = wr_of(mem, sizeof(mem));

        v[i].stale = stale;
        auth_challenge_write(&field, &v[i]);
        rtsp_field(w, "WWW-Authenticate", wr_span(&field));
    }
}
