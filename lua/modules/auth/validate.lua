-- interface: media-server 1
--
-- Who may watch. The server asks this script once for every new session, and keeps the verdict for `ttl`
-- seconds; what the script needs to know has been found out before (addresses compared, token and password
-- verified), so that it only decides.
--
-- To change it: copy it to modules/auth/validate.lua in the folder of media-server.ini and edit the copy. A
-- change is taken within two seconds. A script with a mistake in it is refused with file and line in the log,
-- and the one before it goes on. docs/lua.md has more, with examples.
--
-- request.uid         the stream
-- request.op          page, live, dvr, copy (a file of the archive), preview, publish
-- request.road        hls, mp4, ws, rtsp, ts, picture, info, page, push
-- request.address     of the viewer
-- request.user_agent  of the viewer
-- request.access      stream-access: public, protected, private, none
-- request.listed      is the address in stream-whitelist? nil: the stream has none
-- request.server_listed  the same for whitelist-access of the server
-- request.proto_ok    does stream-proto offer this road?
-- request.enabled     false: the stream is switched off
-- request.token       nil, or { valid, user, kid, ops = { live = true, ... }, from, to, stream_ok, address_ok }
-- request.link        nil, or: was the secure link right?
-- request.user        nil, or { name, role } of an account whose password was right
-- request.backend     nil, or { allow, user, duration, max_sessions } as the site's own server said
-- request.from, request.to  the time of the archive that is asked for, unix seconds
--
-- The answer: { allow = true, ttl = seconds, user = name, max_sessions = number }
--         or: { allow = false, status = 401, 403 or 503, ttl = seconds } (503 is not kept)

local KEEP_ALLOWED = 60 -- seconds until it is asked again
local KEEP_REFUSED = 5 -- at most 180: nobody who asks again before is looked at

local function allow(who)
    who = who or {}
    return { allow = true, ttl = who.duration or KEEP_ALLOWED, user = who.user or who.name, max_sessions = who.max_sessions }
end

local function refuse(status, duration)
    return { allow = false, status = status, ttl = duration or KEEP_REFUSED }
end

-- What a token must allow for what is asked for.
local NEEDS = { page = { "live", "dvr" }, live = { "live" }, preview = { "live" }, dvr = { "dvr" }, copy = { "copy" }, publish = { "publish" } }

local function token_allows(token, request)
    if not (token.valid and token.stream_ok and token.address_ok) then return false end
    if token.from and request.from and request.from < token.from then return false end
    if token.to and request.to and request.to > token.to then return false end
    for _, op in ipairs(NEEDS[request.op] or {}) do
        if token.ops and token.ops[op] then return true end
    end
    return false
end

-- The rules, in order: the first one that returns something has decided.
local rules = {}

function rules.server_whitelist(request)
    if request.server_listed == false then return refuse(403) end
end

function rules.nobody(request)
    if request.access == "none" then return refuse(403) end
end

function rules.not_offered(request)
    if not request.proto_ok then return refuse(403) end
end

function rules.whitelist(request)
    if request.access == "protected" and not request.listed then return refuse(403) end
end

function rules.open_to_all(request)
    if request.access == "public" or request.access == "protected" then return allow(request.token and request.token.valid and request.token) end
end

function rules.backend(request)
    if not request.backend then return end
    return request.backend.allow and allow(request.backend) or refuse(403, request.backend.duration)
end

function rules.secure_link(request)
    if request.link and request.op ~= "publish" then return allow() end
end

function rules.token(request)
    if request.token and token_allows(request.token, request) then return allow(request.token) end
end

-- Accounts of [[[users]]]: a guest sees what is live.
function rules.account(request)
    local user = request.user
    if not user or request.op == "publish" then return end
    if user.role ~= "guest" or request.op == "live" or request.op == "preview" or request.op == "page" then return allow(user) end
end

-- Whoever showed something that did not do is told so; whoever showed nothing is asked for it.
function rules.nothing_shown(request)
    local shown = request.token or request.link ~= nil or request.user
    return refuse(shown and 403 or 401)
end

local ORDER = {
    "server_whitelist", "nobody", "not_offered", "whitelist", "open_to_all",
    "backend", "secure_link", "token", "account", "nothing_shown",
}

-- Only who may watch is told that there is nothing to see.
local function is_off(request)
    return not request.enabled and (request.op == "live" or request.op == "preview")
end

return function(request)
    for _, name in ipairs(ORDER) do
        local verdict = rules[name](request)
        if verdict then return verdict.allow and is_off(request) and refuse(503) or verdict end
    end
end
