/* What access tokens were made here, for who asks: by msctl and by the API, never the token itself. Kept in
 * state-dir until it ends; of those without an end, and of too many, the oldest go. Those that programs make,
 * by the thousand (the first generation's calls, exports), are counted apart: they push out no other. Tests:
 * tests/unit/master/test_minted.c, tests/e2e/test_tokens.py. */
#ifndef MASTER_MINTED_H
#define MASTER_MINTED_H

#include "common/ipc/pack.h"
#include "common/wire/token.h"

#define MINTED_MAX      2000
#define MINTED_MANY_MAX 1000 /* of those that programs make */
#define MINTED_NOTE_MAX 200
#define MINTED_BY_MAX   64
#define MINTED_ID       (2 * TOKEN_ID_N + 1)
#define MINTED_STREAMS  (TOKEN_STREAMS_MAX * (TOKEN_PATTERN_MAX + 1) + 1)

struct state_file;
struct minted_row {
    char id[MINTED_ID], by[MINTED_BY_MAX + 1], user[TOKEN_USER_MAX + 1];
    char *streams; /* patterns with commas; "": all */
    char *note;
    unsigned ops;
    int64_t made_s, until_s, from_s, to_s; /* 0: open */
    bool revoked;
    bool many; /* made by a program */
};
struct minted {
    struct state_file *file;
    bool stale;           /* the file, by what programs made: it is written once a second */
    struct minted_row *v; /* oldest first */
    size_t n;
};

/* 0 or -errno. What cannot be read is left out: it only tells. */
int minted_open(struct minted *m, int state_dir);
void minted_close(struct minted *m);
void minted_add(struct minted *m, const struct token *t, const char *by, const char *note);
/* A row as it is, but for its texts, which are copied; of one id, the last counts. */
void minted_put_many(struct minted *m, const struct minted_row *row);
/* NULL: there is none, or it was left out. */
const struct minted_row *minted_find(const struct minted *m, struct span id);
/* Those that it meets count no more. */
void minted_revoke(
    struct minted *m, bool (*meets)(const struct minted_row *row, const char *name), const char *name);
/* Once a second: those that have ended go, the file is written where it is stale. */
void minted_check(struct minted *m, int64_t now_s);
void minted_pack(struct packer *p, const struct minted_row *row);

#endif
