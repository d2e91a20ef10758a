/* Which streams somebody is for, and what scripts are told of him. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/ipc/pack.h"
#include "httpd/caller.h"

static bool sees(const char *list, const char *uid)
{
    struct caller c = {.role = "user", .by = "session"};

    (void)camera_list_read(span_of(list), &c.cameras);
    return caller_sees(&c, span_of(uid));
}

static void lists(void **state)
{
    char text[CAMERA_LIST_TEXT_MAX];
    struct camera_list c;

    (void)state;
    assert_true(sees("", "cam") && sees(" , ", "cam"));
    assert_true(sees("cam", "cam") && sees("a, cam ,b", "cam") && sees("ca*", "cam") && sees("*", "cam"));
    assert_false(sees("cam", "cam1") || sees("cam1", "cam") || sees("CAM", "cam") || sees("xca*", "cam"));
    assert_true(camera_list_read(SPAN_LIT("a, b*"), &c));
    assert_string_equal(camera_list_text(&c, text), "a,b*");
}

/* A list that cannot be read is nobody's: it opens nothing. */
static void broken(void **state)
{
    static const char *const lists[] = {"c*m", "a b", "a/b", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    struct camera_list c;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(lists); i++) {
        assert_false(camera_list_read(span_of(lists[i]), &c));
        assert_false(camera_list_has(&c, SPAN_LIT("1")) || camera_list_has(&c, SPAN_LIT("a")));
    }
}

static void roles(void **state)
{
    static const char *const may[] = {"root", "admin"}, *const may_not[] = {"user", "guest"};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_true(caller_changes(&(struct caller){.role = may[i]}));
        assert_false(caller_changes(&(struct caller){.role = may_not[i]}));
    }
    assert_true(caller_changes(NULL) && caller_sees(NULL, SPAN_LIT("cam")) && caller_looks_back(NULL));
    for (size_t i = 0; i < 2; i++) assert_true(caller_looks_back(&(struct caller){.role = may[i]}));
    assert_true(caller_looks_back(&(struct caller){.role = "user"}));
    assert_false(caller_looks_back(&(struct caller){.role = "guest"}));
}

static void packed(void **state)
{
    struct caller c = {.name = "anna", .role = "user", .by = "session"};
    struct packer p;
    struct unpack *u;
    struct buf b;

    (void)state;
    assert_true(camera_list_read(SPAN_LIT("a,b*"), &c.cameras));
    buf_init(&b, 1000);
    p = packer_of(&b);
    caller_pack(&p, &c);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_true(span_is(packed_str(unpack_root(u), "name"), "anna"));
    assert_int_equal(packed_n(packed_get(unpack_root(u), "cameras")), 2);
    unpack_done(u);
    buf_clear(&b);
    c.cameras.n = 0;
    p = packer_of(&b);
    caller_pack(&p, &c);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    assert_null(packed_get(unpack_root(u), "cameras"));
    unpack_done(u);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists),
        cmocka_unit_test(broken),
        cmocka_unit_test(roles),
        cmocka_unit_test(packed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
