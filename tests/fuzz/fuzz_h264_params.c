#include "common/base/err.h"
#include "common/media/annexb.h"
#include "common/media/h264.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* NAL units with start codes: all readers, one store, and the configuration of what it holds. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static uint8_t config[2048];
    struct span rest = span(data, n), nal;
    struct params store = {0};
    struct h264_sps sps = {.poc_lsb_bits = 4, .frame_num_bits = 4};
    struct h264_slice last = {0}, s;
    struct h264_poc poc = {0};

    while (annexb_next(&rest, &nal)) {
        struct wr w = wr_of(config, sizeof config);
        struct h264_recovery r;

        must(nal.n > 0 && !annexb_within(nal));
        h264_params_put(&store, nal);
        if (h264_sps_parse(nal, &sps) == H264_OK) {
            must(sps.width > 0 && sps.height > 0 && sps.sar_w > 0 && sps.sar_h > 0);
            must(
                sps.reorder >= -1 && sps.reorder <= 16 && sps.frame_num_bits <= 16 && sps.poc_lsb_bits <= 16);
        }
        h264_recovery_point(nal, &r);
        if (h264_slice_parse(nal, &sps, &s) == H264_OK) {
            h264_other_picture(&last, &s);
            if (s.has_poc) h264_poc_next(&poc, &sps, &s);
            last = s;
        }
        if (h264_config(&w, &store, n & 1 ? PARAMS_USED : PARAMS_WANTED)) must(w.n >= 7);
    }
    params_done(&store);
    return 0;
}
