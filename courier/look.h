/* What a storage of this node has of a stream, as another node is told, or as back-fill compares it. Called
 * in a shelf's thread. Tests: tests/unit/courier/test_away.c. */
#ifndef COURIER_LOOK_H
#define COURIER_LOOK_H

#include "archive/index.h"
#include "archive/reader.h"

/* The segment that is being written there, or has just been: the newest file behind after_id, of today or
 * yesterday, as far as its fragments are whole; flags with SEG_OPEN unless it has its footer. false: there is
 * none. */
bool look_open(const char *storage_path, const char *uid, uint64_t after_id, struct seg_info *ret);
/* What the index does not know yet: closed segments that the keeper has still to put in, in the order of
 * their ids, and the one that is written. Nothing that ended before from_us is looked for. */
void look_behind(const char *storage_path, struct index *ix, const char *uid, usec_t from_us,
    void (*fn)(void *arg, const struct seg_info *info), void *arg);
/* A segment's file, and how much of it is good; whole: it has been closed. ix NULL: its footer says. 0 or
 * -errno. */
struct look_file {
    int fd;
    uint64_t bytes;
    bool whole;
};
int look_file(
    const char *storage_path, struct index *ix, const char *uid, uint64_t id, struct look_file *ret);

#endif
