/* One question to the master, and its whole answer. */
#ifndef MSCTL_ASK_H
#define MSCTL_ASK_H

#include "scripts/msctl/show.h"

#define ASK_ARGS_MAX   40              /* as CONTROL_ARGS_MAX */
#define ASK_ARG_MAX    2048            /* bytes, with the NUL */
#define ASK_TIMEOUT_US (30 * US_PER_S) /* between two messages of the answer */
#define ASK_ROWS_MAX   200000

/* The code of CTL_END, or CTL_NO_SERVER. text: what CTL_END said, or what went wrong; "" often. */
int ask(const char *socket, const char *cmd, char *const *args, size_t n_args, struct show *ret_rows,
    char text[512]);

#endif
