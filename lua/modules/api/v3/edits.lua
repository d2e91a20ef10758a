-- Changes of streams' files: from fields of JSON to what the server is told, and from what it says to an answer.

local http = require("modules.api.v3.http")

local M = {}

local MOST = 1000 -- streams at once

-- A value as it stands in the file; nil and what is wrong with it.
function M.text_of(value)
    if type(value) == "table" then
        local words = {}
        for i, v in ipairs(value) do
            if type(v) == "table" then return nil, "A list holds words." end
            words[i] = tostring(v)
        end
        if next(value) ~= nil and #words == 0 then return nil, "A value is a text, a number, true, false, a list or null." end
        value = table.concat(words, ", ")
    elseif math.type(value) == "float" and math.tointeger(value) then
        value = tostring(math.tointeger(value))
    else
        value = tostring(value)
    end
    if value:find("[%c]") then return nil, "A value has no line ends and no control characters." end
    return value
end

-- "key=value" a line; "key" for one that goes. field: where it stands in the body.
local function lines_of(config, field, errors)
    local lines = {}
    for key, value in pairs(config) do
        local ok, wrong = type(key) == "string" and key:find("^[%l%d-]+$"), nil
        local line = key
        if not ok then
            wrong = "This is no key: keys are those of streams/<uid>.ini."
        elseif value ~= ms.null then
            local text
            text, wrong = M.text_of(value)
            line = text and key .. "=" .. text
        end
        if wrong and #errors < 50 then
            errors[#errors + 1] = { field = field .. tostring(key), detail = wrong }
        else
            lines[#lines + 1] = line
        end
    end
    table.sort(lines)
    return table.concat(lines, "\n") .. (#lines > 0 and "\n" or "")
end

-- The etag of a header field as the server takes it: "" for none; nil and a problem.
function M.tag_of(request)
    local match, none = request.if_match, request.if_none_match
    if none == "*" then return "-" end
    if match == "" or match == nil then return "" end
    local tag = match == "*" and "*" or match:match('^"(%x+)"$')
    if tag then return tag end
    return nil, http.problem(400, "bad-argument", 'If-Match is one entity tag, such as "0123456789abcdef", or *.')
end

-- --- what the server says ------------------------------------------------------------------------------------------

function M.remarks_of(rows)
    local remarks = ms.array()
    for _, row in ipairs(rows) do
        if row.level and #remarks < 100 then remarks[#remarks + 1] = { level = row.level, key = row.key, line = row.line, text = row.text } end
    end
    return remarks
end

-- Mistakes by where they stand in the body: the server names "<uid>/<key>".
local function errors_of(rows, fields)
    local errors = ms.array()
    for _, row in ipairs(rows) do
        local uid, key = (row.key or ""):match("^(.-)/([^/]*)$")
        local field = uid and fields[uid]
        if row.level == "mistake" and #errors < 50 then
            errors[#errors + 1] = { field = field and field .. key or row.key, detail = row.text }
        end
    end
    return errors
end

-- An edit that was refused: a mistake in a value is named, of what is not as it was read the item.
local function refused(said, fields, items)
    local errors = errors_of(said.rows, fields)
    if #errors > 0 then
        return http.problem(422, "wrong-values", ("%s: %s"):format(errors[1].field, errors[1].detail), { errors = errors })
    end
    local answer = http.refusal(said.code, said.text)
    local at = said.rows[1] and said.rows[1].at
    local item = #items > 1 and at and items[at + 1]
    if not item then return answer end
    local value = ms.parse(answer.body)
    value.errors = ms.array({ { field = item.field, detail = value.detail } })
    answer.body = ms.json(value)
    return answer
end

-- --- the edit ------------------------------------------------------------------------------------------------------

-- items: { kind, uid, config, etag, field = where its keys stand in the body }. What the server said, its first row,
-- the tags by number; or nil and an answer.
function M.apply(items, text, dry)
    if #items > MOST then return nil, http.problem(413, "too-many", ("At most %d streams at once: send them in parts."):format(MOST)) end
    local errors, body, fields = ms.array(), ms.array(), {}
    for i, item in ipairs(items) do
        local field = item.field and item.field .. "/config/" or ""
        if fields[item.uid] then errors[#errors + 1] = { field = item.field or "uid", detail = "This stream is named twice." } end
        fields[item.uid] = field
        body[i] = ms.array({ item.kind, item.uid, item.etag or "", lines_of(item.config or {}, field, errors) })
    end
    if #errors > 0 then return nil, http.problem(422, "wrong-fields", ("%s: %s"):format(errors[1].field, errors[1].detail), { errors = errors }) end
    local said, busy = http.say("server.change", { cmd = "api edit", args = ms.array({ dry and "dry" or "", text or "" }), body = body })
    if not said then return nil, busy end
    if said.code ~= 0 then return nil, refused(said, fields, items) end
    local tags = {}
    for _, row in ipairs(said.rows) do
        if row.kind == "item" then tags[#tags + 1] = { uid = row.uid, etag = row.etag ~= "" and row.etag or ms.null } end
    end
    return said, tags
end

local function valid(said)
    return http.answer(200, { valid = true, remarks = M.remarks_of(said.rows) })
end

function M.one(request, item, dry)
    local tag, bad = M.tag_of(request)
    if not tag then return bad end
    item.etag = tag
    local said, tags = M.apply({ item }, nil, dry)
    if not said then return tags end
    if dry then return valid(said) end
    local etag = tags[1].etag
    return http.answer(200, { uid = item.uid, revision = said.rows[1].revision, etag = etag, remarks = M.remarks_of(said.rows) },
        etag ~= ms.null and { ETag = '"' .. etag .. '"' } or nil)
end

function M.many(items, text, dry)
    if #items == 0 then return http.problem(422, "wrong-fields", "items: name at least one stream.") end
    local said, tags = M.apply(items, text, dry)
    if not said then return tags end
    if dry then return valid(said) end
    return http.answer(200, { revision = said.rows[1].revision, items = ms.array(tags), remarks = M.remarks_of(said.rows) })
end

-- Rows of undo and roll-back.
function M.outcome(said)
    local items = ms.array()
    for _, row in ipairs(said.rows) do
        if row.kind == "item" then items[#items + 1] = { uid = row.uid, etag = row.etag ~= "" and row.etag or ms.null } end
    end
    return http.answer(200, { revision = said.rows[1] and said.rows[1].revision or 0, items = items, remarks = M.remarks_of(said.rows) })
end

return M
