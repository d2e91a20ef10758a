#include "common/media/mp4.h"
#include "common/media/mp4_box.h"

/* ISO 14496-12 8.8.3.1: sample_depends_on and sample_is_non_sync_sample. */
#define SAMPLE_SYNC     0x02000000u
#define SAMPLE_NOT_SYNC 0x01010000u

enum { TFHD_DUR = 0x8, TFHD_FLAGS = 0x20, TFHD_BASE_IS_MOOF = 0x020000 };
enum { TRUN_OFFSET = 0x1, TRUN_DUR = 0x100, TRUN_SIZE = 0x200, TRUN_FLAGS = 0x400, TRUN_CTS = 0x800 };

/* What all samples of one track in a fragment have in common. */
struct common {
    bool any, dur_same, flags_same, cts;
    int64_t tfdt;
    uint32_t dur, flags;
};

uint32_t mp4_sample_flags(const struct mp4_sample *s)
{
    return s->flags & FRAME_KEY ? SAMPLE_SYNC : SAMPLE_NOT_SYNC;
}

uint32_t mp4_sample_dur(const struct mp4_sample *s, size_t n, size_t i)
{
    int64_t d;
    size_t k = i + 1;

    while (k < n && s[k].track != s[i].track) k++;
    if (k >= n) return s[i].dur;
    d = s[k].dts - s[i].dts;
    return d >= 0 && d <= UINT32_MAX ? (uint32_t)d : s[i].dur;
}

static struct common common_of(const struct mp4_sample *s, size_t n, uint8_t track, const int64_t *base)
{
    struct common c = {.dur_same = true, .flags_same = true};

    for (size_t i = 0; i < n; i++) {
        uint32_t dur;

        if (s[i].track != track) continue;
        dur = mp4_sample_dur(s, n, i);
        if (!c.any) {
            c.any = true;
            c.tfdt = MAX(s[i].dts - (base ? base[track] : 0), 0);
            c.dur = dur;
            c.flags = mp4_sample_flags(&s[i]);
        }
        c.dur_same &= dur == c.dur;
        c.flags_same &= mp4_sample_flags(&s[i]) == c.flags;
        c.cts |= s[i].cts != 0;
    }
    return c;
}

/* One run: samples of one track that lie together, from i on. Returns the first behind it. */
static size_t trun(
    struct wr *w, const struct mp4_sample *s, size_t n, size_t i, const struct common *c, uint32_t offset)
{
    uint32_t flags = TRUN_OFFSET | TRUN_SIZE | (c->dur_same ? 0u : TRUN_DUR) |
        (c->flags_same ? 0u : TRUN_FLAGS) | (c->cts ? TRUN_CTS : 0u);
    size_t at = mp4_full_box(w, "trun", 1, flags), from = i, count = w->n;

    wr_u32(w, 0);
    wr_u32(w, offset);
    for (; i < n && s[i].track == s[from].track; i++) {
        if (!c->dur_same) wr_u32(w, mp4_sample_dur(s, n, i));
        wr_u32(w, s[i].size);
        if (!c->flags_same) wr_u32(w, mp4_sample_flags(&s[i]));
        if (c->cts) wr_u32(w, (uint32_t)s[i].cts);
    }
    wr_patch_u32(w, count, (uint32_t)(i - from));
    mp4_box_end(w, at);
    return i;
}

static void traf(
    struct wr *w, const struct mp4_sample *s, size_t n, uint8_t track, const struct common *c, uint32_t head)
{
    size_t at = mp4_box(w, "traf"), b;
    uint32_t offset = head;

    b = mp4_full_box(
        w, "tfhd", 0, TFHD_BASE_IS_MOOF | (c->dur_same ? TFHD_DUR : 0u) | (c->flags_same ? TFHD_FLAGS : 0u));
    wr_u32(w, track + 1u);
    if (c->dur_same) wr_u32(w, c->dur);
    if (c->flags_same) wr_u32(w, c->flags);
    mp4_box_end(w, b);
    b = mp4_full_box(w, "tfdt", 1, 0);
    wr_u64(w, (uint64_t)c->tfdt);
    mp4_box_end(w, b);
    for (size_t i = 0; i < n;) {
        if (s[i].track != track) {
            offset += s[i++].size;
            continue;
        }
        size_t end = trun(w, s, n, i, c, offset);

        for (; i < end; i++) offset += s[i].size;
    }
    mp4_box_end(w, at);
}

bool mp4_fragment_head(
    struct buf *to, uint32_t seq, const struct mp4_sample *s, size_t n, const int64_t *base)
{
    size_t room, at, b;
    struct common c[TRACK_MAX];
    uint64_t payload = 0;
    uint8_t *p;
    struct wr w;

    if (n == 0 || n > MP4_SAMPLES_MAX) return false;
    for (size_t i = 0; i < n; i++) {
        if (s[i].track >= TRACK_MAX) return false;
        payload += s[i].size;
    }
    /* The most: a run, and all four fields, for each sample. */
    room = 64 + TRACK_MAX * 64 + n * (20 + 16);
    if (payload > INT32_MAX - room) return false;
    p = buf_room(to, room);
    if (!p) return false;
    for (uint8_t t = 0; t < TRACK_MAX; t++) c[t] = common_of(s, n, t, base);
    w = wr_of(p, room);
    /* The length of the head is known once it was written; the second pass names it. */
    for (int pass = 0; pass < 2; pass++) {
        uint32_t head = (uint32_t)w.n;

        w.n = 0;
        at = mp4_box(&w, "moof");
        b = mp4_full_box(&w, "mfhd", 0, 0);
        wr_u32(&w, seq);
        mp4_box_end(&w, b);
        for (uint8_t t = 0; t < TRACK_MAX; t++)
            if (c[t].any) traf(&w, s, n, t, &c[t], head);
        mp4_box_end(&w, at);
        wr_u32(&w, (uint32_t)payload + 8);
        wr_text(&w, "mdat");
    }
    if (!wr_ok(&w)) return false;
    buf_added(to, w.n);
    return true;
}
