#include "worker/recorder_impl.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#define FAILED_AGAIN_US (2 * US_PER_S)
#define LOCK_AGAIN_US   (100 * US_PER_MS) /* while another holds the folder */

/* --- to the loop's thread --- */

struct news {
    struct recorder *r;
    enum { OPENED, CLOSED, FAILED, STOPPED } what;
    int err;
    struct rec_open open;
    struct seg_info *info;
};

static void tell(void *arg)
{
    struct news *n = arg;
    struct recorder *r = n->r;

    if (n->what == OPENED) r->ops->opened(r->arg, &n->open);
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

void rec_say_stopped(struct recorder *r)
{
    loop_post(r->loop, tell, news(r, STOPPED));
}

/* --- status --- */

#define STATUS(r, field, value)                                                                              \
    do {                                                                                                     \
        pthread_mutex_lock(&(r)->lock);                                                                      \
        atomic_store_explicit(&(r)->status->field, (value), memory_order_relaxed);                           \
        pthread_mutex_unlock(&(r)->lock);                                                                    \
    } while (0)

void rec_say_progress(struct recorder *r, uint64_t wrote)
{
    struct ring_status *s;

    pthread_mutex_lock(&r->lock);
    s = r->status;
    if (r->seg) {
        usec_t more_us = segw_end_us(r->seg) - atomic_load_explicit(&s->rec_end_us, memory_order_relaxed);

        if (more_us > 0) atomic_fetch_add_explicit(&s->recorded_us, (uint64_t)more_us, memory_order_relaxed);
        atomic_store_explicit(&s->rec_end_us, segw_end_us(r->seg), memory_order_relaxed);
        atomic_store_explicit(&s->rec_bytes, segw_bytes(r->seg), memory_order_release);
    }
    atomic_store_explicit(&s->rec_next_seq, r->next, memory_order_relaxed);
    atomic_fetch_add_explicit(&s->recorded_bytes, wrote, memory_order_relaxed);
    atomic_store_explicit(&s->record_beat_us, clock_mono_us(), memory_order_relaxed);
    pthread_mutex_unlock(&r->lock);
}

static void say_open(struct recorder *r, const struct rec_open *o)
{
    struct ring_status *s;

    pthread_mutex_lock(&r->lock);
    s = r->status;
    r->open = *o;
    ring_status_text(s, s->rec_path, sizeof(s->rec_path), o->path);
    atomic_store(&s->rec_bytes, segw_bytes(r->seg));
    atomic_store(&s->rec_start_us, o->start_us);
    atomic_store(&s->rec_end_us, segw_end_us(r->seg));
    atomic_store(&s->rec_segment, o->id);
    atomic_store(&s->record_state, RECORD_ON);
    atomic_store(&s->rec_errno, 0);
    pthread_mutex_unlock(&r->lock);
}

void rec_say_closed(struct recorder *r)
{
    pthread_mutex_lock(&r->lock);
    r->open.id = 0;
    atomic_store(&r->status->rec_segment, 0);
    atomic_store(&r->status->record_state,
        !r->on                                               ? RECORD_OFF
            : r->folder_fd < 0                               ? RECORD_PAUSED
            : !rec_policy_wants(&r->policy, clock_wall_us()) ? RECORD_ARMED
                                                             : RECORD_WAITING);
    pthread_mutex_unlock(&r->lock);
}

/* --- segments --- */

void rec_close(struct recorder *r)
{
    struct segw *seg = r->seg;
    struct news *n;
    int err;

    if (!seg) return;
    r->seg = NULL;
    rec_batch_forget_clock(&r->batch);
    n = news(r, CLOSED);
    n->info = NEW(struct seg_info);
    err = segw_close(seg, n->info);
    rec_say_closed(r);
    if (err == SEGW_OK && n->info->samples > 0) {
        loop_post(r->loop, tell, n);
        return;
    }
    /* Without its footer it is the keeper's to repair. */
    mem_free(n->info);
    mem_free(n);
}

void rec_drop_folder(struct recorder *r)
{
    int fd = r->folder_fd;

    r->folder_fd = -1;
    rec_close(r);
    fd_close(&r->lock_fd);
    fd_close(&fd);
}

void rec_failed(struct recorder *r, int err)
{
    struct news *n = news(r, FAILED);

    r->go_on = r->go_on || r->seg != NULL;
    rec_drop_folder(r);
    r->retry_us = clock_mono_us() + FAILED_AGAIN_US;
    STATUS(r, rec_errno, -err);
    rec_say_closed(r);
    n->err = err;
    loop_post(r->loop, tell, n);
}

bool rec_lock_folder(struct recorder *r)
{
    int err;

    if (r->lock_fd >= 0) return true;
    err = seg_lock(r->folder_fd, &r->lock_fd);
    if (err < 0) rec_failed(r, err);
    if (err == SEGW_E_LOCKED) r->retry_us = clock_mono_us() + LOCK_AGAIN_US;
    return err == SEGW_OK;
}

bool rec_open(struct recorder *r)
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
        rec_failed(r, err);
        return false;
    }
    r->discont = false;
    n = news(r, OPENED);
    n->open.id = segw_id(r->seg);
    n->open.start_us = segw_start_us(r->seg);
    memcpy(n->open.storage, r->storage, sizeof(n->open.storage));
    span_copy(span_of(segw_path(r->seg)), n->open.path, sizeof(n->open.path));
    say_open(r, &n->open);
    loop_post(r->loop, tell, n);
    return true;
}
