"""The event stream of the panel: state first, then changes, for whoever may see them; what one that does not read costs."""
import http.client
import json
import socket
import time

import pytest

import tools
from test_signin import Client
from tools import wait_for


class Events:
    """A reader of server-sent events, one at a time."""

    def __init__(self, server, query="", headers=None):
        self.c = http.client.HTTPConnection("127.0.0.1", server.module_port, timeout=20 * tools.SLOW)
        self.c.request("GET", f"/api/v3/events/stream{query}", headers=headers or {})
        self.r = self.c.getresponse()
        self.status, self.last = self.r.status, None

    def next(self):
        """(event, data); None: it has ended."""
        event = data = None
        while True:
            line = self.r.readline().decode()
            if not line:
                return None
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "event":
                event = value
            elif name == "data":
                data = json.loads(value)
            elif name == "id":
                self.last = value
            elif name == "" and event:
                return event, data

    def until(self, wanted, test=lambda data: True):
        while got := self.next():
            if got[0] == wanted and test(got[1]):
                return got[1]
        raise AssertionError(f"the stream ended before {wanted}")

    def close(self):
        self.r.close()
        self.c.close()


@pytest.fixture
def site(server):
    s = server({"yard": {"stream-url": "rtsp://127.0.0.1:9/yard", "stream-name": "Yard"}, "hall": {"stream-url": "rtsp://127.0.0.1:9/hall"}},
               sections={"server/stream": {"auth-secret": '"a secret of this test"'}, "server/module/users": {"root": "boss:secret", "user": "anna:secret"}, "server/module/cameras": {"anna": "yard"}})
    wait_for("it is there", lambda: Client(s).ask("GET", "/api/v3/session")[0].status == 401)
    boss, anna = Client(s), Client(s)
    boss.sign_in("boss", "secret")
    anna.sign_in("anna", "secret")
    return s, {"Cookie": boss.cookie}, {"Cookie": anna.cookie}


def rows(data):
    return {r["uid"]: r for r in data["rows"]}


def test_state_and_changes(site):
    s, boss, anna = site
    assert Events(s).status == 401
    assert Events(s, "?topics=x", boss).status == 400
    e = Events(s, "", boss)
    assert e.status == 200 and e.r.headers["Content-Type"] == "text/event-stream" and e.r.headers["Cache-Control"] == "no-store"
    first = e.until("streams")
    assert first["all"] is True and set(rows(first)) == {"yard", "hall"} and rows(first)["yard"]["name"] == "Yard"
    assert rows(first)["hall"]["enabled"] is True and rows(first)["hall"]["state"] in ("connecting", "down")
    mine = Events(s, "", anna)
    assert set(rows(mine.until("streams"))) == {"yard"}
    s.msctl("stream", "set", "hall", "stream-name=Hall <b>")
    change = e.until("streams", lambda d: rows(d).get("hall", {}).get("name"))
    assert rows(change)["hall"]["name"] == "Hall <b>" and "all" not in change and "access" not in rows(change)["hall"]
    last = e.last
    e.close()
    # Whoever comes back is told what he has missed, and no more.
    s.msctl("stream", "set", "yard", "stream-name=Garden")
    s.msctl("stream", "remove", "hall")
    again = Events(s, "", {**boss, "Last-Event-ID": last})
    seen, gone = {}, []
    while seen.get("yard", {}).get("name") != "Garden" or gone != ["hall"]:
        data = again.until("streams")
        assert "all" not in data
        seen.update(rows(data))
        gone += data["gone"]
    # Of another start's number all is told.
    assert Events(s, "?last=00000000-3", boss).until("streams")["all"] is True
    assert rows(mine.until("streams", lambda d: "all" not in d and rows(d).get("yard", {}).get("name")))["yard"]["name"] == "Garden"


def test_server_notices_details_and_pings(site):
    s, boss, anna = site
    e = Events(s, "?topics=server,notices,stream:yard", boss)
    want = {"server", "stream", "ping"}
    found = {}
    while want - set(found):
        name, data = e.next()
        found.setdefault(name, data)
    assert found["stream"]["uid"] == "yard" and "frames" in found["stream"] and "streams" not in found
    assert found["server"]["storages"][0]["name"] == "default" and found["server"]["server"]
    assert found["server"]["cluster"] == []
    assert abs(found["ping"]["t"] - time.time()) < 60
    mine = Events(s, "?topics=server,notices,streams", anna)
    mine.until("streams")
    s.msctl("stream", "create", "new", "stream-url=rtsp://127.0.0.1:9/new")
    notice = e.until("notice", lambda d: d["data"].get("uid") == "new")
    assert notice["event"] in ("stream:create", "stream:state")
    s.msctl("restart", "yard")
    got = []
    while not any(g[0] == "notice" for g in got):
        got.append(mine.next())
    assert all(g[1]["data"]["uid"] == "yard" for g in got if g[0] == "notice") and not any(g[0] == "server" for g in got)


def test_it_ends_with_the_sign_in(site):
    s, boss, _ = site
    e = Events(s, "", boss)
    e.until("streams")
    s.sections["server/module/users"]["root"] = "boss:other"
    s.write_ini()
    s.reload()
    while e.next():
        pass


def test_it_ends_with_the_token(site):
    s, boss, _ = site
    made, other = (s.rows("token", "create", "*", "--ops", "api", "--user", u)[0] for u in ("script", "other"))
    e, on = (Events(s, "", {"Authorization": t["token"]}) for t in (made, other))
    assert e.status == on.status == 200
    e.until("streams")
    s.msctl("token", "revoke", f"id={made['id']}")
    while e.next():
        pass
    assert Events(s, "", {"Authorization": made["token"]}).status in (401, 403)
    s.msctl("stream", "set", "yard", "stream-name=Still here")
    on.until("streams", lambda d: rows(d).get("yard", {}).get("name") == "Still here")


def test_one_that_does_not_read(site):
    """It is dropped, and the others go on; nothing is kept for it."""
    s, boss, _ = site
    lazy = socket.create_connection(("127.0.0.1", s.module_port))
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.sendall(f"GET /api/v3/events/stream HTTP/1.1\r\nHost: t\r\nCookie: {boss['Cookie']}\r\n\r\n".encode())
    others = [Events(s, "", boss) for _ in range(20)]
    for e in others:
        e.until("streams")
    s.msctl("stream", "set", "yard", "stream-name=Gate")
    for e in others:
        e.until("streams", lambda d: rows(d).get("yard", {}).get("name") == "Gate")
        e.close()
    lazy.close()


def test_how_many(site):
    s, boss, _ = site
    head = f"GET /api/v3/events/stream HTTP/1.1\r\nHost: t\r\nCookie: {boss['Cookie']}\r\n\r\n".encode()
    many = []
    for _ in range(200):
        c = socket.create_connection(("127.0.0.1", s.module_port), timeout=20 * tools.SLOW)
        c.sendall(head)
        many.append(c)
    for c in many:
        assert b"200 OK" in c.recv(4096)
    one_more = Events(s, "", boss)
    assert one_more.next() is None
    many.pop().close()
    wait_for("there is room again", lambda: Events(s, "?topics=streams", boss).next())
    for c in many:
        c.close()
