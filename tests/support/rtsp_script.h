/* A camera written down line by line, for tests of the RTSP client: what the client sends and says is kept as
 * text. */
#ifndef SUPPORT_RTSP_SCRIPT_H
#define SUPPORT_RTSP_SCRIPT_H

#include "worker/rtsp_client.h"

#define T0 ((usec_t)1000 * US_PER_S)

/* Video H.264 and audio PCMA. */
#define SCRIPT_SDP                                                                                           \
    "v=0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"                               \
    "a=fmtp:96 packetization-mode=1\r\na=control:trackID=1\r\n"                                              \
    "m=audio 0 RTP/AVP 8\r\na=control:trackID=2\r\n"

struct script {
    struct rtsp_client *c;
    usec_t now;
    char sent[8192]; /* since the last script_clear */
    char last[8192]; /* last message sent */
    char log[4096];  /* events since the last script_clear: "DIAL cam:554; FAILED 2 401; " */
    char text[256];  /* of FAILED */
    enum rtsp_fail fail;
    usec_t retry_us;
    unsigned packets[RTSP_CLIENT_TRACKS_MAX], rtcp[RTSP_CLIENT_TRACKS_MAX];
    struct rtsp_track track[RTSP_CLIENT_TRACKS_MAX]; /* as last said */
};
extern struct script T;
extern const struct rtsp_client_ops SCRIPT_OPS;

void script_clear(void);
void script_open(const char *url, enum rtsp_transport_choice transport);
void script_start(void); /* and the connection stands */
void script_feed(struct span in);
/* "200 OK\r\nName: value\r\n", with the number of the last request; body: an SDP, or NULL. */
void script_answer_with(const char *status_and_fields, const char *body);
void script_answer(const char *status_and_fields);
unsigned script_cseq(void);          /* of the last request */
bool script_asked(const char *what); /* does the last message begin so? */
bool script_has(const char *what);   /* does it hold that? */
void script_rtp(uint8_t channel, uint32_t ssrc);
void script_tick(usec_t after);
void script_to_play(void); /* TCP, both tracks, PLAY is asked; session 77, timeout 60 */
void script_to_playing(void);
void script_done(void);

#endif
