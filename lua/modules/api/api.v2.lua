-- interface: media-server 1
--
-- The API below /api/, as the first generation of the Mediaserver had it. What only the server can do is asked for by
-- ms.call(name, arguments), which waits without holding anybody up and returns what was asked for, or nil and why
-- there is none.
--
-- To change it: copy it to modules/api/api.v2.lua in the folder of media-server.ini and edit the copy; docs/lua.md
-- says how.
--
-- request.method    GET, POST, PUT, DELETE
-- request.path      below the base: "/streams/cam-1/"
-- request.query     arguments of the URL, texts by name
-- request.body      the text that was sent, "" for none
-- request.type      its Content-Type
-- request.address   of whoever asks
-- request.host      that it was sent to, as it says
-- request.is_local  does the request come from this machine itself?
-- request.user      nil, or { name, role = root, admin, user or guest, by = session, basic or token, cameras = nil (all) or
--                   an array of uids and beginnings with '*' }: who has signed in, or whose token of the API it is
-- request.token     nil, or { valid, user, ops = { api = true, ... } }
--
-- The answer: { status = 200, body = text, type = "application/json", headers = { name = text } }

local http = require("modules.api.v2.http")
local answer, fail, object = http.answer, http.fail, http.object
local streams = require("modules.api.v2.streams")
local nodes = require("modules.api.v2.nodes")

-- --- tokens --------------------------------------------------------------------------------------------------------

local function mint(request, types, with)
    local fields, wrong = object(request, types)
    if not fields then return wrong end
    local duration = math.tointeger(fields.duration or 0)
    if not duration or duration < 0 then return fail(400, "duration: whole seconds, 0 for ever") end
    local asked, refusal = with(fields)
    if not asked then return refusal end
    asked.duration = duration
    local token, why = ms.call("token.mint", asked)
    if why == "foreign" then return fail(403, "uid: streams that this account does not see") end
    return token and answer(200, token) or fail(503, why)
end

-- Tokens of the API are made on this machine only: whoever can sign in here may have one.
local function token_api(request)
    if not request.is_local then return fail(403, "tokens of the API are made on the server itself") end
    return mint(request, { client = "string", duration = "number" }, function(fields)
        return { user = fields.client or "", ops = ms.array({ "api" }), note = "POST /api/auth/token/api/" }
    end)
end

-- The stream need not exist here: every node with the same secret takes the token.
local function token_access(request)
    return mint(request, { uid = "string", user = "string", duration = "number" }, function(fields)
        if not fields.uid then return nil, fail(400, "uid: the stream that may be watched") end
        return { user = fields.user or "", uid = fields.uid, ops = ms.array({ "live", "dvr", "copy" }), note = "POST /api/auth/token/access/" }
    end)
end

-- --- from a request to its function --------------------------------------------------------------------------------

-- open: without a token of the API; archive: not for guests, who see what is live.
local routes = {
    { "POST", "/auth/token/api/", token_api, open = true },
    { "POST", "/auth/token/access/", token_access },
    { "GET", "/streams/", streams.list },
    { "GET", "/streams/broadcast/", streams.broadcast },
    { "GET", "/streams/{uid}/", streams.get },
    { "POST", "/streams/{uid}/", streams.create },
    { "DELETE", "/streams/{uid}/", streams.delete },
    { "GET", "/streams/{uid}/ping/", streams.ping },
    { "GET", "/streams/{uid}/ranges/", streams.ranges, archive = true },
    { "PUT", "/streams/{uid}/restart/", streams.restart },
    { "PUT", "/streams/{uid}/enable/", streams.enable },
    { "PUT", "/streams/{uid}/ondemand/", streams.ondemand },
    { "PUT", "/streams/{uid}/reconfigure/", streams.reconfigure },
    { "POST", "/streams/{uid}/transfer/", nodes.transfer },
    { "GET", "/cluster/backups/", nodes.backups },
    { "POST", "/server/", nodes.server },
}
for _, route in ipairs(routes) do
    route.pattern = "^" .. route[2]:gsub("{uid}", "([%%w._-]+)") .. "$"
end

local function find(request)
    local path = request.path:gsub("/*$", "/")
    local method = request.method == "HEAD" and "GET" or request.method
    local others = {}
    for _, route in ipairs(routes) do
        local from, _, uid = path:find(route.pattern)
        if from and route[1] == method then return route, uid end
        if from then others[#others + 1] = route[1] end
    end
    return nil, nil, others
end

local function may(request, route)
    local user = request.user
    if not user or (user.role == "guest" and route and route.archive) then return false end
    return user.role == "root" or user.role == "admin" or request.method == "GET" or request.method == "HEAD"
end

return function(request)
    local route, uid, others = find(request)
    if not (route and route.open or may(request, route)) then return fail(403, "a token of the API is needed") end
    if route then return route[3](request, uid) end
    if #others == 0 then return fail(404, "there is no such call") end
    local refused = fail(405, "not by this method")
    refused.headers = { Allow = table.concat(others, ", ") }
    return refused
end
