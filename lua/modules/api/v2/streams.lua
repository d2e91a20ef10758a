-- Streams, as the first generation's API has them.

local http = require("modules.api.v2.http")
local answer, fail, object = http.answer, http.fail, http.object

local M = {}

-- States as the first generation named them.
local STATES = { connecting = "pending", idle = "pending", stale = "down" }

local function status_of(row)
    return STATES[row.state] or row.state
end

-- Milliseconds that its camera took to answer first, last time; null: it has not.
local function ping_of(row)
    return row.ping > 0 and math.floor(row.ping * 1000 + 0.5) or ms.null
end

-- By uid, of a cluster: is this node not the first of those that are to record it? A node that works alone has none.
local function secondaries()
    local rows = http.server("server", "cluster streams")
    local about = rows and http.server("server", "api server")
    local out = {}
    if not about then return out end
    local own = tostring(about[1].node)
    for _, row in ipairs(rows) do
        out[row.uid] = row.nodes:find("%d") ~= nil and row.nodes:match("^[^,]*") ~= own
    end
    return out
end

local function type_of(uid, secondary) return secondary[uid] and "secondary" or "primary" end

-- What is sent is what its live viewers are sent.
local function in_list(row, secondary)
    local plays = row.state == "active" or row.state == "stale"
    return {
        uid = row.uid, camera_uid = row.camera_uid, type = type_of(row.uid, secondary), status = status_of(row),
        access = row.access, enabled = row.enabled,
        track_video = row.tracks:find("video") ~= nil, track_audio = row.tracks:find("audio") ~= nil,
        dvr_enabled = row.dvr, dvr_paused = row.record == "paused",
        reconnect_attempt = plays and 0 or math.max(row.connects - row.reconnects, 0), reconnect_total = row.reconnects, reconnect_time = row.since,
        bitrate_in = row.bitrate, bitrate_out = row.bitrate * row.viewers, src_ping_time = ping_of(row), clients_count = row.viewers,
    }
end

function M.list()
    local rows, wrong = http.server("server", "api streams")
    if not rows then return wrong end
    local out, secondary = ms.array(), secondaries()
    for i, row in ipairs(rows) do out[i] = in_list(row, secondary) end
    return answer(200, out)
end

function M.ping(_, uid)
    local rows, wrong = http.server("server", "api streams", uid)
    return rows and answer(200, { uid = uid, status = status_of(rows[1]) }) or wrong
end

local function change(uid, cmd, ...)
    local rows, wrong = http.server("server.change", cmd, uid, ...)
    return rows and answer(200, { uid = uid }) or wrong
end

function M.restart(_, uid)
    return change(uid, "restart")
end

function M.enable(request, uid)
    local on = http.BOOLEANS[request.query.enable]
    if not on then return fail(400, "enable: true or false") end
    return change(uid, "stream set", "stream-enable=" .. on)
end

-- 0 seconds: until it is switched off.
function M.ondemand(request, uid)
    local on, seconds = http.BOOLEANS[request.query.record], request.query.duration or "0"
    if not on or not seconds:find("^%d+$") then return fail(400, "record: true or false; duration: seconds") end
    if on == "false" then return change(uid, "record", "off") end
    if seconds == "0" then return change(uid, "record", "on") end
    return change(uid, "record", "on", seconds)
end

-- Fields are the keys of streams/<uid>.ini; an array is a list. One that exists gets the new ones, and is restarted where they need it.
function M.create(request, uid)
    local fields, wrong = object(request)
    if not fields then return wrong end
    local sets = {}
    for key, value in pairs(fields) do
        if type(value) == "table" then value = table.concat(value, ", ") end
        if value ~= ms.null then value = "=" .. tostring(value) else value = "" end
        sets[#sets + 1] = key .. value
    end
    table.sort(sets)
    local known = http.server("server", "api streams", uid)
    return change(uid, known and "stream set" or "stream create", table.unpack(sets))
end

-- The stream's file is set aside; its footage stays, unless that is asked for: what is locked stays in any case.
function M.delete(request, uid)
    local erase = http.BOOLEANS[request.query.erase_dvr or "false"]
    if not erase then return fail(400, "erase_dvr: true or false") end
    if erase == "true" then -- on all nodes of a cluster, while the stream is still known to be shared
        local done, refused = http.server("server.change", "archive delete", uid, "0", ("%d"):format(os.time() + 60))
        if not done then return refused end
    end
    local gone = change(uid, "stream remove")
    if erase == "false" or gone.status ~= 200 then return gone end
    local rows, wrong = http.server("server.change", "archive vacuum", uid, "yes")
    return rows and gone or wrong
end

-- --- one stream ----------------------------------------------------------------------------------------------------

local function merged(rows)
    local out = {}
    for _, row in ipairs(rows) do
        local from, to = row.from_us / 1e6, row.to_us / 1e6
        local last = out[#out]
        if last and from <= last.to + 1 then
            last.to = math.max(last.to, to)
        else
            out[#out + 1] = { from = from, to = to }
        end
    end
    return out
end

-- What is recorded on any node, joined where it goes on; and the nodes that do not say.
local function stretches(uid)
    local rows, wrong = http.server("server", "archive ranges", uid, "0", ("%d"):format((os.time() + 60) * 1000000))
    if not rows then return nil, wrong end
    local others, late = http.rows("archive.elsewhere", { uid = uid, segments = false })
    if not others then return nil, late end
    local missing = {}
    for _, row in ipairs(others) do
        if row.from_us then rows[#rows + 1] = row end
        if row.missing then missing[#missing + 1] = row.missing end
    end
    table.sort(rows, function(a, b) return a.from_us < b.from_us end)
    return merged(rows), missing
end

function M.ranges(_, uid)
    local known, none = http.server("server", "api streams", uid)
    if not known then return none end
    local all, missing = stretches(uid)
    if not all then return missing end
    local ranges, length = ms.array(), 0
    for i, r in ipairs(all) do
        local from, to = math.floor(r.from), math.ceil(r.to)
        ranges[i] = { from = from, ["end"] = to, duration = to - from }
        length = length + to - from
    end
    local first, last = ranges[1], ranges[#ranges]
    local out = answer(200, { start = first and first.from or 0, stop = last and last["end"] or 0, length = length, ranges = ranges })
    if #missing > 0 then out.headers = { ["X-Archive-Incomplete"] = "nodes " .. table.concat(missing, ", ") } end
    return out
end

local function tracks(uid)
    local out = {}
    for _, t in ipairs(ms.call("stream.tracks", uid) or {}) do
        local one = { track_id = t.id, clock_rate = t.clock_rate, codec = t.codec }
        if t.kind == "video" then one.width, one.height = t.width, t.height end
        if t.kind == "audio" then one.sample_rate, one.channels = t.sample_rate, t.channels end
        out[t.kind] = out[t.kind] or one
    end
    return out
end

local function storage_path(name)
    local rows = http.server("server", "storage list")
    for _, row in ipairs(rows or {}) do
        if row.name == name then return row.path end
    end
    return ms.null
end

local function dvr(row, about, all)
    local storage = row.storage ~= "" and row.storage or row.archive:match("^[^*,]+") or ""
    local path, sum = storage_path(storage), 0
    for _, r in ipairs(all) do sum = sum + r.to - r.from end
    return {
        storage = storage, storage_path = path, records_path = path ~= ms.null and ("%s/%s/records"):format(path, row.uid) or ms.null,
        enable = row.dvr, ["on-demand"] = row.dvr_mode == "ondemand", pause = row.record == "paused",
        duration_archive = about.recording.duration, duration_chunk = about.recording.chunk,
        record_from = all[1] and math.floor(all[1].from) or 0, record_to = all[1] and math.ceil(all[#all].to) or 0,
        record_duration = math.floor(sum), ranges_count = #all, ranges_memory = 0,
    }
end

-- source: where its configuration comes from.
function M.get(_, uid)
    local rows, none = http.server("server", "api streams", uid)
    if not rows then return none end
    local about, wrong = http.server("server", "api stream", uid)
    if not about then return wrong end
    local all, silent = stretches(uid)
    if not all then return silent end
    local row, sdp = rows[1], ms.null
    for _, r in ipairs(about) do
        if r.kind == "sdp" then sdp = r.text end
    end
    return answer(200, {
        uid = uid, camera_uid = row.camera_uid, stream_name = row.name, status = status_of(row), type = type_of(uid, secondaries()),
        enabled = row.enabled, access = row.access, whitelist = about[1].whitelist, entry = "stream",
        config = { file = about[1].file, source = "file" },
        dvr = dvr(row, about[1], all), source = { url = row.source, ping = ping_of(row), sdp = sdp }, tracks = tracks(uid),
    })
end

-- --- reconfigure ---------------------------------------------------------------------------------------------------

-- Each switch by its words; arguments of the URL or fields of the body. `timeout`: seconds, 0: until it is taken back.
function M.reconfigure(request, uid)
    local args = {}
    if request.body ~= "" then
        local fields, wrong = object(request)
        if not fields then return wrong end
        for name, value in pairs(fields) do args[name] = tostring(value) end
    end
    for name, value in pairs(request.query) do args[name] = value end
    local url, while_s = args["secondary-url"], args["secondary-duration"] or "0"
    args["secondary-url"], args["secondary-duration"] = nil, nil
    if not while_s:find("^%d+$") then return fail(400, "secondary-duration: seconds") end
    local seconds = args.timeout or "0"
    if not seconds:find("^%d+$") then return fail(400, "timeout: seconds") end
    local off = seconds ~= "0" and { seconds } or {}
    local steps = {}
    if url then steps[1] = url ~= "" and { "secondary", url, while_s } or { "secondary" } end
    for name, value in pairs(args) do
        local on = http.BOOLEANS[value]
        if name ~= "timeout" and not on then return fail(400, ("%s: true or false"):format(name)) end
        if name == "enable" then steps[#steps + 1] = { "stream set", "stream-enable=" .. on } end
        if name == "restart" and on == "true" then steps[#steps + 1] = { "restart" } end
        if name == "dvr" then steps[#steps + 1] = on == "true" and { "resume" } or { "pause", table.unpack(off) } end
        if name == "broadcast" then steps[#steps + 1] = on == "true" and { "broadcast", "on" } or { "broadcast", "off", table.unpack(off) } end
        if not ({ enable = 1, restart = 1, dvr = 1, broadcast = 1, reload = 1, timeout = 1 })[name] then
            return fail(400, ("there is no switch %q"):format(name))
        end
    end
    table.sort(steps, function(a, b) return a[1] > b[1] end) -- it is enabled before it is restarted
    local known, none = http.server("server", "api streams", uid)
    if not known then return none end
    for _, step in ipairs(steps) do
        local done = change(uid, table.unpack(step))
        if done.status ~= 200 then return done end
    end
    return answer(200, { uid = uid })
end

-- --- where it may be watched ---------------------------------------------------------------------------------------

-- kind: proto it is of, needs footage, path, arguments.
local KINDS = {
    hls_live = { "hls", false, "web", "live/%s/playlist.m3u8", {} },
    hls_live_ios = { "hls", false, "web", "live/%s/playlist_ios.m3u8", {} },
    hls_dvr = { "hls", true, "web", "dvr/%s/playlist.m3u8", { "timestamp", "duration" } },
    hls_dvr_ios = { "hls", true, "web", "dvr/%s/playlist_ios.m3u8", { "timestamp", "duration" } },
    rtsp_live = { "rtsp", false, "rtsp", "live/%s/", {} },
    rtsp_dvr = { "rtsp", true, "rtsp", "dvr/%s/", { "timestamp", "speed" } },
    export = { "hls", true, "web", "dvr/%s/record.mp4", { "timestamp", "duration" } },
    preview = { "hls", false, "web", "live/%s/preview.mp4", {} },
    screenshot = { "hls", true, "web", "dvr/%s/screenshot.mp4", { "timestamp" } },
}

-- The first listener of a road as a URL; nil: there is none.
local function place(about, road, host)
    local listens = about[road][1]
    local scheme = road == "rtsp" and "rtsp" or (about.tls and "https" or "http")
    return listens and ("%s://%s:%d%s"):format(scheme, host, listens.port, listens.base:gsub("/*$", "/"))
end

local function urls_of(row, places)
    local urls = {}
    for kind, k in pairs(KINDS) do
        if places[k[3]] and row.access ~= "none" and row.proto:find(k[1], 1, true) and (row.dvr or not k[2]) then
            local args = ms.array({ table.unpack(k[5]) })
            if row.access == "private" then args[#args + 1] = "token" end
            urls[kind] = { url = places[k[3]] .. k[4]:format(row.uid), args = args, name = row.name }
        end
    end
    return urls
end

function M.broadcast(request)
    local about, wrong = http.server("server", "api server")
    if not about then return wrong end
    local rows, busy = http.server("server", "api streams")
    if not rows then return busy end
    local host = request.host:gsub(":%d+$", "")
    local places, out = { web = place(about[1], "web", host), rtsp = place(about[1], "rtsp", host) }, {}
    for _, row in ipairs(rows) do
        if row.enabled then out[row.uid] = { access = row.access, entry = "stream", urls = urls_of(row, places) } end
    end
    return answer(200, out)
end

return M
