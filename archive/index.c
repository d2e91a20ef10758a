#include "archive/index_impl.h"
#include "common/base/crc.h"
#include "common/base/err.h"
#include "common/base/fd.h"
#include "common/base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define VERSION_PLAIN 1     /* segments and ranges only: upgraded where it lies */
#define LOCK_BYTES    65536 /* holds more readers than INDEX_READERS_MAX: 64 bytes each, and a header */
#define TABLES_MAX    8
#define FILE_MODE     0640
#define LOCK_MODE     0660

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

static int env_make(const char *dir, struct index **ret)
{
    struct index *ix = NEW(struct index);
    int rc = mdb_env_create(&ix->env);

    if (rc == 0) rc = mdb_env_set_maxdbs(ix->env, TABLES_MAX);
    if (rc == 0) rc = mdb_env_set_mapsize(ix->env, INDEX_MAP_BYTES);
    if (rc == 0) rc = mdb_env_set_maxreaders(ix->env, INDEX_READERS_MAX);
    if (rc == 0 &&
        snprintf(ix->crash_mark, sizeof(ix->crash_mark), "%s/" INDEX_CRASHED, dir) >=
            (int)sizeof(ix->crash_mark))
        rc = ENAMETOOLONG;
    if (rc) {
        index_close(ix);
        return index_error(rc);
    }
    index_guard_assertions(ix);
    *ret = ix;
    return INDEX_OK;
}

static int env_open(struct index *ix, const char *dir, unsigned flags)
{
    return mdb_env_open(ix->env, dir, MDB_NOTLS | flags, FILE_MODE);
}

/* --- tables and versions --- */

static const struct table {
    const char *name;
    size_t at;      /* of its handle in struct index */
    uint32_t since; /* version */
} tables[] = {
    {"segments", offsetof(struct index, segments), 1},
    {"ranges", offsetof(struct index, ranges), 1},
    {"meta", offsetof(struct index, meta), 1},
    {"totals", offsetof(struct index, totals), 2},
    {"trash", offsetof(struct index, trash), 2},
    {"locks", offsetof(struct index, locks), 2},
    {"events", offsetof(struct index, events), 2},
};

static int table_open(struct index *ix, MDB_txn *txn, const struct table *t, unsigned flags)
{
    MDB_dbi dbi;
    int rc = mdb_dbi_open(txn, t->name, flags, &dbi);

    if (rc == 0) memcpy((uint8_t *)ix + t->at, &dbi, sizeof(dbi));
    return rc;
}

/* All that an index of that version has. */
static int tables_open(struct index *ix, MDB_txn *txn, unsigned flags, uint32_t from, uint32_t version)
{
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < ARRAY_N(tables); i++)
        if (tables[i].since > from && tables[i].since <= version) rc = table_open(ix, txn, &tables[i], flags);
    return rc;
}

static int version_get(struct index *ix, MDB_txn *txn, uint32_t *ret)
{
    MDB_val k = {.mv_size = 7, .mv_data = (char[]){"version"}}, v;
    struct rd r;
    int rc = mdb_get(txn, ix->meta, &k, &v);

    if (rc) return rc == MDB_NOTFOUND ? rc : MDB_CORRUPTED;
    r = rd_of(span(v.mv_data, v.mv_size));
    *ret = rd_u32(&r);
    if (rd_u32(&r) != crc32c(0, span(v.mv_data, 4)) || !rd_ok(&r)) return MDB_CORRUPTED;
    return *ret >= VERSION_PLAIN && *ret <= INDEX_VERSION ? 0 : MDB_VERSION_MISMATCH;
}

static int version_put(struct index *ix, MDB_txn *txn)
{
    MDB_val k = {.mv_size = 7, .mv_data = (char[]){"version"}}, v;
    uint8_t mem[8];
    struct wr w = wr_of(mem, sizeof(mem));

    wr_u32(&w, INDEX_VERSION);
    wr_u32(&w, crc32c(0, wr_span(&w)));
    v = (MDB_val){.mv_size = w.n, .mv_data = mem};
    return mdb_put(txn, ix->meta, &k, &v, 0);
}

/* Makes every stream's total, in the order of the uids. */
static int count_all(struct index *ix, MDB_txn *txn)
{
    char uid[KEY_MAX];
    struct look l = {.txn = txn};
    struct key k;
    int rc = mdb_cursor_open(txn, ix->segments, &l.c);

    if (rc) return rc;
    rc = index_look_get(&l, MDB_FIRST);
    while (rc == 0) {
        if (!index_key_uid(&l.k, uid, sizeof(uid))) {
            rc = MDB_CORRUPTED;
            break;
        }
        rc = index_remake(ix, txn, uid);
        if (rc == 0 && !index_key(&k, uid, UINT64_MAX)) rc = MDB_CORRUPTED;
        if (rc == 0) rc = index_look_behind(&l, k.v.mv_data, k.v.mv_size);
    }
    mdb_cursor_close(l.c);
    return rc == MDB_NOTFOUND ? 0 : rc;
}

/* In the transaction that opens it: another program's crash leaves either version whole. */
static int upgrade(struct index *ix, MDB_txn *txn)
{
    uint32_t version = 0;
    int rc = tables_open(ix, txn, MDB_CREATE, 0, VERSION_PLAIN);

    if (rc == 0) rc = version_get(ix, txn, &version);
    if (rc && rc != MDB_NOTFOUND) return rc;
    rc = tables_open(ix, txn, MDB_CREATE, VERSION_PLAIN, INDEX_VERSION);
    if (rc || version == INDEX_VERSION) return rc;
    if (version > 0) rc = count_all(ix, txn);
    return rc ? rc : version_put(ix, txn);
}

static int open_writer(struct index *ix, const char *dir)
{
    INDEX_GUARD_WRITES(ix);
    MDB_txn *txn;
    int rc = env_open(ix, dir, 0);

    if (rc == 0) rc = mdb_txn_begin(ix->env, NULL, 0, &txn);
    return rc ? index_error(rc) : index_txn_end(txn, upgrade(ix, txn));
}

int index_open(const char *dir, struct index **ret)
{
    struct index *ix = NULL;
    int err = make_lock(dir);

    if (!err) err = env_make(dir, &ix);
    if (err || !ix) return err;
    err = open_writer(ix, dir);
    if (err) {
        index_close(ix);
        return err == INDEX_E_NONE ? INDEX_E_DAMAGED : err;
    }
    *ret = ix;
    return INDEX_OK;
}

static int open_reader(struct index *ix, const char *dir, unsigned flags, uint32_t *ret_version)
{
    INDEX_GUARD_READS(ix);
    MDB_txn *txn;
    int rc = env_open(ix, dir, MDB_RDONLY | flags);

    if (rc == 0) rc = mdb_txn_begin(ix->env, NULL, MDB_RDONLY, &txn);
    if (rc) return index_error(rc);
    rc = tables_open(ix, txn, 0, 0, VERSION_PLAIN);
    if (rc == 0) rc = version_get(ix, txn, ret_version);
    if (rc == 0) rc = tables_open(ix, txn, 0, VERSION_PLAIN, *ret_version);
    /* committed, so that the handles of the tables stay */
    return index_txn_end(txn, rc);
}

int index_open_flags(const char *dir, unsigned flags, struct index **ret, uint32_t *ret_version)
{
    struct index *ix = NULL;
    int err = env_make(dir, &ix);

    if (err || !ix) return err;
    err = open_reader(ix, dir, flags, ret_version);
    if (err) {
        index_close(ix);
        return err == INDEX_E_NONE ? -ENOENT : err;
    }
    *ret = ix;
    return INDEX_OK;
}

int index_open_ro(const char *dir, struct index **ret)
{
    uint32_t version = 0;
    int err = index_open_flags(dir, MDB_NORDAHEAD, ret, &version);

    if (err || version == INDEX_VERSION) return err;
    index_close(*ret); /* the keeper has not opened it yet */
    *ret = NULL;
    return -ENOENT;
}

void index_close(struct index *ix)
{
    if (!ix) return;
    mdb_env_close(ix->env);
    mem_free(ix);
}

bool index_in_place(const struct index *ix, const char *dir)
{
    char path[4200];
    struct stat is, st;
    int fd;

    snprintf(path, sizeof(path), "%s/data.mdb", dir);
    if (mdb_env_get_fd(ix->env, &fd) != 0 || fstat(fd, &is) < 0) return true;
    if (stat(path, &st) < 0) return errno != ENOENT && errno != ENOTDIR; /* a disk that fails says nothing */
    return is.st_dev == st.st_dev && is.st_ino == st.st_ino;
}

int index_clear_dead(struct index *ix, int *ret_n)
{
    return index_error(mdb_reader_check(ix->env, ret_n));
}
