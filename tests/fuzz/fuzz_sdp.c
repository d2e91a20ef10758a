/* A session description, its parameters, what would be set up of it, and the URLs of that. */
#include "common/proto/sdp.h"
#include "common/wire/url.h"
#include "worker/rtsp_choose.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void format(const struct sdp_format *f)
{
    struct span rest = f->fmtp, key, value, nal;
    uint8_t mem[64];

    if (f->clock_hz == 0 || f->channels == 0 || f->pt > 127) __builtin_trap();
    while (sdp_fmtp_next(&rest, &key, &value)) {
        sdp_fmtp(f->fmtp, "config");
        for (struct span sprop = value; sdp_sprop_next(&sprop, mem, sizeof(mem), &nal);)
            if (nal.n == 0 || nal.n > sizeof(mem)) __builtin_trap();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static struct sdp s;
    struct rtsp_track t[RTSP_CLIENT_TRACKS_MAX];
    char text[200];
    size_t wanted, chosen;

    if (!sdp_parse(span(data, n), &s)) return 0;
    if (s.n > SDP_MEDIA_MAX) __builtin_trap();
    for (size_t i = 0; i < s.n; i++) {
        char mem[256];
        struct wr w = wr_of(mem, sizeof(mem));

        for (size_t k = 0; k < s.m[i].n; k++) format(&s.m[i].f[k]);
        url_join_control(&w, SPAN_LIT("rtsp://h/p"), s.m[i].control);
    }
    chosen = rtsp_choose(&s, 0xff, true, t, &wanted);
    if (chosen > RTSP_CLIENT_TRACKS_MAX || wanted > TRACK_MAX || wanted > chosen) __builtin_trap();
    rtsp_choose_explain(&s, text, sizeof(text));
    return 0;
}
