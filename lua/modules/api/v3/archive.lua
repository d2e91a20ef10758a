-- Footage: what there is, events, locks.

local http = require("modules.api.v3.http")
local joint = require("modules.api.v3.joint")
local rights = require("modules.api.v3.rights")

local SPAN = { from = "time", to = "time" }

local function whole(t)
    return ("%d"):format(math.floor(t))
end

local function known(uid)
    return http.server("api streams", uid)
end

-- --- ranges and segments -------------------------------------------------------------------------------------------

local function span_of(args)
    local now = ms.time()
    local from, to = args.from or 0, args.to or now + 60
    if to < from then return http.bad_argument("to", "to: it ends before it begins.") end
    return from, to
end

local function ranges(request, path)
    local args, wrong = http.query(request, SPAN)
    if not args then return wrong end
    local from, to = span_of(args)
    if not from then return to end
    local ok, none = known(path.uid)
    if not ok then return none end
    local found, busy = joint.ranges(path.uid, from, to)
    if not found then return busy end
    local items, sum = found.items, 0
    for _, item in ipairs(items) do
        sum = sum + item.to - item.from
        item.from, item.to = item.from / 1e6, item.to / 1e6
    end
    sum = sum / 1e6
    local first, last = items[1], items[#items]
    return http.answer(200, {
        items = items, from = first and first.from or ms.null, to = last and last.to or ms.null, seconds = sum, missing = found.missing,
    })
end

local function segments(request, path)
    local args, wrong = http.query(request, { from = "time", to = "time", limit = "natural" })
    if not args then return wrong end
    local from, to = span_of(args)
    if not from then return to end
    local limit = math.min(args.limit or 100, 1000)
    local ok, none = known(path.uid)
    if not ok then return none end
    local found, busy = joint.segments(path.uid, from, to, limit)
    if not found then return busy end
    local items, rows = ms.array(), found.rows
    for i = 1, math.min(#rows, limit) do
        local row = rows[i]
        items[i] = {
            id = row.id, node = row.node or found.self or ms.null, storage = row.storage or ms.null, path = row.path,
            from = row.from_us / 1e6, to = row.to_us / 1e6, bytes = row.bytes, samples = row.samples, flags = row.flags & 15,
        }
    end
    return http.answer(200, { items = items, next = #rows > limit and items[limit].to or ms.null, missing = found.missing })
end

-- --- events --------------------------------------------------------------------------------------------------------

local function event_of(row)
    return {
        id = row.id, uid = row.uid, node = row.node or ms.null, kind = row.kind, source = row.source, payload = row.payload,
        start = row.start_us / 1e6, ["end"] = row.end_us and row.end_us / 1e6 or ms.null,
        before = row.before_us / 1e6, after = row.after_us / 1e6,
    }
end

local function list_events(request, uid)
    local args, wrong = http.query(request, { from = "time", to = "time", kind = "text", limit = "natural", uid = "text" })
    if not args then return wrong end
    uid = uid or args.uid
    if uid then
        local ok, none = known(uid)
        if not ok then return none end
    end
    local limit = math.min(args.limit or 1000, 5000)
    local found, busy = joint.events(uid, limit, args.from, args.to, args.kind)
    if not found then return busy end
    local items = ms.array()
    for _, row in ipairs(found.rows) do
        if rights.sees(request.user, row.uid) then items[#items + 1] = event_of(row) end
    end
    table.sort(items, function(a, b) return a.start > b.start or (a.start == b.start and a.id > b.id) end)
    for i = #items, limit + 1, -1 do items[i] = nil end
    return http.answer(200, { items = items, missing = found.missing })
end

local function events(request, path) return list_events(request, path.uid) end
local function all_events(request) return list_events(request, nil) end

local EVENT = { kind = "string!", start = "number", ["end"] = "number", before = "number", after = "number", payload = "string" }

local function add_event(request, path)
    local fields, wrong = http.body(request, EVENT)
    if not fields then return wrong end
    local words = { path.uid, fields.kind }
    for _, name in ipairs({ "start", "end" }) do
        if fields[name] then words[#words + 1] = ("%s=%.6f"):format(name, fields[name]) end
    end
    for _, name in ipairs({ "before", "after" }) do
        if fields[name] then words[#words + 1] = ("%s=%dms"):format(name, math.floor(fields[name] * 1000)) end
    end
    if fields.payload then
        if #fields.payload > 1900 or fields.payload:find("%z") then return http.wrong_field("payload", "At most 1,900 bytes of text.") end
        words[#words + 1] = "payload=" .. fields.payload
    end
    local rows, refused = http.change("event", table.unpack(words))
    return rows and http.answer(201, { id = rows[1].id, uid = path.uid }) or refused
end

-- --- locks ---------------------------------------------------------------------------------------------------------

local function lock_of(row)
    return {
        id = row.id, uid = row.uid, from = row.from_s, to = row.to_s, since = row.since_s, by = row.by, note = row.note,
        nodes = row.nodes,
    }
end

local function list_locks(request, uid)
    local found, busy = joint.locks(uid)
    if not found then return busy end
    local items = ms.array()
    for _, row in ipairs(found.rows) do
        if rights.sees(request.user, row.uid) then items[#items + 1] = lock_of(row) end
    end
    return http.answer(200, { items = items, missing = found.missing })
end

local function locks(request, path)
    local ok, none = known(path.uid)
    return ok and list_locks(request, path.uid) or none
end

local function all_locks(request) return list_locks(request, nil) end

-- A span of the body, or nil and a problem.
local function body_span(fields)
    if fields.from >= 0 and fields.to > fields.from and fields.to < 1e11 then return whole(fields.from), whole(math.ceil(fields.to)) end
    return nil, http.wrong_field("to", "from and to are unix seconds, the second behind the first.")
end

local function add_lock(request, path)
    local fields, wrong = http.body(request, { from = "number!", to = "number!", note = "string" })
    if not fields then return wrong end
    local from, to = body_span(fields)
    if not from then return to end
    local ok, none = known(path.uid)
    if not ok then return none end
    local note = fields.note or ""
    if #note > 200 or note:find("%c") then return http.wrong_field("note", "At most 200 bytes in one line.") end
    local rows, refused = http.change("archive lock", path.uid, from, to, note)
    return rows and http.answer(201, lock_of(rows[1])) or refused
end

-- A stream that names no node has locks of each node's own: such a one goes where it is.
local function delete_lock(_, path)
    local rows, wrong = http.change("archive unlock", path.uid, path.id)
    local lock = not rows and wrong.status == 404 and joint.lock_elsewhere(path.uid, path.id)
    if lock then
        local nodes = table.concat(lock.nodes, ", ")
        return http.problem(409, "held-elsewhere", ("This lock holds footage on node %s alone: take it away there."):format(nodes))
    end
    return rows and { status = 204 } or wrong
end

-- --- deleting ------------------------------------------------------------------------------------------------------

-- Whole segments inside the span; what a lock touches stays.
local function delete_footage(request, path)
    local args, wrong = http.query(request, SPAN)
    if not args then return wrong end
    if not (args.from and args.to) or args.to <= args.from then
        return select(2, http.bad_argument("to", "from and to are unix seconds, the second behind the first."))
    end
    local ok, none = known(path.uid)
    if not ok then return none end
    local rows, refused = http.change("archive delete", path.uid, whole(math.ceil(args.from)), whole(args.to))
    if not rows then return refused end
    local out = { segments = 0, bytes = 0, locked = 0, edges = 0 }
    for _, row in ipairs(rows) do
        for name in pairs(out) do out[name] = out[name] + (row[name] or 0) end
    end
    return http.answer(200, out)
end

return {
    { "GET", "/streams/{uid}/ranges", ranges, id = "getRanges", right = "archive" },
    { "GET", "/streams/{uid}/segments", segments, id = "getSegments", right = "archive" },
    { "GET", "/streams/{uid}/events", events, id = "getStreamEvents", right = "archive" },
    { "POST", "/streams/{uid}/events", add_event, id = "addEvent", right = "operate" },
    { "GET", "/events", all_events, id = "listEvents", right = "archive" },
    { "GET", "/streams/{uid}/locks", locks, id = "getStreamLocks", right = "archive" },
    { "POST", "/streams/{uid}/locks", add_lock, id = "addLock", right = "operate" },
    { "DELETE", "/streams/{uid}/locks/{id}", delete_lock, id = "deleteLock", right = "operate" },
    { "GET", "/locks", all_locks, id = "listLocks", right = "archive" },
    { "DELETE", "/streams/{uid}/footage", delete_footage, id = "deleteFootage", right = "configure" },
}
