-- interface: media-server 1
--
-- The pages of the control panel, below /cpanel/. Here the frame is made: head, navigation, what is loaded. What a page
-- shows is made in the browser by the modules of cpanel/app/, out of /api/v3/ and its stream of events.
--
-- To change it: copy it to modules/cpanel/cpanel.lua in the folder of media-server.ini and edit the copy; it is taken
-- within two seconds, without a restart. docs/lua.md says more.
--
-- request.path       below the base: "/", "/camera/cam-1"
-- request.base       where the panel stands: cpanel-baseurl
-- request.api        where /api/v3 does
-- request.languages  what the browser says it reads (Accept-Language)
-- request.secure     did it come by TLS?
--
-- The answer: { status = 200, type = "text/html; charset=utf-8", body = text, headers = { name = text } }

local html = require("modules.cpanel.html")

-- --- what a site may want to change --------------------------------------------------------------------------------

local SITE = "media-server" -- name of the site, in the head and in the window's title

-- path: below the base. icon: one of cpanel/app/icons.js. text: one of cpanel/text/*.js, or any text.
local NAVIGATION = {
    { name = "fleet", path = "", icon = "fleet", text = "nav.fleet" },
    { name = "wall", path = "/wall", icon = "wall", text = "nav.wall" },
    { name = "server", path = "/server", icon = "server", text = "nav.server" },
}

-- Below the base. A site's own files can stand behind ours.
local STYLES = { "lib/uPlot.min.css", "app/base.css", "app/frame.css", "app/fleet.css", "app/camera.css", "app/wall.css", "app/server.css" }
local SCRIPTS = { "app/main.js" }

-- Asked for together with the page, and not one after the other.
local EARLY = {
    "app/api.js", "app/dom.js", "app/feed.js", "app/frame.js", "app/icons.js", "app/menu.js", "app/router.js", "app/session.js", "app/text.js",
    "app/unsaved.js",
}
-- And what the page needs that is opened, by the first name of its path; the fleet's is the first one of all.
local OF_PAGE = {
    fleet = {
        "app/fleet.js", "app/fleet_actions.js", "app/fleet_row.js", "app/fleet_view.js", "app/nodes.js", "app/pictures.js", "app/spark.js",
        "app/states.js", "app/virtual.js",
    },
    camera = {
        "app/camera.js", "app/calendar.js", "app/camera_archive.js", "app/camera_line.js", "app/camera_panels.js", "app/camera_player.js",
        "app/fleet_actions.js", "app/nodes.js", "app/plot.js", "app/probe.js", "app/states.js", "app/table.js", "player/source.js",
        "player/socket.js", "player/timeline.js",
    },
    wall = { "app/wall.js", "app/states.js", "player/socket.js" },
    server = { "app/server.js" },
}
local LANGUAGES = { "en", "ru" } -- the first one where a browser reads none of them

-- --- the page ------------------------------------------------------------------------------------------------------

local PAGE = [[
<!doctype html>
<html lang="{language}" data-base="{base}" data-api="{api}" data-site="{site}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{site}</title>
<link rel="icon" href="{base}/player/icon.svg" type="image/svg+xml">
<script src="{base}/app/early.js"></script>
{{styles}}
{{early}}
{{scripts}}
</head>
<body>
<a class="skip" href="#page" data-t="skip"></a>
<header class="header" id="header" hidden>
  <a class="brand" href="{base}"><span class="brand-mark" aria-hidden="true"></span><span class="brand-name">{site}</span></a>
  <nav class="nav" data-t-label="nav.label">
{{navigation}}
  </nav>
  <span class="header-space"></span>
  <div class="line" role="status"><span class="line-dot" aria-hidden="true"></span><span id="line-text"></span></div>
  <button class="user" id="user" type="button" aria-haspopup="menu" aria-expanded="false"></button>
</header>
<aside class="banner" id="banner" data-t-label="session.banner" hidden><span data-icon="warn"></span><span id="banner-text"></span></aside>
<div class="dead" id="dead" role="alert" hidden><span data-icon="warn"></span><span id="dead-text"></span></div>
<main class="page" id="page" tabindex="-1"></main>
<div class="toasts" id="toasts"></div>
<noscript><p>The control panel needs JavaScript. Панели управления нужен JavaScript.</p></noscript>
</body>
</html>
]]

local LINK = [[    <a href="{base}{path}" data-nav="{name}"><span data-icon="{icon}"></span><span data-t="{text}"></span></a>]]

local function files(template, base, names)
    local rows = {}
    for i, name in ipairs(names) do rows[i] = { base = base, name = name } end
    return html.each(template, rows)
end

local function navigation(base)
    local rows = {}
    for i, row in ipairs(NAVIGATION) do rows[i] = { base = base, name = row.name, path = row.path, icon = row.icon, text = row.text } end
    return html.each(LINK, rows)
end

-- The first language of the browser's list that there is.
local function language_of(list)
    for name in list:gmatch("(%a%a)[%w-]*") do
        for _, ours in ipairs(LANGUAGES) do
            if name:lower() == ours then return ours end
        end
    end
    return LANGUAGES[1]
end

-- What is asked for early of this page in this language.
local function early_of(path, language)
    local names = { ("text/%s.js"):format(language), table.unpack(EARLY) }
    local of_page = OF_PAGE[path:match("^/(%l+)") or "fleet"] or {}
    return table.move(of_page, 1, #of_page, #names + 1, names)
end

return function(request)
    local language = language_of(request.languages)
    local body = html.fill(PAGE, {
        language = language,
        base = request.base, api = request.api, site = SITE,
        styles = files([[<link rel="stylesheet" href="{base}/{name}">]], request.base, STYLES),
        early = files([[<link rel="modulepreload" href="{base}/{name}">]], request.base, early_of(request.path, language)),
        scripts = files([[<script type="module" src="{base}/{name}"></script>]], request.base, SCRIPTS),
        navigation = navigation(request.base),
    })
    return { status = 200, type = "text/html; charset=utf-8", body = body, headers = { Vary = "Accept-Language" } }
end
