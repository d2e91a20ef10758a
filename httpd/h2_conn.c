#include "httpd/h2_conn.h"
#include "httpd/h2.h"
#include "common/base/mem.h"
#include "common/net/pipe.h"

#include <netinet/tcp.h>

#define QUEUE    (64u << 10) /* bytes given to TLS at once: what is urgent does not wait behind more */
#define UNSENT   (128 << 10) /* the same for the kernel */
#define CHECK_US (5 * US_PER_S)

/* Bytes of an answer between its maker and the connection: each turn between their threads costs, and so does
 * memory for a client that opens all the streams it may and reads none of them (9 MB). */
static const struct {
    size_t streams, ahead;
} aheads[] = {{4, 512u << 10}, {16, 128u << 10}, {SIZE_MAX, 64u << 10}};

struct h2_conn {
    struct door *door;
    struct list link;
    struct conn *conn;
    struct h2 *h2;
    struct loop_timer check;
    struct loop_task task;
    bool closing;
};

struct h2_road {
    struct h2_conn *c;
    struct h2_stream *s;
    struct pipe *pipe;
};

static const struct conn_limits limits = {
    .read_max = 64u << 10, .queue_high = QUEUE, .idle_us = 0, .stall_us = HTTP_STALL_TIMEOUT_US};

static usec_t now_of(const struct h2_conn *c)
{
    return loop_now_us(c->door->hub->loop);
}

/* --- to the connection --- */

static void send_all(struct h2_conn *c)
{
    if (c->closing) return;
    if (h2_send(c->h2, now_of(c))) return;
    c->closing = true;
    conn_close_after_send(c->conn);
}

static void send_task(struct loop_task *t)
{
    send_all(CONTAINER(t, struct h2_conn, task));
}

static void send_later(struct h2_conn *c)
{
    loop_defer(c->door->hub->loop, &c->task, send_task);
}

static bool full(void *arg)
{
    struct h2_conn *c = arg;

    return conn_congested(c->conn);
}

static void out(void *arg, struct span bytes)
{
    struct h2_conn *c = arg;

    conn_send(c->conn, bytes);
}

static void out_chunk(void *arg, struct chunk *chunk, size_t from, size_t n)
{
    struct h2_conn *c = arg;

    conn_send_chunk(c->conn, chunk, from, n);
}

/* --- streams --- */

static void answer(void *arg, struct chunk *chunk, size_t from, size_t n)
{
    struct h2_road *r = arg;

    send_later(r->c);
    h2_answer(r->s, chunk, from, n);
}

static void taken(void *arg, size_t n)
{
    struct h2_road *r = arg;

    send_later(r->c);
    h2_taken(r->s, n);
}

static void answered(void *arg, bool whole)
{
    struct h2_road *r = arg;

    send_later(r->c);
    h2_answer_end(r->s, whole);
}

static const struct pipe_ops pipe_ops = {answer, taken, answered};

static size_t ahead_of(const struct h2_conn *c)
{
    size_t i = 0;

    while (h2_streams(c->h2) > aheads[i].streams) i++;
    return aheads[i].ahead;
}

static void *request(void *arg, struct h2_stream *s, struct span head)
{
    struct h2_conn *c = arg;
    struct h2_road *r;

    if (c->closing) return NULL;
    r = NEW(struct h2_road);
    r->c = c;
    r->s = s;
    r->pipe = pipe_new(c->door->hub->loop, ahead_of(c), c->conn, &pipe_ops, r);
    http_accept(c->door, conn_over_pipe(r->pipe));
    (void)pipe_give(r->pipe, head); /* of one that was refused the end is on its way */
    return r;
}

static void body(void *of, struct span bytes)
{
    struct h2_road *r = of;

    (void)pipe_give(r->pipe, bytes);
}

static void passed(void *of, size_t n)
{
    struct h2_road *r = of;

    pipe_passed(r->pipe, n);
}

static void gone(void *of)
{
    struct h2_road *r = of;

    pipe_close(r->pipe);
    mem_free(r);
}

static const struct h2_ops h2_ops = {request, body, passed, gone, full, out, out_chunk};

/* --- the connection --- */

static size_t on_data(struct conn *conn, struct span data)
{
    struct h2_conn *c = conn_arg(conn);

    if (c->closing) return data.n;
    if (!h2_feed(c->h2, data, now_of(c))) {
        (void)h2_send(c->h2, now_of(c)); /* why */
        c->closing = true;
        conn_close_after_send(conn);
        return data.n;
    }
    send_later(c);
    return data.n;
}

static void on_sent(struct conn *conn)
{
    send_all(conn_arg(conn));
}

static void on_close(struct conn *conn, int err)
{
    struct h2_conn *c = conn_arg(conn);

    (void)err;
    c->closing = true;
    h2_free(c->h2);
    loop_timer_stop(&c->check);
    loop_defer_stop(c->door->hub->loop, &c->task);
    list_remove(&c->link);
    atomic_fetch_sub(&c->door->hub->server->conns, 1);
    mem_free(c);
}

static const struct conn_ops ops = {on_data, on_sent, on_close};

static void check(struct loop_timer *t)
{
    struct h2_conn *c = t->arg;

    h2_check(c->h2, now_of(c));
    send_all(c);
}

void h2_accept(struct door *door, struct conn_over over)
{
    struct server *server = door->hub->server;
    int unsent = UNSENT;
    struct h2_conn *c;

    if (atomic_fetch_add(&server->conns, 1) >= atomic_load(&server->conns_max)) {
        atomic_fetch_sub(&server->conns, 1);
        conn_over_close(&over);
        return;
    }
    c = NEW(struct h2_conn);
    c->door = door;
    setsockopt(over.fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
    c->conn = conn_new_on(door->hub->loop, over, &ops, &limits, c);
    c->h2 = h2_new(&h2_ops, c, now_of(c));
    list_push(&door->hub->h2_conns, &c->link);
    loop_timer_every(door->hub->loop, &c->check, CHECK_US, check, c);
    send_later(c);
}

void h2_goodbye_all(struct hub *hub, void *unused)
{
    (void)unused;
    LIST_EACH(&hub->h2_conns, at)
    {
        struct h2_conn *c = LIST_ITEM(at, struct h2_conn, link);

        h2_goodbye(c->h2);
        send_all(c);
        conn_flush(c->conn);
    }
}

void h2_close_all(struct hub *hub)
{
    h2_goodbye_all(hub, NULL);
    LIST_EACH(&hub->h2_conns, at) conn_close(LIST_ITEM(at, struct h2_conn, link)->conn, 0);
}
