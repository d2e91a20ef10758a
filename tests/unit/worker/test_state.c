#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "worker/state.h"

static unsigned changes;

static void count(void *arg, const struct state *s)
{
    (void)arg;
    (void)s;
    changes++;
}

static void moves_tell_once(void **state)
{
    struct state s = {.changed = count};

    (void)state;
    changes = 0;
    state_set(&s, STREAM_CONNECTING, "asking", 10);
    assert_int_equal(s.since_us, 0); /* another reason is no move */
    assert_int_equal(changes, 1);
    state_set(&s, STREAM_CONNECTING, "asking", 20);
    assert_int_equal(changes, 1);
    state_set(&s, STREAM_ACTIVE, "", 30);
    assert_int_equal(s.since_us, 30);
    assert_int_equal(changes, 2);
    assert_string_equal(s.reason, "");
}

static void long_reasons_are_cut(void **state)
{
    struct state s = {0};
    char reason[RING_REASON_MAX * 2];

    (void)state;
    memset(reason, 'x', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    state_set(&s, STREAM_DOWN, reason, 1);
    assert_int_equal(strlen(s.reason), RING_REASON_MAX - 1);
}

static void table_of_moves(void **state)
{
    (void)state;
    for (int from = STREAM_CONNECTING; from < STREAM_STATES; from++) {
        assert_false(state_may((enum stream_state)from, (enum stream_state)from));
        assert_int_equal(state_may((enum stream_state)from, STREAM_ACTIVE),
            from != STREAM_ACTIVE && from != STREAM_IDLE && from != STREAM_DISABLED);
        assert_string_not_equal(ring_state_word((enum stream_state)from), "?");
    }
    assert_true(state_may(STREAM_IDLE, STREAM_CONNECTING));
    assert_false(state_may(STREAM_IDLE, STREAM_DOWN));
    assert_false(state_may(STREAM_ACTIVE, (enum stream_state)7));
    assert_string_equal(ring_state_word((enum stream_state)7), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_tell_once),
        cmocka_unit_test(long_reasons_are_cut),
        cmocka_unit_test(table_of_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
