/* Frames between nodes, by either side: read to their end or refused, each byte taken once; what is read can
 * be written again as the same frame. */
#include "common/base/err.h"
#include "common/base/mem.h"
#include "courier/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    enum wire_side side = n > 0 && p[0] & 1 ? WIRE_DIALLER : WIRE_ACCEPTER;
    struct span rest = span_from(span(p, n), 1);
    struct wire_frame f;

    while (wire_read(rest, side, &f) == WIRE_OK) {
        struct buf b;
        struct packer pk;
        struct wire_frame again;
        size_t pairs = packed_n(f.body);

        must(f.n > WIRE_HEAD && f.n <= rest.n);
        buf_init(&b, 2 * WIRE_ROOM_MAX);
        pk = wire_begin(&b, f.type, f.id, (uint32_t)pairs);
        for (size_t i = 0; i < pairs; i++) {
            const struct packed *v;
            struct span key;

            if (!packed_pair(f.body, i, &key, &v)) key = SPAN_NONE, v = NULL;
            pack_str(&pk, key);
            pack_value(&pk, v);
        }
        if (wire_end(&pk, 0) && wire_read(buf_span(&b), side, &again) == WIRE_OK) {
            must(again.type == f.type && again.id == f.id && again.n == buf_n(&b));
            wire_frame_done(&again);
        }
        buf_done(&b);
        rest = span_from(rest, f.n);
        wire_frame_done(&f);
    }
    return 0;
}
