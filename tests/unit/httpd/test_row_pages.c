/* httpd/row_pages: what has no room is said to have none, and there is always room to say so. */
#include "httpd/row_pages.h"
#include "common/base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define ROW_BYTES 3000

static bool put(struct row_pages *p)
{
    char text[ROW_BYTES + 1];
    struct packer pk;
    struct buf b;
    bool ok;

    memset(text, 'x', ROW_BYTES);
    text[ROW_BYTES] = 0;
    buf_init(&b, 2 * ROW_BYTES);
    pk = packer_of(&b);
    pack_map(&pk, 1);
    pack_kv_text(&pk, "path", text);
    ok = row_pages_put(p, buf_span(&b));
    buf_done(&b);
    return ok;
}

static size_t fill(struct row_pages *p)
{
    size_t n = 0;

    row_pages_init(p);
    while (n < MASTER_ROWS_MAX / ROW_BYTES && put(p)) n++;
    return n;
}

/* Rows that can be read, all pages together. */
static size_t rows_of(const struct row_pages *p)
{
    size_t at = 0, n = 0;

    for (size_t i = 0; i < p->answer.n_pages; at = p->answer.ends[i++]) {
        struct unpack *u;

        assert_int_equal(unpack_new(span_sub(buf_span(&p->answer.rows), at, p->answer.ends[i] - at), &u), 0);
        n += packed_n(unpack_root(u));
        unpack_done(u);
    }
    return n;
}

static void a_row_too_many(void **state)
{
    struct row_pages p;
    size_t n = fill(&p);

    (void)state;
    assert_true(n > (ROW_PAGES_MOST - (64u << 10)) / ROW_BYTES && n < MASTER_ROWS_MAX / ROW_BYTES);
    assert_false(put(&p));
    row_pages_number(&p, "missing", 3);
    row_pages_end(&p);
    assert_int_equal(rows_of(&p), n + 1);
    row_pages_done(&p);
}

static void those_of_another(void **state)
{
    struct row_pages all, p;
    size_t n = fill(&p);

    (void)state;
    row_pages_end(&p);
    row_pages_init(&all);
    row_pages_number(&all, "self", 1);
    assert_true(put(&all));
    /* its last page is one too many */
    assert_false(row_pages_join(&all, &p));
    for (unsigned i = 2; i < 64; i++) row_pages_number(&all, "missing", i);
    row_pages_end(&all);
    assert_true(rows_of(&all) > 64 && rows_of(&all) < n + 64);
    row_pages_done(&all);
    /* where there is room, all of it */
    row_pages_init(&all);
    assert_true(row_pages_join(&all, &p));
    assert_int_equal(rows_of(&all), n);
    row_pages_done(&all);
    row_pages_done(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_row_too_many),
        cmocka_unit_test(those_of_another),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
