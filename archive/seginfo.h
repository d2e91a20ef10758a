/* What the index knows of a segment, and what the segment says of itself in its footer: one structure, one
 * byte form. */
#ifndef ARCHIVE_SEGINFO_H
#define ARCHIVE_SEGINFO_H

#include "common/media/track.h"

#define SEG_PATH_MAX 64  /* "2026/11/22/170320-<id>.mp4", below <storage>/<uid>/records */
#define SEG_KEYS_MAX 512 /* key frames listed, at least 4 s apart */

struct seg_key {
    uint32_t at_ms;  /* from the segment's start, wall clock */
    uint32_t sample; /* number in the per-sample table */
};
/* Where the wall clock of a segment came from. */
enum seg_clock {
    SEG_CLOCK_SERVER = 0 /* arrival, by our own clock */,
    SEG_CLOCK_CAMERA = 1 /* RTCP sender reports */
};
enum seg_flag {
    SEG_DISCONT = 1 /* footage is missing before it */,
    SEG_DAMAGED = 2,
    SEG_RECOVERED = 4 /* footer rebuilt by the keeper */
};

struct seg_info {
    uint64_t id; /* unique in the stream: wall clock ms of the start << 8 | counter */
    char uid[40];
    char path[SEG_PATH_MAX];
    usec_t start_us, end_us; /* wall clock at tfdt 0, and behind the last frame */
    uint64_t bytes;          /* of the file */
    uint64_t table_at;       /* file offset of the per-sample table */
    uint32_t samples;
    uint32_t flags;
    uint64_t tracks_hash;        /* same hash: same init segment, no discontinuity between two segments */
    int64_t base_dts[TRACK_MAX]; /* media time of each track at the segment's tfdt 0 */
    uint32_t damaged, repaired;  /* frames */
    enum seg_clock clock;
    int64_t clock_offset_us; /* camera's clock minus ours, as measured at the start */
    uint32_t crc;            /* CRC-32C of the file up to the box that holds this structure */
    uint16_t n_keys;
    struct seg_key keys[SEG_KEYS_MAX];
};
#define SEG_INFO_WIRE_MAX (512 + SEG_KEYS_MAX * 8)

void seg_info_write(struct wr *w, const struct seg_info *s); /* with a CRC-32C behind it */
bool seg_info_read(struct span s, struct seg_info *ret);     /* false: damaged or foreign */

#endif
