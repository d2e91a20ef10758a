/* common/proto/auth: challenges of cameras, the RFC's own examples, both sides against each other. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/proto/auth.h"

/* Computed with another implementation (Python's hashlib). */
#define RFC2069   "dec85bd4005a43b666c89db8e92a1d19"
#define SHA256QOP "d4f3585b2a882b1758efab38f06c8aa3e911203172c3a910655bf323260d2f08"

static const struct auth_login LOGIN = {
    {(const uint8_t *)"Mufasa", 6}, {(const uint8_t *)"Circle of Life", 14}};

static bool challenge(const char *value, struct auth_challenge *c)
{
    struct span rest = span_of(value);

    return auth_challenge_next(&rest, c);
}

static void spellings(void **state)
{
    static const struct {
        const char *value, *realm, *nonce, *opaque;
        enum crypto_hash hash;
        bool qop, stale, named, quoted;
    } rows[] = {
        /* Longse, Hikvision, Dahua (U3, U4) */
        {"Digest realm=\"Surveillance Server\", nonce=\"98481030\"", "Surveillance Server", "98481030", "",
            CRYPTO_MD5, 0, 0, 0, 0},
        {"Digest realm=\"IP Camera(AB705)\",nonce=\"a\",algorithm=\"SHA-256\",stale=\"FALSE\"",
            "IP Camera(AB705)", "a", "", CRYPTO_SHA256, 0, 0, 1, 1},
        {"digest  REALM = r , NONCE=n,opaque=\"\", STALE=TRUE ,qop=\"auth,auth-int\",algorithm=md5", "r", "n",
            "", CRYPTO_MD5, 1, 1, 1, 0},
        {"Digest realm=\"r\" nonce=\"n\" qop=auth opaque=\"o\"", "r", "n", "o", CRYPTO_MD5, 1, 0, 0, 0},
        {"Digest realm=IP Camera, nonce=n stale=true", "IP Camera", "n", "", CRYPTO_MD5, 0, 1, 0, 0},
        {"Digest realm=\"IP \"Camera\"\", nonce=\"n\"", "IP \"Camera\"", "n", "", CRYPTO_MD5, 0, 0, 0, 0},
        {"Digest realm=\"a\\\"b\\\\\", nonce=\"n\"", "a\"b\\", "n", "", CRYPTO_MD5, 0, 0, 0, 0},
        {"Digest realm=\"r\", nonce=\"n", "r", "n", "", CRYPTO_MD5, 0, 0, 0, 0},
        {"Digest realm=\"\", nonce=\"n\", algorithm=SHA-512-256, qop=\"\"", "", "n", "", CRYPTO_SHA512_256, 0,
            0, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct auth_challenge c;

        assert_true(challenge(rows[i].value, &c));
        assert_int_equal(c.scheme, AUTH_DIGEST);
        assert_string_equal(c.realm, rows[i].realm);
        assert_string_equal(c.nonce, rows[i].nonce);
        assert_string_equal(c.opaque, rows[i].opaque);
        assert_int_equal(c.hash, rows[i].hash);
        assert_int_equal(c.qop_auth, rows[i].qop);
        assert_int_equal(c.stale, rows[i].stale);
        assert_int_equal(c.hash_named, rows[i].named);
        assert_int_equal(c.hash_quoted, rows[i].quoted);
    }
}

static void unusable(void **state)
{
    static const char *const rows[] = {"", " ", ",", "Digest ", "Digest realm=\"r\"", "Negotiate",
        "Bearer realm=x", "Digest realm=\"r\", nonce=\"n\", algorithm=FOO",
        "Digest realm=\"r\", nonce=\"n\", qop=auth-int", "=\"", "\"\"\""};
    char big[AUTH_NONCE_MAX + 64];
    struct auth_challenge c;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) assert_false(challenge(rows[i], &c));
    snprintf(big, sizeof(big), "Digest nonce=\"%0*d\"", AUTH_NONCE_MAX - 1, 0);
    assert_true(challenge(big, &c));
    snprintf(big, sizeof(big), "Digest nonce=\"%0*d\"", AUTH_NONCE_MAX, 0);
    assert_false(challenge(big, &c));
}

/* U1 */
static void strongest_is_picked(void **state)
{
    static const struct {
        const char *fields;
        bool basic_ok;
        int want; /* crypto_hash, 0: Basic, -1: none */
    } rows[] = {
        {"WWW-Authenticate: Basic realm=\"r\"\r\nWWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n", true,
            CRYPTO_MD5},
        {"WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\nWww-Authenticate: Digest realm=\"r\", "
         "nonce=\"n\", algorithm=SHA-256\r\n",
            true, CRYPTO_SHA256},
        {"WWW-Authenticate: Basic realm=\"r\", Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256, "
         "Digest nonce=\"n\"\r\n",
            true, CRYPTO_SHA512_256},
        {"WWW-Authenticate: Basic\r\n", true, 0},
        {"WWW-Authenticate: Basic realm=\"r\"\r\n", false, -1},
        {"WWW-Authenticate: Foo realm=\"r\"\r\n", true, -1},
        {"", true, -1},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct auth_challenge c;
        char text[512];
        struct head h;
        bool found;

        snprintf(text, sizeof(text), "RTSP/1.0 401 Unauthorized\r\n%s\r\n", rows[i].fields);
        assert_int_equal(head_parse(span_of(text), &h), 0);
        found = auth_pick(&h, rows[i].basic_ok, &c);
        assert_int_equal(found, rows[i].want >= 0);
        if (rows[i].want == 0) assert_int_equal(c.scheme, AUTH_BASIC);
        if (rows[i].want > 0) assert_int_equal(c.hash, rows[i].want);
    }
}

static const char *answer(
    struct auth_client *a, const struct auth_login *l, const char *method, const char *uri, uint64_t cnonce)
{
    static char text[AUTH_HEADER_MAX];
    struct wr w = wr_of(text, sizeof(text));

    auth_authorization(a, l, method, span_of(uri), cnonce, &w);
    return wr_cstr(&w);
}

static void known_answers(void **state)
{
    struct auth_client a = {0};
    struct auth_challenge c;
    const struct auth_login aladdin = {SPAN_LIT("Aladdin"), SPAN_LIT("open sesame")};
    const struct auth_login admin = {SPAN_LIT("admin"), SPAN_LIT("")};

    (void)state;
    assert_string_equal(answer(&a, &LOGIN, "GET", "/", 1), "");
    /* RFC 7617 section 2. */
    assert_true(challenge("Basic realm=\"WallyWorld\"", &c));
    assert_true(auth_client_challenged(&a, &c));
    assert_string_equal(answer(&a, &aladdin, "GET", "/", 1), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    /* RFC 2069 form, by hand: MD5(MD5(admin:r:):n:MD5(DESCRIBE:rtsp://h/)). */
    assert_true(challenge("Digest realm=\"r\", nonce=\"n\"", &c));
    assert_true(auth_client_challenged(&a, &c));
    assert_string_equal(answer(&a, &admin, "DESCRIBE", "rtsp://h/", 1),
        "Digest username=\"admin\", realm=\"r\", nonce=\"n\", uri=\"rtsp://h/\", response=\"" RFC2069 "\"");
    /* The algorithm is echoed the way it came (U2), nc counts (U4). */
    assert_true(
        challenge("Digest realm=\"r\", nonce=\"n2\", algorithm=\"SHA-256\", qop=\"auth\", opaque=\"\"", &c));
    assert_true(auth_client_challenged(&a, &c));
    answer(&a, &admin, "DESCRIBE", "rtsp://h/", 255);
    assert_string_equal(answer(&a, &admin, "DESCRIBE", "rtsp://h/", 255),
        "Digest username=\"admin\", realm=\"r\", nonce=\"n2\", uri=\"rtsp://h/\", response=\"" SHA256QOP
        "\", algorithm=\"SHA-256\", opaque=\"\", qop=auth, nc=00000002, cnonce=\"00000000000000ff\"");
}

/* U6 */
static void nonces(void **state)
{
    struct auth_client a = {0};
    struct auth_challenge c;

    (void)state;
    assert_true(challenge("Digest realm=\"r\", nonce=\"1\", qop=auth", &c));
    assert_true(auth_client_challenged(&a, &c));
    answer(&a, &LOGIN, "PLAY", "x", 1);
    assert_int_equal(a.nc, 1);
    assert_false(auth_client_challenged(&a, &c));
    assert_true(challenge("Digest realm=\"r\", nonce=\"2\", qop=auth, stale=true", &c));
    assert_true(auth_client_challenged(&a, &c));
    assert_int_equal(a.nc, 0);
}

static void both_sides_agree(void **state)
{
    static const struct {
        enum auth_scheme scheme;
        enum crypto_hash hash;
        bool qop;
        const char *signed_uri, *asked_uri;
        enum auth_verdict want;
    } rows[] = {
        {AUTH_BASIC, CRYPTO_MD5, false, "rtsp://h/p", "rtsp://h/p", AUTH_OK},
        {AUTH_DIGEST, CRYPTO_MD5, false, "rtsp://h/p", "rtsp://h/p", AUTH_OK},
        {AUTH_DIGEST, CRYPTO_MD5, true, "rtsp://h/p", "rtsp://h/p", AUTH_OK},
        {AUTH_DIGEST, CRYPTO_SHA256, true, "rtsp://h/p", "rtsp://h/p", AUTH_OK},
        {AUTH_DIGEST, CRYPTO_SHA512_256, false, "rtsp://h/p", "rtsp://h/p", AUTH_OK},
        /* U5: VLC, HappyTime, Bosch */
        {AUTH_DIGEST, CRYPTO_MD5, false, "rtsp://h/p/", "rtsp://h/p/trackID=1", AUTH_OK},
        {AUTH_DIGEST, CRYPTO_MD5, false, "rtsp://h/p", "rtsp://h/p/trackID=1", AUTH_OK},
        {AUTH_DIGEST, CRYPTO_MD5, false, "/p/", "rtsp://h:8554/p", AUTH_OK},
        {AUTH_DIGEST, CRYPTO_MD5, false, "/other", "rtsp://h/p", AUTH_E_URI},
        {AUTH_DIGEST, CRYPTO_MD5, false, "rtsp://h/p", "rtsp://h/private", AUTH_E_URI},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct auth_offer o = {rows[i].scheme, rows[i].hash, rows[i].qop, false, "a \"realm\"", "nonce1"};
        struct auth_login wrong = {LOGIN.user, SPAN_LIT("other")};
        struct auth_client a = {0};
        struct auth_challenge c;
        struct auth_given g;
        char text[1024];
        struct wr w = wr_of(text, sizeof(text));

        auth_challenge_write(&w, &o);
        assert_true(challenge(wr_cstr(&w), &c));
        auth_client_challenged(&a, &c);
        assert_true(auth_given(span_of(answer(&a, &LOGIN, "SETUP", rows[i].signed_uri, 77)), &g));
        assert_int_equal(auth_verify(&g, &o, &LOGIN, "SETUP", span_of(rows[i].asked_uri)), rows[i].want);
        if (rows[i].want != AUTH_OK) continue;
        assert_int_equal(auth_verify(&g, &o, &wrong, "SETUP", span_of(rows[i].asked_uri)), AUTH_E_LOGIN);
        if (rows[i].scheme == AUTH_BASIC) continue;
        assert_int_equal(auth_verify(&g, &o, &LOGIN, "PLAY", span_of(rows[i].asked_uri)), AUTH_E_LOGIN);
        o.nonce = "nonce2";
        assert_int_equal(auth_verify(&g, &o, &LOGIN, "SETUP", span_of(rows[i].asked_uri)), AUTH_E_NONCE);
    }
}

/* RFC 7616 section 3.9.1. */
static void examples_of_the_rfc(void **state)
{
    static const struct {
        enum crypto_hash hash;
        const char *algorithm, *response;
    } rows[] = {
        {CRYPTO_MD5, "MD5", "8ca523f5e9506fed4657c9700eebdbec"},
        {CRYPTO_SHA256, "SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"},
    };
    static const char nonce[] = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct auth_offer o = {AUTH_DIGEST, rows[i].hash, true, false, "http-auth@example.org", nonce};
        struct auth_given g;
        char text[1024];

        snprintf(text, sizeof(text),
            "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", "
            "algorithm=%s, "
            "nonce=\"%s\", nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, "
            "response=\"%s\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\"",
            rows[i].algorithm, nonce, rows[i].response);
        assert_true(auth_given(span_of(text), &g));
        assert_int_equal(auth_verify(&g, &o, &LOGIN, "GET", SPAN_LIT("/dir/index.html")), AUTH_OK);
    }
}

static void session_variant(void **state)
{
    struct auth_offer o = {AUTH_DIGEST, CRYPTO_MD5, true, false, "r", "n"};
    struct auth_client a = {0};
    struct auth_challenge c;
    struct auth_given g;

    (void)state;
    assert_true(challenge("Digest realm=\"r\", nonce=\"n\", qop=\"auth\", algorithm=MD5-sess", &c));
    auth_client_challenged(&a, &c);
    assert_true(auth_given(span_of(answer(&a, &LOGIN, "PLAY", "/p", 5)), &g));
    assert_true(g.sess);
    assert_int_equal(auth_verify(&g, &o, &LOGIN, "PLAY", SPAN_LIT("/p")), AUTH_OK);
}

static void broken_answers(void **state)
{
    static const char *const rows[] = {"", " ", "Digest ", "Basic ", "Foo x", "Digest username=\"a\"",
        "Digest username=\"a\", nonce=\"b\", uri=\"c\", response=\"d\", algorithm=X", "=\""};
    struct auth_offer o = {AUTH_BASIC, CRYPTO_MD5, false, false, "r", "n"};
    struct auth_given g;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) assert_false(auth_given(span_of(rows[i]), &g));
    assert_true(auth_given(SPAN_LIT("Basic 0"), &g));
    assert_int_equal(auth_verify(&g, &o, &LOGIN, "GET", SPAN_LIT("/")), AUTH_E_LOGIN);
    assert_true(auth_given(SPAN_LIT("Basic TXVmYXNh"), &g)); /* no colon in it */
    assert_int_equal(auth_verify(&g, &o, &LOGIN, "GET", SPAN_LIT("/")), AUTH_E_LOGIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spellings),
        cmocka_unit_test(unusable),
        cmocka_unit_test(strongest_is_picked),
        cmocka_unit_test(known_answers),
        cmocka_unit_test(nonces),
        cmocka_unit_test(both_sides_agree),
        cmocka_unit_test(examples_of_the_rfc),
        cmocka_unit_test(session_variant),
        cmocka_unit_test(broken_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
