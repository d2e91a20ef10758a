/* Shared by the files that make a world: world.c (limits, the guarded way in), sandbox.c (what a script may
 * use), value.c (msgpack and Lua values), json.c. */
#ifndef LUAHOST_WORLD_IMPL_H
#define LUAHOST_WORLD_IMPL_H

#include <lua5.4/lauxlib.h>
#include <lua5.4/lua.h>
#include <lua5.4/lualib.h>

#include "httpd/luahost/world.h"

#define VALUE_DEPTH_MAX (PACK_DEPTH_MAX - 2) /* two are the message's */
#define VALUE_ITEMS_MAX (PACK_ITEMS_MAX - 100)
#define JSON_MAX        LUAHOST_MESSAGE_MAX
#define JSON_DEPTH_MAX  32

struct world {
    lua_State *L;
    size_t memory;
    const struct world_ops *ops;
    void *arg;
    struct buf source; /* msgpack of the files, and what was read from it */
    struct unpack *files;
    int entry; /* reference to the script's function */
    size_t n_calls;
    /* the stretch that runs */
    struct world_call *running; /* NULL: the script is being loaded */
    usec_t from_us;             /* processor time */
    uint32_t steps;
    bool over; /* a limit was passed: nothing keeps it alive */
    unsigned logs;
    /* Memory that outlives an error raised in the middle: never more than one use at a time. */
    struct buf scratch;
    char ask[LUAHOST_NAME_MAX + 1]; /* "": nothing is asked for */
};

struct world_call {
    struct world *w;
    lua_State *L; /* its coroutine */
    int ref;
    uint32_t steps;
};

struct world *world_of(lua_State *L);

/* Opens the libraries and leaves of them what a script may use. May raise. */
void sandbox_open(lua_State *L);
/* Pushes the chunk of one of the files, compiled. May raise: there is none, or it is no Lua text. */
void sandbox_load(lua_State *L, struct span path);

/* The table of a plug-in's hooks on top becomes the function that finds the right one: hooks.c. May raise. */
void sandbox_hooks(lua_State *L);

/* These raise where a value is too deep, too large or of another kind. */
void value_push(lua_State *L, const struct packed *v);
void value_pack(lua_State *L, int at, struct packer *to);
/* Is the table at this place an array: marked as one, or with keys 1 to n alone? *ret_n: its items or pairs.
 */
bool value_is_array(lua_State *L, int at, size_t *ret_n);
/* Marks the table on top. */
void value_mark_array(lua_State *L);
void value_open(lua_State *L); /* once a state */

/* ms.json and ms.parse */
int json_write(lua_State *L);
int json_parse(lua_State *L);

#endif
