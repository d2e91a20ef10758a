#include "common/wire/url.h"
#include "common/base/mem.h"
#include "common/wire/hex.h"

#define PORT_DIGITS_MAX 5
#define SCHEME_MAX      16 /* where "://" is looked for */

static const struct {
    enum url_scheme scheme;
    const char *name;
    const char *written; /* on a request line */
    uint16_t port;
} SCHEMES[] = {
    {URL_RTSP, "rtsp", "rtsp", 554},
    {URL_RTSPS, "rtsps", "rtsps", 322},
    {URL_HTTP, "http", "http", 80},
    {URL_HTTPS, "https", "https", 443},
    {URL_TCP, "tcp", "rtsp", 554},
    {URL_UDP, "udp", "rtsp", 554},
    {URL_PUBLISH, "publish", "rtsp", 554},
};

static const char *const ERRORS[] = {
    [0] = "",
    [URL_E_SCHEME] = "scheme is not one of rtsp, rtsps, http, https, tcp, udp, publish",
    [URL_E_HOST] = "host is missing or not a host name or address",
    [URL_E_PORT] = "port is not a number from 1 to 65535",
    [URL_E_CHAR] = "blank or control character in it",
    [URL_E_LONG] = "longer than 2048 characters",
};

const char *url_error(int e)
{
    return e > 0 && e < (int)ARRAY_N(ERRORS) ? ERRORS[e] : "";
}

const char *url_scheme_name(enum url_scheme s)
{
    for (size_t i = 0; i < ARRAY_N(SCHEMES); i++)
        if (SCHEMES[i].scheme == s) return SCHEMES[i].name;
    return "";
}

uint16_t url_scheme_port(enum url_scheme s)
{
    for (size_t i = 0; i < ARRAY_N(SCHEMES); i++)
        if (SCHEMES[i].scheme == s) return SCHEMES[i].port;
    return 0;
}

static bool is_alnum(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_plain(uint8_t c)
{
    return c > ' ' && c != 0x7f;
}

/* Position of the first byte that is one of `set`, or s.n. */
static size_t find_any(struct span s, const char *set)
{
    size_t i;

    for (i = 0; i < s.n; i++)
        if (s.p[i] && strchr(set, s.p[i])) break;
    return i;
}

static ssize_t find_last(struct span s, uint8_t byte)
{
    const uint8_t *at = s.n ? memrchr(s.p, byte, s.n) : NULL;

    return at ? at - s.p : -1;
}

static bool is_host_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '.' && s.p[i] != '_') return false;
    return s.n > 0 && s.n <= URL_HOST_MAX;
}

/* Digits, colons and dots, then perhaps a zone. */
static bool is_ipv6(struct span s)
{
    ssize_t zone = span_find(s, '%');
    struct span address = zone < 0 ? s : span_sub(s, 0, (size_t)zone);
    size_t colons = 0;

    for (size_t i = 0; i < address.n; i++) {
        colons += address.p[i] == ':';
        if (hex_digit(address.p[i]) < 0 && address.p[i] != ':' && address.p[i] != '.') return false;
    }
    if (zone >= 0 && !is_host_name(span_from(s, (size_t)zone + 1))) return false;
    return colons >= 2 && s.n <= URL_HOST_MAX;
}

/* "host", "host:port", "[v6]", "[v6]:port", "v6" (T19). */
static int host_port(struct span s, struct url *u)
{
    ssize_t colon = find_last(s, ':');
    struct span port = SPAN_NONE;
    uint64_t v = 0;

    if (s.n > 0 && s.p[0] == '[') {
        ssize_t close = span_find(s, ']');

        if (close < 0) return URL_E_HOST;
        u->host = span_sub(s, 1, (size_t)close - 1);
        u->ipv6 = true;
        if (!is_ipv6(u->host)) return URL_E_HOST;
        port = span_from(s, (size_t)close + 1);
        if (port.n > 0 && port.p[0] != ':') return URL_E_HOST;
        port = port.n > 0 ? span_from(port, 1) : SPAN_NONE;
    } else if (is_ipv6(s)) {
        u->host = s;
        u->ipv6 = true;
    } else {
        u->host = colon < 0 ? s : span_sub(s, 0, (size_t)colon);
        if (colon >= 0) port = span_from(s, (size_t)colon + 1);
        if (!is_host_name(u->host)) return URL_E_HOST;
    }
    if (port.n == 0) return 0;
    if (port.n > PORT_DIGITS_MAX || !span_u64(port, 65535, &v) || v == 0) return URL_E_PORT;
    u->has_port = true;
    u->port = (uint16_t)v;
    return 0;
}

static bool is_host_port(struct span s)
{
    struct url u = {0};

    return host_port(s, &u) == 0;
}

/* Length of what stands before '@', which may hold '/', '?', '#' and '@' itself (U9); -1: there is no user
 * name. `end` is where the path begins if it holds none. */
static ssize_t userinfo_n(struct span s, size_t end)
{
    ssize_t at = find_last(span_sub(s, 0, end), '@');
    bool path_for_sure = end == s.n || s.p[end] == '/' || s.p[end] == '?';

    if (at >= 0) return at;
    if (path_for_sure && is_host_port(span_sub(s, 0, end))) return -1;
    for (size_t i = end; i < s.n; i++) {
        struct span behind = span_from(s, i + 1);

        if (s.p[i] == '@' && is_host_port(span_sub(behind, 0, find_any(behind, "/?# \t\r\n"))))
            return (ssize_t)i;
    }
    return -1;
}

/* Scheme, and what stands behind "://"; 0: no known one. */
static enum url_scheme scheme_of(struct span text, struct span *ret_rest)
{
    ssize_t at = span_find_span(span_sub(text, 0, SCHEME_MAX), SPAN_LIT("://"));

    if (at < 0) return 0;
    *ret_rest = span_from(text, (size_t)at + 3);
    for (size_t i = 0; i < ARRAY_N(SCHEMES); i++)
        if (span_iis(span_sub(text, 0, (size_t)at), SCHEMES[i].name)) return SCHEMES[i].scheme;
    return 0;
}

static void split_user(struct span userinfo, struct url *u)
{
    ssize_t colon = span_find(userinfo, ':');

    u->has_user = true;
    u->user = colon < 0 ? userinfo : span_sub(userinfo, 0, (size_t)colon);
    u->password = colon < 0 ? SPAN_NONE : span_from(userinfo, (size_t)colon + 1);
}

static void split_tail(struct span tail, struct url *u)
{
    ssize_t fragment = span_find(tail, '#'), question;

    u->tail = fragment < 0 ? tail : span_sub(tail, 0, (size_t)fragment);
    question = span_find(u->tail, '?');
    u->path = question < 0 ? u->tail : span_sub(u->tail, 0, (size_t)question);
    u->query = question < 0 ? SPAN_NONE : span_from(u->tail, (size_t)question + 1);
}

int url_parse(struct span text, struct url *ret)
{
    struct url u = {0};
    struct span rest;
    ssize_t user;
    int e;

    text = span_trim(text);
    if (text.n > URL_MAX) return URL_E_LONG;
    for (size_t i = 0; i < text.n; i++)
        if (!is_plain(text.p[i])) return URL_E_CHAR;
    u.scheme = scheme_of(text, &rest);
    if (u.scheme == 0) return URL_E_SCHEME;
    user = userinfo_n(rest, find_any(rest, "/?#"));
    if (user >= 0) {
        split_user(span_sub(rest, 0, (size_t)user), &u);
        rest = span_from(rest, (size_t)user + 1);
    }
    u.port = url_scheme_port(u.scheme);
    e = host_port(span_sub(rest, 0, find_any(rest, "/?#")), &u);
    if (e) return e;
    split_tail(span_from(rest, find_any(rest, "/?#")), &u);
    *ret = u;
    return 0;
}

void url_write(struct wr *w, const struct url *u)
{
    for (size_t i = 0; i < ARRAY_N(SCHEMES); i++)
        if (SCHEMES[i].scheme == u->scheme) wr_text(w, SCHEMES[i].written);
    wr_text(w, "://");
    wr_fmt(w, u->ipv6 ? "[%.*s]" : "%.*s", SPAN_FMT(u->host));
    if (u->port != url_scheme_port(u->scheme)) wr_fmt(w, ":%u", u->port);
    if (u->path.n == 0) wr_text(w, "/");
    wr_bytes(w, u->tail);
}

/* ---- masking ---- */

static const char *const SECRET_KEYS[] = {
    "password=", "passwd=", "pass=", "pwd=", "token=", "secret=", "sig=", "auth="};

static size_t secret_key_n(struct span s)
{
    for (size_t i = 0; i < ARRAY_N(SECRET_KEYS); i++)
        if (span_istarts(s, SECRET_KEYS[i])) return strlen(SECRET_KEYS[i]);
    return 0;
}

static void masked_char(struct wr *w, uint8_t c)
{
    if (wr_left(w) > 0) wr_u8(w, is_plain(c) || c == ' ' ? c : '?');
}

static void masked_text(struct wr *w, const char *s)
{
    for (; *s; s++) masked_char(w, (uint8_t)*s);
}

/* The part from "://" up to '@' with the password taken out; returns how much of s that was. */
static size_t mask_user(struct wr *w, struct span s)
{
    ssize_t user = userinfo_n(s, find_any(s, "/?# \t\r\n"));
    struct url u = {0};

    if (user < 0) return 0;
    split_user(span_sub(s, 0, (size_t)user), &u);
    for (size_t i = 0; i < u.user.n; i++) masked_char(w, u.user.p[i]);
    if (u.password.p) masked_text(w, ":***");
    return (size_t)user;
}

const char *url_masked(struct span text, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap - 1);

    for (size_t i = 0; i < text.n;) {
        struct span rest = span_from(text, i);
        size_t key = secret_key_n(rest);

        if (key > 0) {
            for (size_t k = 0; k < key; k++) masked_char(&w, rest.p[k]);
            masked_text(&w, "***");
            i += key + find_any(span_from(rest, key), "&;#\"'<> \t\r\n");
        } else if (span_starts(rest, SPAN_LIT("://"))) {
            masked_text(&w, "://");
            i += 3 + mask_user(&w, span_from(rest, 3));
        } else {
            masked_char(&w, text.p[i++]);
        }
    }
    dst[w.n] = 0;
    return dst;
}

/* ---- escapes and queries ---- */

bool url_decode(struct span s, bool plus, struct wr *w)
{
    for (size_t i = 0; i < s.n; i++) {
        int high = i + 2 < s.n ? hex_digit(s.p[i + 1]) : -1;
        int low = i + 2 < s.n ? hex_digit(s.p[i + 2]) : -1;

        if (s.p[i] == '%' && high >= 0 && low >= 0) {
            wr_u8(w, (uint8_t)(high << 4 | low));
            i += 2;
        } else {
            wr_u8(w, plus && s.p[i] == '+' ? ' ' : s.p[i]);
        }
    }
    return wr_ok(w);
}

bool url_query_next(struct span *rest, struct span *ret_name, struct span *ret_value)
{
    struct span pair;
    ssize_t eq;

    while (span_split(rest, '&', &pair)) {
        if (pair.n == 0) continue;
        eq = span_find(pair, '=');
        *ret_name = eq < 0 ? pair : span_sub(pair, 0, (size_t)eq);
        *ret_value = eq < 0 ? SPAN_NONE : span_from(pair, (size_t)eq + 1);
        return true;
    }
    return false;
}

bool url_query_get(struct span query, const char *name, char *dst, size_t cap)
{
    struct span key, value;

    while (url_query_next(&query, &key, &value)) {
        struct wr w = wr_of(dst, cap - 1);

        if (!span_is(key, name)) continue;
        if (!url_decode(value, true, &w)) return false;
        dst[w.n] = 0;
        return true;
    }
    return false;
}

/* ---- what cameras say of their own URLs ---- */

/* Without any number of "scheme://" at the front (P1: "rtsp://rtsp://host"); *ret_had: there was one. */
static struct span without_schemes(struct span s, bool *ret_had)
{
    struct span rest;

    *ret_had = false;
    while (scheme_of(s, &rest)) {
        s = rest;
        *ret_had = true;
    }
    return s;
}

static bool is_clean(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_plain(s.p[i])) return false;
    return s.n > 0 && s.n <= URL_MAX;
}

bool url_tail_of(struct span text, struct wr *w)
{
    bool absolute;
    struct span s = without_schemes(span_trim(text), &absolute), first;
    size_t end;

    if (!is_clean(s)) return false;
    if (!absolute && span_starts(s, SPAN_LIT("//"))) {
        absolute = true;
        s = span_from(s, 2);
    }
    end = find_any(s, "/?");
    first = span_sub(s, 0, end);
    /* Without a scheme, "192.168.1.4/live" names a host and "live/1" does not. */
    if (!absolute && first.n > 0 && find_any(first, ".:") < first.n) absolute = true;
    if (absolute) s = span_from(s, end);
    if (s.n == 0 || s.p[0] != '/') wr_text(w, "/");
    wr_bytes(w, s);
    return wr_ok(w);
}

/* "rtsp://host:port" of a base. */
static struct span authority_of(struct span base)
{
    struct span rest;

    if (!scheme_of(base, &rest)) return SPAN_NONE;
    return span_sub(base, 0, base.n - rest.n + find_any(rest, "/?"));
}

void url_join_control(struct wr *w, struct span base, struct span control)
{
    struct span rest;
    bool base_slash, control_slash;

    control = span_trim(control);
    if (control.n == 0 || span_is(control, "*")) {
        wr_bytes(w, base);
        return;
    }
    if (scheme_of(control, &rest)) {
        wr_bytes(w, authority_of(base));
        if (!url_tail_of(control, w)) w->bad = true;
        return;
    }
    base_slash = base.n > 0 && base.p[base.n - 1] == '/';
    control_slash = control.p[0] == '/';
    wr_bytes(w, base);
    if (base_slash && control_slash) control = span_from(control, 1);
    if (!base_slash && !control_slash && control.p[0] != '?') wr_u8(w, '/');
    if (!is_clean(control) && control.n > 0) w->bad = true;
    wr_bytes(w, control);
}
