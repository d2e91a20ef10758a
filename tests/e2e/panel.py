"""The control panel for tests: a server with accounts and cameras of several kinds, and steps that browsers take there."""
import contextlib

from camera import Camera
from chromium import browse
from server import MediaServer
from tools import wait_for

USERS = {"root": "root:a-root-password", "admin": "ops:an-ops-password", "user": "eve:an-eve-password", "guest": "gus:a-gus-password"}
EVIL = '<img src=x onerror="window.evil=1"><script>window.evil=1</script>'


@contextlib.contextmanager
def panel_site(**kw):
    """(server, camera): gate with sub stream and sound, yard H.265, hall with telephone sound, one that is down, one on demand, one off."""
    groups = [
        dict(group="gate", source=["cam.h264", "audio.aac"]),
        dict(group="yard", source="small.h265"),
        dict(group="hall", source=["small.h264", "audio.alaw"]),
        dict(group="more", source="small.h264", streams=3),
    ]
    with Camera(*groups) as cam:
        streams = {
            "gate": {"stream-url": cam.url("gate0"), "stream-name": "Main gate", "camera-uid": "gate"},
            "gate-sub": {"stream-url": cam.url("more0"), "stream-name": "Main gate, small", "camera-uid": "gate", "stream-profile": "sub"},
            "yard": {"stream-url": cam.url("yard0"), "stream-name": "North yard"},
            "hall": {"stream-url": cam.url("hall0"), "stream-name": f"Hall {EVIL}"},
            "roof": {"stream-url": cam.url("more1"), "stream-name": "Roof", "stream-access": "private"},
            "garage": {"stream-url": cam.url("more2"), "stream-name": "Garage", "stream-enable": "on-demand"},
            "cellar": {"stream-url": "rtsp://admin:a-camera-password@127.0.0.1:9/x", "stream-name": "Cellar"},
            "attic": {"stream-url": "rtsp://127.0.0.1:9/x", "stream-name": "Attic", "stream-enable": "false"},
        }
        with MediaServer(streams, record=True, sections={"server/module/users": USERS, "server/stream": {"auth-secret": "a-secret-of-the-tests"}}, **kw) as server:
            for uid in ("gate", "gate-sub", "yard", "hall", "roof"):
                server.wait_state(uid)
            wait_for("some archive", lambda: server.ranges("gate") and server.ranges("gate")[-1][1] >= 12, timeout=60)
            yield server, cam


def page(server, path=""):
    return f"http://127.0.0.1:{server.module_port}/cpanel{path}"


def sign_in(role="root"):
    name, password = USERS[role].split(":")
    return [{"fill": ["input[name=user]", name]}, {"fill": ["input[name=password]", password]}, {"press": "Enter"}, {"text": "#line-text", "has": "Live", "ms": 15000}]


# What the browser itself says of answers that are no mistake of a page: who is not signed in, a camera without a picture.
EXPECTED = ("a status of 401", "a status of 404", "a status of 422", "a status of 503", "Unexpected response code: 503", "closed before the connection is established", "axe.utils.preloadMedia")


def panel(server, path, *steps, role="root", timeout=90, also=(), **job):
    """The results of the steps behind the sign-in. also: what else the console may say."""
    first = sign_in(role) if role else []
    return browse(page(server, path), *first, *steps, timeout=timeout, expected=(*EXPECTED, *also), **job)[len(first):]
