#include "archive/index.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"
#include "common/base/rd.h"
#include "common/base/wr.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION    1
#define LOCK_BYTES 65536 /* holds more readers than INDEX_READERS_MAX: 64 bytes each, and a header */
#define LOOK_BACK  4     /* segments that may overlap those behind them, when the clock was set back */
#define KEY_MAX    64
#define FILE_MODE  0640
#define LOCK_MODE  0660

struct index {
    MDB_env *env;
    MDB_dbi segments, ranges, meta;
};

struct key {
    uint8_t mem[KEY_MAX];
    MDB_val v;
};

/* LMDB's own codes are negative and below -30000, the system's are positive. Of its own all but a few say
 * that the file is broken; MDB_PANIC and MDB_BAD_TXN come after a write that failed, and the file is good
 * when it is opened again. */
static int error_of(int rc)
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

/* uid, 0, number: big-endian, so that LMDB's order by bytes is the order by number. */
static bool key_make(struct key *k, const char *uid, uint64_t number)
{
    struct wr w = wr_of(k->mem, sizeof(k->mem));

    wr_text(&w, uid);
    wr_u8(&w, 0);
    wr_u64(&w, number);
    k->v = (MDB_val){.mv_size = w.n, .mv_data = k->mem};
    return wr_ok(&w);
}

static bool key_read(const MDB_val *v, const char *uid, uint64_t *ret_number)
{
    struct rd r = rd_of(span(v->mv_data, v->mv_size));
    size_t n = strlen(uid);

    if (!span_eq(rd_bytes(&r, n), span(uid, n)) || rd_u8(&r) != 0) return false;
    *ret_number = rd_u64(&r);
    return rd_ok(&r) && rd_left(&r) == 0;
}

/* Allocated in full: a page of it that a full disk does not have would be a SIGBUS. */
static int make_lock(const char *dir)
{
    CLEANUP(fd_close) int fd = -1;
    char path[4096];

    if (snprintf(path, sizeof(path), "%s/lock.mdb", dir) >= (int)sizeof(path)) return -ENAMETOOLONG;
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, LOCK_MODE);
    if (fd < 0) return -errno;
    if (fchmod(fd, LOCK_MODE) < 0 && errno != EPERM) return -errno;
    return -posix_fallocate(fd, 0, LOCK_BYTES);
}

static int env_open(const char *dir, unsigned flags, struct index **ret)
{
    struct index *ix = NEW(struct index);
    int rc = mdb_env_create(&ix->env);

    if (rc == 0) rc = mdb_env_set_maxdbs(ix->env, 4);
    if (rc == 0) rc = mdb_env_set_mapsize(ix->env, INDEX_MAP_BYTES);
    if (rc == 0) rc = mdb_env_set_maxreaders(ix->env, INDEX_READERS_MAX);
    if (rc == 0) rc = mdb_env_open(ix->env, dir, MDB_NOTLS | flags, FILE_MODE);
    if (rc) {
        index_close(ix);
        return error_of(rc);
    }
    *ret = ix;
    return INDEX_OK;
}

static int tables_open(struct index *ix, MDB_txn *txn, unsigned flags)
{
    int rc = mdb_dbi_open(txn, "segments", flags, &ix->segments);

    if (rc == 0) rc = mdb_dbi_open(txn, "ranges", flags, &ix->ranges);
    if (rc == 0) rc = mdb_dbi_open(txn, "meta", flags, &ix->meta);
    return rc;
}

static int version_check(struct index *ix, MDB_txn *txn)
{
    MDB_val k = {.mv_size = 7, .mv_data = (char[]){"version"}}, v;
    struct rd r;
    uint32_t version;
    int rc = mdb_get(txn, ix->meta, &k, &v);

    if (rc) return rc == MDB_NOTFOUND ? rc : MDB_CORRUPTED;
    r = rd_of(span(v.mv_data, v.mv_size));
    version = rd_u32(&r);
    if (rd_u32(&r) != crc32c(0, span(v.mv_data, 4)) || !rd_ok(&r)) return MDB_CORRUPTED;
    return version == VERSION ? 0 : MDB_VERSION_MISMATCH;
}

static int version_put(struct index *ix, MDB_txn *txn)
{
    MDB_val k = {.mv_size = 7, .mv_data = (char[]){"version"}}, v;
    uint8_t mem[8];
    struct wr w = wr_of(mem, sizeof(mem));

    wr_u32(&w, VERSION);
    wr_u32(&w, crc32c(0, wr_span(&w)));
    v = (MDB_val){.mv_size = w.n, .mv_data = mem};
    return mdb_put(txn, ix->meta, &k, &v, 0);
}

int index_open(const char *dir, struct index **ret)
{
    struct index *ix = NULL;
    MDB_txn *txn;
    int err = make_lock(dir), rc;

    if (!err) err = env_open(dir, 0, &ix);
    if (err || !ix) return err;
    rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
    if (rc == 0) {
        rc = tables_open(ix, txn, MDB_CREATE);
        if (rc == 0) rc = version_check(ix, txn);
        if (rc == MDB_NOTFOUND) rc = version_put(ix, txn);
        if (rc)
            mdb_txn_abort(txn);
        else
            rc = mdb_txn_commit(txn);
    }
    if (rc) {
        index_close(ix);
        return error_of(rc);
    }
    *ret = ix;
    return INDEX_OK;
}

static int open_ro(const char *dir, unsigned flags, struct index **ret)
{
    struct index *ix = NULL;
    MDB_txn *txn;
    int err = env_open(dir, MDB_RDONLY | flags, &ix), rc;

    if (err || !ix) return err;
    rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = tables_open(ix, txn, 0);
        if (rc == 0) rc = version_check(ix, txn);
        /* committed, so that the handles of the tables stay */
        if (rc)
            mdb_txn_abort(txn);
        else
            rc = mdb_txn_commit(txn);
    }
    if (rc) {
        index_close(ix);
        return rc == MDB_NOTFOUND ? -ENOENT : error_of(rc);
    }
    *ret = ix;
    return INDEX_OK;
}

int index_open_ro(const char *dir, struct index **ret)
{
    return open_ro(dir, 0, ret);
}

void index_close(struct index *ix)
{
    if (!ix) return;
    mdb_env_close(ix->env);
    mem_free(ix);
}

/* A read transaction with a cursor in one table. */
struct look {
    MDB_txn *txn;
    MDB_cursor *c;
    MDB_val k, v;
};

static int look_begin(struct index *ix, MDB_dbi table, struct look *l)
{
    int rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &l->txn);

    if (rc) return rc;
    rc = mdb_cursor_open(l->txn, table, &l->c);
    if (rc) mdb_txn_abort(l->txn);
    return rc;
}

static void look_end(struct look *l)
{
    mdb_cursor_close(l->c);
    mdb_txn_abort(l->txn);
}

static int look_get(struct look *l, MDB_cursor_op op)
{
    return mdb_cursor_get(l->c, &l->k, &l->v, op);
}

/* To the first record of uid with at least that number, or up to `back` records of uid before it. 0 or MDB_*.
 */
static int look_from(struct look *l, const char *uid, uint64_t number, unsigned back)
{
    struct key key;
    uint64_t at;
    int rc;

    if (!key_make(&key, uid, number)) return MDB_NOTFOUND;
    l->k = key.v;
    rc = look_get(l, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND && back > 0) {
        rc = look_get(l, MDB_LAST);
        if (rc || !key_read(&l->k, uid, &at)) return rc ? rc : MDB_NOTFOUND;
        back--;
    }
    while (rc == 0 && back-- > 0) {
        rc = look_get(l, MDB_PREV);
        if (rc == MDB_NOTFOUND) return look_get(l, MDB_FIRST);
        if (rc == 0 && !key_read(&l->k, uid, &at)) return look_get(l, MDB_NEXT);
    }
    return rc;
}

static bool segment_read(const struct look *l, const char *uid, uint64_t id, struct seg_info *ret)
{
    return seg_info_read(span(l->v.mv_data, l->v.mv_size), ret) && ret->id == id &&
        strcmp(ret->uid, uid) == 0;
}

/* The number in a segment's key at a wall clock. */
static uint64_t id_at(usec_t wall_us)
{
    return (uint64_t)(CLAMP(wall_us, 0, INT64_MAX >> 8) / US_PER_MS) << 8;
}

int index_segments(
    struct index *ix, const struct index_query *q, struct seg_info *out, size_t max, size_t *ret_n)
{
    bool damaged = false;
    struct look l;
    uint64_t id;
    int rc = look_begin(ix, ix->segments, &l);

    *ret_n = 0;
    if (rc) return error_of(rc);
    rc = q->after_id ? look_from(&l, q->uid, q->after_id + 1, 0)
                     : look_from(&l, q->uid, id_at(q->from_us), LOOK_BACK);
    for (; rc == 0 && *ret_n < max && key_read(&l.k, q->uid, &id); rc = look_get(&l, MDB_NEXT)) {
        struct seg_info *s = &out[*ret_n];

        if (!segment_read(&l, q->uid, id, s)) {
            damaged = true;
            continue;
        }
        if (s->start_us >= q->to_us) break;
        if (s->end_us > q->from_us) ++*ret_n;
    }
    look_end(&l);
    if (rc && rc != MDB_NOTFOUND) return error_of(rc);
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

static bool range_read(const MDB_val *k, const MDB_val *v, const char *uid, struct index_range *ret)
{
    struct rd r = rd_of(span(v->mv_data, v->mv_size));
    uint64_t start, end = rd_u64(&r);
    uint32_t crc =
        crc32c(crc32c(0, span(k->mv_data, k->mv_size)), span_sub(span(v->mv_data, v->mv_size), 0, 8));

    if (!key_read(k, uid, &start) || rd_u32(&r) != crc || !rd_ok(&r) || rd_left(&r) > 0) return false;
    *ret = (struct index_range){(usec_t)start, (usec_t)end};
    return start <= INT64_MAX && end <= INT64_MAX && start <= end;
}

int index_ranges(
    struct index *ix, const struct index_query *q, struct index_range *out, size_t max, size_t *ret_n)
{
    bool damaged = false;
    struct look l;
    uint64_t start;
    int rc = look_begin(ix, ix->ranges, &l);

    *ret_n = 0;
    if (rc) return error_of(rc);
    rc = look_from(&l, q->uid, (uint64_t)MAX(q->from_us, 0), 1);
    for (; rc == 0 && *ret_n < max && key_read(&l.k, q->uid, &start); rc = look_get(&l, MDB_NEXT)) {
        struct index_range *r = &out[*ret_n];

        if (!range_read(&l.k, &l.v, q->uid, r)) {
            damaged = true;
            continue;
        }
        if (r->start_us >= q->to_us) break;
        if (r->end_us > q->from_us) ++*ret_n;
    }
    look_end(&l);
    if (rc && rc != MDB_NOTFOUND) return error_of(rc);
    return damaged ? INDEX_E_DAMAGED : INDEX_OK;
}

/* The record of uid at or behind `number`, or the last one (back 1). */
static int one_segment(
    struct index *ix, const char *uid, uint64_t number, unsigned back, struct seg_info *ret)
{
    struct look l;
    uint64_t id;
    int rc = look_begin(ix, ix->segments, &l), err;

    if (rc) return error_of(rc);
    rc = look_from(&l, uid, number, back);
    err = error_of(rc);
    if (!err && !key_read(&l.k, uid, &id)) err = INDEX_E_NONE;
    if (!err && !segment_read(&l, uid, id, ret)) err = INDEX_E_DAMAGED;
    look_end(&l);
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

int index_get(struct index *ix, const char *uid, uint64_t id, struct seg_info *ret)
{
    int err = one_segment(ix, uid, id, 0, ret);

    return err == INDEX_OK && ret->id != id ? INDEX_E_NONE : err;
}

static int put_segment(struct index *ix, MDB_txn *txn, const struct seg_info *s)
{
    uint8_t mem[SEG_INFO_WIRE_MAX];
    struct wr w = wr_of(mem, sizeof(mem));
    struct key k;
    MDB_val v;

    seg_info_write(&w, s);
    if (!wr_ok(&w) || !key_make(&k, s->uid, s->id)) return EINVAL;
    v = (MDB_val){.mv_size = w.n, .mv_data = mem};
    return mdb_put(txn, ix->segments, &k.v, &v, 0);
}

static int put_range(struct index *ix, MDB_txn *txn, const char *uid, struct index_range r)
{
    uint8_t mem[12];
    struct wr w = wr_of(mem, sizeof(mem));
    struct key k;
    MDB_val v;

    if (!key_make(&k, uid, (uint64_t)r.start_us)) return EINVAL;
    wr_u64(&w, (uint64_t)r.end_us);
    wr_u32(&w, crc32c(crc32c(0, span(k.v.mv_data, k.v.mv_size)), wr_span(&w)));
    v = (MDB_val){.mv_size = w.n, .mv_data = mem};
    return mdb_put(txn, ix->ranges, &k.v, &v, 0);
}

/* Joins r with those it touches: what lies before it, and all behind it that it reaches. A damaged record
 * goes. */
static int join_range(struct index *ix, struct look *l, const char *uid, struct index_range r)
{
    struct index_range other;
    uint64_t start;
    int rc = look_from(l, uid, (uint64_t)r.start_us, 1);

    for (; rc == 0 && key_read(&l->k, uid, &start); rc = look_get(l, MDB_NEXT)) {
        if (range_read(&l->k, &l->v, uid, &other)) {
            if (other.end_us < r.start_us - INDEX_JOIN_US) continue;
            if (other.start_us > r.end_us + INDEX_JOIN_US) break;
            r.start_us = MIN(r.start_us, other.start_us);
            r.end_us = MAX(r.end_us, other.end_us);
        }
        rc = mdb_cursor_del(l->c, 0);
        if (rc) return rc;
    }
    return rc && rc != MDB_NOTFOUND ? rc : put_range(ix, l->txn, uid, r);
}

int index_put(struct index *ix, const struct seg_info *const *segs, size_t n)
{
    struct look l;
    int rc = mdb_txn_begin(ix->env, NULL, 0, &l.txn);

    if (rc) return error_of(rc);
    for (size_t i = 0; rc == 0 && i < n; i++) {
        rc = put_segment(ix, l.txn, segs[i]);
        if (rc == 0) rc = mdb_cursor_open(l.txn, ix->ranges, &l.c);
        if (rc) break;
        rc = join_range(ix, &l, segs[i]->uid, (struct index_range){segs[i]->start_us, segs[i]->end_us});
        mdb_cursor_close(l.c);
    }
    if (rc)
        mdb_txn_abort(l.txn);
    else
        rc = mdb_txn_commit(l.txn);
    return error_of(rc);
}

/* uid of any key: up to its NUL. */
static bool key_uid(const MDB_val *k, char *dst, size_t cap)
{
    struct span s = span(k->mv_data, k->mv_size);
    ssize_t nul = span_find(s, 0);

    return nul > 0 && span_copy(span_sub(s, 0, (size_t)nul), dst, cap);
}

/* --- mending --- */

static bool record_ok(const struct look *l, bool range, struct index_flaw *ret, struct seg_info *info)
{
    struct index_range r;

    *ret = (struct index_flaw){.range = range};
    if (!key_uid(&l->k, ret->uid, sizeof(ret->uid)) || !key_read(&l->k, ret->uid, &ret->number)) {
        ret->uid[0] = 0;
        return false;
    }
    return range ? range_read(&l->k, &l->v, ret->uid, &r) : segment_read(l, ret->uid, ret->number, info);
}

/* To the record behind the one that was looked at last. */
static int walk_on(struct look *l, const struct index_walk *at)
{
    int rc;

    if (at->n == 0) return look_get(l, MDB_FIRST);
    l->k = (MDB_val){.mv_size = at->n, .mv_data = (void *)(uintptr_t)at->key};
    rc = look_get(l, MDB_SET_RANGE);
    if (rc == 0 && span_eq(span(l->k.mv_data, l->k.mv_size), span(at->key, at->n)))
        return look_get(l, MDB_NEXT);
    return rc;
}

int index_walk(struct index *ix, struct index_walk *at, size_t max, struct index_flaw *ret)
{
    struct seg_info *info = NEW(struct seg_info);
    bool ok = true;
    struct look l;
    int rc = look_begin(ix, at->ranges ? ix->ranges : ix->segments, &l);

    *ret = (struct index_flaw){0};
    if (rc == 0) {
        rc = walk_on(&l, at);
        for (; rc == 0 && max > 0; max--) {
            ok = record_ok(&l, at->ranges, ret, info);
            at->n = MIN(l.k.mv_size, sizeof(at->key));
            memcpy(at->key, l.k.mv_data, at->n);
            if (!ok) break;
            rc = look_get(&l, MDB_NEXT);
        }
        look_end(&l);
    }
    mem_free(info);
    if (rc == MDB_NOTFOUND) {
        *at = (struct index_walk){.ranges = !at->ranges};
        return INDEX_OK;
    }
    return rc ? error_of(rc) : ok ? INDEX_OK : INDEX_E_DAMAGED;
}

static int drop_ranges(struct look *l, const char *uid)
{
    uint64_t start;
    int rc = look_from(l, uid, 0, 0);

    for (; rc == 0 && key_read(&l->k, uid, &start); rc = look_get(l, MDB_NEXT)) {
        rc = mdb_cursor_del(l->c, 0);
        if (rc) return rc;
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* l: of the ranges. Segments come in order: what touches is put together first. */
static int make_ranges(struct index *ix, struct look *l, const char *uid)
{
    struct seg_info *info = NEW(struct seg_info);
    struct look segs = {.txn = l->txn};
    struct index_range r = {0};
    bool some = false;
    uint64_t id;
    int rc = drop_ranges(l, uid);

    if (rc == 0) rc = mdb_cursor_open(segs.txn, ix->segments, &segs.c);
    if (rc == 0) {
        rc = look_from(&segs, uid, 0, 0);
        for (; rc == 0 && key_read(&segs.k, uid, &id); rc = look_get(&segs, MDB_NEXT)) {
            if (!segment_read(&segs, uid, id, info)) continue;
            if (some && info->start_us >= r.start_us && info->start_us <= r.end_us + INDEX_JOIN_US) {
                r.end_us = MAX(r.end_us, info->end_us);
                continue;
            }
            if (some) rc = join_range(ix, l, uid, r);
            if (rc) break;
            r = (struct index_range){info->start_us, info->end_us};
            some = true;
        }
        mdb_cursor_close(segs.c);
    }
    mem_free(info);
    if (rc && rc != MDB_NOTFOUND) return rc;
    return some ? join_range(ix, l, uid, r) : 0;
}

int index_mend(struct index *ix, const struct index_flaw *f, const struct seg_info *info)
{
    struct look l;
    struct key k;
    int rc = key_make(&k, f->uid, f->number) ? mdb_txn_begin(ix->env, NULL, 0, &l.txn) : EINVAL;

    if (rc) return error_of(rc);
    if (!f->range) rc = info ? put_segment(ix, l.txn, info) : mdb_del(l.txn, ix->segments, &k.v, NULL);
    if (rc == 0) rc = mdb_cursor_open(l.txn, ix->ranges, &l.c);
    if (rc == 0) {
        rc = make_ranges(ix, &l, f->uid);
        mdb_cursor_close(l.c);
    }
    if (rc)
        mdb_txn_abort(l.txn);
    else
        rc = mdb_txn_commit(l.txn);
    return error_of(rc);
}

int index_clear_dead(struct index *ix, int *ret_n)
{
    return error_of(mdb_reader_check(ix->env, ret_n));
}

static int check_segments(struct index *ix, uint64_t *ret_n)
{
    struct seg_info *info = NEW(struct seg_info);
    char uid[KEY_MAX];
    struct look l;
    uint64_t id;
    int rc = look_begin(ix, ix->segments, &l), err = error_of(rc);

    if (!err) {
        while ((rc = look_get(&l, MDB_NEXT)) == 0) {
            if (!key_uid(&l.k, uid, sizeof(uid)) || !key_read(&l.k, uid, &id) ||
                !segment_read(&l, uid, id, info))
                break;
            ++*ret_n;
        }
        look_end(&l);
        err = rc == MDB_NOTFOUND ? INDEX_OK : rc == 0 ? INDEX_E_DAMAGED : error_of(rc);
    }
    mem_free(info);
    return err;
}

static int check_ranges(struct index *ix)
{
    struct index_range r;
    char uid[KEY_MAX];
    struct look l;
    int rc = look_begin(ix, ix->ranges, &l);

    if (rc) return error_of(rc);
    while ((rc = look_get(&l, MDB_NEXT)) == 0)
        if (!key_uid(&l.k, uid, sizeof(uid)) || !range_read(&l.k, &l.v, uid, &r)) break;
    look_end(&l);
    return rc == MDB_NOTFOUND ? INDEX_OK : rc == 0 ? INDEX_E_DAMAGED : error_of(rc);
}

int index_check(const char *dir, uint64_t *ret_segments)
{
    struct index *ix = NULL;
    int err = open_ro(dir, MDB_NOLOCK, &ix);

    *ret_segments = 0;
    if (err || !ix) return err;
    err = check_segments(ix, ret_segments);
    if (!err) err = check_ranges(ix);
    index_close(ix);
    return err;
}
