-- The cluster: its nodes, which of them records what, and a node that is to have nothing (docs/cluster.md).

local http = require("modules.api.v3.http")

-- Rows of a command that only nodes of a cluster have; nil, and a problem or nothing, where there is none.
local function rows_of(cmd)
    local said, busy = http.say("server", { cmd = cmd, args = ms.array() })
    if not said then return nil, busy end
    return said.code == 0 and said.rows or nil
end

local function seconds(ms_or_nil) return ms_or_nil and ms_or_nil / 1000 end

local function node_of(row)
    return {
        node = row.node, self = row.flags:find("self", 1, true) ~= nil, host = row.host, address = row.address,
        state = row.state, since = row.since_s, flags = row.flags,
        drained = row.flags:find("drained", 1, true) ~= nil, paths = row.paths, flaps = row.flaps, heard = seconds(row.heard_ms),
        clock = seconds(row.clock_ms), streams = row.streams, term = row.term, left = row.left,
    }
end

-- A node that works alone knows itself.
local function cluster(request)
    local _, wrong = http.query(request, {})
    if wrong then return wrong end
    local server, busy = http.server("api server")
    if not server then return busy end
    local rows, silent = rows_of("cluster")
    if silent then return silent end
    local nodes = ms.array()
    for i, row in ipairs(rows or {}) do nodes[i] = node_of(row) end
    return http.answer(200, { enabled = rows ~= nil, node = server[1].node, nodes = nodes })
end

local HOW = { [""] = "ready", ["+"] = "begins", ["!"] = "unwell" }

local function stream_of(row)
    local nodes, runs = ms.array(), ms.array()
    if row.nodes:find("%d") then
        for node in row.nodes:gmatch("[^,]+") do nodes[#nodes + 1] = tonumber(node) or 0 end
    end
    for node, how in row.runs:gmatch("(%d+)([+!]?)") do runs[#runs + 1] = { node = tonumber(node), how = HOW[how] } end
    return { uid = row.uid, nodes = nodes, runs = runs, term = row.term, here = row.here, why = row.why }
end

local function streams(request)
    local _, wrong = http.query(request, {})
    if wrong then return wrong end
    local rows, silent = rows_of("cluster streams")
    if silent then return silent end
    local items = ms.array()
    for i, row in ipairs(rows or {}) do items[i] = stream_of(row) end
    return http.answer(200, { items = items })
end

local function drain(request)
    local fields, wrong = http.body(request, { drained = "boolean!" })
    if not fields then return wrong end
    local done, text
    if fields.drained then
        done, text = http.change("drain")
    else
        done, text = http.change("drain", "off")
    end
    if not done then return text end
    return http.answer(200, { drained = fields.drained, text = text })
end

return {
    { "GET", "/cluster", cluster, id = "getCluster", right = "operate" },
    { "GET", "/cluster/streams", streams, id = "listClusterStreams", right = "operate" },
    { "PUT", "/cluster/drain", drain, id = "drainNode", right = "server" },
}
