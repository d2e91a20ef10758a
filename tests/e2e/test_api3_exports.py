"""/api/v3/exports: footage stays as long as it may be fetched, and no longer; what is fetched is an MP4 of that time."""
import pytest

import mp4
from api3 import Api3
from camera import Camera
from server import MediaServer, need_server
from test_api import SECRET
from test_api3 import token_of
from tools import wait_for


@pytest.fixture(scope="module")
def site():
    need_server()
    with Camera(dict(source="small.h264", start="key")) as cam:
        with MediaServer({"cam": {"stream-url": cam.url(), "dvr-chunk": "10s", "stream-access": "private"}}, record=True, sections=SECRET) as server:
            server.wait_state("cam")
            a = Api3(server, token_of(server))
            wait_for("some footage", lambda: a.call("streams/cam/ranges")["seconds"] > 4)
            yield server, a


def make(a, **fields):
    start = int(a.call("streams/cam/ranges")["from"]) + 1
    return a.call("exports", "POST", {"uid": "cam", "from": start, "to": start + 2, **fields}, 201)


def locks(a):
    return [x["id"] for x in a.call("streams/cam/locks")["items"]]


def test_made_fetched_and_deleted(site):
    server, a = site
    made = make(a, note="case 7")
    assert made["state"] == "ready" and made["note"] == "case 7" and 0 < made["seconds"] <= 2 and made["bytes"] >= 0 and made["gaps"] == 0 and made["expires"] > made["made"]
    assert locks(a) == [made["id"]] and [x["id"] for x in a.call("exports")["items"]] == [made["id"]]
    film = server.get(made["url"]).body
    assert [kind for kind, _, _ in mp4.boxes(film)] == ["ftyp", "moov", "mdat"] and len(film) > 10000
    other = made["url"].replace(f"archive-{made['from']}-2", f"archive-{made['from'] - 1}-4")
    more = server.get(other)
    first, last = (float(more.headers[f"X-Archive-{w}"]) for w in ("From", "To"))
    assert made["from"] <= first < last < made["to"] + 0.1, "and no other footage: its last frame began within"
    assert server.get(made["url"].replace(f"archive-{made['from']}-2", f"archive-{made['from'] - 9}-4"), status=None).status == 403
    assert a.call(f"exports/{made['id']}")["url"].split("?")[0] == made["url"].split("?")[0]
    server.stop()
    server.start()
    token_of(server)
    a.conn = None
    assert [x["id"] for x in a.call("exports")["items"]] == [made["id"]], "over a restart"
    wait_for("its storage is there", lambda: locks(a) == [made["id"]])
    later = a.call(f"exports/{made['id']}")["url"]
    assert server.get(later).status == 200 == server.get(made["url"]).status
    a.call(f"exports/{made['id']}", "DELETE", status=204)
    wait_for("its lock is gone", lambda: locks(a) == [])
    for url in (made["url"], later):
        wait_for("every link to it has ended", lambda url=url: server.get(url, status=None).status == 403, timeout=5)
    assert [t["revoked"] for t in a.call("tokens")["items"] if t["note"] == f"export {made['id']}"] == [True]
    a.call(f"exports/{made['id']}", status=404)
    a.call(f"exports/{made['id']}", "DELETE", status=404)
    server.wait_state("cam")


def test_mistakes(site):
    server, a = site
    assert a.call("exports", "POST", {"uid": "none", "from": 1, "to": 2}, 404)["code"] in ("no-stream", "not-found")
    assert a.call("exports", "POST", {"uid": "cam", "from": 1000, "to": 2000}, 404)["code"] == "nothing-recorded"
    for body, field in (({"uid": "cam", "from": 2, "to": 1}, "to"), ({"uid": "cam", "from": 1, "to": 2, "expires": 1}, "expires"), ({"from": 1, "to": 2}, "uid"),
                        ({"uid": "cam", "from": 1, "to": 2, "note": "a\nb"}, "note"), ({"uid": "cam", "from": "a", "to": 2}, "from")):
        assert a.call("exports", "POST", body, 422)["errors"][0]["field"] == field
    whole = a.call("streams/cam/ranges")
    assert "export-max" in a.call("exports", "POST", {"uid": "cam", "from": whole["from"] - 30 * 86400, "to": whole["to"]}, 422)["detail"]
    assert a.call("exports")["items"] == [] and locks(a) == []
