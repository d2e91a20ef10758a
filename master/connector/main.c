/* ms-connector: gives workers their camera's sockets, those it connects and those of cameras that push. */
#include "common/ipc/child.h"
#include "master/connector/names.h"
#include "master/connector/push.h"

struct connector {
    struct loop *loop;
    struct peers *peers;
    struct push *push;
    struct names *names;
    struct child *master;
};

static int take_peer(struct connector *c, struct incoming *in)
{
    if (in->n_fds != 1) return 0;
    peers_add(c->peers, in->body, in->fds[0]);
    in->fds[0] = -1;
    return 0;
}

static void take_listener(struct connector *c, struct incoming *in)
{
    if (in->n_fds != 1) return;
    push_listen(c->push, in->body, in->fds[0]);
    in->fds[0] = -1;
}

static void resolved(void *arg, const char *host, const char *addr)
{
    const struct connector *c = arg;
    struct channel *to = child_control(c->master);
    struct packer *p;

    if (!to) return;
    p = channel_begin(to, MSG_RESOLVED, 2);
    pack_kv_text(p, "host", host);
    pack_kv_text(p, "addr", addr);
    channel_end(to, NULL, 0);
}

static void take_relayed(struct connector *c, struct incoming *in)
{
    if (in->n_fds != 1) return;
    push_take(c->push, in->body, in->fds[0]);
    in->fds[0] = -1;
}

static int on_message(struct child *ch, struct incoming *in)
{
    struct connector *c = child_arg(ch);

    if (in->type == MSG_CONN_PEER) return take_peer(c, in);
    if (in->type == MSG_RESOLVE) names_ask(c->names, packed_str(in->body, "host"));
    if (in->type == MSG_PUSH_CONF) push_conf(c->push, in->body);
    if (in->type == MSG_LISTEN) take_listener(c, in);
    if (in->type == MSG_PUSH_TLS) take_relayed(c, in);
    if (in->type == MSG_CONN_PEER_GONE) peers_remove(c->peers, packed_str(in->body, "uid"));
    return 0;
}

static void on_stop(struct child *ch, bool orphaned)
{
    struct connector *c = child_arg(ch);

    names_free(c->names);
    push_free(c->push);
    peers_free(c->peers);
    child_exit(ch, orphaned ? CHILD_EXIT_ORPHAN : CHILD_EXIT_OK);
}

static const struct child_ops ops = {.on_message = on_message, .on_stop = on_stop};

int main(void)
{
    struct connector c = {.loop = loop_new()};
    const struct child_setup setup = {
        .role = ROLE_CONNECTOR, .process = "connector", .beat = true, .ops = &ops, .arg = &c};

    c.master = child_start(c.loop, &setup);
    if (!c.master) return CHILD_EXIT_CONFIG;
    c.peers = peers_new(c.loop, NULL);
    c.push = push_new(c.loop, c.peers);
    c.names = names_new(c.loop, NULL, resolved, &c);
    loop_run(c.loop);
    return CHILD_EXIT_OK;
}
