/* What httpd asks its scripts: they run in a helper process (httpd/luahost), which is killed and replaced
 * when it hangs. Any loop's thread may ask; the answer comes to that loop. Everything else here happens on
 * the main thread's loop, which serves no viewer.
 *
 * A host that does not end what it is busy with is killed: at once when it has used LUA_STUCK_US of the
 * processor for it, which costs the request that did it; after LUA_SILENT_US when it has not (it is stopped,
 * or the machine is overloaded), which costs nobody anything. What else was under way is asked again, except
 * where a script has had something changed: that ends with LUA_E_KILLED. Without a host requests wait, each
 * up to its own deadline. Tests: tests/unit/httpd/test_lua.c, tests/e2e/test_lua.py. */
#ifndef HTTPD_LUA_H
#define HTTPD_LUA_H

#include "common/ipc/pack.h"
#include "common/net/loop.h"
#include "httpd/luahost/wire.h"

#define LUA_OPEN_MAX  256 /* asked of the host at a time */
#define LUA_QUEUE_MAX 1024
#define LUA_STUCK_US  (150 * US_PER_MS) /* of processor time; a script's own limit is WORLD_STRETCH_US */
#define LUA_SILENT_US (500 * US_PER_MS)
#define LUA_PING_US   (400 * US_PER_MS)
#define LUA_TICK_US   (25 * US_PER_MS)
#define LUA_BIRTH_US  (6 * US_PER_S) /* from asking for a host to its first word */
#define LUA_TRIES_MAX 2              /* of a request, when its host dies without having hung */

/* Conditions (positive). */
enum lua_err {
    LUA_E_BUSY = 1, /* too many wait */
    LUA_E_LATE,     /* no answer within the deadline */
    LUA_E_NONE,     /* there is no script that works */
    LUA_E_SCRIPT,   /* it raised an error */
    LUA_E_KILLED    /* it hung, or its host died with it */
};
/* "the script failed": for who asked, with nothing of the script in it. */
const char *lua_why(int err);
/* 500, 503, 504. */
unsigned lua_status(int err);

struct lua_answer {
    int err;
    uint32_t incident;          /* SCRIPT, KILLED: the log has it */
    const struct packed *value; /* on 0: what the script returned; until done returns */
};

struct caller;
struct lua;
struct lua_ops {
    void (*want)(void *arg);              /* a host; lua_host answers */
    void (*gone)(void *arg, uint64_t id); /* kill it */
    void (*loaded)(
        void *arg, enum luahost_slot slot); /* a script runs that did not before; NULL: nobody asks */
};
struct lua_conf {
    char site[1024];    /* folder of the overlay */
    char shipped[1024]; /* folder of what we ship */
    char entry[LUAHOST_SLOTS][LUAHOST_PATH_MAX];
    unsigned slots; /* that run here, bits; 0: all */
};

/* calls: what scripts may ask for by ms.call (lua_calls.h); ends with a row without a name. */
struct lua_row;
struct lua *lua_new(struct loop *l, const struct lua_ops *ops, const struct lua_row *calls, void *arg);
void lua_free(struct lua *x); /* requests that wait end with LUA_E_NONE; NULL too */
/* On the main loop: where scripts are; looks at them now, and every second from then on. */
void lua_set_conf(struct lua *x, const struct lua_conf *conf);
/* On the main loop: the host that was wanted; takes fd. err: 0, or why there is none. */
void lua_host(struct lua *x, uint64_t id, int pid, int err, int fd);
/* Does a script of the site's run for it, and not ours? From any thread; x may be NULL. */
bool lua_is_site(const struct lua *x, enum luahost_slot slot);
/* So many scripts have been taken into use for it: another number, another script. As above. */
unsigned lua_taken(const struct lua *x, enum luahost_slot slot);
unsigned lua_cage_missing(const struct lua *x);
void *lua_arg(const struct lua *x);

/* Who waits; done is called once, in the loop's thread. */
struct lua_asker {
    struct loop *loop;
    void (*done)(void *arg, const struct lua_answer *answer);
    void *arg;
    const struct caller
        *caller; /* for whom it is done, copied: what it asks for is checked by it; NULL: nobody */
};
/* From any thread. args: one msgpack value, copied. x may be NULL: LUA_E_NONE. */
void lua_ask(
    struct lua *x, enum luahost_slot slot, struct span args, usec_t deadline_us, const struct lua_asker *who);

#endif
