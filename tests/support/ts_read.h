/* Reads an MPEG transport stream strictly, as a player that forgives nothing: packets in step, counters of
 * each PID without a jump that was not said, tables with a right checksum at the start, a clock that rises
 * and is never more than 100 ms apart, PES packets that are as long as they say and are due behind the clock.
 */
#ifndef SUPPORT_TS_READ_H
#define SUPPORT_TS_READ_H

#include "common/base/buf.h"
#include "common/media/track.h"

#define TS_READ_PIDS 8192
#define TS_READ_PES  2000

struct ts_pes {
    uint16_t pid;
    int64_t pts, dts; /* 90 kHz, 33 bits */
    int64_t pcr;      /* the clock when it began */
    bool random;      /* random access indicator */
    size_t at, n;     /* payload in ts_read.es */
};
struct ts_read {
    const char *bad; /* NULL: nothing yet */
    bool any_clock;  /* set by the owner: the clock may do what it likes, */
    bool any_due;    /* media may be due before it */
    size_t packets;
    int16_t cc[TS_READ_PIDS]; /* -1: none yet */
    uint16_t pmt_pid, pcr_pid;
    uint8_t version;
    unsigned n_streams, pmts;
    struct {
        uint16_t pid;
        uint8_t type;
    } stream[TRACK_MAX];
    int64_t pcr; /* 90 kHz, last; -1: none */
    bool clock_may_jump;
    unsigned pcrs, said_jumps;
    struct ts_pes pes[TS_READ_PES];
    size_t n_pes;
    struct buf es;
    size_t open[TS_READ_PIDS]; /* number + 1 in pes */
    struct buf part[TRACK_MAX];
};

struct ts_read *ts_read_new(void);
void ts_read_free(struct ts_read *r);
/* More of the stream, whole packets. false: r->bad says why. */
bool ts_read(struct ts_read *r, struct span packets);
/* Ends the PES packets that are open. */
bool ts_read_end(struct ts_read *r);

#endif
