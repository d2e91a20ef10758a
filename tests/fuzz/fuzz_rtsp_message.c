/* One RTSP message: the liberal head, and every field that is read out of it. */
#include "common/proto/rtsp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void fields(const struct head *h)
{
    struct span value, member, name;
    size_t at = 0;

    for (size_t i = 0; i < h->n; i++) {
        struct rtsp_session s;
        struct rtsp_transport t;
        struct rtsp_rtp_info r;
        struct rtsp_range range;

        value = h->f[i].value;
        rtsp_session(value, &s);
        rtsp_range(value, &range);
        for (struct span rest = value; rtsp_transport_next(&rest, &t);) continue;
        for (struct span rest = value; rtsp_rtp_info_next(&rest, &r);) continue;
        for (struct span rest = value; head_list_next(&rest, ',', &member);)
            head_param(member, &name, &value);
    }
    while (head_next(h, "CSeq", &at, &value)) continue;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct head_limits limits = {RTSP_LINE_MAX, RTSP_HEAD_MAX};
    struct head_find f = {0}, whole = {0};
    struct head h;
    size_t head_n = 0, again = 0;
    uint32_t cseq;
    int e = HEAD_E_MORE;

    /* In two pieces the end is where it is in one. */
    if (n > 1) e = head_find(&f, span(data, n / 2), &limits, &head_n);
    if (e == HEAD_E_MORE) e = head_find(&f, span(data, n), &limits, &head_n);
    if (head_find(&whole, span(data, n), &limits, &again) != e && e == 0) __builtin_trap();
    if (e == 0 && (head_n != again || head_n > n)) __builtin_trap();
    if (head_parse(span(data, n), &h) != 0) return 0;
    rtsp_cseq(&h, &cseq);
    rtsp_methods(&h);
    rtsp_is_sdp(&h);
    fields(&h);
    return 0;
}
