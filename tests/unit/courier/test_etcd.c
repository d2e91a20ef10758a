/* courier/etcd and what gateway writes, against a real etcd-server, which dies and comes back too. */
#include "common/base/mem.h"
#include "courier/etcd.h"
#include "courier/gateway.h"
#include "tests/support/etcd_server.h"
#include "tests/support/loop_wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define AGAIN_US (50 * US_PER_MS)

/* What an answer, or a watch's line, was. */
struct got {
    unsigned n, ends;
    int err;
    struct gateway_answer answer;
    char keys[256];
    uint64_t created;
    bool gone;
};
static struct {
    struct loop *loop;
    struct etcd *etcd;
    struct got asked, watched;
} rig;

/* --- the loop --- */

static void wait_for(bool (*until)(void))
{
    loop_wait(rig.loop, until);
}

/* --- questions --- */

static void on_record(void *arg, const struct gateway_record *r)
{
    struct got *g = arg;
    size_t n = strlen(g->keys);

    snprintf(g->keys + n, sizeof(g->keys) - n, "%.*s,", SPAN_FMT(r->key));
    g->created = r->created;
    g->gone = r->gone;
}

static void take(void *arg, const struct etcd_reply *r)
{
    struct got *g = arg;

    g->err = r->err;
    if (r->err != 0) {
        assert_true(r->why[0] != 0);
        g->ends++;
        return;
    }
    g->keys[0] = 0;
    assert_true(gateway_read(r->body, on_record, g, &g->answer));
    g->n++;
}

static bool answered(void)
{
    return rig.asked.n + rig.asked.ends > 0;
}

/* The body is taken. */
static const struct got *ask(const char *path, struct buf *body)
{
    rig.asked = (struct got){0};
    assert_int_equal(etcd_ask(rig.etcd, path, buf_span(body), take, &rig.asked), 0);
    buf_done(body);
    wait_for(answered);
    return &rig.asked;
}

static struct buf room(void)
{
    struct buf b;

    buf_init(&b, 4u << 20);
    return b;
}

static const struct got *put(const char *key, struct span value)
{
    struct buf b = room();

    assert_true(gateway_put(&b, span_of(key), value));
    return ask("/v3/kv/put", &b);
}

static const struct got *range(uint64_t limit)
{
    struct buf b = room();

    assert_true(gateway_range(&b, &(struct gateway_range){SPAN_LIT("t/"), SPAN_LIT("t0"), false, limit, 0}));
    return ask("/v3/kv/range", &b);
}

static const struct got *claim(const char *key, uint64_t lease)
{
    struct buf b = room();

    assert_true(gateway_claim(&b, span_of(key), SPAN_LIT("1 x"), lease));
    return ask("/v3/kv/txn", &b);
}

static void waited(struct loop_timer *t)
{
    (void)t;
    loop_break(rig.loop);
}

/* etcd takes a moment to come. */
static void until_there(void)
{
    struct loop_timer again = {0};

    for (;;) {
        const struct got *g = range(1);

        if (g->err == 0 && !g->answer.failed) return;
        rig.asked = (struct got){0};
        loop_timer_set(rig.loop, &again, AGAIN_US, waited, NULL);
        loop_run(rig.loop);
        loop_timer_stop(&again);
    }
}

static int set_up(void **state)
{
    const char *url = etcd_server.url;

    (void)state;
    rig.loop = loop_new();
    rig.etcd = etcd_new(rig.loop);
    assert_non_null(rig.etcd);
    etcd_endpoints(rig.etcd, &url, 1);
    until_there();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    etcd_free(rig.etcd);
    loop_free(rig.loop);
    return 0;
}

/* --- tests --- */

static bool watch_spoke(void)
{
    return rig.watched.n + rig.watched.ends > 0;
}

static void next_line(void)
{
    wait_for(watch_spoke);
    rig.watched.n = 0;
}

static void watch(uint64_t revision)
{
    struct buf b = room();

    rig.watched = (struct got){0};
    assert_true(gateway_watch(&b, SPAN_LIT("t/"), SPAN_LIT("t0"), revision));
    assert_int_equal(etcd_follow(rig.etcd, "/v3/watch", buf_span(&b), take, &rig.watched), 0);
    buf_done(&b);
    next_line();
    assert_true(rig.watched.answer.created);
}

static void test_records(void **state)
{
    struct buf b = room();
    uint64_t before = put("t/a", SPAN_LIT("one"))->answer.revision;

    (void)state;
    assert_true(before > 0);
    watch(before + 1);
    put("u/other", SPAN_LIT("not asked for"));
    put("t/b", SPAN_NONE);
    next_line();
    assert_string_equal(rig.watched.keys, "t/b,");
    assert_false(rig.watched.gone);
    assert_string_equal(range(1)->keys, "t/a,");
    assert_true(rig.asked.answer.more);
    assert_string_equal(range(5)->keys, "t/a,t/b,");
    assert_false(rig.asked.answer.more);
    assert_true(gateway_delete(&b, SPAN_LIT("t/b")));
    ask("/v3/kv/deleterange", &b);
    next_line();
    assert_string_equal(rig.watched.keys, "t/b,");
    assert_true(rig.watched.gone);
    etcd_drop(rig.etcd);
    put("t/b", SPAN_NONE);
    assert_int_equal(rig.watched.n + rig.watched.ends, 0); /* who was dropped is not called */
}

static void test_leases(void **state)
{
    struct buf b = room();
    uint64_t lease, term;

    (void)state;
    assert_true(gateway_grant(&b, 60));
    lease = ask("/v3/lease/grant", &b)->answer.lease;
    assert_true(lease > 0 && rig.asked.answer.ttl_s == 60);
    assert_true(claim("o/cam", lease)->answer.succeeded);
    term = rig.asked.answer.revision;
    assert_false(claim("o/cam", lease)->answer.succeeded);
    assert_true(rig.asked.created == term); /* whose it is */
    b = room();
    assert_true(gateway_keep(&b, lease));
    assert_true(ask("/v3/lease/keepalive", &b)->answer.ttl_s == 60);
    b = room();
    assert_true(gateway_yield(&b, SPAN_LIT("o/cam"), term + 1));
    assert_false(ask("/v3/kv/txn", &b)->answer.succeeded); /* another one's */
    b = room();
    assert_true(gateway_revoke(&b, lease));
    ask("/v3/lease/revoke", &b);
    b = room();
    assert_true(gateway_keep(&b, lease));
    assert_true(ask("/v3/lease/keepalive", &b)->answer.ttl_s == 0);
    assert_true(claim("o/cam", 0)->answer.succeeded);
    assert_true(rig.asked.answer.revision > term);
    b = room();
    assert_true(gateway_yield(&b, SPAN_LIT("o/cam"), rig.asked.answer.revision));
    assert_true(ask("/v3/kv/txn", &b)->answer.succeeded);
}

static void test_compacted(void **state)
{
    uint64_t last = put("t/a", SPAN_LIT("two"))->answer.revision;
    char text[64];
    struct buf b = room();

    (void)state;
    snprintf(text, sizeof(text), "{\"revision\":\"%llu\",\"physical\":true}", (unsigned long long)last);
    assert_true(buf_text(&b, text));
    ask("/v3/kv/compaction", &b);
    watch(1);
    if (!rig.watched.answer.canceled) next_line();
    assert_true(rig.watched.answer.canceled && rig.watched.answer.compacted == last);
}

static void test_dies(void **state)
{
    (void)state;
    put("t/kept", SPAN_LIT("1"));
    watch(0);
    etcd_server_kill(&etcd_server);
    while (rig.watched.ends == 0) next_line();
    assert_int_equal(range(1)->err, ETCD_E_CONNECT);
    etcd_server_start(&etcd_server);
    until_there();
    assert_non_null(strstr(range(50)->keys, "t/kept,"));
}

/* The one that nobody listens on is left for the next. */
static void test_endpoints(void **state)
{
    const char *urls[] = {"http://127.0.0.1:1", etcd_server.url, "ftp://127.0.0.1:21"};

    (void)state;
    etcd_endpoints(rig.etcd, urls, ARRAY_N(urls));
    assert_int_equal(range(1)->err, ETCD_E_CONNECT);
    assert_false(etcd_next(rig.etcd));
    assert_int_equal(range(1)->err, 0);
    assert_string_equal(etcd_endpoint(rig.etcd), etcd_server.url);
    assert_false(etcd_next(rig.etcd));
    assert_int_equal(range(1)->err, ETCD_E_CONNECT); /* no protocol of ours */
    assert_true(etcd_next(rig.etcd));
}

static void test_bounds(void **state)
{
    size_t n = (size_t)1 << 20;
    uint8_t *mem = mem_new(n);
    char key[32];

    (void)state;
    for (int i = 0; i < 7; i++) {
        snprintf(key, sizeof(key), "t/large%d", i);
        assert_int_equal(put(key, span(mem, n))->err, 0);
    }
    mem_free(mem);
    assert_int_equal(range(50)->err, ETCD_E_LARGE);
    assert_int_equal(range(1)->err, 0);
    for (int i = 0; i < ETCD_CALLS_MAX; i++)
        assert_int_equal(etcd_ask(rig.etcd, "/v3/kv/range", SPAN_LIT("{}"), take, &rig.asked), 0);
    assert_int_equal(etcd_ask(rig.etcd, "/v3/kv/range", SPAN_LIT("{}"), take, &rig.asked), ETCD_E_CALLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_leases, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_compacted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_endpoints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bounds, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, etcd_server_up, etcd_server_down);
}
