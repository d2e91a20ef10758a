#include "httpd/http.h"
#include "httpd/answer.h"
#include "httpd/auth.h"
#include "httpd/body.h"
#include "httpd/http_access.h"
#include "httpd/rtsp/tunnel.h"
#include "httpd/rtsp_conn.h"
#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <netinet/tcp.h>
#include <unistd.h>

static void serve(struct http *h);
static void next_request(struct http *h);

static const struct conn_limits limits = {
    .read_max = HTTP_HEAD_MAX + HTTP_LINE_MAX,
    .queue_high = HTTP_QUEUE_HIGH,
    .idle_us = 0, /* the timers here know more */
    .stall_us = HTTP_STALL_TIMEOUT_US,
};

/* --- timers: one of these at a time --- */

static void head_late(struct loop_timer *t)
{
    struct http *h = t->arg;

    h->last = true;
    if (h->partial)
        answer_error(h, 408, "the request did not come within %d s", (int)(HTTP_HEAD_TIMEOUT_US / US_PER_S));
    else
        conn_close(h->conn, 0);
}

static void wait_over(struct loop_timer *t)
{
    struct http *h = t->arg;

    list_remove(&h->ask->waiting);
    h->ask->timed_out = true;
    serve(h);
}

void http_timer(struct http *h, usec_t after_us, void (*fn)(struct loop_timer *t))
{
    loop_timer_set(h->hub->loop, &h->timer, after_us, fn, h);
}

static void await_request(struct http *h)
{
    http_timer(h, h->partial ? HTTP_HEAD_TIMEOUT_US : HTTP_IDLE_TIMEOUT_US, head_late);
}

/* --- the request in service --- */

static struct ask *ask_new(struct http *h)
{
    struct ask *a = NEW(struct ask);

    a->http = h;
    return a;
}

static void ask_free(struct ask *a)
{
    if (!a) return;
    list_remove(&a->waiting);
    http_access_done(a);
    buf_done(&a->body);
    mem_free(a->kept);
    mem_free(a);
}

/* The head's bytes belong to the connection only until on_data returns. */
static void keep_head(struct http *h, struct span head)
{
    struct head_find find = {0};
    size_t n;

    h->ask->kept = mem_dup(head.p, head.n);
    http_request_parse(&find, span(h->ask->kept, head.n), INT64_MAX, &h->ask->req, &n);
}

void http_wait(struct http *h, struct list *on, usec_t most_us)
{
    usec_t now = loop_now_us(h->hub->loop);

    if (h->ask->wait_until_us == 0) h->ask->wait_until_us = now + most_us;
    list_push(on, &h->ask->waiting);
    conn_mind_end(h->conn, true);
    http_timer(h, MAX(h->ask->wait_until_us - now, 0), wait_over);
}

void http_again(struct http *h)
{
    serve(h);
}

void http_wake(struct list *waiting)
{
    struct list all;

    if (list_empty(waiting)) return;
    /* Handlers may wait again on the same list: take it over first. */
    all.next = waiting->next;
    all.prev = waiting->prev;
    all.next->prev = all.prev->next = &all;
    list_init(waiting);
    while (!list_empty(&all)) {
        struct ask *a = LIST_ITEM(all.next, struct ask, waiting);
        struct http *h = a->http;

        list_remove(&a->waiting);
        serve(h);
    }
}

static void close_after(struct http *h)
{
    h->closing = true;
    loop_timer_stop(&h->timer);
    conn_close_after_send(h->conn);
}

void http_done(struct http *h)
{
    ask_free(h->ask);
    h->ask = NULL;
    if (h->closing) return;
    if (h->last) {
        close_after(h);
        return;
    }
    h->partial = false;
    await_request(h);
    if (!h->in_data) next_request(h);
}

void http_cut(struct http *h)
{
    if (h->ask && h->ask->abort) h->ask->abort(h);
    ask_free(h->ask);
    h->ask = NULL;
    h->closing = true;
    loop_timer_stop(&h->timer);
    conn_close(h->conn, 0);
}

static void next_request(struct http *h)
{
    conn_mind_end(h->conn, false);
    if (!h->paused || conn_congested(h->conn)) return;
    h->paused = false;
    conn_resume(h->conn);
}

/* --- from a request to its handler --- */

static void arrived(struct conn *c)
{
    struct http *h = conn_arg(c);
    struct hub *to = hub_home(h->hub->server, h->ask->match.uid);

    h->moving = false;
    h->hub = to;
    list_push(&to->conns, &h->link);
    serve(h);
}

static void move(struct loop_timer *t)
{
    struct http *h = t->arg;

    hub_leave(h->conn, &h->link, &h->timer, hub_home(h->hub->server, h->ask->match.uid), arrived);
}

static void preflight(struct http *h)
{
    struct answer a = {.status = 204};
    char allow[64], extra[ANSWER_EXTRA_MAX];
    const struct route *r = h->ask->match.route;

    route_allow(r, allow, sizeof(allow));
    snprintf(extra, sizeof(extra), "Allow: %s\r\n", allow);
    if (r->flags & ROUTE_MEDIA)
        snprintf(extra, sizeof(extra),
            "Allow: %s\r\nAccess-Control-Allow-Methods: %s\r\n"
            "Access-Control-Allow-Headers: Range, If-Range, If-None-Match, If-Modified-Since, Authorization, "
            "Cache-Control\r\nAccess-Control-Max-Age: 86400\r\n",
            allow, allow);
    a.extra = extra;
    answer_empty(h, &a);
}

static void run_stream_route(struct http *h)
{
    h->ask->stream = stream_get(h->hub, h->ask->match.uid);
    if (!h->ask->stream) {
        answer_error(h, 404, "no such stream");
        return;
    }
    if (http_may_run(h)) h->ask->match.route->run(h);
}

/* Also runs again for a request that has waited. */
static void serve(struct http *h)
{
    const struct route *r = h->ask->match.route;

    loop_timer_stop(&h->timer);
    conn_mind_end(h->conn, false);
    if (!(r->flags & ROUTE_STREAM)) {
        r->run(h);
        return;
    }
    if (hub_home(h->hub->server, h->ask->match.uid) != h->hub) {
        h->moving = true;
        http_timer(h, 0, move);
        return;
    }
    run_stream_route(h);
}

/* API and panel stand at bases of their own; inside they are /api and /cpanel always. dst: HTTP_PATH_MAX
 * bytes. */
static bool from_base(const char *base, const char *inside, struct span *path, char *dst)
{
    struct span b = span_of(base), rest = span_from(*path, MIN(b.n, path->n));
    struct wr w = wr_of(dst, HTTP_PATH_MAX);

    if (!span_starts(*path, b) || (rest.n > 0 && rest.p[0] != '/')) return false;
    wr_text(&w, inside);
    wr_bytes(&w, rest);
    *path = span_of(wr_cstr(&w));
    return true;
}

/* false: there is nothing at this path. */
static bool module_path(const struct http *h, struct span *path, char *dst)
{
    const struct auth *a = h->hub->auth;
    const struct {
        const char *base, *inside;
    } rows[] = {{a->api_base, "/api"}, {a->cpanel_base, "/cpanel"}};

    /* Pages of streams have their player from there, whatever the panel's base. */
    if (span_starts(*path, SPAN_LIT("/cpanel/player/")) || span_starts(*path, SPAN_LIT("/cpanel/lib/")))
        return true;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (strcmp(rows[i].base, rows[i].inside) != 0) {
            if (from_base(rows[i].base, rows[i].inside, path, dst)) return true;
            if (from_base(rows[i].inside, rows[i].inside, path, dst)) return false;
        }
    return true;
}

static bool below_base(const struct http *h, struct span *path)
{
    struct span base = span_of(h->base);

    if (base.n <= 1) return true;
    if (!span_starts(*path, base)) return false;
    *path = span_from(*path, base.n - 1);
    return true;
}

static void options_star(struct http *h)
{
    struct answer a = {.status = 204, .extra = "Allow: GET, HEAD, OPTIONS\r\n"};

    answer_empty(h, &a);
}

static void route(struct http *h)
{
    struct ask *a = h->ask;
    char allow[64], extra[96], inside[HTTP_PATH_MAX];
    struct span path;
    unsigned status;

    a->head_only = a->req.method == HTTP_HEAD;
    if (span_is(a->req.path, "*")) {
        options_star(h);
        return;
    }
    if (!http_path_decode(a->req.path, a->path, sizeof(a->path))) {
        answer_error(h, 400, "this path cannot be");
        return;
    }
    path = span_of(a->path);
    if (!below_base(h, &path) || (h->module && !module_path(h, &path, inside))) {
        answer_error(h, 404, "nothing is here");
        return;
    }
    if (path.p == (const uint8_t *)inside) { /* the match points into it */
        span_copy(path, a->path, sizeof(a->path));
        path = span_of(a->path);
    }
    a->session_id = http_session_id(&path);
    status = route_find(path, a->req.method, h->module, &a->match);
    if (status != 404 && a->session_id.n > 0 && !(a->match.route->flags & ROUTE_STREAM)) status = 404;
    if (status != 404)
        atomic_fetch_add_explicit(&h->hub->count.requests_of[a->match.route->road], 1, memory_order_relaxed);
    if (status == 404) {
        answer_error(h, 404, "nothing is here");
    } else if (a->req.method == HTTP_OPTIONS) {
        preflight(h);
    } else if (status == 405) {
        snprintf(extra, sizeof(extra), "Allow: %s\r\n", route_allow(a->match.route, allow, sizeof(allow)));
        answer_error_with(h, 405, extra, "not by this method");
    } else if (a->req.body_n > body_most(a->match.route)) {
        h->last = true;
        answer_error(h, 413, "the body is too long: %u KiB at most", body_most(a->match.route) >> 10);
    } else if (!body_begin(h)) {
        serve(h);
    }
}

/* --- bytes from the connection --- */

/* false: more input is needed, or the body is broken. */
static bool skip_body(struct http *h, struct span *in)
{
    struct span piece;
    int err;

    if (!h->skip_chunked) {
        size_t n = (size_t)MIN(h->skip, (uint64_t)in->n);

        h->skip -= n;
        *in = span_from(*in, n);
        return h->skip == 0;
    }
    while ((err = http_chunked_next(&h->chunked, in, HTTP_BODY_MAX, &piece)) == 0) {
    }
    if (err == HTTP_CHUNK_END) {
        h->skip_chunked = false;
        return true;
    }
    if (err != HTTP_CHUNK_MORE) {
        h->last = true;
        answer_error(h, err == HTTP_CHUNK_LARGE ? 413 : 400, "broken body");
    }
    return false;
}

static void refuse(struct http *h, unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } why[] = {
        {400, "this is not a request"},
        {413, "the body is too long"},
        {414, "the request line is too long"},
        {431, "the head is too long"},
        {501, "method or transfer coding not known here"},
        {505, "HTTP/1.0 and 1.1 are spoken here"},
    };
    const char *text = why[0].text;

    for (size_t i = 0; i < ARRAY_N(why); i++)
        if (why[i].status == status) text = why[i].text;
    h->last = true;
    answer_error(h, status, "%s", text);
}

/* One request from the front of *in. false: no more for now. */
static bool take_request(struct http *h, struct span *in)
{
    struct ask *a;
    size_t n;
    int err;

    if (h->ask) {
        if (!body_take(h, in)) return false;
        serve(h);
        return !h->ask && !h->closing;
    }
    if (h->skip > 0 || h->skip_chunked)
        if (!skip_body(h, in)) return false;
    if (in->n == 0) return false;
    a = ask_new(h);
    err = http_request_parse(&h->find, *in, h->module ? INT64_MAX : HTTP_BODY_MAX, &a->req, &n);
    if (err == HEAD_E_MORE) {
        ask_free(a);
        if (!h->partial) {
            h->partial = true;
            await_request(h);
        }
        return false;
    }
    h->ask = a;
    atomic_fetch_add_explicit(&h->hub->count.requests, 1, memory_order_relaxed);
    if (err != 0) {
        ask_free(a);
        h->ask = NULL;
        refuse(h, (unsigned)err);
        return false;
    }
    h->find = (struct head_find){0};
    if (!h->module && tunnel_is(&a->req.head)) {
        h->tunnels = true;
        ask_free(a);
        h->ask = NULL;
        return false;
    }
    h->skip = a->req.body_n;
    h->skip_chunked = a->req.chunked;
    h->chunked = (struct http_chunked){0};
    /* Whoever waits for our leave to send a body gets the answer without it. */
    h->last = !a->req.keep_alive || (a->req.expect_continue && (h->skip > 0 || h->skip_chunked));
    loop_timer_stop(&h->timer);
    route(h);
    if (h->ask && !h->closing) keep_head(h, span_sub(*in, 0, n));
    *in = span_from(*in, n);
    return (!h->ask || h->ask->gathers) && !h->closing;
}

/* RTSP over HTTP reads the request itself. One in a stream of HTTP/2 has no connection of its own to give. */
static bool become_tunnel(struct http *h)
{
    if (h->carried || !rtsp_take(h->hub, h->base, h->conn)) {
        h->tunnels = false;
        refuse(h, 400);
        return false;
    }
    loop_timer_stop(&h->timer);
    list_remove(&h->link);
    mem_free(h);
    return true;
}

static size_t on_data(struct conn *c, struct span data)
{
    struct http *h = conn_arg(c);
    struct span in = data;

    if (h->closing) return data.n;
    if (h->ask && h->ask->data) {
        h->ask->data(h, data);
        return data.n;
    }
    if (h->ask && !h->ask->gathers) return 0;
    h->in_data = true;
    while (!conn_congested(c) && take_request(h, &in)) {
    }
    h->in_data = false;
    if (h->tunnels) return become_tunnel(h) ? data.n - in.n : data.n;
    if (h->closing) return data.n;
    if (h->ask && h->ask->data) {
        h->ask->data(h, in);
        return data.n;
    }
    if ((h->ask && !h->ask->gathers) || conn_congested(c)) {
        h->paused = true;
        conn_pause(c);
    }
    return data.n - in.n;
}

static void on_sent(struct conn *c)
{
    struct http *h = conn_arg(c);

    if (h->closing) return;
    if (h->moving) {
        if (conn_queued(c) == 0) http_timer(h, 0, move);
    } else if (h->ask) {
        if (h->ask->sent) h->ask->sent(h);
    } else {
        next_request(h);
    }
}

static void on_close(struct conn *c, int err)
{
    struct http *h = conn_arg(c);

    (void)err;
    loop_timer_stop(&h->timer);
    if (h->ask && h->ask->abort) h->ask->abort(h);
    ask_free(h->ask);
    list_remove(&h->link);
    h->hub->closed_bytes += conn_bytes_out(c);
    atomic_fetch_sub(&h->hub->server->conns, 1);
    if (h->carried) atomic_fetch_sub(&h->hub->server->carried, 1);
    mem_free(h);
}

static const struct conn_ops ops = {on_data, on_sent, on_close};

void http_accept(struct door *door, struct conn_over over)
{
    struct server *server = door->hub->server;
    struct http *h;

    if (atomic_fetch_add(&server->conns, 1) >= atomic_load(&server->conns_max)) {
        atomic_fetch_sub(&server->conns, 1);
        conn_over_close(&over);
        return;
    }
    h = NEW(struct http);
    h->hub = door->hub;
    h->module = door->module;
    h->carried = over.fd < 0;
    if (h->carried) atomic_fetch_add(&server->carried, 1);
    span_copy(span_of(door->base), h->base, sizeof(h->base));
    list_push(&h->hub->conns, &h->link);
    h->partial = true; /* silence from the start is as slow as a slow head */
    h->conn = conn_new_on(h->hub->loop, over, &ops, &limits, h);
    await_request(h);
}

uint64_t http_bytes_out(const struct hub *hub)
{
    uint64_t sum = 0;

    LIST_EACH(&hub->conns, at) sum += conn_bytes_out(LIST_ITEM(at, struct http, link)->conn);
    return sum;
}

void http_close_all(struct hub *hub)
{
    LIST_EACH(&hub->conns, at) conn_close(LIST_ITEM(at, struct http, link)->conn, 0);
}
