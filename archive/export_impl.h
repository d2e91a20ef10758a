/* What export.c (which samples, and when they are shown), export_rows.c (rows of the tables) and export_lay.c
 * (where what lies) share. */
#ifndef ARCHIVE_EXPORT_IMPL_H
#define ARCHIVE_EXPORT_IMPL_H

#include "archive/export.h"
#include "common/base/buf.h"

#define NO_TRACK 0xffu

enum table { STTS, CTTS, STSS, STSC, STSZ, CO64, TABLES };

/* What one segment gives to one track: samples of its track `src` from number `first` on. */
struct part_track {
    uint8_t src; /* NO_TRACK: nothing */
    bool made;
    uint16_t form;            /* sample entry, from 1 */
    uint32_t first, source_n; /* samples of the segment */
    int32_t ahead;            /* ticks of `made`: where its first frame begins */
    uint32_t n, before;       /* samples in the MP4, and of the parts before */
    uint32_t chunks, chunks_before;
    uint32_t rows[TABLES]; /* by enum table */
    uint32_t last_ticks;   /* of the last sample: up to the next part's */
    uint32_t tail_ticks;   /* of the one before */
};
struct part {
    uint32_t source;
    bool is_still;
    struct mp4_sample still;
    uint64_t at, bytes, made_bytes; /* in the mdat's payload; made frames come first */
    struct part_track t[TRACK_MAX];
};
/* A track of the MP4. */
struct movie_track {
    enum track_kind kind;
    unsigned number; /* of its kind, from 0 */
    uint32_t hz;
    struct track *forms;
    uint16_t n_forms, form; /* form: of the last sample */
    uint32_t samples, chunks;
    size_t last_part;
    int64_t start, pos, end; /* ticks of the movie's time: first sample, last one, end of that */
    uint64_t total;          /* ticks, up to pos */
    uint64_t shown;          /* ticks: the latest end of a picture, in composition time */
    int64_t lead;            /* composition offset of the first sample */
    uint32_t own_ticks;      /* of the last sample, by its own word */
    int32_t ahead;           /* made: its frames reach so much further than the sound, at most half a frame */
    uint32_t same_size;
    bool sizes_differ, cts, negative_cts, some_not_key;
};
struct section {
    enum export_kind kind;
    uint8_t track, table;
    uint64_t at, n;
    size_t fixed_at; /* EXPORT_FIXED: in x->fixed */
};
#define SECTIONS_MAX (3 + TRACK_MAX * 2 * TABLES)

struct export
{
    struct export_setup setup;
    struct export_facts facts;
    struct movie_track track[TRACK_MAX];
    struct part *part;
    size_t n, cap;
    /* the line of time: media time minus line_us is time in the MP4 */
    int64_t line_us, media_end_us, apart_us;
    usec_t wall_end_us;
    uint64_t payload, payload_at;
    uint8_t *fixed;
    struct section section[SECTIONS_MAX];
    size_t sections;
};

struct table_kind {
    char type[5];
    uint8_t row;  /* bytes */
    uint8_t head; /* of the box, its header and count */
};
extern const struct table_kind export_tables[TABLES];

/* Where rows go; to NULL: they are counted. */
struct sink {
    struct buf *to;
    uint32_t n;
    bool bad;
};
/* The rows that a part has in a table of a track. false: the table is not what it was. */
bool export_table_rows(const struct export *x, const struct part *p, unsigned track, enum table kind,
    const struct seg_table *t, struct sink *to);
/* The last sample of a track lasts up to the next one: known only when that comes. */
void export_set_last(struct export *x, unsigned track, int64_t next_pos);
uint32_t export_ticks(
    const struct seg_table *t, uint32_t hz, const struct mp4_sample *a, const struct mp4_sample *b);
/* The next sample of the track from number i on; t->n: none. */
size_t export_sample(const struct seg_table *t, uint8_t src, size_t i);
int32_t export_cts(const struct seg_table *t, uint32_t hz, const struct mp4_sample *s);
/* Is a table written for this track? */
bool export_has(const struct movie_track *t, enum table kind);
/* A table of the still alone, for parts that are one. */
struct seg_table export_still_table(const struct export *x, const struct part *p);

#endif
