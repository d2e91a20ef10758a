/* A loop that runs until something is so. */
#ifndef SUPPORT_LOOP_WAIT_H
#define SUPPORT_LOOP_WAIT_H

#include "common/net/loop.h"

#define LOOP_WAIT_US (60 * US_PER_S)

/* Fails the test when LOOP_WAIT_US go by. */
void loop_wait(struct loop *l, bool (*until)(void));

#endif
