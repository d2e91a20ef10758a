-- interface: media-server 1
--
-- Every night a server of the site's is told which footage of the day before it may fetch: for each stream a link
-- to an MP4 that is good for some hours. Scripts write no files; whoever keeps copies has a disk for them.
--
-- To use it: [plugins] load = modules/plugins/nightly_export.lua, hosts = the archive's host; copy
-- modules/plugins/settings/nightly_export.lua to the folder of media-server.ini, by the same path, and fill it in.

local settings = require("modules.plugins.settings.nightly_export")

-- The hours asked for, of the day that ended last.
local function span()
    local t = os.date("*t")
    local midnight = os.time({ year = t.year, month = t.month, day = t.day, hour = 0 })
    local from = midnight - 86400 + settings.from_hour * 3600
    return from, (settings.to_hour - settings.from_hour) * 3600
end

local function link(uid, from, seconds)
    local token, why = ms.call("token.mint", { user = "nightly export", uid = uid, ops = ms.array({ "copy" }), duration = settings.hours * 3600 })
    if not token then return nil, why end
    return ("%s/%s/archive-%d-%d.mp4?token=%s"):format(settings.server, uid, from, seconds, token)
end

local function tell(uid, from, seconds)
    local url, why = link(uid, from, seconds)
    if url then
        local answer
        answer, why = ms.call("http", {
            method = "POST", url = settings.url, headers = { ["Content-Type"] = "application/json" },
            body = ms.json({ stream = uid, from = from, duration = seconds, url = url }),
        })
        if answer and answer.status >= 200 and answer.status < 300 then return true end
        why = why or ("it answers %d"):format(answer.status)
    end
    ms.log(("nightly export of %s: %s"):format(uid, why))
end

-- What could not be told is told with the next turn: the day is noted behind the last one.
local function run()
    local from, seconds = span()
    local whole = true
    for _, uid in ipairs(settings.streams) do
        local key = "told " .. uid
        if ms.call("store.get", key) ~= tostring(from) then
            if tell(uid, from, seconds) then
                ms.call("store.set", { key = key, value = tostring(from) })
            else
                whole = false
            end
        end
    end
    return whole
end

local timers = { { every = settings.retry, run = function()
    if ms.call("store.get", "due") and run() then ms.call("store.set", { key = "due" }) end
end } }
local function due()
    ms.call("store.set", { key = "due", value = "yes" })
end
timers[2] = { at = settings.at, every = settings.every, run = due }

return { timers = timers }
