#include "httpd/rtsp_conn.h"
#include "httpd/access.h"
#include "httpd/rtsp/server.h"
#include "httpd/rtsp_live.h"
#include "httpd/rtsp_udp.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/proto/interleaved.h"
#include "common/wire/url.h"

struct rtsp_conn {
    struct hub *hub;
    struct conn *conn;
    struct list link;
    struct rtsp_server server;
    struct loop_timer timer; /* of the machine; while an answer waits, of that */
    char base[64];
    char uid[RING_UID_MAX + 1];
    bool moving, closing;
    /* what is open */
    struct rtsp_open open; /* spans: until it is answered */
    struct rtsp_ask *ask;  /* NULL: nobody was asked, or has answered */
    struct access_hold hold;
    uint64_t epoch;
    /* an answer that waits */
    struct rtsp_wait wait;
    usec_t wait_until_us;
    bool timed_out;
    struct rtsp_udp *udp[TRACK_MAX]; /* of lanes over UDP */
    /* playing */
    struct rtsp_viewer viewer;
    bool playing, behind;
    size_t burst;     /* of what it began with: bytes that have not been sent */
    uint64_t mark_at; /* when so many bytes are sent ... */
    usec_t mark_us;   /* ... what was queued then is, too */
};

static const struct conn_limits limits = {
    .read_max = RTSP_SERVER_READ_MAX,
    .queue_high = RTSP_QUEUE_HIGH,
    .idle_us = 0, /* the machine knows more */
    .stall_us = RTSP_STALL_US,
};

static void open_again(struct rtsp_conn *r);
static void start_playing(struct rtsp_conn *r);

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
    conn_resume(r->conn);
}

/* --- waiting for a picture --- */

static struct stream *stream_of(struct rtsp_conn *r)
{
    return stream_get(r->hub, span_of(r->uid));
}

static void look_again(struct rtsp_conn *r)
{
    if (r->server.busy == RTSP_PLAY)
        start_playing(r);
    else
        open_again(r);
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

static void wait_for(struct rtsp_conn *r, struct rtsp_live *l)
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

/* --- DESCRIBE, SETUP: the stream is opened --- */

static void opened(struct rtsp_conn *r, unsigned status, const char *fields, const struct describe *d)
{
    waited(r);
    rtsp_server_opened(&r->server, status, fields, d);
    go_on(r);
}

static void open_live(struct rtsp_conn *r, struct stream *s)
{
    struct rtsp_live *l = rtsp_live_get(s);
    struct describe d = {
        .pay = rtsp_live_pays(l), .n = TRACK_MAX, .name = s->v.name[0] ? s->v.name : s->v.uid};

    if (rtsp_live_ready(l)) {
        r->epoch = rtsp_live_epoch(l);
        d.id = r->epoch;
        opened(r, 200, NULL, &d);
    } else if (r->timed_out || !stream_may_come(s)) {
        opened(r, 503, "Retry-After: 2\r\n", NULL);
    } else {
        wait_for(r, l);
    }
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

static void decided(struct access_ask *access)
{
    struct rtsp_conn *r = CONTAINER(access, struct rtsp_ask, access)->conn;
    unsigned status = access->verdict.status;
    struct stream *s = stream_of(r);
    char lines[ACCESS_CHALLENGE_MAX] = "";
    struct wr w = wr_of(lines, sizeof(lines));

    if (access->challenge) access_challenge(access, &w);
    wr_cstr(&w);
    forget_ask(r);
    if (!s) status = 404;
    if (status == 200)
        open_live(r, s);
    else
        opened(r, status, lines[0] ? lines : NULL, NULL);
}

static void ask_access(struct rtsp_conn *r, struct stream *s)
{
    struct access_ask *a;

    access_release(&r->hold);
    forget_ask(r);
    r->hold.on_end = access_ended;
    r->ask = NEW(struct rtsp_ask);
    r->ask->conn = r;
    a = &r->ask->access;
    *a = (struct access_ask){.hub = r->hub,
        .stream = s,
        .op = ACCESS_LIVE,
        .road = ROAD_RTSP,
        .authorization = r->open.authorization,
        .method = r->open.method,
        .uri = r->open.uri,
        .user_agent = r->open.user_agent,
        .secure = conn_is_tls(r->conn),
        .hold = &r->hold,
        .done = decided};
    (void)addr_of((const struct sockaddr *)conn_peer(r->conn), &a->address);
    if (url_query_get(r->open.target.query, "token", r->ask->token, sizeof(r->ask->token)))
        a->token = span_of(r->ask->token);
    if (access_ask(a)) decided(a);
}

static void open_stream(struct rtsp_conn *r)
{
    struct stream *s = stream_of(r);

    if (!s)
        opened(r, 404, NULL, NULL);
    else
        ask_access(r, s);
}

/* It was allowed to be opened, and is waited for. */
static void open_again(struct rtsp_conn *r)
{
    struct stream *s = stream_of(r);

    if (!s)
        opened(r, 404, NULL, NULL);
    else
        open_live(r, s);
}

/* --- to the stream's hub --- */

static void arrived(struct conn *c)
{
    struct rtsp_conn *r = conn_arg(c);

    r->hub = hub_home(r->hub->server, span_of(r->uid));
    list_push(&r->hub->rtsp_conns, &r->link);
    open_stream(r);
}

static void move(struct loop_timer *t)
{
    struct rtsp_conn *r = t->arg;

    if (conn_queued(r->conn) > 0) {
        conn_flush(r->conn);
        if (conn_queued(r->conn) > 0) return; /* on_sent comes back here */
    }
    r->moving = false;
    list_remove(&r->link);
    loop_timer_stop(&r->timer);
    conn_migrate(r->conn, hub_home(r->hub->server, span_of(r->uid))->loop, arrived);
}

static void on_open(void *arg, const struct rtsp_open *o)
{
    struct rtsp_conn *r = arg;

    r->open = *o;
    if (o->target.dvr || !span_copy(o->target.uid, r->uid, sizeof(r->uid)) || !route_uid_ok(o->target.uid)) {
        opened(r, 404, NULL, NULL);
    } else if (hub_home(r->hub->server, o->target.uid) != r->hub) {
        r->moving = true;
        loop_timer_set(r->hub->loop, &r->timer, 0, move, r);
    } else {
        open_stream(r);
    }
}

/* --- playing --- */

static bool late(struct rtsp_conn *r, usec_t now_us)
{
    size_t queued = conn_queued(r->conn);
    uint64_t out = conn_bytes_out(r->conn);

    r->burst = MIN(r->burst, queued);
    if (out >= r->mark_at) {
        r->mark_at = out + queued;
        r->mark_us = now_us;
    }
    return queued - r->burst > RTSP_QUEUE_HIGH || now_us - r->mark_us > RTSP_QUEUE_LATE;
}

static size_t queued(const struct rtsp_conn *r)
{
    size_t sum = conn_queued(r->conn);

    for (unsigned i = 0; i < TRACK_MAX; i++)
        if (r->udp[i]) sum += rtsp_udp_queued(r->udp[i]);
    return sum;
}

static bool send_frame(struct rtsp_conn *r, const struct rtsp_lane *lane, struct rtp_frame *f)
{
    struct chunk *c = rtp_frame_on(f, lane->channel[0]);

    if (lane->udp) return r->udp[f->track] && rtsp_udp_send(r->udp[f->track], f->c);
    if (c) conn_send_chunk(r->conn, c, 0, c->n);
    return c != NULL;
}

static void on_frame(struct rtsp_viewer *v, struct rtp_frame *f)
{
    struct rtsp_conn *r = CONTAINER(v, struct rtsp_conn, viewer);
    const struct rtsp_lane *lane = &r->server.lane[f->track];

    if (r->playing && late(r, loop_now_us(r->hub->loop))) r->behind = true;
    if (r->behind && !(f->entry && queued(r) < RTSP_QUEUE_EMPTY)) return;
    r->behind = false;
    if (lane->set) r->behind = !send_frame(r, lane, f);
}

static void on_report(struct rtsp_viewer *v, unsigned track, struct span compound)
{
    struct rtsp_conn *r = CONTAINER(v, struct rtsp_conn, viewer);
    const struct rtsp_lane *lane = &r->server.lane[track];
    uint8_t head[INTERLEAVED_HEADER];

    if (!lane->set || r->behind) return;
    if (lane->udp) {
        if (r->udp[track]) rtsp_udp_report(r->udp[track], compound);
        return;
    }
    interleaved_write_header(head, lane->channel[1], compound.n);
    conn_send(r->conn, span(head, sizeof(head)));
    conn_send(r->conn, compound);
}

/* What it plays is not there any more. */
static void on_end(struct rtsp_viewer *v)
{
    struct rtsp_conn *r = CONTAINER(v, struct rtsp_conn, viewer);

    r->playing = false;
    r->closing = true;
    conn_close_after_send(r->conn);
}

static void played(struct rtsp_conn *r, unsigned status, const struct rtsp_played *p)
{
    waited(r);
    rtsp_server_played(&r->server, status, NULL, p);
    go_on(r);
}

static void play_live(struct rtsp_conn *r, struct rtsp_live *l)
{
    struct rtsp_played p = {.scale_milli = 1000};
    struct rtsp_start start;

    rtsp_live_start(l, &start);
    for (unsigned i = 0; start.known && i < TRACK_MAX; i++) {
        p.track[i].known = true;
        p.track[i].seq = start.seq[i];
        p.track[i].ts = start.ts[i];
    }
    played(r, 200, &p);
    if (r->closing) return;
    rtsp_live_join(l, &r->viewer);
    r->playing = true;
    r->burst = conn_queued(r->conn);
    r->mark_at = conn_bytes_out(r->conn) + r->burst;
    r->mark_us = loop_now_us(r->hub->loop);
}

static void start_playing(struct rtsp_conn *r)
{
    struct stream *s = stream_of(r);
    struct rtsp_live *l;

    if (!s) {
        played(r, 404, NULL);
        return;
    }
    l = rtsp_live_get(s);
    if (rtsp_live_epoch(l) != r->epoch)
        played(r, 410, NULL); /* its tracks are others now */
    else if (rtsp_live_ready(l))
        play_live(r, l);
    else if (r->timed_out)
        played(r, 503, NULL);
    else
        wait_for(r, l);
}

static void on_play(void *arg, const struct rtsp_play *p)
{
    struct rtsp_conn *r = arg;
    struct rtsp_played same = {.has_scale = p->has_scale, .scale_milli = 1000};

    if (r->playing) /* live goes on as it does */
        played(r, 200, &same);
    else
        start_playing(r);
}

static void stop_playing(void *arg)
{
    struct rtsp_conn *r = arg;

    for (unsigned i = 0; i < TRACK_MAX; i++)
        if (r->udp[i]) rtsp_udp_drop(r->udp[i]);
    if (r->playing) rtsp_live_leave(stream_of(r)->rtsp, &r->viewer);
    r->playing = r->behind = false;
}

static void close_udp(struct rtsp_conn *r, unsigned track)
{
    if (!r->udp[track]) return;
    r->hub->closed_bytes += rtsp_udp_bytes(r->udp[track]);
    rtsp_udp_free(r->udp[track]);
    r->udp[track] = NULL;
}

static void on_teardown(void *arg)
{
    struct rtsp_conn *r = arg;

    stop_playing(r);
    for (unsigned i = 0; i < TRACK_MAX; i++) close_udp(r, i);
    access_release(&r->hold);
}

/* --- lanes over UDP --- */

static void udp_heard(void *arg)
{
    struct rtsp_conn *r = arg;

    rtsp_server_heard(&r->server, loop_now_us(r->hub->loop));
}

static void udp_bye(void *arg)
{
    stop_playing(arg);
}

static unsigned on_udp(void *arg, unsigned track, struct rtsp_lane *lane)
{
    struct rtsp_conn *r = arg;
    const struct rtsp_udp_ops ops = {.heard = udp_heard, .bye = udp_bye, .arg = r};
    struct sockaddr_storage local;

    close_udp(r, track);
    if (!conn_local(r->conn, &local)) return 461;
    r->udp[track] = rtsp_udp_new(r->hub->loop, &local, conn_peer(r->conn), lane->client_port, &ops);
    if (!r->udp[track]) return 461;
    rtsp_udp_ports(r->udp[track], lane->server_port);
    return 0;
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

static void on_done(void *arg)
{
    struct rtsp_conn *r = arg;

    r->closing = true;
    loop_timer_stop(&r->timer);
    conn_close_after_send(r->conn);
}

static const struct rtsp_server_ops server_ops = {.put = on_send,
    .want = on_open,
    .udp = on_udp,
    .play = on_play,
    .pause = stop_playing,
    .teardown = on_teardown,
    .rtcp = on_rtcp,
    .close = on_done};

/* --- the connection --- */

static size_t on_data(struct conn *c, struct span data)
{
    struct rtsp_conn *r = conn_arg(c);
    size_t took;

    if (r->closing) return data.n;
    if (rtsp_server_busy(&r->server)) return 0;
    took = rtsp_server_feed(&r->server, data, loop_now_us(r->hub->loop));
    if (r->closing) return data.n;
    if (rtsp_server_busy(&r->server)) {
        conn_pause(c);
        conn_mind_end(c, true);
    }
    set_timer(r);
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
    forget_ask(r);
    access_release(&r->hold);
    rtsp_server_done(&r->server);
    list_remove(&r->link);
    r->hub->closed_bytes += conn_bytes_out(c);
    atomic_fetch_sub(&r->hub->server->conns, 1);
    mem_free(r);
}

static const struct conn_ops conn_ops = {on_data, on_sent, on_close};

void rtsp_accept(struct door *door, struct conn_over over)
{
    struct server *server = door->hub->server;
    struct rtsp_server_conf conf;
    struct rtsp_conn *r;

    if (atomic_fetch_add(&server->conns, 1) >= atomic_load(&server->conns_max)) {
        atomic_fetch_sub(&server->conns, 1);
        conn_over_close(&over);
        return;
    }
    r = NEW(struct rtsp_conn);
    r->hub = door->hub;
    span_copy(span_of(door->base), r->base, sizeof(r->base));
    r->wait.woken = woken;
    r->viewer = (struct rtsp_viewer){.on_frame = on_frame, .on_report = on_report, .on_end = on_end};
    conf = (struct rtsp_server_conf){.base = r->base, .now_us = loop_now_us(r->hub->loop)};
    rng_bytes(&conf.id, sizeof(conf.id));
    rtsp_server_init(&r->server, &conf, &server_ops, r);
    list_push(&r->hub->rtsp_conns, &r->link);
    r->conn = conn_new_on(r->hub->loop, over, &conn_ops, &limits, r);
    set_timer(r);
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
