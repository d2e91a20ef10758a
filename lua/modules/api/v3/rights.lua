-- Who may do what. A user has a role, and may be held to some cameras.

local http = require("modules.api.v3.http")

local M = {}

local LEVELS = { guest = 1, user = 2, admin = 3, root = 4 }

-- view: look at streams; archive: at what was recorded, and when something happened; share: give others a link to what
-- one sees; operate: restart, pause, record, lock, probe; configure: make, change and take away streams; whole: what tells
-- of every stream; server: its settings, accounts, keys.
local NEEDS = { view = 1, archive = 2, share = 2, operate = 3, configure = 3, whole = 3, server = 4 }

-- Whoever has a token of the API may do everything.
function M.user(request)
    if request.user then return request.user end
    local token = request.token
    if token and token.valid and token.ops.api then return { name = token.user, role = "root" } end
    return nil
end

function M.sees(user, uid)
    if not user.cameras then return true end
    for _, pattern in ipairs(user.cameras) do
        if pattern == uid or (pattern:sub(-1) == "*" and uid:sub(1, #pattern - 1) == pattern:sub(1, -2)) then return true end
    end
    return false
end

-- The server as a whole is for nobody who is held to some cameras.
function M.may(user, right)
    if (right == "server" or right == "whole") and user.cameras then return false end
    return (LEVELS[user.role] or 0) >= NEEDS[right]
end

-- nil: go on; else the answer. A camera that somebody may not see is not there for him.
function M.refuse(request, right, uid)
    local user = request.user
    if not user then
        local answer = http.problem(401, "unauthorized", request.token and "This token is wrong, has ended, or is none of the API: make another one."
            or "Sign in, or send a token of the API in Authorization.")
        answer.headers = { ["WWW-Authenticate"] = 'Bearer realm="media-server"' }
        return answer
    end
    if not M.may(user, right) then
        local held = user.cameras and ", held to some cameras" or ""
        return http.problem(403, "forbidden", ("Your role (%s%s) does not allow this: ask an administrator."):format(user.role, held))
    end
    if uid and not M.sees(user, uid) then return http.no_stream(uid) end
    return nil
end

return M
