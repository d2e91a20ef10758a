-- What was changed by call, and how it is taken back.

local http = require("modules.api.v3.http")
local edits = require("modules.api.v3.edits")

local function list(request)
    local args, wrong = http.query(request, { limit = "natural" })
    if not args then return wrong end
    local rows, busy = http.server("api revisions")
    if not rows then return busy end
    local items = ms.array()
    for i = 1, math.min(#rows, args.limit or #rows) do
        rows[i].kind = nil
        items[i] = rows[i]
    end
    return http.answer(200, { items = items })
end

local function get(_, path)
    local rows, wrong = http.server("api revision", path.id)
    if not rows then return wrong end
    local out = rows[1]
    local changes = ms.array()
    for i = 2, #rows do
        local row = rows[i]
        changes[i - 1] = { uid = row.uid, what = row.what, before = row.before or ms.null, after = row.after or ms.null }
    end
    out.kind, out.changes = nil, changes
    return http.answer(200, out)
end

local function back(cmd)
    return function(request, path)
        local args, wrong = http.query(request, { validate = "boolean" })
        if not args then return wrong end
        local said, busy = http.say("server.change", { cmd = cmd, args = ms.array({ path.id, args.validate and "dry" or "" }) })
        if not said then return busy end
        if said.code == 0 then return edits.outcome(said) end
        if said.code == http.CHANGED then return http.problem(409, "changed", ("%s: change it by hand."):format(said.text)) end
        return http.refusal(said.code, said.text)
    end
end

return {
    { "GET", "/revisions", list, id = "listRevisions", right = "configure" },
    { "GET", "/revisions/{id}", get, id = "getRevision", right = "configure" },
    { "POST", "/revisions/{id}/undo", back("api undo"), id = "undoRevision", right = "configure" },
    { "POST", "/revisions/{id}/restore", back("api rollback"), id = "restoreRevision", right = "configure" },
}
