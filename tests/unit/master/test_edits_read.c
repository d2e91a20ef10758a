/* master/edits_read: the body of "api edit" as edits, or nothing of it. */
#include "master/edits_read.h"
#include "common/ipc/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct buf body;
static struct edits_read in;

static int up(void **state)
{
    (void)state;
    buf_init(&body, 1u << 20);
    return 0;
}

static int down(void **state)
{
    (void)state;
    edits_read_done(&in);
    buf_done(&body);
    return 0;
}

/* Rows of four texts; NULL: not there. */
static bool takes(const char *const rows[][4], size_t n)
{
    struct packer p = packer_of(&body);

    buf_clear(&body);
    pack_array(&p, (uint32_t)n);
    for (size_t i = 0; i < n; i++) {
        uint32_t items = 0;

        while (items < 4 && rows[i][items]) items++;
        pack_array(&p, items);
        for (uint32_t k = 0; k < items; k++) pack_str(&p, span_of(rows[i][k]));
    }
    edits_read_done(&in);
    return edits_read(buf_span(&body), &in);
}

static void edits_of_streams(void **state)
{
    static const char *const rows[][4] = {{"merge", "gate", "", "a=1\nb\n\nc=x=y\nd="},
        {"remove", "yard", "0123456789abcdef", ""}, {"create", "door", "-", "stream-url=rtsp://h/\n"}};

    (void)state;
    assert_true(takes(rows, 3));
    assert_int_equal(in.n, 3);
    assert_int_equal(in.v[0].kind, EDIT_MERGE);
    assert_null(in.v[0].etag);
    assert_int_equal(in.v[0].n, 4);
    assert_string_equal(in.v[0].set[0].value, "1");
    assert_null(in.v[0].set[1].value);
    assert_string_equal(in.v[0].set[2].value, "x=y");
    assert_string_equal(in.v[0].set[3].value, "");
    assert_null(in.v[0].set[0].section);
    assert_string_equal(in.v[1].etag, "0123456789abcdef");
    assert_int_equal(in.v[1].n, 0);
    assert_string_equal(in.v[2].set[0].value, "rtsp://h/");
}

static void edits_of_the_site(void **state)
{
    static const char *const rows[][4] = {
        {"site", "whatever", "", "server/stream/web=*:444/\nstorages/fast/\nnode-id=1\nserver/x=a/b=c\n"}};

    (void)state;
    assert_true(takes(rows, 1));
    assert_string_equal(in.v[0].uid, EDIT_SITE_UID);
    assert_string_equal(in.v[0].set[0].section, "server/stream");
    assert_string_equal(in.v[0].set[0].key, "web");
    assert_string_equal(in.v[0].set[0].value, "*:444/");
    assert_string_equal(in.v[0].set[1].section, "storages/fast");
    assert_string_equal(in.v[0].set[1].key, "");
    assert_null(in.v[0].set[1].value);
    assert_null(in.v[0].set[2].section);
    assert_string_equal(in.v[0].set[3].section, "server");
    assert_string_equal(in.v[0].set[3].value, "a/b=c");
}

static void nothing_of_it(void **state)
{
    static const char *const bad[][1][4] = {{{"restore", "gate", "", "a=1"}}, {{"", "gate", "", ""}},
        {{"set", "", "", ""}}, {{"set", "gate", "", NULL}}};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(bad); i++) assert_false(takes(bad[i], 1));
    assert_false(takes(bad[0], 0));
    assert_false(edits_read(SPAN_LIT("\x91\x94\xa3set\xa4g\0te\xa0\xa0"), &in));
    edits_read_done(&in);
    assert_false(edits_read(SPAN_LIT("\xdd\xff\xff\xff\xff"), &in));
    edits_read_done(&in);
    assert_false(edits_read(SPAN_NONE, &in));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edits_of_streams),
        cmocka_unit_test(edits_of_the_site),
        cmocka_unit_test(nothing_of_it),
    };

    return cmocka_run_group_tests(tests, up, down);
}
