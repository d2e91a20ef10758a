/* What the API's scripts ask for by ms.call about access tokens.
 *
 *   token.mint     { user, uid, ops = array, duration s (0: for ever), from, to (of footage), note, export
 * (the id of one that it is for: it ends with it) }: a token as text, made here at once, by the thousand
 * where need be; the master is told, and keeps the newest in mind token.create   { uids = array of patterns
 * (none: all), user, ops (with commas), duration, from, to, sessions, note }: made by the master, which keeps
 * it in mind; as `server`, a row of "token create". Refused: streams (no patterns, too many), foreign (not of
 * those whoever asks is for), busy tokens         those: as `server`, rows of "api tokens" token.revoke   an
 * id: as `server`
 *
 * On the main loop. Tests: tests/e2e/test_tokens.py. */
#ifndef HTTPD_TOKEN_CALLS_H
#define HTTPD_TOKEN_CALLS_H

#include "httpd/lua_calls.h"

struct auth;
struct channel;
struct master_asks;
struct server;

/* control: of the master, told what is minted; NULL: nobody is. */
void token_calls_start(struct server *server, struct master_asks *master, struct channel *control);
void token_calls_auth(struct auth *a); /* keys from now on; takes the reference */

void token_mint_call(const struct lua_call *c, const struct packed *args);
void token_create(const struct lua_call *c, const struct packed *args);
void token_list(const struct lua_call *c, const struct packed *args);
void token_revoke(const struct lua_call *c, const struct packed *args);

#endif
