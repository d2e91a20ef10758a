#include "httpd/h2.h"
#include "httpd/h2_head.h"
#include "httpd/http.h"
#include "common/base/bucket.h"
#include "common/base/err.h"
#include "common/base/list.h"
#include "common/base/mem.h"

#define FRAME_HEAD 9 /* RFC 9113 4.1 */
#define CHUNK_LINE 24

struct h2_piece {
    struct h2_piece *next;
    struct chunk *chunk;
    size_t from, n;
};

struct h2_stream {
    struct h2 *h;
    struct list link;
    struct list fresh; /* has a head to be sent */
    int32_t id;
    void *of; /* NULL: no request of ours (yet, or refused) */
    struct h2_request request;
    bool asked;            /* the request is complete */
    bool chunked;          /* its body is framed by chunks */
    size_t unwanted;       /* bytes behind the answer's end */
    size_t unread, unsaid; /* of the body: bytes as framed that are not taken; bytes to be consumed then */
    /* the answer */
    struct buf head;
    struct h2_piece *first, **last;
    size_t queued;
    usec_t moved_us; /* when bytes of it were last passed on, or began to wait */
    bool head_whole, submitted, deferred, ended;
    bool over; /* all of it is sent, and the request's body still comes */
};

struct h2 {
    nghttp2_session *ng;
    const struct h2_ops *ops;
    void *arg;
    struct list streams, fresh;
    size_t n;
    usec_t now_us, active_us;
    usec_t head_us; /* since when a head has begun and not ended; 0: none */
    struct bucket controls;
    bool broken;
};

/* --- streams --- */

static struct h2_stream *stream_of(struct h2 *h, int32_t id)
{
    return nghttp2_session_get_stream_user_data(h->ng, id);
}

static void drop_piece(struct h2_stream *s)
{
    struct h2_piece *p = s->first;

    s->first = p->next;
    if (!s->first) s->last = &s->first;
    chunk_unref(p->chunk);
    mem_free(p);
}

static void stream_free(struct h2_stream *s)
{
    if (s->of) s->h->ops->gone(s->of);
    while (s->first) drop_piece(s);
    list_remove(&s->link);
    list_remove(&s->fresh);
    h2_request_done(&s->request);
    buf_done(&s->head);
    s->h->n--;
    mem_free(s);
}

static void reset(struct h2_stream *s, uint32_t code)
{
    nghttp2_submit_rst_stream(s->h->ng, NGHTTP2_FLAG_NONE, s->id, code);
}

/* Refused before there is anybody who could answer. */
static void refuse(struct h2_stream *s, unsigned status)
{
    char text[4];
    nghttp2_nv nv = {.name = (uint8_t *)(uintptr_t) ":status", .namelen = 7, .valuelen = 3};

    snprintf(text, sizeof(text), "%u", status % 1000);
    nv.value = (uint8_t *)text;
    nghttp2_submit_response(s->h->ng, s->id, &nv, 1, NULL);
    s->submitted = true;
}

/* --- requests --- */

static void open_request(struct h2_stream *s, bool body)
{
    struct h2 *h = s->h;
    struct buf text;
    unsigned status;

    s->asked = true;
    h->head_us = 0;
    buf_init(&text, 2 * HTTP_HEAD_MAX);
    status = h2_request_text(&s->request, body, &text);
    s->chunked = body && !s->request.has_length;
    h2_request_done(&s->request);
    if (status == 0) {
        s->unread = buf_n(&text);
        s->of = h->ops->request(h->arg, s, buf_span(&text));
        if (!s->of) reset(s, NGHTTP2_REFUSED_STREAM);
    } else {
        refuse(s, status);
    }
    buf_done(&text);
}

static void give(struct h2_stream *s, struct span bytes)
{
    if (!s->of) return;
    s->unread += bytes.n;
    s->h->ops->body(s->of, bytes);
}

/* Clients that are told to stop by a reset forget the answer too (curl 7.88): a body that is not endless is
 * read to its end. */
static void forget(struct h2_stream *s, size_t n)
{
    s->unwanted += n;
    if (s->unwanted > H2_UNWANTED_MAX) reset(s, NGHTTP2_NO_ERROR);
    s->unread = 0;
    h2_taken(s, 0);
}

static void body(struct h2_stream *s, struct span bytes)
{
    char line[CHUNK_LINE];

    s->unsaid += bytes.n;
    if (s->over) {
        forget(s, bytes.n);
        return;
    }
    if (s->chunked) {
        int n = snprintf(line, sizeof(line), "%zx\r\n", bytes.n);

        give(s, span(line, (size_t)n));
    }
    give(s, bytes);
    if (s->chunked) give(s, SPAN_LIT("\r\n"));
    if (!s->of) h2_taken(s, 0);
}

void h2_taken(struct h2_stream *s, size_t n)
{
    s->unread -= MIN(n, s->unread);
    if (s->unread > 0 || s->unsaid == 0) return;
    nghttp2_session_consume_stream(s->h->ng, s->id, s->unsaid);
    s->unsaid = 0;
}

/* --- answers --- */

static ssize_t read_answer(nghttp2_session *ng, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    size_t n = MIN(cap, s->queued);

    (void)ng;
    (void)id;
    (void)to;
    (void)arg;
    if (s->queued == 0 && !s->ended) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == s->queued && s->ended) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

/* A frame of DATA: its head is copied, its bytes are shared. */
static int send_answer(nghttp2_session *ng, nghttp2_frame *frame, const uint8_t *head, size_t n,
    nghttp2_data_source *source, void *arg)
{
    struct h2_stream *s = source->ptr;
    struct h2 *h = arg;
    size_t left = n;

    (void)ng;
    (void)frame;
    if (h->ops->full(h->arg)) return NGHTTP2_ERR_WOULDBLOCK;
    must(n <= s->queued);
    h->ops->out(h->arg, span(head, FRAME_HEAD));
    while (left > 0) {
        struct h2_piece *p = s->first;
        size_t part = MIN(left, p->n);

        h->ops->out_chunk(h->arg, p->chunk, p->from, part);
        p->from += part;
        p->n -= part;
        left -= part;
        if (p->n == 0) drop_piece(s);
    }
    s->queued -= n;
    s->moved_us = h->now_us;
    if (s->of && n > 0) h->ops->passed(s->of, n);
    return 0;
}

static ssize_t send_frame(nghttp2_session *ng, const uint8_t *p, size_t n, int flags, void *arg)
{
    struct h2 *h = arg;

    (void)ng;
    (void)flags;
    if (h->ops->full(h->arg)) return NGHTTP2_ERR_WOULDBLOCK;
    h->ops->out(h->arg, span(p, n));
    return (ssize_t)n;
}

/* An answer whose end is there already goes without an empty frame behind it. */
static void submit(struct h2_stream *s)
{
    const nghttp2_data_provider data = {.source.ptr = s, .read_callback = read_answer};
    bool empty = s->ended && s->queued == 0;
    struct h2_answer a;

    list_remove(&s->fresh);
    s->submitted = true;
    if (!h2_answer_of(buf_span(&s->head), &a) ||
        nghttp2_submit_response(s->h->ng, s->id, a.v, a.n, empty ? NULL : &data) != 0)
        reset(s, NGHTTP2_INTERNAL_ERROR);
    buf_done(&s->head);
}

/* Bytes of the head at the front of these; false: it is too long. */
static bool take_head(struct h2_stream *s, const struct chunk *c, size_t from, size_t n, size_t *ret_n)
{
    size_t before = buf_n(&s->head), at = before > 3 ? before - 3 : 0;
    struct span all;

    *ret_n = n;
    if (!buf_put(&s->head, span(c->data + from, n))) return false;
    all = buf_span(&s->head);
    for (; at + 4 <= all.n; at++) {
        if (!span_is(span_sub(all, at, 4), "\r\n\r\n")) continue;
        *ret_n = at + 4 - before;
        s->head.to = s->head.from + at + 4;
        s->head_whole = true;
        break;
    }
    return s->head_whole || all.n < H2_ANSWER_HEAD_MAX;
}

static void queue(struct h2_stream *s, struct chunk *c, size_t from, size_t n)
{
    struct h2_piece *p = NEW(struct h2_piece);

    *p = (struct h2_piece){NULL, c, from, n};
    *s->last = p;
    s->last = &p->next;
    if (s->queued == 0) s->moved_us = s->h->now_us;
    s->queued += n;
    if (!s->deferred) return;
    s->deferred = false;
    nghttp2_session_resume_data(s->h->ng, s->id);
}

void h2_answer(struct h2_stream *s, struct chunk *c, size_t from, size_t n)
{
    size_t used = 0;

    if (!s->head_whole && !s->submitted) {
        if (!take_head(s, c, from, MIN(n, H2_ANSWER_HEAD_MAX + 1), &used)) {
            s->submitted = true;
            reset(s, NGHTTP2_INTERNAL_ERROR);
        } else if (s->head_whole) {
            list_push(&s->h->fresh, &s->fresh);
        }
        s->h->ops->passed(s->of, used);
    }
    if (n > used && s->head_whole) {
        queue(s, c, from + used, n - used);
        return;
    }
    if (n > used) s->h->ops->passed(s->of, n - used);
    chunk_unref(c);
}

void h2_answer_end(struct h2_stream *s, bool whole)
{
    s->ended = true;
    if (!s->head_whole && !s->submitted)
        reset(s, whole ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_REFUSED_STREAM);
    else if (!whole)
        reset(s, NGHTTP2_INTERNAL_ERROR);
    else if (s->deferred)
        nghttp2_session_resume_data(s->h->ng, s->id);
    s->deferred = false;
}

/* --- what nghttp2 calls --- */

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h = arg;
    /* One that takes all it gets goes on with the others in turn, whatever the client asks for. */
    const nghttp2_extpri in_turn = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    struct h2_stream *s;

    if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    s = NEW(struct h2_stream);
    s->h = h;
    s->id = frame->hd.stream_id;
    s->last = &s->first;
    buf_init(&s->head, H2_ANSWER_HEAD_MAX + LOOP_SCRATCH);
    h2_request_init(&s->request);
    list_push(&h->streams, &s->link);
    h->n++;
    h->head_us = h->now_us;
    nghttp2_session_set_stream_user_data(ng, s->id, s);
    (void)nghttp2_session_change_extpri_stream_priority(ng, s->id, &in_turn, 1);
    return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
    const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct h2_stream *s = stream_of(arg, frame->hd.stream_id);

    (void)ng;
    (void)flags;
    if (s && !s->asked) h2_request_field(&s->request, span(name, name_n), span(value, value_n));
    return 0;
}

/* A frame that costs us more than it costs who sends it. */
static bool flooded(struct h2 *h, const nghttp2_frame *frame)
{
    switch (frame->hd.type) {
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING: break;
    case NGHTTP2_DATA:
        if (frame->hd.length > 0) return false;
        break;
    default: return false;
    }
    return bucket_take(&h->controls, h->now_us) > 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h = arg;
    struct h2_stream *s = stream_of(h, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (flooded(h, frame)) {
        h->broken = true;
        nghttp2_session_terminate_session(ng, NGHTTP2_ENHANCE_YOUR_CALM);
        return 0;
    }
    if (!s || (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)) return 0;
    if (!s->asked)
        open_request(s, !end);
    else if (end && s->chunked)
        give(s, SPAN_LIT("0\r\n\r\n"));
    return 0;
}

/* What the connection as a whole may send is given back at once: a stream that is not read holds only itself.
 */
static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    struct h2_stream *s = stream_of(arg, id);

    (void)flags;
    nghttp2_session_consume_connection(ng, n);
    if (s && n > 0) body(s, span(p, n));
    return 0;
}

static int on_close(nghttp2_session *ng, int32_t id, uint32_t code, void *arg)
{
    struct h2_stream *s = stream_of(arg, id);

    (void)code;
    if (!s) return 0;
    nghttp2_session_set_stream_user_data(ng, id, NULL);
    stream_free(s);
    return 0;
}

static int on_sent(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct h2 *h = arg;
    struct h2_stream *s = stream_of(h, frame->hd.stream_id);
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;

    if (!s || !end || nghttp2_session_get_stream_remote_close(ng, s->id) != 0) return 0;
    s->over = true;
    s->moved_us = h->now_us;
    forget(s, 0);
    return 0;
}

/* --- life --- */

static nghttp2_session *nghttp2_new(struct h2 *h)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    nghttp2_session *ng;

    must(nghttp2_session_callbacks_new(&cb) == 0 && nghttp2_option_new(&option) == 0);
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_sent);
    nghttp2_session_callbacks_set_send_callback(cb, send_frame);
    nghttp2_session_callbacks_set_send_data_callback(cb, send_answer);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, H2_ACKS_MAX);
    nghttp2_option_set_stream_reset_rate_limit(option, H2_RESETS_BURST, H2_RESETS_RATE);
    must(nghttp2_session_server_new2(&ng, cb, h, option) == 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    return ng;
}

struct h2 *h2_new(const struct h2_ops *ops, void *arg, usec_t now_us)
{
    static const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, H2_STREAMS_MAX},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, H2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, HTTP_HEAD_MAX},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    struct h2 *h = NEW(struct h2);

    h->ops = ops;
    h->arg = arg;
    h->now_us = h->active_us = now_us;
    h->controls = bucket_of(H2_CONTROLS_US, H2_CONTROLS_BURST);
    list_init(&h->streams);
    list_init(&h->fresh);
    h->ng = nghttp2_new(h);
    nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings, ARRAY_N(settings));
    return h;
}

void h2_free(struct h2 *h)
{
    LIST_EACH(&h->streams, at) stream_free(LIST_ITEM(at, struct h2_stream, link));
    nghttp2_session_del(h->ng);
    mem_free(h);
}

size_t h2_streams(const struct h2 *h)
{
    return h->n;
}

bool h2_feed(struct h2 *h, struct span in, usec_t now_us)
{
    ssize_t n;

    h->now_us = h->active_us = now_us;
    n = nghttp2_session_mem_recv(h->ng, in.p, in.n);
    if (n < 0) h->broken = true;
    return !h->broken;
}

bool h2_send(struct h2 *h, usec_t now_us)
{
    h->now_us = now_us;
    LIST_EACH(&h->fresh, at) submit(LIST_ITEM(at, struct h2_stream, fresh));
    if (nghttp2_session_send(h->ng) != 0) return false;
    return nghttp2_session_want_read(h->ng) || nghttp2_session_want_write(h->ng);
}

void h2_goodbye(struct h2 *h)
{
    nghttp2_session_terminate_session(h->ng, NGHTTP2_NO_ERROR);
}

void h2_check(struct h2 *h, usec_t now_us)
{
    bool idle = h->n == 0 && now_us - h->active_us > HTTP_IDLE_TIMEOUT_US;

    h->now_us = now_us;
    if (idle) h2_goodbye(h);
    if (h->head_us != 0 && now_us - h->head_us > HTTP_HEAD_TIMEOUT_US)
        nghttp2_session_terminate_session(h->ng, NGHTTP2_ENHANCE_YOUR_CALM);
    LIST_EACH(&h->streams, at)
    {
        struct h2_stream *s = LIST_ITEM(at, struct h2_stream, link);

        if ((s->queued > 0 || s->over) && now_us - s->moved_us > HTTP_STALL_TIMEOUT_US)
            reset(s, NGHTTP2_CANCEL);
    }
}
