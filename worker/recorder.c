#include "worker/recorder.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "worker/rec_batch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#define AGAIN_US (2 * US_PER_S) /* behind a failure, and while another holds the folder */

/* What the loop wants; guarded by the lock. */
struct orders {
    bool stop, on;
    usec_t chunk_us;
    enum seg_clock clock;
    usec_t clock_offset_us;
    bool new_folder;
    int folder_fd, folder_err;
    struct ring_writer *ring; /* to change to, NULL: none */
};

struct recorder {
    struct loop *loop;
    const struct recorder_ops *ops;
    void *arg;
    char uid[40];
    pthread_t thread;
    bool running; /* the loop's: a thread was started */
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct orders orders;
    bool poked;
    struct ring_status *status; /* of the newest ring, guarded by the lock: it may be moved meanwhile */
    uint64_t open_id;           /* guarded by the lock, with path and start */
    char open_path[SEG_PATH_MAX];
    usec_t open_start_us;
    _Atomic usec_t busy_since_us;
    /* the thread's */
    struct ring_writer *ring;
    struct rec_batch batch;
    struct segw *seg;
    struct track_set *tracks; /* of the open segment */
    uint32_t gen;             /* that its frames may have */
    bool fresh_tracks;        /* the ring describes more; the next key frame begins another segment */
    unsigned seen;            /* tracks with a frame in it */
    int folder_fd, lock_fd;
    uint64_t next; /* first frame that is not in a file */
    bool on, discont;
    bool go_on; /* behind what another segment holds: a key frame is not needed */
    usec_t chunk_us, retry_us;
    enum seg_clock clock;
    usec_t clock_offset_us;
};

/* --- to the loop's thread --- */

struct news {
    struct recorder *r;
    enum { OPENED, CLOSED, FAILED, STOPPED } what;
    int err;
    uint64_t id;
    usec_t start_us;
    char path[SEG_PATH_MAX];
    struct seg_info *info;
};

static void tell(void *arg)
{
    struct news *n = arg;
    struct recorder *r = n->r;

    if (n->what == OPENED) r->ops->opened(r->arg, n->id, n->path, n->start_us);
    if (n->what == CLOSED) r->ops->closed(r->arg, n->info);
    if (n->what == FAILED) r->ops->failed(r->arg, n->err);
    mem_free(n->info);
    if (n->what == STOPPED) r->ops->stopped(r->arg);
    mem_free(n);
}

static struct news *news(struct recorder *r, int what)
{
    struct news *n = NEW(struct news);

    n->r = r;
    n->what = what;
    return n;
}

/* --- status --- */

#define STATUS(r, field, value)                                                                              \
    do {                                                                                                     \
        pthread_mutex_lock(&(r)->lock);                                                                      \
        atomic_store_explicit(&(r)->status->field, (value), memory_order_relaxed);                           \
        pthread_mutex_unlock(&(r)->lock);                                                                    \
    } while (0)

static void say_progress(struct recorder *r, uint64_t wrote)
{
    struct ring_status *s;

    pthread_mutex_lock(&r->lock);
    s = r->status;
    if (r->seg) {
        atomic_store_explicit(&s->rec_end_us, segw_end_us(r->seg), memory_order_relaxed);
        atomic_store_explicit(&s->rec_bytes, segw_bytes(r->seg), memory_order_release);
    }
    atomic_store_explicit(&s->rec_next_seq, r->next, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->recorded_bytes, wrote, memory_order_relaxed);
    atomic_store_explicit(&s->record_beat_us, clock_mono_us(), memory_order_relaxed);
    pthread_mutex_unlock(&r->lock);
}

static void say_open(struct recorder *r)
{
    struct ring_status *s;

    pthread_mutex_lock(&r->lock);
    s = r->status;
    r->open_id = segw_id(r->seg);
    r->open_start_us = segw_start_us(r->seg);
    span_copy(span_of(segw_path(r->seg)), r->open_path, sizeof(r->open_path));
    ring_status_text(s, s->rec_path, sizeof(s->rec_path), r->open_path);
    atomic_store(&s->rec_bytes, segw_bytes(r->seg));
    atomic_store(&s->rec_start_us, r->open_start_us);
    atomic_store(&s->rec_end_us, segw_end_us(r->seg));
    atomic_store(&s->rec_segment, r->open_id);
    atomic_store(&s->record_state, RECORD_ON);
    atomic_store(&s->rec_errno, 0);
    pthread_mutex_unlock(&r->lock);
}

static void say_closed(struct recorder *r)
{
    pthread_mutex_lock(&r->lock);
    r->open_id = 0;
    atomic_store(&r->status->rec_segment, 0);
    atomic_store(&r->status->record_state,
        !r->on                 ? RECORD_OFF
            : r->folder_fd < 0 ? RECORD_PAUSED
                               : RECORD_WAITING);
    pthread_mutex_unlock(&r->lock);
}

/* --- segments --- */

static void close_segment(struct recorder *r)
{
    struct segw *seg = r->seg;
    struct news *n;
    int err;

    if (!seg) return;
    r->seg = NULL;
    n = news(r, CLOSED);
    n->info = NEW(struct seg_info);
    err = segw_close(seg, n->info);
    say_closed(r);
    if (err == SEGW_OK && n->info->samples > 0) {
        loop_post(r->loop, tell, n);
        return;
    }
    /* Without its footer it is the keeper's to repair. */
    mem_free(n->info);
    mem_free(n);
}

static void drop_folder(struct recorder *r)
{
    int fd = r->folder_fd;

    r->folder_fd = -1;
    close_segment(r);
    fd_close(&r->lock_fd);
    fd_close(&fd);
}

static void failed(struct recorder *r, int err)
{
    struct news *n = news(r, FAILED);

    r->go_on = r->go_on || r->seg != NULL;
    drop_folder(r);
    r->retry_us = clock_mono_us() + AGAIN_US;
    STATUS(r, rec_errno, -err);
    say_closed(r);
    n->err = err;
    loop_post(r->loop, tell, n);
}

/* false: the folder is another's for now, or cannot be locked. */
static bool lock_folder(struct recorder *r)
{
    int err;

    if (r->lock_fd >= 0) return true;
    err = seg_lock(r->folder_fd, &r->lock_fd);
    if (err < 0) failed(r, err);
    if (err == SEGW_E_LOCKED) r->retry_us = clock_mono_us() + AGAIN_US / 20;
    return err == SEGW_OK;
}

static bool open_segment(struct recorder *r)
{
    struct segw_setup setup = {.uid = r->uid,
        .tracks = r->tracks,
        .first = r->batch.frames,
        .n_first = r->batch.n,
        .clock = r->clock,
        .clock_offset_us = r->clock_offset_us,
        .discont = r->discont,
        .continues = r->go_on};
    struct news *n;
    int err = segw_open(r->folder_fd, &setup, &r->seg);

    if (err != SEGW_OK) {
        r->seg = NULL;
        failed(r, err);
        return false;
    }
    r->discont = false;
    r->seen = 0;
    r->fresh_tracks = false;
    r->gen = r->tracks->gen;
    say_open(r);
    n = news(r, OPENED);
    n->id = segw_id(r->seg);
    n->start_us = segw_start_us(r->seg);
    span_copy(span_of(segw_path(r->seg)), n->path, sizeof(n->path));
    loop_post(r->loop, tell, n);
    return true;
}

/* --- frames --- */

/* Frames were lost to the recorder: another segment begins behind them. */
static void gap(struct recorder *r)
{
    close_segment(r);
    r->discont = true;
    r->go_on = false;
    r->next = MAX(r->next, ring_writer_oldest(r->ring));
}

/* Finds the frame that a segment may begin with. false: there is none yet. */
static bool find_start(struct recorder *r)
{
    uint64_t before = r->next;
    struct frame f;

    if (r->go_on) return ring_view(r->ring, r->next, &f) == RING_OK;
    if (rec_batch_entry_behind(&r->batch, r->ring, &r->next)) {
        r->discont = r->discont || r->next > before;
        return true;
    }
    r->discont = r->discont || r->next > before;
    return false;
}

static bool begin_segment(struct recorder *r)
{
    if (!find_start(r) || !rec_batch_gather(&r->batch, r->ring, r->next, 0, INT64_MAX)) return false;
    if (ring_writer_tracks(r->ring, r->batch.frames[0].gen, r->tracks) != RING_OK) {
        /* Described by what is no longer there. */
        r->next++;
        gap(r);
        return false;
    }
    if (!open_segment(r)) return false;
    r->go_on = false;
    return true;
}

/* Does another segment have to begin with this frame, or this one to end? */
static bool segment_over(struct recorder *r, const struct frame *f)
{
    bool entry = rec_batch_is_entry(&r->batch, r->ring, f);

    if ((f->flags & FRAME_DISCONT) && (r->seen >> f->track & 1)) {
        r->discont = true;
        return true;
    }
    if (entry && (r->fresh_tracks || f->wall_us - segw_start_us(r->seg) >= r->chunk_us)) return true;
    if (f->gen == r->gen) return false;
    /* More tracks, and the old ones as they were: this segment goes on up to the next key frame. */
    if (entry || !rec_batch_only_adds(&r->batch, r->ring, f->gen, r->tracks)) return true;
    r->fresh_tracks = true;
    r->gen = f->gen;
    return false;
}

/* The batch becomes a fragment. false: nothing more can be done now. */
static bool append(struct recorder *r)
{
    const struct frame *f = r->batch.frames;
    int err = segw_append(r->seg, f, r->batch.n);

    if (err < 0) {
        failed(r, err);
        return false;
    }
    if (err == SEGW_OK && ring_view_holds(r->ring, f[0].seq)) {
        for (size_t i = 0; i < r->batch.n; i++) r->seen |= 1u << f[i].track;
        r->next = f[r->batch.n - 1].seq + 1;
        say_progress(r, r->batch.bytes);
        return true;
    }
    if (err == SEGW_OK) (void)segw_undo_last(r->seg);
    gap(r);
    return true;
}

static bool step(struct recorder *r)
{
    struct frame f;
    usec_t cut_us;

    if (r->next < ring_writer_oldest(r->ring)) gap(r);
    if (r->seg && ring_view(r->ring, r->next, &f) == RING_OK && segment_over(r, &f)) close_segment(r);
    if (!r->seg) {
        if (!begin_segment(r)) return false;
    } else {
        cut_us = r->fresh_tracks ? INT64_MIN : segw_start_us(r->seg) + r->chunk_us;
        if (!rec_batch_gather(&r->batch, r->ring, r->next, r->seen, cut_us)) return false;
    }
    return append(r);
}

static void record(struct recorder *r)
{
    if (!r->ring || !r->on || r->folder_fd < 0 || clock_mono_us() < r->retry_us || !lock_folder(r)) return;
    while (step(r)) {
    }
}

/* --- the thread --- */

static void take_folder(struct recorder *r, int fd)
{
    r->go_on = r->go_on || r->seg != NULL;
    drop_folder(r);
    r->retry_us = 0;
    r->folder_fd = fd;
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
    atomic_store(&r->busy_since_us, clock_mono_us());
    pthread_mutex_unlock(&r->lock);
    ring_writer_close(old);
    r->chunk_us = o.chunk_us;
    r->clock = o.clock;
    r->clock_offset_us = o.clock_offset_us;
    if (r->on && !o.on) record(r);
    if (o.new_folder && r->seg) record(r);
    r->on = o.on;
    if (o.new_folder) take_folder(r, o.folder_fd);
    if (!r->on) close_segment(r);
    if (!r->seg) say_closed(r);
    return !o.stop;
}

static void *run(void *arg)
{
    struct recorder *r = arg;

    while (take_orders(r)) record(r);
    record(r);
    drop_folder(r);
    loop_post(r->loop, tell, news(r, STOPPED));
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

void recorder_clock(struct recorder *r, enum seg_clock clock, usec_t offset_us)
{
    pthread_mutex_lock(&r->lock);
    r->orders.clock = clock;
    r->orders.clock_offset_us = offset_us;
    pthread_mutex_unlock(&r->lock);
}

void recorder_folder(struct recorder *r, int fd, int err)
{
    pthread_mutex_lock(&r->lock);
    fd_close(&r->orders.folder_fd);
    r->orders.new_folder = true;
    r->orders.folder_fd = fd;
    if (err != 0) atomic_store(&r->status->rec_errno, err);
    poke_locked(r);
    pthread_mutex_unlock(&r->lock);
}

void recorder_stop(struct recorder *r)
{
    if (!r->running) {
        loop_post(r->loop, tell, news(r, STOPPED));
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

bool recorder_open_segment(
    struct recorder *r, uint64_t *ret_id, char path[SEG_PATH_MAX], usec_t *ret_start_us)
{
    bool open;

    pthread_mutex_lock(&r->lock);
    open = r->open_id != 0;
    *ret_id = r->open_id;
    *ret_start_us = r->open_start_us;
    memcpy(path, r->open_path, SEG_PATH_MAX);
    pthread_mutex_unlock(&r->lock);
    return open;
}

void recorder_text(struct recorder *r, char *field, size_t cap, const char *text)
{
    pthread_mutex_lock(&r->lock);
    ring_status_text(r->status, field, cap, text);
    pthread_mutex_unlock(&r->lock);
}
