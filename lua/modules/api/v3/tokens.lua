-- Access tokens: made for viewers, or to share what one sees; listed without themselves, taken back.

local http = require("modules.api.v3.http")

local REFUSALS = {
    streams = { 422, "uids", "At most 16 uids, or beginnings of uids with '*'." },
    foreign = { 422, "uids", "Name streams that you see: a token is for no more than whoever makes it." },
}

-- What the server has to say against it; the field stands first.
local function refusal(code, text)
    local field, detail = text:match("^(%l+): (.+)$")
    if code == http.USAGE and field then return http.wrong_field(field, detail:gsub("^%l", string.upper) .. ".") end
    if text == "this role shares nothing" then return http.problem(403, "forbidden", "Your role shares nothing: ask an administrator.") end
    return http.refusal(code, text)
end

local function list_of(text)
    local out = ms.array()
    for one in text:gmatch("[^,]+") do
        if one == "*" then return ms.array() end
        out[#out + 1] = one
    end
    return out
end

local function or_null(n) return n > 0 and n or ms.null end

local function plain(row)
    return {
        id = row.id, by = row.by, user = row.user, note = row.note, uids = list_of(row.streams), ops = list_of(row.ops), made = row.made,
        ["until"] = or_null(row["until"]), from = or_null(row.footage[1]), to = or_null(row.footage[2]), revoked = row.revoked,
    }
end

local function list()
    local said, why = http.say("tokens")
    if not said then return why end
    local items = ms.array()
    for i, row in ipairs(said.rows) do items[i] = plain(row) end
    return http.answer(200, { items = items, total = #items })
end

local FIELDS = {
    user = "string", uid = "string", uids = "array", ops = "array!", duration = "integer", from = "integer", to = "integer",
    sessions = "integer", note = "string",
}

-- Words with nothing that the list could not carry.
local function words_of(values, field)
    local out = {}
    for _, v in ipairs(values) do
        if type(v) ~= "string" or v == "" or v:find("[,%s%c]") then return nil, http.wrong_field(field, "An array of words.") end
        out[#out + 1] = v
    end
    return out
end

-- What opens it in a browser or a player: of one stream, by its name.
local function links(request, uids, ops, fields, token)
    local place = #uids == 1 and not uids[1]:find("*", 1, true) and http.place(request, uids[1])
    if not place then return ms.null end
    local tail, from = "?token=" .. token, fields.from or 0
    if from == 0 then return { page = place .. "/embed.html" .. tail, hls = ops.live and place .. "/index.m3u8" .. tail or nil } end
    local span = fields.to and tostring(fields.to - from) or "now"
    return {
        page = ("%s/embed.html%s&from=%d"):format(place, tail, from),
        hls = ops.dvr and ("%s/archive-%d-%s.m3u8%s"):format(place, from, span, tail) or nil,
        mp4 = ops.copy and fields.to and ("%s/archive-%d-%s.mp4%s"):format(place, from, span, tail) or nil,
    }
end

local function check(request, fields)
    if fields.uid and fields.uids then return http.wrong_field("uid", "Either uid or uids.") end
    for _, name in ipairs({ "user", "note" }) do
        if (fields[name] or ""):find("%c") then return http.wrong_field(name, "One line of text.") end
    end
    if #(fields.user or "") > 64 then return http.wrong_field("user", "At most 64 bytes.") end
    if #(fields.note or "") > 200 then return http.wrong_field("note", "At most 200 bytes.") end
    for _, name in ipairs({ "duration", "from", "to", "sessions" }) do
        local n = fields[name]
        if n and (n < 0 or n > 1e10) then return http.wrong_field(name, "A whole number, 0 or more.") end
    end
    if fields.to and not fields.from then return http.wrong_field("from", "A stretch of footage begins somewhere.") end
    for _, op in ipairs(fields.ops) do
        if op == "api" and not request.is_local then
            return http.problem(403, "not-local", "Tokens of the API are made on the server itself: msctl token create, or ask from there.")
        end
    end
    return nil
end

local function create(request)
    local fields, wrong = http.body(request, FIELDS)
    if not fields then return wrong end
    local refused = check(request, fields)
    if refused then return refused end
    local uids, ops
    uids, wrong = words_of(fields.uid and { fields.uid } or fields.uids or {}, "uids")
    if not uids then return wrong end
    ops, wrong = words_of(fields.ops, "ops")
    if not ops then return wrong end
    if #ops == 0 then return http.wrong_field("ops", "Out of live, dvr, copy, publish, api.") end
    local said, why = ms.call("token.create", {
        uids = ms.array(uids), user = fields.user ~= "" and fields.user or request.user.name, ops = table.concat(ops, ","),
        duration = fields.duration or 86400, from = fields.from, to = fields.to, sessions = fields.sessions, note = fields.note,
    })
    if not said then
        local known = REFUSALS[why]
        return known and http.wrong_field(known[2], known[3]) or http.busy(why)
    end
    if said.code ~= 0 then return refusal(said.code, said.text) end
    local row, may = said.rows[1], {}
    for _, op in ipairs(ops) do may[op] = true end
    local shown = links(request, uids, may, fields, row.token)
    return http.answer(201, { token = row.token, id = row.id, ["until"] = row.until_s or ms.null, links = shown })
end

local function revoke(_, path)
    local said, why = ms.call("token.revoke", path.id)
    if not said then return http.busy(why) end
    if said.code == http.NOT_FOUND then return http.problem(404, "no-token", "There is no such token of yours: GET /api/v3/tokens lists them.") end
    return said.code == 0 and { status = 204 } or http.refusal(said.code, said.text)
end

return {
    { "GET", "/tokens", list, id = "listTokens", right = "share" },
    { "POST", "/tokens", create, id = "createToken", right = "share" },
    { "DELETE", "/tokens/{id}", revoke, id = "revokeToken", right = "share" },
}
