/* The writer of a segment: one plain fragmented MP4 of the archive, for the worker's recorder thread (it may
 * block on a disk). Reached only through the descriptor of <storage>/<uid>/records.
 *
 *   records/YYYY/MM/DD/HHMMSS-<id>.mp4 (UTC)
 *   ftyp moov uuid(head) { moof mdat uuid(mark) }... uuid(table) uuid(info)
 *
 * head: what a reader must know when the footer is missing (uid, id, wall clock at tfdt 0, media time there).
 * mark: checksum of all before it, so that what a power cut left of a file without a footer can be told from
 * what it did not. table: per-sample table, see segtable.h. info: seg_info, the last 4 bytes of the file are
 * this box's size. Inside a fragment the samples of a track lie together, so that a player's tracks are few
 * byte ranges.
 *
 * A segment holds all tracks of its track_set and begins with a key frame, unless it continues another. The
 * caller opens another one when the tracks change (gen), at a frame with FRAME_DISCONT, where wall clock and
 * media time part, and at the first key frame after dvr-chunk. Memory: 3 to 6 bytes a sample while it is
 * open. Nothing is fsynced here: the keeper's syncfs does that. Tests: tests/unit/archive/test_segment.c. */
#ifndef ARCHIVE_SEGMENT_H
#define ARCHIVE_SEGMENT_H

#include "archive/seginfo.h"
#include "common/media/frame.h"

#define SEG_LOCK_NAME    ".lock"
#define SEG_FRAGMENT_MAX 1000    /* frames a fragment: below IOV_MAX with its head and its mark */
#define SEG_SAMPLES_MAX  1000000 /* samples a segment */
#define SEG_BYTES_MAX    (4ull << 30)

/* Conditions (positive). */
enum {
    SEGW_OK = 0,
    SEGW_E_LOCKED = 1 /* another writer holds the folder */,
    SEGW_E_LARGE = 2 /* this segment takes no more: close it, open another */
};

/* Locks the folder for this process (OFD lock) until *ret_fd is closed. SEGW_OK, SEGW_E_LOCKED (try again a
 * little later: a dying worker, or the keeper repairing what one left), -errno. */
int seg_lock(int records_fd, int *ret_fd);

struct segw;
struct segw_setup {
    const char *uid;
    const struct track_set *tracks; /* copied */
    const struct frame
        *first;     /* what the first segw_append will get: first[0] is the key frame; fixes wall */
    size_t n_first; /* clock and media time at the start. Nothing of it is written yet */
    enum seg_clock clock;
    int64_t clock_offset_us;
    bool discont;   /* footage is missing before it */
    bool continues; /* goes on where a segment ended inside a GOP (its writer died, its storage had gone, the
                       clock was stepped, it was full): the first frame need not be a key frame */
};
/* Creates folders and file and writes its head. -errno. records_fd stays the caller's. */
int segw_open(int records_fd, const struct segw_setup *setup, struct segw **ret);
uint64_t segw_id(const struct segw *w);
const char *segw_path(const struct segw *w); /* below records */
usec_t segw_start_us(const struct segw *w);
usec_t segw_end_us(const struct segw *w);  /* wall clock behind the last frame written */
uint64_t segw_bytes(const struct segw *w); /* file length up to the last whole fragment */

/* The camera's clock was measured only now: noted where the segment does not know it from its start. */
void segw_clock(struct segw *w, enum seg_clock clock, int64_t offset_us);

/* One fragment of 1 to SEG_FRAGMENT_MAX frames in ring order, gathered from where they lie. Aim for one
 * second of media. SEGW_OK, SEGW_E_LARGE (nothing was written), -errno (the file is cut back to the fragment
 * before; -ENOSPC, -EIO ...). */
int segw_append(struct segw *w, const struct frame *frames, size_t n);
/* Takes the last append back: its frames were overwritten in the ring while they were written. Once per
 * append. */
int segw_undo_last(struct segw *w);
/* Writes table and info and frees w, in any case. On an error the file stays as it is, the keeper repairs it.
 * A segment without a frame is removed, and ret->samples is 0. */
int segw_close(struct segw *w, struct seg_info *ret);
/* Frees w and leaves the file without its footer: the storage has gone. NULL is harmless. */
void segw_abandon(struct segw *w);

#endif
