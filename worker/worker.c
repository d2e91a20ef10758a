#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "worker/worker_impl.h"

#include <errno.h>
#include <unistd.h>

#define SDP_KEPT_MAX 8192 /* bytes of a session description that the master is told */

/* --- status and state --- */

static void add(_Atomic uint64_t *field, uint64_t n)
{
    atomic_store_explicit(field, atomic_load_explicit(field, memory_order_relaxed) + n, memory_order_relaxed);
}

void worker_show_state(struct worker *w)
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
    if (w->ring) worker_show_state(w);
}

void worker_state(struct worker *w, enum stream_state to, const char *reason)
{
    state_set(&w->state, to, reason, clock_wall_us());
}

/* --- the session's word --- */

static void on_session_state(void *arg, enum stream_state to, const char *reason)
{
    worker_state(arg, to, reason);
}

/* A stream that is down, stale or invalid is that, with its reason and since when, until a picture comes. */
static void connecting(struct worker *w, const char *reason)
{
    if (w->state.now == STREAM_IDLE || w->state.now == STREAM_CONNECTING)
        worker_state(w, STREAM_CONNECTING, reason);
}

static void on_source(void *arg, const char *text)
{
    struct worker *w = arg;

    recorder_text(w->recorder, w->status->source, sizeof(w->status->source), text);
    connecting(w, "waiting for the first picture");
}

static void on_step(void *arg, const struct session_step *step)
{
    struct worker *w = arg;
    struct packer *p = channel_begin(child_control(w->child), MSG_STEP, 4);

    pack_kv_text(p, "name", step->name);
    pack_kv_bool(p, "ok", step->ok);
    pack_kv_i64(p, "took_us", step->took_us);
    pack_kv_str(p, "text", span_sub(span_of(step->text), 0, RING_REASON_MAX));
    channel_end(child_control(w->child), NULL, 0);
}

static void on_sdp(void *arg, struct span text)
{
    struct worker *w = arg;
    struct packer *p = channel_begin(child_control(w->child), MSG_SDP, 1);

    pack_kv_str(p, "text", span_sub(text, 0, SDP_KEPT_MAX));
    channel_end(child_control(w->child), NULL, 0);
}

static void on_connecting(void *arg)
{
    struct worker *w = arg;

    on_step(w, &(struct session_step){.name = "begin", .ok = true, .text = ""});
    add(&w->status->connects, 1);
    connecting(w, "asking the camera");
}

static void on_ended(void *arg)
{
    struct worker *w = arg;

    add(&w->status->reconnects, 1);
    worker_metadata_over(w);
    recorder_end(w->recorder, ring_writer_next(w->ring));
}

static void on_over(void *arg, enum ring_end why, const char *text)
{
    struct worker *w = arg;
    struct packer *p = channel_begin(child_control(w->child), MSG_STEP, 3);

    pack_kv_text(p, "name", "over");
    pack_kv_text(p, "cause", ring_end_word(why));
    pack_kv_text(p, "text", text);
    channel_end(child_control(w->child), NULL, 0);
    add(&w->status->ends[why], 1);
}

static void signal_followers(struct worker *w, uint64_t frames)
{
    uint64_t one = 1;

    if (frames == w->signalled) return;
    w->signalled = frames;
    if (w->set.demand && atomic_load_explicit(&w->set.demand->followers, memory_order_relaxed) > 0 &&
        atomic_load_explicit(&w->set.demand->untold, memory_order_relaxed) == 0 &&
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
        worker_state(w, STREAM_ACTIVE, "");
    worker_later(w);
}

static void maybe_exit(struct worker *w)
{
    if (!w->stopping || !w->camera_off || !w->recorder_off) return;
    log_info("stopped", "orphaned=%d", w->orphaned);
    klink_done(&w->keeper);
    session_free(w->session);
    child_exit(w->child, CHILD_EXIT_OK);
}

static void on_off(void *arg)
{
    struct worker *w = arg;

    w->camera_off = w->stopping;
    maybe_exit(w);
    if (w->stopping) return;
    recorder_end(w->recorder, ring_writer_next(w->ring));
    if (w->settings.on_demand) worker_state(w, STREAM_IDLE, "nobody watches");
    worker_later(w);
}

static void on_turn(void *arg)
{
    worker_later(arg);
}

static void on_push_ask(void *arg, uint64_t id, const char *addr, struct span token)
{
    struct worker *w = arg;
    struct packer *p = channel_begin(child_control(w->child), MSG_PUSH_ASK, 3);

    pack_kv_u64(p, "id", id);
    pack_kv_text(p, "addr", addr);
    pack_kv_str(p, "token", token);
    channel_end(child_control(w->child), NULL, 0);
}

static void on_push_over(void *arg, uint64_t id)
{
    struct worker *w = arg;
    struct packer *p = channel_begin(child_control(w->child), MSG_PUSH_OVER, 1);

    pack_kv_u64(p, "id", id);
    channel_end(child_control(w->child), NULL, 0);
}

const struct session_ops worker_session_ops = {.state = on_session_state,
    .source = on_source,
    .connecting = on_connecting,
    .ended = on_ended,
    .over = on_over,
    .step = on_step,
    .sdp = on_sdp,
    .drained = on_drained,
    .off = on_off,
    .turn = on_turn,
    .push_ask = on_push_ask,
    .push_over = on_push_over};

/* --- the recorder's word --- */

static void on_opened(void *arg, const struct rec_open *o)
{
    struct worker *w = arg;

    write_log_ok(&w->write_log, w->storage);
    log_info("segment-open", "path=%s", o->path);
    klink_opened(&w->keeper, o->id, o->storage, o->path, o->start_us);
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

    write_log_failed(&w->write_log, w->storage, err, clock_mono_us());
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
    recorder_folder(w->recorder, storage, fd, err);
}

static void on_keeper(void *arg)
{
    struct worker *w = arg;
    struct rec_open o;

    if (w->configured && w->settings.record) klink_ask(&w->keeper);
    if (recorder_open_segment(w->recorder, &o)) klink_opened(&w->keeper, o.id, o.storage, o.path, o.start_us);
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
    if (w->session) session_leave_connector(w->session);
    if (!w->camera_off) session_stop(w->session);
    maybe_exit(w);
    worker_later(w);
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
    static const struct child_ops ops = {.on_message = worker_on_message, .on_stop = on_stop};
    static const struct recorder_ops rec_ops = {
        .opened = on_opened, .closed = on_closed, .failed = on_write_failed, .stopped = on_recorder_stopped};
    static const struct klink_ops keeper_ops = {.folder = on_folder, .connected = on_keeper};
    struct worker *w = NEW(struct worker);
    const struct child_setup setup = {
        .role = ROLE_WORKER, .process = "worker", .uid = uid, .ops = &ops, .arg = w};
    struct ingest_ops in_ops = {
        .rtcp = on_rtcp, .invalid = on_invalid, .document = worker_document, .arg = w};

    w->loop = loop_new();
    w->connector_fd = -1;
    w->set = (struct ring_set){.fd = -1, .frames_fd = -1, .demand_fd = -1};
    w->state = (struct state){.since_us = clock_wall_us(), .changed = on_state_changed, .arg = w};
    w->ingest = ingest_new(&in_ops);
    w->recorder = recorder_new(w->loop, uid, &rec_ops, w);
    klink_init(&w->keeper, w->loop, &keeper_ops, w);
    w->child = child_start(w->loop, &setup);
    if (!w->child) exit(CHILD_EXIT_PROTO);
    loop_run(w->loop);
    child_exit(w->child, CHILD_EXIT_OK);
}
