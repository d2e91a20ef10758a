/* RTSP/1.0 messages: building them, and reading the fields that matter. Source: RFC 2326; habits of cameras
 * from cameras.md A1 and A4. Heads are split by common/wire/head.h, the byte stream by interleaved.h.
 * Everything read here is a hint from a stranger: what is missing or odd gets a default, nothing fails for
 * it. Tests: tests/unit/proto/test_rtsp.c. */
#ifndef PROTO_RTSP_H
#define PROTO_RTSP_H

#include "common/base/wr.h"
#include "common/wire/head.h"

#define RTSP_PORT        554
#define RTSPS_PORT       322
#define RTSP_HEAD_MAX    (16u << 10)
#define RTSP_LINE_MAX    4096
#define RTSP_BODY_MAX    (256u << 10) /* SDP of NVRs with many profiles (C19) */
#define RTSP_SESSION_MAX 128
#define RTSP_TIMEOUT_S   60 /* of a session that names none (RFC 2326 12.37) */

enum rtsp_method {
    RTSP_OPTIONS = 0,
    RTSP_DESCRIBE,
    RTSP_SETUP,
    RTSP_PLAY,
    RTSP_PAUSE,
    RTSP_TEARDOWN,
    RTSP_GET_PARAMETER,
    RTSP_SET_PARAMETER,
    RTSP_ANNOUNCE,
    RTSP_RECORD,
    RTSP_REDIRECT,
    RTSP_METHODS,
    RTSP_UNKNOWN = RTSP_METHODS
};
const char *rtsp_method_name(enum rtsp_method m);
enum rtsp_method rtsp_method_of(struct span s); /* case-sensitive, as RFC 2326 6.1 has it */
const char *rtsp_reason(unsigned status);       /* "Session Not Found" */

/* Writing. Canonical spelling in a fixed order (C2): start line, CSeq, then what the caller adds, then
 * rtsp_end. */
void rtsp_request(struct wr *w, enum rtsp_method m, struct span uri, uint32_t cseq);
void rtsp_response(struct wr *w, unsigned status, uint32_t cseq);
/* Nothing is written for an empty value. Control characters in a value turn the writer bad. */
void rtsp_field(struct wr *w, const char *name, struct span value);
void rtsp_field_fmt(struct wr *w, const char *name, const char *fmt, ...) PRINTF_LIKE(3, 4);
void rtsp_end(
    struct wr *w, struct span type, struct span body); /* Content-*, empty line, body; empty: none */

/* CSeq; false: missing or not a number (C1). Takes what stands before a blank or ';'. */
bool rtsp_cseq(const struct head *h, uint32_t *ret);

/* Session: id, and timeout in seconds (0: none, or nonsense: P6). false: no id. */
struct rtsp_session {
    struct span id;
    uint32_t timeout_s;
};
bool rtsp_session(struct span value, struct rtsp_session *ret);

/* Transport, one of the alternatives of a request or the one of a reply (P7, P8, P17, P18). `interleaved`
 * decides whether it is TCP, not the protocol's name; a single number n means n, n+1. */
struct rtsp_transport {
    struct span protocol; /* "RTP/AVP" */
    bool tcp, multicast, secure;
    bool has_interleaved, has_client_port, has_server_port, has_ssrc;
    uint8_t interleaved[2];
    uint16_t client_port[2];
    uint16_t server_port[2];
    uint32_t ssrc; /* a hint, never to be trusted */
    struct span source, destination;
    struct span mode; /* without quotes */
};
bool rtsp_transport(struct span value, struct rtsp_transport *ret); /* false: nothing in it to use */
/* The next alternative of a request's list. */
bool rtsp_transport_next(struct span *rest, struct rtsp_transport *ret);

/* One stream of RTP-Info (P16): a hint. */
struct rtsp_rtp_info {
    struct span url;
    bool has_seq, has_rtptime;
    uint16_t seq;
    uint32_t rtptime;
};
bool rtsp_rtp_info_next(struct span *rest, struct rtsp_rtp_info *ret);

/* Methods named in Public or Allow, bit = 1 << enum rtsp_method. */
unsigned rtsp_methods(const struct head *h);

/* Range: npt. from_us < 0: "now" or not given; to_us < 0: open. clock: absolute times (UTC, microseconds
 * since 1970). false: another unit, or broken. */
struct rtsp_range {
    bool clock;
    int64_t from_us, to_us;
};
bool rtsp_range(struct span value, struct rtsp_range *ret);

/* "application/sdp;charset=utf-8" is it, and so is nothing at all (C17). */
bool rtsp_is_sdp(const struct head *h);

#endif
