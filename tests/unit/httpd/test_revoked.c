/* Tokens that count no more: by id, user, stream; what they hit and what they spare, on every hub. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/ipc/pack.h"
#include "tests/support/hub_help.h"

#define AT_US ((int64_t)1700000000 * US_PER_S)

static struct hub_help h;
static unsigned ended;

static int start(void **state)
{
    (void)state;
    hub_help_start(&h);
    ended = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    hub_help_stop(&h);
    return 0;
}

static bool take_back(const char *kind, const char *name, int64_t at_us, int64_t until_s)
{
    struct unpack *u;
    struct packer p;
    struct buf b;
    bool ok;

    buf_init(&b, 4096);
    p = packer_of(&b);
    pack_map(&p, 4);
    pack_kv_text(&p, "kind", kind);
    pack_kv_text(&p, "name", name);
    pack_kv_i64(&p, "at_us", at_us);
    pack_kv_i64(&p, "until_s", until_s);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    ok = revoked_read(&h.server, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
    hub_help_turn(&h);
    return ok;
}

static bool counts(unsigned hub, uint8_t id, const char *user, int64_t made_us, const char *uid)
{
    struct token t = {.id = {id}, .made_us = made_us};

    snprintf(t.user, sizeof(t.user), "%s", user);
    return !revoked_token(&h.server.hubs[hub].revoked, &t, span_of(uid));
}

static const char *id_name(uint8_t id)
{
    static char text[2 * TOKEN_ID_N + 1];

    snprintf(text, sizeof(text), "%02x%030d", id, 0);
    return text;
}

static void tokens(void **state)
{
    (void)state;
    assert_true(take_back("token", id_name(7), AT_US, 0));
    for (unsigned i = 0; i < HUB_HELP_HUBS; i++) {
        assert_false(counts(i, 7, "anna", AT_US - 1, "cam"));
        assert_false(counts(i, 7, "anna", AT_US + 1, "cam")); /* an id is taken back whenever it was made */
        assert_true(counts(i, 8, "anna", AT_US - 1, "cam"));
    }
}

/* All that were made until then; new ones count. A later word moves the moment. */
static void users_and_streams(void **state)
{
    (void)state;
    assert_true(take_back("user", "anna", AT_US, 0) && take_back("stream", "cam", AT_US, 0));
    assert_false(counts(1, 1, "anna", AT_US, "yard"));
    assert_true(counts(1, 1, "anna", AT_US + 1, "yard"));
    assert_true(counts(1, 1, "anna2", AT_US, "yard"));
    assert_true(counts(1, 1, "", AT_US, "yard"));
    assert_false(counts(0, 1, "bert", AT_US, "cam"));
    assert_true(counts(0, 1, "bert", AT_US + 1, "cam"));
    assert_true(counts(0, 1, "bert", AT_US, "cam2"));
    assert_true(take_back("user", "anna", AT_US + 10, 0));
    assert_false(counts(1, 1, "anna", AT_US + 10, "yard"));
}

static void on_end(struct access_hold *hold)
{
    (void)hold;
    ended++;
}

static void run(struct access_hold *hold, struct stream *st, struct grant g)
{
    struct session *s = hub_help_session(st, "10.0.0.1", &g);

    *hold = (struct access_hold){.session = s, .road = ROAD_RTSP, .on_end = on_end};
    list_push(&s->holds, &hold->link);
}

/* What runs on them ends with the message; nobody else's does. */
static void what_runs(void **state)
{
    struct stream *cam = hub_help_stream(&h, 0, "cam", 0), *yard = hub_help_stream(&h, 1, "yard", 0);
    static struct access_hold a[7];

    (void)state;
    run(&a[0], cam, (struct grant){.by_token = true, .token_id = {1}, .user = "anna", .made_us = AT_US});
    run(&a[1], yard, (struct grant){.by_token = true, .token_id = {1}, .user = "anna", .made_us = AT_US});
    run(&a[2], yard, (struct grant){.by_token = true, .token_id = {2}, .user = "anna", .made_us = AT_US});
    run(&a[3], cam, (struct grant){.user = "bert", .made_us = AT_US});
    run(&a[4], cam, (struct grant){.user = "bert", .made_us = AT_US + 9});
    run(&a[5], cam, (struct grant){.free = true, .user = "anna", .made_us = AT_US});
    run(&a[6], yard, (struct grant){.user = "eve", .made_us = AT_US});
    take_back("token", id_name(1), AT_US, 0);
    assert_int_equal(ended, 2);
    assert_false(access_held(&a[0]) || access_held(&a[1]));
    take_back("user", "anna", AT_US, 0);
    assert_int_equal(ended, 3);
    assert_false(access_held(&a[2]));
    take_back("stream", "cam", AT_US, 0);
    assert_int_equal(ended, 4);
    assert_false(access_held(&a[3]));
    assert_true(access_held(&a[4])); /* made later */
    assert_true(access_held(&a[5])); /* everybody may */
    assert_true(access_held(&a[6]));
}

static void words_that_are_none(void **state)
{
    static char long_name[REVOKED_NAME_MAX + 2];

    (void)state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    assert_false(take_back("key", "a", AT_US, 0));
    assert_false(take_back("user", "", AT_US, 0));
    assert_false(take_back("user", long_name, AT_US, 0));
    long_name[REVOKED_NAME_MAX] = '\0';
    assert_true(take_back("user", long_name, AT_US, 0));
}

/* Ids whose tokens have ended anyway are forgotten as the list grows; those that have not stay. */
static void old_ones_go(void **state)
{
    int64_t now_s = clock_wall_us() / US_PER_S;
    char name[2 * TOKEN_ID_N + 1];
    struct map *m = &h.server.hubs[0].revoked.tokens;

    (void)state;
    for (int i = 0; i < 3000; i++) {
        snprintf(name, sizeof(name), "%032x", i);
        assert_true(take_back("token", name, AT_US, i == 5 ? 0 : i == 6 ? now_s + 1000 : now_s - 1));
    }
    assert_in_range(m->n, 2, 1100);
    assert_non_null(map_get(m, SPAN_LIT("00000000000000000000000000000005")));
    assert_non_null(map_get(m, SPAN_LIT("00000000000000000000000000000006")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tokens, start, stop),
        cmocka_unit_test_setup_teardown(users_and_streams, start, stop),
        cmocka_unit_test_setup_teardown(what_runs, start, stop),
        cmocka_unit_test_setup_teardown(words_that_are_none, start, stop),
        cmocka_unit_test_setup_teardown(old_ones_go, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
