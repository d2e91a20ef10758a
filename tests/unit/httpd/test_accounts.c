/* Logins of accounts: R20. What our own client signs is taken once; replay, old nonces and other addresses
 * are not. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/proto/auth.h"
#include "httpd/accounts.h"

static struct accounts accounts;
static struct nonces *nonces;
static struct account_try now = {&accounts, NULL, true, 1700000000};
static struct access_ask ask;
static char header[AUTH_HEADER_MAX];

static int setup(void **state)
{
    (void)state;
    accounts = (struct accounts){.n = 0};
    now.nonces = nonces = nonces_new();
    now.md5 = true;
    now.now_s = 1700000000;
    assert_true(accounts_add(&accounts, SPAN_LIT("anna"), SPAN_LIT("secret"), SPAN_LIT("user"), SPAN_NONE));
    /* scrypt of "slow", salt "saltsalt", N 2^10, r 8, p 1 */
    assert_true(accounts_add(&accounts, SPAN_LIT("bert"),
        SPAN_LIT("$scrypt$ln=10,r=8,p=1$c2FsdHNhbHQ$AAAAAAAAAAAAAAAAAAAAAAAA"), SPAN_LIT("guest"),
        SPAN_NONE));
    assert_false(accounts_add(&accounts, SPAN_LIT("x"), SPAN_LIT("y"), SPAN_LIT("king"), SPAN_NONE));
    ask = (struct access_ask){.method = "DESCRIBE", .uri = SPAN_LIT("rtsp://h/cam")};
    ask.address = addr_of_v4((uint8_t[4]){10, 0, 0, 1});
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    accounts_done(&accounts);
    nonces_free(nonces);
    return 0;
}

/* What a client answers to our challenge. */
static void sign(struct auth_client *c, bool md5, const char *password)
{
    const struct auth_login login = {SPAN_LIT("anna"), span_of(password)};
    char lines[ACCESS_CHALLENGE_MAX];
    struct wr w = wr_of(lines, sizeof(lines)), out = wr_of(header, sizeof(header));
    struct span rest, line;

    account_challenge(&w, &now, &ask.address, false, false);
    assert_true(wr_ok(&w));
    rest = wr_span(&w);
    for (int i = 0; i <= md5; i++) assert_true(span_split(&rest, '\n', &line));
    line = span_trim(span_from(line, sizeof("WWW-Authenticate: ") - 1));
    if (c->nc == 0) {
        struct auth_challenge offered;

        assert_true(auth_challenge_next(&line, &offered));
        assert_int_equal(offered.hash, md5 ? CRYPTO_MD5 : CRYPTO_SHA256);
        assert_true(auth_client_challenged(c, &offered));
    }
    auth_authorization(c, &login, "DESCRIBE", ask.uri, 7, &out);
    ask.authorization = wr_span(&out);
}

static void digest(void **state)
{
    const struct account *who = NULL;

    (void)state;
    for (int md5 = 0; md5 < 2; md5++) {
        struct auth_client c = {.nc = 0};

        sign(&c, md5, "secret");
        assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_RIGHT);
        assert_string_equal(who->login, "anna");
        assert_string_equal(who->role, "user");
        /* The same once more is a replay; the next count is not. */
        assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_STALE);
        sign(&c, md5, "secret");
        assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_RIGHT);
        ask.address.b[15] ^= 1;
        sign(&c, md5, "secret");
        assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_STALE);
        ask.address.b[15] ^= 1;
        c = (struct auth_client){.nc = 0};
        sign(&c, md5, "wrong");
        assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_WRONG);
    }
}

static void old_nonces_and_md5(void **state)
{
    const struct account *who = NULL;
    struct auth_client c = {.nc = 0};

    (void)state;
    sign(&c, false, "secret");
    now.now_s += ACCOUNT_NONCE_S - 1;
    assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_RIGHT);
    sign(&c, false, "secret");
    now.now_s++;
    assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_STALE);
    c = (struct auth_client){.nc = 0};
    sign(&c, true, "secret");
    now.md5 = false;
    assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_WRONG);
}

static void basic(void **state)
{
    const struct account *who = NULL;

    (void)state;
    ask.authorization = SPAN_LIT("Basic YW5uYTpzZWNyZXQ="); /* anna:secret */
    assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_WRONG);
    ask.secure = true;
    assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_RIGHT);
    ask.authorization = SPAN_LIT("Basic YW5uYTpzZWNyZXU="); /* anna:secreu */
    assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_WRONG);
    ask.authorization = SPAN_LIT("Basic YmVydDpzbG93"); /* bert:slow */
    assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_SLOW);
    assert_string_equal(who->login, "bert");
    ask.authorization = SPAN_LIT("Basic ////");
    assert_int_equal(account_check(&now, &ask, &who), ACCOUNT_WRONG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(digest, setup, teardown),
        cmocka_unit_test_setup_teardown(old_nonces_and_md5, setup, teardown),
        cmocka_unit_test_setup_teardown(basic, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
