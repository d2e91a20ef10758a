/* What a tunnel's connection begins with, and the base64 of its POST, in pieces as long as the first byte
 * says. */
#include "httpd/rtsp/tunnel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span in = span_from(span(data, n), 1);
    size_t piece = n > 0 ? data[0] % 16 + 1u : 1, to = 0;
    enum tunnel_kind kind = TUNNEL_MORE;
    struct tunnel_head h = {0};
    struct tunnel_text text = {0};
    struct head_find find = {0};
    struct buf out;

    while (kind == TUNNEL_MORE && to < in.n) {
        to = MIN(to + piece, in.n);
        kind = tunnel_look(&find, span_sub(in, 0, to), &h);
    }
    if (kind < TUNNEL_GET) return 0;
    if (h.n > to || h.cookie[0] == '\0') __builtin_trap();
    buf_init(&out, 4096);
    for (in = span_from(in, h.n); in.n > 0; in = span_from(in, piece))
        if (!tunnel_decode(&text, span_sub(in, 0, piece), &out)) break;
    if (buf_n(&out) > n) __builtin_trap();
    buf_done(&out);
    return 0;
}
