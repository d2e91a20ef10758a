/* What the master alone knows, as lines for /metrics: its processes, the streams by state, the storages.
 * httpd gets them every METRICS_EVERY_S and joins them with its own (httpd/metrics.h). Tests:
 * tests/e2e/test_metrics.py. */
#ifndef MASTER_METRICS_H
#define MASTER_METRICS_H

#include "common/base/clock.h"

struct master;

#define METRICS_EVERY_S 5

/* Once a second. What workers use is looked at in turns, METRICS_WORKERS of them each time, so that thousands
 * cost no more than a few. */
#define METRICS_WORKERS 100
void metrics_tick(struct master *m);

#endif
