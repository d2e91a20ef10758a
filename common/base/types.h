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
#define PRINTF_LIKE(fmt, args)     __attribute__((format(printf, fmt, args)))
#define CONTAINER(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

#ifdef __GNUC__
/* Each argument is evaluated once; the type is that of (a) < (b) ? (a) : (b). The comparison behind if (0) is
 * never made: it has the compiler warn of arguments of different signedness. Names are unique, so calls nest.
 */
#define TYPES_PASTE_(a, b) a##b
#define TYPES_PASTE(a, b)  TYPES_PASTE_(a, b)
#define TYPES_PICK(op, a, b, x, y)                                                                           \
    (__extension__({                                                                                         \
        __typeof__(1 ? (a) : (b)) x = (a), y = (b);                                                          \
        if (0) (void)((a)op(b));                                                                             \
        x op y ? x : y;                                                                                      \
    }))
#define TYPES_PICK_NEW(op, a, b, n) TYPES_PICK(op, a, b, TYPES_PASTE(pick_a_, n), TYPES_PASTE(pick_b_, n))
#define MIN(a, b)                   TYPES_PICK_NEW(<, a, b, __COUNTER__)
#define MAX(a, b)                   TYPES_PICK_NEW(>, a, b, __COUNTER__)
#else /* cppcheck, which loses its way in a statement expression inside an initialiser */
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#endif
/* lo where v is below it, else hi where v is above that: lo <= hi is the caller's word. */
#define CLAMP(v, lo, hi) MAX(lo, MIN(v, hi))

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
