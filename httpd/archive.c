#include "httpd/archive.h"
#include "httpd/bytes.h"
#include "httpd/elsewhere.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <errno.h>

_Static_assert(ARCHIVE_STORAGES_MAX <= 32, "a mask of 32 bits");

void archive_tag(const struct storage *st, char dst[9])
{
    snprintf(dst, 9, "%08x", (unsigned)(hash_fnv1a(span_of(st->name)) & 0xffffffffu));
}

void archive_open_segment(const struct stream *s, struct open_segment *ret)
{
    const struct ring_status *st = s->status;
    char path[RING_REASON_MAX];
    struct span below;

    *ret = (struct open_segment){0};
    if (!st) return;
    ret->id = atomic_load(&st->rec_segment);
    ret->start_us = atomic_load(&st->rec_start_us);
    ret->end_us = atomic_load(&st->rec_end_us);
    ret->bytes = atomic_load(&st->rec_bytes);
    ring_status_get_text(st, st->rec_storage, sizeof(st->rec_storage), ret->storage, sizeof(ret->storage));
    ring_status_get_text(st, st->rec_path, sizeof(st->rec_path), path, sizeof(path));
    below = span_of(path);
    if (span_starts(below, SPAN_LIT("records/"))) below = span_from(below, 8);
    /* The fields need not agree with each other: a segment that closed between the two reads is none. */
    if (!span_copy(below, ret->path, sizeof(ret->path)) || ret->path[0] == '\0' || ret->bytes == 0 ||
        ret->end_us <= ret->start_us || ret->id != atomic_load(&st->rec_segment))
        ret->id = 0;
}

/* --- a job's way ---
 *
 * Every storage is asked in its own pool. Whoever takes the job's `taken` has the answer written, once: the
 * last visit that is over, in its own thread; or the hub, when it has been patient enough, in the pool of a
 * storage that has answered. Visits that come later find it taken. The hub alone counts what is out in pools
 * (`out`) and frees the job when all is back. */

static void job_drop(struct archive_job *j)
{
    if (j->h || j->out > 0) return;
    for (size_t i = 0; i < j->n; i++) storage_unref(j->v[i].st);
    if (j->free) j->free(j);
    mem_free(j);
}

static void write_answer(struct archive_job *j)
{
    size_t used = 0;

    j->used = 0;
    j->missing = 0;
    for (size_t i = 0; i < j->n; i++) {
        if (!atomic_load(&j->v[i].over) || j->v[i].err != 0) {
            j->missing += !j->v[i].unlikely;
            continue;
        }
        j->used |= 1u << i;
        j->damaged |= j->v[i].damaged;
        j->stale += j->v[i].stale;
        used++;
    }
    if (used > 0) j->finish(j);
}

/* Nobody waits for it: another has written the answer, or the viewer has gone. */
static bool pointless(struct archive_job *j)
{
    return atomic_load(&j->taken);
}

static void visit(struct job *job)
{
    struct archive_visit *v = CONTAINER(job, struct archive_visit, job);
    struct archive_job *j = v->j;

    v->err = pointless(j) ? -ECANCELED : j->read(v);
    if (v->err != 0 && v->err != -ECANCELED) storage_say(v->st, STORAGE_UNREAD, j->uid, v->err);
    atomic_store(&v->over, true);
    if (atomic_fetch_sub(&j->left, 1) > 1 || atomic_exchange(&j->taken, true)) return;
    write_answer(j);
    v->wrote = true;
}

static void write_in_pool(struct job *job)
{
    write_answer(CONTAINER(job, struct archive_job, writing));
}

void archive_forget(struct http *h)
{
    struct archive_job *j = h->ask->work;

    h->ask->work = NULL;
    h->ask->abort = NULL;
    if (!j) return;
    j->h = NULL;
    atomic_store(&j->taken, true);
    job_drop(j);
}

static void unreadable(struct http *h)
{
    answer_error_with(h, 503, "Retry-After: 5\r\n", "the archive cannot be read now");
}

/* Where a node has all of it, and viewers may be sent there (cluster-redirect). */
static bool send_to_holder(struct archive_job *j)
{
    char line[ELSEWHERE_MAX];
    struct wr w = wr_of(line, sizeof(line));

    if (!j->holder || j->missing + j->stale > 0 || !elsewhere_at(j->h, j->holder->host, &w)) return false;
    answer_error_with(j->h, 307, line, "another node has this footage");
    return true;
}

static void deliver(struct archive_job *j)
{
    struct http *h = j->h;

    if (!h) return;
    loop_timer_stop(&h->timer);
    h->ask->work = NULL;
    h->ask->abort = NULL;
    if (j->used == 0)
        unreadable(h);
    else if (!send_to_holder(j))
        j->answer(j);
    j->h = NULL;
}

static void written(struct job *job)
{
    struct archive_job *j = CONTAINER(job, struct archive_job, writing);

    deliver(j);
    j->out--;
    job_drop(j);
}

/* With what has come, if anything has. Called while a job is out, which keeps j. */
static void answer_early(struct archive_job *j)
{
    struct http *h = j->h;

    for (size_t i = 0; i < j->n; i++) {
        if (!atomic_load(&j->v[i].over) || j->v[i].err != 0) continue;
        if (atomic_exchange(&j->taken, true)) return;
        if (pool_put(j->v[i].st->pool, &j->writing)) {
            j->out++;
            return;
        }
        archive_forget(h);
        unreadable(h);
        return;
    }
    if (j->out > 1) return; /* others may still come */
    archive_forget(h);
    unreadable(h);
}

static void visited(struct job *job)
{
    struct archive_visit *v = CONTAINER(job, struct archive_visit, job);
    struct archive_job *j = v->j;

    if (v->wrote)
        deliver(j);
    else if (j->h && j->impatient)
        answer_early(j);
    j->out--;
    job_drop(j);
}

/* --- its start, and its patience --- */

static void late(struct loop_timer *t)
{
    struct http *h = t->arg;

    archive_forget(h);
    answer_error_with(h, 503, "Retry-After: 10\r\n", "the storage does not answer");
}

static void impatient(struct loop_timer *t)
{
    struct http *h = t->arg;
    struct archive_job *j = h->ask->work;

    for (size_t i = 0; i < j->n; i++)
        if (!atomic_load(&j->v[i].over)) storage_say(j->v[i].st, STORAGE_SLOW, j->uid, -ETIMEDOUT);
    j->impatient = true;
    http_timer(h, ARCHIVE_LATE_US - ARCHIVE_PATIENCE_US, late);
    answer_early(j);
}

/* How many could be asked: 0 where every pool is full. */
static size_t ask_all(struct archive_job *j)
{
    unsigned refused = 0;

    atomic_store(&j->left, (unsigned)j->n);
    for (size_t i = 0; i < j->n; i++) {
        struct archive_visit *v = &j->v[i];

        v->j = j;
        v->n = (uint8_t)i;
        v->job = (struct job){.work = visit, .done = visited, .loop = j->writing.loop};
        if (pool_put(v->st->pool, &v->job)) {
            j->out++;
            continue;
        }
        v->err = -EBUSY;
        atomic_store(&v->over, true);
        refused++;
    }
    /* Where the others were over before, none of them was the last: the hub goes on when they are back. */
    if (refused > 0 && atomic_fetch_sub(&j->left, refused) == refused) j->impatient = true;
    return j->out;
}

/* Footage may lie where it was recorded by an order of before. */
static bool is_unlikely(const struct view *v, const struct storage *st)
{
    for (unsigned i = 0; i < v->n_nodes; i++)
        if (v->nodes[i] == st->node) return false;
    return st->node != 0 && v->n_nodes > 0;
}

void archive_start(struct http *h, struct archive_job *j)
{
    struct storage *found[ARCHIVE_STORAGES_MAX];
    const struct stream *s = h->ask->stream;

    j->now_us = clock_wall_us();
    j->writing = (struct job){.work = write_in_pool, .done = written, .loop = h->hub->loop};
    span_copy(span_of(s->v.uid), j->uid, sizeof(j->uid));
    archive_open_segment(s, &j->open);
    j->n = storages_of(h->hub->server->storages, span_of(s->v.archive), s->v.nodes, s->v.n_nodes, found,
        ARCHIVE_STORAGES_MAX);
    for (size_t i = 0; i < j->n; i++) {
        j->v[i].st = found[i];
        j->v[i].unlikely = is_unlikely(&s->v, found[i]);
    }
    if (j->n == 0) {
        job_drop(j);
        answer_error(h, 404, "this stream has no archive");
        return;
    }
    j->h = h;
    h->ask->work = j;
    h->ask->abort = archive_forget;
    http_timer(h, ARCHIVE_PATIENCE_US, impatient);
    if (ask_all(j) > 0) return;
    archive_forget(h);
    answer_error_with(h, 503, "Retry-After: 2\r\n", "too many readers wait for this storage");
}

void archive_body(struct body *b, struct span text, bool pack)
{
    struct chunk *c = bytes_chunk(text);

    if (!c) return;
    body_set(b, c);
    if (pack) body_pack(b);
}

void archive_answer(struct archive_job *j, const char *type, struct body *b)
{
    struct answer a = {.status = 200, .type = type, .cache = CACHE_CHECK, .placed = true};
    char extra[ARCHIVE_EXTRA_MAX];

    if (j->missing + j->stale > 0) {
        snprintf(extra, sizeof(extra), "X-Archive-Incomplete: %u of %zu storages\r\n", j->missing + j->stale,
            j->n);
        a.extra = extra;
        a.cache = CACHE_NEVER;
    }
    answer_body(j->h, &a, b, true);
}

int archive_index_err(struct archive_visit *v, int err)
{
    if (err != INDEX_E_DAMAGED) return err;
    v->damaged = true;
    storage_say(v->st, STORAGE_DAMAGED, v->j->uid, err);
    return INDEX_OK;
}
