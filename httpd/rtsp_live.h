/* A stream's frames as RTP packets, made once and shared by all who watch it over RTSP: they get the same
 * sequence numbers, timestamps and SSRC, so that a frame is one piece of memory for all of them. Follows the
 * ring with a cursor of its own while somebody watches, knows what a viewer begins with (everything since the
 * last key frame: made again from the ring), and writes the sender reports. Numbers run on as long as the
 * stream is known. Belongs to the stream's hub. Tests: tests/unit/httpd/test_rtsp_live.c,
 * tests/e2e/test_rtsp.py. */
#ifndef HTTPD_RTSP_LIVE_H
#define HTTPD_RTSP_LIVE_H

#include "httpd/cursor.h"
#include "httpd/rtsp/pay.h"

#define RTSP_LINGER_US    (4 * US_PER_S) /* behind the last viewer or question */
#define RTSP_REPORT_US    (5 * US_PER_S) /* sender reports (O4) */
#define RTSP_START_FRAMES 20000          /* kept since the last key frame; ... */
#define RTSP_START_BYTES  (64u << 20)    /* ... more is not kept: viewers then begin at the next one */
/* Up to here packets are made again from the ring, which has room for two such groups of pictures. */
#define RTSP_START_LAZY (8u << 20)

struct rtsp_live;

/* A frame on its way to viewers; valid during the call. */
struct rtp_frame {
    uint8_t track;
    bool entry; /* a viewer may begin here */
    uint16_t seq;
    uint32_t ts;
    struct chunk *c;   /* interleaved, on channel 2 * track */
    struct chunk *alt; /* the same on another channel; NULL: not asked for yet */
    uint8_t alt_channel;
};
/* Its bytes on that channel, borrowed. NULL: memory is out. */
struct chunk *rtp_frame_on(struct rtp_frame *f, uint8_t channel);

struct rtsp_viewer {
    struct list link;
    void (*on_frame)(struct rtsp_viewer *v, struct rtp_frame *f);
    /* A compound of RTCP for the viewers of that track. */
    void (*on_report)(struct rtsp_viewer *v, unsigned track, struct span compound);
    /* These were all that there are for now. */
    void (*on_turned)(struct rtsp_viewer *v);
    /* The stream is gone, or has other tracks: v was given a BYE for each, and has left. */
    void (*on_end)(struct rtsp_viewer *v);
};
/* Somebody who waits for it to be ready; woken when that may have changed. */
struct rtsp_wait {
    struct list link;
    void (*woken)(struct rtsp_wait *w);
};

/* Follows the stream from now on, for a while. */
struct rtsp_live *rtsp_live_get(struct stream *s);
void rtsp_live_free(struct stream *s); /* viewers are ended, waiters woken */
void rtsp_live_end(struct stream *s);  /* only that */
void rtsp_live_new_ring(struct stream *s);

/* Its tracks are known, and there is something to begin with, or no use in waiting for that. */
bool rtsp_live_ready(const struct rtsp_live *l);
void rtsp_live_wait(struct rtsp_live *l, struct rtsp_wait *w);
/* TRACK_MAX of them. */
const struct pay *rtsp_live_pays(const struct rtsp_live *l);
/* Counts changes after which nothing that was said of its tracks holds. */
uint64_t rtsp_live_epoch(const struct rtsp_live *l);

/* Where a viewer that joins now begins. */
struct rtsp_start {
    bool known; /* else at the next key frame */
    uint16_t seq[TRACK_MAX];
    uint32_t ts[TRACK_MAX];
};
void rtsp_live_start(struct rtsp_live *l, struct rtsp_start *ret);
/* Right behind it: gives a report of each track, and that start. */
void rtsp_live_join(struct rtsp_live *l, struct rtsp_viewer *v);
void rtsp_live_leave(struct rtsp_live *l, struct rtsp_viewer *v);

#endif
