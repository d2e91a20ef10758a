/* courier/gateway: what etcd 3.4 answers, as it was captured, and what it never would. */
#include "courier/gateway.h"
#include "common/base/mem.h"
#include "common/wire/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct seen {
    size_t n;
    char keys[256], values[256];
    uint64_t created, changed, lease;
    bool gone, large;
};

static void add(char *to, struct span s)
{
    size_t n = strlen(to);

    snprintf(to + n, 256 - n, "%.*s,", SPAN_FMT(s));
}

static void on_record(void *arg, const struct gateway_record *r)
{
    struct seen *s = arg;

    s->n++;
    add(s->keys, r->key);
    if (r->value.n < 64) add(s->values, r->value);
    s->created = r->created;
    s->changed = r->changed;
    s->lease = r->lease;
    s->gone = r->gone;
    s->large = r->large;
}

static struct gateway_answer read_ok(const char *json, struct seen *s)
{
    struct gateway_answer a;

    *s = (struct seen){0};
    assert_true(gateway_read(span_of(json), on_record, s, &a));
    assert_int_equal(a.records, s->n);
    return a;
}

static void test_range(void **state)
{
    struct seen s;
    struct gateway_answer a = read_ok("{\"header\":{\"cluster_id\":\"14841639068965178418\",\"member_id\":"
                                      "\"10276657743932975437\",\"revision\":"
                                      "\"7\",\"raft_term\":\"2\"},\"kvs\":[{\"key\":\"YS8x\",\"create_"
                                      "revision\":\"2\",\"mod_revision\":\"5\","
                                      "\"version\":\"3\",\"value\":\"b25l\"},{\"key\":\"YS8y\",\"create_"
                                      "revision\":\"6\",\"mod_revision\":\"6\","
                                      "\"lease\":\"7587848390211047944\"}],\"more\":true,\"count\":\"9\"}",
        &s);

    (void)state;
    assert_true(a.cluster == 14841639068965178418u && a.revision == 7 && a.more && !a.failed);
    assert_int_equal(s.n, 2);
    assert_string_equal(s.keys, "a/1,a/2,");
    assert_string_equal(s.values, "one,,"); /* an empty value is left out */
    assert_true(s.created == 6 && s.changed == 6 && s.lease == 7587848390211047944u && !s.gone);
    a = read_ok("{\"header\":{\"revision\":\"1\"}}", &s);
    assert_true(a.revision == 1 && s.n == 0 && !a.more);
}

static void test_watch(void **state)
{
    struct seen s;
    struct gateway_answer a = read_ok("{\"result\":{\"header\":{\"revision\":\"9\"},\"created\":true}}", &s);

    (void)state;
    assert_true(a.created && a.revision == 9 && s.n == 0);
    a = read_ok(
        "{\"result\":{\"header\":{\"revision\":\"10\"},\"events\":[{\"kv\":{\"key\":\"YS8x\","
        "\"create_revision\":\"10\",\"mod_revision\":\"10\",\"value\":\"dHdv\"}},{\"kv\":{\"key\":\"YS8y\","
        "\"mod_revision\":\"11\"},\"type\":\"DELETE\",\"prev_kv\":{\"key\":\"YmFk\",\"mod_revision\":\"1\"}}]"
        "}}",
        &s);
    assert_string_equal(s.keys, "a/1,a/2,");
    assert_string_equal(s.values, "two,,");
    assert_true(s.gone && s.changed == 11 && !a.created);
    a = read_ok(
        "{\"result\":{\"header\":{\"revision\":\"12\"},\"canceled\":true,\"compact_revision\":\"8\"}}", &s);
    assert_true(a.canceled && a.compacted == 8);
    a = read_ok(
        "{\"error\":{\"grpc_code\":14,\"http_code\":503,\"message\":\"no leader\\u001b[2J\",\"details\":[]}}",
        &s);
    assert_true(a.failed && a.code == 14);
    assert_true(strncmp(a.why, "no leader", 9) == 0 && !strchr(a.why, '\033'));
}

static void test_others(void **state)
{
    struct seen s;
    struct gateway_answer a = read_ok("{\"header\":{},\"ID\":\"75878\",\"TTL\":\"5\"}", &s);

    (void)state;
    assert_true(a.lease == 75878 && a.ttl_s == 5);
    a = read_ok("{\"result\":{\"ID\":\"75878\"}}", &s);
    assert_true(a.lease == 75878 && a.ttl_s == 0);
    a = read_ok(
        "{\"header\":{\"revision\":\"4\"},\"responses\":[{\"response_range\":{\"header\":{\"revision\":\"4\"}"
        ","
        "\"kvs\":[{\"key\":\"YQ==\",\"create_revision\":\"3\",\"mod_revision\":\"3\"}],\"count\":\"1\"}}]}",
        &s);
    assert_true(!a.succeeded && s.n == 1 && s.created == 3);
    a = read_ok(
        "{\"header\":{\"revision\":\"6\"},\"succeeded\":true,\"responses\":[{\"response_put\":{}}]}", &s);
    assert_true(a.succeeded && a.revision == 6);
    a = read_ok("{\"header\":{},\"token\":\"abc.12\"}", &s);
    assert_string_equal(a.token, "abc.12");
    a = read_ok("{\"error\":\"etcdserver: invalid auth token\",\"code\":16,\"message\":\"etcdserver: invalid "
                "auth token\"}",
        &s);
    assert_true(a.failed && a.code == GATEWAY_UNAUTHENTICATED);
    assert_string_equal(a.why, "etcdserver: invalid auth token");
}

static void test_bad(void **state)
{
    static const char *const none[] = {"", "[]", "7", "{", "{\"kvs\":[{\"key\":\"YQ==\"}]", "{\"kvs\":[}]",
        "{} {}", "{\"kvs\":[{\"key\":\"YQ==\"}],}", "<html>"};
    struct gateway_answer a;
    struct seen s = {0};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(none); i++)
        assert_false(gateway_read(span_of(none[i]), on_record, &s, &a));
    assert_int_equal(s.n, 0); /* nothing of what is torn */
    a = read_ok(
        "{\"kvs\":[{\"key\":\"*\"},{\"key\":5},{},7,[{\"key\":\"YQ==\"}]],\"header\":{\"revision\":\"-3\"},"
        "\"ID\":\"99999999999999999999\",\"kvs\":{\"key\":\"YQ==\"}}",
        &s);
    assert_true(s.n == 0 && a.revision == 0 && a.lease == 0);
    a = read_ok("{\"kvs\":[{\"key\":\"Y\\u0051==\",\"kv\":{\"key\":\"Yg==\"},\"value\":null}]}", &s);
    assert_string_equal(s.keys, "a,");
}

/* A key or value of n bytes, in a range's answer. */
static struct seen read_sized(size_t n_key, size_t n_value)
{
    size_t n = BASE64_N(n_key) + BASE64_N(n_value) + 64;
    char *json = mem_new(n), *plain = mem_new(MAX(n_key, n_value) + 1);
    struct wr w = wr_of(json, n);
    struct gateway_answer a;
    struct seen s = {0};

    memset(plain, 'x', MAX(n_key, n_value));
    wr_text(&w, "{\"kvs\":[{\"key\":\"");
    base64_write(&w, span(plain, n_key));
    wr_text(&w, "\",\"value\":\"");
    base64_write(&w, span(plain, n_value));
    wr_text(&w, "\"}]}");
    assert_true(gateway_read(wr_span(&w), on_record, &s, &a));
    mem_free(json);
    mem_free(plain);
    return s;
}

static void test_limits(void **state)
{
    struct seen s = read_sized(GATEWAY_KEY_MAX, GATEWAY_VALUE_MAX);

    (void)state;
    assert_true(s.n == 1 && !s.large);
    s = read_sized(3, GATEWAY_VALUE_MAX + 1);
    assert_true(s.n == 1 && s.large);
    s = read_sized(3, 4 * GATEWAY_VALUE_MAX);
    assert_true(s.n == 1 && s.large);
    assert_int_equal(read_sized(GATEWAY_KEY_MAX + 1, 3).n, 0);
}

static void assert_written(const struct buf *b, const char *json)
{
    assert_int_equal(buf_n(b), strlen(json));
    assert_memory_equal(buf_span(b).p, json, strlen(json));
}

static void test_written(void **state)
{
    struct buf b, small;

    (void)state;
    buf_init(&b, 4096);
    assert_true(gateway_range(&b, &(struct gateway_range){SPAN_LIT("a"), SPAN_LIT("b"), true, 50, 7}));
    assert_written(&b, "{\"key\":\"YQA=\",\"range_end\":\"Yg==\",\"limit\":\"50\",\"revision\":\"7\"}");
    buf_clear(&b);
    assert_true(gateway_watch(&b, SPAN_LIT("a"), SPAN_LIT("b"), 8));
    assert_written(
        &b, "{\"create_request\":{\"key\":\"YQ==\",\"range_end\":\"Yg==\",\"start_revision\":\"8\"}}");
    buf_clear(&b);
    assert_true(gateway_authenticate(&b, SPAN_LIT("r\"t"), SPAN_LIT("\\")));
    assert_written(&b, "{\"name\":\"r\\\"t\",\"password\":\"\\\\\"}");
    buf_done(&b);
    buf_init(&b, 4096);
    assert_true(gateway_change(&b,
        (const struct gateway_change[]){
            {SPAN_LIT("a"), SPAN_LIT("v"), 7, false}, {.key = SPAN_LIT("b"), .gone = true}},
        2));
    assert_written(&b,
        "{\"compare\":[{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"YQ==\",\"mod_revision\":\"7\"},"
        "{\"target\":\"MOD\",\"result\":\"EQUAL\",\"key\":\"Yg==\",\"mod_revision\":\"0\"}],"
        "\"success\":[{\"request_put\":{\"key\":\"YQ==\",\"value\":\"dg==\"}},"
        "{\"request_delete_range\":{\"key\":\"Yg==\"}}]}");
    buf_done(&b);
    buf_init(&small, 20);
    assert_false(gateway_change(&small, &(const struct gateway_change){.key = SPAN_LIT("a")}, 1));
    buf_done(&small);
    buf_init(&small, 20);
    assert_false(gateway_claim(&small, SPAN_LIT("a"), SPAN_LIT("b"), 1));
    buf_done(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_watch),
        cmocka_unit_test(test_others),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_written),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
