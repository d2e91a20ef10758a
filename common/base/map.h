/* Hash map from short text (uid, name) to a pointer that it does not own. Keys are copied. SipHash-like keyed
 * hashing is not needed: keys come from the configuration, or are bounded in number by the caller. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "common/base/span.h"

struct map_slot {
    char *key;
    void *value;
};
struct map {
    struct map_slot *slots;
    size_t cap, n;
};

void map_done(struct map *m); /* frees the keys, not the values; a zeroed map is an empty one */
/* The same, and each value goes to drop. */
void map_drop(struct map *m, void (*drop)(void *value));
void *map_get(const struct map *m, struct span key);
/* Adds or replaces; returns the value before, or NULL. value != NULL. */
void *map_set(struct map *m, struct span key, void *value);
void *map_remove(struct map *m, struct span key); /* returns the value, or NULL */
/* In no order; start with *at = 0. false: no more. Do not change the map meanwhile. */
bool map_next(const struct map *m, size_t *at, struct map_slot *ret_slot);

uint64_t hash_fnv1a(struct span s);

#endif
