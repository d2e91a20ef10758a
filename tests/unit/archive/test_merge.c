/* Whose footage is taken where two or three nodes recorded: each second once, none missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "archive/merge.h"

#define S     US_PER_S
#define KEYS  (4 * S)
#define PARTS 4000

/* Key frames each 4 s from the part's start on. */
static usec_t key(void *arg, size_t part, usec_t at_us)
{
    const struct merge_part *p = (const struct merge_part *)arg + part;

    return p->start_us + MAX(at_us - p->start_us, 0) / KEYS * KEYS;
}

static struct merge run(struct merge_part *parts, size_t n)
{
    struct merge m = {.parts = parts, .n = n, .key = key, .arg = parts};

    assert_true(merge_run(&m));
    return m;
}

static void is(const struct merge *m, size_t i, size_t part, usec_t from_us, usec_t until_us)
{
    assert_true(i < m->n_w);
    assert_int_equal(m->w[i].part, part);
    assert_int_equal(m->w[i].from_us, from_us);
    assert_int_equal(m->w[i].until_us, until_us);
}

/* The node's own 0 to 30 and 100 to 200; the other one's 21 to 121. */
static void a_hole_is_filled(void **state)
{
    struct merge_part p[] = {
        {0, 30 * S, 0, false}, {100 * S, 200 * S, 0, false}, {21 * S, 121 * S, 2, false}};
    struct merge m = run(p, 3);

    (void)state;
    assert_int_equal(m.n_w, 3);
    is(&m, 0, 0, 0, 29 * S); /* to the other one's key frame */
    is(&m, 1, 2, 29 * S, 100 * S);
    is(&m, 2, 1, 100 * S, 200 * S);
    merge_done(&m);
}

static void what_is_whole_is_left_alone(void **state)
{
    struct merge_part p[] = {{0, 60 * S, 0, false}, {60 * S, 120 * S, 0, false},
        {60 * S + S / 2, 120 * S + S / 20, 2, false}, {10 * S, 50 * S, 3, false}};
    struct merge m = run(p, 4);

    (void)state;
    assert_int_equal(m.n_w, 2);
    is(&m, 0, 0, 0, 60 * S);
    is(&m, 1, 1, 60 * S, 120 * S);
    merge_done(&m);
}

/* One segment of the other node before and behind a stretch of this one. */
static void around_a_stretch(void **state)
{
    struct merge_part p[] = {{30 * S, 60 * S, 0, false}, {0, 100 * S, 2, false}};
    struct merge m = run(p, 2);

    (void)state;
    assert_int_equal(m.n_w, 3);
    is(&m, 0, 1, 0, 30 * S);
    is(&m, 1, 0, 30 * S, 60 * S);
    is(&m, 2, 1, 60 * S, 100 * S);
    merge_done(&m);
}

/* No key frame of the other one lies within the stretch: it goes on through it. */
static void a_stretch_too_short_to_change_sides(void **state)
{
    struct merge_part p[] = {{33 * S, 35 * S, 0, false}, {0, 100 * S, 2, false}};
    struct merge m = run(p, 2);

    (void)state;
    assert_int_equal(m.n_w, 1);
    is(&m, 0, 1, 0, 100 * S);
    merge_done(&m);
}

/* Reconnecting to a camera takes a moment: nobody changes sides for it. */
static void a_short_hole_is_none(void **state)
{
    struct merge_part p[] = {
        {0, 50 * S, 0, false}, {50 * S + 900 * US_PER_MS, 90 * S, 0, false}, {0, 90 * S, 2, false}};
    struct merge m = run(p, 3);

    (void)state;
    assert_int_equal(m.n_w, 2);
    merge_done(&m);
}

/* What is being recorded reaches to now, whatever is listed of it. */
static void what_is_written_stays(void **state)
{
    struct merge_part p[] = {{0, 50 * S, 0, true}, {40 * S, 58 * S, 2, false}};
    struct merge m = run(p, 2);

    (void)state;
    assert_int_equal(m.n_w, 1);
    is(&m, 0, 0, 0, 50 * S);
    merge_done(&m);
    p[0].writes = false;
    m = run(p, 2);
    assert_int_equal(m.n_w, 2);
    is(&m, 0, 0, 0, 48 * S);
    is(&m, 1, 1, 48 * S, 58 * S);
    merge_done(&m);
}

/* Two runs of one node over the same time stay, and what another one has beside them is still taken. */
static void a_clock_that_was_set_back(void **state)
{
    struct merge_part p[] = {{0, 60 * S, 0, false}, {20 * S, 80 * S, 0, false}, {0, 100 * S, 2, false}};
    struct merge m = run(p, 3);

    (void)state;
    assert_int_equal(m.n_w, 3);
    is(&m, 0, 0, 0, 60 * S);
    is(&m, 1, 1, 20 * S, 80 * S);
    is(&m, 2, 2, 80 * S, 100 * S);
    merge_done(&m);
}

/* The other node recorded from 30 to 60 by this node's clock, and its own was 7 s off: what it says it is, in
 * order, nothing twice. */
static void a_clock_that_is_ahead(void **state)
{
    struct merge_part p[] = {{0, 30 * S, 0, false}, {60 * S, 90 * S, 0, false}, {37 * S, 67 * S, 2, false}};
    struct merge m = run(p, 3);

    (void)state;
    assert_int_equal(m.n_w, 3);
    is(&m, 0, 0, 0, 30 * S);
    is(&m, 1, 2, 37 * S, 60 * S);
    is(&m, 2, 1, 60 * S, 90 * S);
    merge_done(&m);
}

static void a_clock_that_is_behind(void **state)
{
    struct merge_part p[] = {{0, 30 * S, 0, false}, {60 * S, 90 * S, 0, false}, {23 * S, 53 * S, 2, false}};
    struct merge m = run(p, 3);

    (void)state;
    assert_int_equal(m.n_w, 3);
    is(&m, 0, 0, 0, 27 * S); /* to the other one's key frame */
    is(&m, 1, 2, 27 * S, 53 * S);
    is(&m, 2, 1, 60 * S, 90 * S);
    merge_done(&m);
}

static void three_nodes_in_turns(void **state)
{
    struct merge_part p[] = {{0, 20 * S, 3, false}, {12 * S, 40 * S, 1, false}, {32 * S, 60 * S, 2, false}};
    struct merge m = run(p, 3);

    (void)state;
    assert_int_equal(m.n_w, 3);
    is(&m, 0, 0, 0, 12 * S);
    is(&m, 1, 1, 12 * S, 40 * S);
    is(&m, 2, 2, 40 * S, 60 * S);
    merge_done(&m);
}

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1103515245 + 12345;
    return *seed >> 16;
}

/* Whatever was recorded where: what any node has is in it, once. */
static void nothing_missing_nothing_twice(void **state)
{
    enum { SECONDS = 2000 }; /* of three: holes of one are none */
    const usec_t u = 3 * S;
    struct merge_part *p = mem_new_n(PARTS, sizeof(*p));

    (void)state;
    for (unsigned seed = 1; seed <= 60; seed++) {
        unsigned char had[SECONDS] = {0}, taken[SECONDS] = {0};
        unsigned at = seed;
        struct merge m;
        size_t n = 0;

        for (uint16_t node = 0; node < 3; node++)
            for (usec_t t = next(&at) % 200; t < SECONDS && n < PARTS;) {
                usec_t len = 10 + next(&at) % 120;

                p[n++] = (struct merge_part){t * u, MIN(t + len, SECONDS) * u, node, false};
                for (usec_t k = t; k < MIN(t + len, SECONDS); k++) had[k] = 1;
                t += len + (next(&at) % 3 == 0 ? next(&at) % 90 : 0);
            }
        m = run(p, n);
        for (size_t i = 0; i < m.n_w; i++) {
            assert_true(
                m.w[i].from_us >= p[m.w[i].part].start_us && m.w[i].until_us <= p[m.w[i].part].end_us);
            if (i > 0) assert_true(m.w[i].from_us >= m.w[i - 1].until_us);
            for (usec_t k = m.w[i].from_us / u; k < m.w[i].until_us / u; k++) taken[k]++;
        }
        for (unsigned k = 0; k < SECONDS; k++) assert_int_equal(taken[k], had[k]);
        merge_done(&m);
    }
    mem_free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_hole_is_filled),
        cmocka_unit_test(what_is_whole_is_left_alone),
        cmocka_unit_test(around_a_stretch),
        cmocka_unit_test(a_stretch_too_short_to_change_sides),
        cmocka_unit_test(a_short_hole_is_none),
        cmocka_unit_test(what_is_written_stays),
        cmocka_unit_test(a_clock_that_was_set_back),
        cmocka_unit_test(a_clock_that_is_ahead),
        cmocka_unit_test(a_clock_that_is_behind),
        cmocka_unit_test(three_nodes_in_turns),
        cmocka_unit_test(nothing_missing_nothing_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
