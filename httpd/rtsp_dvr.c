#include "httpd/rtsp_dvr.h"
#include "httpd/rtsp_reel.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/proto/rtcp.h"

#define READY_MAX  (3 * REEL_FRAMES)
#define WAIT_US    (250 * US_PER_MS) /* for more of what is being recorded */
#define ROOM_US    (20 * US_PER_MS)  /* for a viewer that takes too little */
#define SLIP_US    (300 * US_PER_MS) /* later than this, all that follows is later */
#define BUSY_US    (200 * US_PER_MS) /* until a pool that is full is asked again */
#define REPORT_MAX 128
#define CNAME      "media-server"

enum dvr_state { DVR_IDLE, DVR_OPENING, DVR_STARTING, DVR_PLAYING };

struct rtsp_dvr {
    struct hub *hub;
    char uid[RING_UID_MAX + 1];
    char name[STREAM_NAME_MAX];
    const struct rtsp_dvr_ops *ops;
    void *arg; /* NULL: nobody is there any more */
    struct reel *reel;
    enum dvr_state state;
    usec_t at_us, start_us;
    bool stated; /* the client itself has said where to play */
    int32_t scale_milli;
    struct reel_way way;
    bool seek; /* way is to be taken once the job is back */
    bool no_rate, has_scale, ended;
    bool dropped; /* it played, until this PLAY came */
    /* the job */
    struct job job;
    bool out, answering; /* answering: whoever hears it may say more at once, and free this */
    enum reel_state turned;
    size_t most, got;
    struct reel_frame batch[REEL_FRAMES];
    /* what is due later */
    struct reel_frame ready[READY_MAX];
    size_t first, n;
    struct pay pay[TRACK_MAX]; /* as the last turn left them */
    usec_t t0_us, play0_us;    /* that of playing is due then */
    struct reel_frame last;    /* that was sent; its chunk is gone */
    usec_t fetch_us;           /* no turn before that */
    usec_t reported_us;
    struct loop_timer timer, patience;
};

static void turn_to(struct rtsp_dvr *d, enum dvr_state state)
{
    int more = (state == DVR_PLAYING) - (d->state == DVR_PLAYING);

    if (more != 0) atomic_fetch_add_explicit(&d->hub->count.viewers, (uint32_t)more, memory_order_relaxed);
    d->state = state;
}

static void go(struct rtsp_dvr *d);
static void pump(struct rtsp_dvr *d);

/* --- frames that wait --- */

static void drop_ready(struct rtsp_dvr *d)
{
    for (; d->n > 0; d->n--, d->first = (d->first + 1) % READY_MAX) chunk_unref(d->ready[d->first].c);
}

static void drop_batch(struct rtsp_dvr *d)
{
    for (size_t i = 0; i < d->got; i++) chunk_unref(d->batch[i].c);
    d->got = 0;
}

/* --- the job --- */

static void free_now(struct rtsp_dvr *d)
{
    drop_batch(d);
    drop_ready(d);
    reel_free(d->reel);
    mem_free(d);
}

static void work(struct job *j)
{
    struct rtsp_dvr *d = CONTAINER(j, struct rtsp_dvr, job);

    d->turned = reel_turn(d->reel, d->batch, d->most, &d->got);
}

/* The answer where there is no footage; as the original's clients know it (compatibility.md 4). */
static const unsigned nothing[] = {
    [REEL_END] = 204, [REEL_NONE] = 204, [REEL_EMPTY] = 422, [REEL_FAILED] = 503};

static void fail_to_open(struct rtsp_dvr *d)
{
    turn_to(d, DVR_IDLE);
    loop_timer_stop(&d->patience);
    d->ops->opened(d->arg, nothing[d->turned], NULL);
}

static void opened(struct rtsp_dvr *d)
{
    const struct sight *sight = &d->way.sight;
    struct describe say;

    d->start_us = reel_start_us(d->reel);
    if (sight->to_us > 0 && d->start_us >= sight->to_us) {
        d->turned = REEL_NONE;
        fail_to_open(d);
        return;
    }
    turn_to(d, DVR_IDLE);
    loop_timer_stop(&d->patience);
    rtsp_dvr_describe(d, &say);
    d->ops->opened(d->arg, 200, &say);
}

static void report(struct rtsp_dvr *d, const struct reel_frame *f, bool bye);

/* What played before was dropped for this PLAY: the tracks end, before anything is asked behind the answer.
 */
static void refuse(struct rtsp_dvr *d, unsigned status)
{
    turn_to(d, DVR_IDLE);
    if (d->dropped) {
        d->dropped = false;
        report(d, &d->last, true);
        d->ops->ended(d->arg);
    }
    d->ops->played(d->arg, status, NULL);
}

static void fail_to_play(struct rtsp_dvr *d)
{
    loop_timer_stop(&d->patience);
    refuse(d, d->stated && d->turned != REEL_FAILED ? 457 : nothing[d->turned]);
}

static void begin(struct rtsp_dvr *d)
{
    struct rtsp_played p = {.clock = true, .to_us = d->way.to_us, .has_scale = d->has_scale};
    const struct reel_frame *f = &d->ready[d->first];

    p.scale_milli = d->way.scale_milli;
    p.from_us = f->wall_us;
    for (unsigned i = 0; i < TRACK_MAX; i++) {
        if (!d->pay[i].form) continue;
        p.track[i].known = true;
        p.track[i].seq = d->pay[i].seq;
        p.track[i].ts = reel_ts(&d->pay[i], f->play_us);
    }
    for (size_t i = d->n; i-- > 0;) { /* the first of each track stands last */
        const struct reel_frame *g = &d->ready[(d->first + i) % READY_MAX];

        p.track[g->track].seq = g->seq;
        p.track[g->track].ts = g->ts;
    }
    turn_to(d, DVR_PLAYING);
    d->dropped = false;
    loop_timer_stop(&d->patience);
    d->t0_us = loop_now_us(d->hub->loop);
    d->play0_us = f->play_us;
    d->reported_us = 0;
    d->answering = true;
    d->ops->played(d->arg, 200, &p);
    d->answering = false;
}

static void take_batch(struct rtsp_dvr *d)
{
    for (size_t i = 0; i < d->got; i++) d->ready[(d->first + d->n++) % READY_MAX] = d->batch[i];
    d->got = 0;
    memcpy(d->pay, reel_pays(d->reel), sizeof(d->pay));
}

static void go_later(struct loop_timer *t)
{
    go(t->arg);
}

/* Nothing has come of it yet. */
static void go_again(struct rtsp_dvr *d)
{
    if (d->turned == REEL_WAIT)
        loop_timer_set(d->hub->loop, &d->timer, WAIT_US, go_later, d);
    else
        go(d);
}

static void done(struct job *j)
{
    struct rtsp_dvr *d = CONTAINER(j, struct rtsp_dvr, job);
    bool over = d->turned >= REEL_END;

    d->out = false;
    if (!d->arg) {
        free_now(d);
        return;
    }
    if (d->seek) {
        drop_batch(d);
        go(d);
        return;
    }
    take_batch(d);
    if (d->state == DVR_OPENING) {
        if (reel_ready(d->reel))
            opened(d);
        else if (over)
            fail_to_open(d);
        else
            go_again(d);
        return;
    }
    if (d->state == DVR_IDLE) return; /* paused */
    if (d->state == DVR_STARTING && d->n == 0) {
        if (over)
            fail_to_play(d);
        else
            go_again(d);
        return;
    }
    d->ended = over;
    d->fetch_us = d->turned == REEL_WAIT ? loop_now_us(d->hub->loop) + WAIT_US : 0;
    if (d->state == DVR_STARTING) begin(d);
    if (!d->arg && !d->out)
        free_now(d);
    else if (d->arg && d->state == DVR_PLAYING)
        pump(d);
}

static void go(struct rtsp_dvr *d)
{
    struct stream *s = stream_get(d->hub, span_of(d->uid));
    struct open_segment open = {0};

    if (d->out) return;
    if (s) archive_open_segment(s, &open);
    if (d->seek) {
        drop_ready(d);
        reel_seek(d->reel, &d->way);
        d->seek = d->ended = false;
    }
    reel_note_open(d->reel, &open);
    d->most = d->state == DVR_OPENING ? 0 : REEL_FRAMES;
    d->job = (struct job){.work = work, .done = done, .loop = d->hub->loop};
    d->out = pool_put(reel_storage(d->reel)->pool, &d->job);
    if (!d->out) loop_timer_set(d->hub->loop, &d->timer, BUSY_US, go_later, d);
}

/* A disk that does not answer. */
static void too_late(struct loop_timer *t)
{
    struct rtsp_dvr *d = t->arg;
    bool opening = d->state == DVR_OPENING;

    loop_timer_stop(&d->timer);
    if (!opening) {
        refuse(d, 503);
        return;
    }
    turn_to(d, DVR_IDLE);
    d->ops->opened(d->arg, 503, NULL);
}

static void start(struct rtsp_dvr *d, enum dvr_state state)
{
    loop_timer_stop(&d->timer);
    d->dropped = d->state == DVR_PLAYING;
    turn_to(d, state);
    d->seek = true;
    drop_ready(d);
    loop_timer_set(d->hub->loop, &d->patience, ARCHIVE_LATE_US, too_late, d);
    go(d);
}

/* --- sending --- */

static void report(struct rtsp_dvr *d, const struct reel_frame *f, bool bye)
{
    for (unsigned i = 0; i < TRACK_MAX; i++) {
        const struct pay *p = &d->pay[i];
        struct rtcp_packet sr = {.ssrc = p->ssrc, .packets = p->packets, .bytes = p->octets};
        uint8_t text[REPORT_MAX];
        struct wr w = wr_of(text, sizeof(text));

        if (!p->form) continue;
        sr.ntp = rtcp_ntp_of_us(f->wall_us);
        sr.rtp_ts = reel_ts(p, f->play_us);
        rtcp_write_sr(&w, &sr);
        rtcp_write_sdes(&w, p->ssrc, CNAME);
        if (bye) rtcp_write_bye(&w, p->ssrc);
        d->ops->report(d->arg, i, wr_span(&w));
    }
}

static void end(struct rtsp_dvr *d)
{
    turn_to(d, DVR_IDLE);
    report(d, &d->last, true);
    drop_ready(d);
    d->ops->ended(d->arg);
}

static void send_first(struct rtsp_dvr *d)
{
    struct reel_frame *f = &d->last;
    struct rtp_frame out;
    usec_t now_us = loop_now_us(d->hub->loop);

    *f = d->ready[d->first];
    out = (struct rtp_frame){.track = f->track, .entry = f->entry, .seq = f->seq, .ts = f->ts, .c = f->c};
    if (d->reported_us == 0 || f->joined || now_us - d->reported_us >= RTSP_REPORT_US) {
        d->reported_us = now_us;
        report(d, f, false);
    }
    d->ops->frame(d->arg, &out, f->wall_us);
    chunk_unref(out.alt);
    chunk_unref(f->c);
    f->c = NULL;
    d->first = (d->first + 1) % READY_MAX;
    d->n--;
}

static void due(struct loop_timer *t)
{
    pump(t->arg);
}

/* Sends what is due. When the next is; 0: none is there. */
static usec_t send_due(struct rtsp_dvr *d, usec_t now_us)
{
    while (d->n > 0) {
        usec_t at_us = d->t0_us + d->ready[d->first].play_us - d->play0_us;

        if (!d->ops->room(d->arg)) return now_us + ROOM_US;
        if (!d->no_rate && at_us > now_us) return at_us;
        if (now_us - at_us > SLIP_US) d->t0_us += now_us - at_us;
        send_first(d);
    }
    return 0;
}

static void pump(struct rtsp_dvr *d)
{
    usec_t now_us = loop_now_us(d->hub->loop), next_us = send_due(d, now_us);

    if (d->ended && d->n == 0) {
        end(d);
        return;
    }
    if (!d->out && !d->ended && d->n < REEL_FRAMES) {
        if (d->fetch_us > now_us)
            next_us = next_us ? MIN(next_us, d->fetch_us) : d->fetch_us;
        else
            go(d);
    }
    if (next_us > 0) loop_timer_set(d->hub->loop, &d->timer, MAX(next_us - now_us, 0), due, d);
}

/* --- life --- */

struct rtsp_dvr *rtsp_dvr_new(
    struct stream *s, usec_t at_us, int32_t scale_milli, const struct rtsp_dvr_ops *ops, void *arg)
{
    struct storage *st[ARCHIVE_STORAGES_MAX];
    size_t n = storages_of(
        s->hub->server->storages, span_of(s->v.archive), s->v.nodes, s->v.n_nodes, st, ARCHIVE_STORAGES_MAX);
    struct rtsp_dvr *d;

    if (n == 0) return NULL;
    d = NEW(struct rtsp_dvr);
    d->hub = s->hub;
    span_copy(span_of(s->v.uid), d->uid, sizeof(d->uid));
    span_copy(span_of(s->v.name[0] ? s->v.name : s->v.uid), d->name, sizeof(d->name));
    d->ops = ops;
    d->arg = arg;
    d->at_us = at_us;
    d->scale_milli = scale_milli;
    d->reel = reel_new(s->v.uid, st, n, rng_u32());
    return d;
}

void rtsp_dvr_free(struct rtsp_dvr *d)
{
    if (!d) return;
    turn_to(d, DVR_IDLE);
    loop_timer_stop(&d->timer);
    loop_timer_stop(&d->patience);
    d->arg = NULL;
    if (!d->out && !d->answering) free_now(d);
}

void rtsp_dvr_open(struct rtsp_dvr *d)
{
    d->way = (struct reel_way){.sight = d->ops->sight(d->arg), .scale_milli = 1000, .strict = d->at_us > 0};
    d->way.at_us = MAX(d->at_us, d->way.sight.from_us);
    if (d->way.sight.to_us > 0 && d->way.at_us >= d->way.sight.to_us)
        d->ops->opened(d->arg, 403, NULL);
    else
        start(d, DVR_OPENING);
}

void rtsp_dvr_describe(const struct rtsp_dvr *d, struct describe *ret)
{
    *ret = (struct describe){
        .pay = d->pay, .n = TRACK_MAX, .name = d->name, .start_us = d->start_us, .id = (uint64_t)d->start_us};
}

const char *rtsp_dvr_holder(const struct rtsp_dvr *d)
{
    return reel_storage(d->reel)->host;
}

/* A range's time as a wall clock: its clock, or its npt behind what was described. GStreamer (rtspsrc 1.22)
 * makes of the clock= that it was told an npt of seconds since 1900. */
static usec_t wall_of(const struct rtsp_dvr *d, const struct rtsp_range *r, usec_t us)
{
    if (r->clock) return us;
    return us >= NTP_TO_UNIX_S * US_PER_S ? us - NTP_TO_UNIX_S * US_PER_S : d->start_us + us;
}

/* Where a PLAY begins: at its range, or where it was paused; npt=0 is always sent by some, and means the
 * place that the URL names. */
static usec_t place_of(const struct rtsp_dvr *d, const struct rtsp_play *p)
{
    if (p->has_range && (p->range.from_us > 0 || (p->range.clock && p->range.from_us == 0)))
        return wall_of(d, &p->range, p->range.from_us);
    if (p->has_range && p->range.from_us == 0) return d->start_us;
    return d->last.wall_us > 0 ? d->last.wall_us : d->start_us;
}

static int32_t scale_of(const struct rtsp_dvr *d, const struct rtsp_play *p)
{
    int32_t v = p->has_scale ? p->scale_milli : d->scale_milli;

    return v < 0 ? -CLAMP(-v, DVR_SCALE_LEAST, DVR_SCALE_MOST) : CLAMP(v, DVR_SCALE_LEAST, DVR_SCALE_MOST);
}

/* Leaves of a way what may be seen of it. false: nothing may. */
static bool clip_way(struct reel_way *w)
{
    bool back = w->scale_milli < 0;
    usec_t from_us = back ? w->to_us : w->at_us;
    usec_t to_us = back ? w->at_us + 1 : w->to_us > 0 ? w->to_us : INT64_MAX;

    if (from_us >= to_us) return true; /* empty as it was asked for */
    if (!sight_clip(&w->sight, &from_us, &to_us)) return false;
    w->at_us = back ? to_us - 1 : from_us;
    w->to_us = back ? from_us : to_us < INT64_MAX ? to_us : 0;
    return true;
}

void rtsp_dvr_play(struct rtsp_dvr *d, const struct rtsp_play *p)
{
    struct reel_way way = {.sight = d->ops->sight(d->arg),
        .at_us = place_of(d, p),
        .scale_milli = scale_of(d, p),
        .replay = p->replay,
        .cseq = p->cseq};

    if (p->has_range && p->range.to_us > 0) way.to_us = wall_of(d, &p->range, p->range.to_us);
    way.keys = p->intra || way.scale_milli < 0 || way.scale_milli > DVR_SCALE_ALL;
    if (!clip_way(&way)) { /* what plays goes on */
        d->ops->played(d->arg, 403, NULL);
        return;
    }
    d->way = way;
    d->no_rate = p->no_rate;
    d->stated = p->has_range && (p->range.clock || p->range.from_us != 0);
    d->has_scale = p->has_scale || d->way.scale_milli != 1000;
    start(d, DVR_STARTING);
}

void rtsp_dvr_pause(struct rtsp_dvr *d)
{
    turn_to(d, DVR_IDLE);
    loop_timer_stop(&d->timer);
    drop_ready(d);
}
