/* /<uid>/preview.jpg: the last key frame as JPEG. Of a camera that is down it is the last that came, or else
 * the last that was recorded, and the answer says how old. */
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "httpd/handlers.h"
#include "httpd/key_frame.h"
#include "httpd/live.h"
#include "httpd/picture_road.h"

/* NULL: there is no picture that we decode, or no memory. */
static struct picture_source *read_source(struct ring_reader *r, uint64_t seq, uint16_t width)
{
    struct picture_source *src = picture_source_new();
    struct track_set tracks;
    struct frame fr;

    if (key_frame_read(r, seq, &src->bytes, &fr, &tracks) == RING_OK &&
        shot_source(src, &tracks.t[fr.track], width)) {
        src->ask.n_units = 1;
        src->ask.units[0] = (struct picture_unit){(uint32_t)fr.data.n, 0};
        return src;
    }
    picture_source_free(src);
    return NULL;
}

static void take_shot(
    struct http *h, struct ring_reader *r, const struct frame *key, bool active, uint16_t width)
{
    const struct stream *s = h->ask->stream;
    struct shot *w = NEW(struct shot);
    struct picture_source *src;

    w->wall_us = key->wall_us;
    if (!active) w->age_us = MAX(clock_wall_us() - key->wall_us, US_PER_S);
    w->cache = active ? CACHE_SHORT : CACHE_NEVER;
    snprintf(w->key, sizeof(w->key), "live %s %u %llu %lld %u", s->v.uid, s->ring.gen,
        (unsigned long long)key->seq, (long long)key->wall_us, width);
    if (shot_start(h, w, NULL)) return;
    src = read_source(r, key->seq, width);
    if (src) {
        (void)shot_start(h, w, src);
        return;
    }
    mem_free(w);
    answer_error(h, 415, "this stream has no picture that can be decoded here");
}

/* Nothing has come since the server began: the archive may hold the last picture. */
static bool ask_archive(struct http *h, const struct stream_now *now, uint16_t width)
{
    const struct stream *s = h->ask->stream;
    char why[SHOT_WHY_MAX];

    if (!s->v.record || s->v.on_demand || now->state == STREAM_DISABLED) return false;
    if (stream_may_come(s) && !h->ask->timed_out) return false;
    snprintf(why, sizeof(why), "the camera is %s%s%s, and there is no picture of it",
        ring_state_word(now->state), now->reason[0] ? ": " : "", now->reason);
    shot_last(h, width, why);
    return true;
}

void serve_preview_jpeg(struct http *h)
{
    struct stream *s = h->ask->stream;
    struct stream_now now;
    struct ring_reader *r;
    struct frame key;
    uint16_t width;

    if (!shot_width(h, &width)) return;
    stream_now(s, &now);
    /* A camera on demand is connected for this; an old picture would be a lie. */
    if ((now.state == STREAM_ACTIVE || !s->v.on_demand) && key_frame_find(s, &r, &key)) {
        take_shot(h, r, &key, now.state == STREAM_ACTIVE, width);
        ring_reader_close(r);
        return;
    }
    if (s->v.on_demand && live_follow(h) == NULL) return;
    if (!ask_archive(h, &now, width)) live_wait(h);
}
