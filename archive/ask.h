/* What the keeper is asked by msctl through the master (KEEP_ASK), and its answers: rows in pages, then a
 * code and a text. A command is a row of ask_commands: `begin` runs on the keeper's loop, `step` in the
 * thread of each storage that answers, again and again, a few milliseconds at a time, until it says that it
 * is done. Commands, arguments and rows stand in common/ipc/ctl.h.
 *
 * A question ends with its last part; whoever does not answer, as a disk that hangs, is left out, and the
 * text says so. Tests: tests/unit/archive/test_ask.c. */
#ifndef ARCHIVE_ASK_H
#define ARCHIVE_ASK_H

#include "common/base/list.h"
#include "common/ipc/ctl.h"
#include "common/ipc/stamp.h"

#define ASK_ARGS_MAX 6
#define ASK_ARG_MAX  656
#define ASK_BY_MAX   65
#define ASK_TEXT_MAX 512
#define ASK_ROWS_MAX 20000 /* of one storage, and of one answer: more are left out, and the text says so */

struct keeper;
struct work;
struct ask_command;
struct answer;

/* A singular act of a cluster (docs/decisions/033). Nothing is done behind until_us (CLOCK_MONOTONIC; 0: at
 * any time), nor where a newer one was promised: CTL_CHANGED. */
struct ask_act {
    struct stamp stamp; /* term 0: this is none */
    uint64_t id;        /* a lock that it makes has this one too */
    usec_t at_us;       /* wall clock, where it was asked */
    usec_t until_us;
};
struct ask {
    uint64_t id;
    const struct ask_command *command;
    char by[ASK_BY_MAX];
    size_t n_args;
    char args[ASK_ARGS_MAX][ASK_ARG_MAX];
    struct ask_act act;
};
struct ask_command {
    const char *cmd;
    size_t args_min, args_max;
    int (*begin)(struct keeper *k, struct answer *a); /* CTL_OK: goes on with the steps; NULL: at once */
    bool (*step)(struct work *w, struct answer *a); /* true: there is more to do; NULL: no storage is asked */
    size_t state;                                   /* bytes of a->state, zeroed; freed with it */
    void (*done)(void *state);                      /* before that; NULL: there is nothing to do */
    bool unwritten; /* of a stream that is not configured any more: once nobody writes it */
};
extern const struct ask_command ask_commands[];
extern const size_t ask_commands_n;
const struct ask_command *ask_command(struct span cmd); /* NULL: no such */

/* An answer that is being given: of the loop, or of a storage. */
typedef void answer_page(void *arg, uint64_t id, uint32_t n, struct span rows);
struct answer {
    struct list link; /* of its owner's */
    struct ask ask;
    void *state;
    int code; /* CTL_* */
    char text[ASK_TEXT_MAX];
    size_t rows;
    uint32_t n; /* rows of the page that is being filled */
    struct buf page;
    struct packer packer;
    answer_page *send;
    void *arg;
};
void answer_init(struct answer *a, const struct ask *ask, answer_page *send, void *arg);
void answer_done(struct answer *a);
/* A map of so many pairs, which the caller packs: at most 6 KB. */
struct packer *answer_row(struct answer *a, uint32_t pairs);
void answer_flush(struct answer *a);
/* `begin` of commands that go by what is not configured: all of the configuration must have come. */
int keeper_ask_complete(struct keeper *k, struct answer *a);
void answer_fail(struct answer *a, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
