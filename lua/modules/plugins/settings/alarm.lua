-- interface: media-server 1
-- Settings of modules/plugins/alarm.lua.
return {
    url = "https://api.telegram.org/bot<token>/sendMessage", -- its host has to stand in `hosts` of [plugins]
    chat = 0, -- number of the chat
    patience = 60, -- seconds
    look_every = 10, -- seconds
    events = { motion = true, tamper = true }, -- kinds that are told
}
