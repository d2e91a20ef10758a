/* What a process of ours uses, as the kernel counts it (proc(5), /proc/PID/stat). */
#ifndef MASTER_USAGE_H
#define MASTER_USAGE_H

#include <sys/types.h>

#include "common/base/clock.h"

struct usage {
    uint64_t rss;     /* bytes resident, shared ones too */
    usec_t cpu_us;    /* user and system, since its start */
    usec_t system_us; /* of that, in the kernel */
};
/* false: there is no such process. */
bool usage_read(pid_t pid, struct usage *ret);
/* Bytes of it that others may share: files and shared memory (/proc/PID/statm). 0: there is no such process.
 */
uint64_t usage_shared(pid_t pid);

#endif
