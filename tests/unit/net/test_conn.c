/* common/net/conn and listener: bounded reads, shared chunks, slow and silent peers, lending, moving. */
#include "common/net/conn.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/net/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

struct srv {
    struct loop *loop;
    struct conn *c;
    int fd; /* the peer's end */
    size_t take_most, got;
    uint8_t first[64];
    int on_data, on_sent, on_close, err, break_at_sent, break_at_data;
    bool answer, pause, half, migrate;
    struct loop *to;
};

static void arrived(struct conn *c);

static size_t on_data(struct conn *c, struct span data)
{
    struct srv *s = conn_arg(c);
    size_t n = MIN(data.n, s->take_most);

    s->on_data++;
    if (s->on_data == s->break_at_data) loop_break(s->loop);
    if (s->half && data.n < 10) return 0;
    if (s->got + n <= sizeof(s->first)) memcpy(s->first + s->got, data.p, n);
    s->got += n;
    if (s->answer) conn_send(c, SPAN_LIT("answer"));
    if (s->pause) conn_pause(c);
    if (s->migrate) conn_migrate(c, s->to, arrived);
    return n;
}

static void on_sent(struct conn *c)
{
    struct srv *s = conn_arg(c);

    s->on_sent++;
    if (s->on_sent == s->break_at_sent) loop_break(s->loop);
}

static void on_close(struct conn *c, int err)
{
    struct srv *s = conn_arg(c);

    s->on_close++;
    s->err = err;
    s->c = NULL;
    loop_break(s->loop);
}

static const struct conn_ops ops = {.on_data = on_data, .on_sent = on_sent, .on_close = on_close};
static const struct conn_limits plain = {.read_max = 1 << 20, .queue_high = 1 << 20};

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("not reached within 5 s");
}

static void run(struct loop *l)
{
    struct loop_timer t = {0};

    loop_timer_set(l, &t, 5 * US_PER_S, too_late, NULL);
    loop_run(l);
    loop_timer_stop(&t);
}

static void stop_turn(void *arg)
{
    loop_break(arg);
}

static void turn(struct loop *l)
{
    loop_post(l, stop_turn, l);
    run(l);
}

static void open_srv(struct srv *s, const struct conn_limits *limits)
{
    int sv[2];

    *s = (struct srv){.loop = loop_new(), .take_most = SIZE_MAX};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    s->fd = sv[1];
    fd_nonblock(s->fd);
    s->c = conn_new(s->loop, sv[0], &ops, limits, s);
}

static void close_srv(struct srv *s)
{
    if (s->c) {
        conn_close(s->c, 0);
        run(s->loop);
    }
    assert_int_equal(s->on_close, 1);
    fd_close(&s->fd);
    loop_free(s->loop);
}

static size_t drain(int fd)
{
    static uint8_t m[65536];
    size_t all = 0;
    ssize_t n;

    while ((n = read(fd, m, sizeof(m))) > 0) all += (size_t)n;
    return all;
}

/* The next owner of a connection that turned out to be his. */
static struct {
    char got[32];
    size_t n;
    unsigned closed;
} next;

static size_t next_data(struct conn *c, struct span data)
{
    struct srv *s = conn_arg(c);

    assert_true(next.n + data.n < sizeof(next.got));
    memcpy(next.got + next.n, data.p, data.n);
    next.n += data.n;
    if (next.n >= 11) loop_break(s->loop);
    return data.n;
}

static void next_close(struct conn *c, int err)
{
    struct srv *s = conn_arg(c);

    (void)err;
    next.closed++;
    s->c = NULL;
    loop_break(s->loop);
}

static size_t give_away(struct conn *c, struct span data)
{
    static const struct conn_ops next_ops = {.on_data = next_data, .on_close = next_close};
    static const struct conn_limits more = {.read_max = 2 << 20, .queue_high = 1 << 20};

    assert_true(span_starts(data, SPAN_LIT("hello")));
    conn_hand_over(c, &next_ops, &more, conn_arg(c));
    return 0;
}

/* What was not taken is the next owner's, and so is the end. */
static void is_handed_over(void **state)
{
    static const struct conn_ops first = {.on_data = give_away, .on_close = on_close};
    struct srv s = {.loop = loop_new()};
    int sv[2];

    (void)state;
    memset(&next, 0, sizeof(next));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    s.fd = sv[1];
    s.c = conn_new(s.loop, sv[0], &first, &plain, &s);
    assert_int_equal(write(s.fd, "hello world", 11), 11);
    run(s.loop);
    assert_string_equal(next.got, "hello world");
    fd_close(&s.fd);
    run(s.loop);
    assert_true(next.closed == 1 && s.on_close == 0);
    loop_free(s.loop);
}

static void ask_and_answer(void **state)
{
    struct srv s;
    char text[16] = "";

    (void)state;
    open_srv(&s, &plain);
    s.answer = true;
    s.break_at_sent = 1;
    assert_int_equal(write(s.fd, "hello", 5), 5);
    run(s.loop);
    assert_memory_equal(s.first, "hello", 5);
    assert_int_equal(read(s.fd, text, sizeof(text)), 6);
    assert_string_equal(text, "answer");
    assert_int_equal(conn_bytes_out(s.c), 6);
    assert_int_equal(conn_queued(s.c), 0);
    fd_close(&s.fd);
    run(s.loop);
    assert_int_equal(s.err, 0);
    close_srv(&s);
}

static void what_is_left_is_offered_with_more(void **state)
{
    struct srv s;

    (void)state;
    open_srv(&s, &plain);
    s.half = true;
    s.break_at_data = 1;
    assert_int_equal(write(s.fd, "hello", 5), 5);
    run(s.loop);
    assert_int_equal(s.got, 0);
    s.break_at_data = 2;
    assert_int_equal(write(s.fd, "world", 5), 5);
    run(s.loop);
    assert_int_equal(s.got, 10);
    assert_memory_equal(s.first, "helloworld", 10);
    close_srv(&s);
}

/* One request at a time: what is pipelined waits until resume, in order. */
static void pause_keeps_pipelined_requests(void **state)
{
    struct srv s;

    (void)state;
    open_srv(&s, &plain);
    s.take_most = 3;
    s.pause = true;
    s.break_at_data = 1;
    assert_int_equal(write(s.fd, "onetwo", 6), 6);
    run(s.loop);
    turn(s.loop);
    assert_int_equal(s.got, 3);
    conn_resume(s.c);
    s.break_at_data = 2;
    run(s.loop);
    assert_int_equal(s.got, 6);
    assert_memory_equal(s.first, "onetwo", 6);
    close_srv(&s);
}

/* Who waits for an answer and goes is noticed; what was sent before is kept for later. */
static void an_end_is_noticed_while_paused(void **state)
{
    struct srv s;

    (void)state;
    open_srv(&s, &plain);
    s.take_most = 3;
    s.pause = true;
    s.break_at_data = 1;
    assert_int_equal(write(s.fd, "one", 3), 3);
    run(s.loop);
    conn_mind_end(s.c, true);
    assert_int_equal(write(s.fd, "two", 3), 3);
    for (int i = 0; i < 4; i++) turn(s.loop);
    assert_int_equal(s.on_data, 1);
    conn_resume(s.c);
    s.break_at_data = 2;
    run(s.loop);
    assert_memory_equal(s.first, "onetwo", 6);
    assert_int_equal(s.on_close, 0);
    fd_close(&s.fd);
    run(s.loop);
    assert_int_equal(s.err, 0);
    close_srv(&s);
}

static void reading_stops_at_its_limit(void **state)
{
    const struct conn_limits limits = {.read_max = 10000, .queue_high = 1000};
    uint8_t m[16384] = {0};
    struct srv s;
    int before;

    (void)state;
    open_srv(&s, &limits);
    s.take_most = 0;
    assert_int_equal(write(s.fd, m, sizeof(m)), sizeof(m));
    for (int i = 0; i < 4; i++) turn(s.loop);
    before = s.on_data;
    for (int i = 0; i < 4; i++) turn(s.loop);
    assert_int_equal(s.on_data, before);
    s.take_most = SIZE_MAX;
    conn_resume(s.c);
    for (int i = 0; i < 4; i++) turn(s.loop);
    assert_int_equal(s.got, sizeof(m));
    close_srv(&s);
}

static void queue_marks(void **state)
{
    const struct conn_limits limits = {.read_max = 1000, .queue_high = 400000};
    struct chunk *chunk = chunk_new(100000);
    struct srv s;

    (void)state;
    open_srv(&s, &limits);
    memset(chunk->data, 'x', chunk->n);
    for (int i = 0; i < 12; i++) conn_send_chunk(s.c, chunk, 0, chunk->n);
    assert_int_equal(chunk->refs, 13);
    assert_true(conn_congested(s.c));
    turn(s.loop);
    turn(s.loop);
    assert_int_equal(s.on_sent, 0);
    for (size_t got = 0; got < 1200000;) {
        got += drain(s.fd);
        turn(s.loop);
    }
    assert_true(s.on_sent >= 2);
    assert_false(conn_congested(s.c));
    assert_int_equal(conn_queued(s.c), 0);
    assert_int_equal(chunk->refs, 1);
    chunk_unref(chunk);
    close_srv(&s);
}

static void pieces_arrive_in_order(void **state)
{
    struct srv s;
    struct chunk *chunk = chunk_new(5000);
    uint8_t want[16], got[16];
    size_t all = 0;

    (void)state;
    open_srv(&s, &plain);
    memset(chunk->data, 'c', chunk->n);
    for (int i = 0; i < 300; i++) {
        memset(want, 'a' + i % 26, sizeof(want));
        conn_send(s.c, span(want, sizeof(want)));
        if (i % 50 == 49) conn_send_chunk(s.c, chunk, 10, 16);
    }
    conn_flush(s.c);
    for (int i = 0; i < 300; i++) {
        memset(want, 'a' + i % 26, sizeof(want));
        assert_int_equal(read(s.fd, got, sizeof(got)), sizeof(got));
        assert_memory_equal(want, got, sizeof(got));
        if (i % 50 != 49) continue;
        assert_int_equal(read(s.fd, got, sizeof(got)), sizeof(got));
        assert_int_equal(got[15], 'c');
    }
    all = drain(s.fd);
    assert_int_equal(all, 0);
    s.break_at_sent = 1;
    run(s.loop);
    chunk_unref(chunk);
    close_srv(&s);
}

static void silent_peer_is_closed(void **state)
{
    const struct conn_limits limits = {.read_max = 1000, .queue_high = 1000, .idle_us = 60 * US_PER_MS};
    usec_t start_us = clock_mono_us();
    struct srv s;

    (void)state;
    open_srv(&s, &limits);
    run(s.loop);
    assert_int_equal(s.err, -ETIMEDOUT);
    assert_true(clock_mono_us() - start_us >= 58 * US_PER_MS);
    close_srv(&s);
}

static void reader_that_stalls_is_closed(void **state)
{
    const struct conn_limits limits = {
        .read_max = 1000, .queue_high = 1000, .idle_us = 20 * US_PER_S, .stall_us = 60 * US_PER_MS};
    struct chunk *chunk = chunk_new(4 << 20);
    struct srv s;

    (void)state;
    open_srv(&s, &limits);
    memset(chunk->data, 0, chunk->n);
    conn_send_chunk(s.c, chunk, 0, chunk->n);
    run(s.loop);
    assert_int_equal(s.err, -ETIMEDOUT);
    assert_int_equal(chunk->refs, 1);
    chunk_unref(chunk);
    close_srv(&s);
}

static void close_after_send_flushes_first(void **state)
{
    struct srv s;
    struct chunk *chunk = chunk_new(1 << 20);
    size_t got = 0;

    (void)state;
    open_srv(&s, &plain);
    memset(chunk->data, 0, chunk->n);
    conn_send_chunk(s.c, chunk, 0, chunk->n);
    conn_close_after_send(s.c);
    conn_send(s.c, SPAN_LIT("too late"));
    while (got < chunk->n) {
        got += drain(s.fd);
        turn(s.loop);
    }
    assert_int_equal(got, chunk->n);
    turn(s.loop);
    assert_int_equal(read(s.fd, &got, 1), 0); /* half-closed */
    assert_int_equal(s.on_close, 0);
    fd_close(&s.fd);
    run(s.loop);
    assert_int_equal(s.err, 0);
    chunk_unref(chunk);
    close_srv(&s);
}

static void peer_that_never_closes_is_left(void **state)
{
    struct srv s;

    (void)state;
    open_srv(&s, &plain);
    conn_close_after_send(s.c);
    run(s.loop); /* LINGER_US */
    assert_int_equal(s.err, 0);
    close_srv(&s);
}

static void write_error_closes(void **state)
{
    struct srv s;

    (void)state;
    open_srv(&s, &plain);
    conn_pause(s.c);
    fd_close(&s.fd);
    conn_send(s.c, SPAN_LIT("x"));
    run(s.loop);
    assert_int_equal(s.err, -EPIPE);
    close_srv(&s);
}

static void lend_holds_the_conn(void **state)
{
    const struct conn_limits limits = {.read_max = 1000, .queue_high = 1000, .stall_us = 50 * US_PER_MS};
    static uint8_t zero[65536];
    struct srv s;

    (void)state;
    open_srv(&s, &limits);
    conn_lend(s.c);
    assert_int_equal(conn_lent_send(s.c, SPAN_LIT("direct"), false), 6);
    conn_send(s.c, SPAN_LIT("queued"));
    turn(s.loop);
    assert_int_equal(drain(s.fd), 6);
    conn_lend_end(s.c);
    turn(s.loop);
    assert_int_equal(drain(s.fd), 6);
    assert_int_equal(conn_bytes_out(s.c), 12);
    s.on_sent = 0;
    /* Full: on_sent when it takes bytes again. */
    conn_lend(s.c);
    while (conn_lent_send(s.c, span(zero, sizeof(zero)), true) > 0) continue;
    conn_wait_writable(s.c);
    turn(s.loop);
    assert_int_equal(s.on_sent, 0);
    drain(s.fd);
    s.break_at_sent = 1;
    run(s.loop);
    /* Full and the peer sleeps: closed, the borrower is told, and the conn lives until it is given back. */
    while (conn_lent_send(s.c, span(zero, sizeof(zero)), true) > 0) continue;
    conn_wait_writable(s.c);
    s.break_at_sent = 2;
    run(s.loop);
    assert_int_equal(s.on_close, 0);
    assert_int_equal(conn_lent_send(s.c, span(zero, 1), false), -EPIPE);
    conn_lend_end(s.c);
    run(s.loop);
    assert_int_equal(s.err, -ETIMEDOUT);
    close_srv(&s);
}

/* --- moving to another loop --- */

static void arrived(struct conn *c)
{
    struct srv *s = conn_arg(c);

    assert_ptr_equal(conn_loop(c), s->to);
    assert_int_equal(conn_peer(c)->ss_family, AF_UNIX);
    conn_send(c, SPAN_LIT("moved"));
    s->loop = s->to; /* on_close and on_data break that one */
    s->migrate = false;
    s->break_at_data = s->on_data + 1;
}

static void *other_loop(void *arg)
{
    loop_run(arg);
    return NULL;
}

static void moves_with_its_unread_bytes(void **state)
{
    struct loop *first, *second = loop_new();
    struct srv s;
    pthread_t t;
    char text[8];

    (void)state;
    open_srv(&s, &plain);
    first = s.loop;
    s.to = second;
    s.migrate = true;
    s.take_most = 3;
    assert_int_equal(write(s.fd, "onetwo", 6), 6);
    assert_int_equal(pthread_create(&t, NULL, other_loop, second), 0);
    s.break_at_data = 1;
    run(first);
    turn(first);
    pthread_join(t, NULL);
    assert_int_equal(s.got, 6);
    assert_memory_equal(s.first, "onetwo", 6);
    turn(second);
    assert_int_equal(read(s.fd, text, sizeof(text)), 5);
    close_srv(&s);
    loop_free(first);
}

/* --- listener --- */

static void accepted(void *arg, int fd)
{
    struct srv *s = arg;

    s->got++;
    s->err = fd;
    loop_break(s->loop);
}

static void listeners(void **state)
{
    char path[] = "/tmp/ms-test-conn.sock";
    struct srv s = {.loop = loop_new()};
    struct listener *l;
    struct sockaddr_in sa;
    socklen_t n = sizeof(sa);
    struct stat st;
    int fd, other, peer, err;

    (void)state;
    assert_int_equal(listen_unix(path, 0660, &fd), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
    assert_int_equal(listen_unix(path, 0660, &other), -EADDRINUSE);
    close(fd);
    assert_int_equal(listen_unix(path, 0660, &fd), 0); /* a dead one is replaced */
    l = listener_new(s.loop, fd, accepted, &s);
    assert_int_equal(connect_unix(path, &peer), 0);
    run(s.loop);
    assert_int_equal(s.got, 1);
    close(s.err);
    close(peer);
    listener_free(l);
    close(fd);
    unlink(path);
    assert_int_equal(listen_tcp("no.such.host.invalid", 21499, 8, &fd), -EADDRNOTAVAIL);
    assert_int_equal(listen_tcp("127.0.0.1", 0, 8, &fd), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    assert_int_equal(listen_tcp("127.0.0.1", ntohs(sa.sin_port), 8, &other), -EADDRINUSE);
    close(fd);
    assert_int_equal(listen_tcp("*", 0, 8, &fd), 0);
    close(fd);
    err = listen_tcp("[::1]", 0, 8, &fd);
    if (err == 0) close(fd);
    loop_free(s.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ask_and_answer),
        cmocka_unit_test(is_handed_over),
        cmocka_unit_test(what_is_left_is_offered_with_more),
        cmocka_unit_test(pause_keeps_pipelined_requests),
        cmocka_unit_test(an_end_is_noticed_while_paused),
        cmocka_unit_test(reading_stops_at_its_limit),
        cmocka_unit_test(queue_marks),
        cmocka_unit_test(pieces_arrive_in_order),
        cmocka_unit_test(silent_peer_is_closed),
        cmocka_unit_test(reader_that_stalls_is_closed),
        cmocka_unit_test(close_after_send_flushes_first),
        cmocka_unit_test(peer_that_never_closes_is_left),
        cmocka_unit_test(write_error_closes),
        cmocka_unit_test(lend_holds_the_conn),
        cmocka_unit_test(moves_with_its_unread_bytes),
        cmocka_unit_test(listeners),
    };

    sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
