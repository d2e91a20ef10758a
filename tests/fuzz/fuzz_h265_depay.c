#include "tests/support/depay_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The first byte chooses whether decoding order numbers are there. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n == 0) return 0;
    depay_fuzz(CODEC_H265, data[0] & 1 ? "sprop-max-don-diff=1" : NULL, span_from(span(data, n), 1));
    return 0;
}
