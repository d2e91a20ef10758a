#include "httpd/away.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/list.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/event.h"

#include <errno.h>
#include <pthread.h>

#define ASK_US (AWAY_PATIENCE_US + 200 * US_PER_MS) /* by then the courier has said who is missing */

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
    struct away_said said; /* of AWAY_FILE nothing */
    int fd;
};

/* On its way to the loop. */
struct question {
    struct away *a;
    enum message type;
    uint64_t id, segment;
    char uid[40], kind[EVENT_KIND_MAX];
    struct away_ask ask;
};

/* --- on the loop: what the courier says --- */

/* Lock held. */
static struct wait *find_wait(struct away *a, uint64_t id, enum message answer)
{
    LIST_EACH(&a->waits, at)
    {
        struct wait *w = LIST_ITEM(at, struct wait, link);

        if (w->id == id && w->said.answer == answer && !w->over) return w;
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

static int on_said(struct away *a, struct incoming *in)
{
    struct wait *w;
    int err;

    pthread_mutex_lock(&a->lock);
    w = find_wait(a, packed_u64(in->body, "id", 0), in->type);
    if (w && away_said_take(&w->said, in->body, &err)) finish(w, err);
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
    {MSG_AWAY_FOUND, on_said},
    {MSG_AWAY_SPANS, on_said},
    {MSG_AWAY_HAPPENED, on_said},
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

static void pack_marks(struct packer *p, const struct question *q)
{
    pack_ranges(p, q);
    pack_kv_text(p, "kind", q->kind);
}

static void send(void *arg)
{
    static const struct {
        enum message type;
        unsigned pairs;
        void (*fn)(struct packer *p, const struct question *q);
    } forms[] = {{MSG_AWAY_FIND, 4, pack_find}, {MSG_AWAY_RANGES, 2, pack_ranges},
        {MSG_AWAY_OPEN, 2, pack_open}, {MSG_AWAY_EVENTS, 3, pack_marks}};
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
    q->ask.kind = NULL;
    span_copy(span_of(ask->uid), q->uid, sizeof(q->uid));
    span_copy(span_of(ask->kind), q->kind, sizeof(q->kind));
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

int away_find(struct away *a, const struct away_ask *q, struct away_list **ret)
{
    struct wait w = {.said = away_said(MSG_AWAY_FOUND, q->uid), .fd = -1};
    int err = wait_for(a, &w, MSG_AWAY_FIND, q, 0, ASK_US);

    if (err == 0) {
        away_said_settle(&w.said);
        *ret = w.said.list;
        w.said.list = NULL;
    }
    away_said_done(&w.said);
    return err;
}

int away_ranges(struct away *a, const struct away_ask *q, struct away_spans **ret)
{
    struct wait w = {.said = away_said(MSG_AWAY_SPANS, q->uid), .fd = -1};
    usec_t end_us = clock_mono_us() + ASK_US;
    struct away_spans *s = w.said.spans;
    struct away_ask page = *q;
    int err;

    do {
        if (s->known_us != INT64_MAX) page.from_us = s->known_us;
        s->known_us = INT64_MAX;
        w.over = false;
        err = wait_for(a, &w, MSG_AWAY_RANGES, &page, 0, MAX(end_us - clock_mono_us(), 0));
        away_said_settle(&w.said);
    } while (err == 0 && s->known_us > page.from_us && s->known_us < page.to_us);
    s->partial |= s->known_us < page.to_us;
    if (err == 0) {
        *ret = s;
        w.said.spans = NULL;
    }
    away_said_done(&w.said);
    return err;
}

int away_marks(struct away *a, const struct away_ask *q, struct away_marks **ret)
{
    struct wait w = {.said = away_said(MSG_AWAY_HAPPENED, q->uid), .fd = -1};
    int err = wait_for(a, &w, MSG_AWAY_EVENTS, q, 0, ASK_US);

    if (err == 0) {
        away_said_settle(&w.said);
        *ret = w.said.marks;
        w.said.marks = NULL;
    }
    away_said_done(&w.said);
    return err;
}

int away_open(struct away *a, uint16_t node, const char *uid, uint64_t id, int *ret_fd)
{
    const struct away_ask ask = {.node = node, .uid = uid};
    struct wait w = {.said = away_said(MSG_AWAY_FILE, uid), .fd = -1};
    int err = wait_for(a, &w, MSG_AWAY_OPEN, &ask, id, AWAY_OPEN_US);

    if (err == 0)
        *ret_fd = w.fd;
    else
        fd_close(&w.fd);
    return err;
}
