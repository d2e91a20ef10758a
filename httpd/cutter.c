#include "httpd/cutter.h"

void cutter_drop(struct cutter *c)
{
    for (size_t i = 0; i < c->n_pending; i++) chunk_unref(c->pending[i].data);
    c->n_pending = 0;
}

/* The pending samples whose duration is known, as one fragment; the others stay in their order. */
static bool emit(struct cutter *c, bool all)
{
    struct sample out[CUTTER_PENDING_MAX];
    size_t n = 0, left = 0;
    struct fragment *fr;

    for (size_t i = 0; i < c->n_pending; i++) {
        struct sample *p = &c->pending[i];

        if (all && p->m.dur == 0) p->m.dur = c->last_dur[p->m.track];
        if (all || p->m.dur > 0)
            out[n++] = *p;
        else
            c->pending[left++] = *p;
    }
    c->n_pending = left;
    if (n == 0) return true;
    fr = fragment_new(c->init, ++c->number, out, n);
    for (size_t i = 0; i < n; i++) chunk_unref(out[i].data);
    if (!fr) return false;
    c->give(c->arg, fr);
    fragment_unref(fr);
    return true;
}

static bool audio_due(const struct cutter *c)
{
    const struct sample *a = &c->pending[0], *b = &c->pending[c->n_pending - 1];
    uint32_t hz = c->init->tracks.t[a->m.track].clock_hz;

    return c->init->video < 0 && a->m.track == b->m.track &&
        scale_i64(b->m.dts - a->m.dts, 1000000, hz) >= CUTTER_AUDIO_US;
}

static void settle_before(struct cutter *c, const struct frame *fr)
{
    uint32_t hz = c->init->tracks.t[fr->track].clock_hz;

    for (size_t i = c->n_pending; i > 0; i--) {
        struct mp4_sample *m = &c->pending[i - 1].m;
        int64_t step;

        if (m->track != fr->track) continue;
        step = fr->dts - m->dts;
        m->dur = step > 0 && step <= (int64_t)CUTTER_GAP_S * hz ? (uint32_t)step : c->last_dur[m->track];
        c->last_dur[m->track] = m->dur;
        return;
    }
}

static void first_guess(struct cutter *c, const struct frame *fr)
{
    const struct track *t = &c->init->tracks.t[fr->track];

    if (c->last_dur[fr->track] > 0) return;
    if (fr->dur > 0)
        c->last_dur[fr->track] = fr->dur;
    else
        c->last_dur[fr->track] = t->kind == TRACK_VIDEO ? t->clock_hz / 25 : MAX(t->clock_hz / 50, 1);
}

bool cutter_add(struct cutter *c, const struct frame *fr, struct chunk *data)
{
    bool full = c->n_pending == CUTTER_PENDING_MAX, ok = true;
    struct sample *p;

    first_guess(c, fr);
    settle_before(c, fr);
    if (full || fr->track == c->init->video || (c->n_pending > 0 && audio_due(c))) ok = emit(c, full);
    p = &c->pending[c->n_pending++];
    *p = (struct sample){.wall_us = fr->wall_us, .data = data};
    p->m = (struct mp4_sample){
        .size = (uint32_t)data->n, .dts = fr->dts, .cts = fr->cts, .flags = fr->flags, .track = fr->track};
    if (!ok) cutter_drop(c);
    return ok;
}

void cutter_finish(struct cutter *c)
{
    if (c->init) emit(c, true);
    cutter_drop(c);
}
