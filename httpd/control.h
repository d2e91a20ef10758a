/* What the master says to httpd, and what httpd tells it: one row a message. Tests: tests/e2e/test_http*.py.
 */
#ifndef HTTPD_CONTROL_H
#define HTTPD_CONTROL_H

#include "common/ipc/child.h"

/* false: not started by a master. */
bool control_start(struct loop *loop);

#endif
