/* From where API, metrics and health may be asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/err.h"
#include "tests/support/access_help.h"

#include <unistd.h>

static struct access_help help;
static const char *const paths[] = {"/metrics", "/healthz", "/readyz", "/api/streams/"};

static int start(void **state)
{
    (void)state;
    access_help_start(&help);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    access_help_stop(&help);
    return 0;
}

static unsigned get(const char *path, const char *fields)
{
    const struct httpd_help module = {.port = help.module_port};
    struct http_reply r;
    unsigned status;

    must(httpd_help_get(&module, path, fields, &r));
    status = r.status;
    http_reply_done(&r);
    return status;
}

static void expect(bool may, const char *fields)
{
    for (size_t i = 0; i < ARRAY_N(paths); i++) {
        unsigned status = get(paths[i], fields);

        if ((status != 403) != may) fail_msg("%s: %u", paths[i], status);
    }
}

static void lists(void **state)
{
    (void)state;
    access_help_site(&help, &(struct access_site){.api = true});
    expect(true, NULL);
    assert_int_equal(get("/healthz", NULL), 200);
    access_help_site(&help, &(struct access_site){.api = true, .api_whitelist = "10.0.0.0/8"});
    expect(false, NULL);
    expect(false, "X-Forwarded-For: 10.0.0.1\r\n");
    access_help_site(&help, &(struct access_site){.api = true, .api_whitelist = "127.0.0.0/8"});
    expect(true, NULL);
}

/* Behind a trusted proxy the viewer's address counts, and not the proxy's. */
static void proxies(void **state)
{
    (void)state;
    access_help_site(&help,
        &(struct access_site){.api = true, .api_whitelist = "203.0.113.0/24", .proxies = "127.0.0.0/8"});
    expect(true, "X-Forwarded-For: 203.0.113.7\r\n");
    expect(false, "X-Forwarded-For: 198.51.100.7\r\n");
    expect(false, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(proxies),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
