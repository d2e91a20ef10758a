#include "worker/rtsp_publish.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/proto/interleaved.h"
#include "common/proto/rtp.h"
#include "common/wire/url.h"
#include "worker/publish_login.h"
#include "worker/rtsp_choose.h"

#define MESSAGE_MAX 4096
#define PUBLIC      "OPTIONS, ANNOUNCE, SETUP, RECORD, TEARDOWN, GET_PARAMETER, SET_PARAMETER"
#define RETRY_S     5

enum state { NEW = 0, ASK, ANNOUNCED, BIND, RECORDING, OVER };
#define BIT(state) (1u << (state))
#define ANY        (BIT(NEW) | BIT(ANNOUNCED) | BIT(RECORDING))

static const char *const state_names[] = {"new", "ask", "announced", "bind", "recording", "over"};

/* What a SETUP asked for that waits for its ports. */
struct asked {
    uint32_t cseq;
    uint16_t port[2];
};

struct rtsp_publish {
    const struct publish_ops *ops;
    void *arg;
    struct publish_conf conf;
    struct publish_login login;
    char session[17];
    enum state state;
    unsigned said; /* of the token of the ANNOUNCE at hand; 0: not asked */
    usec_t by_us;  /* the handshake's end */
    struct interleaved il;
    size_t need;
    uint8_t requests, wrong;
    struct rtsp_client_counts counts;
    /* from ANNOUNCE on */
    char *url, *sdp_text;
    struct sdp *sdp;
    struct rtsp_track track[RTSP_CLIENT_TRACKS_MAX];
    size_t n, n_wanted;
    unsigned set_up; /* tracks, a bit each */
    uint8_t at;      /* of the SETUP that waits */
    struct asked asked;
    int8_t slot_track[INTERLEAVED_CHANNELS_MAX];
    bool slot_rtcp[INTERLEAVED_CHANNELS_MAX];
};

/* --- life --- */

static void move(struct rtsp_publish *p, enum state to, const char *why)
{
    log_debug(
        "push-state", "from=%s to=%s why=%s", state_names[p->state], state_names[to], log_q(span_of(why)));
    p->state = to;
}

static void end(struct rtsp_publish *p, struct rtsp_event *e)
{
    if (p->state == OVER) return;
    move(p, OVER, e->text ? e->text : "stop");
    p->ops->event(p->arg, e);
}

static void fail(struct rtsp_publish *p, enum rtsp_fail why, unsigned status, const char *text)
{
    struct rtsp_event e = {.kind = RTSP_EV_FAILED, .fail = why, .status = status, .text = text};

    end(p, &e);
}

struct rtsp_publish *rtsp_publish_new(
    const struct publish_conf *conf, const struct publish_ops *ops, void *arg, usec_t now_us)
{
    struct rtsp_publish *p = NEW(struct rtsp_publish);

    p->ops = ops;
    p->arg = arg;
    p->conf = *conf;
    p->by_us = now_us + PUBLISH_HANDSHAKE_US;
    p->need = 1;
    publish_login_init(&p->login, conf->user, conf->password, conf->seed);
    snprintf(p->session, sizeof(p->session), "%016llx", (unsigned long long)conf->seed[2]);
    interleaved_init(&p->il);
    memset(p->slot_track, -1, sizeof(p->slot_track));
    return p;
}

static void forget_description(struct rtsp_publish *p)
{
    mem_free(p->sdp_text);
    mem_free(p->sdp);
    p->sdp_text = NULL;
    p->sdp = NULL;
}

void rtsp_publish_free(struct rtsp_publish *p)
{
    if (!p) return;
    forget_description(p);
    mem_free(p->url);
    mem_free(p);
}

void rtsp_publish_stop(struct rtsp_publish *p)
{
    struct rtsp_event e = {.kind = RTSP_EV_CLOSED};

    end(p, &e);
}

void rtsp_publish_closed(struct rtsp_publish *p, int err, const char *text)
{
    fail(p, RTSP_FAIL_ENDED, 0, err == 0 ? "the camera closed the connection" : text);
}

usec_t rtsp_publish_deadline(const struct rtsp_publish *p)
{
    return p->state == RECORDING || p->state == OVER ? 0 : p->by_us;
}

void rtsp_publish_tick(struct rtsp_publish *p, usec_t now_us)
{
    usec_t by_us = rtsp_publish_deadline(p);

    if (by_us != 0 && now_us >= by_us) fail(p, RTSP_FAIL_TIMEOUT, 0, "no RECORD in time");
}

struct rtsp_client_counts rtsp_publish_counts(const struct rtsp_publish *p)
{
    struct rtsp_client_counts n = p->counts;

    rtsp_client_counts_add(&n, &p->il);
    return n;
}

/* --- answers --- */

struct answer {
    char mem[MESSAGE_MAX];
    struct wr w;
};

static void answer_begin(struct rtsp_publish *p, struct answer *a, unsigned status, uint32_t cseq)
{
    a->w = wr_of(a->mem, sizeof(a->mem));
    rtsp_response(&a->w, status, cseq);
    if (p->set_up) rtsp_field_fmt(&a->w, "Session", "%s;timeout=%u", p->session, PUBLISH_TIMEOUT_S);
}

static void answer_send(struct rtsp_publish *p, struct answer *a)
{
    rtsp_end(&a->w, SPAN_NONE, SPAN_NONE);
    if (wr_ok(&a->w)) p->ops->send(p->arg, wr_span(&a->w));
}

static uint32_t cseq_of(const struct head *h)
{
    uint32_t cseq = 0;

    rtsp_cseq(h, &cseq);
    return cseq;
}

static void answer(struct rtsp_publish *p, const struct head *h, unsigned status)
{
    struct answer a;

    answer_begin(p, &a, status, cseq_of(h));
    if (status == 405) rtsp_field(&a.w, "Allow", SPAN_LIT(PUBLIC));
    if (status == 503) rtsp_field_fmt(&a.w, "Retry-After", "%u", RETRY_S);
    answer_send(p, &a);
}

/* An answer behind which nothing can follow. */
static void answer_last(struct rtsp_publish *p, const struct head *h, unsigned status, const char *why)
{
    answer(p, h, status);
    fail(p, RTSP_FAIL_PROTOCOL, status, why);
}

/* --- who is it --- */

static void challenge(struct rtsp_publish *p, const struct head *h, bool stale)
{
    struct answer a;

    answer_begin(p, &a, 401, cseq_of(h));
    publish_login_ask(&p->login, stale, &a.w);
    answer_send(p, &a);
}

/* The ANNOUNCE waits where it is, unread, until somebody has said. */
static bool known_by_token(struct rtsp_publish *p, const struct head *h)
{
    char mem[PUBLISH_TOKEN_MAX + 1];
    unsigned said = p->said;

    p->said = 0;
    if (said == 200) return true;
    if (said == 0) {
        move(p, ASK, "a token was shown");
        p->ops->token(p->arg, publish_token_of(h, mem));
        explicit_bzero(mem, sizeof(mem));
    } else if (said >= 500) {
        answer_last(p, h, 503, "nobody can say whether its token is right");
    } else {
        answer(p, h, 403);
        fail(p, RTSP_FAIL_AUTH, 403, "its token is not for this");
    }
    return false;
}

void rtsp_publish_said(struct rtsp_publish *p, unsigned status)
{
    if (p->state != ASK) return;
    move(p, NEW, "it was said");
    p->said = status;
}

/* false: answered, or to be answered later. */
static bool known(struct rtsp_publish *p, const struct head *h)
{
    enum publish_known who = publish_login_of(&p->login, h);

    if (who == PUBLISH_KNOWN) return true;
    if (who == PUBLISH_TOKEN) return known_by_token(p, h);
    challenge(p, h, who == PUBLISH_STALE);
    if (who != PUBLISH_WRONG) return false;
    p->ops->wrong(p->arg);
    if (++p->wrong >= PUBLISH_WRONG_MAX) fail(p, RTSP_FAIL_AUTH, 401, "wrong user or password");
    return false;
}

/* --- ANNOUNCE --- */

static bool names_stream(const struct rtsp_publish *p, struct span target)
{
    char mem[URL_MAX + 1];
    struct wr w = wr_of(mem, sizeof(mem));
    struct span rest, piece;

    if (!url_tail_of(target, &w)) return false;
    rest = wr_span(&w);
    if (span_find(rest, '?') >= 0) rest = span_sub(rest, 0, (size_t)span_find(rest, '?'));
    while (span_split(&rest, '/', &piece))
        if (span_is(piece, p->conf.uid)) return true;
    return false;
}

static bool keep_description(struct rtsp_publish *p, struct span body)
{
    forget_description(p);
    if (body.n == 0 || body.n > RTSP_BODY_MAX) return false;
    p->sdp_text = mem_try(body.n);
    p->sdp = mem_try(sizeof(*p->sdp));
    if (!p->sdp_text || !p->sdp) return false;
    memcpy(p->sdp_text, body.p, body.n);
    return sdp_parse(span(p->sdp_text, body.n), p->sdp);
}

static void on_announce(struct rtsp_publish *p, const struct head *h, struct span body)
{
    if (!names_stream(p, h->target)) {
        answer(p, h, 404);
        return;
    }
    if (!known(p, h)) return;
    if (!rtsp_is_sdp(h)) {
        answer(p, h, 415);
        return;
    }
    if (!keep_description(p, body)) {
        p->counts.bad_descriptions++;
        answer_last(p, h, 400, "ANNOUNCE brought no session description");
        return;
    }
    p->n = rtsp_choose(p->sdp, p->conf.tracks, true, p->track, &p->n_wanted);
    if (p->n_wanted == 0) {
        char text[160] = "nothing that can be recorded: ";
        size_t n = strlen(text);

        rtsp_choose_explain(p->sdp, text + n, sizeof(text) - n);
        answer_last(p, h, 415, text);
        return;
    }
    if (p->ops->claim(p->arg) != PUBLISH_YES) {
        answer_last(p, h, 503, "another camera pushes this stream");
        return;
    }
    p->url = span_dup(h->target);
    answer(p, h, 200);
    move(p, ANNOUNCED, "announced");
}

/* --- SETUP --- */

static struct span tail_of(struct span url, struct wr *w)
{
    struct span s;

    if (!url_tail_of(url, w)) return SPAN_NONE;
    s = wr_span(w);
    while (s.n > 0 && s.p[s.n - 1] == '/') s = span_sub(s, 0, s.n - 1);
    return s;
}

/* FFmpeg joins with one slash too many where the stream's URL ends with one. */
static bool ends_with_control(struct span given, struct span control)
{
    return control.n > 0 && given.n > control.n && span_ends(given, control) &&
        given.p[given.n - control.n - 1] == '/';
}

/* The URL of a media as its description has it; without a=control the only one's is the stream's own. */
static bool is_url_of(const struct rtsp_publish *p, size_t i, struct span target)
{
    char want_mem[2 * URL_MAX], tail_mem[2 * URL_MAX], asked_mem[URL_MAX + 1];
    struct wr want = wr_of(want_mem, sizeof(want_mem)), tail = wr_of(tail_mem, sizeof(tail_mem)),
              asked = wr_of(asked_mem, sizeof(asked_mem));
    struct span control = p->track[i].media->control, given = tail_of(target, &asked);

    if (given.n == 0) return false;
    if (ends_with_control(given, control)) return true;
    url_join_control(&want, span_of(p->url), control);
    return wr_ok(&want) && span_eq(tail_of(wr_span(&want), &tail), given);
}

static int track_of(const struct rtsp_publish *p, struct span target)
{
    for (size_t i = 0; i < p->n; i++)
        if (is_url_of(p, i, target)) return (int)i;
    return -1;
}

/* Is it one that we can serve? */
static bool usable(const struct rtsp_transport *t)
{
    bool records = t->mode.n == 0 || span_iis(t->mode, "record") ||
        span_iis(t->mode, "receive"); /* as old clients say */

    return records && !t->multicast && !t->secure && (t->tcp || t->has_interleaved || t->has_client_port);
}

static bool take_channel(struct rtsp_publish *p, uint8_t number, uint8_t track, bool rtcp)
{
    int slot = p->il.slot_of[number] >= 0 ? -1 : interleaved_channel(&p->il, number);

    if (slot < 0) return false;
    p->slot_track[slot] = (int8_t)track;
    p->slot_rtcp[slot] = rtcp;
    return true;
}

static void setup_tcp(
    struct rtsp_publish *p, const struct head *h, uint8_t track, const struct rtsp_transport *t)
{
    uint8_t rtp = t->has_interleaved ? t->interleaved[0] : (uint8_t)(2 * track);
    uint8_t rtcp = t->has_interleaved ? t->interleaved[1] : (uint8_t)(2 * track + 1);
    struct answer a;

    if (rtp == rtcp || !take_channel(p, rtp, track, false) || !take_channel(p, rtcp, track, true)) {
        answer_last(p, h, 400, "a channel is asked for twice");
        return;
    }
    p->track[track].channel[0] = rtp;
    p->track[track].channel[1] = rtcp;
    p->set_up |= 1u << track;
    answer_begin(p, &a, 200, cseq_of(h));
    rtsp_field_fmt(&a.w, "Transport", "RTP/AVP/TCP;unicast;interleaved=%u-%u;mode=record", rtp, rtcp);
    answer_send(p, &a);
}

/* Answered when the ports are there. */
static void setup_udp(
    struct rtsp_publish *p, const struct head *h, uint8_t track, const struct rtsp_transport *t)
{
    struct rtsp_event e = {.kind = RTSP_EV_UDP_BIND, .track = track};

    p->at = track;
    p->asked = (struct asked){cseq_of(h), {t->client_port[0], t->client_port[1]}};
    move(p, BIND, "ports are wanted");
    p->ops->event(p->arg, &e);
}

void rtsp_publish_udp_bound(struct rtsp_publish *p, uint8_t track, uint16_t port, int err)
{
    struct rtsp_event e = {.kind = RTSP_EV_UDP_CONNECT, .track = track};
    struct rtsp_track *t = &p->track[track];
    struct answer a;

    if (p->state != BIND || track != p->at) return;
    move(p, ANNOUNCED, err == 0 ? "ports bound" : "no ports");
    if (err == 0) p->set_up |= 1u << track;
    answer_begin(p, &a, err == 0 ? 200 : 461, p->asked.cseq);
    if (err == 0)
        rtsp_field_fmt(&a.w, "Transport", "RTP/AVP;unicast;client_port=%u-%u;server_port=%u-%u;mode=record",
            p->asked.port[0], p->asked.port[1], port, port + 1u);
    answer_send(p, &a);
    if (err != 0) return;
    t->udp = true;
    t->port[0] = e.rtp_port = p->asked.port[0];
    t->port[1] = e.rtcp_port = p->asked.port[1];
    p->ops->event(p->arg, &e);
}

static void on_setup(struct rtsp_publish *p, const struct head *h, struct span body)
{
    struct span value = head_get(h, "Transport");
    int track = track_of(p, h->target);
    struct rtsp_transport t;

    (void)body;
    if (track < 0) {
        answer(p, h, 404);
        return;
    }
    if (p->set_up & 1u << track) {
        answer(p, h, 455);
        return;
    }
    while (rtsp_transport_next(&value, &t)) {
        if (!usable(&t)) continue;
        if (t.tcp || t.has_interleaved)
            setup_tcp(p, h, (uint8_t)track, &t);
        else
            setup_udp(p, h, (uint8_t)track, &t);
        return;
    }
    answer(p, h, 461);
}

/* --- RECORD and what comes then --- */

static void on_record(struct rtsp_publish *p, const struct head *h, struct span body)
{
    struct rtsp_event tracks = {.kind = RTSP_EV_TRACKS, .tracks = p->track, .sdp = p->sdp};
    struct rtsp_event playing = {.kind = RTSP_EV_PLAYING, .tracks = p->track};

    (void)body;
    /* Tracks keep their numbers, by which their ports are known; who was not set up is not waited for. */
    for (size_t i = 0; i < p->n_wanted; i++) p->track[i].wanted = p->set_up >> i & 1;
    if ((p->set_up & (BIT(p->n_wanted) - 1)) == 0) {
        answer(p, h, 455);
        return;
    }
    tracks.n_tracks = playing.n_tracks = p->n_wanted;
    answer(p, h, 200);
    move(p, RECORDING, "recording");
    p->ops->event(p->arg, &tracks);
    for (size_t i = 0; i < p->n; i++) {
        p->track[i].media = NULL;
        p->track[i].fmtp = SPAN_NONE;
    }
    forget_description(p);
    if (p->state == RECORDING) p->ops->event(p->arg, &playing);
}

static void on_teardown(struct rtsp_publish *p, const struct head *h, struct span body)
{
    (void)body;
    answer(p, h, 200);
    fail(p, RTSP_FAIL_ENDED, 0, "the camera ended the session");
}

static void on_options(struct rtsp_publish *p, const struct head *h, struct span body)
{
    struct answer a;

    (void)body;
    answer_begin(p, &a, 200, cseq_of(h));
    rtsp_field(&a.w, "Public", SPAN_LIT(PUBLIC));
    answer_send(p, &a);
}

static void on_alive(struct rtsp_publish *p, const struct head *h, struct span body)
{
    (void)body;
    answer(p, h, 200);
}

/* --- requests --- */

static const struct {
    unsigned states; /* 0: what viewers ask */
    void (*fn)(struct rtsp_publish *p, const struct head *h, struct span body);
} methods[RTSP_METHODS] = {
    [RTSP_OPTIONS] = {ANY, on_options},
    [RTSP_ANNOUNCE] = {BIT(NEW), on_announce},
    [RTSP_SETUP] = {BIT(ANNOUNCED), on_setup},
    [RTSP_RECORD] = {BIT(ANNOUNCED), on_record},
    [RTSP_TEARDOWN] = {BIT(ANNOUNCED) | BIT(RECORDING), on_teardown},
    [RTSP_GET_PARAMETER] = {ANY, on_alive},
    [RTSP_SET_PARAMETER] = {ANY, on_alive},
};

/* A session named before there is one, or another than ours. */
static bool foreign_session(const struct rtsp_publish *p, const struct head *h)
{
    struct rtsp_session s;

    if (!rtsp_session(head_get(h, "Session"), &s)) return false;
    return p->set_up == 0 || !span_is(s.id, p->session);
}

static unsigned refusal(const struct rtsp_publish *p, const struct head *h, enum rtsp_method m)
{
    if (!span_is(h->protocol, "RTSP") || h->major != 1) return 505;
    if (m == RTSP_UNKNOWN) return 501;
    if (methods[m].states == 0) return 405;
    if (!(methods[m].states & BIT(p->state))) return 455;
    return foreign_session(p, h) ? 454 : 0;
}

static void request(struct rtsp_publish *p, const struct head *h, struct span body)
{
    enum rtsp_method m = rtsp_method_of(h->method);
    unsigned status = refusal(p, h, m);

    if (p->state != RECORDING && ++p->requests > PUBLISH_REQUESTS_MAX)
        answer_last(p, h, 400, "too many requests before RECORD");
    else if (status != 0)
        answer(p, h, status);
    else
        methods[m].fn(p, h, body);
}

static void message(struct rtsp_publish *p, const struct interleaved_event *e)
{
    static const struct head none;
    struct head h;

    if (head_parse(e->head, &h) != 0) {
        p->counts.bad_heads++;
        answer_last(p, &none, 400, "a request that is none");
    } else if (h.kind == HEAD_REQUEST) {
        request(p, &h, e->body);
    } /* An answer: we ask nothing. */
}

static void frame(struct rtsp_publish *p, const struct interleaved_event *e)
{
    int8_t track = e->slot < 0 ? -1 : p->slot_track[e->slot];
    bool rtcp;

    if (p->state != RECORDING || track < 0 || (size_t)track >= p->n_wanted) return;
    /* P9: what it is says its second byte, not its channel. */
    rtcp = rtp_is_rtcp(e->data) || (p->slot_rtcp[e->slot] && e->data.n < RTP_HEADER_MIN);
    if (p->track[track].wanted) p->ops->packet(p->arg, (uint8_t)track, rtcp, e->data);
}

static void lost(struct rtsp_publish *p)
{
    static const struct head none;

    if (p->state != RECORDING) answer(p, &none, 400);
    fail(p, RTSP_FAIL_PROTOCOL, 400,
        p->state == RECORDING ? "out of frame, and not found again" : "this is no RTSP");
}

/* For an answer from elsewhere: what comes meanwhile is not looked at. */
static bool waits(const struct rtsp_publish *p)
{
    return p->state == BIND || p->state == ASK;
}

size_t rtsp_publish_feed(struct rtsp_publish *p, struct span in)
{
    size_t done = 0, took;
    struct interleaved_event e;

    while (p->state != OVER && !waits(p)) {
        interleaved_next(&p->il, span_from(in, done), &took, &e);
        done += took;
        if (e.kind == INTERLEAVED_MORE) {
            p->need = MAX(e.need, (size_t)1);
            return done;
        }
        if (e.kind == INTERLEAVED_FRAME) frame(p, &e);
        if (e.kind == INTERLEAVED_MESSAGE) message(p, &e);
        if (p->state == ASK) done -= took; /* looked at again, with the answer */
        /* A stranger has to be in step from the beginning. */
        if (e.kind == INTERLEAVED_LOST || (e.kind == INTERLEAVED_SKIPPED && p->state != RECORDING)) lost(p);
    }
    p->need = waits(p) ? in.n - done + 1 : 1;
    return waits(p) ? done : in.n;
}

size_t rtsp_publish_need(const struct rtsp_publish *p)
{
    return p->need;
}

void rtsp_publish_send_rtcp(struct rtsp_publish *p, uint8_t track, struct span compound)
{
    uint8_t mem[INTERLEAVED_HEADER + 1500];

    if (p->state != RECORDING || track >= p->n_wanted || p->track[track].udp) return;
    if (!(p->set_up >> track & 1) || compound.n == 0 || compound.n > sizeof(mem) - INTERLEAVED_HEADER) return;
    interleaved_write_header(mem, p->track[track].channel[1], compound.n);
    memcpy(mem + INTERLEAVED_HEADER, compound.p, compound.n);
    p->ops->send(p->arg, span(mem, INTERLEAVED_HEADER + compound.n));
}
