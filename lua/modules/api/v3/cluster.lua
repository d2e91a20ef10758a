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
        acts = row.acts, channel = row.channel, channel_why = row.channel_why, fill_left = row.fill_left,
        fill_left_bytes = row.fill_left_bytes, filled = row.filled, fill_failed = row.fill_failed,
    }
end

-- The site's etcd; null where the nodes' files say all.
local function store_of(row)
    return {
        state = row.state, at = row.at, why = row.why, revision = row.revision, cluster = row.cluster,
        answered = row.answered_ms >= 0 and seconds(row.answered_ms) or ms.null, streams = row.streams, nodes = row.nodes,
        refused = row.refused, kept = row.kept, keys = row.keys,
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
    local store, dumb = rows_of("cluster store")
    if dumb then return dumb end
    local nodes = ms.array()
    for i, row in ipairs(rows or {}) do nodes[i] = node_of(row) end
    return http.answer(200, {
        enabled = rows ~= nil, node = server[1].node, nodes = nodes, store = store and store[1] and store_of(store[1]) or ms.null,
    })
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

-- --- what is to be the same on all nodes ------------------------------------------------------------------------------

-- GET of a command's rows, as they are or in another shape.
local function listed(cmd, shape)
    return function(request)
        local _, wrong = http.query(request, {})
        if wrong then return wrong end
        local rows, silent = rows_of(cmd)
        if silent then return silent end
        local items = ms.array()
        for i, row in ipairs(rows or {}) do items[i] = shape and shape(row) or row end
        return http.answer(200, { items = items })
    end
end

local function push(request)
    local fields, wrong = http.body(request, { uid = "string" })
    if not fields then return wrong end
    local rows, refused
    if fields.uid then
        rows, refused = http.change("config push", fields.uid)
    else
        rows, refused = http.change("config push")
    end
    return rows and http.answer(200, { items = ms.array(rows) }) or refused
end

-- --- transfers ------------------------------------------------------------------------------------------------------

local function numbers(text)
    local out = ms.array()
    for node in text:gmatch("%d+") do out[#out + 1] = tonumber(node) end
    return out
end

local function transfer_of(row)
    return {
        uid = row.uid, phase = row.phase, from = numbers(row.from), to = numbers(row.to), keep = row.keep, began = row.began_s,
        since = row.since_s, left = row.left or ms.null, left_bytes = row.left_bytes or ms.null, text = row.text, by = row.by,
    }
end

local function get_transfer(_, path)
    local rows, none = http.server("transfers", path.uid)
    return rows and http.answer(200, transfer_of(rows[1])) or none
end

-- Nodes are numbers, or hosts of the nodes file.
local function transfer(request, path)
    local fields, wrong = http.body(request, { primary = "string!", secondary = "array", keep = "boolean" })
    if not fields then return wrong end
    local nodes = { fields.primary }
    for _, node in ipairs(fields.secondary or {}) do nodes[#nodes + 1] = tostring(node) end
    for _, node in ipairs(nodes) do
        if not node:find("^[%w._:-]+$") then return http.wrong_field("primary", "A node is a number or a host of the nodes file.") end
    end
    local rows, refused = http.change("transfer", path.uid, table.concat(nodes, ","), fields.keep == false and "free" or "keep")
    return rows and http.answer(202, transfer_of(rows[1])) or refused
end

return {
    { "GET", "/cluster/acts", listed("cluster acts"), id = "listClusterActs", right = "operate" },
    { "GET", "/cluster/files", listed("cluster files"), id = "listClusterFiles", right = "operate" },
    { "GET", "/cluster/refused", listed("cluster refused"), id = "listClusterRefused", right = "operate" },
    { "POST", "/cluster/push", push, id = "pushConfig", right = "server" },
    { "GET", "/cluster/transfers", listed("transfers", transfer_of), id = "listTransfers", right = "operate" },
    { "GET", "/streams/{uid}/transfer", get_transfer, id = "getTransfer", right = "operate" },
    { "POST", "/streams/{uid}/transfer", transfer, id = "transferStream", right = "server" },
    { "GET", "/cluster", cluster, id = "getCluster", right = "operate" },
    { "GET", "/cluster/streams", listed("cluster streams", stream_of), id = "listClusterStreams", right = "operate" },
    { "PUT", "/cluster/drain", drain, id = "drainNode", right = "server" },
}
