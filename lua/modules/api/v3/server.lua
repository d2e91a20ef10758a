-- The server itself: what it uses, its storages, its log.

local http = require("modules.api.v3.http")

local function server(request)
    local _, wrong = http.query(request, {})
    if wrong then return wrong end
    local rows, busy = http.server("api server")
    if not rows then return busy end
    local out, processes = {}, ms.array()
    for _, row in ipairs(rows) do
        local kind = row.kind
        row.kind = nil
        if kind == "process" then
            processes[#processes + 1] = row
        else
            out = row
        end
    end
    out.processes = processes
    return http.answer(200, out)
end

local COLUMNS = { "at", "cpu", "memory", "ours", "net_in", "net_out", "disk_write", "viewers", "active" }

local function history(request)
    local args, wrong = http.query(request, { from = "time", step = "natural" })
    if not args then return wrong end
    local rows, busy = http.server("api history")
    if not rows then return busy end
    local step, from = math.max(1, (args.step or 60) // 60), args.from or 0
    local items = ms.array()
    for i = 1, #rows, step do
        local row = rows[i]
        if row.at >= from then
            local item = ms.array()
            for k, name in ipairs(COLUMNS) do item[k] = row[name] end
            items[#items + 1] = item
        end
    end
    return http.answer(200, { step = step * 60, columns = ms.array(COLUMNS), items = items })
end

local function storages()
    local rows, busy = http.server("storage list")
    if not rows then return busy end
    local items = ms.array()
    for i, row in ipairs(rows) do
        items[i] = {
            name = row.name, path = row.path, mount = row.mount, fs = row.fs, state = row.state, error = row.errno or 0, uuid = row.uuid,
            index = row.index, inodes = row.files, inodes_free = row.files_free,
            total = row.total, free = row.free, floor = row.floor, footage = row.footage, rate = row.rate_bps, locked = row.locked,
            oldest = row.oldest_s, keeps = row.keeps_s, full_on = row.full_s, clock_ahead = row.clock_ahead_s,
        }
    end
    return http.answer(200, { items = items })
end

local PROCESSES = { master = true, httpd = true, keeper = true, connector = true, courier = true }

-- They name every camera: an account that is held to some has those of its streams.
local function logs(request)
    local args, wrong = http.query(request, { process = "text", limit = "natural" })
    if not args then return wrong end
    if request.user.cameras then
        return http.problem(403, "forbidden", "Your account is for some cameras: GET /api/v3/streams/{uid}/logs is theirs.")
    end
    local process = args.process or "master"
    if not PROCESSES[process] then return select(2, http.bad_argument("process", "process: master, httpd, keeper, connector or courier.")) end
    local rows, busy
    if process == "master" then
        rows, busy = http.server("logs")
    else
        rows, busy = http.server("logs", process)
    end
    if not rows then return busy end
    local items = ms.array()
    for i = math.max(1, #rows - (args.limit or #rows) + 1), #rows do items[#items + 1] = rows[i].line end
    return http.answer(200, { items = items })
end

local function keys()
    local rows, busy = http.server("api keys")
    if not rows then return busy end
    for _, row in ipairs(rows) do row.words = row.words and ms.array(row.words) end
    return http.answer(200, { items = ms.array(rows) })
end

return {
    { "GET", "/server", server, id = "getServer", right = "operate" },
    { "GET", "/server/history", history, id = "getServerHistory", right = "operate" },
    { "GET", "/storages", storages, id = "listStorages", right = "operate" },
    { "GET", "/logs", logs, id = "getLogs", right = "whole" },
    { "GET", "/config/keys", keys, id = "listConfigKeys", right = "operate" },
}
