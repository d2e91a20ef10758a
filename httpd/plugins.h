/* A site's plug-ins ([plugins] load): scripts that return a table of hooks (luahost/hooks.c). What happens is
 * told to those that want to hear of it, timers run, viewers and requests of the API are shown to them. Each
 * is bounded: PLUGIN_CALLS_MAX at a time; what happens while as many are under way it is not told, which is
 * counted and said in the log. One that hangs is killed with its call alone (lua.h).
 *
 * What they may ask beside what the API's scripts may: http, store.get, store.set, store.keys (docs/lua.md).
 * On the main loop, but where it says otherwise. Tests: tests/e2e/test_plugins.py. */
#ifndef HTTPD_PLUGINS_H
#define HTTPD_PLUGINS_H

#include "httpd/caller.h"
#include "httpd/lua_calls.h"

#define PLUGIN_CALLS_MAX  16
#define PLUGIN_US         (60 * US_PER_S) /* a call takes at most so long, with all it waits for */
#define PLUGIN_DECIDES_US (2 * US_PER_S)  /* one that a viewer or a request waits for */
#define PLUGIN_TIMERS_MAX 16
#define PLUGIN_NAME_MAX   64
#define PLUGIN_HOSTS_MAX  4096 /* bytes of the list of hosts */

enum plugin_hook {
    PLUGIN_STREAM_STATE = 1,
    PLUGIN_EVENT = 2,
    PLUGIN_SEGMENT = 4,
    PLUGIN_VIEWER = 8,
    PLUGIN_REQUEST = 16
};

struct channel;
struct outgoing;
struct packed;
void plugins_start(struct loop *l, struct lua *lua, struct outgoing *o, struct channel *master);
/* HTTPD_CONF: paths of plug-ins into `entry` (LUAHOST_PLUGINS_MAX of LUAHOST_PATH_MAX), hosts. */
void plugins_conf(const struct packed *body, char entry[][LUAHOST_PATH_MAX]);
/* lua_ops.loaded: it is asked what it has. */
void plugins_loaded(enum luahost_slot slot);
/* A name and data as webhooks have them, or "segment". */
void plugins_happened(struct span event, struct span data);
/* STORE of the master: a row of the key-value store, as it was kept. */
void plugins_kept(const struct packed *body);

/* The next slot behind `after` that has this hook; LUAHOST_SLOTS: none. after LUAHOST_AUTH: the first. From
 * any thread. */
enum luahost_slot plugins_next(enum plugin_hook hook, enum luahost_slot after);

/* For whom a plug-in does what nobody has asked it for. */
const struct caller *plugins_caller(enum luahost_slot slot);

/* Rows of the table of calls (api_calls.c). */
void plugins_http(const struct lua_call *c, const struct packed *args);
void plugins_get(const struct lua_call *c, const struct packed *args);
void plugins_set(const struct lua_call *c, const struct packed *args);
void plugins_keys(const struct lua_call *c, const struct packed *args);

/* plugin_store.c: what plug-ins keep; plugin: its name. */
#define PLUGIN_KEY_MAX   128
#define PLUGIN_VALUE_MAX 4096
#define PLUGIN_ROWS_MAX  1024 /* of all of them */
struct map;
struct plugin_store;
struct plugin_store *plugin_store_new(void);
void plugin_store_free(struct plugin_store *s);
/* value p NULL: the key goes. false: there is no room, or a key or value is too long. */
bool plugin_store_set(struct plugin_store *s, const char *plugin, struct span key, struct span value);
/* p NULL: there is none. */
struct span plugin_store_get(const struct plugin_store *s, const char *plugin, struct span key);
/* Packs an array of its keys. */
void plugin_store_keys(const struct plugin_store *s, const char *plugin, struct packer *p);

/* plugin_hosts: may this URL be called? hosts: "api.example.org, *.example.net:8443, *". */
bool plugin_host_ok(struct span hosts, struct span url);

#endif
