/* A whole session of the server that cameras push to, against a camera that says what the input says. Pieces
 * are separated by 0xff and one byte that says what else happens: ports come or do not, a token is judged,
 * time passes, the connection ends. The first byte says whether a login is asked for. */
#include "common/base/buf.h"
#include "common/base/err.h"
#include "common/proto/interleaved.h"
#include "worker/rtsp_publish.h"

#define STEPS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct session {
    struct rtsp_publish *p;
    struct buf in;
    usec_t now_us;
    bool claimed, tracks, playing, over, asked;
    uint8_t bind; /* track + 1 */
    unsigned sum;
};

static void on_send(void *arg, struct span bytes)
{
    struct session *s = arg;

    must(bytes.n > 0 && (bytes.p[0] == '$' || span_starts(bytes, SPAN_LIT("RTSP/1.0 "))));
    for (size_t i = 0; i < bytes.n; i++) s->sum += bytes.p[i];
}

static void on_event(void *arg, const struct rtsp_event *e)
{
    struct session *s = arg;

    must(!s->over); /* nothing follows the end */
    s->over = e->kind == RTSP_EV_FAILED || e->kind == RTSP_EV_CLOSED;
    must(e->kind != RTSP_EV_FAILED || (e->text && e->text[0]));
    if (e->kind == RTSP_EV_UDP_BIND) {
        must(s->claimed && e->track < RTSP_CLIENT_TRACKS_MAX);
        s->bind = (uint8_t)(e->track + 1);
    }
    if (e->kind == RTSP_EV_TRACKS) {
        must(s->claimed && !s->tracks && e->n_tracks > 0 && e->n_tracks <= TRACK_MAX);
        s->tracks = true;
    }
    if (e->kind == RTSP_EV_PLAYING) {
        must(s->tracks && !s->playing);
        s->playing = true;
    }
}

static void on_packet(void *arg, uint8_t track, bool rtcp, struct span packet)
{
    struct session *s = arg;

    must(s->playing && !s->over && track < TRACK_MAX);
    for (size_t i = 0; i < packet.n; i++) s->sum += packet.p[i] + rtcp;
}

static enum publish_claim on_claim(void *arg)
{
    struct session *s = arg;

    must(!s->claimed);
    s->claimed = true;
    return PUBLISH_YES;
}

static void on_wrong(void *arg)
{
    struct session *s = arg;

    must(!s->claimed);
}

static void on_token(void *arg, struct span token)
{
    struct session *s = arg;

    must(!s->claimed && !s->asked && token.n > 0);
    s->asked = true;
}

static void feed(struct session *s)
{
    size_t took = rtsp_publish_feed(s->p, buf_span(&s->in));

    must(took <= buf_n(&s->in) && rtsp_publish_need(s->p) > 0);
    buf_take(&s->in, took);
}

static void happen(struct session *s, uint8_t what)
{
    if (s->bind && what & 1) {
        uint8_t track = (uint8_t)(s->bind - 1);

        s->bind = 0;
        rtsp_publish_udp_bound(s->p, track, 21000, what & 2);
        feed(s);
    }
    if (s->asked && what & 1) {
        static const unsigned statuses[] = {200, 403, 503, 200};

        s->asked = false;
        rtsp_publish_said(s->p, statuses[what >> 1 & 3]);
        feed(s);
    }
    if (what & 4) s->now_us += (usec_t)(what >> 3) * US_PER_S;
    if (what & 4) rtsp_publish_tick(s->p, s->now_us);
    if (what == 0x10) rtsp_publish_closed(s->p, 0, NULL);
    if (what == 0x20) rtsp_publish_stop(s->p);
    if (what == 0x30) rtsp_publish_send_rtcp(s->p, 0, SPAN_LIT("12345678"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct publish_ops ops = {on_send, on_event, on_packet, on_claim, on_wrong, on_token};
    struct publish_conf conf = {.uid = "c", .tracks = 0xff, .seed = {1, 2, 3}};
    struct span rest = span_from(span(data, n), 1), piece;
    struct session s = {.now_us = 1000 * US_PER_S};

    if (n > 0 && data[0] & 1) {
        conf.user = SPAN_LIT("u");
        conf.password = SPAN_LIT("p");
    }
    s.p = rtsp_publish_new(&conf, &ops, &s, s.now_us);
    buf_init(&s.in, INTERLEAVED_BUFFER_MAX);
    for (int i = 0; i < STEPS_MAX && !s.over && span_split(&rest, 0xff, &piece); i++) {
        if (!buf_put(&s.in, piece)) break;
        feed(&s);
        happen(&s, rest.n > 0 ? rest.p[0] : 0);
        if (rest.n > 0) rest = span_from(rest, 1);
    }
    (void)rtsp_publish_counts(s.p);
    buf_done(&s.in);
    rtsp_publish_free(s.p);
    return 0;
}
