/* Singular acts of the real ms-keeper: what it promises, what it does then, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "tests/support/keeper_rig.h"
#include "tests/support/segments.h"
#include "tests/support/tool.h"

#define T0      (1700000000 * US_PER_S)
#define SYNC_US (200 * US_PER_MS)
#define FROM    "1699999000000000"
#define TO      "1700009000000000"

struct place {
    struct rig rig;
    char dir[64], a[128];
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->a, sizeof(p->a), "%s/a", p->dir);
    rig_init(&p->rig);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    rig_done(&p->rig);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void start(struct place *p)
{
    struct rig_worker *w;
    struct seg_info s;

    if (!rig_start(&p->rig)) {
        print_message("skipped: no ms-keeper beside this test\n");
        skip();
    }
    rig_storage(&p->rig, "a", p->a, "", "", SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    assert_true(rig_wait_index(&p->rig, "a"));
    w = rig_worker(&p->rig, "cam", "a");
    rig_ask(w);
    assert_true(rig_wait_archive(w, "ok"));
    segments_record(w, T0, 2, &s);
}

static const struct stamp s5 = {5, 1, 77}, s6 = {6, 2, UINT64_MAX}, s7 = {7, 1, 77};

static int act(struct place *p, const struct stamp *s, usec_t until_us, const char *cmd, const char *from,
    const char *to)
{
    const struct rig_act by = {
        *s, strcmp(cmd, "archive lock") == 0 ? 0xabc : 0xabd, T0 + 100 * US_PER_S, until_us};

    rig_question_by(&p->rig, &by, cmd, "cam", from, to, NULL);
    return rig_answer(&p->rig);
}

static int promise(struct place *p, const struct stamp *s)
{
    return act(p, s, 0, "act promise", NULL, NULL);
}

static void what_is_older_than_a_promise_is_refused(void **state)
{
    struct place *p = *state;

    start(p);
    assert_int_equal(promise(p, &s6), CTL_OK);
    assert_int_equal(act(p, &s5, 0, "archive delete", FROM, TO), CTL_CHANGED);
    assert_int_equal(act(p, &s5, 0, "archive lock", FROM, TO), CTL_CHANGED);
    assert_int_equal(promise(p, &s5), CTL_CHANGED);
    rig_question(&p->rig, "archive list", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.n_rows, 1);
    assert_int_equal(act(p, &s6, 0, "act did", NULL, NULL), CTL_OK);
    assert_int_equal(p->rig.n_rows, 0);
    assert_int_equal(act(p, &s6, 0, "archive delete", FROM, TO), CTL_OK);
    assert_non_null(strstr(p->rig.rows, "segments=1"));
    assert_int_equal(act(p, &s6, 0, "act did", NULL, NULL), CTL_OK);
    assert_int_equal(p->rig.n_rows, 1);
    assert_int_equal(act(p, &s6, 0, "archive delete", FROM, TO), CTL_OK); /* it was done: said, and no more */
    assert_non_null(strstr(p->rig.text, "before"));
    rig_question(&p->rig, "archive delete", "cam", FROM, TO, NULL); /* without a stamp, as ever */
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
}

static void what_comes_too_late_does_nothing(void **state)
{
    struct place *p = *state;

    start(p);
    assert_int_equal(promise(p, &s6), CTL_OK);
    assert_int_equal(act(p, &s6, 1, "archive delete", FROM, TO), CTL_BUSY);
    assert_int_equal(act(p, &s6, 1, "archive lock", FROM, TO), CTL_BUSY);
    assert_int_equal(act(p, &s6, clock_mono_us() + 600 * US_PER_S, "archive delete", FROM, TO), CTL_OK);
    assert_non_null(strstr(p->rig.rows, "segments=1"));
}

/* Of two storages one is not there: what came too late for the other one was not done for that. */
static void too_late_counts_before_what_is_missing(void **state)
{
    struct place *p = *state;
    char gone[256];

    start(p);
    snprintf(gone, sizeof(gone), "%s/gone", p->dir);
    rig_storage(&p->rig, "0", gone, "", "00000000-0000-4000-8000-000000000000", SYNC_US);
    assert_true(rig_wait_state(&p->rig, "0", "missing"));
    for (int i = 0; i < 20; i++) assert_int_equal(act(p, &s6, 1, "archive delete", FROM, TO), CTL_BUSY);
    assert_non_null(strstr(p->rig.text, "storage 0"));
    assert_int_equal(act(p, &s6, 0, "archive delete", FROM, TO), CTL_FAILED);
}

/* The same lock, by the act's id and time, on whatever node: it is released by what another one was told. */
static void locks_are_the_same_everywhere(void **state)
{
    struct place *p = *state;

    start(p);
    assert_int_equal(promise(p, &s5), CTL_OK);
    assert_int_equal(act(p, &s5, 0, "archive lock", FROM, TO), CTL_OK);
    assert_non_null(strstr(p->rig.rows, "id=abc "));
    assert_int_equal(act(p, &s6, 0, "archive delete", FROM, TO), CTL_OK);
    assert_non_null(strstr(p->rig.rows, "locked=1"));
    assert_int_equal(act(p, &s5, 0, "archive unlock", "abc", NULL), CTL_CHANGED);
    assert_int_equal(act(p, &s7, 0, "archive unlock", "abc", NULL), CTL_OK);
    rig_question(&p->rig, "archive locks", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.n_rows, 0);
}

static void promises_outlive_the_keeper(void **state)
{
    struct place *p = *state;

    start(p);
    assert_int_equal(promise(p, &s6), CTL_OK);
    rig_kill(&p->rig, 9);
    if (!rig_start(&p->rig)) fail();
    rig_storage(&p->rig, "a", p->a, "", "", SYNC_US);
    assert_true(rig_wait_index(&p->rig, "a"));
    assert_int_equal(promise(p, &s5), CTL_CHANGED);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_older_than_a_promise_is_refused),
        TEST(what_comes_too_late_does_nothing),
        TEST(too_late_counts_before_what_is_missing),
        TEST(locks_are_the_same_everywhere),
        TEST(promises_outlive_the_keeper),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
