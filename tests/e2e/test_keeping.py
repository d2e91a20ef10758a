"""What is kept and what is deleted: msctl archive, by age, size and free space, locks; recording goes on."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse

import pytest

import hls
import tools
from tools import wait_for


root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")


def begin_get(s, url):
    """A GET whose answer has begun, over a socket that takes little at a time: the socket, bytes of the body, those that have come."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.settimeout(20 * tools.SLOW)
    sock.connect(("127.0.0.1", s.web_port))
    path = urllib.parse.urlsplit(s.url(url)).path
    sock.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        piece = sock.recv(1024)
        assert piece, head
        head += piece
    head, body = head.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200"), head
    return sock, int(re.search(rb"(?i)content-length: (\d+)", head).group(1)), len(body)


def asked(s, *args):
    """msctl left running: a process."""
    return subprocess.Popen(
        [tools.BUILD / "bin" / "msctl", "-s", s.path / "state" / "control.sock", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def waits_for_an_answer(pid):
    """Does it sleep until something can be read?"""
    return "poll" in pathlib.Path(f"/proc/{pid}/wchan").read_text()


def test_questions_to_the_keeper(server, camera):
    """Rows come through the master; whoever asks may go, and a keeper that dies is said to have."""
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, record=True)
    s.close_segments(1, "cam", frames=60)
    row = s.rows("archive", "list", "cam")[0]
    assert row["storage"] == "default" and row["segments"] >= 1 and row["bytes"] > 1000 and row["to_s"] - row["from_s"] >= 2
    assert s.rows("archive", "list", "nobody") == []
    keeper = s.status()["keeper_pid"]
    os.kill(keeper, signal.SIGSTOP)
    given_up, waiting = asked(s, "archive", "list"), asked(s, "archive", "list")
    for p in (given_up, waiting):
        wait_for("it has asked, and waits", lambda p=p: waits_for_an_answer(p.pid))
    assert s.status()["keeper_pid"] == keeper  # the master answers meanwhile
    given_up.kill()
    given_up.communicate()
    s.expects_signals = True
    os.kill(keeper, signal.SIGKILL)
    _, text = waiting.communicate(timeout=10 * tools.SLOW)
    assert waiting.returncode == 1 and "the keeper died while it was asked" in text
    wait_for("the next keeper answers", lambda: s.msctl("archive", "list", ok=False).returncode == 0, timeout=10)
    wait_for("the same again", lambda: (r := s.rows("archive", "list", "cam")) and r[0]["segments"] >= row["segments"], timeout=10)


def test_age_takes_effect_at_once(server, camera):
    """A shorter dvr-duration deletes at the reload, the worker does not notice; a stream that is taken out of the configuration keeps its footage."""
    cam = camera(dict(group="a", source="tiny.h264"), dict(group="b", source="tiny.h264"))
    s = server({u: cam.url(f"{u}0") for u in "ab"}, record=True)
    s.close_segments(3, "a", "b")
    s.wait_recording("a", "b")
    pid = s.pid("a")
    s.remove_stream("b")
    s.write_stream("a", {**s.streams_conf["a"], "stream-url": cam.url("a0"), "dvr-duration": "1s"})
    before = s.segments("a")[:2]
    s.reload()
    wait_for("the oldest are gone", lambda: not any(p.exists() for p in before), timeout=15)
    s.wait_frames("a", 25)
    assert s.pid("a") == pid
    assert len(s.segments("b")) >= 3
    assert s.rows("archive", "list", "b")[0]["segments"] >= 2


def steady_until(s, uids, what, condition):
    """Looks again and again: the storage is in order and everybody records."""

    def look():
        rows = s.streams()
        assert all(rows[u]["record"] == "on" for u in uids), rows
        assert s.rows("storage", "list")[0]["state"] == "ok"
        return condition()

    wait_for(what, look, timeout=60, every=0.25)


@root_only
@pytest.mark.limit(240)
def test_full_storage_goes_on(disk_image, server, camera):
    """A fleet that fills its disk: the oldest of all goes in time, recording never pauses, not a frame is missing; what is locked stays, and
    where locks keep everything recording pauses and says so, until they go."""
    cam = camera(dict(group="cam", source="cam.h264", streams=4))
    uids = [f"cam{i}" for i in range(4)]
    disk = disk_image(44)
    s = server({u: {"stream-url": cam.url(u), "dvr-chunk": "10s", "dvr-duration": "0"} for u in uids}, record=True, storages={"default": str(disk)})
    s.wait_recording(*uids)
    wait_for("a segment of each", lambda: all(len(s.segments(u)) > 1 for u in uids), timeout=40)
    kept = s.segments("cam0")[0]
    first = {u: s.segments(u)[0] for u in uids}
    begin = wait_for("it is listed", lambda: (r := s.rows("archive", "list", "cam0")) and r[0])["from_s"]
    s.msctl("archive", "lock", "cam0", str(begin), str(begin + 5), "the first seconds")
    wait_for("the first have gone", lambda: not any(first[u].exists() for u in uids[1:]), timeout=120)
    second = {u: s.segments(u)[0] for u in uids[1:]}
    steady_until(s, uids, "the next have gone too", lambda: not any(f.exists() for f in second.values()) and len(s.ranges("cam0")) == 2)
    assert kept.exists() and kept.stat().st_size > 0
    now = time.time()
    for u in uids[1:]:
        assert s.stream(u)["state"] == "active"
        found = s.ranges(u)
        assert len(found) == 1 and found[0][0] + found[0][1] > now - 10, found
        assert s.rows("streams", u)[0]["dropped"] == 0
    assert len(s.ranges("cam0")) == 2  # the lock's, and the rest
    oldest = [s.ranges(u)[-1][0] for u in uids]
    assert max(oldest) - min(oldest) <= 22, "the oldest of all go first"
    room = s.rows("storage", "list")[0]
    assert room["free"] >= room["floor"] and room["rate_bps"] > 1e6 and room["keeps_s"] > 0 and room["locked"] == 0

    for u in uids:
        s.msctl("archive", "lock", u, "0", "4000000000")
    wait_for("recording pauses", lambda: all(r["record"] == "paused" for r in s.streams().values()), timeout=60)
    room = s.rows("storage", "list")[0]
    assert room["state"] == "full"
    wait_for("locks are named", lambda: s.rows("storage", "list")[0]["locked"] > 20 << 20, timeout=25)
    s.wait_frames("cam1", 25)  # live goes on
    assert kept.exists()
    for row in s.rows("archive", "locks"):
        if not row["note"]:
            s.msctl("archive", "unlock", row["uid"], row["id"])
    s.wait_recording(*uids, timeout=30)
    assert kept.exists()


def test_a_viewer_keeps_what_it_plays(server, camera):
    """A segment that is deleted while it is sent is sent to its end; afterwards it is not there."""
    cam = camera(source="cam.h264")
    s = server({"cam": cam.url()}, record=True)
    s.close_segments(2, "cam", frames=125)
    row = s.rows("archive", "list", "cam")[0]
    media = wait_for("a playlist", lambda: hls.open_playlist(s, f"cam/archive-{row['from_s']}-20.m3u8"), timeout=10)[0]
    url = media.segments[0].url
    sock, size, got = begin_get(s, url)
    old = s.segments("cam")[0]
    rows = s.rows("archive", "delete", "cam", str(row["from_s"]), str(row["to_s"] + 1))
    assert rows[0]["segments"] >= 1 and rows[0]["locked"] == 0
    wait_for("the file has gone", lambda: not old.exists(), timeout=10)
    with sock:
        while got < size and (piece := sock.recv(1 << 16)):
            got += len(piece)
    assert got == size
    assert s.get(url, status=None).status in (404, 410)
    s.wait_frames("cam", 25)


def files_of(s, *names):
    return {name: {f.name for f in s.segments(name)} for name in names}


def test_plan_of_another_configuration(server, camera, tmp_path):
    """What it says is what then happens; nothing happens before, and a lock holds in it as it does."""
    cam = camera(dict(group="cam", source="tiny.h264"), dict(group="yard", source="tiny.h264"))
    url = cam.url("cam0")
    s = server({uid: {"stream-url": cam.url(f"{uid}0")} for uid in ("cam", "yard")}, record=True)
    s.close_segments(3, "cam", "yard")
    first = sorted(s.segments("cam"))[0]
    began = s.rows("archive", "list", "cam")[0]["from_s"]
    s.msctl("archive", "lock", "cam", str(began - 1), str(began + 1), "stays")
    # the files as they are, with another age for one stream
    new = tmp_path / "new"
    shutil.copytree(s.path / "streams", new / "streams")
    shutil.copy(s.ini, new / "media-server.ini")
    file = new / "streams" / "cam.ini"
    file.write_text(file.read_text() + "dvr-duration = 1s\n")
    kept = files_of(s, "cam", "yard")
    rows = wait_for("all but the locked are older than a second", lambda: (r := s.rows("archive", "plan", "--config", new / "media-server.ini")) and r[0]["segments"] >= 2 and r)
    assert [(r["uid"], r["storage"], r["why"]) for r in rows] == [("cam", "default", "age")] and rows[0]["bytes"] > 1000
    assert s.rows("archive", "plan", "yard", "--config", new / "media-server.ini") == []
    assert s.rows("archive", "plan") == []
    assert all(names <= files_of(s, "cam", "yard")[uid] for uid, names in kept.items())
    # refused as a reload would
    (new / "bad.ini").write_text((new / "media-server.ini").read_text().replace("dvr-sync = 1s", "dvr-sync = never"))
    p = s.msctl("archive", "plan", "--config", new / "bad.ini", ok=False)
    assert p.returncode == 1 and "dvr-sync" in p.stderr and "cannot be loaded" in p.stderr
    # and then it is loaded
    s.write_stream("cam", s.streams_conf["cam"] | {"dvr-duration": "1s", "stream-url": url})
    s.reload()
    wait_for("what was planned has gone", lambda: first.exists() and len(kept["cam"] - files_of(s, "cam")["cam"]) >= rows[0]["segments"], timeout=20)
    assert kept["yard"] <= files_of(s, "yard")["yard"]


def test_a_clock_far_ahead_is_shown_and_confirmed(server, camera):
    """The storage knows a time three days back: ages are not counted by the clock before msctl says that it is right."""

    def ahead():
        return s.rows("storage", "list")[0].get("clock_ahead_s")

    cam = camera(source="tiny.h264")
    s = server({"cam": {"stream-url": cam.url(), "dvr-duration": "1d"}}, record=True)
    s.wait_recording("cam")
    stamp = pathlib.Path(s.storages["default"], ".clock")
    wait_for("the time is known", stamp.exists)
    assert ahead() is None
    s.stop()
    stamp.write_text(f"{int((time.time() - 3 * 86400) * 1e6)}\n")
    s.start()
    assert 3 * 86400 - 60 < wait_for("it is shown", ahead, timeout=20) < 3 * 86400 + 600
    assert "CLOCK AHEAD" in s.msctl("storage", "list").stdout and s.logged("storage-clock")
    s.wait_recording("cam")
    assert s.msctl("storage", "clock", "none", ok=False).returncode == 4
    s.msctl("storage", "clock", "default")
    wait_for("it is believed", lambda: ahead() is None, timeout=20)
