"""Scripts of a site: which of them runs, and what one that hangs, dies or is stopped costs (spec: F26, R8, R30). They are asked
through the API; tests/unit/httpd/test_lua.c has the ways of single requests."""
import http.client
import json
import os
import re
import signal
import threading
import time

import pytest

import tools
from tools import wait_for

HEAD = "-- interface: media-server 1\n"
ECHO = HEAD + 'return function(r) return { status = 200, type = "text/plain", body = "%s" } end\n'
# Polynomial of a high degree, in C: no hook of Lua's is called on the way.
BOMB = '("a"):rep(30000):find((".-"):rep(8) .. "b")'
MANY_MOODS = HEAD + f"""
return function(request)
    if request.path:find("bomb") then {BOMB} end
    if request.path:find("loop") then while true do end end
    if request.path:find("memory") then local t = {{}} while true do t[#t + 1] = ("x"):rep(1 << 20) .. #t end end
    if request.path:find("error") then error("mistake with /etc/passwd in it") end
    return {{ status = 200, type = "text/plain", body = "fine" }}
end
"""


def api(server, path, method="GET", body=None, headers=None, base="/api/"):
    """(status, body) of a call below /api/."""
    c = http.client.HTTPConnection("127.0.0.1", server.module_port, timeout=30 * tools.SLOW)
    try:
        c.request(method, base + path, json.dumps(body) if isinstance(body, (dict, list)) else body, headers or {})
        r = c.getresponse()
        return r.status, r.read().decode()
    finally:
        c.close()


def put_script(server, text, path="modules/api/api.v2.lua"):
    target = server.path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    (target.parent / ".new").write_text(text)
    (target.parent / ".new").rename(target)


def hosts(server):
    return [pid for pid, name in server.family().items() if name == "ms-luahost"]


def says(server, text):
    wait_for(f"the API says {text}", lambda: api(server, "x/") == (200, text))


def test_which_script_runs(server):
    """A site's own hides ours; broken, the one before stays; of another server, ours is used; gone, ours is back."""
    s = server({})
    status, body = api(s, "x/")
    assert (status, json.loads(body)) == (403, {"error": "a token of the API is needed"})
    put_script(s, ECHO % "own")
    says(s, "own")
    put_script(s, ECHO % "other" + "\nlocal x = = 1\n")
    wait_for("it is refused", lambda: "script-refused" in s.log())
    line = next(x for x in s.log().splitlines() if "script-refused" in x)
    assert f'file="{s.path}/modules/api/api.v2.lua"' in line and "modules/api/api.v2.lua:4:" in line and "the one before stays" in line
    assert api(s, "x/") == (200, "own")
    os.kill(hosts(s)[0], signal.SIGKILL)
    says(s, "own")  # the next host is given the last good one
    put_script(s, "local ngx = require 'ngx'\nreturn {}\n")
    wait_for("it is passed over", lambda: "script-foreign" in s.log())
    wait_for("ours is used", lambda: api(s, "x/")[0] == 403)
    put_script(s, HEAD + 'local part = require("modules.site.part")\n' + 'return function() return { status = 200, body = part } end')
    put_script(s, 'return "of a part"', "modules/site/part.lua")
    says(s, "of a part")
    (s.path / "modules/api/api.v2.lua").unlink()
    wait_for("ours is back", lambda: api(s, "x/")[0] == 403)


def test_broken_at_the_start(server):
    """None before it that could go on: what it decides is refused until it is mended."""
    s = server({}, start=False)
    put_script(s, HEAD + "return function(\n")
    s.start()
    wait_for("it is refused", lambda: "script-refused" in s.log())
    assert api(s, "x/")[0] == 503
    put_script(s, ECHO % "mended")
    says(s, "mended")


def test_errors_say_nothing_but_an_id(server):
    s = server({}, start=False)
    put_script(s, MANY_MOODS)
    s.start()
    says(s, "fine")
    for path in ("error/", "loop/", "memory/"):
        status, body = api(s, path)
        assert status == 500
        found = re.search(r"id ([0-9a-f]{8})\n$", body)
        assert found and "lua" not in body and "passwd" not in body and str(s.path) not in body, body
        line = wait_for("the log has it", lambda: next((x for x in s.log().splitlines() if f"incident={found[1]}" in x), None))
        assert "modules/api/api.v2.lua:" in line or "not enough memory" in line
    assert len(hosts(s)) == 1
    answers = {"status = 99": 500, "status = 200, body = {}": 200, 'status = 200, headers = { ["A: b"] = "c" }': 500,
               'status = 200, headers = { A = "b\\r\\nC: d" }': 500, 'status = 204, headers = { ["X-Own"] = "1" }': 204, 'body = "x"': 500}
    for fields, want in answers.items():
        put_script(s, HEAD + f"return function() return {{ {fields} }} end -- {fields}")
        wait_for(f"{fields}: {want}", lambda w=want: api(s, "x/")[0] == w)


@pytest.fixture
def watched(server, camera):
    cam = camera(dict(source="small.h264", start="key"))
    s = server({"cam": cam.url()}, start=False)
    put_script(s, MANY_MOODS)
    s.start()
    s.wait_state("cam")
    says(s, "fine")
    return s


class Viewer:
    """Plays live HLS; the longest time that one request took, and segments in a row."""

    def __init__(self, server):
        self.server, self.longest, self.sequences, self.error, self.over = server, 0, [], None, False
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        try:
            while not self.over:
                began = time.monotonic()
                playlist = self.server.text("cam/video.m3u8")
                self.longest = max(self.longest, time.monotonic() - began)
                self.sequences.append(int(re.search(r"#EXT-X-MEDIA-SEQUENCE:(\d+)", playlist)[1]))
                time.sleep(0.05)
        except Exception as e:  # pylint: disable=broad-except
            self.error = e

    def end(self):
        self.over = True
        self.thread.join()
        assert self.error is None, self.error
        assert self.sequences == sorted(self.sequences)
        return self.longest


@pytest.mark.parametrize("nemesis", ["bomb", "stop", "kill"])
def test_playback_goes_on(watched, nemesis):
    """What hangs, stops or kills the Lua host costs its own request and no viewer anything."""
    s = watched
    before = hosts(s)[0]
    viewer = Viewer(s)
    began = time.monotonic()
    if nemesis == "bomb":
        assert api(s, "bomb/")[0] == 500
    else:
        os.kill(before, signal.SIGSTOP if nemesis == "stop" else signal.SIGKILL)
        assert api(s, "x/") == (200, "fine")
    says(s, "fine")
    took = time.monotonic() - began
    wait_for("the old host is gone", lambda: not tools.alive(before))
    wait_for("there is one host", lambda: len(hosts(s)) == 1)
    longest = viewer.end()
    print(f"{nemesis}: the next answer after {took * 1000:.0f} ms, the slowest playlist {longest * 1000:.0f} ms")
    assert took < 5 * tools.SLOW and longest < 2 * tools.SLOW  # that nobody waits for what hangs; the printed figures are those of an idle machine


def test_others_do_not_notice_a_bomb(watched):
    """Requests that wait behind a bomb are asked again of the next host."""
    found = []
    threads = [threading.Thread(target=lambda p=path: found.append((p, api(watched, p)[0]))) for path in ["bomb/"] + ["x/"] * 20]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(found) == [("bomb/", 500)] + [("x/", 200)] * 20
