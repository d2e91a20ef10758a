/* Stretches of time, joined: what is recorded when. Tests: tests/unit/archive/test_stretches.c. */
#ifndef ARCHIVE_STRETCHES_H
#define ARCHIVE_STRETCHES_H

#include "common/base/types.h"

struct stretch {
    usec_t from_us, to_us;
};
struct stretches {
    struct stretch *v;
    size_t n, cap;
};
void stretches_done(struct stretches *s);
bool stretches_add(struct stretches *s, usec_t from_us, usec_t to_us);
/* Sorts, joins what is at most join_us apart, cuts to [from_us, to_us). */
void stretches_join(struct stretches *s, usec_t join_us, usec_t from_us, usec_t to_us);

#endif
