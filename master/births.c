#include "master/births.h"
#include "common/base/mem.h"
#include "master/proc.h"

#include <errno.h>
#include <sys/wait.h>

#define PID_TEXT 16

static struct span pid_key(int pid, char text[PID_TEXT])
{
    snprintf(text, PID_TEXT, "%d", pid);
    return span_of(text);
}

static void pump(struct births *b)
{
    for (int i = 0; i < BIRTHS_TURN && b->starting < BIRTHS_AT_ONCE && !list_empty(&b->queue); i++) {
        struct proc *p = LIST_ITEM(b->queue.next, struct proc, link);

        list_remove(&p->link);
        proc_bear(p);
    }
}

static void pump_again(struct loop_timer *t)
{
    struct births *b = t->arg;

    pump(b);
    if (!list_empty(&b->queue) && b->starting < BIRTHS_AT_ONCE)
        loop_timer_set(b->loop, &b->more, 0, pump_again, b);
}

void births_want(struct births *b, struct proc *p, bool first)
{
    list_push(first ? b->queue.next : &b->queue, &p->link);
    if (first && b->starting < BIRTHS_AT_ONCE) {
        list_remove(&p->link);
        proc_bear(p);
        return;
    }
    if (!loop_timer_armed(&b->more)) loop_timer_set(b->loop, &b->more, 0, pump_again, b);
}

void births_cancel(struct births *b, struct proc *p)
{
    (void)b;
    list_remove(&p->link);
}

void births_born(struct births *b, struct proc *p, int pid)
{
    char key[PID_TEXT];

    map_set(&b->by_pid, pid_key(pid, key), p);
    b->starting++;
}

void births_shook_hands(struct births *b)
{
    b->starting--;
    if (!list_empty(&b->queue) && !loop_timer_armed(&b->more))
        loop_timer_set(b->loop, &b->more, 0, pump_again, b);
}

usec_t births_after_death(struct births *b)
{
    return bucket_take(&b->deaths, loop_now_us(b->loop));
}

/* waitpid names who died: nothing is searched. */
static void reap(struct loop_signal *s, int signo)
{
    struct births *b = s->arg;
    char key[PID_TEXT];
    int status, pid;

    (void)signo;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        struct proc *p = map_remove(&b->by_pid, pid_key(pid, key));

        if (p)
            proc_died(p, status);
        else if (b->other_died)
            b->other_died(b->other_arg, pid, status);
    }
}

void births_init(struct births *b, struct loop *l)
{
    *b = (struct births){.loop = l, .deaths = bucket_of(US_PER_S / BIRTHS_DEATHS_RATE, BIRTHS_DEATHS_BURST)};
    list_init(&b->queue);
    loop_signal_start(l, &b->chld, SIGCHLD, reap, b);
}

void births_done(struct births *b)
{
    loop_timer_stop(&b->more);
    loop_signal_stop(&b->chld);
    map_done(&b->by_pid);
}
