/* recording_status.json: what is recorded when, and what of that time locks keep. */
#include "httpd/archive.h"
#include "httpd/handlers.h"
#include "httpd/http_access.h"
#include "httpd/json.h"
#include "archive/stretches.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "common/wire/url.h"

#include <errno.h>

#define STATUS_MAX    (8u << 20)
#define RANGES_PAGE   1024
#define TIME_TEXT_MAX 64

struct status {
    struct archive_job j;
    bool pack, want_ranges, want_locks;
    struct stretches found[ARCHIVE_STORAGES_MAX], locked[ARCHIVE_STORAGES_MAX];
    struct stretches all, locks;
    struct body body;
};

static void free_status(struct archive_job *j)
{
    struct status *s = CONTAINER(j, struct status, j);

    for (size_t i = 0; i < ARCHIVE_STORAGES_MAX; i++) {
        stretches_done(&s->found[i]);
        stretches_done(&s->locked[i]);
    }
    stretches_done(&s->all);
    stretches_done(&s->locks);
    body_done(&s->body);
}

/* --- in a storage's pool --- */

static bool add(struct archive_visit *v, usec_t from_us, usec_t to_us)
{
    return stretches_add(&CONTAINER(v->j, struct status, j)->found[v->n], from_us, to_us);
}

static void add_fresh(struct archive_visit *v, const struct seg_info *info)
{
    add(v, info->start_us, info->end_us);
}

static int read_status(struct archive_visit *v)
{
    struct status *s = CONTAINER(v->j, struct status, j);
    CLEANUP(mem_freep) struct index_range *page = mem_try(RANGES_PAGE * sizeof(*page));
    struct index_query q = {.uid = v->j->uid, .from_us = v->j->from_us, .to_us = v->j->to_us};
    struct records r;
    size_t n = RANGES_PAGE;
    int err = page ? records_open(v->st, &r) : -ENOMEM;

    if (err != 0) return err;
    while (err == 0 && n == RANGES_PAGE) {
        err = archive_index_err(v, records_ranges(&r, &q, page, RANGES_PAGE, &n));
        for (size_t i = 0; err == 0 && i < n; i++)
            if (!add(v, page[i].start_us, page[i].end_us)) err = -ENOMEM;
        if (err == 0 && n > 0) q.from_us = page[n - 1].end_us + 1;
    }
    if (err == 0) archive_fresh(v, &r, add_fresh);
    q.from_us = v->j->from_us;
    if (err == 0 && s->want_locks) err = archive_index_err(v, records_locks(&r, &q, &s->locked[v->n]));
    return archive_read_end(v, &r, err);
}

static void write_stretches(const char *name, const struct stretches *s, struct text *b)
{
    bool first = true;

    text_fmt(b, ",\"%s\":[", name);
    for (size_t i = 0; i < s->n; i++) {
        int64_t from = s->v[i].from_us / US_PER_S, to = (s->v[i].to_us + US_PER_S - 1) / US_PER_S;

        text_fmt(b, "%s{\"from\":%lld,\"duration\":%lld}", first ? "" : ",", (long long)from,
            (long long)(to - from));
        first = false;
    }
    text_put(b, "]");
}

static bool add_all(const struct stretches *from, struct stretches *to)
{
    for (size_t i = 0; i < from->n; i++)
        if (!stretches_add(to, from->v[i].from_us, from->v[i].to_us)) return false;
    return true;
}

/* Of all storages. false: memory is out, or there are too many. */
static bool gather(struct status *s)
{
    for (size_t i = 0; i < s->j.n; i++) {
        if (!(s->j.used & 1u << i)) continue;
        if (!add_all(&s->found[i], &s->all) || !add_all(&s->locked[i], &s->locks)) return false;
    }
    return s->j.open.id == 0 || stretches_add(&s->all, s->j.open.start_us, s->j.open.end_us);
}

static void finish_status(struct archive_job *j)
{
    struct status *s = CONTAINER(j, struct status, j);
    struct text b;

    if (!gather(s)) return;
    stretches_join(&s->all, INDEX_JOIN_US, j->from_us, j->to_us);
    stretches_join(&s->locks, 0, j->from_us, j->to_us);
    text_init(&b, STATUS_MAX);
    text_put(&b, "[{\"stream\":");
    json_text(&b, span_of(j->uid));
    if (s->want_ranges) write_stretches("ranges", &s->all, &b);
    if (s->want_locks) write_stretches("locks", &s->locks, &b);
    text_put(&b, "}]\n");
    if (text_ok(&b)) archive_body(&s->body, text_span(&b), s->pack);
    text_done(&b);
}

/* --- in the hub --- */

static void answer_status(struct archive_job *j)
{
    struct status *s = CONTAINER(j, struct status, j);

    if (s->body.plain)
        archive_answer(j, "application/json", &s->body);
    else
        answer_error(j->h, 400, "too many ranges: ask for a shorter time");
}

static void parse_request(struct span query, struct status *s)
{
    char text[TIME_TEXT_MAX];
    struct span rest, word;

    if (!url_query_get(query, "request", text, sizeof(text))) {
        s->want_ranges = true;
        return;
    }
    rest = span_of(text);
    while (span_split(&rest, ',', &word)) {
        if (span_is(word, "ranges")) s->want_ranges = true;
        if (span_is(word, "locks")) s->want_locks = true;
    }
}

/* "from" or "to" of the query; `otherwise` where it is not given. */
static bool bound(struct span query, const char *name, usec_t now_us, usec_t otherwise, usec_t *ret)
{
    char text[TIME_TEXT_MAX];

    *ret = otherwise;
    if (!url_query_get(query, name, text, sizeof(text))) return true;
    if (strcmp(text, "now") == 0) {
        *ret = now_us;
        return true;
    }
    return archive_time(span_of(text), ret);
}

void serve_recording_status(struct http *h)
{
    struct span query = h->ask->req.query;
    usec_t now_us = clock_wall_us(), from_us, to_us;
    struct sight sight;
    struct status *s;

    if (!bound(query, "from", now_us, 0, &from_us) ||
        !bound(query, "to", now_us, now_us + US_PER_S, &to_us) || to_us < from_us) {
        answer_error(h, 400, "expected from and to in unix seconds");
        return;
    }
    sight = http_sight(h);
    if (!sight_clip(&sight, &from_us, &to_us)) to_us = from_us;
    s = NEW(struct status);
    s->pack = http_accepts_coding(&h->ask->req.head, "gzip") > 0;
    s->j.from_us = from_us;
    s->j.to_us = to_us;
    s->j.read = read_status;
    s->j.finish = finish_status;
    s->j.answer = answer_status;
    s->j.free = free_status;
    parse_request(query, s);
    archive_start(h, &s->j);
}
