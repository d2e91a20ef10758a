/* Forged tokens on every road: one and the same answer (C22, R16), whatever is wrong with them; and guessing,
 * which is slowed down. Their times: make bench-access. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/wire/base64.h"
#include "httpd/pushes.h"
#include "tests/support/access_help.h"

#define FORGED_MAX 320

static struct access_help help;
static const struct access_road_row *rows;
static size_t n_rows;

static struct {
    char *text[FORGED_MAX];
    size_t n;
} all;

static void keep(const char *text)
{
    must(all.n < FORGED_MAX);
    all.text[all.n++] = mem_strdup(text);
}

/* --- what can be wrong with a token --- */

static void of_nobody(void)
{
    static const char *const texts[] = {"nonsense", "v1", "v1.0..", "v1.0.AAAA.AAAA", "v2.0.AAAA.AAAA",
        "v1.0.AAAA", ".", "...", "v1..AAAA.AAAA", "none.0.AAAA.AAAA"};
    struct token t = access_token("private");

    for (size_t i = 0; i < ARRAY_N(texts); i++) keep(texts[i]);
    keep(access_signed("k9", ACCESS_SECRET, &t));
    keep(access_signed("0", "another secret", &t));
}

/* A byte changed, an end cut off, a character too many. */
static void spoiled(void)
{
    char text[TOKEN_TEXT_MAX], bad[TOKEN_TEXT_MAX + 8];
    size_t n;

    snprintf(text, sizeof(text), "%s", access_token_text(access_token("private")));
    n = strlen(text);
    for (size_t i = 0; i < n; i += MAX(n / 60, 1)) {
        memcpy(bad, text, n + 1);
        bad[i] = bad[i] == 'A' ? 'B' : 'A';
        keep(bad);
    }
    for (size_t i = 1; i < 44; i++) {
        memcpy(bad, text, n + 1);
        bad[n - i] = bad[n - i] == 'q' ? 'r' : 'q';
        keep(bad);
    }
    for (size_t i = n / 50; i < n; i += n / 50) {
        snprintf(bad, sizeof(bad), "%.*s", (int)i, text);
        keep(bad);
    }
    snprintf(bad, sizeof(bad), "%sA", text);
    keep(bad);
    snprintf(bad, sizeof(bad), "%s.", text);
    keep(bad);
}

/* Fields that lend each other a byte, with the sign of what they were. */
static void shifted(void)
{
    struct token t = access_token("private");
    uint8_t payload[TOKEN_PAYLOAD_MAX];
    struct wr w = wr_of(payload, sizeof(payload));

    token_write(&w, &t);
    for (size_t i = 0; i + 1 < w.n && i < 40; i++) {
        char text[TOKEN_TEXT_MAX];
        struct wr to = wr_of(text, sizeof(text));
        uint8_t moved[TOKEN_PAYLOAD_MAX];

        memcpy(moved, payload, w.n);
        moved[i]++;
        moved[i + 1]--;
        wr_text(&to, "v1.0.");
        base64url_write(&to, span(moved, w.n));
        wr_fmt(&to, "%s", strrchr(access_token_text(t), '.'));
        keep(wr_cstr(&to));
    }
}

/* Right in themselves: of another stream, scope, time, address, cluster. */
static void of_others(void)
{
    int64_t now_s = clock_wall_us() / US_PER_S;
    struct token t[12];

    for (size_t i = 0; i < ARRAY_N(t); i++) t[i] = access_token("private");
    snprintf(t[0].streams[0], sizeof(t[0].streams[0]), "privat");
    snprintf(t[1].streams[0], sizeof(t[1].streams[0]), "privatex*");
    t[2].n_streams = 0;
    t[3].ops = 0;
    t[4].ops = TOKEN_PUBLISH;
    t[5].ops = TOKEN_API;
    t[6].not_after_s = now_s - TOKEN_SKEW_S - 5;
    t[7].not_before_s = now_s + TOKEN_SKEW_S + 3600;
    t[8].bound = true;
    memcpy(t[8].address, (uint8_t[16]){[10] = 0xff, 0xff, 10, 0, 0, 1}, 16);
    t[8].address_bits = 128;
    t[9].bound = true;
    t[9].address[15] = 1;
    t[9].address_bits = 128;
    snprintf(t[10].audience, sizeof(t[10].audience), "2");
    t[11].not_after_s = 1;
    for (size_t i = 0; i < ARRAY_N(t); i++) keep(access_token_text(t[i]));
}

static void site(const char *exempt, bool users)
{
    access_help_site(&help, &(struct access_site){.exempt = exempt, .users = users});
}

static int start(void **state)
{
    (void)state;
    rows = access_rows(&n_rows);
    access_help_start(&help);
    site("127.0.0.0/8", false);
    access_help_stream(&help, "private", ACCESS_PRIVATE, "", 0);
    access_help_stream(&help, "public", ACCESS_PUBLIC, "", 0);
    of_nobody();
    spoiled();
    shifted();
    of_others();
    assert_true(all.n >= 200);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    while (all.n > 0) mem_free(all.text[--all.n]);
    access_help_stop(&help);
    return 0;
}

/* --- tests --- */

/* NULL: RTSP. */
static const struct access_road_row *row_of(const char *pattern)
{
    for (size_t i = 0; i < n_rows; i++)
        if (pattern ? rows[i].pattern && strcmp(rows[i].pattern, pattern) == 0 : !rows[i].pattern)
            return &rows[i];
    fail_msg("no row for %s", pattern ? pattern : "RTSP");
    return NULL;
}

static void refused(const struct access_road_row *row, const struct access_shown *s, char *first)
{
    char text[ACCESS_HEAD_MAX];
    struct http_reply r;

    assert_int_equal(access_help_ask(&help, row, "private", s, &r), 403);
    access_help_text(&r, text);
    http_reply_done(&r);
    if (!first[0]) memcpy(first, text, sizeof(text));
    assert_string_equal(text, first);
}

static void all_on(const struct access_road_row *row)
{
    char first[ACCESS_HEAD_MAX] = "";

    for (size_t k = 0; k < all.n; k++) refused(row, &(struct access_shown){.token = all.text[k]}, first);
}

static void one_answer_on_every_road(void **state)
{
    (void)state;
    for (size_t i = 0; i < n_rows; i++)
        if (rows[i].road != ROAD_PUSH) all_on(&rows[i]);
}

/* Nor does anybody push by them, but by the one that is for that. */
static void one_answer_to_who_pushes(void **state)
{
    unsigned allowed = 0;

    (void)state;
    for (size_t k = 0; k < all.n; k++) {
        unsigned status = access_help_push(&help, "private", k + 1, all.text[k]);

        allowed += status == 200;
        assert_true(status == 403 || status == 200);
    }
    assert_int_equal(allowed, 1);
    pushes_over(&help.http.server, SPAN_LIT("private"), 0);
}

/* A login that is offered to others is not offered to who shows a token, whatever that is. */
static void one_answer_beside_accounts(void **state)
{
    (void)state;
    site("127.0.0.0/8", true);
    all_on(row_of("/:uid/index.m3u8"));
    all_on(row_of("/:uid/mse_ld"));
    all_on(row_of(NULL));
    site("127.0.0.0/8", false);
}

/* The same text however it comes. */
static void one_answer_by_every_way(void **state)
{
    static const char *const ways[] = {"Authorization: ", "Authorization: Bearer ", "Cookie: ms_token="};
    const struct access_road_row *row = row_of("/:uid/index.m3u8");
    char first[ACCESS_HEAD_MAX] = "", fields[TOKEN_TEXT_MAX + 64];

    (void)state;
    for (size_t w = 0; w < ARRAY_N(ways); w++)
        for (size_t k = 0; k < all.n; k++) {
            snprintf(fields, sizeof(fields), "%s%s\r\n", ways[w], all.text[k]);
            refused(row, &(struct access_shown){.fields = fields}, first);
        }
    for (size_t k = 0; k < all.n; k++) refused(row, &(struct access_shown){.token = all.text[k]}, first);
}

static unsigned ask(const char *uid, const char *token, const char *fields)
{
    const struct access_road_row page = {"/:uid/stream.json", "/%/stream.json", ACCESS_PAGE, ROAD_INFO, NULL};

    return access_help_ask(&help, &page, uid, &(struct access_shown){.token = token, .fields = fields}, NULL);
}

/* Four wrong ones, and from then on a right one has the same answer; who plays, plays on. */
static void guessing_is_throttled(void **state)
{
    static const char *const guesses[] = {"guess-1", "guess-2", "guess-3", "guess-4"};
    char playing[TOKEN_TEXT_MAX], other[TOKEN_TEXT_MAX];

    (void)state;
    snprintf(playing, sizeof(playing), "%s", access_token_text(access_token("private")));
    snprintf(other, sizeof(other), "%s", access_token_text(access_token("private")));
    assert_int_equal(ask("private", playing, NULL), 200);
    site("10.0.0.0/8", false);
    /* The same one again is no guess: a player that does not know better shuts out nobody. */
    for (int i = 0; i < 8; i++) assert_int_equal(ask("private", guesses[0], NULL), 403);
    assert_int_equal(ask("private", access_token_text(access_token("private")), NULL), 200);
    for (size_t i = 0; i < ARRAY_N(guesses); i++) assert_int_equal(ask("private", guesses[i], NULL), 403);
    assert_int_equal(ask("private", other, NULL), 403);
    assert_int_equal(ask("private", playing, NULL), 200);
    assert_int_equal(ask("public", NULL, NULL), 200);
    assert_int_equal(ask("public", "guess-5", NULL), 200);
    site("127.0.0.0/8", false);
    assert_int_equal(ask("private", other, NULL), 200);
}

/* A token that has only ended, or is for something else, is none. */
static void what_is_no_guess(void **state)
{
    static const char viewer[] = "X-Forwarded-For: 203.0.113.9\r\n";

    (void)state;
    access_help_site(&help, &(struct access_site){.exempt = "10.0.0.0/8", .proxies = "127.0.0.0/8"});
    for (int i = 0; i < 8; i++) {
        struct token t = access_token("private");

        if (i % 2)
            t.not_after_s = 1;
        else
            t.ops = TOKEN_API;
        assert_int_equal(ask("private", access_token_text(t), viewer), 403);
    }
    assert_int_equal(ask("private", access_token_text(access_token("private")), viewer), 200);
    site("127.0.0.0/8", false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_answer_on_every_road),
        cmocka_unit_test(one_answer_to_who_pushes),
        cmocka_unit_test(one_answer_beside_accounts),
        cmocka_unit_test(one_answer_by_every_way),
        cmocka_unit_test(guessing_is_throttled),
        cmocka_unit_test(what_is_no_guess),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
