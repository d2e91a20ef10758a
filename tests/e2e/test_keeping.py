"""What is kept and what is deleted: msctl archive, by age, size and free space, locks; recording goes on."""
import os
import signal
import subprocess

import tools
from tools import wait_for


def asked(s, *args):
    """msctl left running: a process."""
    return subprocess.Popen(
        [tools.BUILD / "bin" / "msctl", "-s", s.path / "state" / "control.sock", *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_questions_to_the_keeper(server, camera):
    """Rows come through the master; whoever asks may go, and a keeper that dies is said to have."""
    cam = camera(source="tiny.h264")
    s = server({"cam": {"stream-url": cam.url(), "dvr-chunk": "10s"}}, record=True)
    s.wait_recording("cam")
    row = wait_for("a segment is listed", lambda: (r := s.rows("archive", "list", "cam")) and r[0], timeout=25)
    assert row["storage"] == "default" and row["segments"] >= 1 and row["bytes"] > 1000 and row["to_s"] - row["from_s"] >= 9
    assert s.rows("archive", "list", "nobody") == []
    keeper = s.status()["keeper_pid"]
    os.kill(keeper, signal.SIGSTOP)
    given_up, waiting = asked(s, "archive", "list"), asked(s, "archive", "list")
    assert s.status()["keeper_pid"] == keeper  # the master answers meanwhile
    given_up.kill()
    given_up.communicate()
    s.expects_signals = True
    os.kill(keeper, signal.SIGKILL)
    _, text = waiting.communicate(timeout=10)
    assert waiting.returncode == 1 and "the keeper died while it was asked" in text
    wait_for("the next keeper answers", lambda: s.msctl("archive", "list", ok=False).returncode == 0, timeout=10)
    wait_for("the same again", lambda: (r := s.rows("archive", "list", "cam")) and r[0]["segments"] >= row["segments"], timeout=10)


def test_age_takes_effect_at_once(server, camera):
    """A shorter dvr-duration deletes at the reload, the worker does not notice; a stream that is taken out of the configuration keeps its footage."""
    cam = camera(dict(group="a", source="tiny.h264"), dict(group="b", source="tiny.h264"))
    s = server({u: {"stream-url": cam.url(f"{u}0"), "dvr-chunk": "10s"} for u in "ab"}, record=True)
    s.wait_recording("a", "b")
    wait_for("three segments of each", lambda: all(len(s.segments(u)) >= 3 for u in "ab"), timeout=60)
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
