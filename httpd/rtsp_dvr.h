/* The archive for one RTSP viewer: opened, played at a pace, sought in. Frames come from a reel (rtsp_reel.h)
 * that runs in the pools of the storages, a second ahead of what is due; the hub only sends them. Belongs to
 * the hub. Tests: tests/unit/httpd/test_rtsp_dvr.c, tests/e2e/test_rtsp_dvr.py. */
#ifndef HTTPD_RTSP_DVR_H
#define HTTPD_RTSP_DVR_H

#include "httpd/rtsp/server.h"
#include "httpd/rtsp_live.h"
#include "httpd/sight.h"

#define DVR_SCALE_LEAST 250 /* thousandths */
#define DVR_SCALE_MOST  32000
#define DVR_SCALE_ALL   4000 /* forwards above this, and backwards: key frames alone */

struct rtsp_dvr_ops {
    /* 200: d says what it is. */
    void (*opened)(void *arg, unsigned status, const struct describe *d);
    /* NULL: not at all, by the status. */
    void (*played)(void *arg, unsigned status, const struct rtsp_played *p);
    struct sight (*sight)(void *arg); /* what may be seen of it */
    bool (*room)(void *arg);          /* may more be sent? */
    void (*frame)(void *arg, struct rtp_frame *f, usec_t wall_us);
    void (*report)(void *arg, unsigned track, struct span compound);
    void (*ended)(void *arg); /* there is no more; before a PLAY is refused that another one made way for */
};

struct rtsp_dvr;
/* at_us 0: no moment was named. scale_milli: of the URL. NULL: the stream has no archive. */
struct rtsp_dvr *rtsp_dvr_new(
    struct stream *s, usec_t at_us, int32_t scale_milli, const struct rtsp_dvr_ops *ops, void *arg);
void rtsp_dvr_free(struct rtsp_dvr *d); /* NULL too; a job that is out is left behind */
void rtsp_dvr_open(struct rtsp_dvr *d); /* answers opened, at once or later */
/* Once it is opened: what it is; pay and name are its own. */
void rtsp_dvr_describe(const struct rtsp_dvr *d, struct describe *ret);
/* Once it is opened: the host of the node that has what is played first, if viewers are sent there; "". */
const char *rtsp_dvr_holder(const struct rtsp_dvr *d);
void rtsp_dvr_play(struct rtsp_dvr *d, const struct rtsp_play *p); /* answers played, the same */
void rtsp_dvr_pause(struct rtsp_dvr *d);

#endif
