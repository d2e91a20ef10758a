/* common/net/tls, tls_accept and conn over TLS, against a client of OpenSSL in another thread: handshakes
 * good and bad, both directions, files, the end, tickets. */
#include "common/net/tls.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/net/conn.h"
#include "common/net/listener.h"

#include <errno.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>
#include <cmocka.h>

#define PLENTY (3u << 20)

struct client {
    SSL_CTX *ctx;
    SSL *ssl;
    SSL_SESSION *session; /* of the last connection */
    int fd;
    const char *alpn;  /* as on the wire */
    int most;          /* version, 0: any */
    struct span say;   /* said behind the handshake */
    const char *plain; /* said instead of TLS */
    bool half;         /* stops after a part of the hello */
    size_t wait;       /* bytes until it ends */
    size_t got;
    uint8_t *bytes;
    int shaken, end; /* of SSL_connect; SSL_get_error of the last read */
    bool reused;
};

struct rig {
    struct loop *loop;
    struct tls_server *server;
    struct tls_accept *accept;
    struct conn *c;
    struct client cl;
    pthread_t thread;
    size_t got, take_most;
    uint8_t *in;
    int on_close, err;
    bool lend, open, h2, running, turned;
    int file;
    uint64_t file_n, file_at;
    char why[128];
};

static struct rig rig;

/* --- the client --- */

static void talk(struct client *c)
{
    for (size_t at = 0; at < c->say.n;) {
        int n = SSL_write(c->ssl, c->say.p + at, (int)(c->say.n - at));

        if (n <= 0) break;
        at += (size_t)n;
    }
    while (c->got < c->wait) {
        int n = SSL_read(c->ssl, c->bytes + c->got, (int)(c->wait - c->got));

        if (n <= 0) {
            c->end = SSL_get_error(c->ssl, n);
            break;
        }
        c->got += (size_t)n;
    }
    c->reused = SSL_session_reused(c->ssl);
    SSL_SESSION_free(c->session);
    c->session = SSL_get1_session(c->ssl);
}

static void *client_main(void *arg)
{
    struct client *c = arg;

    if (c->plain) {
        (void)!write(c->fd, c->plain, strlen(c->plain));
        if (c->half) shutdown(c->fd, SHUT_WR);
        (void)!read(c->fd, c->bytes, 1);
        fd_close(&c->fd);
        return NULL;
    }
    c->ssl = SSL_new(c->ctx);
    if (c->most) SSL_set_max_proto_version(c->ssl, c->most);
    if (c->most && c->most < TLS1_2_VERSION) SSL_set_cipher_list(c->ssl, "ALL:@SECLEVEL=0");
    if (c->alpn) SSL_set_alpn_protos(c->ssl, (const unsigned char *)c->alpn, (unsigned)strlen(c->alpn));
    if (c->session) SSL_set_session(c->ssl, c->session);
    SSL_set_fd(c->ssl, c->fd);
    c->shaken = SSL_connect(c->ssl);
    if (c->shaken == 1) talk(c);
    SSL_shutdown(c->ssl);
    SSL_free(c->ssl);
    fd_close(&c->fd);
    return NULL;
}

/* --- the server --- */

static size_t on_data(struct conn *c, struct span data)
{
    struct rig *r = conn_arg(c);
    size_t n = MIN(data.n, r->take_most);

    memcpy(r->in + r->got, data.p, n);
    r->got += n;
    if (r->got == r->cl.say.n && !r->open) loop_break(r->loop);
    return n;
}

/* What the pool threads of httpd do, in one thread. */
static void lend(struct rig *r)
{
    conn_lend(r->c);
    while (r->file_at < r->file_n) {
        ssize_t n = conn_lent_file(r->c, r->file, r->file_at, (size_t)(r->file_n - r->file_at));

        if (n == -EAGAIN) break;
        assert_true(n > 0);
        r->file_at += (uint64_t)n;
    }
    conn_lend_end(r->c);
    if (r->file_at < r->file_n)
        conn_wait_writable(r->c);
    else
        conn_close_after_send(r->c);
}

static void on_sent(struct conn *c)
{
    struct rig *r = conn_arg(c);

    if (r->lend) lend(r);
}

static void on_close(struct conn *c, int err)
{
    struct rig *r = conn_arg(c);

    r->on_close++;
    r->err = err;
    r->c = NULL;
    loop_break(r->loop);
}

static const struct conn_ops ops = {.on_data = on_data, .on_sent = on_sent, .on_close = on_close};

static void shaken(void *arg, struct tls *t, const char *why)
{
    static const struct conn_limits limits = {.read_max = 5000, .queue_high = 1 << 20};
    struct rig *r = arg;

    r->accept = NULL;
    if (!t) {
        snprintf(r->why, sizeof(r->why), "%s", why);
        loop_break(r->loop);
        return;
    }
    r->h2 = tls_is_h2(t);
    r->c = conn_new_on(r->loop, conn_over_tls(t), &ops, &limits, r);
    assert_true(conn_is_tls(r->c));
    if (r->open || r->cl.say.n == 0) loop_break(r->loop);
}

static const struct tls_accept_ops http = {.done = shaken, .protocols = "\x02h2\x08http/1.1"};
static const struct tls_accept_ops short_http = {
    .done = shaken, .protocols = "\x02h2\x08http/1.1", .most_us = 100 * US_PER_MS};

static void too_late(struct loop_timer *t)
{
    (void)t;
    fail_msg("not reached within 20 s");
}

static void run(struct rig *r)
{
    struct loop_timer t = {0};

    loop_timer_set(r->loop, &t, 20 * US_PER_S, too_late, NULL);
    loop_run(r->loop);
    loop_timer_stop(&t);
}

static int tcp_pair(int *ret_client)
{
    struct sockaddr_in at;
    socklen_t n = sizeof(at);
    int listening, fd;

    assert_int_equal(listen_tcp("127.0.0.1", 0, 1, &listening), 0);
    assert_int_equal(getsockname(listening, (struct sockaddr *)&at, &n), 0);
    *ret_client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(*ret_client, (struct sockaddr *)&at, n), 0);
    fd = accept(listening, NULL, NULL);
    assert_true(fd >= 0);
    fd_close(&listening);
    return fd;
}

static void start_with(struct rig *r, const struct tls_accept_ops *accept_ops)
{
    int fd = tcp_pair(&r->cl.fd);

    r->why[0] = '\0';
    r->got = r->cl.got = 0;
    r->on_close = 0;
    r->take_most = SIZE_MAX;
    r->accept = tls_accept_new(r->loop, fd, r->server, accept_ops, r);
    assert_int_equal(pthread_create(&r->thread, NULL, client_main, &r->cl), 0);
    r->running = true;
}

static void start(struct rig *r)
{
    start_with(r, &http);
    run(r);
}

static void wait_client(struct rig *r)
{
    if (r->running) pthread_join(r->thread, NULL);
    r->running = false;
}

static void finish(struct rig *r)
{
    if (r->c) conn_close(r->c, 0);
    while (r->c) run(r);
    wait_client(r);
    r->cl.say = SPAN_NONE;
    r->cl.alpn = r->cl.plain = NULL;
    r->cl.half = r->open = r->lend = false;
    r->cl.most = r->cl.end = 0;
    r->cl.wait = 0;
}

static struct tls_server *server_of(const char *name)
{
    struct tls_setup setup = {.kernel = true}; /* taken where the kernel has it */
    struct tls_server *s;
    struct buf cert, key;

    buf_init(&cert, TLS_CERT_MAX);
    buf_init(&key, TLS_KEY_MAX);
    assert_true(tls_self_signed(&name, 1, 1, &cert, &key));
    setup.cert = buf_span(&cert);
    setup.key = buf_span(&key);
    assert_int_equal(tls_server_new(&setup, &s), 0);
    setup.key = setup.cert;
    assert_int_equal(tls_server_new(&setup, &s), TLS_E_KEY);
    buf_done(&cert);
    buf_done(&key);
    return s;
}

static int set_up(void **state)
{
    (void)state;
    (void)sigaction(SIGPIPE, &(struct sigaction){.sa_handler = SIG_IGN}, NULL);
    rig.loop = loop_new();
    rig.server = server_of("here");
    rig.in = mem_new(PLENTY);
    rig.cl.bytes = mem_new(PLENTY);
    rig.cl.ctx = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(rig.cl.ctx, TLS1_VERSION);
    SSL_CTX_set_security_level(rig.cl.ctx, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    SSL_SESSION_free(rig.cl.session);
    SSL_CTX_free(rig.cl.ctx);
    tls_server_unref(rig.server);
    loop_free(rig.loop);
    mem_free(rig.in);
    mem_free(rig.cl.bytes);
    return 0;
}

/* --- tests --- */

static uint8_t *pattern(size_t n)
{
    uint8_t *p = mem_new(n);

    for (size_t i = 0; i < n; i++) p[i] = (uint8_t)(i * 31 + (i >> 9));
    return p;
}

static void both_directions(void **state)
{
    uint8_t *want = pattern(PLENTY);
    struct chunk *chunk = chunk_new(1 << 20);
    size_t sent = 0;

    (void)state;
    memcpy(chunk->data, want + 1000, chunk->n);
    rig.cl.say = span(want, 100000); /* more than the connection keeps: taken as it is read */
    rig.cl.wait = PLENTY;
    rig.cl.alpn = "\x08http/1.1\x02h2";
    start(&rig);
    assert_true(rig.h2); /* our order counts */
    assert_memory_equal(rig.in, want, 100000);
    for (size_t i = 0; i < 100; i++, sent += 10) conn_send(rig.c, span(want + sent, 10));
    conn_send_chunk(rig.c, chunk, 0, chunk->n);
    sent += chunk->n;
    for (size_t i = 0; i < 100; i++, sent += 3000) conn_send(rig.c, span(want + sent, 3000));
    conn_close_after_send(rig.c);
    run(&rig);
    assert_int_equal(rig.err, 0);
    finish(&rig);
    assert_int_equal(rig.cl.got, sent);
    assert_memory_equal(rig.cl.bytes, want, sent);
    chunk_unref(chunk);
    mem_free(want);
}

/* The client is told that this is the end, and not a cut. */
static void end_is_said(void **state)
{
    (void)state;
    for (int cut = 0; cut < 2; cut++) {
        rig.cl.wait = 100;
        rig.open = true;
        start(&rig);
        conn_send(rig.c, SPAN_LIT("some"));
        conn_flush(rig.c);
        if (cut)
            conn_close(rig.c, 0);
        else
            conn_close_after_send(rig.c);
        run(&rig);
        wait_client(&rig);
        assert_int_equal(rig.cl.got, 4);
        assert_int_equal(rig.cl.end == SSL_ERROR_ZERO_RETURN, !cut);
        finish(&rig);
    }
}

static void files_by_another_thread(void **state)
{
    char name[] = "/tmp/test-tls-XXXXXX";
    uint8_t *want = pattern(PLENTY);

    (void)state;
    rig.file = mkstemp(name);
    unlink(name);
    assert_int_equal(write(rig.file, want, PLENTY), PLENTY);
    rig.file_n = PLENTY;
    rig.file_at = 0;
    rig.cl.wait = PLENTY;
    start(&rig);
    rig.lend = true;
    lend(&rig);
    run(&rig);
    finish(&rig);
    assert_int_equal(rig.cl.got, PLENTY);
    assert_memory_equal(rig.cl.bytes, want, PLENTY);
    mem_free(want);
    fd_close(&rig.file);
}

static void turned(void *arg)
{
    struct rig *r = arg;

    r->turned = true;
    loop_break(r->loop);
}

static void turn(struct rig *r)
{
    r->turned = false;
    loop_post(r->loop, turned, r);
    while (!r->turned) run(r);
}

/* A record is larger than what the connection keeps: what TLS holds is not forgotten while reading rests. */
static void reads_what_is_inside(void **state)
{
    uint8_t *want = pattern(40000);

    (void)state;
    rig.cl.say = span(want, 40000);
    rig.open = true;
    rig.cl.wait = 1;
    start(&rig);
    rig.open = false;
    rig.take_most = 700;
    while (rig.got < 40000) {
        conn_pause(rig.c);
        conn_resume(rig.c);
        turn(&rig);
    }
    assert_memory_equal(rig.in, want, 40000);
    finish(&rig);
    mem_free(want);
}

static void versions_and_protocols(void **state)
{
    static const struct {
        int most;
        const char *alpn;
        bool good, h2;
    } rows[] = {
        {TLS1_3_VERSION, NULL, true, false},
        {TLS1_2_VERSION, NULL, true, false},
        {TLS1_1_VERSION, NULL, false, false},
        {0, "\x02h2", true, true},
        {0, "\x08http/1.1", true, false},
        {0,
            "\x03"
            "foo",
            false, false},
    };

    (void)state;
    SSL_SESSION_free(rig.cl.session);
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        rig.cl.session = NULL;
        rig.cl.most = rows[i].most;
        rig.cl.alpn = rows[i].alpn;
        start(&rig);
        assert_int_equal(rig.c != NULL, rows[i].good);
        if (rows[i].good) assert_int_equal(rig.h2, rows[i].h2);
        if (!rows[i].good) assert_true(strlen(rig.why) > 3);
        finish(&rig);
        SSL_SESSION_free(rig.cl.session);
    }
    rig.cl.session = NULL;
}

static void not_tls(void **state)
{
    static const struct {
        const char *said, *why;
        bool half;
    } rows[] = {
        {"GET / HTTP/1.1\r\n\r\n", "this is not TLS", false},
        {"\x16\x03\x01\xff\xff", "a record is too long", false},
        {"\x16\x03\x01\x02\x01only a part", "the client has gone", true},
        {"\x16\x03", "the client has gone", true},
        {"", "the client has gone", true},
        {"\x16\x03\x01\x01\x02only a part", "the handshake did not come to its end", false},
        {"\x16", "the handshake did not come to its end", false},
        {"", "the handshake did not come to its end", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        rig.cl.plain = rows[i].said;
        rig.cl.half = rows[i].half;
        start_with(&rig, rows[i].half ? &http : &short_http);
        run(&rig);
        assert_string_equal(rig.why, rows[i].why);
        finish(&rig);
    }
}

static void stopped_in_between(void **state)
{
    (void)state;
    rig.cl.plain = "\x16\x03\x01\x01\x01half";
    start_with(&rig, &http);
    tls_accept_stop(rig.accept);
    finish(&rig);
}

static void tickets(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        struct tls_server *other;

        rig.cl.wait = 1;
        start(&rig);
        conn_send(rig.c, SPAN_LIT("x"));
        conn_close_after_send(rig.c);
        run(&rig);
        finish(&rig);
        assert_int_equal(rig.cl.shaken, 1);
        assert_int_equal(rig.cl.reused, i == 1);
        if (i != 1) continue;
        /* Another certificate: its tickets are its own, and nobody is turned away. */
        other = server_of("another");
        tls_server_unref(rig.server);
        rig.server = other;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets),
        cmocka_unit_test(both_directions),
        cmocka_unit_test(end_is_said),
        cmocka_unit_test(files_by_another_thread),
        cmocka_unit_test(reads_what_is_inside),
        cmocka_unit_test(versions_and_protocols),
        cmocka_unit_test(not_tls),
        cmocka_unit_test(stopped_in_between),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
