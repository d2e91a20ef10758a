/* Parts of segments: between key frames, and up to what was written when they were listed. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/reader.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/footage.h"
#include "tests/support/seg_place.h"

/* Cuts at every key frame: each sample in exactly one of them, ranges that hold just those bytes. */
static void cuts_share_and_miss_nothing(void **state)
{
    const struct seg_place *p = *state;
    struct seg_table *t = NULL;
    struct seg_info info;
    struct footage f;
    struct segw *w;
    size_t *seen, cuts = 0;
    int fd;

    footage_make(&f, 10, 40, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    seg_place_append(w, &f);
    assert_int_equal(segw_close(w, &info), 0);
    fd = seg_place_file(p, info.path);
    assert_int_equal(seg_table_load(fd, &info, &t), SEG_OK);
    for (unsigned mask = 1; mask < 8; mask++) {
        seen = mem_new_n(t->n, sizeof(*seen));
        cuts = 0;
        for (size_t from = seg_key_at(t, 0); from < t->n; cuts++) {
            size_t to = seg_key_next(t, from), range = 0;
            struct seg_cut c;
            uint64_t at, sum = 0;

            assert_int_equal(seg_cut(t, from, to, mask, &c), SEG_OK);
            at = c.n > 0 ? c.r[0].at : 0;
            for (size_t i = 0; i < c.n; i++) {
                size_t k = 0;

                while (t->s[k].offset != c.s[i].offset) k++;
                seen[k]++;
                if (at == c.r[range].at + c.r[range].n) at = c.r[++range].at;
                assert_int_equal(at, c.s[i].offset);
                at += c.s[i].size;
                sum += c.s[i].size;
            }
            assert_int_equal(sum, c.bytes);
            assert_int_equal(range + 1, c.n_r);
            if (mask & 1) assert_true(c.s[0].flags & FRAME_KEY || c.s[0].track > 0);
            seg_cut_done(&c);
            seg_cut_done(&c);
            from = to;
        }
        for (size_t i = 0; i < t->n; i++) assert_int_equal(seen[i], mask >> t->s[i].track & 1);
        mem_free(seen);
    }
    assert_int_equal(cuts, 7);
    seg_table_free(t);
    fd_close(&fd);
    footage_done(&f);
}

static void same_cut(const struct seg_cut *a, const struct seg_cut *b)
{
    assert_int_equal(a->n, b->n);
    assert_int_equal(a->n_r, b->n_r);
    assert_int_equal(a->bytes, b->bytes);
    assert_memory_equal(a->s, b->s, a->n * sizeof(*a->s));
    assert_memory_equal(a->r, b->r, a->n_r * sizeof(*a->r));
}

/* A piece that is listed while the segment is written has the same bytes when it goes on and is closed,
 * though a fragment ends before each key frame, with sound of that time to come. */
static void the_last_piece_stays_what_it_is(void **state)
{
    const struct seg_place *p = *state;
    struct seg_table *t = NULL, *all = NULL;
    struct seg_cut early[8], late;
    size_t from[8], to[8], n = 0;
    struct seg_info info;
    struct footage f;
    struct segw *w;
    int fd;

    footage_make(&f, 8, 25, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    fd = seg_place_file(p, segw_path(w));
    for (size_t at = 0, some; at < f.n && n < ARRAY_N(early); at += some, n++) {
        some = footage_second(&f, at);
        assert_int_equal(segw_append(w, f.f + at, some), SEGW_OK);
        assert_int_equal(seg_table_scan(fd, segw_bytes(w), &t), SEG_OK);
        from[n] = seg_key_at(t, INT64_MAX);
        to[n] = seg_tail(t);
        assert_true(to[n] > from[n] && to[n] < t->n);
        assert_int_equal(seg_cut_listed(t, from[n], to[n], 7, &early[n]), SEG_OK);
    }
    assert_int_equal(n, 8);
    assert_int_equal(segw_close(w, &info), 0);
    assert_int_equal(seg_table_load(fd, &info, &all), SEG_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(seg_cut_listed(t, from[i], to[i], 7, &late), SEG_OK);
        same_cut(&early[i], &late);
        seg_cut_done(&late);
        assert_int_equal(seg_cut_listed(all, from[i], to[i], 7, &late), SEG_OK);
        same_cut(&early[i], &late);
        seg_cut_done(&late);
        seg_cut_done(&early[i]);
    }
    /* Of a single track every sample may be where it ends. */
    t->tracks.n = 1;
    assert_int_equal(seg_tail(t), t->n);
    t->n = 0;
    assert_int_equal(seg_tail(t), 0);
    seg_table_free(t);
    seg_table_free(all);
    fd_close(&fd);
    footage_done(&f);
}

static void cuts_are_at_key_frames(void **state)
{
    const struct seg_place *p = *state;
    struct seg_table *t = NULL;
    struct seg_info info;
    struct seg_cut c;
    struct footage f;
    struct segw *w;
    size_t key;
    int fd;

    footage_make(&f, 6, 50, FOOTAGE_START_US);
    w = seg_place_open(p, &f);
    seg_place_append(w, &f);
    assert_int_equal(segw_close(w, &info), 0);
    fd = seg_place_file(p, info.path);
    assert_int_equal(seg_table_load(fd, &info, &t), SEG_OK);
    key = seg_key_at(t, FOOTAGE_START_US + 3999 * US_PER_MS);
    assert_int_equal(seg_wall_us(t, key), FOOTAGE_START_US + 2 * US_PER_S);
    assert_int_equal(seg_key_at(t, FOOTAGE_START_US + 1000 * US_PER_S), info.keys[1].sample);
    assert_int_equal(seg_key_at(t, 0), 0);
    assert_int_equal(seg_cut(t, key, seg_key_next(t, key), 7, &c), SEG_OK);
    assert_int_equal(c.start_us, FOOTAGE_START_US + 2 * US_PER_S);
    assert_int_equal(c.end_us, FOOTAGE_START_US + 4 * US_PER_S);
    /* a fragment holds one track behind the other: three tracks are one range a fragment, two that touch too
     */
    assert_true(c.n_r <= 3);
    seg_cut_done(&c);
    assert_int_equal(seg_cut(t, key + 1, t->n, 7, &c), SEG_E_BAD);
    assert_int_equal(seg_cut(t, key, key + 1, 7, &c), SEG_E_BAD);
    assert_int_equal(seg_cut(t, key, 0, 7, &c), SEG_E_BAD);
    assert_int_equal(seg_cut(t, 0, t->n + 1, 7, &c), SEG_E_BAD);
    seg_table_free(t);
    fd_close(&fd);
    footage_done(&f);
}

#define TEST(fn_) cmocka_unit_test_setup_teardown(fn_, seg_place_make, seg_place_drop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(cuts_share_and_miss_nothing),
        TEST(the_last_piece_stays_what_it_is),
        TEST(cuts_are_at_key_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
