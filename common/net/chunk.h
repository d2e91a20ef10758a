/* Bytes shared by many viewers, counted without atomics: a chunk belongs to one loop. Tests:
 * tests/unit/net/test_conn.c. */
#ifndef NET_CHUNK_H
#define NET_CHUNK_H

#include "common/base/types.h"

struct chunk {
    uint32_t refs;
    size_t n;
    uint8_t data[];
};
struct chunk *chunk_new(size_t n); /* one reference; NULL when memory is out */
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c); /* NULL too */

#endif
