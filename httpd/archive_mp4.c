/* The roads of MP4 files of the archive: what was asked for. */
#include "httpd/archive_mp4.h"
#include "httpd/handlers.h"
#include "common/base/clock.h"
#include "common/wire/url.h"

#define TIME_TEXT_MAX 64

/* A parameter that is one of some words: *ret is its number, 0 where it is not given. false: it is another.
 */
static bool choice(struct span query, const char *name, const char *const *words, unsigned *ret)
{
    char text[TIME_TEXT_MAX];

    *ret = 0;
    if (!url_query_get(query, name, text, sizeof(text))) return true;
    while (words[*ret] && strcmp(text, words[*ret]) != 0) ++*ret;
    return words[*ret] != NULL;
}

static void too_long(struct http *h, usec_t most_us)
{
    answer_error(h, 413, "at most %lld s in one file (export-max)", (long long)(most_us / US_PER_S));
}

static void start_film(struct http *h, usec_t from_us, usec_t to_us)
{
    static const char *const gaps[] = {"close", "keep", NULL}, *const audio[] = {"copy", "none", "aac", NULL};
    enum { NONE = 1, AAC = 2 };
    usec_t most_us = atomic_load(&h->hub->server->export_max_us);
    struct film_ask ask = {.kind = FILM_WHOLE, .from_us = from_us, .to_us = to_us};
    unsigned gap, sound;

    if (!choice(h->ask->req.query, "gaps", gaps, &gap) ||
        !choice(h->ask->req.query, "audio", audio, &sound)) {
        answer_error(h, 400, "gaps is keep or close, audio is copy, aac or none");
        return;
    }
    ask.keep_gaps = gap == 1;
    ask.no_sound = sound == NONE;
    ask.make_sound = sound == AAC;
    if (ask.make_sound && !h->hub->server->pictures)
        answer_error(h, 503, "no sound is made here: pictures = 0");
    else if (to_us - from_us > most_us)
        too_long(h, most_us);
    else
        film_find(h, &ask);
}

/* "<from>-<duration>" or "<from>-now" in the path. */
static bool path_span(struct http *h, usec_t *ret_from_us, usec_t *ret_to_us)
{
    const struct route_match *m = &h->ask->match;

    if (!archive_time(m->capture[0], ret_from_us)) return false;
    if (!span_is(m->capture[1], "now")) return archive_span(m->capture[1], *ret_from_us, ret_to_us);
    *ret_to_us = clock_wall_us();
    return *ret_to_us > *ret_from_us;
}

void serve_archive_mp4(struct http *h)
{
    usec_t from_us, to_us;

    if (path_span(h, &from_us, &to_us))
        start_film(h, from_us, to_us);
    else
        answer_error(h, 400, "expected unix seconds of the past, and a duration in seconds or \"now\"");
}

static bool query_moment(struct http *h, usec_t *ret_us)
{
    struct span query = h->ask->req.query;
    char text[TIME_TEXT_MAX];

    if (url_query_get(query, "timestamp", text, sizeof(text))) return archive_time(span_of(text), ret_us);
    return url_query_get(query, "time", text, sizeof(text)) && archive_date(span_of(text), ret_us);
}

void serve_dvr_mp4(struct http *h)
{
    char text[TIME_TEXT_MAX];
    usec_t from_us, to_us;

    if (!query_moment(h, &from_us)) {
        answer_error(h, 400, "expected timestamp=<unix seconds> or time=<date>, and duration=<seconds>");
        return;
    }
    to_us = from_us + ARCHIVE_SPAN_USUAL_US;
    if (url_query_get(h->ask->req.query, "duration", text, sizeof(text)) &&
        !archive_span(span_of(text), from_us, &to_us))
        answer_error(h, 400, "duration is seconds");
    else
        start_film(h, from_us, to_us);
}

static void start_picture(struct http *h, usec_t at_us)
{
    struct film_ask ask = {.kind = FILM_PICTURE, .from_us = at_us, .to_us = at_us + 1, .pictures = 1};

    film_find(h, &ask);
}

void serve_archive_picture(struct http *h)
{
    usec_t at_us;

    if (archive_time(h->ask->match.capture[0], &at_us))
        start_picture(h, at_us);
    else
        answer_error(h, 400, "expected unix seconds");
}

void serve_dvr_picture(struct http *h)
{
    usec_t at_us;

    if (query_moment(h, &at_us))
        start_picture(h, at_us);
    else
        answer_error(h, 400, "expected timestamp=<unix seconds> or time=<date>");
}

static void start_strip(struct http *h, enum film_kind kind)
{
    const struct route_match *m = &h->ask->match;
    usec_t most_us = atomic_load(&h->hub->server->export_max_us);
    struct film_ask ask = {.kind = kind};
    uint64_t n;

    if (!path_span(h, &ask.from_us, &ask.to_us) || !span_u64(m->capture[2], STRIP_MOST, &n) || n == 0) {
        answer_error(
            h, 400, "expected unix seconds, a duration in seconds, and 1 to %d pictures", STRIP_MOST);
        return;
    }
    ask.pictures = (unsigned)n;
    if (ask.to_us - ask.from_us > most_us)
        too_long(h, most_us);
    else
        film_find(h, &ask);
}

void serve_strip(struct http *h)
{
    start_strip(h, FILM_STRIP);
}

void serve_strip_list(struct http *h)
{
    start_strip(h, FILM_STRIP_LIST);
}
