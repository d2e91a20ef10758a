/* NAL units that come in fragments, and several in one packet. */
#include "common/base/err.h"
#include "common/media/annexb.h"
#include "worker/video_impl.h"

void video_fu_begin(struct video *v, const uint8_t *head, struct span s)
{
    uint8_t begin[VIDEO_BEGIN_MAX];
    struct wr w = wr_of(begin, sizeof begin);

    if (v->in_fu) video_fu_end(v);
    v->fu = v->codec->classify(head);
    if (v->fu == VIDEO_SEI || v->fu == VIDEO_PARAMS || v->fu == VIDEO_BOUNDARY) video_note_boundary(v);
    wr_bytes(&w, span(head, v->codec->head_n));
    wr_bytes(&w, span_sub(s, 0, sizeof begin - w.n));
    if (v->fu == VIDEO_SLICE && !video_slice_begin(v, wr_span(&w))) v->fu = VIDEO_DROP;
    v->in_fu = true;
    v->fu_at = v->g.n;
    if (!gather_nal(&v->g, head, v->codec->head_n, s)) v->u.cut = true;
}

static void fu_more(struct video *v, struct span s)
{
    must(v->in_fu);
    if (v->u.held) video_marker_lied(v);
    if (!gather_more(&v->g, s)) v->u.cut = true;
}

/* Does a start code stand in the NAL unit from piece fu_at on? */
static bool fu_has_start_code(const struct video *v)
{
    uint8_t edge[8];

    for (uint32_t i = v->fu_at; i < v->g.n; i++) {
        struct span s = v->g.v[i].s, next = i + 1 < v->g.n ? v->g.v[i + 1].s : SPAN_NONE;
        struct wr w = wr_of(edge, sizeof edge);

        if (annexb_within(s)) return true;
        wr_bytes(&w, span_from(s, s.n - MIN(s.n, 2)));
        wr_bytes(&w, span_sub(next, 0, 2));
        if (annexb_within(wr_span(&w))) return true;
    }
    return false;
}

/* A slice is whole. */
static void fu_slice_end(struct video *v)
{
    struct piece *first = &v->g.v[v->fu_at], *last = &v->g.v[v->g.n - 1];
    struct span s = annexb_trim(last->s);
    size_t zeros = last->s.n - s.n;

    first->nal_n -= (uint32_t)zeros;
    v->g.bytes -= zeros;
    last->s = s;
    if (first->nal_n > v->codec->head_n) return;
    video_bad(v);
    v->u.slices_n--;
    gather_cut(&v->g, v->fu_at);
}

/* A fragmented NAL unit that held start codes, or that is wanted in one stretch. */
static void fu_rework(struct video *v, bool split)
{
    struct span all, nal;
    bool placed = v->fu == VIDEO_SLICE;

    if (!gather_join(&v->g, v->fu_at, &all)) {
        v->u.cut = true;
        return;
    }
    gather_cut(&v->g, v->fu_at);
    if (!split) {
        video_nal_one(v, annexb_trim(all));
        return;
    }
    v->annexb = true;
    v->base.c.annexb++;
    v->g.hold = true;
    while (annexb_next(&all, &nal)) {
        /* The first slice has found its picture when its first fragment came. */
        if (!placed)
            video_nal_one(v, nal);
        else if (!gather_nal(&v->g, NULL, 0, nal))
            v->u.cut = true;
        placed = false;
    }
    v->g.hold = false;
}

void video_fu_end(struct video *v)
{
    enum video_class class = v->fu;

    must(v->in_fu);
    v->in_fu = false;
    if (v->u.cut || v->fu_at >= v->g.n) return;
    if (video_is_searched(v, class) && fu_has_start_code(v))
        fu_rework(v, true);
    else if (class != VIDEO_SLICE && class != VIDEO_DROP && class != VIDEO_SUFFIX)
        fu_rework(v, false);
    else if (class == VIDEO_DROP)
        gather_cut(&v->g, v->fu_at);
    else if (class == VIDEO_SLICE)
        fu_slice_end(v);
}

void video_fu_drop(struct video *v)
{
    if (!v->in_fu) return;
    v->in_fu = false;
    gather_cut(&v->g, v->fu_at);
    if (v->fu == VIDEO_SLICE) v->u.slices_n--;
}

/* V5: the first fragment says what the unit is, later types and markers are not looked at; start and end in
 * one is a whole NAL unit. */
void video_fu(struct video *v, const uint8_t *head, uint8_t bits, struct span body)
{
    if (bits & VIDEO_FU_START) {
        video_fu_begin(v, head, body);
    } else if (!v->in_fu) {
        /* Its beginning was lost, or came before we did (V18). */
        if (!v->broken && v->synced) video_bad(v);
        return;
    } else if (body.n > 0) {
        fu_more(v, body);
    }
    if (bits & VIDEO_FU_END) video_fu_end(v);
}

/* V7: zero sizes are padding, a size beyond the end takes what is there. */
void video_items(struct video *v, struct rd r, size_t between)
{
    for (unsigned i = 0; rd_left(&r) > 2; i++) {
        size_t n;

        if (i > 0) rd_skip(&r, between);
        n = rd_u16(&r);
        if (n == 0) continue;
        if (n > rd_left(&r)) {
            video_bad(v);
            v->u.lost = v->u.slices;
            return;
        }
        video_nal(v, rd_bytes(&r, n));
    }
}
