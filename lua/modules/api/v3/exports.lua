-- Exports: footage that stays as long as it may be fetched, as one MP4. Nothing is copied: the file is laid out when it is fetched.

local http = require("modules.api.v3.http")
local joint = require("modules.api.v3.joint")
local rights = require("modules.api.v3.rights")

local DAY = 86400

-- What there is of it on all nodes: seconds, gaps, about how many bytes, nodes that do not answer; nil and an answer.
local function measure(row)
    local ranges, busy = joint.ranges(row.uid, row.from, row.to)
    if not ranges then return nil, busy end
    local segments, silent = joint.segments(row.uid, row.from, row.to, 20000)
    if not segments then return nil, silent end
    local streams = http.server("api streams", row.uid)
    local from, to = row.from * 1000000, row.to * 1000000
    local sum, bytes, covered, last = 0, 0, 0, from
    for _, r in ipairs(ranges.items) do sum = sum + math.max(0, math.min(r.to, to) - math.max(r.from, from)) end
    for _, s in ipairs(segments.rows) do
        -- what two nodes recorded is sent once
        local inside = math.min(s.to_us, to) - math.max(s.from_us, last)
        if s.to_us > s.from_us and inside > 0 then
            bytes = bytes + s.bytes * inside // (s.to_us - s.from_us)
            covered = covered + inside
        end
        last = math.max(last, s.to_us)
    end
    -- what is being written has no size yet
    local rate = streams and streams[1].bitrate or 0
    bytes = bytes + rate * math.max(0, sum - covered) // 8000000
    return { seconds = sum / 1e6, gaps = math.max(#ranges.items - 1, 0), bytes = bytes, missing = ranges.missing }
end

-- Where it is fetched: for whoever has this URL, as long as the export is there, and no other footage.
local function url_of(request, row)
    local place = http.place(request, row.uid)
    if not place then return ms.null end
    local token = ms.call("token.mint", {
        user = request.user.name, uid = row.uid, ops = ms.array({ "copy" }), from = row.from, to = row.to,
        duration = math.max(1, row["until"] - os.time()), export = row.id, note = ("export %s"):format(row.id),
    })
    return ("%s/archive-%d-%d.mp4%s"):format(place, row.from, row.to - row.from, token and "?token=" .. token or "")
end

local function plain(row)
    return {
        id = row.id, uid = row.uid, from = row.from, to = row.to, note = row.note, by = row.by, made = row.made, expires = row["until"],
        state = "ready", progress = 1,
    }
end

local function whole(request, row, status)
    local found, wrong = measure(row)
    if not found then return wrong end
    local locks, late = joint.locks(row.uid)
    if not locks then return late end
    local out = plain(row)
    for _, lock in ipairs(locks.rows) do
        if lock.id == row.id then out.nodes = lock.nodes end
    end
    out.seconds, out.gaps, out.bytes, out.missing = found.seconds, found.gaps, found.bytes, found.missing
    out.url = url_of(request, row)
    return http.answer(status, out)
end

local function rows_seen(request)
    local rows, busy = http.server("api exports")
    if not rows then return nil, busy end
    local out = {}
    for _, row in ipairs(rows) do
        if rights.sees(request.user, row.uid) then out[#out + 1] = row end
    end
    return out
end

local function find(request, id)
    local rows, busy = rows_seen(request)
    if not rows then return nil, busy end
    for _, row in ipairs(rows) do
        if row.id == id then return row end
    end
    return nil, http.problem(404, "no-export", "There is no such export: it has ended, or was deleted.")
end

local function list(request)
    local rows, busy = rows_seen(request)
    if not rows then return busy end
    local items = ms.array()
    for i, row in ipairs(rows) do items[i] = plain(row) end
    return http.answer(200, { items = items })
end

local function get(request, path)
    local row, wrong = find(request, path.id)
    return row and whole(request, row, 200) or wrong
end

local function add(request)
    local fields, wrong = http.body(request, { uid = "string!", from = "number!", to = "number!", note = "string", expires = "number" })
    if not fields then return wrong end
    local keep, note = math.tointeger(fields.expires or DAY), fields.note or ""
    if not keep or keep < 60 or keep > 7 * DAY then return http.wrong_field("expires", "It is a whole number of seconds, from 60 to a week.") end
    if #note > 200 or note:find("%c") then return http.wrong_field("note", "At most 200 bytes in one line.") end
    if fields.from < 0 or fields.to >= 1e11 or fields.to <= fields.from then
        return http.wrong_field("to", "from and to are unix seconds, the second behind the first.")
    end
    if not rights.sees(request.user, fields.uid) then return http.no_stream(fields.uid) end
    local from, to = math.floor(fields.from), math.ceil(fields.to)
    local known, none = http.server("api streams", fields.uid)
    if not known then return none end
    local found, busy = measure({ uid = fields.uid, from = from, to = to })
    if not found then return busy end
    if found.seconds <= 0 then return http.problem(404, "nothing-recorded", "Nothing is recorded in that time: GET .../ranges says what is.") end
    local rows, refused = http.change("api export", fields.uid, ("%d"):format(from), ("%d"):format(to), tostring(keep), note)
    if not rows then return refused end
    local row, gone = find(request, rows[1].id)
    return row and whole(request, row, 201) or gone
end

local function delete(request, path)
    local row, wrong = find(request, path.id)
    if not row then return wrong end
    local rows, refused = http.change("api export end", path.id)
    return rows and { status = 204 } or refused
end

return {
    { "POST", "/exports", add, id = "addExport", right = "operate" },
    { "GET", "/exports", list, id = "listExports", right = "operate" },
    { "GET", "/exports/{id}", get, id = "getExport", right = "operate" },
    { "DELETE", "/exports/{id}", delete, id = "deleteExport", right = "operate" },
}
