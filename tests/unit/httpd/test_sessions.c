/* Sessions: by what they are found, when they end, and that what runs on one ends with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "tests/support/hub_help.h"

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
    assert_int_equal(atomic_load(&h.server.watching), 0);
    return 0;
}

static void on_end(struct access_hold *hold)
{
    assert_false(access_held(hold));
    ended++;
}

static void hold(struct session *s, struct access_hold *a)
{
    *a = (struct access_hold){.session = s, .road = ROAD_MP4, .op = ACCESS_LIVE, .on_end = on_end};
    assert_null(quota_take(s));
    a->slot = true;
    list_push(&s->holds, &a->link);
}

static const char *identity(
    const char *uid, const char *address, const char *token, const char *login, const char *agent)
{
    static char text[16][SESSION_ID_DIGITS + 1];
    static unsigned at;
    struct stream st = {.hub = NULL};
    struct access_ask a = {.stream = &st,
        .token = span_of(token),
        .authorization = span_of(login),
        .user_agent = span_of(agent)};

    snprintf(st.v.uid, sizeof(st.v.uid), "%s", uid);
    assert_true(addr_parse(span_of(address), &a.address));
    at = (at + 1) % 16;
    session_identity(&a, NULL, text[at]);
    assert_int_equal(strlen(text[at]), SESSION_ID_DIGITS);
    return text[at];
}

/* Who asks: stream, address, credential, player; and nothing of one slips into another. */
static void identities(void **state)
{
    const char *one = identity("cam", "10.0.0.1", "t", "", "vlc");

    (void)state;
    assert_string_equal(one, identity("cam", "10.0.0.1", "t", "", "vlc"));
    assert_string_equal(one, identity("cam", "10.0.0.1", "t", "ignored beside a token", "vlc"));
    assert_string_not_equal(one, identity("cam2", "10.0.0.1", "t", "", "vlc"));
    assert_string_not_equal(one, identity("cam", "10.0.0.2", "t", "", "vlc"));
    assert_string_not_equal(one, identity("cam", "10.0.0.1", "u", "", "vlc"));
    assert_string_not_equal(one, identity("cam", "10.0.0.1", "", "", "vlc"));
    assert_string_not_equal(one, identity("cam", "10.0.0.1", "t", "", "mpv"));
    assert_string_not_equal(identity("cam", "10.0.0.1", "tv", "", "lc"), one);
    assert_string_equal(
        identity("cam", "2001:db8::1", "t", "", ""), identity("cam", "2001:db8::ffff", "t", "", ""));
    assert_string_not_equal(
        identity("cam", "2001:db8::1", "t", "", ""), identity("cam", "2001:db8:0:1::1", "t", "", ""));
}

/* An account that has signed in is found by its name, whatever it has signed; a token that reads so is none.
 */
static void accounts(void **state)
{
    struct stream st = {.v = {.uid = "cam"}};
    struct access_ask a = {.stream = &st, .authorization = SPAN_LIT("Digest one")};
    char one[SESSION_ID_DIGITS + 1], other[SESSION_ID_DIGITS + 1];

    (void)state;
    session_identity(&a, "anna", one);
    a.authorization = SPAN_LIT("Digest another");
    session_identity(&a, "anna", other);
    assert_string_equal(one, other);
    session_identity(&a, "bert", other);
    assert_string_not_equal(one, other);
    a.token = SPAN_LIT("anna");
    session_identity(&a, NULL, other);
    assert_string_not_equal(one, other);
}

static void found_by_its_id(void **state)
{
    struct stream *st = hub_help_stream(&h, 0, "cam", 0);
    struct session *a = hub_help_session(st, "10.0.0.1", &(struct grant){.free = true});
    struct session *b = hub_help_session(st, "10.0.0.1", &(struct grant){.free = true});
    char id[SESSION_ID_DIGITS + 1];

    (void)state;
    assert_string_not_equal(a->id, b->id);
    assert_int_equal(strspn(a->id, "0123456789abcdef"), SESSION_ID_DIGITS);
    assert_ptr_equal(session_by_id(a->hub, span_of(a->id)), a);
    assert_ptr_equal(session_by_identity(a->hub, b->identity), b);
    assert_null(session_by_id(&h.server.hubs[1], span_of(a->id)));
    assert_null(session_by_id(a->hub, span_sub(span_of(a->id), 0, SESSION_ID_DIGITS - 1)));
    assert_null(session_by_id(a->hub, SPAN_NONE));
    snprintf(id, sizeof(id), "%s", a->id);
    session_end(a);
    assert_null(session_by_id(b->hub, span_of(id)));
    assert_ptr_equal(session_by_id(b->hub, span_of(b->id)), b);
}

static bool near(const char *of, const char *at)
{
    static struct session s;
    struct addr a;

    assert_true(addr_parse(span_of(of), &s.address) && addr_parse(span_of(at), &a));
    return session_near(&s, &a);
}

/* The network it was begun from: a phone's address may change within it. */
static void places(void **state)
{
    (void)state;
    assert_true(near("10.0.0.1", "10.0.0.255"));
    assert_false(near("10.0.0.1", "10.0.1.1"));
    assert_true(near("2001:db8:0:1::1", "2001:db8:0:1:ffff::1"));
    assert_false(near("2001:db8:0:1::1", "2001:db8:0:2::1"));
    assert_false(near("10.0.0.1", "2001:db8::1"));
}

static void ends_in_time(void **state)
{
    struct stream *st = hub_help_stream(&h, 0, "cam", 0);
    struct hub *hub = st->hub;
    int64_t now_s = clock_wall_us() / US_PER_S;
    struct session *runs = hub_help_session(st, "10.0.0.1", &(struct grant){.until_s = now_s + 1000});
    struct session *over = hub_help_session(st, "10.0.0.2", &(struct grant){.until_s = now_s - 1});
    static struct access_hold a;
    char id[SESSION_ID_DIGITS + 1];

    (void)state;
    hold(over, &a);
    snprintf(id, sizeof(id), "%s", over->id);
    sessions_tick(hub);
    assert_int_equal(ended, 1);
    assert_false(access_held(&a));
    assert_null(session_by_id(hub, span_of(id)));
    assert_ptr_equal(session_by_id(hub, span_of(runs->id)), runs);
    runs->grant.until_s = now_s - 1; /* between two ticks it is found out by use */
    assert_null(session_by_identity(hub, runs->identity));
    assert_int_equal(hub->sessions.n, 0);
}

static void forgotten_when_unused(void **state)
{
    struct stream *st = hub_help_stream(&h, 0, "cam", 0);
    struct session *idle = hub_help_session(st, "10.0.0.1", &(struct grant){.free = true});
    struct session *held = hub_help_session(st, "10.0.0.2", &(struct grant){.free = true});
    static struct access_hold a;

    (void)state;
    hold(held, &a);
    idle->used_us -= SESSION_IDLE_US + US_PER_S;
    held->used_us -= SESSION_IDLE_US + US_PER_S;
    sessions_tick(st->hub);
    assert_int_equal(st->hub->sessions.n, 1);
    assert_true(access_held(&a));
    access_release(&a);
    assert_int_equal(atomic_load(&h.server.watching), 0);
    sessions_tick(st->hub);
    assert_int_equal(st->hub->sessions.n, 0);
    assert_int_equal(ended, 0);
}

/* A player of HLS counts until 30 s behind its last request. */
static void hls_counts_for_a_while(void **state)
{
    struct stream *st = hub_help_stream(&h, 0, "cam", 1);
    struct session *s = hub_help_session(st, "10.0.0.1", &(struct grant){.free = true});
    usec_t now_us = loop_now_us(st->hub->loop);

    (void)state;
    assert_null(quota_take(s));
    s->watched_us = now_us - SESSION_WATCH_US + 10 * US_PER_S;
    sessions_tick(st->hub);
    assert_int_equal(st->viewers, 1);
    s->watched_us = now_us - SESSION_WATCH_US - US_PER_S;
    sessions_tick(st->hub);
    assert_int_equal(st->viewers, 0);
    assert_int_equal(s->watched_us, 0);
    assert_int_equal(st->hub->sessions.n, 1);
}

/* Where there is no room the one not used for longest goes, never one that is watched. */
static void room(void **state)
{
    struct stream *st = hub_help_stream(&h, 0, "cam", 0);
    const struct grant g = {.free = true};
    struct session *first = hub_help_session(st, "10.0.0.1", &g), *second, *third;
    static struct access_hold a;
    char id[SESSION_ID_DIGITS + 1];

    (void)state;
    hold(first, &a);
    second = hub_help_session(st, "10.0.0.2", &g);
    third = hub_help_session(st, "10.0.0.3", &g);
    for (size_t i = 3; i < SESSIONS_MAX; i++) assert_non_null(hub_help_session(st, "10.0.0.4", &g));
    session_used(second);
    snprintf(id, sizeof(id), "%s", third->id);
    assert_non_null(hub_help_session(st, "10.0.0.5", &g));
    assert_int_equal(st->hub->sessions.n, SESSIONS_MAX);
    assert_null(session_by_id(st->hub, span_of(id)));
    assert_ptr_equal(session_by_id(st->hub, span_of(second->id)), second);
    assert_true(access_held(&a));
}

/* All of them run: nobody new. */
static void no_room(void **state)
{
    struct stream *st = hub_help_stream(&h, 0, "cam", 0);
    const struct grant g = {.free = true};

    (void)state;
    for (size_t i = 0; i < SESSIONS_MAX; i++) assert_null(quota_take(hub_help_session(st, "10.0.0.4", &g)));
    assert_null(hub_help_session(st, "10.0.0.5", &g));
    LIST_EACH(&st->hub->sessions.all, at) quota_give(LIST_ITEM(at, struct session, link));
    assert_non_null(hub_help_session(st, "10.0.0.5", &g));
}

static bool of_bert(struct session *s, void *arg)
{
    return strcmp(s->grant.user, arg) == 0;
}

static void ended_by_a_rule(void **state)
{
    struct stream *st = hub_help_stream(&h, 0, "cam", 0);
    static struct access_hold a[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        hold(hub_help_session(
                 st, "10.0.0.1", &(struct grant){.user = {(char)(i == 1 ? 'a' : 'b'), 'e', 'r', 't'}}),
            &a[i]);
    sessions_end_where(st->hub, of_bert, (char[]){"bert"});
    assert_int_equal(ended, 2);
    assert_true(access_held(&a[1]));
    assert_int_equal(st->viewers, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identities, start, stop),
        cmocka_unit_test_setup_teardown(accounts, start, stop),
        cmocka_unit_test_setup_teardown(found_by_its_id, start, stop),
        cmocka_unit_test_setup_teardown(places, start, stop),
        cmocka_unit_test_setup_teardown(ends_in_time, start, stop),
        cmocka_unit_test_setup_teardown(forgotten_when_unused, start, stop),
        cmocka_unit_test_setup_teardown(hls_counts_for_a_while, start, stop),
        cmocka_unit_test_setup_teardown(room, start, stop),
        cmocka_unit_test_setup_teardown(no_room, start, stop),
        cmocka_unit_test_setup_teardown(ended_by_a_rule, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
