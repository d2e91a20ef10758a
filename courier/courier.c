#include "courier/courier.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>

#define STATE_US     US_PER_S
#define MASTER_QUEUE (1u << 20) /* bytes that the master has not read: no more is taken for it */
#define LEFT_ROWS    500        /* of a message */

/* One process is one courier: what it holds stands here to its end. */
static struct courier courier;

static struct channel *master(const struct courier *c)
{
    return child_control(c->master);
}

/* --- the master --- */

static int on_conf(struct courier *c, struct incoming *in)
{
    fill_rate(c->fill, packed_u64(in->body, "fill_rate", 0));
    nodes_conf(c->nodes, in->body);
    return 0;
}

static int on_listen(struct courier *c, struct incoming *in)
{
    if (in->n_fds != 1) return -EPROTO;
    nodes_listen(c->nodes, in->fds[0]);
    in->fds[0] = -1;
    return 0;
}

static int on_send(struct courier *c, struct incoming *in)
{
    posts_send(c->posts, in->body);
    return 0;
}

static int on_stream(struct courier *c, struct incoming *in)
{
    fill_stream(c->fill, in->body);
    return 0;
}

static int on_hold(struct courier *c, struct incoming *in)
{
    fill_hold(c->fill, in->body);
    return 0;
}

static int on_stream_gone(struct courier *c, struct incoming *in)
{
    fill_stream_gone(c->fill, in->body);
    return 0;
}

static int on_storage(struct courier *c, struct incoming *in)
{
    shelves_storage(&c->shelves, in->body);
    return 0;
}

static int on_storage_gone(struct courier *c, struct incoming *in)
{
    shelves_gone(&c->shelves, in->body);
    return 0;
}

static int on_index(struct courier *c, struct incoming *in)
{
    shelves_index(&c->shelves, in->body);
    return 0;
}

static void on_suspect(void *arg, const char *name)
{
    const struct courier *c = arg;
    struct packer *p = channel_begin(master(c), MSG_INDEX_SUSPECT, 1);

    pack_kv_text(p, "name", name);
    channel_end(master(c), NULL, 0);
}

static int on_etcd_conf(struct courier *c, struct incoming *in)
{
    store_conf(&c->store, in->body);
    return 0;
}

static int on_etcd_own(struct courier *c, struct incoming *in)
{
    char uid[LEASE_UID_MAX];

    if (packed_text(in->body, "uid", uid, sizeof(uid)))
        store_own(&c->store, uid, packed_bool(in->body, "wanted", false));
    return 0;
}

static int on_etcd_change(struct courier *c, struct incoming *in)
{
    changes_add(&c->store.changes, in->body);
    return 0;
}

static int on_etcd_commit(struct courier *c, struct incoming *in)
{
    store_commit(&c->store, in->body);
    return 0;
}

static int on_peer(struct courier *c, struct incoming *in);

static const struct {
    enum message type;
    int (*fn)(struct courier *c, struct incoming *in);
} rows[] = {
    {MSG_COURIER_CONF, on_conf},
    {MSG_LISTEN, on_listen},
    {MSG_NET_SEND, on_send},
    {MSG_COURIER_PEER, on_peer},
    {MSG_COURIER_STREAM, on_stream},
    {MSG_COURIER_HOLD, on_hold},
    {MSG_COURIER_STREAM_GONE, on_stream_gone},
    {MSG_STORAGE, on_storage},
    {MSG_STORAGE_GONE, on_storage_gone},
    {MSG_INDEX_READY, on_index},
    {MSG_ETCD_CONF, on_etcd_conf},
    {MSG_ETCD_OWN, on_etcd_own},
    {MSG_ETCD_CHANGE, on_etcd_change},
    {MSG_ETCD_COMMIT, on_etcd_commit},
};

static int on_message(struct child *ch, struct incoming *in)
{
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (rows[i].type == in->type) return rows[i].fn(child_arg(ch), in);
    return 0;
}

static void pack_state(struct courier *c, struct packer *p, struct peer *peer)
{
    const struct fill_counts *n = fill_counts(c->fill, peer);
    const struct trunk *both[] = {peer->out, peer->in};
    uint64_t in = peer->bytes_in, out = peer->bytes_out;

    for (size_t i = 0; i < ARRAY_N(both); i++) {
        in += both[i] ? both[i]->in : 0;
        out += both[i] ? both[i]->out : 0;
    }
    pack_map(p, 11);
    pack_kv_u64(p, "node", peer->node);
    pack_kv_bool(p, "there", peer->there);
    pack_kv_i64(p, "since_us", peer->since_us);
    pack_kv_u64(p, "in", in);
    pack_kv_u64(p, "out", out);
    pack_kv_text(p, "why", peer->why);
    pack_kv_u64(p, "left", n->left);
    pack_kv_u64(p, "left_bytes", n->left_bytes);
    pack_kv_u64(p, "filled", n->filled);
    pack_kv_u64(p, "filled_bytes", n->filled_bytes);
    pack_kv_u64(p, "failed", n->failed);
}

/* A page of COURIER_LEFT. */
struct left_page {
    struct courier *c;
    struct buf rows;
    uint32_t n;
};

static void send_left(struct left_page *l)
{
    struct packer *p;

    if (l->n == 0) return;
    p = channel_begin(master(l->c), MSG_COURIER_LEFT, 1);
    pack_key(p, "rows");
    pack_array(p, l->n);
    p->bad = p->bad || !buf_put(p->to, buf_span(&l->rows));
    channel_end(master(l->c), NULL, 0);
    buf_clear(&l->rows);
    l->n = 0;
}

static void put_left(void *arg, const char *uid, uint64_t left, uint64_t bytes)
{
    struct left_page *l = arg;
    struct packer p = packer_of(&l->rows);

    pack_array(&p, 3);
    pack_str(&p, span_of(uid));
    pack_u64(&p, left);
    pack_u64(&p, bytes);
    if (++l->n == LEFT_ROWS) send_left(l);
}

static void tell_left(struct courier *c)
{
    struct left_page l = {.c = c};

    buf_init(&l.rows, LEFT_ROWS * 64);
    fill_tell_left(c->fill, put_left, &l);
    send_left(&l);
    buf_done(&l.rows);
}

static void tell_store(const struct courier *c)
{
    const struct store *s = &c->store;
    struct packer *p;

    if (!s->etcd) return;
    p = channel_begin(master(c), MSG_ETCD_STATE, 6);
    pack_kv_bool(p, "there", s->there);
    pack_kv_text(p, "at", etcd_endpoint(s->etcd));
    pack_kv_text(p, "why", s->why);
    pack_kv_u64(p, "revision", s->revision);
    pack_kv_u64(p, "cluster", s->cluster);
    pack_kv_i64(p, "answered_us", etcd_answered_us(s->etcd));
    channel_end(master(c), NULL, 0);
}

static void tell_state(struct loop_timer *t)
{
    struct courier *c = t->arg;
    struct packer *p = channel_begin(master(c), MSG_COURIER_STATE, 2);

    pack_kv_u64(p, "refused", c->nodes->refused);
    pack_key(p, "nodes");
    pack_array(p, (uint32_t)c->nodes->n);
    for (size_t i = 0; i < c->nodes->n; i++) pack_state(c, p, c->nodes->v[i]);
    channel_end(master(c), NULL, 0);
    tell_left(c);
    tell_store(c);
}

/* --- messages between masters --- */

static void sent(void *arg, uint64_t id, int err)
{
    const struct courier *c = arg;
    struct packer *p = channel_begin(master(c), MSG_NET_SENT, 2);

    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "err", (uint64_t)err);
    channel_end(master(c), NULL, 0);
}

static bool got(void *arg, uint16_t node, uint64_t boot, uint64_t kind, struct span body)
{
    const struct courier *c = arg;
    struct packer *p;

    if (channel_queued(master(c)) > MASTER_QUEUE) return false;
    p = channel_begin(master(c), MSG_NET_GOT, 4);
    pack_kv_u64(p, "node", node);
    pack_kv_u64(p, "boot", boot);
    pack_kv_u64(p, "kind", kind);
    pack_kv_bin(p, "body", body);
    channel_end(master(c), NULL, 0);
    return true;
}

static const struct posts_ops posts_ops = {sent, got};

/* --- the site's etcd --- */

static void etcd_begin(void *arg)
{
    const struct courier *c = arg;

    channel_send0(master(c), MSG_ETCD_BEGIN);
}

static void etcd_row(void *arg, const struct store_row *r)
{
    const struct courier *c = arg;
    struct packer *p = channel_begin(master(c), MSG_ETCD_ROW, 6);

    pack_kv_u64(p, "kind", r->kind);
    pack_kv_bin(p, "name", r->name);
    pack_kv_u64(p, "revision", r->revision);
    pack_kv_bin(p, "text", r->text);
    pack_kv_bool(p, "gone", r->gone);
    pack_kv_bool(p, "large", r->large);
    channel_end(master(c), NULL, 0);
}

static void etcd_ready(void *arg, uint64_t revision, uint64_t cluster)
{
    const struct courier *c = arg;
    struct packer *p = channel_begin(master(c), MSG_ETCD_READY, 2);

    pack_kv_u64(p, "revision", revision);
    pack_kv_u64(p, "cluster", cluster);
    channel_end(master(c), NULL, 0);
}

static void etcd_turned(void *arg)
{
    tell_store(arg);
}

static void etcd_changed(void *arg, const struct change_done *d)
{
    const struct courier *c = arg;
    struct packer *p = channel_begin(master(c), MSG_ETCD_CHANGED, 4);

    pack_kv_u64(p, "id", d->id);
    pack_kv_u64(p, "how", d->how);
    pack_kv_u64(p, "revision", d->revision);
    pack_kv_text(p, "why", d->why);
    channel_end(master(c), NULL, 0);
}

static void etcd_held(void *arg, usec_t until_us)
{
    const struct courier *c = arg;
    struct packer *p = channel_begin(master(c), MSG_ETCD_HELD, 1);

    pack_kv_i64(p, "until_us", until_us);
    channel_end(master(c), NULL, 0);
}

static void etcd_owns(void *arg, const char *uid, uint64_t term)
{
    const struct courier *c = arg;
    struct packer *p = channel_begin(master(c), MSG_ETCD_OWNS, 2);

    pack_kv_text(p, "uid", uid);
    pack_kv_u64(p, "term", term);
    channel_end(master(c), NULL, 0);
}

static size_t etcd_queued(void *arg)
{
    const struct courier *c = arg;

    return channel_queued(master(c));
}

static const struct store_ops store_ops = {
    etcd_begin, etcd_row, etcd_ready, etcd_turned, etcd_changed, etcd_held, etcd_owns, etcd_queued};

/* --- the other nodes --- */

static void on_there(void *arg, struct peer *p)
{
    const struct courier *c = arg;

    posts_there(c->posts, p);
    fill_there(c->fill, p);
}

static void on_away(void *arg, struct peer *p)
{
    (void)arg;
    (void)p;
}

static void on_gone(void *arg, struct peer *p)
{
    const struct courier *c = arg;

    posts_gone(c->posts, p);
    fill_gone(c->fill, p);
}

static void on_known(struct courier *c, struct trunk *l, const struct wire_frame *f)
{
    const struct peer *p = nodes_of(c->nodes, l);

    serve_say_end(l, f->id, p ? fill_known(c->fill, p, f->body) : EPERM);
}

static void on_question(void *arg, struct trunk *l, const struct wire_frame *f)
{
    struct courier *c = arg;

    if (f->type == WIRE_POST)
        posts_take(c->posts, l, f);
    else if (f->type == WIRE_KNOWN)
        on_known(c, l, f);
    else if (!serve_ask(&c->serve, l, f))
        serve_say_end(l, f->id, ENOSYS);
}

static void on_trunk_room(void *arg, struct trunk *l)
{
    struct courier *c = arg;

    serve_room(&c->serve, l);
}

static void on_trunk_end(void *arg, struct trunk *l)
{
    struct courier *c = arg;

    serve_end(&c->serve, l);
}

static const struct nodes_ops nodes_ops = {
    on_there, on_away, on_gone, on_question, on_trunk_room, on_trunk_end};

/* --- httpd and the keeper --- */

static int on_httpd(struct channel *ch, struct incoming *in)
{
    struct courier *c = channel_arg(ch);

    return away_message(&c->away, in);
}

static void on_close(struct channel *ch, int err)
{
    struct courier *c = channel_arg(ch);

    if (err != 0) log_warn("peer-closed", "err=%s", log_q(span_of(err_text(err))));
    if (c->away.httpd == ch) away_httpd(&c->away, NULL);
    if (c->keeper == ch) fill_keeper(c->fill, c->keeper = NULL);
    channel_free(ch);
}

static int on_keeper(struct channel *ch, struct incoming *in)
{
    const struct courier *c = channel_arg(ch);

    return fill_message(c->fill, in);
}

static const struct channel_ops httpd_ops = {on_httpd, on_close}, keeper_ops = {on_keeper, on_close};

static void meet_keeper(struct courier *c, int fd)
{
    struct channel *old = c->keeper;

    c->keeper = channel_new(c->loop, fd, ROLE_COURIER, ROLE_KEEPER, &keeper_ops, c);
    fill_keeper(c->fill, c->keeper);
    channel_free(old);
}

static void meet_httpd(struct courier *c, int fd)
{
    struct channel *old = c->away.httpd;

    away_httpd(&c->away, channel_new(c->loop, fd, ROLE_COURIER, ROLE_HTTPD, &httpd_ops, c));
    channel_free(old);
}

static int on_peer(struct courier *c, struct incoming *in)
{
    uint64_t role = packed_u64(in->body, "role", 0);

    if (in->n_fds != 1 || (role != ROLE_HTTPD && role != ROLE_KEEPER)) return -EPROTO;
    if (role == ROLE_HTTPD)
        meet_httpd(c, in->fds[0]);
    else
        meet_keeper(c, in->fds[0]);
    in->fds[0] = -1;
    return 0;
}

/* --- life --- */

static void on_welcome(struct child *ch, const struct packed *body)
{
    struct courier *c = child_arg(ch);

    (void)body;
    loop_timer_every(c->loop, &c->second, STATE_US, tell_state, c);
}

/* Nothing here is anybody's only copy. */
static void on_stop(struct child *ch, bool orphaned)
{
    child_exit(ch, orphaned ? CHILD_EXIT_ORPHAN : CHILD_EXIT_OK);
}

static const struct child_ops ops = {.on_welcome = on_welcome, .on_message = on_message, .on_stop = on_stop};

bool courier_start(struct loop *l)
{
    struct courier *c = &courier;
    const struct child_setup setup = {
        .role = ROLE_COURIER, .process = "courier", .beat = true, .ops = &ops, .arg = c};

    c->loop = l;
    store_init(&c->store, l, &store_ops, c);
    c->nodes = nodes_new(l, &nodes_ops, c);
    c->posts = posts_new(l, c->nodes, &posts_ops, c);
    shelves_init(&c->shelves, l, on_suspect, c);
    c->fill = fill_new(l, c->nodes, &c->shelves);
    serve_init(&c->serve, l, &c->shelves);
    away_init(&c->away, l, c->nodes, cache_new(c->nodes));
    c->master = child_start(l, &setup);
    return c->master != NULL;
}
