-- interface: media-server 1
--
-- The API below /api/v3/. What it takes and says stands in /api/v3/openapi.json (cpanel/api/openapi.json), for people
-- in docs/reference/api.md. Each file of modules/api/v3/ returns an array of routes:
--
--   { "GET", "/streams/{uid}", function(request, path) ... end, id = "getStream", right = "view" }
--
-- path: what stood in the braces, by name. right: what whoever asks must be allowed (modules/api/v3/rights.lua).
-- The request is as modules/api/api.v2.lua says, with if_match, if_none_match (the header fields, "" for none) and
-- user: nil, or { name, role, cameras = nil or array of uids and beginnings with '*' }.
--
-- To add a call: copy this file to modules/api/api.v3.lua in the folder of media-server.ini, and put the name of a
-- file of yours into PARTS; docs/lua.md says how.

local http = require("modules.api.v3.http")
local rights = require("modules.api.v3.rights")

local PARTS = {
    require("modules.api.v3.streams"),
    require("modules.api.v3.archive"),
    require("modules.api.v3.exports"),
    require("modules.api.v3.revisions"),
    require("modules.api.v3.config"),
    require("modules.api.v3.server"),
    require("modules.api.v3.cluster"),
    require("modules.api.v3.probe"),
    require("modules.api.v3.people"),
    require("modules.api.v3.accounts"),
    require("modules.api.v3.tokens"),
    require("modules.api.v3.keys"),
    require("modules.api.v3.layouts"),
}

local routes = {}
for _, part in ipairs(PARTS) do
    for _, route in ipairs(part) do
        local names = {}
        local pattern = route[2]:gsub("[%.%-]", "%%%0"):gsub("{(%w+)}", function(name)
            names[#names + 1] = name
            return "([^/]+)"
        end)
        routes[#routes + 1] = { method = route[1], run = route[3], right = route.right, names = names, pattern = "^" .. pattern .. "/?$" }
    end
end

-- The route and what stood in its braces; or nil and the methods that there are.
local function find(request)
    local path = request.path:gsub("^/v3", "")
    local method = request.method == "HEAD" and "GET" or request.method
    local others = {}
    for _, route in ipairs(routes) do
        local found = { path:find(route.pattern) }
        if found[1] then
            if route.method == method then
                local values = {}
                for i, name in ipairs(route.names) do values[name] = found[i + 2] end
                return route, values
            end
            others[#others + 1] = route.method
        end
    end
    return nil, others
end

return function(request)
    local route, path = find(request)
    request.user = rights.user(request)
    local refused = rights.refuse(request, route and route.right or "view", route and path.uid)
    if refused then return refused end
    if route then return route.run(request, path) end
    if #path == 0 then return http.problem(404, "not-found", "There is no such call: /api/v3/openapi.json names them all.") end
    local answer = http.problem(405, "method-not-allowed", ("Not by %s here: %s."):format(request.method, table.concat(path, ", ")))
    answer.headers = { Allow = table.concat(path, ", ") }
    return answer
end
