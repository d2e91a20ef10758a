/* The newest log lines of one child, for msctl logs. */
#ifndef MASTER_LINES_H
#define MASTER_LINES_H

#include "common/base/span.h"

#define LINES_KEPT 32
#define LINES_LONG 1024 /* bytes of one, the rest is cut */

struct lines {
    char *kept[LINES_KEPT];
    size_t n; /* ever added */
};

void lines_add(struct lines *l, struct span line);
/* The i-th of those kept, oldest first; NULL: no more. */
const char *lines_at(const struct lines *l, size_t i);
void lines_done(struct lines *l);

#endif
