/* What was refused a moment ago: how long it holds, what goes where there are too many; and what is not asked
 * again because of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "httpd/question.h"
#include "httpd/refusals.h"
#include "tests/support/access_help.h"

#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#define NOW    (1000 * US_PER_S)
#define LEAVER "GET /private/stream.json?token=yes-leave HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"

static const char *name(unsigned i)
{
    static char text[REFUSAL_KEY_MAX];

    snprintf(text, sizeof(text), "%u", i);
    return text;
}

static void times(void **state)
{
    struct refusals r = {.n = 0};

    (void)state;
    refusals_init(&r);
    assert_int_equal(0, refusals_get(&r, "a", NOW));
    refusals_put(&r, "a", 403, NOW, 5 * US_PER_S);
    refusals_put(&r, "b", 403, NOW, 0);
    assert_int_equal(403, refusals_get(&r, "a", NOW + 5 * US_PER_S - 1));
    assert_int_equal(0, refusals_get(&r, "b", NOW));
    assert_int_equal(0, refusals_get(&r, "a", NOW + 5 * US_PER_S));
    assert_int_equal(r.n, 0);
    refusals_put(&r, "a", 403, NOW, INT64_MAX / 2);
    assert_int_equal(403, refusals_get(&r, "a", NOW + REFUSALS_MOST_US - 1));
    assert_int_equal(0, refusals_get(&r, "a", NOW + REFUSALS_MOST_US));
    refusals_put(&r, "a", 403, NOW, US_PER_S);
    refusals_put(&r, "a", 403, NOW, US_PER_S);
    assert_int_equal(403, refusals_get(&r, "a", NOW));
    refusals_put(&r, "a", 403, NOW, 0);
    assert_int_equal(0, refusals_get(&r, "a", NOW));
    refusals_forget(&r);
}

static void bound(void **state)
{
    struct refusals r = {.n = 0};

    (void)state;
    refusals_init(&r);
    for (unsigned i = 0; i < REFUSALS_MAX; i++) refusals_put(&r, name(i), 403, NOW, US_PER_S);
    assert_int_equal(403, refusals_get(&r, name(0), NOW));
    refusals_put(&r, "one more", 403, NOW, US_PER_S);
    assert_int_equal(r.n, REFUSALS_MAX);
    assert_int_equal(0, refusals_get(&r, name(0), NOW));
    assert_int_equal(403, refusals_get(&r, name(1), NOW));
    assert_int_equal(403, refusals_get(&r, "one more", NOW));
    refusals_forget(&r);
    assert_int_equal(r.n, 0);
    assert_int_equal(0, refusals_get(&r, "one more", NOW));
    refusals_put(&r, "again", 403, NOW, US_PER_S);
    assert_int_equal(403, refusals_get(&r, "again", NOW));
    refusals_forget(&r);
}

/* --- over the server --- */

static struct access_help help;
static struct access_backend backend;

static const struct access_road_row page = {
    "/:uid/stream.json", "/%/stream.json", ACCESS_PAGE, ROAD_INFO, NULL};
static const struct access_road_row live = {"/:uid/index.m3u8", "/%/index.m3u8", ACCESS_LIVE, ROAD_HLS, NULL};

static int start(void **state)
{
    (void)state;
    access_backend_start(&backend);
    access_help_start(&help);
    access_help_stream(&help, "private", ACCESS_PRIVATE, "", 0);
    access_help_stream(&help, "other", ACCESS_PRIVATE, "", 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    access_help_stop(&help);
    access_backend_stop(&backend);
    return 0;
}

static unsigned ask(const struct access_road_row *row, const char *uid, const char *token)
{
    return access_help_ask(&help, row, uid, &(struct access_shown){.token = token}, NULL);
}

/* A player that tries again and again is a question once; another stream, road or token is another one. */
static void backend_is_asked_once(void **state)
{
    const struct access_site site = {.backend = backend.url};

    (void)state;
    access_help_site(&help, &site);
    atomic_store(&backend.asked, 0);
    for (int i = 0; i < 20; i++) assert_int_equal(ask(&page, "private", "no-1"), 403);
    assert_int_equal(atomic_load(&backend.asked), 1);
    assert_int_equal(ask(&live, "private", "no-1"), 403);
    assert_int_equal(ask(&page, "other", "no-1"), 403);
    assert_int_equal(ask(&page, "private", "no-2"), 403);
    assert_int_equal(atomic_load(&backend.asked), 4);
    assert_int_equal(ask(&page, "private", "yes-1"), 200);
    assert_int_equal(atomic_load(&backend.asked), 5);
    /* A reload asks anew, and so does a rule that has changed. */
    access_help_site(&help, &site);
    assert_int_equal(ask(&page, "private", "no-1"), 403);
    access_help_stream(&help, "private", ACCESS_PROTECTED, "10.0.0.0/8", 0);
    access_help_stream(&help, "private", ACCESS_PRIVATE, "", 0);
    assert_int_equal(ask(&page, "private", "no-1"), 403);
    assert_int_equal(atomic_load(&backend.asked), 7);
}

static void until_allowed(const char *token)
{
    usec_t by_us = clock_mono_us() + 30 * US_PER_S;

    while (ask(&page, "private", token) != 200) {
        assert_true(clock_mono_us() < by_us);
        usleep(20000);
    }
}

/* An error is this question's alone, and kept for a moment. */
static void a_backend_that_fails(void **state)
{
    (void)state;
    access_help_site(&help, &(struct access_site){.backend = backend.url});
    atomic_store(&backend.asked, 0);
    atomic_store(&backend.status, 500);
    for (int i = 0; i < 5; i++) assert_int_equal(ask(&page, "private", "yes-9"), 503);
    assert_in_range(atomic_load(&backend.asked), 1, 2); /* where that took two seconds */
    assert_int_equal(ask(&page, "private", "yes-8"), 503);
    atomic_store(&backend.status, 0);
    assert_int_equal(ask(&page, "private", "yes-7"), 200);
    until_allowed("yes-9");
}

/* One that is not there is not asked by everybody: what the site says for that is said at once. */
static void a_backend_that_is_away(void **state)
{
    char token[24];

    (void)state;
    access_help_site(&help, &(struct access_site){.backend = backend.url});
    atomic_store(&backend.asked, 0);
    atomic_store(&backend.status, ACCESS_BACKEND_MUTE);
    for (int i = 0; i < 50; i++) {
        snprintf(token, sizeof(token), "yes-a%d", i);
        assert_int_equal(ask(&page, "private", token), 503);
    }
    assert_in_range(atomic_load(&backend.asked), 1, 10); /* 50 of them took some seconds at most */
    atomic_store(&backend.status, 0);
    until_allowed("yes-a1");
}

/* --- who asks while it is asked already --- */

#define ASKERS 16

struct asker {
    pthread_t thread;
    const char *token;
    unsigned status;
};

static void *asker_run(void *arg)
{
    struct asker *a = arg;

    a->status = ask(&page, "private", a->token);
    return NULL;
}

static void begin(struct asker *v, const char *token)
{
    atomic_store(&backend.asked, 0);
    atomic_store(&backend.holds, true);
    for (size_t i = 0; i < ASKERS; i++) {
        v[i].token = token;
        assert_int_equal(pthread_create(&v[i].thread, NULL, asker_run, &v[i]), 0);
    }
}

static void count_waiting(struct hub *hub, void *arg)
{
    _Atomic unsigned *waiting = *(void **)arg;
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&hub->refusals.asking, &at, &slot))
        LIST_EACH(&((struct question *)slot.value)->asks, ask_at) atomic_fetch_add(waiting, 1);
}

/* All of them wait for one answer. */
static void wait_for_all(void)
{
    usec_t by_us = clock_mono_us() + 30 * US_PER_S;
    _Atomic unsigned waiting, *at = &waiting;

    do {
        assert_true(clock_mono_us() < by_us);
        atomic_store(&waiting, 0);
        server_each(&help.http.server, count_waiting, mem_dup(&at, sizeof(at)));
        httpd_help_settle(&help.http);
    } while (atomic_load(&waiting) < ASKERS || atomic_load(&backend.asked) == 0);
}

static void end(struct asker *v, unsigned status)
{
    atomic_store(&backend.holds, false);
    for (size_t i = 0; i < ASKERS; i++) {
        pthread_join(v[i].thread, NULL);
        assert_int_equal(v[i].status, status);
    }
}

static void many_askers_are_one_question(void **state)
{
    struct asker v[ASKERS];

    (void)state;
    access_help_site(&help, &(struct access_site){.backend = backend.url});
    begin(v, "no-many");
    wait_for_all();
    end(v, 403);
    assert_int_equal(atomic_load(&backend.asked), 1);
    begin(v, "yes-many");
    wait_for_all();
    end(v, 200);
    assert_int_equal(atomic_load(&backend.asked), 1);
}

/* What has changed meanwhile counts, not what was found out before. */
static void a_reload_while_it_is_asked(void **state)
{
    struct asker v[ASKERS];

    (void)state;
    access_help_site(&help, &(struct access_site){.backend = backend.url});
    begin(v, "yes-reload");
    wait_for_all();
    access_help_site(&help, &(struct access_site){.backend = NULL});
    end(v, 403);
    access_help_site(&help, &(struct access_site){.backend = backend.url});
    begin(v, "yes-rule");
    wait_for_all();
    access_help_stream(&help, "private", ACCESS_NONE, "", 0);
    end(v, 403);
    access_help_stream(&help, "private", ACCESS_PRIVATE, "", 0);
    begin(v, "yes-same");
    wait_for_all();
    access_help_site(&help, &(struct access_site){.backend = backend.url, .address_limit = 1000});
    end(v, 200);
    assert_int_equal(atomic_load(&backend.asked), 2); /* all of them together, once more */
}

/* Some go before they are answered. */
static void askers_that_leave(void **state)
{
    struct asker v[ASKERS];
    int fd = httpd_help_connect(&help.http);

    (void)state;
    access_help_site(&help, &(struct access_site){.backend = backend.url});
    begin(v, "yes-leave");
    wait_for_all();
    assert_true(send(fd, SPAN_LIT(LEAVER).p, SPAN_LIT(LEAVER).n, MSG_NOSIGNAL) > 0);
    close(fd);
    httpd_help_settle(&help.http);
    end(v, 200);
}

/* Tokens that the site's server takes are no guesses, however little they look like ours. */
static void its_tokens_are_no_guesses(void **state)
{
    char token[24];

    (void)state;
    access_help_site(&help, &(struct access_site){.backend = backend.url, .exempt = "10.0.0.0/8"});
    for (int i = 0; i < 12; i++) {
        snprintf(token, sizeof(token), "yes-w%d", i);
        assert_int_equal(ask(&page, "private", token), 200);
    }
    for (int i = 0; i < 4; i++) {
        snprintf(token, sizeof(token), "no-w%d", i);
        assert_int_equal(ask(&page, "private", token), 403);
    }
    assert_int_equal(ask(&page, "private", "yes-later"), 403);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times),
        cmocka_unit_test(bound),
        cmocka_unit_test(backend_is_asked_once),
        cmocka_unit_test(a_backend_that_fails),
        cmocka_unit_test(a_backend_that_is_away),
        cmocka_unit_test(many_askers_are_one_question),
        cmocka_unit_test(a_reload_while_it_is_asked),
        cmocka_unit_test(askers_that_leave),
        cmocka_unit_test(its_tokens_are_no_guesses),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
