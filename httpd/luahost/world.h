/* A script in a Lua state of its own: what it may use, its limits, and the one guarded way in. Every entry is
 * protected; a call is a coroutine that ends, fails, or asks for something (ms.call) and is gone on with when
 * the answer has come. Scripts are text, never bytecode; a C function that loops (a pattern match does) is
 * beyond a count hook: who started this process ends it then.
 *
 * Limits: memory of a script WORLD_MEMORY_MAX; processor time and instructions of one stretch between two
 * asks; instructions of a call. Above them the call fails, and no pcall of the script keeps it alive. Tests:
 * tests/unit/luahost/test_world.c, test_sandbox.c. */
#ifndef LUAHOST_WORLD_H
#define LUAHOST_WORLD_H

#include "httpd/luahost/wire.h"

#define WORLD_MEMORY_MAX    (48u << 20)
#define WORLD_STRETCH_US    (100 * US_PER_MS) /* of processor time */
#define WORLD_STRETCH_STEPS 10000000u         /* Lua instructions */
#define WORLD_CALL_STEPS    50000000u
#define WORLD_LOGS_MAX      20 /* lines of one stretch */

struct world;
struct world_ops {
    void (*log)(void *arg, struct span text);
};

/* entry: path of one of the files ([path, text] each, copied). The entry's chunk runs and returns a function.
 * NULL: error says why, with file and line. */
struct world *world_new(struct span entry, const struct packed *files, const struct world_ops *ops, void *arg,
    char error[LUAHOST_ERROR_MAX]);
void world_free(struct world *w); /* no call waits any more; NULL too */

enum world_state { WORLD_DONE, WORLD_ASKS, WORLD_FAILED };
struct world_call;
struct world_result {
    struct buf value;                /* DONE: what it returned; ASKS: the arguments; msgpack */
    char name[LUAHOST_NAME_MAX + 1]; /* ASKS */
    char error[LUAHOST_ERROR_MAX];   /* FAILED */
};
/* A call of the function with one value. Unless it ASKS, the call is gone. */
enum world_state world_start(
    struct world *w, const struct packed *value, struct world_call **ret, struct world_result *to);
/* ok: value is what was asked for; else a text that says why there is none. */
enum world_state world_go_on(
    struct world_call *c, bool ok, const struct packed *value, struct world_result *to);
void world_drop(struct world_call *c); /* nobody waits for it any more */
size_t world_calls(const struct world *w);
size_t world_memory(const struct world *w);

#endif
