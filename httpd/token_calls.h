/* What the API's scripts ask for by ms.call about access tokens.
 *
 *   token.mint     { user, uid, ops = array, duration s (0: for ever), from, to (of footage) }: a token as
 * text, made here and forgotten, but for the audit log token.create   { uids = array of patterns (none: all),
 * user, ops (with commas), duration, from, to, sessions, note }: made by the master, which keeps it in mind;
 * as `server`, a row of "token create". Refused: streams (no patterns, too many), foreign (not of those
 * whoever asks is for), busy tokens         those: as `server`, rows of "api tokens" token.revoke   an id: as
 * `server`
 *
 * On the main loop. Tests: tests/e2e/test_tokens.py. */
#ifndef HTTPD_TOKEN_CALLS_H
#define HTTPD_TOKEN_CALLS_H

#include "httpd/lua_calls.h"

struct auth;
struct master_asks;
struct server;

void token_calls_start(struct server *server, struct master_asks *master);
void token_calls_auth(struct auth *a); /* keys from now on; takes the reference */

void token_mint_call(const struct lua_call *c, const struct packed *args);
void token_create(const struct lua_call *c, const struct packed *args);
void token_list(const struct lua_call *c, const struct packed *args);
void token_revoke(const struct lua_call *c, const struct packed *args);

#endif
