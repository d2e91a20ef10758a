/* Questions to the courier about what other nodes of the cluster have recorded (AWAY_* in
 * common/ipc/messages.h). The channel lives on the main loop; pool threads ask, and wait for at most as long
 * as is said here. What comes over it was written by another machine: every record is checked. Without a
 * courier, and where the cluster is off, all of it fails at once. Tests:
 * tests/unit/httpd/test_archive_away.c. */
#ifndef HTTPD_AWAY_H
#define HTTPD_AWAY_H

#include <stdatomic.h>

#include "archive/seginfo.h"
#include "common/base/buf.h"
#include "common/net/loop.h"

#define AWAY_LIST_MOST  100                /* segments asked for at once, of each storage; ... */
#define AWAY_LIST_MAX   400                /* ... and kept of an answer */
#define AWAY_SPANS_MOST 20000              /* ranges of one answer, and of all its pages */
#define AWAY_OPEN_US    (9500 * US_PER_MS) /* for a whole segment: ARCHIVE_LATE_US comes later */
#define AWAY_ASKS_MOST  256                /* at a time */

/* Segments that a node has, as it said. Counted: caches and readers share it. */
struct away_item {
    uint64_t id;
    uint32_t at, n;  /* seg_info as it came, in `bytes` */
    uint16_t origin; /* the node that recorded it */
};
struct away_list {
    _Atomic uint32_t refs;
    struct buf bytes;
    struct away_item *v;
    size_t n;
    uint64_t known; /* every storage of the node is listed up to this one; UINT64_MAX: to its end */
    bool more;      /* there are others behind the last one */
    uint64_t open;  /* the one that is still written; 0: none */
    bool partial;   /* a storage of the node cannot be read now */
};
struct away_list *away_list_ref(struct away_list *l);
void away_list_unref(struct away_list *l); /* NULL too */
/* false: damaged, or not of this stream. */
bool away_item(const struct away_list *l, size_t i, const char *uid, struct seg_info *ret);

struct away_span {
    usec_t start_us, end_us;
};
struct away_spans {
    _Atomic uint32_t refs;
    struct away_span *v;
    size_t n, cap;
    usec_t known_us; /* every storage of the node has said what it has up to there; INT64_MAX: all */
    bool partial;    /* a storage of the node cannot be read now */
};
struct away_spans *away_spans_ref(struct away_spans *s);
void away_spans_unref(struct away_spans *s); /* NULL too */

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
};
/* 0 or -errno: -EHOSTUNREACH, -ETIMEDOUT, ... */
int away_find(struct away *a, const struct away_ask *q, struct away_list **ret);
int away_ranges(struct away *a, const struct away_ask *q, struct away_spans **ret);
/* The whole file, or as much of it as is written. The caller closes it. */
int away_open(struct away *a, uint16_t node, const char *uid, uint64_t id, int *ret_fd);

#endif
