/* How long footage is kept, as the configuration says. */
#ifndef ARCHIVE_KEEP_H
#define ARCHIVE_KEEP_H

#include "common/base/types.h"

/* Of a configured stream; what belongs to no configured one is kept until space is needed. */
struct keep_policy {
    usec_t duration_us;        /* 0: until space is needed */
    usec_t event_duration_us;  /* of what belongs to an event */
    uint64_t capacity_bytes;   /* on one storage; 0: no limit, */
    unsigned capacity_percent; /* or of that storage; 0: no limit */
    usec_t
        late_us; /* what ends behind it is let go last: another node, its first, has it not yet; 0: nothing */
};

#endif
