/* What other nodes say of their archives, as the courier passes it on (AWAY_FOUND, AWAY_SPANS and
 * AWAY_HAPPENED in common/ipc/messages.h), taken piece by piece and put in order. Pure. It was written by
 * another machine: every record is checked, what cannot be is left out, and what is too much is cut and said
 * to be not all. Tests: tests/unit/httpd/test_archive_away.c, tests/fuzz/fuzz_away.c. */
#ifndef HTTPD_AWAY_SAID_H
#define HTTPD_AWAY_SAID_H

#include <stdatomic.h>

#include "archive/seginfo.h"
#include "common/ipc/messages.h"
#include "common/ipc/pack.h"

#define AWAY_LIST_MAX    4096       /* segments kept of an answer */
#define AWAY_SPANS_MOST  20000      /* ranges of one answer, and of all its pages */
#define AWAY_MARKS_MOST  20000      /* events and locks of one answer, ... */
#define AWAY_MARKS_BYTES (4u << 20) /* ... and their rows */

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
    size_t n, cap;
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

/* Events and locks, each as a row for scripts: that of common/ipc/ctl.h with `node`; of a lock also
 * `released` (bool). */
struct away_mark {
    uint64_t id;
    usec_t start_us,
        rank_us;    /* rank: of two that are one the higher counts (an event's end, a lock's version) */
    uint32_t at, n; /* its row, in `rows` */
    bool lock;
    char uid[40];
};
/* For qsort: the newest first; of those that are one the one that counts. */
int away_mark_order(const struct away_mark *a, const struct away_mark *b);
bool away_mark_same(const struct away_mark *a, const struct away_mark *b);
struct away_marks {
    struct buf rows;
    struct away_mark *v;
    size_t n, cap;
    bool partial;
};
void away_marks_free(struct away_marks *m); /* NULL too */

/* An answer that is coming; one of the three. */
struct away_said {
    enum message answer;
    const char *uid; /* of marks: of this stream alone; "": of all */
    struct away_list *list;
    struct away_spans *spans;
    struct away_marks *marks;
};
struct away_said away_said(enum message answer, const char *uid);
void away_said_done(struct away_said *s); /* what was taken out of it is NULL */
/* One message. true: it was the last one; *ret_err: 0, or -errno: the node has not answered. */
bool away_said_take(struct away_said *s, const struct packed *body, int *ret_err);
/* Of all storages in one order, each once: segments as far as every storage is known, spans joined, marks
 * with the newest first. */
void away_said_settle(struct away_said *s);

#endif
