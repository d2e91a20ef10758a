/* The streams of one camera among the hubs: facts go from a stream's home to its camera's entry when the hub
 * of another asks for them, which then runs again who has waited. */
#include "httpd/camera.h"
#include "httpd/follow.h"
#include "httpd/http.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"
#include "common/base/wr.h"
#include "common/media/mp4.h"

/* --- what a stream's home says --- */

static bool read_tracks(const struct stream *s, struct camera_stream *to)
{
    const struct init *init = s->follow ? follow_init(s->follow) : NULL;
    struct ring_reader *r;

    if (init) {
        to->tracks = init->tracks;
        to->mask = init->mask;
        to->fps_milli = follow_fps_milli(s->follow);
        return true;
    }
    if (!s->has_ring || ring_reader_open(s->ring.ring_fd, &r) != 0) return false;
    if (ring_tracks(r, 0, &to->tracks) == RING_OK) to->mask = mp4_mask(&to->tracks, MP4_PLAYABLE);
    ring_reader_close(r);
    return to->mask != 0;
}

static void tell(struct stream *s)
{
    struct camera_stream now = {.seen_us = clock_mono_us()};
    struct stream_now state;

    stream_now(s, &state);
    now.open = state.state == STREAM_ACTIVE && access_open(s->hub, s) && (s->v.rule.roads & 1u << ROAD_HLS) &&
        read_tracks(s, &now);
    now.bandwidth = s->status ? atomic_load(&s->status->bitrate_in) : 0;
    camera_put(s->camera, &now);
}

void camera_of_view(struct stream *s, const struct view *before)
{
    if (strcmp(before->camera, s->v.camera) != 0 || before->sub != s->v.sub) {
        camera_leave(s->camera);
        s->camera = camera_join(s->hub->server->cameras, s->v.camera, s->v.uid, s->v.sub);
    } else if (s->camera) {
        tell(s);
    }
}

/* --- from hub to hub --- */

struct question {
    char of[RING_UID_MAX + 1], from[RING_UID_MAX + 1];
};

static void answered(struct hub *hub, void *arg)
{
    struct question *q = arg;
    struct stream *s = stream_get(hub, span_of(q->from));

    if (s) http_wake(&s->waiting);
    mem_free(q);
}

static void asked(struct hub *hub, void *arg)
{
    struct question *q = arg;
    struct stream *s = stream_get(hub, span_of(q->of));

    if (s && s->camera) tell(s);
    hub_post(hub_home(hub->server, span_of(q->from)), answered, q);
}

static void ask(const struct stream *s, const char *other)
{
    struct question *q = NEW(struct question);

    span_copy(span_of(other), q->of, sizeof(q->of));
    span_copy(span_of(s->v.uid), q->from, sizeof(q->from));
    hub_post(hub_home(s->hub->server, span_of(other)), asked, q);
}

bool camera_known(struct http *h)
{
    struct stream *s = h->ask->stream;
    struct camera_stream others[CAMERA_OTHERS_MAX];
    size_t n = s->v.sub ? 0 : camera_others(s->camera, others, CAMERA_OTHERS_MAX);
    usec_t now_us = clock_mono_us();
    bool known = true;

    if (n > 0) tell(s);

    for (size_t i = 0; i < n && !h->ask->timed_out; i++) {
        if (others[i].seen_us > 0 && now_us - others[i].seen_us < CAMERA_FRESH_US) continue;
        ask(s, others[i].uid);
        known = false;
    }
    if (!known) http_wait(h, &s->waiting, CAMERA_WAIT_US);
    return known;
}

/* --- what is made of it --- */

static void uri_of(const struct camera_stream *other, char uri[static WINDOW_URI_MAX])
{
    struct wr w = wr_of(uri, WINDOW_URI_MAX);

    wr_text(&w, "../");
    wr_text(&w, other->uid);
    wr_text(&w, "/video.ll.m3u8");
    must(wr_cstr(&w) != NULL);
}

/* Those that a player of this stream may change to. */
static size_t others_of(const struct stream *s, unsigned kinds, struct camera_stream ret[CAMERA_OTHERS_MAX])
{
    size_t all = access_open(s->hub, s) ? camera_others(s->camera, ret, CAMERA_OTHERS_MAX) : 0, n = 0;

    for (size_t i = 0; i < all; i++)
        if (ret[i].open && window_kinds(&ret[i].tracks, ret[i].mask) == kinds) ret[n++] = ret[i];
    return n;
}

void camera_variants(const struct stream *s, unsigned kinds, struct camera_variants *ret)
{
    ret->n = s->v.sub ? 0 : others_of(s, kinds, ret->of);
    for (size_t i = 0; i < ret->n; i++) {
        const struct camera_stream *other = &ret->of[i];

        uri_of(other, ret->uri[i]);
        ret->v[i] = (struct hls_variant){.tracks = &other->tracks,
            .mask = other->mask,
            .bandwidth = other->bandwidth,
            .fps_milli = other->fps_milli,
            .uri = ret->uri[i]};
    }
}

void camera_reports(const struct stream *s, struct window *w)
{
    struct camera_stream others[CAMERA_OTHERS_MAX];
    const struct init *init = s->camera ? follow_init(s->follow) : NULL;
    size_t n = init ? others_of(s, window_kinds(&init->tracks, init->mask), others) : 0;

    camera_put_low(s->camera, w);
    w->n_reports = 0;
    for (size_t i = 0; i < n; i++) {
        struct window_report *r = &w->reports[w->n_reports];

        if (!others[i].low) continue;
        uri_of(&others[i], r->uri);
        r->msn = others[i].msn;
        r->part = others[i].part;
        w->n_reports++;
    }
}
