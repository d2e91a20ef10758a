"""The first account: a secret in the log, once, for one root; and what does not make one."""
import re

import pytest

from people import Person, sign_in
from test_signin import Client
from tools import wait_for

WISH = {"user": "boss", "password": "a first secret"}


def secret_of(server):
    return re.search(r"secret=([A-Z2-9-]{23}) ", server.logged("setup-secret secret="))[1]


@pytest.fixture
def empty(server):
    s = server({})
    wait_for("the API is there", lambda: Client(s).ask("GET", "/api/v3/session")[0].status == 401)
    return s


def test_the_first_account(empty):
    secret = secret_of(empty)
    p = Person(empty)
    assert p.call("session", status=401)["code"] == "no-account"
    for body, status in ((WISH, 422), ({**WISH, "secret": secret, "more": "x"}, 422), ({**WISH, "secret": secret, "password": "short"}, 422),
                         ({**WISH, "secret": secret, "user": "a b"}, 422), ({**WISH, "secret": secret, "user": ""}, 422), ("{", 400), ("x" * 5000, 413),
                         ({**WISH, "secret": "AAAAA-AAAAA-AAAAA-AAAAA"}, 403)):
        p.call("setup", "POST", body, status)
    p.call("setup", "POST", {**WISH, "secret": secret}, 403, headers={"Sec-Fetch-Site": "cross-site"})
    p.call("setup", "POST", '{"secret":"x"}', 415, headers={"Content-Type": "text/plain"})
    assert p.call("setup", "POST", {**WISH, "secret": secret}, 201) == {"user": "boss"}
    boss = sign_in(empty, "boss", "a first secret")
    assert [(u["name"], u["role"], u["kept"]) for u in boss.call("users")["items"]] == [("boss", "root", "scrypt")]
    assert p.call("setup", "POST", {**WISH, "secret": secret, "user": "eve"}, 410)["code"] == "over"
    text = (empty.path / "media-server.ini").read_text() + empty.audit_log()
    assert "a first secret" not in text and secret not in text
    rows = [r for r in boss.call("audit")["items"] if r["what"] == "api setup"]
    assert {(r["on"], r["result"]) for r in rows} == {("boss", "done"), ("boss", "refused"), ("a b", "refused")} and all(r["by"] == "setup" for r in rows)


def test_it_is_not_guessed_at(empty):
    secret, p = secret_of(empty), Person(empty)
    for _ in range(10):
        p.call("setup", "POST", {**WISH, "secret": "AAAAA-AAAAA-AAAAA-AAAAA"}, 403)
    assert p.call("setup", "POST", {**WISH, "secret": secret}, 410)["code"] == "over"
    empty.reload()
    wait_for("a reload makes another", lambda: secret_of(empty) != secret)
    p.call("setup", "POST", {**WISH, "secret": secret_of(empty)}, 201)
    empty.reload()
    assert empty.log().count("setup-secret ") == 2, "none is made where there is an account"
