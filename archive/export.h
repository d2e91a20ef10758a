/* One progressive MP4 out of many segments, as a file that is nowhere: ftyp, moov, mdat. Laid out in one walk
 * over the segments' tables, of which counts alone are kept (a few hundred bytes a segment); then any byte of
 * it is found, and rendered piece by piece: rows of a sample table from the table of the segment they tell
 * of, media as ranges of that segment's file.
 *
 *   export_new, export_add for each segment in the order of time, export_end: length and tag are known
 *   export_seek, export_next: pieces; export_fixed, export_rows, export_ranges: what is in them
 *
 * It begins with the key frame at or before from_us (in a viewer's window: with the first one there). Tracks
 * of one kind and number are one track, whatever the codec: another form is another sample entry. What a
 * segment repeats of the one before is left out; where no frame leads to it, what lies before its first key
 * frame too. Tracks that MP4 players do not know are left out, or replaced by `made`. Source: ISO 14496-12.
 * Laid out, it may be read by several threads. Tests: tests/unit/archive/test_export.c,
 * tests/fuzz/fuzz_export.c. */
#ifndef ARCHIVE_EXPORT_H
#define ARCHIVE_EXPORT_H

#include "archive/reader.h"

#define EXPORT_PARTS_MAX 20000 /* segments, or stills */
#define EXPORT_FORMS_MAX 64    /* sample entries of one track */
#define EXPORT_HZ_MAX    1000000

/* Conditions (positive). */
enum {
    EXPORT_OK = 0,
    EXPORT_E_MANY = 1 /* one of the limits above */,
    EXPORT_E_CHANGED = 2 /* the segment is not what it was laid out from */,
    EXPORT_E_NONE = 3 /* no sample */
};

/* A track in the place of sound that MP4 players do not know: `ticks` of its clock a frame, `bytes` each. */
struct export_made {
    struct track track; /* CODEC_NONE: such sound is left out */
    uint32_t bytes, ticks;
};
struct export_setup {
    usec_t from_us, to_us; /* wall clock */
    /* The viewer's window: it begins with the first key frame inside, and nothing in it is shown at see_to_us
     * or later; 0: open. */
    usec_t see_from_us, see_to_us;
    bool no_sound;
    bool keep_gaps; /* the last picture stands as long as footage is missing; else the next follows */
    usec_t gap_us;  /* the longest gap that will be met; counts where they are kept */
    struct export_made made;
};
/* As far as it has been laid out. */
struct export_facts {
    uint64_t bytes, tag;     /* same tag: same bytes; known after export_end */
    usec_t start_us, end_us; /* wall clock, of what is in it */
    unsigned gaps;
    usec_t gaps_us;
    unsigned changes;  /* of codec, size or parameters */
    unsigned left_out; /* 1 << enum codec */
    unsigned tracks;
    size_t parts;
};

struct export;
struct export *export_new(const struct export_setup *setup); /* NULL: no memory */
void export_free(struct export *x);                          /* NULL too */
/* The next segment; source: the caller's number for it. One of which nothing is wanted adds nothing.
 * EXPORT_OK, EXPORT_E_MANY, -ENOMEM. */
int export_add(struct export *x, uint32_t source, const struct seg_table *t);
/* The key frame `key` of the segment, or the first behind it that the viewer may see; t->n: there is none. */
size_t export_seen_key(const struct export_setup *s, const struct seg_table *t, size_t key);
/* One video sample alone, shown for show_us: pictures of a strip. Not together with export_add. */
int export_still(struct export *x, uint32_t source, const struct seg_table *t, size_t sample, usec_t show_us);
/* EXPORT_OK, EXPORT_E_NONE, EXPORT_E_MANY, -ENOMEM. */
int export_end(struct export *x);
const struct export_facts *export_facts(const struct export *x);

enum export_kind {
    EXPORT_FIXED /* export_fixed */,
    EXPORT_ROWS /* export_rows */,
    EXPORT_MADE /* frames of `made`: whoever makes them has them (export_made_of) */,
    EXPORT_FILE /* export_ranges */
};
struct export_piece {
    enum export_kind kind;
    uint64_t at, n;         /* in the MP4 */
    uint32_t source;        /* not of EXPORT_FIXED */
    bool needs_table;       /* of that source, for rows and ranges */
    uint32_t section, part; /* export's own */
};
/* The piece that byte `at` lies in. false: behind the end. */
bool export_seek(const struct export *x, uint64_t at, struct export_piece *ret);
bool export_next(const struct export *x, struct export_piece *p);

struct span export_fixed(const struct export *x, const struct export_piece *p);
/* Exactly p->n bytes. t may be NULL where !needs_table. EXPORT_OK, EXPORT_E_CHANGED, -ENOMEM. */
int export_rows(
    const struct export *x, const struct export_piece *p, const struct seg_table *t, struct buf *to);
/* One behind the other they are the piece; *ret (freed by mem_free) has *ret_n of them. */
int export_ranges(const struct export *x, const struct export_piece *p, const struct seg_table *t,
    struct seg_range **ret, size_t *ret_n);
/* The samples of the segment, from its table's number `first` on, of which the piece's frames are made. */
struct export_sound {
    uint8_t track;
    uint32_t first, n, frames;
    int32_t ahead; /* ticks of `made`: the first frame begins so much later than that sample, so that sound
                      goes on from frame to frame over segments */
};
struct export_sound export_made_of(const struct export *x, const struct export_piece *p);

#endif
