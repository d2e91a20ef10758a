#include "master/stream_ring.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/err.h"
#include "common/base/log.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void forget(struct ring_one *one)
{
    ring_status_unmap(one->status);
    fd_close(&one->fd);
    *one = (struct ring_one){.fd = -1};
}

void stream_ring_init(struct stream_ring *r)
{
    *r = (struct stream_ring){
        .now = {.fd = -1}, .next = {.fd = -1}, .demand = -1, .new_frame = -1, .new_demand = -1};
}

void stream_ring_done(struct stream_ring *r)
{
    forget(&r->now);
    forget(&r->next);
    fd_close(&r->demand);
    fd_close(&r->new_frame);
    fd_close(&r->new_demand);
}

static int make(struct stream_ring *r, const char *uid, uint64_t settings_hash, struct ring_geom geom,
    struct ring_one *ret)
{
    struct ring_one one = {.fd = -1, .gen = r->last_gen + 1, .geom = geom};
    int err = ring_mem_create(uid, one.gen, settings_hash, geom, &one.fd);

    if (err == 0) err = ring_status_map(one.fd, &one.status);
    if (err != 0) {
        fd_close(&one.fd);
        return err < 0 ? err : -EIO;
    }
    r->last_gen = one.gen;
    *ret = one;
    return 0;
}

static int make_signals(struct stream_ring *r)
{
    int err = r->demand < 0 ? demand_create(&r->demand) : 0;

    if (err < 0) return err;
    if (r->new_frame < 0) r->new_frame = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (r->new_demand < 0) r->new_demand = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return r->new_frame < 0 || r->new_demand < 0 ? -errno : 0;
}

int stream_ring_open(struct stream_ring *r, const char *uid, uint64_t settings_hash)
{
    const struct ring_geom first = {
        .data_bytes = STREAM_RING_FIRST_BYTES, .frames = STREAM_RING_FIRST_FRAMES};
    int err = make_signals(r);

    if (err < 0 || r->now.fd >= 0) return err;
    return make(r, uid, settings_hash, first, &r->now);
}

int stream_ring_grow(struct stream_ring *r, const char *uid, uint64_t settings_hash, uint64_t bytes,
    uint64_t frames, uint32_t max_bytes)
{
    struct ring_geom want = ring_geom_for(bytes, frames, max_bytes);
    int err;

    if (r->now.fd < 0 || r->next.fd >= 0) return 0;
    want.data_bytes = MAX(want.data_bytes, r->now.geom.data_bytes);
    want.frames = MAX(want.frames, r->now.geom.frames);
    if (want.data_bytes == r->now.geom.data_bytes && want.frames == r->now.geom.frames) return 0;
    err = make(r, uid, settings_hash, want, &r->next);
    return err < 0 ? err : 1;
}

bool stream_ring_moved(struct stream_ring *r, uint32_t gen)
{
    if (r->next.fd < 0 || r->next.gen != gen) return false;
    forget(&r->now);
    r->now = r->next;
    r->next = (struct ring_one){.fd = -1};
    return true;
}

void stream_ring_forget_next(struct stream_ring *r)
{
    forget(&r->next);
}

void stream_ring_no_viewers(struct stream_ring *r)
{
    const uint64_t one = 1;
    struct demand *d;

    if (r->demand < 0 || demand_map(r->demand, true, &d) != 0) return;
    atomic_store(&d->followers, 0);
    atomic_store(&d->wanted, 0);
    atomic_store(&d->last_mono_us, clock_mono_us());
    demand_unmap(d);
    if (write(r->new_demand, &one, sizeof(one)) < 0) log_debug("demand-signal", "errno=%d", errno);
}

uint32_t stream_ring_viewers(const struct stream_ring *r)
{
    struct demand *d;
    uint32_t n;

    if (r->demand < 0 || demand_map(r->demand, false, &d) != 0) return 0;
    n = atomic_load_explicit(&d->followers, memory_order_relaxed);
    demand_unmap(d);
    return n;
}

void stream_ring_send(const struct stream_ring *r, const struct ring_one *which, struct channel *worker)
{
    CLEANUP(fd_close) int demand = -1;
    int err = ring_mem_reopen_ro(r->demand, &demand);
    struct packer *p;

    if (err < 0) {
        log_error("ring-reopen", "err=%s", log_q(span_of(err_text(err))));
        return;
    }
    p = channel_begin(worker, MSG_RING, 1);
    pack_kv_u64(p, "gen", which->gen);
    channel_end(worker, (const int[]){which->fd, demand, r->new_frame, r->new_demand}, 4);
}

void stream_ring_show(const struct stream_ring *r, const char *uid, struct channel *httpd)
{
    CLEANUP(fd_close) int ring = -1;
    struct packer *p;
    int err;

    if (r->now.fd < 0) return;
    err = ring_mem_reopen_ro(r->now.fd, &ring);
    if (err < 0) {
        log_error("ring-reopen", "stream=%s err=%s", uid, log_q(span_of(err_text(err))));
        return;
    }
    p = channel_begin(httpd, MSG_VIEW_RING, 2);
    pack_kv_text(p, "uid", uid);
    pack_kv_u64(p, "gen", r->now.gen);
    channel_end(httpd, (const int[]){ring, r->demand, r->new_frame, r->new_demand}, 4);
}
