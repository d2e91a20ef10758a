-- The server and its cluster, as the first generation's API has them.

local http = require("modules.api.v2.http")
local answer, fail = http.answer, http.fail

local M = {}

local function known(text) return text ~= "" and text or ms.null end

-- A file system's error as a negative errno, 0: none.
local function storages()
    local rows = http.server("server", "storage list") or {}
    local out = {}
    for _, row in ipairs(rows) do
        out[row.path] = {
            name = row.name, mount = known(row.mount), fs = known(row.fs), capacity_total = row.total or 0, capacity_free = row.free or 0,
            inode_total = row.files or ms.null, inode_free = row.files_free or ms.null, err = -(row.errno or 0),
        }
    end
    return out
end

-- null: there is none, or nobody has measured it. io is that of the machine's disks.
function M.server()
    local rows, wrong = http.server("server", "api server")
    if not rows then return wrong end
    local s = rows[1]
    return answer(200, {
        server = {
            hostname = s.hostname, ip4 = known(s.ip4), name = "media-server", version = s.version, revision = s.revision, build = s.build,
            timestamp = math.floor(s.time), startat = s.started, uptime = s.uptime,
        },
        cpu = { total = s.cpu.cores, usage = s.cpu.usage * 100, utime_sec = s.cpu.user, stime_sec = s.cpu.system },
        mem = { rss = s.memory.ours, share = s.memory.shared, usage = s.memory.total > 0 and 100 * s.memory.ours / s.memory.total or 0 },
        io = { read_rate = s.disks.read_rate, write_rate = s.disks.write_rate, read_bytes = s.disks.read, write_bytes = s.disks.written },
        net = { in_bitrate = s.network["in"], out_bitrate = s.network.out, clients = s.viewers },
        streams = { total = s.streams.total, active = s.streams.active, clients = s.viewers },
        storages = storages(), drives = ms.array(), cluster = { id = s.cluster_id, node = s.node, hostname = s.hostname, enable = s.cluster },
    })
end

-- A node that works alone knows itself.
function M.backups()
    local rows, wrong = http.server("server", "api server")
    if not rows then return wrong end
    local s = rows[1]
    local nodes, now, own = {}, math.floor(s.time), known(s.ip4)
    for _, row in ipairs(http.server("server", "cluster") or {}) do
        local host = row.host ~= "" and row.host or row.node == s.node and s.hostname or tostring(row.node)
        local ip = row.node == s.node and own or known((row.address or ""):match("^%[?(.-)%]?:%d+$") or "")
        nodes[host] = { id = row.node, host = host, ip = ip, status = row.state, ltime = now - (row.heard_ms or 0) // 1000 }
    end
    if not next(nodes) then nodes[s.hostname] = { id = s.node, host = s.hostname, ip = own, status = "active", ltime = now } end
    return answer(200, { node_id = s.node, cluster_id = s.cluster_id, nodes = nodes })
end

local FIELDS = {
    stream_config = "table", current_primary = "string", current_secondary = "table", target_primary = "string", target_secondary = "table",
    is_save_current = "boolean",
}

-- The stream's file goes by itself: stream_config and the current nodes are known here.
function M.transfer(request, uid)
    local fields, wrong = http.object(request, FIELDS)
    if not fields then return wrong end
    local nodes = { fields.target_primary }
    if not nodes[1] then return fail(400, "target_primary: which node?") end
    for _, node in ipairs(fields.target_secondary or {}) do nodes[#nodes + 1] = tostring(node) end
    local keep = fields.is_save_current == false and "free" or "keep"
    local rows, refused = http.server("server.change", "transfer", uid, table.concat(nodes, ","), keep)
    return rows and answer(200, { uid = uid }) or refused
end

return M
