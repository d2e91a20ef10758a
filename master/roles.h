/* As whom each child runs. As root: services and helpers by the names of the
 * configuration (fixed numbers where a name does not exist), workers each with a user and group of its own,
 * computed from the stream's uid (decision 003). Not as root: everything as the caller. */
#ifndef MASTER_ROLES_H
#define MASTER_ROLES_H

#include <sys/types.h>

#include "common/base/span.h"
#include "common/conf/conf.h"
#include "common/conf/paths.h"

#define ROLES_WORKER_BASE 0x60000000u
#define ROLES_WORKER_MASK 0x0fffffffu

struct identity {
    bool change; /* false: as we are */
    uid_t uid;
    gid_t gid;
    uint64_t caps; /* kept, as ambient capabilities: bits by number */
};
struct roles {
    bool root;
    gid_t group; /* of files that all share */
    struct identity keeper, httpd, connector, courier, picture, lua;
    bool one_worker_user; /* where users of their own are not possible: this one */
    struct identity worker;
};

/* Looks at the user database; logs what is not as configured. Where the programs, the pages or a storage lie
 * below a folder that is closed to other users (a checkout in /root), all run as the caller, and the log
 * names it. */
void roles_find(const struct conf *c, const struct paths *paths, struct roles *ret);
struct identity roles_worker(const struct roles *r, const char *uid);
/* Is this the user of a child of ours? Such a one may not command the master. */
bool roles_is_child(const struct roles *r, unsigned uid);

#endif
