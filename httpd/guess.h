/* Guessing is slowed down, by who guesses: an address of IPv4, a /64 of IPv6. Each wrong token or password
 * costs GUESS_FAIL_US; whoever has gathered GUESS_LEAST_US is not looked at until it has passed. Like
 * OpenSSH's PerSourcePenalties. Memory is bounded: where there is no room for one more source, it goes free.
 * Thread-safe. Tests: tests/unit/httpd/test_guess.c. */
#ifndef HTTPD_GUESS_H
#define HTTPD_GUESS_H

#include "common/net/addr.h"

#define GUESS_SOURCES_MAX 65536 /* of IPv4, and as many of IPv6 */
#define GUESS_FAIL_US     (5 * US_PER_S)
#define GUESS_LEAST_US    (15 * US_PER_S)
#define GUESS_MOST_US     (600 * US_PER_S)

struct guess;
struct guess *guess_new(void);
void guess_free(struct guess *g); /* NULL too */
/* now_us: monotonic, of the caller. */
/* true: from now on it is not looked at. */
bool guess_failed(struct guess *g, const struct addr *a, usec_t now_us);
bool guess_blocked(struct guess *g, const struct addr *a, usec_t now_us);
/* So long it is blocked; 0: it is not. */
usec_t guess_wait_us(struct guess *g, const struct addr *a, usec_t now_us);
/* Bytes of the tables: grows in two steps, then never. */
size_t guess_bytes(struct guess *g);

#endif
