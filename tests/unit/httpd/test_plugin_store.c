/* What plug-ins keep, and whom they may call. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/ipc/pack.h"
#include "httpd/plugins.h"

static void kept(void **state)
{
    struct plugin_store *s = plugin_store_new();
    char big[PLUGIN_VALUE_MAX + 1], key[PLUGIN_KEY_MAX + 1];
    struct packer p;
    struct unpack *u;
    struct buf b;

    (void)state;
    memset(big, 'x', sizeof(big));
    memset(key, 'k', sizeof(key));
    assert_null(plugin_store_get(s, "a", SPAN_LIT("one")).p);
    assert_true(plugin_store_set(s, "a", SPAN_LIT("one"), SPAN_LIT("1")));
    assert_true(plugin_store_set(s, "ab", SPAN_LIT("one"), SPAN_LIT("other")));
    assert_true(plugin_store_set(s, "a", SPAN_LIT("one"), SPAN_LIT("2")));
    assert_true(span_is(plugin_store_get(s, "a", SPAN_LIT("one")), "2"));
    assert_true(plugin_store_set(s, "a", SPAN_LIT("two"), span(big, PLUGIN_VALUE_MAX)));
    assert_false(plugin_store_set(s, "a", SPAN_LIT("two"), span(big, sizeof(big))));
    assert_true(plugin_store_set(s, "a", span(key, PLUGIN_KEY_MAX), SPAN_LIT("")));
    assert_non_null(plugin_store_get(s, "a", span(key, PLUGIN_KEY_MAX)).p);
    assert_false(plugin_store_set(s, "a", span(key, sizeof(key)), SPAN_LIT("")));
    assert_false(plugin_store_set(s, "a", SPAN_NONE, SPAN_LIT("1")) ||
        plugin_store_set(s, "a", span("a\0b", 3), SPAN_LIT("1")));
    buf_init(&b, 1000);
    p = packer_of(&b);
    plugin_store_keys(s, "a", &p);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_int_equal(packed_n(unpack_root(u)), 3);
    unpack_done(u);
    buf_done(&b);
    assert_true(plugin_store_set(s, "a", SPAN_LIT("one"), SPAN_NONE));
    assert_null(plugin_store_get(s, "a", SPAN_LIT("one")).p);
    assert_true(span_is(plugin_store_get(s, "ab", SPAN_LIT("one")), "other"));
    plugin_store_free(s);
}

static void full(void **state)
{
    struct plugin_store *s = plugin_store_new();
    char key[16];

    (void)state;
    for (int i = 0; i < PLUGIN_ROWS_MAX; i++) {
        snprintf(key, sizeof(key), "%d", i);
        assert_true(plugin_store_set(s, "a", span_of(key), SPAN_LIT("x")));
    }
    assert_false(plugin_store_set(s, "a", SPAN_LIT("more"), SPAN_LIT("x")));
    assert_true(plugin_store_set(s, "a", SPAN_LIT("7"), SPAN_LIT("y")));
    plugin_store_free(s);
}

static bool may(const char *hosts, const char *url)
{
    return plugin_host_ok(span_of(hosts), span_of(url));
}

static void hosts(void **state)
{
    (void)state;
    assert_true(may("api.example.org", "https://api.example.org/x") &&
        may("a, api.example.org:8080", "http://API.example.org:8080/"));
    assert_true(may("*.example.org", "https://a.b.example.org/") && may("*", "http://10.0.0.1:81/x") &&
        may("127.0.0.1", "http://127.0.0.1:9/"));
    assert_false(may("", "http://a/") || may("a", "http://b/") ||
        may("api.example.org:8080", "http://api.example.org/"));
    assert_false(
        may("*.example.org", "https://example.org/") || may("*.example.org", "https://evilexample.org/"));
    assert_false(
        may("*", "file:///etc/passwd") || may("*", "gopher://a/") || may("*", "") || may("*", "rtsp://a/"));
    assert_false(may("a", "http://a@b/") || may("a", "http://b/a") || may("a", "http://b#a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kept),
        cmocka_unit_test(full),
        cmocka_unit_test(hosts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
