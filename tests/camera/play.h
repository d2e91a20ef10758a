/* A session's media: SETUP's sockets, the agenda of frames, the packets with their faults, RTCP. */
#ifndef CAMERA_PLAY_H
#define CAMERA_PLAY_H

#include "tests/camera/conn.h"

/* UDP sockets towards the client's ports, on a pair of ours: returned port is RTP's, 0 on failure. */
uint16_t play_bind_udp(struct play *p, uint16_t client_rtp, uint16_t client_rtcp);
void play_reset_track(struct play *p); /* fresh sequence, time and SSRC; the knobs may fix them */
void play_begin(struct conn *c, usec_t now_us);
void play_pause(struct conn *c);
void play_end(struct conn *c); /* closes the session */
/* RTP time and sequence number of the first packet after PLAY. */
uint32_t play_first_ts(const struct play *p);

/* RTCP from the client. */
void play_rtcp(struct play *p, struct span packet);
void play_send_report(struct play *p, usec_t now_us);
void play_send_bye(struct play *p);

/* Things done once to a stream's sessions. NULL, or why not. */
const char *play_do(struct stream *s, struct span action, struct span arg);
void play_actions_help(void);

/* Puts a frame's packets on the wire, faults included. */
/* The file goes out on this track now, behind what was sent. */
void play_document(struct play *p, const char *path);
void wire_frame(struct play *p, const struct pack *pack, const struct pack_frame *f, uint32_t ts);
void wire_rtcp(struct play *p, struct span packet);

#endif
