/* The camera's side of RTSP/1.0 (RFC 2326). It reads requests by itself, not with common/wire: a client and a
 * test server that share a parser share its mistakes. */
#ifndef CAMERA_RTSP_H
#define CAMERA_RTSP_H

#include "tests/camera/conn.h"

/* Takes the first message or interleaved frame from the bytes; returns how many bytes it was, 0: not yet
 * whole. */
size_t rtsp_read(struct conn *c, struct span bytes);

struct request {
    struct span method, url, heads;
    struct span cseq;
};
/* Value of a header, trimmed; p NULL: not there. */
struct span request_header(const struct request *r, const char *name);
/* Value of a parameter "name=value" in a list separated by sep, quotes taken off; p NULL: not there. */
struct span list_param(struct span list, uint8_t sep, const char *name);

/* Queues a reply; more: further header lines, each with \r\n; body may be empty. */
void rtsp_reply(struct conn *c, const struct request *r, unsigned status, struct span more, struct span body);

/* Session description (RFC 4566) of a stream, control URLs below base. */
void sdp_write(struct buf *to, const struct stream *s, struct span base);

/* true: may go on. false: 401 was queued. */
bool login_check(struct conn *c, const struct request *r);

/* SETUP: binds or sets channels; appends the Transport header line. Returns the status. */
unsigned setup_track(struct conn *c, struct play *p, struct span transport, struct buf *to);

#endif
