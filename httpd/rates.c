#include "httpd/rates.h"
#include "common/base/bucket.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#include <pthread.h>

struct caller_rate {
    struct list link;
    struct bucket bucket;
    char *who;
};
struct rates {
    pthread_mutex_t lock;
    struct map by_who; /* to struct caller_rate */
    struct list all;   /* who has called longest ago first */
};

struct rates *rates_new(void)
{
    struct rates *r = NEW(struct rates);

    pthread_mutex_init(&r->lock, NULL);
    list_init(&r->all);
    return r;
}

static void forget(struct rates *r, struct caller_rate *c)
{
    list_remove(&c->link);
    map_remove(&r->by_who, span_of(c->who));
    mem_free(c->who);
    mem_free(c);
}

void rates_free(struct rates *r)
{
    if (!r) return;
    LIST_EACH(&r->all, at) forget(r, LIST_ITEM(at, struct caller_rate, link));
    map_done(&r->by_who);
    pthread_mutex_destroy(&r->lock);
    mem_free(r);
}

static struct caller_rate *find(struct rates *r, struct span who)
{
    struct caller_rate *c = map_get(&r->by_who, who);

    if (!c) {
        if (r->by_who.n >= RATES_MAX) forget(r, LIST_ITEM(r->all.next, struct caller_rate, link));
        c = NEW(struct caller_rate);
        c->who = span_dup(who);
        map_set(&r->by_who, who, c);
    }
    list_remove(&c->link);
    list_push(&r->all, &c->link);
    return c;
}

usec_t rates_take(struct rates *r, struct span who, unsigned per_s, usec_t now_us)
{
    struct caller_rate *c;
    usec_t wait_us;

    pthread_mutex_lock(&r->lock);
    c = find(r, who);
    c->bucket.every_us = US_PER_S / per_s; /* it may have been set anew */
    c->bucket.burst = per_s * RATES_BURST_S;
    wait_us = bucket_peek(&c->bucket, now_us);
    if (wait_us == 0) (void)bucket_take(&c->bucket, now_us);
    pthread_mutex_unlock(&r->lock);
    return wait_us;
}

size_t rates_n(struct rates *r)
{
    size_t n;

    pthread_mutex_lock(&r->lock);
    n = r->by_who.n;
    pthread_mutex_unlock(&r->lock);
    return n;
}
