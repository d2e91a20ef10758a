/* Where this installation keeps its files, found from /proc/self/exe, so that a checkout and an installed
 * tree both run without being told.
 *
 * - In a checkout (build/bin/X, build/VARIANT/bin/X): programs in the same folder; lua and cpanel are the
 *   checkout's; state in its folder var.
 * - Installed (PREFIX/sbin/X, PREFIX/bin/X, PREFIX/libexec/media-server/X): programs in
 *   PREFIX/libexec/media-server; lua and cpanel in PREFIX/share/media-server; state in /var/lib/media-server.
 *
 * Tests: tests/unit/conf/test_paths.c. */
#ifndef CONF_PATHS_H
#define CONF_PATHS_H

#include "common/base/span.h"

#define PATHS_MAX 4096

struct paths {
    bool checkout;
    char programs[PATHS_MAX]; /* folder of ms-worker and the others */
    char lua[PATHS_MAX];
    char cpanel[PATHS_MAX];
    char state[PATHS_MAX];   /* default of state-dir */
    char control[PATHS_MAX]; /* default of control-socket, and of msctl -s */
};

/* Of the running program. 0 or -errno. */
int paths_find(struct paths *ret);
/* The same for a program at exe (absolute, without links); looks at the file system, not at /proc. 0,
 * -ENAMETOOLONG. */
int paths_of(const char *exe, struct paths *ret);
/* "ms-worker" as a whole path. false: too long. */
bool paths_program(const struct paths *p, const char *name, char dst[PATHS_MAX]);

#endif
