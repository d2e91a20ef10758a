/* An empty index in a folder of its own: setup and teardown of a test. */
#ifndef SUPPORT_INDEX_PLACE_H
#define SUPPORT_INDEX_PLACE_H

#include "archive/index.h"

struct index_place {
    char dir[64];
    struct index *ix;
};
int index_place_make(void **state); /* *state: a struct index_place */
int index_place_drop(void **state);

#endif
