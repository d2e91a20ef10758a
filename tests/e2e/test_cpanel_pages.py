"""The control panel in Chromium against the whole server: every page is opened and used, pictures move, nothing of a camera or a
viewer becomes markup, and it can be used by keyboard and read aloud."""
import json
import os
import re
import signal
import time

import pytest

import ws
from chromium import usable
from panel import EVIL, USERS, csrf, panel, panel_site
from server import need_server
from test_api import call
from test_api3 import token_of
from tools import wait_for

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.limit(180),
    pytest.mark.skipif(not usable(), reason="no chromium, node or playwright-core"),
]

FRAMES = "(document.querySelector('video')?.getVideoPlaybackQuality().totalVideoFrames ?? 0)"
PLAYS = {"until": f"{FRAMES} > 25", "ms": 25000}
HARMLESS = {"eval": "[window.evil, document.querySelectorAll('img[src=x]').length, [...document.scripts].filter((s) => !s.src).length]"}


@pytest.fixture(scope="module")
def site():
    need_server()
    with panel_site() as both:
        yield both


def row(uid):
    return f".rows .row[data-uid={uid}]"


def test_signing_in_and_out(site):
    server, _ = site
    got = panel(
        server, "/", {"text": "h1", "has": "media-server"}, {"fill": ["input[name=user]", "root"]}, {"fill": ["input[name=password]", "wrong"]}, {"press": "Enter"},
        {"text": ".notice.bad", "has": "wrong"}, {"axe": True}, {"fill": ["input[name=password]", USERS["root"].split(":")[1]]}, {"press": "Enter"}, {"text": "#line-text", "has": "Live"},
        {"eval": "document.cookie + JSON.stringify(localStorage)"}, {"click": "#user"}, {"click": "[role=menu] >> text=Sign out"}, {"text": ".signin h1", "has": "media-server"}, role=None,
        also=("a status of 403",),  # a picture that was asked for as the session ended
    )
    assert got[5] == []
    assert "session" not in got[9]  # the cookie is none of the page's scripts


def test_fleet_shows_every_camera(site):
    server, _ = site
    got = panel(
        server, "", {"count": ".rows .row", "is": 8}, {"text": row("gate") + " .c-state", "has": "Active"}, {"text": row("cellar") + " .c-state", "has": "Down", "ms": 30000}, {"text": row("cellar") + " .reason", "has": "refused", "ms": 30000},
        {"text": row("attic") + " .c-state", "has": "Disabled"}, {"text": row("gate") + " .c-rate", "has": "bit/s"}, {"text": row("gate") + " .c-record", "has": "Recording"},
        {"until": "[...document.querySelectorAll('.shot img')].filter((i) => i.naturalWidth > 0).length >= 5", "ms": 30000},
        {"fill": ["input[type=search]", "yard"]}, {"count": ".rows .row", "is": 1}, {"fill": ["input[type=search]", ""]}, {"click": ".chip:has-text('Down')"}, {"count": ".rows .row", "is": 1},
        {"click": ".chip:has-text('All')"}, {"pick": [".fleet-tools select >> nth=0", "state"]}, {"until": "document.querySelectorAll('.rows .group').length >= 3", "ms": 5000}, HARMLESS, {"eval": "location.search"},
    )
    assert got[-2] == [None, 0, 0] and got[-1] == "?group=state"
    assert EVIL in panel(server, "", {"text": ".rows", "has": "Hall"})[0]


def test_fleet_by_keyboard(site):
    server, _ = site
    focus = {"eval": "document.activeElement.textContent"}
    got = panel(server, "", {"count": ".rows .row", "is": 8}, {"eval": "document.querySelector('.cam-name').focus()"}, focus, {"press": "ArrowDown"}, focus, {"press": "Space"}, {"text": ".bulk strong", "has": "1 camera"},
                {"press": "End"}, focus, {"press": "Enter"}, {"text": ".camera-head h1", "has": "Roof"})
    assert got[2] != got[4] and got[8] == "Roof"


def test_menus_and_dialogs_by_keyboard(site):
    """From the first Tab on; whoever closes a dialog is back where it was opened."""
    server, _ = site
    focus = {"eval": "document.activeElement.textContent || document.activeElement.getAttribute('aria-label')"}
    got = panel(
        server, "", {"count": ".rows .row", "is": 8}, {"press": "Tab"}, focus, {"press": "Enter"}, {"until": "document.activeElement.id === 'page'", "ms": 5000}, {"count": ".rows .row", "is": 8}, {"eval": f"document.querySelector('{row('yard')} .cam-name').focus()"},
        {"press": "Tab"}, {"press": "Enter"}, {"press": "ArrowDown"}, focus, {"press": "Enter"}, {"count": "dialog", "is": 1}, {"press": "Z"}, {"press": "Escape"}, {"count": "dialog", "is": 2}, focus, {"press": "Enter"}, {"count": "dialog", "is": 0}, focus,
    )
    assert [got[2], got[10], got[16], got[19]] == ["Skip to the page", "Edit", "Leave", "Actions for North yard"]


def test_switching_off_and_undoing(site):
    server, _ = site
    file = server.path / "streams" / "hall.ini"
    before = file.read_text()
    name = row("hall")
    panel(server, "", {"click": name + " .c-more button"}, {"click": "[role=menu] >> text=Disable"}, {"text": ".toast", "has": "1 camera disabled"}, {"hover": ".toast"}, {"text": name + " .c-state", "has": "Disabled", "ms": 15000},
          {"click": ".toast >> text=Undo"}, {"text": name + " .c-state", "has": "Active", "ms": 20000})
    assert file.read_text() == before


def test_restart_and_pausing_many(site):
    server, _ = site
    total = server.stream("gate-sub")["pid"]
    panel(server, "?q=gate", {"count": ".rows .row", "is": 2}, {"click": ".heads input"}, {"text": ".bulk strong", "has": "2 cameras"}, {"click": ".bulk >> text=Pause recording"}, {"hover": ".toast"}, {"text": row("gate") + " .c-record", "has": "Paused", "ms": 15000},
          {"click": ".toast >> text=Undo"}, {"text": row("gate") + " .c-record", "has": "Recording", "ms": 20000}, {"click": ".bulk >> text=Restart"}, {"text": ".toast:last-child", "has": "restarting"})
    wait_for("another worker", lambda: server.stream("gate-sub")["pid"] not in (0, total), timeout=20)


def test_adding_a_camera(site):
    server, cam = site
    url = cam.url("more0")
    panel(server, "", {"click": "text=Add camera"}, {"fill": ["input[name=uid]", "porch"]}, {"fill": ["input[name=stream-name]", "Porch"]}, {"fill": ["input[name=stream-url]", "http://nothing"]}, {"click": "dialog .button.primary"},
          {"text": ".field:has(input[name=stream-url]) .wrong", "has": "rtsp"}, {"fill": ["input[name=stream-url]", url]}, {"click": "dialog >> text=Test"}, {"text": ".probe", "has": "H.264", "ms": 30000},
          {"click": "dialog .button.primary"}, {"text": ".toast", "has": "porch was added"}, {"text": row("porch") + " .c-state", "has": "Active", "ms": 30000},
          {"click": row("porch") + " .c-more button"}, {"click": "[role=menu] >> text=Remove"}, {"click": "dialog .button.danger"}, {"count": row("porch"), "is": 0, "ms": 15000}, timeout=120)
    assert "porch" not in server.streams()


def test_camera_live_and_archive(site):
    server, _ = site
    wait_for("half a minute to go back to", lambda: server.ranges("gate")[-1][1] > 45, timeout=60)
    start = int(server.ranges("gate")[-1][0]) + 2
    clock, paused = "Date.parse(document.querySelector('.stage-clock').dateTime)", "document.querySelector('video').paused"
    ahead = f"({clock} - window.was - (Date.now() - window.then)) / 1000"  # of what playing on would have shown
    got = panel(
        server, "/camera/gate", PLAYS, {"text": ".stage-late", "has": "WebSocket"}, {"text": ".badge", "has": "LIVE"}, {"text": ".side dl", "has": "bit/s"}, {"press": "k"}, {"until": paused}, {"press": "k"},
        {"visit": f"/cpanel/camera/gate?from={start}"}, {"text": ".badge", "has": "ARCHIVE", "ms": 15000}, PLAYS, {"eval": f"window.then = Date.now(), window.was = {clock}"}, {"press": "ArrowRight"}, {"until": f"{ahead} > 5"}, {"eval": ahead}, {"press": "Space"}, {"until": paused}, {"eval": "document.querySelector('video').currentTime"}, {"press": "."},
        {"eval": "document.querySelector('video').currentTime"}, {"pick": [".stage-bar select", "2"]}, {"eval": "document.querySelector('video').playbackRate"}, {"press": "l"}, {"text": ".badge", "has": "LIVE"}, timeout=120,
    )
    assert -1 < got[10] / 1000 - start < 15 and 5 < got[13] < 14
    assert 0.02 < got[18] - got[16] < 0.2 and got[20] == 2


def test_nothing_of_a_camera_becomes_markup(site):
    """Its name, the title of its SDP, what its log says of both."""
    server, _ = site
    got = panel(
        server, "/camera/hall", {"text": "h1", "has": EVIL}, {"click": "#tab-tracks"}, {"text": "#tab-panel pre", "has": EVIL}, HARMLESS, {"click": "#tab-setup"}, {"text": "#tab-panel pre", "has": EVIL}, HARMLESS, {"click": "#tab-log"}, {"text": "#tab-panel", "has": "hall"}, HARMLESS,
        {"click": "text=Why is it black?"}, {"text": "dialog .notice", "has": "works", "ms": 40000}, HARMLESS,
    )
    assert [r for r in got if isinstance(r, list)] == [[None, 0, 0]] * 4


def test_camera_details(site):
    server, _ = site
    got = panel(
        server, "/camera/gate", {"text": ".camera-head h1", "has": "Main gate"}, {"text": ".camera-others a", "has": "sub stream"}, {"click": "#tab-tracks"}, {"text": "#tab-panel", "has": "H.264"}, {"text": "#tab-panel pre", "has": "m=video"},
        {"click": "#tab-history"}, {"text": "#tab-panel", "has": "step by step"}, {"click": "#tab-setup"}, {"text": "#tab-panel", "has": "gate.ini"}, {"click": "#tab-log"}, {"text": "#tab-panel", "has": "gate"},
        {"click": "text=Cut"}, {"text": ".cut-bar", "has": "Download MP4"}, {"click": ".cut-bar >> text=Lock"}, {"fill": ["dialog input", EVIL]}, {"click": "dialog .button.primary"}, {"text": ".toast:last-child", "has": "locked"},
        {"click": "#tab-marks"}, {"text": "#tab-panel", "has": "Release", "ms": 15000}, HARMLESS, {"click": "#tab-panel >> text=Release"}, {"text": ".toast:last-child", "has": "released"}, {"click": "[aria-label=Calendar]"}, {"until": "document.querySelectorAll('.day[data-some=true]').length > 0", "ms": 10000},
        {"press": "Escape"}, {"eval": "window.fetch = ((real) => (url, ...rest) => (/\\/events\\?/.test(url) ? Promise.resolve(new Response('{}', { status: 409 })) : real(url, ...rest)))(window.fetch), 0"},
        {"click": "[aria-label='Show more time']"}, {"text": ".line-tools", "has": "events could not be listed", "ms": 10000},
    )
    assert got[19] == [None, 0, 0]


def test_why_is_it_black(site):
    """The text to paste has no password; of H.265 the browser's verdict is part of it."""
    server, _ = site
    text = panel(server, "/camera/cellar", {"click": "text=Why is it black?"}, {"text": "dialog .notice", "has": "wrong", "ms": 40000}, {"eval": "document.querySelector('dialog pre').textContent"})[-1]
    assert "refused" in text and "a-camera-password" not in text
    got = panel(server, "/camera/yard", {"text": ".stage-note", "has": "cannot play H.265", "ms": 20000}, {"until": "document.querySelector('.stage-still')?.naturalWidth > 0", "ms": 20000}, {"click": "text=Why is it black?"}, {"text": "dialog", "has": "This browser cannot play H.265", "ms": 40000})
    assert got


def test_sharing(site):
    """Live for a while; a stretch of the archive and nothing beside it; what was given is listed, and taken back."""
    server, _ = site
    value = {"eval": "document.querySelector('dialog input[readonly]').value"}
    said = {"text": "dialog", "has": "Whoever has the link may watch"}
    link = panel(server, "/camera/roof", {"click": "text=Share"}, {"click": "text=Make the link"}, said, value, role="user")[-1]
    assert link.startswith(server.url("roof/embed.html?token="))
    token = link.split("token=")[1].split("&")[0]
    now = int(time.time())
    assert server.get(f"roof/index.m3u8?token={token}")
    assert server.get("roof/index.m3u8", status=None).status in (401, 403) and server.get(f"roof/archive-{now - 20}-10.m3u8?token={token}", status=403)
    got = panel(
        server, "/camera/roof", {"click": ".line-tools >> text=Cut"}, {"click": "text=Share"}, {"fill": ["dialog input[name=user]", EVIL]}, {"click": "text=Make the link"}, said, value, {"text": "dialog .lines", "has": EVIL[:60]}, HARMLESS,
        {"eval": "document.querySelectorAll('dialog input[readonly]')[1].value"}, {"click": f"dialog .lines li:has-text('<script>') >> text=Take back"}, {"click": "dialog .danger"}, {"text": ".toast:last-child", "has": "taken back"}, {"count": "dialog .lines li", "is": 1},
    )
    assert got[7] == [None, 0, 0] and "-" in got[8].split("/archive-")[1] and ".mp4?token=" in got[8]
    wait_for("the link has ended", lambda: server.get(got[8].removeprefix(server.url("")), status=None).status in (401, 403), timeout=10)


def test_wall_moves_and_rests(site):
    server, _ = site
    moving = "[...document.querySelectorAll('.tile video')].filter((v) => v.getVideoPlaybackQuality().totalVideoFrames > 20).length"
    got = panel(
        server, "/wall?cameras=gate,hall,roof,yard&columns=1", {"count": ".tile", "is": 4}, {"until": f"{moving} >= 2", "ms": 30000}, {"eval": f"{moving}"}, {"pick": [".wall-head select", "2"]}, {"until": f"{moving} >= 3", "ms": 30000},
        {"until": "document.querySelector('[data-uid=yard] img')?.naturalWidth > 0", "ms": 30000}, {"click": ".wall-head >> text=Layouts"}, {"click": "text=Save this layout"}, {"fill": ["dialog input", "Night"]}, {"click": "dialog [name=shared]"}, {"click": "dialog .button.primary"}, {"text": ".wall-head", "has": "Night"},
        {"visit": "/cpanel/wall?layout=Night"}, {"count": ".tile", "is": 4}, timeout=120,
    )
    assert got[2] == 2  # what is off the screen is not fed
    layouts = {"click": ".wall-head >> text=Layouts"}
    panel(server, "/wall?cameras=hall", layouts, {"click": "[role=menu] >> text=Night"}, {"count": ".tile", "is": 4}, {"click": ".wall-head >> text=Night"}, {"click": "[role=menu] >> text=Save"}, {"eval": "document.querySelectorAll('dialog [name=shared]').length"},
          {"fill": ["dialog input", EVIL[:60]]}, {"click": "dialog .button.primary"}, {"text": "dialog", "has": "without a slash"}, {"fill": ["dialog input", EVIL[:36]]}, {"click": "dialog .button.primary"}, {"text": ".wall-head", "has": EVIL[:36]}, HARMLESS, {"click": f".wall-head button[aria-haspopup]"}, {"click": "[role=menu] >> text=Forget"}, {"click": "dialog .danger"}, {"text": ".wall-head", "has": "Layouts"}, role="user")
    wait_for("the wall has left", lambda: server.status()["viewers"] == 0, timeout=30)


def test_server_pages(site):
    server, _ = site
    with ws.Client(server, "gate/mse_ld", headers=f"User-Agent: {EVIL}\r\n"):
        viewers = panel(server, "/server/sessions", {"text": ".table", "has": "WebSocket", "ms": 15000}, HARMLESS)
    assert EVIL[:40] in viewers[0] and viewers[1] == [None, 0, 0]
    got = panel(
        server, "/server", {"text": ".tiles", "has": "Cameras"}, {"text": ".tiles", "has": "%"}, {"text": ".disks", "has": "default", "ms": 15000}, {"text": ".table", "has": "httpd"}, {"until": "document.querySelectorAll('.uplot canvas').length === 5", "ms": 15000},
        {"click": ".server-tabs >> text=Viewers"}, {"text": ".server-body", "has": "Viewers"}, {"click": ".server-tabs >> text=Changes"}, {"text": ".server-body", "has": "Changes"}, {"click": ".server-tabs >> text=Log"}, {"text": ".server-body pre", "has": "httpd"},
        {"click": ".server-tabs >> text=Settings"}, {"text": ".settings", "has": "node-id", "ms": 15000}, {"click": ".server-tabs >> text=Tokens"}, {"click": "text=Make a token"}, {"fill": ["dialog input[name=uids]", "gate"]}, {"fill": ["dialog input[name=note]", EVIL]}, {"click": "dialog footer .primary"}, {"text": "dialog", "has": "shown once"},
        {"click": "dialog footer >> text=Close"}, {"text": ".server-body", "has": EVIL}, HARMLESS,
        {"click": ".server-tabs >> text=Audit"}, {"text": ".server-body", "has": "sign in"}, HARMLESS,
    )
    assert got[-1] == [None, 0, 0]


def test_roles(site):
    """Who may only look is offered nothing else; the archive is not a guest's."""
    server, _ = site
    got = panel(server, "/camera/gate", PLAYS, {"eval": "[document.querySelector('[data-nav=server]').hidden, document.querySelectorAll('.line-canvas').length, document.body.innerText.includes('Restart')]"}, role="guest")
    assert got[1] == [True, 0, False]
    got = panel(server, "", {"count": ".rows .row", "is": 8}, {"eval": "[document.querySelectorAll('.rows input, .rows .c-more button').length, document.body.innerText.includes('Add camera')]"}, role="user")
    assert got[1] == [0, False]
    got = panel(server, "/server/settings", {"text": ".server-tabs", "has": "Overview"}, {"eval": "document.querySelector('.server-tabs').innerText"}, role="admin")
    assert "Settings" not in got[1] and "Log" in got[1]


@pytest.mark.parametrize("role, offered", [("held-admin", "Overview Viewers Changes Tokens"), ("held-root", "Overview Viewers Changes Tokens")])
def test_held_to_some_cameras(site, role, offered):
    """Nothing is offered that is refused, nothing is shown that would stand still; what is offered opens."""
    server, _ = site
    names = offered.lower().replace("viewers", "sessions").split()
    pages = [step for name in names[1:] for step in ({"visit": f"/cpanel/server/{name}"}, {"count": ".server-body .table, .server-body .table-none", "is": 1})]
    got = panel(server, "/server/log", {"text": ".server-body .notice", "has": "held to some of them: gate*"}, {"eval": "document.querySelector('.server-tabs').innerText.split(/\\s+/).join(' ')"},
                {"eval": "document.querySelectorAll('.tiles, .disks, .plots, pre').length"}, {"axe": True}, *pages, {"visit": "/cpanel"}, {"count": ".rows .row", "is": 2}, role=role)
    assert got[1] == offered and got[2] == 0 and got[3] == []


# The server is not asked: what the page sends it, and answers of its kind. The third of the calls is refused.
RECORDED = """window.sent = [];
window.fetch = async (url, what) => {
  const body = what?.body ? JSON.parse(what.body) : null;
  window.sent.push([String(url).split('/api/v3')[1], body?.items?.length ?? 0, body?.items?.[0]?.uid]);
  const refused = body?.items?.[0]?.uid === 'refused';
  return new Response(JSON.stringify(refused ? { code: 'locked', detail: 'It is locked.' } : { revision: String(window.sent.length) }), { status: refused ? 409 : 200, headers: { 'Content-Type': 'application/json' } });
};"""


def test_more_cameras_than_one_call_takes(site):
    """They go in pieces, each a revision; all are taken back, the newest first. What is refused ends it, and what went through can be taken back."""
    server, _ = site
    run = "import('/cpanel/app/fleet_actions.js').then((m) => m.enable(Array.from({ length: 2500 }, (_, i) => %s), true)).then(() => window.sent)"
    got = panel(
        server, "", {"count": ".rows .row", "is": 8}, {"eval": RECORDED}, {"eval": run % "`c${i}`"}, {"text": ".toast", "has": "2,500 cameras enabled"}, {"click": ".toast >> text=Undo"}, {"text": ".toast:last-child", "has": "Undone"}, {"eval": "window.sent.slice(3).map((s) => s[0])"},
        {"visit": "/cpanel"}, {"count": ".rows .row", "is": 8}, {"eval": RECORDED}, {"eval": run % "i === 1000 ? 'refused' : `c${i}`"}, {"text": ".toast:last-child", "has": "1,500 cameras refused: It is locked."}, {"text": ".toast:first-child", "has": "1,000 cameras enabled"},
        {"click": ".toast >> text=Undo"}, {"text": ".toast:last-child", "has": "Undone"}, {"eval": "window.sent.slice(2).map((s) => s[0])"},
    )
    assert got[2] == [["/streams", 1000, "c0"], ["/streams", 1000, "c1000"], ["/streams", 500, "c2000"]]
    assert got[6] == ["/revisions/3/undo", "/revisions/2/undo", "/revisions/1/undo"]
    assert [s[1] for s in got[10]] == [1000, 1000] and got[15] == ["/revisions/1/undo"]


# Every page, and what is there once it is drawn.
PAGES = {
    "": ".rows .row", "/camera/gate": ".side dl", "/wall": ".tile", "/server": ".disks .card", "/server/cluster": ".table a", "/server/sessions": ".table-none, .table", "/server/changes": ".table-none, .table",
    "/server/log": "pre", "/server/settings": ".setting", "/server/users": ".table", "/server/tokens": ".table-none, .table", "/server/audit": ".table",
}


def opened(path):
    return [{"visit": f"/cpanel{path}"}, {"until": f"document.querySelectorAll('{PAGES[path]}').length > 0", "ms": 15000}]


def test_cluster(site):
    """Nodes and who records what; a node that is drained, and takes its cameras back."""
    server, _ = site
    got = panel(
        server, "/server/cluster", {"text": ".server-body", "has": "Not heard yet"}, {"text": ".server-body", "has": "this one"}, {"count": "tr:has-text('Main gate'):has-text('1, 2')", "is": 1}, {"click": "text=Give its cameras away"}, {"click": "dialog .button.primary"},
        {"text": ".toast", "has": "given away"}, {"text": ".server-body", "has": "gives its cameras away"}, {"click": "text=Take its cameras back"}, {"text": ".toast:last-child", "has": "takes its cameras back"}, {"fill": ["input[type=search]", "yard"]}, {"count": "tbody a", "is": 1},
    )
    assert got
    assert {"drain", "drain off"} <= {f"{r['what']} {r['on']}".strip() for r in server.rows("audit")}
    got = panel(server, "/server/cluster", {"text": ".server-body", "has": "this one"}, {"eval": "document.body.innerText.includes('Give its cameras away')"}, role="admin")
    assert got[1] is False


def test_moving_a_camera(site):
    """Nodes that cannot take it say why; a camera that names no node cannot be moved; whoever may not is offered nothing. (Moved it is in tests/cluster.)"""
    server, _ = site
    offer = "[role=menu] >> text=Move to another node"

    def opened(uid):
        return [{"click": row(uid) + " .c-more button"}, {"click": offer}]

    got = panel(
        server, "", {"count": ".rows .row", "is": 8}, {"until": "import('/cpanel/app/feed.js').then((m) => m.server !== null)", "ms": 15000}, *opened("attic"), {"text": "dialog", "has": "Cannot take it: Not heard yet"},
        {"eval": "[...document.querySelectorAll('dialog [name=primary]')].map((e) => [e.value, e.disabled, e.checked])"}, {"axe": True}, {"size": [390, 780], "scheme": "dark"}, {"axe": ["color-contrast"]},
        {"eval": "document.querySelector('dialog').scrollWidth <= document.querySelector('dialog').clientWidth"}, {"size": [1200, 900], "scheme": "light"}, {"press": "Escape"}, {"count": "dialog", "is": 0}, *opened("yard"), {"text": "dialog", "has": "names no node"}, {"press": "Escape"},
        {"fill": ["input[type=search]", "gate"]}, {"count": ".rows .row", "is": 2}, {"click": ".heads input"}, {"click": ".bulk >> text=Move to another node"}, {"text": "dialog h2", "has": "Move 2 cameras"}, {"text": "dialog", "has": "1 of them names no node"},
        {"click": "dialog [aria-label='Node 1 records']"}, {"click": "dialog footer .primary"}, {"text": "dialog .pill", "has": "Done", "ms": 30000}, {"text": "dialog", "has": "It is on 1, 2"}, {"axe": True},
    )
    assert got[5] == [["1", False, False], ["2", True, True]] and got[6] == [] == got[8] == got[-1] and got[9] is True
    may = panel(server, "", {"count": ".rows .row", "is": 8}, {"click": row("attic") + " .c-more button"}, {"count": "[role=menu]", "is": 1}, {"count": offer, "is": 0}, role="admin")
    assert may[-1] == 0


def test_primary_and_secondary(site):
    """As the first generation's API says it: by the order of a stream's nodes; whoever has none is recorded here."""
    server, _ = site
    token = token_of(server)
    types = {s["uid"]: s["type"] for s in call(server, token, "streams/")}
    assert types["attic"] == "secondary" and {t for uid, t in types.items() if uid != "attic"} == {"primary"}
    assert [call(server, token, f"streams/{uid}/")["type"] for uid in ("gate", "attic", "yard")] == ["primary", "secondary", "primary"]


def test_lists_follow_what_is_done(site):
    """Audit, changes and users are loaded anew when somebody else has done something."""
    server, _ = site
    token = token_of(server)

    def calls(path, method, body=None):
        what = {"method": method, "body": json.dumps(body), "credentials": "omit", "headers": {"Content-Type": "application/json", "Authorization": f"Bearer {token}"}}
        return {"eval": f"fetch('/api/v3/{path}', {json.dumps(what if body else {**what, 'body': None})}).then((r) => r.ok)"}

    rows = "document.querySelectorAll('.server-body tbody tr').length"
    there, more = {"until": f"(window.had = {rows}) > 0", "ms": 15000}, {"until": f"{rows} > window.had", "ms": 15000}
    zoe = {"role": "guest", "password": "a-guest-password", "cameras": ["yard"]}
    got = panel(
        server, "/server/changes", calls("streams/roof", "PATCH", {"stream-name": "Roof of the house"}), there, calls("streams/roof", "PATCH", {"stream-name": "Roof"}), more,
        {"visit": "/cpanel/server/audit"}, there, calls("streams/roof/pause", "PUT", {"paused": False}), more,
        {"visit": "/cpanel/server/users"}, there, calls("users/zoe", "PUT", zoe), {"count": "tr:has-text('zoe')", "is": 1, "ms": 15000}, calls("users/zoe", "DELETE"), {"count": "tr:has-text('zoe')", "is": 0, "ms": 15000},
    )
    assert [got[i] for i in (0, 2, 6, 10, 12)] == [True] * 5
    held = panel(server, "/server/changes", there, calls("streams/gate-sub", "PATCH", {"stream-name": "Main gate, tiny"}), more, calls("streams/gate-sub", "PATCH", {"stream-name": "Main gate, small"}), role="held-admin")
    assert held[1] is True is held[3]


def test_settings(site):
    """A mistake is told beside its key before anything is stored; what is saved stands in the file and is undone; what somebody else has changed meanwhile is not written over."""
    server, _ = site
    key = "input[name='server/stream/reconnect-timeout']"
    wrong = f".setting:has({key}) .wrong"
    before = server.ini.read_text()
    edited = [{"count": key, "is": 1}, {"fill": [key, "2s"]}, {"text": ".save-bar", "has": "1 change"}]
    got = panel(
        server, "/server/settings", {"count": key, "is": 1}, {"fill": [key, "soon"]}, {"until": f"document.querySelector(\"{wrong}\").textContent.includes('duration')", "ms": 15000}, {"axe": True}, {"click": ".nav >> text=Fleet"}, {"click": "dialog >> text=Cancel"}, {"count": key, "is": 1},
        {"fill": [key, "3s"]}, {"until": f"document.querySelector(\"{wrong}\").hidden", "ms": 15000}, {"click": ".save-bar .primary"}, {"text": ".toast", "has": "saved"}, {"until": f"document.querySelector(\"{key}\")?.value === '3s'"},
    )
    assert got[3] == [] and "reconnect-timeout = 3s" in server.ini.read_text()
    panel(server, "/server/changes", {"click": "tbody tr >> nth=0 >> text=Undo"}, {"text": ".toast", "has": "Undone"})
    assert server.ini.read_text() == before
    panel(server, "/server/settings", *edited, {"eval": f"fetch('/api/v3/config', {{ method: 'PATCH', body: '{{\"server/stream\": {{\"reconnect-timeout\": \"4s\"}}}}', headers: {{ 'Content-Type': 'application/json', 'X-CSRF-Token': '{csrf(server)}' }} }}).then((r) => r.status)"},
          {"click": ".save-bar .primary"}, {"text": ".save-bar", "has": "Somebody else"}, {"click": ".save-bar >> text=Load them anew"}, {"until": f"document.querySelector(\"{key}\")?.value === '4s'", "ms": 15000}, also=("a status of 412",))
    server.ini.write_text(before)
    server.reload()


def test_the_first_account_and_keys(server):
    """Where there is none, whoever reads the server's log makes it, once, and is signed in. Another key signs, and one is ended."""
    s = server({}, sections={"server/stream": {"auth-secret": "a-secret-of-the-tests"}})
    secret = wait_for("the secret is logged", lambda: re.search(r"setup-secret secret=(\S+)", s.log()))[1]
    fill = [{"fill": ["input[name=user]", "chief"]}, {"fill": ["input[name=new]", "a-first-password"]}, {"fill": ["input[name=again]", "a-first-password"]}]
    got = panel(s, "", {"text": ".signin", "has": "no account yet"}, {"axe": True}, {"fill": ["input[name=secret]", "AAAAA-BBBBB"]}, *fill, {"press": "Enter"}, {"until": "document.querySelector('.signin .notice.bad:not([hidden])') !== null", "ms": 10000},
                {"fill": ["input[name=secret]", secret]}, {"press": "Enter"}, {"text": "#line-text", "has": "Live", "ms": 15000}, {"text": "#user", "has": "chief"},
                {"visit": "/cpanel/server/tokens"}, {"count": "tr:has-text('Signs')", "is": 1}, {"click": "text=New key"}, {"click": "dialog footer .primary"}, {"text": ".toast", "has": "A new key signs"}, {"count": "tr:has-text('Counts')", "is": 1}, {"axe": True},
                {"click": "tr:has-text('Counts') button"}, {"click": "dialog .danger"}, {"text": ".toast:last-child", "has": "counts no more"}, {"count": "tr:has-text('Signs')", "is": 1}, {"count": "tr:has-text('Counts')", "is": 0}, role=None, also=("a status of 403",))
    assert got[1] == [] == got[got.index(1) + 5] and "chief" in s.ini.read_text() and "a-first-password" not in s.ini.read_text()


# The first change of an account is answered as the server answers it once the password was shown long ago.
ASKS_AGAIN = """
const real = window.fetch;
let asked = false;
window.fetch = (url, what) => (asked || what?.method !== 'PUT' || !String(url).includes('/users/') ? real(url, what)
  : (asked = true, Promise.resolve(new Response('{"code": "confirm", "detail": "Show your password."}', { status: 403, headers: { 'Content-Type': 'application/problem+json' } }))));
"""


def test_users(site):
    """Added (with one's own password shown again), changed, with another password, removed."""
    server, _ = site
    sent = {"click": "dialog footer .primary"}
    own = USERS["root"].split(":")[1]
    open_menu = {"click": "tr:has-text('nina') button"}
    panel(
        server, "/server/users", {"text": ".table", "has": "Viewer"}, {"click": "text=Add user"}, {"fill": ["input[name=name]", "nina"]}, {"fill": ["textarea[name=cameras]", "gate*, yard"]}, {"fill": ["input[name=new]", "short"]}, {"fill": ["input[name=again]", "shirt"]}, sent,
        {"text": "dialog", "has": "shorter"}, {"text": "dialog", "has": "differ"}, {"axe": True}, {"fill": ["input[name=new]", "a-new-password"]}, {"fill": ["input[name=again]", "a-new-password"]}, sent,
        {"fill": ["input[name=password]", "wrong"]}, {"press": "Enter"}, {"text": "dialog:last-of-type", "has": "is wrong"}, {"fill": ["input[name=password]", own]}, {"press": "Enter"}, {"text": ".toast", "has": "nina was added"},
        {"count": "tr:has-text('gate*, yard'):has-text('hashed')", "is": 1}, open_menu, {"click": "[role=menu] >> text=Edit"}, {"pick": ["select[name=role]", "guest"]}, {"press": "Escape"}, {"text": "dialog:last-of-type", "has": "not saved"}, {"click": "dialog >> nth=1 >> text=Cancel"},
        sent, {"text": ".toast:last-child", "has": "was changed"}, {"count": "tr:has-text('nina'):has-text('Guest')", "is": 1}, early=ASKS_AGAIN, also=("a status of 403",),
    )
    USERS["nina"] = "nina:a-new-password"
    seen = panel(server, "", {"count": ".rows .row", "is": 3}, {"click": "#user"}, {"click": "[role=menu] >> text=Change password"}, {"fill": ["input[name=old]", "a-new-password"]}, {"fill": ["input[name=new]", "another-password"]}, {"fill": ["input[name=again]", "another-password"]},
                 sent, {"text": ".signin h1", "has": "media-server"}, {"fill": ["input[name=user]", "nina"]}, {"fill": ["input[name=password]", "another-password"]}, {"press": "Enter"}, {"count": ".rows .row", "is": 3}, role="nina")
    assert seen[-1] == 3
    panel(server, "/server/users", open_menu, {"click": "[role=menu] >> text=Remove"}, {"click": "dialog .danger"}, {"text": ".toast", "has": "was removed"}, {"count": "tr:has-text('nina')", "is": 0})
    assert USERS.pop("nina") and "nina" not in server.ini.read_text()


def test_unsaved_edits_are_asked_for(site):
    """By the window's button, by Escape, by going elsewhere; what was typed stays until it is meant."""
    server, _ = site
    ask = "dialog[open] >> nth=1"
    got = panel(
        server, "", {"click": row("yard") + " .c-more button"}, {"click": "[role=menu] >> text=Edit"}, {"count": "dialog", "is": 1}, {"eval": "document.querySelector('select[name=dvr-mode]').value"}, {"press": "Escape"}, {"count": "dialog", "is": 0},
        {"click": row("yard") + " .c-more button"}, {"click": "[role=menu] >> text=Edit"}, {"fill": ["input[name=stream-name]", "Other"]}, {"press": "Escape"}, {"text": "dialog:last-of-type", "has": "not saved yet"}, {"click": ask + " >> text=Cancel"},
        {"eval": "document.querySelector('input[name=stream-name]').value"}, {"eval": "dispatchEvent(new Event('beforeunload', { cancelable: true }))"}, {"click": "dialog footer >> text=Cancel"}, {"click": ask + " >> .danger"}, {"count": "dialog", "is": 0},
        {"eval": "dispatchEvent(new Event('beforeunload', { cancelable: true }))"},
    )
    assert got[3] == "continuous" and got[12:14] == ["Other", False] and got[-1] is True


def test_nothing_serious_for_assistive_technology(site):
    """On every page; what is dark differs in its colours only (base.css)."""
    server, _ = site
    light, dark = ({"size": [1200, 900], "scheme": scheme} for scheme in ("light", "dark"))
    looks = [{"axe": True}, dark, {"axe": ["color-contrast"]}, light]
    steps = []
    for path in PAGES:
        steps += [*opened(path), *looks]
    steps += [{"visit": "/cpanel"}, {"click": "text=Add camera"}, *looks]
    found = [r for r, step in zip(panel(server, "", *steps, timeout=170), steps) if "axe" in step]
    assert len(found) == 2 * (len(PAGES) + 1) and not any(found), json.dumps(found, indent=1)


def test_phone_and_russian(site):
    server, _ = site
    wide = {"eval": "document.documentElement.scrollWidth"}
    steps = []
    for path in PAGES:
        steps += [*opened(path), wide]
    got = panel(server, "", {"eval": "localStorage.setItem('cpanel.language', 'ru')"}, *steps, {"visit": "/cpanel"}, {"text": ".chips", "has": "Работают"}, width=320, height=700)
    assert [w for w in got if isinstance(w, int)] == [320] * len(PAGES)


def test_many_at_once_on_a_phone(site):
    """Boxes to tick come with a button; then all that can be done with many is there."""
    server, _ = site
    got = panel(
        server, "?q=gate", {"count": ".rows .row", "is": 2}, {"count": ".rows input[type=checkbox]", "is": 0}, {"click": "text=Choose"}, {"click": row("gate") + " input"}, {"text": ".bulk strong", "has": "1 camera"}, {"click": ".bulk-all input"}, {"text": ".bulk strong", "has": "2 cameras"},
        {"eval": "[...document.querySelectorAll('.bulk button')].every((b) => { const r = b.getBoundingClientRect(); return r.left >= 0 && r.right <= innerWidth && r.bottom <= innerHeight; })"}, {"axe": True},
        {"click": ".bulk >> text=Restart"}, {"text": ".toast:last-child", "has": "2 cameras are restarting"}, {"click": ".bulk > .icon-button"}, {"count": ".rows input[type=checkbox]", "is": 0}, width=360, height=740,
    )
    assert got[7] is True and got[8] == []


@pytest.mark.limit(120)
def test_a_dead_line_greys_the_page(site):
    """httpd dies while the page is open, and takes the sign-in with it: grey at once, then the sign-in page. The last one here: who was signed in is not any more."""
    s, _ = site
    s.expects_signals = True

    def kill():
        wait_for("the page plays", lambda: s.status()["viewers"] > 0, timeout=60)
        os.kill(s.status()["httpd_pid"], signal.SIGKILL)

    wait_for("those before have left", lambda: s.status()["viewers"] == 0, timeout=30)
    seen = """document.addEventListener('DOMContentLoaded', () => new MutationObserver(() => {
        if (document.body.dataset.line === 'dead') sessionStorage.dead = getComputedStyle(document.getElementById('page')).filter;
    }).observe(document.body, { attributes: true }));"""
    got = panel(s, "/camera/gate", {"call": kill}, {"text": ".signin h1", "has": "media-server", "ms": 60000}, {"eval": "sessionStorage.dead"}, early=seen, also=("net::ERR_", "WebSocket connection to"))
    assert "grayscale" in got[2]
