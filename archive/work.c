#include "archive/work.h"
#include "archive/reader.h"
#include "archive/repair.h"
#include "archive/work_ask.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/wr.h"

#include <errno.h>
#include <unistd.h>

#define REPORT_US      (10 * US_PER_S)
#define REOPEN_US      US_PER_S /* a missing storage is looked for, an index that failed opened again */
#define RECHECK_US     (10 * US_PER_S)   /* a check of the index that could not be made */
#define RELOOK_US      (2 * US_PER_S)    /* folders that had something left */
#define BATCH_US       (200 * US_PER_MS) /* of scanning, between two looks at the clock's work */
#define RETRY_MOST_US  (300 * US_PER_S)  /* RELOOK_US, doubled up to this: folders where the disk said no */
#define PENDING_COMMIT 1000              /* segments that wait: committed at once */
#define INDEX_FOLDER   ".index"

/* A stream that has a folder here. */
struct writer {
    uint64_t open_id; /* 0: none */
};

static void tell_state(struct work *w, usec_t now_us, bool always)
{
    struct disk_report r = {.state = w->storage.state,
        .err = w->storage.err,
        .total = w->storage.total,
        .free = w->storage.free,
        .files = w->storage.files,
        .files_free = w->storage.files_free};

    work_keep_report(w, &r);
    memcpy(r.uuid, w->storage.uuid, sizeof(r.uuid));
    if (!always && r.state == w->told.state && r.err == w->told.err && strcmp(r.uuid, w->told.uuid) == 0 &&
        (r.ahead_us > 0) == (w->told.ahead_us > 0) && now_us - w->report_us < REPORT_US)
        return;
    w->told = r;
    w->report_us = now_us;
    w->ops->on_state(w->arg, &r);
}

static void failed(struct work *w, const char *what, int err)
{
    uint32_t held;

    if (log_limited(&w->errors, clock_mono_us(), &held))
        log_warn("storage-error", "storage=%s what=%s err=%s held=%u", w->conf->name, what,
            log_q(span_of(err < 0 ? err_text(err) : "damaged")), held);
    storage_look(&w->storage, true);
}

/* --- the index and what waits for it --- */

static void look_again(struct work *w, const char *uid)
{
    map_set(&w->relook, span_of(uid), w);
}

static bool scan_known(void *arg, const char *uid, uint64_t id)
{
    struct work *w = arg;
    struct seg_info info;

    return w->indexer.ix &&
        (index_get(w->indexer.ix, uid, id, &info) == INDEX_OK || pending_is_doubtful(&w->pending, uid, id) ||
            index_is_trash(w->indexer.ix, uid, id));
}

static bool scan_writing(void *arg, const char *uid, uint64_t id)
{
    struct work *w = arg;
    struct writer *writer = map_get(&w->writers, span_of(uid));

    return writer && writer->open_id == id;
}

/* A clock that was ahead once has left segments that are still to come: what was written since lies before
 * them. */
static usec_t scan_newest(void *arg, const char *uid)
{
    struct work *w = arg;
    struct seg_info info;

    if (w->indexer.rebuild || !w->indexer.ix ||
        index_last_by(w->indexer.ix, uid, clock_wall_us(), &info) != INDEX_OK)
        return 0;
    return info.start_us;
}

/* A power cut takes what no syncfs has covered, and of that a footer may be on the disk and the pages before
 * it not. What began before this boot and did not come into the index is read back. Not when the whole index
 * is built anew: that would be the whole storage. What was repaired has been read then. */
static bool may_have_holes(const struct work *w, const struct seg_info *info)
{
    return !w->indexer.rebuild && !(info->flags & SEG_RECOVERED) &&
        info->start_us < clock_wall_us() - clock_boot_us();
}

static void scan_found(void *arg, const struct seg_info *info)
{
    struct work *w = arg;

    if (!pending_add(&w->pending, info, may_have_holes(w, info))) look_again(w, info->uid);
}

/* A footer needs little room: the floor of a full storage has it. What has failed has its turn in retry(). */
static bool scan_may_repair(void *arg, const char *uid)
{
    const struct work *w = arg;

    return !w->repairs_off && (w->storage.state == STORAGE_OK || w->storage.state == STORAGE_FULL) &&
        !map_get(&w->retry, span_of(uid));
}

static void scan_unrepaired(void *arg, const char *uid, int err)
{
    struct work *w = arg;

    map_set(&w->retry, span_of(uid), w);
    failed(w, "repair", err);
    if (w->storage.state != STORAGE_OK) w->repairs_off = true;
}

static void scan_alive(void *arg)
{
    const struct work *w = arg;

    w->ops->alive(w->arg);
}

static void scan_done(void *arg, const char *uid, unsigned left)
{
    struct work *w = arg;

    if (left & SCAN_BUSY) look_again(w, uid);
    if (left & SCAN_FAILED) map_set(&w->retry, span_of(uid), w);
}

static const struct scan_ops scan_ops = {scan_known, scan_writing, scan_newest, scan_found, scan_may_repair,
    scan_unrepaired, scan_alive, scan_done};

/* Whoever reads it opens it, or opens it anew. */
static void tell_index(const struct work *w)
{
    w->ops->on_index(w->arg, w->indexer.dir);
}

/* All folders are looked at: after a start, and when the index is built anew. What is trash goes first. */
static void index_opened(struct work *w)
{
    int dead, err;

    (void)index_clear_dead(w->indexer.ix, &dead);
    err = work_keep_opened(w);
    if (err) failed(w, "trash", err);
    tell_index(w);
    work_copies_opened(w);
    scan_free(w->scan);
    w->scan = scan_new(&w->storage, &scan_ops, w);
    err = scan_all(w->scan);
    if (err) failed(w, "scan", err);
    w->scanning = true;
}

static void index_step(struct work *w, usec_t now_us)
{
    char dir[sizeof(w->conf->path) + STORAGE_UUID_MAX];
    int err = 0;

    if (w->indexer.checker.pid > 0) {
        if (indexer_step(&w->indexer, now_us, &err))
            index_opened(w);
        else if (indexer_cleared(&w->indexer))
            tell_index(w);
        if (err) w->reopen_us = now_us + RECHECK_US;
    } else if (!w->indexer.ix && now_us >= w->reopen_us) {
        struct wr path = wr_of(dir, sizeof(dir));

        w->reopen_us = now_us + REOPEN_US;
        if (w->conf->index_path[0])
            wr_fmt(&path, "%s/%s", w->conf->index_path, w->storage.uuid);
        else
            wr_fmt(&path, "%s/" INDEX_FOLDER, w->conf->path);
        err = indexer_begin(&w->indexer, wr_cstr(&path));
        if (!err && w->indexer.ix) index_opened(w);
    }
    if (err) failed(w, "index", err);
}

static void start_over(struct work *w)
{
    int err;

    work_keep_closed(w);
    err = indexer_start_over(&w->indexer);
    if (err)
        failed(w, "index", err);
    else
        index_opened(w);
}

/* LMDB refuses everything behind a write that failed: the index is opened anew, after a check. */
static void commit_failed(struct work *w, int err, usec_t now_us)
{
    failed(w, "commit", err);
    if (err == -ENOSPC) return;
    work_keep_closed(w);
    indexer_close(&w->indexer, false);
    w->reopen_us = now_us + REOPEN_US;
}

/* What follows from a write of the index. */
static void index_wrote(struct work *w, int err, usec_t now_us)
{
    if (err == INDEX_E_DAMAGED)
        start_over(w);
    else if (err)
        commit_failed(w, err, now_us);
}

/* On older kernels ext4 answers syncfs with 0 once an error has shut it down; fsync says EIO there. The
 * storage's folder hardly ever changes, so it costs a flush of the disk's cache at most. */
static int sync_storage(const struct work *w)
{
    return syncfs(w->storage.fd) < 0 || fsync(w->storage.fd) < 0 ? errno : 0;
}

static void stored(void *arg, const char *uid, uint64_t id)
{
    struct work *w = arg;

    if (!work_fill_stored(w, uid, id)) w->ops->on_stored(w->arg, uid, id);
}

static bool many_pending(const struct work *w)
{
    return w->pending.n_sure >= PENDING_COMMIT && w->indexer.ix && !w->stuck;
}

/* What is in the index is on the disk: first syncfs, then the transaction with what it covered. */
static void sync_and_commit(struct work *w, usec_t now_us, bool now)
{
    size_t n = w->pending.n_sure;
    int err;

    if (n == 0 && w->pending.n_doubtful == 0 && w->writers.n == 0 && !work_keep_unsynced(w)) return;
    if (now_us - w->sync_us < w->sync_every_us && !now && !many_pending(w)) return;
    w->sync_us = now_us;
    w->stuck = w->unsynced = true;
    err = sync_storage(w);
    if (err) {
        pending_doubt(&w->pending, clock_wall_us());
        failed(w, "syncfs", -err);
        /* Something did not reach the disk, whatever the probe says: it is seen, and segments begin anew. */
        if (w->storage.state == STORAGE_OK) {
            w->storage.state = STORAGE_FAILED;
            w->storage.err = err;
        }
        return;
    }
    w->unsynced = false;
    index_wrote(w, work_keep_synced(w), now_us);
    if (n > 0 && !w->indexer.ix) return;
    err = n > 0 ? pending_put(&w->pending, w->indexer.ix, n) : INDEX_OK;
    w->stuck = err != INDEX_OK;
    if (err == INDEX_OK) {
        pending_uncache(&w->pending, n, w->storage.path);
        pending_drop(&w->pending, n, stored, w);
    }
    index_wrote(w, err, now_us);
}

void work_commit(struct work *w)
{
    if (w->usable && w->pending.n_sure > 0) sync_and_commit(w, clock_mono_us(), true);
}

/* Records that rot on the disk are found by the keeper itself, and a file that is not there any more. */
static void mend(struct work *w, usec_t now_us)
{
    bool there;

    if (!w->indexer.ix || w->storage.state != STORAGE_OK) return;
    there = index_in_place(w->indexer.ix, w->indexer.dir);
    index_wrote(w, there ? indexer_mend(&w->indexer, &w->storage) : INDEX_E_DAMAGED, now_us);
}

bool work_due(const struct work *w)
{
    return many_pending(w) || w->events.n == WORK_EVENTS_MAX;
}

/* What was being written when a syncfs failed is read back, once another has gone well. What is not as its
 * footer says is marked: most of it can be played. false: nothing could be done. */
static bool verify_one(struct work *w)
{
    const struct segproof_watch watch = {w->ops->alive, w->arg};
    struct pending_seg *s = pending_doubtful(&w->pending);
    CLEANUP(fd_close) int records = -1;
    int err;

    if (!s || w->unsynced || w->storage.state != STORAGE_OK) return false;
    err = storage_records_ro(&w->storage, s->info.uid, &records);
    if (!err) err = repair_verify(records, &s->info, &watch);
    if (err < 0 && err != -ENOENT) {
        failed(w, "verify", err);
        if (w->storage.state != STORAGE_OK) return false;
    }
    if (err == SEG_E_NO_FOOTER) look_again(w, s->info.uid);
    if (err == SEG_E_BAD || (err < 0 && err != -ENOENT)) {
        s->info.flags |= SEG_DAMAGED;
        log_event_of(LOG_WARN, s->info.uid, "segment-damaged", "storage=%s path=%s", w->conf->name,
            log_q(span_of(s->info.path)));
    }
    pending_settle(&w->pending, s, err != -ENOENT && err != SEG_E_NO_FOOTER);
    return true;
}

bool work_scan(struct work *w)
{
    usec_t from_us = clock_mono_us();
    bool more = true;

    while (w->scanning && w->indexer.ix && w->pending.n_sure < PENDING_COMMIT) {
        if (!scan_step(w->scan)) w->scanning = false;
        if (clock_mono_us() - from_us > BATCH_US) return true;
    }
    while (work_copies_step(w))
        if (clock_mono_us() - from_us > BATCH_US) return true;
    while (verify_one(w))
        if (clock_mono_us() - from_us > BATCH_US) return true;
    while (more) {
        index_wrote(w, work_keep_step(w, &more), clock_mono_us());
        if (more && clock_mono_us() - from_us > BATCH_US) return true;
    }
    while (work_ask_step(w))
        if (clock_mono_us() - from_us > BATCH_US) return true;
    return false;
}

static void scan_each(struct work *w, struct map *uids)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(uids, &at, &slot)) scan_uid(w->scan, slot.key);
    map_done(uids);
    *uids = (struct map){0};
    w->scanning = true;
}

static void relook(struct work *w, usec_t now_us)
{
    if (w->relook.n == 0 || !w->scan || w->scanning || now_us - w->relook_us < RELOOK_US) return;
    w->relook_us = now_us;
    scan_each(w, &w->relook);
}

/* Each round that leaves something doubles the time to the next; a round without failures ends it. */
static void retry(struct work *w, usec_t now_us)
{
    if (!w->scan || w->scanning) return;
    if (w->retry.n == 0 || w->retry_wait_us == 0) {
        w->retry_wait_us = w->retry.n > 0 ? RELOOK_US : 0;
        w->retry_us = now_us + w->retry_wait_us;
        w->repairs_off = w->repairs_off && w->retry.n > 0;
    }
    if (w->retry.n == 0 || now_us < w->retry_us) return;
    w->retry_wait_us = MIN(w->retry_wait_us * 2, RETRY_MOST_US);
    w->retry_us = now_us + w->retry_wait_us;
    w->repairs_off = false;
    scan_each(w, &w->retry);
}

/* --- the storage itself --- */

static void close_all(struct work *w, bool clean)
{
    scan_free(w->scan);
    w->scan = NULL;
    w->scanning = false;
    work_fill_end(w);
    work_keep_closed(w);
    work_copies_closed(w);
    pending_clear(&w->pending); /* they are on the disk, and found when it is back */
    indexer_close(&w->indexer, clean);
    storage_close(&w->storage);
    w->usable = false;
}

static void open_storage(struct work *w, usec_t now_us)
{
    char want[STORAGE_UUID_MAX];

    if (now_us < w->reopen_us && !w->accept) return;
    w->reopen_us = now_us + REOPEN_US;
    memcpy(want, w->storage.uuid[0] ? w->storage.uuid : w->conf->uuid, sizeof(want));
    w->usable = storage_open(&w->storage, want, w->accept);
    w->accept = false;
    if (!w->usable) {
        memcpy(w->storage.uuid, want, sizeof(want)); /* what is expected there stays known */
        return;
    }
    log_note(w->storage.fresh ? "storage-init" : "storage-open", "storage=%s path=%s uuid=%s state=%s",
        w->conf->name, log_q(span_of(w->conf->path)), w->storage.uuid, storage_state_name(w->storage.state));
    work_fill_opened(w);
    w->sync_us = now_us;
    w->reopen_us = now_us; /* the index, at once */
}

static void watch_storage(struct work *w, usec_t now_us)
{
    enum storage_state was = w->told.state, is;

    if (!w->usable)
        open_storage(w, now_us);
    else
        storage_look(&w->storage, false);
    if (w->usable && w->storage.fd < 0) close_all(w, false);
    is = w->storage.state;
    if (is == was && w->report_us > 0) return;
    if (is == STORAGE_OK && w->retry_wait_us > 0) {
        w->retry_wait_us = RELOOK_US; /* what has failed is tried at once, and as if it were the first time */
        w->retry_us = now_us;
    }
    log_debug("storage-state", "storage=%s state=%s err=%s free=%llu", /* the master tells the log */
        w->conf->name, storage_state_name(is),
        log_q(span_of(w->storage.err ? err_text(-w->storage.err) : "")), (unsigned long long)w->storage.free);
}

void work_tick(struct work *w, usec_t now_us)
{
    watch_storage(w, now_us);
    if (w->usable) {
        index_step(w, now_us);
        relook(w, now_us);
        retry(w, now_us);
        sync_and_commit(w, now_us, false);
        mend(w, now_us);
        work_clock_tick(w, now_us);
        index_wrote(w, work_keep_tick(w, now_us), now_us);
        index_wrote(w, work_events_tick(w, now_us), now_us);
        work_copies_tick(w, now_us);
        if (w->indexer.ix && !w->scanning && !work_copies_restoring(w) &&
            w->pending.n_sure + w->pending.n_doubtful == 0)
            indexer_scanned(&w->indexer);
    }
    tell_state(w, now_us, false);
}

/* --- jobs --- */

static void accept_path(struct work *w, const struct job *j)
{
    (void)j;
    w->accept = true;
    if (!w->usable) work_tick(w, clock_mono_us());
}

static void make_folder(struct work *w, const struct job *j)
{
    int fd = -1, err = w->storage.err ? -w->storage.err : -ENOENT;

    if (w->usable && w->storage.state == STORAGE_OK) {
        err = storage_records(&w->storage, j->uid, j->owner, j->group, &fd);
        if (err < 0) failed(w, "folder", err);
        if (err == 0 && !map_get(&w->writers, span_of(j->uid)))
            map_set(&w->writers, span_of(j->uid), NEW(struct writer));
    }
    w->ops->on_folder(w->arg, j->uid, fd, -err);
}

static void look(struct work *w, const struct job *j)
{
    if (!w->scan) return; /* all will be looked at */
    scan_uid(w->scan, j->uid);
    w->scanning = true;
}

static void gone(struct work *w, const struct job *j)
{
    mem_free(map_remove(&w->writers, span_of(j->uid)));
    look(w, j);
}

static void opened(struct work *w, const struct job *j)
{
    struct writer *writer = map_get(&w->writers, span_of(j->uid));

    if (!writer) {
        writer = NEW(struct writer); /* it got its folder from the keeper before us */
        map_set(&w->writers, span_of(j->uid), writer);
    }
    writer->open_id = j->id;
}

/* What the file says counts, not what the worker says. */
static void closed(struct work *w, const struct job *j)
{
    struct writer *writer = map_get(&w->writers, span_of(j->uid));
    struct seg_info *info = NEW(struct seg_info);
    CLEANUP(fd_close) int records = -1;
    int err = storage_records_ro(&w->storage, j->uid, &records);

    if (writer && writer->open_id == j->id) writer->open_id = 0;
    if (!err) err = repair_look(records, j->uid, j->id, info);
    if (err || !pending_add(&w->pending, info, false)) look_again(w, j->uid);
    mem_free(info);
}

static void probe(struct work *w, const struct job *j)
{
    (void)j;
    storage_look(&w->storage, true);
    if (w->usable && w->storage.fd < 0) close_all(w, false);
    tell_state(w, clock_mono_us(), true);
}

static void ask(struct work *w, const struct job *j)
{
    work_ask_begin(w, j->data);
}

static void keep(struct work *w, const struct job *j)
{
    work_keep_policy(w, j->uid, j->data);
}

static void keep_ready(struct work *w, const struct job *j)
{
    (void)j;
    work_keep_ready(w);
}

static void lock(struct work *w, const struct job *j)
{
    work_keep_lock(w, j->data);
}

static void suspect(struct work *w, const struct job *j)
{
    (void)j;
    indexer_suspect(&w->indexer, clock_mono_us());
}

static void sync_every(struct work *w, const struct job *j)
{
    w->sync_every_us = (usec_t)j->id;
}

void work_job(struct work *w, const struct job *j)
{
    static void (*const jobs[])(struct work *, const struct job *) = {
        [JOB_ACCEPT] = accept_path,
        [JOB_FOLDER] = make_folder,
        [JOB_LOOK] = look,
        [JOB_GONE] = gone,
        [JOB_OPENED] = opened,
        [JOB_CLOSED] = closed,
        [JOB_PROBE] = probe,
        [JOB_ASK] = ask,
        [JOB_KEEP] = keep,
        [JOB_SUSPECT] = suspect,
        [JOB_KEEP_READY] = keep_ready,
        [JOB_LOCK] = lock,
        [JOB_SYNC_EVERY] = sync_every,
        [JOB_EVENT] = work_event,
        [JOB_EVENT_OVER] = work_event_over,
        [JOB_FILL_OPEN] = work_fill_open,
        [JOB_FILL_DONE] = work_fill_done,
        [JOB_FILL_DROP] = work_fill_drop,
    };

    must(j->kind < ARRAY_N(jobs));
    jobs[j->kind](w, j);
}

void work_init(struct work *w, const struct disk_conf *conf, const struct work_ops *ops, void *arg)
{
    *w = (struct work){.conf = conf, .ops = ops, .arg = arg, .sync_every_us = conf->sync_us};
    pending_init(&w->pending);
    work_fill_init(&w->fill);
    list_init(&w->asks);
    work_keep_init(&w->keep);
    storage_init(&w->storage, conf->path, conf->floor);
    indexer_init(&w->indexer);
}

void work_done(struct work *w, usec_t now_us)
{
    trash_stop(w->keep.trash); /* what is gone is settled, or the next keeper looks for it once more */
    if (w->usable) sync_and_commit(w, now_us, true);
    (void)work_events_tick(w, now_us);
    work_events_done(w);
    work_ask_end(w);
    close_all(w, w->pending.n_sure + w->pending.n_doubtful == 0);
    map_drop(&w->writers, mem_free);
    work_keep_done(&w->keep);
    map_done(&w->relook);
    map_done(&w->retry);
}
