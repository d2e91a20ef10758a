#include "httpd/rtsp/server_impl.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <stdlib.h>

#define SERVER_NAME     "media-server"
#define ALL_STATES      (1u << RTSP_STATE_INIT | 1u << RTSP_STATE_READY | 1u << RTSP_STATE_PLAYING)
#define SET_UP          (1u << RTSP_STATE_READY | 1u << RTSP_STATE_PLAYING)
#define SCALE_MILLI_MAX 1000000 /* what is more is no number that anybody means */

static const struct head_limits limits = {RTSP_LINE_MAX, RTSP_HEAD_MAX};

/* --- answers --- */

void rtsp_answer_begin(struct rtsp_server *s, struct answer_text *a, const struct head *h, unsigned status)
{
    uint32_t cseq = 0;

    rtsp_cseq(h, &cseq);
    a->w = wr_of(a->text, sizeof(a->text));
    rtsp_response(&a->w, status, cseq);
    rtsp_field(&a->w, "Server", SPAN_LIT(SERVER_NAME));
    if (s->state != RTSP_STATE_INIT)
        rtsp_field_fmt(
            &a->w, "Session", "%016llx;timeout=%u", (unsigned long long)s->id, RTSP_SERVER_TIMEOUT_S);
}

void rtsp_answer_send(struct rtsp_server *s, struct answer_text *a)
{
    rtsp_end(&a->w, SPAN_NONE, SPAN_NONE);
    if (wr_ok(&a->w))
        s->ops->put(s->arg, wr_span(&a->w));
    else
        s->closing = true; /* too long a URL, or controls in it */
}

void rtsp_answer(struct rtsp_server *s, const struct head *h, unsigned status)
{
    struct answer_text a;

    rtsp_answer_begin(s, &a, h, status);
    rtsp_answer_send(s, &a);
}

/* What comes behind cannot be told apart any more. */
static void refuse_for_good(struct rtsp_server *s, const struct head *h, unsigned status)
{
    static const struct head none;

    rtsp_answer(s, h ? h : &none, status);
    s->closing = true;
}

/* --- a request that waits --- */

static void forget_kept(struct rtsp_server *s)
{
    mem_free((void *)(uintptr_t)s->kept.p);
    s->kept = SPAN_NONE;
    s->busy = RTSP_UNKNOWN;
}

static void close_target(struct rtsp_server *s)
{
    mem_free(s->target);
    s->target = NULL;
    memset(s->kinds, 0, sizeof(s->kinds));
    s->replay = false;
}

static void end_session(struct rtsp_server *s)
{
    if (s->state == RTSP_STATE_INIT) return;
    s->ops->teardown(s->arg);
    s->state = RTSP_STATE_INIT;
    memset(s->lane, 0, sizeof(s->lane));
}

/* --- methods --- */

/* Is it what is open? A URL whose query was left out is (players cut it off in SETUP). */
static bool is_open(const struct rtsp_server *s, const struct head *h)
{
    struct rtsp_target a, b;

    if (!s->target || !rtsp_target(span_of(s->target), s->base, &a)) return false;
    if (!rtsp_target(h->target, s->base, &b)) return false;
    return span_eq(a.uid, b.uid) && a.dvr == b.dvr && (b.query.n == 0 || span_eq(a.query, b.query));
}

static void open_target(struct rtsp_server *s, const struct head *h, enum rtsp_method m)
{
    struct rtsp_open o = {.uri = h->target,
        .method = rtsp_method_name(m),
        .authorization = head_get(h, "Authorization"),
        .user_agent = head_get(h, "User-Agent")};

    if (!rtsp_target(h->target, s->base, &o.target)) {
        rtsp_answer(s, h, 404);
        return;
    }
    s->busy = m;
    s->ops->want(s->arg, &o);
}

static void put_public(struct wr *w);

static void do_options(struct rtsp_server *s, const struct head *h)
{
    struct answer_text a;

    rtsp_answer_begin(s, &a, h, 200);
    put_public(&a.w);
    rtsp_answer_send(s, &a);
}

static bool takes_sdp(const struct head *h)
{
    struct span accept = head_get(h, "Accept"), one;

    if (accept.n == 0) return true;
    while (head_list_next(&accept, ',', &one))
        if (span_istarts(one, "application/sdp") || span_starts(one, SPAN_LIT("*/")) ||
            span_istarts(one, "application/*"))
            return true;
    return false;
}

static void do_describe(struct rtsp_server *s, const struct head *h)
{
    if (!takes_sdp(h))
        rtsp_answer(s, h, 406);
    else if (s->state != RTSP_STATE_INIT && !is_open(s, h))
        rtsp_answer(s, h, 455);
    else
        open_target(s, h, RTSP_DESCRIBE);
}

/* GStreamer joins a control with a URL that has a query to what names no stream; told so, it tries another
 * way.
 */
static void do_setup(struct rtsp_server *s, const struct head *h)
{
    struct rtsp_target t;

    if (is_open(s, h))
        rtsp_setup(s, h);
    else if (s->state != RTSP_STATE_INIT)
        rtsp_answer(s, h, rtsp_target(h->target, s->base, &t) ? 455 : 404);
    else
        open_target(s, h, RTSP_SETUP);
}

bool rtsp_scale(struct span text, int32_t *ret_milli)
{
    bool minus = text.n > 0 && text.p[0] == '-';
    struct span rest = span_from(text, minus || (text.n > 0 && text.p[0] == '+')), whole;
    uint64_t v = 0, digit;
    int32_t milli;

    if (!span_split(&rest, '.', &whole) || (whole.n > 0 && !span_u64(whole, SCALE_MILLI_MAX / 1000, &v)))
        return false;
    if (whole.n == 0 && rest.n == 0) return false;
    milli = (int32_t)v * 1000;
    for (size_t i = 0, unit = 100; i < rest.n; i++, unit /= 10) {
        if (!span_u64(span_sub(rest, i, 1), 9, &digit)) return false;
        milli += (int32_t)(digit * unit);
    }
    *ret_milli = minus ? -milli : milli;
    return true;
}

static void do_play(struct rtsp_server *s, const struct head *h)
{
    struct rtsp_play p = {.scale_milli = 1000, .replay = s->replay};
    struct span range = head_get(h, "Range"), scale = head_get(h, "Scale");
    uint32_t cseq = 0;

    if (!is_open(s, h)) {
        rtsp_answer(s, h, 404);
        return;
    }
    p.has_range = range.n > 0;
    if (p.has_range && !rtsp_range(range, &p.range)) {
        rtsp_answer(s, h, 457);
        return;
    }
    p.has_scale = scale.n > 0;
    if (p.has_scale && (!rtsp_scale(scale, &p.scale_milli) || p.scale_milli == 0)) {
        rtsp_answer(s, h, 456);
        return;
    }
    p.no_rate = span_iis(head_get(h, "Rate-Control"), "no");
    p.intra = span_istarts(head_get(h, "Frames"), "intra");
    rtsp_cseq(h, &cseq);
    p.cseq = (uint8_t)cseq;
    s->busy = RTSP_PLAY;
    s->ops->play(s->arg, &p);
}

static void do_pause(struct rtsp_server *s, const struct head *h)
{
    s->ops->pause(s->arg);
    s->state = RTSP_STATE_READY;
    rtsp_answer(s, h, 200);
}

static void do_teardown(struct rtsp_server *s, const struct head *h)
{
    struct answer_text a;

    rtsp_answer_begin(s, &a, h, 200);
    end_session(s);
    close_target(s);
    rtsp_answer_send(s, &a);
}

/* Keep-alives. What parameters they name is not looked at (O5). */
static void do_parameter(struct rtsp_server *s, const struct head *h)
{
    rtsp_answer(s, h, 200);
}

static const struct {
    enum rtsp_method method;
    unsigned states; /* in which it is valid */
    void (*run)(struct rtsp_server *s, const struct head *h);
} methods[] = {
    {RTSP_OPTIONS, ALL_STATES, do_options},
    {RTSP_DESCRIBE, ALL_STATES, do_describe},
    {RTSP_SETUP, 1u << RTSP_STATE_INIT | 1u << RTSP_STATE_READY, do_setup},
    {RTSP_PLAY, SET_UP, do_play},
    {RTSP_PAUSE, 1u << RTSP_STATE_PLAYING, do_pause},
    {RTSP_TEARDOWN, SET_UP, do_teardown},
    {RTSP_GET_PARAMETER, ALL_STATES, do_parameter},
    {RTSP_SET_PARAMETER, ALL_STATES, do_parameter},
};

static void put_public(struct wr *w)
{
    wr_text(w, "Public: ");
    for (size_t i = 0; i < ARRAY_N(methods); i++)
        wr_fmt(w, "%s%s", i ? ", " : "", rtsp_method_name(methods[i].method));
    wr_text(w, "\r\n");
}

/* --- from bytes to methods --- */

/* A session that is named must be this connection's. */
static bool session_fits(const struct rtsp_server *s, const struct head *h)
{
    struct span value = head_get(h, "Session"), id;
    char own[20];

    if (value.p == NULL) return true;
    if (s->state == RTSP_STATE_INIT) return false;
    snprintf(own, sizeof(own), "%016llx", (unsigned long long)s->id);
    return span_split(&value, ';', &id) && span_is(span_trim(id), own);
}

/* false: 551 was answered. */
static bool understands(struct rtsp_server *s, const struct head *h)
{
    static const char *const fields[] = {"Require", "Proxy-Require"};
    struct answer_text a;

    for (size_t i = 0; i < ARRAY_N(fields); i++) {
        struct span list = head_get(h, fields[i]), one;

        while (head_list_next(&list, ',', &one)) {
            if (span_iis(one, "onvif-replay")) {
                s->replay = true;
                continue;
            }
            if (span_iis(one, "play.basic")) continue;
            rtsp_answer_begin(s, &a, h, 551);
            rtsp_field(&a.w, "Unsupported", one);
            rtsp_answer_send(s, &a);
            return false;
        }
    }
    return true;
}

static void run(struct rtsp_server *s, const struct head *h)
{
    enum rtsp_method m = rtsp_method_of(h->method);
    struct answer_text a;
    uint32_t cseq;

    if (!rtsp_cseq(h, &cseq)) {
        rtsp_answer(s, h, 400);
        return;
    }
    for (size_t i = 0; i < ARRAY_N(methods); i++) {
        if (methods[i].method != m) continue;
        if (!session_fits(s, h))
            rtsp_answer(s, h, 454);
        else if (!(methods[i].states & 1u << s->state))
            rtsp_answer(s, h, 455);
        else if (understands(s, h))
            methods[i].run(s, h);
        return;
    }
    rtsp_answer_begin(s, &a, h, 501);
    put_public(&a.w);
    rtsp_answer_send(s, &a);
}

/* An interleaved frame: its bytes, 0: more are needed. */
static size_t take_frame(struct rtsp_server *s, struct span in)
{
    size_t n;

    if (in.n < 4) return 0;
    n = 4 + ((size_t)in.p[2] << 8 | in.p[3]);
    if (in.n < n) return 0;
    for (unsigned i = 0; i < TRACK_MAX; i++) {
        const struct rtsp_lane *l = &s->lane[i];

        if (l->set && !l->udp && l->channel[1] == in.p[1]) s->ops->rtcp(s->arg, i, span_sub(in, 4, n - 4));
    }
    return n;
}

/* Head and body at the front: their bytes. 0: more are needed, or it is refused for good. */
static size_t take_message(struct rtsp_server *s, struct span in)
{
    struct head h;
    struct span length;
    uint64_t body = 0;
    size_t n;
    int err = head_find(&s->find, in, &limits, &n);

    if (err == HEAD_E_MORE) return 0;
    if (err == 0) {
        forget_kept(s);
        s->kept = span(mem_dup(in.p, n), n);
        err = head_parse(s->kept, &h);
    }
    if (err != 0) {
        refuse_for_good(s, NULL, err == HEAD_E_LINE_LONG ? 414 : 400);
        return 0;
    }
    if (h.kind == HEAD_REQUEST && (!span_iis(h.protocol, "RTSP") || h.major != 1)) {
        refuse_for_good(s, &h, span_iis(h.protocol, "RTSP") ? 505 : 400);
        return 0;
    }
    length = head_get(&h, "Content-Length");
    if (h.cut || (length.p != NULL && !span_u64(length, UINT32_MAX, &body)) || body > RTSP_SERVER_BODY_MAX) {
        refuse_for_good(s, &h, body > RTSP_SERVER_BODY_MAX ? 413 : 400);
        return 0;
    }
    if (in.n - n < body) return 0;
    s->find = (struct head_find){0};
    if (h.kind != HEAD_REQUEST) return n + (size_t)body; /* nothing was asked of the client */
    run(s, &h);
    if (s->busy == RTSP_UNKNOWN) forget_kept(s);
    return n + (size_t)body;
}

static size_t take(struct rtsp_server *s, struct span in)
{
    /* Empty lines between messages (O6); at the front of one they do no harm either. */
    if (in.p[0] == '\r' || in.p[0] == '\n') {
        s->find = (struct head_find){0};
        return 1;
    }
    return in.p[0] == '$' ? take_frame(s, in) : take_message(s, in);
}

size_t rtsp_server_feed(struct rtsp_server *s, struct span in, usec_t now_us)
{
    struct span rest = in;

    s->now_us = now_us;
    while (rest.n > 0 && !s->closing && s->busy == RTSP_UNKNOWN) {
        size_t n = take(s, rest);

        if (n == 0) break;
        rest = span_from(rest, n);
        s->heard_us = now_us;
    }
    if (s->closing) {
        s->ops->close(s->arg);
        return in.n;
    }
    if (rest.n == 0 || s->busy != RTSP_UNKNOWN || rest.n < in.n) s->partial_us = 0;
    if (rest.n > 0 && s->busy == RTSP_UNKNOWN && s->partial_us == 0) s->partial_us = now_us;
    return in.n - rest.n;
}

/* --- what the owner answers --- */

static void settle(struct rtsp_server *s)
{
    if (s->closing) s->ops->close(s->arg);
}

void rtsp_server_init(
    struct rtsp_server *s, const struct rtsp_server_conf *conf, const struct rtsp_server_ops *ops, void *arg)
{
    *s = (struct rtsp_server){.ops = ops,
        .arg = arg,
        .base = conf->base,
        .id = conf->id,
        .busy = RTSP_UNKNOWN,
        .heard_us = conf->now_us,
        .partial_us = conf->now_us}; /* silence from the start is a slow request */
}

void rtsp_server_done(struct rtsp_server *s)
{
    end_session(s);
    close_target(s);
    forget_kept(s);
}

bool rtsp_server_busy(const struct rtsp_server *s)
{
    return s->busy != RTSP_UNKNOWN;
}

usec_t rtsp_server_deadline(const struct rtsp_server *s)
{
    usec_t dead_us = s->heard_us + RTSP_SERVER_DEAD_US;

    if (s->busy != RTSP_UNKNOWN) return 0;
    if (s->partial_us != 0) return MIN(dead_us, s->partial_us + RTSP_SERVER_HEAD_US);
    return s->state == RTSP_STATE_PLAYING && !rtsp_server_udp(s) ? 0 : dead_us;
}

void rtsp_server_heard(struct rtsp_server *s, usec_t now_us)
{
    s->heard_us = now_us;
}

static void send_description(struct rtsp_server *s, const struct head *h, const struct describe *d)
{
    CLEANUP(mem_freep) char *text = mem_new(DESCRIBE_MAX);
    struct wr body = wr_of(text, DESCRIBE_MAX);
    struct describe mine = *d;
    struct rtsp_target t;
    struct answer_text a;

    must(rtsp_target(h->target, s->base, &t));
    mine.kind_names = t.original;
    describe_write(&mine, &body);
    if (!wr_ok(&body)) {
        rtsp_answer(s, h, 500);
        return;
    }
    rtsp_answer_begin(s, &a, h, 200);
    /* Players add the controls to it as text, behind the query, too. */
    rtsp_field_fmt(&a.w, "Content-Base", "%.*s%s", SPAN_FMT(t.base),
        t.base.n > 0 && t.base.p[t.base.n - 1] == '/' ? "" : "/");
    rtsp_field(&a.w, "Content-Type", SPAN_LIT("application/sdp"));
    rtsp_field_fmt(&a.w, "Content-Length", "%zu", body.n);
    wr_text(&a.w, "\r\n");
    if (!wr_ok(&a.w)) {
        s->closing = true;
        return;
    }
    s->ops->put(s->arg, wr_span(&a.w));
    s->ops->put(s->arg, wr_span(&body));
}

static void take_description(struct rtsp_server *s, const struct head *h, const struct describe *d)
{
    /* A session keeps its URL: the same may be described without its query. */
    if (s->state == RTSP_STATE_INIT) {
        mem_free(s->target);
        s->target = span_dup(h->target);
    }
    describe_kinds(d, s->kinds);
    for (size_t i = 0; i < d->n; i++) s->ssrc[i] = d->pay[i].ssrc;
}

void rtsp_server_opened(struct rtsp_server *s, unsigned status, const char *fields, const struct describe *d)
{
    enum rtsp_method m = s->busy;
    struct span kept = s->kept;
    struct answer_text a;
    struct head h;

    must(m == RTSP_DESCRIBE || m == RTSP_SETUP);
    must(head_parse(kept, &h) == 0);
    s->busy = RTSP_UNKNOWN;
    if (status != 200) {
        rtsp_answer_begin(s, &a, &h, status);
        if (fields) wr_text(&a.w, fields);
        rtsp_answer_send(s, &a);
        if (s->state == RTSP_STATE_INIT) close_target(s); /* nor is what was open before it */
    } else {
        take_description(s, &h, d);
        if (m == RTSP_DESCRIBE)
            send_description(s, &h, d);
        else
            rtsp_setup(s, &h);
    }
    forget_kept(s);
    settle(s);
}

static void put_range(const struct rtsp_played *p, struct wr *w)
{
    if (!p->clock) {
        wr_text(w, "Range: npt=now-\r\n");
        return;
    }
    wr_text(w, "Range: clock=");
    describe_clock(w, p->from_us);
    wr_u8(w, '-');
    if (p->to_us > 0) describe_clock(w, p->to_us);
    wr_text(w, "\r\n");
}

static void put_rtp_info(
    const struct rtsp_server *s, const struct head *h, const struct rtsp_played *p, struct wr *w)
{
    struct rtsp_target t;
    bool any = false;

    must(rtsp_target(h->target, s->base, &t));
    for (size_t i = 0; i < TRACK_MAX; i++) {
        if (!s->lane[i].set || !p->track[i].known) continue;
        wr_fmt(w, "%surl=%.*s%s", any ? "," : "RTP-Info: ", SPAN_FMT(t.base),
            t.base.n > 0 && t.base.p[t.base.n - 1] == '/' ? "" : "/");
        describe_control(s->kinds, i, t.original, w);
        wr_fmt(w, ";seq=%u;rtptime=%u", p->track[i].seq, p->track[i].ts);
        any = true;
    }
    if (any) wr_text(w, "\r\n");
}

static void put_scale(const struct rtsp_played *p, struct wr *w)
{
    int32_t v = p->scale_milli;

    if (p->has_scale) wr_fmt(w, "Scale: %s%d.%03d\r\n", v < 0 ? "-" : "", abs(v) / 1000, abs(v) % 1000);
}

void rtsp_server_played(
    struct rtsp_server *s, unsigned status, const char *fields, const struct rtsp_played *p)
{
    struct answer_text a;
    struct head h;

    must(s->busy == RTSP_PLAY);
    must(head_parse(s->kept, &h) == 0);
    s->busy = RTSP_UNKNOWN;
    if (p) s->state = RTSP_STATE_PLAYING;
    rtsp_answer_begin(s, &a, &h, status);
    if (fields) wr_text(&a.w, fields);
    if (p) {
        put_range(p, &a.w);
        put_scale(p, &a.w);
        put_rtp_info(s, &h, p, &a.w);
    }
    rtsp_answer_send(s, &a);
    forget_kept(s);
    settle(s);
}

void rtsp_server_ended(struct rtsp_server *s)
{
    if (s->state == RTSP_STATE_PLAYING) s->state = RTSP_STATE_READY;
}
