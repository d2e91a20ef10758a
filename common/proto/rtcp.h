/* RTCP packets. Source: RFC 3550 section 6. A compound packet is read piece by piece: what parses is used,
 * whatever stands behind it (T17). Tests: tests/unit/proto/test_rtp.c, tests/fuzz/fuzz_rtp.c. */
#ifndef PROTO_RTCP_H
#define PROTO_RTCP_H

#include "common/base/rd.h"
#include "common/base/wr.h"

#define RTCP_SR   200
#define RTCP_RR   201
#define RTCP_SDES 202
#define RTCP_BYE  203
#define RTCP_APP  204
/* What may stand there where RTP has marker and payload type: RFC 5761 section 4. */
#define RTCP_TYPE_FIRST 192
#define RTCP_TYPE_LAST  223

#define RTCP_BLOCKS_MAX 31
#define RTCP_CNAME_MAX  255

struct rtcp_block { /* report block, 6.4.1 */
    uint32_t ssrc;
    uint8_t fraction;  /* lost, of 256 */
    int32_t lost;      /* in total, 24 bits */
    uint32_t high_seq; /* extended highest sequence number */
    uint32_t jitter;
    uint32_t lsr, dlsr;
};

struct rtcp_packet {
    uint8_t type; /* RTCP_SR, ... or another */
    uint8_t count;
    uint32_t ssrc; /* of the sender; for SDES and BYE the first listed; 0 when there is none */
    /* SR */
    uint64_t ntp; /* 32.32 since 1900 */
    uint32_t rtp_ts;
    uint32_t packets, bytes;
    /* SR, RR */
    size_t n_blocks;
    struct rtcp_block block[RTCP_BLOCKS_MAX];
    /* SDES */
    struct span cname;
    /* BYE */
    struct span reason;
};

/* Cuts and reads the next packet of a compound. false: the end, or what is left is not RTCP. A packet whose
 * length is too long takes what is left; one whose inside is short is left out. What is left out or is not
 * RTCP is counted in *bad. Start with *rest = the compound. */
bool rtcp_next(struct span *rest, struct rtcp_packet *ret, unsigned *bad);

#define NTP_TO_UNIX_S 2208988800ll /* seconds from 1900, where NTP begins, to 1970 */
/* Microseconds since 1970 as NTP time; era 1 begins in 2036. */
uint64_t rtcp_ntp_of_us(int64_t wall_us);

/* Writing; a compound begins with RR or SR and holds an SDES with CNAME (6.1). */
void rtcp_write_rr(struct wr *w, uint32_t ssrc, const struct rtcp_block *blocks, size_t n);
void rtcp_write_sr(struct wr *w, const struct rtcp_packet *sr); /* with its blocks */
void rtcp_write_sdes(struct wr *w, uint32_t ssrc, const char *cname);
void rtcp_write_bye(struct wr *w, uint32_t ssrc);

#endif
