/* A storage's thread without the thread: the clock is the test's. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "archive/lock_file.h"
#include "archive/segment.h"
#include "archive/work.h"
#include "archive/work_ask.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "tests/support/fail_syscall.h"
#include "tests/support/footage.h"
#include "tests/support/tool.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define SYNC_US (200 * US_PER_MS)
#define CANNOT  77 /* exit code: no seccomp here */

struct place {
    char dir[64];
    struct disk_conf conf;
    struct work work;
    usec_t now_us;
    int records, code; /* code: of the last answer */
    unsigned stored, lines, events;
    enum storage_state state;
    struct disk_gone gone; /* told last */
};

static struct place *mirrored;

static void on_state(void *arg, const struct disk_report *r)
{
    ((struct place *)arg)->state = r->state;
}
static void on_folder(void *arg, const char *uid, int fd, int err)
{
    (void)uid;
    assert_int_equal(err, 0);
    ((struct place *)arg)->records = fd;
}
static void on_stored(void *arg, const char *uid, uint64_t id)
{
    (void)uid, (void)id;
    ((struct place *)arg)->stored++;
}
static void on_index(void *arg, const char *path)
{
    (void)arg, (void)path;
}
static void on_alive(void *arg)
{
    (void)arg;
}
static void on_locks(void *arg, const struct index_lock *list, size_t n, bool last)
{
    (void)arg, (void)list, (void)n, (void)last;
}
static void on_rows(void *arg, uint64_t id, uint32_t n, struct span rows)
{
    (void)arg, (void)id, (void)n, (void)rows;
}
static void on_answer(void *arg, uint64_t id, int code, const char *text)
{
    (void)id, (void)text;
    ((struct place *)arg)->code = code;
}
static void on_event(void *arg, const struct event *e)
{
    (void)e;
    ((struct place *)arg)->events++;
}
static void on_gone(void *arg, const struct disk_gone *g)
{
    ((struct place *)arg)->gone = *g;
}
static const struct work_ops ops = {on_state, on_folder, on_stored, on_index, on_locks, on_rows, on_answer,
    on_event, on_event, .on_gone = on_gone, .alive = on_alive};

static void count_line(enum log_level level, const char *line, size_t n)
{
    (void)level, (void)line, (void)n;
    mirrored->lines++;
}

/* A second goes by: the clock's work, and all of the scan. */
static void tick(struct place *p)
{
    p->now_us += US_PER_S;
    work_tick(&p->work, p->now_us);
    while (work_scan(&p->work)) continue;
}

static int make_place(void **state)
{
    struct place *p = NEW(struct place);

    tool_tmpdir(p->dir, sizeof(p->dir));
    snprintf(p->conf.name, sizeof(p->conf.name), "a");
    snprintf(p->conf.path, sizeof(p->conf.path), "%s/a", p->dir);
    p->conf.sync_us = SYNC_US;
    p->now_us = clock_mono_us();
    p->records = -1;
    work_init(&p->work, &p->conf, &ops, p);
    tick(p);
    assert_int_equal(p->state, STORAGE_OK);
    assert_non_null(p->work.indexer.ix);
    work_job(
        &p->work, &(struct job){.kind = JOB_FOLDER, .uid = "cam-1", .owner = geteuid(), .group = getegid()});
    mirrored = p;
    log_set_mirror(count_line);
    *state = p;
    return 0;
}

static int drop_place(void **state)
{
    struct place *p = *state;

    log_set_mirror(NULL);
    work_done(&p->work, p->now_us);
    fd_close(&p->records);
    tool_rmdir(p->dir);
    mem_free(p);
    return 0;
}

/* Two seconds; open: its writer dies. */
static uint64_t write_segment(const struct place *p, usec_t start_us, bool open, struct seg_info *ret)
{
    struct segw_setup setup = {.uid = "cam-1"};
    struct footage f;
    struct segw *w;
    uint64_t id;

    footage_make(&f, 2, 25, start_us);
    setup.tracks = &f.tracks;
    setup.first = f.f;
    setup.n_first = f.n;
    assert_int_equal(segw_open(p->records, &setup, &w), 0);
    assert_int_equal(segw_append(w, f.f, f.n), SEGW_OK);
    id = segw_id(w);
    if (open)
        segw_abandon(w);
    else
        assert_int_equal(segw_close(w, ret), 0);
    footage_done(&f);
    return id;
}

/* The worker says that it is closed. */
static void segment(struct place *p, usec_t start_us, bool open, struct seg_info *ret)
{
    struct job closed = {.kind = JOB_CLOSED, .uid = "cam-1"};

    closed.id = write_segment(p, start_us, open, ret);
    if (!open) work_job(&p->work, &closed);
}

/* A child whose system calls fail. */
static void ends_well(pid_t pid)
{
    int status;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    if (WEXITSTATUS(status) == CANNOT) {
        print_message("skipped: no seccomp filters here\n");
        skip();
    }
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* How often the folder is looked at in an hour, and how often that is said. */
static int tries_in_an_hour(struct place *p)
{
    struct seg_info info;
    unsigned rounds = 0;

    segment(p, FOOTAGE_START_US, true, &info);
    p->lines = 0;
    if (!fail_syscall(SYS_ftruncate, EIO)) return CANNOT;
    work_job(&p->work, &(struct job){.kind = JOB_GONE, .uid = "cam-1"});
    for (int s = 0; s < 3600; s++) {
        bool before = p->work.scanning;

        p->now_us += US_PER_S;
        work_tick(&p->work, p->now_us);
        rounds += p->work.scanning && !before;
        while (work_scan(&p->work)) continue;
        if (p->work.retry.n != 1) return 1;
    }
    /* 2, 4, 8, ... 256 s, then every 5 minutes */
    if (rounds < 15 || rounds > 20) return 2;
    return p->lines <= 2 ? 0 : 3;
}

static void failed_repairs_become_rare(void **state)
{
    struct place *p = *state;
    pid_t pid = fork();

    if (pid == 0) _exit(tries_in_an_hour(p));
    ends_well(pid);
}

/* The storage recovers: what had failed is tried at once. */
static void recovery_ends_the_wait(void **state)
{
    struct place *p = *state;
    struct seg_info info;

    segment(p, FOOTAGE_START_US, true, &info);
    p->work.storage.state = STORAGE_READONLY;
    work_job(&p->work, &(struct job){.kind = JOB_GONE, .uid = "cam-1"});
    while (work_scan(&p->work)) continue;
    assert_int_equal(p->work.retry.n, 1);
    p->work.retry_wait_us = 300 * US_PER_S;
    p->work.retry_us = p->now_us + 300 * US_PER_S;
    p->work.told.state = STORAGE_READONLY;
    tick(p);
    assert_int_equal(p->work.storage.state, STORAGE_OK);
    assert_int_equal(p->work.retry.n, 0);
    tick(p);
    assert_int_equal(p->stored, 1);
    assert_int_equal(p->work.retry_wait_us, 0);
}

static void damage(const struct place *p, const struct seg_info *info, off_t at)
{
    int fd = openat(p->records, info->path, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "lost", 4, at), 4);
    close(fd);
}

/* syncfs fails once: the folder's descriptor is one that it does not take. */
static void failed_sync(struct place *p)
{
    int good = p->work.storage.fd, bad = open(p->conf.path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_true(bad >= 0);
    p->work.storage.fd = bad;
    tick(p);
    p->work.storage.fd = good;
    close(bad);
    assert_int_equal(p->state, STORAGE_FAILED);
    assert_int_equal(p->stored, 0);
}

/* The answer's code. */
static int say(struct place *p, struct span cmd, const char *const *args, size_t n)
{
    struct ask q = {.id = 1, .command = ask_command(cmd), .n_args = n};

    for (size_t i = 0; i < n; i++) snprintf(q.args[i], sizeof(q.args[i]), "%s", args[i]);
    p->code = -1;
    work_ask_begin(&p->work, &q);
    while (work_ask_step(&p->work)) continue;
    return p->code;
}

static int reread(struct place *p, uint64_t id, bool sum)
{
    char hex[20];
    const char *args[] = {"a", "cam-1", hex, "sum"};

    snprintf(hex, sizeof(hex), "%llx", (unsigned long long)id);
    return say(p, SPAN_LIT("archive reread"), args, sum ? 4 : 3);
}

/* The disk says no to reading the file: that is told, and the record stays. 0: as it should be. */
static int reread_of_a_bad_disk(struct place *p, const struct seg_info *info)
{
    struct seg_info got;

    if (!fail_syscall(SYS_openat, EIO)) return CANNOT;
    if (reread(p, info->id, false) != CTL_FAILED) return 1;
    if (index_get(p->work.indexer.ix, "cam-1", info->id, &got) != INDEX_OK) return 2;
    return p->work.keep.wrote_err == 0 ? 0 : 3; /* the index is not to blame */
}

static void a_record_stays_when_its_file_cannot_be_read(void **state)
{
    struct place *p = *state;
    struct seg_info info, got;
    pid_t pid;

    segment(p, FOOTAGE_START_US, false, &info);
    for (int i = 0; i < 5 && p->stored == 0; i++) tick(p);
    assert_int_equal(reread(p, info.id, false), CTL_OK);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", info.id, &got), INDEX_OK);
    pid = fork();
    if (pid == 0) _exit(reread_of_a_bad_disk(p, &info));
    ends_well(pid);
    assert_int_equal(unlinkat(p->records, info.path, 0), 0);
    assert_int_equal(reread(p, info.id, false), CTL_OK);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", info.id, &got), INDEX_E_NONE);
}

static uint32_t flags_of(const struct place *p, const struct seg_info *info)
{
    struct seg_info got;

    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", info->id, &got), INDEX_OK);
    return got.flags & (SEG_DAMAGED | SEG_RECOVERED);
}

/* What is whole of a damaged segment stays in the index; nothing is done to one that is written, or whole. */
static void a_damaged_segment_is_mended(void **state)
{
    struct place *p = *state;
    struct seg_info cut, bad, got;
    char path[4300];
    uint64_t open_id;
    struct stat st;

    segment(p, FOOTAGE_START_US, false, &cut);
    segment(p, FOOTAGE_START_US + 10 * US_PER_S, false, &bad);
    for (int i = 0; i < 5 && p->stored < 2; i++) tick(p);
    open_id = write_segment(p, FOOTAGE_START_US + 20 * US_PER_S, true, &got);
    snprintf(path, sizeof(path), "%s/cam-1/records/%s", p->conf.path, cut.path);
    assert_int_equal(truncate(path, (off_t)cut.table_at + 3), 0);
    assert_int_equal(reread(p, cut.id, false), CTL_OK);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", cut.id, &got), INDEX_OK);
    assert_int_equal(got.samples, cut.samples);
    assert_int_equal(got.flags & (SEG_DAMAGED | SEG_RECOVERED), SEG_RECOVERED);
    damage(p, &bad, (off_t)bad.table_at / 2);
    assert_int_equal(reread(p, bad.id, false), CTL_OK);
    assert_int_equal(flags_of(p, &bad), 0); /* its footer is there, and believed */
    assert_int_equal(reread(p, bad.id, true), CTL_OK);
    assert_int_equal(flags_of(p, &bad), 0); /* of one fragment nothing is whole: it stays as it is */
    assert_int_equal(reread(p, open_id, true), CTL_OK); /* newer than all of the index: the scan's */
    seg_path_of(open_id, path);
    assert_int_equal(fstatat(p->records, path, &st, 0), 0);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", open_id, &got), INDEX_E_NONE);
}

/* The kernel tells each error once: the next syncfs goes well, and the bytes are not there. */
static void what_a_sync_did_not_write_is_read_back(void **state)
{
    struct place *p = *state;
    struct seg_info good, bad, cut, later;

    segment(p, FOOTAGE_START_US, false, &good);
    segment(p, FOOTAGE_START_US + 10 * US_PER_S, false, &bad);
    segment(p, FOOTAGE_START_US + 20 * US_PER_S, false, &cut);
    failed_sync(p);
    segment(p, FOOTAGE_START_US + 30 * US_PER_S, false, &later); /* had begun before, and closes now */
    damage(p, &bad, (off_t)bad.table_at / 2);
    damage(p, &later, (off_t)later.table_at / 2);
    damage(p, &cut, (off_t)cut.bytes - 4); /* no footer */
    for (int i = 0; i < 8; i++) tick(p);
    assert_int_equal(p->state, STORAGE_OK);
    assert_int_equal(p->stored, 4);
    assert_int_equal(flags_of(p, &good), 0);
    assert_int_equal(flags_of(p, &bad), SEG_DAMAGED);
    assert_int_equal(flags_of(p, &later), SEG_DAMAGED);
    assert_int_equal(flags_of(p, &cut), SEG_RECOVERED);
}

/* On a file system that an error has shut down. */
static int fsync_says_no(struct place *p)
{
    struct seg_info info;

    segment(p, FOOTAGE_START_US, false, &info);
    if (!fail_syscall(SYS_fsync, EIO)) return CANNOT;
    tick(p);
    return p->stored == 0 && p->state == STORAGE_FAILED ? 0 : 1;
}

static void syncfs_is_not_believed_alone(void **state)
{
    pid_t pid = fork();

    if (pid == 0) _exit(fsync_says_no(*state));
    ends_well(pid);
}

/* A power cut: the pages of a footer were written, some before it were not. */
static void what_is_older_than_this_boot_is_read_back(void **state)
{
    struct place *p = *state;
    struct seg_info good, bad, fresh;

    tick(p);
    assert_false(p->work.indexer.rebuild);
    write_segment(p, FOOTAGE_START_US, false, &good);
    write_segment(p, FOOTAGE_START_US + 10 * US_PER_S, false, &bad);
    write_segment(p, clock_wall_us(), false, &fresh);
    damage(p, &bad, (off_t)bad.table_at / 2);
    damage(p, &fresh, (off_t)fresh.table_at / 2); /* nothing that a start has to look for */
    work_job(&p->work, &(struct job){.kind = JOB_LOOK, .uid = "cam-1"});
    for (int i = 0; i < 4; i++) tick(p);
    assert_int_equal(p->stored, 3);
    assert_int_equal(flags_of(p, &good), 0);
    assert_int_equal(flags_of(p, &bad), SEG_DAMAGED);
    assert_int_equal(flags_of(p, &fresh), 0);
    /* not all of a storage, for an index that is built anew */
    assert_int_equal(unlinkat(p->records, good.path, 0), 0);
    assert_int_equal(indexer_start_over(&p->work.indexer), 0);
    work_job(&p->work, &(struct job){.kind = JOB_LOOK, .uid = "cam-1"});
    for (int i = 0; i < 4; i++) tick(p);
    assert_int_equal(p->stored, 5);
    assert_int_equal(flags_of(p, &bad), 0);
}

/* The clock was ten days ahead for a while. */
static void segments_to_come_hide_none(void **state)
{
    struct place *p = *state;
    usec_t now_us = clock_wall_us() - 60 * US_PER_S;
    struct seg_info info;

    segment(p, now_us, false, &info);
    segment(p, now_us + 10 * 24 * 3600 * US_PER_S, false, &info);
    for (int i = 0; i < 2; i++) tick(p);
    assert_int_equal(p->stored, 2);
    assert_false(p->work.indexer.rebuild);
    write_segment(p, now_us + 10 * US_PER_S, true, &info);
    work_job(&p->work, &(struct job){.kind = JOB_GONE, .uid = "cam-1"});
    for (int i = 0; i < 2; i++) tick(p);
    assert_int_equal(p->stored, 3);
}

/* Changes a byte in each copy of the stream's record of that number: in the index's file, values stand behind
 * their keys. */
static void damage_record(const struct place *p, uint64_t number, size_t behind)
{
    uint8_t key[14];
    struct wr w = wr_of(key, sizeof(key));
    CLEANUP(mem_freep) uint8_t *data = NULL;
    char path[4200];
    size_t size, n = 0;
    int fd;

    snprintf(path, sizeof(path), "%s/.index/data.mdb", p->conf.path);
    assert_int_equal(fd_read_file(AT_FDCWD, path, 1u << 24, &data, &size), 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    wr_text(&w, "cam-1");
    wr_u8(&w, 0);
    wr_u64(&w, number);
    for (size_t at = 0; at + w.n + behind < size; at++) {
        uint8_t x = data[at + w.n + behind] ^ 1;

        if (memcmp(data + at, key, w.n) != 0) continue;
        assert_int_equal(pwrite(fd, &x, 1, (off_t)(at + w.n + behind)), 1);
        n++;
    }
    assert_true(n > 0);
    close(fd);
}

static void ranges_are(const struct place *p, size_t n, const struct seg_info *first)
{
    const struct index_query all = {.uid = "cam-1", .to_us = INT64_MAX};
    struct index_range r[4];
    size_t got;

    assert_int_equal(index_ranges(p->work.indexer.ix, &all, r, ARRAY_N(r), &got), INDEX_OK);
    assert_int_equal(got, n);
    assert_true(r[0].start_us == first->start_us && r[0].end_us == first->end_us);
}

/* Recording goes on, in the same index. */
static void damaged_records_are_mended(void **state)
{
    struct place *p = *state;
    struct seg_info info[3], got;
    const struct index_query all = {.uid = "cam-1", .to_us = INT64_MAX};
    const struct index *ix = p->work.indexer.ix;
    struct index_range r[4];
    size_t n;

    for (int i = 0; i < 3; i++) segment(p, FOOTAGE_START_US + i * 10 * US_PER_S, false, &info[i]);
    tick(p);
    assert_int_equal(p->stored, 3);
    ranges_are(p, 3, info);
    damage_record(p, info[1].id, 20);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", info[1].id, &got), INDEX_E_DAMAGED);
    for (int i = 0; i < 4; i++) tick(p);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", info[1].id, &got), INDEX_OK);
    assert_int_equal(got.bytes, info[1].bytes);
    ranges_are(p, 3, info);
    /* a range: its end */
    damage_record(p, (uint64_t)info[2].start_us, 0);
    assert_int_equal(index_ranges(p->work.indexer.ix, &all, r, ARRAY_N(r), &n), INDEX_E_DAMAGED);
    assert_int_equal(n, 2); /* the rest is given */
    for (int i = 0; i < 4; i++) tick(p);
    ranges_are(p, 3, info);
    /* a segment whose file has gone meanwhile: it goes, and its range */
    assert_int_equal(unlinkat(p->records, info[2].path, 0), 0);
    damage_record(p, info[2].id, 20);
    for (int i = 0; i < 4; i++) tick(p);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", info[2].id, &got), INDEX_E_NONE);
    ranges_are(p, 2, info);
    assert_ptr_equal(p->work.indexer.ix, ix);
    segment(p, FOOTAGE_START_US + 60 * US_PER_S, false, &info[2]);
    tick(p);
    ranges_are(p, 3, info);
}

static void start(struct place *p)
{
    work_init(&p->work, &p->conf, &ops, p);
    work_keep_ready(&p->work);
    for (int i = 0; i < 3; i++) tick(p);
    assert_non_null(p->work.indexer.ix);
}

static void in_index(const struct place *p, const char *name, const char *now)
{
    char path[4300], to[4300];

    snprintf(path, sizeof(path), "%s/.index/%s", p->conf.path, name);
    snprintf(to, sizeof(to), "%s/.index/%s", p->conf.path, now ? now : "");
    assert_int_equal(now ? rename(path, to) : unlink(path), 0);
}

/* --- locks --- */

/* Out of memory, index and copy; what holds stays. */
static void locks_released_long_ago_go(void **state)
{
    struct place *p = *state;
    struct index_lock got[4], l = {.uid = "cam-1", .start_us = FOOTAGE_START_US, .version_us = 1};
    struct locks *all = &p->work.keep.locks;
    size_t n;

    l.end_us = l.start_us + 1;
    for (l.id = 1; l.id <= 3; l.id++) {
        l.released_us = l.id == 1 ? 0 : clock_wall_us() - (l.id == 2 ? 2 * LOCKS_RELEASED_US : 0);
        work_job(&p->work, &(struct job){.kind = JOB_LOCK, .data = &l});
    }
    assert_int_equal(all->n, 3);
    work_keep_ready(&p->work);
    for (int i = 0; i < 2; i++) tick(p);
    assert_int_equal(all->n, 2);
    assert_null(locks_find(all, "cam-1", 2));
    assert_int_equal(index_locks(p->work.indexer.ix, NULL, got, ARRAY_N(got), &n), INDEX_OK);
    assert_int_equal(n, 2);
    assert_true(got[0].id == 1 && got[1].id == 3);
    work_done(&p->work, p->now_us);
    in_index(p, "data.mdb", NULL);
    start(p);
    assert_int_equal(p->work.keep.locks.n, 2);
}

/* --- vacuum --- */

struct pages {
    unsigned n, told; /* all; those of how far it is */
};

static void page_came(void *arg, uint64_t id, uint32_t n, struct span rows)
{
    struct pages *p = arg;

    (void)id;
    p->n++;
    if (span_find_span(rows, SPAN_LIT("done")) < 0) return;
    p->told++;
    assert_int_equal(n, 1);
}

/* How far it is comes once a second, and only to who wants to know. */
static void a_vacuum_tells_how_far_it_is(void **state)
{
    struct place *p = *state;
    struct seg_info info;

    for (int i = 0; i < 3; i++) segment(p, FOOTAGE_START_US + i * 10 * US_PER_S, false, &info);
    tick(p);
    for (size_t n_args = 2; n_args <= 3; n_args++) {
        struct ask ask = {.command = ask_command(SPAN_LIT("archive vacuum")),
            .n_args = n_args,
            .args = {"", "no", "progress"}};
        struct pages pages = {0};
        struct work_vacuum *v;
        struct answer a;

        answer_init(&a, &ask, page_came, &pages);
        v = a.state;
        assert_true(work_vacuum(&p->work, &a));
        assert_int_equal(v->all, 3);
        v->said_us -= 5 * US_PER_S;
        while (work_vacuum(&p->work, &a)) continue;
        answer_flush(&a);
        assert_int_equal(a.code, CTL_OK);
        assert_int_equal(v->done, 3);
        assert_int_equal(pages.told, n_args - 2);
        assert_int_equal(pages.n, n_args - 1);
        answer_done(&a);
    }
}

/* --- events, and their copies --- */

static struct event event_at(uint64_t id, usec_t start_us, usec_t end_us)
{
    return (struct event){.id = id,
        .uid = "cam-1",
        .kind = "motion",
        .source = "call",
        .start_us = start_us,
        .end_us = end_us,
        .before_us = 10 * US_PER_S,
        .after_us = 30 * US_PER_S,
        .payload = "who"};
}

static void put_event(struct place *p, uint64_t id, usec_t start_us, usec_t end_us)
{
    struct event e = event_at(id, start_us, end_us);

    work_job(&p->work, &(struct job){.kind = JOB_EVENT, .data = &e});
    tick(p);
}

/* Its end; -1: not in the index. */
static usec_t end_of(const struct place *p, uint64_t id, usec_t start_us)
{
    struct event e;

    return index_event(p->work.indexer.ix, "cam-1", start_us, id, &e) == INDEX_OK ? e.end_us : -1;
}

/* With the index all is lost that only it knew; not the events, and not what they protect. */
static void events_outlive_the_index(void **state)
{
    struct place *p = *state;
    const struct keep_policy keep = {.duration_us = US_PER_S, .event_duration_us = 3650 * 86400 * US_PER_S};
    usec_t at_us = clock_wall_us() - 3600 * US_PER_S;
    struct seg_info held, gone, got;
    char path[4300];

    segment(p, at_us, false, &held);
    segment(p, at_us - 600 * US_PER_S, false, &gone);
    put_event(p, 7, at_us, 0);
    put_event(p, 7, at_us, at_us + US_PER_S);
    put_event(p, 8, at_us - 86400 * US_PER_S, at_us - 86400 * US_PER_S);
    tick(p);
    work_done(&p->work, p->now_us);
    in_index(p, "data.mdb", NULL);
    work_init(&p->work, &p->conf, &ops, p);
    work_job(&p->work, &(struct job){.kind = JOB_KEEP, .uid = "cam-1", .data = (void *)(uintptr_t)&keep});
    work_keep_ready(&p->work);
    p->now_us += US_PER_S;
    work_tick(&p->work, p->now_us);
    assert_true(work_copies_restoring(&p->work) && !work_keep_may_delete(&p->work)); /* not yet read */
    for (int i = 0; i < 20; i++) tick(p);
    assert_false(work_copies_restoring(&p->work) || p->work.indexer.rebuild);
    assert_true(end_of(p, 7, at_us) == at_us + US_PER_S);
    assert_true(end_of(p, 8, at_us - 86400 * US_PER_S) == at_us - 86400 * US_PER_S);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", gone.id, &got), INDEX_E_NONE);
    assert_int_equal(index_get(p->work.indexer.ix, "cam-1", held.id, &got), INDEX_OK);
    assert_true(p->gone.segments == 1 && p->gone.bytes == gone.bytes && p->gone.to_us == gone.end_us);
    snprintf(path, sizeof(path), "%s/cam-1/records/%s", p->conf.path, held.path);
    assert_int_equal(access(path, F_OK), 0);
}

/* A record that rots is written anew from its copy; one without a copy goes. Until then nobody can tell what
 * it protects. */
static void a_damaged_event_comes_back(void **state)
{
    struct place *p = *state;
    usec_t at_us = clock_wall_us() - 3600 * US_PER_S;
    struct event e = event_at(9, at_us + US_PER_S, at_us + US_PER_S);
    bool protects;

    put_event(p, 7, at_us, at_us + US_PER_S);
    assert_int_equal(index_events_put(p->work.indexer.ix, &e, 1), INDEX_OK);
    work_keep_ready(&p->work);
    damage_record(p, (uint64_t)at_us, 12);
    damage_record(p, (uint64_t)e.start_us, 12);
    assert_true(end_of(p, 7, at_us) == -1);
    assert_int_equal(
        index_event_protects(p->work.indexer.ix, "cam-1", at_us, at_us + 1, &protects), INDEX_E_DAMAGED);
    for (int i = 0; i < 8; i++) tick(p);
    assert_true(end_of(p, 7, at_us) == at_us + US_PER_S);
    assert_int_equal(index_event(p->work.indexer.ix, "cam-1", e.start_us, 9, &e), INDEX_E_NONE);
    assert_int_equal(
        index_event_protects(p->work.indexer.ix, "cam-1", at_us, at_us + 1, &protects), INDEX_OK);
    assert_true(protects);
    assert_int_equal(p->work.indexer.events, INDEXER_EVENTS_GOOD);
}

/* An index that an older version has made. */
static void events_from_before_there_were_copies(void **state)
{
    struct place *p = *state;
    usec_t at_us = clock_wall_us() - 3600 * US_PER_S;
    struct event e = event_at(9, at_us, at_us);

    tick(p);
    assert_true(event_file_complete(p->work.storage.fd));
    assert_int_equal(index_events_put(p->work.indexer.ix, &e, 1), INDEX_OK);
    assert_int_equal(unlinkat(p->work.storage.fd, EVENT_FILE_FOLDER "/complete", 0), 0);
    work_done(&p->work, p->now_us);
    start(p);
    assert_true(event_file_complete(p->work.storage.fd));
    work_done(&p->work, p->now_us);
    in_index(p, "data.mdb", "kept");
    start(p);
    assert_true(end_of(p, 9, at_us) == at_us);
}

/* Where its copy cannot be written an event is not in the index either: the master says it again. */
static void an_event_is_not_without_its_copy(void **state)
{
    struct place *p = *state;
    usec_t at_us = clock_wall_us() - 3600 * US_PER_S;
    char path[4300], away[4300];

    tick(p);
    snprintf(path, sizeof(path), "%s/" EVENT_FILE_FOLDER, p->conf.path);
    snprintf(away, sizeof(away), "%s/away", p->conf.path);
    assert_int_equal(rename(path, away), 0);
    assert_int_equal(symlink("away", path), 0);
    p->events = 0;
    put_event(p, 7, at_us, at_us);
    assert_true(end_of(p, 7, at_us) == -1);
    assert_int_equal(p->events, 0);
    assert_int_equal(unlink(path), 0);
    put_event(p, 7, at_us, at_us);
    assert_true(end_of(p, 7, at_us) == at_us);
    assert_int_equal(p->events, 1);
}

/* archive restore: what one side has lost comes back from the other. */
static void restoring_makes_index_and_copies_equal(void **state)
{
    struct place *p = *state;
    usec_t at_us = clock_wall_us() - 3600 * US_PER_S;
    struct index_lock l = {
        .uid = "cam-1", .id = 3, .start_us = at_us, .end_us = at_us + US_PER_S, .version_us = 1};
    const char *args[] = {"a", "copies"};
    struct event only = event_at(9, at_us, at_us + US_PER_S), lost = event_at(8, at_us, at_us + US_PER_S);
    struct index_lock got[2];
    size_t n;

    work_keep_ready(&p->work);
    tick(p);
    work_job(&p->work, &(struct job){.kind = JOB_LOCK, .data = &l});
    assert_int_equal(unlinkat(p->work.storage.fd, LOCK_FILE_NAME, 0), 0);
    assert_int_equal(index_events_put(p->work.indexer.ix, &only, 1), INDEX_OK);
    assert_int_equal(event_file_add(p->work.storage.fd, &lost, 1), 0);
    assert_int_equal(say(p, SPAN_LIT("archive restore"), args, 1), CTL_OK);
    assert_true(end_of(p, 8, at_us) == lost.end_us);
    assert_int_equal(say(p, SPAN_LIT("archive restore"), args, 2), CTL_OK);
    assert_true(work_keep_may_delete(&p->work));
    work_done(&p->work, p->now_us);
    in_index(p, "data.mdb", NULL);
    start(p);
    assert_true(end_of(p, 8, at_us) == lost.end_us && end_of(p, 9, at_us) == only.end_us);
    assert_int_equal(index_locks(p->work.indexer.ix, NULL, got, ARRAY_N(got), &n), INDEX_OK);
    assert_int_equal(n, 1);
    assert_true(got[0].id == 3 && got[0].released_us == 0);
    /* another storage is not meant */
    args[0] = "b";
    assert_int_equal(say(p, SPAN_LIT("archive restore"), args, 1), CTL_OK);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_place, drop_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_record_stays_when_its_file_cannot_be_read),
        TEST(a_damaged_segment_is_mended),
        TEST(failed_repairs_become_rare),
        TEST(recovery_ends_the_wait),
        TEST(what_a_sync_did_not_write_is_read_back),
        TEST(syncfs_is_not_believed_alone),
        TEST(what_is_older_than_this_boot_is_read_back),
        TEST(segments_to_come_hide_none),
        TEST(damaged_records_are_mended),
        TEST(locks_released_long_ago_go),
        TEST(a_vacuum_tells_how_far_it_is),
        TEST(events_outlive_the_index),
        TEST(a_damaged_event_comes_back),
        TEST(events_from_before_there_were_copies),
        TEST(an_event_is_not_without_its_copy),
        TEST(restoring_makes_index_and_copies_equal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
