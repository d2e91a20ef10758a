/* MPEG transport streams as they are written for viewers: one program, its tables, PES packets, clock.
 * Sources: ISO/IEC 13818-1 (2.4.3.2 packets, 2.4.3.4 adaptation field, 2.4.3.6 PES, 2.4.4 tables, table 2-34
 * stream types), 14496-3 1.A.2.2 (ADTS). H.264, H.265 and AAC; for G.711, Opus and metadata old players have
 * no form, they are left out, as is AAC that ADTS cannot tell.
 *
 * A stream is written in pieces, each of the samples of one fragment. The number of a piece's packets follows
 * from the sizes of its samples alone: ts_run_next gives each piece its place in the stream (continuity
 * counters, whether tables stand in front of it) without touching a byte, and ts_write makes the bytes of any
 * piece later, once, for everybody. Pieces written one behind another are one stream.
 *
 * Pictures stand in annex B form with an access unit delimiter, key frames with the parameter sets. Media
 * time runs through: 90 kHz modulo 2^33. The clock (PCR) is that of the video (else of the first track),
 * TS_DELAY_US behind decoding, at most TS_PCR_US apart. Bytes of samples come from a ring and are hostile: a
 * NAL unit that is longer than its sample ends with it. Tests: tests/unit/media/test_ts.c, fuzz_ts. */
#ifndef MEDIA_TS_H
#define MEDIA_TS_H

#include "common/media/mp4.h"

#define TS_PACKET     188
#define TS_SLOTS      (2 + TRACK_MAX)   /* PAT, PMT, tracks */
#define TS_TABLES_US  (100 * US_PER_MS) /* tables come at least so often */
#define TS_PCR_US     (90 * US_PER_MS)  /* 2.7.2: at most 100 ms */
#define TS_DELAY_US   (400 * US_PER_MS) /* sound may lie so far behind its picture in the stream */
#define TS_GAP_MAX    (TS_SLOTS * TS_PACKET)
#define TS_PID_PMT    0x1000
#define TS_PID_TRACKS 0x100 /* and the track's index */

struct ts_program {
    const struct track_set *tracks; /* outlives the program */
    unsigned mask;                  /* tracks in it; 0: nothing that can be written */
    uint8_t clock;                  /* the track whose PES packets carry the PCR */
    uint32_t pmt_crc;               /* equal: the same program map */
    uint16_t sets_n[TRACK_MAX];     /* bytes of the parameter sets */
};
/* mask: tracks that are wanted. */
void ts_program_of(struct ts_program *ret, const struct track_set *tracks, unsigned mask);

/* Where a piece stands. */
struct ts_place {
    uint32_t packets;
    uint8_t cc[TS_SLOTS]; /* of the next packet with payload */
    uint8_t version;      /* of the program map */
    bool tables;          /* PAT and PMT come first */
    bool discont;         /* footage is missing before it: said with its first clock */
};

/* A stream as it runs. A zeroed one is at the beginning. */
struct ts_run {
    uint8_t cc[TS_SLOTS];
    uint8_t version;
    uint32_t pmt_crc;
    usec_t tables_us;
    bool discont; /* set by the owner: footage is missing before the next piece */
};

struct ts_piece {
    const struct ts_program *program;
    const struct ts_place *place;
    const struct mp4_sample *s;
    size_t n;
    struct span data; /* of the samples, one behind another */
};
/* The place of the next piece, of which neither place nor data are read; it begins at media time start_us.
 * begins: a player may begin here. */
void ts_run_next(
    struct ts_run *r, const struct ts_piece *next, usec_t start_us, bool begins, struct ts_place *ret);
/* place->packets * TS_PACKET bytes at dst. */
void ts_write(const struct ts_piece *piece, uint8_t *dst);
/* Packets to stand before a piece where others are left out: they say on each PID that its counter (and the
 * clock) jumps. At most TS_GAP_MAX bytes at dst; returns how many. */
size_t ts_gap(const struct ts_program *p, const struct ts_place *place, uint8_t *dst);

#endif
