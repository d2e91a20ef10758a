/* Between the parts of the session. */
#ifndef RTSP_SERVER_IMPL_H
#define RTSP_SERVER_IMPL_H

#include "httpd/rtsp/server.h"

/* Bytes of an answer without its body: a URL a track, and Content-Base. */
#define RTSP_ANSWER_MAX ((TRACK_MAX + 1) * RTSP_LINE_MAX + 2048)

/* An answer that is being written. */
struct answer_text {
    char text[RTSP_ANSWER_MAX];
    struct wr w;
};
/* Status, CSeq of the request, Server, Session where there is one. */
void rtsp_answer_begin(struct rtsp_server *s, struct answer_text *a, const struct head *h, unsigned status);
void rtsp_answer_send(struct rtsp_server *s, struct answer_text *a);
void rtsp_answer(struct rtsp_server *s, const struct head *h, unsigned status);

/* SETUP of a request whose target is open. */
void rtsp_setup(struct rtsp_server *s, const struct head *h);
/* Is any track set up, over UDP? */
bool rtsp_server_set(const struct rtsp_server *s);
bool rtsp_server_udp(const struct rtsp_server *s);

#endif
