/* What the API's script asks for by ms.call, beside its request:
 *
 *   server         { cmd, args = array }: a command of msctl that changes nothing, as { code, text, rows,
 * more } server.change  the same, for commands that do server.more    what stood in `more`: the next rows
 *   token.mint     { user, uid, ops = array, duration s (0: for ever) }: a token as text
 *
 * Which commands it may ask is the master's to say. Tests: tests/e2e/test_api.py. */
#ifndef HTTPD_API_CALLS_H
#define HTTPD_API_CALLS_H

#include "httpd/lua_calls.h"

struct auth;
extern const struct lua_row api_calls[];

/* open: as master_asks_new. Once, before the first call. */
void api_calls_start(struct loop *l, void (*open)(void *arg, int fd), void *arg);
/* The keys that tokens are made with from now on; takes the reference. */
void api_calls_auth(struct auth *a);

#endif
