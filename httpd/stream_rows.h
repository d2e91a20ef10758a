/* The streams as the master lists them ("api streams" of common/ipc/ctl.h), kept for ROWS_FRESH_US so that a
 * fleet page costs the master one question whoever and how many look at it; and lists of them: filtered,
 * sorted, in pages, as JSON. On the main loop. Tests: tests/unit/httpd/test_stream_rows.c,
 * tests/fuzz/fuzz_stream_list.c, tests/e2e/test_api3.py. */
#ifndef HTTPD_STREAM_ROWS_H
#define HTTPD_STREAM_ROWS_H

#include "httpd/master_ask.h"

#define ROWS_FRESH_US  (500 * US_PER_MS)
#define ROWS_LIST_MAX  (900u << 10) /* bytes of a page as JSON: it goes through a script */
#define ROWS_LIMIT_MAX 1000         /* streams of a page */

struct stream_rows;
struct stream_rows *stream_rows_new(struct loop *l, struct master_asks *master);
void stream_rows_free(struct stream_rows *x);

/* The rows, each a map with "uid", in the order of uids; until done returns. n 0 and a text: why there are
 * none. Asked for before a change (stream_rows_drop) they are not given to who asks behind it. */
struct rows {
    const struct packed *const *v;
    size_t n;
    const char *why; /* NULL: they are these */
    uint64_t turn;   /* another one: other rows */
};
void stream_rows_get(struct stream_rows *x, void (*done)(void *arg, const struct rows *rows), void *arg);
/* Something was changed by call: the next question is asked anew. */
void stream_rows_drop(struct stream_rows *x);

/* A page of them.
 *
 *   only    array of uids and beginnings with '*' that may be seen; not there: all
 *   is      { key: array of values }: texts, numbers or booleans, one of which it must be
 *   min, max { key: number }
 *   q       text that stands in uid, name, camera_uid or reason, whatever the case
 *   sort    array of keys, "-key" downwards; behind them the uid
 *   select  array of keys that are shown; not there: all
 *   limit, after: how many; the `next` of the page before
 *
 * Appends {"items": [...], "total", "next", "counts": {state: n of those that may be seen}}. NULL, or what
 * is wrong with the question. */
const char *stream_rows_list(const struct rows *rows, const struct packed *question, struct buf *to);

/* Does one of the patterns name it? */
bool stream_rows_seen(const struct packed *only, struct span uid);

#endif
