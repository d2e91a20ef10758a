/* Which playlist of the archive a URL means. What slides is counted from the moment it was asked for first:
 * the URLs that viewers know answer a master playlist, whose media playlist has that moment in its name.
 *
 *   archive-<from>-<seconds>, index-..., video-..., mono-...   that time
 *   archive-<from>-now                                        from then on, growing
 *   rewind-<seconds>                                          the last so many seconds, sliding
 *   timeshift_rel-<seconds>                                   live, so much later
 *   timeshift_abs-<utc>                                       live, as late as that moment is now
 *   rewind-<seconds>-<since>, timeshift_rel-<seconds>-<since>, timeshift_abs-<utc>-<seconds>   their media
 * playlists
 *
 * ?gap=1: entries for time in which nothing was recorded. Tests: tests/e2e/test_archive_hls.py. */
#include "httpd/archive.h"
#include "httpd/archive_list.h"
#include "httpd/handlers.h"
#include "common/base/clock.h"
#include "common/wire/url.h"

#define TIME_TEXT_MAX 64
#define SHIFT_WINDOW_US                                                                                      \
    (60 * US_PER_S) /* listed of a stream that is shown later; more where its pieces are long */
#define SHIFT_LEAD_US (30 * US_PER_S) /* what a player gets to begin with behind the moment it asked for */
#define GAP_QUERY     "?gap=1"

static bool wants_gaps(const struct http *h)
{
    char text[TIME_TEXT_MAX];

    return url_query_get(h->ask->req.query, "gap", text, sizeof(text)) && strcmp(text, "1") == 0;
}

static void serve_span(struct http *h, bool master)
{
    const struct route_match *m = &h->ask->match;
    struct list_want w = {.master = master, .gaps = wants_gaps(h)};
    bool now = span_is(m->capture[1], "now");

    if (!archive_time(m->capture[0], &w.from_us) ||
        (!now && !archive_span(m->capture[1], w.from_us, &w.to_us))) {
        answer_error(h, 400, "expected unix seconds, and a duration in seconds or \"now\"");
        return;
    }
    if (now) w.kind = PLAN_GROWING;
    w.from_start = now;
    snprintf(w.uri, sizeof(w.uri), "archive-%.*s-%.*s.m3u8%s", SPAN_FMT(m->capture[0]),
        SPAN_FMT(m->capture[1]), w.gaps ? GAP_QUERY : "");
    archive_list(h, &w);
}

void serve_archive_playlist(struct http *h)
{
    serve_span(h, false);
}

void serve_archive_master(struct http *h)
{
    serve_span(h, true);
}

void serve_dvr_playlist(struct http *h)
{
    struct span query = h->ask->req.query;
    struct list_want w = {.gaps = wants_gaps(h)};
    char text[TIME_TEXT_MAX];
    bool ok = url_query_get(query, "timestamp", text, sizeof(text)) ? archive_time(span_of(text), &w.from_us)
        : url_query_get(query, "time", text, sizeof(text))          ? archive_date(span_of(text), &w.from_us)
                                                                    : false;

    if (!ok) {
        answer_error(h, 400, "expected timestamp=<unix seconds> or time=<date>, and duration=<seconds>");
        return;
    }
    w.to_us = w.from_us + ARCHIVE_SPAN_USUAL_US;
    if (url_query_get(query, "duration", text, sizeof(text)) &&
        !archive_span(span_of(text), w.from_us, &w.to_us)) {
        answer_error(h, 400, "duration is seconds");
        return;
    }
    archive_list(h, &w);
}

/* --- what slides --- */

/* "<a>" or "<a>-<b>", seconds. */
static bool numbers(struct span s, usec_t *ret_a, usec_t *ret_b, bool *ret_has_b)
{
    struct span a;

    if (!span_split(&s, '-', &a) || !archive_time(a, ret_a)) return false;
    *ret_has_b = s.p != NULL;
    return !*ret_has_b || archive_time(s, ret_b);
}

static void malformed(struct http *h)
{
    answer_error(h, 400, "expected seconds");
}

static void name_media(struct list_want *w, const char *form, usec_t a_us, usec_t b_us)
{
    snprintf(w->uri, sizeof(w->uri), "%s-%lld-%lld.m3u8%s", form, (long long)(a_us / US_PER_S),
        (long long)(b_us / US_PER_S), w->gaps ? GAP_QUERY : "");
}

/* The last window_us before `late_us` ago; counted from `since_us`, or from now on: then as a master. */
static void slide(struct http *h, const char *form, usec_t number_us, struct list_want *w, usec_t late_us)
{
    usec_t now_us = clock_wall_us();

    w->kind = PLAN_SLIDING;
    w->gaps = wants_gaps(h);
    w->to_us = now_us - late_us;
    if (w->master) w->from_us = MAX((w->to_us - w->window_us) / US_PER_S * US_PER_S, 0);
    if (w->window_us > ARCHIVE_SPAN_MOST_US) {
        answer_error(h, 413, "at most %d days", (int)(ARCHIVE_SPAN_MOST_US / US_PER_S / 86400));
        return;
    }
    name_media(w, form, number_us, w->from_us);
    archive_list(h, w);
}

void serve_rewind(struct http *h)
{
    struct list_want w = {.kind = PLAN_SLIDING};
    bool since;

    if (!numbers(h->ask->match.capture[0], &w.window_us, &w.from_us, &since) || w.window_us == 0) {
        malformed(h);
        return;
    }
    w.master = !since;
    slide(h, "rewind", w.window_us, &w, 0);
}

void serve_timeshift_rel(struct http *h)
{
    struct list_want w = {.window_us = SHIFT_WINDOW_US};
    usec_t late_us;
    bool since;

    if (!numbers(h->ask->match.capture[0], &late_us, &w.from_us, &since)) {
        malformed(h);
        return;
    }
    w.master = !since;
    slide(h, "timeshift_rel", late_us, &w, late_us);
}

void serve_timeshift_abs(struct http *h)
{
    struct list_want w = {.kind = PLAN_SLIDING, .window_us = SHIFT_WINDOW_US, .from_start = true};
    usec_t late_us, now_us = clock_wall_us();
    bool begun;

    if (!numbers(h->ask->match.capture[0], &w.from_us, &late_us, &begun)) {
        malformed(h);
        return;
    }
    w.master = !begun;
    w.gaps = wants_gaps(h);
    if (!begun) late_us = MAX((now_us - w.from_us - SHIFT_LEAD_US) / US_PER_S * US_PER_S, 0);
    w.to_us = now_us - late_us;
    name_media(&w, "timeshift_abs", w.from_us, late_us);
    archive_list(h, &w);
}
