"""A site's plug-ins: what they hear of, what they decide, what they keep, and what one that hangs costs. The three that are
shipped as examples run here as they are, with settings of their own."""
import http.server
import json
import pathlib
import threading
import time

import pytest

import tools
from test_lua import HEAD, put_script
from test_signin import Client
from tools import wait_for


class Chat:
    """A server of the site's: keeps what it was told."""

    def __init__(self):
        told, chat = [], self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                told.append((self.path, json.loads(body)))
                self.send_response(chat.status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.told, self.status = told, 200
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def chat():
    c = Chat()
    yield c
    c.close()


def plugins(load, hosts="127.0.0.1", **more):
    return {"plugins": {"load": load, "hosts": hosts}, "server/module/users": {"root": "boss:secret"}, **more}


def settings(server, name, text):
    put_script(server, HEAD + "return " + text, f"modules/plugins/settings/{name}.lua")


def runs(server, name):
    wait_for(f"{name} runs", lambda: f"plugin-runs plugin={name}" in server.log())


def test_alarm(server, camera, chat):
    """Example: a camera that goes down is told once, its end too, and what it sees."""
    cam = camera(dict(source="small.h264", start="key"))
    s = server({"yard": cam.url()}, sections=plugins("modules/plugins/alarm.lua"), start=False)
    settings(s, "alarm", '{ url = "%s/say", chat = 7, patience = 0, look_every = 1, events = { door = true } }' % chat.url)
    s.start()
    runs(s, "alarm")
    s.wait_state("yard")
    s.msctl("event", "yard", "door")
    s.msctl("event", "yard", "wind")
    wait_for("the event is told", lambda: ("/say", {"chat_id": 7, "text": "yard: door"}) in chat.told)
    s.msctl("stream", "set", "yard", "stream-url=rtsp://127.0.0.1:9/x")
    wait_for("that it is down", lambda: any("yard is down" in t[1]["text"] for t in chat.told), timeout=40)
    s.msctl("stream", "set", "yard", f"stream-url={cam.url()}")
    wait_for("that it is back", lambda: any("yard is back" in t[1]["text"] for t in chat.told), timeout=40)
    assert not any("wind" in t[1]["text"] for t in chat.told)
    assert sum("is down" in t[1]["text"] for t in chat.told) == 1


def test_night(server, camera):
    """Example: outside of its hours a stream is refused to all but one account; who watches is sent away when they end."""
    cam = camera(dict(source="small.h264", start="key"))
    s = server({"yard": cam.url(), "hall": cam.url()}, sections=plugins("modules/plugins/night.lua"), start=False)
    always, never = '{ stream = "y*", from = "00:00", to = "24:00" }', '{ stream = "y*", from = "00:00", to = "00:00", except = { "boss" } }'
    settings(s, "night", "{ %s }" % never)
    s.start()
    runs(s, "night")
    s.wait_state("yard")
    wait_for("the hall is shown", lambda: s.get("hall/index.m3u8", status=None).status == 200)
    assert s.get("yard/index.m3u8", status=None).status == 403
    boss = Client(s)
    boss.sign_in("boss", "secret")
    assert boss.ask("GET", "/yard/index.m3u8")[0].status == 200
    settings(s, "night", "{ %s }" % always)  # taken without a restart
    wait_for("the day has come", lambda: s.get("yard/index.m3u8", status=None).status == 200)


def test_nightly_export(server, chat):
    """Example: the links are told, again where that failed, and once."""
    s = server({"yard": {"stream-url": "rtsp://127.0.0.1:9/yard", "stream-access": "private"}},
               sections=plugins("modules/plugins/nightly_export.lua", **{"server/stream": {"auth-secret": '"a secret of this test"'}}), start=False)
    settings(s, "nightly_export", '{ every = 1, retry = 1, from_hour = 1, to_hour = 2, hours = 1, streams = { "yard" }, server = "%s", url = "%s/fetch" }'
             % (s.url("").rstrip("/"), chat.url))
    chat.status = 503
    s.start()
    runs(s, "nightly_export")
    wait_for("it is tried again", lambda: len(chat.told) >= 2, timeout=30)
    chat.status = 200
    told = len(chat.told)
    wait_for("it is taken", lambda: len(chat.told) > told, timeout=30)
    path, said = chat.told[-1]
    midnight = time.mktime((*time.localtime()[:3], 0, 0, 0, 0, 0, -1))
    assert path == "/fetch" and said["stream"] == "yard" and said["duration"] == 3600 and said["from"] in (midnight - 86400 + 3600, midnight + 3600)
    assert s.get(said["url"].split("/", 3)[3], status=None).status in (404, 503)  # let in; there is no footage
    assert s.get(said["url"].split("?")[0].split("/", 3)[3], status=None).status == 403
    told = len(chat.told)
    s.msctl("restart", "yard")
    time_ends = time.monotonic() + 3
    wait_for("some turns", lambda: time.monotonic() > time_ends)
    assert len(chat.told) == told
    s.stop()
    s.start()  # what it keeps outlives the server
    wait_for("it runs again", lambda: s.log().count("plugin-runs plugin=nightly_export") == 2)
    assert "told yard" in (s.path / "state" / "plugins").read_text()


TALKS = HEAD + """
return {
    on_stream_state = function(e) ms.log("state " .. e.uid .. " " .. e.state) end,
    on_segment = function(e) ms.log("segment " .. e.uid .. " " .. e.path) end,
    on_request = function(r)
        if r.path == "/site/hello" then return { status = 200, type = "text/plain", body = "hello " .. (r.user and r.user.name or "stranger") } end
        if r.path == "/site/hang" then return { status = 200, body = ("a"):rep(30000):find((".-"):rep(8) .. "b") } end
        if r.path == "/site/error" then error("a mistake") end
        if r.path == "/site/away" then return { status = 200, type = "text/plain", body = tostring(select(2, ms.call("http", { url = "http://example.org/" }))) } end
        if r.path == "/site/restart" then
            ms.call("server.change", { cmd = "restart", args = { "yard" } })
            return { status = 200, type = "text/plain", body = "done" }
        end
    end,
}
"""


def test_hooks(server, camera):
    cam = camera(dict(source="small.h264", start="key"))
    s = server({"yard": {"stream-url": cam.url(), "dvr-enable": "true", "dvr-chunk": "10s"}}, sections=plugins("modules/site/talks.lua"), start=False)
    put_script(s, TALKS, "modules/site/talks.lua")
    s.start()
    runs(s, "talks")
    s.wait_state("yard")
    c = Client(s)
    assert c.ask("GET", "/api/site/hello", status=200)[1] == "hello stranger"
    c.sign_in("boss", "secret")
    assert c.ask("GET", "/api/site/hello", status=200)[1] == "hello boss"
    assert "hosts of [plugins]" in c.ask("GET", "/api/site/away", status=200)[1]
    assert c.ask("GET", "/api/site/error")[0].status in (403, 404)  # the next one answers: the API's script
    assert c.ask("GET", "/api/streams/", status=200)
    c.ask("GET", "/api/site/restart", status=200)
    wait_for("that it ran is written down", lambda: any((r["by"], r["who"], r["what"]) == ("session", "boss", "restart") for r in s.rows("audit")))
    wait_for("the state is told", lambda: "state yard active" in s.log())
    wait_for("a segment is told", lambda: "segment yard " in s.log(), timeout=40)


def test_one_that_hangs(server, camera):
    """It is killed with its call; who watches misses nothing, and the next call is answered."""
    cam = camera(dict(source="small.h264", start="key"))
    s = server({"yard": cam.url()}, sections=plugins("modules/site/talks.lua"), start=False)
    put_script(s, TALKS, "modules/site/talks.lua")
    s.start()
    runs(s, "talks")
    s.wait_state("yard")
    c = Client(s)
    s.wait_frames("yard")
    for _ in range(3):
        before = time.monotonic()
        status = c.ask("GET", "/api/site/hang")[0].status
        assert status in (403, 404, 500, 503) and time.monotonic() - before < 15 * tools.SLOW
    assert s.logged("lua-host-killed")
    wait_for("it answers again", lambda: c.ask("GET", "/api/site/hello")[0].status == 200)
    s.wait_frames("yard")


HANGS = HEAD + """
local function hang() return ("a"):rep(30000):find((".-"):rep(8) .. "b") end
return { on_stream_state = hang, timers = { { every = 1, run = hang } } }
"""


def test_one_that_always_hangs(server):
    """Again and again its process is killed; that of access and API is not, and neither asks anybody twice."""
    s = server({"yard": {"stream-url": "rtsp://127.0.0.1:9/yard", "stream-access": "private"}},
               sections=plugins("modules/site/hangs.lua", **{"server/stream": {"auth-secret": '"a secret of this test"', "auth-module": "modules/site/auth.lua"}}), start=False)
    put_script(s, HANGS, "modules/site/hangs.lua")
    put_script(s, HEAD + "return function(request) ms.log('asked') return { allow = true, ttl = 0 } end", "modules/site/auth.lua")
    s.start()
    runs(s, "hangs")
    c, lives = Client(s), None
    c.sign_in("boss", "secret")
    wait_for("it has hung", lambda: "lua-host-killed" in s.log(), timeout=40)
    deadline = time.monotonic() + 60 * tools.SLOW
    while s.log().count("lua-host-killed") < 4:
        assert time.monotonic() < deadline
        assert s.get("yard/recording_status.json", status=None).status in (200, 404, 503)
        c.ask("GET", "/api/v3/streams", status=200)
        lives = hosts(s) if lives is None else lives & hosts(s)
    assert len(lives) == 1, "that of access and API lives on"
    assert "script-error script=auth" not in s.log() and "script-error script=api" not in s.log()
    assert "asked" in s.logged("script-says script=auth text=")


def hosts(server):
    """Processes of scripts."""
    found = set()
    for entry in pathlib.Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and (entry / "comm").read_text().strip() == "ms-luahost":
                parent = next(line.split()[1] for line in (entry / "status").read_text().splitlines() if line.startswith("PPid"))
                if int(parent) == server.process.pid:
                    found.add(int(entry.name))
        except (OSError, StopIteration):
            pass
    return found


def test_broken_and_changed(server):
    """Refused with file and line, and the one before stays; a site's file hides ours; taken out of the list, it is gone."""
    s = server({}, sections=plugins("modules/site/talks.lua"), start=False)
    put_script(s, TALKS, "modules/site/talks.lua")
    s.start()
    runs(s, "talks")
    c = Client(s)
    wait_for("it answers", lambda: c.ask("GET", "/api/site/hello")[0].status == 200)
    for text, why in (("return {\n  on_request = function( end }", "talks.lua:3"), ("return { on_nothing = function() end }", "there is no hook on_nothing"),
                      ("return { timers = { { every = 0, run = print } } }", "timers[1]"), ("return { on_event = 1 }", "on_event is no function")):
        put_script(s, HEAD + text, "modules/site/talks.lua")
        wait_for(f"it is refused: {why}", lambda: any("script-refused" in line and why in line for line in s.log().splitlines()))
        assert c.ask("GET", "/api/site/hello", status=200)[1] == "hello stranger"
    put_script(s, TALKS.replace("hello ", "good day, "), "modules/site/talks.lua")
    wait_for("the new one runs", lambda: c.ask("GET", "/api/site/hello")[1] == "good day, stranger")
    s.sections["plugins"]["load"] = ""
    s.write_ini()
    s.reload()
    wait_for("it is gone", lambda: c.ask("GET", "/api/site/hello")[0].status != 200)
