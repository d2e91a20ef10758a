/* Annex B byte streams to access units: H.264 7.4.1.2.3, H.265 7.4.2.4.4. A new unit begins at the first
 * slice of a picture, or at the delimiter, parameter set or prefix SEI before it. */
#include "tests/camera/source.h"

enum role { ROLE_SLICE, ROLE_LEADS, ROLE_FOLLOWS };

unsigned source_nal_type(enum codec codec, struct span nal)
{
    if (nal.n == 0) return 0;
    return codec == CODEC_H264 ? nal.p[0] & 0x1fu : (nal.p[0] >> 1) & 0x3fu;
}

bool source_is_param(enum codec codec, struct span nal)
{
    unsigned t = source_nal_type(codec, nal);

    return codec == CODEC_H264 ? t == 7 || t == 8 : t >= 32 && t <= 34;
}

bool source_is_vcl(enum codec codec, struct span nal)
{
    unsigned t = source_nal_type(codec, nal);

    return codec == CODEC_H264 ? t >= 1 && t <= 5 : t < 32;
}

static enum role role_of(enum codec codec, unsigned type)
{
    if (codec == CODEC_H264) {
        if (type >= 1 && type <= 5) return ROLE_SLICE;
        return (type >= 6 && type <= 9) || (type >= 14 && type <= 18) ? ROLE_LEADS : ROLE_FOLLOWS;
    }
    if (type < 32) return ROLE_SLICE;
    return (type >= 32 && type <= 35) || type == 39 || (type >= 41 && type <= 44) || type >= 48
        ? ROLE_LEADS
        : ROLE_FOLLOWS;
}

static bool is_key(enum codec codec, unsigned type)
{
    return codec == CODEC_H264 ? type == 5 : type >= 16 && type <= 21;
}

/* first_mb_in_slice == 0, first_slice_segment_in_pic_flag: the top bit behind the NAL unit's header. */
static bool starts_picture(enum codec codec, struct span nal)
{
    size_t at = codec == CODEC_H264 ? 1 : 2;

    return nal.n > at && (nal.p[at] & 0x80) != 0;
}

static void keep_param(struct source *s, struct span nal)
{
    for (size_t i = 0; i < s->n_params; i++)
        if (span_eq(s->params[i], nal)) return;
    if (s->n_params < SOURCE_PARAM_MAX) s->params[s->n_params++] = nal;
}

/* The next NAL unit behind *at; trailing zeros belong to the start code that follows. false: no more. */
static bool next_nal(struct span file, size_t *at, struct span *ret)
{
    static const uint8_t code[] = {0, 0, 1};
    ssize_t from = span_find_span(span_from(file, *at), span(code, sizeof code));

    if (from < 0) return false;
    size_t start = *at + (size_t)from + sizeof code;
    ssize_t len = span_find_span(span_from(file, start), span(code, sizeof code));
    size_t end = len < 0 ? file.n : start + (size_t)len;
    *at = end;
    while (end > start && file.p[end - 1] == 0) end--;
    *ret = span_sub(file, start, end - start);
    return true;
}

void source_read_annexb(struct source *s, struct span file)
{
    bool has_slice = false, key = false;
    struct span nal;

    for (size_t at = 0; next_nal(file, &at, &nal);) {
        if (nal.n < 2 && s->codec == CODEC_H265) continue;
        if (nal.n == 0) continue;
        unsigned type = source_nal_type(s->codec, nal);
        enum role role = role_of(s->codec, type);
        if (has_slice && (role == ROLE_LEADS || (role == ROLE_SLICE && starts_picture(s->codec, nal)))) {
            source_end_au(s, key, 0);
            has_slice = key = false;
        }
        if (role == ROLE_SLICE) has_slice = true;
        if (is_key(s->codec, type)) key = true;
        if (source_is_param(s->codec, nal)) keep_param(s, nal);
        source_add_piece(s, nal);
    }
    if (has_slice) source_end_au(s, key, 0);
}
