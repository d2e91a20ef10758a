/* httpd/api: what a script says becomes an answer only where HTTP can say it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/ipc/pack.h"
#include "httpd/api.h"

static struct buf b;
static struct unpack *u;

/* A map of status and, unless NULL, type, body and one header. */
static bool read_answer(
    int64_t status, const char *type, const char *name, const char *value, struct api_answer *ret)
{
    struct packer p;
    bool ok;

    buf_init(&b, 1 << 16);
    p = packer_of(&b);
    pack_map(&p, 2 + (type != NULL) + (name != NULL));
    pack_kv_i64(&p, "status", status);
    pack_kv_text(&p, "body", "text");
    if (type) pack_kv_text(&p, "type", type);
    if (name) {
        pack_key(&p, "headers");
        pack_map(&p, 1);
        pack_kv_text(&p, name, value);
    }
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    ok = api_answer_read(unpack_root(u), ret);
    if (ok) assert_true(span_is(ret->body, "text"));
    unpack_done(u);
    buf_done(&b);
    return ok;
}

static void what_http_can_say(void **state)
{
    struct api_answer a;

    (void)state;
    assert_true(read_answer(200, NULL, NULL, NULL, &a));
    assert_string_equal(a.type, "application/json");
    assert_string_equal(a.extra, "");
    assert_true(read_answer(599, "text/plain; charset=utf-8", "X-Own", "some value", &a));
    assert_int_equal(a.status, 599);
    assert_string_equal(a.type, "text/plain; charset=utf-8");
    assert_string_equal(a.extra, "X-Own: some value\r\n");
    assert_true(read_answer(404, "", "Allow", "", &a));
}

static void what_it_cannot(void **state)
{
    static char long_text[600];
    struct api_answer a;

    (void)state;
    memset(long_text, 'x', sizeof(long_text) - 1);
    assert_false(read_answer(199, NULL, NULL, NULL, &a));
    assert_false(read_answer(600, NULL, NULL, NULL, &a));
    assert_false(read_answer(-200, NULL, NULL, NULL, &a));
    assert_false(read_answer(200, "a\r\nb: c", NULL, NULL, &a));
    assert_false(read_answer(200, long_text, NULL, NULL, &a));
    assert_false(read_answer(200, NULL, "A:", "b", &a));
    assert_false(read_answer(200, NULL, "", "b", &a));
    assert_false(read_answer(200, NULL, "A", "b\nc", &a));
    assert_false(read_answer(200, NULL, "A", long_text, &a));
    assert_false(api_answer_read(NULL, &a));
}

static void too_many_fields(void **state)
{
    struct api_answer a;
    struct packer p;

    (void)state;
    buf_init(&b, 1 << 16);
    p = packer_of(&b);
    pack_map(&p, 2);
    pack_kv_i64(&p, "status", 200);
    pack_key(&p, "headers");
    pack_map(&p, API_HEADERS_MAX + 1);
    for (unsigned i = 0; i <= API_HEADERS_MAX; i++) pack_kv_text(&p, "A", "b");
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_false(api_answer_read(unpack_root(u), &a));
    unpack_done(u);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_http_can_say),
        cmocka_unit_test(what_it_cannot),
        cmocka_unit_test(too_many_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
