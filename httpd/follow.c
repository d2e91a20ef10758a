#include "httpd/follow.h"
#include "httpd/camera.h"
#include "httpd/cursor.h"
#include "httpd/http.h"
#include "httpd/hush.h"
#include "httpd/quiet.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"

#include <errno.h>
#include <unistd.h>

struct follow {
    struct stream *s;
    struct cursor cursor;
    struct loop_timer leave;
    bool caught_up; /* the cursor has, and those who wait were told */
    bool need_key;
    uint32_t gen;    /* of the track description in use; 0: none yet */
    bool unplayable; /* nothing in it that MP4 players can play */
    struct init *init;
    struct quiet quiet;
    struct hush hush;
    unsigned joining; /* tracks whose next frame may say again that media time was joined */
    struct cutter cutter;
    struct gop gop;
    struct window window;
    uint64_t told; /* of window.changes */
    struct list viewers;
    uint32_t n_viewers;
    usec_t seen_us;     /* last request or viewer */
    usec_t hls_us;      /* last request for HLS; 0: none */
    usec_t fragment_us; /* when the last fragment was made */
};

/* Who watches by HLS cannot be counted without sessions: together they are one viewer of the stream. */
static void tell_demand(struct follow *f)
{
    uint32_t n = MAX(f->n_viewers + (f->window.watched ? 1u : 0u), 1u);
    uint32_t pace_us = f->n_viewers > 0 && !f->window.watched ? UINT32_MAX : 0;

    LIST_EACH(&f->viewers, at) pace_us = MIN(pace_us, LIST_ITEM(at, struct viewer, link)->pace_us);
    stream_demand(f->s, DEMAND_FOLLOW, n, pace_us);
}

static void count_viewers(struct follow *f, int more)
{
    atomic_fetch_add_explicit(&f->s->hub->count.viewers, (uint32_t)more, memory_order_relaxed);
    tell_demand(f);
}

/* --- fragments --- */

/* The window has changed: a segment was closed, or at least something that low latency shows. */
static void tell_waiting(struct follow *f, bool segment)
{
    if (segment) http_wake(&f->s->waiting);
    if (f->told == f->window.changes) return;
    f->told = f->window.changes;
    camera_put_low(f->s->camera, &f->window);
    http_wake(&f->s->parts);
}

static void give(void *arg, struct fragment *fr)
{
    struct follow *f = arg;
    usec_t now_us = loop_now_us(f->s->hub->loop);
    bool closed = window_add(&f->window, fr, f->init);
    bool first = f->gop.n == 0;
    struct ts_piece piece = {.program = &f->init->ts, .s = fr->s, .n = fr->n};

    ts_run_next(&f->s->ts, &piece, fr->start_us, fr->key || window_begins(&f->window), &fr->ts_place);
    gop_add(&f->gop, fr);
    f->fragment_us = now_us;
    LIST_EACH(&f->viewers, at)
    {
        struct viewer *v = LIST_ITEM(at, struct viewer, link);

        if (v->on_fragment(v, fr, f->init)) v->fed_us = now_us;
    }
    tell_waiting(f, closed || first);
}

/* Footage is missing from here on: what is there is finished, and goes on at a key frame. */
static void broken(void *arg)
{
    struct follow *f = arg;

    cutter_finish(&f->cutter);
    gop_drop(&f->gop);
    hush_break(&f->hush);
    f->s->ts.discont = true;
    tell_waiting(f, window_break(&f->window));
    f->need_key = true;
}

/* --- frames from the ring --- */

static void end_viewers(struct follow *f, bool all)
{
    LIST_EACH(&f->viewers, at)
    {
        struct viewer *v = LIST_ITEM(at, struct viewer, link);

        if (!all && v->takes_changes) continue;
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
        end_viewers(f, false);
    }
    if (!same) {
        memset(f->cutter.last_dur, 0, sizeof(f->cutter.last_dur));
        f->need_key = true;
    }
    init_unref(f->init);
    f->init = init;
    f->cutter.init = init;
}

/* RING_OK: a frame with this description may be taken. RING_E_AGAIN: what its tracks really send is not known
 * yet. RING_E_GEN: their description is not there, or nothing in it can be played. */
static int use_tracks(struct follow *f, uint32_t gen)
{
    struct track_set tracks;
    struct init *init;

    if (f->gen == gen) return f->unplayable ? RING_E_GEN : RING_OK;
    if (ring_tracks(f->cursor.ring, gen, &tracks) != RING_OK) return RING_E_GEN;
    if (!quiet_look(&f->quiet, f->cursor.ring, f->cursor.next, &tracks, loop_now_us(f->s->hub->loop)))
        return RING_E_AGAIN;
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

static int want(void *arg, const struct frame *fr)
{
    struct follow *f = arg;
    int err = use_tracks(f, fr->gen);

    if (err != RING_OK) return err;
    note_sound(f, fr);
    if (!(f->init->mask & 1u << fr->track)) return RING_E_GEN;
    note_discont(f, fr);
    if (f->need_key && !is_entry(f, fr)) return RING_E_GEN;
    return fr->track == f->init->video || hush_heard(&f->hush, &f->init->tracks, fr) ? RING_OK : RING_E_GEN;
}

/* Sound that pauses must not stop the picture. false: memory is out. */
static bool fill_pauses(struct follow *f, const struct frame *picture)
{
    const struct track_set *tracks = &f->init->tracks;
    struct frame fr;
    bool ok = true;

    hush_picture(&f->hush, tracks, f->init->mask, picture);
    for (unsigned i = 0; i < tracks->n; i++) {
        for (unsigned n = 0; ok && n < HUSH_MOST && hush_next(&f->hush, tracks, i, &fr); n++) {
            struct span bytes = hush_silence(&tracks->t[i]);
            struct chunk *c = chunk_new(bytes.n);

            if (!c) return false;
            memcpy(c->data, bytes.p, bytes.n);
            fr.wall_us =
                picture->wall_us + ticks_us((struct ticks){fr.dts, tracks->t[i].clock_hz}) - f->hush.main_us;
            ok = cutter_add(&f->cutter, &fr, c);
        }
    }
    return ok;
}

static void frame(void *arg, const struct frame *fr, struct chunk *data)
{
    struct follow *f = arg;

    f->need_key = false;
    if (fr->track == f->init->video && !fill_pauses(f, fr)) {
        chunk_unref(data);
        broken(f);
        return;
    }
    if (!cutter_add(&f->cutter, fr, data)) broken(f);
}

/* The first viewer need not wait for the end of a group of pictures. */
static void hurry(struct follow *f)
{
    if (f->window.watched && f->caught_up) tell_waiting(f, window_hurry(&f->window));
}

static void turned(void *arg)
{
    struct follow *f = arg;
    bool first = !f->caught_up && f->cursor.caught_up;

    f->caught_up = f->cursor.caught_up;
    hurry(f);
    if (first) http_wake(&f->s->waiting);
}

static const struct cursor_ops cursor_ops = {want, frame, broken, turned, false, false};

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
    if (!list_empty(&f->viewers) || !list_empty(&f->s->waiting) || !list_empty(&f->s->parts))
        f->seen_us = now_us;
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
    s->ts.discont = true;
    f->seen_us = now_us;
    s->follow = f;
    loop_timer_every(s->hub->loop, &f->leave, US_PER_S, look_around, f);
    tell_demand(f);
    cursor_start(&f->cursor, s, &cursor_ops, f);
    return f;
}

void follow_end(struct stream *s)
{
    struct follow *f = s->follow;

    if (!f) return;
    end_viewers(f, true);
    s->follow = NULL;
    s->next_msn = f->window.next_msn;
    s->discont_seq = f->window.discont_seq + 1;
    watched(f, false);
    stream_demand(s, DEMAND_FOLLOW, 0, 0);
    cursor_stop(&f->cursor);
    loop_timer_stop(&f->leave);
    cutter_drop(&f->cutter);
    gop_done(&f->gop);
    window_done(&f->window);
    camera_put_low(s->camera, &f->window);
    init_unref(f->init);
    mem_free(f);
}

void follow_new_ring(struct stream *s)
{
    if (s->follow) cursor_new_ring(&s->follow->cursor);
    http_wake(&s->waiting);
}

void follow_rule_changed(struct stream *s)
{
    if (s->v.rule.mode == ACCESS_NONE || !s->v.rule.enabled) follow_end(s);
    http_wake(&s->waiting);
    http_wake(&s->parts);
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
    return follow_join_late(f, v);
}

bool follow_join_late(struct follow *f, struct viewer *v)
{
    if (!f->init) return false;
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
