/* Who has signed in: for how long, and what ends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/signins.h"

#define T0 (1000 * US_PER_S)

static struct signins *s;
static struct accounts accounts;
static char id[CALLER_ID_DIGITS + 1], csrf[CALLER_ID_DIGITS + 1];
static struct caller c;

static void name(const char *login, const char *password, const char *role, const char *cameras)
{
    assert_true(accounts_add(&accounts, span_of(login), span_of(password), span_of(role), span_of(cameras)));
}

static int setup(void **state)
{
    (void)state;
    s = signins_new();
    name("anna", "secret", "user", "yard,gate-*");
    name("boss", "other", "root", "");
    signins_add(s, &accounts.v[0], "", T0, id);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    signins_free(s);
    accounts_done(&accounts);
    return 0;
}

static bool there(usec_t now_us)
{
    return signins_find(s, span_of(id), now_us, &c, csrf);
}

static void found(void **state)
{
    char other[CALLER_ID_DIGITS + 1];

    (void)state;
    assert_true(there(T0));
    assert_string_equal(c.name, "anna");
    assert_string_equal(c.role, "user");
    assert_string_equal(c.by, "session");
    assert_string_equal(c.id, id);
    assert_true(caller_sees(&c, SPAN_LIT("gate-1")));
    assert_false(caller_sees(&c, SPAN_LIT("hall")));
    assert_int_equal(strlen(csrf), CALLER_ID_DIGITS);
    assert_string_not_equal(csrf, id);
    signins_add(s, &accounts.v[0], "", T0, other);
    assert_string_not_equal(other, id);
    assert_false(signins_find(s, SPAN_LIT("0123"), T0, &c, csrf));
    assert_false(signins_find(s, SPAN_NONE, T0, &c, csrf));
    id[3] = id[3] == 'a' ? 'b' : 'a';
    assert_false(there(T0));
}

static void idle_and_old(void **state)
{
    usec_t at = T0;

    (void)state;
    while (at - T0 < SIGNINS_MOST_US - SIGNINS_IDLE_US) {
        at += SIGNINS_IDLE_US;
        assert_true(there(at)); /* used at the edge */
    }
    assert_true(there(T0 + SIGNINS_MOST_US));
    assert_false(there(T0 + SIGNINS_MOST_US + 1));
    signins_add(s, &accounts.v[0], "", T0, id);
    assert_true(signins_hold(s, span_of(id), T0 + SIGNINS_IDLE_US));
    assert_true(signins_has(s, span_of(id), T0 + 2 * SIGNINS_IDLE_US));
    assert_false(there(T0 + 2 * SIGNINS_IDLE_US + 1));
    assert_false(signins_hold(s, span_of(id), T0));
}

static void signed_out(void **state)
{
    (void)state;
    assert_true(signins_end(s, span_of(id)));
    assert_false(there(T0));
    assert_false(signins_end(s, span_of(id)));
}

/* A full table forgets, of the account that has the most, the one that was away for longest. */
static void many(void **state)
{
    char last[CALLER_ID_DIGITS + 1], second[CALLER_ID_DIGITS + 1];

    (void)state;
    signins_add(s, &accounts.v[1], "", T0, second);
    for (int i = 0; i < SIGNINS_MAX - 2; i++) signins_add(s, &accounts.v[1], "", T0, last);
    assert_true(there(T0)); /* used now */
    signins_add(s, &accounts.v[1], "", T0, last);
    assert_true(there(T0));
    assert_false(signins_find(s, span_of(second), T0, &c, csrf));
    assert_true(signins_find(s, span_of(last), T0, &c, csrf));
}

static void nobody_pushes_out_another(void **state)
{
    char other[CALLER_ID_DIGITS + 1], last[CALLER_ID_DIGITS + 1];

    (void)state;
    for (int i = 0; i < 2 * SIGNINS_MAX; i++) signins_add(s, &accounts.v[1], "", T0, last);
    assert_true(there(T0)); /* anna's one, the oldest of all */
    assert_true(signins_find(s, span_of(last), T0, &c, csrf));
    for (int i = 0; i < 2 * SIGNINS_MAX; i++) signins_add(s, &accounts.v[0], "", T0, other);
    assert_true(signins_find(s, span_of(last), T0, &c, csrf));
    assert_true(signins_find(s, span_of(other), T0, &c, csrf));
}

static void basic(void **state)
{
    char one[CALLER_ID_DIGITS + 1], again[CALLER_ID_DIGITS + 1], other[CALLER_ID_DIGITS + 1];

    (void)state;
    signins_basic(s, SPAN_LIT("Basic abc"), one);
    signins_basic(s, SPAN_LIT("Basic abc"), again);
    signins_basic(s, SPAN_LIT("Basic abd"), other);
    assert_string_equal(one, again);
    assert_string_not_equal(one, other);
    assert_false(signins_find(s, span_of(one), T0, &c, csrf));
    signins_add(s, &accounts.v[1], one, T0, again);
    signins_add(s, &accounts.v[1], one, T0, again); /* two at once */
    assert_true(signins_find(s, span_of(one), T0, &c, csrf));
    assert_string_equal(c.by, "basic");
    assert_true(signins_end(s, span_of(one)));
    assert_false(signins_find(s, span_of(one), T0, &c, csrf));
}

/* A reload: another list is taken over, another password or role ends it, and so does no account. */
static void reloaded(void **state)
{
    (void)state;
    accounts_done(&accounts);
    name("anna", "secret", "user", "hall");
    signins_accounts(s, &accounts);
    assert_true(there(T0));
    assert_true(caller_sees(&c, SPAN_LIT("hall")));
    assert_false(caller_sees(&c, SPAN_LIT("yard")));
    accounts_done(&accounts);
    name("anna", "secret", "guest", "hall");
    signins_accounts(s, &accounts);
    assert_false(there(T0));
    signins_add(s, &accounts.v[0], "", T0, id);
    accounts_done(&accounts);
    name("anna", "secret2", "guest", "hall");
    signins_accounts(s, &accounts);
    assert_false(there(T0));
    signins_add(s, &accounts.v[0], "", T0, id);
    accounts_done(&accounts);
    signins_accounts(s, &accounts);
    assert_false(there(T0));
}

/* A cookie alone is good for less than the password that was shown a moment ago. */
static void shown(void **state)
{
    usec_t later_us = T0 + SIGNINS_SHOWN_US + US_PER_S;
    char basic[CALLER_ID_DIGITS + 1];

    (void)state;
    assert_true(there(T0 + SIGNINS_SHOWN_US - 10 * US_PER_S));
    assert_true(caller_confirmed(&c));
    assert_true(there(later_us));
    assert_false(caller_confirmed(&c));
    signins_shown(s, span_of(id), later_us);
    assert_true(there(later_us));
    assert_true(caller_confirmed(&c));
    /* A login by Basic shows it each time. */
    signins_basic(s, SPAN_LIT("Basic YTpi"), basic);
    signins_add(s, &accounts.v[0], basic, T0, basic);
    assert_true(signins_find(s, span_of(basic), later_us, &c, csrf));
    assert_int_equal(c.shown_until_s, 0);
    assert_true(caller_confirmed(&c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(found, setup, teardown),
        cmocka_unit_test_setup_teardown(shown, setup, teardown),
        cmocka_unit_test_setup_teardown(idle_and_old, setup, teardown),
        cmocka_unit_test_setup_teardown(signed_out, setup, teardown),
        cmocka_unit_test_setup_teardown(many, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_pushes_out_another, setup, teardown),
        cmocka_unit_test_setup_teardown(basic, setup, teardown),
        cmocka_unit_test_setup_teardown(reloaded, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
