/* master/connector/peers: a worker's socket, dialling real listeners on this machine. */
#include "master/connector/peers.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/rd.h"
#include "common/base/wr.h"
#include "common/net/listener.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

struct world {
    struct loop *loop;
    struct peers *peers;
    struct channel *ch; /* the worker's end */
    int listener;
    uint16_t port;
    /* the last answer */
    int answers, until, closed;
    uint64_t gen; /* of the worker */
    enum message type;
    uint64_t id, err, udp_port;
    char text[128], addr[128];
    int fds[2];
    /* a name server of the test */
    struct loop_io dns;
    int dns_fd;
    unsigned dns_asked;
    uint8_t own[4]; /* an address of this machine that is not loopback; 0: none */
    char servers[32];
};

static int on_message(struct channel *ch, struct incoming *in)
{
    struct world *w = channel_arg(ch);

    fd_close(&w->fds[0]);
    fd_close(&w->fds[1]);
    w->answers++;
    w->type = in->type;
    w->id = packed_u64(in->body, "id", 0);
    w->err = packed_u64(in->body, "err", 9999);
    w->udp_port = packed_u64(in->body, "port", 0);
    packed_text(in->body, "text", w->text, sizeof(w->text));
    packed_text(in->body, "addr", w->addr, sizeof(w->addr));
    for (int i = 0; i < in->n_fds; i++) {
        w->fds[i] = in->fds[i];
        in->fds[i] = -1;
    }
    if (w->answers == w->until) loop_break(w->loop);
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    struct world *w = channel_arg(ch);

    (void)err;
    w->closed++;
    loop_break(w->loop);
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("not answered within 10 s");
}

static void run(struct world *w)
{
    struct loop_timer t = {0};

    w->until = w->answers + 1;
    loop_timer_set(w->loop, &t, 10 * US_PER_S, too_late, NULL);
    loop_run(w->loop);
    loop_timer_stop(&t);
}

/* The same worker gets another socket. */
static void relink(struct world *w, const char *host, const char *deny)
{
    struct buf b;
    struct packer p;
    struct unpack *u;
    int sv[2];

    channel_free(w->ch);
    buf_init(&b, 4096);
    p = packer_of(&b);
    pack_map(&p, 5);
    pack_kv_text(&p, "uid", "cam-1");
    pack_kv_u64(&p, "gen", w->gen);
    pack_kv_text(&p, "host", host);
    pack_kv_text(&p, "allow", "");
    pack_kv_text(&p, "deny", deny);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    peers_add(w->peers, unpack_root(u), sv[0]);
    w->ch = channel_new(w->loop, sv[1], ROLE_WORKER, ROLE_CONNECTOR, &ops, w);
    unpack_done(u);
    buf_done(&b);
}

static void join(struct world *w, const char *host, const char *deny)
{
    w->gen++;
    relink(w, host, deny);
}

static void dial(struct world *w, uint64_t id, const char *host, uint16_t port, usec_t timeout_us)
{
    struct packer *p = channel_begin(w->ch, MSG_DIAL, 4);

    pack_kv_u64(p, "id", id);
    pack_kv_text(p, "host", host);
    pack_kv_u64(p, "port", port);
    pack_kv_i64(p, "timeout_us", timeout_us);
    channel_end(w->ch, NULL, 0);
}

/* --- a name server: the first label decides (RFC 1035 4.1) --- */

static const struct {
    const char *name;
    uint8_t a[4][4];
    size_t n;
} zone[] = {
    {"evil", {{127, 0, 0, 1}}, 1}, {"meta", {{169, 254, 169, 254}}, 1},
    {"many", {{224, 0, 0, 1}, {127, 0, 0, 1}, {0, 0, 0, 0}}, 3},
    {"good", {{127, 0, 0, 1}, {0}}, 2}, /* the second is w.own */
};

static void dns_answer(struct world *w, struct wr *out, struct span label, uint16_t type)
{
    for (size_t i = 0; i < ARRAY_N(zone); i++) {
        if (!span_is(label, zone[i].name)) continue;
        wr_patch_u32(out, 4, (1u << 16) | (type == 1 ? (uint32_t)zone[i].n : 0));
        for (size_t k = 0; type == 1 && k < zone[i].n; k++) {
            wr_u16(out, 0xc00c);
            wr_u16(out, 1);
            wr_u16(out, 1);
            wr_u32(out, 0);
            wr_u16(out, 4);
            wr_bytes(out, span(k == 1 && span_is(label, "good") ? w->own : zone[i].a[k], 4));
        }
        return;
    }
    out->p[3] = 0x83; /* no such name */
}

static void dns_ready(struct loop_io *io, unsigned events)
{
    struct world *w = io->arg;
    struct sockaddr_storage from;
    socklen_t n_from = sizeof(from);
    uint8_t in[512], out[512];
    ssize_t n = recvfrom(io->fd, in, sizeof(in), 0, (struct sockaddr *)&from, &n_from);
    struct rd r = rd_of(span(in, n < 0 ? 0 : (size_t)n));
    struct wr o = wr_of(out, sizeof(out));
    struct span label;
    uint16_t id, type;
    uint8_t len;

    (void)events;
    id = rd_u16(&r);
    rd_skip(&r, 10);
    label = rd_bytes(&r, rd_u8(&r));
    while ((len = rd_u8(&r)) > 0) rd_skip(&r, len);
    type = rd_u16(&r);
    rd_skip(&r, 2);
    if (!rd_ok(&r)) return;
    w->dns_asked++;
    if (span_is(label, "mute")) return;
    wr_u16(&o, id);
    wr_u16(&o, 0x8180);
    wr_u32(&o, 1u << 16);
    wr_u32(&o, 0);
    wr_bytes(&o, span(in + 12, r.at - 12));
    dns_answer(w, &o, label, type);
    assert_true(sendto(io->fd, out, o.n, 0, (const struct sockaddr *)&from, n_from) > 0);
}

static void dns_start(struct world *w)
{
    struct sockaddr_in sa = {.sin_family = AF_INET};
    socklen_t n = sizeof(sa);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->dns_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(w->dns_fd, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(getsockname(w->dns_fd, (struct sockaddr *)&sa, &n), 0);
    snprintf(w->servers, sizeof(w->servers), "127.0.0.1:%u", ntohs(sa.sin_port));
    loop_io_start(w->loop, &w->dns, w->dns_fd, LOOP_READ, dns_ready, w);
}

static void find_own_address(struct world *w)
{
    struct ifaddrs *all;

    if (getifaddrs(&all) < 0) return;
    for (const struct ifaddrs *a = all; a; a = a->ifa_next) {
        const struct sockaddr_in *four = (const void *)a->ifa_addr;

        if (a->ifa_addr && a->ifa_addr->sa_family == AF_INET && !(a->ifa_flags & IFF_LOOPBACK) &&
            (ntohl(four->sin_addr.s_addr) >> 16) != 0xa9fe)
            memcpy(w->own, &four->sin_addr, 4);
    }
    freeifaddrs(all);
}

static int setup(void **state)
{
    static struct world w;
    struct sockaddr_in sa;
    socklen_t n = sizeof(sa);

    w = (struct world){.loop = loop_new(), .fds = {-1, -1}};
    dns_start(&w);
    find_own_address(&w);
    w.peers = peers_new(w.loop, w.servers);
    assert_int_equal(listen_tcp("0.0.0.0", 0, 16, &w.listener), 0);
    assert_int_equal(getsockname(w.listener, (struct sockaddr *)&sa, &n), 0);
    w.port = ntohs(sa.sin_port);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    channel_free(w->ch);
    peers_free(w->peers);
    loop_io_stop(&w->dns);
    fd_close(&w->dns_fd);
    fd_close(&w->fds[0]);
    fd_close(&w->fds[1]);
    fd_close(&w->listener);
    loop_free(w->loop);
    return 0;
}

static int option(int fd, int level, int name)
{
    int v = -1;
    socklen_t n = sizeof(v);

    return getsockopt(fd, level, name, &v, &n) < 0 ? -1 : v;
}

static void dials_and_hands_over(void **state)
{
    struct world *w = *state;
    char want[64], got[8] = "";
    int peer;

    join(w, "127.0.0.1", "");
    dial(w, 7, "127.0.0.1", w->port, 0);
    run(w);
    assert_int_equal(w->type, MSG_DIALED);
    assert_int_equal(w->id, 7);
    assert_int_equal(w->err, 0);
    snprintf(want, sizeof(want), "127.0.0.1:%u", w->port);
    assert_string_equal(w->addr, want);
    assert_int_equal(option(w->fds[0], IPPROTO_TCP, TCP_NODELAY), 1);
    assert_int_equal(option(w->fds[0], IPPROTO_TCP, TCP_KEEPIDLE), 5);
    assert_int_equal(option(w->fds[0], IPPROTO_TCP, TCP_USER_TIMEOUT), 10000);
    peer = accept(w->listener, NULL, NULL);
    assert_int_equal(write(w->fds[0], "hi", 2), 2);
    assert_int_equal(read(peer, got, sizeof(got)), 2);
    /* The connector kept no copy: the end is seen when the worker closes. */
    fd_close(&w->fds[0]);
    assert_int_equal(read(peer, got, sizeof(got)), 0);
    close(peer);
    /* localhost, by the rules of a stream that names it */
    join(w, "localhost", "");
    dial(w, 8, "localhost", w->port, 0);
    run(w);
    assert_int_equal(w->err, 0);
}

static void refuses_what_the_policy_refuses(void **state)
{
    struct world *w = *state;

    join(w, "10.0.0.5", "");
    dial(w, 1, "127.0.0.1", w->port, 0); /* a redirect */
    run(w);
    assert_int_equal(w->err, EACCES);
    assert_string_equal(w->text, "loopback address");
    assert_int_equal(w->fds[0], -1);
    join(w, "ip6-localhost", "");
    dial(w, 2, "ip6-localhost", w->port, 0); /* a name of /etc/hosts that leads to loopback */
    run(w);
    assert_true(w->err == EACCES || w->err == ENOENT || w->err == EIO || w->err == ETIMEDOUT);
    join(w, "127.0.0.1", "127.0.0.0/8");
    dial(w, 3, "127.0.0.1", w->port, 0);
    run(w);
    assert_int_equal(w->err, EACCES);
    assert_string_equal(w->text, "in camera-deny");
}

/* A name that leads where none may: loopback, link-local, multicast (C12, R29). */
static void names_do_not_lead_inside(void **state)
{
    static const char *const names[] = {"evil.test", "meta.test", "many.test"};
    struct world *w = *state;

    for (size_t i = 0; i < ARRAY_N(names); i++) {
        join(w, names[i], "");
        dial(w, i, names[i], w->port, 0);
        run(w);
        assert_int_equal(w->err, EACCES);
        assert_int_equal(w->fds[0], -1);
    }
    assert_true(w->dns_asked >= 3);
}

static void name_server_says_no_or_nothing(void **state)
{
    struct world *w = *state;

    join(w, "none.test", "");
    dial(w, 1, "none.test", w->port, 0);
    run(w);
    assert_int_equal(w->err, ENOENT);
    join(w, "mute.test", "");
    dial(w, 2, "mute.test", w->port, 200 * US_PER_MS);
    run(w);
    assert_int_equal(w->err, ETIMEDOUT);
    assert_string_equal(w->text, "no answer while resolving");
    /* A late answer to a dial that is over, and a worker that goes away meanwhile. */
    dial(w, 3, "mute.test", w->port, 5 * US_PER_S);
    dial(w, 4, "none.test", w->port, 5 * US_PER_S);
    run(w);
    assert_int_equal(w->id, 4);
    dial(w, 5, "mute.test", w->port, 5 * US_PER_S);
    peers_remove(w->peers, SPAN_LIT("cam-1"));
}

/* The first address is refused, the second connects. */
static void addresses_are_tried_in_order(void **state)
{
    struct world *w = *state;
    char want[64];

    if (w->own[0] == 0) {
        print_message("skipped: no address but loopback\n");
        skip();
    }
    join(w, "good.test", "");
    dial(w, 1, "good.test", w->port, 0);
    run(w);
    assert_int_equal(w->err, 0);
    snprintf(want, sizeof(want), "%u.%u.%u.%u:%u", w->own[0], w->own[1], w->own[2], w->own[3], w->port);
    assert_string_equal(w->addr, want);
}

static void says_why_it_did_not_connect(void **state)
{
    struct world *w = *state;
    uint16_t port = w->port;

    fd_close(&w->listener);
    join(w, "127.0.0.1", "");
    dial(w, 1, "127.0.0.1", port, 0);
    run(w);
    assert_int_equal(w->err, ECONNREFUSED);
    assert_int_equal(w->fds[0], -1);
}

/* A listener whose queue is full answers nothing. */
static void timeout_ends_a_dial(void **state)
{
    struct world *w = *state;
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(w->port)};
    int fill[8];
    usec_t start_us;

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(listen(w->listener, 0), 0);
    for (size_t i = 0; i < ARRAY_N(fill); i++) {
        fill[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        (void)connect(fill[i], (const struct sockaddr *)&sa, sizeof(sa));
    }
    join(w, "127.0.0.1", "");
    start_us = clock_mono_us();
    dial(w, 1, "127.0.0.1", w->port, 150 * US_PER_MS);
    run(w);
    assert_int_equal(w->err, ETIMEDOUT);
    assert_true(clock_mono_us() - start_us >= 140 * US_PER_MS);
    /* A new DIAL ends the one before: one answer, to the second. */
    dial(w, 2, "127.0.0.1", w->port, 5 * US_PER_S);
    dial(w, 3, "127.0.0.1", w->port, 150 * US_PER_MS);
    run(w);
    assert_int_equal(w->id, 3);
    for (size_t i = 0; i < ARRAY_N(fill); i++) fd_close(&fill[i]);
}

/* K10: hammering is slowed, for the next worker of the stream too. */
static void rate_outlives_the_worker(void **state)
{
    struct world *w = *state;
    usec_t start_us = clock_mono_us();

    for (unsigned i = 0; i < PEER_DIAL_BURST + 1; i++) {
        join(w, "127.0.0.1", "127.0.0.1");
        dial(w, i, "127.0.0.1", w->port, 0);
        run(w);
        assert_int_equal(w->err, EACCES);
    }
    assert_true(clock_mono_us() - start_us >= PEER_DIAL_EVERY_US - 100 * US_PER_MS);
}

static void udp_ask(struct world *w, enum message type, uint64_t id, uint16_t port)
{
    struct packer *p = channel_begin(w->ch, type, 3);

    pack_kv_u64(p, "id", id);
    pack_kv_u64(p, "port", port);
    pack_kv_u64(p, "rtcp_port", (uint64_t)port + 1);
    channel_end(w->ch, NULL, 0);
}

static void udp_pair(void **state)
{
    struct world *w = *state;
    struct sockaddr_in sa = {.sin_family = AF_INET}, peer;
    socklen_t n = sizeof(peer);
    int cam = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0),
        stranger = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    char got[8] = "";
    int rtp, rtcp;

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(cam, (const struct sockaddr *)&sa, sizeof(sa)), 0);
    assert_int_equal(getsockname(cam, (struct sockaddr *)&peer, &n), 0);
    join(w, "127.0.0.1", "");
    udp_ask(w, MSG_UDP_BIND, 1, 0);
    run(w);
    assert_int_equal(w->err, ENOTCONN); /* nothing was dialled */
    dial(w, 1, "127.0.0.1", w->port, 0);
    run(w);
    udp_ask(w, MSG_UDP_BIND, 1, 0);
    run(w);
    assert_int_equal(w->err, 0);
    assert_int_equal(w->udp_port % 2, 0);
    rtp = w->fds[0];
    rtcp = w->fds[1];
    w->fds[0] = w->fds[1] = -1;
    assert_true(option(rtp, SOL_SOCKET, SO_RCVBUF) >= 100000);
    udp_ask(w, MSG_UDP_CONNECT, 1, ntohs(peer.sin_port));
    run(w);
    assert_int_equal(w->type, MSG_UDP_CONNECTED);
    assert_int_equal(w->err, 0);
    /* Only the camera is heard. */
    sa.sin_port = htons((uint16_t)w->udp_port);
    n = sizeof(sa);
    assert_int_equal(getsockname(rtp, (struct sockaddr *)&sa, &n), 0);
    assert_int_equal(sendto(stranger, "evil", 4, 0, (const struct sockaddr *)&sa, sizeof(sa)), 4);
    assert_int_equal(sendto(cam, "rtp", 3, 0, (const struct sockaddr *)&sa, sizeof(sa)), 3);
    assert_int_equal(recv(rtp, got, sizeof(got), 0), 3);
    assert_string_equal(got, "rtp");
    udp_ask(w, MSG_UDP_CONNECT, 9, 5000);
    run(w);
    assert_int_equal(w->err, EINVAL); /* no such pair */
    udp_ask(w, MSG_UDP_CLOSE, 1, 0);
    for (uint64_t i = 0; i < PEER_PAIRS_MAX; i++) {
        udp_ask(w, MSG_UDP_BIND, 10 + i, 0);
        run(w);
        assert_int_equal(w->err, 0);
    }
    udp_ask(w, MSG_UDP_BIND, 99, 0);
    run(w);
    assert_int_equal(w->err, EMFILE);
    close(rtp);
    close(rtcp);
    close(cam);
    close(stranger);
}

/* camera-allow and camera-deny were read anew while a session is set up. */
static void udp_pairs_outlive_their_socket(void **state)
{
    struct world *w = *state;

    join(w, "127.0.0.1", "");
    dial(w, 1, "127.0.0.1", w->port, 0);
    run(w);
    udp_ask(w, MSG_UDP_BIND, 1, 0);
    run(w);
    assert_int_equal(w->err, 0);
    relink(w, "127.0.0.1", "10.0.0.0/8");
    udp_ask(w, MSG_UDP_CONNECT, 1, 5000);
    run(w);
    assert_int_equal(w->err, 0);
    udp_ask(w, MSG_UDP_BIND, 2, 0);
    run(w);
    assert_int_equal(w->err, 0);
    relink(w, "127.0.0.1", "127.0.0.0/8"); /* its address is refused now */
    udp_ask(w, MSG_UDP_CONNECT, 1, 5000);
    run(w);
    assert_int_equal(w->err, EINVAL);
    udp_ask(w, MSG_UDP_BIND, 3, 0);
    run(w);
    assert_int_equal(w->err, ENOTCONN);
    join(w, "127.0.0.1", "");
    dial(w, 2, "127.0.0.1", w->port, 0);
    run(w);
    udp_ask(w, MSG_UDP_BIND, 1, 0);
    run(w);
    assert_int_equal(w->err, 0);
    join(w, "127.0.0.1", ""); /* another worker knows nothing of the one before */
    udp_ask(w, MSG_UDP_CONNECT, 1, 5000);
    run(w);
    assert_int_equal(w->err, EINVAL);
}

static void garbage_costs_the_worker_its_socket(void **state)
{
    struct world *w = *state;

    join(w, "127.0.0.1", "");
    dial(w, 1, "127.0.0.1", 0, 0); /* port 0 */
    run(w);
    assert_int_equal(w->closed, 1);
    join(w, "127.0.0.1", "");
    dial(w, 2, "127.0.0.1", w->port, 0);
    run(w);
    assert_int_equal(w->err, 0);
    peers_remove(w->peers, SPAN_LIT("cam-1"));
    run(w);
    assert_int_equal(w->closed, 2);
    peers_remove(w->peers, SPAN_LIT("cam-1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(dials_and_hands_over, setup, teardown),
        cmocka_unit_test_setup_teardown(refuses_what_the_policy_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(names_do_not_lead_inside, setup, teardown),
        cmocka_unit_test_setup_teardown(name_server_says_no_or_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_are_tried_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(says_why_it_did_not_connect, setup, teardown),
        cmocka_unit_test_setup_teardown(timeout_ends_a_dial, setup, teardown),
        cmocka_unit_test_setup_teardown(rate_outlives_the_worker, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_pair, setup, teardown),
        cmocka_unit_test_setup_teardown(udp_pairs_outlive_their_socket, setup, teardown),
        cmocka_unit_test_setup_teardown(garbage_costs_the_worker_its_socket, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
