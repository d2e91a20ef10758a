#include "httpd/rtsp_conn_impl.h"
#include "httpd/archive.h"
#include "httpd/elsewhere.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/proto/interleaved.h"
#include "common/wire/url.h"

#define TIME_TEXT_MAX  48
#define RTSP_DVR_QUEUE (256u << 10) /* bytes that wait for a viewer of the archive; then no more is sent */

/* --- sending --- */

/* Over TCP alone: what is not taken over UDP is lost on the way. */
static bool late(struct rtsp_conn *r, usec_t now_us)
{
    size_t waits = conn_queued(r->conn);
    uint64_t out = conn_bytes_out(r->conn);

    r->burst = MIN(r->burst, waits);
    if (out >= r->mark_at) {
        r->mark_at = out + waits;
        r->mark_us = now_us;
    }
    return waits - r->burst > RTSP_QUEUE_HIGH || now_us - r->mark_us > RTSP_QUEUE_LATE;
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

/* Sent while it is in the processor's caches, before another stream has its turn. */
static void on_turned(struct rtsp_viewer *v)
{
    conn_flush(CONTAINER(v, struct rtsp_conn, viewer)->conn);
}

static void send_report(struct rtsp_conn *r, unsigned track, struct span compound)
{
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

static void on_report(struct rtsp_viewer *v, unsigned track, struct span compound)
{
    send_report(CONTAINER(v, struct rtsp_conn, viewer), track, compound);
}

/* What it plays is not there any more. */
static void on_end(struct rtsp_viewer *v)
{
    struct rtsp_conn *r = CONTAINER(v, struct rtsp_conn, viewer);

    r->playing = false;
    r->closing = true;
    conn_close_after_send(r->conn);
}

/* --- live --- */

void rtsp_open_live(struct rtsp_conn *r, struct stream *s)
{
    struct rtsp_live *l = rtsp_live_get(s);
    char line[ELSEWHERE_MAX];
    struct wr w = wr_of(line, sizeof(line));
    struct describe d = {
        .pay = rtsp_live_pays(l), .n = TRACK_MAX, .name = s->v.name[0] ? s->v.name : s->v.uid};

    if (rtsp_live_ready(l)) {
        r->epoch = rtsp_live_epoch(l);
        d.id = r->epoch;
        rtsp_conn_opened(r, 200, NULL, &d);
    } else if (elsewhere_line(s->v.elsewhere, r->open.uri, &w)) {
        rtsp_conn_opened(r, 302, line, NULL);
    } else if (r->timed_out || !stream_may_come(s)) {
        rtsp_conn_opened(r, 503, "Retry-After: 2\r\n", NULL);
    } else {
        rtsp_conn_wait(r, l);
    }
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
    rtsp_conn_played(r, 200, &p);
    /* What the client has said behind it may have been heard at once. */
    if (r->closing || r->server.state != RTSP_STATE_PLAYING) return;
    rtsp_live_join(l, &r->viewer);
    r->playing = true;
    r->behind = !start.known;
    r->burst = conn_queued(r->conn);
    r->mark_at = conn_bytes_out(r->conn) + r->burst;
    r->mark_us = loop_now_us(r->hub->loop);
}

void rtsp_play_start(struct rtsp_conn *r)
{
    struct stream *s = rtsp_conn_stream(r);
    struct rtsp_live *l;

    if (!s) {
        rtsp_conn_played(r, 404, NULL);
        return;
    }
    l = rtsp_live_get(s);
    if (rtsp_live_epoch(l) != r->epoch)
        rtsp_conn_played(r, 410, NULL); /* its tracks are others now */
    else if (rtsp_live_ready(l))
        play_live(r, l);
    else if (r->timed_out)
        rtsp_conn_played(r, 503, NULL);
    else
        rtsp_conn_wait(r, l);
}

void rtsp_play(void *arg, const struct rtsp_play *p)
{
    struct rtsp_conn *r = arg;
    struct rtsp_played same = {.has_scale = p->has_scale, .scale_milli = 1000};

    if (r->dvr)
        rtsp_dvr_play(r->dvr, p);
    else if (r->playing) /* live goes on as it does */
        rtsp_conn_played(r, 200, &same);
    else
        rtsp_play_start(r);
}

void rtsp_play_stop(void *arg)
{
    struct rtsp_conn *r = arg;

    for (unsigned i = 0; i < TRACK_MAX; i++)
        if (r->udp[i]) rtsp_udp_drop(r->udp[i]);
    if (r->dvr) rtsp_dvr_pause(r->dvr);
    if (r->playing) rtsp_live_leave(rtsp_conn_stream(r)->rtsp, &r->viewer);
    r->playing = r->behind = false;
}

static void close_udp(struct rtsp_conn *r, unsigned track)
{
    if (!r->udp[track]) return;
    r->hub->closed_bytes += rtsp_udp_bytes(r->udp[track]);
    rtsp_udp_free(r->udp[track]);
    r->udp[track] = NULL;
}

void rtsp_play_close(struct rtsp_conn *r)
{
    rtsp_play_stop(r);
    for (unsigned i = 0; i < TRACK_MAX; i++) close_udp(r, i);
}

/* --- the archive --- */

static void dvr_opened(void *arg, unsigned status, const struct describe *d)
{
    struct rtsp_conn *r = arg;
    char line[ELSEWHERE_MAX];
    struct wr w = wr_of(line, sizeof(line));

    if (status == 200 && elsewhere_line(rtsp_dvr_holder(r->dvr), r->open.uri, &w))
        rtsp_conn_opened(r, 302, line, NULL);
    else
        rtsp_conn_opened(r, status, NULL, d);
}

static void dvr_played(void *arg, unsigned status, const struct rtsp_played *p)
{
    rtsp_conn_played(arg, status, p);
}

static bool dvr_room(void *arg)
{
    return queued(arg) < RTSP_DVR_QUEUE;
}

static struct sight dvr_sight(void *arg)
{
    struct rtsp_conn *r = arg;

    return access_sight(&r->hold);
}

static void dvr_frame(void *arg, struct rtp_frame *f, usec_t wall_us)
{
    struct rtsp_conn *r = arg;
    const struct rtsp_lane *lane = &r->server.lane[f->track];

    (void)wall_us;
    if (lane->set) send_frame(r, lane, f);
}

static void dvr_report(void *arg, unsigned track, struct span compound)
{
    send_report(arg, track, compound);
}

static void dvr_ended(void *arg)
{
    struct rtsp_conn *r = arg;

    rtsp_server_ended(&r->server);
    rtsp_conn_look(r);
}

static const struct rtsp_dvr_ops dvr_ops = {
    dvr_opened, dvr_played, dvr_sight, dvr_room, dvr_frame, dvr_report, dvr_ended};

bool rtsp_dvr_time(struct span query, usec_t *ret_us)
{
    char text[TIME_TEXT_MAX];

    *ret_us = 0;
    if (url_query_get(query, "timestamp", text, sizeof(text))) return archive_time(span_of(text), ret_us);
    if (url_query_get(query, "time", text, sizeof(text))) return archive_date(span_of(text), ret_us);
    return true;
}

/* "2", "0.5", "-1": 1 where it is no pace. */
static int32_t pace_of(struct span query)
{
    char text[TIME_TEXT_MAX];
    int32_t milli;

    if (url_query_get(query, "speed", text, sizeof(text)) && rtsp_scale(span_of(text), &milli) && milli != 0)
        return milli;
    return 1000;
}

void rtsp_open_dvr(struct rtsp_conn *r, struct stream *s)
{
    struct describe d;
    usec_t at_us;

    if (r->dvr) { /* of the session; it may be playing */
        rtsp_dvr_describe(r->dvr, &d);
        rtsp_conn_opened(r, 200, NULL, &d);
        return;
    }
    if (!rtsp_dvr_time(r->open.target.query, &at_us)) {
        rtsp_conn_opened(r, 400, NULL, NULL);
        return;
    }
    r->dvr = rtsp_dvr_new(s, at_us, pace_of(r->open.target.query), &dvr_ops, r);
    if (r->dvr)
        rtsp_dvr_open(r->dvr);
    else
        rtsp_conn_opened(r, 404, NULL, NULL);
}

/* --- lanes over UDP --- */

static void udp_heard(void *arg)
{
    struct rtsp_conn *r = arg;

    rtsp_server_heard(&r->server, loop_now_us(r->hub->loop));
}

static void udp_bye(void *arg)
{
    rtsp_play_stop(arg);
}

unsigned rtsp_play_udp(void *arg, unsigned track, struct rtsp_lane *lane)
{
    struct rtsp_conn *r = arg;
    const struct rtsp_udp_ops ops = {.heard = udp_heard, .bye = udp_bye, .arg = r};
    struct sockaddr_storage local;

    close_udp(r, track);
    /* Other packets reach neither who tunnels nor who stands behind a proxy, and are not encrypted. */
    if (r->way == TUNNEL_GET || conn_is_relayed(r->conn) || conn_is_tls(r->conn)) return 461;
    if (!conn_local(r->conn, &local)) return 461;
    r->udp[track] = rtsp_udp_new(r->hub->loop, &local, conn_peer(r->conn), lane->client_port, &ops);
    if (!r->udp[track]) return 461;
    rtsp_udp_ports(r->udp[track], lane->server_port);
    return 0;
}

void rtsp_play_init(struct rtsp_conn *r)
{
    r->viewer = (struct rtsp_viewer){
        .on_frame = on_frame, .on_report = on_report, .on_turned = on_turned, .on_end = on_end};
}
