/* A folder of records of its own, with segments of made-up footage in it (footage.h). */
#ifndef SUPPORT_SEG_PLACE_H
#define SUPPORT_SEG_PLACE_H

#include "archive/segment.h"
#include "tests/support/footage.h"

struct seg_place {
    char storage[64];
    int records;
};

/* Makes storage/cam-1/records and opens it. */
int seg_place_records(const char *storage);

/* cmocka's; *state is the place. */
int seg_place_make(void **state);
int seg_place_drop(void **state);
/* A segment of that footage, open, with nothing in it. */
struct segw *seg_place_open(const struct seg_place *p, const struct footage *f);
/* All of it, a fragment a second. */
void seg_place_append(struct segw *w, const struct footage *f);
/* The file, for reading. */
int seg_place_file(const struct seg_place *p, const char *path);

#endif
