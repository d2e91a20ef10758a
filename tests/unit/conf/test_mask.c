/* common/conf/mask: what is secret is not shown, and what was shown and comes back is what it was. */
#include "common/conf/mask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SITE "server/module/accounts"
#define KEYS "server/stream/keys"

static struct source_item item(const char *key, const char *value)
{
    static char name[SOURCE_KEY_MAX + 1];

    assert_true(span_copy(span_of(key), name, sizeof(name)));
    return (struct source_item){.key = name, .value = span_of(value)};
}

static void shows(const char *section, const char *key, const char *value, const char *wanted)
{
    struct source_item it = item(key, value);
    char shown[CONF_SHOWN_MAX];

    assert_string_equal(conf_mask(section, &it, shown), wanted);
}

static void secrets_are_not_shown(void **state)
{
    (void)state;
    shows("server/stream", "auth-secret", "a # b", "***");
    shows("server/stream", "auth-secret", "", "");
    shows("server", "cluster-controller", "https://u:p@h/x?token=t", "https://u:***@h/x?token=***");
    shows("server/module/users", "root", "boss:pass:word", "boss:***");
    shows("server/module/users", "root", "boss", "boss");
    shows(SITE, "anna", "user:$scrypt$ln=15$x", "user:***");
    shows("server/module/cameras", "anna", "yard-*, gate", "yard-*, gate");
    shows(KEYS, "k2", "secret, 2026-01-01, 2027-01-01", "***, 2026-01-01, 2027-01-01");
    shows(KEYS, "k2", "secret", "***");
    shows("server/stream", "web", "*:444/", "*:444/");
    shows("server/stream", "user-agent", "rtsp://u:p@h/", "rtsp://u:***@h/");
    shows("storages/fast", "path", "/srv/fast", "/srv/fast");
    shows("server/stream", "auth-secrets", "a slip of the pen", "***");
    shows("nowhere", "x", "y", "***");
    shows(NULL, "stream-url", "rtsp://u:p@h/", "rtsp://u:***@h/");
    shows(NULL, "stream-name", "Gate", "Gate");
}

static void quotes_of_a_key(void **state)
{
    char text[] = "\"a,b\", 2026-01-01", whole[] = "\"a,b\"", k[] = "k";
    struct source_item torn = {.key = k, .value = span_of(text), .torn = true};
    struct source_item quoted = {.key = k, .value = span_sub(span_of(whole), 1, 3), .quoted = true};
    char shown[CONF_SHOWN_MAX];
    uint8_t mem[CONF_SHOWN_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    (void)state;
    assert_string_equal(conf_mask(KEYS, &torn, shown), "***, 2026-01-01");
    assert_string_equal(conf_mask(KEYS, &quoted, shown), "***");
    assert_true(conf_unmask(KEYS, "k", SPAN_LIT("***, 2028-01-01"), &torn, &w));
    assert_string_equal(wr_cstr(&w), "\"a,b\", 2028-01-01");
    w = wr_of(mem, sizeof(mem));
    assert_true(conf_unmask(KEYS, "k", SPAN_LIT("***, 2028-01-01"), &quoted, &w));
    assert_string_equal(wr_cstr(&w), "\"a,b\", 2028-01-01");
}

/* wanted NULL: it is refused. was NULL: nothing stands there. */
static void means(
    const char *section, const char *key, const char *value, const char *was, const char *wanted)
{
    struct source_item it = item(key, was ? was : "");
    uint8_t mem[CONF_SHOWN_MAX];
    struct wr w = wr_of(mem, sizeof(mem));

    assert_int_equal(conf_unmask(section, key, span_of(value), was ? &it : NULL, &w), wanted != NULL);
    if (wanted) assert_string_equal(wr_cstr(&w), wanted);
}

static void what_was_shown_means_what_is_there(void **state)
{
    (void)state;
    means("server/stream", "auth-secret", "***", "old # one", "old # one");
    means("server/stream", "auth-secret", "new", "old", "new");
    means("server/stream", "auth-secret", "***", NULL, NULL);
    means("server/stream", "auth-secret", "***", "", NULL);
    means("server/stream", "auth-secret", "*** of ours", "old", "*** of ours");
    means("server/module/users", "root", "chief:***", "boss:pass:word", "chief:pass:word");
    means("server/module/users", "root", "chief:***", "boss", NULL);
    means(SITE, "anna", "admin:***", "user:p", "admin:p");
    means(SITE, "anna", "admin:q", "user:p", "admin:q");
    means(KEYS, "k2", "***", "secret, 2026-01-01", "secret");
    means(KEYS, "k2", "***, 2028-01-01", "secret", "secret, 2028-01-01");
    means("server", "cluster-controller", "https://u:***@h/2", "https://u:p@h/", "https://u:p@h/2");
    means("server", "cluster-controller", "https://u:***@other/", "https://u:p@h/", NULL);
    means("server", "cluster-controller", "https://h/?token=***", "https://h/?token=t", "https://h/?token=t");
    means("server", "cluster-controller", "https://u:***@h/", "https://h/", NULL);
    means("server/stream", "web", "*:444/", NULL, "*:444/");
    means(NULL, "stream-url", "rtsp://u:***@h/2", "rtsp://u:p@h/1", "rtsp://u:p@h/2");
    means(NULL, "stream-url", "rtsp://u:***@H:8554/2", "rtsp://u:p@h/1", "rtsp://u:p@H:8554/2");
    means(NULL, "stream-url", "rtsp://u:***@evil/1", "rtsp://u:p@h/1", NULL);
    means(NULL, "stream-url", "rtsp://u:***@h.evil/1", "rtsp://u:p@h/1", NULL);
    means(NULL, "stream-url", "rtsp://u:***@evil/@h/1", "rtsp://u:p@h/1", NULL);
    means(NULL, "stream-url", "rtsp://u:***@[::1]/1", "rtsp://u:p@[::2]/1", NULL);
    means(NULL, "stream-name", "***", NULL, "***");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(secrets_are_not_shown),
        cmocka_unit_test(quotes_of_a_key),
        cmocka_unit_test(what_was_shown_means_what_is_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
