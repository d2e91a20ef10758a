#include "archive/segbox.h"
#include "common/base/crc.h"
#include "common/media/mp4_box.h"

#define HEAD_ROOM    256
#define HEAD_VERSION 1
#define UUID         MP4_TYPE('u', 'u', 'i', 'd')

static const uint8_t head_type[SEGBOX_TYPE_N] = {
    0x5b, 0x1e, 0x0c, 0x52, 0x9d, 0x3a, 0x4f, 0x67, 0x8b, 0x21, 0x6d, 0x73, 0x68, 0x65, 0x61, 0x64};
static const uint8_t mark_type[SEGBOX_TYPE_N] = {
    0x5b, 0x1e, 0x0c, 0x52, 0x9d, 0x3a, 0x4f, 0x67, 0x8b, 0x21, 0x6d, 0x73, 0x6d, 0x61, 0x72, 0x6b};
static const uint8_t table_type[SEGBOX_TYPE_N] = {
    0x5b, 0x1e, 0x0c, 0x52, 0x9d, 0x3a, 0x4f, 0x67, 0x8b, 0x21, 0x6d, 0x73, 0x74, 0x61, 0x62, 0x6c};
static const uint8_t info_type[SEGBOX_TYPE_N] = {
    0x5b, 0x1e, 0x0c, 0x52, 0x9d, 0x3a, 0x4f, 0x67, 0x8b, 0x21, 0x6d, 0x73, 0x69, 0x6e, 0x66, 0x6f};

static size_t begin(struct wr *w, const uint8_t *type)
{
    size_t at = mp4_box(w, "uuid");

    wr_bytes(w, span(type, SEGBOX_TYPE_N));
    return at;
}

bool segbox_head(struct buf *to, const struct seg_info *info)
{
    uint8_t *p = buf_room(to, HEAD_ROOM);
    struct wr w = wr_of(p, HEAD_ROOM);
    size_t at, from, uid_n = strlen(info->uid);

    if (!p) return false;
    at = begin(&w, head_type);
    from = w.n;
    wr_u8(&w, HEAD_VERSION);
    wr_u64(&w, info->id);
    wr_u8(&w, (uint8_t)uid_n);
    wr_bytes(&w, span(info->uid, uid_n));
    wr_u64(&w, (uint64_t)info->start_us);
    wr_u32(&w, info->flags);
    wr_u64(&w, info->tracks_hash);
    wr_u8(&w, (uint8_t)info->clock);
    wr_u64(&w, (uint64_t)info->clock_offset_us);
    for (size_t i = 0; i < TRACK_MAX; i++) wr_u64(&w, (uint64_t)info->base_dts[i]);
    wr_u32(&w, crc32c(0, span_from(wr_span(&w), from)));
    mp4_box_end(&w, at);
    if (!wr_ok(&w)) return false;
    buf_added(to, w.n);
    return true;
}

/* What is behind the type, when it is that one. */
static bool body_of(struct span body, const uint8_t *type, struct rd *ret)
{
    *ret = rd_of(body);
    return span_eq(rd_bytes(ret, SEGBOX_TYPE_N), span(type, SEGBOX_TYPE_N));
}

bool segbox_head_read(struct span body, struct seg_info *ret)
{
    struct seg_info i = {.n_keys = 0};
    struct rd r;

    if (!body_of(body, head_type, &r) || rd_u8(&r) != HEAD_VERSION) return false;
    i.id = rd_u64(&r);
    if (!span_copy(rd_bytes(&r, rd_u8(&r)), i.uid, sizeof(i.uid))) return false;
    i.start_us = (usec_t)rd_u64(&r);
    i.flags = rd_u32(&r);
    i.tracks_hash = rd_u64(&r);
    i.clock = rd_u8(&r) == SEG_CLOCK_CAMERA ? SEG_CLOCK_CAMERA : SEG_CLOCK_SERVER;
    i.clock_offset_us = (int64_t)rd_u64(&r);
    for (size_t k = 0; k < TRACK_MAX; k++) i.base_dts[k] = (int64_t)rd_u64(&r);
    if (!rd_ok(&r)) return false;
    if (rd_u32(&r) != crc32c(0, span_sub(body, SEGBOX_TYPE_N, r.at - 4 - SEGBOX_TYPE_N)) || !rd_ok(&r))
        return false;
    if (!seg_uid_ok(i.uid) || !seg_id_ok(i.id) || !seg_time_ok(i.start_us)) return false;
    seg_path_of(i.id, i.path);
    *ret = i;
    return true;
}

static bool info_box(struct buf *to, const struct seg_info *info)
{
    uint8_t *p = buf_room(to, SEGBOX_INFO_MAX);
    struct wr w = wr_of(p, SEGBOX_INFO_MAX);

    if (!p) return false;
    begin(&w, info_type);
    seg_info_write(&w, info);
    wr_u32(&w, (uint32_t)w.n + 4);
    wr_patch_u32(&w, 0, (uint32_t)w.n);
    if (!wr_ok(&w)) return false;
    buf_added(to, w.n);
    return true;
}

void segbox_mark(struct wr *w, uint32_t crc)
{
    size_t at = begin(w, mark_type);

    wr_u32(w, crc);
    mp4_box_end(w, at);
}

bool segbox_mark_read(struct span box, uint32_t *ret_crc)
{
    struct span rest = box, body;
    uint32_t type;
    struct rd r;

    if (!mp4_next(&rest, &type, &body) || type != UUID || rest.n > 0 || !body_of(body, mark_type, &r))
        return false;
    *ret_crc = rd_u32(&r);
    return rd_ok(&r) && rd_left(&r) == 0;
}

bool segbox_footer(struct buf *head, struct buf *tail, struct span table, struct seg_info *info)
{
    uint8_t *p = buf_room(head, SEGBOX_TABLE_AT);
    struct wr w = wr_of(p, SEGBOX_TABLE_AT);

    if (!p || table.n > INT32_MAX) return false;
    begin(&w, table_type);
    wr_u32(&w, info->samples);
    wr_u32(&w, crc32c(0, table));
    wr_patch_u32(&w, 0, (uint32_t)(SEGBOX_TABLE_AT + table.n));
    buf_added(head, w.n);
    info->crc = crc32c(crc32c(info->crc, wr_span(&w)), table);
    info->bytes = info->table_at + SEGBOX_TABLE_AT + table.n;
    /* The info's own length does not depend on the numbers in it. */
    if (!info_box(tail, info)) return false;
    info->bytes += buf_n(tail);
    buf_clear(tail);
    return info_box(tail, info);
}

uint32_t segbox_info_size(struct span last4)
{
    struct rd r = rd_of(last4);
    uint32_t n = rd_u32(&r);

    return rd_ok(&r) && n > 8 + SEGBOX_TYPE_N && n <= SEGBOX_INFO_MAX ? n : 0;
}

bool segbox_info_read(struct span box, struct seg_info *ret)
{
    struct span rest = box, body;
    uint32_t type;
    struct rd r;

    if (!mp4_next(&rest, &type, &body) || type != UUID || rest.n > 0) return false;
    if (!body_of(body, info_type, &r) || rd_left(&r) < 4) return false;
    return seg_info_read(rd_bytes(&r, rd_left(&r) - 4), ret);
}

struct span segbox_table_read(struct span from, uint32_t samples)
{
    struct span body;
    uint32_t type, n, crc;
    struct rd r;

    if (!mp4_next(&from, &type, &body) || type != UUID || !body_of(body, table_type, &r)) return SPAN_NONE;
    n = rd_u32(&r);
    crc = rd_u32(&r);
    body = rd_rest(&r);
    if (!rd_ok(&r) || n != samples || crc != crc32c(0, body)) return SPAN_NONE;
    return body;
}
