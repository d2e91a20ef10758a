#include "master/fleet.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "master/master.h"
#include "master/pushes.h"
#include "master/tell.h"

#include <errno.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORKER_FDS 1024

static uint64_t counter(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

/* --- state --- */

static void say_state(const struct stream *s)
{
    if (s->probe) return;
    hooks_say(s->m, "stream:state",
        (const struct hooks_pair[]){
            {"uid", s->uid}, {"state", ring_state_word(s->state)}, {"reason", s->reason}},
        3);
}

/* What the master itself decides; the worker logs what it says. */
static void decide(struct stream *s, enum stream_state state, const char *reason)
{
    if (s->decided && s->state == state && strcmp(s->reason, reason) == 0) return;
    log_event_of(state == STREAM_DOWN ? LOG_WARN : LOG_NOTE, s->uid, "stream-state", "from=%s to=%s why=%s",
        ring_state_word(s->state), ring_state_word(state), log_q(span_of(reason)));
    s->state = state;
    s->since_us = clock_wall_us();
    s->decided = true;
    span_copy(span_of(reason), s->reason, sizeof(s->reason));
    tell_view(s);
    say_state(s);
}

static void undecide(struct stream *s)
{
    bool told = s->decided;

    s->decided = false;
    if (told) tell_view(s);
}

/* --- the worker's words --- */

static int on_state(struct stream *s, struct incoming *in)
{
    uint64_t state = packed_u64(in->body, "state", STREAM_DOWN);

    if (state >= STREAM_STATES) return -EPROTO;
    if (!s->proc.wanted) return 0; /* said before it heard that it ends: what was decided stands */
    s->state = (enum stream_state)state;
    s->since_us = packed_i64(in->body, "since_us", 0);
    span_copy(packed_str(in->body, "reason"), s->reason, sizeof(s->reason));
    undecide(s);
    say_state(s);
    return 0;
}

static int on_line(struct stream *s, struct incoming *in)
{
    lines_add(&s->lines, packed_str(in->body, "line"));
    return 0;
}

static int on_ring_want(struct stream *s, struct incoming *in)
{
    uint64_t most = s->m->conf->server.ring_max.bytes;
    int got = stream_ring_grow(&s->ring, s->uid, s->conf->worker_hash, packed_u64(in->body, "bytes", 0),
        packed_u64(in->body, "frames", 0), (uint32_t)MIN(most, RING_DATA_MAX));

    if (got < 0) log_event_of(LOG_ERROR, s->uid, "ring-grow", "err=%s", log_q(span_of(err_text(got))));
    if (got <= 0) return 0;
    log_event_of(LOG_INFO, s->uid, "ring-grows", "gen=%u bytes=%u frames=%u", s->ring.next.gen,
        s->ring.next.geom.data_bytes, s->ring.next.geom.frames);
    stream_ring_send(&s->ring, &s->ring.next, s->proc.ch);
    return 0;
}

static int on_ring_moved(struct stream *s, struct incoming *in)
{
    uint64_t gen = packed_u64(in->body, "gen", 0);

    if (gen <= UINT32_MAX && stream_ring_moved(&s->ring, (uint32_t)gen) && !s->probe &&
        services_channel(s->m, SERVICE_HTTPD))
        stream_ring_show(&s->ring, s->uid, services_channel(s->m, SERVICE_HTTPD));
    return 0;
}

static int on_event(struct stream *s, struct incoming *in)
{
    if (s->probe) return 0;
    return events_said(s, in->body);
}

static int on_step(struct stream *s, struct incoming *in)
{
    past_step(&s->past, in->body, clock_wall_us());
    return 0;
}

static int on_sdp(struct stream *s, struct incoming *in)
{
    past_sdp(&s->past, in->body);
    return 0;
}

static int on_push_ask(struct stream *s, struct incoming *in)
{
    pushes_ask(s, in->body);
    return 0;
}

static int on_push_over(struct stream *s, struct incoming *in)
{
    pushes_over(s, in->body);
    return 0;
}

static const struct {
    enum message type;
    int (*fn)(struct stream *s, struct incoming *in);
} handlers[] = {
    {MSG_STATE, on_state},
    {MSG_LOG_LINE, on_line},
    {MSG_RING_WANT, on_ring_want},
    {MSG_RING_MOVED, on_ring_moved},
    {MSG_EVENT, on_event},
    {MSG_STEP, on_step},
    {MSG_SDP, on_sdp},
    {MSG_PUSH_ASK, on_push_ask},
    {MSG_PUSH_OVER, on_push_over},
};

static int on_message(struct proc *p, struct incoming *in)
{
    const struct stream *s = p->arg;

    if (s->gone) return 0;
    for (size_t i = 0; i < ARRAY_N(handlers); i++)
        if (handlers[i].type == in->type) return handlers[i].fn(p->arg, in);
    return 0;
}

/* --- its life --- */

static void prepare(struct proc *p, struct spawn *sp)
{
    static char program[PATHS_MAX];
    struct stream *s = p->arg;

    paths_program(&s->m->paths, "ms-worker", program);
    sp->program = program;
    sp->name = "ms-worker";
    sp->arg = s->uid;
    sp->as = roles_worker(&s->m->roles, s->uid);
    sp->settings_hash = s->conf->worker_hash;
    sp->log_fd = s->m->log_fd;
    sp->fd_limit = WORKER_FDS;
    s->born_wall_us = clock_wall_us();
    s->frames_at_birth = s->ring.now.status ? counter(&s->ring.now.status->frames_in) : 0;
}

static void on_hello(struct proc *p)
{
    struct stream *s = p->arg;
    bool fresh = s->ring.now.fd < 0;
    int err = stream_ring_open(&s->ring, s->uid, s->conf->worker_hash);

    if (err < 0) {
        log_event_of(LOG_ERROR, s->uid, "ring-create", "err=%s", log_q(span_of(err_text(err))));
        proc_kill(p);
        return;
    }
    master_welcome(s->m, p->ch);
    tell_settings(s);
    stream_ring_send(&s->ring, &s->ring.now, p->ch);
    tell_connector(s);
    tell_keeper(s);
    record_tell(s);
    events_tell_worker(s);
    if (fresh && !s->probe && services_channel(s->m, SERVICE_HTTPD))
        stream_ring_show(&s->ring, s->uid, services_channel(s->m, SERVICE_HTTPD));
}

/* One GOP since its birth: then a crash costs no delay. */
static bool worked(struct proc *p)
{
    const struct stream *s = p->arg;
    const struct ring_status *st = s->ring.now.status;
    uint64_t gop;

    if (!st) return false;
    gop = MAX(atomic_load_explicit(&st->gop_frames, memory_order_relaxed), 1u);
    return counter(&st->frames_in) - s->frames_at_birth >= gop &&
        atomic_load_explicit(&st->last_key_us, memory_order_relaxed) > s->born_wall_us;
}

static usec_t beat_us(struct proc *p)
{
    const struct stream *s = p->arg;
    usec_t now_us = s->ring.now.status
        ? atomic_load_explicit(&s->ring.now.status->beat_mono_us, memory_order_relaxed)
        : 0;
    usec_t next_us = s->ring.next.status
        ? atomic_load_explicit(&s->ring.next.status->beat_mono_us, memory_order_relaxed)
        : 0;

    return MAX(now_us, next_us);
}

static void describe_death(const struct proc_death *d, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap);

    if (d->err < 0)
        wr_fmt(&w, "its worker cannot be started: %s", err_text(d->err));
    else if (d->how == DEATH_CONFIG)
        wr_text(&w, "its worker refuses the configuration");
    else if (d->how == DEATH_HANG)
        wr_text(&w, "its worker hung");
    else if (WIFSIGNALED(d->status))
        wr_fmt(&w, "its worker was ended by signal %d", WTERMSIG(d->status));
    else
        wr_fmt(&w, "its worker ended with code %d", WEXITSTATUS(d->status));
    if (d->quarantined) wr_text(&w, ", too often: quarantined, tried once a minute");
    wr_cstr(&w);
}

static void on_death(struct proc *p, const struct proc_death *d)
{
    struct stream *s = p->arg;
    char why[RING_REASON_MAX];

    stream_ring_forget_next(&s->ring);
    if (s->conf && s->conf->source == CONF_SOURCE_PUBLISH) pushes_over(s, NULL);
    if (d->asked) return;
    describe_death(d, why, sizeof(why));
    if (d->err == 0)
        log_event_of(d->quarantined ? LOG_ERROR : LOG_WARN, s->uid, "worker-died",
            "why=%s lived_ms=%lld next_ms=%lld", log_q(span_of(why)), (long long)(d->lived_us / US_PER_MS),
            (long long)(!d->wanted || d->wait_us < 0 ? -1 : d->wait_us / US_PER_MS));
    if (d->wanted && d->wait_us != 0) decide(s, STREAM_DOWN, why);
}

static void stream_free(struct stream *s)
{
    proc_done(&s->proc);
    stream_ring_done(&s->ring);
    lines_done(&s->lines);
    events_done(&s->events);
    mem_free(s->cluster);
    past_free(s->past);
    mem_free(s);
}

static void on_off(struct proc *p)
{
    struct stream *s = p->arg;
    struct master *m = s->m;

    m->fleet.alive--;
    if (s->gone) stream_free(s);
    master_one_off(m);
}

static const struct proc_ops ops = {.prepare = prepare,
    .on_hello = on_hello,
    .on_message = on_message,
    .worked = worked,
    .beat_us = beat_us,
    .on_death = on_death,
    .on_off = on_off};

static void start_worker(struct stream *s)
{
    if (s->proc.state == PROC_OFF) s->m->fleet.alive++;
    undecide(s);
    s->state = STREAM_CONNECTING;
    s->since_us = clock_wall_us();
    s->reason[0] = 0;
    proc_start(&s->proc);
}

void fleet_follow(struct stream *s)
{
    const char *rests = cluster_rests(s);

    if (s->gone) return;
    if (s->conf->enable == CONF_DISABLED || s->conf->unready) {
        proc_stop(&s->proc);
        if (s->conf->enable == CONF_DISABLED)
            decide(s, STREAM_DISABLED, "by its configuration");
        else
            decide(s, STREAM_DOWN, s->conf->unready);
    } else if (rests) {
        proc_stop(&s->proc);
        decide(s, STREAM_IDLE, rests);
    } else if (!s->proc.wanted) {
        start_worker(s);
    }
}

/* --- the fleet --- */

struct stream *fleet_stream(const struct master *m, struct span uid)
{
    return map_get(&m->fleet.by_uid, uid);
}

static struct stream *stream_new(struct master *m, const struct conf_stream *conf)
{
    struct stream *s = NEW(struct stream);

    s->m = m;
    s->conf = conf;
    s->since_us = clock_wall_us();
    span_copy(span_of(conf->uid), s->uid, sizeof(s->uid));
    stream_ring_init(&s->ring);
    events_init(&s->events);
    proc_init(&s->proc, &m->births, ROLE_WORKER, s->uid, &ops, s);
    return s;
}

struct stream *fleet_probe(struct master *m, const struct conf_stream *conf)
{
    struct stream *s = stream_new(m, conf);

    s->probe = true;
    start_worker(s);
    return s;
}

static void end_stream(struct stream *s)
{
    s->gone = true;
    s->conf = NULL;
    if (s->proc.state == PROC_OFF)
        stream_free(s);
    else
        proc_stop(&s->proc);
}

void fleet_probe_end(struct stream *s)
{
    tell_gone(s);
    end_stream(s);
}

void fleet_add(struct master *m, const struct conf_stream *conf)
{
    struct stream *s = stream_new(m, conf);

    map_set(&m->fleet.by_uid, span_of(s->uid), s);
    record_follow(s);
    tell_view(s);
    tell_keeping(s);
    cluster_add(s);
    fleet_follow(s);
}

void fleet_remove(struct master *m, struct span uid)
{
    struct stream *s = map_remove(&m->fleet.by_uid, uid);

    if (!s) return;
    events_stop(s);
    cluster_remove(s);
    tell_gone(s);
    hooks_say(m, "stream:delete", (const struct hooks_pair[]){{"uid", s->uid}}, 1);
    end_stream(s);
}

/* A worker that runs takes settings over, all but the way to its camera. One that is being born is told after
 * its handshake. */
static void settings_changed(struct stream *s, const struct conf_stream *was)
{
    bool archive =
        s->conf->record && (!was->record || strcmp(was->dvr_archive.text, s->conf->dvr_archive.text) != 0);

    if (!proc_runs(&s->proc)) {
        proc_start(&s->proc); /* it may have refused the settings before */
        return;
    }
    /* The keeper's answer counts by the newest socket: this one first. */
    if (archive) tell_keeper(s);
    tell_settings(s);
    record_tell(s);
    events_tell_worker(s);
}

void fleet_change(struct stream *s, const struct conf_stream *was, enum conf_change change)
{
    bool ran = s->proc.wanted;

    tell_view(s);
    tell_keeping(s);
    record_follow(s);
    if (change == CONF_VIEW_CHANGED) return;
    fleet_follow(s);
    if (!ran || !s->proc.wanted) return;
    /* The ring keeps what the old worker had not recorded. */
    if (change == CONF_SOURCE_CHANGED)
        proc_restart(&s->proc);
    else
        settings_changed(s, was);
}

/* fn for every stream, in the order of the configuration. */
static void each(struct master *m, void (*fn)(struct stream *s))
{
    for (size_t i = 0; i < m->conf->n_streams; i++) {
        struct stream *s = fleet_stream(m, span_of(m->conf->streams[i]->uid));

        if (s) fn(s);
    }
}

void fleet_init(struct master *m)
{
    m->fleet = (struct fleet){.alive = 0};
}

void fleet_start(struct master *m)
{
    for (size_t i = 0; i < m->conf->n_streams; i++) fleet_add(m, m->conf->streams[i]);
}

static void stop_one(struct stream *s)
{
    events_stop(s);
    proc_stop(&s->proc);
}

void fleet_stop(struct master *m)
{
    each(m, stop_one);
}

static void kill_one(struct stream *s)
{
    proc_kill(&s->proc);
}

void fleet_kill(struct master *m)
{
    each(m, kill_one);
}

void fleet_check(struct master *m, usec_t now_us)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&m->fleet.by_uid, &at, &slot)) proc_check(&((struct stream *)slot.value)->proc, now_us);
}

void fleet_windows(struct master *m)
{
    usec_t mono_us = clock_mono_us(), wall_us = clock_wall_us();

    for (size_t i = 0; i < m->conf->n_streams; i++) {
        struct stream *s = fleet_stream(m, span_of(m->conf->streams[i]->uid));

        record_check(s, wall_us);
        events_check(s, mono_us, wall_us);
    }
}

void fleet_tell_connector(struct master *m)
{
    each(m, tell_connector);
}

void fleet_tell_keeping(struct master *m)
{
    each(m, tell_keeping);
}

void fleet_tell_keeper(struct master *m)
{
    fleet_tell_keeping(m);
    each(m, events_tell_keeper);
    each(m, tell_keeper);
}

static void tell_httpd_one(struct stream *s)
{
    tell_view(s);
    stream_ring_show(&s->ring, s->uid, services_channel(s->m, SERVICE_HTTPD));
}

void fleet_tell_httpd(struct master *m)
{
    each(m, tell_httpd_one);
}

static void no_viewers(struct stream *s)
{
    stream_ring_no_viewers(&s->ring);
}

void fleet_httpd_gone(struct master *m)
{
    each(m, no_viewers);
}

void fleet_done(struct master *m)
{
    struct map_slot slot;
    size_t at = 0;

    while (map_next(&m->fleet.by_uid, &at, &slot)) stream_free(slot.value);
    map_done(&m->fleet.by_uid);
}
