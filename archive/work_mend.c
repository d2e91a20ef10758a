/* What msctl archive rebuild and vacuum ask a storage's thread for (ask.h): one record read anew from its
 * file; locks and events from their copies; footage of streams that are not configured any more, listed or
 * taken out. */
#include "archive/reader.h"
#include "archive/repair.h"
#include "archive/work.h"
#include "archive/work_ask.h"
#include "common/base/clock.h"
#include "common/base/err.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>

#define PAGE   64       /* segments of one transaction */
#define SAY_US US_PER_S /* how far it has come */

/* --- archive reread STORAGE UID ID [sum] --- */

/* A file that has no footer any more, or other bytes than its footer says, gets one that knows what of it is
 * whole. Its writer has gone on: one as new, or newer, is in the index. 0 or -errno. */
static int repair_file(struct work *w, const char *uid, uint64_t id, bool sum)
{
    const struct segproof_watch watch = {w->ops->alive, w->arg};
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    CLEANUP(fd_close) int records = -1;
    int err = storage_records_ro(&w->storage, uid, &records);

    if (index_last(w->indexer.ix, uid, info) != INDEX_OK || id > info->id) return 0; /* the scan's */
    if (!err) err = repair_look(records, uid, id, info);
    if (err == SEG_OK && sum) err = repair_verify(records, info, &watch);
    if (err <= 0) return err == -ENOENT ? 0 : err;
    err = repair_closed(records, uid, id, &watch, info);
    if (err >= 0)
        log_event_of(LOG_NOTE, uid, "segment-repaired", "storage=%s id=%llx result=%d samples=%u",
            w->conf->name, (unsigned long long)id, err, err ? 0 : info->samples);
    return MIN(err, 0);
}

bool work_reread(struct work *w, struct answer *a)
{
    uint64_t id;
    int err, disk = 0;

    if (strcmp(a->ask.args[0], w->conf->name) != 0) return false;
    if (!seg_uid_ok(a->ask.args[1]) || !span_hex64(span_of(a->ask.args[2]), &id) || !seg_id_ok(id)) {
        answer_fail(a, CTL_USAGE, "STORAGE UID ID [sum]");
        return false;
    }
    if (id && !index_is_trash(w->indexer.ix, a->ask.args[1], id))
        disk = repair_file(w, a->ask.args[1], id, a->ask.n_args > 3);
    err = disk ? 0 : indexer_reread(&w->indexer, &w->storage, a->ask.args[1], id, &disk);
    if (err) w->keep.wrote_err = err;
    if (disk) err = disk;
    if (err) answer_fail(a, CTL_FAILED, "storage %s: %s", w->conf->name, err < 0 ? err_text(err) : "damaged");
    return false;
}

/* --- archive restore STORAGE [copies] --- */

/* Some more events of the index into their copies. true: that was not the last of them. */
static bool copy_page(struct work *w, struct work_restore *s, int *ret_err)
{
    struct event *page = mem_new_n(PAGE, sizeof(*page));
    size_t n;
    int err = index_events(w->indexer.ix, &EVENT_QUERY_ALL, &s->walk, page, PAGE, &n);

    if (err >= 0) err = n == 0 || work_copies_add(w, page, n) ? 0 : -EIO;
    mem_free(page);
    *ret_err = err;
    return !err && !s->walk.end;
}

bool work_restore(struct work *w, struct answer *a)
{
    struct work_restore *s = a->state;
    bool copies = a->ask.n_args > 1, more = true;
    int err = 0;

    if (strcmp(a->ask.args[0], w->conf->name) != 0) return false;
    switch (s->at) {
    case RESTORE_LOCKS:
        err = work_keep_restore(w);
        s->at = copies ? RESTORE_COPY : RESTORE_BEGIN;
        break;
    case RESTORE_COPY:
        if (!copy_page(w, s, &err)) s->at = RESTORE_BEGIN;
        break;
    case RESTORE_BEGIN:
        work_copies_restore(w);
        s->at = RESTORE_READ;
        break;
    case RESTORE_READ:
        more = work_copies_step(w);
        err = w->keep.wrote_err;
        break;
    }
    if (err) answer_fail(a, CTL_FAILED, "storage %s: %s", w->conf->name, err < 0 ? err_text(err) : "damaged");
    return more && !err;
}

/* --- archive vacuum [UID [yes|no [progress]]] --- */

static void vacuum_row(struct work *w, struct answer *a, const struct work_vacuum *v)
{
    struct packer *p = answer_row(a, 6);

    pack_kv_text(p, "uid", v->total.uid);
    pack_kv_text(p, "storage", w->conf->name);
    pack_kv_u64(p, "segments", v->total.segments);
    pack_kv_u64(p, "bytes", v->total.bytes);
    pack_kv_u64(p, "locked", v->locked);
    pack_kv_u64(p, "deleted", v->deleted);
}

/* The next page of the stream's segments. true: it was not the last. */
static bool look_page(struct work *w, struct work_vacuum *v, bool yes, int *ret_err)
{
    struct index_query q = {.uid = v->total.uid, .to_us = INT64_MAX, .after_id = v->after_id};
    struct seg_info *page = mem_new_n(PAGE, sizeof(*page));
    struct index_ref refs[PAGE];
    struct work_gone gone[PAGE];
    size_t n, n_refs = 0;
    int err = index_segments(w->indexer.ix, &q, page, PAGE, &n);

    for (size_t i = 0; err >= 0 && i < n; i++) {
        usec_t until_us;

        if (locks_hold(&w->keep.locks, page[i].uid, page[i].start_us, page[i].end_us, &until_us)) {
            v->locked++;
            continue;
        }
        refs[n_refs] = (struct index_ref){.id = page[i].id};
        gone[n_refs] = (struct work_gone){page[i].bytes, page[i].start_us, page[i].end_us};
        memcpy(refs[n_refs++].uid, page[i].uid, sizeof(refs[0].uid));
    }
    if (n > 0) v->after_id = page[n - 1].id;
    v->done += n;
    mem_free(page);
    if (err >= 0 && yes && n_refs > 0) {
        err = work_keep_may_delete(w) ? work_keep_take_out(w, refs, gone, n_refs) : -EAGAIN;
        if (err > 0) err = -EIO;
        if (!err) v->deleted += n_refs;
    }
    *ret_err = err < 0 ? err : 0;
    return err >= 0 && n == PAGE;
}

static bool next_stream(struct work *w, struct work_vacuum *v, int *ret_err)
{
    size_t n;
    int err = index_totals(w->indexer.ix, v->total.uid, &v->total, 1, &n);

    *ret_err = err < 0 ? err : 0;
    return err >= 0 && n > 0;
}

static bool is_asked(const struct work *w, const struct ask *q, const char *uid)
{
    return !work_keep_configured(w, uid) &&
        (q->n_args == 0 || !q->args[0][0] || strcmp(q->args[0], uid) == 0);
}

/* All that will be looked at. */
static int count_all(struct work *w, const struct ask *q, struct work_vacuum *v)
{
    struct index_total t = {0};
    size_t n = 1;
    int err = INDEX_OK;

    while (err >= 0 && n > 0) {
        err = index_totals(w->indexer.ix, t.uid, &t, 1, &n);
        if (n > 0 && is_asked(w, q, t.uid)) v->all += t.segments;
    }
    v->counted = true;
    v->said_us = clock_mono_us();
    return MIN(err, 0);
}

static void say_progress(const struct work *w, struct answer *a, struct work_vacuum *v)
{
    usec_t now_us = clock_mono_us();
    struct packer *p;

    if (a->ask.n_args < 3 || now_us - v->said_us < SAY_US) return;
    v->said_us = now_us;
    answer_flush(a); /* on a page of its own */
    p = answer_row(a, 3);
    pack_kv_text(p, "storage", w->conf->name);
    pack_kv_u64(p, "done", v->done);
    pack_kv_u64(p, "all", MAX(v->all, v->done));
    answer_flush(a);
}

bool work_vacuum(struct work *w, struct answer *a)
{
    struct work_vacuum *v = a->state;
    const struct ask *q = &a->ask;
    bool yes = q->n_args > 1 && strcmp(q->args[1], "yes") == 0, more = true;
    int err = 0;

    if (!v->counted) {
        work_commit(w); /* what was closed a moment ago */
        err = count_all(w, q, v);
    } else if (v->busy) {
        v->busy = look_page(w, v, yes, &err);
        say_progress(w, a, v);
        if (!v->busy && !err) vacuum_row(w, a, v);
    } else {
        more = next_stream(w, v, &err);
        v->busy = more && is_asked(w, q, v->total.uid);
        v->after_id = v->locked = v->deleted = 0;
    }
    if (err) answer_fail(a, CTL_FAILED, "storage %s: %s", w->conf->name, err_text(err));
    return more && !err;
}
