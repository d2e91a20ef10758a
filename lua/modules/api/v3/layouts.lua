-- Walls of cameras that people have laid out: each one's own, and those that an administrator shares with all.

local http = require("modules.api.v3.http")
local rights = require("modules.api.v3.rights")

local REFUSALS = {
    name = { 422, "wrong-fields", "A name has 1 to 64 bytes, no '/' and no control characters." },
    layout = { 413, "too-large", "A layout has at most 16 KiB." },
    full = { 409, "full", "There is no room for one more: take others away first (50 of an account, 100 shared)." },
    role = { 403, "forbidden", "Shared layouts are for administrators to change." },
}

-- Rows, or nil and an answer.
local function ask(name, cmd, args, body)
    local said, why = ms.call("people", { cmd = cmd, args = ms.array(args), body = body })
    if not said then return nil, http.busy(why) end
    if said.code == http.NOT_FOUND then
        return nil, http.problem(404, "no-layout", ("There is no layout %q: GET /api/v3/layouts lists them."):format(name))
    end
    local known = REFUSALS[said.text]
    if said.code == http.USAGE and known then return nil, http.problem(known[1], known[2], known[3]) end
    if said.code ~= 0 then return nil, http.refusal(said.code, said.text) end
    return said
end

local function kind_of(request)
    local args, wrong = http.query(request, { shared = "boolean" })
    if not args then return nil, wrong end
    return args.shared and "shared" or "own"
end

-- What somebody does not see is not there for him: objects with its uid, and its name in lists of uids.
local function seen(value, user)
    if type(value) ~= "table" then return value end
    local out = #value > 0 and ms.array() or {}
    for key, v in pairs(value) do
        local foreign = type(v) == "table" and type(v.uid) == "string" and not rights.sees(user, v.uid)
        if key == "uids" and type(v) == "table" then
            local uids = ms.array()
            for _, uid in ipairs(v) do
                if type(uid) == "string" and rights.sees(user, uid) then uids[#uids + 1] = uid end
            end
            out.uids = uids
        elseif not foreign then
            if #value > 0 then out[#out + 1] = seen(v, user) else out[key] = seen(v, user) end
        end
    end
    return out
end

local function head(row) return { name = row.name, shared = row.shared, by = row.by, at = row.at } end

local function list()
    local said, wrong = http.say("people", { cmd = "api layouts", args = ms.array() })
    if not said then return wrong end
    local items = ms.array()
    for i, row in ipairs(said.rows) do items[i] = head(row) end
    return http.answer(200, { items = items, total = #items })
end

local function find(request, kind, name)
    local said, wrong = ask(name, "api layout get", { kind, name })
    if not said then return nil, wrong end
    local text = {}
    for i = 2, #said.rows do text[#text + 1] = said.rows[i].piece end
    local out = head(said.rows[1])
    out.layout = ms.parse(table.concat(text))
    if request.user.cameras then out.layout = seen(out.layout, request.user) end
    return out
end

local function get(request, path)
    local kind, wrong = kind_of(request)
    if not kind then return wrong end
    local layout, none = find(request, kind, path.name)
    return layout and http.answer(200, layout) or none
end

local function put(request, path)
    local kind, wrong = kind_of(request)
    if not kind then return wrong end
    local fields, bad = http.body(request, { layout = "object!" })
    if not fields then return bad end
    local done, refused = ask(path.name, "api layout put", { kind, path.name }, ms.json(fields.layout))
    if not done then return refused end
    local layout, none = find(request, kind, path.name)
    return layout and http.answer(200, layout) or none
end

local function remove(request, path)
    local kind, wrong = kind_of(request)
    if not kind then return wrong end
    local done, refused = ask(path.name, "api layout remove", { kind, path.name })
    return done and { status = 204 } or refused
end

return {
    { "GET", "/layouts", list, id = "listLayouts", right = "view" },
    { "GET", "/layouts/{name}", get, id = "getLayout", right = "view" },
    { "PUT", "/layouts/{name}", put, id = "putLayout", right = "view" },
    { "DELETE", "/layouts/{name}", remove, id = "deleteLayout", right = "view" },
}
