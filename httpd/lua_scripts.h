/* Finds the scripts: the site's folder first, then what we ship; a file of the site hides ours of the same
 * name. A script that is not made for this server (no line `interface: media-server 1` in its first bytes, or
 * bytecode) is passed over, and ours is used. Files are read in a thread of their own, and only when one has
 * changed. Tests: tests/unit/httpd/test_lua_scripts.c. */
#ifndef HTTPD_LUA_SCRIPTS_H
#define HTTPD_LUA_SCRIPTS_H

#include "httpd/lua.h"

#define LUA_API3      "modules/api/api.v3.lua" /* has no key: one that is laid over ours replaces it */
#define LUA_FILE_MAX  (256u << 10)
#define LUA_DEPTH_MAX 4 /* of folders below modules/ */

/* What was found for one script. */
struct lua_found {
    bool changed;       /* else all else is empty */
    struct buf load;    /* LOAD message; empty: there is none */
    char from[1024];    /* file it was taken from */
    char foreign[1024]; /* file that was passed over; "" */
    char error[256];    /* why there is none; "" */
};

struct lua_finder;
struct lua_finder *lua_finder_new(struct loop *l);
void lua_finder_free(struct lua_finder *f); /* waits for its thread; NULL too */
/* Looks; found(arg, found[LUAHOST_SLOTS]) comes in the loop unless nothing has changed. The buffers may be
 * taken. One look at a time: another while it runs does nothing. */
void lua_finder_look(struct lua_finder *f, const struct lua_conf *conf,
    void (*found)(void *arg, struct lua_found *found), void *arg);

/* The work itself, for tests. before: fingerprint of the last look, changed when something is new. */
void lua_scripts_look(
    const struct lua_conf *conf, uint64_t *before, uint64_t hashes[], struct lua_found *found);

#endif
