#include "common/base/err.h"
#include "common/media/aac.h"
#include "common/media/opus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct span s = span(data, n);
    struct aac_config c, again;
    struct aac_adts h;

    if (aac_config_parse(s, &c)) {
        must(c.rate > 0 && c.object > 0 && (c.frame == 1024 || c.frame == 960));
        if (c.object < 31 && c.object != AAC_SBR && c.object != AAC_PS && c.channels > 0) {
            uint8_t mem[8];
            struct wr w = wr_of(mem, sizeof mem);

            aac_config_write(&w, c.object, c.rate, c.channels);
            must(aac_config_parse(wr_span(&w), &again));
            must(again.rate == c.rate && again.object == c.object && again.channels == c.channels);
        }
    }
    if (aac_adts_parse(s, &h)) must(h.rate > 0 && h.frame_n > h.head_n);
    must(opus_samples(s) <= OPUS_SAMPLES_MAX);
    return 0;
}
