-- media-server.ini: its keys as they are set, and changed.

local http = require("modules.api.v3.http")
local edits = require("modules.api.v3.edits")

local function get(request)
    local _, wrong = http.query(request, {})
    if wrong then return wrong end
    local rows, busy = http.server("config show")
    if not rows then return busy end
    local sections, pending = {}, ms.array()
    for i = 2, #rows do
        local row = rows[i]
        if row.pending then
            pending[#pending + 1] = row.pending
        else
            local section, key = row.key:match("^(.*)/([^/]*)$")
            sections[section] = sections[section] or {}
            sections[section][key] = row.value
        end
    end
    local etag = '"' .. rows[1].etag .. '"'
    if request.if_none_match == etag then return { status = 304, headers = { ETag = etag } } end
    return http.answer(200, { file = rows[1].file, etag = rows[1].etag, sections = sections, pending = pending }, { ETag = etag })
end

-- "section/key=value" a line; "section/key" for one that goes, "section/" for a section that does.
local function lines_of(body)
    local lines, errors = {}, ms.array()
    local function bad(field, detail)
        if #errors < 50 then errors[#errors + 1] = { field = field, detail = detail } end
    end
    for section, keys in pairs(body) do
        if not section:find("^[%w%-_.][%w%-_./]*$") then
            bad(section, "This is no section: sections are those of media-server.ini, such as server/stream.")
        elseif keys == ms.null then
            lines[#lines + 1] = section .. "/"
        elseif type(keys) ~= "table" or #keys > 0 then
            bad(section, "A section is an object of keys, or null: then it goes.")
        else
            for key, value in pairs(keys) do
                local field, text, wrong = section .. "/" .. key, nil, nil
                if not key:find("^[%w%-_.]+$") then
                    wrong = "This is no key: GET /api/v3/config/keys lists them."
                elseif value ~= ms.null then
                    text, wrong = edits.text_of(value)
                end
                if wrong then bad(field, wrong) end
                lines[#lines + 1] = text and field .. "=" .. text or field
            end
        end
    end
    table.sort(lines)
    return lines, errors
end

local function refuse_fields(errors)
    return http.problem(422, "wrong-fields", ("%s: %s"):format(errors[1].field, errors[1].detail), { errors = errors })
end

-- Mistakes by the name of their key; what the server names itself, too.
local function refused(said)
    local errors = ms.array()
    for _, row in ipairs(said.rows) do
        if row.level == "mistake" and #errors < 50 then errors[#errors + 1] = { field = row.key, detail = row.text } end
    end
    local field, detail = said.text:match("^([%w%-_./]+): (.+)$")
    if #errors == 0 and field and said.code == http.USAGE then errors[1] = { field = field, detail = detail } end
    return #errors > 0 and refuse_fields(errors) or http.refusal(said.code, said.text)
end

local function patch(request)
    local args, wrong = http.query(request, { validate = "boolean" })
    if not args then return wrong end
    local body, bad = http.body(request)
    if not body then return bad end
    local tag, no_tag = edits.tag_of(request)
    if not tag then return no_tag end
    local lines, errors = lines_of(body)
    if #errors > 0 then return refuse_fields(errors) end
    if #lines == 0 then return http.problem(422, "wrong-fields", "Name at least one section and key.") end
    local edit = ms.array({ "site", "[server]", tag, table.concat(lines, "\n") .. "\n" })
    local words = ms.array({ args.validate and "dry" or "", "" })
    local said, busy = http.say("server.change", { cmd = "api edit", args = words, body = ms.array({ edit }) })
    if not said then return busy end
    if said.code ~= 0 then return refused(said) end
    local whole, etag = said.rows[1], nil
    for _, row in ipairs(said.rows) do
        if row.kind == "item" then etag = row.etag end
    end
    local restart = ms.array(whole.restart)
    local out = {
        remarks = edits.remarks_of(said.rows), applied = #restart > 0 and "restart" or "live", restart = restart,
        httpd = whole.httpd, streams = whole.streams,
    }
    if args.validate then
        out.valid = true
        return http.answer(200, out)
    end
    out.etag, out.revision = etag, whole.revision
    return http.answer(200, out, { ETag = '"' .. etag .. '"' })
end

return {
    { "GET", "/config", get, id = "getConfig", right = "server" },
    { "PATCH", "/config", patch, id = "patchConfig", right = "server" },
}
