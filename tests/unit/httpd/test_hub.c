/* Two hubs: connections that go from one to the other with each request, by HTTP and RTSP, while others close
 * them, and while who may watch and which streams there are changes. What it must not do is race: `make
 * check-tsan` runs it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <unistd.h>

#include "common/base/err.h"
#include "common/base/mem.h"
#include "tests/support/access_help.h"

#define STREAMS  8
#define CLIENTS  6
#define REQUESTS 200 /* of each client */
#define CHANGES  60
#define ANEW     16 /* requests, then another connection */

static struct access_help help;
static char uids[STREAMS][16];

static int start(void **state)
{
    (void)state;
    access_help_start(&help);
    access_help_site(&help, &(struct access_site){.users = true});
    for (unsigned i = 0; i < STREAMS; i++) {
        snprintf(uids[i], sizeof(uids[i]), "cam-%u", i);
        access_help_stream(&help, uids[i], i % 2 ? ACCESS_PRIVATE : ACCESS_PUBLIC, NULL, 0);
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    access_help_stop(&help);
    return 0;
}

static void both_hubs_have_streams(void **state)
{
    unsigned of[2] = {0};

    (void)state;
    for (unsigned i = 0; i < STREAMS; i++) of[hub_home(&help.http.server, span_of(uids[i]))->index]++;
    assert_true(of[0] > 0 && of[1] > 0);
}

struct client {
    pthread_t thread;
    unsigned number;
    bool rtsp;
    char token[TOKEN_TEXT_MAX];
    unsigned answered, cut, strange; /* strange: statuses that none of these requests may get */
};

static int connect_to(uint16_t port)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0);
    return fd;
}

static bool is_usual(unsigned status)
{
    return status == 200 || status == 401 || status == 403 || status == 404 || status == 503;
}

static void *run(void *arg)
{
    struct client *c = arg;
    int fd = -1;

    for (unsigned i = 0; i < REQUESTS; i++) {
        const char *uid = uids[(i + c->number) % STREAMS];
        struct http_reply r;
        char text[TOKEN_TEXT_MAX + 256];
        int n;

        if (i % ANEW == 0) {
            if (fd >= 0) close(fd); /* also on its way to the other hub */
            fd = connect_to(c->rtsp ? help.rtsp_port : help.http.port);
        }
        if (c->rtsp)
            n = snprintf(text, sizeof(text), "DESCRIBE rtsp://h/dvr/%s?token=%s RTSP/1.0\r\nCSeq: %u\r\n\r\n",
                uid, c->token, i);
        else
            n = snprintf(text, sizeof(text), "GET /%s/stream.json?token=%s HTTP/1.1\r\nHost: t\r\n\r\n", uid,
                c->token);
        if (i % ANEW == ANEW - 1) { /* and is closed before it is answered */
            must(send(fd, text, (size_t)n, MSG_NOSIGNAL) == n);
            continue;
        }
        if (!http_help_ask(fd, span(text, (size_t)n), c->rtsp ? 0 : SIZE_MAX, &r)) {
            http_reply_done(&r);
            close(fd); /* a grant that ends ends its connection */
            fd = connect_to(c->rtsp ? help.rtsp_port : help.http.port);
            c->cut++;
            continue;
        }
        c->answered++;
        c->strange += !is_usual(r.status);
        http_reply_done(&r);
    }
    close(fd);
    return NULL;
}

static void change(unsigned i)
{
    static const char *const lists[] = {NULL, "127.0.0.0/8"};

    if (i % 3 == 0)
        access_help_site(&help, &(struct access_site){.users = i % 2, .whitelist = lists[i / 3 % 2]});
    if (i % 3 == 1)
        access_help_stream(&help, uids[i % STREAMS], i % 4 ? ACCESS_PRIVATE : ACCESS_PUBLIC, NULL, 0);
    if (i % 3 == 2) {
        const char *uid = uids[i % STREAMS];

        hub_post(hub_home(&help.http.server, span_of(uid)), stream_gone, mem_strdup(uid));
        access_help_stream(&help, uid, ACCESS_PRIVATE, NULL, 0);
    }
}

static void clients_move_between_them(void **state)
{
    static struct client clients[CLIENTS];

    (void)state;
    for (unsigned i = 0; i < CLIENTS; i++) {
        struct token t = access_token("*");

        clients[i] = (struct client){.number = i, .rtsp = i % 2};
        snprintf(clients[i].token, sizeof(clients[i].token), "%s", access_token_text(t));
    }
    for (unsigned i = 0; i < CLIENTS; i++)
        must(pthread_create(&clients[i].thread, NULL, run, &clients[i]) == 0);
    for (unsigned i = 0; i < CHANGES; i++) change(i);
    for (unsigned i = 0; i < CLIENTS; i++) {
        pthread_join(clients[i].thread, NULL);
        assert_int_equal(clients[i].answered + clients[i].cut, REQUESTS - REQUESTS / ANEW);
        assert_true(clients[i].answered > clients[i].cut);
        assert_int_equal(clients[i].strange, 0);
    }
    httpd_help_settle(&help.http);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(both_hubs_have_streams),
        cmocka_unit_test(clients_move_between_them),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
