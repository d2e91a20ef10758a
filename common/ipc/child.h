/* The contract between the master and a child that it starts (fork, then exec).
 *
 *   0       /dev/null
 *   1, 2    the log (one line, one write)
 *   3       control socket: HELLO from the child first, then WELCOME; everything else, descriptors too, comes
 * by it others  closed
 *
 * Arguments: argv[0] "ms-worker", argv[1] the stream's uid (worker only, for ps). Environment: MS_GENERATION,
 * MS_SETTINGS (hash of the settings it is started for, 16 hex digits; HELLO says both), PATH, TZ,
 * LANG=C.UTF-8, nothing else. User and group are dropped before exec, no_new_privs is set, it leads
 * a session of its own, signals are default and unblocked, SIGPIPE ignored, core files off. A child whose
 * control socket closes flushes, closes what it has open and exits within 2 s with CHILD_EXIT_ORPHAN. A
 * helper of httpd (master/helpers.h) has its socket to httpd as 3 instead. */
#ifndef IPC_CHILD_H
#define IPC_CHILD_H

#include "common/ipc/channel.h"

#define CHILD_CONTROL_FD 3
#define CHILD_FLUSH_US   (2 * US_PER_S)

enum { CHILD_EXIT_OK = 0, CHILD_EXIT_CONFIG = 78, CHILD_EXIT_ORPHAN = 75, CHILD_EXIT_PROTO = 76 };

struct child;
struct child_ops {
    void (*on_welcome)(struct child *c, const struct packed *body); /* may be NULL */
    int (*on_message)(struct child *c, struct incoming *in);
    void (*on_stop)(struct child *c, bool orphaned); /* flush, then child_exit within CHILD_FLUSH_US */
};
struct child_setup {
    enum role role;
    const char *process; /* for the log */
    const char *uid;     /* a worker's stream; else NULL */
    bool beat;           /* a BEAT a second */
    const struct child_ops *ops;
    void *arg;
};
/* Sets up logging to stderr, the control channel, HELLO, SIGTERM and SIGINT (as STOP), the flush deadline and
 * the beat. NULL: not started by a master (said on stderr). */
struct child *child_start(struct loop *l, const struct child_setup *setup);
void *child_arg(const struct child *c);
struct channel *child_control(struct child *c);
_Noreturn void child_exit(struct child *c, int code);

#endif
