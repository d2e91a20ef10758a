#include "archive/index_impl.h"
#include "common/base/mem.h"

#include <errno.h>

/* --- totals: uid -> bytes, segments --- */

bool index_total_read(const MDB_val *k, const MDB_val *v, struct index_total *ret)
{
    struct rd r;

    if (!span_copy(span(k->mv_data, k->mv_size), ret->uid, sizeof(ret->uid)) || !index_record(k, v, &r))
        return false;
    ret->bytes = rd_u64(&r);
    ret->segments = rd_u64(&r);
    return rd_ok(&r) && rd_left(&r) == 0;
}

int index_total_put(struct index *ix, MDB_txn *txn, const char *uid, const struct index_total *t)
{
    MDB_val k = {.mv_size = strlen(uid), .mv_data = (void *)(uintptr_t)uid};
    uint8_t mem[20];
    struct wr w = wr_of(mem, sizeof(mem));
    int rc;

    if (t->segments == 0) {
        rc = mdb_del(txn, ix->totals, &k, NULL);
        return rc == MDB_NOTFOUND ? 0 : rc;
    }
    wr_u64(&w, t->bytes);
    wr_u64(&w, t->segments);
    return index_record_put(txn, ix->totals, &k, &w);
}

int index_total_add(struct index *ix, MDB_txn *txn, const char *uid, int64_t bytes, int segments)
{
    MDB_val k = {.mv_size = strlen(uid), .mv_data = (void *)(uintptr_t)uid}, v;
    struct index_total t = {0};
    int rc = mdb_get(txn, ix->totals, &k, &v);

    if (rc && rc != MDB_NOTFOUND) return rc;
    if (rc == 0 && !index_total_read(&k, &v, &t)) return index_remake(ix, txn, uid);
    if ((bytes < 0 && (uint64_t)-bytes > t.bytes) || (segments < 0 && (uint64_t)-segments > t.segments))
        return index_remake(ix, txn, uid); /* it lies */
    t.bytes += (uint64_t)bytes;
    t.segments += (uint64_t)segments;
    return index_total_put(ix, txn, uid, &t);
}

int index_totals(struct index *ix, const char *after_uid, struct index_total *out, size_t max, size_t *ret_n)
{
    *ret_n = 0;
    INDEX_GUARD_READS(ix);
    bool damaged = false;
    struct look l;
    int rc = index_look_begin(ix, ix->totals, &l);

    if (rc) return index_error(rc);
    rc = index_look_behind(&l, (const uint8_t *)after_uid, strlen(after_uid));
    for (; rc == 0 && *ret_n < max; rc = index_look_get(&l, MDB_NEXT)) {
        if (index_total_read(&l.k, &l.v, &out[*ret_n]))
            ++*ret_n;
        else
            damaged = true;
    }
    index_look_end(&l);
    if (rc && rc != MDB_NOTFOUND) return index_error(rc);
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

int index_total(struct index *ix, const char *uid, struct index_total *ret)
{
    INDEX_GUARD_READS(ix);
    MDB_val k = {.mv_size = strlen(uid), .mv_data = (void *)(uintptr_t)uid}, v;
    MDB_txn *txn;
    int rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);

    if (rc) return index_error(rc);
    rc = mdb_get(txn, ix->totals, &k, &v);
    if (rc == 0 && !index_total_read(&k, &v, ret)) rc = MDB_CORRUPTED;
    mdb_txn_abort(txn);
    return index_error(rc);
}

/* --- trash: uid, 0, id -> tries --- */

static int trash_put(struct index *ix, MDB_txn *txn, const struct index_ref *ref, uint32_t tries)
{
    uint8_t mem[8];
    struct wr w = wr_of(mem, sizeof(mem));
    struct key k;

    if (!index_key(&k, ref->uid, ref->id)) return EINVAL;
    wr_u32(&w, tries);
    return index_record_put(txn, ix->trash, &k.v, &w);
}

static bool trash_read(const MDB_val *k, const MDB_val *v, struct index_ref *ret)
{
    struct rd r;

    if (!index_key_uid(k, ret->uid, sizeof(ret->uid)) || !index_key_read(k, ret->uid, &ret->id)) return false;
    if (!index_record(k, v, &r)) return false;
    ret->tries = rd_u32(&r);
    return rd_ok(&r) && rd_left(&r) == 0;
}

/* One that is not there is no error; of one that cannot be read all is counted anew. */
int index_drop_one(struct index *ix, MDB_txn *txn, const void *item)
{
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);
    const struct index_ref *ref = item;
    struct look l = {.txn = txn};
    struct key k;
    bool ok;
    int rc;

    if (!index_key(&k, ref->uid, ref->id)) return EINVAL;
    l.k = k.v;
    rc = mdb_get(txn, ix->segments, &l.k, &l.v);
    if (rc) return rc == MDB_NOTFOUND ? 0 : rc;
    ok = index_segment_read(&l, ref->uid, ref->id, info);
    rc = mdb_del(txn, ix->segments, &k.v, NULL);
    if (rc == 0) rc = trash_put(ix, txn, ref, 0);
    if (rc) return rc;
    if (!ok) return index_remake(ix, txn, ref->uid);
    rc = index_range_cut(ix, txn, info);
    return rc ? rc : index_total_add(ix, txn, ref->uid, -(int64_t)info->bytes, -1);
}

int index_drop(struct index *ix, const struct index_ref *list, size_t n)
{
    return index_each(ix, list, n, sizeof(*list), index_drop_one);
}

static int trash_find(struct index *ix, const char *uid, uint64_t id)
{
    INDEX_GUARD_READS(ix);
    struct look l;
    uint64_t at;
    int rc = index_look_begin(ix, ix->trash, &l);

    if (rc) return index_error(rc);
    rc = index_look_from(&l, uid, id, 0);
    if (rc == 0 && (!index_key_read(&l.k, uid, &at) || at != id)) rc = MDB_NOTFOUND;
    index_look_end(&l);
    return index_error(rc);
}

bool index_is_trash(struct index *ix, const char *uid, uint64_t id)
{
    return trash_find(ix, uid, id) == INDEX_OK;
}

int index_trash(
    struct index *ix, const struct index_ref *after, struct index_ref *out, size_t max, size_t *ret_n)
{
    *ret_n = 0;
    INDEX_GUARD_READS(ix);
    bool damaged = false;
    struct key k = {.v = {0}};
    struct look l;
    int rc;

    if (after && !index_key(&k, after->uid, after->id)) return -EINVAL;
    rc = index_look_begin(ix, ix->trash, &l);
    if (rc) return index_error(rc);
    rc = index_look_behind(&l, k.mem, k.v.mv_size);
    for (; rc == 0 && *ret_n < max; rc = index_look_get(&l, MDB_NEXT)) {
        if (trash_read(&l.k, &l.v, &out[*ret_n]))
            ++*ret_n;
        else
            damaged = true;
    }
    index_look_end(&l);
    if (rc && rc != MDB_NOTFOUND) return index_error(rc);
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

static int settle_one(struct index *ix, MDB_txn *txn, const void *item)
{
    const struct index_ref *ref = item;
    struct key k;
    int rc;

    if (ref->tries > 0) return trash_put(ix, txn, ref, ref->tries);
    if (!index_key(&k, ref->uid, ref->id)) return EINVAL;
    rc = mdb_del(txn, ix->trash, &k.v, NULL);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int index_trash_settle(struct index *ix, const struct index_ref *list, size_t n)
{
    return index_each(ix, list, n, sizeof(*list), settle_one);
}
