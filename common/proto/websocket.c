#include "common/proto/websocket.h"
#include "common/base/rd.h"
#include "common/base/utf8.h"
#include "common/wire/base64.h"
#include "common/wire/crypto.h"

#define VERSION  "13"
#define KEY_N    16 /* bytes of Sec-WebSocket-Key (4.1) */
#define GUID     "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
#define FIN      0x80
#define RESERVED 0x70
#define OPCODE   0x0f
#define MASKED   0x80
#define LENGTH   0x7f
#define IN_16    126 /* the length stands in the next 2 bytes, or 8 */
#define IN_64    127
#define MASK_N   4

unsigned ws_handshake(const struct http_request *r, char ret_accept[WS_ACCEPT_MAX])
{
    struct span key = head_get(&r->head, "Sec-WebSocket-Key"), pieces[2];
    uint8_t raw[KEY_N], sha1[CRYPTO_SHA1_N];
    struct wr w = wr_of(raw, sizeof(raw));

    if (r->method != HTTP_GET || !r->upgrade || !head_has_token(&r->head, "Upgrade", "websocket")) return 426;
    if (!span_is(head_get(&r->head, "Sec-WebSocket-Version"), VERSION)) return 426;
    if (key.n != BASE64_N(KEY_N) || !base64_read(key, &w) || w.n != KEY_N) return 400;
    pieces[0] = key;
    pieces[1] = SPAN_LIT(GUID);
    crypto_hash(CRYPTO_SHA1, pieces, ARRAY_N(pieces), sha1);
    w = wr_of(ret_accept, WS_ACCEPT_MAX);
    base64_write(&w, span(sha1, sizeof(sha1)));
    wr_cstr(&w);
    return 0;
}

static bool is_control(uint8_t opcode)
{
    return opcode >= WS_CLOSE;
}

/* Bytes of the head, as far as its first two say. */
static size_t head_size(const struct ws_reader *r)
{
    uint8_t n = r->head[1] & LENGTH;

    return 2u + (n == IN_16 ? 2u : n == IN_64 ? 8u : 0u) + MASK_N;
}

/* 0, or a close code. */
static int check_first(const struct ws_reader *r)
{
    uint8_t opcode = r->head[0] & OPCODE;
    bool fin = r->head[0] & FIN, known = opcode <= WS_BINARY || (is_control(opcode) && opcode <= WS_PONG);

    if ((r->head[0] & RESERVED) || !known || !(r->head[1] & MASKED)) return WS_PROTOCOL_ERROR;
    if (is_control(opcode) && (!fin || (r->head[1] & LENGTH) > WS_CONTROL_MAX)) return WS_PROTOCOL_ERROR;
    if (opcode == WS_CONTINUATION && r->of == 0) return WS_PROTOCOL_ERROR;
    if (!is_control(opcode) && opcode != WS_CONTINUATION && r->of != 0) return WS_PROTOCOL_ERROR;
    return 0;
}

static int begin_payload(struct ws_reader *r)
{
    struct rd in = rd_of(span(r->head + 2, sizeof(r->head) - 2));
    uint8_t n = r->head[1] & LENGTH;

    r->left = n == IN_16 ? rd_u16(&in) : n == IN_64 ? rd_u64(&in) : n;
    if ((n == IN_16 && r->left < IN_16) || (n == IN_64 && r->left <= UINT16_MAX)) return WS_PROTOCOL_ERROR;
    if (r->left > INT64_MAX) return WS_PROTOCOL_ERROR;
    r->opcode = r->head[0] & OPCODE;
    r->at = 0;
    r->in_payload = true;
    if (is_control(r->opcode)) {
        r->n_control = 0;
        return 0;
    }
    if (r->opcode != WS_CONTINUATION) {
        r->of = r->opcode;
        r->n_message = 0;
    }
    return r->left > WS_MESSAGE_MAX - r->n_message ? WS_TOO_BIG : 0;
}

/* 0: the payload begins; WS_MORE; or a close code. */
static int read_head(struct ws_reader *r, struct span *in)
{
    while (r->head_n < 2 || r->head_n < head_size(r)) {
        int err;

        if (in->n == 0) return WS_MORE;
        r->head[r->head_n++] = in->p[0];
        *in = span_from(*in, 1);
        if (r->head_n != 2) continue;
        err = check_first(r);
        if (err != 0) return err;
    }
    return begin_payload(r);
}

static void unmask(struct ws_reader *r, struct span *in)
{
    const uint8_t *mask = r->head + r->head_n - MASK_N;
    size_t n = (size_t)MIN(r->left, (uint64_t)in->n);
    uint8_t *to = is_control(r->opcode) ? r->control + r->n_control : r->message + r->n_message;

    for (size_t i = 0; i < n; i++) to[i] = in->p[i] ^ mask[(r->at + i) % MASK_N];
    r->at += n;
    r->left -= n;
    *(is_control(r->opcode) ? &r->n_control : &r->n_message) += n;
    *in = span_from(*in, n);
}

static bool is_text(struct span s)
{
    while (s.n > 0) {
        size_t n = utf8_len(s);

        if (n == 0) return false;
        s = span_from(s, n);
    }
    return true;
}

/* The frame is whole. 0: *ret; WS_MORE: it is a part of a message; or a close code. */
static int end_frame(struct ws_reader *r, struct ws_message *ret)
{
    bool fin = r->head[0] & FIN;

    r->head_n = 0;
    r->in_payload = false;
    if (is_control(r->opcode)) {
        *ret = (struct ws_message){(enum ws_opcode)r->opcode, span(r->control, r->n_control)};
        return 0;
    }
    if (!fin) return WS_MORE;
    *ret = (struct ws_message){(enum ws_opcode)r->of, span(r->message, r->n_message)};
    r->of = 0;
    return ret->opcode == WS_TEXT && !is_text(ret->data) ? WS_NO_TEXT : 0;
}

static int read_frame(struct ws_reader *r, struct span *in, struct ws_message *ret)
{
    int err = r->in_payload ? 0 : read_head(r, in);

    if (err != 0) return err;
    unmask(r, in);
    return r->left > 0 ? WS_MORE : end_frame(r, ret);
}

int ws_read(struct ws_reader *r, struct span *in, struct ws_message *ret)
{
    int err = r->lost ? WS_PROTOCOL_ERROR : WS_MORE;

    while (err == WS_MORE && in->n > 0) err = read_frame(r, in, ret);
    if (err != 0 && err != WS_MORE) r->lost = true;
    return err;
}

unsigned ws_close_code(struct span payload)
{
    struct rd r = rd_of(payload);
    unsigned code = rd_u16(&r);

    if (payload.n == 0) return WS_NO_CODE;
    if (!rd_ok(&r)) return WS_PROTOCOL_ERROR;
    /* 7.4.2: below 1000 never, up to 2999 by this protocol only, 3000 to 4999 registered or private. 1004 to
     * 1006, 1015: not in a frame. */
    if (code < 1000 || code >= 5000 || (code > 1014 && code < 3000)) return WS_PROTOCOL_ERROR;
    if (code >= 1004 && code <= 1006) return WS_PROTOCOL_ERROR;
    return is_text(rd_rest(&r)) ? code : WS_NO_TEXT;
}

size_t ws_head(uint8_t dst[WS_HEAD_MAX], enum ws_opcode opcode, uint64_t n)
{
    struct wr w = wr_of(dst, WS_HEAD_MAX);

    wr_u8(&w, (uint8_t)(FIN | opcode));
    if (n < IN_16) {
        wr_u8(&w, (uint8_t)n);
    } else if (n <= UINT16_MAX) {
        wr_u8(&w, IN_16);
        wr_u16(&w, (uint16_t)n);
    } else {
        wr_u8(&w, IN_64);
        wr_u64(&w, n);
    }
    return w.n;
}
