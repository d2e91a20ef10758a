"""Who watches, as the API lists it, and sending somebody away on every road."""
import socket

import pytest

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
