/* common/wire/head: the end of a head at any cut, liberal parsing, lists and parameters. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/wire/head.h"

static const struct head_limits LIMITS = {64, 256};

static int find(const char *text, size_t *ret_n)
{
    struct head_find f = {0};

    return head_find(&f, span_of(text), &LIMITS, ret_n);
}

static void end_is_found_byte_by_byte(void **state)
{
    const char text[] = "\r\n\nGET / HTTP/1.1\r\nA: b\r\n\r\nbody\n\n";
    size_t want = (size_t)(strstr(text, "body") - text), n = 0;
    struct head_find f = {0};

    (void)state;
    for (size_t i = 0; i < want; i++)
        assert_int_equal(head_find(&f, span(text, i), &LIMITS, &n), HEAD_E_MORE);
    assert_int_equal(head_find(&f, span(text, want), &LIMITS, &n), 0);
    assert_int_equal(n, want);
    assert_int_equal(find(text, &n), 0);
    assert_int_equal(n, want);
    /* C4: LF only. */
    assert_int_equal(find("RTSP/1.0 200 OK\nCSeq: 1\n\nx", &n), 0);
    assert_int_equal(n, 25);
}

static void limits_hold_at_the_edge(void **state)
{
    char text[512];
    size_t n;

    (void)state;
    memset(text, 'a', sizeof(text));
    snprintf(text + 64, 8, "\r\n\r\n");
    assert_int_equal(find(text, &n), 0);
    memset(text, 'a', sizeof(text));
    snprintf(text + 65, 8, "\r\n\r\n");
    assert_int_equal(find(text, &n), HEAD_E_LINE_LONG);
    memset(text, 'a', sizeof(text));
    text[65] = 0;
    assert_int_equal(find(text, &n), HEAD_E_LINE_LONG);

    memset(text, 'a', sizeof(text));
    text[4] = '\n';
    snprintf(text + 254, 8, "\n\n");
    assert_int_equal(find(text, &n), 0);
    assert_int_equal(n, 256);
    memset(text, 'a', sizeof(text));
    text[4] = '\n';
    snprintf(text + 255, 8, "\n\n");
    assert_int_equal(find(text, &n), HEAD_E_LONG);
    memset(text, '\n', sizeof(text));
    text[300] = 0;
    assert_int_equal(find(text, &n), HEAD_E_LONG);
}

static void camera_spellings(void **state)
{
    struct head h;
    size_t at = 0;
    struct span v;

    (void)state;
    /* C1 any case, C3 blanks, C5 empty and repeated, lines that are no fields. */
    assert_int_equal(
        head_parse(span_of("RTSP/1.0\t200   OK fine \r\nCseq:   7 \r\nnonsense\r\n: x\r\nEmpty:\r\n"
                           "Www-Authenticate: Basic\r\nWWW-Authenticate:\tDigest a=1\r\n\r\n"),
            &h),
        0);
    assert_int_equal(h.kind, HEAD_STATUS);
    assert_int_equal(h.status, 200);
    assert_true(span_is(h.reason, "OK fine"));
    assert_int_equal(h.major, 1);
    assert_int_equal(h.n, 4);
    assert_true(span_is(head_get(&h, "CSeq"), "7"));
    assert_non_null(head_get(&h, "Empty").p);
    assert_int_equal(head_get(&h, "Empty").n, 0);
    assert_null(head_get(&h, "Absent").p);
    assert_true(head_next(&h, "www-authenticate", &at, &v) && span_is(v, "Basic"));
    assert_true(head_next(&h, "www-authenticate", &at, &v) && span_is(v, "Digest a=1"));
    assert_false(head_next(&h, "www-authenticate", &at, &v));
    /* C6: junk before the status line, odd text. */
    assert_int_equal(head_parse(SPAN_LIT("\r\n\x01\x02xxRTSP/1.0 404 Nicht gefunden \xfc\r\n\r\n"), &h), 0);
    assert_int_equal(h.status, 404);
    assert_int_equal(head_parse(SPAN_LIT("RTSP/1.0 401\n\n"), &h), 0);
    assert_int_equal(h.status, 401);
    /* Requests of a server (C9); a blank in the target stays. */
    assert_int_equal(head_parse(SPAN_LIT("SET_PARAMETER  rtsp://h/a b  RTSP/1.0\r\n\r\n"), &h), 0);
    assert_int_equal(h.kind, HEAD_REQUEST);
    assert_true(span_is(h.method, "SET_PARAMETER") && span_is(h.target, "rtsp://h/a b"));
    assert_int_equal(head_parse(SPAN_LIT("a b\r\nc\r\n\r\n"), &h), HEAD_E_BAD);
    assert_int_equal(head_parse(SPAN_LIT("RTSP/1.0 99 x\r\n\r\n"), &h), HEAD_E_BAD);
    assert_int_equal(head_parse(SPAN_NONE, &h), HEAD_E_BAD);
}

static void fields_above_the_limit_are_cut(void **state)
{
    char text[2048] = "RTSP/1.0 200 OK\r\n";
    size_t n = strlen(text);
    struct head h;

    (void)state;
    for (size_t i = 0; i < HEAD_FIELDS_MAX; i++)
        n += (size_t)snprintf(text + n, sizeof(text) - n, "F%zu: 1\r\n", i);
    assert_int_equal(head_parse(span(text, n), &h), 0);
    assert_int_equal(h.n, HEAD_FIELDS_MAX);
    assert_false(h.cut);
    n += (size_t)snprintf(text + n, sizeof(text) - n, "Last: 1\r\n");
    assert_int_equal(head_parse(span(text, n), &h), 0);
    assert_true(h.cut);
}

static void lists_and_parameters(void **state)
{
    struct span rest = SPAN_LIT(" a ,, b=\"x, \\\"y\", c = \"q\" ,d="), m, name, value;

    (void)state;
    assert_true(head_list_next(&rest, ',', &m) && span_is(m, "a"));
    head_param(m, &name, &value);
    assert_true(span_is(name, "a") && value.p == NULL);
    assert_true(head_list_next(&rest, ',', &m));
    head_param(m, &name, &value);
    assert_true(span_is(name, "b") && span_is(value, "x, \\\"y"));
    assert_true(head_list_next(&rest, ',', &m));
    head_param(m, &name, &value);
    assert_true(span_is(name, "c") && span_is(value, "q"));
    assert_true(head_list_next(&rest, ',', &m));
    head_param(m, &name, &value);
    assert_true(span_is(name, "d") && value.p != NULL && value.n == 0);
    assert_false(head_list_next(&rest, ',', &m));
    /* An unclosed quote does not swallow what follows. */
    rest = SPAN_LIT("a=\"b,c=d");
    assert_true(head_list_next(&rest, ',', &m) && span_is(m, "a=\"b"));
    assert_true(head_list_next(&rest, ',', &m) && span_is(m, "c=d"));
    rest = SPAN_LIT("=\"");
    assert_true(head_list_next(&rest, ',', &m));
    head_param(m, &name, &value);
    assert_int_equal(name.n + value.n, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(end_is_found_byte_by_byte),
        cmocka_unit_test(limits_hold_at_the_edge),
        cmocka_unit_test(camera_spellings),
        cmocka_unit_test(fields_above_the_limit_are_cut),
        cmocka_unit_test(lists_and_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
