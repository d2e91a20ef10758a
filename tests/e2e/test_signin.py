"""Accounts, sign-in, the audit log: who gets in to API and panel, what a cookie is good for, what is written down."""
import base64
import http.client
import json
import subprocess

import pytest

import tools
from tools import wait_for

USERS = {"root": "boss:very-secret", "guest": "visitor:look"}
NEAR = {"throttle-exempt": "10.9.9.9"}  # loopback is throttled like everybody


class Client:
    """A browser's view of the module listener: it keeps its cookie and what it must show with changes."""

    def __init__(self, server, headers=None):
        self.server, self.cookie, self.csrf, self.always = server, None, None, headers or {}

    def ask(self, method, path, body=None, headers=None, status=None):
        c = http.client.HTTPConnection("127.0.0.1", self.server.module_port, timeout=20 * tools.SLOW)
        fields = {**self.always, **({"Cookie": self.cookie} if self.cookie else {}), **(headers or {})}
        if body is not None:
            fields.setdefault("Content-Type", "application/json")
        if method not in ("GET", "HEAD") and self.csrf:
            fields.setdefault("X-CSRF-Token", self.csrf)
        try:
            c.request(method, path, json.dumps(body) if isinstance(body, dict) else body, fields)
            r = c.getresponse()
            text = r.read().decode()
        finally:
            c.close()
        assert status is None or r.status == status, f"{method} {path}: {r.status} {text}"
        return r, (json.loads(text) if text and "json" in (r.headers["Content-Type"] or "") else text)

    def sign_in(self, user, password, status=200, **kw):
        r, said = self.ask("POST", "/api/v3/session", {"user": user, "password": password}, status=status, **kw)
        if r.status == 200:
            self.cookie, self.csrf = r.headers["Set-Cookie"].split(";")[0], said["csrf"]
        return r, said


@pytest.fixture
def site(server):
    def make(**module):
        module.setdefault("listen", None)
        keys = {k: v for k, v in module.items() if v is not None}
        s = server({"yard": {"stream-url": "rtsp://127.0.0.1:9/yard", "stream-access": "private"}, "hall": {"stream-url": "rtsp://127.0.0.1:9/hall"}},
                   sections={"server/module": keys, "server/module/users": dict(USERS), "server/stream": NEAR,
                             "server/module/accounts": {"anna": "user:" + scrypt("slow secret"), "bert": "admin:plain"},
                             "server/module/cameras": {"anna": "yard, gate-*", "visitor": "hall"}})
        wait_for("the API is there", lambda: Client(s).ask("GET", "/api/v3/session")[0].status == 401)
        return s

    return make


def scrypt(password):
    run = subprocess.run([tools.BUILD / "bin" / "msctl", "password"], input=password + "\n", capture_output=True, text=True, check=True)
    assert run.stdout.startswith("$scrypt$ln=15,r=8,p=1$"), run
    return run.stdout.strip()


def test_signing_in_and_out(site):
    s = site()
    c = Client(s)
    _, said = c.ask("GET", "/api/v3/session", status=401)
    assert said["code"] == "signed-out" and "detail" in said
    r, said = c.sign_in("boss", "very-secret")
    assert (said["user"], said["role"], said["cameras"], said["auth"], said["secure"]) == ("boss", "root", None, "session", False)
    assert "not encrypted" in said["banner"] and len(said["csrf"]) == 32
    cookie = r.headers["Set-Cookie"]
    assert cookie.startswith("ms-session=") and "HttpOnly" in cookie and "SameSite=Strict" in cookie and "Path=/" in cookie and "Secure" not in cookie
    assert r.headers["Cache-Control"] == "no-store" and r.headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in r.headers["Content-Security-Policy"] and "frame-ancestors 'none'" in r.headers["Content-Security-Policy"]
    assert c.ask("GET", "/api/v3/session", status=200)[1]["csrf"] == c.csrf
    again = Client(s)
    again.sign_in("boss", "very-secret")
    assert again.cookie != c.cookie
    _, said = Client(s).sign_in("anna", "slow secret")
    assert (said["role"], said["cameras"]) == ("user", ["yard", "gate-*"])
    r, _ = c.ask("DELETE", "/api/v3/session", status=204)
    assert "Max-Age=0" in r.headers["Set-Cookie"]
    c.ask("GET", "/api/v3/session", status=401)
    again.ask("GET", "/api/v3/session", status=200)


@pytest.mark.parametrize("body,status", [
    ('{"user":"boss","password":"wrong"}', 401), ('{"user":"nobody","password":"very-secret"}', 401), ('{"user":"anna","password":"wrong"}', 401),
    ('{"user":"","password":""}', 401), ("", 400), ("{", 400), ('{"user":1,"password":"x"}', 422), ('{"user":"boss"}', 422), ('["user"]', 422),
    ('{"user":"boss","password":"very-secret","x":1}', 422), ('{"user":{"a":1},"password":"x"}', 422), ('{"user":"' + "x" * 5000 + '"}', 413)])
def test_what_does_not_sign_in(site, body, status):
    _, said = Client(site()).ask("POST", "/api/v3/session", body, status=status)
    assert said["status"] == status and "very-secret" not in json.dumps(said)


def test_a_cookie_is_for_our_own_pages(site):
    s = site()
    c = Client(s)
    c.sign_in("boss", "very-secret")
    for fields in ({"X-CSRF-Token": ""}, {"X-CSRF-Token": "0" * 32}):
        assert c.ask("DELETE", "/api/v3/session", headers=fields, status=403)[1]["code"] == "csrf"
    for fields in ({"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "same-site"}, {"Origin": "https://evil.example"}):
        c.ask("GET", "/api/v3/session", headers=fields, status=401)
        c.ask("DELETE", "/api/v3/session", headers=fields, status=401)
        assert c.ask("POST", "/api/v3/session", {"user": "boss", "password": "very-secret"}, fields, 403)[1]["code"] == "foreign"
    c.ask("POST", "/api/v3/session", '{"user":"boss","password":"very-secret"}', {"Content-Type": "text/plain"}, 415)
    for fields in ({"Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {"Origin": f"http://127.0.0.1:{s.module_port}"}):
        c.ask("GET", "/api/v3/session", headers=fields, status=200)
    # Changes through the script are let in by the same rule, and no other site's answer is given away.
    r, _ = c.ask("PUT", "/api/streams/hall/restart/", headers={"X-CSRF-Token": ""}, status=403)
    assert r.headers["Access-Control-Allow-Origin"] is None
    c.ask("DELETE", "/api/v3/session", status=204)


def test_guessing_is_slowed_down(site):
    c = Client(site())
    for _ in range(4):
        c.sign_in("boss", "wrong", status=401)
    r, said = c.sign_in("boss", "very-secret", status=429)
    assert 1 <= int(r.headers["Retry-After"]) <= 20 and said["code"] == "throttled"
    r, _ = c.ask("GET", "/api/streams/", headers={"Authorization": "v1.0.eA.eA"}, status=429)
    assert r.headers["Retry-After"]


def test_from_where(site):
    c = Client(site(**{"cpanel-whitelist": "10.0.0.0/8"}))
    assert c.ask("GET", "/api/v3/session", status=401)[1]["code"] == "not-from-here"
    assert c.sign_in("boss", "very-secret", status=403)[1]["code"] == "not-from-here"


def test_behind_a_proxy(site):
    """What a trusted proxy says of TLS and the address counts; without TLS only private addresses sign in."""
    s = site()
    s.sections["server/stream"]["trusted-proxies"] = "127.0.0.1"
    s.write_ini()
    s.reload()
    far = Client(s, {"X-Forwarded-For": "203.0.113.7"})
    wait_for("the proxy is believed", lambda: far.ask("GET", "/api/v3/session")[1].get("code") == "not-from-here")
    far.sign_in("boss", "very-secret", status=403)
    far.always["X-Forwarded-Proto"] = "https"
    r, said = far.sign_in("boss", "very-secret")
    assert said["secure"] is True and said["banner"] == ""
    assert r.headers["Set-Cookie"].startswith("__Host-ms-session=") and "; Secure;" in r.headers["Set-Cookie"]
    far.ask("GET", "/api/v3/session", status=200)
    del far.always["X-Forwarded-Proto"]
    far.ask("GET", "/api/v3/session", status=401)  # a cookie of TLS is not looked at without it


def test_no_default_account(server):
    s = server({})
    c = Client(s)
    wait_for("the API is there", lambda: c.ask("GET", "/api/v3/session")[0].status == 401)
    assert c.ask("GET", "/api/v3/session")[1]["code"] == "no-account"
    for user in ("root", "admin", "user", "guest", ""):
        for password in ("", "root", "admin", "password"):
            c.sign_in(user, password, status=401)


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_basic(site):
    s = site(**{"cpanel-auth": "basic"})
    c = Client(s)
    for user, password in (("boss", "very-secret"), ("anna", "slow secret"), ("anna", "slow secret")):
        _, said = c.ask("GET", "/api/v3/session", headers=basic(user, password), status=200)
        assert (said["user"], said["auth"]) == (user, "basic")
    r, _ = c.ask("GET", "/api/v3/session", headers=basic("anna", "wrong"), status=401)
    assert r.headers["WWW-Authenticate"].startswith("Basic realm=")
    c.ask("PUT", "/api/streams/hall/restart/", headers={**basic("boss", "very-secret"), "Origin": "http://evil.example"}, status=403)
    s.sections["server/module"]["cpanel-auth"] = "session"
    s.write_ini()
    s.reload()
    wait_for("Basic is no sign-in any more", lambda: c.ask("GET", "/api/v3/session", headers=basic("boss", "very-secret"))[0].status == 401)


def test_a_reload_ends_what_is_not_the_same(site):
    s = site()
    boss, bert = Client(s), Client(s)
    boss.sign_in("boss", "very-secret")
    bert.sign_in("bert", "plain")
    s.sections["server/module/accounts"]["bert"] = "admin:other"
    s.write_ini()
    s.reload()
    wait_for("bert is signed out", lambda: bert.ask("GET", "/api/v3/session")[0].status == 401)
    boss.ask("GET", "/api/v3/session", status=200)


def test_cameras_of_an_account(site):
    """On every road: streams on the module listener by the cookie, viewers by Basic, the API by rows."""
    s = site()
    anna, boss = Client(s), Client(s)
    anna.sign_in("anna", "slow secret")
    boss.sign_in("boss", "very-secret")
    put_script(s)
    wait_for("the script runs", lambda: boss.ask("GET", "/api/x")[0].status == 200)
    assert boss.ask("GET", "/api/x", status=200)[1]["uids"] == ["hall", "yard"]
    said = anna.ask("GET", "/api/x", status=200)[1]
    assert said["uids"] == ["yard"] and said["user"] == {"name": "anna", "role": "user", "by": "session", "cameras": ["yard", "gate-*"]}
    assert "not this account's" in said["hall"] and "may change nothing" in said["restart"]
    visitor = Client(s)
    visitor.sign_in("visitor", "look")
    assert visitor.ask("GET", "/api/x", status=200)[1]["uids"] == ["hall"]


def put_script(s):
    from test_lua import HEAD, put_script as put

    put(s, HEAD + """
return function(request)
    local all = ms.call("server", { cmd = "api streams", args = ms.array({}) })
    local _, hall = ms.call("server", { cmd = "api streams", args = { "hall" } })
    local _, restart = ms.call("server.change", { cmd = "restart", args = { "yard" } })
    local uids = ms.array({})
    for i, row in ipairs(all.rows) do uids[i] = row.uid end
    table.sort(uids)
    return { status = request.user and 200 or 403, type = "application/json", body = ms.json({ uids = uids, hall = hall, restart = restart, user = request.user }) }
end
""")


# --- the audit log ---


def test_audit(site):
    s = site()
    c = Client(s)
    c.sign_in("evil\u202e\r\nname", "x", status=401)
    c.sign_in("bert", "plain")
    s.msctl("stream", "set", "hall", "stream-url=rtsp://me:hidden@127.0.0.1:9/x", "stream-name=Hall")
    s.msctl("stream", "set", "hall", "stream-access=nonsense", ok=False)
    c.ask("PUT", "/api/streams/hall/restart/")
    c.ask("DELETE", "/api/v3/session", status=204)

    def written():
        rows = s.rows("audit")
        return rows if rows and rows[0]["what"] == "sign out" else None

    rows = wait_for("it is written down", written)[::-1]
    assert [(r["who"], r["what"], r["result"]) for r in rows if r["what"].startswith("sign")] == [
        ("evil\u202e\r\nname", "sign in", "refused"), ("bert", "sign in", "done"), ("bert", "sign out", "done")]
    sets = [r for r in rows if r["what"] == "stream set"]
    assert [(r["on"], r["result"], r["by"]) for r in sets] == [("hall", "done", "msctl"), ("hall", "failed", "msctl")]
    assert "stream-name=Hall" in sets[0]["args"] and "***" in sets[0]["args"] and sets[0]["who"].startswith("user ")
    log = s.audit_log()
    assert "hidden" not in log and "\u202e" not in log and len(log.splitlines()) == len(rows)
    assert (s.path / "state" / "audit.log").stat().st_mode & 0o777 == 0o600
    assert f"{len(rows)} lines" in s.msctl("audit", "verify").stdout
    s.stop()
    s.start()
    wait_for("what was there is read again, and gone on with", lambda: len(s.rows("audit")) == len(rows))
    s.msctl("restart", "hall")
    wait_for("one more", lambda: len(s.rows("audit")) == len(rows) + 1)
    changed = log.replace("Hall", "Yard", 1)
    (s.path / "copy").write_text(changed)
    assert "is not as it was written" in s.msctl("audit", "verify", s.path / "copy", ok=False).stderr
    s.msctl("audit", "verify")
