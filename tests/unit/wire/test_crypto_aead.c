/* common/wire/crypto_aead: AES-256-GCM. */
#include "common/wire/crypto_aead.h"
#include "common/base/wr.h"
#include "common/wire/hex.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 and 14. */
static void vectors(void **state)
{
    static const char *const rows[][2] = {{"", "530f8afbc74536b9a963b4f1c4cb738b"},
        {"00000000000000000000000000000000",
            "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"}};
    const uint8_t key[AEAD_KEY_N] = {0}, nonce[AEAD_NONCE_N] = {0}, plain[16] = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        size_t n = strlen(rows[i][0]) / 2;
        uint8_t sealed[64], opened[64];
        char text[129];
        struct wr w = wr_of(text, sizeof(text));

        assert_true(aead_seal(key, nonce, SPAN_NONE, span(plain, n), sealed));
        hex_write(&w, span(sealed, n + AEAD_TAG_N));
        assert_string_equal(wr_cstr(&w), rows[i][1]);
        assert_true(aead_open(key, nonce, SPAN_NONE, span(sealed, n + AEAD_TAG_N), opened));
        assert_memory_equal(opened, plain, n);
    }
}

static void what_is_changed_is_refused(void **state)
{
    const uint8_t key[AEAD_KEY_N] = {1}, other[AEAD_KEY_N] = {2};
    const uint8_t nonce[AEAD_NONCE_N] = {3}, later[AEAD_NONCE_N] = {4};
    const struct span head = SPAN_LIT("head"), plain = SPAN_LIT("what nobody sees");
    uint8_t sealed[16 + AEAD_TAG_N], opened[32];
    struct span s = span(sealed, sizeof(sealed));

    (void)state;
    assert_true(aead_seal(key, nonce, head, plain, sealed));
    assert_true(aead_open(key, nonce, head, s, opened));
    assert_true(span_eq(span(opened, plain.n), plain));
    assert_false(aead_open(other, nonce, head, s, opened));
    assert_false(aead_open(key, later, head, s, opened));
    assert_false(aead_open(key, nonce, SPAN_LIT("heaD"), s, opened));
    assert_false(aead_open(key, nonce, head, span_sub(s, 0, s.n - 1), opened));
    assert_false(aead_open(key, nonce, head, span_sub(s, 0, AEAD_TAG_N - 1), opened));
    sealed[0] ^= 1;
    assert_false(aead_open(key, nonce, head, s, opened));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors),
        cmocka_unit_test(what_is_changed_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
