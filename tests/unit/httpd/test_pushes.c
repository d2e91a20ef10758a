/* Cameras that push by a token: what is asked, held, and said when it ends. Which credentials do: the table
 * of test_access_table.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/pack.h"
#include "common/wire/hex.h"
#include "httpd/pushes.h"
#include "tests/support/access_help.h"

#define UID "cam"

static struct access_help help;
static struct token token;
static char text[TOKEN_TEXT_MAX];

static int start(void **state)
{
    (void)state;
    access_help_start(&help);
    access_help_site(&help, &(struct access_site){.whitelist = NULL});
    access_help_stream(&help, UID, ACCESS_PUBLIC, "", 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    access_help_stop(&help);
    return 0;
}

/* Each test has a token of its own. */
static int mint(void **state)
{
    (void)state;
    token = access_token(UID);
    token.ops = TOKEN_PUBLISH;
    snprintf(text, sizeof(text), "%s", access_token_text(token));
    return 0;
}

static int nobody_pushes(void **state)
{
    (void)state;
    pushes_over(&help.http.server, span_of(UID), 0);
    httpd_help_settle(&help.http);
    return 0;
}

static void take_back(void)
{
    char name[2 * TOKEN_ID_N + 1];
    struct wr w = wr_of(name, sizeof(name));
    struct unpack *u;
    struct packer p;
    struct buf b;

    hex_write(&w, span(token.id, TOKEN_ID_N));
    buf_init(&b, 4096);
    p = packer_of(&b);
    pack_map(&p, 3);
    pack_kv_text(&p, "kind", "token");
    pack_kv_text(&p, "name", wr_cstr(&w));
    pack_kv_i64(&p, "at_us", clock_wall_us());
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_true(revoked_read(&help.http.server, unpack_root(u)));
    unpack_done(u);
    buf_done(&b);
}

static void ends_when_it_is_revoked(void **state)
{
    (void)state;
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
    take_back();
    assert_int_equal(access_help_push_said(), 403);
    assert_int_equal(access_help_push(&help, UID, 8, text), 403);
}

static void ends_with_its_key(void **state)
{
    (void)state;
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
    access_help_site(&help, &(struct access_site){.secret = "another one"});
    assert_int_equal(access_help_push_said(), 403);
    access_help_site(&help, &(struct access_site){.whitelist = NULL});
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
}

static void ends_with_its_stream(void **state)
{
    (void)state;
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
    hub_post(hub_home(&help.http.server, span_of(UID)), stream_gone, mem_strdup(UID));
    assert_int_equal(access_help_push_said(), 403);
    assert_int_equal(access_help_push(&help, UID, 7, text), 403);
    access_help_stream(&help, UID, ACCESS_PUBLIC, "", 0);
}

/* Rules are those of viewers: the next thing that is said is the answer to what is asked behind them. */
static void rules_of_viewers_end_nothing(void **state)
{
    static const enum access_mode modes[] = {ACCESS_NONE, ACCESS_PROTECTED, ACCESS_PRIVATE, ACCESS_PUBLIC};

    (void)state;
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
    for (size_t i = 0; i < ARRAY_N(modes); i++) access_help_stream(&help, UID, modes[i], "10.0.0.0/8", 0);
    access_help_site(&help, &(struct access_site){.whitelist = "10.0.0.0/8"});
    assert_int_equal(access_help_push(&help, UID, 8, text), 200);
    access_help_site(&help, &(struct access_site){.whitelist = NULL});
    take_back();
    assert_int_equal(access_help_push_said(), 403);
    assert_int_equal(access_help_push_said(), 403); /* both */
}

/* What is over is not said any more, and the same number may ask again: an httpd that is new is asked so. */
static void over_and_again(void **state)
{
    (void)state;
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
    pushes_over(&help.http.server, span_of(UID), 7);
    pushes_over(&help.http.server, span_of(UID), 7);
    take_back();
    httpd_help_settle(&help.http);
    mint(NULL);
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
}

/* A viewer's session is another one, though the token is the same. */
static void watching_is_something_else(void **state)
{
    const struct access_road_row live = {"/:uid/index.m3u8", "/%/index.m3u8", ACCESS_LIVE, ROAD_HLS, NULL};
    const struct access_shown shown = {.token = text};

    (void)state;
    token.ops = TOKEN_PUBLISH | TOKEN_LIVE;
    snprintf(text, sizeof(text), "%s", access_token_text(token));
    access_help_stream(&help, UID, ACCESS_PRIVATE, "", 0);
    assert_true(access_may(access_help_ask(&help, &live, UID, &shown, NULL)));
    assert_int_equal(access_help_push(&help, UID, 7, text), 200);
    access_help_stream(&help, UID, ACCESS_NONE, "", 0);
    assert_false(access_may(access_help_ask(&help, &live, UID, &shown, NULL)));
    access_help_stream(&help, UID, ACCESS_PUBLIC, "", 0);
    assert_int_equal(access_help_push(&help, UID, 8, text), 200); /* nothing was said of 7 */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, mint, nobody_pushes)
    const struct CMUnitTest tests[] = {
        TEST(ends_when_it_is_revoked),
        TEST(ends_with_its_key),
        TEST(ends_with_its_stream),
        TEST(rules_of_viewers_end_nothing),
        TEST(over_and_again),
        TEST(watching_is_something_else),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
