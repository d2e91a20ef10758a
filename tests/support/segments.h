/* Real segments of made-up footage, at any wall clock. */
#ifndef SUPPORT_SEGMENTS_H
#define SUPPORT_SEGMENTS_H

#include "tests/support/keeper_rig.h"

/* A closed segment below records, of so many seconds. */
void segments_make(int records, const char *uid, usec_t start_us, unsigned seconds, struct seg_info *ret);
/* The same by a worker of the rig, who reports it and waits until it is in the index. */
void segments_record(struct rig_worker *w, usec_t start_us, unsigned seconds, struct seg_info *ret);
/* Is the file there? */
bool segments_there(const char *storage, const struct seg_info *s);

#endif
