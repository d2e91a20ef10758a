/* What leaves the index, and what stays by order: totals, trash, locks; and an index of version 1. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/index.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "tests/support/index_place.h"

#include <errno.h>
#include <lmdb.h>

#define T0 (1700000000 * US_PER_S)
#define N  60 /* segments of the random walk */

static uint64_t id_at(int64_t ms)
{
    return (uint64_t)(T0 / US_PER_MS + ms) << 8;
}

static void put(struct index *ix, const char *uid, int64_t from_ms, int64_t to_ms, uint64_t bytes)
{
    struct seg_info *s = NEW(struct seg_info);
    const struct seg_info *list[] = {s};

    s->id = id_at(from_ms);
    s->start_us = T0 + from_ms * US_PER_MS;
    s->end_us = T0 + to_ms * US_PER_MS;
    s->bytes = bytes;
    s->table_at = bytes / 2;
    s->samples = 1;
    span_copy(span_of(uid), s->uid, sizeof(s->uid));
    seg_path_of(s->id, s->path);
    assert_int_equal(index_put(ix, list, 1), INDEX_OK);
    mem_free(s);
}

static void drop(struct index *ix, const char *uid, int64_t from_ms)
{
    struct index_ref ref = {.id = id_at(from_ms)};

    span_copy(span_of(uid), ref.uid, sizeof(ref.uid));
    assert_int_equal(index_drop(ix, &ref, 1), INDEX_OK);
}

static void totals_are(struct index *ix, const char *want)
{
    struct index_total t;
    char text[512], last[40] = "";
    struct wr w = wr_of(text, sizeof(text));
    size_t n;

    for (;;) {
        assert_int_equal(index_totals(ix, last, &t, 1, &n), INDEX_OK); /* pages of one */
        if (n == 0) break;
        memcpy(last, t.uid, sizeof(last));
        wr_fmt(&w, "%s%s=%d/%d", w.n ? " " : "", t.uid, (int)t.bytes, (int)t.segments);
    }
    assert_string_equal(wr_cstr(&w), want);
}

static void ranges_are(struct index *ix, const char *uid, const char *want)
{
    const struct index_query q = {.uid = uid, .to_us = INT64_MAX};
    struct index_range r[N];
    char text[4096];
    struct wr w = wr_of(text, sizeof(text));
    size_t n;

    assert_int_equal(index_ranges(ix, &q, r, ARRAY_N(r), &n), INDEX_OK);
    for (size_t i = 0; i < n; i++)
        wr_fmt(&w, "%s%d-%d", i ? " " : "", (int)((r[i].start_us - T0) / US_PER_MS),
            (int)((r[i].end_us - T0) / US_PER_MS));
    assert_string_equal(wr_cstr(&w), want);
}

static void totals_follow(void **state)
{
    struct index_place *p = *state;

    totals_are(p->ix, "");
    put(p->ix, "cam", 0, 1000, 10);
    put(p->ix, "cam", 1000, 2000, 20);
    put(p->ix, "cam-1", 0, 1000, 5);
    totals_are(p->ix, "cam=30/2 cam-1=5/1");
    put(p->ix, "cam", 1000, 2000, 7); /* again: replaced */
    totals_are(p->ix, "cam=17/2 cam-1=5/1");
    drop(p->ix, "cam", 0);
    drop(p->ix, "cam", 0); /* not there any more: nothing */
    totals_are(p->ix, "cam=7/1 cam-1=5/1");
    drop(p->ix, "cam", 1000);
    totals_are(p->ix, "cam-1=5/1");
}

static void what_is_dropped_is_trash(void **state)
{
    struct index_place *p = *state;
    struct index_ref list[4];
    size_t n;

    put(p->ix, "cam", 0, 1000, 10);
    put(p->ix, "cam", 1000, 2000, 20);
    put(p->ix, "b", 0, 1000, 20);
    drop(p->ix, "cam", 0);
    drop(p->ix, "b", 0);
    assert_true(index_is_trash(p->ix, "cam", id_at(0)));
    assert_false(index_is_trash(p->ix, "cam", id_at(1000)));
    assert_int_equal(index_trash(p->ix, NULL, list, 1, &n), INDEX_OK);
    assert_int_equal(n, 1);
    assert_string_equal(list[0].uid, "b");
    assert_int_equal(index_trash(p->ix, &list[0], list + 1, 3, &n), INDEX_OK);
    assert_int_equal(n, 1);
    assert_string_equal(list[1].uid, "cam");
    assert_int_equal(list[1].tries, 0);
    list[1].tries = 3; /* could not be removed */
    assert_int_equal(index_trash_settle(p->ix, list, 2), INDEX_OK);
    assert_int_equal(index_trash(p->ix, NULL, list, 4, &n), INDEX_OK);
    assert_int_equal(n, 1);
    assert_string_equal(list[0].uid, "cam");
    assert_int_equal(list[0].tries, 3);
    list[0].tries = 0;
    assert_int_equal(index_trash_settle(p->ix, list, 1), INDEX_OK);
    assert_int_equal(index_trash(p->ix, NULL, list, 4, &n), INDEX_OK);
    assert_int_equal(n, 0);
}

static void ranges_shrink(void **state)
{
    struct index_place *p = *state;

    for (int i = 0; i < 5; i++) put(p->ix, "cam", i * 1000, i * 1000 + 1000, 1);
    put(p->ix, "other", 0, 9000, 1);
    ranges_are(p->ix, "cam", "0-5000");
    drop(p->ix, "cam", 0);
    ranges_are(p->ix, "cam", "1000-5000");
    drop(p->ix, "cam", 3000);
    ranges_are(p->ix, "cam", "1000-5000"); /* a second is no gap */
    drop(p->ix, "cam", 2000);
    ranges_are(p->ix, "cam", "1000-2000 4000-5000");
    drop(p->ix, "cam", 4000);
    drop(p->ix, "cam", 1000);
    ranges_are(p->ix, "cam", "");
    ranges_are(p->ix, "other", "0-9000");
}

/* The ranges of what is left, put together plainly. */
static void expected(int (*segs)[2], const bool *there, char *text, size_t cap)
{
    struct wr w = wr_of(text, cap);
    int from = -1, to = 0;

    for (int i = 0; i < N; i++) {
        if (!there[i]) continue;
        if (from >= 0 && segs[i][0] <= to + 1000) {
            to = MAX(to, segs[i][1]);
            continue;
        }
        if (from >= 0) wr_fmt(&w, "%s%d-%d", w.n ? " " : "", from, to);
        from = segs[i][0];
        to = segs[i][1];
    }
    if (from >= 0) wr_fmt(&w, "%s%d-%d", w.n ? " " : "", from, to);
    wr_cstr(&w);
}

/* Gaps around the second that still joins, overlaps, and every order of deleting. */
static void ranges_are_those_of_what_is_left(void **state)
{
    struct index_place *p = *state;
    int segs[N][2], at = 5000;
    bool there[N];
    char want[4096];
    uint32_t r = 12345;

    for (int i = 0; i < N; i++) {
        r = r * 1664525 + 1013904223;
        segs[i][0] = MAX(at + (int)(r >> 16) % 2400 - 700, i > 0 ? segs[i - 1][0] + 1 : 0);
        segs[i][1] = segs[i][0] + 300 + (int)(r >> 8) % 1500;
        at = MAX(segs[i][0] + 1, segs[i][1]);
        there[i] = true;
        put(p->ix, "cam", segs[i][0], segs[i][1], 10);
    }
    for (int left = N; left > 0; left--) {
        expected(segs, there, want, sizeof(want));
        ranges_are(p->ix, "cam", want);
        do {
            r = r * 1664525 + 1013904223;
        } while (!there[(r >> 16) % N]);
        there[(r >> 16) % N] = false;
        drop(p->ix, "cam", segs[(r >> 16) % N][0]);
    }
    ranges_are(p->ix, "cam", "");
    totals_are(p->ix, "");
}

static struct index_lock lock_of(const char *uid, uint64_t id, int from_s, int to_s, int version)
{
    struct index_lock l = {.id = id,
        .start_us = T0 + from_s * US_PER_S,
        .end_us = T0 + to_s * US_PER_S,
        .version_us = T0 + version,
        .by = "uid 0",
        .note = "accident"};

    span_copy(span_of(uid), l.uid, sizeof(l.uid));
    return l;
}

static void the_newest_version_of_a_lock_counts(void **state)
{
    struct index_place *p = *state;
    struct index_lock list[] = {
        lock_of("cam", 7, 0, 10, 5), lock_of("cam", 8, 0, 20, 5), lock_of("b", 9, 3, 4, 1)};
    struct index_lock got[4];
    size_t n;

    assert_int_equal(index_locks_put(p->ix, list, 3), INDEX_OK);
    list[0].released_us = T0;
    list[0].version_us -= 1; /* older: comes from a storage that was away */
    list[1].released_us = T0 + 6;
    list[1].version_us += 1;
    assert_int_equal(index_locks_put(p->ix, list, 2), INDEX_OK);
    assert_int_equal(index_locks(p->ix, NULL, got, 2, &n), INDEX_OK);
    assert_int_equal(n, 2);
    assert_string_equal(got[0].uid, "b");
    assert_int_equal(got[1].id, 7);
    assert_int_equal(got[1].released_us, 0);
    assert_int_equal(got[1].end_us, T0 + 10 * US_PER_S);
    assert_string_equal(got[1].by, "uid 0");
    assert_string_equal(got[1].note, "accident");
    assert_int_equal(index_locks(p->ix, &got[1], got + 2, 2, &n), INDEX_OK);
    assert_int_equal(n, 1);
    assert_int_equal(got[2].id, 8);
    assert_int_equal(got[2].released_us, T0 + 6);
}

/* --- with LMDB itself --- */

static void edit(struct index_place *p, void (*fn)(MDB_txn *txn))
{
    MDB_env *env;
    MDB_txn *txn;

    index_close(p->ix);
    p->ix = NULL;
    assert_int_equal(mdb_env_create(&env), 0);
    mdb_env_set_maxdbs(env, 16);
    mdb_env_set_mapsize(env, INDEX_MAP_BYTES);
    assert_int_equal(mdb_env_open(env, p->dir, 0, 0640), 0);
    assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
    fn(txn);
    assert_int_equal(mdb_txn_commit(txn), 0);
    mdb_env_close(env);
}

static void to_version_1(MDB_txn *txn)
{
    static const char *const later[] = {"totals", "trash", "locks", "events"};
    MDB_val k = {.mv_size = 7, .mv_data = (char[]){"version"}};
    MDB_val v = {.mv_size = 8, .mv_data = (uint8_t[]){0, 0, 0, 1, 0xba, 0x0c, 0xc8, 0xc4}};
    MDB_dbi dbi;

    for (size_t i = 0; i < ARRAY_N(later); i++) {
        assert_int_equal(mdb_dbi_open(txn, later[i], 0, &dbi), 0);
        assert_int_equal(mdb_drop(txn, dbi, 1), 0);
    }
    assert_int_equal(mdb_dbi_open(txn, "meta", 0, &dbi), 0);
    assert_int_equal(mdb_put(txn, dbi, &k, &v, 0), 0);
}

static void version_1_is_upgraded_where_it_lies(void **state)
{
    struct index_place *p = *state;
    struct index *ro = NULL;
    uint64_t n, flaws;

    put(p->ix, "cam", 0, 1000, 10);
    put(p->ix, "cam", 1000, 2000, 20);
    put(p->ix, "cam-1", 0, 1000, 5);
    put(p->ix, "d", 0, 1000, 6);
    edit(p, to_version_1);
    assert_int_equal(index_open_ro(p->dir, &ro), -ENOENT); /* the keeper comes first */
    assert_int_equal(index_check(p->dir, &n, &flaws), -ENOENT);
    assert_int_equal(index_check_newest(p->dir, 0), INDEX_OK);
    assert_int_equal(index_open(p->dir, &p->ix), INDEX_OK);
    totals_are(p->ix, "cam=30/2 cam-1=5/1 d=6/1");
    ranges_are(p->ix, "cam", "0-2000");
    drop(p->ix, "cam", 0);
    assert_true(index_is_trash(p->ix, "cam", id_at(0)));
}

static void spoil(MDB_txn *txn, const char *table)
{
    MDB_cursor *c;
    MDB_val k, v;
    MDB_dbi dbi;
    uint8_t mem[512];

    assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
    assert_int_equal(mdb_cursor_open(txn, dbi, &c), 0);
    assert_int_equal(mdb_cursor_get(c, &k, &v, MDB_FIRST), 0);
    memcpy(mem, v.mv_data, v.mv_size);
    mem[3] ^= 1;
    v.mv_data = mem;
    assert_int_equal(mdb_cursor_put(c, &k, &v, MDB_CURRENT), 0);
    mdb_cursor_close(c);
}

static void spoil_all(MDB_txn *txn)
{
    spoil(txn, "totals");
    spoil(txn, "trash");
    spoil(txn, "locks");
}

/* A damaged total is counted anew, by the walk or by the next change; others go, the rest stays. */
static void damaged_records_are_mended(void **state)
{
    struct index_place *p = *state;
    struct index_lock lock[] = {lock_of("cam", 7, 0, 10, 5), lock_of("cam", 8, 5, 20, 5)}, got[3];
    struct index_ref trash[3];
    struct index_walk at = {0};
    struct index_flaw f;
    unsigned flaws = 0;
    uint64_t n_segments, n_flaws;
    size_t n;

    for (int i = 0; i < 4; i++) put(p->ix, "cam", i * 1000, i * 1000 + 1000, 10);
    drop(p->ix, "cam", 0);
    drop(p->ix, "cam", 1000);
    assert_int_equal(index_locks_put(p->ix, lock, 2), INDEX_OK);
    edit(p, spoil_all);
    assert_int_equal(index_check(p->dir, &n_segments, &n_flaws), INDEX_E_FLAWED);
    assert_int_equal(n_flaws, 3);
    assert_int_equal(index_open(p->dir, &p->ix), INDEX_OK);
    for (int i = 0; i < 20; i++) {
        int err = index_walk(p->ix, &at, 100, &f);

        if (err == INDEX_OK) continue;
        assert_int_equal(err, INDEX_E_DAMAGED);
        assert_string_equal(f.uid, "cam");
        assert_int_equal(index_mend(p->ix, &f, NULL), INDEX_OK);
        flaws++;
    }
    assert_int_equal(flaws, 3);
    totals_are(p->ix, "cam=20/2");
    assert_int_equal(index_trash(p->ix, NULL, trash, 3, &n), INDEX_OK);
    assert_int_equal(n, 1);
    assert_int_equal(index_locks(p->ix, NULL, got, 3, &n), INDEX_OK);
    assert_int_equal(n, 1);
    assert_int_equal(got[0].id, 8);
    edit(p, spoil_all);
    assert_int_equal(index_open(p->dir, &p->ix), INDEX_OK);
    put(p->ix, "cam", 9000, 9500, 5);
    totals_are(p->ix, "cam=25/3");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, index_place_make, index_place_drop)
    const struct CMUnitTest tests[] = {
        TEST(totals_follow),
        TEST(what_is_dropped_is_trash),
        TEST(ranges_shrink),
        TEST(ranges_are_those_of_what_is_left),
        TEST(the_newest_version_of_a_lock_counts),
        TEST(version_1_is_upgraded_where_it_lies),
        TEST(damaged_records_are_mended),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
