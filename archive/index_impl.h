/* What the files of the index share, and nobody else: the environment and its tables, keys, records, and the
 * cursor that all reading goes by. Only they include lmdb.h.
 *
 *   index.c           environment, versions, handles
 *   index_look.c      keys, records with their CRC, cursors
 *   index_segments.c  segments: reading and putting
 *   index_ranges.c    ranges: reading, joining, cutting
 *   index_keep.c      totals, trash: what leaves the index
 *   index_locks.c     locks
 *   index_events.c    events
 *   index_acts.c      stamps of singular acts
 *   index_mend.c      walking over all records, mending
 *   index_check.c     checking before and after opening
 *   index_build.c     all at once
 *   index_guard.c     faults of LMDB */
#ifndef ARCHIVE_INDEX_IMPL_H
#define ARCHIVE_INDEX_IMPL_H

#include "archive/index.h"
#include "archive/index_guard.h"
#include "common/base/rd.h"
#include "common/base/wr.h"

#include <lmdb.h>

#define INDEX_VERSION   2
#define KEY_MAX         64
#define INDEX_LOOK_BACK 4 /* segments that may overlap those behind them, when the clock was set back */

struct index {
    MDB_env *env;
    MDB_dbi segments, ranges, meta, totals, trash, locks, events;
    _Atomic bool broken; /* given up: LMDB has crashed in it */
    char crash_mark[4096];
};

struct key {
    uint8_t mem[KEY_MAX];
    MDB_val v;
};

/* --- keys and records --- */
/* MDB_*, or a positive errno, as INDEX_* or -errno. */
int index_error(int rc);
/* uid, 0, number: big-endian, so that LMDB's order by bytes is the order by number. false: too long. */
bool index_key(struct key *k, const char *uid, uint64_t number);
/* uid, 0, start, id: the prefix of a key of two numbers is one of one. */
bool index_key_pair(struct key *k, const char *uid, usec_t start_us, uint64_t id);
bool index_key_read(const MDB_val *v, const char *uid, uint64_t *ret_number);
/* uid of any key: up to its NUL. */
bool index_key_uid(const MDB_val *k, char *dst, size_t cap);
/* A record is its fields, and a CRC-32C over key and fields. false: damaged; else ret reads the fields. */
bool index_record(const MDB_val *k, const MDB_val *v, struct rd *ret);
/* A text in a record. */
void index_text_write(struct wr *w, const char *text);
bool index_text_read(struct rd *r, char *dst, size_t cap);
/* Puts the fields that w holds, with the CRC behind them. 0 or MDB_*, errno. */
int index_record_put(MDB_txn *txn, MDB_dbi table, const MDB_val *k, struct wr *w);

/* --- a transaction with a cursor in one table --- */
struct look {
    MDB_txn *txn;
    MDB_cursor *c;
    MDB_val k, v;
    bool ordered; /* MDB_NEXT has to lead on: a damaged tree may lead in a circle */
};
/* Read-only, of its own. 0 or MDB_*. */
int index_look_begin(struct index *ix, MDB_dbi table, struct look *l);
void index_look_end(struct look *l);
int index_look_get(struct look *l, MDB_cursor_op op);
/* To the first record of uid with at least that number, or up to `back` records of uid before it. 0 or MDB_*.
 */
int index_look_from(struct look *l, const char *uid, uint64_t number, unsigned back);
/* To the first record whose key lies behind this one (n 0: the first of all). */
int index_look_behind(struct look *l, const uint8_t *key, size_t n);
/* Ends a transaction that writes: commits when rc is 0. INDEX_*, -errno. */
int index_txn_end(MDB_txn *txn, int rc);
/* One durable transaction in which `one` (0 or MDB_*, errno) is done to each of n items. INDEX_*, -errno. */
int index_each(struct index *ix, const void *list, size_t n, size_t size,
    int (*one)(struct index *ix, MDB_txn *txn, const void *item));

/* --- segments and ranges, in a transaction that writes. 0 or MDB_*, errno --- */
bool index_segment_read(const struct look *l, const char *uid, uint64_t id, struct seg_info *ret);
bool index_range_read(const MDB_val *k, const MDB_val *v, const char *uid, struct index_range *ret);
/* The number in a segment's key at a wall clock. */
uint64_t index_id_at(usec_t wall_us);
int index_segment_put(
    struct index *ix, MDB_txn *txn, const struct seg_info *s, unsigned flags); /* MDB_APPEND */
/* Joins r with the ranges it touches. */
int index_range_join(struct index *ix, MDB_txn *txn, const char *uid, struct index_range r);
/* Takes the time of a segment that has just been removed out of the ranges; what others have there stays. */
int index_range_cut(struct index *ix, MDB_txn *txn, const struct seg_info *s);
/* Makes a stream's ranges and total anew from its segments. */
int index_remake(struct index *ix, MDB_txn *txn, const char *uid);

/* --- totals --- */
int index_total_put(struct index *ix, MDB_txn *txn, const char *uid, const struct index_total *t);
/* Adds to a stream's total; one that cannot be read is made anew. */
int index_total_add(struct index *ix, MDB_txn *txn, const char *uid, int64_t bytes, int segments);
bool index_total_read(const MDB_val *k, const MDB_val *v, struct index_total *ret);

/* A segment leaves: item is an index_ref. */
int index_drop_one(struct index *ix, MDB_txn *txn, const void *item);

/* --- locks --- */
/* Where it is newer than what is there: item is an index_lock. */
int index_lock_put(struct index *ix, MDB_txn *txn, const void *item);
bool index_lock_read(const MDB_val *k, const MDB_val *v, struct index_lock *ret);

/* Opens for reading, also an index of version 1, with further flags of LMDB. As index_open_ro. */
int index_open_flags(const char *dir, unsigned flags, struct index **ret, uint32_t *ret_version);

#endif
