#include "httpd/refusals.h"
#include "common/base/mem.h"

struct refusal {
    struct list link;
    char key[REFUSAL_KEY_MAX];
    unsigned status;
    usec_t until_us;
};

void refusals_init(struct refusals *r)
{
    list_init(&r->all);
}

static void forget(struct refusals *r, struct refusal *f)
{
    map_remove(&r->by_key, span_of(f->key));
    list_remove(&f->link);
    r->n--;
    mem_free(f);
}

void refusals_forget(struct refusals *r)
{
    LIST_EACH(&r->all, at) forget(r, LIST_ITEM(at, struct refusal, link));
    map_done(&r->by_key);
    map_done(&r->asking);
    r->turn++;
}

unsigned refusals_get(struct refusals *r, const char *key, usec_t now_us)
{
    struct refusal *f = map_get(&r->by_key, span_of(key));

    if (!f) return 0;
    if (now_us < f->until_us) return f->status;
    forget(r, f);
    return 0;
}

void refusals_put(struct refusals *r, const char *key, unsigned status, usec_t now_us, usec_t ttl_us)
{
    struct refusal *f = map_get(&r->by_key, span_of(key));

    if (f) forget(r, f);
    if (ttl_us <= 0) return;
    if (r->n == REFUSALS_MAX) forget(r, LIST_ITEM(r->all.next, struct refusal, link));
    f = NEW(struct refusal);
    span_copy(span_of(key), f->key, sizeof(f->key));
    f->status = status;
    f->until_us = now_us + MIN(ttl_us, REFUSALS_MOST_US);
    list_push(&r->all, &f->link);
    map_set(&r->by_key, span_of(f->key), f);
    r->n++;
}
