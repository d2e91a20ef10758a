/* Makes a system call fail, for good, in this process and those it starts (seccomp): what a broken disk says.
 */
#ifndef SUPPORT_FAIL_SYSCALL_H
#define SUPPORT_FAIL_SYSCALL_H

#include <stdbool.h>

/* nr: SYS_*; err: positive errno. false: this kernel does not let us. */
bool fail_syscall(long nr, int err);
/* openat with this flag alone, as on file systems that do not know it. */
bool fail_open_flag(int flag, int err);

#endif
