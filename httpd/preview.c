/* /<uid>/preview.mp4: the last key frame as an MP4 of one frame. Nothing is decoded, and the ring is not
 * followed. Of a camera that is down it is the last that came, and the answer says how old. */
#include "httpd/bytes.h"
#include "httpd/handlers.h"
#include "httpd/key_frame.h"
#include "httpd/live.h"
#include "httpd/picture_road.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

#define PREVIEW_HEAD_MAX (64u << 10)

/* RING_OK and *ret, or why there is none. */
static int make(struct ring_reader *r, uint64_t seq, struct chunk **ret, usec_t *ret_wall_us)
{
    struct track_set tracks;
    struct frame fr;
    struct buf frame, head;
    int err;

    buf_init(&frame, RING_DATA_MAX / 4);
    buf_init(&head, PREVIEW_HEAD_MAX);
    err = key_frame_read(r, seq, &frame, &fr, &tracks);
    if (err == RING_OK && !mp4_one_frame(&head, &tracks, fr.track, (uint32_t)fr.data.n)) err = RING_E_BAD;
    if (err == RING_OK) {
        *ret = chunk_new(buf_n(&head) + fr.data.n);
        *ret_wall_us = fr.wall_us;
        if (!*ret) err = RING_E_BAD;
    }
    if (err == RING_OK) {
        bytes_put(bytes_put((*ret)->data, buf_span(&head)), fr.data);
    }
    buf_done(&frame);
    buf_done(&head);
    return err;
}

/* true: s->preview is the newest key frame. */
static bool refresh(struct stream *s)
{
    struct ring_reader *r;
    struct chunk *c = NULL;
    struct frame fr;
    bool have = true;

    if (!key_frame_find(s, &r, &fr)) return false;
    if (!s->preview || s->preview_seq != fr.seq) {
        have = make(r, fr.seq, &c, &s->preview_wall_us) == RING_OK;
        if (have) {
            chunk_unref(s->preview);
            s->preview = c;
            s->preview_seq = fr.seq;
        }
    }
    ring_reader_close(r);
    return have;
}

void serve_preview(struct http *h)
{
    struct answer a = {.status = 200, .type = "video/mp4", .cache = CACHE_SHORT};
    struct stream *s = h->ask->stream;
    char etag[ETAG_MAX], extra[ANSWER_EXTRA_MAX];
    struct wr x = wr_of(extra, sizeof(extra));
    struct stream_now now;
    usec_t age_us = 0;

    stream_now(s, &now);
    /* A camera on demand is connected for this; an old picture would be a lie. */
    if ((now.state != STREAM_ACTIVE && s->v.on_demand) || !refresh(s)) {
        if (s->v.on_demand && live_follow(h) == NULL) return;
        live_wait(h);
        return;
    }
    if (now.state != STREAM_ACTIVE) {
        age_us = MAX(clock_wall_us() - s->preview_wall_us, US_PER_S);
        a.cache = CACHE_NEVER;
    }
    shot_times(&x, s->preview_wall_us, age_us);
    a.extra = wr_cstr(&x);
    snprintf(etag, sizeof(etag), "\"%llx-%llx\"", (unsigned long long)s->preview_seq,
        (unsigned long long)s->preview_wall_us);
    a.v.etag = span_of(etag);
    a.v.modified_us = s->preview_wall_us;
    answer_chunk(h, &a, s->preview);
}
