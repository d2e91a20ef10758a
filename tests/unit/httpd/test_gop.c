/* What is kept for viewers who come: since the last key frame, within its limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "httpd/gop.h"

#define PIECE (16u << 20)

static struct chunk *bytes;

static void add(struct gop *g, bool key)
{
    struct fragment *f = mem_new(sizeof(*f));

    *f = (struct fragment){.refs = 1, .c = chunk_ref(bytes), .key = key};
    gop_add(g, f);
    fragment_unref(f);
}

static int setup(void **state)
{
    (void)state;
    bytes = chunk_new(PIECE);
    return bytes ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    assert_int_equal(bytes->refs, 1);
    chunk_unref(bytes);
    return 0;
}

static void since_the_last_key_frame(void **state)
{
    struct gop g = {0};

    (void)state;
    add(&g, false);
    assert_int_equal(g.n, 0);
    add(&g, true);
    add(&g, false);
    assert_int_equal(g.n, 2);
    add(&g, true);
    assert_int_equal(g.n, 1);
    gop_done(&g);
}

/* An endless group of pictures: at the limit it is kept, above nothing is until a key frame comes. */
static void bounded_by_bytes(void **state)
{
    struct gop g = {0};

    (void)state;
    add(&g, true);
    for (size_t i = 1; i < GOP_BYTES_MAX / PIECE; i++) add(&g, false);
    assert_int_equal(g.bytes, GOP_BYTES_MAX);
    assert_false(g.over);
    add(&g, false);
    assert_int_equal(g.n, 0);
    assert_int_equal(g.bytes, 0);
    assert_true(g.over);
    add(&g, false);
    assert_int_equal(g.n, 0);
    assert_true(g.over);
    add(&g, true);
    assert_int_equal(g.n, 1);
    assert_false(g.over);
    gop_done(&g);
}

static void bounded_by_number(void **state)
{
    struct gop g = {0};
    struct chunk *large = bytes;

    (void)state;
    bytes = chunk_new(1);
    add(&g, true);
    for (size_t i = 1; i < GOP_FRAGMENTS_MAX; i++) add(&g, false);
    assert_int_equal(g.n, GOP_FRAGMENTS_MAX);
    add(&g, false);
    assert_int_equal(g.n, 0);
    assert_true(g.over);
    gop_done(&g);
    chunk_unref(bytes);
    bytes = large;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(since_the_last_key_frame),
        cmocka_unit_test(bounded_by_bytes),
        cmocka_unit_test(bounded_by_number),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
