/* WebSocket, the server's side: the handshake, frames that a client sends, heads of those we send. Source:
 * RFC 6455 (4.2 handshake, 5 framing, 7.4 close codes). No extension is spoken, so reserved bits are an
 * error. A client's frame must be masked (5.1); lengths must have their shortest form (5.2); text must be
 * UTF-8 (8.1). Messages of clients are commands: they are joined in memory of the reader's own, up to
 * WS_MESSAGE_MAX. Tests: tests/unit/proto/test_websocket.c, tests/fuzz/fuzz_websocket.c. */
#ifndef PROTO_WEBSOCKET_H
#define PROTO_WEBSOCKET_H

#include "common/wire/http.h"

#define WS_MESSAGE_MAX 1024 /* bytes of a message, its frames together; above it 1009 */
#define WS_CONTROL_MAX 125  /* bytes of a control frame (5.5) */
#define WS_HEAD_MAX    10   /* of a frame of ours: not masked */
#define WS_ACCEPT_MAX  29   /* Sec-WebSocket-Accept, with its NUL */

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* Close codes (7.4.1). */
enum ws_code {
    WS_NORMAL = 1000,
    WS_GOING_AWAY = 1001,
    WS_PROTOCOL_ERROR = 1002,
    WS_UNSUPPORTED = 1003,
    WS_NO_CODE = 1005, /* never sent: the frame had none */
    WS_NO_TEXT = 1007, /* not UTF-8 */
    WS_POLICY = 1008,
    WS_TOO_BIG = 1009
};

/* The opening handshake of a GET. 0: ret_accept is what goes into Sec-WebSocket-Accept; 426: no upgrade to
 * WebSocket of version 13 is asked for; 400: it is, and its key is none. */
unsigned ws_handshake(const struct http_request *r, char ret_accept[WS_ACCEPT_MAX]);

/* Frames of one client. Zeroed at the start. */
struct ws_reader {
    uint8_t head[14];
    uint8_t head_n; /* bytes of the head that are there */
    bool in_payload;
    uint64_t left; /* bytes of the payload to come */
    size_t at;     /* bytes of it that were taken: place in the mask */
    uint8_t opcode;
    uint8_t of; /* opcode of the message under way; 0: none is */
    bool lost;
    size_t n_message, n_control;
    uint8_t message[WS_MESSAGE_MAX];
    uint8_t control[WS_CONTROL_MAX];
};
struct ws_message {
    enum ws_opcode opcode; /* WS_TEXT and WS_BINARY whole; control frames as they come, between the others */
    struct span data;      /* lies in the reader until the next call */
};
#define WS_MORE 1
/* Takes bytes from *in. 0: *ret; WS_MORE: more input is needed; else the close code to answer with: framing
 * is lost, and stays so. */
int ws_read(struct ws_reader *r, struct span *in, struct ws_message *ret);

/* What a client's close frame says: its code, WS_NO_CODE where it has none, WS_PROTOCOL_ERROR or WS_NO_TEXT
 * where it may not stand there (7.4.2, 5.5.1). */
unsigned ws_close_code(struct span payload);

/* The head of a frame of ours with n bytes of payload: one frame a message. Returns its length. */
size_t ws_head(uint8_t dst[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t n);

#endif
