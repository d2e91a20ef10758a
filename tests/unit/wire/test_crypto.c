/* common/wire: digests by their published vectors, base64 and hex. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/wire/base64.h"
#include "common/wire/crypto.h"
#include "common/wire/hex.h"

static void digests(void **state)
{
    static const struct {
        enum crypto_hash hash;
        const char *empty, *abc;
    } rows[] = {
        {CRYPTO_MD5, "d41d8cd98f00b204e9800998ecf8427e", "900150983cd24fb0d6963f7d28e17f72"},
        {CRYPTO_SHA1, "da39a3ee5e6b4b0d3255bfef95601890afd80709", "a9993e364706816aba3e25717850c26c9cd0d89d"},
        {CRYPTO_SHA256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {CRYPTO_SHA512_256, "c672b8d1ef56ed28ab87c3622c5114069bdd3ad7b8f9737498d0c01ecef0967a",
            "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"},
    };
    const struct span pieces[] = {SPAN_LIT("a"), SPAN_NONE, SPAN_LIT("bc")};
    char text[2 * CRYPTO_HASH_MAX + 1];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        crypto_hash_hex(rows[i].hash, NULL, 0, text);
        assert_string_equal(text, rows[i].empty);
        crypto_hash_hex(rows[i].hash, pieces, ARRAY_N(pieces), text);
        assert_string_equal(text, rows[i].abc);
        assert_int_equal(strlen(text), 2 * crypto_hash_n(rows[i].hash));
    }
}

static void hmac(void **state)
{
    /* RFC 4231, cases 1, 2 and 6. */
    static const char *const want[] = {"b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"};
    uint8_t k1[20], k6[131], value[CRYPTO_SHA256_N];
    struct span data[] = {SPAN_LIT("Hi There"), SPAN_LIT("what do ya want for nothing?"),
        SPAN_LIT("Test Using Larger Than Block-Size Key - Hash Key First")};
    struct span keys[] = {span(k1, sizeof(k1)), SPAN_LIT("Jefe"), span(k6, sizeof(k6))};

    (void)state;
    memset(k1, 0x0b, sizeof(k1));
    memset(k6, 0xaa, sizeof(k6));
    for (size_t i = 0; i < ARRAY_N(want); i++) {
        struct span pieces[] = {span_sub(data[i], 0, 3), span_from(data[i], 3)};
        char text[65];
        struct wr w = wr_of(text, sizeof(text));

        crypto_hmac_sha256(keys[i], pieces, ARRAY_N(pieces), value);
        hex_write(&w, span(value, sizeof(value)));
        assert_string_equal(wr_cstr(&w), want[i]);
    }
}

static void equality(void **state)
{
    (void)state;
    assert_true(crypto_equal(SPAN_LIT("abc"), SPAN_LIT("abc")));
    assert_false(crypto_equal(SPAN_LIT("abc"), SPAN_LIT("abd")));
    assert_false(crypto_equal(SPAN_LIT("abc"), SPAN_LIT("abcd")));
    assert_true(crypto_equal(SPAN_NONE, SPAN_NONE));
}

static void base64(void **state)
{
    /* RFC 4648, section 10. */
    static const char *const rows[][2] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"},
        {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"}, {"\xff\xef\xbf", "/++/"}};
    static const char *const bad[] = {"A", "Zm9vY", "Z===", "Zm=9", "Zg==Zg==", "Zg===", "Z!", "=", "Zm9v="};
    char text[64];
    struct wr w;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        w = wr_of(text, sizeof(text));
        base64_write(&w, span_of(rows[i][0]));
        assert_string_equal(wr_cstr(&w), rows[i][1]);
        assert_int_equal(w.n, BASE64_N(strlen(rows[i][0])));
        w = wr_of(text, sizeof(text));
        assert_true(base64_read(span_of(rows[i][1]), &w));
        assert_string_equal(wr_cstr(&w), rows[i][0]);
    }
    for (size_t i = 0; i < ARRAY_N(bad); i++) {
        w = wr_of(text, sizeof(text));
        assert_false(base64_read(span_of(bad[i]), &w));
    }
    w = wr_of(text, sizeof(text));
    assert_true(base64_read(SPAN_LIT(" Zm9v\r\nYg"), &w) && span_is(wr_span(&w), "foob"));
    w = wr_of(text, 3);
    assert_false(base64_read(SPAN_LIT("Zm9vYg=="), &w));
    w = wr_of(text, sizeof(text));
    base64url_write(&w, SPAN_LIT("\xff\xef\xbf\x01"));
    assert_string_equal(wr_cstr(&w), "_--_AQ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digests),
        cmocka_unit_test(hmac),
        cmocka_unit_test(equality),
        cmocka_unit_test(base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
