/* Segments of the archive: a thread of the storage's pool sends the head and, by sendfile, the media
 * (lend.h). A piece that the storage's cache knows (cuts.h) costs one way there and back. */
#include "httpd/archive.h"
#include "httpd/archive_cut.h"
#include "httpd/handlers.h"
#include "httpd/http_access.h"
#include "httpd/lend.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <unistd.h>

#define TYPE_SEGMENT "video/mp4"
#define ANSWER_MAX   4096 /* of the answer's head */
#define PIECE_TAG    96   /* of its ETag: six numbers in hex */
#define CACHE_DAY    "public, max-age=86400"
#define ROUNDED_US   US_PER_MS /* playlists know key frames by milliseconds */

struct play {
    struct lent lent; /* its job and h are used for the work before, too */
    struct storage *st;
    struct cut_key key;
    struct open_segment open;
    struct cut *cut; /* NULL: not known yet */
    int err;         /* of the work: 0, a condition or -errno */
    int fd;
    struct buf answer;       /* its head */
    struct http_range range; /* of the piece's head and media together */
    uint64_t lead; /* bytes before the media: the answer's head, and what the range has of the piece's */
};

static struct play *play_of(struct lent *l)
{
    return CONTAINER(l, struct play, lent);
}

static void play_free(struct play *p)
{
    storage_unref(p->st);
    fd_close(&p->fd);
    buf_done(&p->answer);
    cut_unref(p->cut);
    mem_free(p);
}

/* --- in the pool --- */

static void prepare(struct job *j)
{
    struct play *p = CONTAINER(j, struct play, lent.job);

    p->err = archive_cut(p->st, &p->key, &p->open, &p->cut, &p->fd);
}

/* The file range that holds the media byte `at`, from there on. */
static struct seg_range range_at(const struct seg_cut *c, uint64_t at)
{
    for (size_t i = 0; i < c->n_r; i++) {
        if (at < c->r[i].n) return (struct seg_range){c->r[i].at + at, c->r[i].n - at};
        at -= c->r[i].n;
    }
    return (struct seg_range){0, 0};
}

/* Answer's head, piece's head: together with what follows. */
static ssize_t send_lead(const struct play *p)
{
    struct span out = buf_span(&p->answer), head = buf_span(&p->cut->head);
    uint64_t behind = p->lent.total - p->lead;

    head = span_sub(head, (size_t)MIN(p->range.from, (uint64_t)head.n), (size_t)(p->lead - out.n));
    if (p->lent.done < out.n) {
        behind += head.n;
        out = span_from(out, (size_t)p->lent.done);
    } else {
        out = span_from(head, (size_t)(p->lent.done - out.n));
    }
    return conn_lent_send(p->lent.conn, out, behind > 0);
}

static ssize_t send_media(const struct play *p)
{
    uint64_t head = buf_n(&p->cut->head), from = p->range.from > head ? p->range.from - head : 0;
    struct seg_range r = range_at(&p->cut->media, from + p->lent.done - p->lead);
    size_t n = (size_t)MIN(MIN(r.n, p->lent.total - p->lent.done), LEND_TURN);

    return conn_lent_file(p->lent.conn, p->fd, r.at, n);
}

static int open_cut(struct lent *l)
{
    struct play *p = play_of(l);

    return p->fd < 0 ? archive_cut_open(p->st, &p->key, p->cut, &p->fd) : 0;
}

static ssize_t write_cut(struct lent *l)
{
    struct play *p = play_of(l);
    ssize_t n = l->done < p->lead ? send_lead(p) : send_media(p);

    return n == 0 ? -EIO : n; /* 0: the file is shorter than its table says */
}

/* --- in the hub --- */

static void look(struct http *h, struct play *p);

static void forget(struct http *h)
{
    struct play *p = h->ask->work;

    p->lent.h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
}

static void late(struct loop_timer *t)
{
    struct http *h = t->arg;

    forget(h);
    lend_refuse_late(h);
}

/* Another file now, or none: as if it had not been known. */
static void look_again(struct http *h, struct lent *l)
{
    struct play *p = play_of(l);

    cuts_drop(p->st->cuts, p->cut);
    cut_unref(p->cut);
    p->cut = NULL;
    buf_clear(&p->answer);
    fd_close(&p->fd);
    look(h, p);
}

static void lent_free(struct lent *l)
{
    play_free(play_of(l));
}

static const struct lent_ops ops = {open_cut, write_cut, look_again, lent_free};

/* Only all of it: playlists name pieces that end where a viewer's window does (archive_plan.h). */
static bool may_see(struct http *h, const struct seg_cut *media)
{
    return http_may_show(h, media->start_us + ROUNDED_US) && http_may_show(h, media->end_us - ROUNDED_US);
}

static void send_answer(struct http *h, struct play *p)
{
    struct answer a = {.status = 200, .type = TYPE_SEGMENT, .cache = CACHE_DAY};
    uint64_t head = buf_n(&p->cut->head), whole = head + p->cut->media.bytes;
    char extra[ANSWER_EXTRA_MAX], etag[PIECE_TAG];

    if (p->key.to > 0 && !may_see(h, &p->cut->media)) {
        play_free(p);
        return;
    }
    snprintf(etag, sizeof(etag), "\"%llx-%x-%x-%llx-%llx-%llx\"", (unsigned long long)p->key.id, p->key.from,
        p->key.to, (unsigned long long)p->key.until_us, (unsigned long long)p->key.shown_us,
        (unsigned long long)whole);
    a.v.etag = span_of(etag);
    if (!answer_range(h, &a, whole, extra, sizeof(extra), &p->range)) {
        play_free(p);
        return;
    }
    if (h->ask->head_only) {
        answer_head(h, &a, p->range.n);
        play_free(p);
        http_done(h);
        return;
    }
    if (!answer_head_put(h, &a, p->range.n, &p->answer)) {
        play_free(p);
        http_cut(h);
        return;
    }
    p->lead = buf_n(&p->answer) + (p->range.from < head ? MIN(head - p->range.from, p->range.n) : 0);
    p->lent.total = buf_n(&p->answer) + p->range.n;
    p->lent.ops = &ops;
    p->lent.pool = p->st->pool;
    lend_start(h, &p->lent);
}

static void prepared(struct job *j)
{
    struct play *p = CONTAINER(j, struct play, lent.job);
    struct http *h = p->lent.h;

    if (!h) {
        play_free(p);
        return;
    }
    forget(h);
    loop_timer_stop(&h->timer);
    if (p->err == 0) {
        send_answer(h, p);
        return;
    }
    /* A positive condition: not in the index, no such key frame, not a segment of ours. */
    if (p->err > 0 || p->err == -ENOENT || p->err == -EINVAL)
        answer_error(h, 404, "this segment is not in the archive");
    else
        answer_error_with(
            h, 503, "Retry-After: 5\r\n", "the archive cannot be read now: %s", err_text(p->err));
    play_free(p);
}

static struct storage *storage_tagged(struct http *h, struct span tag)
{
    struct storage *all[ARCHIVE_STORAGES_MAX], *found = NULL;
    const struct stream *s = h->ask->stream;
    size_t n = storages_of(
        h->hub->server->storages, span_of(s->v.archive), s->v.nodes, s->v.n_nodes, all, ARCHIVE_STORAGES_MAX);
    char own[9];

    for (size_t i = 0; i < n; i++) {
        archive_tag(all[i], own);
        if (!found && span_is(tag, own))
            found = all[i];
        else
            storage_unref(all[i]);
    }
    return found;
}

/* Reads the segment's table, in the pool. */
static void look(struct http *h, struct play *p)
{
    p->lent.h = h;
    p->lent.job.work = prepare;
    p->lent.job.done = prepared;
    if (!pool_put(p->st->pool, &p->lent.job)) {
        play_free(p);
        lend_refuse_busy(h);
        return;
    }
    h->ask->work = p;
    h->ask->abort = forget;
    http_timer(h, ARCHIVE_LATE_US, late);
}

static void start(struct http *h, struct play *p, struct span tag)
{
    p->fd = -1;
    p->lent.job.loop = h->hub->loop;
    buf_init(&p->answer, ANSWER_MAX);
    if (p->key.until_us != 0 && !http_may_show(h, p->key.until_us)) { /* by microseconds, as it is listed */
        play_free(p);
        return;
    }
    p->st = storage_tagged(h, tag);
    if (!p->st) {
        play_free(p);
        answer_error(h, 404, "this segment is not in the archive");
        return;
    }
    span_copy(span_of(h->ask->stream->v.uid), p->key.uid, sizeof(p->key.uid));
    if (p->key.until_us != 0) p->key.shown_us = http_sight(h).to_us;
    archive_open_segment(h->ask->stream, &p->open);
    p->cut = cuts_get(p->st->cuts, &p->key);
    if (p->cut)
        send_answer(h, p);
    else
        look(h, p);
}

void serve_archive_init(struct http *h)
{
    const struct route_match *m = &h->ask->match;
    struct play *p = NEW(struct play);

    if (span_hex64(m->capture[1], &p->key.id)) {
        start(h, p, m->capture[0]);
        return;
    }
    mem_free(p);
    answer_error(h, 400, "this is no name of an init segment");
}

/* "<sample>", or "<sample>x<microseconds>" of a piece that ends before the sample. */
static bool piece_end(struct span s, struct cut_key *k)
{
    struct span number;
    uint64_t to, until = 0;

    if (!span_split(&s, 'x', &number) || !span_hex64(number, &to) || to > UINT32_MAX) return false;
    if (s.p && (!span_hex64(s, &until) || until == 0 || until > SEG_TIME_MAX_US)) return false;
    k->to = (uint32_t)to;
    k->until_us = (usec_t)until;
    return true;
}

void serve_archive_segment(struct http *h)
{
    const struct route_match *m = &h->ask->match;
    struct play *p = NEW(struct play);
    uint64_t from;

    if (span_hex64(m->capture[1], &p->key.id) && span_hex64(m->capture[2], &from) &&
        piece_end(m->capture[3], &p->key) && from < p->key.to) {
        p->key.from = (uint32_t)from;
        start(h, p, m->capture[0]);
        return;
    }
    mem_free(p);
    answer_error(h, 400, "this is no name of a segment");
}
