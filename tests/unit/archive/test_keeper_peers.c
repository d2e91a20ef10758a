/* Where workers record, over the real ms-keeper: storages that go, hang and come back. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/clock.h"
#include "common/base/mem.h"
#include "tests/support/segments.h"
#include "tests/support/small_disk.h"
#include "tests/support/tool.h"

#include <fcntl.h>
#include <unistd.h>

#define SYNC_US  (200 * US_PER_MS)
#define BELONG_A "a*1000, b*1" /* cam-1 belongs on a (weighted rendezvous), and may go to b */

struct place {
    struct rig rig;
    char dir[64], a[128], b[128], mounted[128];
    bool frozen;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->a, sizeof(p->a), "%s/a", p->dir);
    snprintf(p->b, sizeof(p->b), "%s/b", p->dir);
    rig_init(&p->rig);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    if (p->frozen) small_disk_freeze(p->a, false); /* the keeper cannot die before */
    rig_done(&p->rig);
    small_disk_umount(p->mounted);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

static void start(struct place *p)
{
    if (!rig_start(&p->rig)) {
        print_message("skipped: no ms-keeper beside this test\n");
        skip();
    }
    rig_storage(&p->rig, "a", p->a, "", "", SYNC_US);
    rig_storage(&p->rig, "b", p->b, "", "", SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    assert_true(rig_wait_state(&p->rig, "b", "ok"));
    assert_true(rig_wait_index(&p->rig, "a"));
}

struct wanted {
    const struct rig_worker *w;
    const char *storage;
};
static bool records_there(void *arg)
{
    const struct wanted *x = arg;

    return strcmp(x->w->state, "ok") == 0 && strcmp(x->w->storage, x->storage) == 0;
}
static void wait_storage(struct place *p, const struct rig_worker *w, const char *storage)
{
    struct wanted x = {w, storage};

    if (!rig_wait(&p->rig, records_there, &x)) fail_msg("on \"%s\" (%s)", w->storage, w->state);
}

static struct rig_worker *worker(struct place *p, const char *archive)
{
    struct rig_worker *w = rig_worker(&p->rig, "cam-1", archive);

    rig_ask(w);
    return w;
}

static bool told_something(void *arg)
{
    return ((const struct rig_worker *)arg)->state[0] != 0;
}

static void comes_back_when_its_storage_is_steady(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;
    char away[200];
    usec_t back_us;
    struct seg_info late;
    unsigned told;
    int there;

    start(p);
    w = worker(p, BELONG_A);
    wait_storage(p, w, "a");
    snprintf(away, sizeof(away), "%s.away", p->a);
    assert_int_equal(rename(p->a, away), 0);
    wait_storage(p, w, "b");
    told = w->archives;
    there = fcntl(w->folder, F_DUPFD_CLOEXEC, 0);
    assert_int_equal(rename(away, p->a), 0);
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    back_us = clock_mono_us();
    wait_storage(p, w, "a");
    assert_true(clock_mono_us() - back_us > 8 * US_PER_S); /* not at once: it may go again */
    assert_int_equal(w->archives, told + 1);               /* it was never told to stop */
    assert_true(w->folder >= 0);
    /* a segment that it had begun before it heard of that is looked for where it is */
    segments_make(there, "cam-1", clock_wall_us(), 2, &late);
    rig_opened(w, late.id, "b", late.path, late.start_us);
    rig_segment_closed(w, &late);
    assert_true(rig_wait_stored(w, late.id));
    assert_true(segments_there(p->b, &late));
    close(there);
}

static void a_slow_start_moves_nobody(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;

    if (!rig_start(&p->rig)) skip();
    w = worker(p, BELONG_A);
    rig_storage(&p->rig, "b", p->b, "", "", SYNC_US);
    rig_storage(&p->rig, "a", p->a, "", "", SYNC_US);
    wait_storage(p, w, "a");
    /* its settings change: it is opened anew, and keeps its streams */
    w->state[0] = 0;
    rig_storage(&p->rig, "a", p->a, "1%", "", SYNC_US);
    assert_true(rig_wait(&p->rig, told_something, w));
    wait_storage(p, w, "a");
}

/* What is being recorded goes on: nobody is told anything. */
static void another_dvr_sync_opens_nothing_anew(void **state)
{
    struct place *p = *state;
    struct seg_info info;
    struct rig_worker *w;

    if (!rig_start(&p->rig)) skip();
    rig_storage(&p->rig, "a", p->a, "", "", 600 * US_PER_S);
    assert_true(rig_wait_index(&p->rig, "a"));
    w = worker(p, "a");
    wait_storage(p, w, "a");
    rig_storage(&p->rig, "a", p->a, "", "", SYNC_US);
    segments_record(w, clock_wall_us(), 2, &info); /* within 600 s */
    assert_int_equal(w->archives, 1);
    assert_int_equal(rig_store(&p->rig, "a")->indexes, 1);
}

/* The answer of a disk that hangs comes too late, and is nobody's. */
static void hung_disk_is_left(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;

    if (!small_disk_mount(p->a)) skip();
    span_copy(span_of(p->a), p->mounted, sizeof(p->mounted));
    start(p);
    p->frozen = small_disk_freeze(p->a, true) == 0;
    if (!p->frozen) {
        print_message("skipped: cannot freeze a file system here\n");
        skip();
    }
    w = worker(p, BELONG_A);
    wait_storage(p, w, "b");
    assert_true(rig_wait_state(&p->rig, "a", "failed"));
    assert_int_equal(w->archives, 1);
    assert_int_equal(small_disk_freeze(p->a, false), 0);
    p->frozen = false;
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    assert_string_equal(w->storage, "b"); /* the late folder was not handed out */
    wait_storage(p, w, "a");
    assert_int_equal(w->archives, 2);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(comes_back_when_its_storage_is_steady),
        TEST(a_slow_start_moves_nobody),
        TEST(another_dvr_sync_opens_nothing_anew),
        TEST(hung_disk_is_left),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
