"""Role x call x own or another's camera: every call that the description names, as everybody. A call without a row here fails."""
import http.client
import json
import re
import time

import pytest

from api3 import SPEC
from camera import Camera
from people import Person, sign_in
from server import MediaServer, need_server
from test_signin import Client
from tools import wait_for

# name: level, held to the stream "yard". What others have is "hidden".
PEOPLE = {"vera": (1, True), "anna": (2, True), "bert": (3, True), "dora": (3, False), "carl": (4, True), "boss": (4, False)}
ROLES = {1: "guest", 2: "user", 3: "admin", 4: "root"}
NEEDS = {"view": 1, "archive": 2, "share": 2, "operate": 3, "whole": 3, "configure": 3, "server": 4}
FOREIGN = re.compile("hidden|Geheim")

# Of each call: what its path and body name. {uid}: the camera; ids are of things of it. "": it names none, and what it
# answers names no foreign camera. None: it has a test of its own.
URL = "rtsp://127.0.0.1:1/x"
CALLS = {
    "listStreams": "", "getStream": {}, "getStreamConfig": {}, "getStreamLogs": {}, "getRanges": {}, "getSegments": {}, "getStreamEvents": {}, "getStreamLocks": {},
    "listEvents": "", "listLocks": "", "listExports": "", "getExport": {"id": "export"}, "listRevisions": "", "getRevision": {"id": "revision"},
    "undoRevision": {"id": "revision", "query": "validate=true", "ok": (200, 409)}, "restoreRevision": {"id": "revision", "query": "validate=true", "ok": (200, 404, 409)},
    "changeStreams": {"body": {"items": [{"uid": "{uid}", "mode": "merge", "config": {}}]}, "query": "validate=true", "foreign": 422},
    "putStream": {"body": {"stream-url": URL}, "query": "validate=true"}, "patchStream": {"body": {"stream-name": "x"}, "query": "validate=true"},
    "deleteStream": {"query": "validate=true"}, "restartStream": {}, "enableStream": {"body": {"enabled": True}}, "pauseRecording": {"body": {"paused": False}},
    "recordStream": {"body": {"on": False}, "ok": (200, 409)}, "diagnoseStream": {"ok": (200, 429)}, "probeCamera": {"body": {"url": "no url"}, "ok": (422,), "server": True},
    "addEvent": {"body": {"kind": "door"}}, "addLock": {"body": {"from": 1, "to": 2}, "ok": (201, 404, 409)}, "deleteLock": {"id": "lock", "ok": (204, 404)},
    "deleteFootage": {"query": "from=1&to=2"}, "addExport": {"body": {"uid": "{uid}", "from": 1, "to": 2}, "ok": (404,), "code": "nothing-recorded"},
    "deleteExport": {"id": "export", "last": True}, "listSessions": "", "endSession": {"id": "session", "ok": (200, 404), "last": True},
    "getConfig": "", "patchConfig": {"body": {}, "query": "validate=true", "server": True, "ok": (200, 422)}, "listConfigKeys": "", "getServer": "", "getServerHistory": "",
    "listStorages": "", "getLogs": "", "getCluster": "", "listClusterStreams": "", "drainNode": {"body": {"drain": False}, "server": True, "ok": (200, 409, 422)},
    "getAudit": "", "listTokens": "", "createToken": {"body": {"uid": "{uid}", "ops": ["live"], "duration": 60}, "foreign": 422},
    "revokeToken": {"id": "token", "own_too": True}, "listUsers": "", "getUser": {"name": "boss", "server": True}, "putUser": {"name": "zed", "body": {}, "server": True, "ok": (422,)},
    "deleteUser": {"name": "nobody", "server": True, "ok": (404,)}, "changePassword": {"name": "zed", "body": {"password": "long enough"}, "ok": (404,), "right": "server", "server": True},
    "listKeys": "", "rotateKeys": {"body": {"overlap": -1}, "server": True, "ok": (422,)}, "removeKey": {"name": "nokey", "server": True, "ok": (404,)},
    "listLayouts": "", "getLayout": {"name": "wall", "query": "shared=true", "server": True}, "putLayout": {"name": "mine", "body": {"layout": {}}, "server": True},
    "deleteLayout": {"name": "none", "server": True, "ok": (404,)},
    "listClusterActs": {"server": True, "ok": (200, 409)}, "listClusterFiles": {"server": True, "ok": (200, 409)}, "listClusterRefused": {"server": True, "ok": (200, 409)}, "listTransfers": {"server": True, "ok": (200, 409)},
    "getTransfer": {"ok": (200, 404, 409)}, "transferStream": {"body": {"primary": "no-such-node"}, "ok": (404, 409, 422)}, "pushConfig": {"body": {}, "server": True, "ok": (200, 409, 422)},
    "getSession": None, "signIn": None, "signOut": None, "confirmSession": None, "setUp": None, "getDescription": None, "getEventStream": None,
}
OPERATIONS = {o["operationId"]: (path, method.upper(), o.get("x-right")) for path, methods in SPEC["paths"].items() for method, o in methods.items()}


def test_every_call_has_a_row():
    assert sorted(CALLS) == sorted(OPERATIONS)


@pytest.fixture(scope="module")
def site():
    need_server()
    with Camera(dict(source="small.h264", start="key")) as cam:
        streams = {uid: {"stream-url": cam.url(), "stream-name": name, "dvr-enable": "true", "dvr-chunk": "10s", "stream-access": "private"}
                   for uid, name in (("yard", "Hof"), ("hidden", "Geheim"))}
        with MediaServer(streams, record=True, sections={
                "server/stream": {"auth-secret": '"a secret of this test"'}, "server/module/users": {"root": "boss:boss-secret"},
                "server/module/accounts": {n: f"{ROLES[level]}:{n}-secret" for n, (level, _) in PEOPLE.items() if n != "boss"},
                "server/module/cameras": {n: "yard" for n, (_, held) in PEOPLE.items() if held}}) as server:
            wait_for("the API is there", lambda: Client(server).ask("GET", "/api/v3/users")[0].status == 401)
            for uid in streams:
                server.wait_recording(uid)
            yield server


@pytest.fixture(scope="module")
def who(site):
    return {n: sign_in(site, n, f"{n}-secret") for n in PEOPLE}


@pytest.fixture(scope="module")
def things(site, who):
    """Of each camera: an event, a lock, an export, a revision, a session, a token; and a wall of both."""
    boss, out = who["boss"], {}
    for uid in ("yard", "hidden"):
        r = wait_for("footage", lambda: (x := boss.call(f"streams/{uid}/ranges")["items"]) and x[0]["to"] - x[0]["from"] > 3 and x[0], timeout=60)
        stretch = {"from": r["from"] + 1, "to": r["from"] + 2}
        boss.call(f"streams/{uid}/events", "POST", {"kind": "door", "payload": f"at {uid}"}, 201)
        viewer = boss.call("tokens", "POST", {"uid": uid, "ops": ["live", "dvr"], "user": f"viewer of {uid}"}, 201)
        assert site.get(f"{uid}/index.m3u8?token={viewer['token']}", status=None).status == 200
        out[uid] = {
            "lock": boss.call(f"streams/{uid}/locks", "POST", {**stretch, "note": uid}, 201)["id"],
            "export": boss.call("exports", "POST", {"uid": uid, **stretch, "note": uid}, 201)["id"],
            "revision": str(boss.call(f"streams/{uid}", "PATCH", {"stream-name": {"yard": "Hof 2", "hidden": "Geheim 2"}[uid]})["revision"]),
            "token": viewer["id"],
            "session": wait_for("who watches", lambda: next((s["id"] for s in boss.call("sessions")["items"] if s["uid"] == uid), None)),
        }
    boss.call("layouts/wall?shared=true", "PUT", {"layout": {"uids": ["yard", "hidden"], "tiles": [{"uid": "hidden"}]}})
    return out


def ask(p, call, row, uid, ids):
    path, method, _ = OPERATIONS[call]
    body = json.loads(json.dumps(row.get("body")).replace("{uid}", uid)) if row.get("body") is not None else None
    path = path.replace("{uid}", uid).replace("{name}", row.get("name", "")).replace("{id}", ids.get(row.get("id"), row.get("name", "")))
    if method != "GET" and body is None and not row.get("query"):
        body = {} if method in ("POST", "PUT", "PATCH") else None
    r, said = p.ask(method, f"/api/v3{path}" + (f"?{row['query']}" if row.get("query") else ""), body)
    return r.status, said


def expect(call, row, name, foreign):
    """The statuses that are right."""
    level, held = PEOPLE[name]
    right = row.get("right") or OPERATIONS[call][2]
    if level < NEEDS[right] or (held and right in ("server", "whole")):
        return (403,)
    if held and foreign:
        return (row.get("foreign", 404),)
    return row.get("ok", (200, 201, 204))


def test_the_newest_event_of_what_one_sees(site, who, things):
    """The limit is that of the answer: newer events of other cameras do not use it up."""
    assert [e["payload"] for e in who["boss"].call("events?kind=door&limit=1")["items"]] == ["at hidden"]
    for name in (n for n, (level, held) in PEOPLE.items() if held and level >= NEEDS["archive"]):
        assert [e["payload"] for e in who[name].call("events?kind=door&limit=1")["items"]] == ["at yard"], name


@pytest.mark.parametrize("name", PEOPLE)
def test_calls(site, who, things, name):
    p, wrong = who[name], []
    rows = sorted(((c, r) for c, r in CALLS.items() if r is not None), key=lambda x: isinstance(x[1], dict) and x[1].get("last", False))
    for call, row in rows:
        lists = row == ""
        row = {"server": True} if lists else row
        for uid in ("hidden",) if call == "diagnoseStream" and name != "bert" else ("yard",) if row.get("server") else ("hidden", "yard"):
            if uid == "hidden" and not PEOPLE[name][1] and OPERATIONS[call][1] != "GET":
                continue  # theirs too, and the next ones need it
            if row.get("last") and uid == "yard" or (call == "revokeToken" and NEEDS["share"] <= PEOPLE[name][0]):
                continue
            status, said = ask(p, call, row, uid, things[uid])
            right = expect(call, row, name, uid == "hidden" and not row.get("server"))
            if status not in right:
                wrong.append(f"{call} of {uid}: {status}, not {right}: {str(said)[:200]}")
            if row.get("code") and status == 404 and uid == "yard" and said["code"] != row["code"]:
                wrong.append(f"{call} of {uid}: {said}")
            if PEOPLE[name][1] and (lists or uid == "yard") and FOREIGN.search(json.dumps(said, ensure_ascii=False)):
                wrong.append(f"{call} tells of another camera: {FOREIGN.search(str(said))} in {str(said)[:400]}")
    assert wrong == []


def test_tokens_of_others(site, who, things):
    for name in ("anna", "bert", "carl", "dora"):
        assert who[name].call(f"tokens/{things['hidden']['token']}", "DELETE", status=404)["code"] == "no-token"


def test_tokens_of_the_first_api(site, who):
    """Nobody gives what he does not see: neither by a session nor by a token that is held to a camera."""
    held = Person(site, {"Authorization": site.rows("token", "create", "yard", "--ops", "api", "--user", "script")[0]["token"]})

    def mint(p, uid, status):
        r, said = p.ask("POST", "/api/auth/token/access/", {"uid": uid, "user": "x", "duration": 60})
        assert r.status == status, f"{uid}: {r.status} {said}"
        return said

    for p in (who["bert"], who["carl"], held):
        for uid in ("*", "hidden", "h*", "y*", "yard*"):
            mint(p, uid, 403)
        token = mint(p, "yard", 200)
        assert site.get(f"yard/index.m3u8?token={token}", status=None).status == 200
        assert site.get(f"hidden/index.m3u8?token={token}", status=None).status == 403
    for uid in ("*", "hidden"):
        mint(who["dora"], uid, 200)


def test_ranges_of_the_first_api(site, who):
    """Guests see what is live."""
    for name, right in (("vera", 403), ("anna", 200), ("bert", 200)):
        r, said = who[name].ask("GET", "/api/streams/yard/ranges/")
        assert r.status == right, f"{name}: {r.status} {said}"


def test_an_export_of_ones_own(site, who, things):
    r = wait_for("footage", lambda: (x := who["bert"].call("streams/yard/ranges")["items"]) and x[0]["to"] - x[0]["from"] > 3 and x[0], timeout=60)
    made = who["bert"].call("exports", "POST", {"uid": "yard", "from": r["from"] + 1, "to": r["from"] + 2}, 201)
    assert who["bert"].call(f"exports/{made['id']}")["by"] == "bert"
    lock = who["bert"].call("streams/yard/locks", "POST", {"from": r["from"] + 1, "to": r["from"] + 2}, 201)
    assert next(x for x in who["bert"].call("streams/yard/locks")["items"] if x["id"] == lock["id"])["by"] == "bert"
    assert who["boss"].call("revisions")["items"][0]["by"] == "boss"
    who["bert"].call(f"exports/{made['id']}", "DELETE", status=204)
    who["bert"].call(f"exports/{made['id']}", status=404)


def test_nobody(site):
    """Without a sign-in nothing answers but what says how to."""
    p = Person(site)
    for call, row in CALLS.items():
        if row is None:
            continue
        status, _ = ask(p, call, row or {}, "yard", {})
        assert status == 401, call


def read_events(site, p, topics, until):
    """Events of the panel's stream until one fits."""
    c = http.client.HTTPConnection("127.0.0.1", site.module_port, timeout=180)
    c.request("GET", f"/api/v3/events/stream?topics={topics}", headers={"Cookie": p.cookie})
    r, lines, deadline = c.getresponse(), [], time.monotonic() + 180
    try:
        while r.status == 200 and time.monotonic() < deadline and not (lines and until(lines)):
            lines.append(r.readline().decode())
        return r.status, "".join(lines)
    finally:
        c.close()


def test_notices_that_guests_are_not_told(site, who, things):
    """What happened, and what was changed, is for whoever may see the archive. A guest hears what comes behind it."""
    mark, told = f"Hof of guests {time.time()}", []

    def user_has_it(lines):
        text = "".join(lines)
        if not told and "event: streams" in text:
            told.append(text)
            site.msctl("event", "yard", "gate")
            who["boss"].call("streams/yard", "PATCH", {"stream-name": "Hof of users"})
        return all(f'"event":"{event}"' in text for event in ("camera:event", "stream:edit"))

    def until(lines):
        if not told and any("event: streams" in line for line in lines):
            status, text = read_events(site, who["anna"], "streams,notices", user_has_it)
            assert status == 200 and '"event":"camera:event"' in text and '"event":"stream:edit"' in text
            site.msctl("stream", "set", "yard", f"stream-name={mark}")
        return any(mark in line for line in lines)

    status, text = read_events(site, who["vera"], "streams,notices", until)
    assert status == 200 and mark in text and "camera:event" not in text and "stream:edit" not in text


@pytest.mark.parametrize("name", ["vera", "anna", "bert", "carl"])
def test_the_event_stream(site, who, things, name):
    mark = f"Hof {name} {time.time()}"
    seen = []

    def until(lines):
        if not seen and any("event: streams" in line for line in lines):
            seen.append(True)
            site.msctl("stream", "set", "hidden", f"stream-name=Geheim {name}")
            site.msctl("event", "hidden", "door")
            site.msctl("stream", "set", "yard", f"stream-name={mark}")
        return any(mark in line for line in lines)

    status, text = read_events(site, who[name], "streams,server,notices,stream:hidden,stream:yard", until)
    assert status in (200, 403, 404)
    if status != 200:  # a topic that is not theirs is refused as a whole
        status, text = read_events(site, who[name], "streams,server,notices,stream:yard", until)
    assert status == 200 and mark in text and not FOREIGN.search(text)
