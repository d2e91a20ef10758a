/* Everything is read and written in the storages' pools. */
#include "httpd/archive_list.h"
#include "archive/segproof.h"
#include "httpd/archive.h"
#include "httpd/hls.h"
#include "httpd/http_access.h"
#include "common/base/clock.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>

#define AHEAD_US       (60 * US_PER_S) /* of a playlist that grows: the clock may be set back */
#define HOLE_US        (60 * US_PER_S) /* a hole that is older stays */
#define CATALOGUE_CALM 10000           /* pages of one storage; more is an index that runs in circles */

/* What one storage has. */
struct found {
    struct plan plan;
    struct track_set tracks; /* of the first segment, for a master playlist */
    unsigned mask;
    bool has_tracks, too_long;
};

_Static_assert(ARCHIVE_STORAGES_MAX <= PLAN_STORAGES_MAX, "each storage has its tag");

struct catalogue {
    struct archive_job j;
    struct list_want want;
    bool pack, records;
    usec_t gop_us; /* of the camera, as measured; 0: not known */
    struct found *found[ARCHIVE_STORAGES_MAX];
    struct plan plan; /* of all storages */
    bool too_long;
    bool young; /* there are pieces, and none that is listed yet */
    struct sight sight;
    struct body body;
    char prefix[HTTP_PREFIX_MAX]; /* where this viewer finds what is named */
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
    int err = records_file(v->st, v->j->uid, info->id, &fd);

    if (err == 0) err = seg_table_load(fd, info, &t);
    if (err == 0) keep_tracks(found_of(v), t);
    seg_table_free(t);
}

/* The index lists key frames seconds apart; where a viewer's window begins between two, the segment's table
 * knows which is the first inside. */
static void find_entry(const struct archive_visit *v, const struct seg_info *info, struct plan_span *span)
{
    usec_t from_us = span->sight.from_us;
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;
    size_t key;

    if (from_us <= info->start_us || from_us >= info->end_us) return;
    if (records_file(v->st, v->j->uid, info->id, &fd) != 0 || seg_table_any(fd, INT64_MAX, &t) != SEG_OK)
        return;
    key = seg_key_at(t, from_us);
    while (key < t->n && seg_wall_us(t, key) < from_us) key = seg_key_next(t, key);
    if (key < t->n) {
        span->entry = (uint32_t)key;
        span->entry_us = seg_wall_us(t, key);
    }
    seg_table_free(t);
}

static void add_as(struct archive_visit *v, const struct seg_info *info, bool open, bool writes)
{
    struct plan_span span = {.from_us = v->j->from_us,
        .to_us = v->j->to_us,
        .sight = catalogue_of(v)->sight,
        .storage = v->n,
        .open = open,
        .writes = writes};
    struct found *f = found_of(v);

    find_entry(v, info, &span);
    if (!plan_add(&f->plan, info, &span)) f->too_long = true;
}

/* What is good of a segment that is not as the index says. */
static void add_flawed(struct archive_visit *v, const struct seg_info *info)
{
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;

    if (records_file(v->st, v->j->uid, info->id, &fd) != 0) return;
    if (seg_table_any(fd, INT64_MAX, &t) == SEG_OK) {
        t->info.origin = info->origin;
        add_as(v, &t->info, false, false);
    }
    seg_table_free(t);
}

static void add(struct archive_visit *v, const struct seg_info *info)
{
    if (storage_flawed(v->st, v->j->uid, info->id))
        add_flawed(v, info);
    else
        add_as(v, info, false, false);
}

static int read_segments(struct archive_visit *v, struct records *r)
{
    CLEANUP(mem_freep) struct seg_info *page = mem_try(ARCHIVE_PAGE * sizeof(*page));
    struct index_query q = {.uid = v->j->uid, .from_us = v->j->from_us, .to_us = v->j->to_us};
    struct found *f = found_of(v);
    size_t n = ARCHIVE_PAGE;
    int err = page ? 0 : -ENOMEM;

    for (unsigned pages = 0; err == 0 && n == ARCHIVE_PAGE && !f->too_long && pages < CATALOGUE_CALM;
         pages++) {
        err = archive_index_err(v, records_segments(r, &q, page, ARCHIVE_PAGE, &n));
        for (size_t i = 0; err == 0 && i < n; i++) {
            add(v, &page[i]);
            if (catalogue_of(v)->want.master && !f->has_tracks) read_tracks(v, &page[i]);
        }
        if (n > 0) q.after_id = page[n - 1].id;
    }
    return err;
}

/* What is listed must stay what it is: up to a place where a piece may end for good, or, of what grows, up to
 * the last key frame. */
static void add_open(struct archive_visit *v, const struct seg_table *t)
{
    CLEANUP(mem_freep) struct seg_info *info = mem_dup(&t->info, sizeof(*info));

    info->samples = (uint32_t)seg_tail(t);
    info->origin = v->st->node;
    add_as(v, info, catalogue_of(v)->want.kind != PLAN_VOD, true);
}

static void read_open(struct archive_visit *v, const struct records *r)
{
    struct open_segment o = archive_open_of(v, r);
    CLEANUP(fd_close) int fd = -1;
    struct scan *c;

    if (o.id == 0 || o.start_us >= v->j->to_us || o.end_us <= v->j->from_us) return;
    if (records_file(v->st, v->j->uid, o.id, &fd) != 0) return;
    if (scans_read(v->st->scans, v->j->uid, o.id, fd, o.bytes, &c) != SEG_OK) return;
    if (scan_table(c)->n > 0) {
        add_open(v, scan_table(c));
        keep_tracks(found_of(v), scan_table(c));
    }
    scan_done(v->st->scans, c);
}

static int read_playlist(struct archive_visit *v)
{
    struct records r;
    struct found *f;
    int err = records_open(v->st, &r);

    if (err != 0) return err;
    f = catalogue_of(v)->found[v->n] = NEW(struct found);
    err = read_segments(v, &r);
    if (err == 0) archive_fresh(v, &r, add);
    if (err == 0) read_open(v, &r);
    if (err == 0 && f->plan.n == 0) archive_nearest(v, &r);
    return archive_read_end(v, &r, err);
}

static void write_master(const struct catalogue *c, const struct found *f, struct text *b)
{
    const struct plan *p = &c->plan;
    struct hls_variant v = {.tracks = &f->tracks, .mask = f->mask, .bandwidth = p->peak, .uri = c->want.uri};

    if (p->bytes_us >= US_PER_MS)
        v.average = (uint32_t)MIN(p->bytes * 8 * 1000 / (uint64_t)(p->bytes_us / 1000), UINT32_MAX);
    hls_master(b, &v, 1);
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

static usec_t newest_us(const struct plan *p)
{
    usec_t us = 0;

    for (size_t i = 0; i < p->n_s; i++) us = MAX(us, p->s[i].end_us);
    return us;
}

/* All that this viewer may see is over: listed, or as long ago as a camera would need to come back. */
static bool is_seen(const struct catalogue *c)
{
    const struct piece_of *last = c->plan.n > 0 ? &c->plan.v[c->plan.n - 1] : NULL;

    if (c->sight.to_us == 0) return false;
    return (last && last->start_us + last->dur_us >= c->sight.to_us) ||
        c->j.now_us - c->sight.to_us > LIST_STOPPED_US;
}

/* Nothing is written, and nothing is to be expected: at once where nothing shall be recorded, otherwise
 * after a time in which a camera would have come back. */
static bool has_ended(const struct catalogue *c)
{
    if (is_seen(c)) return true;
    if (c->j.open.id != 0) return false;
    for (size_t i = 0; i < c->j.n; i++)
        if (c->j.used & 1u << i && c->j.v[i].writes) return false;
    return !c->records || c->j.now_us - newest_us(&c->plan) > LIST_STOPPED_US;
}

static void make_plan(struct catalogue *c, struct plan_view *ret)
{
    const struct list_want *w = &c->want;

    if (!plan_merge(&c->plan) || !plan_sort(&c->plan)) c->too_long = true;
    *ret = (struct plan_view){.kind = w->kind,
        .ended = has_ended(c),
        .from_start = w->from_start,
        .edge_us = w->to_us,
        .window_us = w->window_us,
        .gop_us = c->gop_us};
    if (w->kind != PLAN_VOD) plan_settle(&c->plan, c->j.now_us - HOLE_US);
    if (w->gaps && !plan_fill_gaps(&c->plan)) c->too_long = true;
    c->young = c->plan.n > 0 && plan_listed(&c->plan, ret) == 0;
}

static void put_body(struct catalogue *c, const struct text *b)
{
    struct text below;

    if (c->prefix[0] == '\0') {
        archive_body(&c->body, text_span(b), c->pack);
        return;
    }
    text_init(&below, 2 * HLS_VOD_MAX);
    hls_below(&below, text_span(b), c->prefix);
    if (text_ok(&below)) archive_body(&c->body, text_span(&below), c->pack);
    text_done(&below);
}

/* Another node's storage, if every piece lies there. */
static const struct storage *holder_of(const struct catalogue *c)
{
    uint8_t storage = c->plan.n_s > 0 ? c->plan.s[0].storage : 0;

    for (size_t i = 0; i < c->plan.n_s; i++)
        if (c->plan.s[i].storage != storage) return NULL;
    return c->plan.n_s > 0 && c->j.v[storage].st->node != 0 ? c->j.v[storage].st : NULL;
}

static void finish_playlist(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);
    const struct found *first = gather(c);
    struct plan_view view;
    struct text b;

    if (c->plan.n == 0 || c->too_long) return;
    make_plan(c, &view);
    if (c->plan.n == 0 || c->too_long || c->young) return;
    c->j.holder = holder_of(c);
    text_init(&b, HLS_VOD_MAX);
    if (!c->want.master)
        plan_write(&c->plan, &view, &b);
    else if (first)
        write_master(c, first, &b);
    c->too_long = !text_ok(&b);
    if (text_ok(&b) && text_span(&b).n > 0) put_body(c, &b);
    text_done(&b);
}

/* --- in the hub --- */

static void answer_nothing(struct catalogue *c)
{
    if (c->j.missing == 0 &&
        (c->young ||
            (c->want.kind != PLAN_VOD && c->j.open.end_us > c->j.from_us && c->j.open.start_us < c->j.to_us)))
        answer_error_with(c->j.h, 503, "Retry-After: 2\r\n", "what is recorded since then is too short yet");
    else
        archive_answer_nothing(&c->j);
}

/* A playlist that is asked for again must not lose what it listed. Of a node that is away it is known what it
 * had, or nobody has asked for it here before it went: then the rest is played, for as long as it takes. */
static bool would_go_back(const struct catalogue *c)
{
    if (c->want.kind == PLAN_VOD || c->j.missing == 0) return false;
    for (size_t i = 0; i < c->j.n; i++)
        if (!(c->j.used & 1u << i) && c->j.v[i].st->node == 0) return true;
    return false;
}

static void answer_playlist(struct archive_job *j)
{
    struct catalogue *c = CONTAINER(j, struct catalogue, j);

    if (c->too_long)
        answer_error(
            j->h, 413, "more than %d pieces or %u MiB for one playlist", PLAN_PIECES_MAX, HLS_VOD_MAX >> 20);
    else if (c->plan.n == 0 || c->young || would_go_back(c))
        answer_nothing(c);
    else if (!c->body.plain)
        answer_error_with(j->h, 503, "Retry-After: 2\r\n", "the archive cannot be read now");
    else
        archive_answer(j, HLS_TYPE, &c->body);
}

void archive_list(struct http *h, const struct list_want *want)
{
    const struct stream *s = h->ask->stream;
    usec_t from_us = want->from_us;
    usec_t to_us = want->kind == PLAN_GROWING ? clock_wall_us() + AHEAD_US : want->to_us;
    struct catalogue *c;

    if (!http_clip(h, &from_us, &to_us)) return;
    if (to_us - from_us > ARCHIVE_SPAN_MOST_US + AHEAD_US) {
        answer_error(
            h, 413, "at most %d days in one playlist", (int)(ARCHIVE_SPAN_MOST_US / US_PER_S / 86400));
        return;
    }
    c = NEW(struct catalogue);
    http_prefix(h, c->prefix);
    c->want = *want;
    c->pack = http_accepts_coding(&h->ask->req.head, "gzip") > 0;
    c->records = s->v.record;
    if (s->status) c->gop_us = (usec_t)atomic_load(&s->status->gop_ms) * US_PER_MS;
    c->j.read = read_playlist;
    c->j.finish = finish_playlist;
    c->j.answer = answer_playlist;
    c->j.free = free_catalogue;
    c->sight = http_sight(h);
    c->j.from_us = from_us;
    c->j.to_us = to_us;
    archive_start(h, &c->j);
}
