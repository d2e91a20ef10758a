/* Units that carry their name. Everything in base knows nobody above it. */
#ifndef BASE_TYPES_H
#define BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Microseconds. Monotonic or since 1970-01-01 UTC: the variable's name says which (mono_us, wall_us). */
typedef int64_t usec_t;

#define US_PER_S  ((usec_t)1000000)
#define US_PER_MS ((usec_t)1000)

/* Media time: v units of 1/hz second. */
struct ticks {
    int64_t v;
    uint32_t hz;
};

#define ARRAY_N(a)                 (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)                  ((a) < (b) ? (a) : (b))
#define MAX(a, b)                  ((a) > (b) ? (a) : (b))
#define CLAMP(v, lo, hi)           ((v) < (lo) ? (lo) : (v) > (hi) ? (hi) : (v))
#define PRINTF_LIKE(fmt, args)     __attribute__((format(printf, fmt, args)))
#define CONTAINER(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/* v * to / from without overflow of the product, rounded down; from > 0. */
static inline int64_t scale_i64(int64_t v, uint32_t to, uint32_t from)
{
    __extension__ typedef __int128 wide;

    return (int64_t)((wide)v * to / from);
}

static inline usec_t ticks_us(struct ticks t)
{
    return scale_i64(t.v, 1000000, t.hz);
}

/* Does something on leaving the scope: CLEANUP(fd_close) int fd = -1; */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

#endif
