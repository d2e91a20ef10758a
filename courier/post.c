#include "courier/post.h"
#include "common/base/mem.h"
#include "common/ipc/messages.h"

#include <errno.h>

#define TICK_US (250 * US_PER_MS)

struct post {
    struct list link;
    struct call call;
    struct posts *posts;
    uint16_t node;
    uint64_t id, seq, kind;
    uint64_t run; /* of the courier that it was sent to; 0: of none yet */
    usec_t until_us;
    size_t n;
    uint8_t body[];
};
/* What has come from a node: of one start of its courier. */
struct window {
    uint64_t run, top;
    uint64_t seen[POST_WINDOW / 64]; /* by number, modulo the window */
};
struct posts {
    struct loop *loop;
    struct nodes *nodes;
    const struct posts_ops *ops;
    void *arg;
    struct list list;
    uint64_t last_seq;
    struct loop_timer tick;
};

/* --- what goes --- */

static void settle(struct post *p, int err)
{
    struct posts *all = p->posts;
    uint64_t id = p->id;

    call_drop(&p->call);
    list_remove(&p->link);
    mem_free(p);
    all->ops->sent(all->arg, id, err);
}

/* Without a connection it waits for the next one, until its time is over. */
static void answered(struct call *c, const struct wire_frame *f, int err)
{
    struct post *p = c->arg;

    if (f && f->type == WIRE_END)
        settle(p, (int)MIN(packed_u64(f->body, "err", 0), 4095));
    else if (!f && err == ETIMEDOUT)
        settle(p, ETIMEDOUT);
}

static void try(struct post *p, struct peer *peer)
{
    struct packer *m;

    if (p->call.peer || !peer->there) return;
    if (p->run != 0 && p->run != peer->out->run) {
        settle(p, ETIMEDOUT);
        return;
    }
    p->call = (struct call){.fn = answered, .arg = p};
    m = call_begin(peer, &p->call, WIRE_POST, 3, POST_PATIENCE_US);
    if (!m) {
        p->call.peer = NULL;
        return;
    }
    p->run = peer->out->run;
    pack_kv_u64(m, "seq", p->seq);
    pack_kv_u64(m, "kind", p->kind);
    pack_kv_bin(m, "body", span(p->body, p->n));
    call_send(&p->call);
}

static size_t waiting_for(const struct posts *all, uint16_t node)
{
    size_t n = 0;

    LIST_EACH(&all->list, link) n += LIST_ITEM(link, struct post, link)->node == node;
    return n;
}

void posts_send(struct posts *all, const struct packed *m)
{
    uint64_t id = packed_u64(m, "id", 0);
    struct peer *peer = nodes_find(all->nodes, packed_u64(m, "node", 0));
    struct span body = packed_str(m, "body");
    struct post *p;

    if (!peer || body.n > NET_BODY_MAX || waiting_for(all, peer->node) >= POST_MOST) {
        all->ops->sent(all->arg, id, !peer ? EHOSTUNREACH : body.n > NET_BODY_MAX ? EMSGSIZE : ENOBUFS);
        return;
    }
    p = mem_new(sizeof(*p) + body.n);
    *p = (struct post){.posts = all,
        .node = peer->node,
        .id = id,
        .seq = ++all->last_seq,
        .kind = packed_u64(m, "kind", 0),
        .until_us = loop_now_us(all->loop) + POST_PATIENCE_US,
        .n = body.n};
    if (body.n > 0) memcpy(p->body, body.p, body.n);
    list_push(&all->list, &p->link);
    try(p, peer);
}

void posts_there(struct posts *all, struct peer *peer)
{
    LIST_EACH(&all->list, link)
    {
        struct post *p = LIST_ITEM(link, struct post, link);

        if (p->node == peer->node) try(p, peer);
    }
}

static void tick(struct loop_timer *t)
{
    struct posts *all = t->arg;
    usec_t now_us = loop_now_us(all->loop);

    LIST_EACH(&all->list, link)
    {
        struct post *p = LIST_ITEM(link, struct post, link);
        struct peer *peer = nodes_find(all->nodes, p->node);

        if (now_us >= p->until_us)
            settle(p, p->run != 0 ? ETIMEDOUT : EHOSTUNREACH);
        else if (peer)
            try(p, peer);
    }
}

/* --- what comes --- */

static struct window *window_of(struct peer *peer, uint64_t run)
{
    struct window *w = peer->post;

    if (!w) w = peer->post = NEW(struct window);
    if (w->run != run) *w = (struct window){.run = run};
    return w;
}

static uint64_t *word_of(struct window *w, uint64_t seq)
{
    return &w->seen[seq % POST_WINDOW / 64];
}

static bool seen(struct window *w, uint64_t seq)
{
    if (seq > w->top) return false;
    return w->top - seq >= POST_WINDOW || (*word_of(w, seq) >> seq % 64 & 1);
}

static void note(struct window *w, uint64_t seq)
{
    uint64_t from = seq > w->top && seq - w->top < POST_WINDOW ? w->top + 1 : seq - MIN(seq, POST_WINDOW - 1);

    for (uint64_t i = from; seq > w->top && i < seq; i++) *word_of(w, i) &= ~(1ull << i % 64);
    *word_of(w, seq) |= 1ull << seq % 64;
    w->top = MAX(w->top, seq);
}

void posts_take(struct posts *all, struct trunk *l, const struct wire_frame *f)
{
    struct peer *peer = nodes_of(all->nodes, l);
    uint64_t seq = packed_u64(f->body, "seq", 0);
    struct span body = packed_str(f->body, "body");
    struct window *w;
    struct packer *p;
    int err = 0;

    if (!peer || seq == 0 || body.n > NET_BODY_MAX) {
        trunk_close(l, "its message is none");
        return;
    }
    w = window_of(peer, l->run);
    if (!seen(w, seq)) {
        if (all->ops->got(all->arg, peer->node, l->boot, packed_u64(f->body, "kind", 0), body))
            note(w, seq);
        else
            err = ENOBUFS;
    }
    p = trunk_begin(l, WIRE_END, f->id, 1);
    pack_kv_u64(p, "err", (uint64_t)err);
    trunk_send(l);
}

/* --- life --- */

void posts_gone(struct posts *all, struct peer *peer)
{
    LIST_EACH(&all->list, link)
    {
        struct post *p = LIST_ITEM(link, struct post, link);

        if (p->node == peer->node) settle(p, p->run != 0 ? ETIMEDOUT : EHOSTUNREACH);
    }
    mem_free(peer->post);
    peer->post = NULL;
}

struct posts *posts_new(struct loop *l, struct nodes *nodes, const struct posts_ops *ops, void *arg)
{
    struct posts *p = NEW(struct posts);

    *p = (struct posts){.loop = l, .nodes = nodes, .ops = ops, .arg = arg};
    list_init(&p->list);
    loop_timer_every(l, &p->tick, TICK_US, tick, p);
    return p;
}

void posts_free(struct posts *p)
{
    if (!p) return;
    loop_timer_stop(&p->tick);
    LIST_EACH(&p->list, link)
    {
        struct post *one = LIST_ITEM(link, struct post, link);

        call_drop(&one->call);
        mem_free(one);
    }
    for (size_t i = 0; i < p->nodes->n; i++) {
        mem_free(p->nodes->v[i]->post);
        p->nodes->v[i]->post = NULL;
    }
    mem_free(p);
}
