/* RTP packets. Source: RFC 3550 section 5.1, 5.3.1; ONVIF replay extension: Streaming Specification 6.2.
 * Tests: tests/unit/proto/test_rtp.c, tests/fuzz/fuzz_rtp.c. */
#ifndef PROTO_RTP_H
#define PROTO_RTP_H

#include "common/base/rd.h"

#define RTP_HEADER_MIN 12
#define RTP_CSRC_MAX   15
#define RTP_PACKET_MAX 65535
#define RTP_EXT_ONVIF  0xABAC /* NTP time of the frame (T13) */
#define RTP_EXT_JPEG   0xFFD8

/* Conditions (positive). */
enum {
    RTP_E_SHORT = 1, /* less than its headers say */
    RTP_E_VERSION = 2,
    RTP_E_PADDING = 3,
    RTP_E_EMPTY =
        4, /* well-formed, without payload (T14): its sequence number counts, nothing else; *ret is set */
    RTP_E_RTCP = 5 /* second byte 192 to 223: RTCP on the RTP channel (P9) */
};

struct rtp_packet {
    bool marker;
    uint8_t pt;
    uint16_t seq;
    uint32_t ts;
    uint32_t ssrc;
    bool has_ext;
    uint16_t ext_id; /* "defined by profile" */
    struct span ext; /* words behind it */
    struct span payload;
};

int rtp_parse(struct span s, struct rtp_packet *ret);
/* RTCP by its second byte, 192 to 223 (RFC 5761 section 4; P9)? */
bool rtp_is_rtcp(struct span s);
/* Time of extension 0xABAC as microseconds since 1970. false: the packet has none. */
bool rtp_onvif_time(const struct rtp_packet *p, int64_t *ret_wall_us);

/* The fixed header, without CSRC and extension. */
void rtp_write_header(uint8_t dst[RTP_HEADER_MIN], const struct rtp_packet *p);

/* RFC 3550 appendix A.1 arithmetic: how far a is ahead of b, -32768 to 32767. */
static inline int rtp_seq_diff(uint16_t a, uint16_t b)
{
    return (int16_t)(uint16_t)(a - b);
}
static inline int32_t rtp_ts_diff(uint32_t a, uint32_t b)
{
    return (int32_t)(a - b);
}

#endif
