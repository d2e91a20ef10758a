-- interface: media-server 1
--
-- An access rule by time of day: streams that nobody but certain accounts may watch live outside of their hours. Who
-- watches when the hours end is sent away within a minute.
--
-- To use it: [plugins] load = modules/plugins/night.lua; copy modules/plugins/settings/night.lua to the folder of
-- media-server.ini, by the same path, and fill in the copy.

local rules = require("modules.plugins.settings.night")

local LIVE = { live = true, preview = true, page = true }

local function minutes(text)
    local h, m = text:match("^(%d+):(%d+)$")
    return h * 60 + m
end

-- From 22:00 to 06:00 is over midnight.
local function is_within(now, from, to)
    if from <= to then return now >= from and now < to end
    return now >= from or now < to
end

local function rule_of(uid)
    for _, rule in ipairs(rules) do
        local pattern = rule.stream
        if pattern == uid or pattern:sub(-1) == "*" and uid:sub(1, #pattern - 1) == pattern:sub(1, -2) then return rule end
    end
end

-- viewer: what modules/auth/validate.lua is given, too.
local function on_viewer(viewer)
    local rule = LIVE[viewer.op] and rule_of(viewer.uid)
    if not rule then return true end
    local t = os.date("*t")
    if is_within(t.hour * 60 + t.min, minutes(rule.from), minutes(rule.to)) then return { allow = true, ttl = 60 } end
    local name = viewer.user and viewer.user.name
    for _, login in ipairs(rule.except or {}) do
        if login == name then return true end
    end
    return { allow = false, status = 403 }
end

return { on_viewer = on_viewer }
