/* The first root account: while there is no account at all, the log shows a secret, once, by which the panel
 * makes one (docs/reference/sign-in.md). It is good for SETUP_US, for one account, and not for guessing; a
 * start or a reload without an account makes another. Tests: tests/e2e/test_setup.py. */
#ifndef MASTER_SETUP_H
#define MASTER_SETUP_H

#include "common/base/clock.h"

#define SETUP_US        (3600 * US_PER_S)
#define SETUP_WRONG_MAX 10
#define SETUP_TEXT      24 /* "ABCDE-FGHJK-LMNPQ-RSTUV" and a NUL */

struct master;
struct setup {
    char secret[SETUP_TEXT]; /* "": none */
    usec_t until_us;         /* monotonic */
    unsigned wrong;
};
/* With another configuration, and at the start. */
void setup_offer(struct master *m);

#endif
