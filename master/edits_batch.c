#include "master/edits_batch.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/log.h"
#include "common/base/mem.h"
#include "common/conf/report.h"
#include "common/conf/source.h"
#include "common/net/pool.h"
#include "master/edits_impl.h"
#include "master/master.h"
#include "master/reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct item {
    char *uid, *path;
    uint8_t *text; /* NULL: it goes */
    size_t n;
    char *refused;
    bool idle; /* the file is as it is to be */
};
struct edits_batch {
    struct job job;
    struct master *m;
    struct pool *pool;
    edits_batch_fn *done;
    void *arg;
    char by[REVISION_BY_MAX], why[REVISION_TEXT_MAX];
    struct item *v;
    size_t n;
    /* Of the thread, until it is done: */
    struct edits_work w;
    struct stream_edit *edits; /* w.v: those that are neither refused nor idle */
    size_t *of;                /* the item of each */
    struct edits_result result;
    struct conf_report report;
    struct conf *after; /* NULL: there is nothing to be taken over */
    uint64_t changes;   /* of the master, when it was read */
};

struct edits_batch *edits_batch_new(struct master *m, const char *by, const char *why)
{
    struct edits_batch *b = NEW(struct edits_batch);

    b->m = m;
    span_copy(span_sub(span_of(by), 0, sizeof(b->by) - 1), b->by, sizeof(b->by));
    span_copy(span_sub(span_of(why), 0, sizeof(b->why) - 1), b->why, sizeof(b->why));
    return b;
}

void edits_batch_add(struct edits_batch *b, const char *uid, const char *path, struct span text)
{
    struct item *x;

    b->v = mem_renew(b->v, (b->n + 1) * sizeof(*b->v));
    x = &b->v[b->n++];
    *x = (struct item){.uid = mem_strdup(uid), .path = mem_strdup(path), .n = text.n};
    if (text.p) x->text = mem_dup(text.p, MAX(text.n, 1));
}

size_t edits_batch_n(const struct edits_batch *b)
{
    return b->n;
}

const char *edits_batch_refused(const struct edits_batch *b, size_t i)
{
    return b->v[i].refused;
}

uint64_t edits_batch_revision(const struct edits_batch *b)
{
    return b->result.revision;
}

static void drop_drafts(struct edits_batch *b)
{
    edits_drafts_done(&b->w);
    b->w.drafts = NULL;
    b->w.n = 0;
}

void edits_batch_free(struct edits_batch *b)
{
    drop_drafts(b);
    for (size_t i = 0; i < b->n; i++) {
        mem_free(b->v[i].uid);
        mem_free(b->v[i].path);
        mem_free(b->v[i].text);
        mem_free(b->v[i].refused);
    }
    mem_free(b->v);
    mem_free(b->edits);
    mem_free(b->of);
    edits_result_done(&b->result);
    conf_report_done(&b->report);
    conf_free(b->after);
    mem_free(b);
}

static void refuse(struct item *x, const char *why)
{
    if (!x->refused) x->refused = mem_strdup(why);
}

/* --- in the thread --- */

/* What is there now, and what is to be: NULL, or why not. */
static const char *draft(struct item *x, struct draft *d)
{
    const char *why = x->text ? conf_text_refused(span(x->text, x->n), span_of(x->uid)) : NULL;
    int err;

    if (why) return why;
    d->file = mem_strdup(x->path);
    d->real = realpath(x->path, NULL);
    d->is_new = d->real == NULL;
    d->gone = x->text == NULL;
    x->idle = d->is_new && d->gone;
    if (d->is_new) d->real = mem_strdup(x->path);
    err = d->is_new ? 0 : fd_read_file(AT_FDCWD, d->real, SOURCE_FILE_MAX, &d->was, &d->was_n);
    if (err < 0) return "its file cannot be read";
    if (x->text && d->was && span_eq(span(x->text, x->n), span(d->was, d->was_n))) x->idle = true;
    buf_init(&d->text, 2 * SOURCE_FILE_MAX);
    return !x->text || buf_put(&d->text, span(x->text, x->n)) ? NULL : "out of memory";
}

static void make_drafts(struct edits_batch *b)
{
    b->edits = mem_new_n(b->n, sizeof(*b->edits));
    b->of = mem_new_n(b->n, sizeof(*b->of));
    b->w = (struct edits_work){.m = b->m, .v = b->edits, .ret = &b->result};
    b->w.drafts = mem_new_n(b->n, sizeof(*b->w.drafts));
    memset(b->w.drafts, 0, b->n * sizeof(*b->w.drafts));
    for (size_t i = 0; i < b->n; i++) {
        struct draft *d = &b->w.drafts[b->w.n];
        const char *why;

        if (b->v[i].refused) continue;
        why = draft(&b->v[i], d);
        b->edits[b->w.n] = (struct stream_edit){.kind = EDIT_TEXT, .uid = b->v[i].uid};
        b->of[b->w.n++] = i;
        if (why) refuse(&b->v[i], why);
        if (!why && !b->v[i].idle) continue;
        /* one that is not stored: the next takes its place */
        b->w.n--;
        edits_draft_done(d);
    }
}

/* Without those that are refused by now. */
static void keep_good(struct edits_batch *b)
{
    size_t n = 0;

    for (size_t i = 0; i < b->w.n; i++) {
        if (b->v[b->of[i]].refused) {
            edits_draft_done(&b->w.drafts[i]);
            continue;
        }
        if (n < i) {
            b->w.drafts[n] = b->w.drafts[i];
            b->w.drafts[i] = (struct draft){.file = NULL};
            b->edits[n] = b->edits[i];
            b->of[n] = b->of[i];
        }
        n++;
    }
    b->w.n = n;
}

/* Those in whose files a mistake was found. false: it is in no file of these. */
static bool refuse_named(struct edits_batch *b)
{
    struct map files = {0};
    bool any = false;

    for (size_t i = 0; i < b->w.n; i++) map_set(&files, span_of(b->w.drafts[i].file), &b->v[b->of[i]]);
    for (size_t i = 0; i < b->report.n; i++) {
        const struct conf_remark *r = &b->report.v[i];
        struct item *x = r->level == CONF_MISTAKE ? map_get(&files, span_of(r->file)) : NULL;
        char text[EDITS_TEXT_MAX];

        if (!x || x->refused) continue;
        any = true;
        snprintf(text, sizeof(text), "line %u: %.60s: %.300s", r->line, r->key, r->text);
        refuse(x, text);
    }
    map_done(&files);
    return any;
}

static void refuse_rest(struct edits_batch *b)
{
    for (size_t i = 0; i < b->w.n; i++) refuse(&b->v[b->of[i]], b->result.text);
    keep_good(b);
}

static void store(struct job *j)
{
    struct edits_batch *b = CONTAINER(j, struct edits_batch, job);

    make_drafts(b);
    while (b->w.n > 0) {
        int code = edits_judge(&b->w, &b->after, &b->report);

        if (code == CTL_OK && edits_store(&b->w) == CTL_OK) return;
        conf_free(b->after);
        b->after = NULL;
        if (code == CTL_OK || !refuse_named(b)) refuse_rest(b);
        keep_good(b);
        conf_report_done(&b->report);
    }
}

/* The files are in their places, and something else has changed meanwhile. */
static void read_again(struct job *j)
{
    struct edits_batch *b = CONTAINER(j, struct edits_batch, job);
    const struct edits_work none = {.m = b->m, .ret = &b->result};
    struct edits_work w = none;

    conf_report_done(&b->report);
    if (edits_judge(&w, &b->after, &b->report) != CTL_OK) b->after = NULL;
}

/* --- in the loop --- */

static void run(struct edits_batch *b, void (*work)(struct job *j));

static void keep_revision(struct edits_batch *b)
{
    struct revision_change *v = mem_renew(NULL, (b->w.n + 1) * sizeof(*v));
    size_t n = 0;

    for (size_t i = 0; i < b->w.n; i++) {
        const struct draft *d = &b->w.drafts[i];

        if (d->is_new) continue; /* a fleet that is read for the first time has nothing to go back to */
        v[n++] = (struct revision_change){.uid = b->edits[i].uid,
            .file = d->file,
            .before = span(d->was, d->was_n),
            .after = d->gone ? SPAN_NONE : buf_span(&d->text)};
    }
    if (n > 0) b->result.revision = revisions_add(&b->m->revisions, b->by, b->why, v, n);
    mem_free(v);
}

static void take_over(struct edits_batch *b)
{
    struct conf *after = b->after;
    usec_t began_us = clock_mono_us();
    char why[EDITS_TEXT_MAX + 32];

    b->after = NULL;
    if (after && reload_take(b->m, after, &b->report, b->result.text, EDITS_HTTPD_US)) {
        log_note("files-stored", "by=%s files=%zu of=%zu revision=%llu loop_ms=%lld", log_q(span_of(b->by)),
            b->w.n, b->n, (unsigned long long)b->result.revision,
            (long long)((clock_mono_us() - began_us) / US_PER_MS));
        for (size_t i = 0; i < b->w.n; i++)
            if (!b->w.drafts[i].is_new) hooks_edited(b->m, b->edits[i].uid, b->result.revision);
        return;
    }
    log_error("files-stored", "result=%s", log_q(span_of(b->result.text)));
    snprintf(why, sizeof(why), "stored, and not taken over: %s", b->result.text);
    for (size_t i = 0; i < b->w.n; i++) refuse(&b->v[b->of[i]], why);
}

static void finish(struct job *j)
{
    struct edits_batch *b = CONTAINER(j, struct edits_batch, job);

    if (b->w.n > 0 && b->changes != b->m->conf_changes) {
        conf_free(b->after);
        b->after = NULL;
        run(b, read_again);
        return;
    }
    if (b->w.n > 0) {
        keep_revision(b);
        take_over(b);
    }
    drop_drafts(b);
    b->done(b->arg, b);
}

static void run(struct edits_batch *b, void (*work)(struct job *j))
{
    b->changes = b->m->conf_changes;
    b->job = (struct job){.work = work, .done = finish, .loop = b->m->loop};
    must(pool_put(b->pool, &b->job)); /* one a time, of whoever owns the pool */
}

void edits_batch_run(struct edits_batch *b, struct pool *pool, edits_batch_fn *done, void *arg)
{
    b->pool = pool;
    b->done = done;
    b->arg = arg;
    run(b, store);
}
