/* Real segments of made-up footage, at any wall clock. */
#ifndef SUPPORT_SEGMENTS_H
#define SUPPORT_SEGMENTS_H

#include "archive/index.h"
#include "tests/support/keeper_rig.h"

/* A closed segment below records, of so many seconds. */
void segments_make(int records, const char *uid, usec_t start_us, unsigned seconds, struct seg_info *ret);
/* Only in the index: n of such a segment's length, 10 s apart, so that each is a range. Returns the last. */
struct seg_info segments_scatter(struct index *ix, const struct seg_info *like, usec_t start_us, size_t n);
/* As segments_make, by a worker of the rig, who reports it and waits until it is in the index. */
void segments_record(struct rig_worker *w, usec_t start_us, unsigned seconds, struct seg_info *ret);
/* Is the file there? */
bool segments_there(const char *storage, const struct seg_info *s);

#endif
