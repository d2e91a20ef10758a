/* What a script may ask of httpd: ms.call(name, args). A row's function answers at once or later, once, by
 * lua_call_done; an answer that nobody waits for any more is dropped. All on the main loop. Tests:
 * tests/unit/httpd/test_lua.c. */
#ifndef HTTPD_LUA_CALLS_H
#define HTTPD_LUA_CALLS_H

#include "httpd/lua.h"

struct lua_call {
    struct lua *lua;
    uint64_t id;
    enum luahost_slot slot;
    const struct caller
        *caller; /* for whom the script does it; NULL: nobody. Until its row's function returns */
};
struct lua_row {
    const char *name;
    unsigned slots; /* which scripts may: bits 1 << enum luahost_slot */
    bool changes;   /* asked again, it would be done twice */
    /* args: until it returns */
    void (*fn)(const struct lua_call *c, const struct packed *args);
};

/* value: one msgpack value. */
void lua_call_done(const struct lua_call *c, struct span value);
/* ms.call returns nil and this text. */
void lua_call_failed(const struct lua_call *c, const char *why);

#endif
