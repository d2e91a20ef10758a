/* Bodies of requests: gathered whole, in whatever pieces, up to a limit; what is broken ends the connection.
 * No script runs here, so that what reaches the API is answered 503. Their bytes: tests/e2e/test_api.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "httpd/http.h"
#include "tests/support/access_help.h"

#include <sys/socket.h>
#include <unistd.h>

#define POST "POST /api/x HTTP/1.1\r\nHost: t\r\n"

static struct access_help help;

static int start(void **state)
{
    (void)state;
    access_help_start(&help);
    access_help_site(&help, &(struct access_site){.api = true});
    return 0;
}

static int stop(void **state)
{
    (void)state;
    access_help_stop(&help);
    return 0;
}

static int dial(void)
{
    struct httpd_help module = {.port = help.module_port}; /* the rest of it is the hubs' */

    return httpd_help_connect(&module);
}

static void put(int fd, struct span s)
{
    assert_int_equal(send(fd, s.p, s.n, MSG_NOSIGNAL), (ssize_t)s.n);
}

/* The next status; what comes behind that answer stays in the socket. 0: closed. */
static unsigned answer(int fd)
{
    char head[4096], body[4096];
    size_t n = 0;
    struct head h;
    uint64_t length = 0;

    while (n < 4 || memcmp(head + n - 4, "\r\n\r\n", 4) != 0)
        if (n == sizeof(head) || recv(fd, head + n++, 1, 0) != 1) return 0;
    assert_int_equal(head_parse(span(head, n), &h), 0);
    (void)span_u64(head_get(&h, "Content-Length"), sizeof(body), &length);
    if (length > 0) assert_int_equal(recv(fd, body, length, MSG_WAITALL), (ssize_t)length);
    return h.status;
}

static unsigned ask(const char *text)
{
    int fd = dial();
    unsigned status;

    put(fd, span_of(text));
    status = answer(fd);
    close(fd);
    return status;
}

static void forms(void **state)
{
    static const struct {
        const char *text;
        unsigned status;
    } rows[] = {
        {POST "Content-Length: 5\r\n\r\nhello", 503},
        {POST "Content-Length: 0\r\n\r\n", 503},
        {POST "\r\n", 503},
        {POST "Transfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", 503},
        {POST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 503},
        {POST "Transfer-Encoding: chunked\r\n\r\nz\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\n\r\n40001\r\n", 413},
        {POST "Content-Length: 262145\r\n\r\n", 413},
        {POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (ask(rows[i].text) != rows[i].status) fail_msg("%s: %u", rows[i].text, ask(rows[i].text));
}

/* Cut anywhere; behind it the next request, which has a body of its own. */
static void pieces(void **state)
{
    static const char *const bodies[] = {POST "Content-Length: 12\r\n\r\nhello, world",
        POST "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n7;x=y\r\n, world\r\n0\r\nT: v\r\n\r\n"};

    (void)state;
    for (size_t k = 0; k < ARRAY_N(bodies); k++) {
        struct span text = span_of(bodies[k]);

        for (size_t i = sizeof(POST); i < text.n; i += 3) {
            int fd = dial();

            put(fd, span_sub(text, 0, i));
            httpd_help_settle(&help.http);
            put(fd, span_from(text, i));
            put(fd, text);
            assert_int_equal(answer(fd), 503);
            assert_int_equal(answer(fd), 503);
            close(fd);
        }
    }
}

/* As long as it may be, and one byte longer in chunks. */
static void longest(void **state)
{
    char *body = mem_new(HTTP_BODY_MAX + 1);
    char head[128];
    int fd = dial();

    (void)state;
    memset(body, 'x', HTTP_BODY_MAX + 1);
    snprintf(head, sizeof(head), POST "Content-Length: %u\r\n\r\n", HTTP_BODY_MAX);
    put(fd, span_of(head));
    put(fd, span(body, HTTP_BODY_MAX));
    assert_int_equal(answer(fd), 503);
    snprintf(head, sizeof(head), POST "Transfer-Encoding: chunked\r\n\r\n%x\r\n", HTTP_BODY_MAX);
    put(fd, span_of(head));
    put(fd, span(body, HTTP_BODY_MAX));
    put(fd, SPAN_LIT("\r\n1\r\nx\r\n0\r\n\r\n"));
    assert_int_equal(answer(fd), 413);
    close(fd);
    mem_free(body);
}

/* Whoever asks first is told to go on, unless it would be too long in any case. */
static void expected(void **state)
{
    int fd = dial();

    (void)state;
    put(fd, SPAN_LIT(POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
    assert_int_equal(answer(fd), 100);
    put(fd, SPAN_LIT("ab"));
    assert_int_equal(answer(fd), 503);
    close(fd);
    assert_int_equal(ask(POST "Expect: 100-continue\r\nContent-Length: 262145\r\n\r\n"), 413);
}

/* A client that goes in the middle of it has asked nothing, and leaves nothing behind. */
static void gone(void **state)
{
    int fd = dial();
    char c;

    (void)state;
    put(fd, SPAN_LIT(POST "Content-Length: 5\r\n\r\nhel"));
    shutdown(fd, SHUT_WR);
    assert_int_equal(recv(fd, &c, 1, 0), 0);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(pieces),
        cmocka_unit_test(longest),
        cmocka_unit_test(expected),
        cmocka_unit_test(gone),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
