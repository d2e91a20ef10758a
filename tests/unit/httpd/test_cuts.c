#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include <pthread.h>

#include "common/base/mem.h"
#include "httpd/cuts.h"

#define ROOM 65536

static struct cut_key key(uint32_t from)
{
    return (struct cut_key){.uid = "cam-1", .id = 7, .from = from, .to = from + 1};
}

static struct cut *piece(uint32_t from, size_t bytes)
{
    struct cut_key k = key(from);
    struct cut *c = cut_new(&k);

    assert_non_null(buf_room(&c->head, bytes));
    buf_added(&c->head, bytes);
    return c;
}

static bool has(struct cuts *s, uint32_t from)
{
    struct cut_key k = key(from);
    struct cut *c = cuts_get(s, &k);

    cut_unref(c);
    return c != NULL;
}

static void put(struct cuts *s, uint32_t from, size_t bytes)
{
    struct cut *c = piece(from, bytes);

    cuts_put(s, c);
    cut_unref(c);
}

static void test_keys(void **state)
{
    struct cuts *s = cuts_new(ROOM);
    struct cut_key other = key(1);
    struct cut *c, *same;

    (void)state;
    put(s, 1, 100);
    assert_true(has(s, 1));
    assert_false(has(s, 2));
    other.id = 8;
    assert_null(cuts_get(s, &other));
    other = key(1);
    other.to = 3;
    assert_null(cuts_get(s, &other));
    snprintf(other.uid, sizeof(other.uid), "cam-2");
    other.to = 2;
    assert_null(cuts_get(s, &other));
    /* the same again takes the place of the one before, which its user keeps */
    other = key(1);
    c = cuts_get(s, &other);
    put(s, 1, 200);
    same = cuts_get(s, &other);
    assert_int_equal(buf_n(&c->head), 100);
    assert_int_equal(buf_n(&same->head), 200);
    cuts_drop(s, c); /* is not in it any more */
    assert_true(has(s, 1));
    cuts_drop(s, same);
    assert_false(has(s, 1));
    assert_int_equal(cuts_bytes(s), 0);
    cuts_free(s);
    cut_unref(c);
    cut_unref(same);
    cut_unref(NULL);
    cuts_free(NULL);
}

/* The one that was asked for longest ago goes first, and the bytes stay below the cap. */
static void test_cap(void **state)
{
    struct cuts *s = cuts_new(ROOM);

    (void)state;
    for (uint32_t i = 0; i < 200; i++) {
        put(s, i, 2000);
        assert_true(cuts_bytes(s) <= ROOM);
        assert_true(has(s, i) && has(s, 0));
    }
    assert_false(has(s, 1));
    assert_true(has(s, 198));
    cuts_free(s);
}

static void test_large_is_not_kept(void **state)
{
    struct cuts *s = cuts_new(ROOM);

    (void)state;
    put(s, 1, ROOM / 2);
    assert_false(has(s, 1));
    assert_int_equal(cuts_bytes(s), 0);
    cuts_free(s);
}

static void test_file(void **state)
{
    struct stat file = {.st_dev = 1, .st_ino = 2, .st_size = 1000}, other = file;
    struct cut *c = piece(1, 10);

    (void)state;
    cut_made_from(c, &file);
    assert_true(cut_fits(c, &file));
    other.st_size = 1001; /* the open one grows */
    assert_true(cut_fits(c, &other));
    other.st_size = 999;
    assert_false(cut_fits(c, &other));
    other = file;
    other.st_ino = 3;
    assert_false(cut_fits(c, &other));
    other = file;
    other.st_dev = 3;
    assert_false(cut_fits(c, &other));
    cut_unref(c);
}

static void *use(void *arg)
{
    struct cuts *s = arg;

    for (uint32_t i = 0; i < 5000; i++) {
        struct cut_key k = key(i % 37);
        struct cut *c = cuts_get(s, &k);

        if (!c) {
            c = piece(i % 37, 3000);
            cuts_put(s, c);
        }
        if (i % 11 == 0) cuts_drop(s, c);
        cut_unref(c);
    }
    return NULL;
}

static void test_threads(void **state)
{
    struct cuts *s = cuts_new(ROOM);
    pthread_t t[4];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(t); i++) assert_int_equal(pthread_create(&t[i], NULL, use, s), 0);
    for (size_t i = 0; i < ARRAY_N(t); i++) pthread_join(t[i], NULL);
    assert_true(cuts_bytes(s) <= ROOM);
    cuts_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_large_is_not_kept),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
