/* A log that shows what was done to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/wire/chain.h"

static struct buf file;
static char digest[CHAIN_DIGEST];

static void add(const char *text)
{
    struct buf b;

    buf_init(&b, 1000);
    assert_true(buf_fmt(&b, "{\"seq\":1,\"text\":\"%s\"", text));
    assert_true(chain_end(&b, digest));
    assert_true(buf_put(&file, buf_span(&b)));
    buf_done(&b);
}

static int setup(void **state)
{
    (void)state;
    buf_init(&file, 100000);
    digest[0] = '\0';
    add("one");
    add("two \\\",\\\"digest\\\":\\\"");
    add("three");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buf_done(&file);
    return 0;
}

static size_t check(struct span s, size_t lines)
{
    char d[CHAIN_DIGEST] = "";
    size_t n, bad = chain_check(s, d, &n);

    if (bad == 0) assert_int_equal(n, lines);
    return bad;
}

static void whole(void **state)
{
    char d[CHAIN_DIGEST] = "";
    size_t n;

    (void)state;
    assert_int_equal(chain_check(buf_span(&file), d, &n), 0);
    assert_string_equal(d, digest);
    assert_int_equal(n, 3);
    assert_int_equal(check(SPAN_NONE, 0), 0);
}

/* Every byte of it. */
static void changed(void **state)
{
    struct span all = buf_span(&file);

    (void)state;
    for (size_t i = 0; i < all.n; i++) {
        uint8_t was = file.mem[file.from + i];

        file.mem[file.from + i] ^= 1;
        if (check(all, 3) == 0) fail_msg("a change of byte %zu is not seen", i);
        file.mem[file.from + i] = was;
    }
    assert_int_equal(check(all, 3), 0);
}

/* The end may be missing (the last digest says whether), a line in between may not. */
static void taken_out(void **state)
{
    struct span rest = buf_span(&file), one, two, three;
    struct buf b;

    (void)state;
    span_split(&rest, '\n', &one);
    span_split(&rest, '\n', &two);
    span_split(&rest, '\n', &three);
    buf_init(&b, 100000);
    assert_true(buf_put(&b, one) && buf_text(&b, "\n") && buf_put(&b, three) && buf_text(&b, "\n"));
    assert_int_equal(check(buf_span(&b), 2), 2);
    buf_clear(&b);
    assert_true(buf_put(&b, two) && buf_text(&b, "\n") && buf_put(&b, three) && buf_text(&b, "\n"));
    assert_int_equal(check(buf_span(&b), 2), 0); /* what was before was set aside */
    buf_clear(&b);
    assert_true(buf_put(&b, one) && buf_text(&b, "\n\n"));
    assert_int_equal(check(buf_span(&b), 1), 2);
    buf_done(&b);
}

static void full(void **state)
{
    char d[CHAIN_DIGEST] = "";
    struct buf b;

    (void)state;
    buf_init(&b, 60);
    assert_true(buf_text(&b, "{\"seq\":1"));
    assert_false(chain_end(&b, d));
    assert_string_equal(d, "");
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(whole, setup, teardown),
        cmocka_unit_test_setup_teardown(changed, setup, teardown),
        cmocka_unit_test_setup_teardown(taken_out, setup, teardown),
        cmocka_unit_test_setup_teardown(full, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
