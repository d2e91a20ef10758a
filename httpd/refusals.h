/* What was refused a moment ago is refused again without asking anybody: the site's own server and its script
 * hear of a player that tries and tries once in a while, and the same wrong token again is no new guess.
 * By who asks for what (credentials, address, road, time): another token is another question. What is being
 * asked is found by the same key, so that who asks the same meanwhile waits for the same answer. Belongs to
 * one hub. Bounded: where there are REFUSALS_MAX, the one that was put first goes. Tests:
 * tests/unit/httpd/test_refusals.c. */
#ifndef HTTPD_REFUSALS_H
#define HTTPD_REFUSALS_H

#include "common/base/clock.h"
#include "common/base/list.h"
#include "common/base/map.h"

#define REFUSALS_MAX     4096
#define REFUSALS_MOST_US (180 * US_PER_S) /* however long it was said to hold */
#define REFUSAL_KEY_MAX  65               /* digits of a SHA-256 */

struct refusals {
    struct map by_key;
    struct list all; /* the oldest first */
    size_t n;
    unsigned script;   /* by which it was refused: lua_taken */
    struct map asking; /* key -> struct question that is under way, and may be joined */
    unsigned turn;     /* another one: what was asked before has to be asked anew */
};
void refusals_init(struct refusals *r);
/* Who may watch has changed: empty again. Also its end. */
void refusals_forget(struct refusals *r);
/* The status that was said; 0: nothing that still holds. */
unsigned refusals_get(struct refusals *r, const char *key, usec_t now_us);
/* ttl_us 0: it is not kept. */
void refusals_put(struct refusals *r, const char *key, unsigned status, usec_t now_us, usec_t ttl_us);

#endif
