/* The hash of a password, as media-server.ini keeps it. Needs no server. Tests: tests/e2e/test_signin.py. */
#ifndef MSCTL_PASSWORD_H
#define MSCTL_PASSWORD_H

#include "scripts/msctl/local.h"

/* Reads a line from standard input, without showing it where that is a terminal. CTL_*. */
int local_password(const struct local *l);

#endif
