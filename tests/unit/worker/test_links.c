/* What a worker says to connector and keeper, and what it makes of their answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "common/base/mem.h"
#include "worker/connector_link.h"
#include "worker/keeper_link.h"

struct said {
    enum message type;
    uint64_t id;
    char text[64];
    int64_t n, n2;
    size_t bytes;
};

struct bench {
    struct loop *loop;
    struct loop_timer late;
    struct channel *peer; /* the other side */
    struct said said[8];
    unsigned n_said;
    /* what the link told */
    unsigned told;
    int err, fd;
    uint8_t track;
    uint16_t port;
    char text[64];
    unsigned connected;
    struct clink c;
    struct klink k;
};

static int on_said(struct channel *ch, struct incoming *in)
{
    struct bench *b = channel_arg(ch);
    struct said *s = &b->said[b->n_said++];

    assert_true(b->n_said <= ARRAY_N(b->said));
    *s = (struct said){.type = in->type,
        .id = packed_u64(in->body, "id", 0),
        .n = packed_i64(in->body, "port", -1),
        .n2 = packed_i64(in->body, "rtcp_port", packed_i64(in->body, "errno", -1))};
    (void)packed_text(in->body, in->type == MSG_DIAL ? "host" : "path", s->text, sizeof(s->text));
    s->bytes = packed_str(in->body, "info").n;
    loop_break(b->loop);
    return 0;
}

static void on_peer_close(struct channel *ch, int err)
{
    (void)ch;
    (void)err;
}

static const struct channel_ops peer_ops = {.on_message = on_said, .on_close = on_peer_close};

static void on_dialed(void *arg, int err, const char *text, const char *addr, int fd)
{
    struct bench *b = arg;

    b->told++;
    b->err = err;
    b->fd = fd;
    span_copy(span_of(err ? text : addr), b->text, sizeof(b->text));
    loop_break(b->loop);
}

static void on_bound(void *arg, uint8_t track, int err, uint16_t port, int rtp_fd, int rtcp_fd)
{
    struct bench *b = arg;

    b->told++;
    b->track = track;
    b->err = err;
    b->port = port;
    if (rtp_fd >= 0) close(rtp_fd);
    if (rtcp_fd >= 0) close(rtcp_fd);
    loop_break(b->loop);
}

static void on_connected(void *arg, uint8_t track, int err)
{
    struct bench *b = arg;

    b->told++;
    b->track = track;
    b->err = err;
    loop_break(b->loop);
}

static void on_folder(void *arg, int fd, int err, const char *storage)
{
    struct bench *b = arg;

    b->told++;
    b->fd = fd;
    b->err = err;
    span_copy(span_of(storage), b->text, sizeof(b->text));
    loop_break(b->loop);
}

static void on_keeper(void *arg)
{
    ((struct bench *)arg)->connected++;
}

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("nothing came");
}

/* A fresh socket for the link, its other end is ours. */
static int other_side(struct bench *b, enum role me)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
    channel_free(b->peer);
    b->peer = channel_new(b->loop, fds[0], me, ROLE_WORKER, &peer_ops, b);
    return fds[1];
}

static int setup(void **state)
{
    static const struct clink_ops c_ops = {
        .dialed = on_dialed, .udp_bound = on_bound, .udp_connected = on_connected};
    static const struct klink_ops k_ops = {.folder = on_folder, .connected = on_keeper};
    struct bench *b = mem_new(sizeof(*b));

    b->loop = loop_new();
    b->fd = -1;
    loop_timer_set(b->loop, &b->late, 20 * US_PER_S, too_late, b);
    clink_init(&b->c, b->loop, &c_ops, b);
    klink_init(&b->k, b->loop, &k_ops, b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    clink_done(&b->c);
    klink_done(&b->k);
    channel_free(b->peer);
    loop_timer_stop(&b->late);
    loop_free(b->loop);
    fd_close(&b->fd);
    mem_free(b);
    return 0;
}

static struct said *wait_said(struct bench *b)
{
    unsigned n = b->n_said;

    while (b->n_said == n) loop_run(b->loop);
    return &b->said[n];
}

static void wait_told(struct bench *b)
{
    unsigned n = b->told;

    while (b->told == n) loop_run(b->loop);
}

static void answer_dial(struct bench *b, uint64_t id, int err)
{
    struct packer *p = channel_begin(b->peer, MSG_DIALED, 4);
    int fd = STDERR_FILENO;

    pack_kv_u64(p, "id", id);
    pack_kv_i64(p, "err", err);
    pack_kv_text(p, "text", "no route to host");
    pack_kv_text(p, "addr", "192.0.2.1:554");
    channel_end(b->peer, &fd, err ? 0 : 1);
}

static void a_dial_waits_for_its_connector(void **state)
{
    struct bench *b = *state;
    struct said *s;

    clink_dial(&b->c, "camera.example", 8554);
    assert_true(clink_waits_for_connector(&b->c));
    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR));
    s = wait_said(b);
    assert_int_equal(s->type, MSG_DIAL);
    assert_string_equal(s->text, "camera.example");
    assert_int_equal(s->n, 8554);
    answer_dial(b, s->id, 0);
    wait_told(b);
    assert_int_equal(b->err, 0);
    assert_true(b->fd >= 0);
    assert_string_equal(b->text, "192.0.2.1:554");
}

static void only_the_last_dial_counts(void **state)
{
    struct bench *b = *state;
    uint64_t first;

    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR));
    clink_dial(&b->c, "one", 1);
    first = wait_said(b)->id;
    clink_dial(&b->c, "two", 2);
    answer_dial(b, first, 0);
    answer_dial(b, wait_said(b)->id, EHOSTUNREACH);
    wait_told(b);
    assert_int_equal(b->told, 1);
    assert_int_equal(b->err, -EHOSTUNREACH);
    assert_string_equal(b->text, "no route to host");
}

/* A connector that died takes the dial along; the next one gets it. */
static void a_new_connector_gets_the_dial(void **state)
{
    struct bench *b = *state;

    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR));
    clink_dial(&b->c, "one", 1);
    wait_said(b);
    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR));
    assert_int_equal(wait_said(b)->type, MSG_DIAL);
}

/* What the connector before did not answer, the next one is asked. */
static void a_new_connector_gets_the_pairs(void **state)
{
    struct bench *b = *state;
    int fds[2] = {STDERR_FILENO, STDERR_FILENO};
    struct packer *p;
    uint64_t id;

    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR));
    clink_udp_bind(&b->c, 1, 0);
    id = wait_said(b)->id;
    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR));
    assert_int_equal(wait_said(b)->type, MSG_UDP_BIND);
    p = channel_begin(b->peer, MSG_UDP_BOUND, 3);
    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "err", 0);
    pack_kv_u64(p, "port", 40000);
    channel_end(b->peer, fds, 2);
    wait_told(b);
    clink_udp_connect(&b->c, 1, 6000, 6001);
    wait_said(b);
    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR));
    assert_int_equal(wait_said(b)->type, MSG_UDP_CONNECT);
    p = channel_begin(b->peer, MSG_UDP_CONNECTED, 2);
    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "err", 0);
    channel_end(b->peer, NULL, 0);
    wait_told(b);
    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR)); /* nothing is unanswered */
    clink_udp_close(&b->c, 1);
    assert_int_equal(wait_said(b)->type, MSG_UDP_CLOSE);
}

static void udp_pairs_are_known_by_their_track(void **state)
{
    struct bench *b = *state;
    struct packer *p;
    struct said *s;
    int fds[2] = {STDERR_FILENO, STDERR_FILENO};

    clink_connector(&b->c, other_side(b, ROLE_CONNECTOR));
    clink_udp_bind(&b->c, 3, 9);
    s = wait_said(b);
    assert_int_equal(s->type, MSG_UDP_BIND);
    p = channel_begin(b->peer, MSG_UDP_BOUND, 3);
    pack_kv_u64(p, "id", s->id);
    pack_kv_u64(p, "err", 0);
    pack_kv_u64(p, "port", 40000);
    channel_end(b->peer, fds, 2);
    wait_told(b);
    assert_int_equal(b->track, 3);
    assert_int_equal(b->port, 40000);
    clink_udp_connect(&b->c, 3, 6000, 6001);
    s = wait_said(b);
    assert_int_equal(s->type, MSG_UDP_CONNECT);
    assert_int_equal(s->n, 6000);
    assert_int_equal(s->n2, 6001);
    p = channel_begin(b->peer, MSG_UDP_CONNECTED, 2);
    pack_kv_u64(p, "id", s->id);
    pack_kv_u64(p, "err", ECONNREFUSED);
    channel_end(b->peer, NULL, 0);
    wait_told(b);
    assert_int_equal(b->err, -ECONNREFUSED);
    clink_udp_close(&b->c, 3);
    assert_int_equal(wait_said(b)->type, MSG_UDP_CLOSE);
    clink_udp_close(&b->c, 3);
    assert_int_equal(b->n_said, 3);
}

static void folders_come_and_go(void **state)
{
    struct bench *b = *state;
    struct packer *p;
    int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    klink_keeper(&b->k, other_side(b, ROLE_KEEPER));
    assert_int_equal(b->connected, 1);
    klink_ask(&b->k);
    assert_int_equal(wait_said(b)->type, MSG_ARCHIVE_ASK);
    p = channel_begin(b->peer, MSG_ARCHIVE, 3);
    pack_kv_text(p, "state", "ok");
    pack_kv_u64(p, "errno", 0);
    pack_kv_text(p, "storage", "default");
    channel_end(b->peer, &fd, 1);
    close(fd);
    wait_told(b);
    assert_true(b->fd >= 0);
    assert_string_equal(b->text, "default");
    fd_close(&b->fd);
    p = channel_begin(b->peer, MSG_ARCHIVE, 3);
    pack_kv_text(p, "state", "wait");
    pack_kv_u64(p, "errno", ENOSPC);
    pack_kv_text(p, "storage", "default");
    channel_end(b->peer, NULL, 0);
    wait_told(b);
    assert_int_equal(b->fd, -1);
    assert_int_equal(b->err, ENOSPC);
    klink_failed(&b->k, -EIO);
    assert_int_equal(wait_said(b)->n2, EIO);
}

static void stored(struct bench *b, uint64_t id)
{
    struct packer *p = channel_begin(b->peer, MSG_SEG_STORED, 1);

    pack_kv_u64(p, "id", id);
    channel_end(b->peer, NULL, 0);
}

static void closed_segments_are_said_until_stored(void **state)
{
    struct bench *b = *state;
    struct seg_info *info = mem_new(sizeof(*info));
    struct said *s;

    info->n_keys = SEG_KEYS_MAX;
    info->id = 256;
    klink_closed(&b->k, info); /* no keeper yet */
    info->id = 512;
    klink_closed(&b->k, info);
    klink_keeper(&b->k, other_side(b, ROLE_KEEPER));
    s = wait_said(b);
    assert_int_equal(s->type, MSG_SEG_CLOSED);
    assert_int_equal(s->id, 256);
    assert_true(s->bytes > SEG_KEYS_MAX * 8);
    while (b->n_said < 2) wait_said(b);
    stored(b, 256);
    stored(b, 999);
    klink_ask(&b->k);
    wait_said(b);
    while (b->k.n != 1) loop_run(b->loop);
    b->n_said = 0;
    klink_keeper(&b->k, other_side(b, ROLE_KEEPER));
    assert_int_equal(wait_said(b)->id, 512);
    for (uint64_t i = 0; i < KLINK_PENDING_MAX + 10; i++) {
        info->id = 1000 + i;
        b->n_said = 0;
        klink_closed(&b->k, info);
    }
    assert_int_equal(b->k.n, KLINK_PENDING_MAX);
    mem_free(info);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_dial_waits_for_its_connector),
        TEST(only_the_last_dial_counts),
        TEST(a_new_connector_gets_the_dial),
        TEST(udp_pairs_are_known_by_their_track),
        TEST(a_new_connector_gets_the_pairs),
        TEST(folders_come_and_go),
        TEST(closed_segments_are_said_until_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
