#include "tests/camera/rtsp.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "common/base/rng.h"
#include "tests/camera/play.h"

#define HEAD_MAX  65536
#define NO_ANSWER 1 /* knob value: swallow the request */
#define FRAME_HDR 4

struct span request_header(const struct request *r, const char *name)
{
    struct span rest = r->heads, line, key;

    while (span_split(&rest, '\n', &line)) {
        struct span value = line;
        if (span_split(&value, ':', &key) && value.p != NULL && span_iis(span_trim(key), name))
            return span_trim(value);
    }
    return SPAN_NONE;
}

struct span list_param(struct span list, uint8_t sep, const char *name)
{
    struct span item, key;

    while (span_split(&list, sep, &item)) {
        struct span value = item;
        if (!span_split(&value, '=', &key) || value.p == NULL || !span_iis(span_trim(key), name)) continue;
        value = span_trim(value);
        if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
            value = span_sub(value, 1, value.n - 2);
        return value;
    }
    return SPAN_NONE;
}

static const char *reason_of(unsigned status)
{
    static const struct {
        unsigned status;
        const char *text;
    } reasons[] = {
        {200, "OK"},
        {302, "Moved Temporarily"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {404, "Not Found"},
        {453, "Not Enough Bandwidth"},
        {454, "Session Not Found"},
        {455, "Method Not Valid"},
        {457, "Invalid Range"},
        {461, "Unsupported Transport"},
        {501, "Not Implemented"},
        {503, "Service Unavailable"},
    };

    for (size_t i = 0; i < ARRAY_N(reasons); i++)
        if (reasons[i].status == status) return reasons[i].text;
    return "Status";
}

/* The head in the form the knob asks for (C1, C3, C4). */
static void bend_head(struct buf *to, struct span head, int64_t form)
{
    struct span line;
    bool first = true;

    if (form == HEADS_CRLF_BEFORE) buf_text(to, "\r\n\r\n");
    while (span_split(&head, '\n', &line)) {
        if (head.p == NULL && line.n == 0) break;
        line = span_trim(line);
        if (form == HEADS_NO_CSEQ && span_istarts(line, "CSeq:")) continue;
        ssize_t colon = first ? -1 : span_find(line, ':');
        for (size_t i = 0; i < line.n; i++) {
            uint8_t b = line.p[i];
            bool name = colon > 0 && i < (size_t)colon;
            if (form == HEADS_LOWER && name && b >= 'A' && b <= 'Z') b = (uint8_t)(b + ('a' - 'A'));
            (void)buf_put(to, span(&b, 1));
            if (form == HEADS_BLANKS && (ssize_t)i == colon) buf_text(to, " \t ");
        }
        if (form == HEADS_BLANKS && !first && line.n > 0) buf_text(to, " ");
        buf_text(to, form == HEADS_LF ? "\n" : "\r\n");
        first = false;
    }
}

void rtsp_reply(struct conn *c, const struct request *r, unsigned status, struct span more, struct span body)
{
    const struct knobs *k = c->stream != NULL ? &c->stream->k : NULL;
    struct buf head, out;

    buf_init(&head, HEAD_MAX);
    buf_init(&out, HEAD_MAX * 8);
    buf_fmt(&head, "RTSP/1.0 %u %s\r\nCSeq: %.*s\r\nServer: ms-camera\r\n%.*s", status, reason_of(status),
        SPAN_FMT(r->cseq), SPAN_FMT(more));
    if (body.n > 0 && (k == NULL || k->no_length == 0)) buf_fmt(&head, "Content-Length: %zu\r\n", body.n);
    buf_text(&head, "\r\n");
    bend_head(&out, buf_span(&head), k == NULL ? HEADS_NORMAL : k->heads);
    (void)buf_put(&out, body);
    conn_write(c, buf_span(&out));
    buf_done(&head);
    buf_done(&out);
}

static void reply_plain(struct conn *c, const struct request *r, unsigned status)
{
    rtsp_reply(c, r, status, SPAN_NONE, SPAN_NONE);
}

static void session_header(struct conn *c, struct buf *to)
{
    const struct knobs *k = &c->stream->k;

    if (k->session == SESSION_NONE || c->session[0] == '\0') return;
    if (k->session == SESSION_NO_TIMEOUT)
        buf_fmt(to, "Session: %s\r\n", c->session);
    else if (k->session == SESSION_BLANKS)
        buf_fmt(to, "Session:  %s ; timeout = %lld \r\n", c->session, (long long)k->timeout);
    else
        buf_fmt(to, "Session: %s;timeout=%lld\r\n", c->session, (long long)k->timeout);
}

static void on_options(struct conn *c, const struct request *r)
{
    struct buf b;

    buf_init(&b, HEAD_MAX);
    buf_fmt(&b, "Public: OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY%s\r\n",
        c->stream->k.public == PUBLIC_ALL ? ", GET_PARAMETER, SET_PARAMETER" : "");
    session_header(c, &b);
    rtsp_reply(c, r, 200, buf_span(&b), SPAN_NONE);
    buf_done(&b);
}

/* The request's URL up to the stream's name, with a slash at the end. */
static void base_of(struct buf *to, const struct conn *c, struct span url)
{
    static const char *const forms[] = {[BASE_NORMAL] = "",
        [BASE_NONE] = "",
        [BASE_NO_SCHEME] = "",
        [BASE_DOUBLE] = "rtsp://",
        [BASE_WRONG_HOST] = ""};
    int64_t form = c->stream->k.base;

    (void)buf_text(to, forms[form]);
    if (form == BASE_WRONG_HOST) {
        buf_fmt(to, "rtsp://10.255.255.1:8554/%s/", c->stream->name);
        return;
    }
    struct span shown = url, plain;
    if (span_split(&url, '?', &plain)) shown = plain;
    if (form == BASE_NO_SCHEME && span_istarts(shown, "rtsp://")) shown = span_from(shown, 7);
    (void)buf_put(to, shown);
    if (!span_ends(shown, SPAN_LIT("/"))) buf_text(to, "/");
}

static bool read_text(const char *path, struct buf *to)
{
    FILE *f = fopen(path, "r");
    uint8_t *room = f == NULL ? NULL : buf_room(to, HEAD_MAX);

    if (room != NULL) buf_added(to, fread(room, 1, HEAD_MAX, f));
    if (f != NULL) fclose(f);
    return room != NULL;
}

static void on_describe(struct conn *c, const struct request *r)
{
    const struct knobs *k = &c->stream->k;
    struct buf base, head, body;

    if (k->redirect[0] != '\0') {
        buf_init(&head, HEAD_MAX);
        buf_fmt(&head, "Location: %s\r\n", k->redirect);
        rtsp_reply(c, r, 302, buf_span(&head), SPAN_NONE);
        buf_done(&head);
        return;
    }
    if (k->one_describe != 0 && c->described) {
        reply_plain(c, r, 400);
        return;
    }
    c->described = true;
    buf_init(&base, HEAD_MAX);
    buf_init(&head, HEAD_MAX);
    buf_init(&body, HEAD_MAX * 8);
    base_of(&base, c, r->url);
    if (k->sdp_file[0] == '\0' || !read_text(k->sdp_file, &body))
        sdp_write(&body, c->stream, buf_span(&base));
    if (k->base != BASE_NONE) buf_fmt(&head, "Content-Base: %.*s\r\n", SPAN_FMT(buf_span(&base)));
    if (k->no_type == 0) buf_text(&head, "Content-Type: application/sdp\r\n");
    rtsp_reply(c, r, 200, buf_span(&head), buf_span(&body));
    buf_done(&base);
    buf_done(&head);
    buf_done(&body);
}

/* The track a URL names: "trackID=1" anywhere in it, the first one without. */
static unsigned track_of(struct span url)
{
    ssize_t at = span_find_span(url, SPAN_LIT("trackID="));
    uint64_t v = 0;

    if (at >= 0) (void)span_u64(span_sub(url, (size_t)at + 8, 1), STREAM_TRACKS - 1, &v);
    return (unsigned)v;
}

static bool is_full(struct conn *c)
{
    const struct knobs *k = &c->stream->k;

    return k->max_sessions > 0 && c->session[0] == '\0' && c->stream->sessions >= (uint32_t)k->max_sessions;
}

static void on_setup(struct conn *c, const struct request *r)
{
    unsigned track = track_of(r->url), status = 404;
    struct buf b;

    if (is_full(c)) {
        c->stream->c.refused_full++;
        reply_plain(c, r, (unsigned)c->stream->k.full_status);
        return;
    }
    buf_init(&b, HEAD_MAX);
    if (track < c->stream->n_tracks) {
        play_reset_track(&c->play[track]);
        status = setup_track(c, &c->play[track], request_header(r, "Transport"), &b);
    }
    if (status == 200) {
        c->play[track].set_up = true;
        if (c->session[0] == '\0') {
            snprintf(c->session, sizeof c->session, "%08X%08X", rng_u32(), rng_u32());
            stream_session_opened(c->stream);
        }
        session_header(c, &b);
    }
    rtsp_reply(c, r, status, status == 200 ? buf_span(&b) : SPAN_NONE, SPAN_NONE);
    buf_done(&b);
}

static void rtp_info(struct conn *c, const struct request *r, struct buf *to)
{
    const char *sep = "RTP-Info: ";
    int64_t form = c->stream->k.rtp_info;

    if (form == RTPINFO_NONE) return;
    if (form == RTPINFO_JUNK) {
        buf_text(to, "RTP-Info: url=;seq=x;rtptime=-1, ,\r\n");
        return;
    }
    for (unsigned t = 0; t < c->stream->n_tracks; t++) {
        const struct play *p = &c->play[t];
        if (!p->set_up) continue;
        uint32_t ts = play_first_ts(p), seq = p->seq;
        if (form == RTPINFO_ZERO) ts = seq = 0;
        if (form == RTPINFO_WRONG) {
            ts += 900000;
            seq = (seq + 30000) & 0xffff;
        }
        buf_text(to, sep);
        if (form == RTPINFO_RELATIVE)
            buf_fmt(to, "url=trackID=%u;seq=%u;rtptime=%u", t, seq, ts);
        else
            buf_fmt(to, "url=%.*s%strackID=%u;seq=%u;rtptime=%u", SPAN_FMT(r->url),
                span_ends(r->url, SPAN_LIT("/")) ? "" : "/", t, seq, ts);
        sep = ",";
    }
    buf_text(to, "\r\n");
}

static void on_play(struct conn *c, const struct request *r)
{
    const struct knobs *k = &c->stream->k;
    bool ranged = request_header(r, "Range").p != NULL;
    struct buf b;

    if (c->session[0] == '\0' || (k->no_range != 0 && ranged)) {
        reply_plain(c, r, c->session[0] == '\0' ? 455 : 457);
        return;
    }
    if (!c->playing) play_begin(c, server_now_us());
    if (k->early != 0)
        for (unsigned t = 0; t < c->stream->n_tracks; t++)
            if (c->play[t].set_up) play_send_report(&c->play[t], server_now_us());
    buf_init(&b, HEAD_MAX);
    session_header(c, &b);
    buf_text(&b, "Range: npt=0.000-\r\n");
    rtp_info(c, r, &b);
    rtsp_reply(c, r, 200, buf_span(&b), SPAN_NONE);
    buf_done(&b);
    if (k->need_range != 0 && !ranged) play_pause(c);
}

static void on_pause(struct conn *c, const struct request *r)
{
    play_pause(c);
    reply_plain(c, r, 200);
}

static void on_teardown(struct conn *c, const struct request *r)
{
    play_end(c);
    reply_plain(c, r, 200);
}

static void on_parameter(struct conn *c, const struct request *r)
{
    struct buf b;

    buf_init(&b, HEAD_MAX);
    session_header(c, &b);
    rtsp_reply(c, r, 200, buf_span(&b), SPAN_NONE);
    buf_done(&b);
}

#define NO_FIELD SIZE_MAX
static const struct method {
    const char *name;
    void (*fn)(struct conn *c, const struct request *r);
    size_t counter; /* in stream_counters */
    size_t status;  /* knob that answers instead, or NO_FIELD */
    int64_t alive;  /* knob value under which it alone keeps a session alive */
    bool keepalive;
} methods[] = {
    {"OPTIONS", on_options, offsetof(struct stream_counters, options), offsetof(struct knobs, options_status),
        ALIVE_OPTIONS, true},
    {"DESCRIBE", on_describe, offsetof(struct stream_counters, describes),
        offsetof(struct knobs, describe_status), ALIVE_RTSP, false},
    {"SETUP", on_setup, offsetof(struct stream_counters, setups), offsetof(struct knobs, setup_status),
        ALIVE_RTSP, false},
    {"PLAY", on_play, offsetof(struct stream_counters, plays), offsetof(struct knobs, play_status),
        ALIVE_RTSP, false},
    {"PAUSE", on_pause, NO_FIELD, NO_FIELD, ALIVE_RTSP, false},
    {"TEARDOWN", on_teardown, offsetof(struct stream_counters, teardowns),
        offsetof(struct knobs, teardown_status), ALIVE_RTSP, false},
    {"GET_PARAMETER", on_parameter, NO_FIELD, offsetof(struct knobs, get_parameter_status),
        ALIVE_GET_PARAMETER, true},
    {"SET_PARAMETER", on_parameter, NO_FIELD, NO_FIELD, ALIVE_RTSP, true},
};

static const struct method *method_of(struct span name)
{
    for (size_t i = 0; i < ARRAY_N(methods); i++)
        if (span_is(name, methods[i].name)) return &methods[i];
    return NULL;
}

static void note_alive(struct conn *c, const struct method *m)
{
    int64_t alive = c->stream->k.alive;

    if (c->playing && m->keepalive) c->stream->c.keepalives++;
    if (!c->playing || alive == ALIVE_ANY || alive == ALIVE_RTSP || alive == m->alive)
        c->alive_us = server_now_us();
}

static void count(struct stream *s, const struct method *m)
{
    s->c.requests++;
    if (m != NULL && m->counter != NO_FIELD) ++*(uint64_t *)(void *)((char *)&s->c + m->counter);
}

/* true: the request is refused or swallowed by a knob. */
static bool intercepted(struct conn *c, const struct request *r, const struct method *m)
{
    const struct knobs *k = &c->stream->k;

    if (k->mute != 0) return true;
    if (k->need_agent != 0 && request_header(r, "User-Agent").n == 0) {
        reply_plain(c, r, 400);
        return true;
    }
    if (k->relative_only != 0 && !span_starts(r->url, SPAN_LIT("/"))) {
        reply_plain(c, r, 404);
        return true;
    }
    int64_t status =
        m->status == NO_FIELD ? 0 : *(const int64_t *)(const void *)((const char *)k + m->status);
    if (c->playing && m->keepalive && k->alive_silent != 0) status = NO_ANSWER;
    if (status >= 100) reply_plain(c, r, (unsigned)status);
    return status != 0;
}

static void on_request(struct conn *c, const struct request *r)
{
    const struct method *m = method_of(r->method);
    struct span url = r->url, host;

    if (span_istarts(url, "rtsp://")) {
        url = span_from(url, 7);
        if (!span_split(&url, '/', &host)) url = SPAN_NONE;
    }
    struct stream *named = stream_by_path(url);
    if (c->stream == NULL && named != NULL) {
        c->stream = named;
        named->c.connections++;
    }
    if (c->stream == NULL) { /* "OPTIONS *" before anything else, or an unknown name */
        if (m != NULL && span_is(r->method, "OPTIONS"))
            rtsp_reply(c, r, 200,
                SPAN_LIT("Public: OPTIONS, DESCRIBE, SETUP, TEARDOWN, PLAY, GET_PARAMETER\r\n"), SPAN_NONE);
        else
            reply_plain(c, r, 404);
        return;
    }
    count(c->stream, m);
    if (m == NULL) {
        reply_plain(c, r, 501);
        return;
    }
    note_alive(c, m);
    if (!intercepted(c, r, m) && login_check(c, r)) m->fn(c, r);
}

static void on_frame(struct conn *c, uint8_t channel, struct span data)
{
    if (c->stream == NULL) return;
    for (unsigned t = 0; t < STREAM_TRACKS; t++)
        if (c->play[t].set_up && !c->play[t].udp &&
            (c->play[t].rtcp_channel == channel || c->play[t].channel == channel)) {
            play_rtcp(&c->play[t], data);
            return;
        }
    c->stream->c.rtcp_bad++;
}

/* Length of the head, its empty line included; 0: not whole. */
static size_t head_length(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != '\n') continue;
        if (i + 1 < s.n && s.p[i + 1] == '\n') return i + 2;
        if (i + 2 < s.n && s.p[i + 1] == '\r' && s.p[i + 2] == '\n') return i + 3;
    }
    return 0;
}

static bool parse(struct span head, struct request *ret)
{
    struct span line, version;

    if (!span_split(&head, '\n', &line)) return false;
    ret->heads = head;
    line = span_trim(line);
    if (!span_split(&line, ' ', &ret->method) || !span_split(&line, ' ', &ret->url) ||
        !span_split(&line, ' ', &version))
        return false;
    ret->cseq = request_header(ret, "CSeq");
    return span_istarts(version, "RTSP/1.");
}

size_t rtsp_read(struct conn *c, struct span s)
{
    struct request r;
    uint64_t body = 0;

    if (s.n == 0) return 0;
    if (s.p[0] == '\r' || s.p[0] == '\n') return 1;
    if (s.p[0] == '$') {
        size_t len = s.n < FRAME_HDR ? SIZE_MAX : FRAME_HDR + (size_t)(s.p[2] << 8 | s.p[3]);
        if (s.n < len) return 0;
        on_frame(c, s.p[1], span_sub(s, FRAME_HDR, len - FRAME_HDR));
        return len;
    }
    size_t head = head_length(s);
    if (head == 0) {
        if (s.n > HEAD_MAX) conn_close(c);
        return 0;
    }
    if (span_istarts(s, "RTSP/")) return head; /* an answer to a request of ours */
    if (!parse(span_sub(s, 0, head), &r)) {
        conn_close(c);
        return 0;
    }
    (void)span_u64(request_header(&r, "Content-Length"), HEAD_MAX, &body);
    if (s.n < head + body) return 0;
    on_request(c, &r);
    return head + (size_t)body;
}
