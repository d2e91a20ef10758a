/* How fast the API may be called, by who calls: a token bucket each, RATES_BURST_S seconds of the rate at
 * once. Memory is bounded: where there are RATES_MAX, the one that has called longest ago is forgotten, and
 * begins with a full bucket when it calls again. Thread-safe. Tests: tests/unit/httpd/test_rates.c. */
#ifndef HTTPD_RATES_H
#define HTTPD_RATES_H

#include "common/base/clock.h"
#include "common/base/span.h"

#define RATES_MAX     4096
#define RATES_BURST_S 10

struct rates;
struct rates *rates_new(void);
void rates_free(struct rates *r); /* NULL too */
/* One more call; per_s > 0. 0: it may be made; else how long until the next one may be. */
usec_t rates_take(struct rates *r, struct span who, unsigned per_s, usec_t now_us);
size_t rates_n(struct rates *r);

#endif
