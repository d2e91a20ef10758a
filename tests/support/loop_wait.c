#include "tests/support/loop_wait.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

struct wait {
    struct loop *loop;
    struct loop_timer look, late;
    bool (*until)(void);
    bool is_late;
};

static void look(struct loop_timer *t)
{
    struct wait *w = t->arg;

    if (w->until()) loop_break(w->loop);
}

static void late(struct loop_timer *t)
{
    struct wait *w = t->arg;

    w->is_late = true;
    loop_break(w->loop);
}

void loop_wait(struct loop *l, bool (*until)(void))
{
    struct wait w = {.loop = l, .until = until};

    loop_timer_every(l, &w.look, US_PER_MS, look, &w);
    loop_timer_set(l, &w.late, LOOP_WAIT_US, late, &w);
    loop_run(l);
    loop_timer_stop(&w.look);
    loop_timer_stop(&w.late);
    assert_false(w.is_late);
}
