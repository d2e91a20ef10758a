/* RTSP over HTTP: a GET whose answer is the server's side, and POSTs whose bodies are the client's in base64,
 * tied together by x-sessioncookie. Source: Apple, "Tunnelling RTSP and RTP over HTTP"; cameras.md N1. A POST
 * is never answered, may end and be opened anew, and its base64 may be cut anywhere. Tests:
 * tests/unit/rtsp/test_tunnel.c, tests/fuzz/fuzz_rtsp_tunnel.c. */
#ifndef RTSP_TUNNEL_H
#define RTSP_TUNNEL_H

#include "common/base/buf.h"
#include "common/wire/head.h"

#define TUNNEL_COOKIE_MAX 64
#define TUNNEL_HEAD_MAX   8192

enum tunnel_kind {
    TUNNEL_MORE = 0, /* more bytes are needed to tell */
    TUNNEL_NONE,     /* no HTTP */
    TUNNEL_BAD,      /* HTTP, but no tunnel */
    TUNNEL_GET,
    TUNNEL_POST
};
struct tunnel_head {
    size_t n; /* bytes of the head */
    char cookie[TUNNEL_COOKIE_MAX];
    struct span path; /* of the request line, with its query */
    struct head head;
};
/* What a connection begins with; *find is zeroed at its start. */
enum tunnel_kind tunnel_look(struct head_find *find, struct span in, struct tunnel_head *ret);
/* Is this request of HTTP one side of a tunnel? */
bool tunnel_is(const struct head *h);
/* The answer to a GET. */
struct span tunnel_answer(void);

/* The client's side. Zeroed at the start of each POST. */
struct tunnel_text {
    uint8_t quad[4];
    uint8_t n;
};
/* Appends what it says to `to`. false: no base64, or more than `to` takes. */
bool tunnel_decode(struct tunnel_text *t, struct span in, struct buf *to);

#endif
