#include "tests/support/depay_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The first byte chooses the shape of the AU headers. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const shapes[] = {"mode=AAC-hbr;config=1408", "mode=AAC-lbr", "",
        "sizelength=16;ctsdeltalength=5;dtsdeltalength=9;randomaccessindication=1;auxiliarydatasizelength=7",
        "constantsize=20;sizelength=0;indexlength=0"};

    if (n == 0) return 0;
    depay_fuzz(CODEC_AAC, shapes[data[0] % ARRAY_N(shapes)], span_from(span(data, n), 1));
    return 0;
}
