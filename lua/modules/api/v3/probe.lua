-- A camera tried before it is added, and why a stream shows nothing.

local http = require("modules.api.v3.http")

local BUSY = 7 -- of ctl.h

-- What the server says of a camera that it tries, steps apart; or nil and an answer.
local function try(...)
    local said, busy = http.say("server.change", { cmd = "api probe", args = ms.array({ ... }) })
    if not said then return nil, busy end
    if said.code == BUSY then
        local answer = http.problem(429, "busy", "Two cameras are being tried already: try again in ten seconds.")
        answer.headers = { ["Retry-After"] = "10" }
        return nil, answer
    end
    if said.code ~= 0 then return nil, http.refusal(said.code, said.text) end
    local found, steps, ended = said.rows[1], ms.array(), nil
    for _, row in ipairs(said.rows) do
        local kind = row.kind
        row.kind = nil
        if kind == "step" then steps[#steps + 1] = row end
        if kind == "sdp" then found.sdp = row.text end
        if kind == "attempt" then ended = ended or row end
    end
    found.steps = steps
    found.sdp = found.sdp or ms.null
    found.cause = ended and ended.cause
    if found.reason == "" and ended then found.reason = ended.text or "" end
    return found
end

local TRANSPORTS = { auto = true, tcp = true, udp = true }

local function probe(request)
    local fields, wrong = http.body(request, { url = "string!", transport = "string", seconds = "number" })
    if not fields then return wrong end
    local transport, seconds = fields.transport or "auto", math.tointeger(fields.seconds or 5)
    if not TRANSPORTS[transport] then return http.wrong_field("transport", "It is auto, tcp or udp.") end
    if not seconds or seconds < 2 or seconds > 8 then return http.wrong_field("seconds", "It is a whole number from 2 to 8.") end
    if #fields.url > 1500 or fields.url:find("%c") then return http.wrong_field("url", "It is one line of at most 1,500 bytes.") end
    local found, refused = try(fields.url, transport, tostring(seconds))
    if not found then return refused end
    local tracks = ms.array()
    if found.codec ~= "" then tracks[#tracks + 1] = { kind = "video", codec = found.codec, width = found.width, height = found.height } end
    if found.audio ~= "" then tracks[#tracks + 1] = { kind = "audio", codec = found.audio } end
    return http.answer(200, {
        ok = found.ok, reason = found.reason, peer = found.peer, steps = found.steps, sdp = found.sdp, tracks = tracks, bitrate = found.bitrate,
        frames = found.frames, losses = found.losses, gop = { frames = found.gop_frames, seconds = found.gop_seconds },
    })
end

-- --- why is it black? ----------------------------------------------------------------------------------------------

local function check(name, result, text, seconds)
    return { name = name, result = result, text = text, seconds = seconds }
end

local function fault(name, text, seconds) return check(name, "fault", text, seconds) end
local function warning(name, text) return check(name, "warning", text) end
local function ok(name, text, seconds) return check(name, "ok", text, seconds) end
local function unknown(name, text) return check(name, "unknown", text) end

local function step_of(steps, name)
    for i = #steps, 1, -1 do
        if steps[i].name == name then return steps[i] end
    end
    return nil
end

local function is_rtsp(step)
    return step.name ~= "resolve" and step.name ~= "connect"
end

-- Checks: what was seen (frames, steps, ...), the stream's row. Each returns a check.
local checks = {}

function checks.dns(seen)
    local step = step_of(seen.steps, "resolve")
    if step then return fault("dns", ("The camera's name leads nowhere (%s): look at stream-url, and at DNS."):format(step.text), step.seconds) end
    if step_of(seen.steps, "connect") then return ok("dns", "The camera's address is known.") end
    return unknown("dns", seen.push and "The camera calls us." or "Nothing has been tried yet.")
end

local NO_WAY = "No connection: %s. Is the camera on, is its port right, does camera-allow let it?"

function checks.tcp(seen)
    local step = step_of(seen.steps, "connect")
    if seen.push and seen.frames > 0 then return ok("tcp", "The camera is here.") end
    if seen.push then return fault("tcp", "The camera has not called: look at its push URL.") end
    if not step then return unknown("tcp", "It did not come to that.") end
    if step.ok then return ok("tcp", ("Connected to %s."):format(step.text), step.seconds) end
    return fault("tcp", NO_WAY:format(step.text), step.seconds)
end

local CAUSES = {
    auth = "User or password are wrong: change stream-url.", capacity = "The camera is full: it takes no more viewers.",
    not_found = "The camera knows no such path: change stream-url.", unsupported = "It offers nothing that we record, or no transport in common.",
    protocol = "What it says is no RTSP.", timeout = "It does not answer, or sends no media after PLAY: try stream-transport = tcp.",
    silent = "It went silent.", closed = "It closed the connection.",
}

function checks.rtsp(seen)
    local last
    for _, step in ipairs(seen.steps) do
        if is_rtsp(step) then last = step end
    end
    if not last and seen.frames > 0 then return ok("rtsp", "It plays.") end
    if not last then return unknown("rtsp", "It did not come to that.") end
    local said = ("%s was answered %s."):format(last.name, last.text)
    if last.name == "PLAY" and last.ok then return ok("rtsp", said, last.seconds) end
    return fault("rtsp", ("%s %s"):format(said, CAUSES[seen.cause] or ""), last.seconds)
end

function checks.rtp(seen)
    if seen.frames == 0 then return fault("rtp", "No picture has come. A firewall may hold UDP up: try stream-transport = tcp.") end
    if seen.age and seen.age > 10 then return fault("rtp", ("Nothing has come for %d s."):format(seen.age)) end
    if seen.losses > 0 and seen.packets and seen.losses * 100 > seen.packets then
        return warning("rtp", ("%d of %d packets were lost: look at the network, or use TCP."):format(seen.losses, seen.packets))
    end
    return ok("rtp", ("Media comes, %d kbit/s."):format(seen.bitrate // 1000))
end

function checks.keyframe(seen)
    if not seen.key then return fault("keyframe", "No key frame has come, so nothing can be shown: set the camera's interval to 2 s.") end
    if seen.gop > 10 then return warning("keyframe", ("One every %.1f s: pictures begin late. Set 2 s at the camera."):format(seen.gop)) end
    return ok("keyframe", seen.gop > 0 and ("One every %.1f s."):format(seen.gop) or "One has come.")
end

function checks.codec(seen)
    if seen.codec == "" then return fault("codec", "There is no picture that is known here: H.264 or H.265 is needed.") end
    if seen.codec == "H265" then
        return warning("codec", "H.265: browsers that cannot play it stay black. Use a sub-stream in H.264, or play by RTSP.")
    end
    local sound = seen.audio ~= "" and (" with sound as " .. seen.audio) or ""
    return ok("codec", ("%s, %d x %d%s."):format(seen.codec, seen.width, seen.height, sound))
end

local DISK = { failed = "fault", stopped = "fault", paused = "warning" }

function checks.disk(_, row)
    if row.record == "off" then return ok("disk", "It is not recorded.") end
    local said = row.record_reason ~= "" and (": " .. row.record_reason) or ""
    return check("disk", DISK[row.record] or "ok", ("Recording is %s%s."):format(row.record, said))
end

local NEEDS = { private = "a token or an account", protected = "a listed address" }

function checks.access(_, row)
    if not row.enabled then return fault("access", "It is switched off: stream-enable = false.") end
    if row.access == "none" then return fault("access", "Nobody may watch it: stream-access = none.") end
    if row.proto == "" then return fault("access", "stream-proto offers no way to watch it.") end
    if row.access == "public" then return ok("access", ("Everybody may watch it, by %s."):format(row.proto)) end
    return ok("access", ("%s: viewers need %s."):format(row.access, NEEDS[row.access]))
end

local ORDER = { "dns", "tcp", "rtsp", "rtp", "keyframe", "codec", "disk", "access" }
local WORST = { ok = 0, unknown = 0, warning = 1, fault = 2 }

-- As its worker has it, where it plays; else its camera is tried now.
local function look(row)
    local rows, wrong = http.server("api stream", row.uid)
    if not rows then return nil, wrong end
    local about, steps, ended = rows[1], ms.array(), nil
    for _, r in ipairs(rows) do
        if r.kind == "step" then steps[#steps + 1] = r end
        if r.kind == "attempt" then ended = ended or r end
    end
    local push = row.source:find("^publish:") ~= nil
    if row.state == "active" or push or not row.enabled then
        local age = row.last_frame > 0 and math.floor(ms.time() - row.last_frame) or nil
        return {
            steps = steps, frames = row.frames, packets = about.counters.packets, losses = row.losses, bitrate = row.bitrate, age = age, push = push,
            key = about.last_key > 0, gop = about.gop_seconds, codec = row.codec, audio = row.audio, width = row.width, height = row.height,
            cause = ended and ended.cause,
        }
    end
    local found, refused = try("", "auto", "4", row.uid)
    if not found then return nil, refused end
    return {
        steps = found.steps, frames = found.frames, losses = found.losses, bitrate = found.bitrate, key = found.ok, gop = found.gop_seconds,
        codec = found.codec, audio = found.audio, width = found.width, height = found.height, cause = found.cause,
    }
end

local function diagnose(_, path)
    local rows, none = http.server("api streams", path.uid)
    if not rows then return none end
    local row = rows[1]
    local seen, wrong = look(row)
    if not seen then return wrong end
    local out, verdict = ms.array(), "ok"
    local lines = {
        ("media-server, %s: %s"):format(os.date("!%Y-%m-%dT%H:%M:%SZ"), row.uid),
        ("source %s, state %s%s"):format(row.source, row.state, row.reason ~= "" and (": " .. row.reason) or ""),
    }
    for i, name in ipairs(ORDER) do
        local c = checks[name](seen, row)
        out[i] = c
        if WORST[c.result] > WORST[verdict] then verdict = c.result end
        lines[#lines + 1] = ("%-8s %-7s %s"):format(c.name, c.result, c.text)
    end
    return http.answer(200, { verdict = verdict, text = table.concat(lines, "\n") .. "\n", checks = out })
end

return {
    { "POST", "/probe", probe, id = "probeCamera", right = "operate" },
    { "POST", "/streams/{uid}/diagnosis", diagnose, id = "diagnoseStream", right = "operate" },
}
