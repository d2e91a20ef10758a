#include "common/media/sets.h"

#define AVCC_HEAD  5  /* bytes before the number of SPS */
#define HVCC_HEAD  22 /* before the number of arrays */
#define START_CODE 4

struct sets sets_of(const struct track *t)
{
    struct sets s = {.r = rd_of(span(t->config, MIN(t->config_n, sizeof t->config)))};

    s.h265 = t->codec == CODEC_H265;
    if (t->codec == CODEC_H264) {
        rd_skip(&s.r, AVCC_HEAD);
        s.left = rd_u8(&s.r) & 31u;
        s.lists = 1; /* that of PPS is behind it */
    } else if (s.h265) {
        rd_skip(&s.r, HVCC_HEAD);
        s.lists = rd_u8(&s.r);
    }
    return s;
}

static void next_list(struct sets *s)
{
    s->lists--;
    if (s->h265) rd_skip(&s->r, 1); /* NAL unit type */
    s->left = s->h265 ? rd_u16(&s->r) : rd_u8(&s->r);
}

bool sets_next(struct sets *s, struct span *ret_nal)
{
    while (rd_ok(&s->r) && (s->left > 0 || s->lists > 0)) {
        struct span nal;

        if (s->left == 0) {
            next_list(s);
            continue;
        }
        s->left--;
        nal = rd_bytes(&s->r, rd_u16(&s->r));
        if (!rd_ok(&s->r) || nal.n == 0) continue;
        *ret_nal = nal;
        return true;
    }
    return false;
}

size_t sets_annexb_n(const struct track *t)
{
    struct sets s = sets_of(t);
    struct span nal;
    size_t n = 0;

    while (sets_next(&s, &nal)) n += START_CODE + nal.n;
    return n;
}
