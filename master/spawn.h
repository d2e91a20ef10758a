/* Gives birth: fork, then exec, with the contract of common/ipc/child.h. The mechanism only; who and when is
 * decided elsewhere. The memory of the master is shared until exec (vfork), so that a birth costs the same
 * whatever the master's size is; the master waits for it, about a millisecond. */
#ifndef MASTER_SPAWN_H
#define MASTER_SPAWN_H

#include "master/roles.h"

struct spawn {
    const char *program; /* absolute path */
    const char *name;    /* argv[0] */
    const char *arg;     /* argv[1], or NULL */
    struct identity as;
    uint32_t generation;
    uint64_t settings_hash; /* of its stream's settings; 0: a service */
    int log_fd;
    uint64_t fd_limit; /* soft and hard; 0: the master's */
};

/* Once, before the first spawn. */
void spawn_setup(const char *time_zone);
/* 0 or -errno. The control socket is the caller's. */
int spawn_child(const struct spawn *s, int *ret_pid, int *ret_control_fd);

#endif
