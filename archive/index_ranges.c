#include "archive/index_impl.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <errno.h>

bool index_range_read(const MDB_val *k, const MDB_val *v, const char *uid, struct index_range *ret)
{
    uint64_t start, end;
    struct rd r;

    if (!index_key_read(k, uid, &start) || !index_record(k, v, &r)) return false;
    end = rd_u64(&r);
    *ret = (struct index_range){(usec_t)start, (usec_t)end};
    return rd_ok(&r) && rd_left(&r) == 0 && start <= INT64_MAX && end <= INT64_MAX && start <= end;
}

int index_ranges(
    struct index *ix, const struct index_query *q, struct index_range *out, size_t max, size_t *ret_n)
{
    *ret_n = 0;
    INDEX_GUARD_READS(ix);
    bool damaged = false;
    struct look l;
    uint64_t start;
    int rc = index_look_begin(ix, ix->ranges, &l);

    if (rc) return index_error(rc);
    rc = index_look_from(&l, q->uid, (uint64_t)MAX(q->from_us, 0), 1);
    for (; rc == 0 && *ret_n < max && index_key_read(&l.k, q->uid, &start);
         rc = index_look_get(&l, MDB_NEXT)) {
        struct index_range *r = &out[*ret_n];

        if (!index_range_read(&l.k, &l.v, q->uid, r)) {
            damaged = true;
            continue;
        }
        if (r->start_us >= q->to_us) break;
        if (r->end_us > q->from_us) ++*ret_n;
    }
    index_look_end(&l);
    if (rc && rc != MDB_NOTFOUND) return index_error(rc);
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

static int put_range(struct index *ix, MDB_txn *txn, const char *uid, struct index_range r)
{
    uint8_t mem[12];
    struct wr w = wr_of(mem, sizeof(mem));
    struct key k;

    if (!index_key(&k, uid, (uint64_t)r.start_us)) return EINVAL;
    wr_u64(&w, (uint64_t)r.end_us);
    return index_record_put(txn, ix->ranges, &k.v, &w);
}

/* What lies before r and touches it goes, and all behind that it reaches: *r is all of them. A damaged record
 * goes too. */
static int take_touching(struct look *l, const char *uid, struct index_range *r)
{
    struct index_range other;
    uint64_t start;
    int rc = index_look_from(l, uid, (uint64_t)r->start_us, 1);

    for (; rc == 0 && index_key_read(&l->k, uid, &start); rc = index_look_get(l, MDB_NEXT)) {
        if (index_range_read(&l->k, &l->v, uid, &other)) {
            if (other.end_us < r->start_us - INDEX_JOIN_US) continue;
            if (other.start_us > r->end_us + INDEX_JOIN_US) break;
            r->start_us = MIN(r->start_us, other.start_us);
            r->end_us = MAX(r->end_us, other.end_us);
        }
        rc = mdb_cursor_del(l->c, 0);
        if (rc) return rc;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int index_range_join(struct index *ix, MDB_txn *txn, const char *uid, struct index_range r)
{
    struct look l = {.txn = txn};
    int rc = mdb_cursor_open(txn, ix->ranges, &l.c);

    if (rc) return rc;
    rc = take_touching(&l, uid, &r);
    mdb_cursor_close(l.c);
    return rc ? rc : put_range(ix, txn, uid, r);
}

/* What remains of the ranges on both sides of the hole. */
static int cut_hole(struct index *ix, MDB_txn *txn, const char *uid, struct index_range hole)
{
    struct index_range before = hole, behind = hole, r;
    struct look l = {.txn = txn};
    uint64_t start;
    int rc = mdb_cursor_open(txn, ix->ranges, &l.c);

    if (rc) return rc;
    rc = index_look_from(&l, uid, (uint64_t)hole.start_us, 1);
    for (; rc == 0 && index_key_read(&l.k, uid, &start); rc = index_look_get(&l, MDB_NEXT)) {
        if (index_range_read(&l.k, &l.v, uid, &r)) {
            if (r.end_us < hole.start_us) continue;
            if (r.start_us > hole.end_us) break;
            before.start_us = MIN(before.start_us, r.start_us);
            behind.end_us = MAX(behind.end_us, r.end_us);
        }
        rc = mdb_cursor_del(l.c, 0);
        if (rc) break;
    }
    mdb_cursor_close(l.c);
    if (rc && rc != MDB_NOTFOUND) return rc;
    before.end_us = hole.start_us;
    behind.start_us = hole.end_us;
    rc = before.start_us < before.end_us ? put_range(ix, txn, uid, before) : 0;
    return rc == 0 && behind.start_us < behind.end_us ? put_range(ix, txn, uid, behind) : rc;
}

/* Whoever was joined with the removed one reaches into the hole, which is INDEX_JOIN_US wider than it on both
 * sides: they are joined again. */
int index_range_cut(struct index *ix, MDB_txn *txn, const struct seg_info *s)
{
    struct index_range hole = {MAX(s->start_us - INDEX_JOIN_US, 0), s->end_us + INDEX_JOIN_US};
    struct seg_info *near = NEW(struct seg_info);
    struct look l = {.txn = txn};
    uint64_t id;
    int rc = cut_hole(ix, txn, s->uid, hole);

    if (rc == 0) rc = mdb_cursor_open(txn, ix->segments, &l.c);
    if (rc == 0) {
        rc = index_look_from(&l, s->uid, index_id_at(hole.start_us), INDEX_LOOK_BACK);
        for (; rc == 0 && index_key_read(&l.k, s->uid, &id); rc = index_look_get(&l, MDB_NEXT)) {
            if (!index_segment_read(&l, s->uid, id, near) || near->end_us < hole.start_us) continue;
            if (near->start_us > hole.end_us) break;
            rc = index_range_join(ix, txn, s->uid, (struct index_range){near->start_us, near->end_us});
            if (rc) break;
        }
        mdb_cursor_close(l.c);
    }
    mem_free(near);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int drop_ranges(struct index *ix, MDB_txn *txn, const char *uid)
{
    struct look l = {.txn = txn};
    uint64_t start;
    int rc = mdb_cursor_open(txn, ix->ranges, &l.c);

    if (rc) return rc;
    rc = index_look_from(&l, uid, 0, 0);
    for (; rc == 0 && index_key_read(&l.k, uid, &start); rc = index_look_get(&l, MDB_NEXT)) {
        rc = mdb_cursor_del(l.c, 0);
        if (rc) break;
    }
    mdb_cursor_close(l.c);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Segments come in order: what touches is put together before it is joined. */
static int remake(struct index *ix, struct look *segs, const char *uid, struct index_total *total)
{
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    struct index_range r = {0};
    bool some = false;
    uint64_t id;
    int rc = index_look_from(segs, uid, 0, 0);

    for (; rc == 0 && index_key_read(&segs->k, uid, &id); rc = index_look_get(segs, MDB_NEXT)) {
        total->segments++;
        if (!index_segment_read(segs, uid, id, info)) continue;
        total->bytes += info->bytes;
        if (some && info->start_us >= r.start_us && info->start_us <= r.end_us + INDEX_JOIN_US) {
            r.end_us = MAX(r.end_us, info->end_us);
            continue;
        }
        if (some) rc = index_range_join(ix, segs->txn, uid, r);
        if (rc) return rc;
        r = (struct index_range){info->start_us, info->end_us};
        some = true;
    }
    if (rc && rc != MDB_NOTFOUND) return rc;
    return some ? index_range_join(ix, segs->txn, uid, r) : 0;
}

int index_remake(struct index *ix, MDB_txn *txn, const char *uid)
{
    struct index_total total = {0};
    struct look segs = {.txn = txn};
    int rc = drop_ranges(ix, txn, uid);

    if (rc == 0) rc = mdb_cursor_open(txn, ix->segments, &segs.c);
    if (rc) return rc;
    rc = remake(ix, &segs, uid, &total);
    mdb_cursor_close(segs.c);
    return rc ? rc : index_total_put(ix, txn, uid, &total);
}
