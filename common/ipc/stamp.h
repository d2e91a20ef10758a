/* By what a singular act is ordered (docs/decisions/033): the term that a node took for it, the node, and
 * that node's start. Terms rise through a cluster; two nodes that took the same one, not knowing of each
 * other, differ by the rest. Tests: tests/unit/ipc/test_stamp.c. */
#ifndef IPC_STAMP_H
#define IPC_STAMP_H

#include "common/ipc/pack.h"

struct stamp {
    uint64_t term; /* 0: none */
    uint16_t node;
    uint64_t boot;
};

/* Below 0: a is older than b. */
int stamp_cmp(const struct stamp *a, const struct stamp *b);
/* An array of the three. */
void stamp_pack(struct packer *p, const struct stamp *s);
void stamp_kv(struct packer *p, const char *key, const struct stamp *s);
/* false: there is none, or it is no stamp; *ret is none then. */
bool stamp_read(const struct packed *v, struct stamp *ret);
bool stamp_get(const struct packed *map, const char *key, struct stamp *ret);

#endif
