/* Tokens: what is minted is verified, what is forged is refused: C22, R16. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/wire/base64.h"
#include "common/wire/crypto.h"
#include "common/wire/token.h"

#include <stdlib.h>

#define NOW 1700000000

static struct token_keys keys;
static const struct token_check check = {&keys, "1", NOW};

static int setup(void **state)
{
    (void)state;
    keys = (struct token_keys){.n = 0};
    assert_true(token_keys_add(&keys, SPAN_LIT("0"), SPAN_LIT("the first secret"), 0, 0));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    token_keys_done(&keys);
    return 0;
}

static struct token sample(void)
{
    struct token t = {.audience = "1",
        .user = "anna",
        .id = {1, 2, 3},
        .streams = {"cam-1", "door*"},
        .n_streams = 2,
        .ops = TOKEN_LIVE | TOKEN_DVR,
        .not_before_s = NOW - 10,
        .not_after_s = NOW + 100,
        .from_s = NOW - 3600,
        .to_s = NOW,
        .bound = true,
        .address = {[10] = 0xff, 0xff, 10, 0, 0, 7},
        .address_bits = 128,
        .sessions_max = 3,
        .made_us = NOW * 1000000ll};

    return t;
}

static int verify(const char *text)
{
    struct token t;
    int64_t until;

    return token_verify(&check, span_of(text), &t, &until);
}

static void round_trip(void **state)
{
    struct token t = sample(), back;
    char text[TOKEN_TEXT_MAX];
    int64_t until;

    (void)state;
    assert_true(token_mint(&keys, &t, NOW, text));
    assert_memory_equal(text, "v1.0.", 5);
    assert_int_equal(token_verify(&check, span_of(text), &back, &until), 0);
    assert_memory_equal(&t, &back, sizeof(t));
    assert_int_equal(until, NOW + 100 + TOKEN_SKEW_S);
    assert_int_equal(until, token_good_until(t.not_after_s));
    t.not_after_s = 0;
    assert_true(token_mint(&keys, &t, NOW, text));
    assert_int_equal(token_verify(&check, span_of(text), &back, &until), 0);
    assert_int_equal(until, 0);
    assert_int_equal(token_good_until(0), 0);
}

/* At the edge of the skew and one second behind it. */
static void times(void **state)
{
    static const struct {
        int64_t before, after;
        int result;
    } rows[] = {
        {NOW + TOKEN_SKEW_S, 0, 0},
        {NOW + TOKEN_SKEW_S + 1, 0, TOKEN_E_TIME},
        {0, NOW - TOKEN_SKEW_S + 1, 0},
        {0, NOW - TOKEN_SKEW_S, TOKEN_E_TIME},
        {0, 1, TOKEN_E_TIME},
    };
    struct token t = sample();
    char text[TOKEN_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        t.not_before_s = rows[i].before;
        t.not_after_s = rows[i].after;
        assert_true(token_mint(&keys, &t, NOW, text));
        assert_int_equal(verify(text), rows[i].result);
    }
}

static void streams(void **state)
{
    struct token t = sample();

    (void)state;
    assert_true(token_fits_stream(&t, SPAN_LIT("cam-1")));
    assert_true(token_fits_stream(&t, SPAN_LIT("door")));
    assert_true(token_fits_stream(&t, SPAN_LIT("door-7")));
    assert_false(token_fits_stream(&t, SPAN_LIT("cam-10")));
    assert_false(token_fits_stream(&t, SPAN_LIT("cam-")));
    assert_false(token_fits_stream(&t, SPAN_LIT("xdoor")));
    t.n_streams = 0;
    assert_false(token_fits_stream(&t, SPAN_LIT("cam-1")));
    assert_true(token_pattern_ok(SPAN_LIT("*")) && token_pattern_ok(SPAN_LIT("a_b-c.d*")));
    assert_false(token_pattern_ok(SPAN_LIT("")) || token_pattern_ok(SPAN_LIT("a*b")) ||
        token_pattern_ok(SPAN_LIT("**")) || token_pattern_ok(SPAN_LIT("a b")));
    assert_true(token_pattern_ok(SPAN_LIT("abcdefghijklmnopqrstuvwxyz0123456789")));
    assert_true(token_pattern_ok(SPAN_LIT("abcdefghijklmnopqrstuvwxyz0123456789*")));
    assert_false(token_pattern_ok(SPAN_LIT("abcdefghijklmnopqrstuvwxyz0123456789x")));
}

static void operations(void **state)
{
    unsigned ops;

    (void)state;
    assert_true(token_ops_of(SPAN_LIT("live, dvr,copy"), &ops));
    assert_int_equal(ops, TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY);
    assert_false(token_ops_of(SPAN_LIT("live,all"), &ops) || token_ops_of(SPAN_NONE, &ops) ||
        token_ops_of(SPAN_LIT("live,"), &ops));
}

/* Two keys at once; the newest good one signs; each dies at its own time, without a skew. */
static void rotation(void **state)
{
    struct token t = sample();
    char old_text[TOKEN_TEXT_MAX], text[TOKEN_TEXT_MAX];
    struct token_check later = check;
    int64_t until;

    (void)state;
    t.not_after_s = 0;
    assert_true(token_mint(&keys, &t, NOW, old_text));
    keys.v[0].not_after_s = NOW + 60;
    assert_true(token_keys_add(&keys, SPAN_LIT("k2"), SPAN_LIT("the second"), NOW, 0));
    assert_true(token_keys_add(&keys, SPAN_LIT("k3"), SPAN_LIT("of tomorrow"), NOW + 86400, 0));
    assert_true(token_mint(&keys, &t, NOW, text));
    assert_memory_equal(text, "v1.k2.", 6);
    assert_int_equal(verify(text), 0);
    assert_int_equal(token_verify(&check, span_of(old_text), &t, &until), 0);
    assert_int_equal(until, NOW + 60);
    later.now_s = NOW + 60;
    assert_int_equal(token_verify(&later, span_of(old_text), &t, &until), TOKEN_E_FORGED);
    later.now_s = NOW - 1;
    assert_int_equal(token_verify(&later, span_of(text), &t, &until), TOKEN_E_FORGED);
    assert_false(token_keys_add(&keys, SPAN_LIT("a.b"), SPAN_LIT("x"), 0, 0));
    assert_false(token_keys_add(&keys, SPAN_LIT("k"), SPAN_NONE, 0, 0));
}

/* Every byte changed, every length cut, every byte added. */
static void forged(void **state)
{
    struct token t = sample();
    char text[TOKEN_TEXT_MAX], bad[TOKEN_TEXT_MAX + 8];
    size_t n;

    (void)state;
    assert_true(token_mint(&keys, &t, NOW, text));
    n = strlen(text);
    for (size_t i = 0; i < n; i++) {
        memcpy(bad, text, n + 1);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        assert_int_equal(verify(bad), TOKEN_E_FORGED);
        memcpy(bad, text, i);
        bad[i] = 0;
        assert_int_equal(verify(bad), TOKEN_E_FORGED);
    }
    for (size_t i = 0; i < 4; i++) {
        static const char *const tails[] = {"=", "A", ".", " "};

        snprintf(bad, sizeof(bad), "%s%s", text, tails[i]);
        assert_int_equal(verify(bad), TOKEN_E_FORGED);
    }
    snprintf(bad, sizeof(bad), "v1.1.%s", text + 5);
    assert_int_equal(verify(bad), TOKEN_E_FORGED);
    snprintf(bad, sizeof(bad), "v1..%s", text + 5);
    assert_int_equal(verify(bad), TOKEN_E_FORGED);
    snprintf(bad, sizeof(bad), "none.0.%s", text + 5);
    assert_int_equal(verify(bad), TOKEN_E_FORGED);
    assert_int_equal(verify(""), TOKEN_E_FORGED);
    assert_int_equal(verify("v1.0.."), TOKEN_E_FORGED);
}

/* A payload signed with our key whose fields are not what they must be. */
static void signed_by_hand(const uint8_t *payload, size_t n, char *ret)
{
    const struct span pieces[] = {span("msv1", 5), SPAN_LIT("0"), span("", 1), span(payload, n)};
    struct wr w = wr_of(ret, TOKEN_TEXT_MAX);
    uint8_t mac[CRYPTO_SHA256_N];

    crypto_hmac_sha256(SPAN_LIT("the first secret"), pieces, ARRAY_N(pieces), mac);
    wr_text(&w, "v1.0.");
    base64url_write(&w, span(payload, n));
    wr_text(&w, ".");
    base64url_write(&w, span(mac, sizeof(mac)));
    wr_cstr(&w);
}

static void payloads(void **state)
{
    struct token t = sample(), back;
    uint8_t mem[TOKEN_PAYLOAD_MAX + 4];
    struct wr w = wr_of(mem, sizeof(mem));
    char text[TOKEN_TEXT_MAX];

    (void)state;
    token_write(&w, &t);
    signed_by_hand(mem, w.n, text);
    assert_int_equal(verify(text), 0);
    for (size_t i = 0; i < w.n; i++) assert_false(token_read(span(mem, i), &back));
    mem[w.n] = 0;
    assert_false(token_read(span(mem, w.n + 1), &back));
    /* A boundary that has moved: the audience takes a byte of the user. */
    mem[1]++;
    signed_by_hand(mem, w.n, text);
    assert_int_equal(verify(text), TOKEN_E_FORGED);
    mem[1]--;
    t.ops = 32;
    w.n = 0;
    token_write(&w, &t);
    assert_false(token_read(wr_span(&w), &back));
    t = sample();
    t.not_after_s = -1;
    assert_false(token_mint(&keys, &t, NOW, text));
    t = sample();
    snprintf(t.user, sizeof(t.user), "a\nb");
    assert_false(token_mint(&keys, &t, NOW, text));
    t = sample();
    snprintf(t.audience, sizeof(t.audience), "2");
    assert_true(token_mint(&keys, &t, NOW, text));
    assert_int_equal(verify(text), TOKEN_E_AUDIENCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(times, setup, teardown),
        cmocka_unit_test(streams),
        cmocka_unit_test(operations),
        cmocka_unit_test_setup_teardown(rotation, setup, teardown),
        cmocka_unit_test_setup_teardown(forged, setup, teardown),
        cmocka_unit_test_setup_teardown(payloads, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
