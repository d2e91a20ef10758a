#include "common/wire/scrypt.h"
#include "common/base/rng.h"
#include "common/wire/base64.h"
#include "common/wire/crypto.h"

#define SALT_N     16
#define HASH_N     32
#define HASH_LEAST 16 /* of those we take */

bool scrypt_is(struct span kept)
{
    return span_starts(kept, SPAN_LIT("$scrypt$"));
}

/* base64 without padding */
static void put(struct wr *w, const uint8_t *bytes, size_t n)
{
    char text[BASE64_N(HASH_N) + 1];
    struct wr t = wr_of(text, sizeof(text));
    struct span s;

    base64_write(&t, span(bytes, n));
    s = wr_span(&t);
    while (s.n > 0 && s.p[s.n - 1] == '=') s.n--;
    wr_bytes(w, s);
}

bool scrypt_write(struct span password, struct wr *w)
{
    static const uint64_t cost[3] = {SCRYPT_LN, 8, 1};
    uint8_t salt[SALT_N], hash[HASH_N];

    rng_bytes(salt, sizeof(salt));
    if (!crypto_scrypt(password, span(salt, sizeof(salt)), cost, hash, sizeof(hash))) return false;
    wr_fmt(w, "$scrypt$ln=%d,r=8,p=1$", SCRYPT_LN);
    put(w, salt, sizeof(salt));
    wr_text(w, "$");
    put(w, hash, sizeof(hash));
    explicit_bzero(hash, sizeof(hash));
    return wr_ok(w);
}

/* "ln=15,r=8,p=1" */
static bool cost_of(struct span text, uint64_t *ret)
{
    static const struct {
        const char *name;
        uint64_t most;
    } names[] = {{"ln=", SCRYPT_LN_MAX}, {"r=", 32}, {"p=", 8}};
    struct span piece;

    for (size_t i = 0; i < ARRAY_N(names); i++) {
        struct span name = span_of(names[i].name);

        if (!span_split(&text, ',', &piece) || !span_starts(piece, name)) return false;
        if (!span_u64(span_from(piece, name.n), names[i].most, &ret[i]) || ret[i] == 0) return false;
    }
    return !text.p;
}

bool scrypt_check(struct span kept, struct span given)
{
    struct span rest = span_from(kept, 1), scheme, cost, salt;
    uint8_t salt_mem[64], want_mem[64], got[64];
    struct wr s = wr_of(salt_mem, sizeof(salt_mem)), want = wr_of(want_mem, sizeof(want_mem));
    uint64_t c[3];

    if (!span_split(&rest, '$', &scheme) || !span_split(&rest, '$', &cost) || !span_split(&rest, '$', &salt))
        return false;
    if (!cost_of(cost, c) || !base64_read(salt, &s) || !base64_read(rest, &want) || want.n < HASH_LEAST)
        return false;
    if (!crypto_scrypt(given, wr_span(&s), c, got, want.n)) return false;
    return crypto_equal(span(got, want.n), wr_span(&want));
}
