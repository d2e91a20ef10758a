/* Segments of the archive: the head is made from the table for each request, the media goes from the file to
 * the socket by sendfile, in a thread of the storage's pool. While such a thread has the socket, the hub does
 * not touch it (conn_lend); when the client takes no more, the socket comes back and is waited for. */
#include "httpd/archive.h"
#include "httpd/handlers.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <sys/sendfile.h>
#include <unistd.h>

#define TYPE_SEGMENT "video/mp4"
#define PLAY_TURN    (4u << 20) /* bytes, then the next job of this storage */
#define HEAD_MAX     (4u << 20)
#define INIT_MAX     (64u << 10)
#define CACHE_DAY    "public, max-age=86400"

struct play {
    struct job job;
    struct http *h; /* NULL: the connection has gone */
    struct storage *st;
    char uid[RING_UID_MAX + 1];
    struct open_segment open;
    uint64_t id;
    uint32_t from, to;
    bool init_only;
    int err; /* of the work: 0, a condition or -errno */
    int fd, sock;
    struct buf head; /* what is sent before the media: moof and header of the mdat, or the init segment */
    struct seg_cut cut;
    struct http_range range; /* of head and media together */
    uint64_t at;             /* next byte of the range's media, counted in the media */
    uint64_t sent;           /* by the last turn */
    bool blocked;
};

static void play_free(struct play *p)
{
    storage_unref(p->st);
    fd_close(&p->fd);
    buf_done(&p->head);
    seg_cut_done(&p->cut);
    mem_free(p);
}

/* --- in the pool --- */

/* A segment that is not in the index is still open, or was closed a moment ago: its path follows from its id.
 */
static int load_unindexed(struct play *p, struct seg_table **t)
{
    char path[SEG_PATH_MAX];
    int err;

    seg_path_of(p->id, path);
    err = seg_open(p->st->path, p->uid, path, &p->fd);
    if (err == 0) err = seg_table_load(p->fd, NULL, t);
    if (err == SEG_E_NO_FOOTER && p->open.id == p->id) err = seg_table_scan(p->fd, p->open.bytes, t);
    return err;
}

static int load_table(struct play *p, struct seg_table **t)
{
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));
    struct index *ix = info ? storage_index_get(p->st) : NULL;
    int err;

    if (!ix) return -EAGAIN;
    err = index_get(ix, p->uid, p->id, info);
    storage_index_put(p->st);
    /* Damaged: the file says of itself what the record did. */
    if (err == INDEX_E_NONE || err == INDEX_E_DAMAGED) return load_unindexed(p, t);
    if (err != INDEX_OK) return -EIO;
    err = seg_open(p->st->path, p->uid, info->path, &p->fd);
    return err != 0 ? err : seg_table_load(p->fd, info, t);
}

static int make_head(struct play *p, const struct seg_table *t)
{
    unsigned mask = mp4_mask(&t->tracks, MP4_PLAYABLE);
    int err;

    if (mask == 0) return INDEX_E_NONE;
    if (p->init_only) return mp4_init_segment(&p->head, &t->tracks, mask) ? 0 : -ENOMEM;
    err = seg_cut(t, p->from, p->to, mask, &p->cut);
    if (err != 0) return err;
    if (p->cut.n == 0) return INDEX_E_NONE;
    return mp4_fragment_head(&p->head, p->from + 1, p->cut.s, p->cut.n, NULL) ? 0 : -ENOMEM;
}

/* A piece at the end of the open segment ends where the segment ended when it was listed, whatever came
 * later. */
static void cut_tail(const struct play *p, struct seg_table *t)
{
    if (p->init_only || p->to >= t->n || p->to <= p->from) return;
    if (seg_key_next(t, p->to - 1) != p->to) t->n = p->to;
}

static void prepare(struct job *j)
{
    struct play *p = CONTAINER(j, struct play, job);
    struct seg_table *t = NULL;

    p->err = load_table(p, &t);
    if (p->err == 0) cut_tail(p, t);
    if (p->err == 0) p->err = make_head(p, t);
    seg_table_free(t);
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

static uint64_t media_end(const struct play *p)
{
    uint64_t end = p->range.from + p->range.n, head = buf_n(&p->head);

    return end > head ? end - head : 0;
}

static void pump(struct job *j)
{
    struct play *p = CONTAINER(j, struct play, job);

    p->sent = 0;
    p->blocked = false;
    p->err = 0;
    while (p->at < media_end(p) && p->sent < PLAY_TURN) {
        struct seg_range r = range_at(&p->cut, p->at);
        off_t at = (off_t)r.at;
        ssize_t n =
            sendfile(p->sock, p->fd, &at, (size_t)MIN(MIN(r.n, media_end(p) - p->at), PLAY_TURN - p->sent));

        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) {
            p->blocked = true;
            return;
        }
        if (n <= 0) { /* the file is shorter than its table says, or the disk or the client has failed */
            p->err = n < 0 ? -errno : -EIO;
            return;
        }
        p->at += (uint64_t)n;
        p->sent += (uint64_t)n;
    }
}

/* --- in the hub --- */

static void lend(struct http *h);

static void finish(struct http *h, struct play *p, bool whole)
{
    h->ask->work = NULL;
    h->ask->abort = NULL;
    h->ask->sent = NULL;
    play_free(p);
    if (whole)
        http_done(h);
    else
        http_cut(h);
}

static void pumped(struct job *j)
{
    struct play *p = CONTAINER(j, struct play, job);
    struct http *h = p->h;

    conn_lend_end(h->conn, p->sent);
    if (p->err != 0 || p->at >= media_end(p))
        finish(h, p, p->err == 0);
    else if (p->blocked)
        conn_wait_writable(h->conn); /* on_sent, or the stall timeout */
    else
        lend(h);
}

/* The head has gone out, or the socket takes bytes again. */
static void lend(struct http *h)
{
    struct play *p = h->ask->work;

    if (conn_queued(h->conn) > 0) return;
    p->sock = conn_lend(h->conn);
    p->job.work = pump;
    p->job.done = pumped;
    if (pool_put(p->st->pool, &p->job)) return;
    conn_lend_end(h->conn, 0);
    finish(h, p, false);
}

static void aborted(struct http *h)
{
    play_free(h->ask->work);
}

static void send_answer(struct http *h, struct play *p)
{
    struct answer a = {.status = 200, .type = TYPE_SEGMENT, .cache = CACHE_DAY};
    uint64_t head_n = buf_n(&p->head), whole, part;
    char extra[ANSWER_EXTRA_MAX], etag[ETAG_MAX];

    whole = head_n + p->cut.bytes;
    snprintf(etag, sizeof(etag), "\"%llx-%x-%x-%llx\"", (unsigned long long)p->id, p->from, p->to,
        (unsigned long long)whole);
    a.v.etag = span_of(etag);
    if (!answer_range(h, &a, whole, extra, sizeof(extra), &p->range)) {
        play_free(p);
        return;
    }
    answer_head(h, &a, p->range.n);
    if (h->ask->head_only) {
        play_free(p);
        http_done(h);
        return;
    }
    part = p->range.from < head_n ? MIN(head_n - p->range.from, p->range.n) : 0;
    conn_send(h->conn, span_sub(buf_span(&p->head), (size_t)p->range.from, (size_t)part));
    p->at = p->range.from > head_n ? p->range.from - head_n : 0;
    if (p->at >= media_end(p)) {
        play_free(p);
        http_done(h);
        return;
    }
    h->ask->work = p;
    h->ask->abort = aborted;
    h->ask->sent = lend;
    conn_flush(h->conn);
    if (conn_queued(h->conn) == 0) lend(h);
}

static void forget(struct http *h)
{
    struct play *p = h->ask->work;

    p->h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
}

static void prepared(struct job *j)
{
    struct play *p = CONTAINER(j, struct play, job);
    struct http *h = p->h;

    if (!h) {
        play_free(p);
        return;
    }
    forget(h);
    p->h = h;
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

static void late(struct loop_timer *t)
{
    struct http *h = t->arg;

    forget(h);
    answer_error_with(h, 503, "Retry-After: 10\r\n", "the storage does not answer");
}

static struct storage *storage_tagged(struct http *h, struct span tag)
{
    struct storage *all[ARCHIVE_STORAGES_MAX], *found = NULL;
    const struct stream *s = h->ask->stream;
    size_t n = storages_of(h->hub->server->storages, span_of(s->v.archive), all, ARCHIVE_STORAGES_MAX);
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

static void start(struct http *h, struct play *p, struct span tag)
{
    p->fd = -1;
    buf_init(&p->head, p->init_only ? INIT_MAX : HEAD_MAX);
    p->st = storage_tagged(h, tag);
    if (!p->st) {
        play_free(p);
        answer_error(h, 404, "this segment is not in the archive");
        return;
    }
    p->h = h;
    p->job.loop = h->hub->loop;
    p->job.work = prepare;
    p->job.done = prepared;
    span_copy(span_of(h->ask->stream->v.uid), p->uid, sizeof(p->uid));
    archive_open_segment(h->ask->stream, &p->open);
    if (!pool_put(p->st->pool, &p->job)) {
        play_free(p);
        answer_error_with(h, 503, "Retry-After: 2\r\n", "too many readers wait for this storage");
        return;
    }
    h->ask->work = p;
    h->ask->abort = forget;
    http_timer(h, ARCHIVE_LATE_US, late);
}

void serve_archive_init(struct http *h)
{
    const struct route_match *m = &h->ask->match;
    struct play *p = NEW(struct play);

    p->init_only = true;
    if (span_hex64(m->capture[1], &p->id)) {
        start(h, p, m->capture[0]);
        return;
    }
    mem_free(p);
    answer_error(h, 400, "this is no name of an init segment");
}

void serve_archive_segment(struct http *h)
{
    const struct route_match *m = &h->ask->match;
    struct play *p = NEW(struct play);
    uint64_t from, to;

    if (span_hex64(m->capture[1], &p->id) && span_hex64(m->capture[2], &from) &&
        span_hex64(m->capture[3], &to) && from < to && to <= UINT32_MAX) {
        p->from = (uint32_t)from;
        p->to = (uint32_t)to;
        start(h, p, m->capture[0]);
        return;
    }
    mem_free(p);
    answer_error(h, 400, "this is no name of a segment");
}
