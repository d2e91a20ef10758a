/* What the panel's event stream tells of streams (feed.h): for each stream its fields as JSON, and with each
 * field the number of the last change of it. What has changed behind a number is asked of the table: nothing
 * is queued for anybody, a client that was away for an hour costs what one costs that was away for a second.
 * Tests: tests/unit/httpd/test_feed_rows.c. */
#ifndef HTTPD_FEED_ROWS_H
#define HTTPD_FEED_ROWS_H

#include "common/base/buf.h"
#include "httpd/caller.h"

#define FEED_GONE_MAX 1000       /* streams that are gone and remembered: from before them all is told anew */
#define FEED_TEXT_MAX (8u << 20) /* bytes of one event */
#define FEED_STEADY   32         /* a bit rate that changes by less than a 32nd is the same */

struct packed;
struct feed_rows;
struct feed_rows *feed_rows_new(void);
void feed_rows_free(struct feed_rows *t); /* NULL too */

/* All streams as they are now, maps of "api streams" (common/ipc/ctl.h). */
void feed_rows_take(struct feed_rows *t, const struct packed *const *v, size_t n);
/* Number of the newest change; 0: nothing was taken yet. */
uint64_t feed_rows_now(const struct feed_rows *t);
/* Is all known that has happened behind this change? */
bool feed_rows_reach(const struct feed_rows *t, uint64_t since);
/* {"rows":[{"uid",...}],"gone":[...]}: what has changed since, of the streams that are seen; since 0: all of
 * them, and "all":true. false: nothing has, and nothing is written; or memory is out. */
bool feed_rows_write(
    const struct feed_rows *t, uint64_t since, const struct camera_list *seen, struct buf *to);

/* A value as JSON. false: no room. */
bool feed_json(struct buf *to, const struct packed *v);

#endif
