/* The index of one storage: which segments and continuous ranges each stream has. LMDB behind its only door;
 * one environment a storage, the keeper is its only writer, httpd reads it. What is in it is on the disk: the
 * keeper puts a segment in after the syncfs that covered it.
 *
 *   segments  uid, 0, id (u64, big-endian)        -> what segrow.h writes (with CRC-32C)
 *   ranges    uid, 0, start_us (u64, big-endian)  -> end_us, CRC-32C
 *   totals    uid                                 -> bytes, segments, CRC-32C
 *   trash     uid, 0, id                          -> tries, CRC-32C: out of the index, its file to be removed
 *   locks     uid, 0, start_us, lock id           -> end_us, version_us, released_us, by, note, CRC-32C
 *   events    uid, 0, start_us, event id          -> end_us, before_us, after_us, kind, source, payload,
 * CRC-32C
 *   meta      "version"                           -> number, CRC-32C
 *             "act ", uid                         -> term, node, boot, over, CRC-32C (index_acts.h)
 *
 * CRCs of ranges and of all below cover key and fields. Version 1 had segments, ranges and meta: the keeper
 * adds the others when it opens it.
 *
 * No call leaves a transaction open: everything is copied out. One struct index may be used by several
 * threads for reading (each call takes a reader slot, INDEX_READERS_MAX in all processes together); writing
 * is one thread's. Never keep it across fork. After each INDEX_READY: close, open again. Tests:
 * tests/unit/archive/test_index.c. */
#ifndef ARCHIVE_INDEX_H
#define ARCHIVE_INDEX_H

#include "archive/seginfo.h"
#include "common/ipc/event.h"

#define INDEX_READERS_MAX 256
#define INDEX_JOIN_US     US_PER_S /* segments at most this far apart are one range */
#ifdef __SANITIZE_THREAD__
#define INDEX_MAP_BYTES (1ull << 36) /* TSan's own maps leave no room for more */
#else
#define INDEX_MAP_BYTES (1ull << 40)
#endif

/* Conditions (positive). */
enum {
    INDEX_OK = 0,
    INDEX_E_DAMAGED = 1 /* the keeper rebuilds it from the segments */,
    INDEX_E_NONE = 2 /* nothing there */,
    INDEX_E_FLAWED = 3 /* of index_check: records, but not what holds them */,
    INDEX_E_OLD = 4 /* of index_act: a newer act was promised or done */,
    INDEX_E_OVER = 5 /* of index_act: it has been done */
};

/* In the folder of an index: whoever wrote it crashed in LMDB. It is not to be opened again. */
#define INDEX_CRASHED "crashed"

struct index;
struct index_range {
    usec_t start_us, end_us;
};
/* A stream's records that overlap [from_us, to_us). */
struct index_query {
    const char *uid;
    usec_t from_us, to_us;
    uint64_t after_id; /* segments: those behind this one; 0: from the first */
};

/* dir: exists. The keeper's: creates data.mdb, and lock.mdb fully allocated (-ENOSPC, never a SIGBUS). */
int index_open(const char *dir, struct index **ret);
/* httpd's: data.mdb read-only, lock.mdb writable. -ENOENT: no index there yet. */
int index_open_ro(const char *dir, struct index **ret);
void index_close(struct index *ix); /* NULL too */

/* Is it still the index of this folder, or was its file taken away, or put another in its place? */
bool index_in_place(const struct index *ix, const char *dir);
/* LMDB has crashed in it (index_guard.h): every call gives INDEX_E_DAMAGED; all that helps is another file.
 */
bool index_broken(const struct index *ix);

/* A damaged record is left out, the rest is given, and the call returns INDEX_E_DAMAGED in the end.
 *
 * Segments in order of their ids, at most max; *ret_n of them. A full page is continued with after_id = id of
 * its last. INDEX_OK, INDEX_E_DAMAGED, -errno. */
int index_segments(
    struct index *ix, const struct index_query *q, struct seg_info *out, size_t max, size_t *ret_n);
/* Ranges, not cut to the query's, in order. A full page is continued with from_us = end_us of its last. */
int index_ranges(
    struct index *ix, const struct index_query *q, struct index_range *out, size_t max, size_t *ret_n);
/* First, last segment of a stream. INDEX_OK, INDEX_E_NONE, INDEX_E_DAMAGED, -errno. */
int index_first(struct index *ix, const char *uid, struct seg_info *ret);
int index_last(struct index *ix, const char *uid, struct seg_info *ret);
/* The last one that began at_us or before, by the millisecond. */
int index_last_by(struct index *ix, const char *uid, usec_t at_us, struct seg_info *ret);
int index_get(struct index *ix, const char *uid, uint64_t id, struct seg_info *ret);

/* --- the keeper's --- */
/* Puts n segments, joins the ranges and counts, in one durable transaction. A segment that is there is
 * replaced. */
int index_put(struct index *ix, const struct seg_info *const *segs, size_t n);

/* What a stream has here. */
struct index_total {
    char uid[40];
    uint64_t bytes, segments;
};
/* In the order of the uids, those behind after_uid ("": from the first), at most max. */
int index_totals(struct index *ix, const char *after_uid, struct index_total *out, size_t max, size_t *ret_n);
/* Of one stream. INDEX_OK, INDEX_E_NONE, INDEX_E_DAMAGED, -errno. */
int index_total(struct index *ix, const char *uid, struct index_total *ret);

/* A segment by name. */
struct index_ref {
    char uid[40];
    uint64_t id;
    uint32_t tries; /* of removing its file */
};
/* Takes segments out, and notes their files as trash, in one durable transaction: then the files go, then
 * index_trash_settle. One that is not there is left out. */
int index_drop(struct index *ix, const struct index_ref *list, size_t n);
bool index_is_trash(struct index *ix, const char *uid, uint64_t id);
/* In order, those behind `after` (NULL: from the first), at most max. */
int index_trash(
    struct index *ix, const struct index_ref *after, struct index_ref *out, size_t max, size_t *ret_n);
/* tries 0: the file is gone, and the note goes too; else it is put back with so many tries. */
int index_trash_settle(struct index *ix, const struct index_ref *list, size_t n);

/* Footage that stays, [start_us, end_us), as long as it is not released. Of two with the same id the one with
 * the newer version counts; one that has been released stays, so that it is known where it still stands as
 * held. */
#define INDEX_LOCK_BY_MAX   65  /* with its NUL */
#define INDEX_LOCK_NOTE_MAX 257 /* the same */
struct index_lock {
    char uid[40];
    uint64_t id;
    usec_t start_us, end_us, version_us;
    usec_t released_us; /* 0: it holds */
    char by[INDEX_LOCK_BY_MAX];
    char note[INDEX_LOCK_NOTE_MAX];
};
/* In the order of uid and start, those behind `after` (NULL: from the first), at most max. */
int index_locks(
    struct index *ix, const struct index_lock *after, struct index_lock *out, size_t max, size_t *ret_n);
/* Puts those that are newer than what is there. One durable transaction. */
int index_locks_put(struct index *ix, const struct index_lock *list, size_t n);
/* Takes those out that have been released, as these have. The same. */
int index_locks_drop(struct index *ix, const struct index_lock *list, size_t n);

/* --- events --- */
/* One that is there, by uid, start and id, is replaced. One durable transaction. The keeper's. */
int index_events_put(struct index *ix, const struct event *list, size_t n);
#define INDEX_EVENTS_STEP 500 /* records that one call looks at */
/* Of another copy, in any order: puts those that are not there, or are damaged, and those that end later than
 * what is there (one that goes on ends before all others). One durable transaction. The keeper's. */
int index_events_restore(struct index *ix, const struct event *list, size_t n);
/* The one with this uid, start and id. INDEX_OK, INDEX_E_NONE, INDEX_E_DAMAGED, -errno. */
int index_event(struct index *ix, const char *uid, usec_t start_us, uint64_t id, struct event *ret);
/* Where it stands; zeroed: at the start. */
struct index_event_at {
    uint8_t key[64];
    size_t n;
    bool end; /* there is no more */
};
/* In the order of uid and start, at most max; may give none before the end. A damaged one is left out:
 * INDEX_E_DAMAGED. */
int index_events(struct index *ix, const struct event_query *q, struct index_event_at *at, struct event *out,
    size_t max, size_t *ret_n);
/* Does footage of [start_us, end_us) belong to an event, with what is before and after it? It is kept for
 * event_duration_us then (keep.h). INDEX_E_DAMAGED: nobody can tell before a damaged record is mended. */
int index_event_protects(
    struct index *ix, const char *uid, usec_t start_us, usec_t end_us, bool *ret_protects);
/* The stream behind `after` that has events. INDEX_OK, INDEX_E_NONE, -errno. */
int index_events_uid(struct index *ix, const char *after, char ret_uid[EVENT_UID_MAX]);
/* Of a stream, those whose footage ended before that; looks at max records. The keeper's. */
int index_events_drop(struct index *ix, const char *uid, usec_t before_us, size_t max, size_t *ret_n);

/* A walk over all records, a few at a time: where it stands. Zeroed: at the start. */
enum index_table {
    INDEX_SEGMENTS,
    INDEX_RANGES,
    INDEX_TOTALS,
    INDEX_TRASH,
    INDEX_LOCKS,
    INDEX_EVENTS,
    INDEX_TABLES
};
#define INDEX_KEY_MAX 511 /* LMDB's own limit */
struct index_walk {
    enum index_table table;
    uint8_t key[INDEX_KEY_MAX];
    size_t n;
    uint64_t segments; /* looked at so far, in all rounds */
};
/* A record that cannot be read. */
struct index_flaw {
    enum index_table table;
    char uid[40];    /* "": not even its key can be read: the whole index is of no use */
    uint64_t number; /* of its key: id or start; 0 where it has none */
    uint8_t key[INDEX_KEY_MAX];
    size_t n;
};
/* Looks at up to max records behind *at, which goes on, and begins anew behind the last. INDEX_OK,
 * INDEX_E_DAMAGED (*ret is what it stands at), -errno. */
int index_walk(struct index *ix, struct index_walk *at, size_t max, struct index_flaw *ret);
/* A damaged segment is replaced by info, or taken out (NULL); its stream's ranges and total, and those that
 * are damaged, are made anew from its segments; other records go. One durable transaction. */
int index_mend(struct index *ix, const struct index_flaw *f, const struct seg_info *info);
/* Reader slots of dead processes are freed; *ret_n of them. */
int index_clear_dead(struct index *ix, int *ret_n);
/* Before it is opened, in a process of its own, as it may crash or never end on a damaged file: the file's
 * size, the free pages, and of each stream the newest records, no longer than budget_us (0: no limit).
 * INDEX_OK, INDEX_E_DAMAGED, -errno (-ENOENT: no index there). */
#define INDEX_NEWEST                                                                                         \
    64 /* records of each table that a stream has there: two hours of two-minute segments                    \
        */
int index_check_newest(const char *dir, usec_t budget_us);
/* While it is in use, in a process of its own: walks every record; *ret_segments of them, *ret_flaws of all
 * records cannot be read but can be mended (INDEX_E_FLAWED). INDEX_OK, INDEX_E_DAMAGED (no mending helps),
 * -errno (-ENOENT). */
int index_check(const char *dir, uint64_t *ret_segments, uint64_t *ret_flaws);

#endif
