#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "common/base/wr.h"
#include "common/proto/interleaved.h"
#include "worker/camera_conn.h"

/* Messages of this test: u32 length, then bytes. */
struct bench {
    struct loop *loop;
    struct loop_timer late;
    struct camera_conn *c;
    int peer;
    size_t need, messages, bytes, batches;
    bool closed, shut_in_feed, take_all;
    int err;
};

static size_t on_feed(void *arg, struct span unread)
{
    struct bench *b = arg;
    size_t took = 0;

    if (b->take_all) return unread.n;
    for (;;) {
        struct rd r = rd_of(span_from(unread, took));
        size_t n = rd_u32(&r);

        b->need = 4;
        if (!rd_ok(&r)) break;
        b->need = 4 + n;
        if (rd_bytes(&r, n).n < n || !rd_ok(&r)) break;
        took += 4 + n;
        b->messages++;
        if (b->shut_in_feed) camera_conn_shut(b->c);
    }
    loop_break(b->loop);
    return took;
}

static size_t on_need(void *arg)
{
    return ((struct bench *)arg)->need;
}

static void on_begin(void *arg)
{
    ((struct bench *)arg)->batches++;
}

static void on_end(void *arg, size_t bytes)
{
    ((struct bench *)arg)->bytes += bytes;
}

static void on_closed(void *arg, int err)
{
    struct bench *b = arg;

    b->closed = true;
    b->err = err;
    loop_break(b->loop);
}

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("nothing happened");
}

static void tcp_pair(int fds[2])
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(addr);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&addr, &n), 0);
    fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[0], (struct sockaddr *)&addr, sizeof(addr)), 0);
    fds[1] = accept(listener, NULL, NULL);
    assert_true(fds[1] >= 0);
    close(listener);
    assert_int_equal(fd_nonblock(fds[0]), 0);
}

static int setup(void **state)
{
    static const struct camera_conn_ops ops = {
        .begin = on_begin, .end = on_end, .feed = on_feed, .need = on_need, .closed = on_closed};
    struct bench *b = mem_new(sizeof(*b));
    int fds[2];

    tcp_pair(fds);
    b->loop = loop_new();
    loop_timer_set(b->loop, &b->late, 20 * US_PER_S, too_late, b);
    b->c = camera_conn_new(b->loop, fds[0], &ops, b);
    b->peer = fds[1];
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    camera_conn_free(b->c);
    loop_timer_stop(&b->late);
    loop_free(b->loop);
    fd_close(&b->peer);
    mem_free(b);
    return 0;
}

static void send_message(struct bench *b, size_t n)
{
    uint8_t *bytes = mem_new(4 + n);
    struct wr w = wr_of(bytes, 4);

    wr_u32(&w, (uint32_t)n);
    assert_int_equal(fd_write_all(b->peer, span(bytes, 4 + n)), 0);
    mem_free(bytes);
}

static void messages_come_whole(void **state)
{
    struct bench *b = *state;

    for (size_t i = 0; i < 20; i++) send_message(b, i * 777);
    while (b->messages < 20) loop_run(b->loop);
    assert_int_equal(b->bytes, 20 * 4 + 777 * 190);
}

/* T15: a frame of 65,535 bytes, and a description of 250 KB; more than a message may be ends it. */
static void the_buffer_grows_by_need(void **state)
{
    struct bench *b = *state;

    send_message(b, 65535);
    send_message(b, 250000);
    while (b->messages < 2) loop_run(b->loop);
    b->need = 4;
    send_message(b, INTERLEAVED_BUFFER_MAX * 2);
    while (!b->closed) loop_run(b->loop);
    assert_int_equal(b->err, -EMSGSIZE);
}

/* C18: what is left is offered again when only time has passed. */
static void asked_again_it_offers_what_is_left(void **state)
{
    struct bench *b = *state;

    camera_conn_again(b->c); /* nothing there: nothing happens */
    assert_int_equal(b->batches, 0);
    assert_int_equal(fd_write_all(b->peer, SPAN_LIT("\0\0\0\x09half")), 0);
    loop_run(b->loop);
    assert_int_equal(b->bytes, 0);
    b->take_all = true;
    camera_conn_again(b->c);
    assert_int_equal(b->bytes, 8);
    camera_conn_again(b->c);
    assert_int_equal(b->bytes, 8);
}

static void paced_it_reads_in_batches(void **state)
{
    struct bench *b = *state;

    camera_conn_pace(b->c, true);
    assert_true(camera_conn_paced(b->c));
    for (int i = 0; i < 10; i++) send_message(b, 1000);
    assert_int_equal(b->batches, 0);
    camera_conn_drain(b->c);
    assert_int_equal(b->messages, 10);
    assert_int_equal(b->batches, 1);
    /* Above the mark the kernel wakes us by itself. */
    for (int i = 0; i < 40; i++) send_message(b, 5000);
    while (b->messages < 11) loop_run(b->loop);
    /* Live again: what waits comes at once. */
    camera_conn_pace(b->c, false);
    assert_int_equal(b->messages, 50);
}

static void the_end_is_told_once(void **state)
{
    struct bench *b = *state;

    camera_conn_pace(b->c, true);
    send_message(b, 100);
    fd_close(&b->peer);
    while (!b->closed) loop_run(b->loop);
    assert_int_equal(b->err, 0);
    assert_int_equal(b->messages, 1); /* what came before it is not lost */
}

static void shut_in_a_callback_nothing_follows(void **state)
{
    struct bench *b = *state;

    b->shut_in_feed = true;
    send_message(b, 10);
    fd_close(&b->peer);
    while (b->messages == 0) loop_run(b->loop);
    assert_false(b->closed);
    camera_conn_send(b->c, SPAN_LIT("nobody gets this"));
    assert_false(b->closed);
}

static void a_camera_that_takes_nothing_is_given_up(void **state)
{
    static uint8_t bytes[60000];
    struct bench *b = *state;

    for (int i = 0; i < 1000; i++) camera_conn_send(b->c, span(bytes, sizeof(bytes)));
    while (!b->closed) loop_run(b->loop);
    assert_int_equal(b->err, -ENOBUFS);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_come_whole),
        TEST(the_buffer_grows_by_need),
        TEST(asked_again_it_offers_what_is_left),
        TEST(paced_it_reads_in_batches),
        TEST(the_end_is_told_once),
        TEST(shut_in_a_callback_nothing_follows),
        TEST(a_camera_that_takes_nothing_is_given_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
