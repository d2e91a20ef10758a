/* What a stream does wrong, or in its own way: one row a knob. Set on the command line for a group of streams
 * (--loss 5) and while running for one stream or all (set cam3 loss 5). Rows name the habits of cameras.md.
 */
#ifndef CAMERA_KNOBS_H
#define CAMERA_KNOBS_H

#include "common/base/buf.h"
#include "common/base/span.h"

#define KNOB_TEXT_MAX 256

enum { START_IDR, START_KEY, START_NOW };
enum { AUTH_OFF, AUTH_ONLY_BASIC, AUTH_MD5, AUTH_SHA256, AUTH_BOTH, AUTH_BASIC_MD5 };
enum { NONCE_CONNECTION, NONCE_REQUEST };
enum { MARKER_NORMAL, MARKER_NEVER, MARKER_ALWAYS };
enum { SETS_BOTH, SETS_SDP, SETS_INBAND, SETS_FIRST, SETS_EVERY_KEY };
enum { CHANNELS_ASKED, CHANNELS_SWAPPED, CHANNELS_MOVED, CHANNELS_LIE, CHANNELS_RTCP_ON_RTP };
enum { AUDIO_TS_NORMAL, AUDIO_TS_ZERO, AUDIO_TS_UNEVEN };
enum { SR_NORMAL, SR_NONE, SR_ZERO, SR_1970, SR_2036, SR_LOCAL, SR_UNKNOWN_SSRC, SR_JUMPS };
enum { ALIVE_ANY, ALIVE_OPTIONS, ALIVE_GET_PARAMETER, ALIVE_RTCP, ALIVE_RTSP };
enum { PUBLIC_ALL, PUBLIC_NO_GET };
enum { RTPINFO_NORMAL, RTPINFO_NONE, RTPINFO_ZERO, RTPINFO_WRONG, RTPINFO_RELATIVE, RTPINFO_JUNK };
enum { BASE_NORMAL, BASE_NONE, BASE_NO_SCHEME, BASE_DOUBLE, BASE_WRONG_HOST };
enum { CONTROL_NORMAL, CONTROL_ABSOLUTE, CONTROL_QUERY, CONTROL_NONE };
enum {
    TRANSPORT_NORMAL,
    TRANSPORT_NO_TCP,
    TRANSPORT_SINGLE,
    TRANSPORT_SSRC_FIRST,
    TRANSPORT_BARE,
    TRANSPORT_BAD_SSRC
};
enum { SESSION_NORMAL, SESSION_NONE, SESSION_BLANKS, SESSION_NO_TIMEOUT };
enum { HEADS_NORMAL, HEADS_LOWER, HEADS_LF, HEADS_NO_CSEQ, HEADS_BLANKS, HEADS_CRLF_BEFORE };

/*   KNOB(field, name, choices or NULL, least, most, default, help) */
/* clang-format off */
#define KNOBS(KNOB) \
    KNOB(start, "start", "idr,key,now", 0, 0, 0, "first frame: the file's first, the running clock's next key frame, its next frame") \
    KNOB(packets, "packets", NULL, 0, 1, 0, "1: one send a packet instead of one a frame") \
    KNOB(mtu, "mtu", NULL, 64, 65000, 1400, "RTP payload bytes (T15 above 2000)") \
    KNOB(style, "style", "normal,single,annexb,fu-no-end,fu-type,fu-reserved,fu-whole,stap-zero,marker-params,junk,adts", 0, 0, 0, "packing (V2 V5 V6 V7 V16 A1)") \
    KNOB(aggregate, "aggregate", NULL, 1, 15, 1, "AAC access units in a packet") \
    KNOB(sets, "sets", "both,sdp,inband,first,every-key", 0, 0, 0, "where parameter sets are (S13, V9)") \
    KNOB(queue, "queue", NULL, 0, 64 << 20, 1 << 20, "bytes queued for a slow client, frames are dropped above (T2)") \
    KNOB(auth, "auth", "none,basic,digest-md5,digest-sha256,digest-both,basic-md5", 0, 0, 0, "login (U1, U2)") \
    KNOB(qop, "qop", NULL, 0, 1, 0, "1: digest offers qop=auth (U4)") \
    KNOB(nonce, "nonce", "connection,request", 0, 0, 0, "life of a nonce (U6)") \
    KNOB(auth_close, "auth-close", NULL, 0, 1, 0, "close after 401 (C16)") \
    KNOB(stale_flag, "stale-flag", NULL, 0, 1, 1, "0: no stale=true with a new nonce (U6)") \
    KNOB(loss, "loss", NULL, 0, 100000, 0, "RTP packets not sent, per 100000 (T2, V17)") \
    KNOB(reorder, "reorder", NULL, 0, 100000, 0, "packets swapped with the next, per 100000 (T3)") \
    KNOB(duplicate, "duplicate", NULL, 0, 100000, 0, "packets sent twice, per 100000 (T3)") \
    KNOB(foreign, "foreign", NULL, 0, 100000, 0, "packets of another SSRC put in, per 100000 (K6)") \
    KNOB(other_pt, "other-pt", NULL, 0, 100000, 0, "packets with another payload type and the same number, per 100000 (S9)") \
    KNOB(tear, "tear", NULL, 0, 100000, 0, "frames of which only a part is sent on TCP, per 100000 (C8)") \
    KNOB(garbage, "garbage", NULL, 0, 65536, 0, "random bytes before every second frame on TCP (C8)") \
    KNOB(strange_channel, "strange-channel", NULL, 0, 100000, 0, "packets on a channel nobody set up put in, per 100000 (P10)") \
    KNOB(freeze, "freeze", NULL, 0, 1, 0, "1: sends no media, connection stays (K11)") \
    KNOB(freeze_video, "freeze-video", NULL, 0, 1, 0, "1: sends no video, audio goes on (K13)") \
    KNOB(freeze_audio, "freeze-audio", NULL, 0, 1, 0, "1: sends no audio, which the SDP announces, video goes on (K13)") \
    KNOB(mute, "mute", NULL, 0, 1, 0, "1: answers no request") \
    KNOB(marker, "marker", "normal,never,always", 0, 0, 0, "marker bit (V1, V3)") \
    KNOB(params_ts, "params-ts", NULL, -90000, 90000, 0, "ticks added to the time of parameter sets and SEI (V2)") \
    KNOB(same_ts, "same-ts", NULL, 0, 1, 0, "1: pairs of frames share one timestamp (T11)") \
    KNOB(drift, "drift", NULL, -100000, 100000, 0, "RTP clock runs off by ppm (T9)") \
    KNOB(ts_stray, "ts-stray", NULL, -2147483647, 2147483647, 0, "every 50th frame is off by so many ticks (T5)") \
    KNOB(ts_start, "ts-start", NULL, -1, 4294967295, -1, "first RTP time, -1: random (T1)") \
    KNOB(seq_start, "seq-start", NULL, -1, 65535, -1, "first sequence number, -1: random (T1)") \
    KNOB(ssrc, "ssrc", NULL, -1, 4294967295, -1, "SSRC of all tracks, -1: random (T7)") \
    KNOB(wire_pt, "wire-pt", NULL, -1, 127, -1, "video payload type on the wire, -1: as in the SDP (S8)") \
    KNOB(channels, "channels", "asked,swapped,moved,lie,rtcp-on-rtp", 0, 0, 0, "interleaved channels (P8, P9, P10)") \
    KNOB(sr, "sr", "normal,none,zero,1970,2036,local,unknown-ssrc,jumps", 0, 0, 0, "sender reports (T8)") \
    KNOB(sr_offset, "sr-offset", NULL, -1000000000, 1000000000, 0, "ms that the camera's clock is ahead of ours in them") \
    KNOB(slow_start, "slow-start", NULL, 0, 600000, 0, "ms between PLAY and the first packet") \
    KNOB(burst, "burst", NULL, 0, 10000, 0, "ms of frames that are there at once after PLAY (T10)") \
    KNOB(audio_ts, "audio-ts", "normal,zero,uneven", 0, 0, 0, "RTP time of audio: always the same, off by up to 20 ms (T12)") \
    KNOB(early, "early", NULL, 0, 1, 0, "1: a sender report before the PLAY reply (P11)") \
    KNOB(timeout, "timeout", NULL, 0, 100000, 60, "session timeout in s as announced; 0: announced as 0 and not enforced (P6)") \
    KNOB(enforce, "enforce", NULL, 0, 1, 1, "1: a session without keep-alive ends at its timeout") \
    KNOB(alive, "alive", "any,options,get-parameter,rtcp,rtsp", 0, 0, 0, "what counts as keep-alive (K1, K2)") \
    KNOB(public, "public", "all,no-get-parameter", 0, 0, 0, "methods that OPTIONS names (K1)") \
    KNOB(alive_silent, "alive-silent", NULL, 0, 1, 0, "1: keep-alives get no answer (K3)") \
    KNOB(max_sessions, "max-sessions", NULL, 0, 100000, 0, "more get `full-status`; 0: no limit (K9)") \
    KNOB(full_status, "full-status", NULL, 200, 599, 453, "answer to one session too many (K9)") \
    KNOB(udp, "udp", NULL, 0, 1, 1, "0: UDP gets 461 (P12)") \
    KNOB(tcp, "tcp", NULL, 0, 1, 1, "0: TCP gets 461 (P12)") \
    KNOB(udp_silent, "udp-silent", NULL, 0, 1, 0, "1: accepts UDP and sends nothing (P13)") \
    KNOB(options_status, "options-status", NULL, 0, 599, 0, "answer OPTIONS with this (C14); 1: do not answer") \
    KNOB(describe_status, "describe-status", NULL, 0, 599, 0, "answer DESCRIBE with this; 1: do not answer") \
    KNOB(setup_status, "setup-status", NULL, 0, 599, 0, "answer SETUP with this; 1: do not answer") \
    KNOB(play_status, "play-status", NULL, 0, 599, 0, "answer PLAY with this; 1: do not answer") \
    KNOB(get_parameter_status, "get-parameter-status", NULL, 0, 599, 0, "answer GET_PARAMETER with this (P19); 1: do not answer") \
    KNOB(teardown_status, "teardown-status", NULL, 0, 599, 0, "answer TEARDOWN with this (P20); 1: do not answer") \
    KNOB(one_describe, "one-describe", NULL, 0, 1, 0, "1: a second DESCRIBE on a connection gets 400 (C13)") \
    KNOB(no_range, "no-range", NULL, 0, 1, 0, "1: PLAY with Range gets 457 (P15)") \
    KNOB(need_range, "need-range", NULL, 0, 1, 0, "1: PLAY without Range sends nothing (P15)") \
    KNOB(need_agent, "need-agent", NULL, 0, 1, 0, "1: 400 without User-Agent (C11)") \
    KNOB(relative_only, "relative-only", NULL, 0, 1, 0, "1: 404 on absolute request URLs (C10)") \
    KNOB(rtp_info, "rtp-info", "normal,none,zero,wrong,relative,junk", 0, 0, 0, "RTP-Info (P16)") \
    KNOB(base, "base", "normal,none,no-scheme,double,wrong-host", 0, 0, 0, "Content-Base (P1, P4)") \
    KNOB(control, "track-url", "normal,absolute,query,none", 0, 0, 0, "a=control (P2, P3)") \
    KNOB(transport, "transport", "normal,no-tcp,single,ssrc-first,bare,bad-ssrc", 0, 0, 0, "Transport of the answer (P7, P17)") \
    KNOB(session, "session", "normal,none,blanks,no-timeout", 0, 0, 0, "Session header (P5, P6)") \
    KNOB(heads, "heads", "normal,lower,lf,no-cseq,blanks,crlf-before", 0, 0, 0, "form of the answers (C1, C3, C4)") \
    KNOB(no_type, "no-type", NULL, 0, 1, 0, "1: DESCRIBE without Content-Type (C17)") \
    KNOB(no_length, "no-length", NULL, 0, 1, 0, "1: DESCRIBE without Content-Length (C18)") \
    KNOB(dribble, "dribble", NULL, 0, 1, 0, "1: answers leave byte by byte (C7)") \
    KNOB(fast, "fast", NULL, 1, 100, 1, "times real time")
/*   TEXT(field, name, help) */
#define KNOB_TEXTS(TEXT) \
    TEXT(user, "user", "login") \
    TEXT(pass, "pass", "password") \
    TEXT(realm, "realm", "realm of the challenge (U9)") \
    TEXT(title, "title", "session's name in the SDP instead of the stream's") \
    TEXT(redirect, "redirect", "URL: DESCRIBE gets 302 with it (C15)") \
    TEXT(sdp_file, "sdp-file", "SDP sent instead of the right one (S rows)")
/* clang-format on */

struct knobs {
#define KNOB(field, name, choices, least, most, def, help) int64_t field;
    KNOBS(KNOB)
#undef KNOB
#define TEXT(field, name, help) char field[KNOB_TEXT_MAX];
    KNOB_TEXTS(TEXT)
#undef TEXT
};

void knobs_init(struct knobs *k);
/* NULL, or why not: a text that stays. */
const char *knobs_set(struct knobs *k, struct span name, struct span value);
bool knobs_has(struct span name);
void knobs_json(struct buf *to, const struct knobs *k); /* those that differ from the default */
void knobs_help(void);                                  /* to stdout */

#endif
