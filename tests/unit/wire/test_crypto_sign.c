/* common/wire: Ed25519 by the vectors of its RFCs, and what is no key. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/wr.h"
#include "common/wire/crypto.h"
#include "common/wire/crypto_sign.h"
#include "common/wire/hex.h"

/* RFC 8410, 10.3 and 10.1: the two halves of one key. */
#define SECRET_PEM                                                                                           \
    "-----BEGIN PRIVATE KEY-----\n"                                                                          \
    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"                                     \
    "-----END PRIVATE KEY-----\n"
#define PUBLIC_PEM                                                                                           \
    "-----BEGIN PUBLIC KEY-----\n"                                                                           \
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"                                         \
    "-----END PUBLIC KEY-----\n"

static void unhex(const char *digits, uint8_t *dst)
{
    for (; digits[0]; digits += 2)
        *dst++ = (uint8_t)(hex_digit((uint8_t)digits[0]) << 4 | hex_digit((uint8_t)digits[1]));
}

static void vectors(void **state)
{
    /* RFC 8032, 7.1: tests 1 and 3 */
    static const struct {
        const char *seed, *public, *text, *signature;
    } rows[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
            "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d2"
            "5bf5f0595bbe24655141438e7a100b"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
            "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a"
            "7c15e9716ed28dc027beceea1ec40a"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct crypto_key k = {.secret = true};
        uint8_t text[8], got[CRYPTO_SIGNATURE_N], want[CRYPTO_SIGNATURE_N];
        struct span s = span(text, strlen(rows[i].text) / 2);

        unhex(rows[i].seed, k.seed);
        unhex(rows[i].public, k.public);
        unhex(rows[i].text, text);
        unhex(rows[i].signature, want);
        assert_true(crypto_sign(&k, s, got));
        assert_memory_equal(got, want, sizeof(want));
        crypto_key_forget(&k);
        assert_true(crypto_signed_by(&k, s, span(got, sizeof(got))));
        for (size_t byte = 0; byte < sizeof(got); byte++) {
            got[byte] ^= 1;
            assert_false(crypto_signed_by(&k, s, span(got, sizeof(got))));
            got[byte] ^= 1;
        }
        assert_false(crypto_signed_by(&k, SPAN_LIT("another text"), span(got, sizeof(got))));
        assert_false(crypto_signed_by(&k, s, span(got, sizeof(got) - 1)));
    }
}

static void keys_are_text(void **state)
{
    struct crypto_key k, public, made, again;
    char pem[CRYPTO_PEM_MAX], print[CRYPTO_PRINT_MAX], other[CRYPTO_PRINT_MAX];

    (void)state;
    assert_true(crypto_key_read(SPAN_LIT(SECRET_PEM), &k));
    assert_true(k.secret);
    crypto_key_secret_pem(&k, pem);
    assert_string_equal(pem, SECRET_PEM);
    crypto_key_public_pem(&k, pem);
    assert_string_equal(pem, PUBLIC_PEM);
    assert_true(crypto_key_read(SPAN_LIT("\r\n " PUBLIC_PEM "\n"), &public));
    assert_false(public.secret);
    assert_memory_equal(public.public, k.public, sizeof(k.public));
    crypto_key_print(&k, print);
    crypto_key_print(&public, other);
    assert_string_equal(print, other);
    assert_int_equal(strlen(print), 64);
    assert_true(crypto_key_make(&made));
    crypto_key_secret_pem(&made, pem);
    assert_true(crypto_key_read(span_of(pem), &again));
    assert_memory_equal(&made, &again, sizeof(made));
    crypto_key_print(&made, other);
    assert_string_not_equal(print, other);
    crypto_key_forget(&made);
    assert_memory_equal(made.seed, (uint8_t[CRYPTO_KEY_N]){0}, CRYPTO_KEY_N);
}

static void what_is_no_key(void **state)
{
    static const char *const rows[] = {"", "-----BEGIN PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY----------END PRIVATE KEY-----",
        /* a byte short, a byte long, another algorithm (X25519) */
        "-----BEGIN PRIVATE KEY-----MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVg=-----END "
        "PRIVATE KEY-----",
        "-----BEGIN PRIVATE "
        "KEY-----MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhCAA==-----END "
        "PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----MCowBQYDK2VuAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=-----END "
        "PUBLIC "
        "KEY-----",
        /* the label of the other half */
        "-----BEGIN PUBLIC KEY-----MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC-----END "
        "PUBLIC KEY-----",
        "-----BEGIN PRIVATE KEY-----!!!!-----END PRIVATE KEY-----", SECRET_PEM PUBLIC_PEM};
    struct crypto_key k;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) assert_false(crypto_key_read(span_of(rows[i]), &k));
}

static void sums_in_pieces(void **state)
{
    uint8_t bytes[1000];
    struct span whole = span(bytes, sizeof(bytes));
    char want[2 * CRYPTO_HASH_MAX + 1], got[2 * CRYPTO_SHA256_N + 1];
    struct crypto_sum s;

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++) bytes[i] = (uint8_t)(i * 7);
    crypto_hash_hex(CRYPTO_SHA256, &whole, 1, want);
    for (size_t step = 1; step <= sizeof(bytes); step += 37) {
        crypto_sum_begin(&s);
        for (size_t at = 0; at < sizeof(bytes); at += step) crypto_sum_add(&s, span_sub(whole, at, step));
        crypto_sum_hex(&s, got);
        assert_string_equal(got, want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(keys_are_text),
        cmocka_unit_test(what_is_no_key),
        cmocka_unit_test(sums_in_pieces),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
