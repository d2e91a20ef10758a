/* Who has signed in to API and panel: a random id in a cookie stands for an account until it is signed out,
 * not used for SIGNINS_IDLE_US, SIGNINS_MOST_US old, or the account is not what it was. A login by Basic is
 * kept in the same way, under a digest of it, so that its password is looked at once. Bounded: of the account
 * that has the most, the one that was not used for longest goes. Thread-safe. Tests:
 * tests/unit/httpd/test_signins.c. */
#ifndef HTTPD_SIGNINS_H
#define HTTPD_SIGNINS_H

#include "httpd/accounts.h"
#include "httpd/caller.h"

#define SIGNINS_MAX      256
#define SIGNINS_IDLE_US  (15 * 60 * US_PER_S)
#define SIGNINS_MOST_US  (12 * 3600 * US_PER_S)
#define SIGNINS_SHOWN_US (5 * 60 * US_PER_S) /* so long a password counts as just shown */

struct signins;
struct signins *signins_new(void);
void signins_free(struct signins *s); /* NULL too */

/* now_us: monotonic. id: "" or what stands for a login by Basic (signins_basic). *ret_id: of the new one. */
void signins_add(struct signins *s, const struct account *a, const char *id, usec_t now_us,
    char ret_id[CALLER_ID_DIGITS + 1]);
/* It is used: *ret but for its address, and the text that requests which change things must show. false:
 * there is none, or not any more. */
bool signins_find(struct signins *s, struct span id, usec_t now_us, struct caller *ret,
    char ret_csrf[CALLER_ID_DIGITS + 1]);
/* Its account's password was shown again. */
void signins_shown(struct signins *s, struct span id, usec_t now_us);
bool signins_end(struct signins *s, struct span id);
bool signins_has(struct signins *s, struct span id, usec_t now_us); /* without using it */
/* While an event stream is open it is in use. false: it is not there (any more). */
bool signins_hold(struct signins *s, struct span id, usec_t now_us);
/* The id under which a login by Basic is kept: of the field's value, with a key of this process. */
void signins_basic(const struct signins *s, struct span authorization, char ret_id[CALLER_ID_DIGITS + 1]);
/* After a reload: those end whose account is gone, or has another password or role; camera lists follow. */
void signins_accounts(struct signins *s, const struct accounts *accounts);

#endif
