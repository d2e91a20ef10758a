/* httpd/h2 against nghttp2 as a client, in memory: requests and answers, flow control, turns, ends, floods,
 * and who is too slow. */
#include "httpd/h2.h"
#include "httpd/http.h"
#include "common/base/mem.h"

#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ROADS_MAX 400

struct road {
    struct h2_stream *s;
    char head[1024];
    char body[2 * H2_WINDOW];
    size_t body_n, passed;
    bool gone;
};
struct got { /* by the client */
    int32_t id;
    char head[512];
    size_t n;
    uint8_t last; /* byte */
    bool end;
    uint32_t reset;
};
struct rig {
    struct h2 *h;
    nghttp2_session *client;
    struct road roads[ROADS_MAX];
    size_t n_roads;
    struct got got[ROADS_MAX];
    size_t n_got;
    char order[4096]; /* of the DATA frames, by stream */
    size_t n_order;
    struct buf out;
    bool full, refuse, open;
    uint32_t goaway;
    bool said_goaway;
    size_t updates;
    int32_t unread; /* a stream that the client does not read */
    usec_t now_us;
};
static struct rig rig;

/* --- the server's side --- */

static void *request(void *arg, struct h2_stream *s, struct span head)
{
    struct rig *r = arg;
    struct road *road;

    if (r->refuse) return NULL;
    assert_true(r->n_roads < ROADS_MAX);
    road = &r->roads[r->n_roads++];
    *road = (struct road){.s = s};
    span_copy(head, road->head, sizeof(road->head));
    return road;
}

static void body(void *of, struct span bytes)
{
    struct road *road = of;

    assert_true(road->body_n + bytes.n < sizeof(road->body));
    memcpy(road->body + road->body_n, bytes.p, bytes.n);
    road->body_n += bytes.n;
}

static void passed(void *of, size_t n)
{
    ((struct road *)of)->passed += n;
}

static void gone(void *of)
{
    ((struct road *)of)->gone = true;
}

static bool full(void *arg)
{
    struct rig *r = arg;

    return r->full || buf_n(&r->out) > 100000;
}

static void out(void *arg, struct span bytes)
{
    assert_true(buf_put(&((struct rig *)arg)->out, bytes));
}

static void out_chunk(void *arg, struct chunk *c, size_t from, size_t n)
{
    out(arg, span(c->data + from, n));
}

static const struct h2_ops ops = {request, body, passed, gone, full, out, out_chunk};

/* --- the client's --- */

static struct got *got_of(struct rig *r, int32_t id)
{
    for (size_t i = 0; i < r->n_got; i++)
        if (r->got[i].id == id) return &r->got[i];
    assert_true(r->n_got < ROADS_MAX);
    r->got[r->n_got] = (struct got){.id = id, .reset = UINT32_MAX};
    return &r->got[r->n_got++];
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name, size_t name_n,
    const uint8_t *value, size_t value_n, uint8_t flags, void *arg)
{
    struct got *g = got_of(arg, frame->hd.stream_id);
    size_t at = strlen(g->head);

    (void)ng;
    (void)flags;
    snprintf(g->head + at, sizeof(g->head) - at, "%.*s=%.*s ", (int)name_n, (const char *)name, (int)value_n,
        (const char *)value);
    return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
    struct rig *r = arg;
    struct got *g = got_of(r, id);

    (void)flags;
    nghttp2_session_consume_connection(ng, n);
    if (id != r->unread) nghttp2_session_consume_stream(ng, id, n);
    for (size_t i = 0; i < n; i++) assert_int_equal(p[i], (uint8_t)((g->n + i) * 13));
    g->n += n;
    if (r->n_order < sizeof(r->order)) r->order[r->n_order++] = (char)('0' + id);
    return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *arg)
{
    struct rig *r = arg;

    (void)ng;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        r->said_goaway = true;
        r->goaway = frame->goaway.error_code;
    }
    if (frame->hd.type == NGHTTP2_WINDOW_UPDATE && frame->hd.stream_id != 0) r->updates++;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        got_of(r, frame->hd.stream_id)->reset = frame->rst_stream.error_code;
    if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
        (frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        got_of(r, frame->hd.stream_id)->end = true;
    return 0;
}

/* --- both --- */

static void start(void **state)
{
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;

    (void)state;
    rig = (struct rig){.now_us = 1000 * US_PER_S};
    buf_init(&rig.out, 8 << 20);
    rig.h = h2_new(&ops, &rig, rig.now_us);
    assert_int_equal(nghttp2_session_callbacks_new(&cb), 0);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_http_messaging(option, 1); /* says what it is told to */
    assert_int_equal(nghttp2_session_client_new2(&rig.client, cb, &rig, option), 0);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(rig.client, 0, NULL, 0);
}

static void stop(void)
{
    h2_free(rig.h);
    for (size_t i = 0; i < rig.n_roads; i++) assert_true(rig.roads[i].gone);
    nghttp2_session_del(rig.client);
    buf_done(&rig.out);
}

/* Until both are silent. false: the server ends the connection. */
static bool talk(void)
{
    bool on = true, moved = true;

    while (moved) {
        const uint8_t *p;
        ssize_t n;

        moved = false;
        while ((n = nghttp2_session_mem_send(rig.client, &p)) > 0) {
            moved = true;
            if (!h2_feed(rig.h, span(p, (size_t)n), rig.now_us)) on = false;
        }
        if (!h2_send(rig.h, rig.now_us)) on = false;
        if (buf_n(&rig.out) > 0) {
            moved = true;
            (void)nghttp2_session_mem_recv(rig.client, rig.out.mem + rig.out.from, buf_n(&rig.out));
            buf_clear(&rig.out);
        }
        if (!on) break;
    }
    return on;
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name,
        .value = (uint8_t *)(uintptr_t)value,
        .namelen = strlen(name),
        .valuelen = strlen(value)};
}

static int32_t ask(const char *path)
{
    const nghttp2_nv v[] = {
        nv(":method", "GET"), nv(":scheme", "https"), nv(":authority", "x"), nv(":path", path)};

    return nghttp2_submit_request(rig.client, NULL, v, ARRAY_N(v), NULL, NULL);
}

static void answer_text(struct road *road, const char *text)
{
    struct chunk *c = chunk_new(strlen(text));

    memcpy(c->data, text, c->n);
    h2_answer(road->s, c, 0, c->n);
}

/* Bytes of a body, from `at` on. */
static void answer_bytes(struct road *road, size_t at, size_t n)
{
    struct chunk *c = chunk_new(n + 10);

    for (size_t i = 0; i < n; i++) c->data[10 + i] = (uint8_t)((at + i) * 13);
    h2_answer(road->s, c, 10, n);
}

/* --- tests --- */

static void question_and_answer(void **state)
{
    struct got *g;
    int32_t id;

    start(state);
    id = ask("/cam/index.m3u8");
    assert_true(talk());
    assert_int_equal(rig.n_roads, 1);
    assert_string_equal(
        rig.roads[0].head, "GET /cam/index.m3u8 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    answer_text(&rig.roads[0], "HTTP/1.1 200 OK\r\nContent-");
    answer_text(&rig.roads[0], "Length: 5000\r\nConnection: close\r\n\r");
    answer_text(&rig.roads[0], "\n");
    answer_bytes(&rig.roads[0], 0, 2000);
    assert_true(talk());
    g = got_of(&rig, id);
    assert_string_equal(g->head, ":status=200 content-length=5000 ");
    assert_int_equal(g->n, 2000);
    assert_false(g->end);
    answer_bytes(&rig.roads[0], 2000, 3000);
    h2_answer_end(rig.roads[0].s, true);
    assert_true(talk());
    assert_int_equal(g->n, 5000);
    assert_true(g->end && rig.roads[0].gone);
    assert_true(rig.roads[0].passed > 5000); /* with the head */
    assert_int_equal(h2_streams(rig.h), 0);
    stop();
}

static void answers_without_a_body(void **state)
{
    int32_t id;

    start(state);
    id = ask("/");
    talk();
    answer_text(&rig.roads[0], "HTTP/1.1 304 Not Modified\r\n\r\n");
    h2_answer_end(rig.roads[0].s, true);
    talk();
    assert_string_equal(got_of(&rig, id)->head, ":status=304 ");
    assert_true(got_of(&rig, id)->end);
    assert_int_equal(rig.n_order, 0);
    stop();
}

static void ends_that_are_none(void **state)
{
    int32_t ids[4];

    start(state);
    for (int i = 0; i < 4; i++) ids[i] = ask("/");
    talk();
    answer_text(&rig.roads[0], "HTTP/1.1 200 OK\r\n\r\nx"); /* cut in its body */
    h2_answer_end(rig.roads[0].s, false);
    answer_text(&rig.roads[1], "HTTP/1.1 200 OK\r\n"); /* in its head */
    h2_answer_end(rig.roads[1].s, true);
    h2_answer_end(rig.roads[2].s, false); /* nobody was there */
    for (int i = 0; i < 300; i++)
        answer_text(&rig.roads[3], "X-A: 0123456789012345678901234567890123456789\r\n");
    talk();
    assert_int_equal(got_of(&rig, ids[0])->reset, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(got_of(&rig, ids[1])->reset, NGHTTP2_INTERNAL_ERROR);
    assert_int_equal(got_of(&rig, ids[2])->reset, NGHTTP2_REFUSED_STREAM);
    assert_int_equal(got_of(&rig, ids[3])->reset, NGHTTP2_INTERNAL_ERROR);
    for (int i = 0; i < 4; i++) assert_true(rig.roads[i].gone);
    rig.refuse = true;
    ids[0] = ask("/");
    talk();
    assert_int_equal(got_of(&rig, ids[0])->reset, NGHTTP2_REFUSED_STREAM);
    stop();
}

/* A stream that the client does not read waits; the others go on, in turns. */
static void streams_take_turns(void **state)
{
    const size_t most = 600000;
    int32_t slow, a, b;
    size_t changes = 0;

    start(state);
    nghttp2_session_set_local_window_size(rig.client, 0, 0, 1 << 20);
    slow = rig.unread = ask("/slow");
    a = ask("/a");
    b = ask("/b");
    talk();
    for (int i = 0; i < 3; i++) {
        answer_text(&rig.roads[i], "HTTP/1.1 200 OK\r\n\r\n");
        for (size_t at = 0; at < most; at += 60000) answer_bytes(&rig.roads[i], at, 60000);
    }
    talk();
    assert_int_equal(got_of(&rig, a)->n, most);
    assert_int_equal(got_of(&rig, b)->n, most);
    assert_int_equal(got_of(&rig, slow)->n, 65535);
    assert_int_equal(rig.roads[0].passed, 65535 + 19);
    for (size_t i = 1; i < rig.n_order; i++) changes += rig.order[i] != rig.order[i - 1];
    assert_true(changes > 20);
    /* After a while it is ended. */
    rig.now_us += HTTP_STALL_TIMEOUT_US + 1;
    h2_check(rig.h, rig.now_us);
    talk();
    assert_int_equal(got_of(&rig, slow)->reset, NGHTTP2_CANCEL);
    assert_true(rig.roads[0].gone && !rig.roads[1].gone);
    stop();
}

static void nothing_is_said_while_it_is_full(void **state)
{
    int32_t id;

    start(state);
    id = ask("/");
    talk();
    rig.full = true;
    answer_text(&rig.roads[0], "HTTP/1.1 200 OK\r\n\r\n");
    answer_bytes(&rig.roads[0], 0, 1000);
    assert_true(talk());
    assert_int_equal(got_of(&rig, id)->n, 0);
    rig.full = false;
    assert_true(talk());
    assert_int_equal(got_of(&rig, id)->n, 1000);
    stop();
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *to, size_t cap, uint32_t *flags,
    nghttp2_data_source *source, void *arg)
{
    size_t *left = source->ptr, n = MIN(cap, MIN(*left, 1000));

    (void)ng;
    (void)id;
    (void)arg;
    memset(to, 'b', n);
    *left -= n;
    if (*left == 0) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static int32_t post(size_t *n, const char *length)
{
    const nghttp2_nv v[] = {nv(":method", "POST"), nv(":scheme", "https"), nv(":path", "/"),
        nv(":authority", "x"), nv("content-length", length ? length : "")};
    const nghttp2_data_provider data = {.source.ptr = n, .read_callback = read_body};

    return nghttp2_submit_request(rig.client, NULL, v, length ? 5 : 4, &data, NULL);
}

static void bodies(void **state)
{
    size_t n = 1500;

    start(state);
    post(&n, NULL);
    talk();
    assert_non_null(strstr(rig.roads[0].head, "Transfer-Encoding: chunked\r\n"));
    assert_int_equal(rig.roads[0].body_n, 1500 + 5 + 2 + 5 + 2 + 5); /* 3e8, 1f4, 0 */
    assert_memory_equal(rig.roads[0].body, "3e8\r\nbbb", 8);
    assert_memory_equal(rig.roads[0].body + rig.roads[0].body_n - 7, "\r\n0\r\n\r\n", 7);
    n = 5;
    post(&n, "5");
    talk();
    assert_memory_equal(rig.roads[1].body, "bbbbb", 5);
    assert_int_equal(rig.roads[1].body_n, 5);
    n = 5;
    post(&n, "4"); /* says one thing and does another */
    talk();
    assert_true(rig.roads[2].gone);
    stop();
}

/* No more comes than what is taken makes room for. */
static void bodies_that_nobody_reads(void **state)
{
    size_t n = 9000, much = 10 << 20;
    int32_t id;

    start(state);
    post(&n, NULL);
    talk();
    h2_taken(rig.roads[0].s, strlen(rig.roads[0].head) + rig.roads[0].body_n - 1);
    talk();
    assert_int_equal(rig.updates, 0);
    h2_taken(rig.roads[0].s, 1);
    talk();
    assert_int_equal(rig.updates, 1);
    id = post(&much, NULL);
    talk();
    assert_int_equal(much, (10 << 20) - H2_WINDOW);
    /* Behind the answer it is read and forgotten, up to a point. */
    answer_text(&rig.roads[1], "HTTP/1.1 413 Content Too Large\r\n\r\n");
    h2_answer_end(rig.roads[1].s, true);
    talk();
    assert_true(got_of(&rig, id)->end && rig.roads[1].gone);
    assert_int_equal(got_of(&rig, id)->reset, NGHTTP2_NO_ERROR);
    assert_in_range((10 << 20) - much, H2_UNWANTED_MAX, H2_UNWANTED_MAX + 2 * H2_WINDOW);
    stop();
}

static void refused_before_anybody_sees_it(void **state)
{
    static char huge[HTTP_HEAD_MAX];
    nghttp2_nv v[] = {
        nv(":method", "GET"), nv(":scheme", "https"), nv(":authority", "x"), nv(":path", "/"), nv("x", "y")};
    int32_t id;

    start(state);
    memset(huge, 'a', sizeof(huge) - 1);
    v[4] = nv("x-huge", huge);
    id = nghttp2_submit_request(rig.client, NULL, v, 5, NULL, NULL);
    talk();
    assert_string_equal(got_of(&rig, id)->head, ":status=431 ");
    v[4] = nv("x", "a\r\nb");
    id = nghttp2_submit_request(rig.client, NULL, v, 5, NULL, NULL);
    talk();
    assert_int_equal(got_of(&rig, id)->reset, NGHTTP2_PROTOCOL_ERROR);
    v[4] = nv("Upper", "case");
    id = nghttp2_submit_request(rig.client, NULL, v, 5, NULL, NULL);
    talk();
    v[4] = nv("connection", "close");
    id = nghttp2_submit_request(rig.client, NULL, v, 5, NULL, NULL);
    talk();
    assert_int_equal(got_of(&rig, id)->reset, NGHTTP2_PROTOCOL_ERROR);
    assert_true(rig.n_roads <= 1); /* nghttp2 as a client writes names in lower case */
    stop();
}

static void too_many_at_once(void **state)
{
    start(state);
    talk();
    for (int i = 0; i < H2_STREAMS_MAX + 50; i++) ask("/");
    talk();
    assert_int_equal(rig.n_roads, H2_STREAMS_MAX);
    assert_int_equal(h2_streams(rig.h), H2_STREAMS_MAX);
    stop();
}

static void rapid_resets(void **state)
{
    size_t i;

    start(state);
    for (i = 0; i < ROADS_MAX - 1; i++) {
        int32_t id = ask("/");

        if (!talk()) break;
        nghttp2_submit_rst_stream(rig.client, 0, id, NGHTTP2_CANCEL);
        if (!talk()) break;
        assert_true(rig.roads[i].gone);
    }
    assert_in_range(i, H2_RESETS_BURST - 1, H2_RESETS_BURST + 60);
    assert_true(rig.said_goaway);
    stop();
}

static bool feed(const char *p, size_t n)
{
    return h2_feed(rig.h, span(p, n), rig.now_us) && h2_send(rig.h, rig.now_us);
}

#define PREFACE                                                                                              \
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"                                                                       \
    "\0\0\0\4\0\0\0\0\0"

/* Stream 1, without its end: method POST, path /, scheme https, authority x. */
#define POST_OPEN                                                                                            \
    "\0\0\6\1\4\0\0\0\1"                                                                                     \
    "\x83\x84\x87\x41\x01x"

static void floods(void **state)
{
    static const struct {
        const char *frame;
        size_t n;
    } rows[] = {
        {"\0\0\0\4\0\0\0\0\0", 9}, /* SETTINGS */
        {"\0\0\10\6\0\0\0\0\0"
         "12345678",
            17}, /* PING */
        {"\0\0\5\2\0\0\0\0\1"
         "\0\0\0\0\20",
            14},                   /* PRIORITY: ignored, keeps nothing */
        {"\0\0\0\0\0\0\0\0\1", 9}, /* empty DATA */
        {"\0\0\1\11\0\0\0\0\3"
         "\x82",
            10}, /* CONTINUATION of the head below */
    };

    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        int sent = 0;

        start(state);
        assert_true(feed(PREFACE, sizeof(PREFACE) - 1));
        /* POST / without an end; then one whose head goes on for ever. */
        assert_true(feed(POST_OPEN, sizeof(POST_OPEN) - 1));
        if (i == 4)
            feed("\0\0\1\1\1\0\0\0\3"
                 "\x83",
                10);
        while (sent < 5000 && feed(rows[i].frame, rows[i].n)) {
            buf_clear(&rig.out);
            sent++;
        }
        assert_true(i == 2 ? sent == 5000 : sent < 1500);
        stop();
    }
}

/* Small on the wire, large in memory: the table of HPACK is filled once and named again and again. */
static void header_bombs(void **state)
{
    static char frame[16384 + 9];
    size_t at = 9;
    int32_t n = 0;

    start(state);
    assert_true(feed(PREFACE, sizeof(PREFACE) - 1));
    memcpy(frame + at, "\x82\x84\x87\x40\x01x\x7f\xa1\x1e", 9); /* a literal of 4000 bytes, indexed */
    at += 9;
    memset(frame + at, 'a', 4000);
    at += 4000;
    while (at < sizeof(frame)) frame[at++] = (char)0xbe; /* index 62: the same again */
    n = (int32_t)(at - 9);
    frame[0] = (char)(n >> 16);
    frame[1] = (char)(n >> 8);
    frame[2] = (char)n;
    frame[3] = 1;
    frame[4] = 5; /* END_STREAM, END_HEADERS */
    frame[8] = 1;
    (void)feed(frame, at);
    assert_int_equal(rig.n_roads, 0);
    assert_true(h2_streams(rig.h) <= 1);
    stop();
}

static void who_is_too_slow(void **state)
{
    start(state);
    assert_true(feed(PREFACE, sizeof(PREFACE) - 1));
    rig.now_us += HTTP_IDLE_TIMEOUT_US / 2;
    h2_check(rig.h, rig.now_us);
    assert_true(h2_send(rig.h, rig.now_us));
    rig.now_us += HTTP_IDLE_TIMEOUT_US;
    h2_check(rig.h, rig.now_us);
    assert_false(h2_send(rig.h, rig.now_us));
    stop();
    start(state);
    assert_true(feed(PREFACE, sizeof(PREFACE) - 1));
    assert_true(feed("\0\0\1\1\1\0\0\0\1"
                     "\x82",
        10)); /* a head that does not go on */
    rig.now_us += HTTP_HEAD_TIMEOUT_US + 1;
    h2_check(rig.h, rig.now_us);
    assert_false(h2_send(rig.h, rig.now_us));
    stop();
}

static void goodbye(void **state)
{
    start(state);
    ask("/");
    talk();
    h2_goodbye(rig.h);
    assert_false(talk());
    assert_true(rig.said_goaway);
    assert_int_equal(rig.goaway, NGHTTP2_NO_ERROR);
    stop();
}

static void not_http2(void **state)
{
    start(state);
    assert_false(feed("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27));
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(question_and_answer),
        cmocka_unit_test(answers_without_a_body),
        cmocka_unit_test(ends_that_are_none),
        cmocka_unit_test(streams_take_turns),
        cmocka_unit_test(nothing_is_said_while_it_is_full),
        cmocka_unit_test(bodies),
        cmocka_unit_test(bodies_that_nobody_reads),
        cmocka_unit_test(refused_before_anybody_sees_it),
        cmocka_unit_test(too_many_at_once),
        cmocka_unit_test(rapid_resets),
        cmocka_unit_test(floods),
        cmocka_unit_test(header_bombs),
        cmocka_unit_test(who_is_too_slow),
        cmocka_unit_test(goodbye),
        cmocka_unit_test(not_http2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
