#include "archive/rebuild.h"
#include "archive/index_build.h"
#include "archive/reader.h"
#include "archive/rebuild_copies.h"
#include "archive/repair.h"
#include "archive/scan.h"
#include "archive/segrow.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#define UID_MAX 40

/* A segment of the stream that is being read, as its record. */
struct row {
    uint64_t id;
    uint8_t *p;
    size_t n;
};
struct making {
    struct rebuild *r;
    int records_fd;
    struct seg_info *info;
    struct row *rows;
    size_t n;
    unsigned left; /* SCAN_* */
};

const char *rebuild_fault_name(enum rebuild_fault f)
{
    static const char *const names[REBUILD_FAULTS] = {
        [REBUILD_UNKNOWN] = "not in the index",
        [REBUILD_GONE] = "not on the disk",
        [REBUILD_DIFFERS] = "differs",
        [REBUILD_DAMAGED] = "damaged",
        [REBUILD_SUM] = "checksum differs",
        [REBUILD_RANGES] = "ranges differ",
        [REBUILD_TOTAL] = "total differs",
        [REBUILD_EVENT] = "event differs",
        [REBUILD_UNCOPIED] = "event without its copy",
        [REBUILD_LOCK] = "lock differs",
    };

    return names[f];
}

bool rebuild_fault_of_segment(enum rebuild_fault f)
{
    return f <= REBUILD_SUM;
}

static void tell(struct rebuild *r)
{
    r->alive(r->arg, r->done, MAX(r->all, r->done));
}

/* --- one segment --- */

/* What the index alone may know is that a segment was found damaged when it was read back, and which node
 * recorded it: not every file system keeps that beside the file (origin.h). */
static bool same(struct seg_info *x, struct seg_info *y)
{
    uint8_t mx[SEGROW_MAX], my[SEGROW_MAX];
    struct wr wx = wr_of(mx, sizeof(mx)), wy = wr_of(my, sizeof(my));

    x->flags = (x->flags & SEG_FLAGS_OF_FILE) | SEG_DAMAGED;
    y->flags = (y->flags & SEG_FLAGS_OF_FILE) | SEG_DAMAGED;
    segrow_write(&wx, x);
    segrow_write(&wy, y);
    return span_eq(wr_span(&wx), wr_span(&wy));
}

/* Of a file without a footer: its writer has something newer in the index. */
static bool gone_on(struct rebuild *r, const char *uid, uint64_t id)
{
    CLEANUP(mem_freep) struct seg_info *last = NEW(struct seg_info);

    return index_last(r->ix, uid, last) == INDEX_OK && last->id > id &&
        last->start_us < clock_wall_us() - REBUILD_YOUNG_US;
}

static bool is_missing(int err)
{
    return err == -ENOENT || err == -ENOTDIR || err == -ELOOP;
}

/* As the file and the index are now. */
static void judge(struct rebuild *r, const char *uid, uint64_t id)
{
    CLEANUP(mem_freep) struct seg_info *in = NEW(struct seg_info), *on = NEW(struct seg_info);
    CLEANUP(fd_close) int records = -1;
    int look = storage_records_ro(r->storage, uid, &records), get = index_get(r->ix, uid, id, in);
    enum rebuild_fault f = REBUILD_DIFFERS;

    if (index_broken(r->ix)) return; /* says nothing of anything */
    if (look == 0) look = repair_look(records, uid, id, on);
    if (look == SEG_OK && get == INDEX_OK && same(in, on)) return;
    if (look < 0 && get == INDEX_E_NONE) return;
    if (get == INDEX_E_NONE) {
        if (look == SEG_OK ? on->end_us > clock_wall_us() - REBUILD_YOUNG_US : !gone_on(r, uid, id)) return;
        if (index_is_trash(r->ix, uid, id)) return;
        f = look == SEG_OK ? REBUILD_UNKNOWN : REBUILD_DAMAGED;
    } else if (look != SEG_OK) {
        f = is_missing(look) ? REBUILD_GONE : REBUILD_DAMAGED;
    }
    r->faults++;
    r->found(r->arg, f, uid, id);
}

/* --- the new one --- */

/* Reads the footer, and says that it is known: nothing else is done to it. */
static bool take(void *arg, const char *uid, uint64_t id)
{
    struct making *m = arg;
    uint8_t mem[SEGROW_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    int look = repair_look(m->records_fd, uid, id, m->info);

    if (look == SEG_OK) {
        segrow_write(&w, m->info);
        if ((m->n & (m->n - 1)) == 0) m->rows = mem_renew(m->rows, MAX(m->n * 2, 16) * sizeof(*m->rows));
        m->rows[m->n++] = (struct row){id, mem_dup(mem, w.n), w.n};
    } else if (look > 0 && index_get(m->r->ix, uid, id, m->info) == INDEX_E_NONE) {
        judge(m->r, uid, id);
    }
    m->r->done++;
    tell(m->r);
    return true;
}

static usec_t from_the_first(void *arg, const char *uid)
{
    (void)arg;
    (void)uid;
    return 0;
}

static void folder_done(void *arg, const char *uid, unsigned left)
{
    struct making *m = arg;

    (void)uid;
    m->left |= left;
}

/* The others are for segments that are not known. */
static const struct scan_ops scan_ops = {.known = take, .newest = from_the_first, .done = folder_done};

static int by_id(const void *a, const void *b)
{
    const struct row *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

static int add_stream(struct making *m, struct index_build *b, const char *uid)
{
    int err = INDEX_OK;

    if (m->n > 0) qsort(m->rows, m->n, sizeof(*m->rows), by_id);
    for (size_t i = 0; i < m->n; i++) {
        if (!err && segrow_read(span(m->rows[i].p, m->rows[i].n), uid, m->rows[i].id, m->info))
            err = index_build_add(b, m->info);
        mem_free(m->rows[i].p);
    }
    m->n = 0;
    return err;
}

static int make_stream(struct rebuild *r, struct index_build *b, const char *uid)
{
    struct making m = {.r = r, .records_fd = -1};
    struct scan *scan;
    int err = storage_records_ro(r->storage, uid, &m.records_fd);

    if (err) return err == -ENOENT || err == -ENOTDIR || err == -ELOOP ? INDEX_OK : err;
    m.info = NEW(struct seg_info);
    scan = scan_new(r->storage, &scan_ops, &m);
    scan_uid(scan, uid);
    while (scan_step(scan)) continue;
    scan_free(scan);
    err = add_stream(&m, b, uid);
    if (!err && m.left & SCAN_FAILED) err = -EIO; /* a folder could not be read: nothing follows from it */
    mem_free(m.rows);
    mem_free(m.info);
    fd_close(&m.records_fd);
    return err;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(a, b);
}

/* Folders that may be streams', in the index's order. */
static int list_streams(const struct storage *s, char (**ret)[UID_MAX], size_t *ret_n)
{
    int fd = openat(s->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    char(*v)[UID_MAX] = NULL;
    size_t n = 0;

    if (!d) {
        int err = -errno;

        fd_close(&fd);
        return err;
    }
    /* the stream is this thread's own: */
    /* cppcheck-suppress readdirCalled */
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        if (!seg_uid_ok(e->d_name) || strlen(e->d_name) >= UID_MAX) continue;
        if ((n & (n - 1)) == 0) v = mem_renew(v, MAX(n * 2, 16) * sizeof(*v));
        span_copy(span_of(e->d_name), v[n++], UID_MAX);
    }
    closedir(d);
    if (n > 0) qsort(v, n, sizeof(*v), by_name);
    *ret = v;
    *ret_n = n;
    return 0;
}

static int make(struct rebuild *r)
{
    struct index_build *b = NULL;
    char(*uids)[UID_MAX] = NULL;
    size_t n = 0;
    int err = list_streams(r->storage, &uids, &n);

    if (!err) err = index_build_new(r->dir, &b);
    for (size_t i = 0; !err && i < n; i++) err = make_stream(r, b, uids[i]);
    if (!err)
        err = index_build_end(b);
    else
        index_build_drop(b);
    mem_free(uids);
    return err;
}

/* --- is the other its equal? --- */

static void still_alive(void *arg)
{
    tell(arg);
}

/* Both say the same of it: do its bytes too? */
static void check_sum(struct rebuild *r, const char *uid, const struct seg_info *info)
{
    const struct segproof_watch watch = {still_alive, r};
    CLEANUP(fd_close) int records = -1;
    int err = storage_records_ro(r->storage, uid, &records);

    if (err == 0) err = repair_verify(records, info, &watch);
    r->done++;
    tell(r);
    if (err == SEG_OK || is_missing(err)) return;
    if (err == SEG_E_NO_FOOTER) {
        judge(r, uid, info->id); /* it has changed meanwhile */
        return;
    }
    r->faults++;
    r->found(r->arg, REBUILD_SUM, uid, info->id);
}

/* One side of a comparison: a stream's segments in order. */
struct side {
    struct index *ix;
    struct index_query q;
    struct seg_info *at;
    bool some;
    int err;
};

static void side_next(struct side *s)
{
    size_t n = 0;
    int err;

    if (s->some) s->q.after_id = s->at->id;
    err = index_segments(s->ix, &s->q, s->at, 1, &n);
    s->err = MAX(s->err, err);
    s->some = n > 0;
}

static int compare_segments(struct rebuild *r, struct index *made, const char *uid)
{
    const struct index_query all = {.uid = uid, .to_us = INT64_MAX};
    struct side x = {made, all, NEW(struct seg_info), false, 0},
                y = {r->ix, all, NEW(struct seg_info), false, 0};

    side_next(&x);
    side_next(&y);
    while (x.some || y.some) {
        bool left = x.some && (!y.some || x.at->id <= y.at->id);
        bool right = y.some && (!x.some || y.at->id <= x.at->id);
        uint64_t id = left ? x.at->id : y.at->id;

        r->segments++;
        if (!left || !right || !same(x.at, y.at))
            judge(r, uid, id);
        else if (r->sum)
            check_sum(r, uid, x.at);
        if (left) side_next(&x);
        if (right) side_next(&y);
    }
    mem_free(x.at);
    mem_free(y.at);
    return MAX(x.err, y.err);
}

/* The first range of the window, cut to it. */
static bool range_next(struct index *ix, struct index_query *q, struct index_range *ret)
{
    size_t n = 0;

    if (q->from_us >= q->to_us || index_ranges(ix, q, ret, 1, &n) < 0 || n == 0) return false;
    ret->start_us = MAX(ret->start_us, q->from_us);
    ret->end_us = MIN(ret->end_us, q->to_us);
    q->from_us = ret->end_us;
    return true;
}

/* Where both know segments: at its front the archive is deleted, at its end it grows. */
static bool window(struct rebuild *r, struct index *made, const char *uid, struct index_query *ret)
{
    CLEANUP(mem_freep) struct seg_info *x = NEW(struct seg_info), *y = NEW(struct seg_info);

    *ret = (struct index_query){.uid = uid};
    if (index_first(made, uid, x) || index_first(r->ix, uid, y)) return false;
    ret->from_us = MAX(x->start_us, y->start_us);
    if (index_last(made, uid, x) || index_last(r->ix, uid, y)) return false;
    ret->to_us = MIN(x->end_us, y->end_us);
    return ret->from_us < ret->to_us;
}

static void compare_ranges(struct rebuild *r, struct index *made, const char *uid)
{
    struct index_range a, b;
    struct index_query x, y;

    if (!window(r, made, uid, &x)) return;
    y = x;
    for (;;) {
        bool some = range_next(made, &x, &a), other = range_next(r->ix, &y, &b);

        if (!some && !other) return;
        if (some != other || a.start_us != b.start_us || a.end_us != b.end_us) break;
    }
    r->faults++;
    r->found(r->arg, REBUILD_RANGES, uid, 0);
}

/* Whatever is deleted or comes meanwhile: total and segments are counted in turn until two totals agree. */
static void compare_total(struct rebuild *r, const char *uid)
{
    struct index_total t, again = {0};
    struct seg_info *s = NEW(struct seg_info);

    for (int tries = 0; tries < 10; tries++) {
        struct index_query q = {.uid = uid, .to_us = INT64_MAX};
        struct index_total sum = {0};
        size_t n;
        int err = index_total(r->ix, uid, &t);

        if (err == INDEX_E_DAMAGED) {
            r->faults++;
            r->found(r->arg, REBUILD_TOTAL, uid, 0);
        }
        if (err) break;
        while (index_segments(r->ix, &q, s, 1, &n) >= 0 && n > 0) {
            sum.segments++;
            sum.bytes += s->bytes;
            q.after_id = s->id;
        }
        if (sum.segments == t.segments && sum.bytes == t.bytes) break;
        if (index_total(r->ix, uid, &again) || again.segments != t.segments || again.bytes != t.bytes)
            continue;
        r->faults++;
        r->found(r->arg, REBUILD_TOTAL, uid, 0);
        break;
    }
    mem_free(s);
}

static int compare_stream(struct rebuild *r, struct index *made, const char *uid)
{
    uint64_t before = r->faults;
    int err = compare_segments(r, made, uid);

    if (err < 0 || r->faults > before) return err; /* the others follow from it */
    compare_ranges(r, made, uid);
    compare_total(r, uid);
    return err;
}

static int compare(struct rebuild *r, struct index *made)
{
    struct index_total x = {0}, y = {0};
    size_t nx, ny;
    int err = index_totals(made, "", &x, 1, &nx), worst = INDEX_OK;

    if (err >= 0) err = index_totals(r->ix, "", &y, 1, &ny);
    while (err >= 0 && (nx > 0 || ny > 0)) {
        int order = nx == 0 ? 1 : ny == 0 ? -1 : strcmp(x.uid, y.uid);

        worst = MAX(worst, err);
        err = compare_stream(r, made, order <= 0 ? x.uid : y.uid);
        worst = MAX(worst, err);
        if (err >= 0 && order <= 0) err = index_totals(made, x.uid, &x, 1, &nx);
        if (err >= 0 && order >= 0) err = index_totals(r->ix, y.uid, &y, 1, &ny);
    }
    return err < 0 ? err : worst;
}

int rebuild_run(struct rebuild *r)
{
    struct index_total t = {0};
    struct index *made = NULL;
    size_t n = 1;
    int err = INDEX_OK, copies;

    while (err >= 0 && n > 0) {
        err = index_totals(r->ix, t.uid, &t, 1, &n);
        if (n > 0) r->all += t.segments * (r->sum ? 2 : 1);
    }
    if (err >= 0) err = make(r);
    if (err >= 0) err = rebuild_copies_make(r);
    if (err >= 0) err = index_open_ro(r->dir, &made);
    if (err) return err;
    err = compare(r, made);
    copies = err < 0 ? err : rebuild_copies_compare(r, made);
    index_close(made);
    return copies < 0 ? copies : MAX(err, copies);
}
