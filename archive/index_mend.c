#include "archive/index_impl.h"
#include "common/base/err.h"
#include "common/base/mem.h"

#include <errno.h>

static bool segment_ok(const struct look *l, struct index_flaw *f)
{
    CLEANUP(mem_freep) struct seg_info *info = NEW(struct seg_info);

    return index_segment_read(l, f->uid, f->number, info);
}

static bool range_ok(const struct look *l, struct index_flaw *f)
{
    struct index_range r;

    return index_range_read(&l->k, &l->v, f->uid, &r);
}

/* Of others their CRC, which covers the key too. */
static bool record_ok(const struct look *l, struct index_flaw *f)
{
    struct rd r;

    (void)f;
    return index_record(&l->k, &l->v, &r);
}

/* What is walked over. */
static const struct kind {
    size_t table; /* its handle in struct index */
    bool total;   /* the key is a uid and nothing else */
    bool (*ok)(const struct look *l, struct index_flaw *f);
} kinds[INDEX_TABLES] = {
    [INDEX_SEGMENTS] = {offsetof(struct index, segments), false, segment_ok},
    [INDEX_RANGES] = {offsetof(struct index, ranges), false, range_ok},
    [INDEX_TOTALS] = {offsetof(struct index, totals), true, record_ok},
    [INDEX_TRASH] = {offsetof(struct index, trash), false, record_ok},
    [INDEX_LOCKS] = {offsetof(struct index, locks), false, record_ok},
    [INDEX_EVENTS] = {offsetof(struct index, events), false, record_ok},
};

static MDB_dbi handle(const struct index *ix, enum index_table t)
{
    MDB_dbi dbi;

    memcpy(&dbi, (const uint8_t *)ix + kinds[t].table, sizeof(dbi));
    return dbi;
}

static bool key_ok(const struct look *l, enum index_table t, struct index_flaw *ret)
{
    struct span k = span(l->k.mv_data, l->k.mv_size);
    struct rd number;

    if (kinds[t].total) return k.n > 0 && span_copy(k, ret->uid, sizeof(ret->uid));
    if (!index_key_uid(&l->k, ret->uid, sizeof(ret->uid))) return false;
    number = rd_of(span_from(k, strlen(ret->uid) + 1));
    ret->number = rd_u64(&number);
    return rd_ok(&number);
}

static bool look_ok(const struct look *l, enum index_table t, struct index_flaw *ret)
{
    *ret = (struct index_flaw){.table = t, .n = MIN(l->k.mv_size, sizeof(ret->key))};
    memcpy(ret->key, l->k.mv_data, ret->n);
    if (!key_ok(l, t, ret)) {
        ret->uid[0] = 0;
        return false;
    }
    return kinds[t].ok(l, ret);
}

/* Within one table. MDB_NOTFOUND: it is at its end. */
static int walk_table(struct index *ix, struct index_walk *at, size_t *max, struct index_flaw *ret, bool *ok)
{
    struct look l;
    int rc = index_look_begin(ix, handle(ix, at->table), &l);

    if (rc) return rc;
    rc = index_look_behind(&l, at->key, at->n);
    for (; rc == 0 && *max > 0; --*max) {
        *ok = look_ok(&l, at->table, ret);
        at->n = ret->n;
        memcpy(at->key, ret->key, ret->n);
        at->segments += at->table == INDEX_SEGMENTS;
        if (!*ok) break;
        rc = index_look_get(&l, MDB_NEXT);
    }
    index_look_end(&l);
    return rc;
}

int index_walk(struct index *ix, struct index_walk *at, size_t max, struct index_flaw *ret)
{
    *ret = (struct index_flaw){0};
    INDEX_GUARD_READS(ix);
    size_t left = max;
    bool ok = true;
    int rc;

    while ((rc = walk_table(ix, at, &left, ret, &ok)) == MDB_NOTFOUND) {
        *at = (struct index_walk){.table = (at->table + 1) % INDEX_TABLES, .segments = at->segments};
        if (at->table == INDEX_SEGMENTS) return INDEX_OK;
    }
    return rc ? index_error(rc) : ok ? INDEX_OK : INDEX_E_DAMAGED;
}

static int mend_segment(
    struct index *ix, MDB_txn *txn, const struct index_flaw *f, const struct seg_info *info)
{
    struct key k;
    int rc;

    if (info)
        rc = index_segment_put(ix, txn, info, 0);
    else
        rc = index_key(&k, f->uid, f->number) ? mdb_del(txn, ix->segments, &k.v, NULL) : EINVAL;
    return rc ? rc : index_remake(ix, txn, f->uid);
}

static int drop_record(struct index *ix, MDB_txn *txn, const struct index_flaw *f)
{
    MDB_val k = {.mv_size = f->n, .mv_data = (void *)(uintptr_t)f->key};
    int rc = mdb_del(txn, handle(ix, f->table), &k, NULL);

    return rc == MDB_NOTFOUND ? 0 : rc;
}

int index_mend(struct index *ix, const struct index_flaw *f, const struct seg_info *info)
{
    INDEX_GUARD_WRITES(ix);
    MDB_txn *txn;
    int rc = mdb_txn_begin(ix->env, NULL, 0, &txn);

    if (rc) return index_error(rc);
    if (f->table == INDEX_SEGMENTS)
        rc = mend_segment(ix, txn, f, info);
    else if (f->table == INDEX_RANGES || f->table == INDEX_TOTALS)
        rc = index_remake(ix, txn, f->uid);
    else
        rc = drop_record(ix, txn, f);
    return index_txn_end(txn, rc);
}
