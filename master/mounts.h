/* Where a path is mounted, by the kernel's list alone (proc_pid_mountinfo(5)): the path itself is not
 * touched, since a disk that does not answer would hold up whoever looks. A link on the way is not followed.
 * Tests: tests/unit/master/test_mounts.c. */
#ifndef MASTER_MOUNTS_H
#define MASTER_MOUNTS_H

#include "common/base/span.h"

#define MOUNT_PATH_MAX 1024
#define MOUNT_FS_MAX   32

struct mount {
    char path[MOUNT_PATH_MAX], fs[MOUNT_FS_MAX];
};
/* /proc/self/mountinfo as it is now; empty: it cannot be read. mounts_free takes NULL too. */
struct mounts {
    uint8_t *text;
    size_t n;
};
struct mounts *mounts_read(void);
void mounts_free(void *mounts);
/* The innermost one that holds an absolute path; of two at one place the later. false: there is none. */
bool mounts_find(struct span mountinfo, struct span path, struct mount *ret);

#endif
