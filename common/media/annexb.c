#include "common/media/annexb.h"

static const uint8_t start_code[] = {0, 0, 1};

struct span annexb_trim(struct span nal)
{
    while (nal.n > 0 && nal.p[nal.n - 1] == 0) nal.n--;
    return nal;
}

bool annexb_at_start(struct span nal)
{
    static const uint8_t longer[] = {0, 0, 0, 1};

    return span_starts(nal, span(start_code, sizeof start_code)) ||
        span_starts(nal, span(longer, sizeof longer));
}

bool annexb_within(struct span nal)
{
    return span_find_span(nal, span(start_code, sizeof start_code)) >= 0;
}

bool annexb_next(struct span *rest, struct span *ret_nal)
{
    while (rest->n > 0) {
        ssize_t at = span_find_span(*rest, span(start_code, sizeof start_code));
        struct span nal = annexb_trim(at < 0 ? *rest : span_sub(*rest, 0, (size_t)at));

        *rest = at < 0 ? SPAN_NONE : span_from(*rest, (size_t)at + sizeof start_code);
        if (nal.n == 0) continue;
        *ret_nal = nal;
        return true;
    }
    return false;
}
