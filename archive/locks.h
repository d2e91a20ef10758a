/* Locks in memory: all that are known, by stream. Tests: tests/unit/archive/test_locks.c. */
#ifndef ARCHIVE_LOCKS_H
#define ARCHIVE_LOCKS_H

#include "archive/index.h"
#include "common/base/map.h"

#define LOCKS_MAX 100000 /* that hold, of one keeper; more are refused */
/* One that has been released is remembered for so long: a storage that was away may still have it as one that
 * holds. Less long, when there are more than that; then such a storage's footage stays, and is unlocked once
 * more. */
#define LOCKS_RELEASED_US  (30 * 86400 * US_PER_S)
#define LOCKS_RELEASED_MAX 20000

struct locks {
    struct map by_uid; /* struct lock_list */
    size_t n;
    size_t n_released; /* of them */
};
struct lock_list {
    struct index_lock *v;
    size_t n;
};

void locks_done(struct locks *l);
/* Takes one that is new, or newer than what is known under its id. false: nothing new, or too many. */
bool locks_put(struct locks *l, const struct index_lock *lock);
size_t locks_held(const struct locks *l); /* those that have not been released */
/* Forgets those that were released long ago; fn is told of each (NULL: nobody). */
void locks_forget(
    struct locks *l, usec_t now_us, void (*fn)(void *arg, const struct index_lock *lock), void *arg);
/* The one with this id, also a released one; NULL: none. */
const struct index_lock *locks_find(const struct locks *l, const char *uid, uint64_t id);
/* Does a lock hold something of [start_us, end_us)? ret_until: the end of the latest that does. */
bool locks_hold(const struct locks *l, const char *uid, usec_t start_us, usec_t end_us, usec_t *ret_until);
/* All of a stream, NULL: none. */
const struct lock_list *locks_of(const struct locks *l, const char *uid);

#endif
