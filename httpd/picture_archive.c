/* Pictures of the archive as JPEG: the key frame at or before a time, which the answer names; with exact=1
 * the frame at that time, decoded from its key frame on. */
#include "common/base/clock.h"
#include "archive/segproof.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/wire/url.h"
#include "httpd/archive_moment.h"
#include "httpd/handlers.h"
#include "httpd/http_access.h"
#include "httpd/picture_road.h"

#include <errno.h>
#include <unistd.h>

#define TIME_TEXT_MAX 64

enum seek_err {
    SEEK_OK = 0,
    SEEK_E_NONE,   /* no footage there */
    SEEK_E_UNREAD, /* there is, and it cannot be read */
    SEEK_E_TRACK,  /* no picture that we decode */
    SEEK_E_LONG    /* too many frames up to the one that is wanted */
};

struct seek {
    struct moment_job mj;
    bool exact;
    struct sight sight;
    uint16_t width;
    bool last;    /* whatever was recorded last; `why` is said where there is none */
    bool found_s; /* its second is known */
    char why[SHOT_WHY_MAX];
    /* found in a pool */
    enum seek_err err;
    struct picture_source *src;
    usec_t wall_us;
    uint64_t id;
    size_t sample;
};

static struct seek *seek_of(struct archive_job *j)
{
    return CONTAINER(CONTAINER(j, struct moment_job, j), struct seek, mj);
}

static void free_seek(struct archive_job *j)
{
    picture_source_free(seek_of(j)->src);
}

/* --- in a storage's pool --- */

/* One access unit behind the others. */
static enum seek_err add_unit(struct picture_source *src, int fd, const struct mp4_sample *s, int64_t pts)
{
    struct picture_ask *a = &src->ask;
    uint8_t *to;
    ssize_t n;

    if (a->n_units == PICTURE_UNITS_MAX || s->size == 0) return SEEK_E_LONG;
    to = buf_room(&src->bytes, s->size);
    if (!to) return SEEK_E_LONG;
    n = pread(fd, to, s->size, (off_t)s->offset);
    if (n != (ssize_t)s->size) return SEEK_E_UNREAD;
    buf_added(&src->bytes, s->size);
    a->units[a->n_units++] = (struct picture_unit){s->size, pts};
    return SEEK_OK;
}

/* Microseconds after the key frame of a time of its track. */
static int64_t since_us(const struct seg_table *t, const struct mp4_sample *key, int64_t ticks)
{
    return ticks_us((struct ticks){ticks - key->dts, t->tracks.t[key->track].clock_hz});
}

/* Is more than the key frame decoded: for the picture of that very time, and where the key frame is of before
 * what may be seen? */
static bool goes_through(const struct seek *k)
{
    return k->exact || k->wall_us < k->sight.from_us;
}

static int64_t pts_of(const struct seg_table *t, const struct mp4_sample *key, const struct mp4_sample *s)
{
    return since_us(t, key, s->dts + s->cts - key->cts);
}

/* The picture of the group that stands at that time; where that may not be seen, the first one that may.
 * false: none may. */
static bool want(struct seek *k, const struct seg_table *t, size_t at, size_t end)
{
    int64_t *best = &k->src->ask.want_pts, asked = k->mj.at_us - k->wall_us;
    bool any = false;

    *best = 0;
    for (size_t i = at; i < end; i++) {
        int64_t pts = pts_of(t, &t->s[at], &t->s[i]);
        usec_t us = k->wall_us + pts;

        if (t->s[i].track != t->s[at].track || us < k->sight.from_us) continue;
        if (k->sight.to_us > 0 && us >= k->sight.to_us) continue;
        if (!any || (pts <= asked ? pts > *best || *best > asked : pts < *best)) *best = pts;
        any = true;
    }
    return any;
}

/* In decode order. Pictures are presented key->cts later than they could be decoded; that delay is taken off,
 * so that the key frame is at its own time. What is decoded later than the picture that is wanted is
 * presented is not needed for it. */
static enum seek_err add_units(struct seek *k, const struct seg_table *t, size_t at, int fd)
{
    const struct mp4_sample *key = &t->s[at];
    size_t end = goes_through(k) ? seg_key_next(t, at) : at + 1;
    enum seek_err err = SEEK_OK;

    if (!want(k, t, at, end)) return SEEK_E_NONE;
    for (size_t i = at; err == SEEK_OK && i < end; i++) {
        const struct mp4_sample *s = &t->s[i];

        if (s->track != key->track) continue;
        if (since_us(t, key, s->dts - key->cts) > k->src->ask.want_pts) break;
        err = add_unit(k->src, fd, s, pts_of(t, key, s));
    }
    return err;
}

static enum seek_err read_units(struct seek *k, const struct seg_table *t, int fd)
{
    size_t at = seg_key_at(t, k->mj.at_us);

    if (t->n == 0 || !(t->s[at].flags & FRAME_KEY)) return SEEK_E_TRACK;
    k->src = picture_source_new();
    if (!shot_source(k->src, &t->tracks.t[t->s[at].track], k->width)) return SEEK_E_TRACK;
    k->wall_us = seg_wall_us(t, at);
    k->sample = at;
    return add_units(k, t, at, fd);
}

static int load(const struct archive_visit *v, const struct moment *m, int *ret_fd, struct seg_table **ret)
{
    int err = records_file(v->st, v->j->uid, m->id, ret_fd);

    return err == 0 ? seg_table_any(*ret_fd, m->bytes, ret) : err;
}

static void finish_seek(struct archive_job *j)
{
    struct seek *k = seek_of(j);
    const struct archive_visit *v = moment_best(&k->mj);
    CLEANUP(fd_close) int fd = -1;
    struct seg_table *t = NULL;

    k->err = SEEK_E_NONE;
    if (!v) return;
    k->id = k->mj.m[v->n].id;
    k->err = load(v, &k->mj.m[v->n], &fd, &t) == 0 ? read_units(k, t, fd) : SEEK_E_UNREAD;
    seg_table_free(t);
}

/* --- in the hub --- */

static void start_shot(struct http *h, struct seek *k)
{
    struct shot *w = NEW(struct shot);
    struct picture_source *src = k->src;

    k->src = NULL;
    w->wall_us = k->wall_us;
    w->cache = k->mj.j.missing > 0 || k->last ? CACHE_NEVER : CACHE_CHECK;
    if (k->last) w->age_us = MAX(clock_wall_us() - k->wall_us, US_PER_S);
    snprintf(w->key, sizeof(w->key), "dvr %s %llx %zu %lld %u", k->mj.j.uid, (unsigned long long)k->id,
        k->sample, (long long)src->ask.want_pts, k->width);
    (void)shot_start(h, w, src);
}

static void answer_seek(struct archive_job *j);

static struct seek *new_seek(struct http *h, usec_t at_us, uint16_t width)
{
    struct seek *k = NEW(struct seek);

    moment_init(&k->mj, at_us);
    k->sight = http_sight(h);
    k->width = width;
    k->mj.j.finish = finish_seek;
    k->mj.j.answer = answer_seek;
    k->mj.j.free = free_seek;
    return k;
}

static void seek_last(struct http *h, usec_t at_us, uint16_t width, const char *why, bool found_s)
{
    struct seek *k = new_seek(h, at_us, width);

    k->last = true;
    k->found_s = found_s;
    snprintf(k->why, sizeof(k->why), "%s", why);
    archive_start(h, &k->mj.j);
}

void shot_last(struct http *h, uint16_t width, const char *why)
{
    seek_last(h, clock_wall_us(), width, why, false);
}

/* Nothing lies in this second: the archive has said which one to look at. */
static void answer_last(struct seek *k)
{
    struct http *h = k->mj.j.h;
    int64_t nearest = archive_nearest_s(&k->mj.j);

    if (k->err == SEEK_E_NONE && nearest > 0 && !k->found_s)
        seek_last(h, nearest * US_PER_S, k->width, k->why, true);
    else
        answer_error_with(h, 503, "Retry-After: 2\r\n", "%s", k->why);
}

static void answer_seek(struct archive_job *j)
{
    struct seek *k = seek_of(j);

    if (k->last && k->err != SEEK_OK) {
        answer_last(k);
        return;
    }
    switch (k->err) {
    case SEEK_OK: start_shot(j->h, k); break;
    case SEEK_E_NONE: archive_answer_nothing(j); break;
    case SEEK_E_UNREAD:
        answer_error_with(j->h, 503, "Retry-After: 5\r\n", "the archive cannot be read now");
        break;
    case SEEK_E_TRACK: answer_error(j->h, 415, "there is no picture that can be decoded here"); break;
    case SEEK_E_LONG:
        answer_error(j->h, 413, "more than %d frames, or %u MiB, from the key frame on%s", PICTURE_UNITS_MAX,
            PICTURE_BYTES_MAX >> 20, k->exact ? "; ask without exact=1" : "");
        break;
    }
}

static void start_seek(struct http *h, usec_t at_us)
{
    struct seek *k;
    uint16_t width;
    char exact[2];

    if (!shot_width(h, &width) || !http_may_show(h, at_us)) return;
    k = new_seek(h, at_us, width);
    k->exact = url_query_get(h->ask->req.query, "exact", exact, sizeof(exact)) && exact[0] == '1';
    archive_start(h, &k->mj.j);
}

void serve_archive_jpeg(struct http *h)
{
    usec_t at_us;

    if (archive_time(h->ask->match.capture[0], &at_us))
        start_seek(h, at_us);
    else
        answer_error(h, 400, "expected <unix seconds>.jpg or <unix seconds>-preview.jpg");
}

void serve_screenshot_jpeg(struct http *h)
{
    struct span query = h->ask->req.query;
    char text[TIME_TEXT_MAX];
    usec_t at_us;
    bool ok = url_query_get(query, "timestamp", text, sizeof(text)) ? archive_time(span_of(text), &at_us)
        : url_query_get(query, "time", text, sizeof(text))          ? archive_date(span_of(text), &at_us)
                                                                    : false;

    if (ok)
        start_seek(h, at_us);
    else
        answer_error(h, 400, "expected timestamp=<unix seconds> or time=<date>");
}
