/* Scripts in a test: a world of one text, called with a value and gone on with. */
#ifndef SUPPORT_LUA_HELP_H
#define SUPPORT_LUA_HELP_H

#include "httpd/luahost/world.h"

#define LUA_HELP_LOGS 64

struct lua_help {
    struct world *w;
    struct world_call *call; /* that waits */
    struct world_result result;
    char error[LUAHOST_ERROR_MAX]; /* of its birth */
    char logs[LUA_HELP_LOGS][LUAHOST_LOG_MAX + 1];
    unsigned n_logs;
};
/* pairs: path, text, path, text ..., NULL; the first is the entry. false: l->error says why. */
bool lua_help_files(struct lua_help *l, const char *const *pairs);
bool lua_help_start(struct lua_help *l, const char *text);
void lua_help_stop(struct lua_help *l);
/* With one text as its value. */
enum world_state lua_help_call(struct lua_help *l, const char *value);
enum world_state lua_help_answer(struct lua_help *l, bool ok, const char *value);
/* What it returned or asked with is this text. */
bool lua_help_is(const struct lua_help *l, const char *text);
/* Packs [path, text] pairs as LOAD has them. */
void lua_help_pack(struct packer *p, const char *const *pairs);

#endif
