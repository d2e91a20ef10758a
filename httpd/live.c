#include "httpd/live.h"

void live_wait(struct http *h)
{
    struct stream *s = h->ask->stream;

    if (s->follow && follow_unplayable(s->follow))
        answer_error(h, 415, "this stream has no track that MP4 players can play");
    else if (h->ask->timed_out && s->follow && follow_gop_over(s->follow))
        answer_error_with(h, 503, "Retry-After: 2\r\n", "the last key frame is too long ago to begin with");
    else if (h->ask->timed_out || !stream_may_come(s))
        answer_not_live(h);
    else
        http_wait(h, &s->waiting, HTTP_WAIT_US);
}

struct follow *live_follow(struct http *h)
{
    struct follow *f = follow_get(h->ask->stream);

    if (!f) live_wait(h);
    return f;
}

const char *live_left_out(const struct init *init, unsigned mask, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap);
    bool first = true;

    for (unsigned i = 0; i < init->tracks.n; i++) {
        if (mask & 1u << i) continue;
        wr_fmt(&w, "%s%s", first ? "X-Tracks-Left-Out: " : ", ", codec_name(init->tracks.t[i].codec));
        first = false;
    }
    if (!first) wr_text(&w, "\r\n");
    return wr_cstr(&w);
}
