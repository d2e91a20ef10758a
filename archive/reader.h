/* The reader of segments, for httpd's pool threads and the keeper: every call may block on a disk. Segments
 * are read as hostile input: all offsets, counts and sizes are checked against the file.
 *
 *   closed segment   seg_open, seg_table_load(info from the index)       two reads
 *   open segment     seg_open, seg_table_scan(rec_bytes of the ring), again with a larger rec_bytes as it
 * grows crashed segment  seg_open, seg_table_scan(length of the file)
 *
 * Playing a part: seg_key_at -> seg_cut -> mp4_fragment_head(cut.s, cut.n, base) + sendfile of cut.r.
 * Tests: tests/unit/archive/test_segment.c, test_cut.c, tests/fuzz/fuzz_segment.c. */
#ifndef ARCHIVE_READER_H
#define ARCHIVE_READER_H

#include "archive/seginfo.h"
#include "common/media/mp4.h"

/* Conditions (positive). */
enum {
    SEG_OK = 0,
    SEG_E_BAD = 1 /* not a segment of ours, or damaged */,
    SEG_E_NO_FOOTER = 2 /* still open, or crashed: scan it */
};

struct seg_table {
    struct track_set tracks; /* one that could not be recorded is CODEC_NONE; gen 0 */
    struct seg_info info;    /* of a scanned one: uid, id, path, start, end, bytes, samples, base_dts; keys as
                                far as scanned */
    struct mp4_sample *s;    /* file order; offset in the file, dts is media time (base_dts added) */
    size_t n, cap;
    uint64_t scanned;        /* seg_table_scan: up to this byte */
    uint64_t announced_hash; /* seg_table_scan: of all tracks, as the head says */
};

/* <storage>/<uid>/records/<path>, read-only, no link followed on the way below storage. 0 or -errno. */
int seg_open(const char *storage_path, const char *uid, const char *path, int *ret_fd);
/* The info box at the end of the file. SEG_OK, SEG_E_BAD, SEG_E_NO_FOOTER, -errno. Does not check the file's
 * CRC. */
int seg_info_load(int fd, struct seg_info *ret);
/* info: from the index, or NULL (then it is read from the file). SEG_OK, SEG_E_BAD, SEG_E_NO_FOOTER, -errno,
 * -ENOMEM. */
int seg_table_load(int fd, const struct seg_info *info, struct seg_table **ret);
/* Reads fragments up to byte `bytes` of the file. *t NULL: a new table; else goes on where it stood. Stops
 * without an error behind the last whole fragment. SEG_OK, SEG_E_BAD, -errno. On an error *t stays valid as
 * far as it was read. */
int seg_table_scan(int fd, uint64_t bytes, struct seg_table **t);
void seg_table_free(struct seg_table *t); /* NULL too */

/* Sound of which nothing comes in the first SEG_QUIET_US, a bit each track: it is only announced. */
unsigned seg_quiet(const struct seg_table *t);

/* Wall clock of a sample: of its decoding, which is its capture where pictures come in the order of their
 * capture. */
usec_t seg_wall_us(const struct seg_table *t, size_t sample);
/* Of its capture in any order: when it is shown, key frames at the time of their decoding. */
usec_t seg_shown_us(const struct seg_table *t, size_t sample);
/* The key frame (video; of any track where there is no video) at or before that time; the first one if there
 * is none. Where the segment has none at all: 0. */
size_t seg_key_at(const struct seg_table *t, usec_t wall_us);
/* The first key frame behind `sample`, or t->n. */
size_t seg_key_next(const struct seg_table *t, size_t sample);

struct seg_range {
    uint64_t at, n; /* file offset and length */
};
/* Samples of the tracks in mask between two key frames, and where their bytes lie. Cuts of one segment
 * neither share nor miss a sample: other tracks are divided by time, the first cut takes what lies before its
 * key frame too (in a segment that continues another: the rest of a GOP, when it is cut from 0). */
struct seg_cut {
    struct mp4_sample *s; /* file order: what mp4_fragment_head takes */
    size_t n;
    struct seg_range *r; /* one behind the other they are the mdat's payload */
    size_t n_r;
    uint64_t bytes;
    usec_t start_us, end_us; /* wall clock */
};
/* from: a key frame's number (0: from the start). to: the next cut's key frame; t->n: to the end. SEG_OK,
 * SEG_E_BAD (not such numbers), -ENOMEM. */
int seg_cut(const struct seg_table *t, size_t from, size_t to, unsigned mask, struct seg_cut *ret);
/* The same of a piece whose end was listed while the segment was written (seg_tail), or whose segment is good
 * no further: `to` may be any sample, and what comes behind it in the file changes nothing. */
int seg_cut_listed(const struct seg_table *t, size_t from, size_t to, unsigned mask, struct seg_cut *ret);
/* The samples that were captured in [from_us, until_us), of all tracks, as a table of its own; *number, a
 * sample's, becomes what it is there (NULL: none is asked). NULL: memory is out. */
struct seg_table *seg_table_part(const struct seg_table *t, usec_t from_us, usec_t until_us, size_t *number);
/* The same without all that is shown at to_us or later, and what may need it: of each track what is decoded
 * before the first such sample. */
struct seg_table *seg_table_shown(const struct seg_table *t, usec_t to_us, size_t *number);
/* Where a piece at the end of a segment that is still written may end, and stay what it is however the
 * segment goes on: at no sample that a later piece may begin with, since such a piece has the other tracks up
 * to its time. */
size_t seg_tail(const struct seg_table *t);
void seg_cut_done(struct seg_cut *c); /* zeroed and done ones too */

#endif
