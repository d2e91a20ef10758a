/* httpd/stream_list: which streams a page has, in which order, and where the next one begins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "common/wire/json.h"
#include "httpd/stream_rows.h"

#define ROWS 60

static struct buf bytes;
static struct unpack *u;
static const struct packed *v[ROWS];
static struct rows rows = {.v = v, .n = ROWS};
static struct buf out;

/* Streams cam-00 to cam-59: every third is down, bitrates fall, names are of two kinds. */
static int begin(void **state)
{
    struct packer p;

    (void)state;
    buf_init(&bytes, 1 << 20);
    buf_init(&out, 1 << 20);
    p = packer_of(&bytes);
    pack_array(&p, ROWS);
    for (unsigned i = 0; i < ROWS; i++) {
        char uid[16];

        snprintf(uid, sizeof(uid), "cam-%02u", i);
        pack_map(&p, 6);
        pack_kv_text(&p, "uid", uid);
        pack_kv_text(&p, "name", i % 2 ? "Gate \"<&" : "yard");
        pack_kv_text(&p, "state", i % 3 ? "active" : "down");
        pack_kv_bool(&p, "enabled", i != 5);
        pack_kv_u64(&p, "bitrate", (ROWS - i) * 1000);
        pack_kv_f64(&p, "cpu", i / 100.0);
    }
    assert_int_equal(unpack_new(buf_span(&bytes), &u), 0);
    for (unsigned i = 0; i < ROWS; i++) v[i] = packed_at(unpack_root(u), i);
    return 0;
}

static int end(void **state)
{
    (void)state;
    unpack_done(u);
    buf_done(&bytes);
    buf_done(&out);
    return 0;
}

/* A question out of what `pack` puts there; its answer as text, or what is wrong with it. */
static const char *ask(void (*pack)(struct packer *p))
{
    struct unpack *q;
    const char *wrong;
    struct packer p;
    struct buf b;

    buf_init(&b, 1 << 16);
    p = packer_of(&b);
    pack(&p);
    assert_false(p.bad);
    assert_int_equal(unpack_new(buf_span(&b), &q), 0);
    buf_clear(&out);
    wrong = stream_rows_list(&rows, unpack_root(q), &out);
    if (!wrong) {
        struct json j = json_of(buf_span(&out));
        struct json_item item;

        while (json_next(&j, &item)) {
        }
        assert_false(j.bad);
        assert_non_null(buf_room(&out, 1));
        *buf_room(&out, 1) = '\0';
    }
    unpack_done(q);
    buf_done(&b);
    return wrong ? wrong : (const char *)out.mem + out.from;
}

static void texts(struct packer *p, const char *key, const char *const *list, uint32_t n)
{
    pack_key(p, key);
    pack_array(p, n);
    for (uint32_t i = 0; i < n; i++) pack_str(p, span_of(list[i]));
}

static size_t count(const char *text, const char *part)
{
    size_t n = 0;

    while ((text = strstr(text, part))) {
        n++;
        text++;
    }
    return n;
}

/* --- questions --- */

static void q_nothing(struct packer *p)
{
    pack_map(p, 0);
}

static void q_down_high(struct packer *p)
{
    pack_map(p, 4);
    pack_key(p, "is");
    pack_map(p, 1);
    texts(p, "state", (const char *const[]){"down", "stale"}, 2);
    pack_key(p, "min");
    pack_map(p, 1);
    pack_kv_u64(p, "bitrate", 50000);
    pack_key(p, "max");
    pack_map(p, 1);
    pack_kv_f64(p, "cpu", 0.06);
    texts(p, "select", (const char *const[]){"uid", "cpu"}, 2);
}

static void q_disabled(struct packer *p)
{
    pack_map(p, 2);
    pack_key(p, "is");
    pack_map(p, 1);
    pack_key(p, "enabled");
    pack_array(p, 1);
    pack_bool(p, false);
    texts(p, "only", (const char *const[]){"cam-0*", "cam-59"}, 2);
}

static void q_text(struct packer *p)
{
    pack_map(p, 2);
    pack_kv_text(p, "q", "gAtE");
    pack_kv_u64(p, "limit", 1);
}

static void q_absent(struct packer *p)
{
    pack_map(p, 1);
    pack_key(p, "is");
    pack_map(p, 1);
    texts(p, "nothing", (const char *const[]){""}, 1);
}

static void which(void **state)
{
    const char *s;

    (void)state;
    s = ask(q_nothing);
    assert_int_equal(count(s, "\"uid\":"), ROWS);
    assert_non_null(strstr(s, "\"total\":60,\"next\":null,\"counts\":{\"down\":20,\"active\":40}"));
    s = ask(q_down_high);
    assert_string_equal(s,
        "{\"items\":[{\"uid\":\"cam-00\",\"cpu\":0},{\"uid\":\"cam-03\",\"cpu\":0.03},{\"uid\":\"cam-06\","
        "\"cpu\":0.06}],"
        "\"total\":3,\"next\":null,\"counts\":{\"down\":20,\"active\":40}}");
    s = ask(q_disabled);
    assert_non_null(strstr(s, "\"total\":1,"));
    assert_non_null(strstr(s, "\"counts\":{\"down\":4,\"active\":7}"));
    s = ask(q_text);
    assert_non_null(strstr(s, "\"total\":30,"));
    assert_int_equal(count(s, "\"uid\":"), 1);
    assert_non_null(strstr(ask(q_absent), "\"total\":0,"));
}

/* --- order and pages --- */

static const char *sort[4];
static uint32_t n_sort;
static char cursor[512];
static uint64_t limit;

static void q_page(struct packer *p)
{
    pack_map(p, 3);
    texts(p, "sort", sort, n_sort);
    pack_kv_text(p, "after", cursor);
    pack_kv_u64(p, "limit", limit);
}

static void take_cursor(const char *page)
{
    const char *at = strstr(page, "\"next\":\"");
    size_t n = 0;

    cursor[0] = '\0';
    if (!at) return;
    at += strlen("\"next\":\"");
    while (at[n] != '"') n++;
    assert_true(n < sizeof(cursor));
    memcpy(cursor, at, n);
    cursor[n] = '\0';
}

static void pages(void **state)
{
    static const struct {
        const char *by[2];
        uint32_t n;
        const char *first, *last;
    } rounds[] = {{{"uid"}, 1, "cam-00", "cam-59"}, {{"-uid"}, 1, "cam-59", "cam-00"},
        {{"bitrate"}, 1, "cam-59", "cam-00"}, {{"state", "-cpu"}, 2, "cam-59", "cam-00"},
        {{"name"}, 1, "cam-01", "cam-58"}, {{"nothing"}, 1, "cam-00", "cam-59"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rounds); i++) {
        bool seen[ROWS] = {false};
        unsigned n = 0, number;
        const char *s;

        memcpy(sort, rounds[i].by, sizeof(rounds[i].by));
        n_sort = rounds[i].n;
        limit = 7;
        cursor[0] = '\0';
        do {
            s = ask(q_page);
            for (const char *at = s; (at = strstr(at, "\"uid\":\"cam-")); at++) {
                number = (unsigned)((at[11] - '0') * 10 + at[12] - '0');
                if (n == 0) assert_memory_equal(at + 7, rounds[i].first, 6);
                if (n == ROWS - 1) assert_memory_equal(at + 7, rounds[i].last, 6);
                assert_false(seen[number]);
                seen[number] = true;
                n++;
            }
            take_cursor(s);
        } while (cursor[0]);
        assert_int_equal(n, ROWS);
    }
}

/* The row that a page ended with has gone meanwhile, or stands elsewhere: the next page begins behind its
 * place. */
static void a_row_goes(void **state)
{
    const char *s;

    (void)state;
    sort[0] = "uid";
    n_sort = 1;
    limit = 10;
    cursor[0] = '\0';
    take_cursor(ask(q_page));
    rows.v = v + 10;
    rows.n = ROWS - 10;
    s = ask(q_page);
    assert_memory_equal(strstr(s, "\"uid\":") + 7, "cam-10", 6);
    rows.v = v;
    rows.n = ROWS;
}

static void wrong_questions(void **state)
{
    (void)state;
    n_sort = 0;
    cursor[0] = '\0';
    limit = 0;
    assert_memory_equal(ask(q_page), "limit:", 6);
    limit = ROWS_LIMIT_MAX + 1;
    assert_memory_equal(ask(q_page), "limit:", 6);
    limit = 1;
    for (n_sort = 0; n_sort < 4; n_sort++) sort[n_sort] = "uid";
    assert_memory_equal(ask(q_page), "sort:", 5);
    sort[0] = "a-field-with-a-name-that-is-much-too-long";
    n_sort = 1;
    assert_memory_equal(ask(q_page), "sort:", 5);
    n_sort = 0;
    for (size_t i = 0; i < 4; i++) {
        snprintf(cursor, sizeof(cursor), "%s", (const char *const[]){"!!", "AAAA", "gA", "kwE"}[i]);
        assert_memory_equal(ask(q_page), "cursor:", 7);
    }
}

static void seen_by_patterns(void **state)
{
    struct unpack *q;
    struct packer p;
    struct buf b;

    (void)state;
    assert_true(stream_rows_seen(NULL, SPAN_LIT("a")));
    buf_init(&b, 1024);
    p = packer_of(&b);
    pack_array(&p, 3);
    pack_str(&p, SPAN_LIT("gate"));
    pack_str(&p, SPAN_LIT("yard-*"));
    pack_u64(&p, 7);
    assert_int_equal(unpack_new(buf_span(&b), &q), 0);
    assert_true(stream_rows_seen(unpack_root(q), SPAN_LIT("gate")));
    assert_true(stream_rows_seen(unpack_root(q), SPAN_LIT("yard-7")));
    assert_false(stream_rows_seen(unpack_root(q), SPAN_LIT("gate2")));
    assert_false(stream_rows_seen(unpack_root(q), SPAN_LIT("yard")));
    unpack_done(q);
    buf_done(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which),
        cmocka_unit_test(pages),
        cmocka_unit_test(a_row_goes),
        cmocka_unit_test(wrong_questions),
        cmocka_unit_test(seen_by_patterns),
    };

    return cmocka_run_group_tests(tests, begin, end);
}
