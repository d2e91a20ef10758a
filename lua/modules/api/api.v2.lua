-- interface: media-server 1
--
-- The API below /api/, as the first generation of the Mediaserver had it. The server asks this script for every
-- request whose token it has checked; what only the server can do is asked for by ms.call(name, arguments),
-- which waits without holding anybody up and returns what was asked for, or nil and why there is none.
--
-- To change it: copy it to modules/api/api.v2.lua in the folder of media-server.ini and edit the copy; docs/lua.md
-- says how.
--
-- request.method   GET, POST, PUT, DELETE
-- request.path     below the base: "/streams/cam-1/"
-- request.query    arguments of the URL, texts by name
-- request.body     the text that was sent, "" for none
-- request.address  of whoever asks
-- request.is_local does the request come from this machine itself?
-- request.token    nil, or { valid, user, ops = { api = true, ... } }
--
-- The answer: { status = 200, body = text, type = "application/json", headers = { name = text } }

local routes = {}

local function answer(status, value)
    return { status = status, type = "application/json", body = ms.json(value) }
end

local function fail(status, text)
    return answer(status, { error = text })
end

-- What ms.call could not do, as a status.
local STATUS = { ["no such stream"] = 404 }

local function failed(why)
    return fail(STATUS[why] or 503, why)
end

-- The request's body as an object with fields of these types, or nil and an answer.
local function read(request, types)
    local value, why, at = ms.parse(request.body)
    if value == nil then return nil, fail(400, ("JSON at byte %d: %s"):format(at, why)) end
    if type(value) ~= "table" then return nil, fail(400, "an object is expected") end
    for name, v in pairs(value) do
        local want = types[name]
        if not want then return nil, fail(400, ("unknown field %q"):format(name)) end
        if type(v) ~= want then return nil, fail(400, ("field %q is a %s, not a %s"):format(name, want, type(v))) end
    end
    return value
end

-- --- tokens --------------------------------------------------------------------------------------------------------

local function duration_of(fields)
    local s = fields.duration or 0
    return s >= 0 and math.tointeger(s)
end

-- Tokens of the API are made on this machine only; whoever can sign in here may have one.
routes["POST /auth/token/api/"] = { open = true, run = function(request)
    if not request.is_local then return fail(403, "tokens of the API are made on the server itself") end
    local fields, wrong = read(request, { client = "string", duration = "number" })
    if not fields then return wrong end
    local duration = duration_of(fields)
    if not duration then return fail(400, "duration: whole seconds, 0 for ever") end
    local token, why = ms.call("token.mint", { user = fields.client or "", ops = ms.array({ "api" }), duration = duration })
    if not token then return failed(why) end
    return answer(200, token)
end }

-- The stream need not exist here: every node with the same secret takes the token.
routes["POST /auth/token/access/"] = { run = function(request)
    local fields, wrong = read(request, { uid = "string", user = "string", duration = "number" })
    if not fields then return wrong end
    local duration = duration_of(fields)
    if not duration then return fail(400, "duration: whole seconds, 0 for ever") end
    if not fields.uid then return fail(400, "uid: the stream that may be watched") end
    local token, why = ms.call("token.mint",
        { user = fields.user or "", uid = fields.uid, ops = ms.array({ "live", "dvr", "copy" }), duration = duration })
    if not token then return failed(why) end
    return answer(200, token)
end }

-- --- from a request to its function --------------------------------------------------------------------------------

local function may(request)
    local token = request.token
    return token and token.valid and token.ops.api
end

return function(request)
    local path = request.path
    if path:sub(-1) ~= "/" then path = path .. "/" end
    local route = routes[request.method .. " " .. path]
    if not (route and route.open or may(request)) then return fail(403, "a token of the API is needed") end
    if not route then return fail(404, "there is no such call") end
    return route.run(request)
end
