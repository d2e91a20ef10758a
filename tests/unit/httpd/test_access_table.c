/* Road x credential x answer, over the real server: every row of the route table, so that a route without an
 * expectation here fails. Forged tokens are refused with one and the same answer (C22, R16, R19). */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/wire/base64.h"
#include "common/wire/crypto.h"
#include "common/wire/http_fields.h"
#include "httpd/auth.h"
#include "httpd/routes.h"
#include "tests/support/httpd_help.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECRET "a secret of this test"
#define FROM_S 1700000000
#define TO_S   1700003600

static struct httpd_help help;

/* What each route is about; an example of its path, with '%' for the stream. */
static const struct {
    const char *pattern, *path;
    enum access_op op;
    enum access_road road;
} expected[] = {
    {"/live/:uid/playlist.m3u8", "/live/%/playlist.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/live/:uid/playlist_ios.m3u8", "/live/%/playlist_ios.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/live/:uid/video.m3u8", "/live/%/video.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/live/:uid/preview.mp4", "/live/%/preview.mp4", ACCESS_PREVIEW, ROAD_PICTURE},
    {"/live/:uid/preview.jpg", "/live/%/preview.jpg", ACCESS_PREVIEW, ROAD_PICTURE},
    {"/live/:uid/live-init-*.mp4", "/live/%/live-init-1.mp4", ACCESS_LIVE, ROAD_HLS},
    {"/live/:uid/live-*.m4s", "/live/%/live-1.m4s", ACCESS_LIVE, ROAD_HLS},
    {"/dvr/:uid/playlist.m3u8", "/dvr/%/playlist.m3u8?timestamp=1700000000&duration=60", ACCESS_DVR,
        ROAD_HLS},
    {"/dvr/:uid/playlist_ios.m3u8", "/dvr/%/playlist_ios.m3u8?timestamp=1700000000&duration=60", ACCESS_DVR,
        ROAD_HLS},
    {"/dvr/:uid/record.mp4", "/dvr/%/record.mp4?timestamp=1700000000&duration=60", ACCESS_COPY, ROAD_MP4},
    {"/dvr/:uid/screenshot.mp4", "/dvr/%/screenshot.mp4?timestamp=1700000000", ACCESS_DVR, ROAD_PICTURE},
    {"/dvr/:uid/screenshot.jpg", "/dvr/%/screenshot.jpg?timestamp=1700000000", ACCESS_DVR, ROAD_PICTURE},
    {"/dvr/:uid/dvr-init-*-*.mp4", "/dvr/%/dvr-init-00000000-1.mp4", ACCESS_DVR, ROAD_HLS},
    {"/dvr/:uid/dvr-*-*-*-*.m4s", "/dvr/%/dvr-00000000-1-0-1.m4s", ACCESS_DVR, ROAD_HLS},
    {"/:uid/index.m3u8", "/%/index.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/video.m3u8", "/%/video.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/mono.m3u8", "/%/mono.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/live-init-*.mp4", "/%/live-init-1.mp4", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/live-*.m4s", "/%/live-1.m4s", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/index.ll.m3u8", "/%/index.ll.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/video.ll.m3u8", "/%/video.ll.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/live-*.*.m4s", "/%/live-1.1.m4s", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/mpegts.m3u8", "/%/mpegts.m3u8", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/live-*.ts", "/%/live-1.ts", ACCESS_LIVE, ROAD_HLS},
    {"/:uid/mpegts", "/%/mpegts", ACCESS_LIVE, ROAD_TS},
    {"/:uid/mse_ld", "/%/mse_ld", ACCESS_LIVE, ROAD_WS},
    {"/:uid/live.mp4", "/%/live.mp4", ACCESS_LIVE, ROAD_MP4},
    {"/:uid/preview.mp4", "/%/preview.mp4", ACCESS_PREVIEW, ROAD_PICTURE},
    {"/:uid/preview.jpg", "/%/preview.jpg", ACCESS_PREVIEW, ROAD_PICTURE},
    {"/:uid/*-preview.jpg", "/%/1700000000-preview.jpg", ACCESS_DVR, ROAD_PICTURE},
    {"/:uid/*.jpg", "/%/1700000000.jpg", ACCESS_DVR, ROAD_PICTURE},
    {"/:uid/archive-*-*.m3u8", "/%/archive-1700000000-60.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/index-*-*.m3u8", "/%/index-1700000000-60.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/archive-*-*.mp4", "/%/archive-1700000000-60.mp4", ACCESS_COPY, ROAD_MP4},
    {"/:uid/*-preview.mp4", "/%/1700000000-preview.mp4", ACCESS_DVR, ROAD_PICTURE},
    {"/:uid/strip-*-*-*.mp4", "/%/strip-1700000000-60-3.mp4", ACCESS_DVR, ROAD_PICTURE},
    {"/:uid/strip-*-*-*.json", "/%/strip-1700000000-60-3.json", ACCESS_DVR, ROAD_INFO},
    {"/:uid/video-timeshift_abs-*.m3u8", "/%/video-timeshift_abs-1700000000.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/video-timeshift_rel-*.m3u8", "/%/video-timeshift_rel-9.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/video-*-*.m3u8", "/%/video-1700000000-60.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/mono-*-*.m3u8", "/%/mono-1700000000-60.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/rewind-*.m3u8", "/%/rewind-60.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/timeshift_abs-*.m3u8", "/%/timeshift_abs-1700000000.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/timeshift_rel-*.m3u8", "/%/timeshift_rel-9.m3u8", ACCESS_DVR, ROAD_HLS},
    {"/:uid/dvr-init-*-*.mp4", "/%/dvr-init-00000000-1.mp4", ACCESS_DVR, ROAD_HLS},
    {"/:uid/dvr-*-*-*-*.m4s", "/%/dvr-00000000-1-0-1.m4s", ACCESS_DVR, ROAD_HLS},
    {"/:uid/recording_status.json", "/%/recording_status.json", ACCESS_DVR, ROAD_INFO},
    {"/:uid/stream.json", "/%/stream.json", ACCESS_PAGE, ROAD_INFO},
    {"/:uid/embed.html", "/%/embed.html", ACCESS_PAGE, ROAD_PAGE},
};

/* --- the server --- */

static const char *exempt = "127.0.0.0/8"; /* from the throttle: who guesses here is a test */

static void share_auth(const char *whitelist)
{
    struct auth *a = auth_new();

    snprintf(a->audience, sizeof(a->audience), "1");
    must(token_keys_add(&a->keys, SPAN_LIT("0"), SPAN_LIT(SECRET), 0, 0));
    must(cidrs_parse(span_of(whitelist), 8, &a->whitelist) == 0);
    must(cidrs_parse(span_of(exempt), 8, &a->exempt) == 0);
    auth_share(&help.server, a);
    httpd_help_settle(&help);
}

/* Down: what is allowed is answered at once. */
static void stream(const char *uid, enum access_mode mode, const char *whitelist, unsigned limit)
{
    struct view *v = NEW(struct view);

    snprintf(v->uid, sizeof(v->uid), "%s", uid);
    snprintf(v->state, sizeof(v->state), "down");
    v->rule = (struct access_rule){mode, true, ACCESS_ROADS_ALL, {NULL, 0}};
    v->limit = limit;
    must(cidrs_parse(span_of(whitelist), 8, &v->rule.whitelist) == 0);
    hub_post(hub_home(&help.server, span_of(uid)), stream_view, v);
    httpd_help_settle(&help);
}

static int start(void **state)
{
    (void)state;
    httpd_help_start(&help, 2, NULL, 0);
    share_auth("");
    stream("public", ACCESS_PUBLIC, "", 0);
    stream("listed", ACCESS_PROTECTED, "127.0.0.0/8", 0);
    stream("unlisted", ACCESS_PROTECTED, "10.0.0.0/8", 0);
    stream("private", ACCESS_PRIVATE, "", 0);
    stream("none", ACCESS_NONE, "", 0);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    httpd_help_stop(&help);
    return 0;
}

/* --- tokens --- */

static struct token good(void)
{
    static uint8_t number;
    struct token t = {.audience = "1",
        .user = "anna",
        .id = {++number},
        .streams = {"private"},
        .n_streams = 1,
        .ops = TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY};

    t.made_us = clock_wall_us();
    return t;
}

static const char *signed_with(const char *kid, const char *secret, const struct token *t)
{
    static char text[TOKEN_TEXT_MAX];
    struct token_keys keys = {.n = 0};

    must(token_keys_add(&keys, span_of(kid), span_of(secret), 0, 0));
    must(token_mint(&keys, t, clock_wall_us() / US_PER_S, text));
    token_keys_done(&keys);
    return text;
}

static const char *text_of(struct token t)
{
    return signed_with("0", SECRET, &t);
}

static unsigned ask(const char *path, const char *fields, struct http_reply *ret)
{
    struct http_reply r;
    unsigned status;

    must(httpd_help_get(&help, path, fields, ret ? ret : &r));
    status = ret ? ret->status : r.status;
    if (!ret) http_reply_done(&r);
    return status;
}

static bool may(unsigned status)
{
    return status != 401 && status != 403;
}

static const char *path_of(size_t i, const char *uid, const char *token)
{
    static char path[4096];
    const char *at = strchr(expected[i].path, '%');
    struct wr w = wr_of(path, sizeof(path));

    wr_bytes(&w, span(expected[i].path, (size_t)(at - expected[i].path)));
    wr_fmt(&w, "%s%s", uid, at + 1);
    if (token) wr_fmt(&w, "%ctoken=%s", strchr(at, '?') ? '&' : '?', token);
    return wr_cstr(&w);
}

/* --- tests --- */

static void every_route_is_expected(void **state)
{
    size_t n;
    const struct route *table = route_table(&n);

    (void)state;
    for (size_t i = 0; i < n; i++) {
        bool found = false;

        if (!(table[i].flags & ROUTE_STREAM)) continue;
        for (size_t k = 0; k < ARRAY_N(expected); k++) {
            if (strcmp(table[i].pattern, expected[k].pattern) != 0) continue;
            found = true;
            assert_int_equal(table[i].op, expected[k].op);
            assert_int_equal(table[i].road, expected[k].road);
        }
        if (!found) fail_msg("%s: say here what it is about", table[i].pattern);
    }
}

static void rules(void **state)
{
    static const struct {
        const char *uid;
        bool may;
    } rows[] = {{"public", true}, {"listed", true}, {"unlisted", false}, {"private", false}, {"none", false}};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(expected); i++)
        for (size_t k = 0; k < ARRAY_N(rows); k++)
            if (may(ask(path_of(i, rows[k].uid, NULL), NULL, NULL)) != rows[k].may)
                fail_msg("%s", path_of(i, rows[k].uid, NULL));
    share_auth("10.0.0.0/8");
    for (size_t i = 0; i < ARRAY_N(expected); i++)
        assert_false(may(ask(path_of(i, "public", NULL), NULL, NULL)));
    share_auth("127.0.0.0/8");
    assert_true(may(ask("/public/index.m3u8", NULL, NULL)));
    share_auth("");
}

static bool op_allowed(unsigned ops, enum access_op op)
{
    switch (op) {
    case ACCESS_PAGE: return ops & (TOKEN_LIVE | TOKEN_DVR);
    case ACCESS_LIVE:
    case ACCESS_PREVIEW: return ops & TOKEN_LIVE;
    case ACCESS_DVR: return ops & TOKEN_DVR;
    case ACCESS_COPY: return ops & TOKEN_COPY;
    case ACCESS_PUBLISH:
    case ACCESS_OPS: break;
    }
    return false;
}

static void tokens_by_road(void **state)
{
    static const unsigned ops[] = {
        TOKEN_LIVE, TOKEN_DVR, TOKEN_COPY, TOKEN_PUBLISH, TOKEN_API, TOKEN_LIVE | TOKEN_DVR | TOKEN_COPY};

    (void)state;
    for (size_t k = 0; k < ARRAY_N(ops); k++) {
        struct token t = good();
        char text[TOKEN_TEXT_MAX];

        t.ops = ops[k];
        snprintf(text, sizeof(text), "%s", text_of(t));
        for (size_t i = 0; i < ARRAY_N(expected); i++) {
            if (may(ask(path_of(i, "private", text), NULL, NULL)) != op_allowed(ops[k], expected[i].op))
                fail_msg("%s with %u", path_of(i, "private", NULL), ops[k]);
            assert_false(may(ask(path_of(i, "none", text), NULL, NULL)));
            assert_false(may(ask(path_of(i, "unlisted", text), NULL, NULL)));
        }
    }
}

/* The ways a token travels. */
static void carriers(void **state)
{
    char fields[TOKEN_TEXT_MAX + 64], path[TOKEN_TEXT_MAX + 64];
    const char *text = text_of(good());

    (void)state;
    snprintf(path, sizeof(path), "/private/stream.json?token=%s", text);
    assert_int_equal(ask(path, NULL, NULL), 200);
    snprintf(fields, sizeof(fields), "Authorization: %s\r\n", text);
    assert_int_equal(ask("/private/stream.json", fields, NULL), 200);
    snprintf(fields, sizeof(fields), "Authorization: Bearer %s\r\n", text);
    assert_int_equal(ask("/private/stream.json", fields, NULL), 200);
    snprintf(fields, sizeof(fields), "Cookie: a=b; ms_token=%s; c=d\r\n", text);
    assert_int_equal(ask("/private/stream.json", fields, NULL), 200);
    snprintf(fields, sizeof(fields), "Cookie: xms_token=%s\r\n", text);
    assert_int_equal(ask("/private/stream.json", fields, NULL), 403);
    assert_int_equal(ask("/private/stream.json", "Authorization: Basic eDp5\r\n", NULL), 403);
}

static void windows(void **state)
{
    struct token t = good();
    static const struct {
        const char *path;
        bool may;
    } rows[] = {
        {"/private/archive-1700000000-3600.m3u8", true},
        {"/private/archive-1700000000-3601.m3u8", false},
        {"/private/archive-1699999999-60.m3u8", false},
        {"/private/archive-1700000000-now.m3u8", false},
        {"/private/rewind-60.m3u8", false},
        {"/private/archive-1700000000-60.mp4", true},
        {"/private/archive-1700003600-60.mp4", false},
        {"/private/1700003600.jpg", true},
        {"/private/1700003601.jpg", false},
        {"/private/1699999999-preview.mp4", false},
        {"/dvr/private/playlist.m3u8?timestamp=1700003000&duration=600", true},
        {"/dvr/private/playlist.m3u8?timestamp=1700003000&duration=601", false},
        {"/private/strip-1600000000-60-3.json", false},
        {"/private/recording_status.json", true},
        {"/private/index.m3u8", true},
    };
    char fields[TOKEN_TEXT_MAX + 64];

    (void)state;
    t.from_s = FROM_S;
    t.to_s = TO_S;
    snprintf(fields, sizeof(fields), "Authorization: %s\r\n", text_of(t));
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        if (may(ask(rows[i].path, fields, NULL)) != rows[i].may) fail_msg("%s", rows[i].path);
}

/* --- forged --- */

/* The whole answer but its date. */
static void answer_of(const char *token, char *dst, size_t cap)
{
    char path[8192];
    struct http_reply r;
    struct span all, date;

    snprintf(path, sizeof(path), "/private/index.m3u8?token=%s", token);
    ask(path, NULL, &r);
    assert_int_equal(r.status, 403);
    all = buf_span(&r.all);
    date = http_reply_field(&r, "Date");
    assert_true(date.n > 0);
    snprintf(dst, cap, "%.*s|%.*s", (int)(date.p - all.p), (const char *)all.p,
        (int)(all.n - (size_t)(date.p - all.p) - date.n), (const char *)date.p + date.n);
    http_reply_done(&r);
}

static char first_answer[2048];
static unsigned refused;

static void refuse(const char *token)
{
    char answer[2048];

    answer_of(token, answer, sizeof(answer));
    if (refused++ == 0) memcpy(first_answer, answer, sizeof(answer));
    assert_string_equal(answer, first_answer);
}

static void refuse_changed(const char *text, size_t at, char to)
{
    char bad[TOKEN_TEXT_MAX];

    snprintf(bad, sizeof(bad), "%s", text);
    bad[at] = bad[at] == to ? (char)(to + 1) : to;
    refuse(bad);
}

static void refuse_tokens_of_ours(void)
{
    usec_t now_s = clock_wall_us() / US_PER_S;
    struct token rows[12];

    for (size_t i = 0; i < ARRAY_N(rows); i++) rows[i] = good();
    snprintf(rows[0].streams[0], sizeof(rows[0].streams[0]), "privat");
    snprintf(rows[1].streams[0], sizeof(rows[1].streams[0]), "privatex*");
    rows[2].n_streams = 0;
    rows[3].ops = TOKEN_DVR;
    rows[4].ops = TOKEN_PUBLISH;
    rows[5].ops = TOKEN_API;
    rows[6].not_after_s = now_s - TOKEN_SKEW_S - 5;
    rows[7].not_before_s = now_s + TOKEN_SKEW_S + 60;
    rows[8].bound = true;
    memcpy(rows[8].address, (uint8_t[16]){[10] = 0xff, 0xff, 10, 0, 0, 1}, 16);
    rows[8].address_bits = 128;
    rows[9].bound = true;
    rows[9].address[15] = 1;
    rows[9].address_bits = 128;
    snprintf(rows[10].audience, sizeof(rows[10].audience), "2");
    rows[11].ops = TOKEN_COPY;
    for (size_t i = 0; i < ARRAY_N(rows); i++) refuse(text_of(rows[i]));
}

/* Fields that lend each other a byte, signed by nobody. */
static void refuse_shifted(void)
{
    struct token t = good();
    uint8_t payload[TOKEN_PAYLOAD_MAX];
    struct wr w = wr_of(payload, sizeof(payload));

    token_write(&w, &t);
    for (size_t i = 0; i + 1 < w.n && i < 40; i++) {
        char text[TOKEN_TEXT_MAX];
        struct wr to = wr_of(text, sizeof(text));
        uint8_t shifted[TOKEN_PAYLOAD_MAX];

        memcpy(shifted, payload, w.n);
        shifted[i]++;
        shifted[i + 1]--;
        wr_text(&to, "v1.0.");
        base64url_write(&to, span(shifted, w.n));
        wr_fmt(&to, "%s", strrchr(text_of(t), '.'));
        refuse(wr_cstr(&to));
    }
}

static void forged_tokens_have_one_answer(void **state)
{
    struct token t = good();
    char text[TOKEN_TEXT_MAX], bad[TOKEN_TEXT_MAX + 64];
    size_t n;

    (void)state;
    snprintf(text, sizeof(text), "%s", text_of(t));
    n = strlen(text);
    refuse("nonsense");
    refuse("v1");
    refuse("v1.0..");
    refuse("v1.0.AAAA.AAAA");
    refuse(signed_with("k9", SECRET, &t));
    refuse(signed_with("0", "another secret", &t));
    for (size_t i = 0; i < n; i += MAX(n / 60, 1)) refuse_changed(text, i, 'A');
    for (size_t i = 1; i < 44; i++) refuse_changed(text, n - i, 'q');
    for (size_t i = n / 50; i < n; i += n / 50) {
        snprintf(bad, sizeof(bad), "%.*s", (int)i, text);
        refuse(bad);
    }
    refuse_shifted();
    refuse_tokens_of_ours();
    assert_true(refused >= 200);
    snprintf(bad, sizeof(bad), "/private/index.m3u8?token=%s", text);
    assert_true(may(ask(bad, NULL, NULL)));
}

/* Four wrong ones, and from then on a right one has the same answer; who plays, plays on. */
static void guessing_is_throttled(void **state)
{
    char fields[TOKEN_TEXT_MAX + 64], playing[TOKEN_TEXT_MAX + 64];

    (void)state;
    snprintf(playing, sizeof(playing), "Authorization: %s\r\n", text_of(good()));
    assert_int_equal(ask("/private/stream.json", playing, NULL), 200);
    exempt = "";
    share_auth("");
    for (int i = 0; i < 4; i++) assert_int_equal(ask("/private/stream.json?token=guess", NULL, NULL), 403);
    snprintf(fields, sizeof(fields), "Authorization: %s\r\n", text_of(good()));
    assert_int_equal(ask("/private/stream.json", fields, NULL), 403);
    assert_int_equal(ask("/private/stream.json", playing, NULL), 200);
    assert_int_equal(ask("/public/stream.json", NULL, NULL), 200);
    exempt = "127.0.0.0/8";
    share_auth("");
    assert_int_equal(ask("/private/stream.json", fields, NULL), 200);
}

/* --- sessions --- */

static void session_paths(void **state)
{
    static const char *const wrong[] = {"/s/00000000000000000000000000000000/private/stream.json",
        "/s/0/private/stream.json", "/s//private/stream.json", "/s/private/stream.json"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(wrong); i++) assert_in_range(ask(wrong[i], NULL, NULL), 403, 404);
    /* On a stream that is open the id says nothing more: it is asked for none the less. */
    assert_int_equal(ask("/s/00000000000000000000000000000000/public/stream.json", NULL, NULL), 403);
    assert_int_equal(ask("/s/00000000000000000000000000000000/cpanel/x", NULL, NULL), 404);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_expected),
        cmocka_unit_test(rules),
        cmocka_unit_test(tokens_by_road),
        cmocka_unit_test(carriers),
        cmocka_unit_test(windows),
        cmocka_unit_test(forged_tokens_have_one_answer),
        cmocka_unit_test(guessing_is_throttled),
        cmocka_unit_test(session_paths),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
