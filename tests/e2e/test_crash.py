"""Short forms of tests/crash: random kills, a power cut of ext4 and xfs, a disk that is full from the first start on."""
import errno
import os
import random
import sys
import time

import pytest

import live
import tools
from server import need_server
from tools import wait_for

sys.path.insert(0, str(tools.ROOT / "tests" / "crash"))
import disks  # noqa: E402
import fleet  # noqa: E402
import full  # noqa: E402
import kill  # noqa: E402
import power  # noqa: E402
import stall  # noqa: E402

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read rings")


@pytest.fixture
def seed():
    return int(os.environ.get("SEED") or random.randrange(1 << 31))


@pytest.fixture
def loop_devices():
    need_server()
    if why := disks.unusable():
        pytest.skip(why)


@root_only
@pytest.mark.slow
def test_random_kills(seed):
    need_server()
    kill.run(15, seed)


@pytest.mark.slow
def test_power_cut(loop_devices, seed):
    power.run(2, seed)


def test_full_from_the_first_start_on(loop_devices, seed):
    full.as_storage(1, random.Random(seed), print)


@root_only
@pytest.mark.limit(120)
@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no /dev/fuse")
def test_a_storage_that_answers_eio(server, camera, tmp_path):
    """Its writers go on at the next storage within a segment, it is shown with its errno, and it is taken back. Who watches sees nothing of it."""

    def row():
        return next(r for r in s.rows("storage", "list") if r["name"] == "bad")

    def on():
        return s.rows("streams", "cam")[0].get("record_storage")

    def stored(storage):
        return s.segments("cam", storage)

    with stall.StallFs() as bad:
        cam = camera(source="small.h264")
        # The weight says where it belongs.
        keys = {"stream-url": cam.url(), "dvr-archive": "bad*1000, good*1", "dvr-chunk": "10s"}
        s = server({"cam": keys}, record=True, storages={"bad": str(bad.path), "good": str(tmp_path / "good")})
        s.wait_state("cam")
        wait_for("it is recorded on the first", lambda: len(stored("bad")) >= 1 and sum(d for _, d in s.ranges("cam")) > 4, timeout=40)
        with live.Live(s, "cam") as viewer:
            began = time.monotonic()
            bad.say("fail")
            wait_for("it is recorded on the second", lambda: on() == "good" and stored("good"), timeout=30)
            assert time.monotonic() - began < 10 * tools.SLOW
            shown = wait_for("it is shown", lambda: (r := row())["state"] == "failed" and r, timeout=20)
            assert shown["errno"] == errno.EIO and 'to="missing"' not in s.log()
            assert s.stream("cam")["record"] == "on"
            wait_for("some of it is recorded", lambda: s.ranges("cam", starting=True) and sum(d for _, d in s.ranges("cam", starting=True)) > 4, timeout=30)
            bad.say("go")
            wait_for("it is in order again", lambda: row()["state"] == "ok", timeout=60)
            before = len(stored("bad"))
            wait_for("it is taken back", lambda: on() == "bad" and len(stored("bad")) > before, timeout=60)
            s.wait_frames("cam", 50)
            viewer.check_whole(time.monotonic() - began - 5)
        wait_for("one timeline over both", lambda: len(s.ranges("cam")) == 1, timeout=60)
        assert s.stop() == 0


@root_only
def test_the_checks_find_faults():
    """A byte of a segment, a whole one, a frame: each is missed."""
    need_server()
    with fleet.Fleet(1) as f:
        f.server.wait_frames("cam0", 50)
        f.witness.look()
        assert f.server.stop() == 0
        f.check_whole()
        archive = f.archives["default"]
        path = archive.read()[0].path
        data = path.read_bytes()
        for damaged in (data[:4000] + bytes([data[4000] ^ 1]) + data[4001:], data[:-1], data[:2000]):
            path.write_bytes(damaged)
            archive.checked = {}
            with pytest.raises(AssertionError):
                archive.check_index(archive.index())
        path.unlink()
        with pytest.raises(AssertionError, match="no such file"):
            archive.check_index(archive.index())
        path.write_bytes(data)
        f.check_whole()
        last = max(f.witness.seen["cam0"])
        f.witness.seen["cam0"][last + 1] = f.witness.seen["cam0"][last]
        with pytest.raises(AssertionError, match="not recorded"):
            f.check_whole()
