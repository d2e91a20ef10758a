/* Questions to the real ms-keeper: who answers, several at once, pages, whoever hangs or goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/index.h"
#include "common/base/mem.h"
#include "common/ipc/ctl.h"
#include "tests/support/segments.h"
#include "tests/support/small_disk.h"
#include "tests/support/tool.h"

#include <unistd.h>

#define T0      (1700000000 * US_PER_S)
#define SYNC_US (200 * US_PER_MS)

struct place {
    struct rig rig;
    char dir[64], a[128], mounted[128];
    bool frozen;
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

    if (p->frozen) small_disk_freeze(p->a, false);
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
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    assert_true(rig_wait_index(&p->rig, "a"));
}

static struct rig_worker *worker(struct place *p, const char *uid)
{
    struct rig_worker *w = rig_worker(&p->rig, uid, "a");

    rig_ask(w);
    assert_true(rig_wait_archive(w, "ok"));
    return w;
}

static void what_is_there_is_listed(void **state)
{
    struct place *p = *state;
    struct seg_info s[3];
    struct rig_worker *w;
    char want[256];

    start(p);
    w = worker(p, "cam-1");
    for (int i = 0; i < 3; i++) segments_record(w, T0 + i * 2 * US_PER_S, 2, &s[i]);
    rig_question(&p->rig, "archive list", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    snprintf(want, sizeof(want), "uid=cam-1 storage=a segments=3 bytes=%llu from_s=%lld to_s=%lld\n",
        (unsigned long long)(s[0].bytes + s[1].bytes + s[2].bytes), (long long)(s[0].start_us / US_PER_S),
        (long long)(s[2].end_us / US_PER_S));
    assert_string_equal(p->rig.rows, want);
    rig_question(&p->rig, "archive list", "cam-2", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.n_rows, 0);
}

static void what_cannot_be_asked_is_refused(void **state)
{
    struct place *p = *state;

    start(p);
    rig_question(&p->rig, "archive burn", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_USAGE);
    rig_question(&p->rig, "archive list", "a", "b", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_USAGE);
    for (int i = 0; i < 5; i++) rig_question(&p->rig, "archive list", NULL); /* several at once */
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
}

/* More streams than a page holds. */
static void many_rows_come_in_pages(void **state)
{
    struct place *p = *state;
    struct seg_info *s = NEW(struct seg_info);
    const struct seg_info *list[] = {s};
    struct index *ix = NULL;
    char path[256];

    start(p);
    assert_int_equal(rig_stop(&p->rig), 0);
    snprintf(path, sizeof(path), "%s/.index", p->a);
    assert_int_equal(index_open(path, &ix), INDEX_OK);
    for (unsigned i = 0; i < 250; i++) {
        *s = (struct seg_info){.id = (uint64_t)(T0 / US_PER_MS) << 8, .start_us = T0, .end_us = T0 + 1};
        snprintf(s->uid, sizeof(s->uid), "cam-%03u", i);
        seg_path_of(s->id, s->path);
        assert_int_equal(index_put(ix, list, 1), INDEX_OK);
    }
    index_close(ix);
    mem_free(s);
    start(p);
    rig_question(&p->rig, "archive list", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.n_rows, 250);
}

/* Whoever asked has gone: what still comes is nobody's, and others are served. */
static void a_question_may_be_given_up(void **state)
{
    struct place *p = *state;
    struct packer *m;
    uint64_t id;

    start(p);
    id = rig_question(&p->rig, "archive list", NULL);
    m = channel_begin(p->rig.ch, MSG_KEEP_END, 1);
    pack_kv_u64(m, "id", id);
    channel_end(p->rig.ch, NULL, 0);
    rig_question(&p->rig, "archive list", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_OK);
    assert_int_equal(p->rig.answered, id + 1);
}

/* A storage that hangs is left out, and said to be; the question ends. */
static void a_storage_that_hangs_is_left_out(void **state)
{
    struct place *p = *state;

    if (!small_disk_mount(p->a)) skip();
    span_copy(span_of(p->a), p->mounted, sizeof(p->mounted));
    start(p);
    worker(p, "cam-1");
    p->frozen = small_disk_freeze(p->a, true) == 0;
    if (!p->frozen) skip();
    assert_true(rig_wait_state(&p->rig, "a", "failed"));
    rig_question(&p->rig, "archive list", NULL);
    assert_int_equal(rig_answer(&p->rig), CTL_FAILED);
    assert_string_equal(p->rig.text, "storage a does not answer");
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_there_is_listed),
        TEST(what_cannot_be_asked_is_refused),
        TEST(many_rows_come_in_pages),
        TEST(a_question_may_be_given_up),
        TEST(a_storage_that_hangs_is_left_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
