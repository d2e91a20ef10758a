/* httpd/proven: only what was right, of this account as it is kept now, and for a while. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/proven.h"

#define T0 (1000 * US_PER_S)

static struct accounts accounts;
static struct proven *k;

static int up(void **state)
{
    (void)state;
    accounts = (struct accounts){.n = 0};
    k = proven_new();
    assert_true(
        accounts_add(&accounts, SPAN_LIT("anna"), SPAN_LIT("$scrypt$one"), SPAN_LIT("user"), SPAN_NONE));
    assert_true(
        accounts_add(&accounts, SPAN_LIT("bert"), SPAN_LIT("$scrypt$one"), SPAN_LIT("user"), SPAN_NONE));
    assert_true(
        accounts_add(&accounts, SPAN_LIT("anna"), SPAN_LIT("$scrypt$two"), SPAN_LIT("user"), SPAN_NONE));
    return 0;
}

static int down(void **state)
{
    (void)state;
    accounts_done(&accounts);
    proven_free(k);
    return 0;
}

static void test_proven(void **state)
{
    const struct account *anna = &accounts.v[0], *bert = &accounts.v[1], *changed = &accounts.v[2];

    (void)state;
    assert_false(proven_has(k, anna, SPAN_LIT("secret"), T0));
    proven_add(k, anna, SPAN_LIT("secret"), T0);
    assert_true(proven_has(k, anna, SPAN_LIT("secret"), T0));
    assert_false(proven_has(k, anna, SPAN_LIT("secre"), T0));
    assert_false(proven_has(k, anna, SPAN_NONE, T0));
    assert_false(proven_has(k, bert, SPAN_LIT("secret"), T0));
    assert_false(proven_has(k, changed, SPAN_LIT("secret"), T0));
    assert_true(proven_has(k, anna, SPAN_LIT("secret"), T0 + PROVEN_US - 1));
    assert_false(proven_has(k, anna, SPAN_LIT("secret"), T0 + PROVEN_US));
    assert_false(proven_has(NULL, anna, SPAN_LIT("secret"), T0));
    proven_add(NULL, anna, SPAN_LIT("secret"), T0);
}

/* The oldest is overwritten; one that comes again takes no other place. */
static void test_bounded(void **state)
{
    char password[16];

    (void)state;
    proven_add(k, &accounts.v[0], SPAN_LIT("first"), T0);
    for (int i = 0; i < 2 * PROVEN_MAX; i++) proven_add(k, &accounts.v[1], SPAN_LIT("same"), T0);
    assert_true(proven_has(k, &accounts.v[0], SPAN_LIT("first"), T0));
    for (int i = 0; i < PROVEN_MAX; i++) {
        snprintf(password, sizeof(password), "p%d", i);
        proven_add(k, &accounts.v[1], span_of(password), T0);
    }
    assert_false(proven_has(k, &accounts.v[0], SPAN_LIT("first"), T0));
    assert_true(proven_has(k, &accounts.v[1], span_of(password), T0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_proven, up, down),
        cmocka_unit_test_setup_teardown(test_bounded, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
