/* Rings and frames for tests: frame contents are a function of the frame number, so a reader can check them.
 */
#ifndef SUPPORT_RING_HELP_H
#define SUPPORT_RING_HELP_H

#include "common/ring/ring.h"

/* A ring of the least geometry with one writer; aborts on an error. */
int ring_help_create(uint32_t generation, struct ring_geom geom);
/* One H.264 track and one AAC track. */
void ring_help_tracks(struct track_set *ret);
/* Puts a frame of n bytes whose content follows from its number. */
uint64_t ring_help_put(struct ring_writer *w, uint8_t track, uint16_t flags, size_t n);
/* Is it the content of frame seq? */
bool ring_help_check(uint64_t seq, struct span data);

#endif
