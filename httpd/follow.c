#include "httpd/follow.h"
#include "httpd/http.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <unistd.h>

#define PENDING_MAX 256  /* samples that wait for the next of their track */
#define TURN_FRAMES 1024 /* then the other streams of this loop have their turn */
#define TURN_BYTES  (4u << 20)
#define POLL_US     (250 * US_PER_MS) /* beside the signals: a worker that has not seen the demand yet */
#define AUDIO_US    (200 * US_PER_MS) /* a fragment of a stream without video */
#define GAP_MOST_S  10                /* a longer step to the next frame is no duration */
#define GOP_MAX     20000             /* fragments behind a key frame kept for those who join */

struct follow {
    struct stream *s;
    struct ring_reader *ring;
    struct loop_io io;
    struct loop_timer poll, leave;
    uint64_t next;
    bool placed;    /* next is set */
    bool caught_up; /* everything in the ring was taken, at least once */
    size_t turn_bytes;
    bool need_key;
    uint32_t gen;    /* of the track description in use; 0: none yet */
    bool unplayable; /* nothing in it that MP4 players can play */
    struct init *init;
    unsigned joining; /* tracks whose next frame may say again that media time was joined */
    struct sample pending[PENDING_MAX];
    size_t n_pending;
    uint32_t last_dur[TRACK_MAX];
    struct fragment **gop; /* since the last key frame */
    size_t n_gop, cap_gop;
    uint64_t number;
    struct window window;
    struct list viewers;
    uint32_t n_viewers;
    usec_t seen_us;     /* last request or viewer */
    usec_t hls_us;      /* last request for HLS; 0: none */
    usec_t fragment_us; /* when the last fragment was made */
};

static void pull(struct follow *f);

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

/* --- samples to fragments --- */

static void drop_pending(struct follow *f)
{
    for (size_t i = 0; i < f->n_pending; i++) chunk_unref(f->pending[i].data);
    f->n_pending = 0;
}

static void drop_gop(struct follow *f)
{
    for (size_t i = 0; i < f->n_gop; i++) fragment_unref(f->gop[i]);
    f->n_gop = 0;
}

static void keep_for_joiners(struct follow *f, struct fragment *fr)
{
    if (fr->key) drop_gop(f);
    if (f->n_gop == 0 && !fr->key) return;
    if (f->n_gop == GOP_MAX) drop_gop(f);
    if (f->n_gop == f->cap_gop) {
        f->cap_gop = f->cap_gop ? f->cap_gop * 2 : 64;
        f->gop = mem_renew(f->gop, f->cap_gop * sizeof(struct fragment *));
    }
    f->gop[f->n_gop++] = fragment_ref(fr);
}

static void give(struct follow *f, struct fragment *fr)
{
    bool closed = window_add(&f->window, fr, f->init);
    bool first = f->n_gop == 0;

    keep_for_joiners(f, fr);
    f->fragment_us = loop_now_us(f->s->hub->loop);
    LIST_EACH(&f->viewers, at)
    {
        struct viewer *v = LIST_ITEM(at, struct viewer, link);

        v->on_fragment(v, fr, f->init);
    }
    if (closed || first) http_wake(&f->s->waiting);
}

/* The first n of the pending samples whose duration is known, as one fragment; the others stay in their
 * order. */
static void emit(struct follow *f, bool all)
{
    struct sample out[PENDING_MAX];
    size_t n = 0, left = 0;
    struct fragment *fr;

    for (size_t i = 0; i < f->n_pending; i++) {
        struct sample *p = &f->pending[i];

        if (all && p->m.dur == 0) p->m.dur = f->last_dur[p->m.track];
        if (all || p->m.dur > 0)
            out[n++] = *p;
        else
            f->pending[left++] = *p;
    }
    f->n_pending = left;
    if (n == 0) return;
    fr = fragment_new(f->init, ++f->number, out, n);
    for (size_t i = 0; i < n; i++) chunk_unref(out[i].data);
    if (!fr) { /* memory is out: on from the next key frame */
        f->need_key = true;
        return;
    }
    give(f, fr);
    fragment_unref(fr);
}

static bool audio_due(const struct follow *f)
{
    const struct sample *a = &f->pending[0], *b = &f->pending[f->n_pending - 1];
    uint32_t hz = f->init->tracks.t[a->m.track].clock_hz;

    return f->init->video < 0 && a->m.track == b->m.track &&
        scale_i64(b->m.dts - a->m.dts, 1000000, hz) >= AUDIO_US;
}

/* The duration of a sample is the step to the next one of its track. */
static void settle_before(struct follow *f, const struct frame *fr)
{
    uint32_t hz = f->init->tracks.t[fr->track].clock_hz;

    for (size_t i = f->n_pending; i > 0; i--) {
        struct mp4_sample *m = &f->pending[i - 1].m;
        int64_t step;

        if (m->track != fr->track) continue;
        step = fr->dts - m->dts;
        m->dur = step > 0 && step <= (int64_t)GAP_MOST_S * hz ? (uint32_t)step : f->last_dur[m->track];
        f->last_dur[m->track] = m->dur;
        return;
    }
}

static void first_guess(struct follow *f, const struct frame *fr)
{
    const struct track *t = &f->init->tracks.t[fr->track];

    if (f->last_dur[fr->track] > 0) return;
    if (fr->dur > 0)
        f->last_dur[fr->track] = fr->dur;
    else
        f->last_dur[fr->track] = t->kind == TRACK_VIDEO ? t->clock_hz / 25 : MAX(t->clock_hz / 50, 1);
}

static void add_sample(struct follow *f, const struct frame *fr, struct chunk *data)
{
    struct sample *p;

    first_guess(f, fr);
    settle_before(f, fr);
    if (fr->track == f->init->video || f->n_pending == PENDING_MAX || (f->n_pending > 0 && audio_due(f)))
        emit(f, f->n_pending == PENDING_MAX);
    if (f->n_pending == PENDING_MAX) emit(f, true);
    p = &f->pending[f->n_pending++];
    *p = (struct sample){.wall_us = fr->wall_us, .data = data};
    p->m = (struct mp4_sample){
        .size = (uint32_t)data->n, .dts = fr->dts, .cts = fr->cts, .flags = fr->flags, .track = fr->track};
}

/* Footage is missing from here on: what is there is finished, and goes on at a key frame. */
static void broken(struct follow *f)
{
    if (f->init) emit(f, true);
    drop_pending(f);
    drop_gop(f);
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
        memset(f->last_dur, 0, sizeof(f->last_dur));
        f->need_key = true;
    }
    init_unref(f->init);
    f->init = init;
}

/* false: that description is not there, or nothing in it can be played. */
static bool use_tracks(struct follow *f, uint32_t gen)
{
    struct track_set tracks;
    struct init *init;

    if (f->gen == gen) return !f->unplayable;
    if (ring_tracks(f->ring, gen, &tracks) != RING_OK) return false;
    f->gen = gen;
    init = init_new(&tracks);
    f->unplayable = init == NULL;
    if (init) change_init(f, init);
    return init != NULL;
}

static bool is_entry(const struct follow *f, const struct frame *fr)
{
    return (fr->flags & FRAME_KEY) && (f->init->video < 0 || fr->track == f->init->video);
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

    if (!c) return -ENOMEM;
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
    if (fr.track >= TRACK_MAX || fr.data.n == 0 || !use_tracks(f, fr.gen) ||
        !(f->init->mask & 1u << fr.track)) {
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
    add_sample(f, &fr, data);
    f->next++;
    return RING_OK;
}

bool follow_start_at(struct ring_reader *r, usec_t now_us, uint64_t *ret_seq)
{
    uint64_t seq, last = ring_next(r);
    struct frame fr;

    if (last == 0 || ring_peek(r, last - 1, &fr) != RING_OK || now_us - fr.arrival_us > FOLLOW_FRESH_US)
        return false;
    if (ring_oldest_key(r, &seq) != RING_OK) return false;
    for (; seq < last; seq++) {
        struct track_set tracks;
        int video;

        if (ring_peek(r, seq, &fr) != RING_OK || !(fr.flags & FRAME_KEY)) continue;
        if (now_us - fr.arrival_us > FOLLOW_FRESH_US) continue;
        if (ring_tracks(r, fr.gen, &tracks) != RING_OK) continue;
        video = track_find(&tracks, TRACK_VIDEO);
        if (video >= 0 && fr.track != video) continue;
        *ret_seq = seq;
        return true;
    }
    return ring_last_key(r, ret_seq) == RING_OK;
}

static void place(struct follow *f)
{
    if (f->placed) return;
    if (!follow_start_at(f->ring, clock_mono_us(), &f->next)) f->next = MAX(ring_next(f->ring), 1);
    f->need_key = true;
    f->placed = true;
}

static void lost(struct follow *f)
{
    uint64_t seq;

    broken(f);
    f->next = ring_last_key(f->ring, &seq) == RING_OK && seq > f->next ? seq : ring_next(f->ring);
}

static void ring_is_bad(struct follow *f)
{
    log_event_of(LOG_WARN, f->s->v.uid, "ring-bad", "seq=%llu", (unsigned long long)f->next);
    ring_reader_close(f->ring);
    f->ring = NULL;
    loop_io_stop(&f->io);
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

    if (f->ring) place(f);
    f->turn_bytes = 0;
    while (f->ring && n < TURN_FRAMES && f->turn_bytes < TURN_BYTES) {
        err = take_frame(f);
        if (err == RING_E_AGAIN) break;
        if (err == RING_E_LOST) lost(f);
        if (err == RING_E_BAD || err < 0) ring_is_bad(f);
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

    if (!list_empty(&f->viewers) || !list_empty(&f->s->waiting)) f->seen_us = now_us;
    if (f->hls_us > 0 && now_us - f->hls_us > FOLLOW_HLS_KEEP_US) {
        f->hls_us = 0;
        watched(f, false);
    }
    if (now_us > stay_us(f)) follow_end(f->s);
}

static int open_ring(struct follow *f)
{
    int err = ring_reader_open(f->s->ring.ring_fd, &f->ring);

    if (err != 0) {
        f->ring = NULL;
        return err;
    }
    loop_io_start(f->s->hub->loop, &f->io, f->s->ring.frame_event_fd, LOOP_READ, signalled, f);
    tell_demand(f);
    return 0;
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
    list_init(&f->viewers);
    if (open_ring(f) != 0) {
        mem_free(f);
        return NULL;
    }
    /* Numbers begin at the second of the wall clock, so that they do not go back when this process is
     * another. */
    window_init(&f->window, MAX(s->next_msn, (uint64_t)(clock_wall_us() / US_PER_S)), s->discont_seq);
    f->seen_us = now_us;
    s->follow = f;
    loop_timer_every(s->hub->loop, &f->leave, US_PER_S, look_around, f);
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
    loop_io_stop(&f->io);
    loop_timer_stop(&f->poll);
    loop_timer_stop(&f->leave);
    ring_reader_close(f->ring);
    drop_pending(f);
    drop_gop(f);
    mem_free(f->gop);
    window_done(&f->window);
    init_unref(f->init);
    mem_free(f);
}

/* The worker has copied what the old ring held: frame numbers run on. */
void follow_new_ring(struct stream *s)
{
    struct follow *f = s->follow;

    if (f) {
        loop_io_stop(&f->io);
        ring_reader_close(f->ring);
        if (open_ring(f) == 0) pull(f);
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

    if (video < 0 || f->last_dur[video] == 0) return 0;
    return (uint32_t)MIN((uint64_t)f->init->tracks.t[video].clock_hz * 1000 / f->last_dur[video], 1000000);
}

bool follow_unplayable(const struct follow *f)
{
    return f->unplayable;
}

bool follow_can_join(const struct follow *f)
{
    return f->n_gop > 0;
}

bool follow_join(struct follow *f, struct viewer *v)
{
    if (f->n_gop == 0) return false;
    for (size_t i = 0; i < f->n_gop; i++) v->on_fragment(v, f->gop[i], f->init);
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
