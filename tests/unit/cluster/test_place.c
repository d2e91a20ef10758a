/* master/cluster/place: which node records a stream, in every situation that the header names. */
#include "master/cluster/place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { RUNS = HEARTBEAT_RUNS, GOOD = RUNS | HEARTBEAT_GOOD, READY = GOOD | HEARTBEAT_READY };
#define START  (RUNS | HEARTBEAT_STARTING)
#define NOW_US (1000 * US_PER_S)

static const struct member_times times = {2 * US_PER_S, 30 * US_PER_S};
static struct member nodes[3];
static struct place p;
static struct place_here here;
static size_t by;

/* Three nodes; this one is `me` of the order, the others are there for a long time and say nothing. */
static void situation(size_t me)
{
    p = (struct place){.n = 3, .me = me};
    here = (struct place_here){.now_us = NOW_US, .times = &times};
    for (size_t i = 0; i < 3; i++) {
        nodes[i] =
            (struct member){.id = (uint16_t)(i + 1), .state = NODE_ACTIVE, .near = true, .here_us = US_PER_S};
        p.nodes[i] = i == me ? NULL : &nodes[i];
    }
}

static void says(size_t i, unsigned flags)
{
    p.said[i] = (struct place_said){.at_us = here.now_us, .flags = (uint8_t)flags};
}

static enum place_why decide(void)
{
    enum place_why why = place_decide(&p, &here, &by);

    here.runs = place_runs(why);
    return why;
}

static enum place_why later(usec_t by_us)
{
    here.now_us += by_us;
    return decide();
}

static void the_first_runs(void **state)
{
    (void)state;
    situation(0);
    assert_int_equal(decide(), PLACE_FIRST);
    says(1, READY);
    assert_int_equal(decide(), PLACE_FIRST);
    situation(3); /* of others */
    assert_int_equal(decide(), PLACE_FOREIGN);
    assert_false(here.runs);
}

static void a_backup_stands_by(void **state)
{
    (void)state;
    situation(1);
    nodes[0].here_us = NOW_US - PLACE_GRACE_US + 1; /* new, and has not spoken of it */
    assert_int_equal(decide(), PLACE_SERVED);
    assert_int_equal(by, 0);
    says(0, START);
    assert_int_equal(later(US_PER_S), PLACE_SERVED);
    says(0, READY);
    assert_int_equal(later(US_PER_S), PLACE_SERVED);
    nodes[0].state = NODE_UNAVAILABLE;
    assert_int_equal(later(US_PER_S), PLACE_SERVED);
    nodes[0].near = false; /* others hear it, and one of them sees that it has the stream */
    says(2, 1u << HEARTBEAT_SEES_SHIFT);
    assert_int_equal(later(US_PER_S), PLACE_SERVED);
    assert_int_equal(place_seen(&p), 0);
    says(2, 3u << HEARTBEAT_SEES_SHIFT); /* what it sees is not this */
    assert_int_equal(later(US_PER_S), PLACE_TAKEN);
}

static void takes_over(void **state)
{
    static const enum node_state gone[] = {NODE_DOWN, NODE_UNDEFINED, NODE_PENDING, NODE_INVALID};

    (void)state;
    for (size_t i = 0; i < ARRAY_N(gone); i++) {
        situation(1);
        says(0, READY);
        nodes[0].state = gone[i];
        assert_int_equal(decide(), PLACE_TAKEN);
        assert_int_equal(decide(), PLACE_KEPT);
    }
    situation(1); /* it is there, and what it should record does not grow */
    says(0, RUNS);
    assert_int_equal(decide(), PLACE_TAKEN);
    situation(1); /* it is there, and knows nothing of it */
    assert_int_equal(decide(), PLACE_TAKEN);
}

static void does_not_take_over(void **state)
{
    (void)state;
    situation(1);
    nodes[0].state = NODE_DOWN;
    here.warming = true;
    assert_int_equal(decide(), PLACE_WARMING);
    here.warming = false;
    here.twice = true;
    assert_int_equal(decide(), PLACE_TWICE);
    here.twice = false;
    here.full = true;
    assert_int_equal(decide(), PLACE_FULL);
    here.full = false;
    says(2, READY); /* a later one has it already */
    assert_int_equal(decide(), PLACE_SERVED);
    assert_int_equal(by, 2);
}

/* The second of two backups lets the first one try. */
static void backups_in_turn(void **state)
{
    (void)state;
    situation(2);
    nodes[0].state = NODE_DOWN;
    assert_int_equal(decide(), PLACE_TURN);
    assert_int_equal(later(PLACE_TURN_US - 1), PLACE_TURN);
    assert_int_equal(later(1), PLACE_TAKEN);
    situation(2);
    nodes[0].state = NODE_DOWN;
    assert_int_equal(decide(), PLACE_TURN);
    says(1, START);
    assert_int_equal(later(PLACE_TURN_US), PLACE_SERVED);
    says(1, RUNS); /* and nothing came of it: it waits for nobody else */
    assert_int_equal(decide(), PLACE_TAKEN);
    situation(2);
    nodes[0].state = NODE_DOWN;
    nodes[1].flags = HEARTBEAT_FULL;
    assert_int_equal(decide(), PLACE_TAKEN);
    situation(2);
    nodes[0].state = nodes[1].state = NODE_DOWN;
    assert_int_equal(decide(), PLACE_TAKEN);
}

/* Whoever would have to delete what is to stay lets all others have a turn, later ones too; then it takes it.
 */
static void without_room_behind_all_others(void **state)
{
    (void)state;
    situation(1);
    here.tight = true;
    nodes[0].state = NODE_DOWN;
    assert_int_equal(decide(), PLACE_TIGHT);
    assert_int_equal(later(2 * PLACE_TURN_US - 1), PLACE_TIGHT);
    assert_int_equal(later(1), PLACE_TAKEN);
    situation(1);
    here.tight = true;
    nodes[0].state = nodes[2].state = NODE_DOWN;
    assert_int_equal(decide(), PLACE_TAKEN); /* there is nobody else */
    situation(2);
    here.tight = true;
    nodes[0].state = NODE_DOWN;
    assert_int_equal(decide(), PLACE_TIGHT);
    assert_int_equal(later(2 * PLACE_TURN_US - 1), PLACE_TIGHT);
    assert_int_equal(later(1), PLACE_TAKEN);
    situation(2);
    here.tight = true;
    nodes[0].state = NODE_DOWN;
    nodes[1].flags = HEARTBEAT_TIGHT; /* nor has the other: as if both had it */
    assert_int_equal(decide(), PLACE_TIGHT);
    assert_int_equal(later(PLACE_TURN_US), PLACE_TAKEN);
    situation(1);
    here.tight = true;
    nodes[0].state = NODE_DOWN;
    nodes[2].flags = HEARTBEAT_TIGHT;
    assert_int_equal(decide(), PLACE_TAKEN);
    situation(2);
    nodes[0].state = NODE_DOWN;
    nodes[1].flags = HEARTBEAT_TIGHT; /* it lets us go first */
    assert_int_equal(decide(), PLACE_TAKEN);
    situation(1);
    here.tight = true;
    nodes[0].state = NODE_DOWN;
    assert_int_equal(decide(), PLACE_TIGHT);
    says(2, START);
    says(2, READY);
    assert_int_equal(later(PLACE_TURN_US), PLACE_SERVED);
}

/* Make before break: ready, and there for long enough; longer where it has gone before. */
static void gives_back(void **state)
{
    (void)state;
    situation(1);
    here.runs = true;
    nodes[0].here_us = NOW_US;
    says(0, GOOD);
    assert_int_equal(later(60 * US_PER_S), PLACE_KEPT);
    says(0, READY);
    assert_int_equal(decide(), PLACE_KEPT);
    assert_int_equal(later(PLACE_BOTH_US - 1), PLACE_KEPT);
    says(0, GOOD); /* it has started again: so does the time of both */
    assert_int_equal(later(1), PLACE_KEPT);
    says(0, READY);
    assert_int_equal(later(1), PLACE_KEPT);
    assert_int_equal(later(PLACE_BOTH_US), PLACE_SERVED);
    assert_int_equal(by, 0);
    situation(1);
    here.runs = true;
    nodes[0].here_us = NOW_US;
    nodes[0].flaps = 3;
    says(0, READY);
    assert_int_equal(later(119 * US_PER_S), PLACE_KEPT);
    assert_int_equal(later(US_PER_S), PLACE_KEPT);
    assert_int_equal(later(PLACE_BOTH_US), PLACE_SERVED);
    situation(1); /* never to one behind us */
    here.runs = true;
    nodes[0].state = NODE_DOWN;
    says(2, READY);
    assert_int_equal(later(600 * US_PER_S), PLACE_KEPT);
}

static void draining(void **state)
{
    (void)state;
    situation(0);
    here.runs = here.draining = true;
    assert_int_equal(decide(), PLACE_FIRST); /* nobody else has it */
    says(2, START);
    assert_int_equal(decide(), PLACE_FIRST);
    says(2, READY);
    assert_int_equal(decide(), PLACE_FIRST);
    assert_int_equal(later(PLACE_BOTH_US), PLACE_DRAINED);
    assert_int_equal(by, 2);
    assert_int_equal(decide(), PLACE_DRAINED);
    nodes[2].state = NODE_DOWN; /* the last resort, behind all others */
    assert_int_equal(decide(), PLACE_DRAINED);
    assert_int_equal(later(PLACE_TURN_US), PLACE_TAKEN);
    here.draining = false;
    here.runs = false;
    nodes[2].state = NODE_ACTIVE;
    assert_int_equal(decide(), PLACE_FIRST);
    situation(1); /* the other side of it */
    says(0, READY);
    assert_int_equal(decide(), PLACE_SERVED);
    nodes[0].flags = HEARTBEAT_DRAINING;
    assert_int_equal(decide(), PLACE_TAKEN);
    assert_int_equal(decide(), PLACE_KEPT);
}

/* A camera that allows one session: the holder steps aside, and comes back if that was for nothing. */
static void one_session(void **state)
{
    (void)state;
    situation(1);
    here.runs = true;
    nodes[0].here_us = NOW_US;
    says(0, RUNS | HEARTBEAT_REFUSED);
    assert_int_equal(later(29 * US_PER_S), PLACE_KEPT);
    assert_int_equal(later(US_PER_S), PLACE_YIELDS);
    assert_int_equal(by, 0);
    assert_false(place_had(&p));
    says(0, RUNS);
    assert_false(place_had(&p));
    says(2, GOOD);
    assert_true(place_had(&p));
    nodes[2].state = NODE_DOWN;
    assert_false(place_had(&p));
    assert_int_equal(later(PLACE_YIELD_US - 1), PLACE_YIELDS);
    assert_int_equal(later(1), PLACE_TAKEN);
    says(0, RUNS | HEARTBEAT_REFUSED); /* not again at once */
    assert_int_equal(later(2 * PLACE_YIELD_US - 1), PLACE_KEPT);
    assert_int_equal(later(1), PLACE_YIELDS);
    nodes[0].state = NODE_DOWN; /* whom it was left to has gone */
    assert_int_equal(decide(), PLACE_TAKEN);
    situation(1);
    here.runs = true;
    says(0, RUNS | HEARTBEAT_REFUSED);
    assert_int_equal(decide(), PLACE_YIELDS);
    says(0, READY);
    assert_int_equal(later(PLACE_YIELD_US), PLACE_SERVED);
}

/* Every state of every node: somebody who hears nobody serve it begins within the turns of the others. */
static void somebody_records(void **state)
{
    static const unsigned flags[] = {0, RUNS, START, GOOD, READY, RUNS | HEARTBEAT_REFUSED};
    unsigned rounds = 0;

    (void)state;
    for (unsigned code = 0; code < NODE_STATES * NODE_STATES * 36; code++) {
        bool served = false, refused;

        situation(1);
        nodes[0].state = (enum node_state)(code % NODE_STATES);
        nodes[2].state = (enum node_state)(code / NODE_STATES % NODE_STATES);
        says(0, flags[code / (NODE_STATES * NODE_STATES) % 6]);
        says(2, flags[code / (NODE_STATES * NODE_STATES) / 6]);
        for (size_t i = 0; i < 3; i += 2)
            served |= member_counts(&nodes[i]) &&
                (p.said[i].flags == GOOD || p.said[i].flags == READY || p.said[i].flags == START);
        refused = p.said[0].flags == (RUNS | HEARTBEAT_REFUSED);
        decide();
        assert_true(served || here.runs);
        later(2 * PLACE_TURN_US);
        assert_true(served || here.runs || refused);
        rounds += !served;
    }
    assert_true(rounds > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_runs),
        cmocka_unit_test(a_backup_stands_by),
        cmocka_unit_test(takes_over),
        cmocka_unit_test(does_not_take_over),
        cmocka_unit_test(backups_in_turn),
        cmocka_unit_test(without_room_behind_all_others),
        cmocka_unit_test(gives_back),
        cmocka_unit_test(draining),
        cmocka_unit_test(one_session),
        cmocka_unit_test(somebody_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
