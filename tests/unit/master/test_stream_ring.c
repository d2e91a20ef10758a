/* master/stream_ring: growing, moving, and what goes to worker and httpd. */
#include "master/stream_ring.h"
#include "common/base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct end {
    struct loop *loop;
    enum message type;
    uint64_t gen;
    int fds[4], n;
};

static int on_message(struct channel *ch, struct incoming *in)
{
    struct end *e = channel_arg(ch);

    e->type = in->type;
    e->gen = packed_u64(in->body, "gen", 0);
    e->n = in->n_fds;
    for (int i = 0; i < in->n_fds; i++) {
        e->fds[i] = in->fds[i];
        in->fds[i] = -1;
    }
    loop_break(e->loop);
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)ch;
    fail_msg("closed: %d", err);
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static bool writable(int fd, size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

    if (p != MAP_FAILED) munmap(p, bytes);
    return p != MAP_FAILED;
}

static void grows_and_moves(void **state)
{
    struct stream_ring r;

    (void)state;
    stream_ring_init(&r);
    assert_int_equal(stream_ring_grow(&r, "cam", 1, 4 << 20, 512, 32 << 20), 0); /* nothing there yet */
    assert_int_equal(stream_ring_open(&r, "cam", 1), 0);
    assert_int_equal(stream_ring_open(&r, "cam", 1), 0);
    assert_int_equal(r.now.gen, 1);
    assert_non_null(r.now.status);
    assert_int_equal(stream_ring_grow(&r, "cam", 1, 100, 16, 32 << 20), 0); /* never smaller */
    assert_int_equal(stream_ring_grow(&r, "cam", 1, 3 << 20, 600, 32 << 20), 1);
    assert_int_equal(r.next.gen, 2);
    assert_int_equal(r.next.geom.data_bytes, 4 << 20);
    assert_int_equal(r.next.geom.frames, 1024);
    assert_int_equal(stream_ring_grow(&r, "cam", 1, 16 << 20, 600, 32 << 20), 0); /* one at a time */
    assert_false(stream_ring_moved(&r, 1));
    assert_false(stream_ring_moved(&r, 3));
    assert_true(stream_ring_moved(&r, 2));
    assert_int_equal(r.now.gen, 2);
    assert_int_equal(r.next.fd, -1);
    assert_false(stream_ring_moved(&r, 2));
    /* A worker that dies before it moved leaves the old ring in force; generations are not used twice. */
    assert_int_equal(stream_ring_grow(&r, "cam", 1, 16 << 20, 600, 8 << 20), 1);
    assert_int_equal(r.next.geom.data_bytes, 8 << 20); /* ring-max */
    stream_ring_forget_next(&r);
    assert_false(stream_ring_moved(&r, 3));
    assert_int_equal(stream_ring_grow(&r, "cam", 1, 16 << 20, 600, 8 << 20), 1);
    assert_int_equal(r.next.gen, 4);
    stream_ring_done(&r);
    stream_ring_done(&r);
}

static void hands_out_what_each_may_have(void **state)
{
    struct loop *l = loop_new();
    struct end worker = {.loop = l}, httpd = {.loop = l};
    struct channel *to_worker, *to_httpd, *w, *h;
    struct stream_ring r;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int a[2], b[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, a), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, b), 0);
    to_worker = channel_new(l, a[0], ROLE_MASTER, ROLE_WORKER, &ops, NULL);
    to_httpd = channel_new(l, b[0], ROLE_MASTER, ROLE_HTTPD, &ops, NULL);
    w = channel_new(l, a[1], ROLE_WORKER, ROLE_MASTER, &ops, &worker);
    h = channel_new(l, b[1], ROLE_HTTPD, ROLE_MASTER, &ops, &httpd);
    stream_ring_init(&r);
    stream_ring_show(&r, "cam", to_httpd); /* no ring: nothing is said */
    assert_int_equal(stream_ring_open(&r, "cam", 1), 0);
    stream_ring_send(&r, &r.now, to_worker);
    loop_run(l);
    assert_int_equal(worker.type, MSG_RING);
    assert_int_equal(worker.gen, 1);
    assert_int_equal(worker.n, 4);
    assert_true(writable(worker.fds[0], page));
    assert_false(writable(worker.fds[1], page));
    stream_ring_show(&r, "cam", to_httpd);
    loop_run(l);
    assert_int_equal(httpd.type, MSG_VIEW_RING);
    assert_int_equal(httpd.n, 4);
    assert_false(writable(httpd.fds[0], page));
    assert_true(writable(httpd.fds[1], page));
    for (int i = 0; i < 4; i++) {
        assert_true(fcntl(worker.fds[i], F_GETFD) & FD_CLOEXEC);
        fd_close(&worker.fds[i]);
        fd_close(&httpd.fds[i]);
    }
    channel_free(to_worker);
    channel_free(to_httpd);
    channel_free(w);
    channel_free(h);
    stream_ring_done(&r);
    loop_free(l);
}

static void viewers_end_with_httpd(void **state)
{
    struct stream_ring r;
    struct demand *d;
    uint64_t signals = 0;

    (void)state;
    stream_ring_init(&r);
    stream_ring_no_viewers(&r);
    assert_int_equal(stream_ring_viewers(&r), 0);
    assert_int_equal(stream_ring_open(&r, "cam", 1), 0);
    assert_int_equal(demand_map(r.demand, true, &d), 0);
    atomic_store(&d->followers, 3);
    atomic_store(&d->wanted, 4);
    assert_int_equal(stream_ring_viewers(&r), 3);
    stream_ring_no_viewers(&r);
    assert_int_equal(atomic_load(&d->followers), 0);
    assert_int_equal(atomic_load(&d->wanted), 0);
    assert_int_equal(read(r.new_demand, &signals, sizeof(signals)), sizeof(signals));
    assert_int_equal(signals, 1);
    demand_unmap(d);
    stream_ring_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_and_moves),
        cmocka_unit_test(hands_out_what_each_may_have),
        cmocka_unit_test(viewers_end_with_httpd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
