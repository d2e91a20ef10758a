"""The API below /api/: bodies of requests, tokens, calls of the first generation (compatibility.md 3)."""
import json
import os
import socket
import subprocess
import urllib.parse

import pytest

import tools
import urls
from camera import Camera
from server import MediaServer, need_server
from test_lua import HEAD, api, put_script, says
from tools import wait_for

ECHO_BODY = HEAD + """
return function(r)
    if r.path == "/ready" then return { status = 200, body = "ready" } end
    return { status = 200, body = ms.json({ #r.body, r.body:sub(1, 40), r.method, r.path, r.query, r.is_local, r.address }) }
end
"""


@pytest.fixture
def echo(server):
    s = server({}, start=False)
    put_script(s, ECHO_BODY)
    s.start()
    wait_for("it runs", lambda: api(s, "ready") == (200, "ready"))
    return s


def raw(server, *pieces):
    """All that comes back for bytes that are sent piece by piece."""
    with socket.create_connection(("127.0.0.1", server.module_port), timeout=20 * tools.SLOW) as c:
        for piece in pieces:
            c.sendall(piece)
        c.shutdown(socket.SHUT_WR)
        found = b""
        while more := c.recv(65536):
            found += more
    return found.decode()


def post(fields, path="/api/x"):
    return f"POST {path} HTTP/1.1\r\n{'' if 'Host: ' in fields else 'Host: localhost:8080' + chr(13) + chr(10)}Connection: close\r\n{fields}\r\n\r\n".encode()


def echoed(answer):
    assert "HTTP/1.1 200" in answer, answer
    return json.loads(answer.rsplit("\r\n\r\n", 1)[1])


# --- bodies ---


def test_bodies(echo):
    assert echoed(raw(echo, post("Content-Length: 5") + b"hello"))[:4] == [5, "hello", "POST", "/x"]
    assert echoed(raw(echo, post("Content-Length: 10"), b"hel", b"lo", b"world"))[:2] == [10, "helloworld"]
    assert echoed(raw(echo, post("Transfer-Encoding: chunked"), b"3\r\nhel\r\n", b"2\r\nlo\r", b"\n0\r\n\r\n"))[:2] == [5, "hello"]
    assert echoed(raw(echo, post("Content-Length: 0")))[0] == 0
    n = 256 * 1024
    assert echoed(raw(echo, post(f"Content-Length: {n}"), b"x" * n))[0] == n
    assert raw(echo, post(f"Content-Length: {n + 1}"), b"x").startswith("HTTP/1.1 413")
    assert raw(echo, post("Transfer-Encoding: chunked"), b"40000\r\n" + b"x" * n + b"\r\n1\r\nx\r\n0\r\n\r\n").startswith("HTTP/1.1 413")
    assert raw(echo, post("Transfer-Encoding: chunked"), b"z\r\n").startswith("HTTP/1.1 400")
    assert raw(echo, post("Content-Length: 5"), b"hel") == ""  # whoever goes before the end asks nothing


def test_expect_and_pipeline(echo):
    answer = raw(echo, post("Expect: 100-continue\r\nContent-Length: 2"), b"ab")
    assert answer.startswith("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200") and echoed(answer)[0] == 2
    two = b"POST /api/a HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc" + post("Content-Length: 2", "/api/b?c=d+e&f=%41") + b"de"
    answer = raw(echo, two)
    assert answer.count("HTTP/1.1 200") == 2 and '"abc"' in answer
    assert echoed(answer)[1:5] == ["de", "POST", "/b", {"c": "d e", "f": "A"}]
    assert raw(echo, b"PATCH /api/x HTTP/1.1\r\nHost: t\r\n\r\n").startswith("HTTP/1.1 405")


def test_who_asks(echo):
    assert echoed(raw(echo, post("Content-Length: 0")))[5:] == [True, "127.0.0.1"]
    for field in ("X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "Via: 1.1 proxy", "X-Real-IP: 10.0.0.1"):
        assert echoed(raw(echo, post(f"{field}\r\nContent-Length: 0")))[5] is False
    for host in ("evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "[fe80::1]:80"):  # a name that points here
        assert echoed(raw(echo, post(f"Host: {host}\r\nContent-Length: 0")))[5] is False
    for host in ("127.0.0.1:8080", "[::1]:8080", "[::1]", "LOCALHOST"):
        assert echoed(raw(echo, post(f"Host: {host}\r\nContent-Length: 0")))[5] is True
    for field, local in (("Origin: http://evil.example", False), ("Origin: null", False), ("Sec-Fetch-Site: cross-site", False), ("Sec-Fetch-Site: same-site", False),
                         ("Origin: http://localhost:3000", False), ("Origin: http://localhost:8080", True), ("Sec-Fetch-Site: none", True)):
        assert echoed(raw(echo, post(f"{field}\r\nContent-Length: 0")))[5] is local
    assert echo.get("api/x", status=None).status == 404  # not on the viewers' listener


def test_where_it_is_open(server):
    s = server({}, sections={"server/module": {"api-whitelist": "10.0.0.0/8"}})
    assert api(s, "streams/")[0] == 403
    s.sections["server/module"]["api-whitelist"] = "127.0.0.0/8"
    put_script(s, HEAD + 'return function() return { status = 200, body = "in" } end')
    s.write_ini()
    s.msctl("reload")
    says(s, "in")
    s.sections["server/module"]["api-enable"] = "false"
    s.write_ini()
    s.msctl("reload")
    wait_for("there is none", lambda: api(s, "x")[0] == 404)


# --- tokens and calls ---

SECRET = {"server/stream": {"auth-secret": '"a secret of this test"'}}


def call(server, token, path, method="GET", body=None, status=200):
    got, text = api(server, path, method, body, {"Authorization": token} if token else {})
    assert got == status, f"{method} {path}: {got} {text}"
    return json.loads(text)


def api_token(server, **fields):
    return call(server, None, "auth/token/api/", "POST", {"client": "test", "duration": 0, **fields})


@pytest.fixture
def site(server, camera):
    cam = camera(dict(source="small.h264", start="key"))
    s = server({"cam": cam.url(), "shut": {"stream-url": cam.url(), "stream-access": "private"}}, sections=SECRET)
    s.wait_state("cam")
    s.wait_state("shut")
    wait_for("the API is there", lambda: api(s, "streams/")[0] == 403)
    return s, api_token(s)


def test_tokens(site):
    s, token = site
    for given in ("", "x", token[:-1], token + "A", "Basic dTpw"):
        assert api(s, "streams/", headers={"Authorization": given})[0] == 403
    assert api(s, "streams/", headers={"Cookie": f"ms_token={token}"})[0] == 403  # other sites could send it along
    for way in ({"headers": {"Authorization": token}}, {"headers": {"Authorization": f"Bearer {token}"}}, {"path": f"streams/?token={token}"}):
        assert api(s, **({"path": "streams/"} | way))[0] == 200
    far = {"X-Forwarded-For": "203.0.113.7"}
    assert api(s, "auth/token/api/", "POST", {"client": "x"}, far)[0] == 403
    assert api(s, "auth/token/access/", "POST", {"uid": "shut", "user": "anna", "duration": 60})[0] == 403
    watch = call(s, token, "auth/token/access/", "POST", {"uid": "shut", "user": "anna", "duration": 60})
    assert s.get("shut/stream.json", status=None).status in (401, 403)
    s.get(f"shut/stream.json?token={watch}")
    assert call(s, watch, "streams/", status=403)  # it is no token of the API
    assert call(s, token, "auth/token/access/", "POST", {"uid": "not-here-yet", "user": "anna", "duration": 60})
    for body, why in (('{"uid": 1}', '"uid" is a string'), ("{}", "uid: "), ('{"uid": "a/b"}', "no such name"), ('{"uid": "a", "x": 1}', 'no field "x"'),
                      ('{"uid": "a", "duration": -1}', "duration: "), ('{"uid": "a", "duration": 0.5}', "duration: "), ('{"uid": ', "behind byte"), ("[]", "uid: ")):
        status, text = api(s, "auth/token/access/", "POST", body, {"Authorization": token})
        assert status in (400, 503) and why in json.loads(text)["error"], (body, text)


def test_no_secret_no_token(server):
    s = server({})
    wait_for("the API is there", lambda: api(s, "streams/")[0] == 403)
    status, text = api(s, "auth/token/api/", "POST", {"client": "x"})
    assert status == 503 and "auth-secret" in text


@pytest.fixture(scope="module")
def recorded():
    need_server()
    with Camera(dict(source="small.h264", start="key", auth="basic", user="u", password="pw")) as cam:
        url = cam.url()
        streams = {"rec": {"stream-url": url, "dvr-enable": "true", "dvr-chunk": "10s"}, "shut": {"stream-url": url, "stream-access": "private", "stream-proto": "hls"},
                   "dark": {"stream-url": url, "stream-access": "none"}, "off": {"stream-url": url, "stream-enable": "false"}}
        with MediaServer(streams, record=False, sections=SECRET) as s:
            s.wait_state("rec")
            wait_for("the API is there", lambda: api(s, "streams/")[0] == 403)
            token = api_token(s)
            wait_for("some footage", lambda: call(s, token, "streams/rec/ranges/")["length"] >= 3)
            yield s, token


FIELDS = {"uid", "enabled", "track_video", "track_audio", "dvr_enabled", "type", "dvr_paused", "status", "access", "reconnect_attempt", "reconnect_total",
          "bitrate_in", "bitrate_out", "src_ping_time", "reconnect_time", "clients_count", "camera_uid"}


def test_streams(site):
    """compatibility.md 3: the list and the calls on one stream."""
    s, token = site
    rows = call(s, token, "streams/")
    assert [r["uid"] for r in rows] == ["cam", "shut"] and all(set(r) == FIELDS for r in rows)
    assert rows[0]["status"] == "active" and rows[0]["access"] == "public" and rows[1]["access"] == "private" and rows[0]["enabled"] is True
    assert call(s, token, "streams/cam/ping/") == {"uid": "cam", "status": "active"}
    before = s.stream("cam")["pid"]
    assert call(s, token, "streams/cam/restart/", "PUT") == {"uid": "cam"}
    wait_for("another worker", lambda: s.stream("cam")["pid"] not in (0, before))
    assert call(s, token, "streams/cam/enable/?enable=false", "PUT") == {"uid": "cam"}
    wait_for("it is off", lambda: call(s, token, "streams/cam/ping/")["status"] == "disabled")
    assert "stream-enable = false" in (s.path / "streams/cam.ini").read_text()  # durable
    call(s, token, "streams/cam/enable/?enable=true", "PUT")
    s.wait_state("cam")
    call(s, token, "streams/cam/enable/?enable=perhaps", "PUT", status=400)
    for method, path in (("GET", "ping/"), ("PUT", "restart/"), ("PUT", "enable/?enable=true"), ("DELETE", "")):
        call(s, token, f"streams/none/{path}", method, status=404)
    assert call(s, token, "nothing/", status=404) and call(s, token, "streams/cam/ping/", "PUT", status=405)


ONE = {"camera_uid", "status", "type", "enabled", "access", "stream_name", "uid", "whitelist", "entry", "config", "dvr", "source", "tracks"}
DVR = {"storage", "storage_path", "records_path", "enable", "on-demand", "pause", "duration_archive", "duration_chunk", "record_from", "record_to",
       "record_duration", "ranges_count", "ranges_memory"}


def test_one_stream(recorded):
    s, token = recorded
    def the_same():
        """The camera may be asked again between both."""
        one = call(s, token, "streams/rec/")
        return one if [x["src_ping_time"] for x in call(s, token, "streams/") if x["uid"] == "rec"] == [one["source"]["ping"]] else None

    one = wait_for("the list says what the stream says", the_same)
    assert 0 <= one["source"]["ping"] < 5000
    assert set(one) == ONE and set(one["dvr"]) == DVR and set(one["source"]) == {"url", "ping", "sdp"} and set(one["config"]) == {"file", "source"}
    assert one["status"] == "active" and one["entry"] == "stream" and one["source"]["url"].startswith("rtsp://u:***@") and "m=video" in one["source"]["sdp"]
    assert one["tracks"]["video"]["codec"] == "H264" and one["tracks"]["video"]["clock_rate"] == 90000 and one["dvr"]["enable"] is True
    assert one["dvr"]["storage"] == "default" and one["dvr"]["storage_path"] == str(s.storages["default"]) and one["dvr"]["record_to"] > one["dvr"]["record_from"]
    r = call(s, token, "streams/rec/ranges/")
    assert set(r) == {"start", "stop", "length", "ranges"} and r["stop"] - r["start"] >= 2 and r["ranges"][0]["from"] == r["start"]
    assert sum(x["duration"] for x in r["ranges"]) == r["length"] and r["ranges"][-1]["end"] == r["stop"]
    for path in ("streams/none/", "streams/none/ranges/"):
        call(s, token, path, status=404)


def test_reconfigure(recorded):
    s, token = recorded
    call(s, token, "streams/rec/reconfigure/?broadcast=false", "PUT")
    wait_for("live is off", lambda: s.get("rec/stream.json", status=None).status == 200 and s.get("rec/index.m3u8", status=None).status == 503)
    s.get(f"dvr/rec/playlist.m3u8?timestamp={call(s, token, 'streams/rec/ranges/')['start']}&duration=10")
    assert call(s, token, "streams/rec/")["status"] == "active"
    call(s, token, "streams/rec/reconfigure/", "PUT", {"broadcast": True, "dvr": False, "timeout": 60})
    wait_for("live is on", lambda: s.get("rec/index.m3u8", status=None).status == 200)
    assert call(s, token, "streams/rec/")["dvr"]["pause"] is True
    call(s, token, "streams/rec/reconfigure/?dvr=true&reload=true", "PUT")
    s.wait_recording("rec")
    before = s.pid("rec")
    call(s, token, "streams/rec/reconfigure/?enable=true&restart=true", "PUT")
    wait_for("another worker", lambda: s.pid("rec") not in (0, before))
    s.wait_state("rec")
    call(s, token, "streams/rec/reconfigure/?secondary-url=rtsp://h/x&secondary-duration=soon", "PUT", status=400)
    for query in ("dvr=perhaps", "timeout=x&dvr=false", "other=true"):
        call(s, token, f"streams/rec/reconfigure/?{query}", "PUT", status=400)
    call(s, token, "streams/none/reconfigure/?dvr=false", "PUT", status=404)


def test_another_source_for_a_while(recorded):
    s, token = recorded
    path = s.path / "streams" / "rec.ini"
    before, other = path.read_text(), "rtsp://u:planted@127.0.0.1:1/other"
    wish = "streams/rec/reconfigure/?" + urllib.parse.urlencode({"secondary-url": other, "secondary-duration": 1})
    call(s, token, wish, "PUT")
    assert other in path.read_text() and "planted" not in s.audit_log()
    wait_for("its own source again", lambda: path.read_text() == before)
    call(s, token, wish.replace("duration=1", "duration=0"), "PUT")
    wait_for("what has to come back is stored", lambda: other.encode() in (s.path / "state" / "secondary").read_bytes())
    assert (s.path / "state" / "secondary").stat().st_mode & 0o777 == 0o600
    s.stop()
    s.start()
    assert other in path.read_text(), "until it is taken back"
    s.msctl("secondary", "rec")
    assert path.read_text() == before
    s.msctl("secondary", "rec", other, "1")
    s.msctl("stream", "set", "rec", "stream-url=rtsp://127.0.0.1:1/mine")
    wait_for("its time is over", lambda: "secondary-over" in s.log().rsplit("what=set", 1)[1])
    assert "rtsp://127.0.0.1:1/mine" in path.read_text(), "what somebody has changed meanwhile stays"
    path.write_text(before)
    s.reload()
    s.wait_recording("rec")


def test_where_it_may_be_watched(recorded):
    s, token = recorded
    rows = call(s, token, "streams/broadcast/")
    rec = rows["rec"]
    assert rec["access"] == "public" and rec["entry"] == "stream" and set(rec["urls"]) == {
        "hls_live", "hls_live_ios", "hls_dvr", "hls_dvr_ios", "rtsp_live", "rtsp_dvr", "export", "preview", "screenshot"}
    assert s.get(rec["urls"]["hls_live"]["url"]).status == 200 and rec["urls"]["hls_dvr"]["args"] == ["timestamp", "duration"]
    assert set(rows["shut"]["urls"]) == {"hls_live", "hls_live_ios", "preview"} and rows["shut"]["urls"]["hls_live"]["args"] == ["token"]
    assert rows["dark"]["urls"] == {} and "off" not in rows


def test_the_server(recorded):
    s, token = recorded
    about = call(s, token, "server/", "POST")
    assert {k: set(v) for k, v in about.items() if k not in ("storages", "drives")} == {
        "server": {"hostname", "ip4", "name", "version", "revision", "build", "timestamp", "startat", "uptime"},
        "cpu": {"total", "usage", "utime_sec", "stime_sec"}, "mem": {"rss", "share", "usage"},
        "io": {"read_rate", "write_rate", "read_bytes", "write_bytes"}, "net": {"in_bitrate", "out_bitrate", "clients"},
        "streams": {"total", "active", "clients"}, "cluster": {"id", "node", "hostname", "enable"}}
    path, storage = next(iter(about["storages"].items()))
    assert path == str(s.storages["default"]) and storage["err"] == 0 and storage["capacity_free"] > 0
    assert set(storage) == {"name", "mount", "fs", "capacity_total", "capacity_free", "inode_total", "inode_free", "err"}
    assert storage["mount"] == subprocess.run(["findmnt", "-nT", path, "-o", "TARGET"], capture_output=True, text=True, check=True).stdout.strip() and storage["fs"]
    nulls = [(k, n) for k, part in about.items() if isinstance(part, dict) for n, v in part.items() if v is None]
    assert set(nulls) <= {("server", "ip4")}, nulls  # a machine without an interface but the loopback's
    assert about["cpu"]["utime_sec"] + about["cpu"]["stime_sec"] > 0 and 0 < about["mem"]["share"]
    there = os.statvfs(path)
    assert storage["inode_total"] == there.f_files and abs(storage["inode_free"] - there.f_favail) <= there.f_files / 10
    nodes = call(s, token, "cluster/backups/")
    assert set(nodes) == {"node_id", "cluster_id", "nodes"} and [set(n) for n in nodes["nodes"].values()] == [{"id", "host", "ip", "status", "ltime"}]
    assert "target_primary" in call(s, token, "streams/rec/transfer/", "POST", {}, status=400)["error"]
    assert "alone" in call(s, token, "streams/rec/transfer/", "POST", {"target_primary": "2"}, status=409)["error"]


def test_every_call_of_the_table(recorded):
    """urls.py: whatever the original had is there: by its method, and by no other."""
    s, token = recorded
    for row in urls.API:
        path = row.path.format(uid="rec")
        assert api(s, path, row.method, row.body, {"Authorization": token})[0] == row.status, row
        assert api(s, path, "PATCH", None, {"Authorization": token})[0] == 405, row
    # what its worker was still writing is found when it is closed
    wait_for("its footage is gone with it", lambda: len(s.segments("rec")) <= 1)


def test_create_and_delete(site):
    s, token = site
    url = s.streams_conf["cam"]["stream-url"].strip('"')
    fields = {"stream-url": url, "stream-name": "new one", "stream-tracks": ["video", "audio"], "dvr-enable": False}
    assert call(s, token, "streams/new/", "POST", fields) == {"uid": "new"}
    s.wait_state("new")
    assert call(s, token, "streams/new/", "POST", {"stream-name": "other", "stream-access": "none"}) == {"uid": "new"}
    wait_for("it is known", lambda: [r["access"] for r in call(s, token, "streams/") if r["uid"] == "new"] == ["none"])
    assert "stream-access" in json.loads(api(s, "streams/new/", "POST", {"stream-access": "open"}, {"Authorization": token})[1])["error"]
    assert call(s, token, "streams/new/", "DELETE") == {"uid": "new"}
    wait_for("it is gone", lambda: [r["uid"] for r in call(s, token, "streams/")] == ["cam", "shut"])
    call(s, token, "streams/cam/?erase_dvr=perhaps", "DELETE", status=400)


def test_a_long_list(server):
    """More rows than one message of the script's has."""
    s = server({f"cam{i:03}": {"stream-url": "rtsp://127.0.0.1:1/x", "stream-enable": "false"} for i in range(350)}, sections=SECRET)
    wait_for("the API is there", lambda: api(s, "streams/")[0] == 403)
    rows = call(s, api_token(s), "streams/")
    assert [r["uid"] for r in rows] == [f"cam{i:03}" for i in range(350)]
