/* How far something long has come, on a stream that people read. */
#ifndef MSCTL_PROGRESS_H
#define MSCTL_PROGRESS_H

#include "common/base/clock.h"

#include <stdio.h>

struct progress {
    FILE *to;
    const char *what;
    bool terminal, shown;
    usec_t said_us;
};

#define PROGRESS_NONE UINT64_MAX /* faults: none are counted */
void progress_begin(struct progress *p, FILE *to, const char *what);
void progress_tell(struct progress *p, uint64_t done, uint64_t all, uint64_t faults);
/* The bar goes, so that something else can be printed. */
void progress_clear(struct progress *p);

#endif
