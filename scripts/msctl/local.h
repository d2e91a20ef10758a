/* Commands that take long. Those that read a storage msctl does itself: at idle priority, beside a server
 * that goes on recording, which is only asked where the storages lie and told what to mend. Progress goes to
 * standard error: a bar on a terminal, else a line every ten seconds. Tests: tests/e2e/test_check.py. */
#ifndef MSCTL_LOCAL_H
#define MSCTL_LOCAL_H

#include "scripts/msctl/show.h"

struct local {
    const char *socket;
    char *const *args; /* behind the command's words */
    size_t n_args;
    const char *path, *index; /* without a server: the storage's folder, and its index's (NULL: within) */
    const char *out_path, *key, *config;
    bool json, sum, verify, force, yes, keep_gaps;
    struct show *rows; /* of a command that answers as the server does, */
    char *text;        /* 512 bytes: what it said, or what went wrong */
    FILE *out, *err;
};

/* [STORAGE]. CTL_*: CTL_FAILED also when something was found. */
int local_check(const struct local *l);
int local_rebuild(const struct local *l);
/* [UID]: asks, and shows how far it is (vacuum.c). */
int local_vacuum(const struct local *l);

#endif
