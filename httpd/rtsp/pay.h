/* Payloaders: frames become RTP packets, in the form they have inside an RTSP connection ('$', channel,
 * length, packet; RFC 2326 10.12), one behind the other. A frame is packetised once and all viewers of a
 * stream share the bytes: sequence numbers, timestamps and SSRC are the stream's, and a viewer is told where
 * he begins. Over UDP the packets go out without their first four bytes. Sources: RFC 3550, 6184 (H.264),
 * 7798 (H.265), 3640 (AAC), 3551 (G.711), 7587 (Opus), ONVIF Streaming Specification 5.1.2 (metadata) and 6.2
 * (replay). Parameter sets go before every key frame, one NAL unit a packet, and a NAL unit that is too long
 * is one chain of fragments; AAC is cut nowhere but where a packet ends (cameras.md O7). No I/O, no
 * allocation. Tests: tests/unit/rtsp/test_pay.c, tests/fuzz/fuzz_pay.c. */
#ifndef RTSP_PAY_H
#define RTSP_PAY_H

#include "common/base/wr.h"
#include "common/media/frame.h"
#include "common/media/track.h"

#define PAY_PACKET_MAX 1400 /* bytes of an RTP packet: below the MTU of tunnels and PPPoE, too (O7, N6) */
#define PAY_FRAMING    4    /* before each packet */

struct pay_form;

/* The ONVIF replay extension of a frame. */
struct pay_replay {
    bool clean;   /* C: a decoder may start here */
    bool end;     /* E: the last of a contiguous stretch */
    bool discont; /* D: footage is missing before it */
    uint8_t cseq; /* low byte of the PLAY that this answers */
};

/* A track on its way out. */
struct pay {
    const struct pay_form *form; /* of its codec; NULL: no track */
    struct track track;
    uint8_t pt, channel;
    uint32_t hz; /* of the RTP clock */
    uint32_t ssrc;
    uint32_t ts_base;         /* random: added to media time */
    uint16_t seq;             /* of the next packet */
    uint32_t packets, octets; /* for sender reports; wrap */
};

/* track i of a stream. false: a codec that no RTP payload is known for. */
bool pay_init(struct pay *p, const struct track *t, unsigned i, uint32_t random);
/* RTP timestamp of media time in ticks of the track. */
uint32_t pay_ts(const struct pay *p, int64_t ticks);
/* Bytes that pay_write will need for it; 0: nothing in it that can be sent. */
size_t pay_size(const struct pay *p, const struct frame *f, const struct pay_replay *replay);
/* f->data holds its bytes. replay NULL: without the extension. ts: RTP timestamp. */
void pay_write(
    struct pay *p, const struct frame *f, uint32_t ts, const struct pay_replay *replay, struct wr *w);

/* The next packet, without its framing, of what pay_write wrote. */
bool pay_next(struct span *rest, struct span *ret_packet);
/* Each packet on another channel. */
void pay_rechannel(uint8_t *bytes, size_t n, uint8_t channel);

/* "H264/90000" for a=rtpmap; empty fmtp: none. Either writer may turn bad: too long. */
void pay_rtpmap(const struct pay *p, struct wr *w);
void pay_fmtp(const struct pay *p, struct wr *w);

#endif
