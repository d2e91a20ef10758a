/* common/conf/source: from the text of an ini file to sections, keys and values (compatibility.md 1). */
#include "common/conf/source.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct source src;
static struct conf_report rep;

static void parse_n(const char *text, size_t n, unsigned flags)
{
    source_done(&src);
    conf_report_done(&rep);
    source_parse(&src, "t.ini", mem_dup(text, n), n, flags, &rep);
}

static void parse(const char *text)
{
    parse_n(text, strlen(text), 0);
}

/* The value of path/key, "(none)" when it is not there. */
static const char *value(const char *path, const char *key)
{
    static char text[CONF_VALUE_MAX + 1];

    for (size_t i = 0; i < src.n; i++)
        for (size_t k = 0; strcmp(src.sections[i].path, path) == 0 && k < src.sections[i].n; k++)
            if (strcmp(src.sections[i].items[k].key, key) == 0) {
                span_copy(src.sections[i].items[k].value, text, sizeof(text));
                return text;
            }
    return "(none)";
}

static bool mistake(unsigned line, const char *text)
{
    return rep.n > 0 && rep.v[0].level == CONF_MISTAKE && rep.v[0].line == line &&
        strstr(rep.v[0].text, text);
}

static int done(void **state)
{
    (void)state;
    source_done(&src);
    conf_report_done(&rep);
    return 0;
}

static void test_nesting(void **state)
{
    (void)state;
    parse("[a]\nk = 1\n[[b]]\nk = 2\n[[[c]]]\nk = 3\n[[d]]\nk = 4\n[e]\nk = 5\n");
    assert_int_equal(rep.n, 0);
    assert_string_equal(value("a", "k"), "1");
    assert_string_equal(value("a/b", "k"), "2");
    assert_string_equal(value("a/b/c", "k"), "3");
    assert_string_equal(value("a/d", "k"), "4");
    assert_string_equal(value("e", "k"), "5");
    assert_int_equal(src.sections[2].line, 5);
    assert_int_equal(src.sections[2].items[0].line, 6);
}

static void test_indentation_means_nothing(void **state)
{
    (void)state;
    parse("[a]\n\tk = 1\n    [[b]]\n        x = 2\n        y = 3\n  \t[[c]]\n\n   z = 4\n");
    assert_int_equal(rep.n, 0);
    assert_string_equal(value("a", "k"), "1");
    assert_string_equal(value("a/b", "x"), "2");
    assert_string_equal(value("a/b", "y"), "3");
    assert_string_equal(value("a/c", "z"), "4");
}

static void test_comments_and_quotes(void **state)
{
    (void)state;
    parse("# head\n; old head\n[a] # behind\n"
          "k1 = v # comment\nk2 = \"a#b;c ;d\" # comment\nk3 = 'it \"is\"'\nk4 = a;b ;c : d\nk5=\nk6 = \"\"\n"
          "k7 = a:b=c\nk8 = Bob's door # comment\nk9 = admin:\"p#w\"\nk10 = \"a b\", 'c#d' # x\nk11 = \" pad "
          "\"\n");
    assert_int_equal(rep.n, 0);
    assert_string_equal(value("a", "k1"), "v");
    assert_string_equal(value("a", "k2"), "a#b;c ;d");
    assert_string_equal(value("a", "k3"), "it \"is\"");
    assert_string_equal(value("a", "k4"), "a;b ;c : d");
    assert_string_equal(value("a", "k5"), "");
    assert_string_equal(value("a", "k6"), "");
    assert_string_equal(value("a", "k7"), "a:b=c");
    assert_string_equal(value("a", "k8"), "Bob's door");
    assert_string_equal(value("a", "k9"), "admin:\"p#w\"");
    assert_string_equal(value("a", "k10"), "\"a b\", 'c#d'");
    assert_string_equal(value("a", "k11"), " pad ");
    assert_true(src.sections[0].items[1].quoted && !src.sections[0].items[1].torn);
    assert_true(!src.sections[0].items[9].quoted && src.sections[0].items[9].torn);
}

static void test_line_ends_and_bom(void **state)
{
    (void)state;
    parse("\xef\xbb\xbf[a]\r\nk = 1\r\nlast = 2");
    assert_int_equal(rep.n, 0);
    assert_string_equal(value("a", "k"), "1");
    assert_string_equal(value("a", "last"), "2");
    parse("");
    assert_int_equal(src.n, 0);
}

static void test_long_values_survive_whole(void **state)
{
    char text[CONF_VALUE_MAX + 64], want[CONF_VALUE_MAX + 2];

    (void)state;
    for (int n = 150; n < 300; n += 7) {
        memset(want, 'x', (size_t)n);
        want[n - 1] = 'y';
        want[n] = 0;
        snprintf(text, sizeof(text), "[a]\nk = %s\nz = 1\n", want);
        parse(text);
        assert_string_equal(value("a", "k"), want);
        assert_string_equal(value("a", "z"), "1");
    }
    for (int over = 0; over < 2; over++) {
        memset(want, 'x', sizeof(want));
        want[CONF_VALUE_MAX + over] = 0;
        snprintf(text, sizeof(text), "[a]\nk = \"%s\"\n", want);
        parse(text);
        if (over) {
            assert_true(mistake(2, "4097 bytes, at most 4096"));
        } else {
            assert_int_equal(rep.n, 0);
            assert_string_equal(value("a", "k"), want);
        }
    }
}

static void test_bare_keys(void **state)
{
    static const char text[] = "[cam]\ndvr-enable # why not\nb = 2\n";

    (void)state;
    parse_n(text, sizeof(text) - 1, SOURCE_BARE_KEYS);
    assert_int_equal(rep.n, 0);
    assert_string_equal(value("cam", "dvr-enable"), "");
    assert_string_equal(value("cam", "b"), "2");
    parse(text);
    assert_true(mistake(2, "no '='"));
    assert_string_equal(value("cam", "b"), "2");
}

static void test_keys_before_a_section(void **state)
{
    static const char text[] = "1 = one\n2 = two\n";

    (void)state;
    parse_n(text, sizeof(text) - 1, SOURCE_NO_SECTION);
    assert_int_equal(rep.n, 0);
    assert_string_equal(value("", "2"), "two");
    parse(text);
    assert_int_equal(rep.warnings, 2);
    assert_int_equal(rep.mistakes, 0);
}

static void test_mistakes(void **state)
{
    static const struct {
        const char *text;
        unsigned line;
        const char *what;
    } rows[] = {
        {"[a\nk = 1\n", 1, "not closed with ]"},
        {"\n[[a]\n", 2, "do not match"},
        {"[a]]\n", 1, "do not match"},
        {"[a] x\n", 1, "do not match"},
        {"[[a]]\n", 1, "one bracket less"},
        {"[a]\n[[[c]]]\n", 2, "one bracket less"},
        {"[]\n", 1, "a section's name"},
        {"[a b]\n", 1, "a section's name"},
        {"[a]\nk = \"open\n", 2, "not closed on this line"},
        {"[a]\nk = 'open\n", 2, "not closed on this line"},
        {"[a]\nk = a\x01z\n", 2, "control character"},
        {"[a]\nrtsp://user:pass@host/x\n", 2, "rtsp://user:***@host/x"},
        {"[a]\njust words\n", 2, "neither a [section] nor key = value"},
        {"[a]\n[b]\n[a]\n", 3, "twice, first in line 1"},
        {"[0123456789012345678901234567890123456789012345678x]\n", 1, "a section's name"},
        {"[a]\n[[0123456789012345678901234567890123456789012345678]]\n", 2, "too long"},
        {"[a]\n[[b]]\n[[[c]]]\n[[[[d]]]]\n[[[[[e]]]]]\n", 5, "one bracket less"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        parse(rows[i].text);
        if (!mistake(rows[i].line, rows[i].what))
            fail_msg("row %zu: %s", i, rep.n ? rep.v[0].text : "nothing said");
        assert_int_equal(rep.mistakes, 1);
    }
    parse_n("[a]\nk = a\0b\nz = 1\n", 18, 0);
    assert_true(mistake(2, "control character"));
    assert_string_equal(value("a", "z"), "1");
}

static void test_a_wrong_section_takes_no_keys(void **state)
{
    (void)state;
    parse("[a]\nk = 1\n[b\nk = 2\nj = 3\n[c]\nk = 4\n");
    assert_int_equal(rep.n, 1);
    assert_string_equal(value("a", "k"), "1");
    assert_string_equal(value("a", "j"), "(none)");
    assert_string_equal(value("c", "k"), "4");
}

static void test_unusual_keys_are_warnings(void **state)
{
    (void)state;
    parse("[a]\nfoo bar = 1\n01234567890123456789012345678901234567890123456789 = 2\n"
          "0123456789012345678901234567890123456789012345678 = 3\n. = 4\nk = 5\n");
    assert_int_equal(rep.mistakes, 0);
    assert_int_equal(rep.warnings, 3);
    assert_string_equal(value("a", "0123456789012345678901234567890123456789012345678"), "3");
    assert_string_equal(value("a", "k"), "5");
}

static void test_too_many_lines(void **state)
{
    char *text = mem_new(SOURCE_LINES_MAX + 16);

    (void)state;
    memset(text, '\n', SOURCE_LINES_MAX + 8);
    parse_n(text, SOURCE_LINES_MAX - 1, 0);
    assert_int_equal(rep.n, 0);
    parse_n(text, SOURCE_LINES_MAX, 0); /* what follows the last line end is a line too, an empty one */
    assert_true(mistake(SOURCE_LINES_MAX + 1, "too many lines"));
    mem_free(text);
}

static void test_no_file(void **state)
{
    (void)state;
    source_done(&src);
    conf_report_done(&rep);
    assert_true(source_read(&src, "/nonexistent/x.ini", 0, &rep) < 0);
    assert_true(mistake(0, "cannot be read: No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_indentation_means_nothing),
        cmocka_unit_test(test_comments_and_quotes),
        cmocka_unit_test(test_line_ends_and_bom),
        cmocka_unit_test(test_long_values_survive_whole),
        cmocka_unit_test(test_bare_keys),
        cmocka_unit_test(test_keys_before_a_section),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_a_wrong_section_takes_no_keys),
        cmocka_unit_test(test_unusual_keys_are_warnings),
        cmocka_unit_test(test_too_many_lines),
        cmocka_unit_test(test_no_file),
    };

    return cmocka_run_group_tests(tests, NULL, done);
}
