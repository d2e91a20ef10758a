/* The real ms-keeper over its sockets: storages, folders, commits, deaths of keeper and workers, full and
 * read-only disks. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/index.h"
#include "archive/reader.h"
#include "archive/segment.h"
#include "archive/storage.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "tests/support/footage.h"
#include "tests/support/keeper_rig.h"
#include "tests/support/small_disk.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SYNC_US (200 * US_PER_MS)

struct place {
    struct rig rig;
    char dir[64];      /* everything of this test */
    char storage[128]; /* dir/a */
    char mounted[128]; /* "": nothing */
    struct footage f;
};

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->storage, sizeof(p->storage), "%s/a", p->dir);
    footage_make(&p->f, 4, 25, FOOTAGE_START_US);
    rig_init(&p->rig);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    rig_done(&p->rig);
    small_disk_umount(p->mounted);
    footage_done(&p->f);
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
}

/* A keeper with one storage, whose UUID is what it was before. */
static void start_with_storage(struct place *p, const char *uuid)
{
    start(p);
    rig_storage(&p->rig, "a", p->storage, "", uuid, SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    assert_true(rig_wait_index(&p->rig, "a"));
}

static struct rig_worker *recording_worker(struct place *p, const char *uid)
{
    struct rig_worker *w = rig_worker(&p->rig, uid, "a");

    rig_ask(w);
    assert_true(rig_wait_archive(w, "ok"));
    return w;
}

/* The footage as a segment that begins `at_s` seconds later. */
static struct segw *begin_segment(struct place *p, struct rig_worker *w, int at_s)
{
    struct segw_setup setup = {.uid = w->uid, .tracks = &p->f.tracks, .n_first = footage_second(&p->f, 0)};
    struct frame *frames = mem_dup(p->f.f, p->f.n * sizeof(*frames));
    struct segw *seg = NULL;

    for (size_t i = 0; i < p->f.n; i++) {
        frames[i].wall_us += at_s * US_PER_S;
        frames[i].dts += (int64_t)at_s * p->f.tracks.t[frames[i].track].clock_hz;
    }
    setup.first = frames;
    assert_int_equal(segw_open(w->folder, &setup, &seg), 0);
    for (size_t at = 0, n; at < p->f.n; at += n) {
        n = footage_second(&p->f, at);
        assert_int_equal(segw_append(seg, frames + at, n), SEGW_OK);
    }
    mem_free(frames);
    return seg;
}

static void record(struct place *p, struct rig_worker *w, int at_s, struct seg_info *ret)
{
    struct segw *seg = begin_segment(p, w, at_s);

    rig_opened(w, segw_id(seg), w->storage, segw_path(seg), segw_start_us(seg));
    assert_int_equal(segw_close(seg, ret), 0);
    rig_segment_closed(w, ret);
}

/* The ranges of a stream in the index, as seconds behind the footage's start: "0-4 10-14". */
static void read_ranges(const struct place *p, const char *uid, char *dst, size_t cap)
{
    struct rig_store *s = rig_store((struct rig *)(uintptr_t)&p->rig, "a");
    const struct index_query all = {.uid = uid, .to_us = INT64_MAX};
    struct index_range r[32];
    struct index *ix;
    struct wr w = wr_of(dst, cap);
    size_t n = 0;

    dst[0] = 0;
    if (index_open_ro(s->index, &ix) != INDEX_OK) return;
    if (index_ranges(ix, &all, r, ARRAY_N(r), &n) != INDEX_OK) n = 0;
    index_close(ix);
    for (size_t i = 0; i < n; i++)
        wr_fmt(&w, "%s%d-%d", i ? " " : "", (int)((r[i].start_us + 500000 - FOOTAGE_START_US) / US_PER_S),
            (int)((r[i].end_us - FOOTAGE_START_US) / US_PER_S));
    wr_cstr(&w);
}

struct ranges_wanted {
    struct place *p;
    const char *uid, *ranges, *or_else;
    char got[512];
};
static bool has_ranges(void *arg)
{
    struct ranges_wanted *w = arg;

    if (rig_store(&w->p->rig, "a")->indexes == 0) return false;
    read_ranges(w->p, w->uid, w->got, sizeof(w->got));
    return strcmp(w->got, w->ranges) == 0 || (w->or_else && strcmp(w->got, w->or_else) == 0);
}

static void wait_ranges(struct place *p, const char *uid, const char *ranges)
{
    struct ranges_wanted w = {p, uid, ranges, NULL, ""};

    if (!rig_wait(&p->rig, has_ranges, &w)) fail_msg("ranges are \"%s\", not \"%s\"", w.got, ranges);
}

static void read_uuid(const char *storage, char *dst)
{
    CLEANUP(mem_freep) uint8_t *text = NULL;
    struct span rest, line;
    char path[256];
    size_t n;

    snprintf(path, sizeof(path), "%s/" STORAGE_MARKER, storage);
    assert_int_equal(fd_read_file(AT_FDCWD, path, 1000, &text, &n), 0);
    rest = span(text, n);
    assert_true(span_split(&rest, '\n', &line) && span_split(&rest, '\n', &line));
    span_copy(line, dst, STORAGE_UUID_MAX);
}

static bool beats(void *arg)
{
    return ((struct rig *)arg)->beats >= 2;
}

static void new_storage_is_initialised(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX];
    struct rig_store *s;

    start_with_storage(p, "");
    s = rig_store(&p->rig, "a");
    read_uuid(p->storage, uuid);
    assert_string_equal(s->uuid, uuid);
    assert_true(s->free > 0 && s->total >= s->free);
    assert_true(rig_wait(&p->rig, beats, &p->rig));
    assert_int_equal(rig_stop(&p->rig), 0);
    /* the same again, known or not: it stays itself */
    start_with_storage(p, uuid);
    assert_string_equal(rig_store(&p->rig, "a")->uuid, uuid);
    assert_int_equal(rig_stop(&p->rig), 0);
    start_with_storage(p, "");
    assert_string_equal(rig_store(&p->rig, "a")->uuid, uuid);
}

static void segment_is_stored(void **state)
{
    struct place *p = *state;
    struct seg_info info, got;
    struct rig_worker *w;
    struct index *ix;
    struct stat st;

    start_with_storage(p, "");
    w = recording_worker(p, "cam-1");
    assert_string_equal(w->storage, "a");
    assert_int_equal(fstat(w->folder, &st), 0);
    assert_int_equal(st.st_mode & 07777, 02750);
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
    record(p, w, 4, &info);
    record(p, w, 60, &info);
    assert_true(rig_wait_stored(w, info.id));
    wait_ranges(p, "cam-1", "0-8 60-64");
    assert_int_equal(index_open_ro(rig_store(&p->rig, "a")->index, &ix), INDEX_OK);
    assert_int_equal(index_last(ix, "cam-1", &got), INDEX_OK);
    assert_int_equal(got.id, info.id);
    assert_int_equal(got.bytes, info.bytes);
    assert_int_equal(got.n_keys, info.n_keys);
    index_close(ix);
}

/* What a worker says of a segment is not believed: the file counts. */
static void lies_are_not_stored(void **state)
{
    struct place *p = *state;
    struct seg_info info, lie;
    struct rig_worker *w;

    start_with_storage(p, "");
    w = recording_worker(p, "cam-1");
    record(p, w, 0, &info);
    lie = info;
    lie.id += 1ull << 30; /* no such file */
    rig_segment_closed(w, &lie);
    record(p, w, 60, &info);
    assert_true(rig_wait_stored(w, info.id));
    assert_int_equal(w->n_stored, 2);
    wait_ranges(p, "cam-1", "0-4 60-64");
}

static void swapped_disk_is_refused(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX], marker[256];
    struct rig_worker *w;

    start_with_storage(p, "");
    read_uuid(p->storage, uuid);
    assert_int_equal(rig_stop(&p->rig), 0);
    snprintf(marker, sizeof(marker), "%s/" STORAGE_MARKER, p->storage);
    assert_int_equal(unlink(marker), 0);

    start(p);
    rig_storage(&p->rig, "a", p->storage, "", uuid, SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "refused"));
    assert_string_equal(rig_store(&p->rig, "a")->uuid, uuid);
    w = rig_worker(&p->rig, "cam-1", "a");
    rig_ask(w);
    assert_true(rig_wait_archive(w, "wait"));
    assert_int_equal(w->err, ESTALE);
    assert_int_equal(access(marker, F_OK), -1); /* nothing was written */
    /* accepted by hand: recording begins by itself */
    rig_storage_named(&p->rig, MSG_STORAGE_INIT, "a");
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    assert_true(rig_wait_archive(w, "ok"));
    assert_string_not_equal(rig_store(&p->rig, "a")->uuid, uuid);
    read_uuid(p->storage, uuid);
    assert_string_equal(rig_store(&p->rig, "a")->uuid, uuid);
    /* another one's marker */
    assert_int_equal(rig_stop(&p->rig), 0);
    start(p);
    rig_storage(&p->rig, "a", p->storage, "", "00000000-0000-4000-8000-000000000000", SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "refused"));
}

static void missing_storage_comes_back(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX], away[256];
    struct seg_info info;
    struct rig_worker *w;

    start_with_storage(p, "");
    read_uuid(p->storage, uuid);
    assert_int_equal(rig_stop(&p->rig), 0);
    snprintf(away, sizeof(away), "%s.away", p->storage);
    assert_int_equal(rename(p->storage, away), 0);

    start(p);
    rig_storage(&p->rig, "a", p->storage, "", uuid, SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "missing"));
    w = rig_worker(&p->rig, "cam-1", "a");
    rig_ask(w);
    assert_true(rig_wait_archive(w, "wait"));
    assert_int_equal(access(p->storage, F_OK), -1); /* not made: it has been seen before */
    assert_int_equal(rename(away, p->storage), 0);
    assert_true(rig_wait_archive(w, "ok"));
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
    /* it goes while it is in use */
    assert_int_equal(rename(p->storage, away), 0);
    assert_true(rig_wait_archive(w, "wait"));
    assert_true(rig_wait_state(&p->rig, "a", "missing"));
    assert_int_equal(rename(away, p->storage), 0);
    assert_true(rig_wait_archive(w, "ok"));
    wait_ranges(p, "cam-1", "0-4");
}

static void dead_workers_segment_is_repaired(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;
    struct segw *seg;
    int lock = -1;

    start_with_storage(p, "");
    w = recording_worker(p, "cam-1");
    assert_int_equal(seg_lock(w->folder, &lock), SEGW_OK);
    seg = begin_segment(p, w, 0);
    rig_opened(w, segw_id(seg), w->storage, segw_path(seg), segw_start_us(seg));
    segw_abandon(seg); /* kill -9 */
    fd_close(&lock);
    rig_worker_dies(w);
    wait_ranges(p, "cam-1", "0-4");
}

static void keepers_death_costs_nothing(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX];
    struct rig_worker *w;
    struct seg_info info;
    struct segw *seg;
    int lock = -1, folder;

    start_with_storage(p, "");
    read_uuid(p->storage, uuid);
    w = recording_worker(p, "cam-1");
    assert_int_equal(seg_lock(w->folder, &lock), SEGW_OK);
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
    folder = fcntl(w->folder, F_DUPFD_CLOEXEC, 0);
    rig_kill(&p->rig, SIGKILL);
    /* the worker records on: one is closed, one is open when the next keeper comes */
    fd_close(&w->folder);
    w->folder = folder;
    seg = begin_segment(p, w, 10);
    assert_int_equal(segw_close(seg, &info), 0);
    seg = begin_segment(p, w, 20);

    folder = fcntl(folder, F_DUPFD_CLOEXEC, 0);
    start_with_storage(p, uuid);
    wait_ranges(p, "cam-1", "0-4 10-14");
    w = recording_worker(p, "cam-1");
    rig_opened(w, segw_id(seg), w->storage, segw_path(seg), segw_start_us(seg));
    assert_int_equal(segw_close(seg, &info), 0);
    assert_int_equal(info.flags & SEG_RECOVERED, 0); /* nobody cut it while it was written */
    rig_segment_closed(w, &info);
    assert_true(rig_wait_stored(w, info.id));
    wait_ranges(p, "cam-1", "0-4 10-14 20-24");
    fd_close(&lock);
    fd_close(&folder);
}

/* A worker that is alive and has not yet spoken to the new keeper: what it writes is left alone, until it is
 * gone. */
static void locked_segments_are_left_alone(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX];
    struct rig_worker *w;
    struct seg_info info;
    struct segw *seg;
    int lock = -1, fd;

    start_with_storage(p, "");
    read_uuid(p->storage, uuid);
    w = recording_worker(p, "cam-1");
    assert_int_equal(seg_lock(w->folder, &lock), SEGW_OK);
    seg = begin_segment(p, w, 0);
    assert_int_equal(seg_open(p->storage, "cam-1", segw_path(seg), &fd), 0);
    rig_kill(&p->rig, SIGKILL);
    start_with_storage(p, uuid);
    w = recording_worker(p, "cam-2"); /* another stream goes through meanwhile */
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
    assert_int_equal(seg_info_load(fd, &info), SEG_E_NO_FOOTER);
    segw_abandon(seg);
    fd_close(&lock);
    wait_ranges(p, "cam-1", "0-4");
    assert_int_equal(seg_info_load(fd, &info), SEG_OK);
    assert_int_equal(info.flags & SEG_RECOVERED, SEG_RECOVERED);
    fd_close(&fd);
}

static void damaged_index_is_built_anew(void **state)
{
    static const char all[] =
        "0-4 400000-400004 800000-800004 1200000-1200004 1600000-1600004 2000000-2000004";
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX], path[256];
    struct rig_worker *w;
    struct seg_info info;
    int fd;

    start_with_storage(p, "");
    read_uuid(p->storage, uuid);
    w = recording_worker(p, "cam-1");
    for (int i = 0; i < 6; i++) record(p, w, i * 400000, &info); /* weeks apart */
    assert_true(rig_wait_stored(w, info.id));
    rig_kill(&p->rig, SIGKILL);
    snprintf(path, sizeof(path), "%s/.index/data.mdb", p->storage);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = 8192; at < 8192 * 8; at += 61) assert_int_equal(pwrite(fd, "damaged", 7, at), 7);
    fd_close(&fd);
    start_with_storage(p, uuid);
    wait_ranges(p, "cam-1", all);
    snprintf(path, sizeof(path), "%s/.index/data.mdb.damaged", p->storage);
    assert_int_equal(access(path, F_OK), 0);
    /* and one that is taken away while it is in use */
    snprintf(path, sizeof(path), "%s/.index", p->storage);
    tool_rmdir(path);
    wait_ranges(p, "cam-1", all);
}

/* A check that cannot be made says nothing about the index: it is tried again, and nothing is set aside. */
static void failed_check_is_no_damage(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX], path[256];
    struct rig_worker *w;
    struct seg_info info;
    struct stat st;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    print_message("skipped: a sanitizer needs more address space than this test allows\n");
    skip();
#endif
    start_with_storage(p, "");
    read_uuid(p->storage, uuid);
    w = recording_worker(p, "cam-1");
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
    rig_kill(&p->rig, SIGKILL);
    p->rig.as_limit = 512ull << 20; /* too little for the map */
    start(p);
    rig_storage(&p->rig, "a", p->storage, "", uuid, SYNC_US);
    w = recording_worker(p, "cam-1"); /* recording needs no index */
    assert_true(rig_wait(&p->rig, beats, &p->rig));
    assert_int_equal(rig_store(&p->rig, "a")->indexes, 0);
    rig_kill(&p->rig, SIGKILL);
    snprintf(path, sizeof(path), "%s/.index/data.mdb.damaged", p->storage);
    assert_int_equal(stat(path, &st), -1);
    p->rig.as_limit = 0;
    start_with_storage(p, uuid);
    wait_ranges(p, "cam-1", "0-4");
}

static void index_that_was_removed_is_built_anew(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX], path[256];
    struct rig_worker *w;
    struct seg_info info;

    start_with_storage(p, "");
    read_uuid(p->storage, uuid);
    w = recording_worker(p, "cam-1");
    record(p, w, 0, &info);
    record(p, w, 1000000, &info);
    assert_true(rig_wait_stored(w, info.id));
    assert_int_equal(rig_stop(&p->rig), 0);
    snprintf(path, sizeof(path), "%s/.index/clean", p->storage);
    assert_int_equal(access(path, F_OK), 0);
    snprintf(path, sizeof(path), "%s/.index", p->storage);
    tool_rmdir(path);
    start_with_storage(p, uuid);
    wait_ranges(p, "cam-1", "0-4 1000000-1000004");
}

/* What was acknowledged is there after any kill; what was closed and not acknowledged comes too. */
static void killed_again_and_again(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX] = "", want[512];
    struct wr ranges = wr_of(want, sizeof(want));
    struct seg_info info;

    for (int i = 0; i < 8; i++) {
        struct rig_worker *w;

        start_with_storage(p, uuid);
        if (i == 0) read_uuid(p->storage, uuid);
        w = recording_worker(p, "cam-1");
        record(p, w, i * 100, &info);
        if (i % 2) assert_true(rig_wait_stored(w, info.id));
        rig_kill(&p->rig, SIGKILL);
        wr_fmt(&ranges, "%s%d-%d", i ? " " : "", i * 100, i * 100 + 4);
    }
    start_with_storage(p, uuid);
    wait_ranges(p, "cam-1", wr_cstr(&ranges));
}

static void storages_are_chosen(void **state)
{
    struct place *p = *state;
    struct rig_worker *a, *b, *none;
    char second[200];

    start_with_storage(p, "");
    snprintf(second, sizeof(second), "%s/b", p->dir);
    rig_storage(&p->rig, "b", second, "", "", SYNC_US);
    assert_true(rig_wait_state(&p->rig, "b", "ok"));
    a = rig_worker(&p->rig, "cam-1", "a*1, b*0");
    b = rig_worker(&p->rig, "cam-2", second); /* by its path */
    none = rig_worker(&p->rig, "cam-3", "elsewhere");
    rig_ask(a);
    rig_ask(b);
    rig_ask(none);
    assert_true(rig_wait_archive(a, "ok"));
    assert_true(rig_wait_archive(b, "ok"));
    assert_true(rig_wait_archive(none, "wait"));
    assert_string_equal(a->storage, "a");
    assert_string_equal(b->storage, "b");
    assert_int_equal(none->err, ENOENT);
    /* one goes out of the configuration: its streams pause */
    rig_storage_named(&p->rig, MSG_STORAGE_GONE, "b");
    assert_true(rig_wait_archive(b, "wait"));
    rig_storage(&p->rig, "b", second, "", "", SYNC_US);
    assert_true(rig_wait_archive(b, "ok"));
}

static bool peer_closed(void *arg)
{
    return ((struct rig_worker *)arg)->closed;
}

/* C17: a worker that sends what only the master may, and one whose socket brings rubbish. */
static void bad_workers_lose_their_socket_only(void **state)
{
    struct place *p = *state;
    struct rig_worker *bad, *good;
    struct seg_info info;

    start_with_storage(p, "");
    good = recording_worker(p, "cam-1");
    bad = rig_worker(&p->rig, "cam-2", "a");
    assert_int_equal(write(channel_fd(bad->ch), "\xff\xff\xff\xff rubbish", 12), 12);
    assert_true(rig_wait(&p->rig, peer_closed, bad));
    bad = rig_worker(&p->rig, "cam-3", "a");
    /* 8 bytes: [30, {}, 0]: STORAGE */
    assert_int_equal(write(channel_fd(bad->ch), "\0\0\0\4\x93\x1e\x80\0", 8), 8);
    assert_true(rig_wait(&p->rig, peer_closed, bad));
    record(p, good, 0, &info);
    assert_true(rig_wait_stored(good, info.id));
    rig_worker_gone(&p->rig, "cam-1");
    assert_true(rig_wait(&p->rig, peer_closed, good));
}

static void failed_write_is_answered(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;
    unsigned before;

    start_with_storage(p, "");
    w = recording_worker(p, "cam-1");
    before = w->archives;
    fd_close(&w->folder);
    w->state[0] = 0;
    rig_failed(w, EIO);
    assert_true(rig_wait_archive(w, "ok"));
    assert_true(w->archives > before);
}

/* --- small disks --- */

static bool mount_disk(struct place *p)
{
    if (!small_disk_mount(p->storage)) return false;
    span_copy(span_of(p->storage), p->mounted, sizeof(p->mounted));
    return true;
}

/* Fills the disk to the last block. */
static void fill(const struct place *p, const char *name)
{
    static const char zeros[65536];
    char path[256];
    size_t n = sizeof(zeros);
    int fd;

    snprintf(path, sizeof(path), "%s/%s", p->storage, name);
    fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (n > 0) {
        ssize_t got = write(fd, zeros, n);

        if (got <= 0) n /= 2;
    }
    assert_int_equal(fsync(fd), 0);
    close(fd);
}

static void unfill(const struct place *p, const char *name)
{
    char path[256];

    snprintf(path, sizeof(path), "%s/%s", p->storage, name);
    assert_int_equal(unlink(path), 0);
}

static void full_disk_pauses_and_resumes(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;
    struct seg_info info;

    if (!mount_disk(p)) skip();
    start_with_storage(p, "");
    w = recording_worker(p, "cam-1");
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
    fill(p, "ballast");
    assert_true(rig_wait_state(&p->rig, "a", "full"));
    assert_int_equal(rig_store(&p->rig, "a")->err, ENOSPC);
    assert_true(rig_wait_archive(w, "wait"));
    assert_int_equal(w->err, ENOSPC);
    unfill(p, "ballast");
    assert_true(rig_wait_archive(w, "ok"));
    record(p, w, 100, &info);
    assert_true(rig_wait_stored(w, info.id));
    /* the first may have had to go for room meanwhile */
    assert_true(
        rig_wait(&p->rig, has_ranges, &(struct ranges_wanted){p, "cam-1", "0-4 100-104", "100-104", ""}));
}

/* The very first open on a disk without a free block: an error, not a SIGBUS. */
static void first_start_on_a_full_disk(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;

    if (!mount_disk(p)) skip();
    fill(p, "ballast");
    start(p);
    rig_storage(&p->rig, "a", p->storage, "", "", SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "full"));
    w = rig_worker(&p->rig, "cam-1", "a");
    rig_ask(w);
    assert_true(rig_wait_archive(w, "wait"));
    unfill(p, "ballast");
    assert_true(rig_wait_archive(w, "ok"));
    assert_true(rig_wait_index(&p->rig, "a"));
}

/* A disk that runs full between marker and index, at every block. */
static void nearly_full_disks_never_crash(void **state)
{
    struct place *p = *state;
    char path[256];

    if (!mount_disk(p)) skip();
    for (int i = 0; i < 6; i++) {
        char index[256], marker[256];

        fill(p, "ballast");
        snprintf(path, sizeof(path), "%s/ballast", p->storage);
        {
            struct stat st;

            assert_int_equal(stat(path, &st), 0);
            assert_int_equal(truncate(path, st.st_size - i * 8192), 0);
        }
        start(p);
        rig_storage(&p->rig, "a", p->storage, "", "", SYNC_US);
        assert_true(rig_wait_state(&p->rig, "a", "full"));
        assert_int_equal(rig_stop(&p->rig), 0);
        unfill(p, "ballast");
        snprintf(index, sizeof(index), "%s/.index", p->storage);
        snprintf(marker, sizeof(marker), "%s/" STORAGE_MARKER, p->storage);
        tool_rmdir(index);
        unlink(marker);
    }
}

static int remount(const struct place *p, const char *how)
{
    return tool_run((const char *const[]){"mount", "-o", how, p->storage, NULL}, NULL);
}

static void readonly_disk_pauses_and_resumes(void **state)
{
    struct place *p = *state;
    char uuid[STORAGE_UUID_MAX];
    struct rig_worker *w;
    struct seg_info info;

    if (!mount_disk(p)) skip();
    start_with_storage(p, "");
    read_uuid(p->storage, uuid);
    assert_int_equal(rig_stop(&p->rig), 0);
    assert_int_equal(remount(p, "remount,ro"), 0);
    start(p);
    rig_storage(&p->rig, "a", p->storage, "", uuid, SYNC_US);
    assert_true(rig_wait_state(&p->rig, "a", "readonly"));
    w = rig_worker(&p->rig, "cam-1", "a");
    rig_ask(w);
    assert_true(rig_wait_archive(w, "wait"));
    assert_int_equal(w->err, EROFS);
    assert_int_equal(remount(p, "remount,rw"), 0);
    assert_true(rig_wait_archive(w, "ok"));
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
}

/* A file system that turns read-only because it found an error in itself, while it is recorded on. */
static void broken_file_system_pauses(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;
    struct seg_info info;
    char command[512];

    if (!mount_disk(p)) skip();
    assert_int_equal(remount(p, "remount,errors=remount-ro"), 0);
    start_with_storage(p, "");
    w = recording_worker(p, "cam-1");
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
    snprintf(command, sizeof(command),
        "echo 1 > /sys/fs/ext4/$(basename $(findmnt -no SOURCE %s))/trigger_fs_error", p->storage);
    if (tool_run((const char *const[]){"sh", "-c", command, NULL}, NULL) != 0) {
        print_message("skipped: this kernel cannot be told to find an error\n");
        skip();
    }
    assert_true(rig_wait_archive(w, "wait"));
    assert_true(rig_wait_state(&p->rig, "a", "readonly") || rig_wait_state(&p->rig, "a", "failed"));
}

/* One storage that does not answer delays no other. */
static void commits_go_on_beside_a_refused_storage(void **state)
{
    struct place *p = *state;
    struct rig_worker *w;
    struct seg_info info;
    char second[200];

    start(p);
    snprintf(second, sizeof(second), "%s/none/b", p->dir);
    rig_storage(&p->rig, "b", second, "", "", SYNC_US);
    rig_storage(&p->rig, "a", p->storage, "", "", SYNC_US);
    assert_true(rig_wait_state(&p->rig, "b", "missing"));
    assert_true(rig_wait_state(&p->rig, "a", "ok"));
    w = rig_worker(&p->rig, "cam-1", "b, a"); /* goes where it can */
    rig_ask(w);
    assert_true(rig_wait_archive(w, "ok"));
    assert_string_equal(w->storage, "a");
    record(p, w, 0, &info);
    assert_true(rig_wait_stored(w, info.id));
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(new_storage_is_initialised),
        TEST(segment_is_stored),
        TEST(lies_are_not_stored),
        TEST(swapped_disk_is_refused),
        TEST(missing_storage_comes_back),
        TEST(dead_workers_segment_is_repaired),
        TEST(keepers_death_costs_nothing),
        TEST(locked_segments_are_left_alone),
        TEST(damaged_index_is_built_anew),
        TEST(failed_check_is_no_damage),
        TEST(index_that_was_removed_is_built_anew),
        TEST(killed_again_and_again),
        TEST(storages_are_chosen),
        TEST(bad_workers_lose_their_socket_only),
        TEST(failed_write_is_answered),
        TEST(commits_go_on_beside_a_refused_storage),
        TEST(full_disk_pauses_and_resumes),
        TEST(first_start_on_a_full_disk),
        TEST(nearly_full_disks_never_crash),
        TEST(readonly_disk_pauses_and_resumes),
        TEST(broken_file_system_pauses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
