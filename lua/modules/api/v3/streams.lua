-- Streams: lists, one of them, what is done to them.

local http = require("modules.api.v3.http")
local edits = require("modules.api.v3.edits")
local rights = require("modules.api.v3.rights")

-- --- lists ---------------------------------------------------------------------------------------------------------

-- Fields of a stream in lists, by what they are compared as.
local FIELDS = {
    uid = "text", name = "text", camera_uid = "text", profile = "text", enabled = "boolean", on_demand = "boolean", access = "text",
    tracks = "text", proto = "text", dvr = "boolean", dvr_mode = "text", archive = "text", source = "text", state = "text", reason = "text",
    since = "number", viewers = "number", record = "text", record_reason = "text", paused = "boolean", restarts = "number", memory = "number",
    cpu = "number", ping = "number", storage = "text", bitrate = "number", codec = "text", audio = "text", width = "number", height = "number",
    last_frame = "number", frames = "number", losses = "number", repairs = "number", connects = "number", reconnects = "number",
}

local PLAIN = { limit = "natural", cursor = "text", q = "text", select = "list", sort = "list" }

-- state=down,invalid, viewers.min=1: a filter's values, each as the field's type is.
local function filter(question, name, text)
    local field, bound = name:match("^([%w_]+)%.(m[inax]+)$")
    if field and FIELDS[field] == "number" and (bound == "min" or bound == "max") then
        local n = tonumber(text)
        if not n then return http.bad_argument(name, ("The argument %s is a number."):format(name)) end
        question[bound][field] = n
        return true
    end
    local kind = FIELDS[name]
    if not kind then return http.bad_argument(name, ("There is no argument %q here, and no such field."):format(name)) end
    local values = ms.array()
    for part in (text .. ","):gmatch("([^,]*),") do
        local value = part
        if kind == "number" then value = tonumber(part) end
        if kind == "boolean" then value = ({ ["true"] = true, ["false"] = false })[part] end
        if value == nil then return http.bad_argument(name, ("The argument %s is of type %s."):format(name, kind)) end
        values[#values + 1] = value
    end
    question.is[name] = values
    return true
end

local function check_fields(name, list)
    for _, field in ipairs(list or {}) do
        if not FIELDS[field:gsub("^-", "")] then return http.bad_argument(name, ("%s: there is no field %q."):format(name, field)) end
    end
    return true
end

local function question_of(request)
    local question, plain = { is = {}, min = {}, max = {} }, {}
    for name, text in pairs(request.query) do
        if PLAIN[name] then
            plain[name] = text
        else
            local ok, wrong = filter(question, name, text)
            if not ok then return nil, wrong end
        end
    end
    local args, wrong = http.query({ query = plain }, PLAIN)
    if not args then return nil, wrong end
    for _, name in ipairs({ "select", "sort" }) do
        local ok, refused = check_fields(name, args[name])
        if not ok then return nil, refused end
    end
    question.limit, question.after, question.q = args.limit, args.cursor, args.q
    question.select, question.sort = args.select, args.sort
    question.only = request.user.cameras and ms.array(request.user.cameras)
    return question
end

local function list(request)
    local question, wrong = question_of(request)
    if not question then return wrong end
    local held, why = ms.call("streams.list", question)
    if held then return { status = 200, type = "application/json", held = held } end
    local name = why:match("^(%w+):")
    if not name then return http.busy(why) end
    return select(2, http.bad_argument(name, why))
end

-- --- one -----------------------------------------------------------------------------------------------------------

local function config(uid)
    local rows, wrong = http.server("api config", uid)
    if not rows then return nil, wrong end
    local keys = {}
    for i = 2, #rows do keys[rows[i].key] = rows[i].value end
    return keys, rows[1].etag
end

local function quoted(etag)
    return { ETag = '"' .. etag .. '"' }
end

-- What the server's rows say beside the list's fields.
local function add_past(out, rows)
    out.attempts, out.steps, out.sdp = ms.array(), ms.array(), ms.null
    for _, row in ipairs(rows) do
        local kind = row.kind
        row.kind = nil
        if kind == "attempt" then out.attempts[#out.attempts + 1] = row end
        if kind == "step" then out.steps[#out.steps + 1] = row end
        if kind == "sdp" then out.sdp = row.text end
        if kind == "stream" then
            for name, value in pairs(row) do out[name] = value end
        end
    end
end

local function get(_, path)
    local found, none = http.server("api streams", path.uid)
    if not found then return none end
    local out = found[1]
    local rows, wrong = http.server("api stream", path.uid)
    if not rows then return wrong end
    add_past(out, rows)
    if not out.clock_known then out.clock_offset = ms.null end
    out.clock_known = nil
    local keys, etag = config(path.uid)
    if not keys then return etag end
    out.config = keys
    out.media = ms.call("stream.tracks", path.uid) or ms.array()
    return http.answer(200, out, quoted(etag))
end

local function get_config(request, path)
    local keys, etag = config(path.uid)
    if not keys then return etag end
    if request.if_none_match == '"' .. etag .. '"' then return { status = 304, headers = quoted(etag) } end
    return http.answer(200, keys, quoted(etag))
end

-- --- made, changed, taken away -------------------------------------------------------------------------------------

local function write(kind)
    return function(request, path)
        local args, wrong = http.query(request, { validate = "boolean" })
        if not args then return wrong end
        local fields, bad = http.body(request)
        if not fields then return bad end
        return edits.one(request, { kind = kind, uid = path.uid, config = fields }, args.validate)
    end
end

-- Its footage goes with it where that is asked for, the segment that was open too; what is locked stays.
local function delete(request, path)
    local args, wrong = http.query(request, { validate = "boolean", footage = "text" })
    if not args then return wrong end
    if args.footage and args.footage ~= "keep" and args.footage ~= "delete" then
        return select(2, http.bad_argument("footage", "footage: keep or delete."))
    end
    local gone = edits.one(request, { kind = "remove", uid = path.uid }, args.validate)
    if args.footage ~= "delete" or args.validate or gone.status ~= 200 then return gone end
    local rows, refused = http.change("archive vacuum", path.uid, "yes")
    if not rows then return refused end
    local value, footage = ms.parse(gone.body), { segments = 0, locked = 0 }
    for _, row in ipairs(rows) do
        footage.segments = footage.segments + (row.deleted or 0)
        footage.locked = footage.locked + (row.locked or 0)
    end
    value.footage = footage
    return http.answer(200, value, gone.headers)
end

local KINDS = { replace = "replace", merge = "merge", delete = "remove" }

local ITEM = "An item is { uid, config, mode = replace, merge or delete, etag }, of a stream that you see."

local function bulk(request)
    local args, wrong = http.query(request, { validate = "boolean" })
    if not args then return wrong end
    local fields, bad = http.body(request, { items = "array!", text = "string" })
    if not fields then return bad end
    local items, errors = {}, ms.array()
    for i, item in ipairs(fields.items) do
        local ok = type(item) == "table" and type(item.uid) == "string" and KINDS[item.mode or "replace"]
        if ok and type(item.config or {}) == "table" and rights.sees(request.user, item.uid) then
            items[i] = { kind = ok, uid = item.uid, config = item.config or {}, etag = item.etag, field = ("/items/%d"):format(i - 1) }
        elseif #errors < 20 then
            errors[#errors + 1] = { field = ("/items/%d"):format(i - 1), detail = ITEM }
        end
    end
    if #errors > 0 then return http.problem(422, "wrong-fields", errors[1].field .. ": " .. errors[1].detail, { errors = errors }) end
    return edits.many(items, fields.text, args.validate)
end

-- --- done to them --------------------------------------------------------------------------------------------------

local function done(uid, rows, wrong)
    return rows and http.answer(200, { uid = uid }) or wrong
end

local function restart(_, path)
    return done(path.uid, http.change("restart", path.uid))
end

local function enabled(request, path)
    local value, why, at = ms.parse(request.body)
    if value == nil then return http.no_json(why, at) end

    local on = type(value) == "table" and value.enabled
    if on ~= true and on ~= false and on ~= "on-demand" then return http.wrong_field("enabled", 'It is true, false or "on-demand".') end
    return edits.one(request, { kind = "set", uid = path.uid, config = { ["stream-enable"] = on } })
end

local function seconds_of(fields)
    local n = fields.seconds
    if n == nil then return "" end
    n = math.tointeger(n)
    if not n or n < 1 or n > 10 * 366 * 86400 then return nil, http.wrong_field("seconds", "It is a whole number from 1 on.") end
    return tostring(n)
end

-- on, off: commands of msctl with the uid in them.
local function switch(name, on, off)
    return function(request, path)
        local fields, wrong = http.body(request, { [name] = "boolean!", seconds = "number" })
        if not fields then return wrong end
        local seconds, bad = seconds_of(fields)
        if not seconds then return bad end
        if not fields[name] then return done(path.uid, http.change(off[1], path.uid, off[2])) end
        local words = { path.uid, on[2] }
        if seconds ~= "" then words[#words + 1] = seconds end
        return done(path.uid, http.change(on[1], table.unpack(words)))
    end
end

local function logs(request, path)
    local args, wrong = http.query(request, { limit = "natural" })
    if not args then return wrong end
    local rows, none = http.server("logs", path.uid)
    if not rows then return none end
    local items = ms.array()
    for i = math.max(1, #rows - (args.limit or #rows) + 1), #rows do items[#items + 1] = rows[i].line end
    return http.answer(200, { items = items })
end

return {
    { "GET", "/streams", list, id = "listStreams", right = "view" },
    { "PUT", "/streams", bulk, id = "changeStreams", right = "configure" },
    { "GET", "/streams/{uid}", get, id = "getStream", right = "view" },
    { "PUT", "/streams/{uid}", write("replace"), id = "putStream", right = "configure" },
    { "PATCH", "/streams/{uid}", write("merge"), id = "patchStream", right = "configure" },
    { "DELETE", "/streams/{uid}", delete, id = "deleteStream", right = "configure" },
    { "GET", "/streams/{uid}/config", get_config, id = "getStreamConfig", right = "configure" },
    { "POST", "/streams/{uid}/restart", restart, id = "restartStream", right = "operate" },
    { "PUT", "/streams/{uid}/enabled", enabled, id = "enableStream", right = "operate" },
    { "PUT", "/streams/{uid}/pause", switch("paused", { "pause" }, { "resume" }), id = "pauseRecording", right = "operate" },
    { "PUT", "/streams/{uid}/record", switch("on", { "record", "on" }, { "record", "off" }), id = "recordStream", right = "operate" },
    { "GET", "/streams/{uid}/logs", logs, id = "getStreamLogs", right = "operate" },
}
