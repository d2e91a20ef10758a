#include "archive/index_impl.h"
#include "archive/segrow.h"
#include "common/base/mem.h"

#include <errno.h>

bool index_segment_read(const struct look *l, const char *uid, uint64_t id, struct seg_info *ret)
{
    return segrow_read(span(l->v.mv_data, l->v.mv_size), uid, id, ret);
}

/* The number in a segment's key at a wall clock. */
uint64_t index_id_at(usec_t wall_us)
{
    return (uint64_t)(CLAMP(wall_us, 0, INT64_MAX >> 8) / US_PER_MS) << 8;
}

int index_segments(
    struct index *ix, const struct index_query *q, struct seg_info *out, size_t max, size_t *ret_n)
{
    *ret_n = 0;
    INDEX_GUARD_READS(ix);
    bool damaged = false;
    struct look l;
    uint64_t id;
    int rc = index_look_begin(ix, ix->segments, &l);

    if (rc) return index_error(rc);
    rc = q->after_id ? index_look_from(&l, q->uid, q->after_id + 1, 0)
                     : index_look_from(&l, q->uid, index_id_at(q->from_us), INDEX_LOOK_BACK);
    for (; rc == 0 && *ret_n < max && index_key_read(&l.k, q->uid, &id); rc = index_look_get(&l, MDB_NEXT)) {
        struct seg_info *s = &out[*ret_n];

        if (!index_segment_read(&l, q->uid, id, s)) {
            damaged = true;
            continue;
        }
        if (s->start_us >= q->to_us) break;
        if (s->end_us > q->from_us) ++*ret_n;
    }
    index_look_end(&l);
    if (rc && rc != MDB_NOTFOUND) return index_error(rc);
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

/* The record of uid at or behind `number`, or the last one (back 1). */
static int one_segment(
    struct index *ix, const char *uid, uint64_t number, unsigned back, struct seg_info *ret)
{
    INDEX_GUARD_READS(ix);
    struct look l;
    uint64_t id;
    int rc = index_look_begin(ix, ix->segments, &l), err;

    if (rc) return index_error(rc);
    rc = index_look_from(&l, uid, number, back);
    err = index_error(rc);
    if (!err && !index_key_read(&l.k, uid, &id)) err = INDEX_E_NONE;
    if (!err && !index_segment_read(&l, uid, id, ret)) err = INDEX_E_DAMAGED;
    index_look_end(&l);
    return err;
}

int index_first(struct index *ix, const char *uid, struct seg_info *ret)
{
    return one_segment(ix, uid, 0, 0, ret);
}

int index_last(struct index *ix, const char *uid, struct seg_info *ret)
{
    return one_segment(ix, uid, UINT64_MAX, 1, ret);
}

int index_last_by(struct index *ix, const char *uid, usec_t at_us, struct seg_info *ret)
{
    uint64_t behind = index_id_at(at_us + US_PER_MS);
    int err = one_segment(ix, uid, behind, 1, ret);

    return err == INDEX_OK && ret->id >= behind ? INDEX_E_NONE
                                                : err; /* the first one, as there is none before */
}

int index_get(struct index *ix, const char *uid, uint64_t id, struct seg_info *ret)
{
    int err = one_segment(ix, uid, id, 0, ret);

    return err == INDEX_OK && ret->id != id ? INDEX_E_NONE : err;
}

int index_segment_put(struct index *ix, MDB_txn *txn, const struct seg_info *s, unsigned flags)
{
    uint8_t mem[SEGROW_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    struct key k;
    MDB_val v;

    segrow_write(&w, s);
    if (!wr_ok(&w) || !index_key(&k, s->uid, s->id)) return EINVAL;
    v = (MDB_val){.mv_size = w.n, .mv_data = mem};
    return mdb_put(txn, ix->segments, &k.v, &v, flags);
}

/* What is replaced was counted. */
static int replaced(struct index *ix, MDB_txn *txn, const struct seg_info *s, int64_t *bytes, int *segments)
{
    struct seg_info *old;
    struct look l = {0};
    struct key k;
    int rc;

    if (!index_key(&k, s->uid, s->id)) return EINVAL;
    l.k = k.v;
    rc = mdb_get(txn, ix->segments, &l.k, &l.v);
    if (rc) return rc == MDB_NOTFOUND ? 0 : rc;
    old = NEW(struct seg_info);
    *segments = 0;
    if (index_segment_read(&l, s->uid, s->id, old)) *bytes -= (int64_t)old->bytes;
    mem_free(old);
    return 0;
}

static int put_one(struct index *ix, MDB_txn *txn, const void *item)
{
    const struct seg_info *s = *(const struct seg_info *const *)item;
    int64_t bytes = (int64_t)s->bytes;
    int segments = 1, rc = replaced(ix, txn, s, &bytes, &segments);

    if (rc == 0) rc = index_segment_put(ix, txn, s, 0);
    if (rc == 0) rc = index_total_add(ix, txn, s->uid, bytes, segments);
    return rc ? rc : index_range_join(ix, txn, s->uid, (struct index_range){s->start_us, s->end_us});
}

int index_put(struct index *ix, const struct seg_info *const *segs, size_t n)
{
    return index_each(ix, segs, n, sizeof(*segs), put_one);
}
