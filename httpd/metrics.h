/* Watching the watcher: /metrics for Prometheus, /healthz, /readyz. Every hub writes the lines of the streams
 * that are at home there; the one that was asked joins them, family by family, and adds what the master said
 * last of processes and storages. Labels are bounded: streams, storages and words of ours. Tests:
 * tests/e2e/test_metrics.py. */
#ifndef HTTPD_METRICS_H
#define HTTPD_METRICS_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/base/span.h"

#define METRICS_MASTER_MAX 65536      /* bytes of the master's part */
#define METRICS_PART_MAX   (8u << 20) /* of one family of one hub */

struct hub;

/* The master's word, for every hub. */
struct metrics_master {
    pthread_mutex_t lock; /* of what stands below */
    char *text;           /* whole lines of the format; NULL: nothing said yet */
    size_t n;
    _Atomic bool ready; /* all that there is was said: CONF_DONE */
};

void metrics_master_init(struct metrics_master *m);
void metrics_master_done(struct metrics_master *m);
void metrics_master_set(struct metrics_master *m, struct span text);

#endif
