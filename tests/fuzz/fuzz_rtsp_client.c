/* A whole session of the RTSP client against a camera that says what the input says. Pieces of it are
 * separated by 0xff and one byte that says what else happens: time passes, ports come, the connection ends.
 * In a piece "@@@@" becomes the number of the last request, so that answers fit. */
#include "common/base/buf.h"
#include "common/base/mem.h"
#include "common/proto/interleaved.h"
#include "worker/rtsp_client.h"

#define STEPS_MAX 400

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct session {
    struct rtsp_client *c;
    usec_t now;
    struct buf in;
    unsigned requests;
    bool over, dial;
    uint8_t bind, connect; /* track + 1 */
};

static void on_send(void *arg, struct span bytes)
{
    struct session *s = arg;

    if (bytes.n == 0) __builtin_trap();
    s->requests += bytes.p[0] != '$' && !span_starts(bytes, SPAN_LIT("RTSP/"));
}

static void on_event(void *arg, const struct rtsp_event *e)
{
    struct session *s = arg;

    if (s->over) __builtin_trap(); /* nothing follows the end */
    s->over = e->kind == RTSP_EV_FAILED || e->kind == RTSP_EV_CLOSED;
    if (s->over) return;
    if (e->kind == RTSP_EV_DIAL) s->dial = true;
    if (e->kind == RTSP_EV_UDP_BIND) s->bind = (uint8_t)(e->track + 1);
    if (e->kind == RTSP_EV_UDP_CONNECT) s->connect = (uint8_t)(e->track + 1);
    if (e->kind == RTSP_EV_TRACKS && (e->n_tracks == 0 || e->n_tracks > TRACK_MAX)) __builtin_trap();
}

static void on_packet(void *arg, uint8_t track, bool rtcp, struct span packet)
{
    struct session *s = arg;

    (void)rtcp;
    if (s->over || track >= TRACK_MAX) __builtin_trap();
    for (size_t i = 0; i < packet.n; i++) s->requests += 0 * packet.p[i]; /* all of it can be read */
}

static void feed(struct session *s)
{
    size_t took = rtsp_client_feed(s->c, buf_span(&s->in), s->now);

    if (took > buf_n(&s->in)) __builtin_trap();
    buf_take(&s->in, took);
    if (rtsp_client_need(s->c) == 0) __builtin_trap();
}

static void give(struct session *s, struct span piece)
{
    uint8_t *at = buf_room(&s->in, piece.n);
    char number[8];

    if (at == NULL) return;
    memcpy(at, piece.p, piece.n);
    snprintf(number, sizeof(number), "%04u", s->requests % 10000);
    for (size_t i = 0; i + 4 <= piece.n; i++)
        if (memcmp(at + i, "@@@@", 4) == 0) memcpy(at + i, number, 4);
    buf_added(&s->in, piece.n);
    feed(s);
}

static void happen(struct session *s, uint8_t what)
{
    if (what & 1) s->now += (usec_t)(what >> 2) * US_PER_S;
    if (what & 2) {
        rtsp_client_tick(s->c, s->now);
        feed(s);
    }
    if (s->bind && what & 4) {
        uint8_t track = s->bind;

        s->bind = 0;
        rtsp_client_udp_bound(s->c, (uint8_t)(track - 1), 21000, what == 0xfc, s->now);
    }
    if (s->connect && what & 4) {
        uint8_t track = s->connect;

        s->connect = 0;
        rtsp_client_udp_connected(s->c, (uint8_t)(track - 1), what == 0xfc, s->now);
    }
    if (what == 0x10) rtsp_client_udp_seen(s->c, 0, s->now);
    if (what == 0x20) rtsp_client_closed(s->c, 0, NULL, s->now);
    if (what == 0x30) rtsp_client_stop(s->c, s->now);
    if (what == 0x40) rtsp_client_send_rtcp(s->c, 0, SPAN_LIT("12345678"));
    if (s->dial) {
        s->dial = false;
        buf_clear(&s->in);
        rtsp_client_connected(s->c, s->now);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct rtsp_client_ops ops = {.send = on_send, .event = on_event, .packet = on_packet};
    struct rtsp_client_conf conf = {
        .url = SPAN_LIT("rtsp://u:p@cam/p?q"), .user_agent = SPAN_LIT("x"), .tracks = 0xff};
    struct span rest = span(data, n), piece;
    struct session s = {.now = 1000 * US_PER_S};
    const char *error;

    s.c = rtsp_client_new(&conf, &ops, &s, &error);
    buf_init(&s.in, INTERLEAVED_BUFFER_MAX);
    rtsp_client_start(s.c, s.now);
    happen(&s, 0);
    for (int i = 0; i < STEPS_MAX && span_split(&rest, 0xff, &piece); i++) {
        give(&s, piece);
        happen(&s, rest.n > 0 ? rest.p[0] : 0);
        if (rest.n > 0) rest = span_from(rest, 1);
        if (!s.over) continue;
        s.over = false;
        rtsp_client_start(s.c, s.now);
        happen(&s, 0);
    }
    buf_done(&s.in);
    rtsp_client_free(s.c);
    return 0;
}
