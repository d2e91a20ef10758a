/* The archive read along the time, forwards or backwards, all pictures or key frames alone, across segments,
 * gaps and storages, as RTP packets that know when they are due. Belongs to whoever runs it: the hub, or the
 * job in a pool that it was given to; reel_turn waits for disks and runs in the pool that reel_pool names.
 * Segments are taken in the order of their ids, which is that of their starts; in each,
 * samples by the time of their capture, whatever their track; one that cannot be read is a gap. Tests:
 * tests/unit/httpd/test_rtsp_reel.c, tests/e2e/test_rtsp_dvr.py.
 */
#ifndef HTTPD_RTSP_REEL_H
#define HTTPD_RTSP_REEL_H

#include "common/net/chunk.h"
#include "httpd/archive.h"
#include "httpd/rtsp/pay.h"
#include "httpd/sight.h"

#define REEL_FRAMES   64           /* of one turn; ... */
#define REEL_BYTES    (512u << 10) /* ... about so many bytes; ... */
#define REEL_AHEAD_US US_PER_S     /* ... and so much time of playing */

enum reel_state {
    REEL_MORE = 0, /* another turn goes on */
    REEL_WAIT,     /* it has reached what is being recorded: ask again in a moment */
    REEL_END,      /* there is no more */
    REEL_NONE,     /* nothing is recorded at that time, though there is elsewhere */
    REEL_EMPTY,    /* nothing is recorded at all, or not yet */
    REEL_FAILED    /* a storage cannot be read */
};

/* How it is read. */
struct reel_way {
    struct sight sight;  /* no frame of before or behind */
    usec_t at_us;        /* from there on, by the key frame at or before it; 0: from the first footage */
    usec_t to_us;        /* up to there; 0: open */
    int32_t scale_milli; /* negative: backwards */
    bool keys;           /* key frames alone */
    bool strict;         /* REEL_NONE where nothing is recorded at at_us; else the next footage is taken */
    bool replay;         /* with the ONVIF extension */
    uint8_t cseq;
};

struct reel_frame {
    struct chunk *c;
    uint8_t track;
    bool entry, joined; /* a picture that stands alone; time was joined before it */
    uint16_t seq;
    uint32_t ts;
    usec_t wall_us; /* of its capture */
    usec_t play_us; /* when it is due, from the begin of playing on */
};

struct reel;
/* Takes the references to the storages, at least one. */
struct reel *reel_new(const char *uid, struct storage *const *st, size_t n, uint32_t random);
void reel_free(struct reel *r); /* NULL too */
/* Reads from elsewhere, or otherwise. */
void reel_seek(struct reel *r, const struct reel_way *way);
/* In the hub, before each turn: what the ring says of the segment that is written. */
void reel_note_open(struct reel *r, const struct open_segment *open);

struct storage *reel_storage(const struct reel *r); /* whose pool has the next turn */
/* In the pool: up to `most` frames into out (0: only as far as the tracks are known). */
enum reel_state reel_turn(struct reel *r, struct reel_frame *out, size_t most, size_t *ret_n);

/* Is it placed at footage? */
bool reel_ready(const struct reel *r);
/* Once it was: TRACK_MAX of them; they count on with each frame. */
const struct pay *reel_pays(const struct reel *r);
usec_t reel_start_us(const struct reel *r); /* wall clock of what comes next */
/* RTP timestamp of a moment of playing. */
uint32_t reel_ts(const struct pay *p, usec_t play_us);

#endif
