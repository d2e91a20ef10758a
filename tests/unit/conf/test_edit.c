/* common/conf/edit: keys of a stream's file changed, and all else as it was; conf_load_as judges the result.
 */
#include "common/conf/edit.h"
#include "common/conf/source.h"
#include "tests/support/conf_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct buf out;

static int up(void **state)
{
    (void)state;
    buf_init(&out, 4u << 20);
    return 0;
}

static int down(void **state)
{
    (void)state;
    buf_done(&out);
    return 0;
}

static int edit_n(const char *text, const struct conf_set *v, size_t n)
{
    size_t at;
    int err = conf_edit(span_of(text), SPAN_LIT("cam-1"), v, n, &out, &at);

    buf_put(&out, SPAN_LIT("\0"));
    return err;
}

static void becomes(const char *text, const char *key, const char *value, const char *wanted)
{
    assert_int_equal(edit_n(text, &(struct conf_set){key, value, NULL}, 1), CONF_EDIT_OK);
    assert_string_equal((const char *)buf_span(&out).p, wanted);
}

static void test_value_alone_changes(void **state)
{
    (void)state;
    becomes("# top\n[cam-1] # the gate\n  stream-name=old # why\n\n# end\n", "stream-name", "new",
        "# top\n[cam-1] # the gate\n  stream-name=new # why\n\n# end\n");
    becomes("[cam-1]\nstream-url = \"rtsp://a/b#c\" # u\n", "stream-url", "rtsp://d",
        "[cam-1]\nstream-url = \"rtsp://d\" # u\n");
    becomes("[cam-1]\r\na = 1\r\nb = 2", "b", "3", "[cam-1]\r\na = 1\r\nb = 3");
    becomes("[cam-1]\na =\n", "a", "1", "[cam-1]\na = 1\n");
    becomes("[cam-1]\na = # none\n", "a", "1", "[cam-1]\na = 1 # none\n");
    becomes("[cam-1]\n\ta # bare\n", "a", "1", "[cam-1]\n\ta = 1\n");
    becomes("[other]\na = 0\n[cam-1]\na = 1\n[third]\na = 2\n", "a", "9",
        "[other]\na = 0\n[cam-1]\na = 9\n[third]\na = 2\n");
}

static void test_the_line_that_counts(void **state)
{
    (void)state;
    becomes("[cam-1]\na = 1\na = 2\n", "a", "3", "[cam-1]\na = 1\na = 3\n");
    becomes("[cam-1]\na = 1\nb = 0\na = 2\n", "a", NULL, "[cam-1]\nb = 0\n");
}

static void test_new_keys_and_sections(void **state)
{
    static const struct conf_set two[] = {{"a", "1", NULL}, {"b", "x # y", NULL}, {"a", "2", NULL}};

    (void)state;
    assert_int_equal(edit_n("", two, 3), CONF_EDIT_OK);
    assert_string_equal((const char *)buf_span(&out).p, "[cam-1]\nb = \"x # y\"\na = 2\n");
    assert_int_equal(edit_n("[cam-1]\n  c = 3 # last\n\n# of the next\n[x]\n", two, 2), CONF_EDIT_OK);
    assert_string_equal((const char *)buf_span(&out).p,
        "[cam-1]\n  c = 3 # last\n  a = 1\n  b = \"x # y\"\n\n# of the next\n[x]\n");
    becomes("[cam-1]\nc = 3", "a", "1", "[cam-1]\nc = 3\na = 1");
    becomes("[cam-1]", "a", "1", "[cam-1]\na = 1");
    becomes("# only words", "a", "1", "# only words\n\n[cam-1]\na = 1\n");
    becomes("[x]\r\n", "a", "1", "[x]\r\n\r\n[cam-1]\r\na = 1\r\n");
}

static void test_quotes(void **state)
{
    (void)state;
    becomes("[cam-1]\n", "a", " b ", "[cam-1]\na = \" b \"\n");
    becomes("[cam-1]\n", "a", "say \"x\"", "[cam-1]\na = 'say \"x\"'\n");
    becomes("[cam-1]\n", "a", "it's", "[cam-1]\na = it's\n");
    becomes("[cam-1]\na = 'x'\n", "a", "it's", "[cam-1]\na = \"it's\"\n");
    becomes("[cam-1]\n", "a", "", "[cam-1]\na = \n");
}

static void test_what_cannot_be(void **state)
{
    static char large[CONF_VALUE_MAX + 2];

    (void)state;
    assert_int_equal(edit_n("", &(struct conf_set){"A b", "1", NULL}, 1), CONF_EDIT_E_KEY);
    assert_int_equal(edit_n("", &(struct conf_set){"", "1", NULL}, 1), CONF_EDIT_E_KEY);
    assert_int_equal(edit_n("", &(struct conf_set){"a]", "1", NULL}, 1), CONF_EDIT_E_KEY);
    assert_int_equal(edit_n("", &(struct conf_set){"a", "x\n[y]", NULL}, 1), CONF_EDIT_E_VALUE);
    assert_int_equal(edit_n("", &(struct conf_set){"a", "# \" '", NULL}, 1), CONF_EDIT_E_VALUE);
    memset(large, 'x', sizeof(large) - 1);
    assert_int_equal(edit_n("", &(struct conf_set){"a", large, NULL}, 1), CONF_EDIT_E_VALUE);
}

/* --- media-server.ini: sections in sections --- */

static const char site[] = "# ours\n"
                           "[server]\n"
                           "  node-id = 1\n"
                           "  [[stream]]\n"
                           "    # rtsp = *:554:/\n"
                           "    web = *:444/ # viewers\n"
                           "\n"
                           "# footage\n"
                           "[storages]\n"
                           "  default = /a\n"
                           "  [[fast]]\n"
                           "    path = /f\n";

static void site_becomes(const struct conf_set *v, size_t n, const char *wanted)
{
    assert_int_equal(edit_n(site, v, n), CONF_EDIT_OK);
    assert_string_equal((const char *)buf_span(&out).p, wanted);
}

static void test_keys_of_sections(void **state)
{
    static const struct conf_set v[] = {{"web", "*:80/", "server/stream"}, {"node-id", NULL, "server"},
        {"rtsp", "*:5554:/", "server/stream"}, {"fast", NULL, "storages"}, {"path", "/g", "storages/fast"}};

    (void)state;
    site_becomes(v, ARRAY_N(v),
        "# ours\n[server]\n  [[stream]]\n    # rtsp = *:554:/\n    web = *:80/ # viewers\n"
        "    rtsp = *:5554:/\n\n# footage\n[storages]\n  default = /a\n  [[fast]]\n    path = /g\n");
}

static void test_sections_are_made_where_they_belong(void **state)
{
    static const struct conf_set v[] = {{"Anna_1", "user:p", "server/module/accounts"},
        {"dvr-sync", "2s", "dvr"}, {"path", "/h", "storages/slow"}};

    (void)state;
    site_becomes(v, ARRAY_N(v),
        "# ours\n[server]\n  node-id = 1\n  [[stream]]\n    # rtsp = *:554:/\n    web = *:444/ # viewers\n"
        "\n  [[module]]\n  [[[accounts]]]\n  Anna_1 = user:p\n\n# footage\n[storages]\n  default = /a\n"
        "  [[fast]]\n    path = /f\n\n  [[slow]]\n  path = /h\n\n[dvr]\ndvr-sync = 2s\n");
}

static void test_sections_go(void **state)
{
    static const struct conf_set fast = {"", NULL, "storages/fast"}, server = {"", NULL, "server"};
    static const struct conf_set both[] = {{"", NULL, "storages/fast"}, {"path", "/x", "storages/fast"}};
    static const struct conf_set gone[] = {{"", NULL, "dvr"}, {"x", NULL, "dvr/y"}};

    (void)state;
    site_becomes(&fast, 1,
        "# ours\n[server]\n  node-id = 1\n  [[stream]]\n    # rtsp = *:554:/\n    web = *:444/ # viewers\n"
        "\n# footage\n[storages]\n  default = /a\n");
    assert_int_equal(edit_n(site, &server, 1), CONF_EDIT_E_SECTION);
    assert_int_equal(edit_n(site, both, 2), CONF_EDIT_E_SECTION);
    site_becomes(gone, 2, site);
    assert_int_equal(edit_n(site, &(struct conf_set){"a", "1", "a/b/c/d/e"}, 1), CONF_EDIT_E_SECTION);
    assert_int_equal(edit_n(site, &(struct conf_set){"a", "1", "a//b"}, 1), CONF_EDIT_E_SECTION);
    assert_int_equal(edit_n(site, &(struct conf_set){"a", "1", "a]"}, 1), CONF_EDIT_E_SECTION);
    assert_int_equal(edit_n(site, &(struct conf_set){".", "1", "a"}, 1), CONF_EDIT_E_KEY);
}

/* What is a list with a quoted part is written as it is given, or it would be one text. */
static void test_raw_values(void **state)
{
    static const char keys[] = "server/stream/keys";
    const struct conf_set two[] = {{"k1", "\"a, b\", 2026-01-01", keys}, {"k2", "plain", keys}};

    (void)state;
    assert_int_equal(edit_n("[server]\n[[stream]]\n[[[keys]]]\nk1 = \"old\" # mine\n", two, 2), CONF_EDIT_OK);
    assert_string_equal((const char *)buf_span(&out).p,
        "[server]\n[[stream]]\n[[[keys]]]\nk1 = \"a, b\", 2026-01-01 # mine\nk2 = plain\n");
    assert_int_equal(edit_n("", &(struct conf_set){"k", "a#b", keys}, 1), CONF_EDIT_E_VALUE);
    assert_int_equal(edit_n("", &(struct conf_set){"k", "\"open", keys}, 1), CONF_EDIT_E_VALUE);
    assert_int_equal(edit_n("", &(struct conf_set){"k", "\"a#b\"", keys}, 1), CONF_EDIT_OK);
}

static void add_shown(void *arg, const char *section, const struct source_item *item)
{
    buf_fmt(arg, "%s/%s=%.*s;", section, item->key, SPAN_FMT(item->value));
}

static void test_site_is_shown(void **state)
{
    (void)state;
    buf_clear(&out);
    conf_show_site(SPAN_LIT("[a]\nx = 1\nx = 2\n[[b]]\ny = \"#\"\n"), add_shown, &out);
    assert_true(span_is(buf_span(&out), "a/x=2;a/b/y=#;"));
}

/* What is meant to be stored is judged as if it were, and nothing is. */
static void test_drafts(void **state)
{
    struct conf_files f;
    struct conf *c;
    char old[256], fresh[256], ini[256];
    struct conf_draft d[2];

    (void)state;
    conf_files_init(&f);
    conf_files_put(&f, "media-server.ini", "[streams]\ninclude = streams/*.ini\n");
    conf_files_put(&f, "streams/cam-1.ini", "[cam-1]\nstream-url = rtsp://a/1\n");
    assert_int_equal(conf_files_load(&f), 0);
    snprintf(ini, sizeof(ini), "%s/media-server.ini", f.dir);
    snprintf(old, sizeof(old), "%s/streams/cam-1.ini", f.dir);
    assert_true(conf_stream_path(f.conf, SPAN_LIT("cam-2"), fresh, sizeof(fresh)));
    assert_non_null(strstr(fresh, "/streams/cam-2.ini"));
    d[0] = (struct conf_draft){old, SPAN_LIT("[cam-1]\nstream-url = rtsp://b/1\n")};
    d[1] = (struct conf_draft){fresh, SPAN_LIT("[cam-2]\nstream-url = rtsp://b/2\n")};
    assert_int_equal(conf_load_as(ini, d, 2, &c, &f.report), 0);
    assert_int_equal(c->n_streams, 2);
    assert_string_equal(c->streams[0]->host, "b");
    conf_free(c);
    d[0].text = SPAN_NONE;
    assert_int_equal(conf_load_as(ini, d, 2, &c, &f.report), 0);
    assert_int_equal(c->n_streams, 1);
    assert_string_equal(c->streams[0]->uid, "cam-2");
    conf_free(c);
    d[1].text = SPAN_LIT("[cam-2]\nstream-url = rtsp://b/2\ndvr-chunk = never\n");
    assert_int_equal(conf_load_as(ini, d, 2, &c, &f.report), CONF_E_MISTAKES);
    assert_true(conf_files_said(&f, CONF_MISTAKE, 3, "cam-2/dvr-chunk", ""));
    assert_int_equal(conf_files_load(&f), 0);
    assert_int_equal(f.conf->n_streams, 1);
    d[0] = (struct conf_draft){ini, SPAN_LIT("[server]\nnode-id = 7\n[streams]\ninclude = streams/*.ini\n")};
    assert_int_equal(conf_load_as(ini, d, 1, &c, &f.report), 0);
    assert_int_equal(c->server.node_id, 7);
    assert_int_equal(c->n_streams, 1);
    conf_free(c);
    d[0].text = SPAN_LIT("[server]\nnode-id = none\n");
    assert_int_equal(conf_load_as(ini, d, 1, &c, &f.report), CONF_E_MISTAKES);
    assert_true(conf_files_said(&f, CONF_MISTAKE, 2, "server/node-id", ""));
    conf_files_done(&f);
}

static void test_one_stream(void **state)
{
    const struct span gate = SPAN_LIT("gate");

    (void)state;
    assert_null(conf_text_refused(SPAN_LIT("# a\n[gate]\nstream-url = rtsp://h/1\n"), gate));
    assert_null(conf_text_refused(SPAN_LIT("[gate]\n[[x]]\na = b\n"), gate)); /* a section within it */
    assert_non_null(strstr(conf_text_refused(SPAN_LIT("[gate]\n[yard]\n"), gate), "more than one"));
    assert_non_null(strstr(conf_text_refused(SPAN_LIT("[yard]\n"), gate), "no section"));
    assert_non_null(strstr(conf_text_refused(SPAN_LIT(""), gate), "no section"));
    assert_non_null(strstr(conf_text_refused(SPAN_LIT("\0\xff[[["), gate), "no section"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value_alone_changes),
        cmocka_unit_test(test_the_line_that_counts),
        cmocka_unit_test(test_new_keys_and_sections),
        cmocka_unit_test(test_quotes),
        cmocka_unit_test(test_what_cannot_be),
        cmocka_unit_test(test_keys_of_sections),
        cmocka_unit_test(test_sections_are_made_where_they_belong),
        cmocka_unit_test(test_sections_go),
        cmocka_unit_test(test_raw_values),
        cmocka_unit_test(test_site_is_shown),
        cmocka_unit_test(test_drafts),
        cmocka_unit_test(test_one_stream),
    };

    return cmocka_run_group_tests(tests, up, down);
}
