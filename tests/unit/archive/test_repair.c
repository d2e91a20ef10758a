/* Segments that their writer left without a footer. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/reader.h"
#include "archive/repair.h"
#include "archive/segment.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/footage.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define FRAME_MOST 65536

struct place {
    char storage[64];
    int records;
    struct footage f;
    uint64_t id;
    uint64_t whole; /* bytes of its fragments */
    char path[256];
};

/* 5 seconds, and the writer is gone. */
static int make_place(void **state)
{
    struct place *p = NEW(struct place);
    struct segw_setup setup = {.uid = "cam-1", .discont = true};
    struct segw *w;

    tool_tmpdir(p->storage, sizeof(p->storage));
    snprintf(p->path, sizeof(p->path), "%s/cam-1", p->storage);
    assert_int_equal(mkdir(p->path, 0750), 0);
    snprintf(p->path, sizeof(p->path), "%s/cam-1/records", p->storage);
    assert_int_equal(mkdir(p->path, 0750), 0);
    p->records = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(p->records >= 0);
    footage_make(&p->f, 9, 25, FOOTAGE_START_US);
    setup.tracks = &p->f.tracks;
    setup.first = p->f.f;
    setup.n_first = footage_second(&p->f, 0);
    assert_int_equal(segw_open(p->records, &setup, &w), 0);
    for (size_t at = 0, n; at < p->f.n; at += n) {
        n = footage_second(&p->f, at);
        assert_int_equal(segw_append(w, p->f.f + at, n), SEGW_OK);
    }
    p->id = segw_id(w);
    p->whole = segw_bytes(w);
    snprintf(p->path, sizeof(p->path), "%s/cam-1/records/%s", p->storage, segw_path(w));
    segw_abandon(w);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    footage_done(&p->f);
    fd_close(&p->records);
    tool_rmdir(p->storage);
    mem_free(p);
    return 0;
}

/* Of each sample the file has what was recorded. */
static void check_repaired(const struct place *p, const struct seg_info *info, size_t samples)
{
    struct seg_table *t = NULL;
    struct seg_info again;
    int fd;

    assert_int_equal(info->samples, samples);
    assert_int_equal(info->flags & ~(unsigned)SEG_DAMAGED, SEG_DISCONT | SEG_RECOVERED);
    assert_int_equal(info->start_us, FOOTAGE_START_US - 7000);
    assert_int_equal(repair_look(p->records, "cam-1", p->id, &again), SEG_OK);
    assert_int_equal(again.bytes, info->bytes);
    assert_int_equal(again.end_us, info->end_us);
    assert_int_equal(seg_open(p->storage, "cam-1", info->path, &fd), 0);
    assert_int_equal(seg_table_load(fd, info, &t), SEG_OK);
    assert_int_equal(t->n, samples);
    for (size_t i = 0; i < t->n; i++) {
        uint8_t got[FRAME_MOST];
        size_t k = 0;

        while (p->f.f[k].track != t->s[i].track || p->f.f[k].dts != t->s[i].dts) assert_true(++k < p->f.n);
        assert_int_equal(t->s[i].size, p->f.f[k].data.n);
        assert_true(t->s[i].size <= sizeof(got));
        assert_int_equal(pread(fd, got, t->s[i].size, (off_t)t->s[i].offset), t->s[i].size);
        assert_memory_equal(got, p->f.f[k].data.p, t->s[i].size);
    }
    seg_table_free(t);
    fd_close(&fd);
}

static void whole_fragments_are_all_kept(void **state)
{
    struct place *p = *state;
    struct seg_info info;

    assert_int_equal(repair_look(p->records, "cam-1", p->id, &info), SEG_E_NO_FOOTER);
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
    check_repaired(p, &info, p->f.n);
    assert_int_equal(info.end_us, FOOTAGE_START_US + 9 * US_PER_S + 3000);
    assert_int_equal(info.n_keys, 3);
    assert_int_equal(info.table_at, p->whole);
    /* once more: nothing changes */
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
    check_repaired(p, &info, p->f.n);
}

static void cut_fragment_goes(void **state)
{
    struct place *p = *state;
    struct seg_info info;

    assert_int_equal(truncate(p->path, (off_t)p->whole - 1), 0);
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
    check_repaired(p, &info, info.samples);
    assert_true(info.samples < p->f.n && info.samples > p->f.n * 7 / 9);
}

/* Behind a power cut a file may end in a block of zeros. */
static void zeros_at_the_end_go(void **state)
{
    struct place *p = *state;
    struct seg_info info;

    assert_int_equal(truncate(p->path, (off_t)p->whole + 100000), 0);
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
    check_repaired(p, &info, p->f.n);
}

static void write_zeros(const struct place *p, uint64_t from, uint64_t to)
{
    static const uint8_t zeros[FRAME_MOST];
    int fd = open(p->path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    for (uint64_t at = from; at < to; at += sizeof(zeros)) {
        size_t n = (size_t)MIN(sizeof(zeros), to - at);

        assert_int_equal(pwrite(fd, zeros, n, (off_t)at), n);
    }
    fd_close(&fd);
}

/* ext4 may know the length of a file and not the last of its bytes: they read as zeros. */
static void what_never_reached_the_disk_goes(void **state)
{
    static const uint64_t lacking[] = {1, 27, 28, 29, 164, 977, 4095, 20000};
    struct place *p = *state;
    struct seg_info info;
    uint32_t before = UINT32_MAX;

    for (size_t i = 0; i < ARRAY_N(lacking); i++) {
        write_zeros(p, p->whole - lacking[i], p->whole);
        assert_int_equal(truncate(p->path, (off_t)p->whole), 0);
        assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
        check_repaired(p, &info, info.samples);
        assert_true(info.samples < p->f.n && info.samples <= before);
        before = info.samples;
    }
}

/* The video that follows begins with a key frame. */
static void check_hole(const struct place *p, const struct seg_info *info, size_t most)
{
    struct seg_table *t;
    bool hole = false, key = true;
    uint64_t behind = 0;
    int fd;

    check_repaired(p, info, info->samples);
    assert_true(info->flags & SEG_DAMAGED);
    assert_true(info->samples < p->f.n && info->samples > p->f.n - most);
    assert_true(info->end_us > FOOTAGE_START_US + 8 * US_PER_S);
    assert_int_equal(seg_open(p->storage, "cam-1", info->path, &fd), 0);
    assert_int_equal(seg_table_load(fd, info, &t), SEG_OK);
    for (size_t i = 0; i < t->n; i++) {
        if (t->s[i].offset > behind + 2000) {
            hole = true;
            key = false;
        }
        behind = t->s[i].offset + t->s[i].size;
        if (t->tracks.t[t->s[i].track].kind != TRACK_VIDEO) continue;
        key |= (t->s[i].flags & FRAME_KEY) != 0;
        assert_true(key);
    }
    assert_true(hole);
    seg_table_free(t);
    fd_close(&fd);
}

/* In the media, in the head of a fragment, in a mark; in the middle, and in the first of all fragments. */
static void what_is_whole_around_a_hole_is_kept(void **state)
{
    struct place *p = *state;
    CLEANUP(mem_freep) uint8_t *was = NULL;
    struct seg_info info;
    size_t n;

    assert_int_equal(fd_read_file(AT_FDCWD, p->path, 1u << 24, &was, &n), 0);
    for (uint64_t at = 2000; at < p->whole * 3 / 4; at += p->whole / 20) {
        int fd = open(p->path, O_WRONLY | O_TRUNC | O_CLOEXEC);

        assert_int_equal(fd_write_all(fd, span(was, n)), 0);
        fd_close(&fd);
        write_zeros(p, at, at + 3);
        assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
        check_hole(p, &info, p->f.n * 4 / 9); /* a second, and what of its group of pictures follows */
        /* again, now that its footer has gone */
        assert_int_equal(truncate(p->path, (off_t)info.bytes - 5), 0);
        assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
        check_hole(p, &info, p->f.n * 4 / 9);
    }
}

/* Whole boxes are gone: the marks behind them are found. */
static void what_lies_behind_bytes_that_are_no_boxes_is_kept(void **state)
{
    struct place *p = *state;
    struct seg_table *t = NULL, *all = NULL;
    struct seg_info info;
    int fd;

    write_zeros(p, p->whole / 3, p->whole / 2);
    /* players, before it is repaired: what can be followed, and what lies behind */
    seg_path_of(p->id, info.path);
    assert_int_equal(seg_open(p->storage, "cam-1", info.path, &fd), 0);
    assert_int_equal(seg_table_scan(fd, UINT64_MAX, &t), SEG_OK);
    assert_int_equal(seg_table_any(fd, UINT64_MAX, &all), SEG_OK);
    assert_true(t->n < p->f.n / 2 && all->n > p->f.n / 2);
    assert_true(all->info.end_us > FOOTAGE_START_US + 8 * US_PER_S);
    seg_table_free(t);
    seg_table_free(all);
    fd_close(&fd);
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
    check_hole(p, &info, p->f.n / 2);
}

/* Not removed: it is long enough to be somebody's footage. */
static void without_a_fragment_that_holds_it_is_set_aside(void **state)
{
    struct place *p = *state;
    struct seg_info info;
    struct stat st;
    char bad[300];

    write_zeros(p, 0, 64); /* nobody knows what tracks there were */
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_E_BAD);
    snprintf(bad, sizeof(bad), "%s.bad", p->path);
    assert_int_equal(stat(bad, &st), 0);
}

static void cut_footer_is_written_again(void **state)
{
    struct place *p = *state;
    struct seg_info info;

    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
    for (uint64_t bytes = info.bytes - 1; bytes > p->whole + 100; bytes -= 101) {
        assert_int_equal(truncate(p->path, (off_t)bytes), 0);
        assert_int_not_equal(repair_look(p->records, "cam-1", p->id, &info), SEG_OK);
        assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
        check_repaired(p, &info, p->f.n);
    }
}

static void empty_ones_are_removed(void **state)
{
    struct place *p = *state;
    struct seg_info info;
    struct stat st;

    assert_int_equal(truncate(p->path, 900), 0);
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_E_EMPTY);
    assert_int_equal(stat(p->path, &st), -1);
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), -ENOENT);
}

static void footage_of_others_is_set_aside(void **state)
{
    struct place *p = *state;
    struct seg_info info;
    struct stat st;
    char bad[300];

    assert_int_equal(repair_segment(p->records, "cam-2", p->id, NULL, &info), REPAIR_E_BAD);
    snprintf(bad, sizeof(bad), "%s.bad", p->path);
    assert_int_equal(stat(bad, &st), 0);
    assert_int_equal(st.st_size, p->whole);
}

static void footer_of_another_stream_is_refused(void **state)
{
    struct place *p = *state;
    struct seg_info info;

    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), REPAIR_OK);
    assert_int_equal(repair_look(p->records, "cam-2", p->id, &info), SEG_E_BAD);
}

/* A worker that was taken over puts a link where a folder was: nothing behind it is touched. */
static void links_are_not_followed(void **state)
{
    struct place *p = *state;
    struct seg_info info;
    struct stat st;
    char away[256], from[300], to[300];

    assert_int_equal(truncate(p->path, 900), 0);
    snprintf(away, sizeof(away), "%s/away", p->storage);
    snprintf(from, sizeof(from), "%s/cam-1/records/2023", p->storage);
    assert_int_equal(rename(from, away), 0);
    assert_int_equal(symlink(away, from), 0);
    assert_int_equal(repair_segment(p->records, "cam-1", p->id, NULL, &info), -ENOTDIR);
    snprintf(to, sizeof(to), "%s/11/14", away);
    assert_int_equal(stat(to, &st), 0);
    assert_int_equal(stat(p->path, &st), 0); /* it is still there */
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(whole_fragments_are_all_kept),
        TEST(cut_fragment_goes),
        TEST(zeros_at_the_end_go),
        TEST(what_never_reached_the_disk_goes),
        TEST(what_is_whole_around_a_hole_is_kept),
        TEST(what_lies_behind_bytes_that_are_no_boxes_is_kept),
        TEST(without_a_fragment_that_holds_it_is_set_aside),
        TEST(cut_footer_is_written_again),
        TEST(empty_ones_are_removed),
        TEST(footage_of_others_is_set_aside),
        TEST(footer_of_another_stream_is_refused),
        TEST(links_are_not_followed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
