-- Footage of all nodes of a cluster as one: what this node says, joined with what others say. A node that does not answer
-- is named in `missing`; where there is no cluster, `self` is nil and nobody is missing.

local http = require("modules.api.v3.http")

local M = {}

local function micros(t)
    return math.floor(t * 1000000)
end

local function text(t)
    return ("%d"):format(micros(t))
end

-- { self, missing, rows }; or nil and a problem.
local function others_say(call, args)
    local said, busy = http.say(call, args)
    if not said then return nil, busy end
    local out = { missing = ms.array(), rows = {} }
    for _, row in ipairs(said.rows) do
        if row.self then
            out.self = row.self
        elseif row.missing then
            out.missing[#out.missing + 1] = row.missing
        else
            out.rows[#out.rows + 1] = row
        end
    end
    return out
end

-- limit: segments, at most so many; nil: ranges.
local function elsewhere(uid, from, to, limit)
    return others_say("archive.elsewhere", { uid = uid, from_us = micros(from), to_us = micros(to), segments = limit ~= nil, limit = limit })
end

-- Stretches with less than a second between them are one: { items = { { from, to } } (microseconds), self, missing }; or nil
-- and a problem.
function M.ranges(uid, from, to)
    local rows, busy = http.server("archive ranges", uid, text(from), text(to))
    if not rows then return nil, busy end
    local others, late = elsewhere(uid, from, to)
    if not others then return nil, late end
    local items = ms.array()
    table.move(others.rows, 1, #others.rows, #rows + 1, rows)
    table.sort(rows, function(a, b) return a.from_us < b.from_us end)
    for _, row in ipairs(rows) do
        local last = items[#items]
        if last and row.from_us <= last.to + 1000000 then
            last.to = math.max(last.to, row.to_us)
        else
            items[#items + 1] = { from = row.from_us, to = row.to_us }
        end
    end
    return { items = items, self = others.self, missing = others.missing }
end

-- By their start, one that lies on two nodes once: { rows, self, missing }; or nil and a problem.
function M.segments(uid, from, to, limit)
    local rows, busy = http.server("archive segments", uid, text(from), text(to), tostring(limit))
    if not rows then return nil, busy end
    local others, late = elsewhere(uid, from, to, limit + 1)
    if not others then return nil, late end
    local here = {}
    for _, row in ipairs(rows) do here[row.id] = true end
    for _, row in ipairs(others.rows) do
        if not here[row.id] then rows[#rows + 1] = row end
        here[row.id] = true
    end
    table.sort(rows, function(a, b) return a.from_us < b.from_us end)
    return { rows = rows, self = others.self, missing = others.missing }
end

-- Events (the newest `limit`) or locks of other nodes, of one stream or (uid nil) of all.
local function events_elsewhere(uid, limit, from, to, kind)
    local to_us = to and micros(to) or math.maxinteger
    return others_say("archive.marks", { uid = uid or "", limit = limit, from_us = micros(from or 0), to_us = to_us, kind = kind or "" })
end

local function locks_elsewhere(uid)
    return others_say("archive.marks", { uid = uid or "", locks = true, from_us = 0, to_us = math.maxinteger })
end

-- The newest `limit` among others, each once, with the node that says it; where one knows its end, that counts: { rows,
-- missing }; or nil and a problem. An event may lie in more than one storage, too.
function M.events(uid, limit, from, to, kind)
    local words = { uid }
    words[#words + 1] = ("limit=%d"):format(math.max(limit, 1))
    if from then words[#words + 1] = ("from=%d"):format(math.floor(from)) end
    if to then words[#words + 1] = ("to=%d"):format(math.floor(to)) end
    if kind then words[#words + 1] = "kind=" .. kind end
    local rows, busy = http.server("events", table.unpack(words))
    if not rows then return nil, busy end
    local others, late = events_elsewhere(uid, limit, from, to, kind)
    if not others then return nil, late end
    for _, row in ipairs(rows) do row.node = others.self end
    table.move(others.rows, 1, #others.rows, #rows + 1, rows)
    local out, by_id = {}, {}
    for _, row in ipairs(rows) do
        local id = row.uid .. "/" .. row.id .. "/" .. row.source
        if not by_id[id] then
            by_id[id] = row
            out[#out + 1] = row
        elseif not by_id[id].end_us then
            by_id[id].end_us = row.end_us
        end
    end
    return { rows = out, missing = others.missing }
end

-- Each once, with the `nodes` that hold it; one that a node has released is on its way to the others. own: rows of this
-- node; nil: they are not asked for.
local function held(own, others)
    local out, by_id, released = {}, {}, {}
    for _, row in ipairs(others.rows) do
        if row.released then released[row.uid .. "/" .. row.id] = true end
    end
    local function add(row, node)
        local id = row.uid .. "/" .. row.id
        if released[id] then return end
        if not by_id[id] then
            by_id[id], out[#out + 1] = row, row
            row.nodes = ms.array()
        end
        if node then table.insert(by_id[id].nodes, node) end
    end
    for _, row in ipairs(own or {}) do add(row, others.self) end
    for _, row in ipairs(others.rows) do add(row, row.node) end
    return out
end

-- { rows, missing }; or nil and a problem.
function M.locks(uid)
    local rows, busy = http.server("archive locks", uid)
    if not rows then return nil, busy end
    local others, late = locks_elsewhere(uid)
    if not others then return nil, late end
    return { rows = held(rows, others), missing = others.missing }
end

-- The lock of that id, where this node does not have it; nil: nobody says so.
function M.lock_elsewhere(uid, id)
    local others = locks_elsewhere(uid)
    for _, row in ipairs(others and held(nil, others) or {}) do
        if row.id == id then return row end
    end
    return nil
end

return M
