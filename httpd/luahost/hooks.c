/* A plug-in's table of hooks as one function, which httpd calls with { hook, data or json, n }. It is Lua
 * text of ours, compiled in the plug-in's own world: what waits in a hook (ms.call) waits in the request's
 * coroutine.
 *
 *   describe    -> { hooks = { names }, timers = { { every = s } or { at = "HH:MM" } } }
 *   timer       n: the timers' n-th runs
 *   on_...      the hook's function gets the data
 *
 * What is wrong with the table is said while it is loaded: such a script is refused. Tests:
 * tests/unit/luahost/test_hooks.c. */
#include "httpd/luahost/world_impl.h"

static const char text[] = //
    "local hooks = ...\n"
    "local known = { on_stream_state = true, on_event = true, on_segment = true, on_viewer = true,\n"
    "    on_request = true }\n"
    "local timers = hooks.timers or {}\n"
    "if type(timers) ~= 'table' then error('timers: a table is expected', 0) end\n"
    "for name, fn in pairs(hooks) do\n"
    "    if name ~= 'timers' and not known[name] then error(('there is no hook %s'):format(tostring(name)), "
    "0) end\n"
    "    if name ~= 'timers' and type(fn) ~= 'function' then error(('%s is no function'):format(name), 0) "
    "end\n"
    "end\n"
    "local described = ms.array()\n"
    "for i, t in ipairs(timers) do\n"
    "    local every, at = type(t) == 'table' and t.every, type(t) == 'table' and t.at\n"
    "    local h, m = tostring(at):match('^(%d%d):(%d%d)$')\n"
    "    local ok = h and tonumber(h) < 24 and tonumber(m) < 60\n"
    "        or math.type(every) == 'integer' and every >= 1 and every <= 86400\n"
    "    if not ok or type(t.run) ~= 'function' then\n"
    "        error(('timers[%d]: every = whole seconds, or at = \"HH:MM\"; and run = a function'):format(i), "
    "0)\n"
    "    end\n"
    "    described[i] = { every = not h and every or nil, at = h and at or nil }\n"
    "end\n"
    "if #described > 16 then error('there are more than 16 timers', 0) end\n"
    "local names = ms.array()\n"
    "for name in pairs(hooks) do if name ~= 'timers' then names[#names + 1] = name end end\n"
    "return function(call)\n"
    "    if call.hook == 'describe' then return { hooks = names, timers = described } end\n"
    "    if call.hook == 'timer' then return timers[call.n].run() end\n"
    "    local data = call.data\n"
    "    if call.json then data = ms.parse(call.json) end\n"
    "    return hooks[call.hook] and hooks[call.hook](data)\n"
    "end\n";

void sandbox_hooks(lua_State *L)
{
    if (luaL_loadbufferx(L, text, sizeof(text) - 1, "=hooks", "t") != LUA_OK) lua_error(L);
    lua_insert(L, -2);
    lua_call(L, 1, 1);
}
