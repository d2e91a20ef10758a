/* Playlists of the archive, and what is recorded when. Everything is read and written in the storages' pools.
 */
#include "httpd/archive.h"
#include "httpd/archive_plan.h"
#include "httpd/bytes.h"
#include "httpd/gzip.h"
#include "httpd/handlers.h"
#include "httpd/hls.h"
#include "httpd/json.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/url.h"

#include <errno.h>

#include <unistd.h>

#define TYPE_PLAYLIST  "application/vnd.apple.mpegurl"
#define STATUS_MAX     (8u << 20)
#define RANGES_PAGE    1024
#define TIME_TEXT_MAX  64
#define CATALOGUE_CALM 10000 /* pages of one storage; more is an index that runs in circles */

enum catalogue_kind { CATALOGUE_MEDIA, CATALOGUE_MASTER, CATALOGUE_STATUS };

struct catalogue {
    struct archive_job j;
    enum catalogue_kind kind;
    bool pack, want_ranges, want_locks;
    struct plan plan;
    struct stretches ranges;
    struct track_set tracks; /* of the first segment, for a master playlist */
    unsigned mask;
    bool has_tracks, too_long;
    usec_t before_us, after_us;  /* nearest footage around an empty span; 0: none */
    char uri[RING_UID_MAX + 64]; /* of the media playlist */
    struct chunk *plain, *packed;
};

static void free_catalogue(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);

    plan_done(&c->plan);
    stretches_done(&c->ranges);
    chunk_unref(c->plain);
    chunk_unref(c->packed);
}

/* --- in a pool --- */

static int read_tracks(struct catalogue *c, struct storage *st, const struct seg_info *info)
{
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;
    int err = seg_open(st->path, c->j.uid, info->path, &fd);

    if (err == 0) err = seg_table_load(fd, info, &t);
    if (err == 0) {
        c->tracks = t->tracks;
        c->mask = mp4_mask(&t->tracks, MP4_PLAYABLE);
        c->has_tracks = true;
    }
    seg_table_free(t);
    return err;
}

static int add_page(struct catalogue *c, struct storage *st, const struct seg_info *page, size_t n)
{
    uint8_t tag = (uint8_t)c->j.at;

    for (size_t i = 0; i < n; i++) {
        if (!plan_add(&c->plan, &page[i], tag, c->j.from_us, c->j.to_us)) {
            c->too_long = true;
            return 0;
        }
        if (c->kind == CATALOGUE_MASTER && !c->has_tracks) read_tracks(c, st, &page[i]);
    }
    return 0;
}

static int read_segments(struct catalogue *c, struct storage *st, struct index *ix)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_try(ARCHIVE_PAGE * sizeof(*page));
    struct index_query q = {.uid = c->j.uid, .from_us = c->j.from_us, .to_us = c->j.to_us};
    size_t n = 0;
    int err = page ? 0 : -ENOMEM;

    for (unsigned pages = 0; err == 0 && !c->too_long && pages < CATALOGUE_CALM; pages++) {
        err = index_segments(ix, &q, page, ARCHIVE_PAGE, &n);
        if (err == 0) err = add_page(c, st, page, n);
        if (n < ARCHIVE_PAGE) break;
        q.after_id = page[n - 1].id;
    }
    return err;
}

static void add_fresh(struct archive_job *j, const struct seg_info *info)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);

    if (!plan_add(&c->plan, info, (uint8_t)j->at, j->from_us, j->to_us)) c->too_long = true;
}

static void add_fresh_range(struct archive_job *j, const struct seg_info *info)
{
    stretches_add(&CONTAINER(j, struct catalogue, j)->ranges, info->start_us, info->end_us);
}

static void read_open(struct catalogue *c, struct storage *st)
{
    const struct open_segment *o = &c->j.open;
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;

    if (o->id == 0 || strcmp(o->storage, st->name) != 0) return;
    if (o->start_us >= c->j.to_us || o->end_us <= c->j.from_us) return;
    if (seg_open(st->path, c->j.uid, o->path, &fd) != 0) return;
    if (seg_table_scan(fd, o->bytes, &t) == SEG_OK && t->n > 0) {
        plan_add(&c->plan, &t->info, (uint8_t)c->j.at, c->j.from_us, c->j.to_us);
        if (!c->has_tracks) {
            c->tracks = t->tracks;
            c->mask = mp4_mask(&t->tracks, MP4_PLAYABLE);
            c->has_tracks = true;
        }
    }
    seg_table_free(t);
}

static void nearer(struct catalogue *c, usec_t start_us, usec_t end_us)
{
    if (start_us >= c->j.to_us) c->after_us = c->after_us ? MIN(c->after_us, start_us) : start_us;
    if (end_us <= c->j.from_us) c->before_us = MAX(c->before_us, end_us);
}

static void note_fresh(struct archive_job *j, const struct seg_info *info)
{
    nearer(CONTAINER(j, struct catalogue, j), info->start_us, info->end_us);
}

/* Where the viewer could go instead. */
static void find_nearest(struct catalogue *c, struct storage *st, struct index *ix)
{
    CLEANUP(mem_freep) struct seg_info *s = mem_try(sizeof(*s));
    const struct index_query later = {.uid = c->j.uid, .from_us = c->j.to_us, .to_us = INT64_MAX};
    size_t n = 0;

    if (!s) return;
    archive_fresh(&c->j, st, ix, note_fresh);
    if (c->j.open.id != 0) nearer(c, c->j.open.start_us, c->j.open.end_us);
    if (index_segments(ix, &later, s, 1, &n) == INDEX_OK && n == 1) nearer(c, s->start_us, s->end_us);
    if (index_last(ix, c->j.uid, s) == INDEX_OK) nearer(c, s->start_us, s->end_us);
}

static int visit_playlist(struct archive_job *j, struct storage *st)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);
    struct index *ix = storage_index_get(st);
    int err;

    if (!ix) return -ENOENT;
    archive_tag(st, c->plan.tags[j->at]);
    err = read_segments(c, st, ix);
    if (err == 0) archive_fresh(j, st, ix, add_fresh);
    if (err == 0) read_open(c, st);
    if (err == 0 && c->plan.n == 0) find_nearest(c, st, ix);
    storage_index_put(st);
    return err;
}

static void keep_text(struct catalogue *c, const struct text *b)
{
    uint8_t *p;
    size_t n;

    c->plain = bytes_chunk(text_span(b));
    if (!c->plain || !c->pack || !gzip_pack(text_span(b), GZIP_QUICK, &p, &n)) return;
    c->packed = bytes_chunk(span(p, n));
    mem_free(p);
}

static void write_master(const struct catalogue *c, struct text *b)
{
    struct hls_variant v = {.tracks = &c->tracks, .mask = c->mask, .bandwidth = c->plan.peak, .uri = c->uri};

    if (c->plan.bytes_us >= US_PER_MS)
        v.average = (uint32_t)MIN(c->plan.bytes * 8 * 1000 / (uint64_t)(c->plan.bytes_us / 1000), UINT32_MAX);
    hls_master(b, &v);
}

static void finish_playlist(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);
    struct text b;

    if (c->plan.n == 0 || c->too_long) return;
    plan_sort(&c->plan);
    text_init(&b, HLS_VOD_MAX);
    if (c->kind == CATALOGUE_MEDIA)
        plan_write(&c->plan, &b);
    else if (c->has_tracks)
        write_master(c, &b);
    c->too_long = !text_ok(&b);
    if (text_ok(&b) && text_span(&b).n > 0) keep_text(c, &b);
    text_done(&b);
}

/* --- in the hub --- */

static void answer_text(struct http *h, struct catalogue *c, const char *type)
{
    struct answer a = {.status = 200, .type = type, .cache = CACHE_CHECK, .vary = true};
    struct body b = {0};
    char etag[ETAG_MAX + 4];

    body_set(&b, chunk_ref(c->plain));
    a.v.etag = span_of(b.etag);
    if (c->packed) {
        a.coding = "gzip";
        snprintf(etag, sizeof(etag), "%.*s-gz\"", (int)(strlen(b.etag) - 1), b.etag);
        a.v.etag = span_of(etag);
    }
    answer_chunk(h, &a, c->packed ? c->packed : c->plain);
    body_done(&b);
}

static void answer_nothing(struct http *h, const struct catalogue *c)
{
    usec_t nearest = c->after_us ? c->after_us : c->before_us;
    char extra[TIME_TEXT_MAX];

    if (c->after_us && c->before_us && c->j.from_us - c->before_us < c->after_us - c->j.from_us)
        nearest = c->before_us;
    if (nearest == 0) {
        answer_error(h, 404, "nothing is recorded");
        return;
    }
    snprintf(extra, sizeof(extra), "X-Nearest-Recorded: %lld\r\n", (long long)(nearest / US_PER_S));
    answer_error_with(h, 404, extra, "nothing is recorded then; the nearest footage is at %lld",
        (long long)(nearest / US_PER_S));
}

static void answer_playlist(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);

    if (c->too_long)
        answer_error(j->h, 400, "too long for one playlist");
    else if (c->plan.n == 0)
        answer_nothing(j->h, c);
    else if (!c->plain)
        answer_error_with(j->h, 503, "Retry-After: 2\r\n", "the archive cannot be read now");
    else
        answer_text(j->h, c, TYPE_PLAYLIST);
}

static struct catalogue *catalogue_new(struct http *h, enum catalogue_kind kind)
{
    struct catalogue *c = NEW(struct catalogue);

    c->kind = kind;
    c->pack = http_accepts_coding(&h->ask->req.head, "gzip") > 0;
    c->j.visit = visit_playlist;
    c->j.finish = finish_playlist;
    c->j.answer = answer_playlist;
    c->j.free = free_catalogue;
    return c;
}

static void start_playlist(
    struct http *h, enum catalogue_kind kind, usec_t from_us, usec_t to_us, const char *uri)
{
    struct catalogue *c;

    if (to_us - from_us > ARCHIVE_SPAN_MOST_US) {
        answer_error(
            h, 400, "at most %d days in one playlist", (int)(ARCHIVE_SPAN_MOST_US / US_PER_S / 86400));
        return;
    }
    c = catalogue_new(h, kind);
    c->j.from_us = from_us;
    c->j.to_us = to_us;
    snprintf(c->uri, sizeof(c->uri), "%s", uri);
    archive_start(h, &c->j);
}

static void serve_span(struct http *h, enum catalogue_kind kind)
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
    start_playlist(h, kind, from_us, to_us, uri);
}

void serve_archive_playlist(struct http *h)
{
    serve_span(h, CATALOGUE_MEDIA);
}

void serve_archive_master(struct http *h)
{
    serve_span(h, CATALOGUE_MASTER);
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
    start_playlist(h, CATALOGUE_MEDIA, from_us, to_us, "");
}

/* --- recording_status.json --- */

static int visit_ranges(struct archive_job *j, struct storage *st)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);
    CLEANUP(mem_freep) struct index_range *page = mem_try(RANGES_PAGE * sizeof(*page));
    struct index *ix = storage_index_get(st);
    struct index_query q = {.uid = j->uid, .from_us = j->from_us, .to_us = j->to_us};
    size_t n = RANGES_PAGE;
    int err = ix && page ? 0 : -ENOENT;

    while (err == 0 && n == RANGES_PAGE) {
        err = index_ranges(ix, &q, page, RANGES_PAGE, &n);
        for (size_t i = 0; err == 0 && i < n; i++)
            if (!stretches_add(&c->ranges, page[i].start_us, page[i].end_us)) err = -ENOMEM;
        if (err == 0 && n > 0) q.from_us = page[n - 1].end_us + 1;
    }
    if (err == 0) archive_fresh(j, st, ix, add_fresh_range);
    if (ix) storage_index_put(st);
    return err;
}

static void write_ranges(const struct stretches *s, struct text *b)
{
    bool first = true;

    text_put(b, ",\"ranges\":[");
    for (size_t i = 0; i < s->n; i++) {
        int64_t from = s->v[i].from_us / US_PER_S, to = (s->v[i].to_us + US_PER_S - 1) / US_PER_S;

        text_fmt(b, "%s{\"from\":%lld,\"duration\":%lld}", first ? "" : ",", (long long)from,
            (long long)(to - from));
        first = false;
    }
    text_put(b, "]");
}

static void finish_status(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);
    struct text b;

    if (j->open.id != 0) stretches_add(&c->ranges, j->open.start_us, j->open.end_us);
    stretches_join(&c->ranges, INDEX_JOIN_US, j->from_us, j->to_us);
    text_init(&b, STATUS_MAX);
    text_put(&b, "[{\"stream\":");
    json_text(&b, span_of(j->uid));
    if (c->want_ranges) write_ranges(&c->ranges, &b);
    /* Nothing can be locked yet. */
    if (c->want_locks) text_put(&b, ",\"locks\":[]");
    text_put(&b, "}]\n");
    if (text_ok(&b)) keep_text(c, &b);
    text_done(&b);
}

static void answer_status(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);

    if (c->plain)
        answer_text(j->h, c, "application/json");
    else
        answer_error(j->h, 400, "too many ranges: ask for a shorter time");
}

static void parse_request(struct span query, struct catalogue *c)
{
    char text[TIME_TEXT_MAX];
    struct span rest, word;

    if (!url_query_get(query, "request", text, sizeof(text))) {
        c->want_ranges = true;
        return;
    }
    rest = span_of(text);
    while (span_split(&rest, ',', &word)) {
        if (span_is(word, "ranges")) c->want_ranges = true;
        if (span_is(word, "locks")) c->want_locks = true;
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
    struct catalogue *c;

    if (!bound(query, "from", now_us, 0, &from_us) ||
        !bound(query, "to", now_us, now_us + US_PER_S, &to_us) || to_us < from_us) {
        answer_error(h, 400, "expected from and to in unix seconds");
        return;
    }
    c = catalogue_new(h, CATALOGUE_STATUS);
    c->j.from_us = from_us;
    c->j.to_us = to_us;
    c->j.visit = visit_ranges;
    c->j.finish = finish_status;
    c->j.answer = answer_status;
    parse_request(query, c);
    archive_start(h, &c->j);
}
