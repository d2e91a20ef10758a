/* The process that looks at an index that may be damaged: whatever it meets there, only it dies of it. It is
 * this program again, with two arguments of main.c. Tests: tests/unit/archive/test_keeper.c. */
#ifndef ARCHIVE_CHECKER_H
#define ARCHIVE_CHECKER_H

#include <sys/types.h>

#include "common/base/clock.h"

enum checker_task {
    CHECKER_NEWEST, /* what was written last, before the index is opened */
    CHECKER_ALL     /* everything, while it is in use; at idle priority */
};
enum checker_verdict {
    CHECKER_GOOD,
    CHECKER_FLAWED,  /* records that can be mended */
    CHECKER_DAMAGED, /* nothing helps */
    CHECKER_FAILED,  /* could not be made: says nothing */
    CHECKER_LATE     /* not at its end in time, and killed */
};

struct checker {
    enum checker_task task;
    pid_t pid; /* 0: none runs */
    int fd;    /* pidfd */
    usec_t deadline_us;
};

void checker_init(struct checker *c);
/* 0 or -errno. */
int checker_start(struct checker *c, enum checker_task task, const char *dir, usec_t limit_us);
/* false: none runs, or it still does. */
bool checker_ended(struct checker *c, usec_t now_us, enum checker_verdict *ret);
void checker_stop(struct checker *c);
/* In that process: the exit code, or -1: these are not its arguments. */
int checker_main(int argc, char **argv);

#endif
