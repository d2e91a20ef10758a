#include "archive/work_keep.h"
#include "archive/lock_file.h"
#include "archive/work.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <errno.h>

#define PASS_EVERY_US  (10 * US_PER_S)
#define RETRY_TRASH_US (60 * US_PER_S)
#define PAGE           64
#define NOT_COPIED     SIZE_MAX
#define FORGET_US      (3600 * US_PER_S)

void work_keep_init(struct work_keep *k)
{
    *k = (struct work_keep){.ready = false};
}

void work_keep_done(struct work_keep *k)
{
    map_drop(&k->policies, mem_free);
    locks_done(&k->locks);
}

/* --- locks --- */

static void copy_failed(struct work *w, int err)
{
    w->keep.copied = NOT_COPIED;
    log_warn("lock-copy", "storage=%s err=%s", w->conf->name, log_q(span_of(err_text(err))));
}

static void read_copied(void *arg, const struct index_lock *lock)
{
    struct work *w = arg;
    const struct index_lock *known;

    if (locks_put(&w->keep.locks, lock)) w->ops->on_locks(w->arg, lock, 1, false);
    known = locks_find(&w->keep.locks, lock->uid, lock->id);
    if (known && known->version_us == lock->version_us) w->keep.copied++;
}

/* What the copy knows more than the index, which may be a new one. */
static void read_copy(struct work *w)
{
    size_t records;
    int err;

    w->keep.copied = 0;
    err = lock_file_read(w->storage.fd, read_copied, w, &records);
    if (err)
        copy_failed(w, err);
    else if (records != w->keep.copied)
        w->keep.copied = NOT_COPIED; /* some are old, or bad */
}

/* All of the index and of its copy, to memory and to the loop. */
static int read_locks(struct work *w)
{
    struct index_lock *page = mem_new_n(PAGE, sizeof(*page)), last;
    size_t n = 0;
    int err = index_locks(w->indexer.ix, NULL, page, PAGE, &n);

    while (err >= 0 && n > 0) {
        for (size_t i = 0; i < n; i++) (void)locks_put(&w->keep.locks, &page[i]);
        w->ops->on_locks(w->arg, page, n, false);
        if (n < PAGE) break;
        last = page[n - 1];
        err = index_locks(w->indexer.ix, &last, page, PAGE, &n);
    }
    read_copy(w);
    w->ops->on_locks(w->arg, page, 0, true);
    mem_free(page);
    return MIN(err, 0); /* a damaged one is mended by the walk */
}

static int write_copy(struct work *w)
{
    int err = lock_file_write(w->storage.fd, &w->keep.locks);

    w->keep.copied = w->keep.locks.n;
    if (err) copy_failed(w, err);
    return err;
}

/* A lock that is new, or newer. */
static int copy_one(struct work *w, const struct index_lock *lock)
{
    int err;

    if (w->keep.copied == NOT_COPIED) return write_copy(w);
    err = lock_file_add(w->storage.fd, lock);
    w->keep.copied = w->keep.locks.n;
    if (err) copy_failed(w, err);
    return err;
}

/* What came while the index was not open. */
static int write_locks(struct work *w)
{
    struct map_slot slot;
    size_t at = 0;
    int err = INDEX_OK;

    while (!err && map_next(&w->keep.locks.by_uid, &at, &slot)) {
        const struct lock_list *list = slot.value;

        err = index_locks_put(w->indexer.ix, list->v, list->n);
    }
    if (w->keep.copied != w->keep.locks.n) (void)write_copy(w);
    return err;
}

int work_keep_restore(struct work *w)
{
    int err;

    read_copy(w);
    err = write_locks(w);
    if (err) w->keep.wrote_err = err;
    return err;
}

void work_keep_lock(struct work *w, const struct index_lock *lock)
{
    bool newer = locks_put(&w->keep.locks, lock);
    int err = INDEX_OK;

    if (!newer && !locks_find(&w->keep.locks, lock->uid, lock->id)) {
        w->keep.lock_err = -ENOSPC;
        return;
    }
    if (w->indexer.ix) {
        if (newer) err = copy_one(w, lock);
        w->keep.lock_err = index_locks_put(w->indexer.ix, lock, 1);
        if (!w->keep.lock_err) w->keep.lock_err = err;
    } else if (newer) {
        w->keep.copied = NOT_COPIED;
    }
    w->keep.due_us = 0;
}

struct forgetting {
    struct work *w;
    struct index_lock page[PAGE];
    size_t n, all;
    int err;
};

static void forget_page(struct forgetting *f)
{
    if (!f->err && f->n > 0) f->err = index_locks_drop(f->w->indexer.ix, f->page, f->n);
    f->n = 0;
}

static void forget_one(void *arg, const struct index_lock *lock)
{
    struct forgetting *f = arg;

    f->page[f->n++] = *lock;
    f->all++;
    if (f->n == PAGE) forget_page(f);
}

/* Locks that were released long ago. What the index does not let go comes back with it, and has its turn. */
static int forget_locks(struct work *w, usec_t now_us)
{
    struct forgetting *f;
    int err;

    if (!w->indexer.ix || (w->keep.forgot_us > 0 && now_us - w->keep.forgot_us < FORGET_US)) return INDEX_OK;
    w->keep.forgot_us = now_us;
    f = NEW(struct forgetting);
    f->w = w;
    locks_forget(&w->keep.locks, work_clock_now(w), forget_one, f);
    forget_page(f);
    err = f->err;
    if (f->all > 0) (void)write_copy(w);
    mem_free(f);
    return err;
}

void work_keep_ready(struct work *w)
{
    w->keep.ready = true;
    w->keep.due_us = 0;
}

/* A change of settings has its effect at once. */
void work_keep_policy(struct work *w, const char *uid, const struct keep_policy *p)
{
    struct keep_policy *copy = p ? mem_dup(p, sizeof(*p)) : NULL;

    mem_free(
        copy ? map_set(&w->keep.policies, span_of(uid), copy) : map_remove(&w->keep.policies, span_of(uid)));
    w->keep.due_us = 0;
}

/* --- the trash --- */

/* The trash of the index: what an earlier keeper had still to remove, or what could not be removed. */
static int load_trash(struct work *w)
{
    struct index_ref page[PAGE], last;
    size_t n = 0;
    int err = index_trash(w->indexer.ix, NULL, page, PAGE, &n);

    while (err >= 0 && n > 0) {
        for (size_t i = 0; i < n; i++) trash_put(w->keep.trash, &page[i], 0);
        if (n < PAGE) break;
        last = page[n - 1];
        err = index_trash(w->indexer.ix, &last, page, PAGE, &n);
    }
    return MIN(err, 0);
}

bool work_keep_unsynced(const struct work *w)
{
    return w->keep.trash && trash_has(w->keep.trash);
}

static void settle_failures(struct work *w, const struct index_ref *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].tries == 0) continue;
        if (list[i].tries == 1)
            log_event_of(LOG_WARN, list[i].uid, "delete-failed", "storage=%s id=%llx", w->conf->name,
                (unsigned long long)list[i].id);
        if (w->keep.retry_us == 0) w->keep.retry_us = clock_mono_us() + RETRY_TRASH_US;
    }
}

/* What is gone stays gone after a power cut: only now is it forgotten. */
int work_keep_synced(struct work *w)
{
    struct index_ref page[PAGE];
    int err = INDEX_OK;
    size_t n;

    if (!w->keep.trash || !w->indexer.ix) return INDEX_OK;
    while (!err && (n = trash_take(w->keep.trash, page, PAGE)) > 0) {
        settle_failures(w, page, n);
        err = index_trash_settle(w->indexer.ix, page, n);
    }
    return err;
}

/* --- passes --- */

static struct retention_room room(const struct work *w)
{
    return (struct retention_room){.total = w->storage.total,
        .free = w->storage.free,
        .floor = storage_floor(&w->storage),
        .rate = w->keep.rate,
        .leaving = w->keep.trash ? trash_leaving(w->keep.trash) : 0};
}

void work_keep_report(const struct work *w, struct disk_report *r)
{
    const struct retention_room at = room(w);

    r->floor = at.floor;
    r->rate = w->keep.rate;
    r->footage = w->keep.sum.footage;
    r->held = w->keep.held;
    r->ahead_us = w->clock.ahead_us;
    r->oldest_us = w->keep.sum.oldest_us;
    r->forecast = retention_forecast(&w->keep.sum, &at, clock_wall_us());
}

void work_keep_setup(struct work *w, struct reap_setup *ret)
{
    *ret = (struct reap_setup){.ix = w->indexer.ix,
        .policies = &w->keep.policies,
        .locks = &w->keep.locks,
        .room = room(w),
        .now_us = work_clock_now(w),
        .protects = work_event_protects,
        .protects_arg = w};
}

/* An index that is being built anew does not know the oldest yet, nor all events. */
bool work_keep_may_delete(const struct work *w)
{
    return w->keep.ready && w->keep.trash && w->indexer.ix &&
        (w->storage.state == STORAGE_OK || w->storage.state == STORAGE_FULL) && !work_copies_restoring(w) &&
        !(w->indexer.rebuild && (w->scanning || w->pending.n_sure > 0));
}

static void stop_pass(struct work *w)
{
    reap_end(&w->keep.pass);
    w->keep.running = false;
}

int work_keep_opened(struct work *w)
{
    int err;

    work_keep_closed(w);
    work_clock_opened(w);
    err = trash_new(w->storage.fd, &w->keep.trash);
    if (!err) err = read_locks(w);
    if (!err) err = write_locks(w);
    return err ? err : load_trash(w);
}

void work_keep_closed(struct work *w)
{
    stop_pass(w);
    trash_free(w->keep.trash);
    w->keep.trash = NULL;
    w->keep.retry_us = 0;
}

int work_keep_tick(struct work *w, usec_t now_us)
{
    struct work_keep *k = &w->keep;
    struct retention_room r = room(w);
    struct reap_setup setup;
    int err = k->wrote_err;

    k->wrote_err = INDEX_OK;
    if (err) return err;
    if (!work_keep_may_delete(w)) {
        stop_pass(w);
        return INDEX_OK;
    }
    err = forget_locks(w, now_us);
    if (err) return err;
    trash_urgent(k->trash, retention_urgent(&r));
    if (k->retry_us > 0 && now_us >= k->retry_us && trash_idle(k->trash)) {
        k->retry_us = 0;
        return load_trash(w);
    }
    if (k->running || (now_us < k->due_us && (retention_needed(&r) == 0 || k->stuck_now))) return INDEX_OK;
    work_keep_setup(w, &setup);
    reap_begin(&k->pass, &setup);
    k->running = true;
    k->due_us = now_us + PASS_EVERY_US;
    return INDEX_OK;
}

/* Segments of one stream that stand together are told at once. */
static void tell_gone(
    const struct work *w, const struct index_ref *refs, const struct work_gone *gone, size_t n)
{
    struct disk_gone all = {0};

    for (size_t i = 0; i < n; i++) {
        if (strcmp(all.uid, refs[i].uid) != 0) {
            if (all.segments > 0) w->ops->on_gone(w->arg, &all);
            all = (struct disk_gone){.from_us = gone[i].start_us, .to_us = gone[i].end_us};
            memcpy(all.uid, refs[i].uid, sizeof(all.uid));
        }
        all.segments++;
        all.bytes += gone[i].bytes;
        all.from_us = MIN(all.from_us, gone[i].start_us);
        all.to_us = MAX(all.to_us, gone[i].end_us);
    }
    if (all.segments > 0) w->ops->on_gone(w->arg, &all);
}

/* Index entry first, file after. */
int work_keep_take_out(struct work *w, const struct index_ref *refs, const struct work_gone *gone, size_t n)
{
    int err = index_drop(w->indexer.ix, refs, n);

    for (size_t i = 0; !err && i < n; i++) trash_put(w->keep.trash, &refs[i], gone[i].bytes);
    if (!err) tell_gone(w, refs, gone, n);
    if (err) w->keep.wrote_err = err;
    return err;
}

int work_keep_act(
    struct work *w, const struct index_act *act, const struct work_gone *gone, struct stamp *ret_held)
{
    int err = index_act(w->indexer.ix, act, ret_held);

    for (size_t i = 0; !err && i < act->n; i++) trash_put(w->keep.trash, &act->refs[i], gone[i].bytes);
    if (!err) tell_gone(w, act->refs, gone, act->n);
    if (err < 0 || err == INDEX_E_DAMAGED) w->keep.wrote_err = err;
    return err;
}

static int take_out(struct work *w)
{
    struct reap *r = &w->keep.pass;
    struct index_ref refs[REAP_BATCH];
    struct work_gone gone[REAP_BATCH];
    size_t n = r->n;

    for (size_t i = 0; i < n; i++) {
        refs[i] = r->items[i].ref;
        gone[i] = (struct work_gone){r->items[i].bytes, r->items[i].start_us, r->items[i].end_us};
    }
    r->n = 0;
    return n > 0 ? work_keep_take_out(w, refs, gone, n) : INDEX_OK;
}

bool work_keep_configured(const struct work *w, const char *uid)
{
    return map_get(&w->keep.policies, span_of(uid)) != NULL;
}

static void pass_done(struct work *w)
{
    struct work_keep *k = &w->keep;
    struct reap *r = &k->pass;
    uint64_t all = r->reason_bytes[RETENTION_AGE] + r->reason_bytes[RETENTION_CAPACITY] +
        r->reason_bytes[RETENTION_FLOOR];
    uint32_t more;

    k->rate = r->sum.rate;
    k->sum = r->sum;
    k->stuck_now = r->needed > 0;
    k->held = k->stuck_now ? r->sum.footage - MIN(all, r->sum.footage) : 0; /* all that is left */
    w->storage.rate = k->rate;
    if (all > 0)
        log_info("deleted", "storage=%s age=%llu capacity=%llu floor=%llu", w->conf->name,
            (unsigned long long)r->reason_bytes[RETENTION_AGE],
            (unsigned long long)r->reason_bytes[RETENTION_CAPACITY],
            (unsigned long long)r->reason_bytes[RETENTION_FLOOR]);
    if (r->needed > 0 && log_limited(&k->stuck, clock_mono_us(), &more))
        log_warn("storage-nothing-to-delete", "storage=%s needed=%llu kept=%llu why=%s held=%u",
            w->conf->name, (unsigned long long)r->needed, (unsigned long long)k->held,
            log_q(k->held > 0 ? SPAN_LIT("locks and events") : SPAN_LIT("only open segments are left")),
            more);
    stop_pass(w);
}

int work_keep_step(struct work *w, bool *ret_more)
{
    struct reap *r = &w->keep.pass;
    int got, err;

    *ret_more = false;
    if (w->keep.running && r->s.ix != w->indexer.ix) stop_pass(w); /* it has been opened anew */
    if (!w->keep.running) return INDEX_OK;
    got = reap_step(r);
    err = got == REAP_FULL || got == REAP_DONE ? take_out(w) : MIN(got, 0);
    if (err) {
        stop_pass(w);
        return got < 0 ? got : INDEX_OK; /* what the index says of a write is in wrote_err */
    }
    if (got == REAP_DONE)
        pass_done(w);
    else
        *ret_more = true;
    return INDEX_OK;
}
