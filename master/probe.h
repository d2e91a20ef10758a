/* A camera tried before it is added: a worker of its own, which no list shows and nobody watches, by the
 * connector and the site's address policy as any other. Tests: tests/e2e/test_api3_probe.py. */
#ifndef MASTER_PROBE_H
#define MASTER_PROBE_H

#include "common/base/clock.h"
#include "common/base/span.h"

#define PROBE_MOST     2               /* at a time */
#define PROBE_US       (10 * US_PER_S) /* from its birth to the answer */
#define PROBE_TEXT_MAX 512

struct master;
struct stream;
struct packer;

struct probe_order {
    struct span url;
    const char *transport; /* "auto", "tcp", "udp" */
    usec_t watch_us;       /* so long from the first frame on */
};
struct probe;
/* NULL: *why says what is wrong (at least PROBE_TEXT_MAX bytes); busy: PROBE_MOST are under way. */
struct probe *probe_new(struct master *m, const struct probe_order *order, char *why, bool *busy);
void probe_free(struct probe *x); /* NULL too */
/* Is there nothing to wait for any more? Asked a few times a second. */
bool probe_over(struct probe *x);
/* Row `at` of its answer: "probe", then as past_row. false: there are no more. */
bool probe_row(struct probe *x, size_t at, struct packer *p);

#endif
