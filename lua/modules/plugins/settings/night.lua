-- interface: media-server 1
-- Settings of modules/plugins/night.lua: the first rule whose stream fits holds. Times are of the machine, or of
-- `time-zone`.
return {
    -- { stream = "yard-*", from = "06:00", to = "22:00", except = { "boss" } },
}
