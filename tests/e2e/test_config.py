"""media-server.ini by call: GET and PATCH /api/v3/config, msctl config: what is shown, kept, refused, restarted, taken back."""
import base64
import json
import re

import pytest

import tools

from api3 import Api3
from server import MediaServer, need_server
from test_api3 import OFF, token_of
from test_lua import api
from tools import wait_for


@pytest.fixture(scope="module")
def site():
    need_server()
    streams = {"gate": OFF, "yard-1": OFF, "yard-2": OFF}
    accounts = {"server/stream": {"auth-secret": '"a # secret"   # of the nodes', "web-login": "false"}, "server/stream/keys": {"k2": '"one, two", 2020-01-01'},
                "server/module": {"cpanel-auth": "basic"}, "server/module/users": {"root": "boss:the word"},
                "server/module/accounts": {"anna": "admin:anna", "bert": "admin:bert"}, "server/module/cameras": {"anna": "yard-*"}}
    with MediaServer(streams, sections=accounts) as server:
        yield server, Api3(server, token_of(server))


class As(Api3):
    """An account by Basic, with the header that changes need."""

    def __init__(self, server, user, word):
        super().__init__(server, "")
        self.token = "Basic " + base64.b64encode(f"{user}:{word}".encode()).decode()
        self.csrf = json.loads(api(server, "v3/session", headers={"Authorization": self.token})[1])["csrf"]

    def ask(self, path, method="GET", body=None, headers=None, token=None):
        more = {"X-CSRF-Token": self.csrf} if method != "GET" else {}
        if body is not None:
            more["Content-Type"] = "application/json"
        return super().ask(path, method, body, {**more, **(headers or {})}, token)


def ini(server):
    return (server.path / "media-server.ini").read_text()


def test_shown_without_secrets(site):
    server, a = site
    answer = a.ask("config")
    sections = answer.json["sections"]
    assert answer.json["file"] == str(server.path / "media-server.ini") and answer.headers["ETag"] == f'"{answer.json["etag"]}"' and answer.json["pending"] == []
    assert sections["server/stream"]["auth-secret"] == "***" and sections["server/stream/keys"]["k2"] == "***, 2020-01-01"
    assert sections["server/module/users"]["root"] == "boss:***" and sections["server/module/accounts"]["anna"] == "admin:***"
    assert sections["server/module/cameras"] == {"anna": "yard-*"}
    assert "secret" not in answer.body.replace("auth-secret", "") and "the word" not in answer.body and "one, two" not in answer.body
    assert a.ask("config", headers={"If-None-Match": answer.headers["ETag"]}).status == 304
    shown = server.msctl("config", "show").stdout
    assert "server/stream/auth-secret = ***\n" in shown and "the word" not in shown
    keys = {(k["section"], k["key"]): k["local"] for k in a.call("config/keys")["items"]}
    assert keys["server", "log-file"] and keys["streams", "include"] and not keys["server/stream", "web"]


def test_changed_and_taken_back(site):
    server, a = site
    before, tag = ini(server), a.ask("config").headers["ETag"]
    wish = {"server/stream": {"web-login": True, "auth-secret": "***"}, "dvr": {"export-max": "2h"}}
    judged = a.call("config?validate=true", "PATCH", wish)
    assert judged["valid"] is True and judged["applied"] == "live" and judged["httpd"] is False and ini(server) == before
    changed = a.ask("config", "PATCH", wish, {"If-Match": tag})
    assert changed.status == 200 and changed.json["applied"] == "live" and changed.json["revision"] > 0 and changed.headers["ETag"] != tag
    assert ini(server).startswith(before.split("[dvr]")[0].replace("web-login = false", "web-login = true").rstrip())
    assert 'auth-secret = "a # secret"   # of the nodes' in ini(server) and 'k2 = "one, two", 2020-01-01' in ini(server)
    assert a.call("config")["sections"]["dvr"]["export-max"] == "2h" and a.call("config")["etag"] == changed.json["etag"]
    assert a.call("config", "PATCH", wish, 412, {"If-Match": tag})["code"] == "changed"
    seen = a.call(f"revisions/{changed.json['revision']}")
    assert seen["changes"][0]["uid"] == "" and seen["changes"][0]["after"]["server/stream/web-login"] == "true" and "a # secret" not in json.dumps(seen)
    line = a.call("audit?limit=2")["items"][1]
    assert line["what"] == "api edit" and "server/stream/web-login=true" in line["args"] and "auth-secret=***" in line["args"] and line["result"] == "done"
    for section, key in (("stream", "secure-link-key"), ("stream", "auth-backend"), ("stream", "auth-module"), ("module", "api-module"), ("module", "cpanel-module")):
        # who asks by a token or Basic shows what he has with every call
        assert a.call("config?validate=true", "PATCH", {f"server/{section}": {key: "http://127.0.0.1/x"}})["valid"] is True
    a.call(f"revisions/{changed.json['revision']}/undo", "POST")
    assert ini(server) == before and a.ask("config").headers["ETag"] == tag


def test_refused_by_name(site):
    server, a = site
    before = ini(server)
    for body, fields in (({"server/stream": {"web-login": "perhaps", "limit-address": -1}}, {"server/stream/web-login", "server/stream/limit-address"}),
                         ({"server/stream": {"wib": 1}}, {"server/stream/wib"}), ({"nowhere": {"x": 1}}, {"nowhere/x"}), ({"server": {"log-file": "/tmp/x"}}, {"server/log-file"}),
                         ({"streams": {"include": "/etc/*"}}, {"streams/include"}), ({"server": {"cluster-key": "***"}}, {"server/cluster-key"}),
                         ({"server/stream": {"user-agent": "a\nb"}}, {"server/stream/user-agent"}), ({"server/stream": 1}, {"server/stream"}), ({"a b": {}}, {"a b"}),
                         ({"server/module/accounts": {"eve": "root:x"}}, {"server/module/accounts"}), ({"server/module/users": {"root": "boss:x"}}, {"server/module/users/root"}),
                         ({"server/stream/keys": {"k2": None}}, {"server/stream/keys"}), ({"server": None}, {"server"}), ({"server/stream/keys": {"k3": '"open'}}, {"server/stream/keys/k3"})):
        problem = a.call("config", "PATCH", body, 422)
        assert {e["field"] for e in problem["errors"]} == fields, problem
    a.call("config", "PATCH", {}, 422)
    assert a.call("config", "PATCH", "{", 400)["at"] == 1
    assert a.call("config", "PATCH", "[1]", 400)
    assert ini(server) == before


def test_what_it_restarts(site):
    server, a = site
    before = ini(server)
    said = a.call("config", "PATCH", {"server": {"time-zone": "Asia/Tokyo", "log-level": "debug"}})
    assert said["applied"] == "restart" and said["restart"] == ["server/time-zone"] and said["httpd"] is False
    assert a.call("config")["pending"] == ["server/time-zone"] and "server/time-zone: waits" in server.msctl("config", "show").stdout
    a.call(f"revisions/{said['revision']}/undo", "POST")
    assert a.call("config")["pending"] == [] and ini(server) == before
    pid = server.status()["httpd_pid"]
    said = a.call("config", "PATCH", {"server/stream": {"web-allow-origin": "https://a.example"}})
    assert said["httpd"] is True and said["applied"] == "live", "the answer comes before the one who gives it goes"
    wait_for("another httpd", lambda: server.status()["httpd_pid"] not in (0, pid))
    a.conn = None
    wait_for("it answers", lambda: api(server, "v3/streams")[0] == 401)
    assert a.call("config")["sections"]["server/stream"]["web-allow-origin"] == "https://a.example"


def test_called_too_fast(site):
    """api-rate holds for each caller for himself, not from exempt networks, and says when to come again."""
    server, a = site
    bert = As(server, "bert", "bert")
    a.call("config", "PATCH", {"server/module": {"api-rate": 1, "api-rate-exempt": "10.0.0.0/8"}})
    refused = wait_for("as many calls as are too many", lambda: (x := bert.ask("streams")).status == 429 and x, every=0)
    assert refused.json["code"] == "too-fast" and int(refused.headers["Retry-After"]) >= 1 and "api-rate" in refused.json["detail"]
    assert a.call("streams"), "another caller has a rate of his own"
    assert wait_for("strangers too", lambda: a.ask("streams", token="wrong").status == 429)
    assert server.get(f"http://127.0.0.1:{server.module_port}/healthz", status=200)
    server.msctl("config", "set", "server/module/api-rate", "server/module/api-rate-exempt")
    wait_for("it holds no more", lambda: all(bert.ask("streams").status == 200 for _ in range(30)))
    for _ in range(300):
        assert bert.ask("streams?limit=1").status == 200, "the usual rate is met by nobody here"


def test_the_panel_stands_elsewhere(site):
    server, a = site
    get = lambda path: server.get(f"http://127.0.0.1:{server.module_port}{path}", status=None)  # noqa: E731
    a.call("config", "PATCH", {"server/module": {"cpanel-baseurl": "/site/panel", "cpanel-auth": "session"}})
    page = wait_for("it is there", lambda: (x := get("/site/panel")).status == 200 and x)
    assert 'data-base="/site/panel"' in page.text and 'data-api="/api/v3"' in page.text and get("/site/panel/wall").status == 200
    named = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(named) > 10 and all(path.startswith("/site/panel") and get(path).status == 200 for path in named)
    assert get("/cpanel").status == 404 and get("/cpanel/app/main.js").status == 404 and get("/site/panels").status == 404
    assert get("/cpanel/player/player.js").status == 200, "pages of streams have their player from there"
    for field, base in (("server/module/cpanel-baseurl", "/"), ("server/module/cpanel-baseurl", "/api"), ("server/module/api-baseurl", "/"), ("server/module/cpanel-baseurl", "x")):
        section, key = field.rsplit("/", 1)
        assert field in {e["field"] for e in a.call("config", "PATCH", {section: {key: base}}, 422)["errors"]}
    a.call("config", "PATCH", {"server/module": {"cpanel-baseurl": None, "cpanel-auth": "basic"}})
    wait_for("and back", lambda: get("/cpanel/app/main.js").status == 200 and get("/site/panel").status == 404)
    ours = [p.relative_to(tools.ROOT) for folder in ("app", "text") for p in (tools.ROOT / "cpanel" / folder).glob("*.js")
            if re.search(r"""['"`(]/(cpanel|api)\b""", re.sub(r"dataset\.\w+ \?\? '/[^']+'", "", p.read_text()))]
    assert ours == [], "modules go by data-base and data-api"


def test_msctl(site):
    server, a = site
    before = ini(server)
    assert "no such key" in server.msctl("config", "set", "server/stream/wib=1", ok=False).stderr
    server.msctl("config", "check", "server/stream/web-login=true", "server/log-file=/tmp/x")
    assert ini(server) == before
    server.msctl("config", "set", "server/stream/web-login=true", "server/module/accounts/carl=user:his word")
    assert "web-login = true" in ini(server) and "carl = user:his word" in ini(server)
    assert "his word" not in server.audit_log()
    server.msctl("config", "set", "server/stream/web-login=false", "server/module/accounts/carl", "server/stream/keys/k2=***, 2021-01-01")
    assert 'k2 = "one, two", 2021-01-01' in ini(server)
    server.msctl("config", "set", "server/stream/keys/k2=***, 2020-01-01")
    assert ini(server) == before


def test_held_to_cameras(site):
    """An account held to some cameras changes those, and neither sees nor takes back what touches others."""
    server, a = site
    anna, bert = As(server, "anna", "anna"), As(server, "bert", "bert")
    assert bert.call("config", status=403) and anna.call("config", "PATCH", {"server": {"node-id": 2}}, 403)
    assert anna.call("logs", status=403) and anna.call("logs?process=httpd", status=403) and anna.call("streams/yard-1/logs") and bert.call("logs")
    own = anna.call("streams/yard-1", "PATCH", {"stream-name": "mine"})["revision"]
    assert anna.call("streams/gate", "PATCH", {"stream-name": "not mine"}, 404)
    assert anna.call("streams", "PUT", {"items": [{"uid": "yard-1", "config": {}, "mode": "merge"}, {"uid": "gate", "config": {}, "mode": "merge"}]}, 422)["errors"][0]["field"] == "/items/1"
    both = a.call("streams", "PUT", {"items": [{"uid": u, "config": {"stream-name": "both"}, "mode": "merge"} for u in ("yard-2", "gate")]})["revision"]
    settings = a.call("config", "PATCH", {"server/stream": {"limit-address": 99}})["revision"]
    assert own in (seen := [r["id"] for r in anna.call("revisions")["items"]]) and both not in seen and settings not in seen
    assert both in (seen := [r["id"] for r in bert.call("revisions")["items"]]) and settings not in seen
    assert settings in [r["id"] for r in a.call("revisions")["items"]]
    for who, revision in ((anna, both), (anna, settings), (bert, settings)):
        who.call(f"revisions/{revision}", status=404)
        who.call(f"revisions/{revision}/undo", "POST", status=404)
        who.call(f"revisions/{revision}/restore", "POST", status=404)
    assert "administrator" in anna.call(f"revisions/{own}/restore", "POST", status=409)["detail"], "it would take back what is not hers"
    anna.call(f"revisions/{own}/undo", "POST")
    assert "stream-name" not in a.call("streams/yard-1/config") and a.call("streams/gate/config")["stream-name"] == "both"
