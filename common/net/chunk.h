/* Bytes shared by many viewers, counted without atomics: a chunk belongs to one loop. Tests:
 * tests/unit/net/test_conn.c. */
#ifndef NET_CHUNK_H
#define NET_CHUNK_H

#include "common/base/types.h"

#define CHUNK_BLOCK (64u << 10)
#define CHUNK_KEPT  48 /* blocks of this process that wait for their next use */

struct chunk {
    uint32_t refs;
    size_t n;
    uint8_t data[];
};
struct chunk *chunk_new(size_t n); /* one reference; NULL when memory is out */
/* One of CHUNK_BLOCK bytes, from any thread, and it may end on another: those that are freed are kept, up to
 * CHUNK_KEPT. Their pages need not be made again for each piece of a file that passes. */
struct chunk *chunk_block(void);
struct chunk *chunk_ref(struct chunk *c);
void chunk_unref(struct chunk *c); /* NULL too */

#endif
