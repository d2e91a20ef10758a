/* A bounded pool of threads for work that can wait for a disk. A job's work runs in a pool thread, its done
 * in the thread of the loop that asked. A full queue refuses: the caller answers 503. Tests:
 * tests/unit/net/test_pool.c. */
#ifndef NET_POOL_H
#define NET_POOL_H

#include "common/net/loop.h"

#define POOL_THREADS 4
#define POOL_QUEUE_MAX                                                                                       \
    4096 /* viewers of one storage that take bytes at once: each has a job, a request in memory */

struct job {
    void (*work)(struct job *j); /* in a pool thread; touches nothing of the loop */
    void (*done)(struct job *j); /* in the loop's thread */
    struct loop *loop;
    struct job *next;
};

struct pool;
struct pool *pool_new(unsigned threads, size_t queue_max);
/* Takes no more, drops those that wait, and waits for those that run: their loops have been told of them
 * then. */
void pool_stop(struct pool *p);
/* Stops it, too. */
void pool_free(struct pool *p);
/* false: the queue is full; the job stays the caller's. */
bool pool_put(struct pool *p, struct job *j);
size_t pool_waiting(struct pool *p);

#endif
