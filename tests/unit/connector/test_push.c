/* master/connector/push: who connects to the publish listener, and to which worker he is handed. */
#include "master/connector/push.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define TURN_US (20 * US_PER_MS)
#define LATE_US (60 * US_PER_S)

static struct world {
    struct loop *loop;
    struct peers *peers;
    struct push *push;
    struct channel *worker; /* the end that cam-1 has; NULL: none */
    uint16_t port;
    unsigned pushed;
    uint64_t id;
    char addr[96];
    int fd;         /* of the last PUSHED */
    uint64_t bound; /* port of UDP_BOUND */
    uint64_t err;
    unsigned answers;
} W;

static int on_message(struct channel *ch, struct incoming *in)
{
    (void)ch;
    if (in->type == MSG_PUSHED) {
        assert_int_equal(in->n_fds, 1);
        fd_close(&W.fd);
        W.fd = in->fds[0];
        in->fds[0] = -1;
        W.id = packed_u64(in->body, "id", 0);
        packed_text(in->body, "addr", W.addr, sizeof(W.addr));
        W.pushed++;
    }
    if (in->type == MSG_UDP_BOUND) {
        W.err = packed_u64(in->body, "err", 9999);
        W.bound = packed_u64(in->body, "port", 0);
        W.answers++;
    }
    return 0;
}

static void on_close(struct channel *ch, int err)
{
    (void)err;
    channel_free(ch);
    W.worker = NULL;
}

static const struct channel_ops ops = {.on_message = on_message, .on_close = on_close};

static struct unpack *packed(struct buf *b, void (*fill)(struct packer *p, const char *arg), const char *arg)
{
    struct packer p;
    struct unpack *u;

    buf_init(b, 4096);
    p = packer_of(b);
    fill(&p, arg);
    assert_int_equal(unpack_new(buf_span(b), &u), 0);
    return u;
}

static void fill_peer(struct packer *p, const char *uid)
{
    pack_map(p, 6);
    pack_kv_text(p, "uid", uid);
    pack_kv_u64(p, "gen", 1);
    pack_kv_text(p, "host", "");
    pack_kv_bool(p, "push", strcmp(uid, "dialled") != 0);
    pack_kv_text(p, "allow", "");
    pack_kv_text(p, "deny", "");
}

static const char *proxies = "";

static void fill_conf(struct packer *p, const char *whitelist)
{
    pack_map(p, 2);
    pack_kv_text(p, "whitelist", whitelist);
    pack_kv_text(p, "proxies", proxies);
}

static void fill_listen(struct packer *p, const char *base)
{
    pack_map(p, 2);
    pack_kv_text(p, "kind", "publish");
    pack_kv_text(p, "base", base);
}

static void stream(const char *uid, struct channel **ret)
{
    struct buf b;
    struct unpack *u = packed(&b, fill_peer, uid);
    int sv[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    peers_add(W.peers, unpack_root(u), sv[0]);
    *ret = channel_new(W.loop, sv[1], ROLE_WORKER, ROLE_CONNECTOR, &ops, NULL);
    unpack_done(u);
    buf_done(&b);
}

static void listen_at(const char *base, const char *whitelist)
{
    struct buf b;
    struct unpack *u = packed(&b, fill_conf, whitelist);
    struct sockaddr_in sa;
    socklen_t n = sizeof(sa);
    int fd;

    push_conf(W.push, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
    assert_int_equal(listen_tcp("127.0.0.1", 0, 64, &fd), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &n), 0);
    W.port = ntohs(sa.sin_port);
    u = packed(&b, fill_listen, base);
    push_listen(W.push, unpack_root(u), fd);
    unpack_done(u);
    buf_done(&b);
}

static int start(void **state)
{
    (void)state;
    W = (struct world){.loop = loop_new(), .fd = -1};
    proxies = "";
    W.peers = peers_new(W.loop, NULL);
    W.push = push_new(W.loop, W.peers);
    stream("cam-1", &W.worker);
    listen_at("/", "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    push_free(W.push);
    peers_free(W.peers);
    channel_free(W.worker);
    fd_close(&W.fd);
    loop_free(W.loop);
    return 0;
}

/* --- the caller --- */

static int call(void)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(W.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    return fd;
}

static void say(int fd, const char *text)
{
    must(send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text));
}

static void turn_over(struct loop_timer *t)
{
    (void)t;
    loop_break(W.loop);
}

static void turn(void)
{
    struct loop_timer t = {0};

    loop_timer_set(W.loop, &t, TURN_US, turn_over, NULL);
    loop_run(W.loop);
    loop_timer_stop(&t);
}

/* Turns the loop until it is so. */
static void until(bool (*done)(void *arg), void *arg)
{
    for (usec_t at = 0; !done(arg) && at < LATE_US; at += TURN_US) turn();
    assert_true(done(arg));
}

static bool is_pushed(void *arg)
{
    return W.pushed >= *(unsigned *)arg;
}

static void until_pushed(unsigned n)
{
    until(is_pushed, &n);
}

struct heard {
    int fd;
    char text[1024];
    bool closed;
};

static bool hear(struct heard *h)
{
    size_t n = strlen(h->text);
    ssize_t got = recv(h->fd, h->text + n, sizeof(h->text) - 1 - n, MSG_DONTWAIT);

    if (got > 0) h->text[n + (size_t)got] = '\0';
    if (got == 0 || (got < 0 && errno != EAGAIN)) h->closed = true;
    return h->closed;
}

static bool is_closed(void *arg)
{
    return hear(arg);
}

static bool is_answered(void *arg)
{
    struct heard *h = arg;

    hear(h);
    return strstr(h->text, "\r\n\r\n") != NULL;
}

/* What he is told, until he is hung up on. */
static void refused(const char *request, const char *answer)
{
    struct heard h = {.fd = call()};
    unsigned before = W.pushed;

    say(h.fd, request);
    until(is_closed, &h);
    assert_ptr_equal(strstr(h.text, answer), h.text);
    assert_int_equal(W.pushed, before);
    close(h.fd);
}

#define ANNOUNCE "ANNOUNCE rtsp://h:7554/cam-1 RTSP/1.0\r\nCSeq: 1\r\nContent-Length: 3\r\n\r\nv=0"

/* --- tests --- */

/* The worker reads what the connector has only looked at. */
static void a_connection_is_handed_over_whole(void **state)
{
    char text[sizeof(ANNOUNCE)] = "";
    int fd = call();

    (void)state;
    say(fd, ANNOUNCE);
    until_pushed(1);
    assert_int_equal(recv(W.fd, text, sizeof(text), MSG_DONTWAIT), sizeof(ANNOUNCE) - 1);
    assert_string_equal(text, ANNOUNCE);
    assert_int_equal(strncmp(W.addr, "127.0.0.1:", 10), 0);
    close(fd);
    assert_int_equal(recv(W.fd, text, sizeof(text), 0), 0); /* the connector has kept nothing of it */
}

/* Those that began before the connector was started anew go on under their numbers. */
static void numbers_are_not_given_again(void **state)
{
    uint64_t first;
    int fd[2];

    for (size_t i = 0; i < ARRAY_N(fd); i++) {
        fd[i] = call();
        say(fd[i], ANNOUNCE);
        until_pushed(1);
        assert_true(i == 0 || W.id - first > 1000);
        first = W.id;
        if (i == 0) {
            assert_int_equal(stop(state), 0);
            assert_int_equal(start(state), 0);
        }
    }
    for (size_t i = 0; i < ARRAY_N(fd); i++) close(fd[i]);
}

static void urls_that_name_it(void **state)
{
    static const char *const urls[] = {"rtsp://h/cam-1/", "rtsp://u:p@h:7554/cam-1/streamid=0", "/cam-1",
        "rtsp://h/cam-1?token=x", "rtsp://[::1]:7554/cam-1"};
    int fd[ARRAY_N(urls)];

    (void)state;
    for (unsigned i = 0; i < ARRAY_N(urls); i++) {
        char text[256];

        snprintf(text, sizeof(text), "OPTIONS %s RTSP/1.0\r\nCSeq: 1\r\n\r\n", urls[i]);
        fd[i] = call();
        say(fd[i], text);
        until_pushed(i + 1);
        close(fd[i]);
    }
}

static void in_pieces(void **state)
{
    int fd = call();

    (void)state;
    say(fd, "ANNOUNCE rtsp://h/ca");
    turn();
    turn();
    assert_int_equal(W.pushed, 0);
    say(fd, "m-1 RTSP/1.0\r\nCSeq: 1\r\n");
    turn();
    assert_int_equal(W.pushed, 0);
    say(fd, "\r\n");
    until_pushed(1);
    close(fd);
}

static void who_is_refused(void **state)
{
    static char text[PUSH_HEAD_MAX + 512];

    (void)state;
    refused("ANNOUNCE rtsp://h/cam-2 RTSP/1.0\r\nCSeq: 7\r\n\r\n", "RTSP/1.0 404 Not Found\r\nCSeq: 7\r\n");
    refused("ANNOUNCE rtsp://h/ RTSP/1.0\r\nCSeq: 7\r\n\r\n", "RTSP/1.0 404 ");
    refused("ANNOUNCE cam-1 RTSP/1.0\r\nCSeq: a\r\n\r\n", "RTSP/1.0 404 Not Found\r\n\r\n");
    refused("GET /cam-1 HTTP/1.1\r\nHost: h\r\n\r\n", "RTSP/1.0 400 ");
    refused("\x16\x03\x01\x02 hello\r\n\r\n", "RTSP/1.0 400 ");
    memset(text, 'a', sizeof(text) - 1);
    refused(text, "RTSP/1.0 400 ");
    for (size_t at = 0; at + 80 < PUSH_HEAD_MAX + 400; at += 64)
        memcpy(text + at,
            at == 0 ? "OPTIONS rtsp://h/cam-1 RTSP/1.0\r\nX-aaaaaaaaaaaaaaaaaaaaaaaaa: aa\r\n"
                    : "X-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: a\r\n",
            64);
    refused(text, "RTSP/1.0 400 ");
}

static void a_stream_that_is_dialled_takes_none(void **state)
{
    struct channel *other;

    (void)state;
    stream("dialled", &other);
    refused("ANNOUNCE rtsp://h/dialled RTSP/1.0\r\nCSeq: 1\r\n\r\n", "RTSP/1.0 404 ");
    channel_free(other);
}

static bool worker_is_gone(void *arg)
{
    struct heard h = {.fd = call()};

    (void)arg;
    say(h.fd, "OPTIONS rtsp://h/cam-1 RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    until(is_answered, &h);
    close(h.fd);
    return strstr(h.text, "RTSP/1.0 503 ") && strstr(h.text, "Retry-After: ");
}

static void a_worker_that_is_away(void **state)
{
    (void)state;
    channel_free(W.worker);
    W.worker = NULL;
    turn();
    until(worker_is_gone, NULL);
}

/* No stream is named yet: answered here, and looked at again. */
static void options_of_the_server(void **state)
{
    struct heard h = {.fd = call()};

    (void)state;
    say(h.fd, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n");
    until(is_answered, &h);
    assert_ptr_equal(strstr(h.text, "RTSP/1.0 200 OK\r\nCSeq: 1\r\nPublic: "), h.text);
    say(h.fd, ANNOUNCE);
    until_pushed(1);
    close(h.fd);
}

static void only_those_of_the_whitelist(void **state)
{
    struct heard h;

    (void)state;
    listen_at("/", "10.0.0.0/8, fd00::/8");
    h = (struct heard){.fd = call()};
    until(is_closed, &h);
    assert_string_equal(h.text, "");
    close(h.fd);
    listen_at("/push/", "127.0.0.0/8");
    refused("ANNOUNCE rtsp://h/cam-1 RTSP/1.0\r\nCSeq: 7\r\n\r\n", "RTSP/1.0 404 ");
    h = (struct heard){.fd = call()};
    say(h.fd, "ANNOUNCE rtsp://h/push/cam-1 RTSP/1.0\r\nCSeq: 7\r\n\r\n");
    until_pushed(1);
    close(h.fd);
}

/* Connections that say nothing are bounded; the one above is closed, those before are not. */
static void silent_ones_of_one_address(void **state)
{
    int fd[PUSH_CONNS_ONE];
    struct heard h;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(fd); i++) fd[i] = call();
    turn();
    h = (struct heard){.fd = call()};
    until(is_closed, &h);
    close(h.fd);
    say(fd[0], ANNOUNCE);
    until_pushed(1);
    for (size_t i = 0; i < ARRAY_N(fd); i++) close(fd[i]);
}

/* A header of the PROXY protocol, version 2: TCP over IPv4 from 203.0.113.<last>, port 4711; in pieces. Who
 * is closed meanwhile need not take it. */
static void say_proxied(int fd, uint8_t command, uint8_t last)
{
    const uint8_t head[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a, command,
        0x11, 0, 12, 203, 0, 113, last, 127, 0, 0, 1, 0x12, 0x67, 0x1d, 0x82};

    for (size_t i = 0; i < sizeof(head); i++) {
        (void)!send(fd, head + i, 1, MSG_NOSIGNAL);
        if (i % 9 == 0) turn();
    }
}

/* The address that a trusted proxy says is the camera's: for the whitelist, and for the worker. The worker
 * reads from its request on. */
static void behind_a_proxy(void **state)
{
    static const struct {
        const char *proxies;
        uint8_t command, last;
        const char *addr; /* that the worker is told; NULL: closed without a word */
    } rows[] = {
        {"127.0.0.0/8", 0x21, 9, "203.0.113.9"}, {"127.0.0.0/8", 0x21, 200, NULL}, /* not in the whitelist */
        {"127.0.0.0/8", 0x20, 9, NULL}, /* the proxy itself asks, and is not in it */
        {"127.0.0.0/8", 0x31, 9, NULL}, /* no version that there is */
        {"10.0.0.0/8", 0x21, 9, NULL},  /* nobody's word counts */
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct heard h;
        char text[sizeof(ANNOUNCE)] = "";
        unsigned before = W.pushed;

        proxies = rows[i].proxies;
        listen_at("/", "203.0.113.0/28");
        h = (struct heard){.fd = call()};
        say_proxied(h.fd, rows[i].command, rows[i].last);
        if (rows[i].addr) {
            say(h.fd, ANNOUNCE);
            until_pushed(before + 1);
            assert_string_equal(W.addr, rows[i].addr);
            assert_int_equal(recv(W.fd, text, sizeof(text), MSG_DONTWAIT), sizeof(ANNOUNCE) - 1);
            assert_string_equal(text, ANNOUNCE);
        } else {
            until(is_closed, &h);
            assert_string_equal(h.text, "");
            assert_int_equal(W.pushed, before);
        }
        close(h.fd);
    }
}

/* A proxy may pass on nothing but the connection; and many cameras behind it are not one address. */
static void a_proxy_with_many(void **state)
{
    int fd[PUSH_CONNS_ONE + 4];

    (void)state;
    proxies = "127.0.0.1";
    listen_at("/", "");
    for (size_t i = 0; i < ARRAY_N(fd); i++) fd[i] = call();
    turn();
    say(fd[0], ANNOUNCE);
    until_pushed(1);
    assert_int_equal(strncmp(W.addr, "127.0.0.1:", 10), 0);
    say_proxied(fd[ARRAY_N(fd) - 1], 0x21, 1);
    say(fd[ARRAY_N(fd) - 1], ANNOUNCE);
    until_pushed(2);
    assert_string_equal(W.addr, "203.0.113.1");
    for (size_t i = 0; i < ARRAY_N(fd); i++) close(fd[i]);
}

static void a_stream_that_is_asked_too_often(void **state)
{
    struct heard h = {.fd = -1};
    unsigned n = 0;

    (void)state;
    do {
        fd_close(&h.fd);
        h = (struct heard){.fd = call()};
        say(h.fd, ANNOUNCE);
        for (usec_t at = 0; W.pushed == n && !hear(&h) && h.text[0] == '\0' && at < LATE_US; at += TURN_US)
            turn();
        n = W.pushed;
    } while (h.text[0] == '\0' && n < 10 * PEER_PUSH_BURST);
    assert_ptr_equal(strstr(h.text, "RTSP/1.0 503 "), h.text);
    assert_true(n >= PEER_PUSH_BURST);
    close(h.fd);
}

static bool is_bound(void *arg)
{
    return W.answers >= *(unsigned *)arg;
}

/* UDP goes to the address of the connection that is named, whoever has connected since. */
static void ports_of_a_connection(void **state)
{
    int fd = call();
    unsigned one = 1, two = 2;
    struct packer *p;

    (void)state;
    say(fd, ANNOUNCE);
    until_pushed(1);
    p = channel_begin(W.worker, MSG_UDP_BIND, 2);
    pack_kv_u64(p, "id", 5);
    pack_kv_u64(p, "pushed", W.id);
    channel_end(W.worker, NULL, 0);
    until(is_bound, &one);
    assert_int_equal(W.err, 0);
    assert_true(W.bound > 0 && W.bound % 2 == 0);
    p = channel_begin(W.worker, MSG_UDP_BIND, 2);
    pack_kv_u64(p, "id", 6);
    pack_kv_u64(p, "pushed", W.id + 1);
    channel_end(W.worker, NULL, 0);
    until(is_bound, &two);
    assert_int_equal(W.err, ENOTCONN);
    close(fd);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_handed_over_whole),
        TEST(numbers_are_not_given_again),
        TEST(urls_that_name_it),
        TEST(in_pieces),
        TEST(who_is_refused),
        TEST(a_stream_that_is_dialled_takes_none),
        TEST(a_worker_that_is_away),
        TEST(options_of_the_server),
        TEST(only_those_of_the_whitelist),
        TEST(behind_a_proxy),
        TEST(a_proxy_with_many),
        TEST(silent_ones_of_one_address),
        TEST(a_stream_that_is_asked_too_often),
        TEST(ports_of_a_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
