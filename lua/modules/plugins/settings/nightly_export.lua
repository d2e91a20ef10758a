-- interface: media-server 1
-- Settings of modules/plugins/nightly_export.lua.
return {
    at = "03:00", -- of the machine, or of `time-zone`
    retry = 300, -- seconds between two tries
    from_hour = 0, -- of the day before
    to_hour = 24,
    hours = 12, -- the links are good for so long
    streams = {}, -- "yard", "gate"
    server = "http://127.0.0.1:444", -- this server, as the archive reaches it
    url = "http://archive.example/fetch", -- is told by POST; its host has to stand in `hosts` of [plugins]
}
