/* common/base/utf8: what is a character, and what is shown of text that came from outside. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/log.h"
#include "common/base/utf8.h"

#include <string.h>

#define TEXT(s) (s), sizeof(s) - 1

static const struct {
    const char *in;
    size_t n;
    const char *shown;
} rows[] = {
    {TEXT("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xb7 \\"), "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x93\xb7 \\"},
    {TEXT("\x1f\x20\x7e\x7f"), "\\u001f ~\\u007f"},
    {TEXT("\0\t\n\x1b[2J"), "\\u0000\\u0009\\u000a\\u001b[2J"},
    {TEXT("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0"), "\\u0080\\u009b\\u009f\xc2\xa0"}, /* C1, and NBSP */
    {TEXT("\xd8\x9b\xd8\x9c\xd8\x9d"), "\xd8\x9b\\u061c\xd8\x9d"},               /* U+061B to U+061D */
    {TEXT("\xe2\x80\x8d\xe2\x80\x8e\xe2\x80\x8f\xe2\x80\x90"), "\xe2\x80\x8d\\u200e\\u200f\xe2\x80\x90"},
    {TEXT("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xaa\xe2\x80\xae\xe2\x80\xaf"),
        "\xe2\x80\xa7\\u2028\\u202a\\u202e\xe2\x80\xaf"},
    {TEXT("\xe2\x81\xa5\xe2\x81\xa6\xe2\x81\xa9\xe2\x81\xaa"), "\xe2\x81\xa5\\u2066\\u2069\xe2\x81\xaa"},
    /* not UTF-8: C1 as a byte, overlong, surrogate, above U+10FFFF, cut */
    {TEXT("\x9b\xc0\xaf"), "\\ufffd\\ufffd\\ufffd"},
    {TEXT("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd"},
    {TEXT("\xf4\x90\x80\x80"), "\\ufffd\\ufffd\\ufffd\\ufffd"},
    {TEXT("a\xe2\x80"), "a\\ufffd\\ufffd"},
    {TEXT(""), ""},
};

static void what_steers_is_escaped(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        char text[64], printed[64] = "";
        struct wr w = wr_of(text, sizeof(text));
        FILE *to = fmemopen(printed, sizeof(printed), "w");

        utf8_show(&w, span(rows[i].in, rows[i].n));
        assert_string_equal(wr_cstr(&w), rows[i].shown);
        utf8_print(span(rows[i].in, rows[i].n), to);
        fclose(to);
        assert_string_equal(printed, rows[i].shown);
    }
}

/* What fits, whole characters and whole escapes, and room for the NUL behind it. */
static void text_is_cut_at_a_character(void **state)
{
    static const size_t want[] = {0, 0, 1, 1, 3, 3, 3, 3, 3, 3, 9, 10, 10};
    char text[16];

    (void)state;
    for (size_t cap = 1; cap < ARRAY_N(want); cap++) {
        struct wr w = wr_of(text, cap);

        utf8_show(&w, SPAN_LIT("a\xc3\xa9\nb"));
        assert_int_equal(w.n, want[cap]);
        assert_int_equal(strlen(wr_cstr(&w)), want[cap]);
    }
}

static char last_line[LOG_LINE_MAX];

static void keep_line(enum log_level level, const char *line, size_t n)
{
    (void)level;
    span_copy(span(line, n), last_line, sizeof(last_line));
}

static const char *logged(bool json, const char *text)
{
    struct log_setup setup = {.process = "test", .id = "cam\n-1", .level = LOG_INFO, .json = json, .fd = -1};

    last_line[0] = 0;
    log_init(&setup);
    log_set_mirror(keep_line);
    log_info("said", "text=%s", text);
    log_set_mirror(NULL);
    return last_line;
}

/* Also text that was written without log_q: one line, no steering; a long one is cut, and is JSON still. */
static void log_lines_show_no_controls(void **state)
{
    char many[600];

    (void)state;
    assert_non_null(strstr(logged(false,
                               "a\xe2\x80\xae\n\xc2\x9b"
                               "31m"),
        " cam\\u000a-1 said text=a\\u202e\\u000a\\u009b31m"));
    assert_non_null(strstr(logged(true, "a\xe2\x80\xae\x1b\xff"),
        "\"stream\":\"cam\\u000a-1\",\"event\":\"said\",\"text\":\"a\\u202e\\u001b\\ufffd\"}"));
    memset(many, 1, sizeof(many) - 1);
    many[sizeof(many) - 1] = 0;
    assert_true(strlen(logged(false, many)) > LOG_LINE_MAX - 2 * UTF8_SHOWN_MAX);
    assert_true(strlen(logged(true, many)) > LOG_LINE_MAX - 32);
    assert_true(span_ends(span_of(last_line), SPAN_LIT("\\u0001\"}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_steers_is_escaped),
        cmocka_unit_test(text_is_cut_at_a_character),
        cmocka_unit_test(log_lines_show_no_controls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
