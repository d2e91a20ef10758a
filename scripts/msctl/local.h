/* Commands that msctl does itself, as they read a storage for long: at idle priority, beside a server that
 * goes on recording, which is only asked where the storages lie and told what to mend. Progress goes to
 * standard error: a bar on a terminal, else a line every ten seconds. Tests: tests/e2e/test_check.py. */
#ifndef MSCTL_LOCAL_H
#define MSCTL_LOCAL_H

#include <stdbool.h>
#include <stdio.h>

struct local {
    const char *socket;
    const char *storage;      /* its name; NULL: all */
    const char *path, *index; /* without a server: the storage's folder, and its index's (NULL: within) */
    bool json, sum, verify;
    FILE *out, *err;
};

/* CTL_*: CTL_FAILED also when something was found. */
int local_check(const struct local *l);
int local_rebuild(const struct local *l);

#endif
