/* archive/work_events: which events a storage says when it is asked. */
#include "archive/work.h"
#include "archive/work_events.h"
#include "common/base/mem.h"
#include "tests/support/index_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#define T0    (INT64_C(1700000000) * US_PER_S)
#define MANY  50000 /* more than an answer holds */
#define BATCH 500

struct said {
    size_t n;
    uint64_t ids[64];
    char uids[64][EVENT_UID_MAX];
};

static void events_came(void *arg, uint64_t id, uint32_t n, struct span rows)
{
    struct said *said = arg;
    struct unpack *u;
    struct packer p;
    struct buf b;

    (void)id;
    buf_init(&b, rows.n + 8);
    p = packer_of(&b);
    pack_array(&p, n);
    assert_true(buf_put(&b, rows));
    assert_int_equal(unpack_new(buf_span(&b), &u), 0);
    for (size_t i = 0; i < n; i++, said->n++) {
        const struct packed *row = packed_at(unpack_root(u), i);

        assert_true(said->n < ARRAY_N(said->ids));
        said->ids[said->n] = packed_u64(row, "id", 0);
        assert_true(packed_text(row, "uid", said->uids[said->n], EVENT_UID_MAX));
    }
    unpack_done(u);
    buf_done(&b);
}

static void ask_events(struct index_place *p, struct said *said, const char *const *args, size_t n)
{
    struct ask q = {.id = 1, .command = ask_command(SPAN_LIT("events")), .n_args = n};
    struct disk_conf conf = {.name = "a"};
    struct work *w = NEW(struct work);
    struct answer a;

    w->indexer.ix = p->ix;
    w->conf = &conf;
    *said = (struct said){.n = 0};
    for (size_t i = 0; i < n; i++) snprintf(q.args[i], sizeof(q.args[i]), "%s", args[i]);
    answer_init(&a, &q, events_came, said);
    while (work_events_step(w, &a)) continue;
    answer_flush(&a);
    assert_int_equal(a.code, CTL_OK);
    answer_done(&a);
    mem_free(w);
}

/* Of five streams in turns, each a second behind the one before. */
static void put(struct index_place *p, uint64_t n)
{
    struct event *e = mem_new_n(BATCH, sizeof(*e));

    for (uint64_t id = 1; id <= n; id += BATCH) {
        for (uint64_t i = 0; i < MIN(BATCH, n); i++) {
            e[i] = (struct event){.id = id + i, .kind = "motion", .source = "call"};
            e[i].start_us = T0 + (usec_t)(id + i) * US_PER_S;
            e[i].end_us = e[i].start_us + 1;
            snprintf(e[i].uid, sizeof(e[i].uid), "cam-%u", (unsigned)((id + i) % 5));
        }
        assert_int_equal(index_events_put(p->ix, e, MIN(BATCH, n)), INDEX_OK);
    }
    mem_free(e);
}

/* Whatever is there besides, and whichever stream's they are. */
static void the_newest_events_are_said(void **state)
{
    struct index_place *p = *state;
    struct said said;

    put(p, MANY);
    ask_events(p, &said, (const char *const[]){"limit=10"}, 1);
    assert_int_equal(said.n, 10);
    for (size_t i = 0; i < said.n; i++) assert_int_equal(said.ids[i], MANY - i);
    ask_events(p, &said, (const char *const[]){"cam-3", "limit=40"}, 2);
    assert_int_equal(said.n, 40);
    for (size_t i = 0; i < said.n; i++) assert_int_equal(said.ids[i], MANY - 2 - 5 * i);
    /* nobody's newest are hidden behind those of streams that he does not see */
    ask_events(p, &said, (const char *const[]){"limit=6", "seen=cam-1,yard-*,cam-2*"}, 2);
    assert_int_equal(said.n, 6);
    for (size_t i = 0; i < said.n; i++) assert_true(strpbrk(said.uids[i], "12") != NULL);
    assert_int_equal(said.ids[0], MANY - 3);
    ask_events(p, &said, (const char *const[]){"limit=6", "seen=,"}, 2);
    assert_int_equal(said.n, 0);
    ask_events(p, &said, (const char *const[]){"cam-9", "limit=5000"}, 2);
    assert_int_equal(said.n, 0);
}

/* Without a limit by stream and start, with one the newest first; also where there are fewer. */
static void few_events_are_all_said(void **state)
{
    struct index_place *p = *state;
    struct said said;

    put(p, 3);
    ask_events(p, &said, (const char *const[]){"limit=5000"}, 1);
    assert_int_equal(said.n, 3);
    assert_int_equal(said.ids[0], 3);
    ask_events(p, &said, (const char *const[]){"seen=cam-*"}, 1);
    assert_int_equal(said.n, 3);
    assert_int_equal(said.ids[0], 1);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, index_place_make, index_place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_newest_events_are_said),
        TEST(few_events_are_all_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
