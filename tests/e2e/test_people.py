"""Accounts by the API: made, changed, taken away, durably and by those who may; and what their owners may themselves."""
import pytest

from people import Person, sign_in
from server import MediaServer, need_server
from test_signin import Client, scrypt
from tools import wait_for

INI_USERS = {"root": "boss:very-secret", "guest": "visitor:look-at-it"}


@pytest.fixture(scope="module")
def site():
    need_server()
    off = {"stream-url": "rtsp://127.0.0.1:1/x", "stream-enable": "false"}
    with MediaServer({"yard": off, "gate-1": off, "hall": off}, sections={
            "server/module/users": dict(INI_USERS),
            "server/module/accounts": {"anna": "user:" + scrypt("slow secret"), "bert": "admin:plain-secret", "carl": "root:held-secret"},
            "server/module/cameras": {"anna": "yard, gate-*", "carl": "hall"}}) as server:
        wait_for("the API is there", lambda: Client(server).ask("GET", "/api/v3/users")[0].status == 401)
        yield server


@pytest.fixture(scope="module")
def boss(site):
    return sign_in(site, "boss", "very-secret")


def test_accounts_are_listed_without_a_secret(site, boss):
    found = boss.call("users")
    assert [(u["name"], u["role"], u["cameras"], u["kept"]) for u in found["items"]] == [
        ("boss", "root", None, "plain"), ("visitor", "guest", None, "plain"), ("anna", "user", ["yard", "gate-*"], "scrypt"), ("bert", "admin", None, "plain"),
        ("carl", "root", ["hall"], "plain")]
    assert found["total"] == 5 and "secret" not in str(found) and "$scrypt$" not in str(found)
    assert boss.call("users/anna") == found["items"][2]
    assert boss.call("users/nobody", status=404)["code"] == "no-user"


def test_made_changed_taken_away(site, boss):
    ini = site.path / "media-server.ini"
    before = ini.read_text()
    assert boss.call("users/dora", "PUT", {"role": "user"}, 422)["errors"][0]["field"] == "password"
    assert boss.call("users/dora", "PUT", {"password": "long enough"}, 422)["errors"][0]["field"] == "role"
    assert ini.read_text() == before
    made = boss.call("users/dora", "PUT", {"role": "user", "password": "long enough", "cameras": ["yard", "gate-*"]}, 201)
    assert made == {"name": "dora", "role": "user", "cameras": ["yard", "gate-*"], "kept": "scrypt"}
    text = ini.read_text()
    assert "dora = user:$scrypt$" in text and "dora = yard, gate-*" in text and "long enough" not in text
    assert [line for line in text.splitlines() if "dora" not in line] == before.splitlines(), "everything else is as it was"
    dora = sign_in(site, "dora", "long enough")
    assert [s["uid"] for s in dora.call("streams")["items"]] == ["gate-1", "yard"]
    assert boss.call("users/dora", "PUT", {"cameras": None})["cameras"] is None
    wait_for("she sees all", lambda: dora.call("streams")["total"] == 3)
    assert boss.call("users/dora", "PUT", {"role": "admin"})["role"] == "admin"
    wait_for("another role ends what is open", lambda: dora.ask("GET", "/api/v3/session")[0].status == 401)
    sign_in(site, "dora", "long enough").call("sessions")  # the password has stayed
    site.stop()
    site.start()
    wait_for("the API is there", lambda: Client(site).ask("GET", "/api/v3/users")[0].status == 401)
    boss.sign_in("boss", "very-secret")
    boss.call("users/dora", "DELETE", status=204)
    assert ini.read_text() == before
    sign_in(site, "dora", "long enough", 401)
    boss.call("users/dora", "DELETE", status=404)


def test_roles_of_the_ini_move(site, boss):
    """One of [[[users]]] stays there as long as its role does."""
    ini = site.path / "media-server.ini"
    before = ini.read_text()
    boss.call("users/visitor", "PUT", {"password": "other secret"})
    assert "guest = visitor:$scrypt$" in ini.read_text()
    boss.call("users/visitor", "PUT", {"role": "user", "cameras": ["hall"]})
    assert "guest = " not in ini.read_text() and "visitor = user:$scrypt$" in ini.read_text()
    assert sign_in(site, "visitor", "other secret").call("session")["cameras"] == ["hall"]
    ini.write_text(before)
    site.reload()


def test_the_last_root_stays(site, boss):
    for method, body in (("DELETE", None), ("PUT", {"role": "admin"}), ("PUT", {"cameras": ["yard"]})):
        assert boss.call("users/boss", method, body, 409)["code"] == "last-root", "carl is root, and held to a camera"
    boss.call("users/boss", "PUT", {"role": "root", "cameras": None})
    boss.call("users/carl", "PUT", {"cameras": None})
    boss.call("users/carl", "PUT", {"cameras": ["hall"]})


@pytest.mark.parametrize("name,body,field", [
    ("a%20b", {"role": "user", "password": "long enough"}, "name"), ("x" * 50, {"role": "user", "password": "long enough"}, "name"),
    ("eva", {"role": "king", "password": "long enough"}, "role"),
    ("eva", {"role": "user", "password": "short"}, "password"), ("eva", {"role": "user", "password": "x" * 129}, "password"),
    ("eva", {"role": "user", "password": "two\nlines of it"}, "password"), ("eva", {"role": "user", "password": 12345678}, "password"),
    ("eva", {"role": "user", "password": "long enough", "cameras": []}, "cameras"), ("eva", {"role": "user", "password": "long enough", "cameras": ["a,b"]}, "cameras"),
    ("eva", {"role": "user", "password": "long enough", "cameras": "yard"}, "cameras"), ("eva", {"role": "user", "password": "long enough", "cameras": ["x"] * 17}, "cameras"),
    ("eva", {"role": "user", "password": "long enough", "colour": 1}, "colour"), ("boss", {}, "role")])
def test_what_is_no_account(site, boss, name, body, field):
    before = (site.path / "media-server.ini").read_text()
    assert boss.call(f"users/{name}", "PUT", body, 422)["errors"][0]["field"] == field
    assert (site.path / "media-server.ini").read_text() == before


def test_who_may(site, boss):
    """Accounts are for a root of all cameras, and only of whoever has just shown a password."""
    for name, password in (("anna", "slow secret"), ("bert", "plain-secret"), ("carl", "held-secret"), ("visitor", "look-at-it")):
        p = sign_in(site, name, password)
        for method, path, body in (("GET", "users", None), ("GET", "users/boss", None), ("PUT", "users/boss", {"password": "mine it is"}), ("DELETE", "users/boss", None),
                                   ("PUT", "users/boss/password", {"password": "mine it is"}), ("PUT", "users/boss/password", {"password": "mine it is", "old": password}),
                                   ("PUT", f"users/{name}", {"role": "root", "cameras": None}), ("GET", "audit", None)):
            p.call(path, method, body, 403)
    nobody = Person(site)
    nobody.call("users", status=401)
    nobody.call("users/boss", "DELETE", status=401)
    assert boss.call("users")["total"] == 5


def test_a_password_is_shown_again(site, boss):
    assert boss.call("session", "PUT", {"password": "wrong"}, 403)["code"] == "wrong"
    assert boss.call("session")["confirmed_until"] > boss.call("streams") ["total"]
    until = boss.call("session", "PUT", {"password": "very-secret"})["confirmed_until"]
    assert until >= boss.call("server")["time"] + 200
    boss.call("session", "PUT", {"password": "very-secret", "x": "y"}, 422)
    boss.call("session", "PUT", "{", 400)
    anna = sign_in(site, "anna", "slow secret")
    anna.call("session", "PUT", {"password": "slow secret"})
    anna.call("session", "PUT", {"password": "very-secret"}, 403)


def test_ones_own_password(site, boss):
    anna = sign_in(site, "anna", "slow secret")
    other = sign_in(site, "anna", "slow secret")
    assert anna.call("users/anna/password", "PUT", {"password": "another secret", "old": "wrong"}, 403)["code"] == "wrong"
    anna.call("users/anna/password", "PUT", {"password": "another secret"}, 403)
    anna.call("users/anna/password", "PUT", {"password": "short", "old": "slow secret"}, 422)
    anna.call("users/anna/password", "PUT", {"password": "another secret", "old": "slow secret"}, status=204)
    for p in (anna, other):
        wait_for("what she had open has ended", lambda: p.ask("GET", "/api/v3/session")[0].status == 401)
    sign_in(site, "anna", "slow secret", 401)
    assert sign_in(site, "anna", "another secret").call("session")["cameras"] == ["yard", "gate-*"]
    boss.call("users/anna/password", "PUT", {"password": "slow secret"}, status=204)
    sign_in(site, "anna", "slow secret")
    boss.call("users/nobody/password", "PUT", {"password": "slow secret"}, 404)


def test_it_is_written_down(site, boss):
    boss.call("users/flo", "PUT", {"role": "user", "password": "a new secret", "cameras": ["yard"]}, 201)
    boss.call("users/flo", "DELETE", status=204)
    gone, made = boss.call("audit?limit=2")["items"]
    assert (made["who"], made["what"], made["on"], made["args"], made["result"]) == ("boss", "api account set", "flo", "role=user cameras=yard password", "done")
    assert (gone["what"], gone["on"], gone["result"]) == ("api account remove", "flo", "done")
    log = site.audit_log() + site.log()
    for secret in ("a new secret", "$scrypt$", "very-secret", "another secret", "plain-secret"):
        assert secret not in log
