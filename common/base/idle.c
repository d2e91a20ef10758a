#include "common/base/idle.h"
#include "common/base/fd.h"

#include <fcntl.h>
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NICE_MOST 19

void idle_become(void)
{
    CLEANUP(fd_close) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    (void)setpriority(PRIO_PROCESS, 0, NICE_MOST); /* where the scheduler below is not there */
    (void)sched_setscheduler(0, SCHED_IDLE, &(struct sched_param){0});
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 0));
    if (fd >= 0) (void)fd_write_all(fd, SPAN_LIT("500"));
}
