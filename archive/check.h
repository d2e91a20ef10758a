/* Is on the disk what the index says? Goes through an index stream by stream, in the order in which segments
 * lie in their folders, beside a keeper that goes on writing: what is deleted meanwhile is not missed. May
 * block on the disk. Tests: tests/unit/archive/test_check.c. */
#ifndef ARCHIVE_CHECK_H
#define ARCHIVE_CHECK_H

#include "archive/index.h"
#include "archive/storage.h"

enum check_fault {
    CHECK_MISSING, /* no such file */
    CHECK_SIZE,    /* shorter or longer than its footer said */
    CHECK_SUM,     /* bytes differ from the checksum in its footer */
    CHECK_UNREAD,  /* the disk says no */
    CHECK_FAULTS
};
const char *check_fault_name(enum check_fault f);

struct check {
    const struct storage *storage; /* fd is open */
    struct index *ix;
    bool sum; /* reads every file, past the page cache */
    /* info: of the index; bytes: of the file, 0 where it is missing; err: positive errno or 0 */
    void (*found)(void *arg, enum check_fault f, const struct seg_info *info, uint64_t bytes, int err);
    void (*alive)(void *arg, uint64_t done, uint64_t all); /* after each segment, and while one is read */
    void *arg;
    /* what has been done so far */
    uint64_t done, all, faults;
};
/* INDEX_OK; INDEX_E_DAMAGED: what could be read of the index was checked; -errno. */
int check_run(struct check *c);

#endif
