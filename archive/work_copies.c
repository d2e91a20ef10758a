#include "archive/work_copies.h"
#include "archive/work.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <errno.h>

#define PAGE             256 /* events of one transaction */
#define COMPACT_EVERY_US (600 * US_PER_S)
#define COMPACT_AGE_US   (2 * 86400 * US_PER_S) /* days that nothing is added to any more */

static void failed(struct work *w, const char *what, int err)
{
    uint32_t held;

    if (log_limited(&w->copies.failed, clock_mono_us(), &held))
        log_warn("event-copy", "storage=%s what=%s err=%s held=%u", w->conf->name, what,
            log_q(span_of(err_text(err))), held);
}

/* --- writing --- */

/* More events a day than a copy holds are better than none. */
static int add(struct work *w, const struct event *list, size_t n)
{
    int err = event_file_add(w->storage.fd, list, n);

    if (err) failed(w, "write", err);
    return err == -EFBIG ? 0 : err;
}

bool work_copies_add(struct work *w, const struct event *list, size_t n)
{
    return add(w, list, n) == 0;
}

/* An older version has made the index, or it was not at the end of this yet. */
void work_copies_walk(struct work *w)
{
    w->copies.copying = !event_file_complete(w->storage.fd);
    w->copies.copy_err = 0;
}

void work_copies_seen(struct work *w, const struct event *list, size_t n)
{
    if (w->copies.copying && !w->copies.copy_err) w->copies.copy_err = add(w, list, n);
}

void work_copies_walked(struct work *w, int err)
{
    struct work_copies *c = &w->copies;

    if (c->copying && !err && !c->copy_err) c->copy_err = event_file_set_complete(w->storage.fd);
    if (c->copying && c->copy_err) failed(w, "complete", c->copy_err);
    c->copying = false;
}

/* --- reading --- */

static void begin(struct work *w)
{
    struct work_copies *c = &w->copies;
    int err = event_reader_open(w->storage.fd, NULL, &c->reader);

    if (err) failed(w, "read", err);
    c->restoring = !err && c->reader.n_days > 0;
    c->restored = 0;
    if (c->restoring) c->page = mem_new_n(PAGE, sizeof(*c->page));
    if (!c->restoring) event_reader_close(&c->reader);
}

static void end(struct work *w)
{
    struct work_copies *c = &w->copies;

    if (c->restoring) event_reader_close(&c->reader);
    mem_free(c->page);
    c->page = NULL;
    c->restoring = c->copying = false;
}

void work_copies_opened(struct work *w)
{
    end(w);
    if (w->indexer.rebuild) begin(w);
}

void work_copies_restore(struct work *w)
{
    if (!w->copies.restoring) begin(w);
}

void work_copies_closed(struct work *w)
{
    end(w);
}

static void restored(struct work *w)
{
    struct work_copies *c = &w->copies;
    int err = c->reader.err;

    if (err) failed(w, "read", err);
    if (c->restored > 0)
        log_note("events-restored", "storage=%s events=%llu", w->conf->name, (unsigned long long)c->restored);
    end(w);
    indexer_events_restored(&w->indexer, err == 0);
}

bool work_copies_step(struct work *w)
{
    struct work_copies *c = &w->copies;
    size_t n = 0;
    int err;

    if (!c->restoring || !w->indexer.ix) return false;
    while (n < PAGE && event_reader_next(&c->reader, &c->page[n])) n++;
    err = n > 0 ? index_events_restore(w->indexer.ix, c->page, n) : INDEX_OK;
    if (err) {
        end(w); /* the index is opened anew, or made anew: then from the first */
        w->keep.wrote_err = err;
        return false;
    }
    c->restored += n;
    if (n < PAGE) restored(w);
    return n == PAGE;
}

bool work_copies_restoring(const struct work *w)
{
    return w->copies.restoring;
}

/* --- leaving out --- */

/* What has been put again since, or whose footage has gone. */
static bool keep(void *arg, const struct event *e)
{
    struct work *w = arg;
    struct event *now = NEW(struct event);
    bool newer =
        index_event(w->indexer.ix, e->uid, e->start_us, e->id, now) == INDEX_OK && now->end_us > e->end_us;

    mem_free(now);
    w->ops->alive(w->arg);
    return !newer && !work_event_is_old(w, e);
}

/* The next day behind the one before, or the first. */
static void compact(struct work *w)
{
    struct work_copies *c = &w->copies;
    CLEANUP(mem_freep) char(*days)[EVENT_FILE_DAY] = NULL;
    char last[EVENT_FILE_DAY];
    size_t n = 0, i = 0;
    int err = event_file_days(w->storage.fd, &days, &n);

    event_file_day(work_clock_now(w) - COMPACT_AGE_US, last);
    while (i < n && strcmp(days[i], c->day) <= 0) i++;
    c->day[0] = 0;
    if (!err && i < n && strcmp(days[i], last) < 0) {
        span_copy(span_of(days[i]), c->day, sizeof(c->day));
        err = event_file_compact(w->storage.fd, days[i], keep, w);
    }
    if (err) failed(w, "compact", err);
}

void work_copies_tick(struct work *w, usec_t now_us)
{
    struct work_copies *c = &w->copies;

    if (!w->indexer.ix || w->scanning || c->restoring || w->indexer.rebuild || !w->keep.ready) return;
    if (w->indexer.events == INDEXER_EVENTS_WANTED) {
        begin(w);
        if (!c->restoring) indexer_events_restored(&w->indexer, true);
        return;
    }
    if (c->compact_us == 0) c->compact_us = now_us; /* not at once behind the start */
    if (now_us - c->compact_us < COMPACT_EVERY_US || w->storage.state != STORAGE_OK) return;
    c->compact_us = now_us;
    compact(w);
}
