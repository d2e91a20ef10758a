/* Films that were laid out, remembered for the next range of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "httpd/films.h"
#include "common/base/mem.h"

static struct film *film(const char *uid, uint64_t key)
{
    return film_new(uid, key, mem_new_n(3, sizeof(struct export_source)), 3);
}

static void put(struct films *s, uint64_t key)
{
    struct film *f = film("cam-1", key);

    films_put(s, f);
    film_unref(f);
}

static bool has(struct films *s, const char *uid, uint64_t key)
{
    struct film *f = films_get(s, uid, key);

    film_unref(f);
    return f != NULL;
}

static void test_by_stream_and_key(void **state)
{
    struct films *s = films_new();

    (void)state;
    put(s, 1);
    assert_true(has(s, "cam-1", 1));
    assert_false(has(s, "cam-1", 2));
    assert_false(has(s, "cam-2", 1));
    films_free(s);
    films_free(NULL);
}

static void test_the_longest_unused_goes(void **state)
{
    struct films *s = films_new();

    (void)state;
    for (uint64_t i = 0; i < FILMS_MAX; i++) put(s, i);
    assert_true(has(s, "cam-1", 0)); /* used again */
    put(s, FILMS_MAX);
    assert_true(has(s, "cam-1", 0));
    assert_false(has(s, "cam-1", 1));
    assert_true(has(s, "cam-1", FILMS_MAX));
    put(s, FILMS_MAX); /* the same again takes no other's place */
    assert_true(has(s, "cam-1", 2));
    films_free(s);
}

/* A viewer who has one keeps it; one that has changed is not found again, and not another of its name
 * dropped. */
static void test_dropped(void **state)
{
    struct films *s = films_new();
    struct film *old, *f;

    (void)state;
    put(s, 1);
    old = films_get(s, "cam-1", 1);
    films_drop(s, old);
    assert_false(has(s, "cam-1", 1));
    assert_int_equal(old->n, 3);
    put(s, 1);
    films_drop(s, old);
    f = films_get(s, "cam-1", 1);
    assert_non_null(f);
    film_unref(f);
    film_unref(old);
    films_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_stream_and_key),
        cmocka_unit_test(test_the_longest_unused_goes),
        cmocka_unit_test(test_dropped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
