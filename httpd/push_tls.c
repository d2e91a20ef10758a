#include "httpd/push_tls.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#define STALL_US (30 * US_PER_S) /* bytes for one side, and none accepted */

/* Two connections of one hub, each of which is sent what comes on the other. */
struct relay {
    struct hub *hub;
    struct list link;
    struct conn *side[2]; /* the camera's, the connector's; NULL: gone */
};

static const struct conn_limits limits = {
    .read_max = 64u << 10,
    .queue_high = 256u << 10,
    .idle_us = 0, /* the worker knows when nothing has come for too long */
    .stall_us = STALL_US,
};

static struct conn *other_of(const struct relay *r, const struct conn *c)
{
    return r->side[r->side[0] == c];
}

static size_t on_data(struct conn *c, struct span data)
{
    struct conn *other = other_of(conn_arg(c), c);

    if (!other) return data.n;
    conn_send(other, data);
    if (conn_congested(other)) {
        conn_pause(c);
        conn_mind_end(c, true);
    }
    return data.n;
}

static void on_sent(struct conn *c)
{
    struct conn *other = other_of(conn_arg(c), c);

    if (!other) return;
    conn_mind_end(other, false);
    conn_resume(other);
}

static void on_close(struct conn *c, int err)
{
    struct relay *r = conn_arg(c);
    struct conn *other = other_of(r, c);

    (void)err;
    r->side[r->side[0] != c] = NULL;
    if (other) {
        conn_close_after_send(other);
        return;
    }
    list_remove(&r->link);
    atomic_fetch_sub(&r->hub->server->conns, 1);
    mem_free(r);
}

static const struct conn_ops ops = {on_data, on_sent, on_close};

void push_tls_accept(struct door *door, struct conn_over over)
{
    struct server *server = door->hub->server;
    char text[ADDR_TEXT_MAX];
    struct addr addr;
    struct relay *r;
    int pair[2];

    if (atomic_fetch_add(&server->conns, 1) >= atomic_load(&server->conns_max) ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
        atomic_fetch_sub(&server->conns, 1);
        conn_over_close(&over);
        return;
    }
    r = NEW(struct relay);
    r->hub = door->hub;
    list_push(&r->hub->relays, &r->link);
    r->side[0] = conn_new_on(r->hub->loop, over, &ops, &limits, r);
    r->side[1] = conn_new(r->hub->loop, pair[0], &ops, &limits, r);
    if (!addr_of((const struct sockaddr *)conn_peer(r->side[0]), &addr)) {
        fd_close(&pair[1]);
        conn_close(r->side[0], 0);
        return;
    }
    server->give_push(pair[1], addr_text(&addr, text), door->base);
}

void push_tls_close_all(struct hub *hub)
{
    LIST_EACH(&hub->relays, at)
    {
        struct relay *r = LIST_ITEM(at, struct relay, link);

        for (size_t i = 0; i < ARRAY_N(r->side); i++)
            if (r->side[i]) conn_close(r->side[i], 0);
    }
}
