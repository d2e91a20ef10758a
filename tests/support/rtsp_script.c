#include "tests/support/rtsp_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/proto/interleaved.h"

struct script T;

static void add(char *to, size_t cap, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void add(char *to, size_t cap, const char *fmt, ...)
{
    size_t n = strlen(to);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(to + n, cap - n, fmt, ap);
    va_end(ap);
}

static void on_send(void *arg, struct span bytes)
{
    (void)arg;
    if (bytes.p[0] == '$') {
        add(T.sent, sizeof(T.sent), "$%u:%zu\n", bytes.p[1], bytes.n - 4);
        return;
    }
    snprintf(T.last, sizeof(T.last), "%.*s", SPAN_FMT(bytes));
    add(T.sent, sizeof(T.sent), "%s", T.last);
}

static void on_event(void *arg, const struct rtsp_event *e)
{
    static const char *const names[] = {
        "", "DIAL", "BIND", "CONNECT", "UNBIND", "TRACKS", "PLAYING", "ANNOUNCED", "FAILED", "CLOSED"};

    (void)arg;
    add(T.log, sizeof(T.log), "%s", names[e->kind]);
    if (e->kind == RTSP_EV_DIAL)
        add(T.log, sizeof(T.log), " %s:%u%s", e->host, e->port, e->redirect ? "!" : "");
    if (e->kind == RTSP_EV_UDP_BIND || e->kind == RTSP_EV_UDP_CLOSE)
        add(T.log, sizeof(T.log), " %u", e->track);
    if (e->kind == RTSP_EV_UDP_CONNECT)
        add(T.log, sizeof(T.log), " %u %u-%u", e->track, e->rtp_port, e->rtcp_port);
    if (e->kind == RTSP_EV_TRACKS || e->kind == RTSP_EV_PLAYING || e->kind == RTSP_EV_ANNOUNCED) {
        add(T.log, sizeof(T.log), " %zu", e->n_tracks);
        for (size_t i = 0; i < e->n_tracks; i++) T.track[i] = e->tracks[i];
    }
    if (e->kind == RTSP_EV_TRACKS)
        assert_true(e->sdp->n > 0 && e->sdp_text.n > 0 && e->tracks[0].media != NULL);
    if (e->kind == RTSP_EV_FAILED) {
        add(T.log, sizeof(T.log), " %u %u", e->fail, e->status);
        T.fail = e->fail;
        T.retry_us = e->retry_us;
        snprintf(T.text, sizeof(T.text), "%s", e->text);
    }
    add(T.log, sizeof(T.log), "; ");
}

static void on_packet(void *arg, uint8_t track, bool rtcp, struct span packet)
{
    (void)arg;
    (void)packet;
    assert_true(track < RTSP_CLIENT_TRACKS_MAX);
    if (rtcp)
        T.rtcp[track]++;
    else
        T.packets[track]++;
}

const struct rtsp_client_ops SCRIPT_OPS = {.send = on_send, .event = on_event, .packet = on_packet};

void script_clear(void)
{
    T.sent[0] = T.last[0] = T.log[0] = T.text[0] = 0;
}

void script_open(const char *url, enum rtsp_transport_choice transport)
{
    struct rtsp_client_conf conf = {
        .url = span_of(url), .user_agent = SPAN_LIT("media-server"), .transport = transport, .seed = 1};
    const char *error = NULL;

    conf.tracks = 1u << TRACK_VIDEO | 1u << TRACK_AUDIO | 1u << TRACK_DATA;
    memset(&T, 0, sizeof(T));
    T.now = T0;
    T.c = rtsp_client_new(&conf, &SCRIPT_OPS, NULL, &error);
    assert_non_null(T.c);
}

void script_start(void)
{
    script_clear();
    rtsp_client_start(T.c, T.now);
    rtsp_client_connected(T.c, T.now);
}

void script_feed(struct span in)
{
    assert_int_equal(rtsp_client_feed(T.c, in, T.now), in.n);
}

unsigned script_cseq(void)
{
    const char *at = strstr(T.last, "CSeq: ");
    uint64_t v = 0;

    assert_non_null(at);
    assert_true(span_u64(span(at + 6, strcspn(at + 6, "\r")), UINT32_MAX, &v));
    return (unsigned)v;
}

/* "200 OK" or with fields, with the number of the last request; body is an SCRIPT_SDP. */
void script_answer_with(const char *status_and_fields, const char *body)
{
    char text[8192];
    size_t line = strcspn(status_and_fields, "\r");

    snprintf(text, sizeof(text), "RTSP/1.0 %.*s\r\nCSeq: %u\r\n%s", (int)line, status_and_fields,
        script_cseq(), status_and_fields[line] ? status_and_fields + line + 2 : "");
    if (body)
        add(text, sizeof(text), "Content-Type: application/sdp\r\nContent-Length: %zu\r\n", strlen(body));
    add(text, sizeof(text), "\r\n%s", body ? body : "");
    script_feed(span_of(text));
}

void script_answer(const char *status_and_fields)
{
    script_answer_with(status_and_fields, NULL);
}

bool script_asked(const char *what)
{
    return strncmp(T.last, what, strlen(what)) == 0;
}

bool script_has(const char *what)
{
    return strstr(T.last, what) != NULL;
}

void script_rtp(uint8_t channel, uint32_t ssrc)
{
    uint8_t f[INTERLEAVED_HEADER + 13] = {0};

    interleaved_write_header(f, channel, 13);
    f[4] = 0x80;
    f[5] = 96;
    f[15] = (uint8_t)ssrc;
    script_feed(span(f, sizeof(f)));
}

void script_tick(usec_t after)
{
    T.now += after;
    rtsp_client_tick(T.c, T.now);
}

/* Up to PLAY over TCP, both tracks. */
void script_to_play(void)
{
    script_start();
    script_answer("200 OK\r\nPublic: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n");
    script_answer_with("200 OK\r\nContent-Base: rtsp://10.0.0.9/p/\r\n", SCRIPT_SDP);
    script_answer("200 OK\r\nSession: 77;timeout=60\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n");
    script_answer("200 OK\r\nSession: 77\r\nTransport: RTP/AVP/TCP;unicast;interleaved=2-3\r\n");
    assert_true(script_asked("PLAY "));
}

void script_to_playing(void)
{
    script_to_play();
    script_answer("200 OK\r\nSession: 77\r\n");
    assert_true(rtsp_client_playing(T.c));
    script_clear();
}

void script_done(void)
{
    rtsp_client_free(T.c);
    T.c = NULL;
}
