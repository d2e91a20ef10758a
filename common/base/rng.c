#include "common/base/rng.h"
#include "common/base/err.h"

#include <sys/random.h>

void rng_bytes(void *dst, size_t n)
{
    must(n <= 256); /* up to here getrandom is all or nothing */
    must(getrandom(dst, n, 0) == (ssize_t)n);
}

uint32_t rng_u32(void)
{
    uint32_t v;

    rng_bytes(&v, sizeof(v));
    return v;
}

usec_t rng_jitter(usec_t v, unsigned percent)
{
    usec_t span_us = v * percent / 100;

    return span_us <= 0 ? v : v - span_us + (usec_t)(rng_u32() % (uint64_t)(2 * span_us + 1));
}
