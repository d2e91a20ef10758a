#include "worker/recorder_impl.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <signal.h>

/* --- the thread --- */

static void take_folder(struct recorder *r, const struct orders *o)
{
    r->go_on = r->go_on || r->seg != NULL;
    rec_drop_folder(r);
    r->retry_us = 0;
    r->folder_fd = o->folder_fd;
    memcpy(r->storage, o->storage, sizeof(r->storage));
}

/* Waits until there is something to do. What the loop wants is taken over; false: the end is wanted. */
static bool take_orders(struct recorder *r)
{
    struct ring_writer *old = NULL;
    struct orders o;

    pthread_mutex_lock(&r->lock);
    atomic_store(&r->busy_since_us, 0);
    while (!r->poked) pthread_cond_wait(&r->wake, &r->lock);
    r->poked = false;
    o = r->orders;
    if (o.ring) {
        old = r->ring;
        r->ring = o.ring;
        r->orders.ring = NULL;
    }
    r->orders.new_folder = false;
    r->orders.folder_fd = -1;
    if (o.end_seq != 0) r->end_seq = o.end_seq;
    r->orders.end_seq = 0;
    atomic_store(&r->busy_since_us, clock_mono_us());
    pthread_mutex_unlock(&r->lock);
    ring_writer_close(old);
    r->chunk_us = o.chunk_us;
    r->policy = o.policy;
    r->clock = o.clock;
    r->clock_offset_us = o.clock_offset_us;
    if (r->seg) segw_clock(r->seg, r->clock, r->clock_offset_us);
    if (r->on && !o.on) rec_record(r);
    if (o.new_folder && r->seg) rec_record(r);
    r->on = o.on;
    if (o.new_folder) take_folder(r, &o);
    if (!r->on) rec_close(r);
    if (!r->seg) rec_say_closed(r);
    return !o.stop;
}

static void *run(void *arg)
{
    struct recorder *r = arg;

    while (take_orders(r)) rec_record(r);
    rec_record(r);
    rec_drop_folder(r);
    rec_say_stopped(r);
    return NULL;
}

static void start(struct recorder *r)
{
    pthread_attr_t attr;
    sigset_t all, before;
    uint64_t next = atomic_load(&r->status->rec_next_seq);

    /* What the ring held when a worker before us died is recorded first. */
    r->next = next ? next : ring_writer_oldest(r->ring);
    r->discont = next == 0 || next < ring_writer_oldest(r->ring);
    r->go_on = !r->discont;
    must(pthread_attr_init(&attr) == 0 && pthread_attr_setstacksize(&attr, RECORDER_STACK) == 0);
    sigfillset(&all); /* signals are the loop's */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    must(pthread_create(&r->thread, &attr, run, r) == 0);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attr);
    r->running = true;
}

/* --- the loop's side --- */

struct recorder *recorder_new(struct loop *l, const char *uid, const struct recorder_ops *ops, void *arg)
{
    struct recorder *r = NEW(struct recorder);

    *r = (struct recorder){.loop = l, .ops = ops, .arg = arg, .folder_fd = -1, .lock_fd = -1};
    r->orders.folder_fd = -1;
    r->orders.policy.all = true;
    span_copy(span_of(uid), r->uid, sizeof(r->uid));
    must(pthread_mutex_init(&r->lock, NULL) == 0 && pthread_cond_init(&r->wake, NULL) == 0);
    return r;
}

void recorder_free(struct recorder *r)
{
    if (!r) return;
    if (r->running) pthread_join(r->thread, NULL);
    if (r->orders.ring) ring_writer_close(r->orders.ring);
    ring_writer_close(r->ring);
    fd_close(&r->orders.folder_fd);
    if (r->tracks) rec_batch_done(&r->batch);
    mem_free(r->tracks);
    pthread_mutex_destroy(&r->lock);
    pthread_cond_destroy(&r->wake);
    mem_free(r);
}

static void poke_locked(struct recorder *r)
{
    r->poked = true;
    pthread_cond_signal(&r->wake);
}

void recorder_poke(struct recorder *r)
{
    if (!r->running) return;
    pthread_mutex_lock(&r->lock);
    poke_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void recorder_end(struct recorder *r, uint64_t next_seq)
{
    if (!r->running) return;
    pthread_mutex_lock(&r->lock);
    r->orders.end_seq = next_seq;
    poke_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void recorder_ring(struct recorder *r, struct ring_writer *from, struct ring_writer *to)
{
    struct ring_writer *unused = NULL;

    pthread_mutex_lock(&r->lock);
    if (from) ring_writer_move(from, to);
    r->status = ring_writer_status(to);
    if (r->running) {
        unused = r->orders.ring; /* never looked at */
        r->orders.ring = to;
        poke_locked(r);
    } else {
        unused = r->ring;
        r->ring = to;
    }
    pthread_mutex_unlock(&r->lock);
    ring_writer_close(unused);
}

void recorder_set(struct recorder *r, bool on, usec_t chunk_us)
{
    must(r->status != NULL);
    if (on && !r->running) {
        r->tracks = NEW(struct track_set);
        rec_batch_init(&r->batch);
        start(r);
    }
    pthread_mutex_lock(&r->lock);
    r->orders.on = on;
    r->orders.chunk_us = chunk_us;
    poke_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void recorder_policy(struct recorder *r, const struct rec_policy *p)
{
    pthread_mutex_lock(&r->lock);
    r->orders.policy = *p;
    poke_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void recorder_clock(struct recorder *r, enum seg_clock clock, usec_t offset_us)
{
    pthread_mutex_lock(&r->lock);
    r->orders.clock = clock;
    r->orders.clock_offset_us = offset_us;
    pthread_mutex_unlock(&r->lock);
}

void recorder_folder(struct recorder *r, const char *storage, int fd, int err)
{
    pthread_mutex_lock(&r->lock);
    fd_close(&r->orders.folder_fd);
    r->orders.new_folder = true;
    r->orders.folder_fd = fd;
    span_copy(span_of(storage), r->orders.storage, sizeof(r->orders.storage));
    if (err != 0) atomic_store(&r->status->rec_errno, err);
    poke_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void recorder_stop(struct recorder *r)
{
    if (!r->running) {
        rec_say_stopped(r);
        return;
    }
    pthread_mutex_lock(&r->lock);
    r->orders.stop = true;
    poke_locked(r);
    pthread_mutex_unlock(&r->lock);
}

usec_t recorder_busy_us(const struct recorder *r, usec_t now_us)
{
    usec_t since_us = atomic_load(&r->busy_since_us);

    return since_us ? MAX(now_us - since_us, 1) : 0;
}

bool recorder_open_segment(struct recorder *r, struct rec_open *ret)
{
    pthread_mutex_lock(&r->lock);
    *ret = r->open;
    pthread_mutex_unlock(&r->lock);
    return ret->id != 0;
}

void recorder_text(struct recorder *r, char *field, size_t cap, const char *text)
{
    pthread_mutex_lock(&r->lock);
    ring_status_text(r->status, field, cap, text);
    pthread_mutex_unlock(&r->lock);
}
