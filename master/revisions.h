/* What was changed by call, kept so that it can be undone: a file for each revision in state-dir/revisions,
 * the newest REVISIONS_MAX of them. It holds the streams' files as they were and as they became, passwords
 * too: only the master's user reads it. Each is synced before the change is answered, as the files themselves
 * are. Tests: tests/unit/master/test_revisions.c, tests/e2e/test_api3.py, fuzz: tests/fuzz/fuzz_revision.c.
 */
#ifndef MASTER_REVISIONS_H
#define MASTER_REVISIONS_H

#include "common/base/span.h"
#include "common/ipc/pack.h"

#define REVISIONS_MAX       200
#define REVISIONS_BYTES_MAX (64u << 20) /* of all files */
#define REVISION_BYTES_MAX  (8u << 20)  /* of one; a larger change is made, and cannot be undone */
#define REVISION_TEXT_MAX   200
#define REVISION_BY_MAX     64

struct revision_change {
    const char *uid, *file;
    struct span before, after; /* the whole file; p NULL: there was none, there is none */
};
/* What lists show. */
struct revision {
    uint64_t id;
    usec_t at_us; /* wall clock */
    size_t changes, bytes;
    char *uids; /* of the changes, with commas between them */
    char by[REVISION_BY_MAX], text[REVISION_TEXT_MAX];
};
struct revisions {
    int dir;                          /* -1: nothing is kept */
    struct revision v[REVISIONS_MAX]; /* oldest first */
    size_t n;
    uint64_t last;
};

/* 0 or -errno: then nothing is kept. Files that are no revisions are left alone. */
int revisions_open(struct revisions *r, int state_dir);
void revisions_close(struct revisions *r);
/* Its number; 0: it could not be kept (which is logged). */
uint64_t revisions_add(
    struct revisions *r, const char *by, const char *text, const struct revision_change *changes, size_t n);

/* One as it was kept; its texts live as long as it does. */
struct revision_file {
    struct buf bytes;
    struct unpack *u;
    struct revision_change *changes;
    char *names; /* of uids and files */
    size_t n;
};
/* 0, -ENOENT, -EBADMSG. */
int revisions_read(const struct revisions *r, uint64_t id, struct revision_file *ret);
/* Of the bytes of a file, which it takes (buf_done). 0, -EBADMSG: *ret is empty, the bytes are gone. */
int revision_file_read(struct buf *bytes, struct revision_file *ret);
void revision_file_done(struct revision_file *f);

#endif
