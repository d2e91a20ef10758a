/* CRC-32C (Castagnoli, RFC 3720 appendix B.4), by the processor where it can. */
#ifndef BASE_CRC_H
#define BASE_CRC_H

#include "common/base/span.h"

/* Continues from `crc`; start with 0. */
uint32_t crc32c(uint32_t crc, struct span s);

#endif
