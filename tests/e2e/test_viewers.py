"""Who watches, as the API lists it, and sending somebody away on every road."""
import socket

import pytest

import rtsp
import tools
import ws
from api3 import Api3
from test_api import SECRET, api_token, call
from tools import wait_for


@pytest.fixture
def site(server, camera):
    cam = camera(dict(source="small.h264", start="key"))
    s = server({"open": cam.url(), "shut": {"stream-url": cam.url(), "stream-access": "private"}}, sections=SECRET)
    s.wait_state("open")
    s.wait_state("shut")
    token = wait_for("a token", lambda: api_token(s))
    return s, Api3(s, token), call(s, token, "auth/token/access/", "POST", {"uid": "shut", "user": "anna", "duration": 600})


def endless(server, path):
    """A viewer of an endless answer that has begun."""
    c = socket.create_connection(("127.0.0.1", server.web_port), timeout=20 * tools.SLOW)
    c.sendall(f"GET /{path} HTTP/1.1\r\nHost: t\r\nUser-Agent: <b>viewer</b>\r\n\r\n".encode())
    assert b"200 OK" in c.recv(4096)
    return c


def ended(c):
    while c.recv(65536):
        pass


def rows(a, uid, n):
    return wait_for(f"{n} viewers of {uid}", lambda: (r := a.call(f"sessions?uid={uid}")["items"]) is not None and len(r) == n and (r or [None]))


def test_listed_and_sent_away(site):
    s, a, token = site
    wait_for("a picture", lambda: s.get("open/index.m3u8", status=None).status == 200)
    mp4 = endless(s, "open/live.mp4")
    (row,) = rows(a, "open", 1)
    assert row["roads"] == ["mp4"] and row["address"] == "127.0.0.1" and row["agent"] == "<b>viewer</b>" and row["user"] == ""
    private = endless(s, f"shut/live.mp4?token={token}")
    (mine,) = rows(a, "shut", 1)
    assert mine["user"] == "anna" and mine["roads"] == ["mp4"]
    assert a.call("sessions?user=anna")["total"] == 1 and a.call("sessions")["total"] == 2
    assert a.call(f"sessions/{row['id']}", "DELETE") == {"ended": 1}
    ended(mp4)
    rows(a, "open", 0)
    assert a.call(f"sessions/{mine['id']}", "DELETE") == {"ended": 1}
    ended(private)
    assert a.call(f"sessions/{mine['id']}", "DELETE", status=404)["code"] == "no-session"
    assert a.call("sessions/nonsense", "DELETE", status=404)["code"] == "no-session"
    log = wait_for("both are written down", lambda: (r := s.rows("audit")) and sum(x["what"] == "session end" for x in r) == 3 and r)[::-1]
    assert [(x["what"], x["who"], x["result"]) for x in log] == [("token create", "nobody", "done"), ("token create", "test", "done")] + [("session end", "test", x) for x in ("done", "done", "failed")]
    assert "ops=api" in log[0]["text"] and "user=anna" in log[1]["text"] and "uid=shut" in log[1]["text"] and mine["id"] in log[3]["text"]
    assert token not in s.audit_log()
    s.msctl("token", "revoke", log[1]["text"].split()[0])
    wait_for("what the log names is taken back", lambda: s.get(f"shut/live.mp4?token={token}", status=None).status == 403)


def test_hls_and_websocket(site):
    s, a, token = site
    wait_for("a picture", lambda: s.get(f"shut/index.m3u8?token={token}", status=None).status == 200)
    master = s.text(f"shut/index.m3u8?token={token}")
    below = next(line for line in master.splitlines() if not line.startswith("#"))
    path = "shut/" + below
    assert s.get(path, status=None).status == 200
    with ws.Client(s, f"shut/mse_ld?token={token}") as viewer:
        found = wait_for("both", lambda: (r := a.call("sessions?uid=shut")["items"]) and {x for row in r for x in row["roads"]} == {"hls", "ws"} and r)
        for row in found:
            a.call(f"sessions/{row['id']}", "DELETE")
        with pytest.raises(ws.Closed):
            while True:
                viewer.more()
    assert s.get(path, status=None).status == 403


@pytest.mark.limit(60)
def test_rtsp(site):
    """By id, over every transport, on a public stream and on a private one; another one's session goes on."""
    s, a, token = site
    where = {"open": f"rtsp://127.0.0.1:{s.rtsp_port}/open", "shut": f"rtsp://127.0.0.1:{s.rtsp_port}/shut?token={token}"}
    stays, kept = rtsp.watch(where["open"], "tcp", s.web_port)
    with stays:
        (other,) = rows(a, "open", 1)
        still = rtsp.Reader(kept)
        for uid in where:
            for transport in ("tcp", "udp", "tunnel"):
                session, sock = rtsp.watch(where[uid], transport, s.web_port)
                with session:
                    found = [r for r in rows(a, uid, 1 + (uid == "open")) if r["id"] != other["id"]]
                    assert [r["roads"] for r in found] == [["rtsp"]]
                    over = rtsp.Reader(sock).over
                    assert a.call(f"sessions/{found[0]['id']}", "DELETE") == {"ended": 1}
                    assert over.wait(10 * tools.SLOW), f"{uid} over {transport} still runs"
                    rows(a, uid, int(uid == "open"))
        assert not still.over.is_set()


def closed(viewer):
    """Code and reason of the end."""
    with pytest.raises(ws.Closed) as end:
        while True:
            viewer.message(ws.BINARY)
    return end.value.args


def paused(s, uid):
    viewer = ws.Client(s, f"{uid}/mse_ld")
    viewer.fragment()
    viewer.say("pause")
    while viewer.json().get("event") != "paused":
        pass
    return viewer


@pytest.mark.limit(60)
def test_paused_websockets(site):
    """Who has paused, and waits for nothing, is told all the same: when the stream becomes private, and when it is taken away. Behind that a pause ends where
    it is allowed again."""
    s, _, _ = site
    conf = dict(s.streams_conf["open"])
    wait_for("a picture", lambda: s.get("open/index.m3u8", status=None).status == 200)
    with paused(s, "open") as viewer:
        s.write_stream("open", {"stream-url": conf["stream-url"].strip('"'), "stream-access": "private"})
        s.reload()
        assert closed(viewer)[0] == 1008
    s.write_stream("open", {"stream-url": conf["stream-url"].strip('"')})
    s.reload()
    wait_for("it is open again", lambda: s.get("open/index.m3u8", status=None).status == 200)
    with paused(s, "open") as viewer:
        viewer.say("resume")
        viewer.fragment()
    with paused(s, "open") as viewer:
        s.remove_stream("open")
        s.reload()
        assert closed(viewer)[0] in (1001, 1008)
    assert s.get("open/index.m3u8", status=None).status == 404
