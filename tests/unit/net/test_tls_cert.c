/* common/net/tls_cert: pairs that belong together and those that do not, and our own certificates. */
#include "common/net/tls_cert.h"
#include "common/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct made {
    struct buf cert, key;
};

static void make(struct made *m, unsigned days, const char *name)
{
    const char *const names[] = {name, "127.0.0.1", "::1", "*.example.org"};

    buf_init(&m->cert, TLS_CERT_MAX);
    buf_init(&m->key, TLS_KEY_MAX);
    assert_true(tls_self_signed(names, ARRAY_N(names), days, &m->cert, &m->key));
}

static void drop(struct made *m)
{
    buf_done(&m->cert);
    buf_done(&m->key);
}

static void one_of_our_own_is_good(void **state)
{
    int64_t now_s = clock_wall_us() / US_PER_S;
    struct tls_facts facts;
    struct made m;

    (void)state;
    make(&m, 30, "cams.example.org");
    assert_int_equal(tls_pair_check(buf_span(&m.cert), buf_span(&m.key), &facts), 0);
    assert_string_equal(facts.subject, "cams.example.org");
    assert_int_equal(strlen(facts.print), 32 * 3 - 1);
    assert_true(facts.from_s <= now_s && facts.from_s > now_s - 2 * 86400);
    assert_true(facts.to_s > now_s + 29 * 86400 && facts.to_s < now_s + 31 * 86400);
    drop(&m);
}

static void each_mistake_has_its_name(void **state)
{
    struct made a, b;
    struct tls_facts facts;
    struct buf chain;
    struct span good;

    (void)state;
    make(&a, 30, "a");
    make(&b, 30, "b");
    good = buf_span(&a.key);
    assert_int_equal(tls_pair_check(SPAN_NONE, good, &facts), TLS_E_CERT);
    assert_int_equal(tls_pair_check(SPAN_LIT("nonsense"), good, &facts), TLS_E_CERT);
    assert_int_equal(tls_pair_check(span_sub(buf_span(&a.cert), 0, 200), good, &facts), TLS_E_CERT);
    assert_int_equal(tls_pair_check(buf_span(&a.cert), SPAN_NONE, &facts), TLS_E_KEY);
    assert_int_equal(tls_pair_check(buf_span(&a.cert), buf_span(&a.cert), &facts), TLS_E_KEY);
    assert_int_equal(tls_pair_check(buf_span(&a.cert), buf_span(&b.key), &facts), TLS_E_PAIR);
    /* A chain behind it, whole and broken. */
    buf_init(&chain, TLS_CERT_MAX);
    buf_put(&chain, buf_span(&a.cert));
    buf_put(&chain, buf_span(&b.cert));
    assert_int_equal(tls_pair_check(buf_span(&chain), good, &facts), 0);
    assert_int_equal(
        tls_pair_check(span_sub(buf_span(&chain), 0, buf_n(&chain) - 40), good, &facts), TLS_E_CHAIN);
    for (int c = TLS_E_CERT; c <= TLS_E_WEAK; c++) assert_true(strlen(tls_why(c)) > 10);
    buf_done(&chain);
    drop(&a);
    drop(&b);
}

/* 1024 bits, made by `openssl req -x509 -newkey rsa:1024 -nodes`. */
static void a_weak_key_is_refused(void **state)
{
    static const char cert[] = "-----BEGIN CERTIFICATE-----\n"
                               "MIIB+jCCAWOgAwIBAgIUbO0zPvJf6Otor8p3baQuw3q/m4MwDQYJKoZIhvcNAQEL\n"
                               "BQAwDzENMAsGA1UEAwwEd2VhazAeFw0yNjExMjIyMzUyMTNaFw0zNjExMTkyMzUy\n"
                               "MTNaMA8xDTALBgNVBAMMBHdlYWswgZ8wDQYJKoZIhvcNAQEBBQADgY0AMIGJAoGB\n"
                               "AJnmqSYY1jIFThE7JJc8QNJVMtf9Ru/UvpyW1puGIINjf4rzmTxsXTxDhyldvz66\n"
                               "EXkjsQ7Qol2bCHTamEv+PM/4n5JGreBApipABQkRvSVT6Ah++4VYcBwR3Pp2uH3e\n"
                               "h1N52LlkyJuzXmHZKVUL/S3GFrFR36GX+5AjBNqxnbjDAgMBAAGjUzBRMB0GA1Ud\n"
                               "DgQWBBQCd16+tFxUU1M3ZgDz5lf+inMYwTAfBgNVHSMEGDAWgBQCd16+tFxUU1M3\n"
                               "ZgDz5lf+inMYwTAPBgNVHRMBAf8EBTADAQH/MA0GCSqGSIb3DQEBCwUAA4GBABlj\n"
                               "mmqaGP1cIkp9ajGI/QPHtKTGk7N8W3oLrzIlNZ7ApNqEP8fNxy03ncd1qjy2SR+F\n"
                               "ihsXvxHtelskABtm4K4mganUhH0ghhUVPn7pnyu34KSK6SisIF6gNUeT9GuAaOpq\n"
                               "4GeW/OjhXzFH4eDWHwTeQ/s6g2DsdYH4TN5jv70S\n"
                               "-----END CERTIFICATE-----\n";
    static const char key[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIICdwIBADANBgkqhkiG9w0BAQEFAASCAmEwggJdAgEAAoGBAJnmqSYY1jIFThE7\n"
                              "JJc8QNJVMtf9Ru/UvpyW1puGIINjf4rzmTxsXTxDhyldvz66EXkjsQ7Qol2bCHTa\n"
                              "mEv+PM/4n5JGreBApipABQkRvSVT6Ah++4VYcBwR3Pp2uH3eh1N52LlkyJuzXmHZ\n"
                              "KVUL/S3GFrFR36GX+5AjBNqxnbjDAgMBAAECgYEAjtTC0UelqwC/ZkCEghN6eXp2\n"
                              "2HwIlNbWHI/lFqvRiv8RxMy1v502npJxY5PMxRN82felAIHi3oreu0yQoZ6PomfD\n"
                              "cRD4y6wg+R2NoTGr6gr1mu8kl5kFOqFYJflS21cOvbsrCeAmIPIqTbsiZcB85Oo/\n"
                              "u8m0CIcGc6oIwaU+ClkCQQDH/KBWeebqU9AsQ+rVldf1hwIoM8d7AWm4H675f+kK\n"
                              "Tb/Qk0ny5Lu9t3T5l9PGfTV172JDAYTaJqJNgbaj+LftAkEAxQGb4ohxz1FBqtbe\n"
                              "9fcCls0eenC5GQ6Q67gFDgrw67xVGq1/MJFFGEYQxg/LZT/WNR7804fkK0Od7OU0\n"
                              "xWy9bwJADl0LmwpoVl4srnE2VZ7MgvruYbrOUfxY/ntwEsVoFHBfHXjmr8ZT4Z1i\n"
                              "jmakNDZb95t44D0ksJJjx9NQLdi4RQJAYjvuJiRRU8Y5z107ajyULuvzAazJr2Pj\n"
                              "AZcN9jWgcnvDl/zhSi9126e8X3aqvj75qh1choHhVW1vBxw3lyYkwwJBAJHuIHHF\n"
                              "yuQc3+0V8egMK9BkFz22CVKkUiB7X9zCl3KxhbtlPU0oZUG5G7LZ2RPhXq0y3Ecr\n"
                              "PoP6vgyuXCcZ30k=\n"
                              "-----END PRIVATE KEY-----\n";
    struct tls_facts facts;

    (void)state;
    assert_int_equal(tls_pair_check(span_of(cert), span_of(key), &facts), TLS_E_WEAK);
}

static void names_that_cannot_be(void **state)
{
    static const char *const bad[] = {
        "", "a b", "a,IP:1.2.3.4", "a\n", "a:b", "-:", "x/y", "\xc3\xa4", "dirName:x"};
    struct buf cert, key;

    (void)state;
    buf_init(&cert, TLS_CERT_MAX);
    buf_init(&key, TLS_KEY_MAX);
    for (size_t i = 0; i < ARRAY_N(bad); i++) assert_false(tls_self_signed(&bad[i], 1, 1, &cert, &key));
    assert_false(tls_self_signed(NULL, 0, 1, &cert, &key));
    assert_int_equal(buf_n(&cert) + buf_n(&key), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_our_own_is_good),
        cmocka_unit_test(each_mistake_has_its_name),
        cmocka_unit_test(a_weak_key_is_refused),
        cmocka_unit_test(names_that_cannot_be),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
