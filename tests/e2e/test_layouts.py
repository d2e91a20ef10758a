"""Walls that people have laid out, and the keys of tokens: what a server keeps for its operators."""
import time

import pytest

from people import Person, sign_in
from server import MediaServer, need_server
from test_signin import Client
from tools import wait_for

WALL = {"uids": ["yard", "hall"], "columns": 2, "tiles": [{"uid": "yard", "x": 0.5}, {"uid": "hall"}], "title": "Fl\u00fcr </script>", "empty": {}, "none": []}


@pytest.fixture(scope="module")
def site():
    need_server()
    off = {"stream-url": "rtsp://127.0.0.1:1/x", "stream-enable": "false", "stream-access": "private"}
    with MediaServer({"yard": off, "hall": off}, sections={
            "server/stream": {"auth-secret": '"the first, with a comma"'}, "server/stream/keys": {"old": '"it \'s ; old", 2026-01-01'},
            "server/module/users": {"root": "boss:boss-secret"}, "server/module/cameras": {"anna": "yard"},
            "server/module/accounts": {"anna": "user:anna-secret", "bert": "admin:bert-secret", "vera": "guest:vera-secret"}}) as server:
        wait_for("the API is there", lambda: Client(server).ask("GET", "/api/v3/layouts")[0].status == 401)
        yield server


@pytest.fixture(scope="module")
def who(site):
    return {n: sign_in(site, n, f"{n}-secret") for n in ("boss", "anna", "bert", "vera")}


def names(p):
    return [(x["name"], x["shared"], x["by"]) for x in p.call("layouts")["items"]]


def test_ones_own(site, who):
    anna, vera = who["anna"], who["vera"]
    made = anna.call("layouts/My%20wall", "PUT", {"layout": {**WALL, "uids": ["yard"]}})
    assert made["name"] == "My wall" and made["by"] == "anna" and abs(made["at"] - time.time()) < 60
    vera.call("layouts/My%20wall", "PUT", {"layout": WALL})
    assert vera.call("layouts/My%20wall")["layout"] == WALL and names(anna) == [("My wall", False, "anna")]
    anna.call("layouts/other", status=404)
    anna.call("layouts/My%20wall?shared=true", status=404)
    vera.call("layouts/My%20wall", "DELETE", status=204)
    vera.call("layouts/My%20wall", "DELETE", status=404)
    assert anna.call("layouts/My%20wall")["layout"]["title"] == WALL["title"]
    anna.call("layouts/My%20wall", "PUT", {"layout": {}})
    assert anna.call("layouts/My%20wall")["layout"] == {} and len(names(anna)) == 1


def test_shared(site, who):
    """An administrator's for all; who is held to cameras finds no other in it."""
    who["bert"].call("layouts/door?shared=true", "PUT", {"layout": WALL})
    assert ("door", True, "bert") in names(who["anna"])
    assert who["vera"].call("layouts/door?shared=true")["layout"] == WALL
    seen = who["anna"].call("layouts/door?shared=true")["layout"]
    assert seen["uids"] == ["yard"] and seen["tiles"] == [{"uid": "yard", "x": 0.5}] and seen["columns"] == 2
    for n in ("anna", "vera"):
        who[n].call("layouts/door?shared=true", "PUT", {"layout": WALL}, 403)
        who[n].call("layouts/door?shared=true", "DELETE", status=403)
    who["boss"].call("layouts/door?shared=true", "DELETE", status=204)


def test_what_is_no_layout(site, who):
    a = who["vera"]
    for body, status in (({"layout": [1]}, 422), ({"layout": "x"}, 422), ({}, 422), ({"layout": {}, "x": 1}, 422), ("{", 400), ({"layout": {"x": "y" * 17000}}, 413)):
        a.call("layouts/bad", "PUT", body, status)
    a.call("layouts/" + "x" * 65, "PUT", {"layout": {}}, 422)
    a.call("layouts/bad?colour=1", "PUT", {"layout": {}}, 400)
    for i in range(50):
        a.call(f"layouts/n{i}", "PUT", {"layout": {"n": i}})
    assert a.call("layouts/n50", "PUT", {"layout": {}}, 409)["code"] == "full"
    a.call("layouts/n7", "PUT", {"layout": {"n": "again"}})


def test_kept(site, who):
    big = {"text": "\u00e9" * 8000}
    who["bert"].call("layouts/big", "PUT", {"layout": big})
    site.stop()
    site.start()
    wait_for("the API is there", lambda: Client(site).ask("GET", "/api/v3/layouts")[0].status == 401)
    for n, p in who.items():
        p.sign_in(n, f"{n}-secret")
    assert who["bert"].call("layouts/big")["layout"] == big and len(names(who["vera"])) == 50
    who["boss"].call("users/vera", "DELETE", status=204)
    who["boss"].call("users/vera", "PUT", {"role": "guest", "password": "vera-secret"}, 201)
    assert names(sign_in(site, "vera", "vera-secret")) == [], "what an account has kept goes with it"


# --- keys ---


def watch(site, token):
    return site.get(f"yard/stream.json?token={token}", status=None).status


def test_keys(site, who):
    boss, ini = who["boss"], site.path / "media-server.ini"
    keys = boss.call("keys")["items"]
    assert [(k["id"], k["state"], k["from"], k["not_after"]) for k in keys] == [("0", "good", "auth-secret", None), ("old", "signs", "keys", None)]
    first = boss.call("tokens", "POST", {"uid": "yard", "ops": ["live"]}, 201)["token"]
    assert first.split(".")[1] == "old" and watch(site, first) == 200
    made = boss.call("keys/rotate", "POST", {"overlap": 600}, 201)
    assert [(k["id"], k["state"]) for k in made["items"]] == [("0", "good"), ("old", "good"), (made["id"], "signs")]
    assert abs(made["items"][1]["not_after"] - time.time() - 600) < 60
    second = boss.call("tokens", "POST", {"uid": "yard", "ops": ["live"]}, 201)["token"]
    assert second.split(".")[1] == made["id"] and watch(site, first) == 200
    wait_for("the new one counts", lambda: watch(site, second) == 200)
    boss.call("keys/old", "DELETE", status=204)
    wait_for("what it signed counts no more", lambda: watch(site, first) == 403)
    assert watch(site, second) == 200
    boss.call("keys/old", "DELETE", status=404)
    boss.call("keys/0", "DELETE", status=204)
    assert "auth-secret" not in ini.read_text()
    assert boss.call(f"keys/{made['id']}", "DELETE", status=409)["code"] == "not-done"
    boss.call("keys/rotate", "POST", {"overlap": -1}, 422)
    secret = next(line.split("=")[1].strip() for line in ini.read_text().splitlines() if made["id"] in line)
    assert len(secret) == 64 and secret not in str(boss.call("keys")) + site.log() + site.audit_log()
    assert "old" not in [r["text"] for r in boss.call("revisions")["items"]], "keys stay out of the history"


def test_keys_are_a_roots(site, who):
    for n in ("anna", "bert"):
        for path, method in (("keys", "GET"), ("keys/rotate", "POST"), ("keys/0", "DELETE")):
            who[n].call(path, method, {} if method == "POST" else None, 403)
    Person(site).call("keys", status=401)
