/* Is the audit log as it was written? Needs no server. Tests: tests/e2e/test_signin.py. */
#ifndef MSCTL_AUDIT_H
#define MSCTL_AUDIT_H

#include "scripts/msctl/local.h"

/* [FILE...], the oldest first; without one audit.log of this installation's state, and what was set aside of
 * it. CTL_FAILED: a line is not as it was written. */
int local_audit_verify(const struct local *l);

#endif
