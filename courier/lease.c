#include "courier/lease.h"
#include "common/base/mem.h"

#define BODY_MAX 4096

/* A stream that is wanted here, or still held. */
struct own {
    struct list link; /* in todo */
    struct lease *lease;
    char uid[LEASE_UID_MAX];
    bool wanted, asking, giving;
    bool again;          /* while it is asked for: whoever had it has let it go */
    uint64_t made, term; /* the key is ours, since; what was said of it. 0: it is not, as far as is known */
    uint64_t under;      /* the lease it was asked for with */
};

static void pump(struct lease *l);
static void grant(struct lease *l);

void lease_init(struct lease *l, struct loop *loop, const struct lease_ops *ops, void *arg)
{
    *l = (struct lease){.loop = loop, .ops = ops, .arg = arg, .ttl_s = LEASE_TTL_MIN_S};
    list_init(&l->todo);
}

/* --- answers --- */

/* NULL: it is good. */
static const char *fault(const struct etcd_reply *r, struct gateway_answer *a,
    void (*fn)(void *arg, const struct gateway_record *r), void *arg)
{
    *a = (struct gateway_answer){.revision = 0};
    if (r->err != 0) return r->why;
    if (!gateway_read(r->body, fn, arg, a)) return "its answer is no JSON";
    if (a->failed || r->status != 200) return a->why[0] ? a->why : "it has refused";
    return NULL;
}

static void ask(struct lease *l, const char *path, struct buf *body, etcd_fn *fn, void *arg)
{
    if (etcd_ask(l->etcd, path, buf_span(body), fn, arg) != 0) l->ops->failed(l->arg, "it cannot be asked");
    buf_done(body);
}

/* --- the lease --- */

static void say(struct own *o)
{
    uint64_t term = o->wanted ? o->made : 0;

    if (o->term == term) return;
    o->term = term;
    o->lease->ops->owns(o->lease->arg, o->uid, term);
}

static void set_made(struct own *o, uint64_t made)
{
    o->made = made;
    say(o);
}

static void queue(struct own *o)
{
    if (!o->link.next && !o->asking && o->wanted != (o->made > 0)) list_push(&o->lease->todo, &o->link);
}

static void queue_all(struct lease *l)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&l->owns, &at, &slot)) queue(slot.value);
    pump(l);
}

static void lost(struct lease *l)
{
    struct map_slot slot;
    size_t at = 0;

    loop_timer_stop(&l->beat);
    loop_timer_stop(&l->end);
    if (l->id == 0) return;
    l->id = 0;
    l->until_us = 0;
    l->ops->held(l->arg, 0);
    while (map_next(&l->owns, &at, &slot)) set_made(slot.value, 0);
}

static void on_end(struct loop_timer *t)
{
    struct lease *l = t->arg;

    lost(l);
    if (l->there) grant(l);
}

static void keep(struct lease *l);

static void on_beat(struct loop_timer *t)
{
    struct lease *l = t->arg;

    if (l->there && l->id > 0) keep(l);
}

static void held(struct lease *l, const struct gateway_answer *a)
{
    l->until_us = l->asked_us + (usec_t)MIN(a->ttl_s, 3600) * US_PER_S - LEASE_SLACK_US;
    loop_timer_set(l->loop, &l->end, MAX(l->until_us - loop_now_us(l->loop), 1), on_end, l);
    l->ops->held(l->arg, l->until_us);
}

static void on_granted(void *arg, const struct etcd_reply *r)
{
    struct lease *l = arg;
    struct gateway_answer a;
    const char *why = fault(r, &a, NULL, NULL);

    l->asking = false;
    if (!why && (a.lease == 0 || a.ttl_s == 0)) why = "it gives no lease";
    if (why) {
        l->ops->failed(l->arg, why);
        return;
    }
    l->id = a.lease;
    held(l, &a);
    loop_timer_every(l->loop, &l->beat, (usec_t)l->ttl_s * US_PER_S / 3, on_beat, l);
    queue_all(l);
}

static void grant(struct lease *l)
{
    struct buf b;

    if (l->asking) return;
    buf_init(&b, BODY_MAX);
    l->asking = true;
    l->asked_us = loop_now_us(l->loop);
    gateway_grant(&b, l->ttl_s);
    ask(l, "/v3/lease/grant", &b, on_granted, l);
}

static void on_kept(void *arg, const struct etcd_reply *r)
{
    struct lease *l = arg;
    struct gateway_answer a;
    const char *why = fault(r, &a, NULL, NULL);

    l->asking = false;
    if (why) {
        l->ops->failed(l->arg, why);
    } else if (a.ttl_s == 0 || l->id == 0) { /* etcd has let it go; or the answer came behind its end here */
        lost(l);
        grant(l);
    } else {
        held(l, &a);
    }
}

static void keep(struct lease *l)
{
    struct buf b;

    if (l->asking) return;
    buf_init(&b, BODY_MAX);
    l->asking = true;
    l->asked_us = loop_now_us(l->loop);
    gateway_keep(&b, l->id);
    ask(l, "/v3/lease/keepalive", &b, on_kept, l);
}

/* --- keys --- */

static void forget(struct own *o)
{
    if (o->wanted || o->asking || o->made > 0) return;
    list_remove(&o->link);
    map_remove(&o->lease->owns, span_of(o->uid));
    mem_free(o);
}

/* Ours already, where an answer was lost. */
static void on_holder(void *arg, const struct gateway_record *r)
{
    struct own *o = arg;

    if (r->lease == o->lease->id && r->lease > 0) set_made(o, r->created);
}

static void on_answer(void *arg, const struct etcd_reply *r)
{
    struct own *o = arg;
    struct lease *l = o->lease;
    struct gateway_answer a;
    const char *why;
    bool gave = o->giving;

    o->asking = o->giving = false;
    l->n_asking--;
    why = fault(r, &a, gave ? NULL : on_holder, o);
    if (why) {
        l->ops->failed(l->arg, why);
        return;
    }
    if (gave) set_made(o, 0);
    /* under a lease that has ended here it is nobody's: it goes with that one, which is heard */
    if (!gave && a.succeeded && o->under == l->id) set_made(o, a.revision);
    if (gave || o->made > 0 || o->again) queue(o); /* another's: until he lets it go */
    o->again = false;
    forget(o);
    pump(l);
}

static void ask_key(struct own *o)
{
    struct lease *l = o->lease;
    char key[LEASE_KEY_MAX + LEASE_UID_MAX];
    struct buf b;

    buf_init(&b, BODY_MAX);
    snprintf(key, sizeof(key), "%s%s", l->folder, o->uid);
    o->asking = true;
    o->giving = !o->wanted;
    o->under = l->id;
    l->n_asking++;
    if (o->giving)
        gateway_yield(&b, span_of(key), o->made);
    else
        gateway_claim(&b, span_of(key), span_of(l->self), l->id);
    ask(l, "/v3/kv/txn", &b, on_answer, o);
}

/* failed() ends what is under way: nothing is asked behind it. */
static void pump(struct lease *l)
{
    while (l->there && l->id > 0 && l->n_asking < LEASE_ASKS_MAX && !list_empty(&l->todo)) {
        struct own *o = LIST_ITEM(l->todo.next, struct own, link);

        list_remove(&o->link);
        ask_key(o);
    }
}

/* --- the face --- */

void lease_there(struct lease *l)
{
    l->there = true;
    if (l->id > 0)
        keep(l);
    else
        grant(l);
    queue_all(l);
}

void lease_away(struct lease *l)
{
    struct map_slot slot;
    size_t at = 0;

    l->there = l->asking = false;
    l->n_asking = 0;
    while (map_next(&l->owns, &at, &slot)) {
        struct own *o = slot.value;

        o->asking = o->giving = o->again = false;
        list_remove(&o->link);
    }
}

void lease_want(struct lease *l, const char *uid, bool wanted)
{
    struct own *o = map_get(&l->owns, span_of(uid));

    if (!o && !wanted) return;
    if (!o) {
        o = NEW(struct own);
        o->lease = l;
        span_copy(span_of(uid), o->uid, sizeof(o->uid));
        map_set(&l->owns, span_of(o->uid), o);
    }
    o->wanted = wanted;
    say(o);
    queue(o);
    forget(o);
    pump(l);
}

void lease_heard(struct lease *l, struct span uid, const struct gateway_record *r)
{
    struct own *o = map_get(&l->owns, uid);

    if (!o) return;
    if (o->made > 0 && (r->gone ? r->changed : r->created) > o->made) set_made(o, 0);
    o->again |= r->gone && o->asking;
    if (r->gone) queue(o);
    forget(o);
    pump(l);
}

void lease_conf(struct lease *l, struct etcd *e, const char *folder, const char *self, uint64_t ttl_s)
{
    lease_away(l);
    lost(l);
    l->etcd = e;
    l->ttl_s = MAX(ttl_s, LEASE_TTL_MIN_S);
    span_copy(span_of(folder), l->folder, sizeof(l->folder));
    span_copy(span_of(self), l->self, sizeof(l->self));
}

void lease_done(struct lease *l)
{
    loop_timer_stop(&l->beat);
    loop_timer_stop(&l->end);
    map_drop(&l->owns, mem_free);
}
