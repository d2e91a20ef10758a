/* A segment on its way: a file of the keeper's, filled with what another node sends, written by a thread,
 * given back. Several may wait for the keeper, one is fetched at a time. */
#include "courier/fill_impl.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/net/pool.h"

#include <errno.h>
#include <unistd.h>

#define FETCH_US  (10 * US_PER_S) /* without a byte for so long */
#define KEEPER_US (60 * US_PER_S) /* without a word of the keeper */
#define ROOM      (1u << 20)      /* bytes that may be on their way */
#define LEAST     (32u << 10)     /* room that is given at once: a frame has some bytes of its own */

enum step { OPENING, FETCHING, STORING };

struct piece {
    struct job job;
    struct fill_copy *copy;
    int fd, err;
    uint64_t at;
    size_t n;
    uint8_t bytes[];
};
struct fill_copy {
    struct list link;
    struct fill *fill;
    struct fill_want *want;
    uint64_t id, got;
    uint64_t owed,
        rest; /* room that may be given when the rate lets it; bytes for which none was given yet */
    enum step step;
    usec_t until_us;
    int fd;
    unsigned writing; /* pieces */
    bool ended, over; /* the other has sent all; it is given up, and ends with its last piece */
    struct call call;
};

static struct fill_copy *find(struct fill *f, uint64_t id)
{
    LIST_EACH(&f->copies, link)
    {
        struct fill_copy *c = LIST_ITEM(link, struct fill_copy, link);

        if (c->id == id && !c->over) return c;
    }
    return NULL;
}

/* --- the end --- */

static void copy_free(struct fill_copy *c)
{
    list_remove(&c->link);
    c->fill->n_copies--;
    fd_close(&c->fd);
    mem_free(c->want);
    mem_free(c);
}

static void count(struct fill_copy *c, int err)
{
    struct peer *p = nodes_find(c->fill->nodes, c->want->node);
    struct fill_counts *n = p ? fill_counts_of(p) : NULL;
    uint32_t held;

    if (n && err == 0) {
        n->filled++;
        n->filled_bytes += c->want->bytes;
    } else if (n) {
        n->failed++;
    }
    if (err != 0 && log_limited(&c->fill->failures, loop_now_us(c->fill->loop), &held))
        log_warn("fill-failed", "uid=%s node=%u segment=%llx err=%s held=%u", c->want->uid, c->want->node,
            (unsigned long long)c->want->segment, log_q(span_of(err_text(-err))), held);
}

/* What may be otherwise in a moment is found again by a round; the rest is not tried again for a while. */
static bool passing(int err)
{
    static const int list[] = {EAGAIN, EBUSY, EHOSTUNREACH, ETIMEDOUT, ECANCELED};

    for (size_t i = 0; i < ARRAY_N(list); i++)
        if (list[i] == err) return true;
    return false;
}

static void over(struct fill_copy *c, int err)
{
    struct fill *f = c->fill;

    if (c->over) return;
    c->over = true;
    call_drop(&c->call);
    if (err == 0 || err == EEXIST) fill_stored(f, c->want);
    if (err != 0 && !passing(err)) fill_refuse(f, c->want->uid, c->want->segment);
    if (err != EEXIST && err != EAGAIN) count(c, err);
    if (c->writing == 0) copy_free(c);
    fill_copy_next(f);
}

static void tell_done(const struct fill *f, uint64_t id, int err)
{
    struct packer *p;

    if (!f->keeper) return;
    p = channel_begin(f->keeper, MSG_FILL_DONE, 2);
    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "err", (uint64_t)err);
    channel_end(f->keeper, NULL, 0);
}

static void give_up(struct fill_copy *c, int err)
{
    if (c->step != OPENING) tell_done(c->fill, c->id, err);
    over(c, err);
}

/* --- the file --- */

static void finish(struct fill_copy *c)
{
    if (!c->ended || c->writing > 0) return;
    fd_close(&c->fd);
    c->step = STORING;
    c->until_us = loop_now_us(c->fill->loop) + KEEPER_US;
    if (!c->fill->keeper) {
        over(c, EAGAIN);
        return;
    }
    tell_done(c->fill, c->id, 0);
    fill_copy_next(c->fill);
}

static void work_write(struct job *j)
{
    struct piece *p = CONTAINER(j, struct piece, job);
    size_t at = 0;

    while (at < p->n && p->err == 0) {
        ssize_t n = pwrite(p->fd, p->bytes + at, p->n - at, (off_t)(p->at + at));

        if (n > 0)
            at += (size_t)n;
        else if (n < 0 && errno != EINTR)
            p->err = errno;
    }
}

static void done_write(struct job *j)
{
    struct piece *p = CONTAINER(j, struct piece, job);
    struct fill_copy *c = p->copy;
    int err = p->err;

    c->writing--;
    c->owed += p->n;
    mem_free(p);
    if (c->over) {
        if (c->writing == 0) copy_free(c);
    } else if (err) {
        give_up(c, err);
    } else {
        fill_copy_pace(c->fill);
        finish(c);
    }
}

static int write_piece(struct fill_copy *c, struct span bytes)
{
    struct piece *p;

    if (bytes.n == 0 || c->got + bytes.n > c->want->bytes) return EBADMSG;
    p = mem_new(sizeof(*p) + bytes.n);
    *p = (struct piece){.job = {.work = work_write, .done = done_write, .loop = c->fill->loop},
        .copy = c,
        .fd = c->fd,
        .at = c->got,
        .n = bytes.n};
    memcpy(p->bytes, bytes.p, bytes.n);
    if (!pool_put(c->fill->writer, &p->job)) {
        mem_free(p);
        return EBUSY;
    }
    c->writing++;
    c->got += bytes.n;
    return 0;
}

/* --- the other node --- */

static void answered(struct call *call, const struct wire_frame *f, int err)
{
    struct fill_copy *c = call->arg;

    if (f && f->type == WIRE_CHUNK) {
        err = write_piece(c, packed_str(f->body, "bytes"));
        c->until_us = loop_now_us(c->fill->loop) + KEEPER_US;
    } else if (f && f->type == WIRE_END) {
        err = (int)MIN(packed_u64(f->body, "err", EPROTO), 4095);
        if (err == 0 && (c->got != c->want->bytes || !packed_bool(f->body, "whole", false))) err = EBADMSG;
        c->ended = err == 0;
        if (err == 0) finish(c);
    } else if (f) {
        err = EPROTO;
    }
    if (err != 0) give_up(c, err);
}

static void fetch(struct fill_copy *c)
{
    struct peer *peer = nodes_find(c->fill->nodes, c->want->node);
    struct packer *p;

    c->call = (struct call){.fn = answered, .arg = c};
    p = peer ? call_begin(peer, &c->call, WIRE_FETCH, 4, FETCH_US) : NULL;
    if (!p) {
        c->call.peer = NULL;
        give_up(c, EHOSTUNREACH);
        return;
    }
    c->step = FETCHING;
    pack_kv_text(p, "storage", c->want->storage);
    pack_kv_text(p, "uid", c->want->uid);
    pack_kv_u64(p, "segment", c->want->segment);
    pack_kv_u64(p, "room", 0);
    call_send(&c->call);
    c->owed = ROOM;
    c->rest = c->want->bytes;
    fill_copy_pace(c->fill);
}

/* What the rate lets through since the last time; unlimited: all that is owed. */
void fill_copy_pace(struct fill *f)
{
    usec_t now_us = loop_now_us(f->loop);

    if (f->rate > 0) {
        f->budget += (int64_t)((uint64_t)MIN(now_us - f->paid_us, US_PER_S) * f->rate / (uint64_t)US_PER_S);
        f->budget = MIN(f->budget, (int64_t)MAX(f->rate / 10, ROOM / 4));
    }
    f->paid_us = now_us;
    LIST_EACH(&f->copies, link)
    {
        struct fill_copy *c = LIST_ITEM(link, struct fill_copy, link);
        uint64_t wants = MIN(c->owed, c->rest), n = wants;

        if (f->rate > 0) n = MIN(n, (uint64_t)MAX(f->budget, 0));
        if (c->over || c->step != FETCHING || n == 0 || n < MIN(wants, LEAST)) continue;
        call_more(&c->call, n);
        c->owed -= n;
        c->rest -= n;
        if (f->rate > 0) f->budget -= (int64_t)n;
    }
}

/* --- the keeper --- */

void fill_copy_file(struct fill *f, struct incoming *in)
{
    struct fill_copy *c = find(f, packed_u64(in->body, "id", 0));
    int err = (int)MIN(packed_u64(in->body, "err", EPROTO), 4095);

    if (!c && err == 0) tell_done(f, packed_u64(in->body, "id", 0), ECANCELED); /* given up meanwhile */
    if (!c || c->step != OPENING) return;
    if (err == 0 && in->n_fds != 1) err = EPROTO;
    if (err == EAGAIN) fill_soon(f, c->want->uid);
    if (err != 0) {
        over(c, err);
        return;
    }
    c->fd = in->fds[0];
    in->fds[0] = -1;
    fetch(c);
}

void fill_copy_stored(struct fill *f, const struct packed *body)
{
    struct fill_copy *c = find(f, packed_u64(body, "id", 0));

    if (c && c->step == STORING) over(c, (int)MIN(packed_u64(body, "err", EPROTO), 4095));
}

/* The log says how long after its return. */
static void tell_begin(const struct fill *f, const struct fill_want *w)
{
    struct peer *p = nodes_find(f->nodes, w->node);
    struct fill_counts *n = p ? fill_counts_of(p) : NULL;

    if (!n || n->began_us >= p->since_us) return;
    n->began_us = clock_wall_us();
    log_note("fill-begin", "node=%u uid=%s known=%zu after_ms=%lld", w->node, w->uid, f->n_wants + 1,
        (long long)(MAX(n->began_us - p->since_us, 0) / US_PER_MS));
}

static void begin(struct fill *f, struct fill_want *w)
{
    struct fill_copy *c = NEW(struct fill_copy);
    struct packer *p;

    list_remove(&w->link);
    f->n_wants--;
    tell_begin(f, w);
    *c = (struct fill_copy){.fill = f, .want = w, .id = ++f->last_copy, .fd = -1};
    c->until_us = loop_now_us(f->loop) + KEEPER_US;
    list_push(&f->copies, &c->link);
    f->n_copies++;
    p = channel_begin(f->keeper, MSG_FILL_OPEN, 4);
    pack_kv_u64(p, "id", c->id);
    pack_kv_text(p, "uid", w->uid);
    pack_kv_u64(p, "node", w->node);
    pack_kv_bin(p, "info", span(w->info, w->n));
    channel_end(f->keeper, NULL, 0);
}

void fill_copy_next(struct fill *f)
{
    bool busy = false;

    if (!f->keeper || f->n_copies >= FILL_UNDER_WAY || list_empty(&f->wants)) return;
    LIST_EACH(&f->copies, link) busy |= LIST_ITEM(link, struct fill_copy, link)->step != STORING;
    if (!busy) begin(f, LIST_ITEM(f->wants.next, struct fill_want, link));
}

void fill_copy_watch(struct fill *f)
{
    usec_t now_us = loop_now_us(f->loop);

    LIST_EACH(&f->copies, link)
    {
        struct fill_copy *c = LIST_ITEM(link, struct fill_copy, link);

        if (c->over || now_us < c->until_us) continue;
        give_up(c, ETIMEDOUT);
        return; /* it may have begun another one */
    }
}

/* What the keeper has got already it does not take: the delete is done here too. */
void fill_copy_hold(struct fill *f)
{
    LIST_EACH(&f->copies, link)
    {
        struct fill_copy *c = LIST_ITEM(link, struct fill_copy, link);

        if (c->over || c->step == STORING || !fill_held(f, c->want)) continue;
        give_up(c, ECANCELED);
        break; /* one alone is fetched at a time, and the next one is none of these */
    }
}

void fill_copy_stop(struct fill *f)
{
    LIST_EACH(&f->copies, link)
    {
        struct fill_copy *c = LIST_ITEM(link, struct fill_copy, link);

        c->over = true;
        call_drop(&c->call);
        if (c->writing == 0) copy_free(c);
    }
}

bool fill_copy_has(const struct fill *f, const char *uid, uint64_t segment)
{
    LIST_EACH(&f->copies, link)
    {
        const struct fill_copy *c = LIST_ITEM(link, struct fill_copy, link);

        if (!c->over && c->want->segment == segment && strcmp(c->want->uid, uid) == 0) return true;
    }
    return false;
}

void fill_copy_each(
    const struct fill *f, uint16_t node, void (*fn)(void *arg, const struct fill_want *w), void *arg)
{
    LIST_EACH(&f->copies, link)
    {
        const struct fill_copy *c = LIST_ITEM(link, struct fill_copy, link);

        if (!c->over && (node == 0 || c->want->node == node)) fn(arg, c->want);
    }
}
