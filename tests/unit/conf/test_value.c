/* common/conf/value: one value of each type, at its limits and one above. */
#include "common/conf/value.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static usec_t us(const char *s)
{
    usec_t v = -1;

    return value_duration(span_of(s), &v) ? v : -1;
}

static void test_durations(void **state)
{
    (void)state;
    assert_int_equal(us("0"), 0);
    assert_int_equal(us("90"), 90 * US_PER_S);
    assert_int_equal(us("500ms"), 500 * US_PER_MS);
    assert_int_equal(us("10s"), 10 * US_PER_S);
    assert_int_equal(us("30m"), 1800 * US_PER_S);
    assert_int_equal(us("1h30m"), 5400 * US_PER_S);
    assert_int_equal(us("10D"), 864000 * US_PER_S);
    static const char *const bad[] = {
        "", "s", "10x", "1.5h", "-1s", "10 s", "10s ", "1h30", "99999999999999999999s", "106751992d"};
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        if (us(bad[i]) != -1) fail_msg("%s", bad[i]);
    assert_int_equal(us("106751991d"), 106751991 * (86400 * US_PER_S));
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        bool percent;
        uint64_t bytes;
        unsigned part;
    } rows[] = {
        {"10", false, 10, 0},
        {"1K", false, 1024, 0},
        {"10G", false, 10737418240, 0},
        {"2t", false, 2199023255552, 0},
        {"3MB", false, 3145728, 0},
        {"3 MiB", false, 3145728, 0},
        {"5%", true, 0, 5},
        {"100%", true, 0, 100},
        {"0", true, 0, 0},
    };
    static const char *const bad[] = {
        "", "G", "10X", "1.5G", "-1", "0%", "101%", "10%%", "99999999T", "1GG", "1 0"};
    struct conf_size v;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_true(value_size(span_of(rows[i].text), rows[i].percent, &v));
        assert_int_equal(v.bytes, rows[i].bytes);
        assert_int_equal(v.percent, rows[i].part);
    }
    assert_false(value_size(span_of("5%"), false, &v));
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        if (value_size(span_of(bad[i]), true, &v)) fail_msg("%s", bad[i]);
    assert_true(value_size(span_of("8388607T"), true, &v));
    assert_false(value_size(span_of("8388608T"), true, &v));
}

static void test_times(void **state)
{
    static const char *const bad[] = {"", "2026", "2026-13-01", "2026-02-30", "2026-01-01T25:00:00Z",
        "2026-01-01T00:00:00", "2026-01-01 00:00:00Z", "1969-12-31", "-1", "tomorrow"};
    int64_t v;

    (void)state;
    assert_true(value_time(span_of("1700000000"), &v) && v == 1700000000);
    assert_true(value_time(span_of("2026-01-31"), &v) && v == 1769817600);
    assert_true(value_time(span_of("2026-01-31T12:00:01Z"), &v) && v == 1769860801);
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        if (i != 1 && value_time(span_of(bad[i]), &v)) fail_msg("%s", bad[i]);
    assert_true(value_time_us(SPAN_LIT("1700000000.25"), &v) && v == 1700000000250000);
    assert_true(value_time_us(SPAN_LIT("2026-01-31"), &v) && v == 1769817600000000);
    assert_true(value_time_us(SPAN_LIT("0.000001"), &v) && v == 1);
    assert_false(value_time_us(SPAN_LIT("1.0000001"), &v) || value_time_us(SPAN_LIT("1."), &v));
    assert_false(value_time_us(SPAN_LIT("2026-01-31.5"), &v) || value_time_us(SPAN_LIT(".5"), &v));
    assert_false(value_time_us(SPAN_LIT("9223372036855"), &v));
}

static void test_networks(void **state)
{
    static const char *const bad[] = {
        "", "10.0.0", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::1/129", "host", "1.2.3.4.5", "/8"};
    struct conf_cidr v;

    (void)state;
    assert_true(value_cidr(span_of("10.1.2.3/8"), &v));
    assert_true(!v.v6 && v.bits == 8 && v.addr[0] == 10 && v.addr[1] == 0); /* what the mask leaves out */
    assert_true(value_cidr(span_of("192.168.1.7"), &v));
    assert_true(!v.v6 && v.bits == 32 && v.addr[3] == 7);
    assert_true(value_cidr(span_of("fd7f::/9"), &v));
    assert_true(v.v6 && v.bits == 9 && v.addr[0] == 0xfd && v.addr[1] == 0);
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        if (value_cidr(span_of(bad[i]), &v)) fail_msg("%s", bad[i]);
    assert_true(value_cidr(span_of("0.0.0.0/0"), &v) && v.bits == 0);
}

static void test_listeners(void **state)
{
    static const struct {
        const char *text, *host;
        uint16_t port;
        const char *base;
    } rows[] = {
        {"*:554:/", "*", 554, "/"},
        {"*:444/", "*", 444, "/"},
        {"*:8080", "*", 8080, "/"},
        {"127.0.0.1:1:/live", "127.0.0.1", 1, "/live/"},
        {"[::1]:65535:/a/", "::1", 65535, "/a/"},
        {"cam.example:80/x", "cam.example", 80, "/x/"},
    };
    static const char *const bad[] = {"", "*", "554", ":554", "*:", "*:0", "*:65536", "*:x", "*:80:x",
        "*:80:/a?b", "[::1:80", "[]:80", "[::1]80", "a b:80", "*x:80", "*:80/\"", "::1:80"};
    struct conf_listen v;
    struct value_why why;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_true(value_listen(span_of(rows[i].text), &v, &why));
        assert_string_equal(v.host, rows[i].host);
        assert_int_equal(v.port, rows[i].port);
        assert_string_equal(v.base, rows[i].base);
        mem_free(v.host);
        mem_free(v.base);
    }
    for (size_t i = 0; i < ARRAY_N(bad); i++)
        if (value_listen(span_of(bad[i]), &v, &why)) fail_msg("%s", bad[i]);
}

static void test_paths(void **state)
{
    char path[VALUE_PATH_MAX], longest[VALUE_PATH_MAX + 2];

    (void)state;
    assert_true(value_path("/etc/ms", span_of("streams/*.ini"), path));
    assert_string_equal(path, "/etc/ms/streams/*.ini");
    assert_true(value_path("/etc/ms", span_of("/a//b/./c/../d/"), path));
    assert_string_equal(path, "/a/b/d");
    assert_true(value_path("/etc/ms", span_of("../../../.."), path));
    assert_string_equal(path, "/");
    memset(longest, 'x', sizeof(longest));
    longest[0] = '/';
    assert_true(value_path("/", span(longest, VALUE_PATH_MAX - 1), path));
    assert_false(value_path("/", span(longest, VALUE_PATH_MAX), path));
}

static void test_items(void **state)
{
    struct span rest = span_of(" a,b  'c d',\"e,f\" ,, g"), item;
    static const char *const want[] = {"a", "b", "c d", "e,f", "g"};
    size_t n = 0;

    (void)state;
    while (value_item(&rest, &item)) assert_true(span_is(item, want[n++]));
    assert_int_equal(n, ARRAY_N(want));
}

/* Every row reads its own default, hashes it, and gives it back. */
static void test_rows(void **state)
{
    uint8_t field[VALUE_FIELD_MAX] __attribute__((aligned(16)));
    struct value_why why;
    uint64_t h;

    (void)state;
    assert_true(conf_rows_n < CONF_ROWS_MAX);
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];
        struct value_from from = {.text = span_of(row->def), .dir = "/"};

        assert_ptr_equal(conf_row_find(row->scope, row->section, row->name), row);
        assert_true(row->help && strlen(row->name) <= 49);
        assert_true((row->words != NULL) == (row->kind == KIND_ENUM || row->kind == KIND_SET));
        memset(field, 0, sizeof(field));
        if (value_nothing(row, from.text)) continue;
        if (!value_parse(row, &from, field, &why)) fail_msg("%s/%s: %s", row->section, row->name, why.text);
        value_hash(row, field, &h);
        value_done(row, field);
        for (size_t k = 0; k < sizeof(field); k++) assert_int_equal(field[k], 0);
    }
}

/* Numbers, durations and sizes: the limits are allowed, what lies outside is refused. */
static void test_limits(void **state)
{
    uint8_t field[VALUE_FIELD_MAX] __attribute__((aligned(16))) = {0};
    struct value_why why;
    char text[64];

    (void)state;
    for (size_t i = 0; i < conf_rows_n; i++) {
        const struct conf_row *row = &conf_rows[i];
        struct value_from from = {.dir = "/"};
        const char *unit = row->kind == KIND_DURATION ? "ms" : "";
        long long scale = row->kind == KIND_DURATION ? US_PER_MS : 1;

        if (row->kind != KIND_INT && row->kind != KIND_DURATION && row->kind != KIND_SIZE &&
            row->kind != KIND_SHARE)
            continue;
        if (row->kind == KIND_DURATION && row->max / US_PER_MS > 999999998) continue;
        for (int at = 0; at < 4; at++) {
            long long v = (at < 2 ? row->min : row->max) / scale + (at == 0 ? -1 : at == 3 ? 1 : 0);

            snprintf(text, sizeof(text), "%lld%s", v, unit);
            from.text = span_of(text);
            if (value_parse(row, &from, field, &why) != (at == 1 || at == 2))
                fail_msg("%s = %s", row->name, text);
        }
    }
}

static void test_lists(void **state)
{
    const struct conf_row *row = conf_row_find(SCOPE_STREAM, "", "primary-node");
    char text[VALUE_ITEMS_MAX * 2 + 8];
    struct value_from from = {.dir = "/"};
    struct conf_list list = {0};
    struct value_why why;

    (void)state;
    memset(text, ',', sizeof(text));
    for (size_t i = 0; i <= VALUE_ITEMS_MAX; i++) text[i * 2] = 'x';
    from.text = span(text, VALUE_ITEMS_MAX * 2);
    assert_true(value_parse(row, &from, &list, &why));
    assert_int_equal(list.n, VALUE_ITEMS_MAX);
    from.text = span(text, VALUE_ITEMS_MAX * 2 + 1);
    assert_false(value_parse(row, &from, &list, &why));
    assert_int_equal(list.n, VALUE_ITEMS_MAX); /* untouched */
    assert_true(strstr(why.text, "more than 256 items"));
    value_done(row, &list);
}

static void refused(
    enum conf_scope scope, const char *section, const char *name, const char *text, const char *want)
{
    const struct conf_row *row = conf_row_find(scope, section, name);
    struct value_from from = {.text = span_of(text), .dir = "/"};
    uint8_t field[VALUE_FIELD_MAX] __attribute__((aligned(16))) = {0};
    struct value_why why;

    assert_false(value_parse(row, &from, field, &why));
    assert_string_equal(why.text, want);
}

static void test_every_bad_item_is_named(void **state)
{
    const struct conf_row *row = conf_row_find(SCOPE_STREAM, "", "stream-whitelist");
    char text[VALUE_ITEMS_MAX * 4 + 16] = "";
    struct value_from from = {.dir = "/"};
    struct conf_cidrs list = {0};
    struct value_why why;

    (void)state;
    refused(SCOPE_CONF, "server/stream", "whitelist-access", "10.0.0.0/99, 10.1.0.0/16 foo",
        "\"10.0.0.0/99\" is no address or network, such as 10.0.0.0/8 or fd00::/8; "
        "\"foo\" is no address or network, such as 10.0.0.0/8 or fd00::/8");
    refused(SCOPE_CONF, "server/stream", "web", "*:0:/, *:80:/, x",
        "\"0\" is not a port from 1 to 65535; \"x\" is not host:port:base-url, such as *:554:/");
    refused(SCOPE_STREAM, "", "stream-tracks", "film, video, smell",
        "\"film\" is none of video, audio, data; \"smell\" is none of video, audio, data");
    refused(SCOPE_STREAM, "", "dvr-schedule", "mon 8-9, tue 08:00-09:00, noday 08:00-09:00",
        "\"mon 8-9\": times are HH:MM-HH:MM, 00:00 to 24:00; \"noday 08:00-09:00\": a day is mon, tue, wed, "
        "thu, fri, sat, sun, a range of them, or daily");
    refused(SCOPE_STREAM, "", "dvr-archive", "a*0, b, c*x",
        "\"a*0\" has no weight from 1 to 1000 behind the '*'; \"c*x\" has no weight from 1 to 1000 behind "
        "the '*'");
    /* More than there is room for are counted, and a list that is too long says so as one of them. */
    for (size_t i = 0; i <= VALUE_ITEMS_MAX; i++) memcpy(text + i * 4, "bad,", 4);
    from.text = span(text, (VALUE_ITEMS_MAX + 1) * 4);
    assert_false(value_parse(row, &from, &list, &why));
    assert_true(span_ends(span_of(why.text), SPAN_LIT("; and 252 more")));
    assert_true(strlen(why.text) < 340);
    /* One that is longer than the room is still a mistake. */
    memset(text, 'x', 500);
    from.text = span(text, 500);
    assert_false(value_parse(row, &from, &list, &why));
    assert_true(strlen(why.text) > 0);
}

static void test_text_is_utf8(void **state)
{
    const struct conf_row *row = conf_row_find(SCOPE_STREAM, "", "stream-name");
    struct value_from from = {
        .text = SPAN_LIT("caf\xc3\xa9 \xe9t\xe9 \xe2\x82\xac \xed\xa0\x80 \xf0\x9f\x93\xb7 \xc0\xaf"),
        .dir = "/"};
    struct value_why why;
    char *name = NULL, longest[VALUE_TEXT_MAX + 1];

    (void)state;
    assert_true(value_parse(row, &from, &name, &why));
    assert_string_equal(name, "caf\xc3\xa9 ?t? \xe2\x82\xac ??? \xf0\x9f\x93\xb7 ??");
    memset(longest, 'x', sizeof(longest));
    from.text = span(longest, VALUE_TEXT_MAX);
    assert_true(value_parse(row, &from, &name, &why));
    from.text = span(longest, VALUE_TEXT_MAX + 1);
    assert_false(value_parse(row, &from, &name, &why));
    value_done(row, &name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_times),
        cmocka_unit_test(test_networks),
        cmocka_unit_test(test_listeners),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_items),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_lists),
        cmocka_unit_test(test_every_bad_item_is_named),
        cmocka_unit_test(test_text_is_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
