/* A plan as a playlist. 24 hours are 20,000 lines and more: what is written for each is written without
 * printf. */
#include "httpd/archive_plan.h"
#include "httpd/hls.h"
#include "common/base/clock.h"

#define GAP_NAME "gap.m4s" /* never there: players that know EXT-X-GAP do not ask for it */

/* Targets of playlists that go on: they must not change (RFC 8216, 6.2.1), so what comes is given room. */
static const unsigned target_steps_s[] = {6, 10, 15, 20, 30, 60, 120, 300, 600};

struct view {
    size_t from, to;
    uint64_t discont_seq;
    unsigned target_s;
    bool independent, gaps;
};

static unsigned step_for(unsigned s)
{
    for (size_t i = 0; i < ARRAY_N(target_steps_s); i++)
        if (s <= target_steps_s[i]) return target_steps_s[i];
    return s;
}

/* Pieces that are over by then, as far as no later one stands before them. */
static size_t over_by(const struct plan *p, size_t to, usec_t at_us)
{
    size_t n = 0;

    while (n < to && p->v[n].start_us + p->v[n].dur_us <= at_us) n++;
    return n;
}

/* RFC 8216, 6.2.2: a segment leaves only while three target durations remain. */
static size_t last_begin(const struct plan *p, const struct view *s)
{
    usec_t left_us = 0, least_us = 3 * (usec_t)s->target_s * US_PER_S;
    size_t i = s->to;

    while (i > 0 && left_us < least_us) left_us += p->v[--i].dur_us;
    return i;
}

static void look(const struct plan *p, const struct plan_view *v, struct view *ret)
{
    usec_t longest_us = v->gop_us > 0 && v->kind != PLAN_VOD ? v->gop_us + SEG_KEY_APART_MS * US_PER_MS : 0;

    *ret = (struct view){.to = p->n, .independent = true};
    if (v->kind == PLAN_SLIDING) ret->to = over_by(p, p->n, v->edge_us);
    for (size_t i = 0; i < ret->to; i++) {
        longest_us = MAX(longest_us, p->v[i].dur_us);
        ret->independent &= !p->v[i].inside;
        ret->gaps |= p->v[i].gap;
    }
    ret->target_s = hls_rounded_s(longest_us);
    if (v->kind != PLAN_VOD) ret->target_s = step_for(ret->target_s);
    if (v->kind == PLAN_SLIDING)
        ret->from = MIN(over_by(p, ret->to, v->edge_us - v->window_us), last_begin(p, ret));
    for (size_t i = 1; i < ret->from; i++) ret->discont_seq += p->v[i].discont;
}

size_t plan_listed(const struct plan *p, const struct plan_view *v)
{
    struct view s;

    look(p, v, &s);
    return s.to - s.from;
}

static void write_map(const struct plan *p, const struct plan_segment *s, struct text *to)
{
    text_put(to, "#EXT-X-MAP:URI=\"dvr-init-");
    text_put(to, p->tags[s->storage]);
    text_put(to, "-");
    text_hex(to, s->id);
    text_put(to, ".mp4\"\n");
}

static void write_date(usec_t wall_us, struct text *to)
{
    char iso[CLOCK_ISO_MAX];

    text_put(to, "#EXT-X-PROGRAM-DATE-TIME:");
    text_put(to, clock_iso(wall_us, iso));
    text_put(to, "\n");
}

static void write_piece(const struct plan *p, const struct piece_of *x, struct text *to)
{
    const struct plan_segment *s = &p->s[x->seg];

    text_put(to, "#EXTINF:");
    text_dec(to, (uint64_t)(x->dur_us / US_PER_S), 1);
    text_put(to, ".");
    text_dec(to, (uint64_t)(x->dur_us % US_PER_S), 6);
    if (x->gap) {
        text_put(to, ",\n#EXT-X-GAP\n" GAP_NAME "\n");
        return;
    }
    text_put(to, ",\ndvr-");
    text_put(to, p->tags[s->storage]);
    text_put(to, "-");
    text_hex(to, s->id);
    text_put(to, "-");
    text_hex(to, x->from);
    text_put(to, "-");
    text_hex(to, x->to);
    if (x->until_us != 0) {
        text_put(to, "x");
        text_hex(to, (uint64_t)x->until_us);
    }
    text_put(to, ".m4s\n");
}

/* The init segment of the tracks' first segment in the plan stands for all that have them, listed or not, so
 * that its name stays while the playlist slides. */
static void write_pieces(const struct plan *p, const struct view *s, struct text *to)
{
    const struct plan_segment *map = NULL, *written = NULL;

    for (size_t i = 0; p->s && i < s->to; i++) {
        const struct piece_of *x = &p->v[i];
        const struct plan_segment *seg = &p->s[x->seg];

        if (!x->gap && (!map || map->tracks_hash != seg->tracks_hash)) map = seg;
        if (i < s->from) continue;
        if (x->discont && i > 0) text_put(to, "#EXT-X-DISCONTINUITY\n");
        if (!x->gap && map != written) {
            write_map(p, map, to);
            written = map;
        }
        if (i == s->from || x->discont || i == seg->first || (x->gap && !x[-1].gap))
            write_date(x->start_us, to);
        write_piece(p, x, to);
    }
}

void plan_write(const struct plan *p, const struct plan_view *v, struct text *to)
{
    struct hls_head head = {.from_start = v->from_start};
    struct view s;

    look(p, v, &s);
    head.target_s = MAX(s.target_s, 1u);
    head.msn = s.from;
    head.discont_seq = s.discont_seq;
    head.type = v->kind == PLAN_VOD ? "VOD" : v->kind == PLAN_GROWING ? "EVENT" : NULL;
    head.independent = s.independent;
    head.gaps = s.gaps;
    hls_begin(to, &head);
    write_pieces(p, &s, to);
    if (v->kind == PLAN_VOD || (v->ended && s.to == p->n)) hls_end(to);
}
