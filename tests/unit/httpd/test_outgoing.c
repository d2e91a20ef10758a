/* httpd/outgoing: requests of ours to a server that answers, is late, is rude or is not there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/base/buf.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/net/loop.h"
#include "httpd/outgoing.h"

/* One connection after the other, a thread each; what is answered depends on the path. */
static struct {
    int fd;
    uint16_t port;
    pthread_t thread;
    _Atomic unsigned asked;
} peer;

static struct loop *loop;
static struct outgoing *out;
static struct outgoing_answer got;
static struct buf body, fields;
static unsigned done_n;

static size_t length_of(struct span head)
{
    struct span rest = head, line;
    uint64_t n = 0;

    while (span_split(&rest, '\n', &line))
        if (span_istarts(line, "content-length:")) span_u64(span_trim(span_from(line, 15)), 1u << 20, &n);
    return (size_t)n;
}

/* The whole request, head and body. */
static struct span read_request(int fd, uint8_t *dst, size_t cap)
{
    size_t n = 0;

    while (n < cap) {
        ssize_t k = recv(fd, dst + n, cap - n, 0), at;

        if (k <= 0) return SPAN_NONE;
        n += (size_t)k;
        at = span_find_span(span(dst, n), SPAN_LIT("\r\n\r\n"));
        if (at >= 0 && n >= (size_t)at + 4 + length_of(span(dst, (size_t)at))) return span(dst, n);
    }
    return SPAN_NONE;
}

static void say(int fd, const char *text)
{
    (void)!send(fd, text, strlen(text), MSG_NOSIGNAL);
}

static void *serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    uint8_t *in = mem_new(1u << 20);
    struct span req = read_request(fd, in, 1u << 20);

    atomic_fetch_add(&peer.asked, 1);
    if (span_starts(req, SPAN_LIT("POST /echo "))) {
        char head[128];

        snprintf(head, sizeof(head),
            "HTTP/1.1 200 OK\r\nX-One: a\r\nx-one:  b \r\nContent-Length: %zu\r\n\r\n", req.n);
        say(fd, head);
        (void)!send(fd, req.p, req.n, MSG_NOSIGNAL);
    } else if (span_starts(req, SPAN_LIT("GET /no "))) {
        say(fd, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
    } else if (span_starts(req, SPAN_LIT("GET /elsewhere "))) {
        say(fd, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
    } else if (span_starts(req, SPAN_LIT("GET /large "))) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
        for (int i = 0; i < 100; i++) (void)!send(fd, in, 1000, MSG_NOSIGNAL);
    } else if (span_starts(req, SPAN_LIT("GET /head "))) {
        say(fd, "HTTP/1.1 200 OK\r\n");
        for (int i = 0; i < 400; i++) say(fd, "X-Long: 0123456789012345678901234567890123456789\r\n");
        say(fd, "Content-Length: 0\r\n\r\n");
    } else if (span_starts(req, SPAN_LIT("GET /silent "))) {
        (void)!recv(fd, in, 1, 0); /* until it goes */
    } else if (span_starts(req, SPAN_LIT("GET /torn "))) {
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n123");
    }
    close(fd);
    mem_free(in);
    return NULL;
}

static void *accept_all(void *arg)
{
    (void)arg;
    for (;;) {
        int fd = accept(peer.fd, NULL, NULL);
        pthread_t t;

        if (fd < 0) return NULL;
        assert_int_equal(pthread_create(&t, NULL, serve, (void *)(intptr_t)fd), 0);
        pthread_detach(t);
    }
}

static int up(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);

    (void)state;
    peer.fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(peer.fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(peer.fd, 1024), 0);
    assert_int_equal(getsockname(peer.fd, (struct sockaddr *)&a, &n), 0);
    peer.port = ntohs(a.sin_port);
    assert_int_equal(pthread_create(&peer.thread, NULL, accept_all, NULL), 0);
    loop = loop_new();
    out = outgoing_new();
    assert_non_null(out);
    buf_init(&body, 1u << 20);
    buf_init(&fields, 1u << 20);
    return 0;
}

static int down(void **state)
{
    (void)state;
    outgoing_free(out);
    loop_free(loop);
    shutdown(peer.fd, SHUT_RDWR);
    pthread_join(peer.thread, NULL);
    close(peer.fd);
    buf_done(&body);
    buf_done(&fields);
    return 0;
}

static void on_done(void *arg, const struct outgoing_answer *a)
{
    unsigned *left = arg;

    buf_clear(&body);
    buf_clear(&fields);
    assert_true(buf_put(&body, a->body) && buf_put(&fields, a->fields));
    got = *a;
    got.body = buf_span(&body);
    got.fields = buf_span(&fields);
    done_n++;
    if (--*left == 0) loop_break(loop);
}

static int ask(const char *method, const char *path, usec_t limit_us, unsigned *left)
{
    static const struct outgoing_field f[] = {
        {"Content-Type", "application/json"}, {"X-Bad", "a\r\nInjected: 1"}, {"X-Name", "gate"}};
    char url[256];

    snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", peer.port, path);
    return outgoing_send(out,
        &(struct outgoing_ask){method, url, f, ARRAY_N(f),
            strcmp(method, "POST") == 0 ? SPAN_LIT("{\"a\":1}") : SPAN_NONE, limit_us, 50000, loop, on_done,
            left});
}

static int one(const char *method, const char *path, usec_t limit_us)
{
    unsigned left = 1;

    assert_int_equal(ask(method, path, limit_us, &left), 0);
    loop_run(loop);
    return got.err;
}

static void test_what_is_sent_and_answered(void **state)
{
    (void)state;
    assert_int_equal(one("POST", "/echo", 20 * US_PER_S), 0);
    assert_int_equal(got.status, 200);
    assert_true(span_is(outgoing_field(&got, "X-One"), "b"));
    assert_int_equal(outgoing_field(&got, "X-Two").n, 0);
    assert_true(span_find_span(got.body, SPAN_LIT("\r\n\r\n{\"a\":1}")) > 0);
    assert_true(span_find_span(got.body, SPAN_LIT("X-Name: gate\r\n")) > 0);
    assert_true(span_find_span(got.body, SPAN_LIT("Injected")) < 0);
    assert_int_equal(one("GET", "/no", 20 * US_PER_S), 0);
    assert_int_equal(got.status, 403);
    assert_int_equal(one("GET", "/elsewhere", 20 * US_PER_S), 0);
    assert_int_equal(got.status, 302); /* not followed */
}

static void test_peers_that_fail(void **state)
{
    (void)state;
    assert_int_equal(one("GET", "/large", 20 * US_PER_S), OUTGOING_E_LARGE);
    assert_int_equal(one("GET", "/head", 20 * US_PER_S), OUTGOING_E_LARGE);
    assert_int_equal(one("GET", "/silent", 300 * US_PER_MS), OUTGOING_E_LATE);
    assert_int_equal(one("GET", "/torn", 20 * US_PER_S), OUTGOING_E_CONNECT);
    for (int e = 1; e <= OUTGOING_E_TLS; e++) assert_true(outgoing_why(e)[0] != 0);
}

static void test_urls(void **state)
{
    static const char *const bad[] = {
        "", "file:///etc/passwd", "ftp://a/", "gopher://a/", "//a/", "http://a/ b", "http:a"};
    unsigned left = 1;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        assert_int_equal(
            outgoing_send(
                out, &(struct outgoing_ask){.method = "GET", .url = bad[i], .loop = loop, .done = on_done}),
            OUTGOING_E_URL);
    assert_int_equal(
        outgoing_send(NULL, &(struct outgoing_ask){.method = "GET", .url = "http://a/"}), OUTGOING_E_NONE);
    assert_int_equal(outgoing_send(out,
                         &(struct outgoing_ask){.method = "GET",
                             .url = "http://127.0.0.1:1/",
                             .limit_us = 20 * US_PER_S,
                             .loop = loop,
                             .done = on_done,
                             .arg = &left}),
        0);
    loop_run(loop);
    assert_int_equal(got.err, OUTGOING_E_CONNECT);
}

/* More than are open at a time: each is answered once. One that hangs holds up nobody. */
static void test_many(void **state)
{
    unsigned left = 300, silent = 1;

    (void)state;
    done_n = 0;
    assert_int_equal(ask("GET", "/silent", 60 * US_PER_S, &silent), 0);
    for (unsigned i = 0; i < 300; i++) assert_int_equal(ask("GET", "/no", 60 * US_PER_S, &left), 0);
    loop_run(loop);
    assert_int_equal(done_n, 300);
    assert_int_equal(got.status, 403);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_sent_and_answered),
        cmocka_unit_test(test_peers_that_fail),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, up, down);
}
