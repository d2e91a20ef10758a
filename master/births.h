/* Who is born next, and who has died. Births queue up: a few at a time shake hands, so that a first start of
 * thousands is bounded by the processors, and after deaths at most BIRTHS_DEATHS_RATE a second, so that a
 * herd does not take the machine. Nothing here is proportional to the number of children but the first start
 * itself. */
#ifndef MASTER_BIRTHS_H
#define MASTER_BIRTHS_H

#include "common/base/bucket.h"
#include "common/base/list.h"
#include "common/base/map.h"
#include "common/net/loop.h"

#define BIRTHS_AT_ONCE      32 /* without a handshake yet */
#define BIRTHS_TURN         4  /* in one turn of the loop */
#define BIRTHS_DEATHS_RATE  50 /* a second */
#define BIRTHS_DEATHS_BURST 25

struct proc;
struct births {
    struct loop *loop;
    struct list queue;
    struct loop_timer more;
    struct loop_signal chld;
    struct bucket deaths;
    struct map by_pid;
    /* Of processes that are nobody's struct proc; may be NULL. */
    void (*other_died)(void *arg, int pid, int status);
    void *other_arg;
    unsigned starting;
    uint32_t generation; /* of the last birth */
};

void births_init(struct births *b, struct loop *l);
void births_done(struct births *b);
/* Queues p, in front when it replaces one that died. */
void births_want(struct births *b, struct proc *p, bool first);
void births_cancel(struct births *b, struct proc *p);
/* p has a process now, or has none any more. */
void births_born(struct births *b, struct proc *p, int pid);
void births_shook_hands(struct births *b);
/* How long a birth after a death has to wait for its turn. */
usec_t births_after_death(struct births *b);

#endif
