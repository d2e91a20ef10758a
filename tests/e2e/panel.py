"""The control panel for tests: a server with accounts and cameras of several kinds, and steps that browsers take there."""
import contextlib
import json
import urllib.request

from camera import Camera
from chromium import browse
from server import MediaServer
from tools import free_port, wait_for

USERS = {"root": "root:a-root-password", "admin": "ops:an-ops-password", "user": "eve:an-eve-password", "guest": "gus:a-gus-password"}
HELD = {"held-admin": "una:an-una-password", "held-root": "ruth:a-ruth-password"}  # to the cameras gate*
EVIL = '<img src=x onerror="window.evil=1"><script>window.evil=1</script>'


@contextlib.contextmanager
def panel_site(**kw):
    """(server, camera): one of two nodes, the other one is not there; gate (of both nodes) with sub stream and sound, yard H.265, hall with telephone sound, one that is down, one on demand, one off."""
    groups = [
        dict(group="gate", source=["cam.h264", "audio.aac"]),
        dict(group="yard", source="small.h265"),
        dict(group="hall", source=["small.h264", "audio.alaw"], title=EVIL),
        dict(group="more", source="small.h264", streams=3),
    ]
    with Camera(*groups) as cam:
        streams = {
            "gate": {"stream-url": cam.url("gate0"), "stream-name": "Main gate", "camera-uid": "gate", "primary-node": 1, "secondary-node": 2},
            "gate-sub": {"stream-url": cam.url("more0"), "stream-name": "Main gate, small", "camera-uid": "gate", "stream-profile": "sub"},
            "yard": {"stream-url": cam.url("yard0"), "stream-name": "North yard"},
            "hall": {"stream-url": cam.url("hall0"), "stream-name": f"Hall {EVIL}"},
            "roof": {"stream-url": cam.url("more1"), "stream-name": "Roof", "stream-access": "private"},
            "garage": {"stream-url": cam.url("more2"), "stream-name": "Garage", "stream-enable": "on-demand"},
            "cellar": {"stream-url": "rtsp://admin:a-camera-password@127.0.0.1:9/x", "stream-name": "Cellar"},
            "attic": {"stream-url": "rtsp://127.0.0.1:9/x", "stream-name": "Attic", "stream-enable": "false", "primary-node": 2, "secondary-node": 1},
        }
        sections = {
            "server": {"node-id": 1, "cluster-enable": "true", "cluster-key": "0123456789abcdef" * 4, "cluster-port": free_port(), "cluster-warming-up": "1s"},
            "nodes": {"include": "media-server.nodes"}, "server/module/users": USERS, "server/module/accounts": {"una": "admin:an-una-password", "ruth": "root:a-ruth-password"}, "server/module/cameras": {"una": "gate*", "ruth": "gate*"},
            "server/stream": {"auth-secret": "a-secret-of-the-tests"},
        }
        server = MediaServer(streams, record=True, sections=sections, start=False, **kw)
        (server.path / "media-server.nodes").write_text("1 = 127.0.0.1\n2 = 127.0.0.9\n")
        with server:
            server.start()
            for uid in ("gate", "gate-sub", "yard", "hall", "roof"):
                server.wait_state(uid)
            wait_for("some archive", lambda: server.ranges("gate") and server.ranges("gate")[-1][1] >= 5, timeout=60)
            yield server, cam


def page(server, path=""):
    return f"http://127.0.0.1:{server.module_port}/cpanel{path}"


signed_in = {}  # (folder of the server, role): the cookie of a session, which lives as long as its httpd


def cookie(server, role):
    """The cookie of a session of this role, for the browser. The form is test_signing_in_and_out's."""
    key = (server.path, role)
    if key not in signed_in:
        name, password = (USERS | HELD)[role].split(":")
        r = urllib.request.Request(f"http://127.0.0.1:{server.module_port}/api/v3/session", json.dumps({"user": name, "password": password}).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(r, timeout=60) as answer:
            signed_in[key] = answer.headers["Set-Cookie"].split(";")[0].split("=", 1)
    name, value = signed_in[key]
    return {"name": name, "value": value, "url": page(server), "httpOnly": True, "sameSite": "Strict"}


# What the browser itself says of answers that are no mistake of a page: who is not signed in, a camera without a picture.
EXPECTED = ("a status of 401", "a status of 404", "a status of 422", "a status of 503", "Unexpected response code: 503", "closed before the connection is established", "axe.utils.preloadMedia")


def csrf(server, role="root"):
    """What that session shows with each change."""
    c = cookie(server, role)
    r = urllib.request.Request(f"http://127.0.0.1:{server.module_port}/api/v3/session", headers={"Cookie": f"{c['name']}={c['value']}"})
    with urllib.request.urlopen(r, timeout=60) as answer:
        return json.load(answer)["csrf"]


LIVE = {"text": "#line-text", "has": "Live", "ms": 15000}


def panel(server, path, *steps, role="root", timeout=90, also=(), **job):
    """The results of the steps of whoever is signed in, behind the first word of the event stream. also: what else the console may say."""
    first = [LIVE] if role else []
    if role:
        job["cookies"] = [cookie(server, role)]
    return browse(page(server, path), *first, *steps, timeout=timeout, expected=(*EXPECTED, *also), **job)[len(first):]
