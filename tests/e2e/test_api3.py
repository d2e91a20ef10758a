"""/api/v3/: streams in lists and one by one, what is done to them, changes of their files, revisions, footage."""
import json
import pathlib
import re
import time

import jsonschema
import pytest

from api3 import SPEC, Api3
from camera import Camera
from server import MediaServer, need_server
from test_lua import HEAD, api, put_script
from tools import wait_for

SECRET = {"server/stream": {"auth-secret": '"a secret of this test"'}}
OFF = {"stream-url": "rtsp://u:secret@127.0.0.1:1/x", "stream-enable": "false"}


def token_of(server):
    """Of the API, once its scripts run."""
    wait_for("the API is there", lambda: api(server, "v3/streams")[0] == 401 and api(server, "streams/")[0] == 403)
    return json.loads(api(server, "auth/token/api/", "POST", {"client": "test", "duration": 0})[1])


@pytest.fixture(scope="module")
def site():
    need_server()
    with Camera(dict(source="small.h264", start="key")) as cam:
        streams = {"cam": {"stream-url": cam.url(), "stream-name": "Gate", "dvr-enable": "true", "dvr-chunk": "10s"}, "off": OFF, "zoo": OFF}
        with MediaServer(streams, record=True, sections=SECRET) as server:
            server.wait_state("cam")
            server.wait_recording("cam")
            yield server, Api3(server, token_of(server)), cam


def names(page):
    return [row["uid"] for row in page["items"]]


# --- lists ---


def test_list(site):
    server, a, cam = site
    page = a.call("streams")
    assert names(page) == ["cam", "off", "zoo"] and page["total"] == 3 and page["next"] is None
    assert page["counts"] == {"active": 1, "disabled": 2}
    row = page["items"][0]
    assert row["name"] == "Gate" and row["codec"] == "H264" and (row["width"], row["height"]) == (640, 360) and row["record"] == "on"
    assert page["items"][1]["source"] == "rtsp://u:***@127.0.0.1:1/x"
    assert names(a.call("streams?state=disabled")) == ["off", "zoo"] and names(a.call("streams?state=active,down")) == ["cam"]
    assert names(a.call("streams?enabled=true")) == ["cam"] and names(a.call("streams?width.min=600&width.max=700")) == ["cam"]
    assert names(a.call("streams?q=gATE")) == ["cam"] and a.call("streams?q=nothing")["total"] == 0
    assert a.call("streams?select=uid,state&uid=off")["items"] == [{"uid": "off", "state": "disabled"}]
    assert names(a.call("streams?sort=state,-uid")) == ["cam", "zoo", "off"]


def test_pages(site):
    server, a, cam = site
    for sort in ("uid", "-uid", "state,-uid", "-width"):
        whole, seen, cursor = names(a.call(f"streams?sort={sort}")), [], ""
        while cursor is not None:
            page = a.call(f"streams?sort={sort}&limit=1&cursor={cursor}")
            seen += names(page)
            assert page["total"] == 3
            cursor = page["next"]
        assert seen == whole


def test_bad_arguments(site):
    server, a, cam = site
    for query, field in (("limit=0", "limit"), ("limit=1001", "limit"), ("limit=x", "limit"), ("colour=red", "colour"), ("sort=colour", "sort"),
                         ("select=uid,colour", "select"), ("width.min=wide", "width.min"), ("enabled=perhaps", "enabled"), ("cursor=!!", "cursor"),
                         ("sort=uid,name,state,reason", "sort")):
        problem = a.call(f"streams?{query}", status=400)
        assert problem["errors"][0]["field"] == field and problem["code"] == "bad-argument", query


# --- one ---


def test_one(site):
    server, a, cam = site
    s = wait_for("a whole group of pictures, and some of it recorded", lambda: (s := a.call("streams/cam"))["gop_frames"] > 0 and s["recording"]["bytes"] > 0 and s)
    assert s["config"]["stream-name"] == "Gate" and s["config"]["stream-url"] == cam.url() and s["pid"] == server.pid("cam")
    assert [t["kind"] for t in s["media"]] == ["video"] and s["media"][0]["mime"].startswith("avc1.") and "m=video" in s["sdp"]
    assert [step["name"] for step in s["steps"]] == ["connect", "OPTIONS", "DESCRIBE", "SETUP", "PLAY"] and all(step["ok"] for step in s["steps"])
    assert s["counters"]["packets"] > 0 and s["counters"]["faults"]["rtsp_bad"] == 0 and s["recording"]["bytes"] > 0 and s["peer"].startswith("tcp ")
    assert a.call("streams/off")["config"]["stream-url"] == "rtsp://u:***@127.0.0.1:1/x" and a.call("streams/off")["attempts"] == []
    answer = a.ask("streams/cam/config")
    assert a.ask("streams/cam/config", headers={"If-None-Match": answer.headers["ETag"]}).status == 304
    assert any("playing" in line for line in a.call("streams/cam/logs")["items"])


def test_attempts(site):
    server, a, cam = site
    a.call("streams/lost", "PUT", {"stream-url": "rtsp://127.0.0.1:1/x", "reconnect-timeout": "1s"})
    wait_for("it has tried", lambda: [t for t in a.call("streams/lost")["attempts"] if "cause" in t])
    s = wait_for("it is down", lambda: (s := a.call("streams/lost"))["state"] == "down" and s)
    tried = [t for t in s["attempts"] if "cause" in t][0]
    assert tried["cause"] == "unreachable" and tried["ended"] >= tried["at"] and s["state"] == "down" and s["reason"]
    wait_for("it is found as such", lambda: a.call("streams?state=down&select=uid")["items"] == [{"uid": "lost"}])
    a.call("streams/lost", "DELETE")
    a.call("streams/lost", status=404)


def test_commands(site):
    server, a, cam = site
    before = server.pid("cam")
    a.call("streams/cam/restart", "POST")
    wait_for("another worker", lambda: server.pid("cam") not in (0, before))
    server.wait_state("cam")
    a.call("streams/zoo/enabled", "PUT", {"enabled": True})
    assert a.call("streams?uid=zoo")["items"][0]["enabled"] is True, "what was changed is seen at once"
    a.call("streams/zoo/enabled", "PUT", {"enabled": False})
    assert a.call("streams/zoo")["state"] == "disabled"
    assert a.call("streams/zoo/enabled", "PUT", {"enabled": "perhaps"}, 422)["errors"][0]["field"] == "enabled"
    assert a.call("streams/zoo/restart", "POST", status=409)["code"] == "not-done"
    for path, method, body in (("restart", "POST", None), ("enabled", "PUT", {"enabled": True}), ("pause", "PUT", {"paused": True}), ("logs", "GET", None),
                               ("ranges", "GET", None), ("locks", "GET", None), ("config", "GET", None), ("events", "GET", None)):
        assert a.call(f"streams/none/{path}", method, body, 404)["code"] in ("not-found", "no-stream")


def test_pause(site):
    server, a, cam = site
    server.wait_recording("cam")
    a.call("streams/cam/pause", "PUT", {"paused": True})
    s = a.call("streams?uid=cam")["items"][0]
    assert s["paused"] is True and s["record"] == "paused" and s["record_reason"] == "paused by call"
    wait_for("no segment is open", lambda: "path" not in a.call("streams/cam")["recording"])
    server.kill("cam")
    server.wait_state("cam")
    assert a.call("streams?uid=cam")["items"][0]["record"] == "paused", "another worker does not record either"
    a.call("streams/cam/pause", "PUT", {"paused": False})
    server.wait_recording("cam")
    a.call("streams/cam/pause", "PUT", {"paused": True, "seconds": 1})
    wait_for("the pause is over", lambda: not a.call("streams?uid=cam")["items"][0]["paused"])
    server.wait_recording("cam")
    assert a.call("streams/cam/pause", "PUT", {"seconds": 1}, 422)["errors"][0]["field"] == "paused"
    assert a.call("streams/off/pause", "PUT", {"paused": True, "seconds": 0.5}, 422)["errors"][0]["field"] == "seconds"


# --- changes ---


def test_make_change_take_away(site):
    server, a, cam = site
    made = a.call("streams/new", "PUT", {"stream-url": cam.url(), "stream-name": "New", "stream-tracks": ["video", "audio"], "dvr-enable": False, "stream-limit": 3})
    assert made["uid"] == "new" and made["revision"] > 0
    server.wait_state("new")
    text = (server.path / "streams/new.ini").read_text()
    assert "stream-tracks = video, audio\n" in text and "dvr-enable = false\n" in text and "stream-limit = 3\n" in text
    a.call("streams/new", "PATCH", {"stream-name": "Other", "stream-limit": None})
    assert a.call("streams/new/config") == {"stream-url": cam.url(), "stream-name": "Other", "stream-tracks": "video, audio", "dvr-enable": "false"}
    a.call("streams/new", "PUT", {"stream-url": cam.url()})
    assert a.call("streams/new/config") == {"stream-url": cam.url()}, "what a replacement does not name is gone"
    assert a.call("streams/new?validate=true", "PATCH", {"stream-name": "Only asked"}) == {"valid": True, "remarks": []}
    assert a.call("streams/new")["name"] == ""
    a.call("streams/new", "DELETE")
    assert names(a.call("streams")) == ["cam", "off", "zoo"]
    assert not (server.path / "streams/new.ini").exists() and list((server.path / "streams").glob("new.ini.removed-*"))


def test_masked_password_stays(site):
    server, a, cam = site
    a.call("streams/off", "PATCH", {"stream-url": "rtsp://u:***@127.0.0.1:2/y"})
    assert "rtsp://u:secret@127.0.0.1:2/y" in (server.path / "streams/off.ini").read_text()
    a.call("streams/off", "PATCH", {"stream-url": "rtsp://u:***@127.0.0.1:2/y", "stream-name": "same"})
    assert "rtsp://u:secret@127.0.0.1:2/y" in (server.path / "streams/off.ini").read_text()
    assert "masked" in a.call("streams/fresh", "PUT", {"stream-url": "rtsp://u:***@127.0.0.1:2/y"}, 422)["detail"]
    a.call("streams/off", "PATCH", {"stream-url": "rtsp://u:secret@127.0.0.1:1/x", "stream-name": None})


def test_conditions(site):
    server, a, cam = site
    tag = a.ask("streams/off").headers["ETag"]
    a.call("streams/off", "PATCH", {"stream-name": "x"}, 412, {"If-Match": '"0123456789abcdef"'})
    now = a.ask("streams/off", "PATCH", {"stream-name": "x"}, {"If-Match": tag})
    assert now.status == 200 and now.headers["ETag"] != tag and a.ask("streams/off").headers["ETag"] == now.headers["ETag"]
    assert a.call("streams/off", "PATCH", {"stream-name": "y"}, 412, {"If-Match": tag})["code"] == "changed"
    a.call("streams/off", "PUT", OFF, 412, {"If-None-Match": "*"})
    a.call("streams/never", "PATCH", {"stream-name": "y"}, 412, {"If-Match": "*"})
    a.call("streams/off", "PATCH", {"stream-name": "y"}, 400, {"If-Match": "no tag"})
    assert a.ask("streams/off", "PATCH", {"stream-name": None}, {"If-Match": "*"}).headers["ETag"] == tag


def test_mistakes(site):
    server, a, cam = site
    before = sorted((p.name, p.read_text()) for p in (server.path / "streams").iterdir())
    for body, status, fields in (({"dvr-duration": "soon", "stream-access": "open"}, 422, {"dvr-duration", "stream-access"}), ({"stream-name": {"a": 1}}, 422, {"stream-name"}),
                                 ({"stream-name": "two\nlines"}, 422, {"stream-name"}), ({"Stream Name": "x"}, 422, {"Stream Name"})):
        problem = a.call("streams/off", "PATCH", body, status)
        assert {e["field"] for e in problem["errors"]} == fields, problem
        assert problem["detail"] and problem["title"] and str(server.path) not in json.dumps(problem)
    assert a.call("streams/off", "PATCH", "{", 400)["at"] == 1
    assert a.call("streams/off", "PATCH", "[1]", 400)["code"] == "malformed-body"
    assert api(server, "v3/streams/..%2f..", "PUT", "{}")[0] == 400 and a.call("streams/live", "PUT", OFF, 422) and a.call("streams/a b".replace(" ", "%20"), "PUT", OFF, 422)
    assert a.ask("streams/off", "PATCH", b"x" * (961 << 10)).status == 413
    assert sorted((p.name, p.read_text()) for p in (server.path / "streams").iterdir()) == before


def test_many_at_once(site):
    server, a, cam = site
    items = [{"uid": f"b{i:03}", "config": {"stream-url": "rtsp://127.0.0.1:1/x", "stream-enable": False, "stream-name": f"Number {i}"}} for i in range(250)]
    made = a.call("streams", "PUT", {"items": items, "text": "a delivery"})
    assert [i["uid"] for i in made["items"]] == [i["uid"] for i in items] and a.call("streams?limit=1")["total"] == 253
    bad = items[:2] + [{"uid": "b100", "mode": "merge", "config": {"dvr-chunk": "x"}}, {"uid": "c", "config": {}}]
    problem = a.call("streams", "PUT", {"items": bad}, 422)
    assert "/items/2/config/dvr-chunk" in [e["field"] for e in problem["errors"]] and a.call("streams?limit=1")["total"] == 253
    assert a.call("streams", "PUT", {"items": [items[0], items[0]]}, 422)["errors"][0]["detail"] == "This stream is named twice."
    many = a.call("streams", "PUT", {"items": [{"uid": f"x{i}", "config": {}, "mode": "merge"} for i in range(1001)]}, 413)
    assert many["code"] == "too-many" and "1000" in many["detail"]
    assert a.call("streams", "PUT", {"items": []}, 422) and a.call("streams", "PUT", {"items": [{"config": {}}]}, 422)["errors"][0]["field"] == "/items/0"
    assert a.call("streams", "PUT", {"items": [items[0], {"uid": "b001", "config": {}, "mode": "merge", "etag": "0"}]}, 412)["errors"][0]["field"] == "/items/1"
    changed = a.call("streams", "PUT", {"items": [{"uid": i["uid"], "mode": "merge", "config": {"stream-access": "private"}} for i in items]})
    assert a.call("streams?access=private&limit=1")["total"] == 250
    a.call(f"revisions/{changed['revision']}/undo", "POST")
    assert a.call("streams?access=private&limit=1")["total"] == 0
    a.call("streams", "PUT", {"items": [{"uid": i["uid"], "mode": "delete"} for i in items]})
    assert a.call("streams?limit=1")["total"] == 3
    assert a.call("revisions?limit=3")["items"][-1]["text"] == "" and "a delivery" in [r["text"] for r in a.call("revisions")["items"]]


def test_revisions(site):
    server, a, cam = site
    path = server.path / "streams/off.ini"
    first = path.read_text()
    one = a.call("streams/off", "PATCH", {"stream-name": "one"})["revision"]
    two = a.call("streams/off", "PATCH", {"stream-name": "two"})["revision"]
    made = a.call("streams/extra", "PUT", OFF)["revision"]
    assert [r["id"] for r in a.call("revisions?limit=3")["items"]] == [made, two, one]
    seen = a.call(f"revisions/{two}")
    assert seen["changes"][0]["before"]["stream-name"] == "one" and seen["changes"][0]["after"]["stream-name"] == "two" and "secret" not in json.dumps(seen)
    refused = a.call(f"revisions/{one}/undo", "POST", status=409)
    assert refused["code"] == "changed" and "stream-name has changed" in refused["detail"]
    limit = a.call("streams/off", "PATCH", {"stream-limit": 7})["revision"]
    path.write_text("# a note\n" + path.read_text())
    server.reload()
    a.call(f"revisions/{two}/undo", "POST")  # other keys, and what was written by hand, stay
    assert "stream-name = one" in path.read_text() and "# a note" in path.read_text() and "stream-limit = 7" in path.read_text()
    path.write_text(path.read_text().replace("# a note\n", ""))
    server.reload()
    a.call(f"revisions/{a.call('revisions')['items'][0]['id']}/undo", "POST")
    a.call(f"revisions/{limit}/undo", "POST")
    assert "stream-name = two" in path.read_text() and "stream-limit" not in path.read_text()
    a.call(f"revisions/{one}/restore?validate=true", "POST")
    assert "two" in path.read_text()
    a.call(f"revisions/{one}/restore", "POST")
    assert "one" in path.read_text() and names(a.call("streams")) == ["cam", "off", "zoo"]
    server.stop()
    server.start()
    wait_for("the API is there", lambda: api(server, "v3/streams")[0] == 401)
    a.conn = None
    a.call(f"revisions/{a.call('revisions')['items'][0]['id']}/undo", "POST")
    assert "two" in path.read_text() and names(a.call("streams")) == ["cam", "extra", "off", "zoo"]
    a.call("streams/extra", "DELETE")
    a.call("streams/off", "PATCH", {"stream-name": None})
    assert path.read_text() == first
    a.call("revisions/999999", status=404)
    a.call("revisions/x/undo", "POST", status=404)
    server.wait_state("cam")


# --- footage ---


def test_ranges_and_segments(site):
    server, a, cam = site
    server.wait_recording("cam")
    wait_for("two segments", lambda: len(a.call("streams/cam/segments")["items"]) >= 2, timeout=40)
    found = a.call("streams/cam/segments")["items"]
    assert all(s["to"] > s["from"] and s["bytes"] > 0 for s in found) and len(a.call("streams/cam/segments?limit=1")["items"]) == 1
    assert a.call("streams/cam/segments?limit=1")["next"] is not None
    r = a.call("streams/cam/ranges")
    assert abs(r["to"] - time.time()) < 10 and r["from"] <= found[0]["from"] and 0 < r["seconds"] < r["to"] - r["from"] + 0.001
    whole = r["items"][-1]
    third = (whole["to"] - whole["from"]) / 3
    cut = a.call(f"streams/cam/ranges?from={whole['from'] + third:.6f}&to={whole['to'] - third:.6f}")
    assert cut["from"] == pytest.approx(whole["from"] + third, abs=1e-3) and cut["to"] == pytest.approx(whole["to"] - third, abs=1e-3)
    assert a.call("streams/off/ranges") == {"items": [], "from": None, "to": None, "seconds": 0, "missing": []}
    a.call("streams/cam/ranges?from=5&to=4", status=400)


def test_locks_and_footage(site):
    server, a, cam = site
    wait_for("two segments", lambda: len(a.call("streams/cam/segments")["items"]) >= 2, timeout=40)
    first = a.call("streams/cam/segments")["items"][0]
    lock = a.call("streams/cam/locks", "POST", {"from": first["from"], "to": first["to"], "note": "case 7"}, 201)
    assert [x["id"] for x in a.call("streams/cam/locks")["items"]] == [lock["id"]] == [x["id"] for x in a.call("locks")["items"]] and lock["note"] == "case 7"
    gone = a.call(f"streams/cam/footage?from={first['from'] - 5}&to={first['to'] + 5}", "DELETE")
    assert gone["locked"] >= 1 and first["id"] in [s["id"] for s in a.call("streams/cam/segments")["items"]], "never a locked second"
    a.call(f"streams/cam/locks/{lock['id']}", "DELETE", status=204)
    a.call(f"streams/cam/locks/{lock['id']}", "DELETE", status=404)
    assert a.call(f"streams/cam/footage?from={first['from'] - 5}&to={first['to'] + 5}", "DELETE")["segments"] >= 1
    assert first["id"] not in [s["id"] for s in a.call("streams/cam/segments")["items"]]
    assert a.call("streams/cam/locks", "POST", {"from": 2, "to": 1}, 422)["errors"][0]["field"] == "to"
    a.call("streams/cam/footage", "DELETE", status=400)


def test_a_stream_goes_with_its_footage(site):
    """The open segment too, whether asked in today's manner or in that of the first generation; what is locked stays."""
    server, a, cam = site
    streams = {"goes": "streams/{}?footage=delete", "went": None, "held": "streams/{}?footage=delete"}
    for uid in streams:
        a.call(f"streams/{uid}", "PUT", {"stream-url": cam.url(), "dvr-enable": True, "dvr-chunk": "1h"})
    for uid in streams:
        server.wait_recording(uid)
    a.call("streams/held/locks", "POST", {"from": time.time() - 60, "to": time.time() + 60}, 201)
    a.call("streams/goes?footage=all", "DELETE", status=400)
    for uid, path in streams.items():
        if path:
            gone = a.call(path.format(uid), "DELETE")["footage"]
            assert (gone["segments"], gone["locked"]) == ((0, 1) if uid == "held" else (1, 0)), uid
        else:
            assert api(server, f"streams/{uid}/?erase_dvr=true", "DELETE", None, {"Authorization": a.token})[0] == 200
    left = [(row["uid"], row["segments"]) for row in server.rows("archive", "list") if row["uid"] in streams and row["segments"]]
    assert left == [("held", 1)]
    for uid in ("goes", "went"):
        wait_for("its file is gone", lambda uid=uid: not list((server.path / "archive" / uid).rglob("*.mp4")))


def test_events(site):
    server, a, cam = site
    event = a.call("streams/cam/events", "POST", {"kind": "door", "start": time.time() - 1, "end": time.time(), "payload": "<b>&"}, 201)
    found = a.call("streams/cam/events")["items"]
    assert [e["id"] for e in found] == [event["id"]] and found[0]["payload"] == "<b>&" and found[0]["end"] > found[0]["start"]
    assert [e["id"] for e in a.call("events?kind=door")["items"]] == [event["id"]] and a.call("events?kind=other")["items"] == []
    assert a.call("streams/cam/events", "POST", {"kind": "a b"}, 422) and a.call("streams/cam/events", "POST", {}, 422)["errors"][0]["field"] == "kind"


# --- the server ---


def test_server(site):
    server, a, cam = site
    s = wait_for("it has been looked at", lambda: (x := a.call("server"))["memory"]["total"] > 0 and x)
    assert [p["name"] for p in s["processes"]] == ["master", "connector", "keeper", "httpd"] and all(p["pid"] for p in s["processes"])
    assert s["cpu"]["cores"] >= 1 and 0 <= s["cpu"]["usage"] <= 1 and s["streams"]["total"] == 3 and abs(s["time"] - time.time()) < 10
    assert [x["name"] for x in a.call("storages")["items"]] == ["default"] and a.call("storages")["items"][0]["state"] == "ok"
    history = a.call("server/history")  # a minute after the start it has its first row
    assert history["columns"][0] == "at" and all(len(row) == len(history["columns"]) for row in history["items"])
    assert s["disks"]["written"] >= 0 and s["cpu"]["user"] > 0 and s["memory"]["shared"] > 0 and s["build"]
    assert any("ready" in line for line in a.call("logs")["items"]) and a.call("logs?process=keeper&limit=1")["items"]
    a.call("logs?process=cat", status=400)
    assert a.call("logs?process=courier")["items"] == []  # nobody to talk to: it does not run
    keys = {(k["section"], k["key"]): k for k in a.call("config/keys")["items"]}
    assert keys["<uid>", "dvr-chunk"]["min"] == 10000000 and "words" in keys["<uid>", "stream-access"]
    assert a.call("cluster")["enabled"] is False and a.call("cluster/streams")["items"] == []
    assert "alone" in a.call("cluster/drain", "PUT", {"drained": True}, 409)["detail"] and a.call("cluster/drain", "PUT", {}, 422)


# --- who asks, and what is not there ---


def test_who_asks(site):
    server, a, cam = site
    for token in ("", "x", "Basic dTpw"):
        answer = a.ask("streams", token=token)
        assert answer.status == 401 and answer.headers["WWW-Authenticate"].startswith("Bearer") and answer.json["detail"]
    watch = json.loads(api(server, "auth/token/access/", "POST", {"uid": "cam", "user": "anna", "duration": 60}, {"Authorization": a.token})[1])
    assert a.ask("streams", token=watch).status == 401
    assert a.call("nothing", status=404)["code"] == "not-found"
    answer = a.ask("streams/cam", "POST", {})
    assert answer.status == 405 and answer.headers["Allow"] == "GET, PUT, PATCH, DELETE"


def test_a_script_that_fails(server):
    """An id that the log has, and nothing of the script, its path or what it holds."""
    s = server({}, sections=SECRET)
    a = Api3(s, token_of(s))
    put_script(s, HEAD + 'error("mistake with /etc/passwd and rtsp://u:pw@h in it")', "modules/api/v3/server.lua")
    wait_for("it is refused", lambda: "script-refused script=api3" in s.log())
    assert a.call("server")["version"], "the last good one stays"
    put_script(s, HEAD + 'return {{ "GET", "/server", function() error("mistake with /etc/passwd in it") end, right = "view" }}', "modules/api/v3/server.lua")
    problem = wait_for("it runs", lambda: (x := a.ask("server")).status == 500 and x.json)
    assert "passwd" not in json.dumps(problem) and str(s.path) not in json.dumps(problem) and "lua" not in problem["detail"]
    assert s.logged(f"incident={problem['instance']}") and "passwd" in s.log()


def test_base(server):
    s = server({}, sections={**SECRET, "server/module": {"api-baseurl": "/site/api"}})
    wait_for("the API is there", lambda: api(s, "v3/streams", base="/site/api/")[0] == 401)
    assert api(s, "streams/", base="/site/api/")[0] == 403
    assert [api(s, "v3/streams", base=base)[0] for base in ("/api/", "/site/apis/", "/site/")] == [404] * 3


# --- the description ---


def test_routes_and_description_agree(site):
    """Both ways: every route of the scripts is described by its name, and what is described answers."""
    server, a, cam = site
    row = re.compile(r'^    { "([A-Z]+)", "([^"]+)", .*id = "(\w+)", right = "(\w+)" },$', re.M)
    scripts = pathlib.Path(__file__).parents[2] / "lua/modules/api/v3"
    routes = {(m, p): (i, r) for f in scripts.glob("*.lua") for m, p, i, r in row.findall(f.read_text())}
    described = {(m.upper(), p): (o["operationId"], o.get("x-right")) for p, methods in SPEC["paths"].items() for m, o in methods.items()}
    assert json.loads(api(server, "v3/openapi.json")[1]) == SPEC
    ours = {k: v for k, v in described.items() if k[1] not in ("/openapi.json", "/session", "/setup", "/events/stream")}  # the server's own
    assert routes == ours
    reference = (pathlib.Path(__file__).parents[2] / "docs/reference/api.md").read_text()
    assert [k for k in described if f"| `{k[0]} {k[1]}` |" not in reference] == []
    assert len({i for i, _ in described.values()}) == len(described)
    for method, path in ours:
        answer = a.ask(re.sub(r"{\w+}", "zzz", path)[1:] + ("?validate=true" if method in ("PUT", "PATCH", "DELETE") else ""), method, token="wrong")
        assert answer.status == 401, (method, path)


def test_description_is_sound():
    assert SPEC["openapi"] == "3.1.0"
    refs = set(re.findall(r'"#/components/(\w+)/(\w+)"', json.dumps(SPEC)))
    for kind, name in refs:
        assert name in SPEC["components"][kind], name
    for name, schema in SPEC["components"]["schemas"].items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert ("schemas", name) in refs, f"{name} is not used"
