/* common/wire/scrypt: passwords as they are kept. */
#include "common/wire/scrypt.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* RFC 7914, 12: the second vector ("password", "NaCl", N 1024, r 8, p 16) with p within our limit is none, so
 * ours is made by Python's hashlib.scrypt. */
static void test_check(void **state)
{
    struct span kept =
        SPAN_LIT("$scrypt$ln=10,r=8,p=1$c2FsdHNhbHQ$z41lnTi9z9Gy0whplZu0tsf7cD9h/SZHw6tySg+vXQ4");

    (void)state;
    assert_true(scrypt_is(kept));
    assert_false(scrypt_is(SPAN_LIT("scrypt")));
    assert_true(scrypt_check(kept, SPAN_LIT("slow")));
    assert_false(scrypt_check(kept, SPAN_LIT("slow ")));
    assert_false(
        scrypt_check(SPAN_LIT("$scrypt$ln=30,r=8,p=1$c2FsdA$AAAAAAAAAAAAAAAAAAAAAA"), SPAN_LIT("x")));
    assert_false(scrypt_check(SPAN_LIT("$scrypt$ln=10,r=8$c2FsdA$AAAA"), SPAN_LIT("x")));
    assert_false(scrypt_check(SPAN_LIT("$scrypt$"), SPAN_LIT("x")));
    assert_false(scrypt_check(SPAN_LIT("$scrypt$ln=10,r=8,p=1$c2FsdA$AAAA"), SPAN_LIT("x")));
}

/* What is made is taken, and of the same password never the same. */
static void test_write(void **state)
{
    char one[SCRYPT_TEXT_MAX], two[SCRYPT_TEXT_MAX], small[8];
    struct wr a = wr_of(one, sizeof(one)), b = wr_of(two, sizeof(two)), c = wr_of(small, sizeof(small));

    (void)state;
    assert_true(scrypt_write(SPAN_LIT("a password"), &a));
    assert_true(scrypt_write(SPAN_LIT("a password"), &b));
    assert_string_not_equal(wr_cstr(&a), wr_cstr(&b));
    assert_true(scrypt_is(span_of(one)));
    assert_true(scrypt_check(span_of(one), SPAN_LIT("a password")));
    assert_true(scrypt_check(span_of(two), SPAN_LIT("a password")));
    assert_false(scrypt_check(span_of(one), SPAN_LIT("a passwore")));
    assert_false(scrypt_write(SPAN_LIT("a password"), &c));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_check), cmocka_unit_test(test_write)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
