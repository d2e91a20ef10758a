/* Exports by the API: footage that is locked for as long as somebody may fetch it, as the MP4 that httpd lays
 * out; nothing is copied. The keeper holds the lock, this table knows when it goes, over restarts. Tests:
 * tests/e2e/test_api3_exports.py. */
#ifndef MASTER_EXPORTS_H
#define MASTER_EXPORTS_H

#include "common/ipc/pack.h"
#include "master/state_file.h"

#define EXPORTS_MAX      200
#define EXPORT_NOTE_MAX  200
#define EXPORT_ID_MAX    24
#define EXPORT_KEEP_MOST ((int64_t)7 * 86400) /* seconds */

struct master;
struct export_row {
    char id[EXPORT_ID_MAX]; /* of its lock */
    char uid[40], by[64], note[EXPORT_NOTE_MAX + 1];
    int64_t from_s, to_s, made_s, until_s; /* unix seconds; until_s 0: it is to go */
    uint64_t ask; /* the keeper's question, or the act, that takes the lock away; 0: none */
    bool acted;   /* the other nodes have let go of it */
};
struct exports {
    struct state_file *file;
    struct export_row v[EXPORTS_MAX];
    size_t n;
};

/* 0 or -errno. */
int exports_open(struct exports *x, int state_dir);
void exports_close(struct exports *x);
bool exports_add(struct master *m, const struct export_row *row);   /* false: there are too many */
struct export_row *exports_find(struct exports *x, struct span id); /* one that is to stay; NULL */
void exports_end(struct master *m, struct export_row *row);
/* Once a second: what has ended is unlocked. */
void exports_check(struct master *m);
/* KEEP_END of a question that no session has asked. */
void exports_unlocked(struct master *m, uint64_t ask, int code);
/* The answer to singular_unlock. */
void exports_acted(struct master *m, uint64_t ask, int code);
void exports_pack(struct packer *p, const struct export_row *row);

#endif
