#include "worker/measure.h"

#define SLACK_PART 8 /* a ring may lack this part of what two GOPs take */
#define MARGIN_PART                                                                                          \
    8 /* and has this part more than the GOP under way: it grows before the key frame is overwritten */

void measure_frame(struct measure *m, bool entry, bool video, size_t bytes, usec_t media_us)
{
    bytes = (bytes + 7) & ~(size_t)7;
    if (entry) {
        if (m->began) {
            m->done_frames = m->gop_frames;
            m->done_ms = (uint32_t)CLAMP((media_us - m->gop_start_us) / US_PER_MS, 0, (usec_t)UINT32_MAX);
            m->last_bytes = m->gop_bytes;
            m->last_all = m->gop_all;
        }
        m->began = true;
        m->gop_start_us = media_us;
        m->gop_bytes = m->gop_all = 0;
        m->gop_frames = 0;
    }
    m->gop_bytes += bytes;
    m->gop_all++;
    if (video) m->gop_frames++;
    m->pair_bytes = MAX(m->pair_bytes, m->last_bytes + m->gop_bytes);
    m->pair_all = MAX(m->pair_all, m->last_all + m->gop_all);
    m->largest = MAX(m->largest, bytes);
    m->window_bytes += bytes;
    m->window_all++;
    if (m->window_start_us == 0 || media_us < m->window_start_us) {
        m->window_start_us = media_us;
        m->window_bytes = m->window_all = 0;
    } else if (media_us - m->window_start_us >= MEASURE_WINDOW_US) {
        m->bitrate = (uint32_t)MIN(
            m->window_bytes * 8 * (uint64_t)US_PER_S / (uint64_t)(media_us - m->window_start_us), UINT32_MAX);
        m->frames_s = (uint32_t)MIN(
            m->window_all * (uint64_t)US_PER_S / (uint64_t)(media_us - m->window_start_us) + 1, UINT32_MAX);
        m->window_start_us = media_us;
        m->window_bytes = m->window_all = 0;
    }
}

void measure_large(struct measure *m, size_t bytes)
{
    m->largest = MAX(m->largest, bytes);
}

void measure_break(struct measure *m)
{
    m->began = false;
    m->last_bytes = m->last_all = m->gop_bytes = m->gop_all = 0;
}

/* Footage that the ring has to hold for before_us. */
static uint64_t before_ms(const struct measure *m, usec_t before_us)
{
    return before_us > 0 ? (uint64_t)((before_us + MEASURE_MARGIN_US) / US_PER_MS) + m->done_ms : 0;
}

uint64_t measure_bytes(const struct measure *m, usec_t before_us)
{
    uint64_t before = (uint64_t)m->bitrate / 8 * before_ms(m, before_us) / 1000;

    return MAX(MAX(m->pair_bytes, before), m->largest * 4);
}

struct ring_geom measure_geom(const struct measure *m, usec_t before_us, uint32_t ring_max)
{
    uint64_t slack = m->pair_bytes / SLACK_PART, bytes = measure_bytes(m, before_us);
    uint64_t gop_bytes = m->gop_bytes + m->gop_bytes / MARGIN_PART,
             gop_all = m->gop_all + m->gop_all / MARGIN_PART;

    bytes = MAX(MAX(bytes - MIN(bytes, slack), gop_bytes), m->largest * 4);
    return ring_geom_for(
        bytes, MAX(MAX(m->pair_all, gop_all), m->frames_s * before_ms(m, before_us) / 1000), ring_max);
}

bool measure_outgrown(const struct measure *m, struct ring_geom now, usec_t before_us, uint32_t ring_max)
{
    struct ring_geom need = measure_geom(m, before_us, ring_max);

    return need.data_bytes > now.data_bytes || need.frames > now.frames;
}
