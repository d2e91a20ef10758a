#include "common/base/span.h"
#include "common/base/mem.h"

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_of(const char *s)
{
    return s ? span(s, strlen(s)) : SPAN_NONE;
}

struct span span_sub(struct span s, size_t at, size_t n)
{
    if (at >= s.n) return span(s.p ? s.p + s.n : NULL, 0);
    return span(s.p + at, MIN(n, s.n - at));
}

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool span_is(struct span a, const char *text)
{
    return span_eq(a, span_of(text));
}

bool span_ieq(struct span a, struct span b)
{
    if (a.n != b.n) return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.p[i]) != lower(b.p[i])) return false;
    return true;
}

bool span_iis(struct span a, const char *text)
{
    return span_ieq(a, span_of(text));
}

bool span_starts(struct span s, struct span prefix)
{
    return s.n >= prefix.n && span_eq(span_sub(s, 0, prefix.n), prefix);
}

bool span_istarts(struct span s, const char *prefix)
{
    struct span want = span_of(prefix);

    return s.n >= want.n && span_ieq(span_sub(s, 0, want.n), want);
}

bool span_ends(struct span s, struct span suffix)
{
    return s.n >= suffix.n && span_eq(span_from(s, s.n - suffix.n), suffix);
}

ssize_t span_find(struct span s, uint8_t byte)
{
    const uint8_t *at = s.n ? memchr(s.p, byte, s.n) : NULL;

    return at ? at - s.p : -1;
}

ssize_t span_find_span(struct span s, struct span what)
{
    const uint8_t *at;

    if (what.n == 0) return 0;
    if (s.n < what.n) return -1;
    at = memmem(s.p, s.n, what.p, what.n);
    return at ? at - s.p : -1;
}

struct span span_trim(struct span s)
{
    while (s.n > 0 && is_blank(s.p[0])) s = span_from(s, 1);
    while (s.n > 0 && is_blank(s.p[s.n - 1])) s.n--;
    return s;
}

bool span_split(struct span *rest, uint8_t sep, struct span *ret_piece)
{
    ssize_t at;

    if (rest->p == NULL) return false;
    at = span_find(*rest, sep);
    if (at < 0) {
        *ret_piece = *rest;
        *rest = SPAN_NONE;
        return true;
    }
    *ret_piece = span_sub(*rest, 0, (size_t)at);
    *rest = span_from(*rest, (size_t)at + 1);
    return true;
}

bool span_u64(struct span s, uint64_t max, uint64_t *ret_v)
{
    uint64_t v = 0;

    if (s.n == 0) return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') return false;
        if (__builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, s.p[i] - '0', &v)) return false;
    }
    if (v > max) return false;
    *ret_v = v;
    return true;
}

bool span_i64(struct span s, int64_t *ret_v)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    uint64_t v;

    if (s.n > 0 && (s.p[0] == '-' || s.p[0] == '+')) s = span_from(s, 1);
    if (!span_u64(s, INT64_MAX, &v)) return false;
    *ret_v = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

bool span_hex64(struct span s, uint64_t *ret_v)
{
    uint64_t v = 0;

    if (s.n == 0 || s.n > 16) return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = lower(s.p[i]);

        if (c >= '0' && c <= '9')
            v = v << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            v = v << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret_v = v;
    return true;
}

bool span_copy(struct span s, char *dst, size_t cap)
{
    size_t n = MIN(s.n, cap - 1);

    for (size_t i = 0; i < n; i++) dst[i] = s.p[i] ? (char)s.p[i] : '?';
    dst[n] = 0;
    return n == s.n;
}

char *span_dup(struct span s)
{
    char *p = mem_new(s.n + 1);

    span_copy(s, p, s.n + 1);
    return p;
}
