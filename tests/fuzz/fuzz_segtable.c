/* The per-sample table: any bytes; and what was read, written and read again, is the same. */
#include "archive/segtable.h"
#include "common/base/err.h"
#include "common/base/mem.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool same(const struct mp4_sample *a, const struct mp4_sample *b)
{
    return a->offset == b->offset && a->size == b->size && a->dts == b->dts && a->cts == b->cts &&
        a->dur == b->dur && a->flags == b->flags && a->track == b->track;
}

static void round_trip(const struct mp4_sample *s, size_t n, uint64_t bytes)
{
    struct segtable_at at = segtable_start();
    struct mp4_sample *again = mem_new_n(n + 1, sizeof(*again));
    struct buf b;

    buf_init(&b, 1u << 24);
    must(segtable_write(&b, &at, s, n));
    must(segtable_read(buf_span(&b), bytes, again, n));
    for (size_t i = 0; i < n; i++) must(same(&s[i], &again[i]));
    must(!segtable_read(buf_span(&b), bytes, again, n + 1));
    buf_done(&b);
    mem_free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    /* two bytes: how many samples; the rest is the table */
    struct rd r = rd_of(span(data, n));
    size_t count = rd_u16(&r);
    struct span in = rd_rest(&r);
    struct mp4_sample *s = mem_new_n(count + 1, sizeof(*s));
    uint64_t bytes = 1ull << 40;

    if (rd_ok(&r) && segtable_read(in, bytes, s, count)) {
        for (size_t i = 0; i < count; i++)
            must(s[i].offset <= bytes && s[i].size <= bytes - s[i].offset && s[i].track < TRACK_MAX &&
                s[i].dts >= 0);
        round_trip(s, count, bytes);
    }
    mem_free(s);
    return 0;
}
