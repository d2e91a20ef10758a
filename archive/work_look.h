/* What a storage says of one stream's footage: archive ranges UID FROM TO, archive segments UID FROM TO LIMIT
 * (times in microseconds; rows in common/ipc/ctl.h). What was closed and is not in the index yet belongs to
 * it. */
#ifndef ARCHIVE_WORK_LOOK_H
#define ARCHIVE_WORK_LOOK_H

#include "archive/ask.h"

/* Where it is: behind this range's end, this segment. */
struct work_look {
    bool begun;
    usec_t from_us;
    uint64_t after_id;
    size_t rows;
};
struct keeper;
/* `begin` of both: the arguments are such. */
int keeper_ask_look(struct keeper *k, struct answer *a);
bool work_look_ranges(struct work *w, struct answer *a);
/* archive cover UID FROM TO, of the master alone: as archive ranges, with what another node has offered and
 * the stream's own policy does not keep here. Nothing is missing there. */
bool work_look_cover(struct work *w, struct answer *a);
bool work_look_segments(struct work *w, struct answer *a);

#endif
