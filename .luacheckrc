-- Scripts run with what httpd/luahost/sandbox.c leaves of Lua 5.4, and with `ms`.
std = "lua54"
read_globals = { "ms" }
max_line_length = 150
