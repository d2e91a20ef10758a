-- Keys by which access tokens are signed: seen without their secrets, changed in time, taken away.

local http = require("modules.api.v3.http")

local REFUSALS = {
    forbidden = { "forbidden", "Keys are for a root that is held to no cameras." },
    confirm = { "confirm", "Show your password again: PUT /api/v3/session, then repeat this." },
}

-- Rows and text, or nil and an answer.
local function ask(cmd, ...)
    local said, why = ms.call("people", { cmd = cmd, args = ms.array({ ... }) })
    if not said then
        local known = REFUSALS[why]
        return nil, known and http.problem(403, known[1], known[2]) or http.busy(why)
    end
    if said.code ~= 0 then return nil, http.refusal(said.code, said.text) end
    return said.rows, said.text
end

local function rows()
    local found, wrong = ask("api signing keys")
    if not found then return nil, wrong end
    local items = ms.array()
    for i, row in ipairs(found) do
        items[i] = {
            id = row.id, state = row.state, from = row.id == "0" and "auth-secret" or "keys",
            not_before = row.not_before > 0 and row.not_before or ms.null, not_after = row.not_after > 0 and row.not_after or ms.null,
        }
    end
    return items
end

local function list()
    local items, wrong = rows()
    return items and http.answer(200, { items = items }) or wrong
end

local function rotate(request)
    local fields, wrong = http.body(request, { overlap = "integer" })
    if not fields then return wrong end
    local overlap = fields.overlap or 86400
    if overlap < 0 or overlap > 366 * 86400 then return http.wrong_field("overlap", "Seconds, from 0 to a year.") end
    local made, id = ask("api signing rotate", tostring(overlap))
    if not made then return id end
    local items, gone = rows()
    return items and http.answer(201, { id = id, items = items }) or gone
end

local function remove(_, path)
    local done, wrong = ask("api signing remove", path.id)
    return done and { status = 204 } or wrong
end

return {
    { "GET", "/keys", list, id = "listKeys", right = "server" },
    { "POST", "/keys/rotate", rotate, id = "rotateKeys", right = "server" },
    { "DELETE", "/keys/{id}", remove, id = "removeKey", right = "server" },
}
