/* What the API's script asks for by ms.call, beside its request:
 *
 *   server         { cmd, args = array }: a command of msctl that changes nothing, as { code, text, rows,
 * more }
 *   server.change  the same, for commands that do, with `body`: a value that goes along
 *   server.more    what stood in `more`: the next rows
 *   streams.list   a question of stream_rows.h: a page of streams, as a number that the script answers with
 *                  ({ held = number }, no body); with as_text: as JSON text
 *   stream.tracks  a uid: its tracks (api_tracks.h)
 *   people         as server.change: commands "api layout...", and of a root "api signing..."; refused:
 * forbidden, confirm token...       token_calls.h account...     people_calls.h
 *
 * Which commands it may ask is the master's to say. Tests: tests/e2e/test_api.py. */
#ifndef HTTPD_API_CALLS_H
#define HTTPD_API_CALLS_H

#include "httpd/lua_calls.h"

struct auth;
struct channel;
struct master_asks;
struct server;
extern const struct lua_row api_calls[];

/* control: of the master. open: as master_asks_new. Once, before the first call. */
void api_calls_start(struct loop *l, struct server *server, struct channel *control,
    void (*open)(void *arg, int fd), void *arg);
/* Lists of streams, for others on the main loop; NULL before the start. */
struct stream_rows;
struct stream_rows *api_calls_rows(void);
struct master_asks *api_calls_master(void);
/* What the master says, to a script: `arg` is a struct lua_call of its own, which is freed. */
struct master_answer;
void api_calls_said(void *arg, struct master_answer *a);
/* Keys of tokens, and accounts, from now on; takes the reference. */
void api_calls_auth(struct auth *a);

#endif
