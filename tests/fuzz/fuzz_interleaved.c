/* The interleaved stream in pieces: the first byte says how large they are. Every call makes progress or asks
 * for more than there is, and nothing but what was given is looked at. */
#include "common/proto/interleaved.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static bool drain(struct interleaved *il, struct span *in)
{
    for (;;) {
        struct interleaved_event e;
        size_t took;

        interleaved_next(il, *in, &took, &e);
        if (took > in->n) __builtin_trap();
        if (e.kind == INTERLEAVED_LOST) return false;
        if (e.kind == INTERLEAVED_MORE) {
            if (took != 0 || e.need <= in->n) __builtin_trap();
            return true;
        }
        if (took == 0) __builtin_trap();
        *in = span_from(*in, took);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct interleaved il;
    struct span in;
    size_t step, have = 0;

    if (n < 2) return 0;
    step = (size_t)data[0] + 1;
    in = span(data + 1, 0);
    interleaved_init(&il);
    interleaved_channel(&il, 0);
    interleaved_channel(&il, 1);
    while (have < n - 1) {
        size_t more = MIN(step, n - 1 - have);

        have += more;
        in.n += more;
        if (!drain(&il, &in)) return 0;
        if (interleaved_in_body(&il) && have % 3 == 0) interleaved_flush(&il);
    }
    return 0;
}
