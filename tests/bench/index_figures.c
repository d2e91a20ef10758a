/* Figures of the index at the size of a large site, each printed as one line of JSON:
 *
 *   index_figures make DIR CAMERAS SEGMENTS     an index of so many two-minute segments a camera
 *   index_figures mixed DIR CAMERAS SEGMENTS    the same as a keeper makes it: all cameras in turn
 *   index_figures files DIR CAMERAS SEGMENTS    a storage: sparse files with footers, events and locks with
 *                                               their copies, and their index as a keeper makes it in
 * DIR/.index index_figures rebuild DIR                   of such a storage: an index out of the files alone;
 * what differs, and the hashes of both index_figures read DIR CAMERAS SEGMENTS N cold|warm   N random days of
 * ranges, N random seconds index_figures start DIR clean|unclean       until the index is open
 *
 * Started by itself to check (archive/checker.h). */
#include "archive/event_file.h"
#include "archive/index_build.h"
#include "archive/indexer.h"
#include "archive/lock_file.h"
#include "archive/rebuild.h"
#include "archive/segbox.h"
#include "common/base/clock.h"
#include "common/base/crc.h"
#include "common/base/fd.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#define T0      (1700000000 * US_PER_S)
#define LENGTH  (120 * US_PER_S)
#define DAY_US  (86400 * US_PER_S)
#define GAP_ONE 5000 /* segments between two gaps of a camera */
#define BATCH                                                                                                \
    1000 /* segments of one durable transaction, as a keeper with 1,000 cameras has them in 2 minutes */

static struct seg_info info;

/* splitmix64: the same footage at every run. */
static uint64_t mix(uint64_t x)
{
    x += 0x9e3779b97f4a7c15ull;
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ull;
    x = (x ^ x >> 27) * 0x94d049bb133111ebull;
    return x ^ x >> 31;
}

static void segment(unsigned camera, unsigned n)
{
    uint64_t r = mix((uint64_t)camera << 32 | n);

    info.start_us = T0 + n * LENGTH + (usec_t)(camera % 120) * US_PER_S + (usec_t)(r % 1000);
    info.end_us = info.start_us + LENGTH - (n % GAP_ONE == camera % GAP_ONE ? 10 * US_PER_S : 0);
    info.id = (uint64_t)(info.start_us / US_PER_MS) << 8 | (r & 3);
    snprintf(info.uid, sizeof(info.uid), "camera-%05u", camera);
    seg_path_of(info.id, info.path);
    info.bytes = 30000000 + r % 2000000;
    info.table_at = info.bytes - 40000 - r % 1000;
    info.samples = 8640;
    info.tracks_hash = mix(camera);
    info.base_dts[0] = (int64_t)n * 90000 * 120;
    info.base_dts[1] = (int64_t)n * 48000 * 120;
    info.clock = SEG_CLOCK_CAMERA;
    info.clock_offset_us = (int64_t)(r >> 20 & 0xfffff);
    info.crc = (uint32_t)r;
    info.n_keys = 30;
    for (uint16_t i = 0; i < 30; i++)
        info.keys[i] =
            (struct seg_key){i * 4000u + (uint32_t)(r >> i & 7), i * 288u + (uint32_t)(r >> i & 1)};
}

static uint64_t file_bytes(const char *dir)
{
    char path[4096];
    struct stat st;

    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    return stat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static int told(const char *dir, uint64_t n, usec_t from_us)
{
    printf("{\"segments\": %llu, \"bytes\": %llu, \"bytes_a_segment\": %.1f, \"seconds\": %.2f}\n",
        (unsigned long long)n, (unsigned long long)file_bytes(dir), (double)file_bytes(dir) / (double)n,
        (double)(clock_mono_us() - from_us) / 1e6);
    return 0;
}

static int make(const char *dir, unsigned cameras, unsigned segments)
{
    usec_t from_us = clock_mono_us();
    struct index_build *b;
    int err = index_build_new(dir, &b);

    if (err) return 1;
    for (unsigned c = 0; c < cameras; c++)
        for (unsigned n = 0; n < segments; n++) {
            segment(c, n);
            if (index_build_add(b, &info)) return 1;
        }
    return index_build_end(b) ? 1 : told(dir, (uint64_t)cameras * segments, from_us);
}

static int make_dirs(const char *path)
{
    char part[4096];

    for (size_t i = 1; path[i]; i++) {
        if (path[i] != '/') continue;
        snprintf(part, sizeof(part), "%.*s", (int)i, path);
        if (mkdir(part, 0755) < 0 && errno != EEXIST) return -errno;
    }
    return 0;
}

/* Only the footer is there; what lies before it is a hole. Completes info. */
static int sparse_file(const char *dir)
{
    static const uint8_t table[200];
    CLEANUP(fd_close) int fd = -1;
    struct buf head, tail;
    char path[4096];
    bool ok;

    snprintf(path, sizeof(path), "%s/%s/records/%s", dir, info.uid, info.path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0 && (errno != ENOENT || make_dirs(path))) return -1;
    if (fd < 0) fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    buf_init(&head, 1024);
    buf_init(&tail, SEGBOX_INFO_MAX);
    ok = fd >= 0 && segbox_footer(&head, &tail, span(table, sizeof(table)), &info);
    ok = ok && lseek(fd, (off_t)info.table_at, SEEK_SET) >= 0 && !fd_write_all(fd, buf_span(&head)) &&
        !fd_write_all(fd, span(table, sizeof(table))) && !fd_write_all(fd, buf_span(&tail));
    buf_done(&head);
    buf_done(&tail);
    return ok ? 0 : -1;
}

/* storage: that its files are made in, too; NULL: none are. */
static int mixed(const char *dir, const char *storage, unsigned cameras, unsigned segments)
{
    const struct seg_info **list = mem_new(BATCH * sizeof(struct seg_info *));
    usec_t from_us = clock_mono_us();
    struct index *ix;
    size_t n = 0;

    for (size_t i = 0; i < BATCH; i++) list[i] = NEW(struct seg_info);
    if (index_open(dir, &ix)) return 1;
    for (unsigned s = 0; s < segments; s++)
        for (unsigned c = 0; c < cameras; c++) {
            segment(c, s);
            if (storage && sparse_file(storage)) return 1;
            memcpy((void *)(uintptr_t)list[n++], &info, sizeof(info));
            if (n < BATCH && (s + 1 < segments || c + 1 < cameras)) continue;
            if (index_put(ix, list, n)) return 1;
            n = 0;
        }
    index_close(ix);
    return told(dir, (uint64_t)cameras * segments, from_us);
}

/* Of each camera an event an hour, and a lock a day. */
static int orders(const char *dir, const char *index, unsigned cameras, unsigned segments)
{
    CLEANUP(fd_close) int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CLEANUP(mem_freep) struct event *e = mem_new_n(cameras, sizeof(*e));
    struct index *ix;
    int err = fd < 0 ? -1 : index_open(index, &ix);

    if (err) return 1;
    for (unsigned h = 0; !err && h < segments * (LENGTH / US_PER_S) / 3600; h++) {
        usec_t at_us = T0 + (usec_t)h * 3600 * US_PER_S;

        for (unsigned c = 0; c < cameras; c++) {
            e[c] = (struct event){.id = (uint64_t)h << 32 | c, .start_us = at_us + c, .kind = "motion"};
            e[c].end_us = e[c].start_us + 5 * US_PER_S;
            snprintf(e[c].uid, sizeof(e[c].uid), "camera-%05u", c);
        }
        err = event_file_add(fd, e, cameras);
        if (!err) err = index_events_put(ix, e, cameras);
        for (unsigned c = 0; !err && h % 24 == 0 && c < cameras; c++) {
            struct index_lock l = {
                .id = e[c].id, .start_us = at_us, .end_us = at_us + US_PER_S, .version_us = at_us};

            memcpy(l.uid, e[c].uid, sizeof(l.uid));
            err = lock_file_add(fd, &l);
            if (!err) err = index_locks_put(ix, &l, 1);
        }
    }
    index_close(ix);
    return err ? 1 : 0;
}

static int files(const char *dir, unsigned cameras, unsigned segments)
{
    char index[4096];
    int err;

    snprintf(index, sizeof(index), "%s/.index", dir);
    err = mkdir(index, 0750) ? 1 : mixed(index, dir, cameras, segments);
    return err ? err : orders(dir, index, cameras, segments);
}

/* --- reading --- */

static int smaller_first(const void *a, const void *b)
{
    const usec_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static double ms_at(const usec_t *v, size_t n, unsigned percent)
{
    size_t at = n * percent / 100;

    return (double)v[MIN(at, n - 1)] / 1e3;
}

/* What nobody maps leaves the page cache. */
static void make_cold(const char *dir)
{
    CLEANUP(fd_close) int fd = -1;
    char path[4096];

    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fdatasync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED)) exit(1);
}

static usec_t ask_day(struct index *ix, const char *uid, usec_t at_us)
{
    struct index_query q = {.uid = uid, .from_us = at_us, .to_us = at_us + DAY_US};
    struct index_range r[64];
    usec_t from_us = clock_mono_us();
    size_t n;

    if (index_ranges(ix, &q, r, ARRAY_N(r), &n) || n == 0) exit(1);
    return clock_mono_us() - from_us;
}

/* The segment of a second, and the key frame to begin at. */
static usec_t ask_second(struct index *ix, const char *uid, usec_t at_us)
{
    struct index_query q = {.uid = uid, .from_us = at_us, .to_us = at_us + US_PER_S};
    usec_t from_us = clock_mono_us();
    size_t n, key = 0;

    if (index_segments(ix, &q, &info, 1, &n)) exit(1);
    while (n && key + 1 < info.n_keys && info.start_us + info.keys[key + 1].at_ms * US_PER_MS <= at_us) key++;
    return clock_mono_us() - from_us;
}

static int read_all(const char *dir, unsigned cameras, unsigned segments, unsigned n, bool cold)
{
    usec_t *days = mem_new(n * sizeof(*days)), *seconds = mem_new(n * sizeof(*seconds));
    struct index *ix;

    if (cold) make_cold(dir);
    if (index_open_ro(dir, &ix)) return 1;
    for (int round = cold ? 1 : 0; round < 2; round++) /* the first one warms */
        for (unsigned i = 0; i < n; i++) {
            uint64_t r = mix(i), t = mix(r);
            char uid[40];
            usec_t span_us = segments * LENGTH, day_us = (usec_t)(t % (uint64_t)MAX(span_us - DAY_US, 1));

            snprintf(uid, sizeof(uid), "camera-%05u", (unsigned)(r % cameras));
            seconds[i] = ask_second(ix, uid, T0 + 120 * US_PER_S + (usec_t)(mix(t) % (uint64_t)span_us));
            days[i] = ask_day(ix, uid, T0 + day_us);
        }
    index_close(ix);
    qsort(days, n, sizeof(*days), smaller_first);
    qsort(seconds, n, sizeof(*seconds), smaller_first);
    printf("{\"queries\": %u, \"cold\": %s, \"day_ms\": {\"median\": %.3f, \"p99\": %.3f, \"max\": %.3f}, "
           "\"second_ms\": {\"median\": %.3f, \"p99\": %.3f, \"max\": %.3f}}\n",
        n, cold ? "true" : "false", ms_at(days, n, 50), ms_at(days, n, 99), ms_at(days, n, 100),
        ms_at(seconds, n, 50), ms_at(seconds, n, 99), ms_at(seconds, n, 100));
    return 0;
}

/* --- starting --- */

static int start(const char *dir, bool clean)
{
    char flag[4096];
    struct indexer x;
    usec_t from_us, open_us;
    int err, fd;

    snprintf(flag, sizeof(flag), "%s/clean", dir);
    fd = clean ? open(flag, O_WRONLY | O_CREAT | O_CLOEXEC, 0640) : -1;
    fd_close(&fd);
    if (!clean) unlink(flag);
    make_cold(dir);
    from_us = clock_mono_us();
    indexer_init(&x);
    err = indexer_begin(&x, dir);
    while (!err && !x.ix) {
        struct pollfd p = {.fd = x.checker.fd, .events = POLLIN};

        poll(&p, 1, 100);
        indexer_step(&x, clock_mono_us(), &err);
    }
    open_us = clock_mono_us() - from_us;
    indexer_close(&x, true);
    printf("{\"clean\": %s, \"err\": %d, \"seconds\": %.3f}\n", clean ? "true" : "false", err,
        (double)open_us / 1e6);
    return err ? 1 : 0;
}

/* --- rebuilding --- */

/* Every range and every segment, one behind the other. */
static uint32_t hash_stream(struct index *ix, const struct index_total *t, uint32_t crc)
{
    struct index_query q = {.uid = t->uid, .from_us = 0, .to_us = INT64_MAX};
    struct index_range r;
    size_t n;

    crc = crc32c(crc, span_of(t->uid));
    crc = crc32c(crc, span(&t->bytes, sizeof(t->bytes)));
    crc = crc32c(crc, span(&t->segments, sizeof(t->segments)));
    for (; index_ranges(ix, &q, &r, 1, &n) == INDEX_OK && n == 1; q.from_us = r.end_us)
        crc = crc32c(crc, span(&r, sizeof(r)));
    for (q.from_us = 0; index_segments(ix, &q, &info, 1, &n) == INDEX_OK && n == 1; q.after_id = info.id) {
        crc = crc32c(crc, span(&info, offsetof(struct seg_info, keys)));
        crc = crc32c(crc, span(info.keys, info.n_keys * sizeof(info.keys[0])));
    }
    return crc;
}

/* Every event, and every lock. */
static uint32_t hash_orders(struct index *ix, uint32_t crc)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);
    struct index_event_at at = {.n = 0};
    struct index_lock l;
    size_t n;
    int err = index_locks(ix, NULL, &l, 1, &n);

    for (; err == INDEX_OK && n == 1; err = index_locks(ix, &l, &l, 1, &n))
        crc = crc32c(crc, span(&l, sizeof(l)));
    while (!at.end && index_events(ix, &EVENT_QUERY_ALL, &at, e, 1, &n) == INDEX_OK)
        if (n > 0) crc = crc32c(crc, span(e, sizeof(*e)));
    return crc;
}

static uint32_t hash(const char *dir, uint64_t *ret_segments)
{
    struct index_total t = {0};
    struct index *ix;
    uint32_t crc = 0;
    size_t n;

    *ret_segments = 0;
    if (index_open_ro(dir, &ix)) return 0;
    while (index_totals(ix, t.uid, &t, 1, &n) == INDEX_OK && n == 1) {
        crc = hash_stream(ix, &t, crc);
        *ret_segments += t.segments;
    }
    crc = hash_orders(ix, crc);
    index_close(ix);
    return crc;
}

static void on_fault(void *arg, enum rebuild_fault f, const char *uid, uint64_t id)
{
    (void)arg;
    fprintf(stderr, "%s %s %llx\n", rebuild_fault_name(f), uid, (unsigned long long)id);
}

static void on_alive(void *arg, uint64_t done, uint64_t all)
{
    (void)arg, (void)done, (void)all;
}

static int rebuild(const char *path)
{
    char used[4096], made[4096];
    struct storage storage;
    struct rebuild r = {.storage = &storage, .dir = made, .found = on_fault, .alive = on_alive};
    usec_t from_us = clock_mono_us();
    uint64_t segments, again;
    uint32_t was, is;
    int err;

    snprintf(used, sizeof(used), "%s/.index", path);
    snprintf(made, sizeof(made), "%s/.made", path);
    storage_init(&storage, path, (struct retention_floor){0});
    storage.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (storage.fd < 0 || mkdir(made, 0700) || index_open_ro(used, &r.ix)) return 1;
    err = rebuild_run(&r);
    from_us = clock_mono_us() - from_us;
    index_close(r.ix);
    storage_close(&storage);
    was = hash(used, &segments);
    is = hash(made, &again);
    printf(
        "{\"segments\": %llu, \"made\": %llu, \"faults\": %llu, \"hash\": \"%08x\", \"made_hash\": \"%08x\", "
        "\"seconds\": %.2f}\n",
        (unsigned long long)segments, (unsigned long long)again, (unsigned long long)r.faults, was, is,
        (double)from_us / 1e6);
    return err ? 1 : 0;
}

static unsigned number(const char *s)
{
    uint64_t v;

    if (!span_u64(span_of(s), UINT32_MAX, &v) || v == 0) exit(2);
    return (unsigned)v;
}

int main(int argc, char **argv)
{
    int checked = checker_main(argc, argv);

    if (checked >= 0) return checked;
    if (argc == 5 && strcmp(argv[1], "make") == 0) return make(argv[2], number(argv[3]), number(argv[4]));
    if (argc == 5 && strcmp(argv[1], "files") == 0) return files(argv[2], number(argv[3]), number(argv[4]));
    if (argc == 5 && strcmp(argv[1], "mixed") == 0)
        return mixed(argv[2], NULL, number(argv[3]), number(argv[4]));
    if (argc == 7 && strcmp(argv[1], "read") == 0)
        return read_all(
            argv[2], number(argv[3]), number(argv[4]), number(argv[5]), strcmp(argv[6], "cold") == 0);
    if (argc == 4 && strcmp(argv[1], "start") == 0) return start(argv[2], strcmp(argv[3], "clean") == 0);
    if (argc == 3 && strcmp(argv[1], "rebuild") == 0) return rebuild(argv[2]);
    fprintf(stderr, "usage: see the top of tests/bench/index_figures.c\n");
    return 2;
}
