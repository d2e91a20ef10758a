#include "httpd/rtsp_live.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/rng.h"
#include "common/proto/rtcp.h"

#define REPORT_MAX 128
#define CNAME      "media-server"
#define LOOK_US    US_PER_S

/* A frame since the last key frame. Its packets are made again from the ring when somebody begins with it:
 * kept by each stream they would drive each other out of the processor's caches. */
struct kept {
    struct rtp_frame f; /* c NULL: nobody has begun with it */
    uint64_t at;        /* in the ring */
    size_t n;           /* bytes of its packets */
};

struct rtsp_live {
    struct stream *s;
    struct cursor cursor;
    bool running; /* the cursor */
    uint32_t gen; /* of the description in use; 0: none yet */
    uint64_t epoch;
    struct pay pay[TRACK_MAX];
    size_t n;
    int main; /* the track whose key frames begin a picture: video, else the first; -1: none */
    bool need_key;
    unsigned joining;   /* tracks whose next frame may say again that media time was joined */
    struct kept *start; /* since the last key frame */
    size_t n_start, cap_start, bytes_start;
    bool over; /* too much to be kept, or gone from the ring */
    /* wall clock and media time of the main track's newest frame, and when it came */
    usec_t wall_us, media_us, arrival_us;
    struct list viewers, waiting;
    uint32_t n_viewers;
    usec_t seen_us, reported_us;
    struct loop_timer look;
};

/* --- frames --- */

struct chunk *rtp_frame_on(struct rtp_frame *f, uint8_t channel)
{
    if (channel == 2 * f->track) return f->c;
    if (f->alt && f->alt_channel == channel) return f->alt;
    chunk_unref(f->alt);
    f->alt = chunk_new(f->c->n);
    if (!f->alt) return NULL;
    memcpy(f->alt->data, f->c->data, f->c->n);
    pay_rechannel(f->alt->data, f->alt->n, channel);
    f->alt_channel = channel;
    return f->alt;
}

static void frame_drop(struct rtp_frame *f)
{
    chunk_unref(f->c);
    chunk_unref(f->alt);
}

static void drop_start(struct rtsp_live *l)
{
    for (size_t i = 0; i < l->n_start; i++) frame_drop(&l->start[i].f);
    l->n_start = l->bytes_start = 0;
    l->over = false;
}

/* All its packets. NULL: nothing in it can be sent, or memory is out. */
static struct chunk *packetise(struct pay *p, const struct frame *f, uint32_t ts)
{
    size_t n = pay_size(p, f, NULL);
    struct chunk *c = n > 0 ? chunk_new(n) : NULL;
    struct wr w;

    if (!c) return NULL;
    w = wr_of(c->data, n);
    pay_write(p, f, ts, NULL, &w);
    must(wr_ok(&w) && w.n == n);
    return c;
}

/* The same packets as before. false: the frame, or what it was made with, is not there any more. */
static bool make_again(struct rtsp_live *l, struct kept *k)
{
    struct pay p = l->pay[k->f.track];
    struct frame f;

    if (k->f.c) return true;
    if (!l->cursor.ring || ring_read(l->cursor.ring, k->at, &l->s->hub->frame, &f) != RING_OK) return false;
    p.seq = k->f.seq;
    k->f.c = packetise(&p, &f, k->f.ts);
    return k->f.c && k->f.c->n == k->n;
}

static void give_up(struct rtsp_live *l)
{
    drop_start(l);
    l->over = true;
}

static void make_all_again(struct rtsp_live *l)
{
    for (size_t i = 0; i < l->n_start; i++)
        if (!make_again(l, &l->start[i])) give_up(l);
}

/* The frame that the cursor has just passed. */
static void keep(struct rtsp_live *l, const struct rtp_frame *f)
{
    struct kept k = {.f = *f, .at = l->cursor.next - 1, .n = f->c->n};

    if (f->entry) drop_start(l);
    if ((l->n_start == 0 && !f->entry) || l->over) return;
    if (l->n_start == RTSP_START_FRAMES || l->bytes_start + k.n > RTSP_START_BYTES) {
        give_up(l);
        return;
    }
    if (l->n_start == l->cap_start) {
        l->cap_start = l->cap_start ? l->cap_start * 2 : 64;
        l->start = mem_renew(l->start, l->cap_start * sizeof(*l->start));
    }
    k.f.alt = NULL;
    k.f.c = l->bytes_start > RTSP_START_LAZY ? chunk_ref(f->c) : NULL;
    l->bytes_start += k.n;
    l->start[l->n_start++] = k;
    /* What is longer than the ring may be is kept, before it goes from there. */
    if (!k.f.c && l->bytes_start > RTSP_START_LAZY) make_all_again(l);
}

static void wake(struct rtsp_live *l)
{
    struct list all;

    if (list_empty(&l->waiting)) return;
    /* They may wait again on the same list: take it over first. */
    all.next = l->waiting.next;
    all.prev = l->waiting.prev;
    all.next->prev = all.prev->next = &all;
    list_init(&l->waiting);
    while (!list_empty(&all)) {
        struct rtsp_wait *w = LIST_ITEM(all.next, struct rtsp_wait, link);

        list_remove(&w->link);
        w->woken(w);
    }
}

/* --- reports --- */

/* A sender report of the track for this moment: the wall clock, and the media time that runs with it. */
static struct span write_report(const struct rtsp_live *l, unsigned track, bool bye, uint8_t dst[REPORT_MAX])
{
    const struct pay *p = &l->pay[track];
    usec_t since_us = CLAMP(clock_mono_us() - l->arrival_us, 0, RTSP_REPORT_US);
    struct rtcp_packet sr = {.ssrc = p->ssrc, .packets = p->packets, .bytes = p->octets};
    struct wr w = wr_of(dst, REPORT_MAX);

    sr.ntp = rtcp_ntp_of_us(l->wall_us + since_us);
    sr.rtp_ts = pay_ts(p, scale_i64(l->media_us + since_us, p->track.clock_hz, 1000000));
    rtcp_write_sr(&w, &sr);
    rtcp_write_sdes(&w, p->ssrc, CNAME);
    if (bye) rtcp_write_bye(&w, p->ssrc);
    return wr_span(&w);
}

static void report_to(const struct rtsp_live *l, struct rtsp_viewer *v, bool bye)
{
    uint8_t text[REPORT_MAX];

    for (unsigned i = 0; i < l->n; i++)
        if (l->pay[i].form) v->on_report(v, i, write_report(l, i, bye, text));
}

/* --- tracks --- */

static void end_viewers(struct rtsp_live *l)
{
    LIST_EACH(&l->viewers, at)
    {
        struct rtsp_viewer *v = LIST_ITEM(at, struct rtsp_viewer, link);

        report_to(l, v, true);
        rtsp_live_leave(l, v);
        v->on_end(v);
    }
}

/* What was said of it in a session description still holds; parameter sets come with the pictures. */
static bool same_form(const struct pay *p, const struct track *t)
{
    const struct track *o = &p->track;

    return o->codec == t->codec && o->kind == t->kind && o->clock_hz == t->clock_hz &&
        o->channels == t->channels && (t->kind != TRACK_AUDIO || o->config_n == t->config_n) &&
        (t->kind != TRACK_AUDIO || memcmp(o->config, t->config, t->config_n) == 0);
}

static bool same_tracks(const struct rtsp_live *l, const struct track_set *s)
{
    if (l->gen == 0 || l->n != s->n) return false;
    for (size_t i = 0; i < s->n; i++)
        if (!same_form(&l->pay[i], &s->t[i])) return false;
    return true;
}

static void take_tracks(struct rtsp_live *l, const struct track_set *s)
{
    if (same_tracks(l, s)) {
        for (size_t i = 0; i < s->n; i++) l->pay[i].track = s->t[i];
        return;
    }
    l->epoch++;
    end_viewers(l);
    drop_start(l);
    memset(l->pay, 0, sizeof(l->pay));
    l->n = s->n;
    l->main = -1;
    for (unsigned i = 0; i < s->n; i++)
        if (pay_init(&l->pay[i], &s->t[i], i, rng_u32()) && l->main < 0) l->main = (int)i;
    for (unsigned i = s->n; i-- > 0;)
        if (l->pay[i].form && s->t[i].kind == TRACK_VIDEO) l->main = (int)i;
    l->need_key = true;
}

static int want(void *arg, const struct frame *f)
{
    struct rtsp_live *l = arg;
    unsigned bit = 1u << f->track;
    struct track_set tracks;
    bool entry;

    if (f->gen != l->gen) {
        if (ring_tracks(l->cursor.ring, f->gen, &tracks) != RING_OK) return RING_E_GEN;
        take_tracks(l, &tracks);
        l->gen = f->gen;
    }
    if (f->track >= l->n || !l->pay[f->track].form) return RING_E_GEN;
    if ((f->flags & FRAME_DISCONT) && !(l->joining & bit)) {
        l->need_key = true;
        l->joining = ~0u;
    }
    l->joining &= ~bit;
    entry = (f->flags & FRAME_KEY) && f->track == l->main;
    return l->need_key && !entry ? RING_E_GEN : RING_OK;
}

static void broken(void *arg)
{
    struct rtsp_live *l = arg;

    drop_start(l);
    l->need_key = true;
}

static void note_time(struct rtsp_live *l, const struct frame *f)
{
    if (f->track != l->main) return;
    l->wall_us = f->wall_us;
    l->media_us = scale_i64(f->dts + f->cts, 1000000, l->pay[f->track].track.clock_hz);
    l->arrival_us = f->arrival_us;
}

static void frame(void *arg, const struct frame *f, struct chunk *data)
{
    struct rtsp_live *l = arg;
    struct pay *p = &l->pay[f->track];
    struct rtp_frame out = {.track = f->track, .seq = p->seq, .ts = pay_ts(p, f->dts + f->cts)};

    (void)data; /* borrowed */
    out.entry = (f->flags & FRAME_KEY) && f->track == l->main;
    out.c = packetise(p, f, out.ts);
    if (!out.c) {
        broken(l);
        return;
    }
    l->need_key = false;
    note_time(l, f);
    LIST_EACH(&l->viewers, at)
    {
        struct rtsp_viewer *v = LIST_ITEM(at, struct rtsp_viewer, link);

        v->on_frame(v, &out);
    }
    keep(l, &out);
    frame_drop(&out);
}

static void turned(void *arg)
{
    struct rtsp_live *l = arg;

    if (rtsp_live_ready(l)) wake(l);
    LIST_EACH(&l->viewers, at)
    {
        struct rtsp_viewer *v = LIST_ITEM(at, struct rtsp_viewer, link);

        v->on_turned(v);
    }
}

static const struct cursor_ops cursor_ops = {want, frame, broken, turned, true, true};

/* --- life --- */

static void tell_demand(struct rtsp_live *l)
{
    stream_demand(l->s, DEMAND_RTSP, l->running ? MAX(l->n_viewers, 1u) : 0, 0);
}

static void stop(struct rtsp_live *l)
{
    loop_timer_stop(&l->look);
    if (l->running) cursor_stop(&l->cursor);
    l->running = false;
    drop_start(l);
    tell_demand(l);
}

static void look_around(struct loop_timer *t)
{
    struct rtsp_live *l = t->arg;
    usec_t now_us = loop_now_us(l->s->hub->loop);

    if (now_us - l->reported_us >= RTSP_REPORT_US) {
        l->reported_us = now_us;
        LIST_EACH(&l->viewers, at) report_to(l, LIST_ITEM(at, struct rtsp_viewer, link), false);
    }
    wake(l); /* the camera's state may have changed */
    if (!list_empty(&l->viewers) || !list_empty(&l->waiting)) l->seen_us = now_us;
    if (now_us - l->seen_us > RTSP_LINGER_US) stop(l);
}

static void run(struct rtsp_live *l)
{
    if (!l->running && l->s->has_ring) {
        l->running = true;
        l->need_key = true;
        tell_demand(l);
        cursor_start(&l->cursor, l->s, &cursor_ops, l);
    }
    if (!loop_timer_armed(&l->look)) loop_timer_every(l->s->hub->loop, &l->look, LOOK_US, look_around, l);
}

struct rtsp_live *rtsp_live_get(struct stream *s)
{
    struct rtsp_live *l = s->rtsp;

    if (!l) {
        l = NEW(struct rtsp_live);
        l->s = s;
        l->main = -1;
        list_init(&l->viewers);
        list_init(&l->waiting);
        s->rtsp = l;
    }
    l->seen_us = loop_now_us(s->hub->loop);
    run(l);
    return l;
}

void rtsp_live_end(struct stream *s)
{
    struct rtsp_live *l = s->rtsp;

    if (!l) return;
    end_viewers(l);
    stop(l);
    wake(l);
}

void rtsp_live_free(struct stream *s)
{
    struct rtsp_live *l = s->rtsp;

    if (!l) return;
    rtsp_live_end(s);
    s->rtsp = NULL;
    mem_free(l->start);
    mem_free(l);
}

void rtsp_live_new_ring(struct stream *s)
{
    struct rtsp_live *l = s->rtsp;

    if (!l) return;
    if (l->running) cursor_new_ring(&l->cursor);
    if (!list_empty(&l->waiting)) run(l);
    wake(l);
}

bool rtsp_live_ready(const struct rtsp_live *l)
{
    return l->gen != 0 && l->running && l->cursor.caught_up && l->main >= 0 && (l->n_start > 0 || l->over);
}

void rtsp_live_wait(struct rtsp_live *l, struct rtsp_wait *w)
{
    list_push(&l->waiting, &w->link);
}

const struct pay *rtsp_live_pays(const struct rtsp_live *l)
{
    return l->pay;
}

uint64_t rtsp_live_epoch(const struct rtsp_live *l)
{
    return l->epoch;
}

/* --- viewers --- */

void rtsp_live_start(struct rtsp_live *l, struct rtsp_start *ret)
{
    unsigned found = 0;

    make_all_again(l);
    *ret = (struct rtsp_start){.known = l->n_start > 0};
    for (size_t i = 0; i < l->n_start; i++) {
        const struct rtp_frame *f = &l->start[i].f;

        if (found & 1u << f->track) continue;
        found |= 1u << f->track;
        ret->seq[f->track] = f->seq;
        ret->ts[f->track] = f->ts;
    }
    for (unsigned i = 0; i < l->n; i++) {
        if (found & 1u << i || !l->pay[i].form) continue;
        ret->seq[i] = l->pay[i].seq;
        ret->ts[i] = pay_ts(&l->pay[i], scale_i64(l->media_us, l->pay[i].track.clock_hz, 1000000));
    }
}

static void count_viewers(struct rtsp_live *l, int more)
{
    l->n_viewers += (uint32_t)more;
    atomic_fetch_add_explicit(&l->s->hub->count.viewers, (uint32_t)more, memory_order_relaxed);
    tell_demand(l);
}

void rtsp_live_join(struct rtsp_live *l, struct rtsp_viewer *v)
{
    report_to(l, v, false);
    for (size_t i = 0; i < l->n_start; i++)
        if (l->start[i].f.c) v->on_frame(v, &l->start[i].f);
    list_push(&l->viewers, &v->link);
    count_viewers(l, 1);
}

void rtsp_live_leave(struct rtsp_live *l, struct rtsp_viewer *v)
{
    list_remove(&v->link);
    count_viewers(l, -1);
    l->seen_us = loop_now_us(l->s->hub->loop);
}
