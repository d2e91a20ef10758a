-- What the files of this folder have in common: answers, problems (RFC 9457), arguments, bodies, and what they
-- ask of the server.

local M = {}

-- --- answers -------------------------------------------------------------------------------------------------------

function M.text(status, text, headers)
    return { status = status, type = "application/json", body = text, headers = headers }
end

function M.answer(status, value, headers)
    return M.text(status, ms.json(value), headers)
end

local TITLES = {
    [400] = "Bad Request", [401] = "Unauthorized", [403] = "Forbidden", [404] = "Not Found", [405] = "Method Not Allowed", [409] = "Conflict",
    [412] = "Precondition Failed", [413] = "Content Too Large", [422] = "Unprocessable Content", [429] = "Too Many Requests",
    [501] = "Not Implemented", [503] = "Service Unavailable", [504] = "Gateway Timeout",
}

-- detail: a sentence that says what to do. more: further members.
function M.problem(status, code, detail, more)
    local value = { type = "about:blank", title = TITLES[status], status = status, code = code, detail = detail }
    for name, v in pairs(more or {}) do value[name] = v end
    return { status = status, type = "application/problem+json", body = ms.json(value) }
end

function M.busy(why, seconds)
    local answer = M.problem(503, "busy", ("%s: try again in a moment."):format(why))
    answer.headers = { ["Retry-After"] = tostring(seconds or 1) }
    return answer
end

function M.no_stream(uid)
    return M.problem(404, "no-stream", ("There is no stream %q: GET /api/v3/streams lists them."):format(uid))
end

local function wrong_argument(name, detail)
    return M.problem(400, "bad-argument", detail, { errors = ms.array({ { field = name, detail = detail } }) })
end

-- --- arguments of the URL ------------------------------------------------------------------------------------------

local function one_time(text)
    if text == "now" then return ms.time() end
    local n = tonumber(text)
    if n and n >= 0 and n < 1e11 and text:find("^[%d.]+$") then return n end
    return nil
end

-- Kinds of arguments: a function from text to the value, nil for none, and what is expected.
local KINDS = {
    text = { function(t) return t end, "a text" },
    boolean = { function(t)
        if t == "true" or t == "1" then return true end
        if t == "false" or t == "0" then return false end
        return nil
    end, "true or false" },
    number = { tonumber, "a number" },
    natural = { function(t) return t:find("^%d+$") and #t < 16 and math.tointeger(tonumber(t)) or nil end, "a whole number" },
    time = { one_time, "unix seconds, or now" },
    list = { function(t)
        local out = ms.array()
        for part in t:gmatch("[^,]+") do out[#out + 1] = part end
        return #out > 0 and out or nil
    end, "words with commas between them" },
}

-- The arguments as values, by a table of name = kind; or nil and a problem that names the wrong one.
function M.query(request, kinds)
    local out = {}
    for name, text in pairs(request.query) do
        local kind = KINDS[kinds[name]]
        if not kind then return nil, wrong_argument(name, ("There is no argument %q here."):format(name)) end
        out[name] = kind[1](text)
        if out[name] == nil then return nil, wrong_argument(name, ("The argument %s is %s."):format(name, kind[2])) end
    end
    return out
end

function M.bad_argument(name, detail)
    return nil, wrong_argument(name, detail)
end

-- --- bodies --------------------------------------------------------------------------------------------------------

local function type_of(value)
    if value == ms.null then return "null" end
    if type(value) ~= "table" then return math.type(value) == "integer" and "integer" or type(value) end
    return next(value) == nil and "empty" or #value > 0 and "array" or "object"
end

local function fits(value, want)
    local is = type_of(value)
    if is == "empty" then return want == "array" or want == "object" end
    return is == want or (want == "number" and is == "integer")
end

function M.no_json(why, at)
    return M.problem(400, "malformed-json", ("The body is no JSON: %s, behind byte %d."):format(why, at), { at = at })
end

-- The body as an object; fields: name = type (text: string; a '!' behind it: it must be there; false: any), nil: any
-- field. Or nil and a problem that names each mistake.
function M.body(request, fields)
    local value, why, at = ms.parse(request.body == "" and "{}" or request.body)
    if value == nil then return nil, M.no_json(why, at) end
    if not fits(value, "object") then return nil, M.problem(400, "malformed-body", "The body must be a JSON object.") end
    local errors = ms.array()
    for name, v in pairs(value) do
        local want = fields and fields[name]
        if fields and want == nil then
            errors[#errors + 1] = { field = name, detail = "There is no such field." }
        elseif want and not fits(v, (want:gsub("!", ""))) then
            errors[#errors + 1] = { field = name, detail = ("This must be of type %s, it is %s."):format(want:gsub("!", ""), type_of(v)) }
        end
    end
    for name, want in pairs(fields or {}) do
        if want and want:sub(-1) == "!" and value[name] == nil then errors[#errors + 1] = { field = name, detail = "This field is needed." } end
    end
    if #errors == 0 then return value end
    table.sort(errors, function(a, b) return a.field < b.field end)
    return nil, M.problem(422, "wrong-fields", ("%s: %s"):format(errors[1].field, errors[1].detail), { errors = errors })
end

-- A field of the body whose value cannot be.
function M.wrong_field(field, detail)
    return M.problem(422, "wrong-fields", ("%s: %s"):format(field, detail), { errors = ms.array({ { field = field, detail = detail } }) })
end

-- --- the server ----------------------------------------------------------------------------------------------------

M.FAILED, M.USAGE, M.NOT_FOUND, M.EXISTS, M.CHANGED = 1, 2, 4, 5, 6

local STATUS = { [1] = 409, [2] = 422, [4] = 404, [5] = 409, [6] = 412, [8] = 403 }
local NAMES = { [1] = "not-done", [2] = "refused", [4] = "not-found", [5] = "exists", [6] = "changed", [8] = "confirm" }

-- What a command of msctl says: { code, text, rows }; or nil and a problem. name: server, or server.change.
function M.say(name, question)
    local said, why = ms.call(name, question)
    if not said then return nil, M.busy(why) end
    local rows, more = said.rows, said.more
    while more do
        local page, gone = ms.call("server.more", more)
        if not page then return nil, M.busy(gone) end
        table.move(page.rows, 1, #page.rows, #rows + 1, rows)
        more = page.more
    end
    return { code = said.code, text = said.text, rows = rows }
end

function M.refusal(code, text)
    if code == M.NOT_FOUND and text:lower():find("^no such stream") then text = "no such stream: GET /api/v3/streams lists them" end
    local sentence = text:gsub("^%l", string.upper) .. (text:find("[.!?]$") and "" or ".")
    return M.problem(STATUS[code] or 503, NAMES[code] or "failed", sentence)
end

local function ask(name, cmd, ...)
    local said, wrong = M.say(name, { cmd = cmd, args = ms.array({ ... }) })
    if not said then return nil, wrong end
    if said.code ~= 0 then return nil, M.refusal(said.code, said.text) end
    return said.rows, said.text
end

-- Rows of a command, or nil and a problem.
function M.server(cmd, ...) return ask("server", cmd, ...) end
function M.change(cmd, ...) return ask("server.change", cmd, ...) end

-- Where viewers find a stream, by the host that was asked for; nil: nobody listens for them.
function M.place(request, uid)
    local about = M.server("api server")
    local web = about and about[1].web[1]
    if not web then return nil end
    local host, base = request.host:gsub(":%d+$", ""), web.base:gsub("/*$", "/")
    return ("%s://%s:%d%s%s"):format(about[1].tls and "https" or "http", host, web.port, base, uid)
end

return M
