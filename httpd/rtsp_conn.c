#include "httpd/rtsp_conn_impl.h"
#include "httpd/access.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/wire/url.h"

static const struct conn_limits limits = {
    .read_max = RTSP_SERVER_READ_MAX,
    .queue_high = RTSP_QUEUE_HIGH,
    .idle_us = 0, /* the machine knows more */
    .stall_us = RTSP_STALL_US,
};

static void open_granted(struct rtsp_conn *r);

/* --- timers --- */

static void set_timer(struct rtsp_conn *r);

static void dead(struct loop_timer *t)
{
    struct rtsp_conn *r = t->arg;
    usec_t at_us = rtsp_server_deadline(&r->server);

    if (at_us != 0 && at_us <= loop_now_us(r->hub->loop))
        conn_close(r->conn, 0);
    else
        set_timer(r); /* it was heard of over UDP */
}

static void set_timer(struct rtsp_conn *r)
{
    usec_t at_us = rtsp_server_deadline(&r->server), now_us = loop_now_us(r->hub->loop);

    if (rtsp_server_busy(&r->server)) return;
    if (at_us == 0)
        loop_timer_stop(&r->timer);
    else
        loop_timer_set(r->hub->loop, &r->timer, MAX(at_us - now_us, 0), dead, r);
}

/* What was asked while an answer was waited for. */
static void go_on(struct rtsp_conn *r)
{
    if (r->closing) return;
    set_timer(r);
    if (r->way == TUNNEL_GET)
        rtsp_tunnel_go_on(r);
    else
        conn_resume(r->conn);
}

/* --- waiting for a picture --- */

struct stream *rtsp_conn_stream(struct rtsp_conn *r)
{
    return stream_get(r->hub, span_of(r->uid));
}

static void look_again(struct rtsp_conn *r)
{
    if (r->server.busy == RTSP_PLAY)
        rtsp_play_start(r);
    else
        open_granted(r);
}

static void woken(struct rtsp_wait *w)
{
    look_again(CONTAINER(w, struct rtsp_conn, wait));
}

static void wait_over(struct loop_timer *t)
{
    struct rtsp_conn *r = t->arg;

    list_remove(&r->wait.link);
    r->timed_out = true;
    look_again(r);
}

void rtsp_conn_wait(struct rtsp_conn *r, struct rtsp_live *l)
{
    usec_t now_us = loop_now_us(r->hub->loop);

    if (r->wait_until_us == 0) r->wait_until_us = now_us + HTTP_WAIT_US;
    rtsp_live_wait(l, &r->wait);
    loop_timer_set(r->hub->loop, &r->timer, MAX(r->wait_until_us - now_us, 0), wait_over, r);
}

static void waited(struct rtsp_conn *r)
{
    list_remove(&r->wait.link);
    r->wait_until_us = 0;
    r->timed_out = false;
}

void rtsp_conn_look(struct rtsp_conn *r)
{
    if (!r->closing) set_timer(r);
}

void rtsp_conn_played(struct rtsp_conn *r, unsigned status, const struct rtsp_played *p)
{
    waited(r);
    rtsp_server_played(&r->server, status, NULL, p);
    go_on(r);
}

/* --- DESCRIBE, SETUP: the stream is opened --- */

void rtsp_conn_opened(struct rtsp_conn *r, unsigned status, const char *fields, const struct describe *d)
{
    waited(r);
    rtsp_server_opened(&r->server, status, fields, d);
    go_on(r);
}

/* The question who may watch. */
struct rtsp_ask {
    struct access_ask access;
    struct rtsp_conn *conn;
    char token[ACCESS_TOKEN_MAX + 1];
};

static void forget_ask(struct rtsp_conn *r)
{
    if (r->ask) access_cancel(&r->ask->access);
    mem_free(r->ask);
    r->ask = NULL;
}

static void access_ended(struct access_hold *hold)
{
    struct rtsp_conn *r = CONTAINER(hold, struct rtsp_conn, hold);

    conn_close(r->conn, 0);
}

/* It is allowed; live also once it was waited for. */
static void open_granted(struct rtsp_conn *r)
{
    struct stream *s = rtsp_conn_stream(r);

    if (!s)
        rtsp_conn_opened(r, 404, NULL, NULL);
    else if (r->open.target.dvr)
        rtsp_open_dvr(r, s);
    else
        rtsp_open_live(r, s);
}

static void decided(struct access_ask *access)
{
    struct rtsp_conn *r = CONTAINER(access, struct rtsp_ask, access)->conn;
    unsigned status = access->verdict.status;
    char lines[ACCESS_CHALLENGE_MAX] = "";
    struct wr w = wr_of(lines, sizeof(lines));

    if (access->challenge) access_challenge(access, &w);
    wr_cstr(&w);
    forget_ask(r);
    if (status == 200)
        open_granted(r);
    else
        rtsp_conn_opened(r, status, lines[0] ? lines : NULL, NULL);
}

static void ask_access(struct rtsp_conn *r, struct stream *s)
{
    struct access_ask *a;

    forget_ask(r);
    r->hold.on_end = access_ended;
    r->ask = NEW(struct rtsp_ask);
    r->ask->conn = r;
    a = &r->ask->access;
    *a = (struct access_ask){.hub = r->hub,
        .stream = s,
        .op = r->open.target.dvr ? ACCESS_DVR : ACCESS_LIVE,
        .road = ROAD_RTSP,
        .authorization = r->open.authorization,
        .method = r->open.method,
        .uri = r->open.uri,
        .user_agent = r->open.user_agent,
        .address = r->address,
        .secure = r->secure,
        .hold = &r->hold,
        .done = decided};
    if (r->open.target.dvr && rtsp_dvr_time(r->open.target.query, &a->from_us)) a->to_us = a->from_us;
    if (url_query_get(r->open.target.query, "token", r->ask->token, sizeof(r->ask->token)))
        a->token = span_of(r->ask->token);
    if (access_ask(a)) decided(a);
}

static void open_stream(struct rtsp_conn *r)
{
    struct stream *s = rtsp_conn_stream(r);

    if (!s)
        rtsp_conn_opened(r, 404, NULL, NULL);
    else
        ask_access(r, s);
}

/* What was open: here, on its own hub. */
static void forget_open(struct rtsp_conn *r)
{
    access_release(&r->hold);
    rtsp_dvr_free(r->dvr);
    r->dvr = NULL;
}

/* --- to the stream's hub --- */

static void arrived(struct conn *c)
{
    struct rtsp_conn *r = conn_arg(c);
    void (*fn)(struct conn * c2) = r->arrived;

    r->moving = false;
    r->hub = hub_home(r->hub->server, span_of(r->uid));
    list_push(&r->hub->rtsp_conns, &r->link);
    fn(c);
}

static void move(struct loop_timer *t)
{
    struct rtsp_conn *r = t->arg;

    hub_leave(r->conn, &r->link, &r->timer, hub_home(r->hub->server, span_of(r->uid)), arrived);
}

void rtsp_conn_move(struct rtsp_conn *r, void (*fn)(struct conn *c))
{
    r->arrived = fn;
    r->moving = true;
    loop_timer_set(r->hub->loop, &r->timer, 0, move, r);
}

static void open_there(struct conn *c)
{
    open_stream(conn_arg(c));
}

static void on_open(void *arg, const struct rtsp_open *o)
{
    struct rtsp_conn *r = arg;
    bool here = hub_home(r->hub->server, o->target.uid) == r->hub;

    r->open = *o;
    /* A session is what was granted, and goes on as that: its machine lets nothing else be asked for. */
    if (r->server.state != RTSP_STATE_INIT) {
        open_granted(r);
        return;
    }
    forget_open(r);
    /* The POST of a tunnel is where the stream is that it named. */
    if (!route_uid_ok(o->target.uid) || (!here && r->way == TUNNEL_GET)) {
        rtsp_conn_opened(r, 404, NULL, NULL);
        return;
    }
    span_copy(o->target.uid, r->uid, sizeof(r->uid));
    if (here)
        open_stream(r);
    else
        rtsp_conn_move(r, open_there);
}

/* --- the machine's other words --- */

static void on_send(void *arg, struct span bytes)
{
    struct rtsp_conn *r = arg;

    conn_send(r->conn, bytes);
}

static void on_rtcp(void *arg, unsigned track, struct span compound)
{
    (void)arg;
    (void)track;
    (void)compound; /* over TCP the connection itself says how it fares */
}

static void on_teardown(void *arg)
{
    struct rtsp_conn *r = arg;

    rtsp_play_close(r);
    forget_open(r);
}

static void on_done(void *arg)
{
    struct rtsp_conn *r = arg;

    r->closing = true;
    loop_timer_stop(&r->timer);
    conn_close_after_send(r->conn);
}

static const struct rtsp_server_ops server_ops = {.put = on_send,
    .want = on_open,
    .udp = rtsp_play_udp,
    .play = rtsp_play,
    .pause = rtsp_play_stop,
    .teardown = on_teardown,
    .rtcp = on_rtcp,
    .close = on_done};

/* --- the connection --- */

size_t rtsp_conn_feed(struct rtsp_conn *r, struct span in)
{
    size_t took;

    if (rtsp_server_busy(&r->server)) return 0;
    took = rtsp_server_feed(&r->server, in, loop_now_us(r->hub->loop));
    if (r->closing) return in.n;
    set_timer(r);
    return took;
}

static size_t on_data(struct conn *c, struct span data)
{
    struct rtsp_conn *r = conn_arg(c);
    size_t took = 0;

    if (r->closing) return data.n;
    if (r->moving) return 0;
    if (r->way == TUNNEL_MORE) took = rtsp_tunnel_begin(r, data);
    if (r->closing || r->moving || r->way == TUNNEL_MORE) return r->closing ? data.n : took;
    data = span_from(data, took);
    if (r->way == TUNNEL_GET) return took + data.n; /* nothing is expected there */
    if (r->way == TUNNEL_POST) return took + rtsp_tunnel_post(r, data);
    took += rtsp_conn_feed(r, data);
    if (!r->closing && rtsp_server_busy(&r->server)) {
        conn_pause(c);
        conn_mind_end(c, true);
    }
    return took;
}

static void on_sent(struct conn *c)
{
    struct rtsp_conn *r = conn_arg(c);

    if (r->moving && conn_queued(c) == 0) loop_timer_set(r->hub->loop, &r->timer, 0, move, r);
}

static void on_close(struct conn *c, int err)
{
    struct rtsp_conn *r = conn_arg(c);

    (void)err;
    loop_timer_stop(&r->timer);
    list_remove(&r->wait.link);
    rtsp_tunnel_close(r);
    forget_ask(r);
    rtsp_server_done(&r->server);
    forget_open(r);
    list_remove(&r->link);
    r->hub->closed_bytes += conn_bytes_out(c);
    atomic_fetch_sub(&r->hub->server->conns, 1);
    mem_free(r);
}

static const struct conn_ops conn_ops = {on_data, on_sent, on_close};

static struct rtsp_conn *conn_begin(struct hub *hub, const char *base)
{
    struct rtsp_conn *r = NEW(struct rtsp_conn);
    struct rtsp_server_conf conf;

    r->hub = hub;
    span_copy(span_of(base), r->base, sizeof(r->base));
    r->wait.woken = woken;
    rtsp_play_init(r);
    conf = (struct rtsp_server_conf){.base = r->base, .now_us = loop_now_us(hub->loop)};
    rng_bytes(&conf.id, sizeof(conf.id));
    rtsp_server_init(&r->server, &conf, &server_ops, r);
    list_push(&hub->rtsp_conns, &r->link);
    return r;
}

static void go_with(struct rtsp_conn *r, struct conn *c)
{
    r->conn = c;
    r->secure = conn_is_tls(c);
    (void)addr_of((const struct sockaddr *)conn_peer(c), &r->address);
    set_timer(r);
}

void rtsp_accept(struct door *door, struct conn_over over)
{
    struct server *server = door->hub->server;
    struct rtsp_conn *r;

    if (atomic_fetch_add(&server->conns, 1) >= atomic_load(&server->conns_max)) {
        atomic_fetch_sub(&server->conns, 1);
        conn_over_close(&over);
        return;
    }
    r = conn_begin(door->hub, door->base);
    go_with(r, conn_new_on(r->hub->loop, over, &conn_ops, &limits, r));
}

static bool any_door(const struct hub *hub)
{
    LIST_EACH(&hub->doors, at)
    {
        if (LIST_ITEM(at, struct door, link)->rtsp) return true;
    }
    return false;
}

bool rtsp_take(struct hub *hub, const char *base, struct conn *c)
{
    struct rtsp_conn *r;

    if (!any_door(hub)) return false;
    r = conn_begin(hub, base);
    conn_hand_over(c, &conn_ops, &limits, r);
    go_with(r, c);
    return true;
}

uint64_t rtsp_bytes_out(const struct hub *hub)
{
    uint64_t sum = 0;

    LIST_EACH(&hub->rtsp_conns, at)
    {
        const struct rtsp_conn *r = LIST_ITEM(at, struct rtsp_conn, link);

        sum += conn_bytes_out(r->conn);
        for (unsigned i = 0; i < TRACK_MAX; i++)
            if (r->udp[i]) sum += rtsp_udp_bytes(r->udp[i]);
    }
    return sum;
}

void rtsp_close_all(struct hub *hub)
{
    LIST_EACH(&hub->rtsp_conns, at) conn_close(LIST_ITEM(at, struct rtsp_conn, link)->conn, 0);
}
