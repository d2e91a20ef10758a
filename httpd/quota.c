#include "httpd/quota.h"
#include "common/base/err.h"
#include "common/base/map.h"
#include "common/base/mem.h"
#include "httpd/auth.h"
#include "httpd/hub.h"
#include "httpd/sessions.h"
#include "httpd/stream.h"

#include <pthread.h>

struct quota {
    pthread_mutex_t lock;
    struct map by_holder, by_address; /* to struct tally */
};
struct tally {
    unsigned n;
};

struct quota *quota_new(void)
{
    struct quota *q = NEW(struct quota);

    pthread_mutex_init(&q->lock, NULL);
    return q;
}

void quota_free(struct quota *q)
{
    if (!q) return;
    map_drop(&q->by_holder, mem_free);
    map_drop(&q->by_address, mem_free);
    pthread_mutex_destroy(&q->lock);
    mem_free(q);
}

/* --- one map, with the lock held --- */

static bool add(struct map *m, struct span name, unsigned most)
{
    struct tally *t = map_get(m, name);

    if (t && most > 0 && t->n >= most) return false;
    if (!t) {
        t = NEW(struct tally);
        map_set(m, name, t);
    }
    t->n++;
    return true;
}

static void take_off(struct map *m, struct span name)
{
    struct tally *t = map_get(m, name);

    must(t && t->n > 0);
    if (--t->n > 0) return;
    map_remove(m, name);
    mem_free(t);
}

const char *quota_take(struct session *s)
{
    struct quota *q = s->hub->server->quota;
    struct stream *st = stream_get(s->hub, span_of(s->uid));
    struct span holder = s->grant.sessions_max > 0 ? span_of(s->holder) : SPAN_NONE;
    struct span address = span_of(s->source);
    const char *why = NULL;

    if (!st) return "this stream is gone";
    if (st->v.limit > 0 && st->viewers >= st->v.limit)
        return "this stream has as many viewers as it may have";
    if (atomic_load(&s->hub->server->over_bandwidth)) return "as much is being sent as may be";
    pthread_mutex_lock(&q->lock);
    if (!add(&q->by_address, address, s->hub->auth->address_limit)) {
        why = "as many watch from this address as may";
    } else if (holder.n > 0 && !add(&q->by_holder, holder, s->grant.sessions_max)) {
        take_off(&q->by_address, address);
        why = "as many watch with this as may";
    }
    pthread_mutex_unlock(&q->lock);
    if (why) return why;
    atomic_fetch_add(&s->hub->server->watching, 1);
    st->viewers++;
    s->slots++;
    return NULL;
}

void quota_give(struct session *s)
{
    struct quota *q = s->hub->server->quota;
    struct stream *st = stream_get(s->hub, span_of(s->uid));
    struct span holder = s->grant.sessions_max > 0 ? span_of(s->holder) : SPAN_NONE;

    must(s->slots > 0);
    s->slots--;
    atomic_fetch_sub(&s->hub->server->watching, 1);
    if (st && st->viewers > 0) st->viewers--;
    pthread_mutex_lock(&q->lock);
    take_off(&q->by_address, span_of(s->source));
    if (holder.n > 0) take_off(&q->by_holder, holder);
    pthread_mutex_unlock(&q->lock);
}

unsigned quota_of_address(struct quota *q, const struct addr *a)
{
    struct addr source = addr_source(a);
    char text[ADDR_TEXT_MAX];
    const struct tally *t;
    unsigned n;

    pthread_mutex_lock(&q->lock);
    t = map_get(&q->by_address, span_of(addr_text(&source, text)));
    n = t ? t->n : 0;
    pthread_mutex_unlock(&q->lock);
    return n;
}
