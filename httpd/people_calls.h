/* What the API's script asks for by ms.call about accounts. The rules that a script must not be able to bend
 * are here: who may, that a password was shown a moment ago, that a new one is kept as scrypt.
 *
 *   accounts        all of them: as `server`, rows of "api accounts" (common/ipc/ctl.h)
 *   account.set     { name, role, password, cameras = text, old }: what is not there stays; a name that
 *                   nobody has is a new account. With old: one's own password. As `server`
 *   account.remove  { name }
 *
 * Refused with one of the words forbidden, confirm (the password is to be shown again), wrong (old is),
 * throttled, busy. On the main loop; passwords are looked at and made in their pool. Tests:
 * tests/e2e/test_people.py. */
#ifndef HTTPD_PEOPLE_CALLS_H
#define HTTPD_PEOPLE_CALLS_H

#include "httpd/lua_calls.h"

struct auth;
struct caller;
struct master_asks;
struct server;

/* Once, before the first call. */
void people_start(struct loop *l, struct server *server, struct master_asks *master);
/* The accounts from now on; takes the reference. */
void people_auth(struct auth *a);
/* For setup.c: the main loop, and whether an account of this name has come. */
struct loop *people_loop(void);
bool people_knows(const char *name);
/* NULL, or the word: accounts and keys are for a root that is for all streams. */
const char *people_refused(const struct caller *c, bool changes);

void people_list(const struct lua_call *c, const struct packed *args);
void people_set(const struct lua_call *c, const struct packed *args);
void people_remove(const struct lua_call *c, const struct packed *args);

#endif
