/* What is due: the heartbeat, reports, demand, watchdogs, all on one timer. */
#include "common/base/clock.h"
#include "worker/worker_impl.h"

#define BEAT_US   (1500 * US_PER_MS) /* the contract says 2 s */
#define LINGER_US (30 * US_PER_S)    /* on demand: the camera is left so long after the last viewer */
#define WANT_US   (5 * US_PER_S)     /* a larger ring is asked for again */
#define TURN_MIN  (1 * US_PER_MS)
#define SOON_US   (300 * US_PER_MS) /* what is due so soon is done now: it saves a wake-up */

static bool followed(const struct worker *w)
{
    return w->set.demand && atomic_load_explicit(&w->set.demand->followers, memory_order_relaxed) > 0;
}

static usec_t pace_us(const struct worker *w)
{
    return atomic_load_explicit(&w->set.demand->pace_us, memory_order_relaxed);
}

/* Is there a window to be recorded now? */
static bool ordered(const struct worker *w)
{
    return w->settings.record && !w->policy.all && rec_policy_wants(&w->policy, clock_wall_us());
}

static bool wanted(const struct worker *w)
{
    return followed(w) || ordered(w) ||
        (w->set.demand && atomic_load_explicit(&w->set.demand->wanted, memory_order_relaxed) > 0);
}

/* Connects at the first demand, leaves the camera some time after the last. */
static void look_at_demand(struct worker *w, usec_t now_us)
{
    if (!w->session || w->stopping) return;
    session_live(w->session, followed(w), followed(w) ? pace_us(w) : 0);
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

    SET(w->status->clock_offset_us, offset_us);
    SET(w->status->clock_known, known);
    recorder_clock(w->recorder, known ? SEG_CLOCK_CAMERA : SEG_CLOCK_SERVER, offset_us);
}

static void poke_recorder(struct worker *w, usec_t now_us)
{
    if (w->poke_bytes == 0 || (!w->policy.all && w->policy.n == 0)) return;
    if (now_us - w->poke_us < RECORDER_POKE_US && w->poke_bytes < RECORDER_POKE_BYTES) return;
    w->poke_us = now_us;
    w->poke_bytes = 0;
    tell_clock(w);
    recorder_poke(w->recorder);
}

static void want_ring(struct worker *w, usec_t now_us)
{
    const struct measure *m = ingest_measure(w->ingest);
    usec_t before_us =
        w->settings.record && w->settings.mode == RECORD_EVENT ? w->settings.event_before_us : 0;
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

/* The recorder closes what is over although no frame comes, and says what it waits for. */
static void look_at_windows(struct worker *w)
{
    if (w->policy.all || w->policy.n == 0) return;
    rec_policy_expire(&w->policy, clock_wall_us());
    recorder_policy(w->recorder, &w->policy);
}

/* Time in which there was to be a recording: the metrics hold it against what was recorded. */
static void count_wanted(struct worker *w, usec_t now_us)
{
    usec_t last_us = atomic_load_explicit(&w->status->beat_mono_us, memory_order_relaxed);
    uint32_t is = atomic_load_explicit(&w->status->record_state, memory_order_relaxed);

    if (is == RECORD_OFF || is == RECORD_ARMED || last_us == 0 || now_us < last_us) return;
    atomic_fetch_add_explicit(&w->status->wanted_us, (uint64_t)(now_us - last_us), memory_order_relaxed);
}

void worker_beat(struct worker *w, usec_t now_us)
{
    const struct measure *m = ingest_measure(w->ingest);

    count_wanted(w, now_us);
    SET(w->status->beat_mono_us, now_us);
    look_at_windows(w);
    if (recorder_busy_us(w->recorder, now_us) == 0) SET(w->status->record_beat_us, now_us);
    SET(w->status->gop_frames, m->done_frames);
    SET(w->status->gop_ms, m->done_ms);
    SET(w->status->bitrate_in, w->session && session_playing(w->session) ? m->bitrate : 0);
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
    if (now_us + SOON_US >= w->beat_us) worker_beat(w, now_us);
    due_us = w->beat_us;
    if (w->session) due_us = sooner(due_us, session_due(w->session));
    if (w->unwanted_us != 0) due_us = sooner(due_us, w->unwanted_us + LINGER_US);
    if (w->timer_us != 0 && w->timer_us <= due_us && w->timer_us > now_us) return;
    w->timer_us = MAX(due_us, now_us + TURN_MIN);
    loop_timer_set(w->loop, &w->timer, w->timer_us - now_us, on_timer, w);
}

void worker_later(struct worker *w)
{
    loop_defer(w->loop, &w->task, turn);
}

static void on_timer(struct loop_timer *t)
{
    struct worker *w = t->arg;

    w->timer_us = 0;
    if (w->session) session_tick(w->session, clock_mono_us());
    worker_later(w);
}
