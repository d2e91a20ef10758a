/* Bodies of answers that a script passes on without having them: a page of a thousand streams is more than
 * half a megabyte, and nobody has to carry it to the scripts' process and back. Thread-safe. Tests:
 * tests/unit/httpd/test_held.c. */
#ifndef HTTPD_HELD_H
#define HTTPD_HELD_H

#include "common/base/buf.h"
#include "common/base/clock.h"

#define HELD_MOST    64 /* the oldest goes */
#define HELD_KEEP_US (20 * US_PER_S)

/* A name that nobody guesses, for one held_take. Takes the buffer. */
uint64_t held_put(struct buf *text);
/* false: there is none of this name, any more. */
bool held_take(uint64_t name, struct buf *ret);

#endif
