/* master/secondary: the table on the disk; what cannot be a row is left out. */
#include "master/secondary.h"
#include "common/ipc/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct secondary x;
static struct buf bytes;

static int up(void **state)
{
    (void)state;
    buf_init(&bytes, 1u << 20);
    return 0;
}

static int down(void **state)
{
    (void)state;
    secondary_close(&x);
    buf_done(&bytes);
    return 0;
}

static void row(struct packer *p, struct span uid, int64_t until_s, struct span before, struct span now)
{
    pack_array(p, 4);
    pack_str(p, uid);
    pack_i64(p, until_s);
    pack_str(p, before);
    pack_str(p, now);
}

static void rows_come_back(void **state)
{
    struct packer p = packer_of(&bytes);

    (void)state;
    pack_array(&p, 5);
    row(&p, SPAN_LIT("gate"), 1790000000, SPAN_LIT("rtsp://u:p@h/1"), SPAN_LIT("rtsp://h/2"));
    row(&p, SPAN_LIT("gate"), 5, SPAN_LIT("a"), SPAN_LIT("b"));
    row(&p, SPAN_LIT("../x"), 5, SPAN_LIT("a"), SPAN_LIT("b"));
    row(&p, SPAN_LIT("nul"), 5, SPAN_LIT("a\0b"), SPAN_LIT("b"));
    row(&p, SPAN_LIT("yard"), 0, SPAN_LIT(""), SPAN_LIT("rtsp://h/3"));
    secondary_read(&x, buf_span(&bytes));
    assert_int_equal(x.n, 2);
    assert_string_equal(x.v[0].uid, "gate");
    assert_int_equal(x.v[0].until_s, 1790000000);
    assert_string_equal(x.v[0].before, "rtsp://u:p@h/1");
    assert_string_equal(x.v[0].now, "rtsp://h/2");
    assert_string_equal(x.v[1].uid, "yard");
    assert_string_equal(x.v[1].before, "");
}

static void what_is_damaged_is_empty(void **state)
{
    static const char *const v[] = {"", "\x91", "\x80", "\x91\x93\xa1x\x01\xa1y", "\xdd\xff\xff\xff\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(v); i++) secondary_read(&x, span_of(v[i]));
    assert_int_equal(x.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_come_back, up, down),
        cmocka_unit_test_setup_teardown(what_is_damaged_is_empty, up, down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
