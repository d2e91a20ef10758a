#include "archive/seginfo.h"
#include "common/media/mp4.h"
#include "common/base/clock.h"
#include "common/base/crc.h"
#include "common/base/map.h"
#include "common/base/mem.h"

#define INFO_MAGIC 0x4d535331u /* "MSS1" */

static void text_write(struct wr *w, const char *s)
{
    size_t n = strlen(s);

    wr_u8(w, (uint8_t)n);
    wr_bytes(w, span(s, n));
}

static void text_read(struct rd *r, char *dst, size_t cap)
{
    struct span s = rd_bytes(r, rd_u8(r));

    if (span_find(s, 0) >= 0 || !span_copy(s, dst, cap)) rd_fail(r);
}

void seg_info_write(struct wr *w, const struct seg_info *s)
{
    size_t from = w->n;
    uint16_t n_keys = (uint16_t)MIN(s->n_keys, SEG_KEYS_MAX);

    wr_u32(w, INFO_MAGIC);
    wr_u64(w, s->id);
    text_write(w, s->uid);
    wr_u64(w, (uint64_t)s->start_us);
    wr_u64(w, (uint64_t)s->end_us);
    wr_u64(w, s->bytes);
    wr_u64(w, s->table_at);
    wr_u32(w, s->samples);
    wr_u32(w, s->flags);
    wr_u64(w, s->tracks_hash);
    for (size_t i = 0; i < TRACK_MAX; i++) wr_u64(w, (uint64_t)s->base_dts[i]);
    wr_u32(w, s->damaged);
    wr_u32(w, s->repaired);
    wr_u8(w, (uint8_t)s->clock);
    wr_u64(w, (uint64_t)s->clock_offset_us);
    wr_u32(w, s->crc);
    wr_u16(w, n_keys);
    for (size_t i = 0; i < n_keys; i++) {
        wr_u32(w, s->keys[i].at_ms);
        wr_u32(w, s->keys[i].sample);
    }
    if (wr_ok(w)) wr_u32(w, crc32c(0, span_from(wr_span(w), from)));
}

bool seg_info_settle(struct seg_info *s)
{
    if (!seg_uid_ok(s->uid) || !seg_id_ok(s->id) || !seg_time_ok(s->start_us) || !seg_time_ok(s->end_us))
        return false;
    if (s->end_us < s->start_us) return false;
    if (s->table_at > s->bytes || s->bytes > INT64_MAX || s->n_keys > SEG_KEYS_MAX) return false;
    for (size_t i = 0; i < s->n_keys; i++) {
        if (s->keys[i].sample >= s->samples) return false;
        if (i > 0 && s->keys[i].sample <= s->keys[i - 1].sample) return false;
    }
    seg_path_of(s->id, s->path);
    return true;
}

static bool keys_read(struct rd *r, struct seg_info *s)
{
    s->n_keys = rd_u16(r);
    if (s->n_keys > SEG_KEYS_MAX) return false;
    for (size_t i = 0; i < s->n_keys; i++) {
        s->keys[i].at_ms = rd_u32(r);
        s->keys[i].sample = rd_u32(r);
    }
    return true;
}

bool seg_info_read(struct span in, struct seg_info *ret)
{
    struct rd r = rd_of(in);
    struct seg_info *s = ret;
    uint8_t clock;

    memset(s, 0, sizeof(*s));
    if (in.n < 4 || rd_u32(&r) != INFO_MAGIC) return false;
    s->id = rd_u64(&r);
    text_read(&r, s->uid, sizeof(s->uid));
    s->start_us = (usec_t)rd_u64(&r);
    s->end_us = (usec_t)rd_u64(&r);
    s->bytes = rd_u64(&r);
    s->table_at = rd_u64(&r);
    s->samples = rd_u32(&r);
    s->flags = rd_u32(&r);
    s->tracks_hash = rd_u64(&r);
    for (size_t i = 0; i < TRACK_MAX; i++) s->base_dts[i] = (int64_t)rd_u64(&r);
    s->damaged = rd_u32(&r);
    s->repaired = rd_u32(&r);
    clock = rd_u8(&r);
    s->clock = clock == SEG_CLOCK_CAMERA ? SEG_CLOCK_CAMERA : SEG_CLOCK_SERVER;
    s->clock_offset_us = (int64_t)rd_u64(&r);
    s->crc = rd_u32(&r);
    if (!keys_read(&r, s) || !rd_ok(&r)) return false;
    if (rd_u32(&r) != crc32c(0, span_sub(in, 0, r.at - 4)) || !rd_ok(&r) || rd_left(&r) > 0) return false;
    return seg_info_settle(s);
}

uint64_t seg_tracks_hash(const struct track_set *s)
{
    uint8_t *mem = mem_new(TRACK_SET_WIRE_MAX);
    struct wr w = wr_of(mem, TRACK_SET_WIRE_MAX);
    uint64_t hash;

    track_set_write(&w, s);
    hash = hash_fnv1a(span_from(wr_span(&w), 4)); /* without gen */
    mem_free(mem);
    return hash;
}

unsigned seg_sound(const struct track_set *s)
{
    unsigned mask = mp4_mask(s, MP4_PLAYABLE), sound = 0;
    bool picture = false;

    for (unsigned i = 0; i < s->n; i++) {
        picture |= s->t[i].kind == TRACK_VIDEO && mask & 1u << i;
        if (s->t[i].kind == TRACK_AUDIO) sound |= 1u << i;
    }
    return picture ? mask & sound : 0;
}

uint64_t seg_hash_without(uint64_t tracks_hash, unsigned out)
{
    uint8_t mem[16];
    struct wr w = wr_of(mem, sizeof(mem));

    if (out == 0) return tracks_hash;
    wr_u64(&w, tracks_hash);
    wr_u64(&w, out);
    return hash_fnv1a(wr_span(&w));
}

uint8_t seg_primary(const struct track_set *s, unsigned mask)
{
    uint8_t any = TRACK_MAX;

    for (uint8_t i = 0; i < s->n && i < TRACK_MAX; i++) {
        if (!(mask & 1u << i)) continue;
        if (s->t[i].kind == TRACK_VIDEO) return i;
        if (any == TRACK_MAX) any = i;
    }
    return any == TRACK_MAX ? 0 : any;
}

static void keys_thin(struct seg_info *s, uint32_t *apart_ms)
{
    uint16_t n = 0;

    for (uint16_t i = 0; i < s->n_keys; i += 2) s->keys[n++] = s->keys[i];
    s->n_keys = n;
    *apart_ms *= 2;
}

void seg_keys_add(struct seg_info *s, uint32_t *apart_ms, usec_t wall_us, uint32_t sample)
{
    uint32_t at_ms = (uint32_t)CLAMP((wall_us - s->start_us) / US_PER_MS, 0, UINT32_MAX);

    if (s->n_keys > 0 && at_ms < (uint64_t)s->keys[s->n_keys - 1].at_ms + *apart_ms) return;
    if (s->n_keys == SEG_KEYS_MAX) keys_thin(s, apart_ms);
    s->keys[s->n_keys++] = (struct seg_key){at_ms, sample};
}

bool seg_time_ok(usec_t wall_us)
{
    return wall_us >= 0 && wall_us < SEG_TIME_MAX_US;
}

bool seg_id_ok(uint64_t id)
{
    return id >> 8 < SEG_TIME_MAX_US / US_PER_MS;
}

void seg_path_of(uint64_t id, char *dst)
{
    struct tm t = clock_utc((usec_t)(id >> 8) * US_PER_MS);
    struct wr w = wr_of(dst, SEG_PATH_MAX);

    dst[0] = 0;
    wr_fmt(&w, "%04d/%02d/%02d/%02d%02d%02d-%013llx.mp4", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
        t.tm_hour, t.tm_min, t.tm_sec, (unsigned long long)id);
    wr_cstr(&w);
}

bool seg_path_parse(const char *path, uint64_t *ret_id)
{
    char want[SEG_PATH_MAX];
    struct span s = span_of(path);
    ssize_t dash = span_find(s, '-');

    if (dash < 0 || !span_ends(s, SPAN_LIT(".mp4"))) return false;
    s = span_from(s, (size_t)dash + 1);
    if (!span_hex64(span_sub(s, 0, s.n - 4), ret_id)) return false;
    if (!seg_id_ok(*ret_id)) return false;
    seg_path_of(*ret_id, want);
    return span_is(span_of(path), want);
}

bool seg_uid_ok(const char *uid)
{
    if (uid[0] == 0 || uid[0] == '.') return false;
    for (const char *p = uid; *p; p++)
        if (*p == '/' || (unsigned char)*p <= ' ' || *p == 0x7f) return false;
    return true;
}
