/* courier/lease, where the test is the etcd: answers that come late. */
#include "courier/lease.h"
#include "tests/support/loop_wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define SHORT_S 1 /* etcd may give less than it is asked for */
#define LONG_S  60

enum { ASKS = 8 };
static struct {
    struct loop *loop;
    struct lease lease;
    struct {
        const char *path;
        etcd_fn *fn;
        void *arg;
    } asks[ASKS]; /* not answered yet */
    size_t n_asks;
    unsigned lost;
    uint64_t term;
} rig;

/* --- etcd, as lease.c calls it --- */

int etcd_ask(struct etcd *e, const char *path, struct span body, etcd_fn *fn, void *arg)
{
    (void)e;
    assert_true(body.n > 0 && rig.n_asks < ASKS);
    rig.asks[rig.n_asks].path = path;
    rig.asks[rig.n_asks].fn = fn;
    rig.asks[rig.n_asks++].arg = arg;
    return 0;
}

/* The oldest of these. */
static void answer(const char *path, const char *json)
{
    etcd_fn *fn;
    void *arg;
    size_t i = 0;

    while (i < rig.n_asks && strcmp(rig.asks[i].path, path) != 0) i++;
    assert_true(i < rig.n_asks);
    fn = rig.asks[i].fn;
    arg = rig.asks[i].arg;
    rig.n_asks--;
    for (; i < rig.n_asks; i++) rig.asks[i] = rig.asks[i + 1];
    fn(arg, &(struct etcd_reply){.why = "", .status = 200, .body = span_of(json)});
}

static void grant(unsigned id, unsigned ttl_s)
{
    char json[128];

    snprintf(json, sizeof(json), "{\"header\":{\"revision\":\"1\"},\"ID\":\"%u\",\"TTL\":\"%u\"}", id, ttl_s);
    answer("/v3/lease/grant", json);
}

static void keep(unsigned id, unsigned ttl_s)
{
    char json[128];

    snprintf(json, sizeof(json), "{\"result\":{\"header\":{},\"ID\":\"%u\",\"TTL\":\"%u\"}}", id, ttl_s);
    answer("/v3/lease/keepalive", json);
}

static void claim(unsigned revision)
{
    char json[128];

    snprintf(json, sizeof(json), "{\"header\":{\"revision\":\"%u\"},\"succeeded\":true}", revision);
    answer("/v3/kv/txn", json);
}

/* --- what is said --- */

static void on_failed(void *arg, const char *why)
{
    (void)arg;
    fail_msg("%s", why);
}

static void on_held(void *arg, usec_t until_us)
{
    (void)arg;
    rig.lost += until_us == 0;
}

static void on_owns(void *arg, const char *uid, uint64_t term)
{
    (void)arg;
    assert_string_equal(uid, "cam");
    rig.term = term;
}

static const struct lease_ops ops = {on_failed, on_held, on_owns};

static int set_up(void **state)
{
    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.loop = loop_new();
    lease_init(&rig.lease, rig.loop, &ops, NULL);
    lease_conf(&rig.lease, NULL, "/t/owners/", "1 x", LONG_S);
    lease_there(&rig.lease);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    lease_done(&rig.lease);
    loop_free(rig.loop);
    return 0;
}

/* --- tests --- */

static bool is_lost(void)
{
    return rig.lost > 0;
}

/* etcd elects a leader, or its disk hangs: it is kept there, but has ended here. Another one is asked for. */
static void kept_behind_its_end(void **state)
{
    (void)state;
    grant(7, SHORT_S);
    lease_there(&rig.lease); /* it is kept at once */
    loop_wait(rig.loop, is_lost);
    assert_int_equal(rig.lease.id, 0);
    keep(7, LONG_S);
    assert_int_equal(rig.lease.id, 0); /* what was lost was said to be */
    grant(8, LONG_S);
    assert_int_equal(rig.lease.id, 8);
    lease_want(&rig.lease, "cam", true);
    claim(20);
    assert_int_equal(rig.term, 20);
    assert_int_equal(rig.lost, 1);
}

/* A key that was made under a lease before goes with that: it is nobody's until then. */
static void claimed_under_the_lease_before(void **state)
{
    const struct gateway_record gone = {.changed = 30, .gone = true};

    (void)state;
    grant(7, SHORT_S);
    lease_want(&rig.lease, "cam", true);
    loop_wait(rig.loop, is_lost);
    grant(8, LONG_S);
    claim(20);
    assert_int_equal(rig.term, 0);
    lease_heard(&rig.lease, SPAN_LIT("cam"), &gone);
    claim(31);
    assert_int_equal(rig.term, 31);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(kept_behind_its_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(claimed_under_the_lease_before, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
