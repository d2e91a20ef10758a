/* /<uid>/stream.json: what the player page shows of a stream. */
#include "httpd/answer.h"
#include "httpd/handlers.h"
#include "httpd/json.h"
#include "common/base/clock.h"

#define INFO_MAX   16384
#define CODECS_MAX 48

static void write_track(struct text *b, const struct track *t)
{
    char codec[CODECS_MAX];

    text_fmt(b, "{\"kind\":\"%s\",\"codec\":\"%s\",\"mime\":\"%s\"",
        t->kind == TRACK_VIDEO       ? "video"
            : t->kind == TRACK_AUDIO ? "audio"
                                     : "data",
        codec_name(t->codec), codec_rfc6381(t, codec, sizeof(codec)));
    if (t->kind == TRACK_VIDEO) text_fmt(b, ",\"width\":%u,\"height\":%u", t->width, t->height);
    if (t->kind == TRACK_AUDIO) text_fmt(b, ",\"rate\":%u,\"channels\":%u", t->sample_rate, t->channels);
    text_put(b, "}");
}

static void write_tracks(struct text *b, const struct stream *s)
{
    struct ring_reader *r;
    struct track_set set;

    text_put(b, "\"tracks\":[");
    if (s->has_ring && ring_reader_open(s->ring.ring_fd, &r) == 0) {
        if (ring_tracks(r, 0, &set) == RING_OK)
            for (unsigned i = 0; i < set.n; i++) {
                if (i > 0) text_put(b, ",");
                write_track(b, &set.t[i]);
            }
        ring_reader_close(r);
    }
    text_put(b, "]");
}

static const char *record_name(const struct stream *s)
{
    static const char *const names[] = {"off", "on", "paused", "waiting", "armed"};
    uint32_t state = s->status ? atomic_load(&s->status->record_state) : 0;

    return state < ARRAY_N(names) ? names[state] : "off";
}

void serve_stream_info(struct http *h)
{
    struct answer a = {.status = 200, .type = "application/json", .cache = CACHE_NEVER};
    const struct stream *s = h->ask->stream;
    struct stream_now now;
    struct text b;

    stream_now(s, &now);
    text_init(&b, INFO_MAX);
    text_put(&b, "{\"uid\":");
    json_text(&b, span_of(s->v.uid));
    text_put(&b, ",\"name\":");
    json_text(&b, span_of(s->v.name));
    text_fmt(&b, ",\"state\":\"%s\",\"reason\":", ring_state_word(now.state));
    json_text(&b, span_of(now.reason));
    text_fmt(&b, ",\"since\":%lld,\"now\":%.3f,\"on_demand\":%s,\"archive\":%s,\"record\":\"%s\",",
        (long long)(now.since_us / US_PER_S), (double)clock_wall_us() / 1e6,
        s->v.on_demand ? "true" : "false", s->v.record ? "true" : "false", record_name(s));
    text_fmt(&b, "\"bitrate\":%u,", s->status ? atomic_load(&s->status->bitrate_in) : 0);
    write_tracks(&b, s);
    text_put(&b, "}\n");
    if (text_ok(&b))
        answer_bytes(h, &a, text_span(&b));
    else
        answer_error(h, 503, "out of memory");
    text_done(&b);
}
