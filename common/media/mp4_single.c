#include "common/base/err.h"
#include "common/media/mp4.h"
#include "common/media/mp4_box.h"

enum { TFHD_DUR = 0x8, TFHD_SIZE = 0x10, TFHD_FLAGS = 0x20, TFHD_BASE_IS_MOOF = 0x020000 };
enum { TRUN_OFFSET = 0x1, TRUN_DUR = 0x100, TRUN_SIZE = 0x200, TRUN_FLAGS = 0x400, TRUN_CTS = 0x800 };

#define TRUN_AT   100 /* in the moof */
#define TRUN_HEAD 20
#define SAMPLE_N  16
#define MDAT_HEAD 8

size_t mp4_single_size(const struct mp4_sample *s, size_t n, uint8_t track, size_t *ret_payload)
{
    size_t count = 0, payload = 0;

    for (size_t i = 0; i < n; i++) {
        if (s[i].track != track) continue;
        count++;
        payload += s[i].size;
    }
    *ret_payload = payload;
    return count > 0 ? TRUN_AT + TRUN_HEAD + count * SAMPLE_N + MDAT_HEAD : 0;
}

static void traf_head(struct wr *w, const struct mp4_sample *s, usec_t wall_us)
{
    size_t b = mp4_full_box(w, "tfhd", 0, TFHD_BASE_IS_MOOF | TFHD_DUR | TFHD_SIZE | TFHD_FLAGS);

    wr_u32(w, s->track + 1u);
    wr_u32(w, s->dur);
    wr_u32(w, s->size);
    wr_u32(w, mp4_sample_flags(s));
    mp4_box_end(w, b);
    b = mp4_full_box(w, "tfdt", 1, 0);
    wr_u64(w, (uint64_t)MAX(s->dts, 0));
    mp4_box_end(w, b);
    b = mp4_full_box(w, "futc", 0, 0);
    wr_u32(w, (uint32_t)(wall_us / US_PER_S));
    wr_u32(w, (uint32_t)(wall_us % US_PER_S));
    mp4_box_end(w, b);
}

static void trun(struct wr *w, const struct mp4_sample *s, size_t n, uint8_t track, size_t head)
{
    size_t b = mp4_full_box(w, "trun", 1, TRUN_OFFSET | TRUN_DUR | TRUN_SIZE | TRUN_FLAGS | TRUN_CTS);

    wr_u32(w, (uint32_t)((head - TRUN_AT - TRUN_HEAD - MDAT_HEAD) / SAMPLE_N));
    wr_u32(w, (uint32_t)head);
    for (size_t i = 0; i < n; i++) {
        if (s[i].track != track) continue;
        wr_u32(w, mp4_sample_dur(s, n, i));
        wr_u32(w, s[i].size);
        wr_u32(w, mp4_sample_flags(&s[i]));
        wr_u32(w, (uint32_t)s[i].cts);
    }
    mp4_box_end(w, b);
}

void mp4_single_head(
    struct wr *w, uint32_t seq, const struct mp4_sample *s, size_t n, uint8_t track, usec_t wall_us)
{
    size_t payload, head = mp4_single_size(s, n, track, &payload), first = 0, moof, b, from = w->n;

    while (first < n && s[first].track != track) first++;
    must(first < n);
    moof = mp4_box(w, "moof");
    b = mp4_full_box(w, "mfhd", 0, 0);
    wr_u32(w, seq);
    mp4_box_end(w, b);
    b = mp4_box(w, "traf");
    traf_head(w, &s[first], wall_us);
    must(w->bad || w->n - from == TRUN_AT);
    trun(w, s, n, track, head);
    mp4_box_end(w, b);
    mp4_box_end(w, moof);
    wr_u32(w, (uint32_t)(payload + MDAT_HEAD));
    wr_text(w, "mdat");
}
