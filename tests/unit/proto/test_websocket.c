/* common/proto/websocket: the examples of RFC 6455, every rule of framing that a client can break, limits at
 * the edge and one above. */
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/proto/websocket.h"

static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};

/* A client's frame. */
static size_t put(uint8_t *to, uint8_t first, struct span payload)
{
    struct wr w = wr_of(to, payload.n + 14);

    wr_u8(&w, first);
    if (payload.n < 126) {
        wr_u8(&w, (uint8_t)(0x80 | payload.n));
    } else {
        wr_u8(&w, 0x80 | 126);
        wr_u16(&w, (uint16_t)payload.n);
    }
    wr_bytes(&w, span(mask, 4));
    for (size_t i = 0; i < payload.n; i++) wr_u8(&w, payload.p[i] ^ mask[i % 4]);
    return w.n;
}

/* Reads `in` in pieces of `step` bytes until something is there: the message as text, or the code. */
static int read_by(struct ws_reader *r, struct span in, size_t step, struct ws_message *ret)
{
    int err = WS_MORE;

    while (err == WS_MORE && in.n > 0) {
        struct span piece = span_sub(in, 0, step);
        size_t before = piece.n;

        err = ws_read(r, &piece, ret);
        in = span_from(in, before - piece.n);
    }
    return err;
}

static int read_one(struct span in, struct ws_message *ret)
{
    static struct ws_reader r;

    r = (struct ws_reader){0};
    return read_by(&r, in, SIZE_MAX, ret);
}

/* RFC 6455 5.7. */
static void examples_of_the_rfc(void **state)
{
    static const uint8_t hello[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    static const uint8_t pong[] = {0x8a, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
    static const uint8_t plain[] = {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
    struct ws_message m;
    uint8_t head[WS_HEAD_MAX];

    (void)state;
    assert_int_equal(read_one(span(hello, sizeof(hello)), &m), 0);
    assert_int_equal(m.opcode, WS_TEXT);
    assert_true(span_is(m.data, "Hello"));
    assert_int_equal(read_one(span(pong, sizeof(pong)), &m), 0);
    assert_int_equal(m.opcode, WS_PONG);
    assert_true(span_is(m.data, "Hello"));
    assert_int_equal(read_one(span(plain, sizeof(plain)), &m), WS_PROTOCOL_ERROR); /* a client must mask */
    assert_int_equal(ws_head(head, WS_TEXT, 5), 2);
    assert_memory_equal(head, plain, 2);
    assert_int_equal(ws_head(head, WS_BINARY, 256), 4);
    assert_memory_equal(head, "\x82\x7e\x01\x00", 4);
    assert_int_equal(ws_head(head, WS_BINARY, 65536), 10);
    assert_memory_equal(head, "\x82\x7f\0\0\0\0\0\1\0\0", 10);
    assert_int_equal(ws_head(head, WS_BINARY, 125), 2);
    assert_int_equal(ws_head(head, WS_BINARY, 126), 4);
    assert_int_equal(ws_head(head, WS_BINARY, 65535), 4);
}

static unsigned shake(const char *text, char accept[WS_ACCEPT_MAX])
{
    struct head_find find = {0};
    struct http_request r;
    size_t n;

    assert_int_equal(http_request_parse(&find, span_of(text), 0, &r, &n), 0);
    return ws_handshake(&r, accept);
}

/* RFC 6455 1.3 has the key and its answer. */
static void handshake(void **state)
{
#define ASK(method, upgrade, connection, version, key)                                                       \
    method " /cam/mse_ld HTTP/1.1\r\nHost: t\r\nUpgrade: " upgrade "\r\nConnection: " connection             \
           "\r\nSec-WebSocket-Key: " key "\r\nSec-WebSocket-Version: " version "\r\n\r\n"
#define KEY "dGhlIHNhbXBsZSBub25jZQ=="
    static const struct {
        const char *text;
        unsigned status;
    } rows[] = {
        {ASK("GET", "websocket", "Upgrade", "13", KEY), 0},
        {ASK("GET", "WebSocket", "keep-alive, Upgrade", "13", KEY), 0},
        {ASK("POST", "websocket", "Upgrade", "13", KEY), 426},
        {ASK("GET", "h2c", "Upgrade", "13", KEY), 426},
        {ASK("GET", "websocket", "keep-alive", "13", KEY), 426},
        {ASK("GET", "websocket", "Upgrade", "8", KEY), 426},
        {ASK("GET", "websocket", "Upgrade", "13", ""), 400},
        {ASK("GET", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZ"), 400},
        {ASK("GET", "websocket", "Upgrade", "13", "dGhlIHNhbXBsZSBub25jZTE="), 400},
        {ASK("GET", "websocket", "Upgrade", "13", "************************"), 400},
        {"GET / HTTP/1.1\r\nHost: t\r\n\r\n", 426},
    };
    char accept[WS_ACCEPT_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        assert_int_equal(shake(rows[i].text, accept), rows[i].status);
        if (rows[i].status == 0) assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }
}

/* A message in three frames with a ping between them, at any cut. */
static void fragments_and_control_frames(void **state)
{
    uint8_t in[64];
    size_t n = 0;

    (void)state;
    n += put(in + n, WS_TEXT, SPAN_LIT("pl"));
    n += put(in + n, 0x80 | WS_PING, SPAN_LIT("?"));
    n += put(in + n, WS_CONTINUATION, SPAN_NONE);
    n += put(in + n, 0x80 | WS_CONTINUATION, SPAN_LIT("ay"));
    n += put(in + n, 0x80 | WS_BINARY, SPAN_NONE);
    for (size_t step = 1; step <= n; step++) {
        struct ws_reader *r = NEW(struct ws_reader);
        struct span rest = span(in, n);
        struct ws_message m;
        static const struct {
            enum ws_opcode opcode;
            const char *text;
        } want[] = {{WS_PING, "?"}, {WS_TEXT, "play"}, {WS_BINARY, ""}};

        for (size_t i = 0; i < ARRAY_N(want); i++) {
            int err = WS_MORE;

            while (err == WS_MORE) {
                struct span piece = span_sub(rest, 0, step);
                size_t before = piece.n;

                assert_true(before > 0);
                err = ws_read(r, &piece, &m);
                rest = span_from(rest, before - piece.n);
            }
            assert_int_equal(err, 0);
            assert_int_equal(m.opcode, want[i].opcode);
            assert_true(span_is(m.data, want[i].text));
        }
        assert_int_equal(rest.n, 0);
        mem_free(r);
    }
}

static void what_a_client_may_not_send(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        int code;
    } rows[] = {
        {"\xc1\x80mask", 6, WS_PROTOCOL_ERROR}, /* reserved bit */
        {"\x91\x80mask", 6, WS_PROTOCOL_ERROR}, /* reserved bit */
        {"\x83\x80mask", 6, WS_PROTOCOL_ERROR}, /* opcodes that are none */
        {"\x87\x80mask", 6, WS_PROTOCOL_ERROR}, {"\x8b\x80mask", 6, WS_PROTOCOL_ERROR},
        {"\x8f\x80mask", 6, WS_PROTOCOL_ERROR},
        {"\x80\x80mask", 6, WS_PROTOCOL_ERROR},                      /* goes on with nothing */
        {"\x09\x80mask", 6, WS_PROTOCOL_ERROR},                      /* a control frame in parts */
        {"\x89\xfe\x00\x7emask", 8, WS_PROTOCOL_ERROR},              /* a control frame of 126 bytes */
        {"\x81\xfe\x00\x7dmask", 8, WS_PROTOCOL_ERROR},              /* 125 in two bytes */
        {"\x81\xff\0\0\0\0\0\0\xff\xffmask", 14, WS_PROTOCOL_ERROR}, /* 65535 in eight */
        {"\x81\xff\x80\0\0\0\0\0\0\0mask", 14, WS_PROTOCOL_ERROR},   /* the top bit */
        {"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xffmask", 14, WS_TOO_BIG},
        {"\x81\xfe\x04\x01mask", 8, WS_TOO_BIG}, /* one above WS_MESSAGE_MAX */
        {"\x81\x82\0\0\0\0\xc3\x28", 8, WS_NO_TEXT},
        {"\x81\x83\0\0\0\0\xed\xa0\x80", 9, WS_NO_TEXT},     /* a surrogate */
        {"\x01\x80mask\x81\x80mask", 12, WS_PROTOCOL_ERROR}, /* a message inside another */
    };
    struct ws_message m;

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++) {
        struct ws_reader *r = NEW(struct ws_reader);

        assert_int_equal(read_by(r, span(rows[i].bytes, rows[i].n), 1, &m), rows[i].code);
        assert_int_equal(
            read_by(r, SPAN_LIT("\x81\x80mask"), SIZE_MAX, &m), WS_PROTOCOL_ERROR); /* for good */
        mem_free(r);
    }
}

static void limits(void **state)
{
    uint8_t *payload = mem_new(WS_MESSAGE_MAX + 1), *in = mem_new(2 * WS_MESSAGE_MAX);
    struct ws_reader *r = NEW(struct ws_reader);
    struct ws_message m;
    size_t n;

    (void)state;
    memset(payload, 'x', WS_MESSAGE_MAX + 1);
    n = put(in, 0x80 | WS_TEXT, span(payload, WS_MESSAGE_MAX));
    assert_int_equal(read_one(span(in, n), &m), 0);
    assert_int_equal(m.data.n, WS_MESSAGE_MAX);
    n = put(in, 0x80 | WS_TEXT, span(payload, WS_MESSAGE_MAX + 1));
    assert_int_equal(read_one(span(in, n), &m), WS_TOO_BIG);
    n = put(in, WS_TEXT, span(payload, WS_MESSAGE_MAX));
    n += put(in + n, WS_CONTINUATION, SPAN_NONE);
    n += put(in + n, 0x80 | WS_CONTINUATION, SPAN_LIT("y"));
    assert_int_equal(read_by(r, span(in, n), SIZE_MAX, &m), WS_TOO_BIG);
    n = put(in, 0x80 | WS_PING, span(payload, WS_CONTROL_MAX));
    assert_int_equal(read_one(span(in, n), &m), 0);
    assert_int_equal(m.data.n, WS_CONTROL_MAX);
    mem_free(r);
    mem_free(in);
    mem_free(payload);
}

static void close_codes(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
        unsigned code;
    } rows[] = {
        {"", 0, WS_NO_CODE},
        {"\x03", 1, WS_PROTOCOL_ERROR},
        {"\x03\xe8", 2, WS_NORMAL},
        {"\x03\xe9gone", 6, WS_GOING_AWAY},
        {"\x03\xe7", 2, WS_PROTOCOL_ERROR}, /* 999 */
        {"\x03\xec", 2, WS_PROTOCOL_ERROR}, /* 1004 */
        {"\x03\xed", 2, WS_PROTOCOL_ERROR}, /* 1005 */
        {"\x03\xee", 2, WS_PROTOCOL_ERROR}, /* 1006 */
        {"\x03\xf6", 2, 1014},
        {"\x03\xf7", 2, WS_PROTOCOL_ERROR}, /* 1015 */
        {"\x0b\xb7", 2, WS_PROTOCOL_ERROR}, /* 2999 */
        {"\x0b\xb8", 2, 3000},
        {"\x13\x87", 2, 4999},
        {"\x13\x88", 2, WS_PROTOCOL_ERROR}, /* 5000 */
        {"\x03\xe8\xff", 3, WS_NO_TEXT},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_N(rows); i++)
        assert_int_equal(ws_close_code(span(rows[i].bytes, rows[i].n)), rows[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples_of_the_rfc),
        cmocka_unit_test(handshake),
        cmocka_unit_test(fragments_and_control_frames),
        cmocka_unit_test(what_a_client_may_not_send),
        cmocka_unit_test(limits),
        cmocka_unit_test(close_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
