/* Numbers as text for who collects them: the text format of Prometheus, version 0.0.4, which OpenMetrics
 * readers take too. A family is said once, its values follow at once. Tests: tests/unit/base/test_metrics.c.
 */
#ifndef BASE_METRICS_H
#define BASE_METRICS_H

#include "common/base/buf.h"
#include "common/base/clock.h"

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum metrics_kind { METRICS_GAUGE, METRICS_COUNTER };
struct metrics_label {
    const char *name,
        *value; /* any bytes: what the format cannot hold is escaped, what is no UTF-8 becomes '?' */
};
/* Where a value goes; bad: it did not fit somewhere, for good. */
struct metrics {
    struct buf *to;
    bool bad;
};

/* name: a word of ours, letters and '_'; a counter's ends with "_total". help: one line. */
void metrics_family(struct metrics *m, const char *name, enum metrics_kind kind, const char *help);
void metrics_u64(
    struct metrics *m, const char *name, const struct metrics_label *labels, size_t n, uint64_t v);
void metrics_i64(
    struct metrics *m, const char *name, const struct metrics_label *labels, size_t n, int64_t v);
/* Microseconds as seconds. */
void metrics_us(
    struct metrics *m, const char *name, const struct metrics_label *labels, size_t n, usec_t v_us);

#endif
