/* Random bytes from the kernel. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include "common/base/types.h"

void rng_bytes(void *dst, size_t n);
uint32_t rng_u32(void);
/* v changed by at most +-percent, evenly: jitter for waits. */
usec_t rng_jitter(usec_t v, unsigned percent);

#endif
