/* JSON: what is none, limits at their edge, and text that is written and read back. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/wr.h"
#include "common/wire/json.h"

/* Its items, as "depth:key=text" with a letter for the type; "bad" at the end of what is none. */
static const char *items(const char *text)
{
    static char mem[4096];
    struct wr w = wr_of(mem, sizeof(mem));
    struct json j = json_of(span_of(text));
    struct json_item i;

    while (json_next(&j, &i))
        wr_fmt(&w, "%u%c%.*s=%.*s ", i.depth, "oa.tnw"[i.type], SPAN_FMT(i.key), SPAN_FMT(i.text));
    if (j.bad) wr_text(&w, "bad");
    return wr_cstr(&w);
}

static void what_stands_in_it(void **state)
{
    (void)state;
    assert_string_equal(items(" {\"a\": 1, \"b\" : [true , \"x\\\"\\u00fc\", {}], \"\": {\"c\": -0.5e+7}}\n"),
        "0o= 1na=1 1ab= 2w=true 2t=x\\\"\\u00fc 2o= 2.= 1.= 1o= 2nc=-0.5e+7 1.= 0.= ");
    assert_string_equal(items("[]"), "0a= 0.= ");
    assert_string_equal(items("\"\""), "0t= ");
    assert_string_equal(items("null"), "0w=null ");
    assert_string_equal(items("[\"\xc3\xbc\", 0]"), "0a= 1t=\xc3\xbc 1n=0 0.= ");
}

static void what_is_none(void **state)
{
    static const char *const rows[] = {"", " ", "{", "[", "}", "[}", "{]", "[1,]", "{\"a\":1,}", "[,1]",
        "[1 2]", "{\"a\" 1}", "{\"a\"}", "{a:1}", "{1:1}", "[1]]", "[1]x", "01", "-", "1.", ".5", "1e", "+1",
        "nul", "True", "\"", "\"\\\"", "\"\\x\"", "\"\\u12g4\"", "\"\\u123\"", "\"\n\"", "\"\xff\"",
        "\"\xc3\"", "'a'", "[1,,2]", "{\"a\":}", "{,}"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        const char *got = items(rows[i]);

        if (strlen(got) < 3 || strcmp(got + strlen(got) - 3, "bad") != 0)
            fail_msg("taken: %s as %s", rows[i], got);
    }
}

static void so_deep_and_no_deeper(void **state)
{
    char text[2 * JSON_DEPTH_MAX + 8] = "";
    struct json j;
    struct json_item i;

    (void)state;
    for (unsigned deep = JSON_DEPTH_MAX; deep <= JSON_DEPTH_MAX + 1; deep++) {
        memset(text, '[', deep);
        memset(text + deep, ']', deep);
        text[2 * deep] = 0;
        j = json_of(span_of(text));
        while (json_next(&j, &i)) assert_true(i.depth < JSON_DEPTH_MAX);
        assert_int_equal(j.bad, deep > JSON_DEPTH_MAX);
    }
}

static void text_comes_back(void **state)
{
    static const struct {
        const char *text, *want;
    } rows[] = {{"plain", "\"plain\""}, {"\"\\", "\"\\\"\\\\\""},
        {"\n\x1b[1m\x7f", "\"\\u000a\\u001b[1m\\u007f\""}, {"\xc3\xbc \xff", "\"\xc3\xbc \\ufffd\""},
        {"", "\"\""}};
    struct buf b;
    struct json j;
    struct json_item i;

    (void)state;
    for (size_t k = 0; k < ARRAY_N(rows); k++) {
        buf_init(&b, 64);
        assert_true(json_put_text(&b, span_of(rows[k].text)));
        assert_true(span_is(buf_span(&b), rows[k].want));
        j = json_of(buf_span(&b));
        assert_true(json_next(&j, &i));
        assert_int_equal(i.type, JSON_TEXT);
        assert_false(json_next(&j, &i));
        assert_false(j.bad);
        buf_done(&b);
    }
    buf_init(&b, 4);
    assert_false(json_put_text(&b, SPAN_LIT("longer")));
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_stands_in_it),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(so_deep_and_no_deeper),
        cmocka_unit_test(text_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
