/* The cage: what a process gives up before it reads what it did not write. Layers, in this order: descriptors
 * above the contract are closed, limits of memory, processor time, files and processes, no_new_privs, and an
 * allow-list of system calls (seccomp; anything else ends the process with SIGSYS). Memory can be neither
 * mapped nor made executable. A role is a row of the tables in cage.c. Sources: seccomp(2), prctl(2),
 * reliability.md "What a worker may do". Tests: tests/unit/base/test_cage.c. */
#ifndef BASE_CAGE_H
#define BASE_CAGE_H

#include "common/base/types.h"

enum cage_role { CAGE_PICTURE, CAGE_LUA, CAGE_ROLES };

enum cage_layer {
    CAGE_FDS = 1,
    CAGE_LIMITS = 2,
    CAGE_PRIVS = 4,
    CAGE_CALLS = 8,
    CAGE_ALL = CAGE_FDS | CAGE_LIMITS | CAGE_PRIVS | CAGE_CALLS
};

/* For good. last_fd: the highest descriptor that stays open. The layers that could not be put up, bits of
 * enum cage_layer; 0: all stand. Built with a sanitizer, which makes calls of its own, CAGE_CALLS is missing
 * always. */
unsigned cage_enter(enum cage_role role, int last_fd);

#define CAGE_TEXT_MAX 64
/* "descriptors,limits,privileges,calls" of the layers given; "" of none. Returns dst. */
const char *cage_text(unsigned layers, char dst[CAGE_TEXT_MAX]);

#endif
