/* The pieces of a unit that is being put together: spans into packets, and after gather_detach into memory of
 * its own. Order of pieces is order of bytes. The first own_n of them lie in own memory. Tests:
 * tests/unit/worker/test_gather.c. */
#ifndef WORKER_GATHER_H
#define WORKER_GATHER_H

#include "common/media/frame.h"

#define GATHER_PIECES_MAX 16384 /* a picture may hold 8,160 slices */

struct gather {
    struct piece *v;
    uint32_t n, cap, own_n;
    uint32_t nal; /* piece that the last NAL unit begins with */
    bool in_nal;
    size_t bytes; /* of all pieces, heads counted, NAL lengths not */
    size_t limit; /* of bytes, and of own memory */
    uint8_t *own;
    size_t own_used, own_cap;
    bool hold; /* gather_clear keeps the bytes of own memory: somebody reads in it */
};

void gather_init(struct gather *g, size_t limit);
void gather_done(struct gather *g);
/* Empty again; memory beyond what a common unit takes is given back. */
void gather_clear(struct gather *g);
/* A NAL unit begins: head (at most 3 bytes) and then s. All four: false: over a limit or out of memory. */
bool gather_nal(struct gather *g, const uint8_t *head, uint8_t head_n, struct span s);
/* More of the same NAL unit, or more plain data. */
bool gather_more(struct gather *g, struct span s);
/* The bytes from piece `at` on in one stretch, in own memory, good until the next gather_clear or
 * gather_detach. */
bool gather_join(struct gather *g, uint32_t at, struct span *ret);
/* Copies what is not in own memory yet. */
bool gather_detach(struct gather *g);
/* Drops pieces from `at` on, or the first n. */
void gather_cut(struct gather *g, uint32_t at);
void gather_drop_front(struct gather *g, uint32_t n);

#endif
