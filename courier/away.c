#include "courier/away.h"
#include "common/base/mem.h"

#include <errno.h>

struct ask {
    struct list link;
    struct away *away;
    uint64_t id;
    enum message answer; /* AWAY_FOUND, AWAY_SPANS */
    struct loop_timer patience;
    unsigned left; /* nodes that have not answered */
    size_t n;
    struct part {
        struct ask *ask;
        uint16_t node;
        bool missing; /* it has not answered, or not well */
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

static void say_last(struct ask *q)
{
    struct packer *p = channel_begin(q->away->httpd, q->answer, 3);
    uint32_t missing = 0;

    for (size_t i = 0; i < q->n; i++) missing += q->parts[i].missing;
    pack_kv_u64(p, "id", q->id);
    pack_kv_bool(p, "last", true);
    pack_key(p, "missing");
    pack_array(p, missing);
    for (size_t i = 0; i < q->n; i++)
        if (q->parts[i].missing) pack_u64(p, q->parts[i].node);
    channel_end(q->away->httpd, NULL, 0);
    ask_free(q);
}

static void pass_on(const struct part *part, const struct wire_frame *f)
{
    const struct ask *q = part->ask;
    bool found = f->type == WIRE_FOUND;
    const char *key = found ? "infos" : "spans";
    struct packer *p = channel_begin(q->away->httpd, q->answer, 5);

    pack_kv_u64(p, "id", q->id);
    pack_kv_u64(p, "node", part->node);
    pack_kv_str(p, "storage", packed_str(f->body, "storage"));
    pack_key(p, key);
    pack_value(p, packed_get(f->body, key));
    pack_kv_bool(p, "more", packed_bool(f->body, "more", false));
    channel_end(q->away->httpd, NULL, 0);
}

static void answered(struct call *c, const struct wire_frame *f, int err)
{
    struct part *part = c->arg;
    struct ask *q = part->ask;

    if (f && f->type == (q->answer == MSG_AWAY_FOUND ? WIRE_FOUND : WIRE_SPANS)) {
        pass_on(part, f);
        return;
    }
    if (f && f->type != WIRE_END) return;
    part->missing = !f || err != 0 || packed_u64(f->body, "err", EPROTO) != 0;
    if (--q->left == 0) say_last(q);
}

static void patience_over(struct loop_timer *t)
{
    say_last(t->arg);
}

static bool ask_node(struct part *part, struct peer *peer, const struct packed *body)
{
    enum wire_type type = part->ask->answer == MSG_AWAY_FOUND ? WIRE_FIND : WIRE_RANGES;
    struct packer *p;

    part->call = (struct call){.fn = answered, .arg = part};
    p = call_begin(peer, &part->call, type, 5, 2 * AWAY_PATIENCE_US);
    if (!p) {
        part->call.peer = NULL;
        return false;
    }
    pack_kv_str(p, "uid", packed_str(body, "uid"));
    pack_kv_i64(p, "from_us", packed_i64(body, "from_us", 0));
    pack_kv_i64(p, "to_us", packed_i64(body, "to_us", INT64_MAX));
    pack_kv_u64(p, "after", packed_u64(body, "after", 0));
    pack_kv_u64(p, "most", packed_u64(body, "most", 0));
    call_send(&part->call);
    return true;
}

static void ask_all(struct away *a, const struct packed *body, enum message answer)
{
    uint64_t only = packed_u64(body, "node", 0);
    size_t n = a->n_asks < AWAY_ASKS_MAX ? (only ? 1 : a->nodes->n) : 0;
    struct ask *q = mem_new(sizeof(*q) + n * sizeof(q->parts[0]));

    memset(q, 0, sizeof(*q) + n * sizeof(q->parts[0]));
    q->away = a;
    q->id = packed_u64(body, "id", 0);
    q->answer = answer;
    q->n = n;
    list_push(&a->asks, &q->link);
    a->n_asks++;
    for (size_t i = 0; i < n; i++) {
        struct peer *peer = only ? nodes_find(a->nodes, only) : a->nodes->v[i];
        struct part *part = &q->parts[i];

        *part = (struct part){.ask = q, .node = peer ? peer->node : (uint16_t)only, .missing = true};
        q->left += peer && ask_node(part, peer, body);
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
    if (in->type == MSG_AWAY_FIND) ask_all(a, in->body, MSG_AWAY_FOUND);
    if (in->type == MSG_AWAY_RANGES) ask_all(a, in->body, MSG_AWAY_SPANS);
    if (in->type == MSG_AWAY_OPEN) open_one(a, in->body);
    if (in->type == MSG_AWAY_GONE) forget(a, packed_u64(in->body, "id", 0), false);
    return 0;
}
