/* Segments of other nodes, whole, in memory (memfd), as files that are read only: each is fetched once,
 * however many want it, and checked by its own footer; the least recently used goes first. One that is still
 * being written is there as far as it was whole, for CACHE_OPEN_US. Tests: tests/unit/courier/test_away.c. */
#ifndef COURIER_CACHE_H
#define COURIER_CACHE_H

#include "courier/nodes.h"

#define CACHE_BYTES_MAX (512ull << 20)
#define CACHE_FILE_MAX  (256ull << 20)
#define CACHE_LOADS_MAX 16         /* at a time; more wait */
#define CACHE_ROOM      (2u << 20) /* bytes that may be on their way */
#define CACHE_OPEN_US   (500 * US_PER_MS)
#define CACHE_FETCH_US  (5 * US_PER_S) /* without a byte for so long: it has failed */

struct cache;
struct cache_want { /* zeroed: wants nothing */
    struct list link;
    void (*fn)(struct cache_want *w, int err, int fd, uint64_t bytes); /* once; fd stays the cache's */
    void *arg;
};
struct cache_name {
    uint16_t node;
    char storage[64], uid[40];
    uint64_t segment;
};
struct cache *cache_new(struct nodes *nodes);
void cache_free(struct cache *c); /* wants have been given up */
/* fn may come before it returns. */
void cache_get(struct cache *c, const struct cache_name *name, struct cache_want *w);
void cache_give_up(struct cache_want *w);

#endif
