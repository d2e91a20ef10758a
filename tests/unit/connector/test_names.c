/* master/connector/names: what the machine's hosts file knows, what nobody knows, and too much at a time. */
#include "master/connector/names.h"
#include "common/base/fd.h"

#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <cmocka.h>

struct heard {
    struct loop *loop;
    unsigned n, until;
    char host[64], addr[64];
};

static void answer(void *arg, const char *host, const char *addr)
{
    struct heard *h = arg;

    span_copy(span_of(host), h->host, sizeof(h->host));
    span_copy(span_of(addr), h->addr, sizeof(h->addr));
    if (++h->n == h->until) loop_break(h->loop);
}

static void late(struct loop_timer *t)
{
    (void)t;
    fail_msg("no answer");
}

/* Asks so many times and waits for `until` answers. */
static struct heard ask(const char *host, unsigned times, unsigned until)
{
    struct heard h = {.loop = loop_new(), .until = until};
    struct names *n = names_new(h.loop, "127.0.0.1:1", answer, &h); /* nobody answers there */
    struct loop_timer limit = {0};

    for (unsigned i = 0; i < times; i++) names_ask(n, span_of(host));
    loop_timer_set(h.loop, &limit, 60 * US_PER_S, late, NULL);
    loop_run(h.loop);
    loop_timer_stop(&limit);
    names_free(n);
    loop_free(h.loop);
    return h;
}

static void known(void **state)
{
    struct heard h = ask("localhost", 1, 1);

    (void)state;
    assert_string_equal(h.host, "localhost");
    assert_true(strcmp(h.addr, "127.0.0.1") == 0 || strcmp(h.addr, "::1") == 0);
}

static void unknown(void **state)
{
    struct heard h = ask("nobody.invalid", 1, 1);

    (void)state;
    assert_string_equal(h.host, "nobody.invalid");
    assert_string_equal(h.addr, "");
}

/* Whoever asks too much is answered as often as there are places; the rest is let go. */
static void too_many(void **state)
{
    struct heard h = ask("localhost", NAMES_MAX + 8, NAMES_MAX);

    (void)state;
    assert_int_equal(h.n, NAMES_MAX);
}

/* Ended while something is asked of a name server that is silent. */
static void ended(void **state)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CLEANUP(fd_close) int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct heard h = {.loop = loop_new()};
    socklen_t len = sizeof(at);
    char server[32];
    struct names *n;

    (void)state;
    assert_int_equal(bind(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    snprintf(server, sizeof(server), "127.0.0.1:%u", ntohs(at.sin_port));
    n = names_new(h.loop, server, answer, &h);
    names_ask(n, SPAN_LIT("nobody.example"));
    names_ask(n, SPAN_NONE);
    names_free(n);
    names_free(NULL);
    loop_free(h.loop);
    assert_int_equal(h.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known),
        cmocka_unit_test(unknown),
        cmocka_unit_test(too_many),
        cmocka_unit_test(ended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
