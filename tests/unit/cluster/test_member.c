/* master/cluster/member: who is believed, and every state of a node. */
#include "master/cluster/member.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define MS US_PER_MS
static const struct member_times T = {2 * US_PER_S, 30 * US_PER_S};
static struct member m;

static int up(void **state)
{
    (void)state;
    m = (struct member){.id = 2};
    return 0;
}

static enum member_verdict hear(uint64_t boot, uint64_t counter, bool proven, usec_t at_us)
{
    const struct heartbeat h = {.from = 2, .boot = boot, .counter = counter, .wall_us = 5 * US_PER_S};

    return member_hear(&m, &h, proven, at_us, 2 * US_PER_S);
}

static enum node_state at(usec_t at_us)
{
    member_tick(&m, &T, at_us);
    return m.state;
}

static void from_undefined_to_active(void **state)
{
    (void)state;
    assert_int_equal(at(10), NODE_UNDEFINED);
    assert_int_equal(hear(1, 1, false, 20), MEMBER_UNPROVEN);
    assert_int_equal(at(30), NODE_PENDING);
    assert_false(member_counts(&m));
    assert_int_equal(hear(1, 2, true, 40), MEMBER_BELIEVED);
    assert_true(member_tick(&m, &T, 50));
    assert_int_equal(m.state, NODE_ACTIVE);
    assert_false(member_tick(&m, &T, 60));
    assert_int_equal(m.clock_ahead_us, 3 * US_PER_S);
    assert_int_equal(m.here_us, 50);
    assert_true(member_counts(&m));
    assert_int_equal(m.flaps, 0);
}

static void silence(void **state)
{
    (void)state;
    hear(1, 1, true, 1);
    assert_int_equal(at(1), NODE_ACTIVE);
    assert_int_equal(at(1 + 1000 * MS), NODE_ACTIVE);
    assert_int_equal(at(2 + 1000 * MS), NODE_UNAVAILABLE);
    assert_true(member_counts(&m));
    assert_int_equal(at(1 + 2000 * MS), NODE_UNAVAILABLE);
    assert_int_equal(at(2 + 2000 * MS), NODE_DOWN);
    assert_false(member_counts(&m));
    assert_int_equal(m.flaps, 1);
    assert_int_equal(hear(1, 2, false, 3000 * MS), MEMBER_BELIEVED);
    assert_int_equal(at(3000 * MS), NODE_ACTIVE);
    assert_int_equal(m.here_us, 3000 * MS);
}

/* A third node hears it: it is not dead. */
static void relayed(void **state)
{
    const struct heartbeat_peer heard = {2, 0, 50}, never = {2, 0, HEARTBEAT_NEVER},
                                twice = {2, HEARTBEAT_TWICE, 0};

    (void)state;
    hear(1, 1, true, 1);
    assert_int_equal(at(1), NODE_ACTIVE);
    member_relayed(&m, &heard, 4000 * MS);
    assert_int_equal(m.relayed_us, 3500 * MS);
    assert_int_equal(at(4000 * MS), NODE_UNAVAILABLE);
    member_relayed(&m, &never, 5000 * MS);
    assert_int_equal(at(5500 * MS), NODE_UNAVAILABLE);
    assert_int_equal(at(5501 * MS), NODE_DOWN);
    member_relayed(&m, &twice, 5600 * MS);
    assert_int_equal(at(5600 * MS), NODE_INVALID);
}

static void replays(void **state)
{
    (void)state;
    assert_int_equal(hear(1, 100, true, 1), MEMBER_BELIEVED);
    assert_int_equal(hear(1, 100, false, 1), MEMBER_REPLAYED);
    assert_int_equal(hear(1, 100, true, 1), MEMBER_REPLAYED);
    assert_int_equal(hear(1, 37, false, 1), MEMBER_BELIEVED); /* late, within the window */
    assert_int_equal(hear(1, 37, false, 1), MEMBER_REPLAYED);
    assert_int_equal(hear(1, 36, false, 1), MEMBER_REPLAYED); /* behind it */
    assert_int_equal(hear(1, 101, false, 1), MEMBER_BELIEVED);
    assert_int_equal(hear(1, 37, false, 1), MEMBER_REPLAYED);
    assert_int_equal(hear(1, UINT64_MAX, false, 1), MEMBER_BELIEVED);
    assert_int_equal(hear(1, 102, false, 1), MEMBER_REPLAYED);
    assert_int_equal(hear(1, UINT64_MAX, false, 1), MEMBER_REPLAYED);
}

/* What an earlier start of it has said is nothing now, proven or not. */
static void old_boots(void **state)
{
    (void)state;
    hear(1, 50, true, 1);
    assert_int_equal(at(1), NODE_ACTIVE);
    assert_int_equal(hear(2, 1, true, 2), MEMBER_BELIEVED);
    assert_int_equal(m.flaps, 1);
    assert_int_equal(hear(1, 50, true, 3), MEMBER_REPLAYED);
    assert_int_equal(hear(1, 7, false, 3), MEMBER_REPLAYED);
    assert_int_equal(hear(1, 51, false, 3), MEMBER_UNPROVEN);
    assert_int_equal(m.now.boot, 2);
    assert_int_equal(at(4), NODE_ACTIVE);
}

static void twice(void **state)
{
    (void)state;
    hear(1, 50, true, 1);
    hear(2, 1, true, 2);
    assert_int_equal(at(2), NODE_ACTIVE);
    assert_int_equal(hear(1, 51, true, 3), MEMBER_DOUBLE);
    assert_int_equal(at(3), NODE_INVALID);
    assert_false(member_counts(&m));
    hear(2, 2, false, 3 + MEMBER_TWICE_US);
    assert_int_equal(at(3 + MEMBER_TWICE_US), NODE_INVALID);
    assert_int_equal(at(4 + MEMBER_TWICE_US), NODE_ACTIVE);
}

static void says_of_itself(void **state)
{
    struct heartbeat h = {.from = 2, .boot = 1, .counter = 1, .flags = HEARTBEAT_WARMING};

    (void)state;
    member_hear(&m, &h, true, 1, 0);
    assert_int_equal(at(1), NODE_WARMING);
    assert_true(member_counts(&m));
    h.flags = HEARTBEAT_LEAVING;
    h.counter++;
    member_hear(&m, &h, false, 2, 0);
    assert_int_equal(at(2), NODE_DOWN);
    h.flags = 0; /* overtaken on its way */
    h.counter = 3;
    member_hear(&m, &h, false, 3, 0);
    assert_int_equal(at(3), NODE_DOWN);
    h.boot = 2;
    member_hear(&m, &h, false, 4, 0);
    assert_int_equal(at(4), NODE_PENDING);
    member_hear(&m, &h, true, 5, 0);
    assert_int_equal(at(5), NODE_ACTIVE);
}

/* Each going doubles the wait, up to a limit; calm forgets it. */
static void flapping(void **state)
{
    usec_t now_us = 1;

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        static const unsigned waits[] = {30, 30, 60, 120, 240, 480, 960, 1920, 1920, 1920};

        hear(1, i + 1, true, now_us);
        assert_int_equal(at(now_us), NODE_ACTIVE);
        assert_int_equal(member_return_us(&m, &T), waits[i] * US_PER_S);
        now_us += 3 * US_PER_S;
        assert_int_equal(at(now_us), NODE_DOWN);
    }
    hear(1, 100, true, now_us);
    at(now_us);
    now_us += 10 * 1920 * US_PER_S + 1;
    hear(1, 101, true, now_us);
    at(now_us);
    assert_int_equal(m.flaps, 0);
}

/* The master itself was stopped: that is nobody's silence. */
static void our_own_absence(void **state)
{
    (void)state;
    hear(1, 1, true, 1);
    assert_int_equal(at(1), NODE_ACTIVE);
    member_shift(&m, 60 * US_PER_S);
    assert_int_equal(at(60 * US_PER_S + 500 * MS), NODE_ACTIVE);
    assert_int_equal(at(62 * US_PER_S + 2), NODE_DOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(from_undefined_to_active, up),
        cmocka_unit_test_setup(silence, up),
        cmocka_unit_test_setup(relayed, up),
        cmocka_unit_test_setup(replays, up),
        cmocka_unit_test_setup(old_boots, up),
        cmocka_unit_test_setup(twice, up),
        cmocka_unit_test_setup(says_of_itself, up),
        cmocka_unit_test_setup(flapping, up),
        cmocka_unit_test_setup(our_own_absence, up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
