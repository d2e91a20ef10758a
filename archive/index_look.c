#include "archive/index_impl.h"
#include "common/base/crc.h"

#include <errno.h>

#define CRC_BYTES 4

/* LMDB's own codes are negative and below -30000, the system's are positive. Of its own all but a few say
 * that the file is broken; MDB_PANIC and MDB_BAD_TXN come after a write that failed, and the file is good
 * when it is opened again. */
int index_error(int rc)
{
    switch (rc) {
    case 0: return INDEX_OK;
    case MDB_NOTFOUND: return INDEX_E_NONE;
    case MDB_MAP_FULL:
    case MDB_TXN_FULL: return -ENOSPC;
    case MDB_READERS_FULL: return -EAGAIN;
    case MDB_PANIC:
    case MDB_BAD_TXN: return -EIO;
    default: return rc > 0 ? -rc : INDEX_E_DAMAGED;
    }
}

bool index_key(struct key *k, const char *uid, uint64_t number)
{
    struct wr w = wr_of(k->mem, sizeof(k->mem));

    wr_text(&w, uid);
    wr_u8(&w, 0);
    wr_u64(&w, number);
    k->v = (MDB_val){.mv_size = w.n, .mv_data = k->mem};
    return wr_ok(&w);
}

bool index_key_pair(struct key *k, const char *uid, usec_t start_us, uint64_t id)
{
    struct wr w;

    if (!index_key(k, uid, (uint64_t)MAX(start_us, 0))) return false;
    w = wr_of(k->mem, sizeof(k->mem));
    w.n = k->v.mv_size;
    wr_u64(&w, id);
    k->v.mv_size = w.n;
    return wr_ok(&w);
}

void index_text_write(struct wr *w, const char *text)
{
    size_t n = strlen(text);

    wr_u16(w, (uint16_t)n);
    wr_bytes(w, span(text, n));
}

bool index_text_read(struct rd *r, char *dst, size_t cap)
{
    return span_copy(rd_bytes(r, rd_u16(r)), dst, cap);
}

bool index_key_read(const MDB_val *v, const char *uid, uint64_t *ret_number)
{
    struct rd r = rd_of(span(v->mv_data, v->mv_size));
    size_t n = strlen(uid);

    if (!span_eq(rd_bytes(&r, n), span(uid, n)) || rd_u8(&r) != 0) return false;
    *ret_number = rd_u64(&r);
    return rd_ok(&r) && rd_left(&r) == 0;
}

bool index_key_uid(const MDB_val *k, char *dst, size_t cap)
{
    struct span s = span(k->mv_data, k->mv_size);
    ssize_t nul = span_find(s, 0);

    return nul > 0 && span_copy(span_sub(s, 0, (size_t)nul), dst, cap);
}

static uint32_t crc_of(const MDB_val *k, struct span fields)
{
    return crc32c(crc32c(0, span(k->mv_data, k->mv_size)), fields);
}

bool index_record(const MDB_val *k, const MDB_val *v, struct rd *ret)
{
    struct span all = span(v->mv_data, v->mv_size), fields;
    struct rd crc;

    if (all.n < CRC_BYTES) return false;
    fields = span_sub(all, 0, all.n - CRC_BYTES);
    crc = rd_of(span_from(all, fields.n));
    *ret = rd_of(fields);
    return rd_u32(&crc) == crc_of(k, fields);
}

int index_record_put(MDB_txn *txn, MDB_dbi table, const MDB_val *k, struct wr *w)
{
    MDB_val key = *k, v;

    wr_u32(w, crc_of(k, wr_span(w)));
    if (!wr_ok(w)) return EINVAL;
    v = (MDB_val){.mv_size = w->n, .mv_data = w->p};
    return mdb_put(txn, table, &key, &v, 0);
}

int index_look_begin(struct index *ix, MDB_dbi table, struct look *l)
{
    int rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &l->txn);

    if (rc) return rc;
    l->ordered = true;
    rc = mdb_cursor_open(l->txn, table, &l->c);
    if (rc) mdb_txn_abort(l->txn);
    return rc;
}

void index_look_end(struct look *l)
{
    mdb_cursor_close(l->c);
    mdb_txn_abort(l->txn);
}

/* As LMDB orders keys. */
static int order(const MDB_val *a, const MDB_val *b)
{
    int diff = memcmp(a->mv_data, b->mv_data, MIN(a->mv_size, b->mv_size));

    return diff ? diff : a->mv_size < b->mv_size ? -1 : a->mv_size > b->mv_size;
}

int index_look_get(struct look *l, MDB_cursor_op op)
{
    MDB_val before = l->k;
    int rc = mdb_cursor_get(l->c, &l->k, &l->v, op);

    if (rc == 0 && op == MDB_NEXT && l->ordered && order(&l->k, &before) <= 0) return MDB_CORRUPTED;
    return rc;
}

int index_look_from(struct look *l, const char *uid, uint64_t number, unsigned back)
{
    struct key key;
    uint64_t at;
    int rc;

    if (!index_key(&key, uid, number)) return MDB_NOTFOUND;
    l->k = key.v;
    rc = index_look_get(l, MDB_SET_RANGE);
    if (rc == 0 && order(&l->k, &key.v) < 0) return MDB_CORRUPTED;
    if (rc == MDB_NOTFOUND && back > 0) {
        rc = index_look_get(l, MDB_LAST);
        if (rc || !index_key_read(&l->k, uid, &at)) return rc ? rc : MDB_NOTFOUND;
        back--;
    }
    while (rc == 0 && back-- > 0) {
        rc = index_look_get(l, MDB_PREV);
        if (rc == MDB_NOTFOUND) return index_look_get(l, MDB_FIRST);
        if (rc == 0 && !index_key_read(&l->k, uid, &at)) return index_look_get(l, MDB_NEXT);
    }
    return rc;
}

int index_look_behind(struct look *l, const uint8_t *key, size_t n)
{
    MDB_val from = {.mv_size = n, .mv_data = (void *)(uintptr_t)key};
    int rc, way;

    if (n == 0) return index_look_get(l, MDB_FIRST);
    l->k = from;
    rc = index_look_get(l, MDB_SET_RANGE);
    if (rc) return rc;
    way = order(&l->k, &from);
    return way < 0 ? MDB_CORRUPTED : way > 0 ? 0 : index_look_get(l, MDB_NEXT);
}

int index_each(struct index *ix, const void *list, size_t n, size_t size,
    int (*one)(struct index *ix, MDB_txn *txn, const void *item))
{
    INDEX_GUARD_WRITES(ix);
    MDB_txn *txn;
    int rc = mdb_txn_begin(ix->env, NULL, 0, &txn);

    if (rc) return index_error(rc);
    for (size_t i = 0; rc == 0 && i < n; i++) rc = one(ix, txn, (const uint8_t *)list + i * size);
    return index_txn_end(txn, rc);
}

int index_txn_end(MDB_txn *txn, int rc)
{
    if (rc)
        mdb_txn_abort(txn);
    else
        rc = mdb_txn_commit(txn);
    return index_error(rc);
}
