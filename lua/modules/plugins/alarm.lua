-- interface: media-server 1
--
-- Tells a Telegram chat when a camera goes down and comes back, and when it sees something. A camera that is back
-- within `patience` seconds is not worth a message.
--
-- To use it: [plugins] load = modules/plugins/alarm.lua, hosts = api.telegram.org; copy
-- modules/plugins/settings/alarm.lua to the folder of media-server.ini, by the same path, and fill in the copy.

local settings = require("modules.plugins.settings.alarm")

local BAD = { down = true, invalid = true, stale = true }

local function say(text)
    local answer, why = ms.call("http", {
        method = "POST", url = settings.url, timeout = 10,
        headers = { ["Content-Type"] = "application/json" },
        body = ms.json({ chat_id = settings.chat, text = text }),
    })
    if not answer then return ms.log("alarm: " .. why) end
    if answer.status ~= 200 then ms.log(("alarm: the chat answers %d"):format(answer.status)) end
end

local alarm = {}

-- What is down since when is kept, so that a restart of the server neither forgets nor repeats an alarm.
function alarm.on_stream_state(event)
    local since = ms.call("store.get", event.uid)
    if BAD[event.state] and not since then
        ms.call("store.set", { key = event.uid, value = ("%d %s"):format(os.time(), event.reason) })
    elseif event.state == "active" and since then
        ms.call("store.set", { key = event.uid })
        if since:sub(1, 5) == "told " then say(event.uid .. " is back") end
    end
end

function alarm.on_event(event)
    if event["end"] or not settings.events[event.kind] then return end
    say(("%s: %s"):format(event.uid, event.kind))
end

-- Those whose patience is over.
local function look()
    for _, uid in ipairs(ms.call("store.keys") or {}) do
        local at, reason = (ms.call("store.get", uid) or ""):match("^(%d+) (.*)$")
        if at and os.time() - tonumber(at) >= settings.patience then
            ms.call("store.set", { key = uid, value = "told " .. at })
            say(("%s is down: %s"):format(uid, reason))
        end
    end
end

alarm.timers = { { every = settings.look_every, run = look } }

return alarm
