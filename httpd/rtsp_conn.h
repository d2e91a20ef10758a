/* One RTSP connection: the socket of the machine in httpd/rtsp/server.h, at home on the hub of the stream
 * that its requests name. Plays live (rtsp_live.h). A viewer that falls behind is dropped to the next key
 * frame and delays nobody. Tests: tests/e2e/test_rtsp.py. */
#ifndef HTTPD_RTSP_CONN_H
#define HTTPD_RTSP_CONN_H

#include "httpd/http.h"

#define RTSP_QUEUE_HIGH  (8u << 20) /* bytes for a slow viewer beyond what it began with: more is dropped */
#define RTSP_QUEUE_LATE  (10 * US_PER_S) /* nor is anything sent that is so late */
#define RTSP_QUEUE_EMPTY (64u << 10)     /* with less in the queue it goes on at a key frame */
#define RTSP_STALL_US    (30 * US_PER_S) /* bytes to send and none accepted: it is gone */

/* Takes what it comes on. */
void rtsp_accept(struct door *door, struct conn_over over);
/* In on_data of HTTP: takes over a connection that has turned out to be one side of a tunnel (tunnel_is),
 * whose request on_data leaves to it. base: of its listener. Where no listener speaks RTSP nothing does
 * (false). */
bool rtsp_take(struct hub *hub, const char *base, struct conn *c);
/* Bytes sent on this hub's connections. */
uint64_t rtsp_bytes_out(const struct hub *hub);
void rtsp_close_all(struct hub *hub);

#endif
