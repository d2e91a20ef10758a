/* What a node of courier_pair.h has on its disk: segments of "cam-1", the last one behind a gap, and their
 * index. */
#ifndef SUPPORT_COURIER_DISK_H
#define SUPPORT_COURIER_DISK_H

#include "archive/index.h"
#include "courier/shelves.h"

#define DISK_SEGMENTS 5
#define DISK_SECONDS  4 /* of each */
#define DISK_T0       (1700000000 * US_PER_S)

struct courier_disk {
    char dir[64], index_dir[128];
    struct index *ix;
    int records;
    struct seg_info infos[DISK_SEGMENTS];
};
void courier_disk_make(struct courier_disk *d);
void courier_disk_done(struct courier_disk *d);
/* As the master says it: a storage of this name and its index; NULL: that is not open yet. */
void courier_disk_tell(struct shelves *s, const char *name, const char *path, const char *index_dir);

#endif
