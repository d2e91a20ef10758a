#include "archive/index_impl.h"
#include "common/base/clock.h"
#include "common/base/mem.h"

#include <errno.h>
#include <sys/stat.h>

#define WALK_MOST 1000 /* records of one read transaction: the pages it holds are not written meanwhile */
#define FREE_DBI  0    /* LMDB's own: transaction -> list of free pages, the first number says how many */

/* Every page that is in use has been written. */
static int check_size(struct index *ix)
{
    MDB_envinfo info;
    struct stat st;
    MDB_stat stat;
    mdb_filehandle_t fd;
    int rc = mdb_env_info(ix->env, &info);

    if (rc == 0) rc = mdb_env_stat(ix->env, &stat);
    if (rc == 0) rc = mdb_env_get_fd(ix->env, &fd);
    if (rc) return rc;
    if (fstat(fd, &st) < 0) return errno;
    return (uint64_t)st.st_size / stat.ms_psize > info.me_last_pgno ? 0 : MDB_CORRUPTED;
}

/* The writer hands these pages out again: descending, and within the file. */
static bool free_list_ok(const MDB_val *v, size_t last_page)
{
    size_t n, page, above = last_page + 1;

    if (v->mv_size < sizeof(n)) return false;
    memcpy(&n, v->mv_data, sizeof(n));
    if (n > v->mv_size / sizeof(page) - 1) return false;
    for (size_t i = 1; i <= n; i++) {
        memcpy(&page, (const uint8_t *)v->mv_data + i * sizeof(page), sizeof(page));
        if (page >= above || page < 2) return false;
        above = page;
    }
    return true;
}

static int check_free(struct index *ix)
{
    MDB_envinfo info;
    struct look l;
    int rc = mdb_env_info(ix->env, &info);

    if (rc == 0) rc = index_look_begin(ix, FREE_DBI, &l);
    if (rc) return rc;
    l.ordered = false; /* its keys are the machine's numbers */
    rc = index_look_get(&l, MDB_FIRST);
    while (rc == 0) rc = free_list_ok(&l.v, info.me_last_pgno) ? index_look_get(&l, MDB_NEXT) : MDB_CORRUPTED;
    index_look_end(&l);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* Backwards from behind the stream's last record. A record that cannot be read can be mended; what its key
 * hangs in could not. */
static int check_stream(struct look *l, const char *uid)
{
    char other[KEY_MAX];
    struct key k;
    int rc;

    if (!index_key(&k, uid, UINT64_MAX)) return MDB_CORRUPTED;
    l->k = k.v;
    rc = index_look_get(l, MDB_SET_RANGE);
    rc = index_look_get(l, rc == MDB_NOTFOUND ? MDB_LAST : MDB_PREV);
    for (int i = 0; rc == 0 && i < INDEX_NEWEST; i++) {
        if (!index_key_uid(&l->k, other, sizeof(other))) return MDB_CORRUPTED;
        if (strcmp(other, uid) != 0) break;
        rc = index_look_get(l, MDB_PREV);
    }
    return rc == MDB_NOTFOUND ? 0 : rc;
}

static int check_streams(struct index *ix, MDB_dbi table, usec_t until_us)
{
    char uid[KEY_MAX] = "";
    struct look l;
    struct key k;
    int rc = index_look_begin(ix, table, &l);

    if (rc) return rc;
    rc = index_look_get(&l, MDB_FIRST);
    while (rc == 0 && (until_us == 0 || clock_mono_us() < until_us)) {
        if (!index_key_uid(&l.k, uid, sizeof(uid))) rc = MDB_CORRUPTED;
        if (rc == 0) rc = check_stream(&l, uid);
        if (rc == 0 && !index_key(&k, uid, UINT64_MAX)) rc = MDB_CORRUPTED;
        if (rc == 0) rc = index_look_behind(&l, k.v.mv_data, k.v.mv_size);
    }
    index_look_end(&l);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

int index_check_newest(const char *dir, usec_t budget_us)
{
    usec_t until_us = budget_us ? clock_mono_us() + budget_us : 0;
    struct index *ix = NULL;
    uint32_t version;
    int err = index_open_flags(dir, MDB_NOLOCK, &ix, &version), rc;

    if (err || !ix) return err;
    rc = check_size(ix);
    if (rc == 0) rc = check_free(ix);
    if (rc == 0) rc = check_streams(ix, ix->ranges, until_us);
    if (rc == 0) rc = check_streams(ix, ix->segments, until_us);
    index_close(ix);
    return index_error(rc);
}

int index_check(const char *dir, uint64_t *ret_segments, uint64_t *ret_flaws)
{
    struct index_walk at = {0};
    struct index *ix = NULL;
    struct index_flaw f;
    uint32_t version;
    int err = index_open_flags(dir, 0, &ix, &version);

    *ret_segments = *ret_flaws = 0;
    if (err || !ix) return err;
    if (version < INDEX_VERSION) err = -ENOENT; /* the keeper has not opened it yet */
    while (!err) {
        err = index_walk(ix, &at, WALK_MOST, &f);
        if (err == INDEX_E_DAMAGED && f.uid[0]) {
            ++*ret_flaws;
            err = INDEX_OK;
        }
        if (at.table == INDEX_SEGMENTS && at.n == 0) break; /* round */
    }
    *ret_segments = at.segments;
    index_close(ix);
    return err ? err : *ret_flaws ? INDEX_E_FLAWED : INDEX_OK;
}
