#include "httpd/stream.h"
#include "httpd/camera.h"
#include "httpd/cursor.h"
#include "httpd/follow.h"
#include "httpd/http.h"
#include "httpd/rtsp_live.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/net/conn.h"

#include <unistd.h>

struct stream *stream_get(struct hub *hub, struct span uid)
{
    return map_get(&hub->streams, uid);
}

static void tell_demand(struct stream *s);

static void drop_ring(struct stream *s)
{
    if (!s->has_ring) return;
    ring_status_unmap(s->status);
    demand_unmap(s->demand);
    s->status = NULL;
    s->demand = NULL;
    fd_close(&s->ring.ring_fd);
    fd_close(&s->ring.demand_fd);
    fd_close(&s->ring.frame_event_fd);
    fd_close(&s->ring.demand_event_fd);
    s->has_ring = false;
}

static void free_stream(struct stream *s)
{
    follow_end(s);
    rtsp_live_free(s);
    http_wake(&s->waiting); /* they find no such stream */
    http_wake(&s->parts);
    access_stream_gone(s); /* what has not come to its own end */
    drop_ring(s);
    camera_leave(s->camera);
    cidrs_done(&s->v.rule.whitelist);
    chunk_unref(s->preview);
    mem_free(s);
}

/* The same networks in the same order. */
static bool same_list(const struct cidrs *a, const struct cidrs *b)
{
    return a->n == b->n && (a->n == 0 || memcmp(a->v, b->v, a->n * sizeof(*a->v)) == 0);
}

static bool same_rule(const struct access_rule *a, const struct access_rule *b)
{
    return a->mode == b->mode && a->roads == b->roads && same_list(&a->whitelist, &b->whitelist);
}

void stream_view(struct hub *hub, void *view)
{
    struct view *v = view;
    struct span uid = span_of(v->uid);
    struct stream *s = stream_get(hub, uid);
    struct view before;
    bool changed;

    if (!s) {
        s = NEW(struct stream);
        s->hub = hub;
        list_init(&s->waiting);
        list_init(&s->parts);
        list_init(&s->anyone);
        map_set(&hub->streams, uid, s);
    }
    changed = !same_rule(&s->v.rule, &v->rule);
    cidrs_done(&s->v.rule.whitelist);
    before = s->v;
    s->v = *v;
    mem_free(v);
    camera_of_view(s, &before);
    if (changed) access_rule_changed(s);
    follow_rule_changed(s);
    if (!s->v.rule.enabled || s->v.rule.mode == ACCESS_NONE) rtsp_live_end(s);
}

/* 0 or an error; on success the descriptors are the stream's. */
static int take_ring(struct stream *s, const struct view_ring *r)
{
    const struct ring_status *status;
    struct demand *demand;
    int err = ring_status_map(r->ring_fd, &status);

    if (err != 0) return err;
    err = demand_map(r->demand_fd, true, &demand);
    if (err != 0) {
        ring_status_unmap(status);
        return err;
    }
    drop_ring(s);
    s->ring = *r;
    s->status = status;
    s->demand = demand;
    s->has_ring = true;
    tell_demand(s); /* also over what an earlier httpd may have left there */
    return 0;
}

void stream_ring(struct hub *hub, void *view_ring)
{
    struct view_ring *r = view_ring;
    struct stream *s = stream_get(hub, span_of(r->uid));
    int err = s ? take_ring(s, r) : -1;

    if (err != 0) {
        if (s) log_event_of(LOG_WARN, r->uid, "ring-refused", "gen=%u err=%d", r->gen, err);
        fd_close(&r->ring_fd);
        fd_close(&r->demand_fd);
        fd_close(&r->frame_event_fd);
        fd_close(&r->demand_event_fd);
    } else {
        follow_new_ring(s);
        rtsp_live_new_ring(s);
    }
    mem_free(r);
}

void stream_gone(struct hub *hub, void *uid)
{
    struct stream *s = map_remove(&hub->streams, span_of(uid));

    mem_free(uid);
    if (s) free_stream(s);
}

void streams_done(struct hub *hub)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&hub->streams, &at, &slot)) free_stream(slot.value);
    map_done(&hub->streams);
}

void stream_now(const struct stream *s, struct stream_now *ret)
{
    *ret = (struct stream_now){.state = STREAM_CONNECTING};
    for (size_t i = 0; i < STREAM_STATES; i++) {
        if (s->v.state[0] == '\0' || !span_is(span_of(s->v.state), ring_state_word((enum stream_state)i)))
            continue;
        ret->state = (enum stream_state)i;
        span_copy(span_of(s->v.reason), ret->reason, sizeof(ret->reason));
        return;
    }
    if (!s->v.rule.enabled) {
        ret->state = STREAM_DISABLED;
        return;
    }
    if (!s->status) return;
    ret->state = (enum stream_state)MIN(atomic_load(&s->status->state), (uint32_t)STREAM_IDLE);
    ret->since_us = atomic_load(&s->status->state_since_us);
    ring_status_get_text(
        s->status, s->status->reason, sizeof(s->status->reason), ret->reason, sizeof(ret->reason));
}

bool stream_may_come(const struct stream *s)
{
    struct stream_now now;

    stream_now(s, &now);
    if (now.state == STREAM_ACTIVE || now.state == STREAM_CONNECTING) return true;
    return s->v.on_demand && now.state != STREAM_DISABLED && now.state != STREAM_INVALID;
}

/* In steps, so that workers are not told of every stream. */
static uint32_t pace_of(const struct hub *hub)
{
    const usec_t step_us = 10 * STREAM_PACE_EACH_US;
    usec_t us = STREAM_PACE_EACH_US * ((usec_t)hub->followed - STREAM_PACE_FROM);

    return (uint32_t)(CLAMP(us, 0, STREAM_PACE_MOST_US) / step_us * step_us);
}

/* As long as whoever waits least. */
static uint32_t own_pace(const struct stream *s)
{
    uint32_t least = UINT32_MAX;

    for (size_t i = 0; i < DEMAND_ROADS; i++)
        if (s->follows[i] > 0) least = MIN(least, s->paces_us[i]);
    return least < UINT32_MAX ? least : 0;
}

static void tell_demand(struct stream *s)
{
    uint32_t n = 0, hub_pace = pace_of(s->hub), pace = MAX(hub_pace, own_pace(s)), untold = hub_pace > 0;
    uint64_t one = 1;

    for (size_t i = 0; i < DEMAND_ROADS; i++) n += s->follows[i];
    if ((n > 0) != s->followed) s->hub->followed += n > 0 ? 1u : -1u;
    s->followed = n > 0;
    cursors_pull_together(s->hub, untold);
    if (!s->has_ring) return;
    if (atomic_load(&s->demand->followers) == n && atomic_load(&s->demand->wanted) == n &&
        (n == 0 || (atomic_load(&s->demand->pace_us) == pace && atomic_load(&s->demand->untold) == untold)))
        return;
    atomic_store(&s->demand->pace_us, pace);
    atomic_store(&s->demand->untold, untold);
    atomic_store(&s->demand->followers, n);
    atomic_store(&s->demand->wanted, n);
    atomic_store(&s->demand->last_mono_us, clock_mono_us());
    /* A full counter means that a signal is already waiting there. */
    (void)!write(s->ring.demand_event_fd, &one, sizeof(one));
}

void streams_pace(struct hub *hub)
{
    struct map_slot slot;
    size_t at = 0;

    cursors_pull_together(hub, pace_of(hub) > 0);
    while (hub->followed > 0 && map_next(&hub->streams, &at, &slot)) {
        struct stream *s = slot.value;

        if (s->followed) tell_demand(s);
    }
}

void stream_demand(struct stream *s, enum demand_road road, uint32_t n, uint32_t pace_us)
{
    s->follows[road] = n;
    s->paces_us[road] = pace_us;
    tell_demand(s);
}
