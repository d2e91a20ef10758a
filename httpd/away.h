/* Questions to the courier about what other nodes of the cluster have recorded (AWAY_* in
 * common/ipc/messages.h). The channel lives on the main loop; pool threads ask, and wait for at most as long
 * as is said here. Without a courier, and where the cluster is off, all of it fails at once. Tests:
 * tests/unit/httpd/test_archive_away.c. */
#ifndef HTTPD_AWAY_H
#define HTTPD_AWAY_H

#include "common/net/loop.h"
#include "httpd/away_said.h"

#define AWAY_LIST_MOST 100                /* segments asked for at once, of each storage */
#define AWAY_OPEN_US   (9500 * US_PER_MS) /* for a whole segment: ARCHIVE_LATE_US comes later */
#define AWAY_ASKS_MOST 256                /* at a time */

struct away;
struct away *away_new(struct loop *loop);
/* On the loop; nobody waits any more. NULL too. */
void away_free(struct away *a);
/* On the loop: the courier's socket, in place of the one before; who waits for that one is told. Takes fd. */
void away_socket(struct away *a, int fd);

/* In a pool thread. */
struct away_ask {
    uint16_t node;
    const char *uid;
    usec_t from_us, to_us; /* segments that overlap [from_us, to_us) */
    uint64_t after;        /* those behind this one; 0: from the first */
    unsigned most;         /* of each storage */
    const char *kind;      /* of events; NULL: any */
};
/* 0 or -errno: -EHOSTUNREACH, -ETIMEDOUT, ... */
int away_find(struct away *a, const struct away_ask *q, struct away_list **ret);
int away_ranges(struct away *a, const struct away_ask *q, struct away_spans **ret);
/* Events and locks that overlap [from_us, to_us); uid "": of all streams. The caller frees them. */
int away_marks(struct away *a, const struct away_ask *q, struct away_marks **ret);
/* The whole file, or as much of it as is written. The caller closes it. */
int away_open(struct away *a, uint16_t node, const char *uid, uint64_t id, int *ret_fd);

#endif
