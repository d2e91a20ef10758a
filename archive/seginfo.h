/* What the index knows of a segment, and what the segment says of itself in its footer: one structure, one
 * byte form. */
#ifndef ARCHIVE_SEGINFO_H
#define ARCHIVE_SEGINFO_H

#include "common/media/track.h"

#define SEG_PATH_MAX     64   /* "2026/11/22/170320-<id>.mp4", below <storage>/<uid>/records */
#define SEG_KEYS_MAX     512  /* key frames listed */
#define SEG_KEY_APART_MS 4000 /* at least, between two of them */

struct seg_key {
    uint32_t at_ms;  /* from the segment's start, wall clock */
    uint32_t sample; /* number in the per-sample table */
};
/* Which clocks a segment knows. Its times of day are always our own clock's, tied to media time. */
enum seg_clock {
    SEG_CLOCK_SERVER = 0 /* our own */,
    SEG_CLOCK_CAMERA = 1 /* the camera's too, which said what it is: right or wrong, 1970 or local time */
};
enum seg_flag {
    SEG_DISCONT = 1 /* footage is missing before it, or the wall clock was stepped there */,
    SEG_DAMAGED = 2,
    SEG_RECOVERED = 4 /* footer rebuilt by the keeper */,
    SEG_CONTINUES =
        8, /* begins inside a GOP: what lies before its first key frame needs the segment before */
    /* in no file: */
    SEG_FILLED = 16, /* of an index: another node recorded it: see SEG_ORIGIN_SHIFT */
    SEG_OPEN = 32    /* between nodes: it is still being written */
};
#define SEG_FLAGS_OF_FILE 0xfu
#define SEG_ORIGIN_SHIFT  16 /* its node's number, in an index's flags */

struct seg_info {
    uint64_t id; /* unique in the stream: wall clock ms of the start << 8 | counter */
    char uid[40];
    char path[SEG_PATH_MAX];
    usec_t start_us, end_us; /* wall clock at tfdt 0, and behind the last frame */
    uint64_t bytes;          /* of the file */
    uint64_t table_at;       /* file offset of the per-sample table */
    uint32_t samples;
    uint32_t flags;
    uint64_t tracks_hash;        /* same hash: same init segment, no discontinuity between two segments; of
                                    the tracks that give frames (seg_hash_without) */
    int64_t base_dts[TRACK_MAX]; /* media time of each track at the segment's tfdt 0 */
    uint32_t damaged, repaired;  /* frames */
    enum seg_clock clock;
    int64_t clock_offset_us; /* camera's clock minus ours, as last measured at the start or first after it; 0
                                where it is not known */
    uint32_t crc;            /* CRC-32C of the file up to the box that holds this structure */
    uint16_t origin; /* in no byte form: the node that recorded it, as who reads it found out; 0: this one */
    uint16_t n_keys;
    struct seg_key keys[SEG_KEYS_MAX];
};
/* The node that an index names in the flags; 0: none. */
static inline uint16_t seg_origin(const struct seg_info *s)
{
    return s->flags & SEG_FILLED ? (uint16_t)(s->flags >> SEG_ORIGIN_SHIFT) : 0;
}
#define SEG_INFO_WIRE_MAX (512 + SEG_KEYS_MAX * 8)

void seg_info_write(struct wr *w, const struct seg_info *s); /* with a CRC-32C behind it */
bool seg_info_read(struct span in, struct seg_info *ret);    /* false: damaged or foreign */
/* Whoever has read the fields: do they make sense? Sets path. */
bool seg_info_settle(struct seg_info *s);

/* Same tracks (gen apart) -> same hash. */
uint64_t seg_tracks_hash(const struct track_set *s);
/* Sound that gives nothing in a segment's first seconds is left out when the segment is played: a player's
 * buffer is what all tracks have together. The tracks it may happen to, a bit each: sound that players know,
 * beside a picture; and the hash of a segment without those in `out`. */
#define SEG_QUIET_US (2 * US_PER_S)
unsigned seg_sound(const struct track_set *s);
uint64_t seg_hash_without(uint64_t tracks_hash, unsigned out);
/* The track whose key frames divide a segment: the first video track of the mask, else its first track. */
uint8_t seg_primary(const struct track_set *s, unsigned mask);
/* Lists a key frame when it lies far enough from the last. *apart_ms begins with SEG_KEY_APART_MS and doubles
 * each time the list is full and every second one has to go. */
void seg_keys_add(struct seg_info *s, uint32_t *apart_ms, usec_t wall_us, uint32_t sample);
/* Times before the year 10000: sums and scales of them do not overflow. */
#define SEG_TIME_MAX_US (253402300800ll * US_PER_S)
bool seg_time_ok(usec_t wall_us);
bool seg_id_ok(uint64_t id);
/* The path that belongs to an id, into at least SEG_PATH_MAX bytes. */
void seg_path_of(uint64_t id, char *dst);
/* Is it the path of a segment, and of which? */
bool seg_path_parse(const char *path, uint64_t *ret_id);
/* May a folder of the archive have this name? */
bool seg_uid_ok(const char *uid);

#endif
