-- Accounts: who may sign in, as what, for which cameras. The server itself looks at passwords and at who may change what; this says it in HTTP.

local http = require("modules.api.v3.http")

local PASSWORD_LEAST, PASSWORD_MOST = 8, 128
local NAME = "^[%w._-]+$"
local ROLES = { root = true, admin = true, user = true, guest = true }

local REFUSALS = {
    forbidden = { 403, "forbidden", "Accounts are for a root that is held to no cameras; one's own password changes with the old one." },
    confirm = { 403, "confirm", "Show your password again: PUT /api/v3/session, then repeat this." },
    wrong = { 403, "wrong", "The old password is wrong." },
    throttled = { 429, "throttled", "Too many wrong passwords came from this address: try again in a moment." },
}

local function refusal(word)
    local r = REFUSALS[word]
    if not r then return http.busy(word) end
    local answer = http.problem(r[1], r[2], r[3])
    if r[1] == 429 then answer.headers = { ["Retry-After"] = "15" } end
    return answer
end

local function no_user(name)
    return http.problem(404, "no-user", ("There is no account %q: GET /api/v3/users lists them."):format(name))
end

local function patterns(text)
    if text == "" then return ms.null end
    local out = ms.array()
    for one in text:gmatch("[^,]+") do out[#out + 1] = one end
    return out
end

-- Rows by name, in the order of the file; or nil and an answer.
local function all()
    local said, why = ms.call("accounts")
    if not said then return nil, refusal(why) end
    if said.code ~= 0 then return nil, http.refusal(said.code, said.text) end
    local items = ms.array()
    for i, row in ipairs(said.rows) do
        items[i] = { name = row.name, role = row.role, cameras = patterns(row.cameras), kept = row.kept }
    end
    return items
end

local function one(name)
    local items, wrong = all()
    if not items then return nil, wrong end
    for _, item in ipairs(items) do
        if item.name == name then return item end
    end
    return nil, no_user(name)
end

local function list()
    local items, wrong = all()
    return items and http.answer(200, { items = items, total = #items }) or wrong
end

local function get(_, path)
    local item, wrong = one(path.name)
    return item and http.answer(200, item) or wrong
end

-- nil, or what is wrong with a new password.
local function weak(password)
    if password:find("%c") or not utf8.len(password) then return "A password has no control characters." end
    if #password >= PASSWORD_LEAST and #password <= PASSWORD_MOST then return nil end
    return ("A password has %d to %d bytes."):format(PASSWORD_LEAST, PASSWORD_MOST)
end

-- The list as text, "" for all; nil and what is wrong.
local function cameras_of(value)
    if value == ms.null then return "" end
    if type(value) ~= "table" or #value == 0 or #value > 16 then return nil, "null (all), or 1 to 16 uids and beginnings with '*'." end
    for _, pattern in ipairs(value) do
        if pattern == "*" then return "" end
        local is_text = type(pattern) == "string" and #pattern <= 37
        if not is_text or not pattern:find("^[%w._-]+%*?$") then return nil, "Each is a uid, or a beginning and '*'." end
    end
    return table.concat(value, ",")
end

-- What the server says of a change: nil, or an answer. created: it is a new account.
local function change(call, args)
    local said, why = ms.call(call, args)
    if not said then return refusal(why) end
    if said.code == 0 then return nil, said.text == "created" end
    if said.text:find("last root", 1, true) then
        return http.problem(409, "last-root", "This is the last account of the role root that is for all cameras: make another one first.")
    end
    if said.code == http.NOT_FOUND then
        if call ~= "account.set" or args.old then return no_user(args.name) end
        return http.wrong_field(args.role and "password" or "role", "A new account needs a role and a password.")
    end
    return http.refusal(said.code, said.text)
end

local function put(request, path)
    local fields, wrong = http.body(request, { role = "string", password = "string", cameras = false })
    if not fields then return wrong end
    if #path.name > 49 or not path.name:find(NAME) or path.name == "." then
        return http.wrong_field("name", "A login has 1 to 49 letters, digits, '.', '_' and '-'.")
    end
    local bad = fields.password and weak(fields.password)
    if bad then return http.wrong_field("password", bad) end
    if fields.role and not ROLES[fields.role] then return http.wrong_field("role", "root, admin, user or guest.") end
    local cameras
    if fields.cameras ~= nil then
        cameras, bad = cameras_of(fields.cameras)
        if not cameras then return http.wrong_field("cameras", bad) end
    end
    if not (fields.role or fields.password or cameras) then
        return http.wrong_field("role", "Name what is to change: role, password or cameras.")
    end
    local wish = { name = path.name, role = fields.role, password = fields.password, cameras = cameras }
    local refused, created = change("account.set", wish)
    if refused then return refused end
    local item, gone = one(path.name)
    return item and http.answer(created and 201 or 200, item) or gone
end

local function delete(_, path)
    return change("account.remove", { name = path.name }) or { status = 204 }
end

-- One's own with the old one; of others without.
local function put_password(request, path)
    local fields, wrong = http.body(request, { password = "string!", old = "string" })
    if not fields then return wrong end
    local bad = weak(fields.password)
    if bad then return http.wrong_field("password", bad) end
    if not fields.old then
        local item, refused = one(path.name)
        if not item then return refused end
    end
    return change("account.set", { name = path.name, password = fields.password, old = fields.old }) or { status = 204 }
end

return {
    { "GET", "/users", list, id = "listUsers", right = "server" },
    { "GET", "/users/{name}", get, id = "getUser", right = "server" },
    { "PUT", "/users/{name}", put, id = "putUser", right = "server" },
    { "DELETE", "/users/{name}", delete, id = "deleteUser", right = "server" },
    { "PUT", "/users/{name}/password", put_password, id = "changePassword", right = "view" },
}
