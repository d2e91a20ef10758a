/* Who a trusted proxy says the client is, before the first byte: headers whole and in pieces, broken ones,
 * proxies that go away in the middle, and those that nobody trusts. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "tests/support/access_help.h"

#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SIGN    "\r\n\r\n\0\r\nQUIT\n"
#define REQUEST "GET /listed/stream.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
#define FOUR(address)                                                                                        \
    SIGN "\x21\x11\0\x0c" address "\x7f\0\0\1"                                                               \
         "\x12\x67\x01\xbb"
#define WAIT_US (60 * US_PER_S)

static struct access_help help;

static int start(void **state)
{
    (void)state;
    access_help_start(&help);
    access_help_stream(&help, "listed", ACCESS_PROTECTED, "203.0.113.0/24, 2001:db8::/32", 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    access_help_stop(&help);
    return 0;
}

static void trust(const char *proxies)
{
    access_help_site(&help, &(struct access_site){.proxies = proxies});
}

static void put(int fd, const char *bytes, size_t n)
{
    assert_int_equal(send(fd, bytes, n, MSG_NOSIGNAL), (ssize_t)n);
}

/* Status of the answer; 0: closed without one. */
static unsigned answer(int fd)
{
    struct http_reply r;
    unsigned status = http_help_ask(fd, SPAN_NONE, SIZE_MAX, &r) ? r.status : 0;

    http_reply_done(&r);
    close(fd);
    return status;
}

static unsigned ask(const char *header, size_t n)
{
    char bytes[512];
    int fd = httpd_help_connect(&help.http);

    memcpy(bytes, header, n);
    memcpy(bytes + n, REQUEST, sizeof(REQUEST) - 1);
    put(fd, bytes, n + sizeof(REQUEST) - 1);
    return answer(fd);
}
#define ASK(header) ask(header, sizeof(header) - 1)

static void headers(void **state)
{
    static const char extra[] = SIGN "\x21\x11\0\x12\xcb\0\x71\x07\x7f\0\0\1\x12\x67\x01\xbb\x04\0\3abc";
    static const char six[] = SIGN "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"
                                   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x12\x67\x01\xbb";

    (void)state;
    trust("127.0.0.0/8");
    assert_int_equal(ASK(FOUR("\xcb\0\x71\x07")), 200);
    assert_int_equal(ASK(FOUR("\xc6\x33\x64\x07")), 403);
    assert_int_equal(ASK(extra), 200);
    assert_int_equal(ASK(six), 200);
    assert_int_equal(ASK(SIGN "\x20\0\0\0"), 403);   /* LOCAL: the proxy itself */
    assert_int_equal(ASK(SIGN "\x21\0\0\0"), 403);   /* a family that is not known */
    assert_int_equal(ASK(""), 403);                  /* none: the proxy itself */
    assert_int_equal(ASK(SIGN "\x11\x11\0\x0c"), 0); /* version 1 in the form of 2 */
    assert_int_equal(ASK(SIGN "\x21\x11\xff\xff"), 0);
    assert_int_equal(ASK(SIGN "\x21\x11\0\4wxyz"), 0);
}

/* In any two pieces, and byte by byte; behind it as many requests as one likes. */
static void pieces(void **state)
{
    static const char header[] = FOUR("\xcb\0\x71\x07");

    (void)state;
    trust("127.0.0.0/8");
    for (size_t i = 1; i < sizeof(header) - 1; i += 3) {
        int fd = httpd_help_connect(&help.http);

        put(fd, header, i);
        httpd_help_settle(&help.http);
        put(fd, header + i, sizeof(header) - 1 - i);
        put(fd, REQUEST, sizeof(REQUEST) - 1);
        assert_int_equal(answer(fd), 200);
    }
}

/* From anybody else it is no request, and says nothing of who asks. */
static void not_trusted(void **state)
{
    (void)state;
    trust("10.0.0.0/8");
    assert_int_equal(ASK(FOUR("\xcb\0\x71\x07")), 400);
    assert_int_equal(ASK(""), 403);
    trust("");
    assert_int_equal(ASK(FOUR("\xcb\0\x71\x07")), 400);
}

static usec_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (usec_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

/* One that ends in the middle of its header is closed, and costs no time until then. */
static void gone_in_the_middle(void **state)
{
    static const char header[] = FOUR("\xcb\0\x71\x07");
    usec_t before = cpu_us();

    (void)state;
    trust("127.0.0.0/8");
    for (size_t i = 1; i < sizeof(header) - 1; i += 5) {
        int fd = httpd_help_connect(&help.http);
        char c;

        put(fd, header, i);
        httpd_help_settle(&help.http);
        shutdown(fd, SHUT_WR);
        assert_true(recv(fd, &c, 1, 0) <= 0);
        close(fd);
    }
    /* Each would have burnt 15 s until its time was over. */
    assert_in_range(cpu_us() - before, 0, 5 * US_PER_S);
}

/* What waits for its first byte counts as a connection, and is let go when the server ends. */
static void counted(void **state)
{
    usec_t until_us = clock_mono_us() + WAIT_US;
    int fd[3];

    (void)state;
    trust("127.0.0.0/8");
    for (int i = 0; i < 3; i++) fd[i] = httpd_help_connect(&help.http);
    while (atomic_load(&help.http.server.conns) < 3 && clock_mono_us() < until_us) poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&help.http.server.conns), 3);
    for (int i = 0; i < 3; i++) close(fd[i]);
    while (atomic_load(&help.http.server.conns) > 0 && clock_mono_us() < until_us) poll(NULL, 0, 1);
    assert_int_equal(atomic_load(&help.http.server.conns), 0);
    for (int i = 0; i < 2; i++) assert_true(httpd_help_connect(&help.http) >= 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers),
        cmocka_unit_test(pieces),
        cmocka_unit_test(not_trusted),
        cmocka_unit_test(gone_in_the_middle),
        cmocka_unit_test(counted),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
