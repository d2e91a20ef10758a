/* common/ipc/channel: what passes, in pieces of every size, and what ends a peer. */
#include "common/ipc/channel.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/net/fdpass.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct side {
    struct loop *loop;
    struct channel *ch;
    int got, closed, err, n_fds, until;
    enum message last;
    uint64_t sum;
    char text[128];
    bool keep_fd, refuse, free_in_handler;
    int kept;
};

static int on_message(struct channel *ch, struct incoming *in)
{
    struct side *s = channel_arg(ch);

    s->got++;
    s->last = in->type;
    s->n_fds = in->n_fds;
    s->sum += packed_u64(in->body, "v", 0);
    packed_text(in->body, "uid", s->text, sizeof(s->text));
    if (s->keep_fd && in->n_fds > 0) {
        s->kept = in->fds[0];
        in->fds[0] = -1;
    }
    if (s->free_in_handler) {
        channel_free(ch);
        s->ch = NULL;
    }
    if (s->got == s->until || s->free_in_handler) loop_break(s->loop);
    return s->refuse ? -EINVAL : 0;
}

static void on_close(struct channel *ch, int err)
{
    struct side *s = channel_arg(ch);

    s->closed++;
    s->err = err;
    channel_free(ch);
    s->ch = NULL;
    loop_break(s->loop);
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static void stop_turn(void *arg)
{
    loop_break(arg);
}

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("nothing came within 5 s");
}

static void run(struct loop *l)
{
    struct loop_timer t = {0};

    loop_timer_set(l, &t, 5 * US_PER_S, too_late, NULL);
    loop_run(l);
    loop_timer_stop(&t);
}

static void open_side(struct side *s, struct loop *l, int fd, enum role me, enum role peer)
{
    *s = (struct side){.loop = l, .kept = -1};
    s->ch = channel_new(l, fd, me, peer, &ops, s);
}

static size_t frame(uint8_t *dst, size_t cap, unsigned number, const char *uid)
{
    struct buf b;
    struct packer p;
    struct wr w = wr_of(dst, cap);

    buf_init(&b, cap);
    p = packer_of(&b);
    pack_array(&p, 2);
    pack_u64(&p, number);
    pack_map(&p, 1);
    pack_kv_text(&p, "uid", uid);
    wr_u32(&w, (uint32_t)buf_n(&b));
    wr_bytes(&w, buf_span(&b));
    buf_done(&b);
    must(wr_ok(&w));
    return w.n;
}

static void both_ways_with_descriptors(void **state)
{
    struct loop *l = loop_new();
    struct side a, b;
    int sv[2], fds[4];
    struct packer *p;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    open_side(&a, l, sv[0], ROLE_MASTER, ROLE_WORKER);
    open_side(&b, l, sv[1], ROLE_WORKER, ROLE_MASTER);
    for (int i = 0; i < 4; i++) fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    b.until = 3;
    b.keep_fd = true;
    p = channel_begin(a.ch, MSG_LOG_LEVEL, 1);
    pack_kv_u64(p, "v", 1);
    channel_end(a.ch, NULL, 0);
    p = channel_begin(a.ch, MSG_RING, 1);
    pack_kv_u64(p, "v", 2);
    channel_end(a.ch, fds, 4);
    p = channel_begin(a.ch, MSG_KEEPER_SOCK, 1);
    pack_kv_u64(p, "v", 4);
    channel_end(a.ch, fds, 1);
    run(l);
    assert_int_equal(b.got, 3);
    assert_int_equal(b.sum, 7);
    assert_int_equal(b.last, MSG_KEEPER_SOCK);
    assert_int_equal(b.n_fds, 1);
    assert_true(fcntl(b.kept, F_GETFD) & FD_CLOEXEC);
    for (int i = 0; i < 4; i++) assert_int_equal(close(fds[i]), 0);
    close(b.kept);
    a.until = 1;
    channel_send0(b.ch, MSG_STATE);
    run(l);
    assert_int_equal(a.last, MSG_STATE);
    channel_free(a.ch);
    run(l);
    assert_int_equal(b.closed, 1);
    assert_int_equal(b.err, 0);
    loop_free(l);
}

/* A full socket: descriptors wait in the queue with their message, in order. */
static void queue_keeps_descriptors_in_place(void **state)
{
    struct loop *l = loop_new();
    struct side a, b;
    int sv[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC), small = 4096;
    char long_text[100];
    uint64_t sum = 0;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    setsockopt(sv[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
    open_side(&a, l, sv[0], ROLE_MASTER, ROLE_HTTPD);
    open_side(&b, l, sv[1], ROLE_HTTPD, ROLE_MASTER);
    memset(long_text, 'x', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = 0;
    for (int i = 0; i < 400; i++) {
        struct packer *p = channel_begin(a.ch, i % 3 ? MSG_VIEW : MSG_LISTEN, 2);

        pack_kv_u64(p, "v", (uint64_t)i);
        pack_kv_text(p, "uid", long_text);
        channel_end(a.ch, &null, i % 3 ? 0 : 1);
        sum += (uint64_t)i;
    }
    close(null);
    b.until = 400;
    run(l);
    assert_int_equal(b.got, 400);
    assert_int_equal(b.sum, sum);
    assert_int_equal(b.n_fds, 1);
    assert_int_equal(b.closed, 0);
    channel_free(a.ch);
    channel_free(b.ch);
    loop_free(l);
}

static void split_at_every_byte(void **state)
{
    uint8_t m[256];
    size_t n = frame(m, sizeof(m), MSG_CONN_PEER_GONE, "cam-1");

    (void)state;
    for (size_t cut = 1; cut < n; cut++) {
        struct loop *l = loop_new();
        struct side b;
        int sv[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
        open_side(&b, l, sv[1], ROLE_CONNECTOR, ROLE_MASTER);
        b.until = 1;
        assert_int_equal(write(sv[0], m, cut), cut);
        loop_post(l, stop_turn, l);
        run(l);
        assert_int_equal(b.got, 0);
        assert_int_equal(write(sv[0], m + cut, n - cut), n - cut);
        run(l);
        assert_int_equal(b.got, 1);
        assert_string_equal(b.text, "cam-1");
        close(sv[0]);
        channel_free(b.ch);
        loop_free(l);
    }
}

/* Writes the bytes to a connector's control channel, which must close. */
static int end_of(const void *bytes, size_t n, int fds)
{
    struct loop *l = loop_new();
    struct side b;
    int sv[2], null[8];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    open_side(&b, l, sv[1], ROLE_CONNECTOR, ROLE_MASTER);
    for (int i = 0; i < fds; i++) null[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fdpass_send(sv[0], span(bytes, n), null, fds), n);
    for (int i = 0; i < fds; i++) close(null[i]);
    run(l);
    assert_int_equal(b.closed, 1);
    close(sv[0]);
    loop_free(l);
    return b.got > 0 ? 1 : b.err;
}

static void what_ends_a_peer(void **state)
{
    uint8_t m[1024];
    size_t n;
    char long_uid[300];

    (void)state;
    assert_int_equal(end_of("\0\1\0\1", 4, 0), -EMSGSIZE); /* 65,537 bytes announced */
    assert_int_equal(end_of("\xff\xff\xff\xff", 4, 0), -EMSGSIZE);
    assert_int_equal(end_of("\0\0\0\1\xc1", 5, 0), -EPROTO);
    assert_int_equal(end_of("\0\0\0\5\xdd\xff\xff\xff\xff", 9, 0), -EPROTO);
    assert_int_equal(end_of("\0\0\0\1\x07", 5, 0), -EPROTO); /* no array */
    n = frame(m, sizeof(m), 9999, "x");
    assert_int_equal(end_of(m, n, 0), -EPROTO);
    n = frame(m, sizeof(m), MSG_STREAM, "x"); /* to workers only */
    assert_int_equal(end_of(m, n, 0), -EPROTO);
    n = frame(m, sizeof(m), MSG_BEAT, "x"); /* to the master only */
    assert_int_equal(end_of(m, n, 0), -EPROTO);
    memset(long_uid, 'u', sizeof(long_uid) - 1);
    long_uid[sizeof(long_uid) - 1] = 0;
    n = frame(m, sizeof(m), MSG_CONN_PEER_GONE, long_uid); /* above 128 bytes */
    assert_int_equal(end_of(m, n, 0), -EPROTO);
    n = frame(m, sizeof(m), MSG_CONN_PEER_GONE, "x");
    assert_int_equal(end_of(m, n, 1), 1); /* descriptors nobody announced: ended behind the message */
    /* [LOG_FD, {}, 2]: the row allows one */
    assert_int_equal(end_of("\0\0\0\4\x93\x04\x80\x02", 8, 2), -EPROTO);
    /* announced and not there */
    assert_int_equal(end_of("\0\0\0\4\x93\x04\x80\x01", 8, 0), -EPROTO);
}

static void longest_message_passes(void **state)
{
    uint8_t m[1024];
    char uid[200];
    struct loop *l = loop_new();
    struct side b;
    int sv[2];
    size_t n, len = 128 - 1 - 1 - 1 - 4 - 2; /* array, number, map, "uid", text head */

    (void)state;
    memset(uid, 'u', len);
    uid[len] = 0;
    n = frame(m, sizeof(m), MSG_CONN_PEER_GONE, uid);
    assert_int_equal(n, 4 + 128);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    open_side(&b, l, sv[1], ROLE_CONNECTOR, ROLE_MASTER);
    b.until = 1;
    assert_int_equal(write(sv[0], m, n), n);
    run(l);
    assert_int_equal(b.got, 1);
    close(sv[0]);
    channel_free(b.ch);
    loop_free(l);
}

static void reader_that_sleeps_is_closed(void **state)
{
    struct loop *l = loop_new();
    struct side a;
    int sv[2];
    char line[900];

    (void)state;
    memset(line, 'x', sizeof(line));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    open_side(&a, l, sv[0], ROLE_WORKER, ROLE_MASTER);
    for (int i = 0; i < 8000; i++) {
        struct packer *p = channel_begin(a.ch, MSG_LOG_LINE, 1);

        pack_kv_str(p, "line", span(line, sizeof(line)));
        channel_end(a.ch, NULL, 0);
    }
    run(l);
    assert_int_equal(a.closed, 1);
    assert_int_equal(a.err, -ENOBUFS);
    close(sv[1]);
    loop_free(l);
}

static void too_long_of_ours_is_dropped(void **state)
{
    struct loop *l = loop_new();
    struct side a, b;
    int sv[2];
    char text[600];
    struct packer *p;

    (void)state;
    memset(text, 'x', sizeof(text));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    open_side(&a, l, sv[0], ROLE_WORKER, ROLE_MASTER);
    open_side(&b, l, sv[1], ROLE_MASTER, ROLE_WORKER);
    p = channel_begin(a.ch, MSG_STATE, 1);
    pack_kv_str(p, "reason", span(text, sizeof(text)));
    channel_end(a.ch, NULL, 0);
    b.until = 1;
    channel_send0(a.ch, MSG_RING_MOVED);
    run(l);
    assert_int_equal(b.got, 1);
    assert_int_equal(b.last, MSG_RING_MOVED);
    channel_free(a.ch);
    channel_free(b.ch);
    loop_free(l);
}

static void handler_may_refuse_or_free(void **state)
{
    for (int how = 0; how < 2; how++) {
        struct loop *l = loop_new();
        struct side a, b;
        int sv[2];

        (void)state;
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
        open_side(&a, l, sv[0], ROLE_WORKER, ROLE_MASTER);
        open_side(&b, l, sv[1], ROLE_MASTER, ROLE_WORKER);
        b.refuse = how == 0;
        b.free_in_handler = how == 1;
        channel_send0(a.ch, MSG_STATE);
        channel_send0(a.ch, MSG_STATE);
        run(l);
        assert_int_equal(b.got, 1);
        assert_int_equal(b.closed, how == 0);
        if (how == 0) assert_int_equal(b.err, -EINVAL);
        channel_free(a.ch);
        loop_free(l);
    }
}

/* What the peer said before it died is read first, although writing to it fails. */
static void last_words_are_heard(void **state)
{
    struct loop *l = loop_new();
    struct side b;
    int sv[2];
    uint8_t m[128];
    size_t n = frame(m, sizeof(m), MSG_STATE, "last");

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    open_side(&b, l, sv[1], ROLE_MASTER, ROLE_WORKER);
    assert_int_equal(write(sv[0], m, n), n);
    close(sv[0]);
    channel_send0(b.ch, MSG_STOP);
    run(l);
    assert_int_equal(b.got, 1);
    assert_string_equal(b.text, "last");
    assert_int_equal(b.closed, 1);
    loop_free(l);
}

static void idle_channel_is_small(void **state)
{
    struct loop *l = loop_new();
    struct side a, b;
    int sv[2];
    size_t before = mallinfo2().uordblks;

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    open_side(&a, l, sv[0], ROLE_WORKER, ROLE_MASTER);
    open_side(&b, l, sv[1], ROLE_MASTER, ROLE_WORKER);
    b.until = 1;
    channel_send0(a.ch, MSG_STATE);
    run(l);
    loop_post(l, stop_turn, l);
    run(l);
    assert_true(mallinfo2().uordblks - before < 2 * 2048);
    channel_free(a.ch);
    channel_free(b.ch);
    loop_free(l);
}

static void blocking_face(void **state)
{
    struct loop *l = loop_new();
    struct side b;
    struct buf m;
    struct packer p;
    struct unpack *u;
    enum message type;
    int sv[2];

    (void)state;
    buf_init(&m, IPC_MESSAGE_MAX + 4);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    open_side(&b, l, sv[1], ROLE_MASTER, ROLE_CTL);
    p = packer_of(&m);
    pack_array(&p, 2);
    pack_u64(&p, MSG_CTL);
    pack_map(&p, 1);
    pack_kv_text(&p, "uid", "status");
    b.until = 1;
    assert_int_equal(channel_write_blocking(sv[0], buf_span(&m)), 0);
    run(l);
    assert_string_equal(b.text, "status");
    p = *channel_begin(b.ch, MSG_CTL_END, 1);
    pack_kv_u64(&p, "code", 3);
    channel_end(b.ch, NULL, 0);
    assert_int_equal(channel_read_blocking(sv[0], &m, &type, &u, US_PER_S), 0);
    assert_int_equal(type, MSG_CTL_END);
    assert_int_equal(packed_u64(packed_at(unpack_root(u), 1), "code", 0), 3);
    unpack_done(u);
    assert_int_equal(channel_read_blocking(sv[0], &m, &type, &u, 20 * US_PER_MS), -ETIMEDOUT);
    channel_free(b.ch);
    assert_int_equal(channel_read_blocking(sv[0], &m, &type, &u, US_PER_S), -EPIPE);
    close(sv[0]);
    buf_done(&m);
    loop_free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways_with_descriptors),
        cmocka_unit_test(queue_keeps_descriptors_in_place),
        cmocka_unit_test(split_at_every_byte),
        cmocka_unit_test(what_ends_a_peer),
        cmocka_unit_test(longest_message_passes),
        cmocka_unit_test(reader_that_sleeps_is_closed),
        cmocka_unit_test(too_long_of_ours_is_dropped),
        cmocka_unit_test(handler_may_refuse_or_free),
        cmocka_unit_test(last_words_are_heard),
        cmocka_unit_test(idle_channel_is_small),
        cmocka_unit_test(blocking_face),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
