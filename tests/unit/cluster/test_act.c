/* One node and its acts: whom it passes them on to, who has to agree, what waits, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/ipc/ctl.h"
#include "master/cluster/act.h"

#include <stdio.h>
#include <string.h>

#define T0 (1000 * US_PER_S) /* long after the start */

struct site {
    struct acts acts;
    usec_t now_us;
    uint16_t holder;
    bool away[4]; /* nodes 1 to 3 */
    bool twice;
    uint64_t term;
    struct act_word said[64];
    uint16_t to[64];
    size_t n_said;
    uint64_t kept;
    enum act_keep what;
    struct act keeps;
    usec_t until_us;
    int code; /* of the answer; -1: none */
    char text[ACT_TEXT_MAX];
};

static void say(void *arg, uint16_t node, const struct act_word *w)
{
    struct site *s = arg;

    s->to[s->n_said] = node;
    s->said[s->n_said++ % ARRAY_N(s->said)] = *w;
}

static bool keep(void *arg, uint64_t ref, enum act_keep what, const struct act *a, usec_t until_us)
{
    struct site *s = arg;

    s->kept = ref;
    s->what = what;
    s->keeps = *a;
    s->until_us = until_us;
    return true;
}

static void answer(void *arg, uint64_t who, int code, const char *text, struct span rows)
{
    struct site *s = arg;

    (void)rows;
    assert_int_equal(who, 1);
    s->code = code;
    snprintf(s->text, sizeof(s->text), "%s", text);
}

static uint16_t holder(void *arg, const char *uid)
{
    const struct site *s = arg;

    (void)uid;
    return s->holder;
}

static bool there(void *arg, uint16_t node)
{
    const struct site *s = arg;

    return !s->away[node];
}

static bool twice(void *arg)
{
    const struct site *s = arg;

    return s->twice;
}

static uint64_t next_term(void *arg, uint64_t above)
{
    struct site *s = arg;

    s->term = MAX(s->term, above) + 1;
    return s->term;
}

static void changed(void *arg)
{
    (void)arg;
}

static const struct act_ops ops = {say, keep, answer, holder, there, twice, next_term, changed};
static const uint16_t three[] = {3, 1, 2}, two[] = {2, 1};
static const struct act an_act = {
    .id = 5, .kind = ACT_DELETE, .uid = "cam", .from = "1", .to = "2", .by = "api", .at_us = 1};

static void open_site(struct site *s, uint16_t self, const uint16_t *nodes, size_t n)
{
    *s = (struct site){.now_us = T0, .holder = self, .code = -1};
    acts_init(&s->acts, &ops, s, self, 77, 0);
    acts_nodes(&s->acts, nodes, n);
}

static void ask(struct site *s)
{
    acts_ask(&s->acts, &an_act, 1, s->now_us);
}

static void kept(struct site *s, int code, const char *text)
{
    acts_kept(&s->acts, &(struct act_kept){.ref = s->kept, .code = code, .text = text}, s->now_us);
}

/* Another node says something of the act that is being decided here. */
static void heard(struct site *s, uint16_t from, enum act_word_kind kind, int code)
{
    struct act_word w = {.kind = kind, .act = s->keeps, .code = code};

    acts_heard(&s->acts, from, &w, s->now_us);
}

static const struct act_word *last(const struct site *s, uint16_t to)
{
    size_t i = s->n_said;

    while (i > 0 && s->to[i - 1] != to) i--;
    assert_true(i > 0); /* something was said to it */
    return &s->said[i - 1];
}

static void a_quorum_decides(void **state)
{
    struct site s;

    (void)state;
    open_site(&s, 2, three, 3);
    ask(&s);
    assert_int_equal(s.what, ACT_KEEP_PROMISE);
    assert_int_equal(last(&s, 1)->kind, ACT_PROMISE);
    assert_int_equal(last(&s, 3)->kind, ACT_PROMISE);
    kept(&s, CTL_OK, "");
    assert_int_equal(s.what, ACT_KEEP_PROMISE); /* one of three */
    heard(&s, 3, ACT_PROMISED, CTL_OK);
    assert_int_equal(s.what, ACT_KEEP_DO);
    assert_int_equal(s.until_us, T0 + ACT_LEASE_US - ACT_SLACK_US);
    assert_int_equal(s.code, -1);
    kept(&s, CTL_OK, "");
    assert_int_equal(s.code, CTL_OK);
    assert_int_equal(last(&s, 1)->kind, ACT_DO);
    assert_int_equal(acts_waiting(&s.acts, 1), 1);
    heard(&s, 1, ACT_DONE, CTL_OK);
    heard(&s, 3, ACT_DONE, CTL_OK);
    assert_int_equal(s.acts.n_waits, 0);
    acts_done(&s.acts);
}

static void of_two_the_lower_decides(void **state)
{
    struct site s;

    (void)state;
    open_site(&s, 1, two, 2);
    s.away[2] = true;
    ask(&s);
    kept(&s, CTL_OK, "");
    kept(&s, CTL_OK, "");
    assert_int_equal(s.code, CTL_OK);
    assert_non_null(strstr(s.text, "node 2 is away"));
    assert_int_equal(acts_waiting(&s.acts, 2), 1);
    s.away[2] = false; /* it is back, and gets it */
    s.n_said = 0;
    acts_tick(&s.acts, s.now_us += ACT_AGAIN_US);
    assert_int_equal(last(&s, 2)->kind, ACT_DO);
    acts_done(&s.acts);
    open_site(&s, 2, two, 2);
    s.away[1] = true;
    ask(&s);
    assert_int_equal(s.code, CTL_BUSY);
    assert_non_null(strstr(s.text, "node 1 is not reachable"));
    assert_int_equal(s.kept, 0);
    acts_done(&s.acts);
}

static void it_is_passed_on_to_who_records(void **state)
{
    struct act_word w = {.kind = ACT_ANSWER, .act = an_act, .text = "done"};
    struct site s;

    (void)state;
    open_site(&s, 1, three, 3);
    s.holder = 3;
    ask(&s);
    assert_int_equal(last(&s, 3)->kind, ACT_ASK);
    w.ref = last(&s, 3)->ref;
    acts_heard(&s.acts, 2, &w, s.now_us); /* nobody has asked him */
    assert_int_equal(s.code, -1);
    acts_heard(&s.acts, 3, &w, s.now_us);
    assert_int_equal(s.code, CTL_OK);
    s.code = -1;
    ask(&s);
    s.away[3] = true;
    acts_tick(&s.acts, s.now_us);
    assert_int_equal(s.code, CTL_BUSY);
    s.holder = 0;
    ask(&s);
    assert_non_null(strstr(s.text, "no node that has this stream"));
    acts_done(&s.acts);
}

static void who_was_stopped_for_too_long_does_nothing(void **state)
{
    struct site s;

    (void)state;
    open_site(&s, 2, three, 3);
    ask(&s);
    kept(&s, CTL_OK, "");
    s.now_us += ACT_LEASE_US; /* and now it runs again */
    heard(&s, 3, ACT_PROMISED, CTL_OK);
    assert_int_equal(s.what, ACT_KEEP_PROMISE);
    acts_tick(&s.acts, s.now_us);
    assert_int_equal(s.code, CTL_BUSY);
    acts_done(&s.acts);
}

static struct act_word promise_of(uint16_t node, uint64_t term)
{
    struct act_word w = {.kind = ACT_PROMISE, .act = an_act};

    w.act.id = node * 1000 + term;
    w.act.stamp = (struct stamp){term, node, 9};
    return w;
}

static void one_at_a_time_is_promised_to(void **state)
{
    struct act_word a = promise_of(1, 5), b = promise_of(3, 6);
    struct site s;

    (void)state;
    open_site(&s, 2, three, 3);
    acts_heard(&s.acts, 1, &a, s.now_us);
    assert_int_equal(s.keeps.id, a.act.id);
    acts_heard(&s.acts, 3, &b, s.now_us);
    assert_int_equal(last(&s, 3)->code, CTL_BUSY);
    ask(&s); /* nor may it decide anything itself */
    assert_int_equal(s.keeps.id, a.act.id);
    a.kind = ACT_OVER;
    acts_heard(&s.acts, 3, &a, s.now_us); /* nobody ends another one's */
    acts_heard(&s.acts, 3, &b, s.now_us);
    assert_int_equal(s.keeps.id, a.act.id);
    acts_heard(&s.acts, 1, &a, s.now_us);
    acts_heard(&s.acts, 3, &b, s.now_us);
    assert_int_equal(s.keeps.id, b.act.id);
    acts_tick(&s.acts, s.now_us += ACT_LEASE_US); /* its time is over */
    assert_int_equal(s.keeps.id, an_act.id);
    acts_done(&s.acts);
}

static void who_has_just_started_promises_nothing(void **state)
{
    struct act_word a = promise_of(1, 5);
    struct site s;

    (void)state;
    open_site(&s, 2, three, 3);
    acts_heard(&s.acts, 1, &a, ACT_LEASE_US - 1);
    assert_int_equal(s.kept, 0);
    assert_int_equal(last(&s, 1)->code, CTL_BUSY);
    acts_heard(&s.acts, 1, &a, ACT_LEASE_US);
    assert_int_equal(s.keeps.id, a.act.id);
    acts_done(&s.acts);
}

/* Neither of two servers of one number is that node: what one has promised the other does not know. */
static void two_of_one_number_do_nothing(void **state)
{
    struct act_word a = promise_of(2, 5);
    struct site s;

    (void)state;
    open_site(&s, 1, two, 2); /* alone it would decide */
    s.twice = true;
    ask(&s);
    assert_int_equal(s.code, CTL_BUSY);
    assert_non_null(strstr(s.text, "two servers have this node's number"));
    acts_heard(&s.acts, 2, &a, s.now_us);
    assert_int_equal(last(&s, 2)->code, CTL_BUSY);
    assert_int_equal(s.kept, 0);
    s.twice = false;
    ask(&s);
    assert_int_equal(s.what, ACT_KEEP_PROMISE);
    s.twice = true; /* seen meanwhile */
    kept(&s, CTL_OK, "");
    assert_int_equal(s.what, ACT_KEEP_PROMISE);
    acts_done(&s.acts);
}

/* Refused there as too old: done there by a new stamp, that a quorum has promised, and not again here. */
static void what_came_too_late_gets_a_new_stamp(void **state)
{
    struct stamp before;
    struct site s;

    (void)state;
    open_site(&s, 1, three, 3);
    ask(&s);
    kept(&s, CTL_OK, "");
    heard(&s, 2, ACT_PROMISED, CTL_OK);
    kept(&s, CTL_OK, "");
    heard(&s, 2, ACT_DONE, CTL_OK);
    before = s.keeps.stamp;
    heard(&s, 3, ACT_DONE, CTL_CHANGED);
    acts_tick(&s.acts, s.now_us);
    assert_int_equal(s.what, ACT_KEEP_PROMISE);
    assert_true(stamp_cmp(&s.keeps.stamp, &before) > 0);
    kept(&s, CTL_OK, "");
    heard(&s, 2, ACT_PROMISED, CTL_OK);
    assert_int_equal(s.what, ACT_KEEP_PROMISE);
    assert_int_equal(last(&s, 3)->kind, ACT_DO);
    assert_int_equal(last(&s, 2)->kind, ACT_OVER);
    heard(&s, 3, ACT_DONE, CTL_OK);
    assert_int_equal(s.acts.n_waits, 0);
    acts_done(&s.acts);
}

static void too_many_that_wait_are_refused(void **state)
{
    struct act act = an_act;
    struct site s;

    (void)state;
    open_site(&s, 1, three, 3);
    s.away[3] = true;
    act.stamp = (struct stamp){1, 1, 77};
    for (uint64_t i = 0; acts_room(&s.acts); i++) {
        act.id = i + 100;
        acts_wait(&s.acts, &act, 3, s.now_us);
    }
    assert_true(s.acts.n_waits <= ACT_WAITS_MAX);
    ask(&s);
    assert_int_equal(s.code, CTL_BUSY);
    assert_non_null(strstr(s.text, "away for so long"));
    acts_done(&s.acts);
}

/* Nobody will ever do it; and only deletes keep a node from being copied from. */
static void a_node_that_was_taken_out(void **state)
{
    struct act act = an_act;
    struct site s;

    (void)state;
    open_site(&s, 1, three, 3);
    s.away[2] = s.away[3] = true;
    act.stamp = (struct stamp){1, 1, 77};
    acts_wait(&s.acts, &act, 2, s.now_us);
    acts_wait(&s.acts, &act, 3, s.now_us);
    act.id++;
    act.kind = ACT_LOCK;
    acts_wait(&s.acts, &act, 3, s.now_us);
    assert_int_equal(acts_waiting(&s.acts, 3), 2);
    assert_int_equal(acts_deletes(&s.acts, 3), 1);
    assert_int_equal(acts_nodes(&s.acts, two, 2), 2);
    assert_int_equal(acts_waiting(&s.acts, 3), 0);
    assert_int_equal(acts_deletes(&s.acts, 2), 1);
    assert_int_equal(s.acts.n_waits, 1);
    acts_done(&s.acts);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quorum_decides),
        cmocka_unit_test(of_two_the_lower_decides),
        cmocka_unit_test(it_is_passed_on_to_who_records),
        cmocka_unit_test(who_was_stopped_for_too_long_does_nothing),
        cmocka_unit_test(one_at_a_time_is_promised_to),
        cmocka_unit_test(who_has_just_started_promises_nothing),
        cmocka_unit_test(two_of_one_number_do_nothing),
        cmocka_unit_test(what_came_too_late_gets_a_new_stamp),
        cmocka_unit_test(too_many_that_wait_are_refused),
        cmocka_unit_test(a_node_that_was_taken_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
