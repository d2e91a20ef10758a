/* Makes a system call fail, for good, in this process and those it starts (seccomp): what a broken disk says.
 */
#ifndef SUPPORT_FAIL_SYSCALL_H
#define SUPPORT_FAIL_SYSCALL_H

#include <stdbool.h>

/* nr: SYS_*; err: positive errno. false: this kernel does not let us. */
bool fail_syscall(long nr, int err);

#endif
