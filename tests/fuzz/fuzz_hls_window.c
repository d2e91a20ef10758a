/* The HLS window fed with any sequence of fragments, breaks, changes of tracks and viewers: numbers never go
 * back, the target duration never falls, what is listed is there, memory stays bounded. One byte a step. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "httpd/window.h"
#include "tests/support/ts_read.h"

/* Whole segments in one step: so many roll the window over twice. What is left out of a longer input costs
 * nothing. */
#define STEPS_MAX 40

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of all runs: made once. */
static struct init *inits[2];
static struct chunk *bytes;

struct state {
    struct window w;
    unsigned tracks;
    uint64_t number;
    int64_t now_us;
    struct ts_run ts;
    uint64_t msn, discont_seq;
    unsigned target_s;
};

static struct init *make_init(uint32_t rate)
{
    static const uint8_t asc[] = {0x14, 0x08};
    struct track_set set = {.n = 1};

    set.t[0] = (struct track){.codec = CODEC_AAC,
        .kind = TRACK_AUDIO,
        .clock_hz = rate,
        .sample_rate = rate,
        .channels = 1,
        .sar_w = 1,
        .sar_h = 1,
        .config_n = sizeof(asc)};
    memcpy(set.t[0].config, asc, sizeof(asc));
    return init_new(&set, 0);
}

/* Parts cover their segment without a hole, and the playlist with them can be made. */
static void check_parts(const struct segment *g, bool closed)
{
    size_t at = 0;

    for (size_t i = 0; i < g->parts.n; i++) {
        must(g->parts.v[i].from == at && g->parts.v[i].n > 0);
        at += g->parts.v[i].n;
        must(at <= g->n);
    }
    must(!closed || g->parts.n == 0 || at == g->n);
}

static void check_low(struct state *s)
{
    struct window *w = &s->w;

    if (w->part_us == 0 || w->n == 0) return;
    must(window_low_playlist(w) != NULL && window_low_delta(w) != NULL);
    check_parts(&w->open, false);
    for (size_t i = 0; i < w->n; i++) check_parts(&w->v[i], true);
    for (uint64_t msn = w->next_msn > 16 ? w->next_msn - 16 : 0; msn < w->next_msn + 3; msn++) {
        const struct segment *g;
        const struct part *p;

        must(window_has(w, msn, 3) <= WINDOW_GONE);
        if (window_part(w, msn, 0, &g, &p) == WINDOW_THERE)
            must(p->from + p->n <= g->n && g->f[p->from] != NULL);
    }
}

static void check(struct state *s)
{
    struct window *w = &s->w;
    struct body *b = window_playlist(w);

    must(w->n <= (w->part_us > 0 ? WINDOW_LOW_KEPT : WINDOW_KEPT) && w->n_listed <= w->n);
    must((w->n > 0) == (b != NULL));
    must((w->n > 0) == (window_ts_playlist(w) != NULL));
    must(w->target_s >= s->target_s && w->discont_seq >= s->discont_seq);
    s->target_s = w->target_s;
    s->discont_seq = w->discont_seq;
    if (!b) return;
    must(w->n_listed > 0);
    must(w->v[w->n - w->n_listed].msn >= s->msn);
    s->msn = w->v[w->n - w->n_listed].msn;
    check_low(s);
    for (size_t i = 0; i < w->n; i++)
        must(w->v[i].dur_us > 0 && (i == 0 || w->v[i].msn == w->v[i - 1].msn + 1));
}

static void add(struct state *s, uint8_t byte)
{
    struct init *init = inits[s->tracks];
    struct sample in = {.data = bytes};
    struct fragment *f;
    int64_t dur_us = 40000 + (int64_t)(byte & 0x1f) * (byte & 0x20 ? 1000000 : 20000);

    in.m = (struct mp4_sample){.size = (uint32_t)bytes->n,
        .dts = scale_i64(s->now_us, init->tracks.t[0].clock_hz, 1000000),
        .dur = (uint32_t)scale_i64(dur_us, init->tracks.t[0].clock_hz, 1000000),
        .flags = byte & 0x40 ? FRAME_KEY : 0};
    in.wall_us = s->now_us;
    f = fragment_new(init, ++s->number, &in, 1);
    must(f != NULL);
    window_add(&s->w, f, init);
    ts_run_next(&s->ts, &(struct ts_piece){.program = &init->ts, .s = f->s, .n = f->n}, f->start_us,
        f->key || window_begins(&s->w), &f->ts_place);
    fragment_unref(f);
    s->now_us += dur_us;
}

/* All segments as MPEG-TS, whatever was asked before, are one stream. */
static void check_ts(struct state *s)
{
    struct ts_read *r = ts_read_new();

    r->any_clock = true; /* frames here stand longer than the cutter lets them */
    for (size_t i = 0; i < s->w.n; i++) {
        struct chunk *c = window_ts_bytes(&s->w, s->w.v[i].msn);

        must(c != NULL && c->n > 2 * TS_PACKET && c->data[1] == 0x40 && c->data[2] == 0);
        must(ts_read(r, span(c->data, c->n)));
    }
    ts_read_free(r);
}

static void step(struct state *s, uint8_t byte)
{
    if (!(byte & 0x80)) {
        add(s, byte);
        return;
    }
    switch (byte & 7) {
    case 0:
        window_break(&s->w);
        s->ts.discont = true;
        break;
    case 1:
        window_break(&s->w);
        s->ts.discont = true;
        s->tracks ^= 1;
        break;
    case 2: window_hurry(&s->w); break;
    case 3: window_watched(&s->w, true); break;
    case 4: window_watched(&s->w, false); break;
    case 5: window_low_begin(&s->w); break;
    case 6: check(s); break; /* only now and then: playlists cost more than all else */
    default:
        if (s->w.n > 0) must(window_bytes(&s->w, s->w.v[byte % s->w.n].msn) != NULL);
        break;
    }
}

static void make_once(void)
{
    if (bytes) return;
    inits[0] = make_init(16000);
    inits[1] = make_init(48000);
    bytes = chunk_new(64);
    must(inits[0] && inits[1] && bytes);
    memset(bytes->data, 1, 64);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct state s = {.now_us = 1700000000000000, .msn = 7};

    make_once();
    window_init(&s.w, 7, 0);
    for (size_t i = 0; i < MIN(size, STEPS_MAX); i++) step(&s, data[i]);
    check(&s);
    check_ts(&s);
    window_done(&s.w);
    return 0;
}
