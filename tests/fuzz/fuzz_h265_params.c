#include "common/base/err.h"
#include "common/media/annexb.h"
#include "common/media/h265.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* NAL units with start codes: all readers, one store, and the configuration of what it holds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t config[2048];
    struct span rest = span(data, n), nal;
    struct params store = {0};
    struct h265_sps sps = {.poc_lsb_bits = 8};
    struct h265_pps pps = {0};
    struct h265_poc poc = {0};
    struct h265_slice s;

    while (annexb_next(&rest, &nal)) {
        struct wr w = wr_of(config, sizeof config);
        int32_t frames;

        h265_params_put(&store, nal);
        if (h265_sps_parse(nal, &sps) == H265_OK) {
            must(sps.width > 0 && sps.height > 0 && sps.sar_w > 0 && sps.sar_h > 0);
            must(sps.reorder >= -1 && sps.reorder <= 16 && sps.poc_lsb_bits <= 16 && sps.layers <= 7);
        }
        h265_pps_parse(nal, &pps);
        h265_recovery_point(nal, &frames);
        if (h265_slice_parse(nal, &sps, &pps, &s) == H265_OK && s.has_poc) h265_poc_next(&poc, &sps, &s);
        if (h265_config(&w, &store, n & 1 ? PARAMS_USED : PARAMS_WANTED)) must(w.n >= 23);
    }
    params_done(&store);
    return 0;
}
