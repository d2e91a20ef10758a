/* A connection of the RTSP server with a client that says what the input says. Pieces of it are separated by
 * 0xff and one byte that says what else happens: answers come, time passes, what is played ends. */
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "httpd/rtsp/server.h"

#define STEPS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct client {
    struct rtsp_server s;
    struct pay pay[TRACK_MAX];
    usec_t now_us;
    struct buf in;
    uint8_t what; /* happens next */
    bool over, playing;
};

static void on_send(void *arg, struct span bytes)
{
    struct client *c = arg;

    if (c->over || bytes.n == 0) __builtin_trap();
    for (size_t i = 0; i < bytes.n; i++) c->what ^= (uint8_t)(0 * bytes.p[i]); /* all of it can be read */
}

static void answer_open(struct client *c)
{
    struct describe d = {.pay = c->pay, .n = TRACK_MAX, .name = "x", .start_us = c->what & 8 ? c->now_us : 0};

    rtsp_server_opened(&c->s, c->what & 16 ? 401 : 200, NULL, &d);
}

static void answer_play(struct client *c)
{
    struct rtsp_played p = {
        .clock = c->what & 8, .from_us = c->now_us, .scale_milli = -1000, .has_scale = true};

    for (size_t i = 0; i < TRACK_MAX; i++) p.track[i].known = i & 1;
    c->playing = !(c->what & 16);
    rtsp_server_played(&c->s, c->playing ? 200 : 457, NULL, &p);
}

static void on_open(void *arg, const struct rtsp_open *o)
{
    struct client *c = arg;

    if (o->target.uid.n == 0 || c->playing != (c->s.state == RTSP_STATE_PLAYING)) __builtin_trap();
    if (c->what & 1) answer_open(c);
}

static unsigned on_udp(void *arg, unsigned track, struct rtsp_lane *lane)
{
    struct client *c = arg;

    if (track >= TRACK_MAX || !lane->udp || lane->client_port[0] == 0) __builtin_trap();
    return c->what & 2 ? 461 : 0;
}

static void on_play(void *arg, const struct rtsp_play *p)
{
    struct client *c = arg;

    if (p->scale_milli == 0 || c->s.state == RTSP_STATE_INIT) __builtin_trap();
    if (c->what & 4) answer_play(c);
}

static void on_pause(void *arg)
{
    ((struct client *)arg)->playing = false;
}

static void on_rtcp(void *arg, unsigned track, struct span compound)
{
    struct client *c = arg;

    if (track >= TRACK_MAX || compound.n > 65535 || !c->s.lane[track].set) __builtin_trap();
}

static void on_done(void *arg)
{
    ((struct client *)arg)->over = true;
}

static void feed(struct client *c)
{
    size_t took = c->over ? buf_n(&c->in) : rtsp_server_feed(&c->s, buf_span(&c->in), c->now_us);

    if (took > buf_n(&c->in)) __builtin_trap();
    buf_take(&c->in, took);
}

static void happen(struct client *c)
{
    if (c->over) return;
    if (c->what & 32) c->now_us += US_PER_S;
    if (rtsp_server_busy(&c->s) && c->s.busy == RTSP_PLAY)
        answer_play(c);
    else if (rtsp_server_busy(&c->s))
        answer_open(c);
    if (c->what & 64) {
        c->playing = false;
        rtsp_server_ended(&c->s);
    }
    if (rtsp_server_deadline(&c->s) < 0) __builtin_trap();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct rtsp_server_ops ops = {
        on_send, on_open, on_udp, on_play, on_pause, on_pause, on_rtcp, on_done};
    struct track video = {.codec = CODEC_H264, .kind = TRACK_VIDEO, .clock_hz = 90000};
    struct track audio = {.codec = CODEC_PCMU, .kind = TRACK_AUDIO, .clock_hz = 8000};
    struct rtsp_server_conf conf = {.base = "/", .id = 1, .now_us = US_PER_S};
    struct span rest = span(data, n), piece;
    struct client c = {.now_us = US_PER_S};

    pay_init(&c.pay[0], &video, 0, 1);
    pay_init(&c.pay[2], &audio, 2, 1);
    buf_init(&c.in, 1 << 20);
    rtsp_server_init(&c.s, &conf, &ops, &c);
    for (int i = 0; i < STEPS_MAX && span_split(&rest, 0xff, &piece); i++) {
        c.what = rest.n > 0 ? rest.p[0] : 0;
        buf_put(&c.in, piece);
        feed(&c);
        happen(&c);
        feed(&c);
    }
    rtsp_server_done(&c.s);
    rtsp_server_done(&c.s);
    buf_done(&c.in);
    return 0;
}
