#include "common/wire/token.h"
#include "common/base/rd.h"
#include "common/wire/base64.h"
#include "common/wire/crypto.h"

#include <string.h>

#define VERSION    "v1"
#define DOMAIN     "msv1"
#define FIELDS_NUM 8

static const struct {
    const char *word;
    unsigned op;
} words[] = {
    {"live", TOKEN_LIVE},
    {"dvr", TOKEN_DVR},
    {"copy", TOKEN_COPY},
    {"publish", TOKEN_PUBLISH},
    {"api", TOKEN_API},
};

bool token_ops_of(struct span text, unsigned *ret_ops)
{
    struct span piece;
    unsigned ops = 0;

    while (span_split(&text, ',', &piece)) {
        unsigned op = 0;

        for (size_t i = 0; i < ARRAY_N(words); i++)
            if (span_is(span_trim(piece), words[i].word)) op = words[i].op;
        if (op == 0) return false;
        ops |= op;
    }
    *ret_ops = ops;
    return ops != 0;
}

void token_ops_write(struct wr *w, unsigned ops)
{
    const char *comma = "";

    for (size_t i = 0; i < ARRAY_N(words); i++) {
        if (!(ops & words[i].op)) continue;
        wr_fmt(w, "%s%s", comma, words[i].word);
        comma = ",";
    }
}

/* ---- keys ---- */

bool token_keys_add(
    struct token_keys *k, struct span kid, struct span secret, int64_t not_before_s, int64_t not_after_s)
{
    struct token_key *key = &k->v[k->n];

    if (k->n == TOKEN_KEYS_MAX || secret.n == 0 || kid.n == 0 || span_find(kid, '.') >= 0) return false;
    if (!span_copy(kid, key->kid, sizeof(key->kid))) return false;
    key->secret = secret_of(secret);
    key->not_before_s = not_before_s;
    key->not_after_s = not_after_s;
    k->n++;
    return true;
}

void token_keys_done(struct token_keys *k)
{
    for (size_t i = 0; i < k->n; i++) secret_done(&k->v[i].secret);
    *k = (struct token_keys){.n = 0};
}

void token_id_of_export(struct span export_id, uint8_t ret[static TOKEN_ID_N])
{
    uint8_t whole[CRYPTO_SHA256_N];

    crypto_hash(CRYPTO_SHA256, (const struct span[]){SPAN_LIT("export\n"), export_id}, 2, whole);
    memcpy(ret, whole, TOKEN_ID_N);
}

static bool key_good(const struct token_key *k, int64_t now_s)
{
    return now_s >= k->not_before_s && (k->not_after_s == 0 || now_s < k->not_after_s);
}

static void mac_of(
    struct span secret, struct span kid, struct span payload, uint8_t ret[static CRYPTO_SHA256_N])
{
    const struct span pieces[] = {span(DOMAIN, sizeof(DOMAIN)), kid, span("", 1), payload};

    crypto_hmac_sha256(secret, pieces, ARRAY_N(pieces), ret);
}

/* ---- payload ---- */

bool token_pattern_ok(struct span pattern)
{
    if (pattern.n == 0 || pattern.n > TOKEN_PATTERN_MAX) return false;
    for (size_t i = 0; i < pattern.n; i++) {
        uint8_t c = pattern.p[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (c == '*' && i + 1 == pattern.n) return true;
        if (!word && c != '-' && c != '_' && c != '.') return false;
    }
    return pattern.n < TOKEN_PATTERN_MAX;
}

static void put_text(struct wr *w, const char *text)
{
    wr_u16(w, (uint16_t)strlen(text));
    wr_text(w, text);
}

static void put_i64(struct wr *w, int64_t v)
{
    wr_u16(w, FIELDS_NUM);
    wr_u64(w, (uint64_t)v);
}

static void put_u32(struct wr *w, uint32_t v)
{
    wr_u16(w, sizeof(v));
    wr_u32(w, v);
}

static void put_streams(struct wr *w, const struct token *t)
{
    size_t n = 0;

    for (size_t i = 0; i < t->n_streams; i++) n += 1 + strlen(t->streams[i]);
    wr_u16(w, (uint16_t)n);
    for (size_t i = 0; i < t->n_streams; i++) {
        wr_u8(w, (uint8_t)strlen(t->streams[i]));
        wr_text(w, t->streams[i]);
    }
}

static void put_address(struct wr *w, const struct token *t)
{
    wr_u16(w, t->bound ? sizeof(t->address) + 1 : 0);
    if (!t->bound) return;
    wr_bytes(w, span(t->address, sizeof(t->address)));
    wr_u8(w, t->address_bits);
}

void token_write(struct wr *w, const struct token *t)
{
    put_text(w, t->audience);
    put_text(w, t->user);
    wr_u16(w, TOKEN_ID_N);
    wr_bytes(w, span(t->id, TOKEN_ID_N));
    put_streams(w, t);
    put_u32(w, t->ops);
    put_i64(w, t->not_before_s);
    put_i64(w, t->not_after_s);
    put_i64(w, t->from_s);
    put_i64(w, t->to_s);
    put_address(w, t);
    put_u32(w, t->sessions_max);
    put_i64(w, t->made_us);
}

/* Each field is a reader of its own and must be read to its end: none can shift into another. */
static struct rd field(struct rd *r)
{
    uint16_t n = rd_u16(r);

    return rd_of(rd_bytes(r, n));
}

static void all(struct rd *r, const struct rd *f)
{
    if (!rd_ok(f) || rd_left(f) > 0) rd_fail(r);
}

static void get_text(struct rd *r, char *dst, size_t cap)
{
    struct rd f = field(r);
    struct span s = rd_rest(&f);

    if (s.n >= cap) rd_fail(r);
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] < ' ' || s.p[i] == 0x7f) rd_fail(r);
    if (rd_ok(r)) span_copy(s, dst, cap);
}

static int64_t get_i64(struct rd *r)
{
    struct rd f = field(r);
    int64_t v = (int64_t)rd_u64(&f);

    all(r, &f);
    if (v < 0) rd_fail(r);
    return v;
}

static uint32_t get_u32(struct rd *r)
{
    struct rd f = field(r);
    uint32_t v = rd_u32(&f);

    all(r, &f);
    return v;
}

static void get_streams(struct rd *r, struct token *t)
{
    struct rd f = field(r);

    while (rd_left(&f) > 0) {
        struct span pattern = rd_bytes(&f, rd_u8(&f));

        if (!rd_ok(&f) || t->n_streams == TOKEN_STREAMS_MAX || !token_pattern_ok(pattern)) {
            rd_fail(r);
            return;
        }
        span_copy(pattern, t->streams[t->n_streams++], sizeof(t->streams[0]));
    }
}

static void get_address(struct rd *r, struct token *t)
{
    struct rd f = field(r);
    struct span address;

    t->bound = rd_left(&f) > 0;
    if (!t->bound) return;
    address = rd_bytes(&f, sizeof(t->address));
    t->address_bits = rd_u8(&f);
    all(r, &f);
    if (rd_ok(r)) memcpy(t->address, address.p, sizeof(t->address));
    if (t->address_bits > 128) rd_fail(r);
}

bool token_read(struct span payload, struct token *ret)
{
    struct rd r = rd_of(payload), id;
    struct token t = {.ops = 0};

    get_text(&r, t.audience, sizeof(t.audience));
    get_text(&r, t.user, sizeof(t.user));
    id = field(&r);
    if (rd_left(&id) == TOKEN_ID_N)
        memcpy(t.id, rd_bytes(&id, TOKEN_ID_N).p, TOKEN_ID_N);
    else
        rd_fail(&r);
    get_streams(&r, &t);
    t.ops = get_u32(&r);
    t.not_before_s = get_i64(&r);
    t.not_after_s = get_i64(&r);
    t.from_s = get_i64(&r);
    t.to_s = get_i64(&r);
    get_address(&r, &t);
    t.sessions_max = get_u32(&r);
    t.made_us = get_i64(&r);
    if (!rd_ok(&r) || rd_left(&r) > 0 || t.ops & ~(unsigned)TOKEN_OPS_ALL) return false;
    *ret = t;
    return true;
}

/* ---- the whole ---- */

/* One text for one byte string: no padding, no other alphabet, no bits left over. */
static bool decode(struct span text, struct wr *w)
{
    uint8_t again[BASE64_N(TOKEN_PAYLOAD_MAX)];
    struct wr a = wr_of(again, sizeof(again));

    if (!base64_read(text, w)) return false;
    base64url_write(&a, wr_span(w));
    return wr_ok(&a) && span_eq(wr_span(&a), text);
}

struct parts {
    struct span kid, payload, mac;
    uint8_t payload_mem[TOKEN_PAYLOAD_MAX], mac_mem[CRYPTO_SHA256_N];
};

static bool take_apart(struct span text, struct parts *p)
{
    struct wr payload = wr_of(p->payload_mem, sizeof(p->payload_mem));
    struct wr mac = wr_of(p->mac_mem, sizeof(p->mac_mem));
    struct span version, body, kid, rest = text;

    if (text.n >= TOKEN_TEXT_MAX) return false;
    if (!span_split(&rest, '.', &version) || !span_is(version, VERSION)) return false;
    if (!span_split(&rest, '.', &kid) || !span_split(&rest, '.', &body) || !rest.p) return false;
    if (!decode(body, &payload) || !decode(rest, &mac)) return false;
    p->kid = kid;
    p->payload = wr_span(&payload);
    p->mac = wr_span(&mac);
    return true;
}

static const struct token_key *key_of(const struct token_check *c, struct span kid)
{
    const struct token_key *found = NULL;

    for (size_t i = 0; i < c->keys->n; i++)
        if (span_is(kid, c->keys->v[i].kid) && key_good(&c->keys->v[i], c->now_s)) found = &c->keys->v[i];
    return found;
}

static bool in_time(const struct token *t, int64_t now_s)
{
    return now_s + TOKEN_SKEW_S >= t->not_before_s &&
        (t->not_after_s == 0 || now_s - TOKEN_SKEW_S < t->not_after_s);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a == 0 ? b : b == 0 ? a : MIN(a, b);
}

int64_t token_good_until(int64_t not_after_s)
{
    return not_after_s > 0 ? not_after_s + TOKEN_SKEW_S : 0;
}

int token_verify(const struct token_check *c, struct span text, struct token *ret, int64_t *ret_until_s)
{
    static const uint8_t nobody[CRYPTO_SHA256_N] = {0};
    struct parts p = {.kid = SPAN_NONE};
    bool whole = take_apart(text, &p);
    const struct token_key *key = whole ? key_of(c, p.kid) : NULL;
    uint8_t want[CRYPTO_SHA256_N];
    struct token t = {.ops = 0};
    bool same, read, ours, now;

    /* What cannot be taken apart is as much work as what can, and an unknown key as much as a known one; and
     * what it says is read and compared whether it is believed or not, so that nothing comes sooner for what
     * nobody has signed. */
    mac_of(key               ? secret_reveal(&key->secret)
            : c->keys->n > 0 ? secret_reveal(&c->keys->v[0].secret)
                             : span(nobody, sizeof(nobody)),
        p.kid, whole ? p.payload : span_sub(text, 0, TOKEN_PAYLOAD_MAX), want);
    same = crypto_equal(p.mac, span(want, sizeof(want)));
    explicit_bzero(want, sizeof(want));
    read = token_read(p.payload, &t);
    ours = strcmp(t.audience, c->audience) == 0;
    now = in_time(&t, c->now_s);
    if (!same || !key || !read) return TOKEN_E_FORGED;
    if (!ours) return TOKEN_E_AUDIENCE;
    *ret = t;
    *ret_until_s = earlier(token_good_until(t.not_after_s), key->not_after_s);
    return now ? 0 : TOKEN_E_TIME;
}

bool token_mint(const struct token_keys *k, const struct token *t, int64_t now_s, char *ret)
{
    uint8_t payload[TOKEN_PAYLOAD_MAX], mac[CRYPTO_SHA256_N];
    struct wr body = wr_of(payload, sizeof(payload)), text = wr_of(ret, TOKEN_TEXT_MAX);
    const struct token_key *key = NULL;
    struct token again;

    for (size_t i = 0; i < k->n; i++)
        if (key_good(&k->v[i], now_s)) key = &k->v[i];
    token_write(&body, t);
    if (!key || !wr_ok(&body) || !token_read(wr_span(&body), &again)) return false;
    mac_of(secret_reveal(&key->secret), span_of(key->kid), wr_span(&body), mac);
    wr_fmt(&text, VERSION ".%s.", key->kid);
    base64url_write(&text, wr_span(&body));
    wr_text(&text, ".");
    base64url_write(&text, span(mac, sizeof(mac)));
    return wr_cstr(&text)[0] != '\0';
}

bool token_pattern_fits(struct span pattern, struct span uid)
{
    if (pattern.n > 0 && pattern.p[pattern.n - 1] == '*')
        return span_starts(uid, span_sub(pattern, 0, pattern.n - 1));
    return span_eq(uid, pattern);
}

bool token_pattern_covers(struct span pattern, struct span other)
{
    if (!span_ends(other, SPAN_LIT("*"))) return token_pattern_fits(pattern, other);
    return span_ends(pattern, SPAN_LIT("*")) &&
        span_starts(span_sub(other, 0, other.n - 1), span_sub(pattern, 0, pattern.n - 1));
}

bool token_fits_stream(const struct token *t, struct span uid)
{
    for (size_t i = 0; i < t->n_streams; i++)
        if (token_pattern_fits(span_of(t->streams[i]), uid)) return true;
    return false;
}

bool token_is_for_all(const struct token *t)
{
    for (size_t i = 0; i < t->n_streams; i++)
        if (strcmp(t->streams[i], "*") == 0) return true;
    return t->n_streams == 0;
}
