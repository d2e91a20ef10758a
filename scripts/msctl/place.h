/* The storages of this machine, for commands that msctl does itself: the server is asked where they lie;
 * their folders and indexes are read as they are. */
#ifndef MSCTL_PLACE_H
#define MSCTL_PLACE_H

#include "archive/index.h"
#include "archive/storage.h"
#include "common/ipc/pack.h"

#include <stdio.h>

#define PLACE_NAME_MAX 256 /* a storage's name may be its path */
#define PLACE_PATH_MAX 4096

struct place {
    char name[PLACE_NAME_MAX], path[PLACE_PATH_MAX];
    char index[PLACE_PATH_MAX]; /* ""; not known */
    struct storage storage;
    struct index *ix;
};
/* Of a row of "storage list". false: it has no name or path. */
bool place_of(const struct packed *row, struct place *ret);
/* index NULL: within the folder. */
void place_at(const char *path, const char *index, struct place *ret);
/* Opens folder and index; only an index that the keeper has made: its lock file is the keeper's. CTL_*; err
 * is told what went wrong. */
int place_open(struct place *p, FILE *err);
void place_close(struct place *p);
/* "msctl: NAME: WHAT: why"; err: -errno, or damage. CTL_FAILED. */
int place_fail(const struct place *p, FILE *to, const char *what, int err);

#endif
