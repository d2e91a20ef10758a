#include "courier/away.h"
#include "common/base/mem.h"
#include "common/ipc/event.h"
#include "courier/serve.h"

#include <errno.h>

#define PASS_MAX   (IPC_MESSAGE_MAX - 512) /* of a frame that is passed on: the message has more around it */
#define PAGES_MAX  256                     /* of one question about events, and of one node */
#define QUEUE_MOST (1u << 20)              /* bytes that httpd has not read: no more is passed on */

struct part;
/* What httpd asks, and how other nodes are asked it. */
struct form {
    enum message question, answer;
    enum wire_type asks, says[2];
    unsigned pairs;
    void (*pack)(struct packer *p, const struct part *part);
    void (*pass_on)(const struct part *part, const struct wire_frame *f);
};
struct ask {
    struct list link;
    struct away *away;
    const struct form *form;
    uint64_t id, after, most;
    char uid[40], kind[EVENT_KIND_MAX];
    usec_t from_us, to_us;
    struct loop_timer patience;
    unsigned left; /* nodes that have not answered */
    size_t n;
    struct part {
        struct ask *ask;
        uint16_t node;
        bool missing; /* it has not answered, or not well */
        bool cut;     /* something of it could not be passed on */
        unsigned pages;
        uint8_t at[SERVE_AT_MAX]; /* where the next page begins */
        size_t at_n;
        struct call call;
    } parts[];
};

/* --- what there is --- */

static void ask_free(struct ask *q)
{
    for (size_t i = 0; i < q->n; i++) call_drop(&q->parts[i].call);
    loop_timer_stop(&q->patience);
    list_remove(&q->link);
    q->away->n_asks--;
    mem_free(q);
}

static struct packer *answer(const struct ask *q, unsigned pairs)
{
    struct packer *p = channel_begin(q->away->httpd, q->form->answer, 1 + pairs);

    pack_kv_u64(p, "id", q->id);
    return p;
}

static void say_last(struct ask *q)
{
    struct packer *p = answer(q, 2);
    uint32_t missing = 0;

    for (size_t i = 0; i < q->n; i++) missing += q->parts[i].missing;
    pack_kv_bool(p, "last", true);
    pack_key(p, "missing");
    pack_array(p, missing);
    for (size_t i = 0; i < q->n; i++)
        if (q->parts[i].missing) pack_u64(p, q->parts[i].node);
    channel_end(q->away->httpd, NULL, 0);
    ask_free(q);
}

static void pass_list(const struct part *part, const struct wire_frame *f)
{
    const char *key = f->type == WIRE_FOUND ? "infos" : "spans";
    struct packer *p = answer(part->ask, 4);

    pack_kv_u64(p, "node", part->node);
    pack_kv_str(p, "storage", packed_str(f->body, "storage"));
    pack_key(p, key);
    pack_value(p, packed_get(f->body, key));
    pack_kv_bool(p, "more", packed_bool(f->body, "more", false));
    channel_end(part->ask->away->httpd, NULL, 0);
}

static void pass_mark(const struct part *part, const struct wire_frame *f)
{
    struct packer *p = answer(part->ask, 2);

    pack_kv_u64(p, "node", part->node);
    pack_key(p, f->type == WIRE_EVENT ? "event" : "lock");
    pack_value(p, f->body);
    channel_end(part->ask->away->httpd, NULL, 0);
}

static void pack_page(struct packer *p, const struct part *part)
{
    pack_kv_u64(p, "after", part->ask->after);
    pack_kv_u64(p, "most", part->ask->most);
}

static void pack_marks(struct packer *p, const struct part *part)
{
    pack_kv_text(p, "kind", part->ask->kind);
    pack_kv_bin(p, "at", span(part->at, part->at_n));
}

static const struct form forms[] = {
    {MSG_AWAY_FIND, MSG_AWAY_FOUND, WIRE_FIND, {WIRE_FOUND, WIRE_FOUND}, 5, pack_page, pass_list},
    {MSG_AWAY_RANGES, MSG_AWAY_SPANS, WIRE_RANGES, {WIRE_SPANS, WIRE_SPANS}, 5, pack_page, pass_list},
    {MSG_AWAY_EVENTS, MSG_AWAY_HAPPENED, WIRE_EVENTS, {WIRE_EVENT, WIRE_LOCK}, 5, pack_marks, pass_mark},
};

static void answered(struct call *c, const struct wire_frame *f, int err);

static bool ask_node(struct part *part, struct peer *peer)
{
    const struct ask *q = part->ask;
    struct packer *p;

    part->call = (struct call){.fn = answered, .arg = part};
    p = call_begin(peer, &part->call, q->form->asks, q->form->pairs, 2 * AWAY_PATIENCE_US);
    if (!p) {
        part->call.peer = NULL;
        return false;
    }
    pack_kv_text(p, "uid", q->uid);
    pack_kv_i64(p, "from_us", q->from_us);
    pack_kv_i64(p, "to_us", q->to_us);
    q->form->pack(p, part);
    call_send(&part->call);
    return true;
}

/* Is there another page, and was it asked for? */
static bool next_page(struct part *part, const struct wire_frame *end)
{
    struct peer *peer = nodes_find(part->ask->away->nodes, part->node);
    struct span at = packed_str(end->body, "at");

    if (at.n == 0) return false;
    part->cut |= at.n > sizeof(part->at) || ++part->pages >= PAGES_MAX || !peer;
    if (part->cut) return false;
    memcpy(part->at, at.p, part->at_n = at.n);
    part->cut |= !ask_node(part, peer);
    return !part->cut;
}

static void answered(struct call *c, const struct wire_frame *f, int err)
{
    struct part *part = c->arg;
    struct ask *q = part->ask;

    if (f && f->type != WIRE_END) {
        bool asked = f->type == q->form->says[0] || f->type == q->form->says[1];
        bool fits = asked && f->n <= PASS_MAX && channel_queued(q->away->httpd) < QUEUE_MOST;

        if (fits) q->form->pass_on(part, f);
        part->cut |= !fits;
        return;
    }
    part->cut |= !f || err != 0 || packed_u64(f->body, "err", EPROTO) != 0;
    if (f && next_page(part, f)) return;
    part->missing = part->cut;
    if (--q->left == 0) say_last(q);
}

static void patience_over(struct loop_timer *t)
{
    say_last(t->arg);
}

static void ask_all(struct away *a, const struct packed *body, const struct form *form)
{
    uint64_t only = packed_u64(body, "node", 0);
    size_t n = a->n_asks < AWAY_ASKS_MAX ? (only ? 1 : a->nodes->n) : 0;
    struct ask *q = mem_new(sizeof(*q) + n * sizeof(q->parts[0]));

    memset(q, 0, sizeof(*q) + n * sizeof(q->parts[0]));
    q->away = a;
    q->form = form;
    q->id = packed_u64(body, "id", 0);
    q->from_us = packed_i64(body, "from_us", 0);
    q->to_us = packed_i64(body, "to_us", INT64_MAX);
    q->after = packed_u64(body, "after", 0);
    q->most = packed_u64(body, "most", 0);
    span_copy(packed_str(body, "uid"), q->uid, sizeof(q->uid));
    span_copy(packed_str(body, "kind"), q->kind, sizeof(q->kind));
    q->n = n;
    list_push(&a->asks, &q->link);
    a->n_asks++;
    for (size_t i = 0; i < n; i++) {
        struct peer *peer = only ? nodes_find(a->nodes, only) : a->nodes->v[i];
        struct part *part = &q->parts[i];

        *part = (struct part){.ask = q, .node = peer ? peer->node : (uint16_t)only, .missing = true};
        q->left += peer && ask_node(part, peer);
    }
    if (q->left == 0)
        say_last(q);
    else
        loop_timer_set(a->loop, &q->patience, AWAY_PATIENCE_US, patience_over, q);
}

/* --- segments --- */

struct open {
    struct list link;
    struct away *away;
    uint64_t id;
    struct cache_want want;
};

static void say_file(struct channel *httpd, uint64_t id, int err, int fd, uint64_t bytes)
{
    struct packer *p = channel_begin(httpd, MSG_AWAY_FILE, 3);

    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "err", (uint64_t)err);
    pack_kv_u64(p, "bytes", bytes);
    channel_end(httpd, &fd, err ? 0 : 1);
}

static void opened(struct cache_want *w, int err, int fd, uint64_t bytes)
{
    struct open *o = w->arg;

    say_file(o->away->httpd, o->id, err, fd, bytes);
    list_remove(&o->link);
    mem_free(o);
}

static void open_one(struct away *a, const struct packed *body)
{
    struct cache_name name = {
        .node = (uint16_t)packed_u64(body, "node", 0), .segment = packed_u64(body, "segment", 0)};
    uint64_t id = packed_u64(body, "id", 0);
    struct open *o;

    if (!packed_text(body, "storage", name.storage, sizeof(name.storage)) ||
        !packed_text(body, "uid", name.uid, sizeof(name.uid))) {
        say_file(a->httpd, id, EINVAL, -1, 0);
        return;
    }
    o = NEW(struct open);
    o->away = a;
    o->id = id;
    o->want = (struct cache_want){.fn = opened, .arg = o};
    list_push(&a->opens, &o->link);
    cache_get(a->cache, &name, &o->want);
}

static void forget(struct away *a, uint64_t id, bool all)
{
    LIST_EACH(&a->opens, link)
    {
        struct open *o = LIST_ITEM(link, struct open, link);

        if (!all && o->id != id) continue;
        cache_give_up(&o->want);
        list_remove(&o->link);
        mem_free(o);
    }
    LIST_EACH(&a->asks, link)
    {
        struct ask *q = LIST_ITEM(link, struct ask, link);

        if (all || q->id == id) ask_free(q);
    }
}

/* --- from outside --- */

void away_init(struct away *a, struct loop *l, struct nodes *nodes, struct cache *cache)
{
    *a = (struct away){.loop = l, .nodes = nodes, .cache = cache};
    list_init(&a->asks);
    list_init(&a->opens);
}

void away_httpd(struct away *a, struct channel *httpd)
{
    forget(a, 0, true);
    a->httpd = httpd;
}

int away_message(struct away *a, const struct incoming *in)
{
    for (size_t i = 0; i < ARRAY_N(forms); i++)
        if (forms[i].question == in->type) ask_all(a, in->body, &forms[i]);
    if (in->type == MSG_AWAY_OPEN) open_one(a, in->body);
    if (in->type == MSG_AWAY_GONE) forget(a, packed_u64(in->body, "id", 0), false);
    return 0;
}
