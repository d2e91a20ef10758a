-- Who watches, and their end; the audit log. Signing in is the server's own (docs/reference/sign-in.md).

local http = require("modules.api.v3.http")

local function sessions(request)
    local args, wrong = http.query(request, { uid = "text", user = "text" })
    if not args then return wrong end
    local found, why = ms.call("viewers", { uid = args.uid, user = args.user })
    if not found then return http.busy(why) end
    return http.answer(200, { items = ms.array(found.rows), total = found.total })
end

-- What runs ends at once; whoever has a token may come again: take that back, too.
local function end_session(_, path)
    local done, why = ms.call("viewers.end", { id = path.id })
    if not done then return http.problem(404, "no-session", ("There is no such session (%s): GET /api/v3/sessions lists them."):format(why)) end
    if done.ended == 0 then return http.problem(404, "no-session", "This session has ended: GET /api/v3/sessions lists them.") end
    return http.answer(200, { ended = done.ended })
end

local function audit(request)
    local args, wrong = http.query(request, { limit = "natural" })
    if not args then return wrong end
    local rows, busy = http.server("api audit", tostring(math.max(1, math.min(args.limit or 100, 1000))))
    if not rows then return busy end
    for _, row in ipairs(rows) do
        row.at, row.at_s = row.at_s, nil
    end
    return http.answer(200, { items = ms.array(rows) })
end

return {
    { "GET", "/sessions", sessions, id = "listSessions", right = "operate" },
    { "DELETE", "/sessions/{id}", end_session, id = "endSession", right = "operate" },
    { "GET", "/audit", audit, id = "getAudit", right = "server" },
}
