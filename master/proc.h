/* The life of one child, whatever its role: born, shakes hands, runs, stops or dies, waits, is born again.
 * One state machine, one table of legal moves, one timer a state.
 *
 *   off -> queued -> starting -> running -> stopping -> dead -> off
 *            ^                                           |
 *            +------------ waiting / held <--------------+
 */
#ifndef MASTER_PROC_H
#define MASTER_PROC_H

#include "common/ipc/channel.h"
#include "master/births.h"
#include "master/spawn.h"
#include "master/throttle.h"

#define PROC_HELLO_US                                                                                        \
    (5 * US_PER_S)                    /* from birth to the handshake: one that hangs is replaced within 7 s  \
                                       */
#define PROC_STOP_US   (3 * US_PER_S) /* from STOP to SIGKILL */
#define PROC_SOCKET_US (100 * US_PER_MS)  /* from death to the end of its socket */
#define PROC_SILENT_US (4500 * US_PER_MS) /* without a heartbeat: hangs */

enum proc_state {
    PROC_OFF,      /* not wanted */
    PROC_QUEUED,   /* waits for its birth */
    PROC_STARTING, /* born, no handshake yet */
    PROC_RUNNING,
    PROC_STOPPING, /* told to stop, or its socket has closed */
    PROC_DEAD,     /* reaped; what it said last may still be read */
    PROC_WAITING,  /* for its time to be born again */
    PROC_HELD      /* until its configuration changes */
};

struct proc;
struct proc_death {
    enum death how;
    int status;               /* of waitpid */
    int err;                  /* -errno: it could not be born at all */
    usec_t lived_us, wait_us; /* wait_us: to the next birth, or THROTTLE_CONFIG */
    bool wanted, quarantined;
    bool asked; /* it was told to stop, or to come again, and ended in order */
};
struct proc_ops {
    void (*prepare)(struct proc *p, struct spawn *s); /* program, name, arg, as, log_fd */
    void (*on_hello)(struct proc *p);                 /* it runs: answer with WELCOME and the rest */
    int (*on_message)(struct proc *p, struct incoming *in);
    bool (*worked)(struct proc *p);    /* since its start, enough to be born again at once? */
    usec_t (*beat_us)(struct proc *p); /* monotonic time of its last sign of life */
    void (*on_death)(struct proc *p, const struct proc_death *d);
    void (*on_off)(struct proc *p); /* it is off now, and may be freed */
};

struct proc {
    const struct proc_ops *ops;
    void *arg;
    struct births *births;
    enum role role;
    char id[40]; /* the stream's uid, or the service's name */
    enum proc_state state;
    struct throttle throttle;
    struct bucket *turns; /* a service: born again by these turns, not by the throttle; NULL: a worker */
    struct loop_timer timer;
    struct list link; /* in the queue of births */
    struct channel *ch;
    int pid;
    uint32_t gen;
    uint64_t settings_hash; /* that it was born for */
    int status;
    bool wanted, again /* restart without delay */, hung;
    unsigned restarts; /* deaths since the master's start */
    usec_t born_us;
};

void proc_init(
    struct proc *p, struct births *b, enum role role, const char *id, const struct proc_ops *ops, void *arg);
void proc_done(struct proc *p); /* must be off */
void proc_start(struct proc *p);
void proc_stop(struct proc *p);
/* Stops it, and starts it at once whatever had delayed it. */
void proc_restart(struct proc *p);
void proc_kill(struct proc *p);
/* Heartbeat: kills one that hangs. Called once a second. */
void proc_check(struct proc *p, usec_t now_us);
static inline bool proc_runs(const struct proc *p)
{
    return p->state == PROC_RUNNING && p->ch != NULL;
}

/* For births.c. */
void proc_bear(struct proc *p);
void proc_died(struct proc *p, int status);

#endif
