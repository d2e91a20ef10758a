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
-- request.is_local  does the request come from this machine itself?
-- request.token     nil, or { valid, user, ops = { api = true, ... } }
--
-- The answer: { status = 200, body = text, type = "application/json", headers = { name = text } }

local function answer(status, value)
    return { status = status, type = "application/json", body = ms.json(value) }
end

local function fail(status, text)
    return answer(status, { error = text })
end

-- --- what is sent --------------------------------------------------------------------------------------------------

-- The body as an object, or nil and an answer. types: the type of each field there may be; nil: any field.
local function object(request, types)
    local value, why, at = ms.parse(request.body)
    if value == nil then return nil, fail(400, ("JSON, behind byte %d: %s"):format(at, why)) end
    if type(value) ~= "table" or next(value) == 1 then return nil, fail(400, "an object is expected") end
    for name, v in pairs(value) do
        local want = types and types[name]
        if types and not want then return nil, fail(400, ("there is no field %q"):format(name)) end
        if want and type(v) ~= want then return nil, fail(400, ("the field %q is a %s"):format(name, want)) end
    end
    return value
end

local BOOLEANS = { ["true"] = "true", ["1"] = "true", ["false"] = "false", ["0"] = "false" }

-- --- the server ----------------------------------------------------------------------------------------------------

local CODES = { [1] = 409, [2] = 400, [4] = 404 }

-- A command of msctl: its rows, or nil and an answer that says why not. name: server, or server.change for what changes something.
local function server(name, cmd, ...)
    local said, why = ms.call(name, { cmd = cmd, args = ms.array({ ... }) })
    if not said then return nil, fail(503, why) end
    local rows, more = said.rows, said.more
    while more do
        local page, gone = ms.call("server.more", more)
        if not page then return nil, fail(503, gone) end
        table.move(page.rows, 1, #page.rows, #rows + 1, rows)
        more = page.more
    end
    if said.code == 0 then return rows end
    for _, row in ipairs(rows) do
        if row.level == "mistake" then return nil, fail(400, ("%s: %s"):format(row.key, row.text)) end
    end
    return nil, fail(CODES[said.code] or 503, said.text)
end

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
    return token and answer(200, token) or fail(503, why)
end

-- Tokens of the API are made on this machine only: whoever can sign in here may have one.
local function token_api(request)
    if not request.is_local then return fail(403, "tokens of the API are made on the server itself") end
    return mint(request, { client = "string", duration = "number" }, function(fields)
        return { user = fields.client or "", ops = ms.array({ "api" }) }
    end)
end

-- The stream need not exist here: every node with the same secret takes the token.
local function token_access(request)
    return mint(request, { uid = "string", user = "string", duration = "number" }, function(fields)
        if not fields.uid then return nil, fail(400, "uid: the stream that may be watched") end
        return { user = fields.user or "", uid = fields.uid, ops = ms.array({ "live", "dvr", "copy" }) }
    end)
end

-- --- streams -------------------------------------------------------------------------------------------------------

-- States as the first generation named them.
local STATES = { connecting = "pending", idle = "pending", stale = "down" }

local function status_of(row)
    return STATES[row.state] or row.state
end

-- Nobody has measured a ping: null. What is sent is what its live viewers are sent.
local function in_list(row)
    local plays = row.state == "active" or row.state == "stale"
    return {
        uid = row.uid, camera_uid = row.camera_uid, type = "primary", status = status_of(row), access = row.access, enabled = row.enabled,
        track_video = row.video, track_audio = row.audio, dvr_enabled = row.dvr, dvr_paused = row.paused,
        reconnect_attempt = plays and 0 or math.max(row.connects - row.reconnects, 0), reconnect_total = row.reconnects, reconnect_time = row.since_s,
        bitrate_in = row.bitrate_bps, bitrate_out = row.bitrate_bps * row.viewers, src_ping_time = ms.null, clients_count = row.viewers,
    }
end

local function list()
    local rows, wrong = server("server", "api streams")
    if not rows then return wrong end
    local out = ms.array()
    for i, row in ipairs(rows) do out[i] = in_list(row) end
    return answer(200, out)
end

local function ping(_, uid)
    local rows, wrong = server("server", "api streams", uid)
    return rows and answer(200, { uid = uid, status = status_of(rows[1]) }) or wrong
end

local function change(uid, cmd, ...)
    local rows, wrong = server("server.change", cmd, uid, ...)
    return rows and answer(200, { uid = uid }) or wrong
end

local function restart(_, uid)
    return change(uid, "restart")
end

local function enable(request, uid)
    local on = BOOLEANS[request.query.enable]
    if not on then return fail(400, "enable: true or false") end
    return change(uid, "stream set", "stream-enable=" .. on)
end

-- 0 seconds: until it is switched off.
local function ondemand(request, uid)
    local on, seconds = BOOLEANS[request.query.record], request.query.duration or "0"
    if not on or not seconds:find("^%d+$") then return fail(400, "record: true or false; duration: seconds") end
    if on == "false" then return change(uid, "record", "off") end
    if seconds == "0" then return change(uid, "record", "on") end
    return change(uid, "record", "on", seconds)
end

-- Fields are the keys of streams/<uid>.ini; an array is a list. One that exists gets the new ones, and is restarted where they need it.
local function create(request, uid)
    local fields, wrong = object(request)
    if not fields then return wrong end
    local sets = {}
    for key, value in pairs(fields) do
        if type(value) == "table" then value = table.concat(value, ", ") end
        if value ~= ms.null then value = "=" .. tostring(value) else value = "" end
        sets[#sets + 1] = key .. value
    end
    table.sort(sets)
    local known = server("server", "api streams", uid)
    return change(uid, known and "stream set" or "stream create", table.unpack(sets))
end

-- The stream's file is set aside, its footage stays.
local function delete(request, uid)
    if BOOLEANS[request.query.erase_dvr or "false"] ~= "false" then
        return fail(400, "footage is deleted by: msctl archive vacuum " .. uid .. " yes")
    end
    return change(uid, "stream remove")
end

-- --- from a request to its function --------------------------------------------------------------------------------

-- open: without a token of the API.
local routes = {
    { "POST", "/auth/token/api/", token_api, open = true },
    { "POST", "/auth/token/access/", token_access },
    { "GET", "/streams/", list },
    { "POST", "/streams/{uid}/", create },
    { "DELETE", "/streams/{uid}/", delete },
    { "GET", "/streams/{uid}/ping/", ping },
    { "PUT", "/streams/{uid}/restart/", restart },
    { "PUT", "/streams/{uid}/enable/", enable },
    { "PUT", "/streams/{uid}/ondemand/", ondemand },
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

local function may(request)
    local token = request.token
    return token and token.valid and token.ops.api
end

return function(request)
    local route, uid, others = find(request)
    if not (route and route.open or may(request)) then return fail(403, "a token of the API is needed") end
    if route then return route[3](request, uid) end
    if #others == 0 then return fail(404, "there is no such call") end
    local refused = fail(405, "not by this method")
    refused.headers = { Allow = table.concat(others, ", ") }
    return refused
end
