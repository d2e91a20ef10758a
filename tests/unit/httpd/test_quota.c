/* How many may watch: of a stream, of a token or user, of an address, over all hubs; bytes altogether. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "tests/support/hub_help.h"

static struct hub_help h;

static int start(void **state)
{
    (void)state;
    hub_help_start(&h);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    assert_int_equal(atomic_load(&h.server.watching), 0);
    hub_help_stop(&h);
    return 0;
}

static struct session *viewer(struct stream *s, const char *address)
{
    return hub_help_session(s, address, &(struct grant){.free = true});
}

static void of_a_stream(void **state)
{
    struct stream *two = hub_help_stream(&h, 0, "two", 2), *any = hub_help_stream(&h, 0, "any", 0);
    struct session *s[4];

    (void)state;
    for (int i = 0; i < 4; i++) s[i] = viewer(i < 3 ? two : any, "10.0.0.1");
    assert_null(quota_take(s[0]));
    assert_null(quota_take(s[0])); /* one session may watch twice: that counts for two */
    assert_string_equal(quota_take(s[1]), "this stream has as many viewers as it may have");
    assert_null(quota_take(s[3]));
    assert_int_equal(two->viewers, 2);
    assert_int_equal(atomic_load(&h.server.watching), 3);
    quota_give(s[0]);
    assert_null(quota_take(s[2]));
    assert_non_null(quota_take(s[1]));
    quota_give(s[0]);
    quota_give(s[2]);
    quota_give(s[3]);
    assert_int_equal(two->viewers, 0);
}

/* A token's viewers on streams of other hubs are its viewers too. */
static void of_a_token(void **state)
{
    struct stream *a = hub_help_stream(&h, 0, "a", 0), *b = hub_help_stream(&h, 1, "b", 0);
    struct grant one = {.by_token = true, .token_id = {1}, .sessions_max = 2}, other = one;
    struct session *s[3], *free_one;

    (void)state;
    other.token_id[0] = 2;
    s[0] = hub_help_session(a, "10.0.0.1", &one);
    s[1] = hub_help_session(b, "10.0.0.2", &one);
    s[2] = hub_help_session(b, "10.0.0.2", &other);
    free_one = viewer(b, "10.0.0.2");
    assert_null(quota_take(s[0]));
    assert_null(quota_take(s[1]));
    assert_string_equal(quota_take(s[1]), "as many watch with this as may");
    assert_null(quota_take(s[2]));
    assert_null(quota_take(free_one));
    quota_give(s[0]);
    assert_null(quota_take(s[1]));
    for (int i = 0; i < 2; i++) quota_give(s[1]);
    quota_give(s[2]);
    quota_give(free_one);
}

/* The same user by two tokens without an id: one name. */
static void of_a_user(void **state)
{
    struct stream *a = hub_help_stream(&h, 0, "a", 0);
    struct grant anna = {.user = "anna", .sessions_max = 1}, bert = {.user = "bert", .sessions_max = 1};
    struct session *s[3] = {hub_help_session(a, "10.0.0.1", &anna), hub_help_session(a, "10.0.0.2", &anna),
        hub_help_session(a, "10.0.0.2", &bert)};

    (void)state;
    assert_null(quota_take(s[0]));
    assert_non_null(quota_take(s[1]));
    assert_null(quota_take(s[2]));
    quota_give(s[0]);
    quota_give(s[2]);
}

static void of_an_address(void **state)
{
    struct stream *a = hub_help_stream(&h, 0, "a", 0), *b = hub_help_stream(&h, 1, "b", 0);
    const char *const same[] = {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9"};
    struct session *s[5] = {viewer(a, "10.0.0.1"), viewer(b, "10.0.0.1"), viewer(b, "10.0.0.2"),
        viewer(a, same[0]), viewer(b, same[1])};
    struct addr address;

    (void)state;
    h.server.hubs[0].auth->address_limit = h.server.hubs[1].auth->address_limit = 1;
    assert_null(quota_take(s[0]));
    assert_string_equal(quota_take(s[1]), "as many watch from this address as may");
    assert_null(quota_take(s[2]));
    assert_null(quota_take(s[3]));
    assert_non_null(quota_take(s[4]));
    assert_true(addr_parse(SPAN_LIT("2001:db8:1:2:3::4"), &address));
    assert_int_equal(quota_of_address(h.server.quota, &address), 1);
    quota_give(s[0]);
    quota_give(s[3]);
    assert_int_equal(quota_of_address(h.server.quota, &address), 0);
    assert_null(quota_take(s[4]));
    assert_null(quota_take(s[1]));
    quota_give(s[1]);
    quota_give(s[2]);
    quota_give(s[4]);
}

/* Whoever is refused by the token's limit has taken nothing of the address's. */
static void refused_takes_nothing(void **state)
{
    struct stream *a = hub_help_stream(&h, 0, "a", 0);
    struct grant g = {.by_token = true, .token_id = {7}, .sessions_max = 1};
    struct session *s[2] = {hub_help_session(a, "10.0.0.1", &g), hub_help_session(a, "10.0.0.9", &g)};
    struct addr address;

    (void)state;
    assert_null(quota_take(s[0]));
    assert_non_null(quota_take(s[1]));
    assert_true(addr_parse(SPAN_LIT("10.0.0.9"), &address));
    assert_int_equal(quota_of_address(h.server.quota, &address), 0);
    assert_int_equal(a->viewers, 1);
    quota_give(s[0]);
}

static void bandwidth(void **state)
{
    struct session *s = viewer(hub_help_stream(&h, 0, "a", 0), "10.0.0.1");

    (void)state;
    atomic_store(&h.server.over_bandwidth, true);
    assert_string_equal(quota_take(s), "as much is being sent as may be");
    atomic_store(&h.server.over_bandwidth, false);
    assert_null(quota_take(s));
    quota_give(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(of_a_stream, start, stop),
        cmocka_unit_test_setup_teardown(of_a_token, start, stop),
        cmocka_unit_test_setup_teardown(of_a_user, start, stop),
        cmocka_unit_test_setup_teardown(of_an_address, start, stop),
        cmocka_unit_test_setup_teardown(refused_takes_nothing, start, stop),
        cmocka_unit_test_setup_teardown(bandwidth, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
