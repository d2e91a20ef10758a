/* Questions to the master, in the words of msctl (common/ipc/ctl.h): each over a socket of its own that the
 * master is handed (CTL_OPEN). Only the commands that the master's tables allow the API. On the main loop.
 * Tests: tests/unit/httpd/test_master_ask.c,
 * tests/e2e/test_api.py. */
#ifndef HTTPD_MASTER_ASK_H
#define HTTPD_MASTER_ASK_H

#include "common/ipc/ctl.h"
#include "common/ipc/pack.h"
#include "common/net/loop.h"

#define MASTER_ASKS_MAX 12              /* at a time; more are refused */
#define MASTER_ASK_US   (20 * US_PER_S) /* from asking to the last row */
#define MASTER_ROWS_MAX (8u << 20)      /* bytes of all rows */
#define MASTER_ARGS_MAX 40
#define MASTER_BODY_MAX (1u << 20)

struct master_answer {
    int code; /* of ctl.h */
    char text[512];
    /* Its rows: messages of at most CTL_ROWS_MAX, each one msgpack array of maps. The receiver may take the
     * buffer. */
    struct buf rows;
    size_t *ends; /* of each page in rows */
    size_t n_pages;
};
void master_answer_done(struct master_answer *a);

struct master_asks;
/* open: the master's end of a new socket, which open closes. */
struct master_asks *master_asks_new(struct loop *l, void (*open)(void *arg, int fd), void *arg);
void master_asks_free(struct master_asks *x);
struct caller;
struct master_question {
    struct span cmd;
    const struct packed *args; /* array of texts */
    const struct packed *body; /* NULL: none; goes before it as CTL_BODY */
    /* For whom: the master writes him down, rows of streams that he does not see are left out, and a command
     * about such a stream is refused. NULL: nobody. */
    const struct caller *caller;
    bool apart; /* it is about no stream */
};
/* done is called once. false: too many are under way, or a word or the body is too long, or the caller may
 * not; done is not called. */
bool master_ask(struct master_asks *x, const struct master_question *q,
    void (*done)(void *arg, struct master_answer *a), void *arg);

#endif
