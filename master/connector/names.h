/* Names of the cluster's nodes, for the master, which asks nobody itself: RESOLVE and RESOLVED. Tests:
 * tests/unit/connector/test_names.c. */
#ifndef CONNECTOR_NAMES_H
#define CONNECTOR_NAMES_H

#include "common/ipc/pack.h"
#include "common/net/loop.h"

#define NAMES_MAX 32 /* looked up at a time; who comes too much is not answered, and asks again */

struct names;
/* host as it was asked, addr "" : none. */
typedef void names_fn(void *arg, const char *host, const char *addr);
struct names *names_new(struct loop *l, const char *servers, names_fn *fn, void *arg);
void names_free(struct names *n);
void names_ask(struct names *n, struct span host);

#endif
