#include "worker/video_impl.h"
#include "common/base/mem.h"
#include "common/media/annexb.h"

#define KEY_PATIENCE_US (10 * US_PER_S) /* pictures without a key frame until others stand in (V14) */
#define FLIPS_MAX       4 /* new descriptions within FLIPS_US until sets go into the frames (V8) */
#define FLIPS_US        (10 * US_PER_S)
#define INSERT_MAX      8 /* parameter sets put into one frame */

static void unit_end(struct video *v);

void video_init(struct video *v, const struct video_codec *codec)
{
    v->codec = codec;
    gather_init(&v->g, DEPAY_UNIT_MAX);
    depay_track(&v->base, &v->track);
}

void video_done(struct depay *d)
{
    struct video *v = (struct video *)(void *)d;

    gather_done(&v->g);
    params_done(&v->params);
}

bool video_track(const struct depay *d, struct track *ret)
{
    const struct video *v = (const struct video *)(const void *)d;

    if (v->ready) *ret = v->track;
    return v->ready;
}

/* --- description --- */

/* Fills *t from the sets: the wanted ones where they fit, else what pictures use. */
static bool describe(struct video *v, struct track *t, enum params_pick *ret_pick)
{
    static const enum params_pick picks[] = {PARAMS_WANTED, PARAMS_USED};

    for (unsigned i = 0; i < ARRAY_N(picks); i++) {
        struct wr w = wr_of(t->config, sizeof t->config);

        if (!v->codec->config(&w, &v->params, picks[i])) continue;
        t->config_n = (uint16_t)w.n;
        memset(t->config + w.n, 0, sizeof t->config - w.n);
        v->codec->describe(v, t);
        *ret_pick = picks[i];
        return true;
    }
    return false;
}

static bool flips_too_often(struct video *v)
{
    if (v->mono_us - v->flips_us > FLIPS_US) {
        v->flips_us = v->mono_us;
        v->flips = 0;
    }
    return ++v->flips > FLIPS_MAX;
}

/* The parameter sets in use are not those of the description. Either there is a new one, or, when they change
 * all the time and the size stays, the sets go into the frames from now on. */
static bool redescribe(struct video *v)
{
    struct track t = v->track;
    enum params_pick pick;
    bool same_size, same;

    if (!describe(v, &t, &pick)) return false;
    same_size = v->ready && t.width == v->track.width && t.height == v->track.height;
    same = v->ready && span_eq(span(t.config, t.config_n), span(v->track.config, v->track.config_n));
    if (same_size && !same && (v->inband || flips_too_often(v))) {
        v->inband = true;
        return true;
    }
    for (unsigned i = 0; i < v->params.n; i++)
        v->params.v[i].in_config = params_picked(&v->params, &v->params.v[i], pick);
    if (same) return true;
    v->track = t;
    v->ready = true;
    depay_changed(&v->base);
    return true;
}

static void keep_params(struct video *v, struct span nal)
{
    int got = v->codec->params_put(&v->params, nal);

    if (got < 0 || got == PARAMS_FULL) video_bad(v);
}

void video_hint(struct video *v, struct span nal)
{
    uint8_t head[2] = {nal.n > 0 ? nal.p[0] : 0, nal.n > 1 ? nal.p[1] : 0};

    if (v->codec->classify(head) == VIDEO_PARAMS) keep_params(v, nal);
}

/* --- handing out --- */

/* May decoding begin with this unit? */
static bool may_begin(struct video *v)
{
    const struct video_unit *u = &v->u;

    if (u->key && !u->lost) return true;
    if (v->waiting_us == 0) v->waiting_us = v->mono_us;
    if (v->mono_us - v->waiting_us < KEY_PATIENCE_US) return false;
    v->soft_keys = !u->key;
    return u->key || u->recovery != RECOVERY_NONE || u->intra;
}

static uint16_t unit_flags(struct video *v)
{
    const struct video_unit *u = &v->u;
    bool key = u->key || (v->soft_keys && (u->recovery != RECOVERY_NONE || u->intra));

    if (u->idr) v->soft_keys = false;
    if (key && !u->lost) v->broken = false;
    if (u->lost) v->broken = true;
    return (uint16_t)((key ? FRAME_KEY : 0) | (key && !u->idr ? FRAME_NOT_IDR : 0) |
        (v->broken ? FRAME_DAMAGED : 0));
}

/* The sets that the unit needs and a decoder may not have, as pieces. */
static unsigned inband_sets(struct video *v, bool key, struct piece *to)
{
    unsigned n = 0;

    for (unsigned k = 0; k < ARRAY_N(v->codec->kinds) && v->codec->kinds[k]; k++) {
        const struct param *p = NULL;

        while (n < INSERT_MAX &&
            (p = params_next(&v->params, v->codec->kinds[k], PARAMS_USED, p ? p->id : -1))) {
            if (!key && p->in_config) continue;
            to[n++] = (struct piece){.s = param_span(p), .nal_n = p->n};
            params_find(&v->params, p->kind, p->id)->in_config = true;
        }
    }
    return n;
}

/* The first n pieces, behind parameter sets where these travel in the frames. */
static void hand_out(struct video *v, struct depay_unit *u, uint32_t n)
{
    struct piece sets[INSERT_MAX], *all;
    unsigned sets_n = v->inband ? inband_sets(v, u->flags & FRAME_KEY, sets) : 0;

    u->pieces = v->g.v;
    u->pieces_n = n;
    if (sets_n == 0) {
        depay_emit(&v->base, u, v->mono_us, v->wall_us);
        return;
    }
    all = mem_try((n + sets_n) * sizeof *all);
    if (!all) {
        v->base.c.dropped++;
        return;
    }
    memcpy(all, sets, sets_n * sizeof *all);
    memcpy(all + sets_n, v->g.v, n * sizeof *all);
    u->pieces = all;
    u->pieces_n = n + sets_n;
    depay_emit(&v->base, u, v->mono_us, v->wall_us);
    mem_free(all);
}

static void unit_out(struct video *v, uint32_t n)
{
    struct depay_unit out = {.timestamp = v->u.timestamp, .reorder = v->u.reorder, .backward = v->u.backward};

    v->u.key = v->u.key || v->u.recovery == RECOVERY_EXACT || (v->u.recovery == RECOVERY_HERE && v->u.intra);
    if (v->u.cut || v->u.missing || v->u.slices_n == 0 || (!v->synced && !may_begin(v)) ||
        ((v->u.fresh || !v->ready) && !redescribe(v))) {
        v->broken = true;
        v->base.c.dropped++;
        return;
    }
    v->synced = true;
    v->waiting_us = 0;
    out.flags = unit_flags(v);
    hand_out(v, &out, n);
}

static void unit_end(struct video *v)
{
    uint32_t n;

    if (v->in_fu) video_fu_end(v);
    if (!v->u.slices) return;
    n = v->u.boundary ? v->u.behind : v->g.n;
    unit_out(v, n);
    gather_drop_front(&v->g, n);
    v->last = v->u.timestamp;
    v->handed = true;
    v->u = (struct video_unit){.reorder = -1, .recovery = v->next_recovery};
    v->next_recovery = RECOVERY_NONE;
}

/* --- NAL units --- */

/* The picture went on behind its marker. */
void video_marker_lied(struct video *v)
{
    v->u.held = false;
    v->marker = MARKER_FALSE;
    v->base.c.markers_false++;
}

/* The picture of this slice begins, or goes on. false: the slice belongs to a unit that is already out. */
static bool slice_place(struct video *v, const struct video_slice *s)
{
    if (!v->u.slices) {
        if (!v->handed || v->marker != MARKER_TRUE || v->u.timestamp != v->last) return true;
        if (s->first || (s->told && s->other)) return true;
        video_marker_lied(v);
        v->broken = true;
        return false;
    }
    if (s->told ? s->other : s->first && (v->u.held || v->u.boundary)) {
        uint32_t timestamp = v->u.timestamp;

        if (v->u.held && v->marker == MARKER_TRIAL) v->marker = MARKER_TRUE;
        unit_end(v);
        v->u.timestamp = timestamp;
    } else if (v->u.held) {
        video_marker_lied(v);
    }
    return true;
}

static void slice_note(struct video *v, const struct video_slice *s)
{
    struct video_unit *u = &v->u;

    if (!u->slices) {
        /* What was lost right before was the head of this picture, unless it has one. */
        u->lost = u->lost && !s->first;
        u->intra = true;
        u->reorder = s->reorder;
        if (s->key) v->has_poc_max = false;
        u->backward = v->has_poc_max && s->has_poc && s->poc < v->poc_max;
        if (s->has_poc && !u->backward) {
            v->poc_max = s->poc;
            v->has_poc_max = true;
        }
    }
    u->slices = true;
    u->slices_n++;
    u->boundary = false;
    u->key = u->key || s->key;
    u->idr = u->idr || s->idr;
    u->intra = u->intra && s->intra;
    u->missing = u->missing || s->missing;
    u->fresh = u->fresh || s->fresh;
}

bool video_slice_begin(struct video *v, struct span begin)
{
    struct video_slice s = {.reorder = -1};

    v->codec->slice(v, begin, &s);
    if (!slice_place(v, &s)) return false;
    slice_note(v, &s);
    return true;
}

void video_note_boundary(struct video *v)
{
    if (!v->u.slices || v->u.boundary) return;
    v->u.boundary = true;
    v->u.behind = v->g.n;
}

static void sei_note(struct video *v, struct span nal)
{
    enum video_recovery found = v->codec->recovery(nal),
                        *to = v->u.boundary ? &v->next_recovery : &v->u.recovery;

    *to = MAX(*to, found);
}

/* One NAL unit without start codes. */
void video_nal_one(struct video *v, struct span nal)
{
    enum video_class class = nal.n > v->codec->head_n ? v->codec->classify(nal.p) : VIDEO_BAD;

    switch (class) {
    case VIDEO_BAD: video_bad(v); return;
    case VIDEO_DROP: return;
    case VIDEO_BOUNDARY: video_note_boundary(v); return;
    case VIDEO_PARAMS:
        video_note_boundary(v);
        keep_params(v, nal);
        return;
    case VIDEO_SEI:
        video_note_boundary(v);
        sei_note(v, nal);
        break;
    case VIDEO_SUFFIX: break;
    case VIDEO_SLICE:
        if (!video_slice_begin(v, span_sub(nal, 0, VIDEO_BEGIN_MAX))) return;
        break;
    }
    if (!gather_nal(&v->g, NULL, 0, nal)) v->u.cut = true;
}

bool video_is_searched(const struct video *v, enum video_class class)
{
    return class != VIDEO_SLICE || v->annexb || !v->synced;
}

static void nal_split(struct video *v, struct span stream)
{
    struct span nal;

    v->annexb = true;
    v->base.c.annexb++;
    while (annexb_next(&stream, &nal)) video_nal_one(v, nal);
}

void video_nal(struct video *v, struct span nal)
{
    if (v->in_fu) video_fu_end(v);
    nal = annexb_trim(nal);
    if (nal.n <= v->codec->head_n) {
        video_bad(v);
        return;
    }
    if ((video_is_searched(v, v->codec->classify(nal.p)) || annexb_at_start(nal)) && annexb_within(nal))
        nal_split(v, nal);
    else
        video_nal_one(v, nal);
}

/* --- packets --- */

/* What is missing may be the end of the unit at hand, its middle, or the beginning of the next one. */
static void note_loss(struct video *v, const struct depay_packet *p)
{
    bool cut_short = v->in_fu;

    video_fu_drop(v);
    v->broken = true;
    if (v->u.slices && (cut_short || !v->u.held || p->timestamp == v->u.timestamp)) v->u.lost = true;
    if (v->u.slices && p->timestamp != v->u.timestamp) unit_end(v);
    if (!v->u.slices) v->u.lost = true;
}

void video_packet_begin(struct video *v, const struct depay_packet *p)
{
    if (p->lost) note_loss(v, p);
    if (v->u.slices && p->timestamp != v->u.timestamp) {
        if (v->u.held && v->marker == MARKER_TRIAL) v->marker = MARKER_TRUE;
        unit_end(v);
    }
    v->mono_us = p->mono_us;
    v->wall_us = p->wall_us;
    if (!v->u.slices) v->u.timestamp = p->timestamp;
}

void video_packet_end(struct video *v, const struct depay_packet *p)
{
    if (!p->marker) return;
    if (v->marker == MARKER_TRUE && v->in_fu) video_fu_end(v);
    if (!v->u.slices) {
        v->base.c.markers_false += v->g.n > 0;
        return;
    }
    if (v->marker == MARKER_TRUE)
        unit_end(v);
    else
        v->u.held = v->marker == MARKER_TRIAL;
}

bool video_detach(struct depay *d)
{
    struct video *v = (struct video *)(void *)d;

    return gather_detach(&v->g);
}

void video_flush(struct depay *d)
{
    struct video *v = (struct video *)(void *)d;

    if (v->in_fu && !v->u.held) {
        video_fu_drop(v);
        v->u.lost = true;
    }
    unit_end(v);
}

void video_reset(struct depay *d)
{
    struct video *v = (struct video *)(void *)d;

    video_fu_drop(v);
    gather_clear(&v->g);
    v->u = (struct video_unit){.reorder = -1};
    v->marker = MARKER_TRIAL;
    v->synced = v->broken = v->handed = v->has_poc_max = false;
    v->next_recovery = RECOVERY_NONE;
    v->waiting_us = 0;
}
