"""Streams made, changed and taken away by call: in their files, durably, and in what runs; all of it or nothing."""
import os
import signal
import subprocess
import time

import pytest

import tools
from camera import Camera
from server import MediaServer, need_server
from tools import wait_for

GATE = """# the gate, by the road
[gate]  # its name in the old system: G-1
    stream-name = Gate   # shown in the app
    stream-url = "{url}"

    # kept short
    dvr-duration = 2d
"""


@pytest.fixture(scope="module")
def site():
    need_server()
    with Camera(dict(group="cam", streams=2)) as cam:
        with MediaServer({}, start=False) as server:
            path = server.path / "streams" / "gate.ini"
            path.write_text(GATE.format(url=cam.url("cam0")))
            path.chmod(0o640)
            os.chown(path, 0, 12)
            server.start()
            server.wait_state("gate")
            yield server, cam, path


def edit(server, *args, code=0):
    p = server.msctl("stream", *args, ok=False)
    assert p.returncode == code, p.stdout + p.stderr
    return p.stdout + p.stderr


def test_change_keeps_the_file_as_people_wrote_it(site):
    server, cam, path = site
    pid = server.pid("gate")
    edit(server, "set", "gate", "stream-name=Gate # 2", "dvr-duration=3d", "dvr-chunk=30s")
    text = GATE.format(url=cam.url("cam0")).replace("= Gate ", '= "Gate # 2" ').replace("2d\n", "3d\n    dvr-chunk = 30s\n")
    assert path.read_text() == text
    st = path.stat()
    assert (st.st_mode & 0o777, st.st_gid) == (0o640, 12)
    assert server.stream("gate")["name"] == "Gate # 2"
    assert server.pid("gate") == pid, "what the worker need not know leaves it alone"
    edit(server, "set", "gate", "dvr-chunk", "stream-name=Gate", "dvr-duration=2d")
    assert path.read_text() == GATE.format(url=cam.url("cam0")).replace("= Gate ", '= "Gate" '), "quotes stay"
    assert sorted(p.name for p in path.parent.iterdir()) == ["gate.ini"]


def test_mistakes_change_nothing(site):
    server, cam, path = site
    before = path.read_text()
    assert "dvr-duration" in edit(server, "set", "gate", "stream-name=X", "dvr-duration=soon", code=1)
    assert "both kinds of quotes" in edit(server, "set", "gate", "stream-name=# ' \"", code=2)
    edit(server, "set", "nobody", "stream-name=X", code=4)
    edit(server, "create", "gate", f"stream-url={cam.url('cam1')}", code=5)
    assert "letters" in edit(server, "create", "../etc", f"stream-url={cam.url('cam1')}", code=2)
    edit(server, "create", "live", f"stream-url={cam.url('cam1')}", code=2)
    edit(server, "create", "yard", "stream-name=no-url", code=1)
    edit(server, "check", "gate", "stream-name=only asked")
    assert "dvr-chunk" in edit(server, "check", "yard", f"stream-url={cam.url('cam1')}", "dvr-chunk=x", code=1)
    assert path.read_text() == before
    assert sorted(p.name for p in path.parent.iterdir()) == ["gate.ini"]
    assert list(server.streams()) == ["gate"]


def test_a_camera_comes_and_goes(site):
    server, cam, path = site
    pid = server.pid("gate")
    url = cam.url("cam1")
    edit(server, "create", "yard", f"stream-url={url}", "stream-name=Yard")
    server.wait_state("yard")
    made = path.parent / "yard.ini"
    assert made.read_text() == f"[yard]\nstream-url = {url}\nstream-name = Yard\n"
    assert made.stat().st_mode & 0o777 == 0o600
    edit(server, "set", "yard", "stream-enable=false")
    server.wait_state("yard", "disabled")
    server.stop()
    server.start()
    server.wait_state("yard", "disabled")
    edit(server, "remove", "yard")
    assert list(server.streams()) == ["gate"]
    aside = [p for p in path.parent.iterdir() if p.name != "gate.ini"]
    assert len(aside) == 1 and aside[0].name.startswith("yard.ini.removed-") and "stream-name = Yard" in aside[0].read_text()
    aside[0].unlink()
    server.wait_state("gate")
    assert server.pid("gate") != pid  # of the restart above


def test_killed_while_it_writes(site):
    """Whatever moment the master dies at: the file is the old one or the new one, whole, and the server starts."""
    server, cam, path = site
    server.expects_signals = True
    old, new = path.read_text(), path.read_text().replace("2d", "5d")
    for i in range(6):
        path.write_text(old)
        server.reload()
        kin = server.family()
        asking = subprocess.Popen([tools.BUILD / "bin" / "msctl", "-s", server.path / "state" / "control.sock", "stream", "set", "gate", "dvr-duration=5d"], stderr=subprocess.DEVNULL)
        until = time.monotonic() + 0.004 * i
        wait_for("a moment", lambda: time.monotonic() > until, timeout=2)
        os.kill(server.process.pid, signal.SIGKILL)
        server.process.wait(5 * tools.SLOW)
        asking.wait(5 * tools.SLOW)
        assert path.read_text() in (old, new)
        wait_for("its children are gone", lambda: not [p for p in kin if tools.alive(p)], timeout=10)
        server.start()
        assert list(server.streams()) == ["gate"]
