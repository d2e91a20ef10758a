#include "worker/worker.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/ipc/child.h"
#include "worker/keeper_link.h"
#include "worker/recorder.h"
#include "worker/session.h"
#include "worker/state.h"

#include <errno.h>
#include <unistd.h>

#define BEAT_US   (1500 * US_PER_MS) /* the contract says 2 s */
#define LINGER_US (30 * US_PER_S)    /* on demand: the camera is left so long after the last viewer */
#define WANT_US   (5 * US_PER_S)     /* a larger ring is asked for again */
#define TURN_MIN  (1 * US_PER_MS)
#define SOON_US   (300 * US_PER_MS) /* what is due so soon is done now: it saves a wake-up */

/* What the ring's message brought; the next one replaces it. */
struct ring_set {
    uint32_t gen;
    int fd, frames_fd, demand_fd;
    struct demand *demand;
    struct loop_io demand_io;
};

struct worker {
    struct loop *loop;
    struct child *child;
    struct settings settings, next; /* next: to be taken over when the camera was left */
    bool configured, has_next;
    struct ring_set set;
    struct ring_writer *ring; /* NULL: none yet. Owned by the recorder */
    struct ring_status *status;
    struct ingest *ingest;
    struct session *session;
    struct recorder *recorder;
    struct klink keeper;
    struct state state;
    struct loop_task task;
    struct loop_timer timer;
    usec_t timer_us; /* it is armed for, 0: not */
    usec_t beat_us;
    usec_t unwanted_us; /* on demand: since when nobody wants the camera, 0: somebody does */
    uint64_t want_bytes;
    usec_t want_us;
    usec_t poke_us;
    uint64_t poke_bytes;
    uint64_t signalled; /* frames that followers were told of */
    int connector_fd;   /* came before the settings, -1: none */
    char storage[48];
    bool stopping, camera_off, recorder_off, orphaned;
};

static void later(struct worker *w);

/* --- status and state --- */

static void add(_Atomic uint64_t *field, uint64_t n)
{
    atomic_store_explicit(field, atomic_load_explicit(field, memory_order_relaxed) + n, memory_order_relaxed);
}

#define SET(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

static void say_state(struct worker *w)
{
    SET(w->status->state, w->state.now);
    SET(w->status->state_since_us, w->state.since_us);
    recorder_text(w->recorder, w->status->reason, sizeof(w->status->reason), w->state.reason);
}

static void on_state_changed(void *arg, const struct state *s)
{
    struct worker *w = arg;
    struct packer *p = channel_begin(child_control(w->child), MSG_STATE, 3);

    pack_kv_u64(p, "state", (uint64_t)s->now);
    pack_kv_text(p, "reason", s->reason);
    pack_kv_i64(p, "since_us", s->since_us);
    channel_end(child_control(w->child), NULL, 0);
    if (w->ring) say_state(w);
}

static void set_state(struct worker *w, enum stream_state to, const char *reason)
{
    state_set(&w->state, to, reason, clock_wall_us());
}

/* --- the session's word --- */

static void on_session_state(void *arg, enum stream_state to, const char *reason)
{
    set_state(arg, to, reason);
}

static void on_source(void *arg, const char *text)
{
    struct worker *w = arg;

    recorder_text(w->recorder, w->status->source, sizeof(w->status->source), text);
    if (w->state.now != STREAM_ACTIVE) set_state(w, STREAM_CONNECTING, "waiting for the first picture");
}

static void on_connecting(void *arg)
{
    struct worker *w = arg;

    add(&w->status->connects, 1);
    if (w->state.now == STREAM_IDLE || w->state.now == STREAM_CONNECTING)
        set_state(w, STREAM_CONNECTING, "asking the camera");
}

static void on_ended(void *arg)
{
    struct worker *w = arg;

    add(&w->status->reconnects, 1);
}

static void signal_followers(struct worker *w, uint64_t frames)
{
    uint64_t one = 1;

    if (frames == w->signalled) return;
    w->signalled = frames;
    if (w->set.demand && atomic_load_explicit(&w->set.demand->followers, memory_order_relaxed) > 0 &&
        write(w->set.frames_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
        log_debug("frame-signal", "errno=%d", errno);
}

static void on_drained(void *arg, size_t bytes)
{
    struct worker *w = arg;
    struct ingest_view v = ingest_view(w->ingest);

    add(&w->status->bytes_in, bytes);
    w->poke_bytes += bytes;
    signal_followers(w, v.next_seq);
    if (v.key_us != 0 && w->state.now != STREAM_ACTIVE && !w->stopping && session_playing(w->session))
        set_state(w, STREAM_ACTIVE, "");
    later(w);
}

static void maybe_exit(struct worker *w)
{
    if (!w->stopping || !w->camera_off || !w->recorder_off) return;
    log_info("stopped", "orphaned=%d", w->orphaned);
    klink_done(&w->keeper);
    session_free(w->session);
    child_exit(w->child, CHILD_EXIT_OK);
}

static void take_next(struct worker *w);

static void on_off(void *arg)
{
    struct worker *w = arg;

    w->camera_off = w->stopping;
    maybe_exit(w);
    if (w->stopping) return;
    if (w->has_next)
        take_next(w);
    else if (w->settings.on_demand)
        set_state(w, STREAM_IDLE, "nobody watches");
    later(w);
}

static void on_turn(void *arg)
{
    later(arg);
}

/* --- the recorder's word --- */

static void on_opened(void *arg, uint64_t id, const char *path, usec_t start_us)
{
    struct worker *w = arg;

    log_info("segment-open", "path=%s", path);
    klink_opened(&w->keeper, id, path, start_us);
}

static void on_closed(void *arg, const struct seg_info *info)
{
    struct worker *w = arg;

    log_info("segment-closed", "path=%s bytes=%llu samples=%u", info->path, (unsigned long long)info->bytes,
        info->samples);
    klink_closed(&w->keeper, info);
}

static void on_write_failed(void *arg, int err)
{
    struct worker *w = arg;

    log_error("write-failed", "storage=%s err=%s", w->storage, log_q(span_of(err_text(err))));
    w->storage[0] = '\0'; /* whatever the keeper gives next is taken */
    klink_failed(&w->keeper, err);
}

static void on_recorder_stopped(void *arg)
{
    struct worker *w = arg;

    w->recorder_off = true;
    maybe_exit(w);
}

/* --- the keeper's word --- */

/* The folder that we have already is not opened anew. */
static void on_folder(void *arg, int fd, int err, const char *storage)
{
    struct worker *w = arg;

    if (fd >= 0 && strcmp(storage, w->storage) == 0) {
        fd_close(&fd);
        return;
    }
    log_info(
        "archive", "storage=%s state=%s errno=%d", log_q(span_of(storage)), fd >= 0 ? "ok" : "wait", err);
    span_copy(span_of(fd >= 0 ? storage : ""), w->storage, sizeof(w->storage));
    recorder_text(w->recorder, w->status->rec_storage, sizeof(w->status->rec_storage), storage);
    recorder_folder(w->recorder, fd, err);
}

static void on_keeper(void *arg)
{
    struct worker *w = arg;
    char path[SEG_PATH_MAX];
    usec_t start_us;
    uint64_t id;

    if (w->configured && w->settings.record) klink_ask(&w->keeper);
    if (recorder_open_segment(w->recorder, &id, path, &start_us))
        klink_opened(&w->keeper, id, path, start_us);
}

/* --- what is due --- */

static bool followed(const struct worker *w)
{
    return w->set.demand && atomic_load_explicit(&w->set.demand->followers, memory_order_relaxed) > 0;
}

static bool wanted(const struct worker *w)
{
    return followed(w) ||
        (w->set.demand && atomic_load_explicit(&w->set.demand->wanted, memory_order_relaxed) > 0);
}

/* Connects at the first demand, leaves the camera some time after the last. */
static void look_at_demand(struct worker *w, usec_t now_us)
{
    if (!w->session || w->stopping || w->has_next) return;
    session_live(w->session, followed(w));
    if (!w->settings.on_demand || wanted(w)) {
        w->unwanted_us = 0;
        if (session_is_off(w->session)) session_start(w->session);
        return;
    }
    if (session_is_off(w->session)) return;
    if (w->unwanted_us == 0) w->unwanted_us = now_us;
    if (now_us - w->unwanted_us >= LINGER_US) session_stop(w->session);
}

static void tell_clock(struct worker *w)
{
    usec_t offset_us = 0;
    bool known = ingest_camera_clock(w->ingest, &offset_us);

    recorder_clock(w->recorder, known ? SEG_CLOCK_CAMERA : SEG_CLOCK_SERVER, offset_us);
}

static void poke_recorder(struct worker *w, usec_t now_us)
{
    if (w->poke_bytes == 0) return;
    if (now_us - w->poke_us < RECORDER_POKE_US && w->poke_bytes < RECORDER_POKE_BYTES) return;
    w->poke_us = now_us;
    w->poke_bytes = 0;
    tell_clock(w);
    recorder_poke(w->recorder);
}

static void want_ring(struct worker *w, usec_t now_us)
{
    const struct measure *m = ingest_measure(w->ingest);
    usec_t before_us = w->settings.record ? 0 : w->settings.event_before_us;
    struct ring_geom geom;
    struct packer *p;

    if (!measure_outgrown(m, ring_writer_geom(w->ring), before_us, w->settings.ring_max)) return;
    geom = measure_geom(m, before_us, w->settings.ring_max);
    if (geom.data_bytes + (uint64_t)geom.frames <= w->want_bytes && now_us - w->want_us < WANT_US) return;
    w->want_bytes = geom.data_bytes + (uint64_t)geom.frames;
    w->want_us = now_us;
    p = channel_begin(child_control(w->child), MSG_RING_WANT, 2);
    pack_kv_u64(p, "bytes", geom.data_bytes);
    pack_kv_u64(p, "frames", geom.frames);
    channel_end(child_control(w->child), NULL, 0);
}

static void beat(struct worker *w, usec_t now_us)
{
    const struct measure *m = ingest_measure(w->ingest);

    SET(w->status->beat_mono_us, now_us);
    if (recorder_busy_us(w->recorder, now_us) == 0) SET(w->status->record_beat_us, now_us);
    SET(w->status->gop_frames, m->done_frames);
    SET(w->status->gop_ms, m->done_ms);
    SET(w->status->bitrate_in, m->bitrate);
    SET(w->status->ring_want, (uint32_t)MIN(measure_bytes(m, 0), UINT32_MAX));
    w->beat_us = now_us + BEAT_US;
}

static usec_t sooner(usec_t a_us, usec_t b_us)
{
    return a_us == 0 || (b_us != 0 && b_us < a_us) ? b_us : a_us;
}

static void on_timer(struct loop_timer *t);

/* At the end of every turn of the loop in which something happened: what is due is done, and the timer stands
 * at what comes next. It is moved only when it would be late. */
static void turn(struct loop_task *task)
{
    struct worker *w = CONTAINER(task, struct worker, task);
    usec_t now_us = clock_mono_us(), due_us;

    if (!w->ring) return;
    look_at_demand(w, now_us);
    poke_recorder(w, now_us);
    want_ring(w, now_us);
    if (now_us + SOON_US >= w->beat_us) beat(w, now_us);
    due_us = w->beat_us;
    if (w->session) due_us = sooner(due_us, session_due(w->session));
    if (w->unwanted_us != 0) due_us = sooner(due_us, w->unwanted_us + LINGER_US);
    if (w->timer_us != 0 && w->timer_us <= due_us && w->timer_us > now_us) return;
    w->timer_us = MAX(due_us, now_us + TURN_MIN);
    loop_timer_set(w->loop, &w->timer, w->timer_us - now_us, on_timer, w);
}

static void later(struct worker *w)
{
    loop_defer(w->loop, &w->task, turn);
}

static void on_timer(struct loop_timer *t)
{
    struct worker *w = t->arg;

    w->timer_us = 0;
    if (w->session) session_tick(w->session, clock_mono_us());
    later(w);
}

/* --- the master's word --- */

static void on_demand_changed(struct loop_io *io, unsigned events)
{
    struct worker *w = io->arg;
    uint64_t count;

    (void)events;
    if (read(io->fd, &count, sizeof(count)) < 0 && errno != EAGAIN) loop_io_stop(io);
    later(w);
}

static void set_done(struct ring_set *s)
{
    loop_io_stop(&s->demand_io);
    demand_unmap(s->demand);
    fd_close(&s->fd);
    fd_close(&s->frames_fd);
    fd_close(&s->demand_fd);
}

/* The ring, and what lies beside it. 0, or negative: the master sent nonsense. */
static int set_open(struct incoming *in, struct ring_set *ret)
{
    struct ring_set s = {
        .gen = (uint32_t)packed_u64(in->body, "gen", 0), .fd = -1, .frames_fd = -1, .demand_fd = -1};
    int err;

    if (in->n_fds != 4) return -EPROTO;
    err = demand_map(in->fds[1], false, &s.demand);
    if (err != 0) return err < 0 ? err : -EPROTO;
    s.fd = in->fds[0];
    s.frames_fd = in->fds[2];
    s.demand_fd = in->fds[3];
    in->fds[0] = in->fds[2] = in->fds[3] = -1;
    (void)fd_nonblock(s.frames_fd);
    (void)fd_nonblock(s.demand_fd);
    *ret = s;
    return 0;
}

static void ring_moved(struct worker *w)
{
    struct packer *p = channel_begin(child_control(w->child), MSG_RING_MOVED, 1);

    pack_kv_u64(p, "gen", w->set.gen);
    channel_end(child_control(w->child), NULL, 0);
}

static void begin(struct worker *w);

static int on_ring(struct worker *w, struct incoming *in)
{
    struct ring_set set;
    struct ring_writer *ring;
    bool first = w->ring == NULL;
    int err = set_open(in, &set);

    if (err < 0) return err;
    err = ring_writer_open(set.fd, &ring);
    if (err != 0) {
        set_done(&set);
        log_error("ring", "err=%d", err);
        return -EPROTO;
    }
    recorder_ring(w->recorder, w->ring, ring);
    ingest_ring(w->ingest, ring);
    w->ring = ring;
    w->status = ring_writer_status(ring);
    if (!first) set_done(&w->set);
    w->set = set;
    loop_io_start(w->loop, &w->set.demand_io, w->set.demand_fd, LOOP_READ, on_demand_changed, w);
    log_info("ring", "gen=%u bytes=%u frames=%u", set.gen, ring_writer_geom(ring).data_bytes,
        ring_writer_geom(ring).frames);
    if (!first) {
        ring_moved(w);
    } else {
        say_state(w);
        beat(w, clock_mono_us());
        begin(w);
    }
    return 0;
}

/* Both the settings and the ring are there. */
static void begin(struct worker *w)
{
    if (!w->ring || !w->configured || w->stopping) return;
    recorder_set(w->recorder, w->settings.record, w->settings.chunk_us);
    if (w->settings.record)
        klink_ask(&w->keeper);
    else
        w->storage[0] = '\0';
    if (w->settings.on_demand && session_is_off(w->session) && w->state.now == STREAM_CONNECTING)
        set_state(w, STREAM_IDLE, "nobody watches");
    later(w);
}

static void give_connector(struct worker *w)
{
    if (!w->session || w->connector_fd < 0) return;
    session_connector(w->session, w->connector_fd);
    w->connector_fd = -1;
}

static void make_session(struct worker *w)
{
    struct session_ops ops = {.state = on_session_state,
        .source = on_source,
        .connecting = on_connecting,
        .ended = on_ended,
        .drained = on_drained,
        .off = on_off,
        .turn = on_turn,
        .arg = w};
    const char *why = "";

    w->session = session_new(w->loop, &w->settings, w->ingest, &ops, &why);
    if (w->session) {
        give_connector(w);
        return;
    }
    log_error("settings", "url=refused why=%s", log_q(span_of(why)));
    set_state(w, STREAM_INVALID, why);
    child_exit(w->child, CHILD_EXIT_CONFIG);
}

/* The camera was left: the new settings count. The connector's socket stays with the session, so it moves on.
 */
static void take_next(struct worker *w)
{
    w->connector_fd = session_give_connector(w->session);
    session_free(w->session);
    settings_done(&w->settings);
    w->settings = w->next;
    w->next = (struct settings){0};
    w->has_next = false;
    make_session(w);
    ingest_invalid_after(w->ingest, w->settings.invalid_after);
    if (w->state.now != STREAM_IDLE) set_state(w, STREAM_CONNECTING, "settings changed");
    begin(w);
}

static int on_stream(struct worker *w, struct incoming *in)
{
    struct settings s;
    const char *why = "";

    if (!settings_read(in->body, &s, &why)) {
        log_error("settings", "why=%s", log_q(span_of(why)));
        child_exit(w->child, CHILD_EXIT_CONFIG);
    }
    if (w->configured && !settings_same_source(&w->settings, &s)) {
        settings_done(&w->next);
        w->next = s;
        w->has_next = true;
        session_stop(w->session);
        return 0;
    }
    settings_done(&w->settings);
    w->settings = s;
    ingest_invalid_after(w->ingest, s.invalid_after);
    if (!w->configured) make_session(w);
    w->configured = true;
    begin(w);
    return 0;
}

static int on_connector(struct worker *w, struct incoming *in)
{
    if (in->n_fds != 1) return -EPROTO;
    fd_close(&w->connector_fd);
    w->connector_fd = in->fds[0];
    in->fds[0] = -1;
    give_connector(w);
    later(w);
    return 0;
}

static int on_keeper_sock(struct worker *w, struct incoming *in)
{
    if (in->n_fds != 1) return -EPROTO;
    klink_keeper(&w->keeper, in->fds[0]);
    in->fds[0] = -1;
    return 0;
}

static int on_message(struct child *c, struct incoming *in)
{
    static const struct {
        enum message type;
        int (*fn)(struct worker *w, struct incoming *in);
    } handlers[] = {
        {MSG_STREAM, on_stream},
        {MSG_RING, on_ring},
        {MSG_CONNECTOR_SOCK, on_connector},
        {MSG_KEEPER_SOCK, on_keeper_sock},
    };

    for (size_t i = 0; i < ARRAY_N(handlers); i++)
        if (handlers[i].type == in->type) return handlers[i].fn(child_arg(c), in);
    return 0;
}

/* The camera is told, the segment closed; both at once, and the child's deadline stands behind them. */
static void on_stop(struct child *c, bool orphaned)
{
    struct worker *w = child_arg(c);

    w->stopping = true;
    w->orphaned = orphaned;
    w->camera_off = w->session == NULL || session_is_off(w->session);
    if (w->ring)
        recorder_stop(w->recorder);
    else
        w->recorder_off = true;
    if (!w->camera_off) session_stop(w->session);
    maybe_exit(w);
    later(w);
}

static void on_welcome(struct child *c, const struct packed *body)
{
    (void)c;
    (void)body;
}

/* --- ingest's word --- */

static void on_rtcp(void *arg, uint8_t track, struct span compound)
{
    struct worker *w = arg;

    session_send_rtcp(w->session, track, compound);
}

static void on_invalid(void *arg, uint32_t packets)
{
    struct worker *w = arg;
    char why[64];

    snprintf(why, sizeof(why), "%u bad packets in a row", packets);
    session_restart(w->session, STREAM_INVALID, why);
}

void worker_run(const char *uid)
{
    static const struct child_ops ops = {
        .on_welcome = on_welcome, .on_message = on_message, .on_stop = on_stop};
    static const struct recorder_ops rec_ops = {
        .opened = on_opened, .closed = on_closed, .failed = on_write_failed, .stopped = on_recorder_stopped};
    static const struct klink_ops keeper_ops = {.folder = on_folder, .connected = on_keeper};
    struct worker *w = NEW(struct worker);
    struct ingest_ops in_ops = {.rtcp = on_rtcp, .invalid = on_invalid, .arg = w};

    w->loop = loop_new();
    w->connector_fd = -1;
    w->set = (struct ring_set){.fd = -1, .frames_fd = -1, .demand_fd = -1};
    w->state = (struct state){.since_us = clock_wall_us(), .changed = on_state_changed, .arg = w};
    w->ingest = ingest_new(&in_ops);
    w->recorder = recorder_new(w->loop, uid, &rec_ops, w);
    klink_init(&w->keeper, w->loop, &keeper_ops, w);
    w->child = child_start(w->loop, ROLE_WORKER, "worker", uid, false, &ops, w);
    if (!w->child) exit(CHILD_EXIT_PROTO);
    loop_run(w->loop);
    child_exit(w->child, CHILD_EXIT_OK);
}
