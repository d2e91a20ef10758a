#include "common/proto/auth.h"
#include "common/wire/base64.h"
#include "common/wire/url.h"

#define CNONCE_DIGITS 16
#define HEX_MAX       (2 * CRYPTO_HASH_MAX + 1)

static const struct algorithm {
    const char *name;
    enum crypto_hash hash;
    bool sess;
    unsigned rank; /* the higher the stronger; Basic has 0 (U1) */
} ALGORITHMS[] = {
    {"MD5", CRYPTO_MD5, false, 1},
    {"MD5-sess", CRYPTO_MD5, true, 1},
    {"SHA-256", CRYPTO_SHA256, false, 2},
    {"SHA-256-sess", CRYPTO_SHA256, true, 2},
    {"SHA256", CRYPTO_SHA256, false, 2},
    {"SHA-512-256", CRYPTO_SHA512_256, false, 3},
    {"SHA-512-256-sess", CRYPTO_SHA512_256, true, 3},
};

static const struct algorithm *algorithm_named(struct span name)
{
    for (size_t i = 0; i < ARRAY_N(ALGORITHMS); i++)
        if (span_iis(name, ALGORITHMS[i].name)) return &ALGORITHMS[i];
    return NULL;
}

static const struct algorithm *algorithm_of(enum crypto_hash hash, bool sess)
{
    for (size_t i = 0; i < ARRAY_N(ALGORITHMS); i++)
        if (ALGORITHMS[i].hash == hash && ALGORITHMS[i].sess == sess) return &ALGORITHMS[i];
    return &ALGORITHMS[0];
}

/* ---- a tolerant scanner of "scheme name=value, name="value" ..." (U3, U9) ---- */

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static struct span skip(struct span s, const char *what)
{
    while (s.n > 0 && s.p[0] && strchr(what, s.p[0])) s = span_from(s, 1);
    return s;
}

static size_t token_n(struct span s)
{
    size_t n = 0;

    while (n < s.n && head_is_token(span_sub(s, n, 1))) n++;
    return n;
}

/* Does a name and '=' begin here? */
static bool begins_param(struct span s)
{
    size_t n = token_n(s);

    return n > 0 && skip(span_from(s, n), " \t").n > 0 && skip(span_from(s, n), " \t").p[0] == '=';
}

/* A quote closes when nothing, a comma, a semicolon or another parameter follows: realms hold bare quotes. */
static bool closes(struct span behind)
{
    struct span s = skip(behind, " \t");

    return s.n == 0 || s.p[0] == ',' || s.p[0] == ';' || begins_param(s);
}

static struct span quoted_value(struct span s, struct span *ret_rest)
{
    for (size_t i = 1; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) {
            i++;
        } else if (s.p[i] == '"' && closes(span_from(s, i + 1))) {
            *ret_rest = span_from(s, i + 1);
            return span_sub(s, 1, i - 1);
        }
    }
    *ret_rest = SPAN_NONE;
    return span_from(s, 1);
}

static struct span bare_value(struct span s, struct span *ret_rest)
{
    size_t i;

    for (i = 0; i < s.n && s.p[i] != ','; i++)
        if (is_blank(s.p[i]) && begins_param(skip(span_from(s, i), " \t"))) break;
    *ret_rest = span_from(s, i);
    return span_trim(span_sub(s, 0, i));
}

struct param {
    struct span name, value; /* of a quoted value what is between the quotes, escapes stay */
    bool quoted;
};

/* The next parameter of the challenge under way; false: the end, or another scheme begins. */
static bool param_next(struct span *rest, struct param *ret)
{
    struct span s = skip(*rest, " \t,;");
    size_t n = token_n(s);

    if (!begins_param(s)) {
        *rest = s;
        return false;
    }
    ret->name = span_sub(s, 0, n);
    s = skip(span_from(skip(span_from(s, n), " \t"), 1), " \t");
    ret->quoted = s.n > 0 && s.p[0] == '"';
    ret->value = ret->quoted ? quoted_value(s, rest) : bare_value(s, rest);
    return true;
}

/* Text without the backslashes of a quoted string. false: too long. */
static bool unescape(struct span s, char *dst, size_t cap)
{
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\' && i + 1 < s.n) i++;
        if (n + 1 >= cap || s.p[i] < ' ') return false;
        dst[n++] = (char)s.p[i];
    }
    dst[n] = 0;
    return true;
}

static bool list_has(struct span list, const char *word)
{
    struct span member;

    while (head_list_next(&list, ',', &member))
        if (span_iis(member, word)) return true;
    return false;
}

/* ---- client side ---- */

/* false: this challenge cannot be used. */
static bool challenge_param(const struct param *p, struct auth_challenge *c)
{
    if (span_iis(p->name, "realm")) return unescape(p->value, c->realm, sizeof(c->realm));
    if (span_iis(p->name, "nonce")) return unescape(p->value, c->nonce, sizeof(c->nonce));
    if (span_iis(p->name, "stale")) c->stale = span_iis(p->value, "true");
    if (span_iis(p->name, "opaque")) {
        c->has_opaque = true;
        return unescape(p->value, c->opaque, sizeof(c->opaque));
    }
    if (span_iis(p->name, "qop") && p->value.n > 0) {
        c->qop_auth = list_has(p->value, "auth");
        c->qop_only_int = !c->qop_auth;
    }
    if (span_iis(p->name, "algorithm") && p->value.n > 0) {
        const struct algorithm *a = algorithm_named(p->value);

        if (a == NULL) return false;
        c->hash = a->hash;
        c->sess = a->sess;
        c->hash_named = true;
        c->hash_quoted = p->quoted;
    }
    return true;
}

bool auth_challenge_next(struct span *rest, struct auth_challenge *ret)
{
    for (;;) {
        struct span s = skip(*rest, " \t,;");
        size_t n = token_n(s);
        struct span scheme = span_sub(s, 0, n);
        struct param p;
        bool usable = true;

        if (s.n == 0) return false;
        *ret = (struct auth_challenge){.hash = CRYPTO_MD5};
        if (span_iis(scheme, "Digest")) ret->scheme = AUTH_DIGEST;
        if (span_iis(scheme, "Basic")) ret->scheme = AUTH_BASIC;
        *rest = span_from(s, MAX(n, (size_t)1));
        while (param_next(rest, &p)) usable = challenge_param(&p, ret) && usable;
        if (ret->scheme == AUTH_DIGEST && (ret->nonce[0] == 0 || ret->qop_only_int)) usable = false;
        if (usable && ret->scheme != AUTH_NONE) return true;
    }
}

static unsigned rank_of(const struct auth_challenge *c)
{
    return c->scheme == AUTH_BASIC ? 0 : algorithm_of(c->hash, c->sess)->rank;
}

bool auth_pick(const struct head *h, bool basic_allowed, struct auth_challenge *ret)
{
    struct auth_challenge c;
    struct span value;
    bool found = false;
    size_t at = 0;

    while (head_next(h, "WWW-Authenticate", &at, &value))
        while (auth_challenge_next(&value, &c)) {
            if (c.scheme == AUTH_BASIC && !basic_allowed) continue;
            if (found && rank_of(&c) <= rank_of(ret)) continue;
            *ret = c;
            found = true;
        }
    return found;
}

bool auth_client_challenged(struct auth_client *a, const struct auth_challenge *c)
{
    bool same =
        a->c.scheme == c->scheme && strcmp(a->c.realm, c->realm) == 0 && strcmp(a->c.nonce, c->nonce) == 0;

    a->c = *c;
    if (!same) a->nc = 0;
    return !same;
}

/* Value between colons, hashed. */
static void hash_joined(enum crypto_hash hash, const struct span *parts, size_t n, char *ret_hex)
{
    struct span pieces[12];
    size_t k = 0;

    for (size_t i = 0; i < n; i++) {
        if (i > 0) pieces[k++] = SPAN_LIT(":");
        pieces[k++] = parts[i];
    }
    crypto_hash_hex(hash, pieces, k, ret_hex);
}

struct digest {
    enum crypto_hash hash;
    bool sess;
    struct span realm, nonce, nc, cnonce, qop; /* qop empty: the form of RFC 2069 */
};

static void digest_response(const struct digest *d, const struct auth_login *login, const char *method,
    struct span uri, char *ret_hex)
{
    char ha1[HEX_MAX], ha2[HEX_MAX];
    struct span a1[] = {login->user, d->realm, login->password};
    struct span a2[] = {span_of(method), uri};

    hash_joined(d->hash, a1, ARRAY_N(a1), ha1);
    if (d->sess) {
        struct span session[] = {span_of(ha1), d->nonce, d->cnonce};
        char hex[HEX_MAX];

        hash_joined(d->hash, session, ARRAY_N(session), hex);
        memcpy(ha1, hex, sizeof(ha1));
    }
    hash_joined(d->hash, a2, ARRAY_N(a2), ha2);
    if (d->qop.n > 0) {
        struct span r[] = {span_of(ha1), d->nonce, d->nc, d->cnonce, d->qop, span_of(ha2)};

        hash_joined(d->hash, r, ARRAY_N(r), ret_hex);
    } else {
        struct span r[] = {span_of(ha1), d->nonce, span_of(ha2)};

        hash_joined(d->hash, r, ARRAY_N(r), ret_hex);
    }
    explicit_bzero(ha1, sizeof(ha1));
}

static void quoted(struct wr *w, const char *name, struct span value)
{
    wr_text(w, name);
    wr_text(w, "=\"");
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '"' || value.p[i] == '\\') wr_u8(w, '\\');
        wr_u8(w, value.p[i] < ' ' || value.p[i] == 0x7f ? '?' : value.p[i]);
    }
    wr_text(w, "\"");
}

static void basic(const struct auth_login *login, struct wr *w)
{
    uint8_t mem[2 * URL_USER_MAX + 1];
    struct wr plain = wr_of(mem, sizeof(mem));

    wr_bytes(&plain, login->user);
    wr_u8(&plain, ':');
    wr_bytes(&plain, login->password);
    if (!wr_ok(&plain)) w->bad = true;
    wr_text(w, "Basic ");
    base64_write(w, wr_span(&plain));
    explicit_bzero(mem, sizeof(mem));
}

void auth_authorization(struct auth_client *a, const struct auth_login *login, const char *method,
    struct span uri, uint64_t cnonce, struct wr *w)
{
    const struct auth_challenge *c = &a->c;
    char nc[16], cnonce_text[CNONCE_DIGITS + 1], response[HEX_MAX];
    struct digest d = {
        .hash = c->hash, .sess = c->sess, .realm = span_of(c->realm), .nonce = span_of(c->nonce)};

    if (c->scheme == AUTH_NONE) return;
    if (c->scheme == AUTH_BASIC) {
        basic(login, w);
        return;
    }
    snprintf(nc, sizeof(nc), "%08x", ++a->nc);
    snprintf(cnonce_text, sizeof(cnonce_text), "%016llx", (unsigned long long)cnonce);
    d.nc = span_of(nc);
    d.cnonce = span_of(cnonce_text);
    if (c->qop_auth) d.qop = SPAN_LIT("auth");
    digest_response(&d, login, method, uri, response);
    quoted(w, "Digest username", login->user);
    quoted(w, ", realm", d.realm);
    quoted(w, ", nonce", d.nonce);
    quoted(w, ", uri", uri);
    quoted(w, ", response", span_of(response));
    if (c->hash_named)
        wr_fmt(w, c->hash_quoted ? ", algorithm=\"%s\"" : ", algorithm=%s",
            algorithm_of(c->hash, c->sess)->name);
    if (c->has_opaque) quoted(w, ", opaque", span_of(c->opaque));
    if (c->qop_auth) wr_fmt(w, ", qop=auth, nc=%s", nc);
    if (c->qop_auth || c->sess) quoted(w, ", cnonce", d.cnonce);
}

/* ---- server side ---- */

void auth_challenge_write(struct wr *w, const struct auth_offer *o)
{
    if (o->scheme == AUTH_BASIC) {
        quoted(w, "Basic realm", span_of(o->realm));
        return;
    }
    quoted(w, "Digest realm", span_of(o->realm));
    quoted(w, ", nonce", span_of(o->nonce));
    if (o->hash != CRYPTO_MD5) wr_fmt(w, ", algorithm=%s", algorithm_of(o->hash, false)->name);
    if (o->qop_auth) wr_text(w, ", qop=\"auth\"");
    if (o->stale) wr_text(w, ", stale=TRUE");
}

static bool given_digest(struct span rest, struct auth_given *g)
{
    struct param p;

    while (param_next(&rest, &p)) {
        const struct {
            const char *name;
            struct span *to;
        } rows[] = {
            {"username", &g->user},
            {"realm", &g->realm},
            {"nonce", &g->nonce},
            {"uri", &g->uri},
            {"response", &g->response},
            {"cnonce", &g->cnonce},
            {"nc", &g->nc},
            {"opaque", &g->opaque},
            {"qop", &g->qop},
        };

        for (size_t i = 0; i < ARRAY_N(rows); i++)
            if (span_iis(p.name, rows[i].name)) *rows[i].to = p.value;
        if (span_iis(p.name, "algorithm")) {
            const struct algorithm *a = algorithm_named(p.value);

            if (a == NULL) return false;
            g->hash = a->hash;
            g->sess = a->sess;
        }
    }
    return g->user.p && g->nonce.p && g->uri.p && g->response.n > 0;
}

struct span auth_token(struct span value)
{
    struct span rest = value, scheme;

    span_split(&rest, ' ', &scheme);
    if (!rest.p) return value;
    return span_iis(scheme, "Bearer") ? span_trim(rest) : SPAN_NONE;
}

bool auth_given(struct span value, struct auth_given *ret)
{
    struct auth_given g = {.hash = CRYPTO_MD5};
    struct span s = skip(value, " \t");
    size_t n = token_n(s);
    struct span scheme = span_sub(s, 0, n);

    if (span_iis(scheme, "Basic")) {
        g.scheme = AUTH_BASIC;
        g.basic = span_trim(span_from(s, n));
        if (g.basic.n == 0) return false;
    } else if (span_iis(scheme, "Digest")) {
        g.scheme = AUTH_DIGEST;
        if (!given_digest(span_from(s, n), &g)) return false;
    } else {
        return false;
    }
    *ret = g;
    return true;
}

static enum auth_verdict verify_basic(const struct auth_given *g, const struct auth_login *login)
{
    uint8_t mem[2 * URL_USER_MAX + 2];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span user, password;
    bool ok = base64_read(g->basic, &w);

    password = wr_span(&w);
    ok = ok && password.n > 0 && span_split(&password, ':', &user) && password.p != NULL;
    /* Both are compared, whichever is wrong. */
    ok = ok && (int)crypto_equal(user, login->user) & (int)crypto_equal(password, login->password);
    explicit_bzero(mem, sizeof(mem));
    return ok ? AUTH_OK : AUTH_E_LOGIN;
}

static struct span without_slash(struct span s)
{
    return s.n > 0 && s.p[s.n - 1] == '/' ? span_sub(s, 0, s.n - 1) : s;
}

/* Absolute, its path only, or the base of a track's URL, with or without the last slash (U5). */
static bool uri_fits(struct span given, struct span asked)
{
    char given_mem[URL_MAX + 1], asked_mem[URL_MAX + 1];
    struct wr g = wr_of(given_mem, sizeof(given_mem)), a = wr_of(asked_mem, sizeof(asked_mem));
    struct span prefix, tail;

    if (span_eq(given, asked)) return true;
    if (!url_tail_of(given, &g) || !url_tail_of(asked, &a)) return false;
    prefix = without_slash(wr_span(&g));
    tail = wr_span(&a);
    return span_starts(tail, prefix) && (tail.n == prefix.n || tail.p[prefix.n] == '/');
}

enum auth_verdict auth_verify(const struct auth_given *g, const struct auth_offer *o,
    const struct auth_login *login, const char *method, struct span uri)
{
    struct digest d = {.hash = o->hash,
        .sess = g->sess,
        .realm = span_of(o->realm),
        .nonce = g->nonce,
        .nc = g->nc,
        .cnonce = g->cnonce,
        .qop = g->qop};
    char want[HEX_MAX], user[URL_USER_MAX];

    if (g->scheme != o->scheme) return AUTH_E_LOGIN;
    if (g->scheme == AUTH_BASIC) return verify_basic(g, login);
    if (g->hash != o->hash || !unescape(g->user, user, sizeof(user))) return AUTH_E_LOGIN;
    if (!span_is(login->user, user)) return AUTH_E_LOGIN;
    if (o->qop_auth && !span_iis(g->qop, "auth") && g->qop.n > 0) return AUTH_E_LOGIN;
    if (!uri_fits(g->uri, uri)) return AUTH_E_URI;
    digest_response(&d, login, method, g->uri, want);
    if (!crypto_equal(span_of(want), g->response)) return AUTH_E_LOGIN;
    return span_is(g->nonce, o->nonce) ? AUTH_OK : AUTH_E_NONCE;
}
