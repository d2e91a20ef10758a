#include "common/base/err.h"
#include "common/base/rd.h"
#include "common/media/timeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Each 14 bytes are a unit, a sender report or a restart; dts must rise whatever they say. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const enum track_kind kinds[TRACK_MAX] = {TRACK_VIDEO, TRACK_AUDIO, TRACK_DATA, TRACK_AUDIO};
    static const uint32_t hz[TRACK_MAX] = {90000, 8000, 90000, 48000};
    struct timeline *t = timeline_new();
    struct rd r = rd_of(span(data, n));
    int64_t last[TRACK_MAX];
    bool any[TRACK_MAX] = {0};
    usec_t mono = US_PER_S, skew = 1700000000 * US_PER_S;

    for (unsigned i = 0; i < TRACK_MAX; i++) timeline_track(t, i, kinds[i], hz[i]);
    while (rd_left(&r) >= 14) {
        uint8_t what = rd_u8(&r), bits = rd_u8(&r);
        struct timeline_in in = {.track = what & 3,
            .timestamp = rd_u32(&r),
            .offset = rd_u8(&r) * 16u,
            .dur = rd_u8(&r) * 8u,
            .reorder = (int8_t)((int)(bits & 31) - 1),
            .backward = bits & 32,
            .new_run = (bits & 192) == 192};
        struct timeline_out out;

        mono += (int64_t)rd_u32(&r) >> (what >> 3 & 15);
        if (what & 128) skew += (int64_t)(int16_t)rd_u16(&r) * 1000;
        in.mono_us = mono;
        in.wall_us = mono + skew;
        if ((what & 4) && (bits & 1)) timeline_restart(t);
        if ((what & 4) && (bits & 2))
            timeline_sr(t, what & 3, (uint64_t)in.timestamp << 32 | bits, in.timestamp, in.wall_us);
        timeline_unit(t, &in, &out);
        must(!any[in.track] || out.dts > last[in.track]);
        last[in.track] = out.dts;
        any[in.track] = true;
    }
    timeline_free(t);
    return 0;
}
