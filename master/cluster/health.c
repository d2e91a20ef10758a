/* How a stream is here, out of its ring's header: a few reads of memory, no message. What counts is that the
 * recording grows (where nothing is to be recorded, that the camera sends): that sees a disk that hangs, a
 * worker that is stopped and a camera that is silent alike. By CLOCK_MONOTONIC alone. */
#include "master/cluster/cluster.h"
#include "master/master.h"

#define GOOD_US  (2500 * US_PER_MS) /* fragments come once a second */
#define START_US (5 * US_PER_S)     /* a worker and a camera have so long until something comes */
#define SHOWN_US (10 * US_PER_S)    /* a refusal counts for so long */
#define PLAYS_US US_PER_S           /* of media, from a key frame on, is a stretch that plays */

static uint64_t get64(const _Atomic uint64_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static uint32_t get32(const _Atomic uint32_t *v)
{
    return atomic_load_explicit(v, memory_order_relaxed);
}

static bool records(const struct ring_status *st)
{
    uint32_t is = get32(&st->record_state);

    return is != RECORD_OFF && is != RECORD_ARMED;
}

/* What grows may grow in memory alone, with a device behind it that hangs. */
static bool hangs(const struct cluster_stream *s, const struct ring_status *st)
{
    const struct storage_seen *seen;
    char storage[sizeof(st->rec_storage)];

    ring_status_get_text(st, st->rec_storage, sizeof(st->rec_storage), storage, sizeof(storage));
    seen = storages_seen(&s->s->m->storages, storage);
    return seen && (seen->silent || strcmp(seen->state, "failed") == 0);
}

static bool refuses(const struct cluster_stream *s, const struct ring_status *st)
{
    return get32(&st->record_state) == RECORD_PAUSED ||
        atomic_load_explicit(&st->rec_errno, memory_order_relaxed) != 0 || hangs(s, st);
}

/* A camera with few pictures a second has longer. */
static usec_t limit_us(const struct ring_status *st)
{
    uint32_t frames = get32(&st->gop_frames), ms = get32(&st->gop_ms);

    return GOOD_US + (frames > 0 ? 2 * (usec_t)MIN(ms, 600000u) * US_PER_MS / frames : 0);
}

static void begin(struct cluster_stream *s, const struct ring_status *st, usec_t now_us)
{
    s->run_us = s->grown_us = now_us;
    s->was_good = false;
    s->refused_us = s->came_us = 0;
    s->grown = records(st) ? get64(&st->recorded_bytes) : get64(&st->bytes_in);
    s->recorded_us = get64(&st->recorded_us);
    s->frames = get64(&st->frames_in);
    s->refusals = get64(&st->ends[END_CAPACITY]);
}

static void grow(struct cluster_stream *s, const struct ring_status *st, usec_t now_us)
{
    uint64_t is = records(st) ? get64(&st->recorded_bytes) : get64(&st->bytes_in);
    uint64_t refusals = get64(&st->ends[END_CAPACITY]);

    if (is != s->grown) s->grown_us = now_us;
    if (is != s->grown && now_us > s->run_us) s->was_good = true;
    s->grown = is;
    if (refusals != s->refusals) {
        s->refused_us = now_us;
        s->came_us = 0;
        s->in = get64(&st->bytes_in);
    }
    if (s->refused_us > 0 && s->came_us == 0 && get64(&st->bytes_in) != s->in) s->came_us = now_us;
    s->refusals = refusals;
}

static bool plays(const struct cluster_stream *s, const struct ring_status *st)
{
    if (records(st)) return get64(&st->recorded_us) - s->recorded_us >= PLAYS_US;
    return get64(&st->frames_in) - s->frames > MAX(get32(&st->gop_frames), 1u);
}

static uint8_t flags_of(const struct cluster_stream *s, const struct ring_status *st, usec_t now_us)
{
    bool idle = get32(&st->state) == STREAM_IDLE; /* on demand, and nobody asks: as it is to be */
    bool good = s->was_good && now_us - s->grown_us <= limit_us(st) && !(records(st) && refuses(s, st));
    bool refused = s->came_us == 0 && s->refused_us > 0 && now_us - s->refused_us < SHOWN_US;
    usec_t since_us = MAX(s->run_us, s->came_us);
    unsigned flags = HEARTBEAT_RUNS;

    if (idle) return HEARTBEAT_RUNS | HEARTBEAT_GOOD | HEARTBEAT_READY;
    if (good) flags |= HEARTBEAT_GOOD;
    if (good && plays(s, st)) flags |= HEARTBEAT_READY;
    if (!s->was_good && now_us - since_us < START_US) flags |= HEARTBEAT_STARTING;
    if (!good && refused) flags |= HEARTBEAT_REFUSED;
    return (uint8_t)flags;
}

void health_look(struct cluster_stream *s, usec_t now_us)
{
    const struct ring_status *st = s->s->ring.now.status;
    struct heartbeat_stream is = {.id = s->id, .term = s->is.term};

    if (!s->s->proc.wanted) {
        s->run_us = 0;
        is.term = 0;
    } else if (!st) {
        is.flags = HEARTBEAT_RUNS | HEARTBEAT_STARTING;
    } else {
        if (s->run_us == 0) begin(s, st, now_us);
        grow(s, st, now_us);
        is.flags = flags_of(s, st, now_us);
        is.age_100ms = (uint8_t)MIN((now_us - s->grown_us) / (100 * US_PER_MS), UINT8_MAX);
        is.rate = (uint16_t)MIN(get32(&st->bitrate_in) / HEARTBEAT_RATE_UNIT, UINT16_MAX);
    }
    is.flags |= (uint8_t)(place_seen(&s->place) << HEARTBEAT_SEES_SHIFT);
    if (is.flags != s->is.flags || is.term != s->is.term) s->changed_us = now_us;
    s->is = is;
}
