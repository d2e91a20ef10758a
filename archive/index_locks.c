#include "archive/index_impl.h"

#include <errno.h>

bool index_lock_read(const MDB_val *k, const MDB_val *v, struct index_lock *ret)
{
    struct rd r, key;

    *ret = (struct index_lock){0};
    if (!index_key_uid(k, ret->uid, sizeof(ret->uid)) || !index_record(k, v, &r)) return false;
    key = rd_of(span_from(span(k->mv_data, k->mv_size), strlen(ret->uid) + 1));
    ret->start_us = (usec_t)rd_u64(&key);
    ret->id = rd_u64(&key);
    ret->end_us = (usec_t)rd_u64(&r);
    ret->version_us = (usec_t)rd_u64(&r);
    ret->released_us = (usec_t)rd_u64(&r);
    if (!index_text_read(&r, ret->by, sizeof(ret->by)) || !index_text_read(&r, ret->note, sizeof(ret->note)))
        return false;
    return rd_ok(&r) && rd_left(&r) == 0 && rd_ok(&key) && rd_left(&key) == 0 && ret->start_us >= 0 &&
        ret->end_us > ret->start_us;
}

int index_locks(
    struct index *ix, const struct index_lock *after, struct index_lock *out, size_t max, size_t *ret_n)
{
    *ret_n = 0;
    INDEX_GUARD_READS(ix);
    bool damaged = false;
    struct key k = {.v = {0}};
    struct look l;
    int rc;

    if (after && !index_key_pair(&k, after->uid, after->start_us, after->id)) return -EINVAL;
    rc = index_look_begin(ix, ix->locks, &l);
    if (rc) return index_error(rc);
    rc = index_look_behind(&l, k.mem, k.v.mv_size);
    for (; rc == 0 && *ret_n < max; rc = index_look_get(&l, MDB_NEXT)) {
        if (index_lock_read(&l.k, &l.v, &out[*ret_n]))
            ++*ret_n;
        else
            damaged = true;
    }
    index_look_end(&l);
    if (rc && rc != MDB_NOTFOUND) return index_error(rc);
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

int index_lock_put(struct index *ix, MDB_txn *txn, const void *item)
{
    const struct index_lock *lock = item;
    uint8_t mem[64 + INDEX_LOCK_BY_MAX + INDEX_LOCK_NOTE_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    struct index_lock held;
    struct key k;
    MDB_val key, v;
    int rc;

    if (!index_key_pair(&k, lock->uid, lock->start_us, lock->id)) return EINVAL;
    key = k.v;
    rc = mdb_get(txn, ix->locks, &key, &v);
    if (rc && rc != MDB_NOTFOUND) return rc;
    if (rc == 0 && index_lock_read(&key, &v, &held) && held.version_us >= lock->version_us) return 0;
    wr_u64(&w, (uint64_t)lock->end_us);
    wr_u64(&w, (uint64_t)lock->version_us);
    wr_u64(&w, (uint64_t)lock->released_us);
    index_text_write(&w, lock->by);
    index_text_write(&w, lock->note);
    return index_record_put(txn, ix->locks, &k.v, &w);
}

int index_locks_put(struct index *ix, const struct index_lock *list, size_t n)
{
    return index_each(ix, list, n, sizeof(*list), index_lock_put);
}

static int drop_one(struct index *ix, MDB_txn *txn, const void *item)
{
    const struct index_lock *lock = item;
    struct index_lock held;
    struct key k;
    MDB_val key, v;
    int rc;

    if (!index_key_pair(&k, lock->uid, lock->start_us, lock->id)) return EINVAL;
    key = k.v;
    rc = mdb_get(txn, ix->locks, &key, &v);
    if (rc) return rc == MDB_NOTFOUND ? 0 : rc;
    if (!index_lock_read(&k.v, &v, &held) || held.released_us == 0) return 0;
    return mdb_del(txn, ix->locks, &k.v, NULL);
}

int index_locks_drop(struct index *ix, const struct index_lock *list, size_t n)
{
    return index_each(ix, list, n, sizeof(*list), drop_one);
}
