#include "httpd/archive.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/log.h"
#include "common/base/mem.h"

static void next_storage(struct archive_job *j);

/* --- what is asked for --- */

bool archive_time(struct span s, usec_t *ret_us)
{
    uint64_t v;

    if (!span_u64(s, ARCHIVE_TIME_MOST_S, &v)) return false;
    *ret_us = (usec_t)v * US_PER_S;
    return true;
}

bool archive_span(struct span s, usec_t from_us, usec_t *ret_to_us)
{
    usec_t dur_us;

    if (!archive_time(s, &dur_us) || dur_us == 0) return false;
    *ret_to_us = from_us + dur_us;
    return true;
}

static bool number(struct span s, size_t at, size_t n, uint64_t least, uint64_t most, int *ret)
{
    uint64_t v;

    if (at + n > s.n || !span_u64(span_sub(s, at, n), most, &v) || v < least) return false;
    *ret = (int)v;
    return true;
}

/* "Z", "+03:00", "-0330" or nothing. */
static bool zone(struct span s, int *ret_minutes)
{
    int h, m = 0;

    *ret_minutes = 0;
    if (s.n == 0 || span_iis(s, "Z")) return true;
    /* '+' of a query that was not escaped arrives as a blank */
    if (s.p[0] != '+' && s.p[0] != '-' && s.p[0] != ' ') return false;
    if (!number(s, 1, 2, 0, 14, &h)) return false;
    if (s.n > 3 && !number(s, s.p[3] == ':' ? 4 : 3, 2, 0, 59, &m)) return false;
    *ret_minutes = (s.p[0] == '-' ? -1 : 1) * (h * 60 + m);
    return true;
}

bool archive_date(struct span s, usec_t *ret_us)
{
    struct tm tm = {0};
    int minutes;
    size_t at = 19;

    if (archive_time(s, ret_us)) return true;
    if (s.n < 19 || s.p[4] != '-' || s.p[7] != '-' || s.p[13] != ':' || s.p[16] != ':') return false;
    if (s.p[10] != 'T' && s.p[10] != ' ' && s.p[10] != '_') return false;
    if (!number(s, 0, 4, 1970, 9999, &tm.tm_year) || !number(s, 5, 2, 1, 12, &tm.tm_mon) ||
        !number(s, 8, 2, 1, 31, &tm.tm_mday) || !number(s, 11, 2, 0, 23, &tm.tm_hour) ||
        !number(s, 14, 2, 0, 59, &tm.tm_min) || !number(s, 17, 2, 0, 59, &tm.tm_sec))
        return false;
    if (at < s.n && s.p[at] == '.')
        for (at++; at < s.n && s.p[at] >= '0' && s.p[at] <= '9';) at++;
    if (!zone(span_from(s, at), &minutes)) return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *ret_us = ((usec_t)timegm(&tm) - (usec_t)minutes * 60) * US_PER_S;
    return true;
}

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

/* --- a job's way --- */

static void job_free(struct archive_job *j)
{
    for (size_t i = 0; i < j->n_storages; i++) storage_unref(j->storages[i]);
    if (j->free) j->free(j);
    mem_free(j);
}

static void visit(struct job *job)
{
    struct archive_job *j = CONTAINER(job, struct archive_job, job);
    int err = j->visit(j, j->storages[j->at]);

    if (err != 0) {
        j->failed++;
        log_event_of(LOG_WARN, j->uid, "archive-unread", "storage=%s err=%d", j->storages[j->at]->name, err);
    }
    if (j->at + 1 == j->n_storages && j->failed < j->n_storages && j->finish) j->finish(j);
}

void archive_forget(struct http *h)
{
    struct archive_job *j = h->ask->work;

    if (j) j->h = NULL;
    h->ask->work = NULL;
    h->ask->abort = NULL;
}

static void visited(struct job *job)
{
    struct archive_job *j = CONTAINER(job, struct archive_job, job);

    if (!j->h) {
        job_free(j);
    } else if (++j->at < j->n_storages) {
        next_storage(j);
    } else {
        struct http *h = j->h;

        archive_forget(h);
        j->h = h;
        if (j->failed == j->n_storages)
            answer_error_with(h, 503, "Retry-After: 5\r\n", "the archive cannot be read now");
        else
            j->answer(j);
        job_free(j);
    }
}

static void next_storage(struct archive_job *j)
{
    struct http *h = j->h;

    j->job.work = visit;
    j->job.done = visited;
    if (pool_put(j->storages[j->at]->pool, &j->job)) return;
    archive_forget(h);
    job_free(j);
    answer_error_with(h, 503, "Retry-After: 2\r\n", "too many readers wait for this storage");
}

static void late(struct loop_timer *t)
{
    struct http *h = t->arg;

    archive_forget(h);
    answer_error_with(h, 503, "Retry-After: 10\r\n", "the storage does not answer");
}

void archive_start(struct http *h, struct archive_job *j)
{
    const struct stream *s = h->ask->stream;

    j->h = h;
    j->now_us = clock_wall_us();
    j->job.loop = h->hub->loop;
    span_copy(span_of(s->v.uid), j->uid, sizeof(j->uid));
    archive_open_segment(s, &j->open);
    j->n_storages =
        storages_of(h->hub->server->storages, span_of(s->v.archive), j->storages, ARCHIVE_STORAGES_MAX);
    if (j->n_storages == 0) {
        job_free(j);
        answer_error(h, 404, "this stream has no archive");
        return;
    }
    h->ask->work = j;
    h->ask->abort = archive_forget;
    http_timer(h, ARCHIVE_LATE_US, late);
    next_storage(j);
}
