-- What the files of the first generation's API have in common: answers, bodies, what they ask of the server.

local M = {}

function M.answer(status, value)
    return { status = status, type = "application/json", body = ms.json(value) }
end

function M.fail(status, text)
    return M.answer(status, { error = text })
end

-- --- what is sent --------------------------------------------------------------------------------------------------

-- The body as an object, or nil and an answer. types: the type of each field there may be; nil: any field.
function M.object(request, types)
    local value, why, at = ms.parse(request.body)
    if value == nil then return nil, M.fail(400, ("JSON, behind byte %d: %s"):format(at, why)) end
    if type(value) ~= "table" or next(value) == 1 then return nil, M.fail(400, "an object is expected") end
    for name, v in pairs(value) do
        local want = types and types[name]
        if types and not want then return nil, M.fail(400, ("there is no field %q"):format(name)) end
        if want and type(v) ~= want then return nil, M.fail(400, ("the field %q is a %s"):format(name, want)) end
    end
    return value
end

M.BOOLEANS = { ["true"] = "true", ["1"] = "true", ["false"] = "false", ["0"] = "false" }

-- --- the server ----------------------------------------------------------------------------------------------------

local CODES = { [1] = 409, [2] = 400, [4] = 404 }

-- A call that answers in rows: all of them, and the whole answer; or nil and an answer that says why not.
function M.rows(name, args)
    local said, why = ms.call(name, args)
    if not said then return nil, M.fail(503, why) end
    local rows, more = said.rows, said.more
    while more do
        local page, gone = ms.call("server.more", more)
        if not page then return nil, M.fail(503, gone) end
        table.move(page.rows, 1, #page.rows, #rows + 1, rows)
        more = page.more
    end
    return rows, said
end

-- A command of msctl: its rows, or nil and an answer that says why not. name: server, or server.change for what changes something.
function M.server(name, cmd, ...)
    local rows, said = M.rows(name, { cmd = cmd, args = ms.array({ ... }) })
    if not rows then return nil, said end
    if said.code == 0 then return rows end
    for _, row in ipairs(rows) do
        if row.level == "mistake" then return nil, M.fail(400, ("%s: %s"):format(row.key, row.text)) end
    end
    return nil, M.fail(CODES[said.code] or 503, said.text)
end

return M
