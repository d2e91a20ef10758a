#include "httpd/away.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/channel.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#define LIST_BYTES_MAX (AWAY_LIST_MAX * SEG_INFO_WIRE_MAX)
#define NODE_MOST      0xffff

struct away {
    struct loop *loop;
    struct channel *courier; /* the loop's */
    pthread_mutex_t lock;
    struct list waits; /* struct wait; under the lock */
    size_t n_waits;
    uint64_t last_id;
};

/* Of a pool thread, on its stack. */
struct wait {
    struct list link;
    uint64_t id;
    pthread_cond_t cond;
    bool over;
    int err;
    enum message answer;
    struct away_list *list;
    struct away_spans *spans;
    int fd;
};

/* On its way to the loop. */
struct question {
    struct away *a;
    enum message type;
    uint64_t id, segment;
    char uid[40];
    struct away_ask ask;
};

/* --- what comes is kept counted --- */

struct away_list *away_list_ref(struct away_list *l)
{
    atomic_fetch_add(&l->refs, 1);
    return l;
}

void away_list_unref(struct away_list *l)
{
    if (!l || atomic_fetch_sub(&l->refs, 1) != 1) return;
    buf_done(&l->bytes);
    mem_free(l->v);
    mem_free(l);
}

static struct away_list *list_new(void)
{
    struct away_list *l = NEW(struct away_list);

    atomic_init(&l->refs, 1);
    buf_init(&l->bytes, LIST_BYTES_MAX);
    l->v = mem_new_n(AWAY_LIST_MAX, sizeof(*l->v));
    l->known = UINT64_MAX;
    return l;
}

bool away_item(const struct away_list *l, size_t i, const char *uid, struct seg_info *ret)
{
    const struct away_item *x = &l->v[i];

    if (!seg_info_read(span_sub(buf_span(&l->bytes), x->at, x->n), ret)) return false;
    ret->origin = x->origin;
    return strcmp(ret->uid, uid) == 0 && ret->end_us > ret->start_us;
}

struct away_spans *away_spans_ref(struct away_spans *s)
{
    atomic_fetch_add(&s->refs, 1);
    return s;
}

void away_spans_unref(struct away_spans *s)
{
    if (!s || atomic_fetch_sub(&s->refs, 1) != 1) return;
    mem_free(s->v);
    mem_free(s);
}

static struct away_spans *spans_new(void)
{
    struct away_spans *s = NEW(struct away_spans);

    atomic_init(&s->refs, 1);
    s->known_us = INT64_MAX;
    return s;
}

/* --- on the loop: what the courier says --- */

/* Lock held. */
static struct wait *find_wait(struct away *a, uint64_t id, enum message answer)
{
    LIST_EACH(&a->waits, at)
    {
        struct wait *w = LIST_ITEM(at, struct wait, link);

        if (w->id == id && w->answer == answer && !w->over) return w;
    }
    return NULL;
}

/* Lock held. */
static void finish(struct wait *w, int err)
{
    w->err = err;
    w->over = true;
    pthread_cond_signal(&w->cond);
}

static int err_of(const struct packed *body)
{
    return -(int)CLAMP(packed_i64(body, "err", 0), 0, 4095);
}

/* What one of the node's storages has: behind what others have, put in order once all is there. */
static void take_infos(struct away_list *l, const struct packed *body, uint16_t node)
{
    const struct packed *infos = packed_get(body, "infos");
    CLEANUP(mem_freep) struct seg_info *info = mem_new(sizeof(*info));
    uint64_t last = 0;

    for (size_t i = 0; i < packed_n(infos); i++) {
        struct span one = packed_as_str(packed_at(infos, i));
        size_t at = buf_n(&l->bytes);

        if (!seg_info_read(one, info) || info->id <= last) continue;
        if (l->n == AWAY_LIST_MAX || !buf_put(&l->bytes, one)) {
            l->known = MIN(l->known, last);
            return;
        }
        last = info->id;
        if (info->flags & SEG_OPEN) l->open = info->id;
        l->v[l->n++] = (struct away_item){.id = info->id,
            .at = (uint32_t)at,
            .n = (uint32_t)one.n,
            .origin = seg_origin(info) != 0 ? seg_origin(info) : node};
    }
    if (packed_bool(body, "more", false) && last > 0) l->known = MIN(l->known, last);
}

/* With the last message: 0, or the node has not answered. What it has said counts though it is not all. */
static int end_of(const struct packed *body, size_t n, bool *ret_partial)
{
    *ret_partial = packed_n(packed_get(body, "missing")) > 0;
    return *ret_partial && n == 0 ? -EHOSTUNREACH : 0;
}

static int on_found(struct away *a, struct incoming *in)
{
    struct wait *w;

    pthread_mutex_lock(&a->lock);
    w = find_wait(a, packed_u64(in->body, "id", 0), MSG_AWAY_FOUND);
    if (w) {
        uint64_t node = packed_u64(in->body, "node", 0);

        take_infos(w->list, in->body, (uint16_t)MIN(node, NODE_MOST));
        if (packed_bool(in->body, "last", false)) finish(w, end_of(in->body, w->list->n, &w->list->partial));
    }
    pthread_mutex_unlock(&a->lock);
    return 0;
}

static bool add_span(struct away_spans *s, usec_t start_us, usec_t end_us)
{
    size_t cap = s->cap ? s->cap * 2 : 64;

    if (!seg_time_ok(start_us) || !seg_time_ok(end_us) || end_us <= start_us) return true;
    if (s->n == s->cap) {
        struct away_span *v = s->n < AWAY_SPANS_MOST ? mem_retry(s->v, cap * sizeof(*v)) : NULL;

        if (!v) return false;
        s->v = v;
        s->cap = cap;
    }
    s->v[s->n++] = (struct away_span){start_us, end_us};
    return true;
}

static int on_spans(struct away *a, struct incoming *in)
{
    const struct packed *spans = packed_get(in->body, "spans");
    struct wait *w;

    pthread_mutex_lock(&a->lock);
    w = find_wait(a, packed_u64(in->body, "id", 0), MSG_AWAY_SPANS);
    for (size_t i = 0; w && i + 1 < packed_n(spans); i += 2)
        if (!add_span(w->spans, packed_as_i64(packed_at(spans, i), -1),
                packed_as_i64(packed_at(spans, i + 1), -1))) {
            finish(w, -ENOMEM);
            w = NULL;
        }
    if (w && packed_n(spans) > 1 && packed_bool(in->body, "more", false))
        w->spans->known_us =
            MIN(w->spans->known_us, packed_as_i64(packed_at(spans, packed_n(spans) / 2 * 2 - 1), 0));
    if (w && packed_bool(in->body, "last", false))
        finish(w, end_of(in->body, w->spans->n, &w->spans->partial));
    pthread_mutex_unlock(&a->lock);
    return 0;
}

static int on_file(struct away *a, struct incoming *in)
{
    struct wait *w;
    int err = err_of(in->body);

    pthread_mutex_lock(&a->lock);
    w = find_wait(a, packed_u64(in->body, "id", 0), MSG_AWAY_FILE);
    if (w && err == 0 && in->n_fds == 1) {
        w->fd = in->fds[0];
        in->fds[0] = -1;
    }
    if (w) finish(w, err == 0 && w->fd < 0 ? -EPROTO : err);
    pthread_mutex_unlock(&a->lock);
    return 0;
}

static const struct {
    enum message type;
    int (*fn)(struct away *a, struct incoming *in);
} rows[] = {
    {MSG_AWAY_FOUND, on_found},
    {MSG_AWAY_SPANS, on_spans},
    {MSG_AWAY_FILE, on_file},
};

static int on_message(struct channel *ch, struct incoming *in)
{
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (rows[i].type == in->type) return rows[i].fn(channel_arg(ch), in);
    return 0;
}

static void hang_up(struct away *a)
{
    channel_free(a->courier);
    a->courier = NULL;
    pthread_mutex_lock(&a->lock);
    LIST_EACH(&a->waits, at)
    {
        struct wait *w = LIST_ITEM(at, struct wait, link);

        if (!w->over) finish(w, -EHOSTUNREACH);
    }
    pthread_mutex_unlock(&a->lock);
}

static void on_close(struct channel *ch, int err)
{
    log_note("courier-gone", "err=%d", err);
    hang_up(channel_arg(ch));
}

static const struct channel_ops channel_ops = {on_message, on_close};

void away_socket(struct away *a, int fd)
{
    hang_up(a);
    a->courier = channel_new(a->loop, fd, ROLE_HTTPD, ROLE_COURIER, &channel_ops, a);
}

struct away *away_new(struct loop *loop)
{
    struct away *a = NEW(struct away);

    a->loop = loop;
    pthread_mutex_init(&a->lock, NULL);
    list_init(&a->waits);
    return a;
}

void away_free(struct away *a)
{
    if (!a) return;
    hang_up(a);
    pthread_mutex_destroy(&a->lock);
    mem_free(a);
}

/* --- on the loop: what it is asked --- */

static void pack_find(struct packer *p, const struct question *q)
{
    pack_kv_i64(p, "from_us", q->ask.from_us);
    pack_kv_i64(p, "to_us", q->ask.to_us);
    pack_kv_u64(p, "after", q->ask.after);
    pack_kv_u64(p, "most", q->ask.most);
}

static void pack_ranges(struct packer *p, const struct question *q)
{
    pack_kv_i64(p, "from_us", q->ask.from_us);
    pack_kv_i64(p, "to_us", q->ask.to_us);
}

static void pack_open(struct packer *p, const struct question *q)
{
    pack_kv_text(p, "storage", "");
    pack_kv_u64(p, "segment", q->segment);
}

static void send(void *arg)
{
    static const struct {
        enum message type;
        unsigned pairs;
        void (*fn)(struct packer *p, const struct question *q);
    } forms[] = {
        {MSG_AWAY_FIND, 4, pack_find}, {MSG_AWAY_RANGES, 2, pack_ranges}, {MSG_AWAY_OPEN, 2, pack_open}};
    struct question *q = arg;
    struct away *a = q->a;
    struct packer *p;

    for (size_t i = 0; a->courier && i < ARRAY_N(forms); i++) {
        if (forms[i].type != q->type) continue;
        p = channel_begin(a->courier, q->type, 3 + forms[i].pairs);
        pack_kv_u64(p, "id", q->id);
        pack_kv_u64(p, "node", q->ask.node);
        pack_kv_text(p, "uid", q->uid);
        forms[i].fn(p, q);
        channel_end(a->courier, NULL, 0);
    }
    if (a->courier && q->type == MSG_AWAY_GONE) {
        p = channel_begin(a->courier, MSG_AWAY_GONE, 1);
        pack_kv_u64(p, "id", q->id);
        channel_end(a->courier, NULL, 0);
    }
    if (!a->courier) {
        pthread_mutex_lock(&a->lock);
        LIST_EACH(&a->waits, at)
        {
            struct wait *w = LIST_ITEM(at, struct wait, link);

            if (w->id == q->id && !w->over) finish(w, -EHOSTUNREACH);
        }
        pthread_mutex_unlock(&a->lock);
    }
    mem_free(q);
}

/* --- in a pool thread --- */

static struct timespec until(usec_t patience_us)
{
    usec_t us = clock_mono_us() + patience_us;

    return (struct timespec){.tv_sec = us / US_PER_S, .tv_nsec = us % US_PER_S * 1000};
}

static void post(struct away *a, enum message type, uint64_t id, const struct away_ask *ask, uint64_t segment)
{
    struct question *q = NEW(struct question);

    q->a = a;
    q->type = type;
    q->id = id;
    q->segment = segment;
    q->ask = *ask;
    q->ask.uid = NULL; /* lives as long as whoever asks waits */
    span_copy(span_of(ask->uid), q->uid, sizeof(q->uid));
    loop_post(a->loop, send, q);
}

/* 0 or -errno; what has come is in w. */
static int wait_for(struct away *a, struct wait *w, enum message type, const struct away_ask *ask,
    uint64_t segment, usec_t patience_us)
{
    struct timespec end = until(patience_us);
    pthread_condattr_t attr;
    bool late = false;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&w->cond, &attr);
    pthread_condattr_destroy(&attr);
    pthread_mutex_lock(&a->lock);
    if (a->n_waits == AWAY_ASKS_MOST) {
        pthread_mutex_unlock(&a->lock);
        pthread_cond_destroy(&w->cond);
        return -EBUSY;
    }
    w->id = ++a->last_id;
    a->n_waits++;
    list_push(&a->waits, &w->link);
    post(a, type, w->id, ask, segment);
    while (!w->over && !late) late = pthread_cond_timedwait(&w->cond, &a->lock, &end) == ETIMEDOUT;
    if (!w->over) w->err = -ETIMEDOUT;
    if (!w->over && type == MSG_AWAY_OPEN) post(a, MSG_AWAY_GONE, w->id, ask, segment);
    list_remove(&w->link);
    a->n_waits--;
    pthread_mutex_unlock(&a->lock);
    pthread_cond_destroy(&w->cond);
    return w->err;
}

static int by_id(const void *a, const void *b)
{
    const struct away_item *x = a, *y = b;

    return (x->id > y->id) - (x->id < y->id);
}

/* Of all storages in one order, each once; as far as every storage is known. */
static void put_in_order(struct away_list *l)
{
    size_t n = 0;

    qsort(l->v, l->n, sizeof(l->v[0]), by_id);
    for (size_t i = 0; i < l->n && l->v[i].id <= l->known; i++)
        if (n == 0 || l->v[i].id != l->v[n - 1].id) l->v[n++] = l->v[i];
    l->n = n;
    l->more = l->known != UINT64_MAX;
}

int away_find(struct away *a, const struct away_ask *q, struct away_list **ret)
{
    struct wait w = {.answer = MSG_AWAY_FOUND, .list = list_new(), .fd = -1};
    int err = wait_for(a, &w, MSG_AWAY_FIND, q, 0, AWAY_PATIENCE_US);

    if (err != 0) {
        away_list_unref(w.list);
        return err;
    }
    put_in_order(w.list);
    *ret = w.list;
    return 0;
}

static int by_start(const void *a, const void *b)
{
    const struct away_span *x = a, *y = b;

    return (x->start_us > y->start_us) - (x->start_us < y->start_us);
}

/* Of all storages and pages: in order, and what overlaps is one. */
static void join_spans(struct away_spans *s)
{
    size_t n = 0;

    if (s->n > 1) qsort(s->v, s->n, sizeof(s->v[0]), by_start);
    for (size_t i = 0; i < s->n; i++) {
        if (n > 0 && s->v[i].start_us <= s->v[n - 1].end_us)
            s->v[n - 1].end_us = MAX(s->v[n - 1].end_us, s->v[i].end_us);
        else
            s->v[n++] = s->v[i];
    }
    s->n = n;
}

int away_ranges(struct away *a, const struct away_ask *q, struct away_spans **ret)
{
    struct wait w = {.answer = MSG_AWAY_SPANS, .spans = spans_new(), .fd = -1};
    usec_t end_us = clock_mono_us() + AWAY_PATIENCE_US;
    struct away_ask page = *q;
    bool partial = false;
    int err;

    do {
        if (w.spans->known_us != INT64_MAX) page.from_us = w.spans->known_us;
        w.spans->known_us = INT64_MAX;
        w.over = false;
        err = wait_for(a, &w, MSG_AWAY_RANGES, &page, 0, MAX(end_us - clock_mono_us(), 0));
        partial |= w.spans->partial;
        join_spans(w.spans);
    } while (err == 0 && w.spans->known_us > page.from_us && w.spans->known_us < page.to_us);
    w.spans->partial = partial || w.spans->known_us < page.to_us;
    if (err == 0)
        *ret = w.spans;
    else
        away_spans_unref(w.spans);
    return err;
}

int away_open(struct away *a, uint16_t node, const char *uid, uint64_t id, int *ret_fd)
{
    const struct away_ask ask = {.node = node, .uid = uid};
    struct wait w = {.answer = MSG_AWAY_FILE, .fd = -1};
    int err = wait_for(a, &w, MSG_AWAY_OPEN, &ask, id, AWAY_OPEN_US);

    if (err == 0)
        *ret_fd = w.fd;
    else
        fd_close(&w.fd);
    return err;
}
