/* Passwords kept as scrypt that were right, as keyed digests: whoever signs in again waits for no thread,
 * which guesses of others may keep busy for seconds (a check takes it 50 to 100 ms). A digest is of the
 * password as it is kept and as it was given, with a random key of this process; it is good for PROVEN_US,
 * and void with another password. Thread-safe. Tests: tests/unit/httpd/test_proven.c. */
#ifndef HTTPD_PROVEN_H
#define HTTPD_PROVEN_H

#include "httpd/accounts.h"

#define PROVEN_MAX 64 /* more than there are accounts; the oldest is overwritten */
#define PROVEN_US  (12 * 3600 * US_PER_S)

struct proven;
struct proven *proven_new(void);
void proven_free(struct proven *k); /* NULL too */
/* now_us: monotonic. k NULL: nothing is known. */
void proven_add(struct proven *k, const struct account *a, struct span password, usec_t now_us);
bool proven_has(struct proven *k, const struct account *a, struct span password, usec_t now_us);

#endif
