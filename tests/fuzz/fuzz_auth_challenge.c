/* WWW-Authenticate and Authorization: what we answer to any challenge is understood by our own server side.
 */
#include "common/base/mem.h"
#include "common/proto/auth.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void answer(const struct auth_challenge *c)
{
    const struct auth_login login = {SPAN_LIT("us\"er"), SPAN_LIT("pass\\word")};
    const struct span uri = SPAN_LIT("rtsp://h/p");
    struct auth_client a = {0};
    struct auth_offer o = {c->scheme, c->hash, c->qop_auth, false, c->realm, c->nonce};
    struct auth_given g;
    char mem[AUTH_HEADER_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    auth_client_challenged(&a, c);
    auth_authorization(&a, &login, "SETUP", uri, 7, &w);
    if (!wr_ok(&w)) __builtin_trap();
    if (!auth_given(wr_span(&w), &g)) __builtin_trap();
    /* Realm and nonce go through quoting and back; a nonce with quotes in it is compared as it is written. */
    if (strpbrk(c->nonce, "\"\\\x7f") || strchr(c->realm, 0x7f)) return;
    if (auth_verify(&g, &o, &login, "SETUP", uri) != AUTH_OK) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const struct auth_login login = {SPAN_LIT("a"), SPAN_LIT("b")};
    const struct auth_offer o = {AUTH_DIGEST, CRYPTO_MD5, true, false, "r", "n"};
    struct span rest = span(data, n);
    struct auth_challenge c;
    struct auth_given g;

    while (auth_challenge_next(&rest, &c)) answer(&c);
    if (auth_given(span(data, n), &g)) auth_verify(&g, &o, &login, "GET", SPAN_LIT("/"));
    return 0;
}
