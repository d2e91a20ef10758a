#include "archive/index_impl.h"
#include "common/base/mem.h"

#include <errno.h>

#define RECORD_MAX (64 + EVENT_KIND_MAX + EVENT_SOURCE_MAX + EVENT_PAYLOAD_MAX)
#define BACK_US                                                                                              \
    (EVENT_LENGTH_MAX_US + 2 * EVENT_ROLL_MAX_US) /* so far before its footage's end one may begin */

static bool event_of(const MDB_val *k, const MDB_val *v, struct event *ret)
{
    struct rd r, key;

    if (!index_key_uid(k, ret->uid, sizeof(ret->uid)) || !index_record(k, v, &r)) return false;
    key = rd_of(span_from(span(k->mv_data, k->mv_size), strlen(ret->uid) + 1));
    ret->start_us = (usec_t)rd_u64(&key);
    ret->id = rd_u64(&key);
    ret->end_us = (usec_t)rd_u64(&r);
    ret->before_us = (usec_t)rd_u64(&r);
    ret->after_us = (usec_t)rd_u64(&r);
    return index_text_read(&r, ret->kind, sizeof(ret->kind)) &&
        index_text_read(&r, ret->source, sizeof(ret->source)) &&
        index_text_read(&r, ret->payload, sizeof(ret->payload)) && rd_ok(&r) && rd_left(&r) == 0 &&
        rd_ok(&key) && rd_left(&key) == 0 && ret->start_us >= 0 &&
        (ret->end_us == 0 || ret->end_us >= ret->start_us);
}

static int put_one(struct index *ix, MDB_txn *txn, const void *item)
{
    const struct event *e = item;
    uint8_t mem[RECORD_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    struct key k;

    if (!index_key_pair(&k, e->uid, e->start_us, e->id)) return EINVAL;
    wr_u64(&w, (uint64_t)e->end_us);
    wr_u64(&w, (uint64_t)e->before_us);
    wr_u64(&w, (uint64_t)e->after_us);
    index_text_write(&w, e->kind);
    index_text_write(&w, e->source);
    index_text_write(&w, e->payload);
    return index_record_put(txn, ix->events, &k.v, &w);
}

int index_events_put(struct index *ix, const struct event *list, size_t n)
{
    return index_each(ix, list, n, sizeof(*list), put_one);
}

int index_event(struct index *ix, const char *uid, usec_t start_us, uint64_t id, struct event *ret)
{
    INDEX_GUARD_READS(ix);
    struct key k;
    struct look l;
    int rc;

    if (!index_key_pair(&k, uid, start_us, id)) return -EINVAL;
    rc = index_look_begin(ix, ix->events, &l);
    if (rc) return index_error(rc);
    l.k = k.v;
    rc = index_look_get(&l, MDB_SET_KEY);
    if (rc == 0 && !event_of(&l.k, &l.v, ret)) rc = MDB_CORRUPTED;
    index_look_end(&l);
    return index_error(rc);
}

/* What is there may stand, beside this copy of it. */
static int restore_one(struct index *ix, MDB_txn *txn, const void *item)
{
    CLEANUP(mem_freep) struct event *held = NEW(struct event);
    const struct event *e = item;
    struct key k;
    MDB_val key, v;

    if (!index_key_pair(&k, e->uid, e->start_us, e->id)) return 0;
    key = k.v;
    if (mdb_get(txn, ix->events, &key, &v) == 0 && event_of(&k.v, &v, held) && held->end_us >= e->end_us)
        return 0;
    return put_one(ix, txn, e);
}

int index_events_restore(struct index *ix, const struct event *list, size_t n)
{
    return index_each(ix, list, n, sizeof(*list), restore_one);
}

int index_events(struct index *ix, const struct event_query *q, struct index_event_at *at, struct event *out,
    size_t max, size_t *ret_n)
{
    *ret_n = 0;
    INDEX_GUARD_READS(ix);
    bool damaged = false;
    struct key k = {.v = {0}};
    struct look l;
    size_t seen = 0;
    int rc;

    if (at->n > 0)
        memcpy(k.mem, at->key, k.v.mv_size = at->n);
    else if (q->uid[0] && !index_key_pair(&k, q->uid, q->from_us - EVENT_LENGTH_MAX_US, 0))
        return -EINVAL;
    rc = index_look_begin(ix, ix->events, &l);
    if (rc) return index_error(rc);
    for (rc = index_look_behind(&l, k.mem, k.v.mv_size); rc == 0 && *ret_n < max;
         rc = index_look_get(&l, MDB_NEXT)) {
        struct event *e = &out[*ret_n];

        at->n = MIN(l.k.mv_size, sizeof(at->key));
        memcpy(at->key, l.k.mv_data, at->n);
        if (event_of(&l.k, &l.v, e)) {
            if (q->uid[0] && (strcmp(e->uid, q->uid) != 0 || e->start_us >= q->to_us)) {
                rc = MDB_NOTFOUND;
                break;
            }
            if (event_matches(e, q)) ++*ret_n;
        } else {
            damaged = true;
        }
        if (++seen == INDEX_EVENTS_STEP) break;
    }
    index_look_end(&l);
    at->end = rc == MDB_NOTFOUND;
    if (rc && rc != MDB_NOTFOUND) return index_error(rc);
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

int index_event_protects(
    struct index *ix, const char *uid, usec_t start_us, usec_t end_us, bool *ret_protects)
{
    *ret_protects = false;
    INDEX_GUARD_READS(ix);
    CLEANUP(mem_freep) struct event *e = NEW(struct event);
    bool damaged = false;
    struct key k;
    struct look l;
    int rc;

    if (!index_key_pair(&k, uid, start_us - BACK_US, 0)) return -EINVAL;
    rc = index_look_begin(ix, ix->events, &l);
    if (rc) return index_error(rc);
    rc = index_look_behind(&l, k.mem, k.v.mv_size);
    for (; rc == 0 && !*ret_protects; rc = index_look_get(&l, MDB_NEXT)) {
        if (!event_of(&l.k, &l.v, e)) {
            if (strcmp(e->uid, uid) != 0) break; /* of its key's */
            damaged = true;
            continue;
        }
        if (strcmp(e->uid, uid) != 0 || e->start_us - EVENT_ROLL_MAX_US >= end_us) break;
        *ret_protects = e->start_us - e->before_us < end_us && event_footage_end_us(e) > start_us;
    }
    index_look_end(&l);
    if (rc && rc != MDB_NOTFOUND) return index_error(rc);
    return damaged && !*ret_protects ? INDEX_E_DAMAGED : INDEX_OK;
}

int index_events_uid(struct index *ix, const char *after, char ret_uid[EVENT_UID_MAX])
{
    INDEX_GUARD_READS(ix);
    uint8_t key[EVENT_UID_MAX];
    size_t n = strnlen(after, sizeof(key) - 1);
    struct look l;
    int rc = index_look_begin(ix, ix->events, &l);

    if (rc) return index_error(rc);
    memcpy(key, after, n);
    key[n] = 1; /* behind all keys of `after`, which go on with 0 */
    rc = index_look_behind(&l, key, n > 0 ? n + 1 : 0);
    if (rc == 0 && !index_key_uid(&l.k, ret_uid, EVENT_UID_MAX)) rc = MDB_NOTFOUND;
    index_look_end(&l);
    return index_error(rc);
}

/* The first of a stream's records whose footage ended before that, at or behind *k, which goes on. At most
 * *left records are looked at. 0, MDB_NOTFOUND: none, or another. */
static int find_old(
    struct index *ix, MDB_txn *txn, const char *uid, usec_t before_us, struct key *k, size_t *left)
{
    CLEANUP(mem_freep) struct event *e = NEW(struct event);
    struct look l = {.txn = txn};
    bool old = false;
    int rc = mdb_cursor_open(txn, ix->events, &l.c);

    if (rc) return rc;
    l.k = k->v;
    for (rc = index_look_get(&l, MDB_SET_RANGE); rc == 0 && !old; --*left) {
        bool whole = event_of(&l.k, &l.v, e);

        if (*left == 0 || (whole && (strcmp(e->uid, uid) != 0 || e->start_us >= before_us)))
            rc = MDB_NOTFOUND;
        else if (whole && event_footage_end_us(e) < before_us)
            old = index_key_pair(k, uid, e->start_us, e->id);
        else
            rc = index_look_get(&l, MDB_NEXT);
        if (rc == MDB_NOTFOUND) break;
    }
    mdb_cursor_close(l.c);
    return rc;
}

int index_events_drop(struct index *ix, const char *uid, usec_t before_us, size_t max, size_t *ret_n)
{
    *ret_n = 0;
    INDEX_GUARD_WRITES(ix);
    struct key k;
    MDB_txn *txn;
    int rc;

    if (!index_key_pair(&k, uid, 0, 0)) return -EINVAL;
    rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
    if (rc) return index_error(rc);
    while ((rc = find_old(ix, txn, uid, before_us, &k, &max)) == 0) {
        rc = mdb_del(txn, ix->events, &k.v, NULL);
        if (rc) break;
        ++*ret_n;
    }
    return index_txn_end(txn, rc == MDB_NOTFOUND ? 0 : rc);
}
