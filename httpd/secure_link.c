#include "httpd/secure_link.h"
#include "common/wire/crypto.h"
#include "httpd/stream.h"

#define HASH_DIGITS (2 * CRYPTO_SHA1_N)
#define TIME_MAX    99999999999ull

struct link {
    struct span hash, salt, end, start;
    uint64_t end_s, start_s;
};

/* From the end: the salt may hold a '-'. */
static bool cut_last(struct span *rest, struct span *ret)
{
    for (size_t i = rest->n; i > 0; i--) {
        if (rest->p[i - 1] != '-') continue;
        *ret = span_from(*rest, i);
        *rest = span_sub(*rest, 0, i - 1);
        return true;
    }
    return false;
}

static bool take_apart(struct span token, struct link *l)
{
    struct span rest = token;

    if (!cut_last(&rest, &l->start) || !cut_last(&rest, &l->end)) return false;
    if (!span_u64(l->start, TIME_MAX, &l->start_s) || !span_u64(l->end, TIME_MAX, &l->end_s)) return false;
    if (rest.n <= HASH_DIGITS || rest.p[HASH_DIGITS] != '-') return false;
    l->hash = span_sub(rest, 0, HASH_DIGITS);
    l->salt = span_from(rest, HASH_DIGITS + 1);
    return true;
}

bool secure_link_is(struct span token)
{
    struct link l;

    return take_apart(token, &l);
}

static bool hash_is(const struct link *l, struct span key, struct span name, struct span ip)
{
    const struct span pieces[] = {name, ip, l->start, l->end, key, l->salt};
    char hex[2 * CRYPTO_HASH_MAX + 1];

    crypto_hash_hex(CRYPTO_SHA1, pieces, ARRAY_N(pieces), hex);
    return crypto_equal(span_of(hex), l->hash);
}

enum known secure_link_ok(struct span key, const struct access_ask *a, int64_t now_s, int64_t *ret_until_s)
{
    struct span name = span_of(a->stream->v.uid);
    char address[ADDR_TEXT_MAX];
    struct link l;
    bool bound, open;

    if (!take_apart(a->token, &l)) return KNOWN_NO;
    bound = hash_is(&l, key, name, span_of(addr_text(&a->address, address)));
    open = hash_is(&l, key, name, SPAN_LIT("no_check_ip"));
    if (!bound && !open) return KNOWN_NO;
    *ret_until_s = (int64_t)l.end_s;
    return now_s + TOKEN_SKEW_S >= (int64_t)l.start_s && now_s < (int64_t)l.end_s ? KNOWN_YES : KNOWN_NO;
}
