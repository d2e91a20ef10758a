#include "httpd/live.h"

/* States in which waiting makes sense; the others have said why there is no picture. */
static bool may_come(const struct stream *s, enum stream_state state)
{
    if (state == STREAM_ACTIVE || state == STREAM_CONNECTING) return true;
    return s->v.on_demand && state != STREAM_DISABLED && state != STREAM_INVALID;
}

void live_wait(struct http *h)
{
    struct stream *s = h->ask->stream;
    struct stream_now now;

    stream_now(s, &now);
    if (s->follow && follow_unplayable(s->follow))
        answer_error(h, 415, "this stream has no track that MP4 players can play");
    else if (h->ask->timed_out && s->follow && follow_gop_over(s->follow))
        answer_error_with(h, 503, "Retry-After: 2\r\n", "the last key frame is too long ago to begin with");
    else if (h->ask->timed_out || !may_come(s, now.state))
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

const char *live_left_out(const struct init *init, char *dst, size_t cap)
{
    struct wr w = wr_of(dst, cap);
    bool first = true;

    for (unsigned i = 0; i < init->tracks.n; i++) {
        if (init->mask & 1u << i) continue;
        wr_fmt(&w, "%s%s", first ? "X-Tracks-Left-Out: " : ", ", codec_name(init->tracks.t[i].codec));
        first = false;
    }
    if (!first) wr_text(&w, "\r\n");
    return wr_cstr(&w);
}
