#include "tests/support/depay_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    depay_fuzz(CODEC_H264, NULL, span(data, n));
    return 0;
}
