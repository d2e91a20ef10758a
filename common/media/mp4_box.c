#include "common/media/mp4_box.h"

size_t mp4_box(struct wr *w, const char *type)
{
    size_t at = w->n;

    wr_u32(w, 0);
    wr_bytes(w, span(type, 4));
    return at;
}

size_t mp4_full_box(struct wr *w, const char *type, uint8_t version, uint32_t flags)
{
    size_t at = mp4_box(w, type);

    wr_u8(w, version);
    wr_u24(w, flags);
    return at;
}

void mp4_box_end(struct wr *w, size_t at)
{
    wr_patch_u32(w, at, (uint32_t)(w->n - at));
}

void mp4_zeros(struct wr *w, size_t n)
{
    uint8_t *at = wr_reserve(w, n);

    if (at) memset(at, 0, n);
}

int mp4_box_head(struct span s, uint64_t left, struct mp4_box *ret)
{
    struct rd r = rd_of(span_sub(s, 0, MP4_HEAD_MAX));
    struct mp4_box b = {.head = 8};

    b.size = rd_u32(&r);
    b.type = rd_u32(&r);
    if (b.size == 1) {
        b.size = rd_u64(&r);
        b.head = 16;
        if (rd_ok(&r) && b.size < b.head) return MP4_E_BAD;
    } else if (b.size == 0) {
        b.size = left;
    }
    if (!rd_ok(&r)) return MP4_E_SHORT;
    if (b.size < b.head) return MP4_E_BAD;
    *ret = b;
    return b.size > left ? MP4_E_SHORT : MP4_OK;
}

bool mp4_next(struct span *rest, uint32_t *ret_type, struct span *ret_body)
{
    struct rd r = rd_of(span_sub(*rest, 0, 4));
    struct mp4_box b;

    if (rd_u32(&r) == 0 || mp4_box_head(*rest, rest->n, &b) != MP4_OK) return false;
    *ret_type = b.type;
    *ret_body = span_sub(*rest, b.head, (size_t)b.size - b.head);
    *rest = span_from(*rest, (size_t)b.size);
    return true;
}

struct span mp4_find(struct span in, uint32_t type)
{
    struct span body;
    uint32_t t;

    while (mp4_next(&in, &t, &body))
        if (t == type) return body;
    return SPAN_NONE;
}
