/* What a client of the event stream asks for (feed.h). */
#include "httpd/feed.h"
#include "httpd/routes.h"

static const struct {
    const char *word;
    unsigned topic;
} words[] = {{"streams", FEED_STREAMS}, {"server", FEED_SERVER}, {"notices", FEED_NOTICES}};

static bool add_detail(struct span uid, struct feed_wish *w)
{
    if (w->n_details == FEED_DETAILS_MAX || !route_uid_ok(uid)) return false;
    span_copy(uid, w->details[w->n_details++], sizeof(w->details[0]));
    return true;
}

bool feed_topics(struct span text, struct feed_wish *ret)
{
    const struct span stream = SPAN_LIT("stream:");
    struct span one;

    if (text.n == 0) ret->topics = FEED_STREAMS | FEED_SERVER | FEED_NOTICES;
    while (span_split(&text, ',', &one)) {
        unsigned topic = 0;

        one = span_trim(one);
        if (one.n == 0) continue;
        for (size_t i = 0; i < ARRAY_N(words); i++)
            if (span_is(one, words[i].word)) topic = words[i].topic;
        ret->topics |= topic;
        if (topic == 0 && !(span_starts(one, stream) && add_detail(span_from(one, stream.n), ret)))
            return false;
    }
    return true;
}

void feed_last_id(struct span text, struct feed_wish *ret)
{
    uint64_t boot, since;
    struct span rest = text, head;

    if (!span_split(&rest, '-', &head) || head.n != 8 || !span_hex64(head, &boot)) return;
    if (!span_u64(rest, INT64_MAX, &since)) return;
    ret->boot = boot;
    ret->since = since;
}
