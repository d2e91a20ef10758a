/* A client's frames in pieces: the first byte says how large they are. The result must not depend on the
 * cuts, and no message is longer than its limit. */
#include "common/proto/websocket.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* A sum of all that came out. */
static uint64_t run(struct span in, size_t step)
{
    struct ws_reader r = {0};
    uint64_t sum = 0;

    while (in.n > 0) {
        struct span piece = span_sub(in, 0, step);
        size_t before = piece.n;
        struct ws_message m;
        int err = ws_read(&r, &piece, &m);

        if (piece.n >= before || (err == WS_MORE && piece.n > 0)) __builtin_trap();
        in = span_from(in, before - piece.n);
        if (err == WS_MORE) continue;
        if (err != 0) return sum * 31 + (uint64_t)err;
        if (m.data.n > (m.opcode >= WS_CLOSE ? WS_CONTROL_MAX : WS_MESSAGE_MAX)) __builtin_trap();
        if (m.opcode == WS_CLOSE) sum += ws_close_code(m.data);
        for (size_t i = 0; i < m.data.n; i++) sum = sum * 31 + m.data.p[i];
        sum = sum * 31 + m.opcode;
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span in;

    if (n < 1) return 0;
    in = span(data + 1, n - 1);
    if (run(in, (size_t)data[0] + 1) != run(in, SIZE_MAX)) __builtin_trap();
    return 0;
}
