#include "common/base/mem.h"
#include "common/net/pool.h"
#include "courier/fill_impl.h"

#include <errno.h>

#define TICK_US      US_PER_S
#define PACE_US      (20 * US_PER_MS)
#define WRITER_QUEUE 256

/* --- what is missing --- */

static uint64_t hash_of(const char *uid, uint64_t segment)
{
    return hash_fnv1a(span_of(uid)) ^ segment * 0x9e3779b97f4a7c15ull;
}

bool fill_refused(const struct fill *f, const char *uid, uint64_t segment)
{
    uint64_t hash = hash_of(uid, segment);
    usec_t now_us = loop_now_us(f->loop);

    for (size_t i = 0; i < FILL_REFUSALS; i++)
        if (f->refusals[i].hash == hash && f->refusals[i].until_us > now_us) return true;
    return false;
}

void fill_refuse(struct fill *f, const char *uid, uint64_t segment)
{
    f->refusals[f->refusal_at++ % FILL_REFUSALS] =
        (struct fill_refusal){hash_of(uid, segment), loop_now_us(f->loop) + FILL_AGAIN_US};
}

static void drop_want(struct fill *f, struct fill_want *w)
{
    list_remove(&w->link);
    f->n_wants--;
    mem_free(w);
}

void fill_stored(struct fill *f, const struct fill_want *w)
{
    struct fill_stream *s = map_get(&f->streams, span_of(w->uid));

    for (size_t i = 0; s && i < FILL_LATES_MAX; i++)
        if (s->lates[i].node == w->node && s->lates[i].segment == w->segment) s->lates[i].node = 0;
}

/* Where it belongs, the newest first. NULL: it is there already. */
static struct list *place_of(struct fill *f, const struct fill_want *w)
{
    struct list *at = f->wants.next;

    while (at != &f->wants) {
        const struct fill_want *x = LIST_ITEM(at, struct fill_want, link);

        if (x->segment == w->segment && strcmp(x->uid, w->uid) == 0) return NULL;
        if (x->start_us < w->start_us) break;
        at = at->next;
    }
    return at;
}

bool fill_add_want(struct fill *f, const struct fill_want *w, struct span info)
{
    struct fill_want *one;
    struct list *at;

    if (fill_held(f, w) || fill_refused(f, w->uid, w->segment)) return false;
    at = fill_copy_has(f, w->uid, w->segment) ? NULL : place_of(f, w);
    if (!at || (f->n_wants >= FILL_WANTS_MAX && at == &f->wants)) return true; /* or it is found again */
    if (f->n_wants >= FILL_WANTS_MAX) drop_want(f, LIST_ITEM(f->wants.prev, struct fill_want, link));
    one = mem_new(sizeof(*one) + info.n);
    *one = *w;
    one->n = info.n;
    memcpy(one->info, info.p, info.n);
    list_push(at, &one->link); /* before it */
    f->n_wants++;
    return true;
}

static void drop_wants(struct fill *f, const char *uid)
{
    LIST_EACH(&f->wants, link)
    {
        struct fill_want *w = LIST_ITEM(link, struct fill_want, link);

        if (!uid || strcmp(w->uid, uid) == 0) drop_want(f, w);
    }
}

bool fill_held(const struct fill *f, const struct fill_want *w)
{
    for (size_t i = 0; i < f->n_holds; i++) {
        const struct fill_hold *h = &f->holds[i];

        if (h->node == w->node && w->start_us >= h->from_us && w->end_us <= h->to_us &&
            (!h->uid[0] || strcmp(h->uid, w->uid) == 0))
            return true;
    }
    return false;
}

void fill_hold(struct fill *f, const struct packed *body)
{
    const struct packed *rows = packed_get(body, "rows");

    mem_free(f->holds);
    f->holds = mem_new_n(FILL_HOLDS_MAX, sizeof(*f->holds));
    f->n_holds = 0;
    for (size_t i = 0; i < packed_n(rows) && f->n_holds < FILL_HOLDS_MAX; i++) {
        const struct packed *row = packed_at(rows, i);
        struct fill_hold *h = &f->holds[f->n_holds];

        *h = (struct fill_hold){.node = (uint16_t)packed_as_u64(packed_at(row, 0), 0),
            .from_us = packed_as_i64(packed_at(row, 2), 0),
            .to_us = packed_as_i64(packed_at(row, 3), INT64_MAX)};
        if (span_copy(packed_as_str(packed_at(row, 1)), h->uid, sizeof(h->uid))) f->n_holds++;
    }
    LIST_EACH(&f->wants, link)
    {
        struct fill_want *w = LIST_ITEM(link, struct fill_want, link);

        if (fill_held(f, w)) drop_want(f, w);
    }
    fill_copy_hold(f);
}

/* --- counts --- */

struct fill_counts *fill_counts_of(struct peer *p)
{
    if (!p->fill) p->fill = NEW(struct fill_counts);
    return p->fill;
}

static void count(void *arg, const struct fill_want *w)
{
    struct fill_counts *n = arg;

    n->left++;
    n->left_bytes += w->bytes;
}

const struct fill_counts *fill_counts(struct fill *f, struct peer *p)
{
    struct fill_counts *n = fill_counts_of(p);

    n->left = n->left_bytes = 0;
    LIST_EACH(&f->wants, link)
    {
        const struct fill_want *w = LIST_ITEM(link, struct fill_want, link);

        if (w->node == p->node) count(n, w);
    }
    fill_copy_each(f, p->node, count, n);
    return n;
}

/* That nodes which are there still have to say. */
static uint64_t lates_of(const struct fill *f, const struct fill_stream *s)
{
    uint64_t n = 0;

    for (size_t i = 0; i < FILL_LATES_MAX; i++) {
        const struct peer *p = s->lates[i].node != 0 ? nodes_find(f->nodes, s->lates[i].node) : NULL;

        n += p && p->there && loop_now_us(f->loop) < s->lates[i].until_us;
    }
    return n;
}

static void count_of_stream(void *arg, const struct fill_want *w)
{
    const struct fill *f = arg;
    struct fill_stream *s = map_get(&f->streams, span_of(w->uid));

    if (!s) return;
    s->left++;
    s->left_bytes += w->bytes;
}

void fill_tell_left(
    struct fill *f, void (*tell)(void *arg, const char *uid, uint64_t left, uint64_t bytes), void *arg)
{
    struct fill_stream *s;
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&f->streams, &at, &slot)) {
        s = slot.value;
        s->left = s->left_bytes = 0;
    }
    LIST_EACH(&f->wants, link) count_of_stream(f, LIST_ITEM(link, struct fill_want, link));
    fill_copy_each(f, 0, count_of_stream, f);
    at = 0;
    while (map_next(&f->streams, &at, &slot)) {
        s = slot.value;
        if (s->left == 0) s->left = lates_of(f, s);
        if (s->left == s->told && s->left_bytes == s->told_bytes) continue;
        s->told = s->left;
        s->told_bytes = s->left_bytes;
        tell(arg, s->uid, s->left, s->left_bytes);
    }
}

/* --- streams --- */

static void tell_known(const struct fill *f, const struct fill_stream *s)
{
    struct packer *p;

    if (!f->keeper) return;
    p = channel_begin(f->keeper, MSG_FILL_KNOWN, 2);
    pack_kv_text(p, "uid", s->uid);
    pack_kv_i64(p, "until_us", s->fill || s->first == 0 ? INT64_MAX : s->known_us);
    channel_end(f->keeper, NULL, 0);
}

void fill_stream(struct fill *f, const struct packed *body)
{
    struct span uid = packed_str(body, "uid");
    struct fill_stream *s = map_get(&f->streams, uid);
    uint16_t first = (uint16_t)packed_as_u64(packed_at(packed_get(body, "nodes"), 0), 0);

    if (uid.n == 0 || uid.n >= sizeof(s->uid)) return;
    if (!s) {
        s = NEW(struct fill_stream);
        span_copy(uid, s->uid, sizeof(s->uid));
        map_set(&f->streams, uid, s);
    }
    if (s->first != first) s->known_us = 0;
    s->fill = packed_bool(body, "fill", false);
    s->first = first;
    s->duration_us = packed_i64(body, "duration_us", 0);
    s->event_duration_us = packed_i64(body, "event_duration_us", 0);
    s->due_us = 0;
    if (!s->fill) drop_wants(f, s->uid);
    if (!s->fill) memset(s->lates, 0, sizeof(s->lates));
    tell_known(f, s);
}

void fill_stream_gone(struct fill *f, const struct packed *body)
{
    struct fill_stream *s = map_remove(&f->streams, packed_str(body, "uid"));

    if (s) drop_wants(f, s->uid);
    mem_free(s);
}

int fill_known(struct fill *f, const struct peer *p, const struct packed *body)
{
    struct fill_stream *s = map_get(&f->streams, packed_str(body, "uid"));

    if (!s || s->fill || s->first != p->node) return EPERM;
    s->known_us = MAX(packed_i64(body, "until_us", 0), 0);
    tell_known(f, s);
    return 0;
}

/* --- the clock --- */

static bool any_there(const struct fill *f)
{
    for (size_t i = 0; i < f->nodes->n; i++)
        if (f->nodes->v[i]->there) return true;
    return false;
}

static bool has_wants(const struct fill *f, const char *uid)
{
    LIST_EACH(&f->wants, link)
    {
        if (strcmp(LIST_ITEM(link, struct fill_want, link)->uid, uid) == 0) return true;
    }
    return false;
}

/* The stream whose round is due longest. What was found missing of it is fetched first. */
static struct fill_stream *due(const struct fill *f)
{
    usec_t now_us = loop_now_us(f->loop);
    struct fill_stream *first = NULL;
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&f->streams, &at, &slot)) {
        struct fill_stream *s = slot.value;

        if (s->fill && s->due_us <= now_us && has_wants(f, s->uid)) s->due_us = now_us + FILL_SOON_US;
        if (s->fill && s->due_us <= now_us && (!first || s->due_us < first->due_us)) first = s;
    }
    return first;
}

static void pace(struct loop_timer *t)
{
    struct fill *f = t->arg;
    struct fill_stream *s = f->round || !f->keeper || !any_there(f) ? NULL : due(f);

    if (f->n_copies > 0) fill_copy_pace(f);
    fill_round_pace(f);
    if (s) fill_round_begin(f, s);
}

static void tick(struct loop_timer *t)
{
    struct fill *f = t->arg;

    fill_copy_watch(f);
    fill_copy_next(f);
}

void fill_soon(struct fill *f, const char *uid)
{
    struct fill_stream *s = map_get(&f->streams, span_of(uid));

    if (s) s->due_us = MIN(s->due_us, loop_now_us(f->loop) + FILL_AT_ONCE_US);
}

/* --- from outside --- */

void fill_there(struct fill *f, struct peer *p)
{
    struct map_slot slot;
    size_t at = 0;

    (void)p;
    while (map_next(&f->streams, &at, &slot)) ((struct fill_stream *)slot.value)->due_us = 0;
}

void fill_gone(struct fill *f, struct peer *p)
{
    LIST_EACH(&f->wants, link)
    {
        struct fill_want *w = LIST_ITEM(link, struct fill_want, link);

        if (w->node == p->node) drop_want(f, w);
    }
    mem_free(p->fill);
    p->fill = NULL;
}

void fill_rate(struct fill *f, uint64_t bytes_s)
{
    f->rate = bytes_s;
}

void fill_keeper(struct fill *f, struct channel *keeper)
{
    struct map_slot slot;
    size_t at = 0;

    /* what another one was told of events and locks may not have come to be kept: all is looked at anew */
    fill_round_stop(f);
    drop_wants(f, NULL);
    fill_copy_stop(f);
    f->keeper = keeper;
    while (keeper && map_next(&f->streams, &at, &slot)) {
        ((struct fill_stream *)slot.value)->due_us = 0;
        tell_known(f, slot.value);
    }
}

int fill_message(struct fill *f, struct incoming *in)
{
    if (in->type == MSG_FILL_FILE) fill_copy_file(f, in);
    if (in->type == MSG_FILL_STORED) fill_copy_stored(f, in->body);
    return 0;
}

struct fill *fill_new(struct loop *l, struct nodes *nodes, struct shelves *shelves)
{
    struct fill *f = NEW(struct fill);

    f->loop = l;
    f->nodes = nodes;
    f->shelves = shelves;
    list_init(&f->wants);
    list_init(&f->copies);
    f->writer = pool_new(1, WRITER_QUEUE);
    loop_timer_every(l, &f->tick, TICK_US, tick, f);
    loop_timer_every(l, &f->pace, PACE_US, pace, f);
    return f;
}

/* Behind fill_keeper(f, NULL), when no piece and no read is under way any more. */
void fill_free(struct fill *f)
{
    if (!f) return;
    loop_timer_stop(&f->tick);
    loop_timer_stop(&f->pace);
    drop_wants(f, NULL);
    map_drop(&f->streams, mem_free);
    pool_free(f->writer);
    mem_free(f->holds);
    for (size_t i = 0; i < f->nodes->n; i++) {
        mem_free(f->nodes->v[i]->fill);
        f->nodes->v[i]->fill = NULL;
    }
    mem_free(f);
}
