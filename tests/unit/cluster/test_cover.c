/* Is all footage of one node at another one? */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "master/cluster/cover.h"

#define S(from, to)                                                                                          \
    {                                                                                                        \
        (from) * US_PER_S, (to)*US_PER_S                                                                     \
    }

static void stretches_are_laid_over_each_other(void **state)
{
    static const struct {
        struct cover_span ours[3], theirs[4];
        size_t n_ours, n_theirs;
        bool holds;
    } rows[] = {
        {{S(0, 0)}, {S(0, 0)}, 0, 0, true}, /* there is nothing */
        {{S(10, 20)}, {S(0, 0)}, 1, 0, false},
        {{S(10, 20)}, {S(10, 20)}, 1, 1, true},
        {{S(10, 20)}, {S(11, 19)}, 1, 1, true}, /* a second is no gap */
        {{S(10, 20)}, {S(12, 20)}, 1, 1, false},
        {{S(10, 20)}, {S(10, 18)}, 1, 1, false},
        {{S(10, 20)}, {S(10, 15), S(15, 20)}, 1, 2, true},
        {{S(10, 20)}, {S(10, 14), S(16, 20)}, 1, 2, false}, /* a hole */
        {{S(10, 20)}, {S(16, 30), S(0, 16)}, 1, 2, true},   /* in any order, and more than that */
        {{S(40, 50), S(10, 20)}, {S(10, 20), S(40, 50)}, 2, 2, true},
        {{S(40, 50), S(10, 20)}, {S(10, 20)}, 2, 1, false},
        {{S(10, 20), S(30, 40)}, {S(5, 60), S(12, 13)}, 2, 2, true},
        {{S(10, 20), S(12, 18), S(30, 31)}, {S(10, 12), S(12, 20), S(25, 26), S(29, 32)}, 3, 4, true},
        {{S(30, 40)}, {S(0, 10), S(15, 35)}, 1, 2, false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct cover_span ours[3], theirs[4];

        memcpy(ours, rows[i].ours, sizeof(ours));
        memcpy(theirs, rows[i].theirs, sizeof(theirs));
        if (cover_holds(ours, rows[i].n_ours, theirs, rows[i].n_theirs) != rows[i].holds)
            fail_msg("row %zu is not %d", i, rows[i].holds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(stretches_are_laid_over_each_other)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
