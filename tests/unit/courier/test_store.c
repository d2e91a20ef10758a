/* courier/store and lease: what two couriers read of one real etcd-server, who holds what by its lease, and
 * what is said when it dies, is compacted, asks for a password, or comes back as another. */
#include "common/base/mem.h"
#include "courier/store.h"
#include "tests/support/etcd_server.h"
#include "tests/support/loop_wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct side {
    struct store store;
    unsigned begins, readies, rows, lost;
    char last[64], text[64];
    bool gone, large, busy;
    usec_t until_us;
    uint64_t term, old_term;
    unsigned changed, turns;
    struct change_done change;
};
static struct {
    struct loop *loop;
    struct side a, b;
    struct etcd *hand; /* of the test itself */
    unsigned answers;
    int hand_err;
} rig;

/* --- what is said --- */

static void on_begin(void *arg)
{
    ((struct side *)arg)->begins++;
}

static void on_row(void *arg, const struct store_row *r)
{
    struct side *s = arg;

    if (r->kind == ETCD_OWNER) return;
    s->rows++;
    snprintf(s->last, sizeof(s->last), "%d %.*s", (int)r->kind, SPAN_FMT(r->name));
    span_copy(r->text, s->text, sizeof(s->text));
    s->gone = r->gone;
    s->large = r->large;
}

static void on_ready(void *arg, uint64_t revision, uint64_t cluster)
{
    assert_true(revision > 0 && cluster > 0);
    ((struct side *)arg)->readies++;
}

static void on_turned(void *arg)
{
    ((struct side *)arg)->turns++;
}

static void on_changed(void *arg, const struct change_done *d)
{
    struct side *s = arg;

    s->changed++;
    s->change = *d;
    s->change.why = NULL;
    assert_true(d->how == ETCD_DONE || d->why[0] != 0);
}

static void on_held(void *arg, usec_t until_us)
{
    struct side *s = arg;

    s->lost += until_us == 0;
    s->until_us = until_us;
}

static void on_owns(void *arg, const char *uid, uint64_t term)
{
    struct side *s = arg;

    assert_string_equal(uid, "cam");
    if (s->term > 0) s->old_term = s->term;
    s->term = term;
}

static size_t queued(void *arg)
{
    return ((struct side *)arg)->busy ? STORE_QUEUE_MAX + 1 : 0;
}

static const struct store_ops ops = {
    on_begin, on_row, on_ready, on_turned, on_changed, on_held, on_owns, queued};

/* --- the loop --- */

static void wait_for(bool (*until)(void))
{
    loop_wait(rig.loop, until);
}

/* --- the hand --- */

static void on_answer(void *arg, const struct etcd_reply *r)
{
    (void)arg;
    rig.answers++;
    rig.hand_err = r->err;
}

static bool answered(void)
{
    return rig.answers > 0;
}

/* Takes the body; asked again while etcd comes. */
static void hand(const char *path, struct buf *body)
{
    do {
        rig.answers = 0;
        assert_int_equal(etcd_ask(rig.hand, path, buf_span(body), on_answer, NULL), 0);
        wait_for(answered);
    } while (rig.hand_err != 0);
    buf_done(body);
}

static void put(const char *key, struct span value)
{
    struct buf b;

    buf_init(&b, 4u << 20);
    assert_true(gateway_put(&b, span_of(key), value));
    hand("/v3/kv/put", &b);
}

static void drop(const char *key)
{
    struct buf b;

    buf_init(&b, 4096);
    assert_true(gateway_delete(&b, span_of(key)));
    hand("/v3/kv/deleterange", &b);
}

static void post(const char *path, const char *json)
{
    struct buf b;

    buf_init(&b, 4096);
    assert_true(buf_text(&b, json));
    hand(path, &b);
}

/* --- the sides --- */

static void conf(struct side *s, const char *self, const char *user)
{
    struct unpack *u;
    struct packer p;
    struct buf b;

    buf_init(&b, 4096);
    p = packer_of(&b);
    pack_map(&p, 6);
    pack_key(&p, "urls");
    pack_array(&p, 2);
    pack_str(&p, SPAN_LIT("http://127.0.0.1:1")); /* nobody is there */
    pack_str(&p, span_of(etcd_server.url));
    pack_kv_text(&p, "prefix", "/t");
    pack_kv_text(&p, "user", user);
    pack_kv_text(&p, "password", "geheim");
    pack_kv_u64(&p, "ttl_s", 1); /* LEASE_TTL_MIN_S */
    pack_kv_text(&p, "self", self);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    store_conf(&s->store, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

static int set_up(void **state)
{
    const char *url = etcd_server.url;

    (void)state;
    rig.loop = loop_new();
    rig.hand = etcd_new(rig.loop);
    etcd_endpoints(rig.hand, &url, 1);
    rig.a = rig.b = (struct side){.term = 0};
    store_init(&rig.a.store, rig.loop, &ops, &rig.a);
    store_init(&rig.b.store, rig.loop, &ops, &rig.b);
    put("/t/streams/one", SPAN_LIT("first"));
    put("/t/other/x", SPAN_LIT("not looked at"));
    put("/tt", SPAN_LIT("nor this"));
    put("/t/nodes/7", SPAN_LIT("host"));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_done(&rig.a.store);
    store_done(&rig.b.store);
    etcd_free(rig.hand);
    loop_free(rig.loop);
    return 0;
}

static bool a_there(void)
{
    return rig.a.store.there;
}

static bool a_away(void)
{
    return !rig.a.store.there;
}

static bool a_row(void)
{
    return rig.a.rows > 0;
}

static void a_reads(void)
{
    conf(&rig.a, "1 x", "");
    wait_for(a_there);
    assert_int_equal(rig.a.readies, 1);
    rig.a.rows = 0;
}

static void test_records(void **state)
{
    uint8_t *large = mem_new(GATEWAY_VALUE_MAX + 1);

    (void)state;
    conf(&rig.a, "1 x", "");
    wait_for(a_there);
    assert_int_equal(rig.a.begins, 1);
    assert_int_equal(rig.a.readies, 1);
    assert_int_equal(rig.a.rows, 2);
    assert_string_equal(rig.a.last, "1 one"); /* nodes before streams */
    assert_string_equal(rig.a.text, "first");
    rig.a.rows = 0;
    put("/t/nodes/7", SPAN_LIT("other"));
    wait_for(a_row);
    assert_string_equal(rig.a.last, "2 7");
    assert_string_equal(rig.a.text, "other");
    rig.a.rows = 0;
    drop("/t/nodes/7");
    wait_for(a_row);
    assert_true(rig.a.gone);
    rig.a.rows = 0;
    put("/t/streams/two", span(large, GATEWAY_VALUE_MAX + 1));
    wait_for(a_row);
    assert_true(rig.a.large && !rig.a.gone);
    drop("/t/streams/two");
    mem_free(large);
}

static bool a_ready(void)
{
    return rig.a.readies > 0;
}

/* More than a page, of which one answer would be too large; and a taker that is slow. */
static void test_pages(void **state)
{
    size_t n = (size_t)1 << 20;
    uint8_t *mem = mem_new(n);
    char key[32];

    (void)state;
    for (int i = 0; i < 7; i++) {
        snprintf(key, sizeof(key), "/t/streams/large%d", i);
        put(key, span(mem, n));
    }
    for (int i = 0; i < STORE_PAGE_MAX; i++) {
        snprintf(key, sizeof(key), "/t/streams/s%d", i);
        put(key, SPAN_LIT("x"));
    }
    rig.a.busy = true;
    conf(&rig.a, "1 x", "");
    rig.answers = 0;
    put("/t/streams/zlast", SPAN_LIT("x"));
    assert_int_equal(rig.a.rows, 0);
    rig.a.busy = false;
    wait_for(a_ready);
    assert_int_equal(rig.a.rows, 7 + STORE_PAGE_MAX + 3);
    assert_true(rig.a.store.page < STORE_PAGE_MAX);
    mem_free(mem);
    post("/v3/kv/deleterange", "{\"key\":\"L3Qv\",\"range_end\":\"L3Qw\"}");
}

static bool a_owns(void)
{
    return rig.a.term > 0;
}

static bool b_owns(void)
{
    return rig.b.term > 0;
}

static bool b_there(void)
{
    return rig.b.store.there;
}

/* One holds it; the next one's term is higher; a lease that ends ends what it held. */
static void test_keys(void **state)
{
    uint64_t first;

    (void)state;
    conf(&rig.a, "1 x", "");
    conf(&rig.b, "2 y", "");
    wait_for(b_there);
    store_own(&rig.a.store, "cam", true);
    wait_for(a_owns);
    first = rig.a.term;
    assert_true(rig.a.until_us > loop_now_us(rig.loop));
    store_own(&rig.b.store, "cam", true);
    put("/t/owners/cam2", SPAN_LIT("of nobody here"));
    assert_int_equal(rig.b.term, 0);
    store_own(&rig.a.store, "cam", false);
    assert_int_equal(rig.a.term, 0); /* at once */
    wait_for(b_owns);
    assert_true(rig.b.term > first);
    store_own(&rig.a.store, "cam", true);
    drop("/t/owners/cam"); /* by hand: either of the two makes it anew */
    store_own(&rig.b.store, "cam", false);
    wait_for(a_owns);
    assert_true(rig.a.term > first);
}

static bool a_has_no_lease(void)
{
    return rig.a.lost > 0;
}

static bool a_back(void)
{
    return rig.a.store.there && rig.a.term > 0;
}

static void test_dies(void **state)
{
    (void)state;
    a_reads();
    store_own(&rig.a.store, "cam", true);
    wait_for(a_owns);
    etcd_server_kill(&etcd_server);
    wait_for(a_away);
    wait_for(a_has_no_lease); /* LEASE_SLACK_US before etcd may let it go */
    assert_int_equal(rig.a.term, 0);
    etcd_server_start(&etcd_server);
    put("/t/streams/while", SPAN_LIT("away"));
    wait_for(a_back);
    wait_for(a_row);
    assert_true(rig.a.term > rig.a.old_term);
    assert_int_equal(rig.a.begins, 1);
    assert_int_equal(rig.a.rows, 1); /* only what is new */
    assert_string_equal(rig.a.last, "1 while");
}

static bool a_anew(void)
{
    return rig.a.store.there && rig.a.readies > 1;
}

/* What it had heard last is forgotten there, or lies in another store's future. */
static void test_anew(void **state)
{
    char json[64];

    (void)state;
    a_reads();
    put("/t/streams/a", SPAN_LIT("1"));
    wait_for(a_row);
    snprintf(json, sizeof(json), "{\"revision\":\"%llu\",\"physical\":true}",
        (unsigned long long)rig.a.store.revision);
    post("/v3/kv/compaction", json);
    rig.a.store.revision = 1;
    etcd_server_kill(&etcd_server);
    wait_for(a_away);
    etcd_server_start(&etcd_server);
    wait_for(a_anew);
    rig.a.readies = 1;
    rig.a.store.revision += 1000;
    etcd_server_kill(&etcd_server);
    wait_for(a_away);
    etcd_server_start(&etcd_server);
    wait_for(a_anew);
}

/* What was missed is more than a line may have: that line would be the same again. */
static void test_a_line_that_is_too_large(void **state)
{
    size_t n = (size_t)1 << 20;
    uint8_t *mem = mem_new(n);
    uint64_t before;
    char key[32];

    (void)state;
    a_reads();
    before = rig.a.store.revision;
    for (int i = 0; i < 7; i++) {
        snprintf(key, sizeof(key), "/t/streams/large%d", i);
        put(key, span(mem, n));
    }
    mem_free(mem);
    etcd_server_kill(&etcd_server);
    wait_for(a_away);
    rig.a.store.revision = before;
    etcd_server_start(&etcd_server);
    wait_for(a_anew);
    assert_true(rig.a.store.revision >= before + 7);
    post("/v3/kv/deleterange", "{\"key\":\"L3Qv\",\"range_end\":\"L3Qw\"}");
}

/* --- records that are changed --- */

static void change(uint64_t id, const char *uid, uint64_t was, struct span text)
{
    struct unpack *u;
    struct packer p;
    struct buf b;

    buf_init(&b, 1u << 20);
    p = packer_of(&b);
    pack_map(&p, text.p ? 4 : 3);
    pack_kv_u64(&p, "id", id);
    pack_kv_text(&p, "uid", uid);
    pack_kv_u64(&p, "was", was);
    if (text.p) pack_kv_bin(&p, "text", text);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    changes_add(&rig.a.store.changes, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
}

static bool a_changed(void)
{
    return rig.a.changed > 0;
}

static enum etcd_changed commit(uint64_t id)
{
    struct unpack *u;
    struct packer p;
    struct buf b;

    buf_init(&b, 64);
    p = packer_of(&b);
    pack_map(&p, 1);
    pack_kv_u64(&p, "id", id);
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    rig.a.changed = 0;
    store_commit(&rig.a.store, unpack_root(u));
    unpack_done(u);
    buf_done(&b);
    wait_for(a_changed);
    assert_int_equal(rig.a.change.id, id);
    return rig.a.change.how;
}

static bool a_rows_two(void)
{
    return rig.a.rows >= 2;
}

/* All or none, by the revisions that they had. */
static void test_changes(void **state)
{
    uint8_t *large = mem_new(GATEWAY_VALUE_MAX + 1);
    uint64_t at;

    (void)state;
    a_reads();
    change(1, "u1", 0, SPAN_LIT("new"));
    change(1, "u2", 0, SPAN_LIT("new"));
    assert_int_equal(commit(1), ETCD_DONE);
    at = rig.a.change.revision;
    wait_for(a_rows_two); /* and it comes back */
    assert_string_equal(rig.a.last, "1 u2");
    change(2, "u1", at, SPAN_LIT("other"));
    change(2, "u2", at - 1, SPAN_LIT("other")); /* that is not what it is */
    assert_int_equal(commit(2), ETCD_CONFLICT);
    change(3, "u1", 0, SPAN_LIT("made again"));
    assert_int_equal(commit(3), ETCD_CONFLICT);
    rig.a.rows = 0;
    change(4, "u1", at, SPAN_NONE);
    change(4, "u2", at, SPAN_LIT("changed"));
    assert_int_equal(commit(4), ETCD_DONE);
    wait_for(a_rows_two);
    assert_int_equal(rig.a.rows, 2);
    change(5, "u2", rig.a.change.revision, span(large, GATEWAY_VALUE_MAX + 1));
    assert_int_equal(commit(5), ETCD_NOT_DONE);
    assert_int_equal(commit(6), ETCD_NOT_DONE); /* of nothing */
    for (int i = 0; i <= GATEWAY_CHANGES_MAX; i++) change(7, "u3", 0, SPAN_LIT("x"));
    assert_int_equal(commit(7), ETCD_NOT_DONE);
    for (uint64_t i = 100; i <= 100 + CHANGES_MAX; i++) change(i, "u3", 0, SPAN_LIT("x"));
    assert_int_equal(commit(100 + CHANGES_MAX), ETCD_NOT_DONE); /* too many at once */
    mem_free(large);
}

/* Nobody is there: at once. It goes while it is asked: nobody knows. */
static void test_changes_without_it(void **state)
{
    (void)state;
    change(1, "v1", 0, SPAN_LIT("x"));
    assert_int_equal(commit(1), ETCD_NOT_DONE);
    a_reads();
    etcd_server_kill(&etcd_server);
    change(2, "v1", 0, SPAN_LIT("x"));
    assert_int_equal(commit(2), ETCD_UNKNOWN);
    wait_for(a_away);
    assert_true(rig.a.store.why[0] != 0);
    assert_int_equal(rig.a.turns, 2); /* there, and away */
    etcd_server_start(&etcd_server);
    rig.a.readies = 0;
    wait_for(a_there);
    assert_string_equal(rig.a.store.why, "");
}

static void test_password(void **state)
{
    (void)state;
    post("/v3/auth/user/add", "{\"name\":\"root\",\"password\":\"geheim\"}");
    post("/v3/auth/role/add", "{\"name\":\"root\"}");
    post("/v3/auth/user/grant", "{\"user\":\"root\",\"role\":\"root\"}");
    post("/v3/auth/enable", "{}");
    conf(&rig.b, "2 y", "");
    conf(&rig.a, "1 x", "root");
    wait_for(a_there);
    store_own(&rig.a.store, "cam", true);
    wait_for(a_owns);
    assert_false(rig.b.store.there);
    assert_int_equal(rig.b.readies, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_pages, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_keys, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_dies, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_anew, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_line_that_is_too_large, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_changes_without_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_password, set_up, tear_down), /* the last: it asks from now on */
    };

    return cmocka_run_group_tests(tests, etcd_server_up, etcd_server_down);
}
