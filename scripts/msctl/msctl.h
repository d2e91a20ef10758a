/* msctl: asks a running server over its control socket (common/ipc/ctl.h says what) and prints the answer, as
 * an aligned table for people or as JSON for scripts. Exit codes: CTL_* of ctl.h. Tests: tests/unit/msctl. */
#ifndef MSCTL_MSCTL_H
#define MSCTL_MSCTL_H

#include <stdio.h>

/* The whole program; argv[0] is its name. Returns the exit code. */
int msctl_run(int argc, char *const *argv, FILE *out, FILE *err);

#endif
