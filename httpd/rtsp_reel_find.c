#include "httpd/rtsp_reel_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"
#include "archive/merge.h"

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

/* --- joint: by time --- */

/* Where what is not played yet begins; backwards, where it ends. */
static usec_t begin_of(const struct reel *r, const struct found *f)
{
    return reel_backward(r) ? MIN(f->end_us, reel_edge(r)) : MAX(f->start_us, reel_edge(r));
}

/* What goes on nearest; of those that do so together the node at hand, then this one. */
static bool goes_before(const struct reel *r, const struct found *a, const struct found *b)
{
    usec_t apart_us = reel_backward(r) ? begin_of(r, b) - begin_of(r, a) : begin_of(r, a) - begin_of(r, b);

    if (apart_us > INDEX_JOIN_US || apart_us < -INDEX_JOIN_US) return apart_us < 0;
    if (a->node == b->node || r->at.id == 0) return a->node != b->node ? a->node < b->node : apart_us < 0;
    if (a->node == r->at.node || b->node == r->at.node) return a->node == r->at.node;
    return a->node < b->node;
}

static void consider_joint(struct reel *r, const struct found *f)
{
    usec_t edge_us = reel_edge(r), shard_us = r->at.id ? MERGE_SHARD_US : 0;

    if (f->id == 0 || f->bytes == 0) return;
    r->any = true;
    if (f->id == r->at.id) return;
    if (reel_backward(r) ? f->start_us + shard_us > edge_us : f->end_us <= edge_us + shard_us) return;
    if (r->best.id == 0 || goes_before(r, f, &r->best)) r->best = *f;
}

/* Its last listed key frame before the edge: the segment at hand ends there. */
static usec_t key_of(const struct reel *r, const struct seg_info *info)
{
    usec_t edge_us = reel_edge(r), best = info->start_us;

    for (unsigned k = 0; k < info->n_keys; k++)
        if (info->start_us + (usec_t)info->keys[k].at_ms * US_PER_MS <= edge_us)
            best = info->start_us + (usec_t)info->keys[k].at_ms * US_PER_MS;
    return best;
}

static void consider_joint_info(struct archive_visit *v, const struct seg_info *info)
{
    struct reel *r = CONTAINER(v, struct look, v)->r;
    struct found f = {info->id, info->bytes, info->start_us, info->end_us, r->ask, false, info->origin,
        info->start_us, info->end_us};

    if (reel_backward(r))
        f.to_us = MIN(f.end_us, reel_edge(r));
    else if (r->at.id == 0 || f.start_us < reel_edge(r))
        f.from_us = r->cut ? reel_edge(r) : key_of(r, info);
    consider_joint(r, &f);
}

static void consider_joint_open(struct reel *r, const struct open_segment *o)
{
    struct found f = {
        o->id, o->bytes, o->start_us, o->end_us, r->ask, true, r->st[r->ask]->node, o->start_us, o->end_us};

    if (reel_backward(r))
        f.to_us = MIN(f.end_us, reel_edge(r));
    else
        f.from_us = MAX(f.start_us, reel_edge(r));
    consider_joint(r, &f);
}

static int read_joint(struct reel *r, struct look *l, struct records *rec)
{
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));
    usec_t edge_us = reel_edge(r);
    struct index_query q = {
        .uid = r->uid, .from_us = edge_us + (r->at.id ? MERGE_SHARD_US : 0), .to_us = INT64_MAX};
    size_t n = 0;
    int err;

    if (!info) return -ENOMEM;
    if (reel_backward(r)) {
        err = records_last_by(rec, r->uid, edge_us - (r->at.id ? MERGE_SHARD_US : 0), info);
        if (err == INDEX_OK && info->id != rec->open_id) consider_joint_info(&l->v, info);
        if (err == INDEX_E_NONE) err = 0;
    } else {
        err = archive_index_err(&l->v, records_segments(rec, &q, info, 1, &n));
        q.after_id = r->at.id;
        if (err == 0 && n == 1 && info->id == r->at.id)
            err = archive_index_err(&l->v, records_segments(rec, &q, info, 1, &n));
        if (n == 1) consider_joint_info(&l->v, info);
    }
    if (err == 0 && !r->any && records_last(rec, r->uid, info) == INDEX_OK) r->any = true;
    archive_fresh(&l->v, rec, consider_joint_info);
    return err == INDEX_E_DAMAGED ? 0 : err;
}

/* --- one node: by number --- */

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

    consider(r,
        &(struct found){.id = info->id,
            .bytes = info->bytes,
            .start_us = info->start_us,
            .end_us = info->end_us,
            .st = r->ask});
}

static int read_records(struct reel *r, struct look *l, struct records *rec)
{
    CLEANUP(mem_freep) struct seg_info *info = mem_try(sizeof(*info));
    struct index_query q = {
        .uid = r->uid, .from_us = r->at.id ? 0 : r->way.at_us, .to_us = INT64_MAX, .after_id = r->at.id};
    usec_t by_us = r->at.id ? r->at.start_us - US_PER_MS : r->way.at_us;
    size_t n = 0;
    int err;

    if (!info) return -ENOMEM;
    if (!r->any && records_last(rec, r->uid, info) == INDEX_OK) r->any = true;
    if (reel_backward(r)) {
        err = records_last_by(rec, r->uid, by_us, info);
        if (err == INDEX_OK) consider_info(&l->v, info);
        if (err == INDEX_E_NONE) err = 0;
    } else {
        err = archive_index_err(&l->v, records_segments(rec, &q, info, 1, &n));
        if (n == 1) consider_info(&l->v, info);
    }
    archive_fresh(&l->v, rec, consider_info);
    return err == INDEX_E_DAMAGED ? 0 : err;
}

static int look_in(struct reel *r)
{
    struct storage *st = r->st[r->ask];
    struct look l = {.r = r};
    struct records rec;
    struct open_segment o;
    int err;

    if (r->avoid & 1u << r->ask && clock_mono_us() - r->avoid_us < REEL_AVOID_US) return 0;
    r->avoid &= ~(1u << r->ask);
    err = records_open(st, &rec);
    if (err != 0) return err;
    l.v.j = &l.j;
    l.v.st = st;
    l.j.now_us = r->now_us;
    l.j.open = r->open;
    l.j.to_us = INT64_MAX;
    memcpy(l.j.uid, r->uid, sizeof(l.j.uid));
    err = r->joint ? read_joint(r, &l, &rec) : read_records(r, &l, &rec);
    o = archive_open_of(&l.v, &rec);
    records_close(&rec);
    if (o.id != 0 && r->joint)
        consider_joint_open(r, &o);
    else if (o.id != 0)
        consider(r,
            &(struct found){.id = o.id,
                .bytes = o.bytes,
                .start_us = o.start_us,
                .end_us = o.end_us,
                .st = r->ask,
                .open = true});
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
