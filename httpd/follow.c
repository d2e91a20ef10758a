#include "httpd/follow.h"
#include "httpd/fresh.h"
#include "httpd/http.h"
#include "httpd/quiet.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <unistd.h>

#define TURN_FRAMES    1024 /* then the other streams of this loop have their turn */
#define TURN_BYTES     (4u << 20)
#define POLL_US        (250 * US_PER_MS) /* beside the signals: a worker that has not seen the demand yet */
#define REOPEN_US      (250 * US_PER_MS) /* a bad ring is opened again after this, twice that, and so on ... */
#define REOPEN_MOST_US (30 * US_PER_S)   /* ... up to this; ... */
#define REOPEN_WELL_US (60 * US_PER_S)   /* ... from the start, once it was good for so long */

struct follow {
    struct stream *s;
    struct ring_reader *ring;
    struct loop_io io;
    struct loop_timer poll, leave;
    uint64_t next;
    bool placed;                  /* next is set */
    usec_t reopen_us, backoff_us; /* when a ring that was bad is tried again; 0: it is good */
    usec_t bad_us;                /* when it was bad last */
    bool caught_up;               /* everything in the ring was taken, at least once */
    size_t turn_bytes;
    bool need_key;
    uint32_t gen;    /* of the track description in use; 0: none yet */
    bool unplayable; /* nothing in it that MP4 players can play */
    struct init *init;
    struct quiet quiet;
    unsigned joining; /* tracks whose next frame may say again that media time was joined */
    struct cutter cutter;
    struct gop gop;
    struct window window;
    struct list viewers;
    uint32_t n_viewers;
    usec_t seen_us;     /* last request or viewer */
    usec_t hls_us;      /* last request for HLS; 0: none */
    usec_t fragment_us; /* when the last fragment was made */
};

static void pull(struct follow *f);
static void signalled(struct loop_io *io, unsigned events);

/* Who watches by HLS cannot be counted without sessions: together they are one viewer of the stream. */
static void tell_demand(struct follow *f)
{
    uint32_t n = MAX(f->n_viewers + (f->window.watched ? 1u : 0u), 1u);

    stream_demand(f->s, n, n);
}

static void count_viewers(struct follow *f, int more)
{
    atomic_fetch_add_explicit(&f->s->hub->count.viewers, (uint32_t)more, memory_order_relaxed);
    tell_demand(f);
}

/* --- fragments --- */

static void give(void *arg, struct fragment *fr)
{
    struct follow *f = arg;
    usec_t now_us = loop_now_us(f->s->hub->loop);
    bool closed = window_add(&f->window, fr, f->init);
    bool first = f->gop.n == 0;

    gop_add(&f->gop, fr);
    f->fragment_us = now_us;
    LIST_EACH(&f->viewers, at)
    {
        struct viewer *v = LIST_ITEM(at, struct viewer, link);

        if (v->on_fragment(v, fr, f->init)) v->fed_us = now_us;
    }
    if (closed || first) http_wake(&f->s->waiting);
}

/* Footage is missing from here on: what is there is finished, and goes on at a key frame. */
static void broken(struct follow *f)
{
    cutter_finish(&f->cutter);
    gop_drop(&f->gop);
    if (window_break(&f->window)) http_wake(&f->s->waiting);
    f->need_key = true;
}

/* --- frames from the ring --- */

static void end_viewers(struct follow *f)
{
    LIST_EACH(&f->viewers, at)
    {
        struct viewer *v = LIST_ITEM(at, struct viewer, link);

        follow_leave(f, v);
        v->on_end(v);
    }
}

/* From here on with other tracks. What players have seen of them is the same when the init segment is. */
static void change_init(struct follow *f, struct init *init)
{
    bool same = f->init && strcmp(init->id, f->init->id) == 0;

    if (!same && f->init) {
        broken(f);
        end_viewers(f);
    }
    if (!same) {
        memset(f->cutter.last_dur, 0, sizeof(f->cutter.last_dur));
        f->need_key = true;
    }
    init_unref(f->init);
    f->init = init;
    f->cutter.init = init;
}

/* RING_OK: the frame at f->next may be taken. RING_E_AGAIN: what its tracks really send is not known yet.
 * RING_E_GEN: their description is not there, or nothing in it can be played. */
static int use_tracks(struct follow *f, uint32_t gen)
{
    struct track_set tracks;
    struct init *init;

    if (f->gen == gen) return f->unplayable ? RING_E_GEN : RING_OK;
    if (ring_tracks(f->ring, gen, &tracks) != RING_OK) return RING_E_GEN;
    if (!quiet_look(&f->quiet, f->ring, f->next, &tracks, loop_now_us(f->s->hub->loop))) return RING_E_AGAIN;
    f->gen = gen;
    init = init_new(&tracks, f->quiet.out);
    f->unplayable = init == NULL;
    if (init) change_init(f, init);
    return init ? RING_OK : RING_E_GEN;
}

static bool is_entry(const struct follow *f, const struct frame *fr)
{
    return (fr->flags & FRAME_KEY) && (f->init->video < 0 || fr->track == f->init->video);
}

/* Sound that was announced comes at last, or has stopped: from this key frame on it is there, or not. */
static void note_sound(struct follow *f, const struct frame *fr)
{
    unsigned out;
    struct init *init;

    quiet_frame(&f->quiet, &f->init->tracks, fr);
    if (f->init->video < 0 || !is_entry(f, fr)) return;
    out = quiet_now(&f->quiet, &f->init->tracks);
    if (out == f->quiet.out) return;
    init = init_new(&f->init->tracks, out);
    if (!init) return;
    f->quiet.out = out;
    change_init(f, init);
}

static void note_discont(struct follow *f, const struct frame *fr)
{
    unsigned bit = 1u << fr->track;

    if ((fr->flags & FRAME_DISCONT) && !(f->joining & bit)) {
        broken(f);
        f->joining = ~0u;
    }
    f->joining &= ~bit;
}

/* Reads into a chunk: buf_room gives exactly this memory, or refuses. */
static int read_chunk(struct follow *f, uint64_t seq, size_t n, struct frame *fr, struct chunk **ret)
{
    struct chunk *c = chunk_new(n);
    struct buf into;
    int err;

    if (!c) return RING_E_LOST;
    into = (struct buf){.mem = c->data, .cap = n, .limit = n};
    err = ring_read(f->ring, seq, &into, fr);
    if (err == RING_OK && fr->data.n == n) {
        *ret = c;
        return RING_OK;
    }
    chunk_unref(c);
    return err == RING_OK || err == -ENOMEM ? RING_E_LOST : err;
}

/* The frame at f->next. RING_OK: taken or passed over. */
static int take_frame(struct follow *f)
{
    struct frame fr;
    struct chunk *data;
    int err = ring_peek(f->ring, f->next, &fr);

    if (err != RING_OK) return err;
    err = fr.track < TRACK_MAX && fr.data.n > 0 ? use_tracks(f, fr.gen) : RING_E_GEN;
    if (err == RING_E_AGAIN) return err;
    if (err == RING_OK) note_sound(f, &fr);
    if (err != RING_OK || !(f->init->mask & 1u << fr.track)) {
        f->next++;
        return RING_OK;
    }
    note_discont(f, &fr);
    if (f->need_key && !is_entry(f, &fr)) {
        f->next++;
        return RING_OK;
    }
    err = read_chunk(f, f->next, fr.data.n, &fr, &data);
    if (err != RING_OK) return err;
    f->need_key = false;
    f->turn_bytes += data->n;
    if (!cutter_add(&f->cutter, &fr, data)) broken(f);
    f->next++;
    return RING_OK;
}

static void place(struct follow *f)
{
    if (f->placed && f->next <= MAX(ring_next(f->ring), 1)) return;
    /* Numbers run on through workers and rings; only one that lied has gone back. */
    if (f->placed) broken(f);
    if (!fresh_start(f->ring, clock_mono_us(), &f->next)) f->next = MAX(ring_next(f->ring), 1);
    f->need_key = true;
    f->placed = true;
}

static int open_ring(struct follow *f)
{
    int err = ring_reader_open(f->s->ring.ring_fd, &f->ring);

    if (err != 0) {
        f->ring = NULL;
        return err;
    }
    loop_io_start(f->s->hub->loop, &f->io, f->s->ring.frame_event_fd, LOOP_READ, signalled, f);
    return 0;
}

static void close_ring(struct follow *f)
{
    loop_io_stop(&f->io);
    ring_reader_close(f->ring);
    f->ring = NULL;
}

static void lost(struct follow *f)
{
    uint64_t seq;

    broken(f);
    f->next = ring_last_key(f->ring, &seq) == RING_OK && seq > f->next ? seq : ring_next(f->ring);
}

/* Nothing in this ring can be trusted now: it is given up for a while, and what was bad is left out then. */
static void ring_is_bad(struct follow *f)
{
    usec_t now_us = loop_now_us(f->s->hub->loop);
    uint32_t held;

    if (log_limited(&f->s->ring_rate, now_us, &held))
        log_event_of(
            LOG_WARN, f->s->v.uid, "ring-bad", "seq=%llu held=%u", (unsigned long long)f->next, held);
    if (f->ring) lost(f);
    close_ring(f);
    if (now_us - f->bad_us > REOPEN_WELL_US) f->backoff_us = 0;
    f->bad_us = now_us;
    f->backoff_us = CLAMP(2 * f->backoff_us, REOPEN_US, REOPEN_MOST_US);
    f->reopen_us = now_us + f->backoff_us;
}

static void reopen(struct follow *f)
{
    if (f->ring || loop_now_us(f->s->hub->loop) < f->reopen_us) return;
    if (open_ring(f) != 0) ring_is_bad(f);
}

/* The first viewer need not wait for the end of a group of pictures. */
static void hurry(struct follow *f)
{
    if (f->window.watched && f->caught_up && window_hurry(&f->window)) http_wake(&f->s->waiting);
}

static void polled(struct loop_timer *t)
{
    pull(t->arg);
}

/* Everything that is there, within this turn's share. */
static void pull(struct follow *f)
{
    struct loop *loop = f->s->hub->loop;
    unsigned n = 0;
    int err = RING_E_AGAIN;
    bool first;

    reopen(f);
    if (f->ring) place(f);
    f->turn_bytes = 0;
    while (f->ring && n < TURN_FRAMES && f->turn_bytes < TURN_BYTES) {
        err = take_frame(f);
        if (err == RING_E_AGAIN) break;
        if (err == RING_E_LOST) lost(f);
        if (err == RING_E_BAD) ring_is_bad(f);
        n++;
    }
    first = !f->caught_up && (err == RING_E_AGAIN || !f->ring);
    f->caught_up = f->caught_up || first;
    hurry(f);
    if (first) http_wake(&f->s->waiting);
    loop_timer_set(loop, &f->poll, err == RING_OK && f->ring ? 0 : POLL_US, polled, f);
}

static void signalled(struct loop_io *io, unsigned events)
{
    struct follow *f = io->arg;
    uint64_t count;

    (void)events;
    (void)!read(io->fd, &count, sizeof(count));
    pull(f);
}

/* --- life --- */

/* Nothing was sent for so long: who has gone without a word is noticed only by sending. */
static void end_unfed(struct follow *f, usec_t now_us)
{
    LIST_EACH(&f->viewers, at)
    {
        struct viewer *v = LIST_ITEM(at, struct viewer, link);

        if (now_us - v->fed_us < FOLLOW_UNFED_US) continue;
        follow_leave(f, v);
        v->on_end(v);
    }
}

static void watched(struct follow *f, bool on)
{
    if (f->window.watched == on) return;
    window_watched(&f->window, on);
    count_viewers(f, on ? 1 : -1);
}

static usec_t stay_us(const struct follow *f)
{
    usec_t hls_us = MAX(FOLLOW_HLS_LEAST_US, 3 * (usec_t)f->window.target_s * US_PER_S);

    if (f->hls_us == 0) return f->seen_us + FOLLOW_LINGER_US;
    return MAX(f->seen_us + FOLLOW_LINGER_US, f->hls_us + hls_us);
}

static void look_around(struct loop_timer *t)
{
    struct follow *f = t->arg;
    usec_t now_us = loop_now_us(f->s->hub->loop);

    end_unfed(f, now_us);
    if (!list_empty(&f->viewers) || !list_empty(&f->s->waiting)) f->seen_us = now_us;
    if (f->hls_us > 0 && now_us - f->hls_us > FOLLOW_HLS_KEEP_US) {
        f->hls_us = 0;
        watched(f, false);
    }
    if (now_us > stay_us(f)) follow_end(f->s);
}

struct follow *follow_get(struct stream *s)
{
    struct follow *f = s->follow;
    usec_t now_us = loop_now_us(s->hub->loop);

    if (f) {
        f->seen_us = now_us;
        return f;
    }
    if (!s->has_ring) return NULL;
    f = NEW(struct follow);
    f->s = s;
    f->cutter.give = give;
    f->cutter.arg = f;
    list_init(&f->viewers);
    /* Numbers begin at the second of the wall clock, so that they do not go back when this process is
     * another. */
    window_init(&f->window, MAX(s->next_msn, (uint64_t)(clock_wall_us() / US_PER_S)), s->discont_seq);
    f->seen_us = now_us;
    s->follow = f;
    loop_timer_every(s->hub->loop, &f->leave, US_PER_S, look_around, f);
    tell_demand(f);
    pull(f);
    return f;
}

void follow_end(struct stream *s)
{
    struct follow *f = s->follow;

    if (!f) return;
    end_viewers(f);
    s->follow = NULL;
    s->next_msn = f->window.next_msn;
    s->discont_seq = f->window.discont_seq + 1;
    watched(f, false);
    stream_demand(s, 0, 0);
    close_ring(f);
    loop_timer_stop(&f->poll);
    loop_timer_stop(&f->leave);
    cutter_drop(&f->cutter);
    gop_done(&f->gop);
    window_done(&f->window);
    init_unref(f->init);
    mem_free(f);
}

/* The worker has copied what the old ring held: frame numbers run on. */
void follow_new_ring(struct stream *s)
{
    struct follow *f = s->follow;

    if (f) {
        close_ring(f);
        f->reopen_us = 0;
        tell_demand(f);
        pull(f);
    } else {
        stream_demand(s, 0, 0); /* what an earlier httpd may have left there */
    }
    http_wake(&s->waiting);
}

void follow_rule_changed(struct stream *s)
{
    if (access_decide(&s->v.rule, ACCESS_LIVE).status != 200) follow_end(s);
    http_wake(&s->waiting);
}

struct window *follow_hls(struct follow *f)
{
    f->hls_us = loop_now_us(f->s->hub->loop);
    watched(f, true);
    window_hint(&f->window, (usec_t)atomic_load(&f->s->status->gop_ms) * US_PER_MS);
    hurry(f);
    return &f->window;
}

bool follow_live(const struct follow *f)
{
    struct stream_now now;
    usec_t keep_us;

    stream_now(f->s, &now);
    keep_us = now.state == STREAM_ACTIVE ? FOLLOW_HLS_KEEP_US : FOLLOW_DOWN_KEEP_US;
    return f->caught_up && f->fragment_us > 0 && loop_now_us(f->s->hub->loop) - f->fragment_us < keep_us;
}

const struct init *follow_init(const struct follow *f)
{
    return f->init;
}

uint32_t follow_fps_milli(const struct follow *f)
{
    int video = f->init ? f->init->video : -1;

    if (video < 0 || f->cutter.last_dur[video] == 0) return 0;
    return (uint32_t)MIN(
        (uint64_t)f->init->tracks.t[video].clock_hz * 1000 / f->cutter.last_dur[video], 1000000);
}

bool follow_unplayable(const struct follow *f)
{
    return f->unplayable;
}

bool follow_can_join(const struct follow *f)
{
    return f->gop.n > 0;
}

bool follow_gop_over(const struct follow *f)
{
    return f->gop.over;
}

bool follow_join(struct follow *f, struct viewer *v)
{
    if (f->gop.n == 0) return false;
    for (size_t i = 0; i < f->gop.n; i++) v->on_fragment(v, f->gop.f[i], f->init);
    v->fed_us = loop_now_us(f->s->hub->loop);
    list_push(&f->viewers, &v->link);
    f->n_viewers++;
    count_viewers(f, 1);
    return true;
}

void follow_leave(struct follow *f, struct viewer *v)
{
    list_remove(&v->link);
    f->n_viewers--;
    count_viewers(f, -1);
    f->seen_us = loop_now_us(f->s->hub->loop);
}
