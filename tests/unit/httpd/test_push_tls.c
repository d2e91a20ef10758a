/* What httpd carries for cameras that push inside TLS: all bytes, both ways, at the pace of who takes them,
 * and the end of either side. (Here without TLS: it is no part of this.) */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/net/listener.h"
#include "httpd/push_tls.h"
#include "tests/support/httpd_help.h"

#define WAIT_MS 60000
#define MUCH    (8u << 20) /* more than all buffers on the way */

static struct httpd_help help;
static struct door door;
static int given; /* the connector's end */
static char said_addr[ADDR_TEXT_MAX], said_base[64];

static void give(int fd, const char *addr, const char *base)
{
    given = fd;
    span_copy(span_of(addr), said_addr, sizeof(said_addr));
    span_copy(span_of(base), said_base, sizeof(said_base));
}

static int start(void **state)
{
    (void)state;
    httpd_help_start(&help, 1, NULL, 0);
    help.server.give_push = give;
    door = (struct door){.hub = &help.server.hubs[0], .push = true, .base = "/cams/"};
    return 0;
}

static int stop(void **state)
{
    (void)state;
    httpd_help_stop(&help);
    return 0;
}

static void do_accept(struct hub *hub, void *arg)
{
    (void)hub;
    push_tls_accept(&door, conn_over_fd(*(int *)arg));
}

/* A camera; `given` is what the connector has of it. */
static int camera(void)
{
    int listener, fd, at_home;
    struct sockaddr_in sa;
    socklen_t n = sizeof(sa);

    assert_int_equal(listen_tcp("127.0.0.1", 0, 1, &listener), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &n), 0);
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
    at_home = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(at_home >= 0);
    close(listener);
    given = -1;
    hub_post(&help.server.hubs[0], do_accept, &at_home);
    httpd_help_settle(&help);
    assert_true(given >= 0);
    return fd;
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, WAIT_MS) == 1;
}

static void expect(int fd, const char *text)
{
    char got[100] = "";
    size_t n = 0;

    while (n < strlen(text)) {
        ssize_t more;

        assert_true(readable(fd));
        more = recv(fd, got + n, strlen(text) - n, 0);
        assert_true(more > 0);
        n += (size_t)more;
    }
    assert_string_equal(got, text);
}

static void expect_end(int fd)
{
    char byte;

    assert_true(readable(fd));
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

static void until_none(void)
{
    for (usec_t by = clock_mono_us() + WAIT_MS * US_PER_MS;
         atomic_load(&help.server.conns) > 0 && clock_mono_us() < by;)
        usleep(5000);
    assert_int_equal(atomic_load(&help.server.conns), 0);
}

static void both_ways(void **state)
{
    int fd = camera();

    (void)state;
    assert_string_equal(said_addr, "127.0.0.1");
    assert_string_equal(said_base, "/cams/");
    assert_int_equal(send(fd, "ANNOUNCE", 8, 0), 8);
    expect(given, "ANNOUNCE");
    assert_int_equal(send(given, "RTSP/1.0 200", 12, 0), 12);
    expect(fd, "RTSP/1.0 200");
    close(fd);
    expect_end(given);
    close(given);
    until_none();
}

/* The worker hangs up: the camera hears what it was told before, then the end. */
static void the_other_end(void **state)
{
    int fd = camera();

    (void)state;
    assert_int_equal(send(given, "last words", 10, 0), 10);
    close(given);
    expect(fd, "last words");
    expect_end(fd);
    close(fd);
    until_none();
}

/* Nobody takes anything: the camera is held up, nothing is lost, and memory is bounded by that. */
static void at_the_pace_of_who_takes_it(void **state)
{
    uint8_t *bytes = mem_new(MUCH), *got = mem_new(MUCH);
    int fd = camera();
    size_t sent = 0, n = 0;

    (void)state;
    for (size_t i = 0; i < MUCH; i++) bytes[i] = (uint8_t)(i * 7 + (i >> 12));
    for (int idle = 0; sent < MUCH && idle < 20;) {
        ssize_t more = send(fd, bytes + sent, MUCH - sent, MSG_DONTWAIT);

        if (more > 0) sent += (size_t)more;
        idle = more > 0 ? 0 : idle + 1;
        usleep(2000);
    }
    assert_true(sent < MUCH); /* held up */
    while (n < MUCH) {
        ssize_t more;

        if (sent < MUCH) {
            more = send(fd, bytes + sent, MUCH - sent, MSG_DONTWAIT);
            if (more > 0) sent += (size_t)more;
        }
        assert_true(readable(given));
        more = recv(given, got + n, MUCH - n, 0);
        assert_true(more > 0);
        n += (size_t)more;
    }
    assert_memory_equal(bytes, got, MUCH);
    close(fd);
    expect_end(given);
    close(given);
    until_none();
    mem_free(bytes);
    mem_free(got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_ways),
        cmocka_unit_test(the_other_end),
        cmocka_unit_test(at_the_pace_of_who_takes_it),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
