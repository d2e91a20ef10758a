#include "archive/index_build.h"
#include "archive/index_impl.h"
#include "archive/segrow.h"
#include "common/base/mem.h"

#include <errno.h>
#include <sys/stat.h>

#define COMMIT_EVERY 100000 /* segments: some ten megabytes of dirty pages */

struct index_build {
    struct index *ix;
    MDB_txn *txn;
    size_t uncommitted;
    /* the stream that is being added */
    char uid[40];
    uint64_t last_id;
    struct index_total total;
    struct index_range range;
};

int index_build_new(const char *dir, struct index_build **ret)
{
    struct index_build *b;
    char path[4096];
    struct stat st;
    int err;

    if (snprintf(path, sizeof(path), "%s/data.mdb", dir) >= (int)sizeof(path)) return -ENAMETOOLONG;
    if (stat(path, &st) == 0) return -EEXIST;
    b = NEW(struct index_build);
    err = index_open(dir, &b->ix);
    if (!err) err = index_error(mdb_env_set_flags(b->ix->env, MDB_NOSYNC, 1));
    if (!err) err = index_error(mdb_txn_begin(b->ix->env, NULL, 0, &b->txn));
    if (err) {
        index_build_drop(b);
        return err > 0 ? -EIO : err;
    }
    *ret = b;
    return 0;
}

/* What is known of the stream behind its last segment. */
static int stream_end(struct index_build *b)
{
    int rc;

    if (!b->uid[0]) return 0;
    rc = index_range_join(b->ix, b->txn, b->uid, b->range);
    return rc ? rc : index_total_put(b->ix, b->txn, b->uid, &b->total);
}

static int stream_begin(struct index_build *b, const struct seg_info *s)
{
    int order = strcmp(s->uid, b->uid), rc;

    if (order < 0 || (order == 0 && s->id <= b->last_id)) return EINVAL;
    if (order == 0) return 0;
    rc = stream_end(b);
    memcpy(b->uid, s->uid, sizeof(b->uid));
    b->total = (struct index_total){0};
    b->range = (struct index_range){s->start_us, s->end_us};
    return rc;
}

/* As index_put would have them: what touches is one. */
static int count(struct index_build *b, const struct seg_info *s)
{
    struct index_range *r = &b->range;
    int rc = 0;

    b->total.segments++;
    b->total.bytes += s->bytes;
    b->last_id = s->id;
    if (s->start_us >= r->start_us && s->start_us <= r->end_us + INDEX_JOIN_US) {
        r->end_us = MAX(r->end_us, s->end_us);
        return 0;
    }
    rc = index_range_join(b->ix, b->txn, b->uid, *r);
    *r = (struct index_range){s->start_us, s->end_us};
    return rc;
}

static int commit(struct index_build *b, bool more)
{
    int rc = mdb_txn_commit(b->txn);

    b->txn = NULL;
    b->uncommitted = 0;
    return rc || !more ? rc : mdb_txn_begin(b->ix->env, NULL, 0, &b->txn);
}

int index_build_add(struct index_build *b, const struct seg_info *s)
{
    int rc = stream_begin(b, s);

    if (rc == 0) rc = index_segment_put(b->ix, b->txn, s, MDB_APPEND);
    if (rc == 0) rc = count(b, s);
    if (rc == 0 && ++b->uncommitted >= COMMIT_EVERY) rc = commit(b, true);
    return index_error(rc);
}

int index_build_end(struct index_build *b)
{
    int rc = stream_end(b);

    if (rc == 0) rc = commit(b, false);
    if (rc == 0) rc = mdb_env_sync(b->ix->env, 1);
    index_build_drop(b);
    return index_error(rc);
}

void index_build_drop(struct index_build *b)
{
    if (!b) return;
    if (b->txn) mdb_txn_abort(b->txn);
    index_close(b->ix);
    mem_free(b);
}
