/* What was refused a moment ago: how long it holds, what goes where there are too many; and what is not asked
 * again because of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/refusals.h"
#include "tests/support/access_help.h"

#define NOW (1000 * US_PER_S)

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
    assert_false(refusals_has(&r, "a", NOW));
    refusals_put(&r, "a", NOW, 5 * US_PER_S);
    refusals_put(&r, "b", NOW, 0);
    assert_true(refusals_has(&r, "a", NOW + 5 * US_PER_S - 1));
    assert_false(refusals_has(&r, "b", NOW));
    assert_false(refusals_has(&r, "a", NOW + 5 * US_PER_S));
    assert_int_equal(r.n, 0);
    refusals_put(&r, "a", NOW, INT64_MAX / 2);
    assert_true(refusals_has(&r, "a", NOW + REFUSALS_MOST_US - 1));
    assert_false(refusals_has(&r, "a", NOW + REFUSALS_MOST_US));
    refusals_put(&r, "a", NOW, US_PER_S);
    refusals_put(&r, "a", NOW, US_PER_S);
    assert_true(refusals_has(&r, "a", NOW));
    refusals_put(&r, "a", NOW, 0);
    assert_false(refusals_has(&r, "a", NOW));
    refusals_forget(&r);
}

static void bound(void **state)
{
    struct refusals r = {.n = 0};

    (void)state;
    refusals_init(&r);
    for (unsigned i = 0; i < REFUSALS_MAX; i++) refusals_put(&r, name(i), NOW, US_PER_S);
    assert_true(refusals_has(&r, name(0), NOW));
    refusals_put(&r, "one more", NOW, US_PER_S);
    assert_int_equal(r.n, REFUSALS_MAX);
    assert_false(refusals_has(&r, name(0), NOW));
    assert_true(refusals_has(&r, name(1), NOW));
    assert_true(refusals_has(&r, "one more", NOW));
    refusals_forget(&r);
    assert_int_equal(r.n, 0);
    assert_false(refusals_has(&r, "one more", NOW));
    refusals_put(&r, "again", NOW, US_PER_S);
    assert_true(refusals_has(&r, "again", NOW));
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

/* What could not be decided is not kept. */
static void a_backend_that_is_down(void **state)
{
    (void)state;
    access_help_site(&help, &(struct access_site){.backend = backend.url});
    atomic_store(&backend.status, 500);
    assert_int_equal(ask(&page, "private", "yes-9"), 503);
    atomic_store(&backend.status, 0);
    assert_int_equal(ask(&page, "private", "yes-9"), 200);
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
        cmocka_unit_test(a_backend_that_is_down),
        cmocka_unit_test(its_tokens_are_no_guesses),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
