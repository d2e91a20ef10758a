/* master/layouts: kept over a restart, bounded, and only what is a JSON object. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "common/base/fd.h"
#include "master/layouts.h"

static char folder[64];
static int dir;
static struct layouts all;

static int up(void **state)
{
    (void)state;
    snprintf(folder, sizeof(folder), "/tmp/ms-layouts-XXXXXX");
    assert_non_null(mkdtemp(folder));
    dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return layouts_open(&all, dir);
}

static int down(void **state)
{
    (void)state;
    layouts_close(&all);
    (void)unlinkat(dir, "layouts", 0);
    close(dir);
    return rmdir(folder);
}

static const char *put(const char *owner, bool shared, const char *name, struct span json)
{
    struct layout v = {.shared = shared, .at_s = 7};

    snprintf(v.owner, sizeof(v.owner), "%s", owner);
    snprintf(v.name, sizeof(v.name), "%s", name);
    return layouts_put(&all, &v, json);
}

static void again(void)
{
    layouts_close(&all);
    assert_int_equal(layouts_open(&all, dir), 0);
}

static void test_kept(void **state)
{
    const struct layout *v;

    (void)state;
    assert_null(put("anna", false, "a wall\xc3\xbc", SPAN_LIT("{\"n\":1}")));
    assert_null(put("anna", false, "a wall\xc3\xbc", SPAN_LIT("{\"n\":2}")));
    assert_null(put("bert", false, "a wall\xc3\xbc", SPAN_LIT("{}")));
    assert_null(put("bert", true, "door", SPAN_LIT("{}")));
    again();
    assert_int_equal(all.n, 3);
    v = layouts_find(&all, "anna", false, "a wall\xc3\xbc");
    assert_non_null(v);
    assert_string_equal(v->json, "{\"n\":2}");
    assert_int_equal(v->at_s, 7);
    assert_non_null(layouts_find(&all, "anna", true, "door"));
    assert_null(layouts_find(&all, "bert", false, "door"));
    assert_false(layouts_remove(&all, "anna", false, "door"));
    assert_true(layouts_remove(&all, "anna", true, "door"));
    layouts_forget(&all, "anna");
    again();
    assert_int_equal(all.n, 1);
    assert_string_equal(all.v[0].owner, "bert");
    assert_int_equal(all.bytes, 2);
}

static void test_refused(void **state)
{
    static char text[LAYOUT_JSON_MAX + 2];

    (void)state;
    assert_string_equal(put("a", false, "", SPAN_LIT("{}")), "name");
    assert_string_equal(put("a", false, "x/y", SPAN_LIT("{}")), "name");
    assert_string_equal(put("a", false, "x\n", SPAN_LIT("{}")), "name");
    assert_string_equal(put("a", false, "x", SPAN_LIT("[]")), "layout");
    assert_string_equal(put("a", false, "x", SPAN_LIT("{} {}")), "layout");
    assert_string_equal(put("a", false, "x", SPAN_LIT("{")), "layout");
    assert_string_equal(put("a", false, "x", SPAN_NONE), "layout");
    memset(text, ' ', sizeof(text));
    text[0] = '{';
    text[LAYOUT_JSON_MAX - 1] = '}';
    assert_null(put("a", false, "x", span(text, LAYOUT_JSON_MAX)));
    assert_string_equal(put("a", false, "x", span(text, LAYOUT_JSON_MAX + 1)), "layout");
}

/* So many of an account, so many shared, and so many bytes in all. */
static void test_bounded(void **state)
{
    static char text[LAYOUT_JSON_MAX];
    const char *wrong = NULL;
    char name[16], owner[16];

    (void)state;
    for (int i = 0; i < LAYOUTS_OWN_MAX; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        assert_null(put("a", false, name, SPAN_LIT("{}")));
    }
    assert_string_equal(put("a", false, "more", SPAN_LIT("{}")), "full");
    assert_null(put("a", false, "n3", SPAN_LIT("{\"n\":3}")));
    assert_null(put("b", false, "more", SPAN_LIT("{}")));
    memset(text, ' ', sizeof(text));
    text[0] = '{';
    text[sizeof(text) - 1] = '}';
    for (int i = 0; i < 1000 && !wrong; i++) {
        snprintf(owner, sizeof(owner), "o%d", i);
        wrong = put(owner, false, "big", span(text, sizeof(text)));
    }
    assert_string_equal(wrong, "full");
    assert_true(all.bytes <= LAYOUTS_BYTES_MAX);
    again();
    assert_true(all.n > LAYOUTS_OWN_MAX);
}

/* A damaged file costs its damaged lines. */
static void test_damaged(void **state)
{
    static const char text[] =
        "x\nown 1 YQ Yg\nown 1 YQ Yg e30\nown x YQ Yw e30\nshared 1 YQ ! e30\nown 1 YQ ZA W10\n";
    int fd = openat(dir, "layouts", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(fd_write_all(fd, SPAN_LIT(text)), 0);
    close(fd);
    again();
    assert_int_equal(all.n, 1);
    assert_string_equal(all.v[0].name, "b");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept, up, down),
        cmocka_unit_test_setup_teardown(test_refused, up, down),
        cmocka_unit_test_setup_teardown(test_bounded, up, down),
        cmocka_unit_test_setup_teardown(test_damaged, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
