"""Tokens by the API: who may make which, what they open, how they are taken back; links to share."""
import datetime
import json
import time
import urllib.parse

import pytest

from camera import Camera
from people import Person, sign_in
from server import MediaServer, need_server
from test_lua import api
from test_signin import Client
from tools import wait_for

PEOPLE = {"anna": ("user", "anna-secret", "yard, gate-*"), "bert": ("admin", "bert-secret", "yard, gate-*"), "dora": ("admin", "dora-secret", None),
          "vera": ("guest", "vera-secret", None), "carl": ("root", "carl-secret", "yard")}


@pytest.fixture(scope="module")
def site():
    need_server()
    with Camera(dict(source="small.h264", start="key")) as cam:
        private = {"stream-url": cam.url(), "stream-access": "private", "dvr-enable": "true", "dvr-chunk": "10s"}
        off = {"stream-url": "rtsp://127.0.0.1:1/x", "stream-enable": "false", "stream-access": "private"}
        with MediaServer({"yard": private, "hall": private, "gate-1": off}, record=True, sections={
                "server/stream": {"auth-secret": '"a secret of this test"', "share-max": "1h"}, "server/module/users": {"root": "boss:boss-secret"},
                "server/module/accounts": {n: f"{r}:{p}" for n, (r, p, _) in PEOPLE.items()},
                "server/module/cameras": {n: c for n, (_, _, c) in PEOPLE.items() if c}}) as server:
            wait_for("the API is there", lambda: Client(server).ask("GET", "/api/v3/tokens")[0].status == 401)
            server.wait_state("yard")
            server.wait_state("hall")
            yield server


@pytest.fixture(scope="module")
def who(site):
    return {n: sign_in(site, n, f"{n}-secret") for n in ["boss", *PEOPLE]}


def watch(site, uid, token):
    return site.get(f"{uid}/index.m3u8?token={token}", status=None).status


def fetch(site, url):
    parts = urllib.parse.urlsplit(url)
    assert parts.port == site.web_port and parts.scheme == "http"
    return site.get(parts.path[1:] + "?" + parts.query, status=None)


LIVE = {"uid": "yard", "ops": ["live"], "duration": 600}


@pytest.mark.parametrize("name,asked,status,field", [
    ("boss", {"ops": ["live"]}, 201, None), ("boss", {"uids": ["hall", "y*"], "ops": ["live", "dvr"], "duration": 0, "note": "for the guard", "sessions": 3}, 201, None),
    ("dora", {"ops": ["live"]}, 201, None), ("dora", {"uid": "hall", "ops": ["publish"]}, 201, None), ("dora", {"ops": ["api"]}, 422, "ops"),
    ("bert", LIVE, 201, None), ("bert", {"uids": ["gate-*"], "ops": ["live"]}, 201, None), ("bert", {"uids": ["g*"], "ops": ["live"]}, 422, "uids"),
    ("bert", {"uid": "hall", "ops": ["live"]}, 422, "uids"), ("bert", {"ops": ["live"]}, 422, "uids"), ("bert", {"uids": ["*"], "ops": ["live"]}, 422, "uids"),
    ("bert", {"uids": ["yard", "hall"], "ops": ["live"]}, 422, "uids"), ("carl", {"uid": "hall", "ops": ["live"]}, 422, "uids"), ("carl", {"uid": "yard", "ops": ["api"]}, 422, "ops"),
    ("anna", LIVE, 201, None), ("anna", {**LIVE, "duration": 3601}, 422, "duration"), ("anna", {**LIVE, "duration": 0}, 422, "duration"), ("anna", {"uid": "yard", "ops": ["live"]}, 422, "duration"),
    ("anna", {**LIVE, "uid": "hall"}, 422, "uids"), ("anna", {**LIVE, "ops": ["publish"]}, 422, "ops"), ("anna", {**LIVE, "ops": ["api"]}, 422, "ops"),
    ("anna", {"uids": ["gate-*"], "ops": ["live"], "duration": 60}, 422, "uids"), ("vera", LIVE, 403, None),
    ("boss", {"uid": "yard", "ops": ["live"], "from": 1, "to": 2}, 422, "ops"), ("boss", {"uid": "yard", "ops": ["dvr"], "from": 5, "to": 2}, 422, "to"),
    ("boss", {"uid": "yard", "ops": ["dvr"], "to": 2}, 422, "from"), ("boss", {"uid": "yard", "ops": []}, 422, "ops"), ("boss", {"uid": "yard", "ops": ["see"]}, 422, "ops"),
    ("boss", {"uid": "yard", "ops": ["live,dvr"]}, 422, "ops"), ("boss", {"uid": "yard"}, 422, "ops"), ("boss", {**LIVE, "uids": ["hall"]}, 422, "uid"),
    ("boss", {**LIVE, "user": "a\nb"}, 422, "user"), ("boss", {**LIVE, "user": "x" * 65}, 422, "user"), ("boss", {**LIVE, "note": "x" * 201}, 422, "note"),
    ("boss", {"uids": ["x"] * 17, "ops": ["live"]}, 422, "uids"), ("boss", {"uids": ["a/b"], "ops": ["live"]}, 422, "uids"), ("boss", {**LIVE, "duration": -1}, 422, "duration")])
def test_who_may_make_which(site, who, name, asked, status, field):
    said = who[name].call("tokens", "POST", asked, status)
    if field:
        assert said["errors"][0]["field"] == field, said
    elif status == 201:
        row = who[name].call("tokens")["items"][0]
        assert (row["id"], row["by"], row["ops"], row["revoked"]) == (said["id"], name, asked["ops"], False)
        assert row["uids"] == asked.get("uids", [asked["uid"]] if "uid" in asked else []) and row["note"] == asked.get("note", "")
        assert said["token"] not in str(row) and row["until"] == said["until"]


def test_a_link_opens_one_camera(site, who):
    made = who["anna"].call("tokens", "POST", LIVE, 201)
    assert fetch(site, made["links"]["hls"]).status == 200 and fetch(site, made["links"]["page"]).status == 200
    assert watch(site, "hall", made["token"]) == 403 and "mp4" not in made["links"]
    assert abs(made["until"] - time.time() - 600) < 60
    Person(site).call("streams", headers={"Authorization": made["token"]}, status=401)


def test_a_link_to_footage(site, who):
    """Dvr only, of this stretch alone."""
    a = who["anna"]
    r = wait_for("some is recorded", lambda: (x := a.call("streams/yard/ranges")["items"]) and x[0]["to"] - x[0]["from"] > 6 and x[0], timeout=60)
    start = int(r["from"]) + 1
    made = a.call("tokens", "POST", {"uid": "yard", "ops": ["dvr", "copy"], "duration": 600, "from": start, "to": start + 3}, 201)
    links = made["links"]
    assert f"/yard/archive-{start}-3.m3u8?token=" in links["hls"] and f"from={start}" in links["page"]
    for kind in ("hls", "mp4", "page"):
        wait_for(f"{kind} opens", lambda: fetch(site, links[kind]).status in (200, 206))
    assert watch(site, "yard", made["token"]) == 403
    assert fetch(site, links["hls"].replace(f"{start}-3", f"{start - 3}-3")).status == 403, "nothing of it may be seen"
    more = fetch(site, links["hls"].replace(f"{start}-3", f"{start - 1}-3"))
    begins = [datetime.datetime.fromisoformat(x.split(":", 1)[1].replace("Z", "+00:00")).timestamp() for x in more.text.splitlines() if x.startswith("#EXT-X-PROGRAM-DATE-TIME:")]
    assert more.status == 200 and begins and min(begins) >= start - 0.001, "not a second more"


def test_taken_back(site, who):
    a, b, boss = who["anna"], who["bert"], who["boss"]
    mine, other = a.call("tokens", "POST", LIVE, 201), b.call("tokens", "POST", LIVE, 201)
    seen = {t["id"] for t in a.call("tokens")["items"]}
    assert mine["id"] in seen and other["id"] not in seen
    assert {mine["id"], other["id"]} <= {t["id"] for t in boss.call("tokens")["items"]}
    a.call(f"tokens/{other['id']}", "DELETE", status=404)
    who["carl"].call(f"tokens/{other['id']}", "DELETE", status=404)
    assert watch(site, "yard", other["token"]) == 200
    boss.call(f"tokens/{other['id']}", "DELETE", status=204)
    a.call(f"tokens/{mine['id']}", "DELETE", status=204)
    for token in (mine["token"], other["token"]):
        wait_for("it counts no more", lambda: watch(site, "yard", token) == 403)
    assert next(t for t in a.call("tokens")["items"] if t["id"] == mine["id"])["revoked"] is True
    a.call("tokens/zzz", "DELETE", status=404)
    site.stop()
    site.start()
    wait_for("the API is there", lambda: Client(site).ask("GET", "/api/v3/tokens")[0].status == 401)
    a.sign_in("anna", "anna-secret")
    assert next(t for t in a.call("tokens")["items"] if t["id"] == mine["id"])["revoked"] is True, "it is kept"
    assert watch(site, "yard", mine["token"]) == 403


def test_what_msctl_makes_is_listed(site, who):
    boss = sign_in(site, "boss", "boss-secret")
    made = site.rows("token", "create", "*", "--ops", "api", "--user", "script")[0]
    row = boss.call("tokens")["items"][0]
    assert (row["id"], row["user"], row["uids"], row["ops"]) == (made["id"], "script", [], ["api"]) and row["by"].startswith("user ")
    script = Person(site, {"Authorization": made["token"]})
    assert script.call("audit?limit=1")["items"], "a token for all streams is a whole root"
    one = Person(site, {"Authorization": site.rows("token", "create", "yard", "--ops", "api", "--user", "script")[0]["token"]})
    assert [s["uid"] for s in one.call("streams")["items"]] == ["yard"]
    one.call("audit", status=403)
    assert one.call("tokens")["total"] == 0
    log = site.audit_log() + site.log()
    assert made["token"] not in log and "api token create" in log


def test_what_programs_make_is_listed(site, who):
    """By the first generation's calls: a root sees whose they are, and takes them back."""
    boss = sign_in(site, "boss", "boss-secret")
    key = json.loads(api(site, "auth/token/api/", "POST", {"client": "app", "duration": 600})[1])
    token = json.loads(api(site, "auth/token/access/", "POST", {"uid": "yard", "user": "viewer 7", "duration": 600}, {"Authorization": key})[1])
    row = wait_for("it is listed", lambda: [t for t in boss.call("tokens")["items"] if t["user"] == "viewer 7"])[0]
    assert (row["uids"], row["ops"], row["by"], row["note"]) == (["yard"], ["live", "dvr", "copy"], "app", "POST /api/auth/token/access/") and abs(row["until"] - time.time() - 600) < 60
    assert not [t for t in sign_in(site, "dora", "dora-secret").call("tokens")["items"] if t["id"] == row["id"]]
    assert watch(site, "yard", token) == 200
    boss.call(f"tokens/{row['id']}", "DELETE", status=204)
    wait_for("it counts no more", lambda: watch(site, "yard", token) == 403, timeout=2)
    used = next(t for t in boss.call("tokens")["items"] if t["user"] == "app")
    assert used["ops"] == ["api"] and used["uids"] == []
    boss.call(f"tokens/{used['id']}", "DELETE", status=204)
    wait_for("nor does that of the API", lambda: api(site, "v3/streams", headers={"Authorization": key})[0] == 401, timeout=2)
