/* Cameras that push by a token (PUSH_ASK, PUSH_MAY, PUSH_OVER): what a worker asks goes to httpd, which knows
 * tokens, and the answer back. The master keeps neither token nor answer. Tests: tests/e2e/test_push.py. */
#ifndef MASTER_PUSHES_H
#define MASTER_PUSHES_H

#include "common/ipc/pack.h"

struct master;
struct stream;

/* A worker's question; while there is no httpd it is told so. */
void pushes_ask(struct stream *s, const struct packed *body);
/* A worker's: one has gone. body NULL: with the worker itself. */
void pushes_over(struct stream *s, const struct packed *body);
/* httpd's answer. */
void pushes_said(struct master *m, const struct packed *body);
/* Another httpd is there: workers whose cameras push ask it again. */
void pushes_again(struct master *m);

#endif
