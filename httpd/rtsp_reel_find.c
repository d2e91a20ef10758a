#include "httpd/rtsp_reel_impl.h"
#include "common/base/mem.h"

#include <errno.h>

#define NEAR_US US_PER_S /* footage that begins so soon stands for a moment without any */

void reel_search(struct reel *r)
{
    r->searching = true;
    r->ask = 0;
    r->best = (struct found){0};
}

/* The storage at hand, as archive_fresh wants it. */
struct look {
    struct archive_job j;
    struct archive_visit v;
    struct reel *r;
};

/* Forwards the first behind the one at hand; at the begin the one that has the moment, or the next. */
static bool fits(const struct reel *r, const struct found *f)
{
    if (reel_backward(r)) return r->at.id ? f->id < r->at.id : f->start_us <= r->way.at_us;
    return r->at.id ? f->id > r->at.id : f->end_us > r->way.at_us;
}

static void consider(struct reel *r, const struct found *f)
{
    if (f->id == 0 || f->bytes == 0) return;
    r->any = true;
    if (!fits(r, f)) return;
    if (r->best.id == 0 || (reel_backward(r) ? f->id > r->best.id : f->id < r->best.id)) r->best = *f;
}

static void consider_info(struct archive_visit *v, const struct seg_info *info)
{
    struct reel *r = CONTAINER(v, struct look, v)->r;

    consider(r, &(struct found){info->id, info->bytes, info->start_us, info->end_us, r->ask, false});
}

static int read_index(struct reel *r, struct look *l, struct index *ix)
{
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));
    struct index_query q = {
        .uid = r->uid, .from_us = r->at.id ? 0 : r->way.at_us, .to_us = INT64_MAX, .after_id = r->at.id};
    usec_t by_us = r->at.id ? r->at.start_us - US_PER_MS : r->way.at_us;
    size_t n = 0;
    int err;

    if (!info) return -ENOMEM;
    if (!r->any && index_last(ix, r->uid, info) == INDEX_OK) r->any = true;
    if (reel_backward(r)) {
        err = index_last_by(ix, r->uid, by_us, info);
        if (err == INDEX_OK) consider_info(&l->v, info);
        if (err == INDEX_E_NONE) err = 0;
    } else {
        err = archive_index_err(&l->v, index_segments(ix, &q, info, 1, &n));
        if (n == 1) consider_info(&l->v, info);
    }
    archive_fresh(&l->v, ix, consider_info);
    return err == INDEX_E_DAMAGED ? 0 : err;
}

static int look_in(struct reel *r)
{
    struct storage *st = r->st[r->ask];
    struct look l = {.r = r};
    struct index *ix = storage_index_get(st);
    const struct open_segment *o = &r->open;
    int err;

    if (!ix) return -ENOENT;
    l.v.j = &l.j;
    l.v.st = st;
    l.j.now_us = r->now_us;
    l.j.open = *o;
    l.j.to_us = INT64_MAX;
    memcpy(l.j.uid, r->uid, sizeof(l.j.uid));
    err = read_index(r, &l, ix);
    storage_index_put(st);
    if (o->id != 0 && strcmp(o->storage, st->name) == 0)
        consider(r, &(struct found){o->id, o->bytes, o->start_us, o->end_us, r->ask, true});
    if (err < 0) storage_say(st, STORAGE_UNREAD, r->uid, err);
    return err;
}

enum reel_state reel_search_on(struct reel *r)
{
    if (look_in(r) < 0 && r->n_st == 1) return REEL_FAILED;
    if (++r->ask < r->n_st) return REEL_MORE;
    r->searching = false;
    if (r->at.id) {
        r->next = r->best;
        r->next_known = true;
        return REEL_MORE;
    }
    if (!r->any || r->way.at_us > r->now_us) return REEL_EMPTY;
    if (r->best.id == 0) return r->way.strict ? REEL_NONE : REEL_END;
    if (r->way.strict && !reel_backward(r) && r->way.at_us > 0 && r->best.start_us > r->way.at_us + NEAR_US)
        return REEL_NONE;
    r->at = r->best;
    return REEL_MORE;
}
