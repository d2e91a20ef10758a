/* A span: bytes that somebody else owns, by value. No terminator, may be empty; p may be NULL when n is 0.
 * Text helpers work on ASCII whatever the locale is. */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include "common/base/types.h"

#include <sys/types.h>

struct span {
    const uint8_t *p;
    size_t n;
};

#define SPAN_LIT(s) ((struct span){(const uint8_t *)(s), sizeof(s) - 1})
#define SPAN_NONE   ((struct span){NULL, 0})
/* For "%.*s". */
#define SPAN_FMT(s) (int)(s).n, (const char *)(s).p

static inline struct span span(const void *p, size_t n)
{
    return (struct span){p, n};
}
struct span span_of(const char *s); /* s may be NULL: empty */

/* Bytes from `at`, at most n of them; out of range gives less, never an error. */
struct span span_sub(struct span s, size_t at, size_t n);
static inline struct span span_from(struct span s, size_t at)
{
    return span_sub(s, at, SIZE_MAX);
}

bool span_eq(struct span a, struct span b);
bool span_is(struct span a, const char *text);
bool span_ieq(struct span a, struct span b); /* ASCII case-blind */
bool span_iis(struct span a, const char *text);
bool span_starts(struct span s, struct span prefix);
bool span_istarts(struct span s, const char *prefix);
bool span_ends(struct span s, struct span suffix);

/* Position of the first byte or text, or -1. */
ssize_t span_find(struct span s, uint8_t byte);
ssize_t span_find_span(struct span s, struct span what);

/* Without blanks (space, tab, CR, LF) at both ends. */
struct span span_trim(struct span s);

/* Cuts *rest at the first `sep`: returns what is before it, *rest becomes what is behind it. At the last
 * piece *rest becomes empty with p == NULL; a span with p == NULL means the end: returns false. */
bool span_split(struct span *rest, uint8_t sep, struct span *ret_piece);

/* Whole span as a decimal number without sign, at most `max`. false: empty, other characters, too large. */
bool span_u64(struct span s, uint64_t max, uint64_t *ret_v);
bool span_i64(struct span s, int64_t *ret_v);    /* an optional '-' or '+' first */
bool span_hex64(struct span s, uint64_t *ret_v); /* 1 to 16 hexadecimal digits */

/* Copies into a C string of at most cap-1 bytes, always terminated, NUL bytes become '?'. false: was cut. */
bool span_copy(struct span s, char *dst, size_t cap);
/* A new C string of the caller's; the size must have been checked before. */
char *span_dup(struct span s);

#endif
