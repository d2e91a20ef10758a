/* Playlists of the archive. Everything is read and written in the storages' pools. */
#include "httpd/archive.h"
#include "httpd/archive_plan.h"
#include "httpd/handlers.h"
#include "httpd/hls.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/url.h"

#include <errno.h>

#define TYPE_PLAYLIST  "application/vnd.apple.mpegurl"
#define TIME_TEXT_MAX  64
#define CATALOGUE_CALM 10000 /* pages of one storage; more is an index that runs in circles */

/* What one storage has. */
struct found {
    struct plan plan;
    struct track_set tracks; /* of the first segment, for a master playlist */
    unsigned mask;
    bool has_tracks, too_long;
};

struct catalogue {
    struct archive_job j;
    bool master, pack;
    struct found *found[ARCHIVE_STORAGES_MAX];
    struct plan plan; /* of all storages */
    bool too_long;
    char uri[RING_UID_MAX + 64]; /* of the media playlist */
    struct body body;
};

static void free_catalogue(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);

    for (size_t i = 0; i < ARCHIVE_STORAGES_MAX; i++) {
        if (c->found[i]) plan_done(&c->found[i]->plan);
        mem_free(c->found[i]);
    }
    plan_done(&c->plan);
    body_done(&c->body);
}

/* --- in a storage's pool --- */

static struct catalogue *catalogue_of(const struct archive_visit *v)
{
    return CONTAINER(v->j, struct catalogue, j);
}

static struct found *found_of(const struct archive_visit *v)
{
    return catalogue_of(v)->found[v->n];
}

static void keep_tracks(struct found *f, const struct seg_table *t)
{
    if (f->has_tracks) return;
    f->tracks = t->tracks;
    f->mask = mp4_mask(&t->tracks, MP4_PLAYABLE) & ~seg_quiet(t);
    f->has_tracks = true;
}

/* One that cannot be read leaves it to the next. */
static void read_tracks(struct archive_visit *v, const struct seg_info *info)
{
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;
    int err = seg_open(v->st->path, v->j->uid, info->path, &fd);

    if (err == 0) err = seg_table_load(fd, info, &t);
    if (err == 0) keep_tracks(found_of(v), t);
    seg_table_free(t);
}

static void add(struct archive_visit *v, const struct seg_info *info)
{
    struct found *f = found_of(v);

    if (!plan_add(&f->plan, info, v->n, v->j->from_us, v->j->to_us)) f->too_long = true;
}

static int read_segments(struct archive_visit *v, struct index *ix)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_try(ARCHIVE_PAGE * sizeof(*page));
    struct index_query q = {.uid = v->j->uid, .from_us = v->j->from_us, .to_us = v->j->to_us};
    struct found *f = found_of(v);
    size_t n = ARCHIVE_PAGE;
    int err = page ? 0 : -ENOMEM;

    for (unsigned pages = 0; err == 0 && n == ARCHIVE_PAGE && !f->too_long && pages < CATALOGUE_CALM;
         pages++) {
        err = archive_index_err(v, index_segments(ix, &q, page, ARCHIVE_PAGE, &n));
        for (size_t i = 0; err == 0 && i < n; i++) {
            add(v, &page[i]);
            if (catalogue_of(v)->master && !f->has_tracks) read_tracks(v, &page[i]);
        }
        if (n > 0) q.after_id = page[n - 1].id;
    }
    return err;
}

static void read_open(struct archive_visit *v)
{
    const struct open_segment *o = &v->j->open;
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;

    if (o->id == 0 || strcmp(o->storage, v->st->name) != 0) return;
    if (o->start_us >= v->j->to_us || o->end_us <= v->j->from_us) return;
    if (seg_open(v->st->path, v->j->uid, o->path, &fd) != 0) return;
    if (seg_table_scan(fd, o->bytes, &t) == SEG_OK && t->n > 0) {
        add(v, &t->info);
        keep_tracks(found_of(v), t);
    }
    seg_table_free(t);
}

static int read_playlist(struct archive_visit *v)
{
    struct index *ix = storage_index_get(v->st);
    struct found *f;
    int err;

    if (!ix) return -ENOENT;
    f = catalogue_of(v)->found[v->n] = NEW(struct found);
    err = read_segments(v, ix);
    if (err == 0) archive_fresh(v, ix, add);
    if (err == 0) read_open(v);
    if (err == 0 && f->plan.n == 0) archive_nearest(v, ix);
    storage_index_put(v->st);
    return err;
}

static void write_master(const struct catalogue *c, const struct found *f, struct text *b)
{
    const struct plan *p = &c->plan;
    struct hls_variant v = {.tracks = &f->tracks, .mask = f->mask, .bandwidth = p->peak, .uri = c->uri};

    if (p->bytes_us >= US_PER_MS)
        v.average = (uint32_t)MIN(p->bytes * 8 * 1000 / (uint64_t)(p->bytes_us / 1000), UINT32_MAX);
    hls_master(b, &v);
}

/* Of all storages one plan; the first that knows the tracks. */
static const struct found *gather(struct catalogue *c)
{
    const struct found *first = NULL;

    for (size_t i = 0; i < c->j.n; i++) {
        struct found *f = c->found[i];

        archive_tag(c->j.v[i].st, c->plan.tags[i]);
        if (!(c->j.used & 1u << i)) continue;
        if (f->too_long || !plan_take(&c->plan, &f->plan)) c->too_long = true;
        if (!first && f->has_tracks) first = f;
    }
    return first;
}

static void finish_playlist(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);
    const struct found *first = gather(c);
    struct text b;

    if (c->plan.n == 0 || c->too_long) return;
    plan_sort(&c->plan);
    text_init(&b, HLS_VOD_MAX);
    if (!c->master)
        plan_write(&c->plan, &b);
    else if (first)
        write_master(c, first, &b);
    c->too_long = !text_ok(&b);
    if (text_ok(&b) && text_span(&b).n > 0) archive_body(&c->body, text_span(&b), c->pack);
    text_done(&b);
}

/* --- in the hub --- */

static void answer_playlist(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);

    if (c->too_long)
        answer_error(j->h, 400, "too long for one playlist");
    else if (c->plan.n == 0)
        archive_answer_nothing(j);
    else if (!c->body.plain)
        answer_error_with(j->h, 503, "Retry-After: 2\r\n", "the archive cannot be read now");
    else
        archive_answer(j, TYPE_PLAYLIST, &c->body);
}

static void start_playlist(struct http *h, bool master, usec_t from_us, usec_t to_us, const char *uri)
{
    struct catalogue *c;

    if (to_us - from_us > ARCHIVE_SPAN_MOST_US) {
        answer_error(
            h, 400, "at most %d days in one playlist", (int)(ARCHIVE_SPAN_MOST_US / US_PER_S / 86400));
        return;
    }
    c = NEW(struct catalogue);
    c->master = master;
    c->pack = http_accepts_coding(&h->ask->req.head, "gzip") > 0;
    c->j.read = read_playlist;
    c->j.finish = finish_playlist;
    c->j.answer = answer_playlist;
    c->j.free = free_catalogue;
    c->j.from_us = from_us;
    c->j.to_us = to_us;
    snprintf(c->uri, sizeof(c->uri), "%s", uri);
    archive_start(h, &c->j);
}

static void serve_span(struct http *h, bool master)
{
    const struct route_match *m = &h->ask->match;
    usec_t from_us, to_us;
    char uri[TIME_TEXT_MAX];

    if (span_is(m->capture[1], "now")) {
        answer_error(h, 404, "no playlist here grows");
        return;
    }
    if (!archive_time(m->capture[0], &from_us) || !archive_span(m->capture[1], from_us, &to_us)) {
        answer_error(h, 400, "expected unix seconds and a duration in seconds");
        return;
    }
    snprintf(uri, sizeof(uri), "archive-%.*s-%.*s.m3u8", SPAN_FMT(m->capture[0]), SPAN_FMT(m->capture[1]));
    start_playlist(h, master, from_us, to_us, uri);
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
    char text[TIME_TEXT_MAX];
    usec_t from_us, to_us;
    bool ok = url_query_get(query, "timestamp", text, sizeof(text)) ? archive_time(span_of(text), &from_us)
        : url_query_get(query, "time", text, sizeof(text))          ? archive_date(span_of(text), &from_us)
                                                                    : false;

    if (!ok) {
        answer_error(h, 400, "expected timestamp=<unix seconds> or time=<date>, and duration=<seconds>");
        return;
    }
    to_us = from_us + ARCHIVE_SPAN_USUAL_US;
    if (url_query_get(query, "duration", text, sizeof(text)) &&
        !archive_span(span_of(text), from_us, &to_us)) {
        answer_error(h, 400, "duration is seconds");
        return;
    }
    start_playlist(h, false, from_us, to_us, "");
}
