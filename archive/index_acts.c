#include "archive/index_acts.h"
#include "archive/index_impl.h"

#define PREFIX    "act " /* in meta, before the uid */
#define NODES_MAX 64     /* that have stamped something; more: the first is forgotten */

struct did {
    uint16_t node;
    uint64_t id; /* of the last act that it had done here */
};
struct record {
    struct stamp held;
    bool over; /* held was done */
    size_t n;
    struct did did[NODES_MAX];
};

static bool record_read(const MDB_val *k, const MDB_val *v, struct record *ret)
{
    struct rd r;

    if (!index_record(k, v, &r)) return false;
    ret->held.term = rd_u64(&r);
    ret->held.node = rd_u16(&r);
    ret->held.boot = rd_u64(&r);
    ret->over = rd_u8(&r) != 0;
    ret->n = rd_u8(&r);
    if (ret->n > NODES_MAX) return false;
    for (size_t i = 0; i < ret->n; i++) {
        ret->did[i].node = rd_u16(&r);
        ret->did[i].id = rd_u64(&r);
    }
    return rd_ok(&r) && rd_left(&r) == 0;
}

static int record_put(struct index *ix, MDB_txn *txn, const MDB_val *k, const struct record *record)
{
    uint8_t mem[32 + NODES_MAX * 10];
    struct wr w = wr_of(mem, sizeof(mem));

    wr_u64(&w, record->held.term);
    wr_u16(&w, record->held.node);
    wr_u64(&w, record->held.boot);
    wr_u8(&w, record->over);
    wr_u8(&w, (uint8_t)record->n);
    for (size_t i = 0; i < record->n; i++) {
        wr_u16(&w, record->did[i].node);
        wr_u64(&w, record->did[i].id);
    }
    return index_record_put(txn, ix->meta, k, &w);
}

static struct did *did_by(struct record *r, uint16_t node)
{
    for (size_t i = 0; i < r->n; i++)
        if (r->did[i].node == node) return &r->did[i];
    return NULL;
}

static void set_did(struct record *r, uint16_t node, uint64_t id)
{
    struct did *d = did_by(r, node);

    if (!d && r->n == NODES_MAX) memmove(&r->did[0], &r->did[1], --r->n * sizeof(r->did[0]));
    if (!d) d = &r->did[r->n++];
    *d = (struct did){node, id};
}

/* INDEX_OK, INDEX_E_OLD or INDEX_E_OVER. */
static int compare(const struct index_act *a, struct record *r)
{
    bool promise = a->n == 0 && !a->over && !a->lock;
    const struct did *did = did_by(r, a->stamp.node);
    int way = stamp_cmp(&a->stamp, &r->held);

    if (!promise && did && did->id == a->id) return INDEX_E_OVER;
    return way < 0 ? INDEX_E_OLD : way == 0 && r->over ? INDEX_E_OVER : INDEX_OK;
}

static int record_get(struct index *ix, MDB_txn *txn, const MDB_val *k, struct record *ret)
{
    MDB_val key = *k, v;
    int rc = mdb_get(txn, ix->meta, &key, &v);

    *ret = (struct record){.n = 0};
    if (rc) return rc == MDB_NOTFOUND ? 0 : rc;
    return record_read(k, &v, ret) ? 0 : MDB_CORRUPTED;
}

static int act(struct index *ix, MDB_txn *txn, const MDB_val *k, const struct index_act *a, struct record *r)
{
    int rc;

    r->held = a->stamp;
    r->over = a->over;
    if (a->over) set_did(r, a->stamp.node, a->id);
    rc = record_put(ix, txn, k, r);
    for (size_t i = 0; rc == 0 && i < a->n; i++) rc = index_drop_one(ix, txn, &a->refs[i]);
    if (rc == 0 && a->lock) rc = index_lock_put(ix, txn, a->lock);
    return rc;
}

static MDB_val key_of(const char *uid, char mem[static KEY_MAX])
{
    struct wr w = wr_of(mem, KEY_MAX);

    wr_fmt(&w, PREFIX "%s", uid);
    return (MDB_val){.mv_size = w.n, .mv_data = mem};
}

int index_act(struct index *ix, const struct index_act *a, struct stamp *ret_held)
{
    INDEX_GUARD_WRITES(ix);
    char mem[KEY_MAX];
    struct record r;
    MDB_txn *txn;
    MDB_val k = key_of(a->uid, mem);
    int rc = mdb_txn_begin(ix->env, NULL, 0, &txn), told = INDEX_OK;

    if (rc) return index_error(rc);
    rc = record_get(ix, txn, &k, &r);
    if (rc == 0) {
        *ret_held = r.held;
        told = compare(a, &r);
    }
    if (rc || told) {
        mdb_txn_abort(txn);
        return rc ? index_error(rc) : told;
    }
    return index_txn_end(txn, act(ix, txn, &k, a, &r));
}

int index_act_did(struct index *ix, const char *uid, uint16_t node, uint64_t id)
{
    INDEX_GUARD_READS(ix);
    char mem[KEY_MAX];
    const struct did *did;
    struct record r;
    MDB_txn *txn;
    MDB_val k = key_of(uid, mem);
    int rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);

    if (rc) return index_error(rc);
    rc = record_get(ix, txn, &k, &r);
    mdb_txn_abort(txn);
    if (rc) return index_error(rc);
    did = did_by(&r, node);
    return did && did->id == id ? INDEX_OK : INDEX_E_NONE;
}
