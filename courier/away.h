/* httpd's questions about footage of other nodes (AWAY_*): asked of all that are there, whose answers are
 * passed on as they come; segments, whole, out of a cache (cache.h). Tests: tests/unit/courier/test_away.c.
 */
#ifndef COURIER_AWAY_H
#define COURIER_AWAY_H

#include "common/ipc/channel.h"
#include "courier/cache.h"

#define AWAY_ASKS_MAX 256 /* at a time; more are answered at once, by nobody */

struct away {
    struct loop *loop;
    struct nodes *nodes;
    struct cache *cache;
    struct channel *httpd; /* NULL: it does not run */
    struct list asks, opens;
    size_t n_asks;
};
void away_init(struct away *a, struct loop *l, struct nodes *nodes, struct cache *cache);
/* Another httpd, or NULL: what the one before has asked is forgotten. */
void away_httpd(struct away *a, struct channel *httpd);
int away_message(struct away *a, const struct incoming *in);

#endif
