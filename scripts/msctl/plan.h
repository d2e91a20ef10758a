/* archive plan --config FILE: what would be deleted with another configuration, before it is loaded. msctl
 * loads it, and goes through the storages' indexes as the keeper would. Tests: tests/e2e/test_keeping.py. */
#ifndef MSCTL_PLAN_H
#define MSCTL_PLAN_H

#include "scripts/msctl/local.h"

/* [STORAGE|UID]; rows as the server's. CTL_*. */
int local_plan(const struct local *l);

#endif
