/* A change of keys taken back from a file that has changed since. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "master/edits_impl.h"

/* before -> behind was the change; now is what the file holds. want NULL: it is refused, and says why. */
struct vector {
    const char *before, *behind, *now, *want, *why;
};

static void undo(const struct vector *v, bool site)
{
    struct edits_result ret = {.at = 0};
    struct edits_work w = {.ret = &ret};
    struct draft d = {.was = (uint8_t *)(uintptr_t)v->now, .was_n = strlen(v->now), .site = site};
    const struct stream_edit e = {
        .kind = EDIT_TEXT, .uid = "cam", .was = span_of(v->behind), .text = span_of(v->before), .keys = true};
    int code;

    buf_init(&d.text, 4096);
    code = edits_undo(&w, &e, &d);
    assert_int_equal(code, v->want ? CTL_OK : CTL_CHANGED);
    if (v->want)
        assert_true(span_is(buf_span(&d.text), v->want));
    else
        assert_non_null(strstr(ret.text, v->why));
    buf_done(&d.text);
}

static void of_a_stream(void **state)
{
    static const struct vector v[] = {
        /* another key was changed, and a comment written */
        {"[cam]\na = 1\n", "[cam]\na = 2\n", "# note\n[cam]\na = 2 # here\nb = 3\n",
            "# note\n[cam]\na = 1 # here\nb = 3\n", NULL},
        /* a key that was set goes, one that went comes back */
        {"[cam]\nb = x\n", "[cam]\na = 1\n", "[cam]\na = 1\nc = 2\n", "[cam]\nc = 2\nb = x\n", NULL},
        /* somebody has set it back already */
        {"[cam]\na = 1\nb = 1\n", "[cam]\na = 2\nb = 2\n", "[cam]\na = 1\nb = 2\n", "[cam]\na = 1\nb = 1\n",
            NULL},
        {"[cam]\na = 1\n", "[cam]\na = 2\n", "[cam]\na = 3\n", NULL, "a has changed"},
        {"[cam]\na = 1\n", "[cam]\na = 2\n", "[cam]\nb = 2\n", NULL, "a has changed"},
        {"[cam]\nb = 1\n", "[cam]\na = 2\n", "[cam]\na = 2\nb = 5\n", NULL, "b has changed"},
        /* of another stream in the same file nothing */
        {"[cam]\na = 1\n[two]\na = 9\n", "[cam]\na = 2\n[two]\na = 9\n", "[cam]\na = 2\n[two]\na = 8\n",
            "[cam]\na = 1\n[two]\na = 8\n", NULL},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(v); i++) undo(&v[i], false);
}

static void of_the_server(void **state)
{
    static const struct vector v[] = {
        {"[server]\nlog-level = info\n[[stream]]\nthreads = 1\n",
            "[server]\nlog-level = debug\n[[stream]]\nthreads = 1\n",
            "[server]\nlog-level = debug\n[[stream]]\nthreads = 2\n",
            "[server]\nlog-level = info\n[[stream]]\nthreads = 2\n", NULL},
        {"[server]\na = 1\n[[stream]]\na = 1\n", "[server]\na = 1\n[[stream]]\na = 2\n",
            "[server]\na = 5\n[[stream]]\na = 3\n", NULL, "server/stream/a has changed"},
        {"[storages]\nx = \"/a #b\"\n", "[storages]\nx = /b\n", "[storages]\nx = /b\ny = /c\n",
            "[storages]\nx = \"/a #b\"\ny = /c\n", NULL},
        /* where quotes are a part of the value */
        {"[server]\n[[stream]]\n[[[keys]]]\nk = \"a\"\n", "[server]\n[[stream]]\n[[[keys]]]\nk = \"b\"\n",
            "[server]\n[[stream]]\n[[[keys]]]\nk = \"b\"\nl = c\n", NULL, "keys/k has changed"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(v); i++) undo(&v[i], true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(of_a_stream),
        cmocka_unit_test(of_the_server),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
