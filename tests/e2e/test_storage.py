"""Storages that are missing, full, read-only or swapped: recording pauses with a clear state, live goes on, recording comes back."""
import contextlib
import ctypes
import os
import pathlib
import subprocess
import time

import pytest

import hls
import tools
from tools import wait_for

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to mount")


@pytest.fixture
def small_disk(disk_image):
    return disk_image(24)


def storage(s, name="default"):
    return next(r for r in s.rows("storage", "list") if r["name"] == name)


@root_only
def test_full_disk(small_disk, server, camera):
    cam = camera(dict(group="cam", source="cam.h264"), dict(group="other", source="tiny.h264"))
    s = server(
        {
            "cam": {"stream-url": cam.url("cam0"), "dvr-archive": "small"},
            "other": {"stream-url": cam.url("other0"), "dvr-archive": "default"},
        },
        record=True,
        storages={"small": str(small_disk), "default": str(small_disk.parent / "large")},
    )
    s.wait_state("cam")
    s.wait_recording("cam", "other")
    ballast = small_disk / "ballast"
    room = os.statvfs(small_disk)
    ballast.write_bytes(b"x" * max(0, room.f_bavail * room.f_bsize - (1 << 20)))
    row = wait_for("recording pauses", lambda: (r := s.stream("cam")).get("record") == "paused" and r, timeout=30)
    assert row["record_reason"] == "storage small is below its free floor"
    wait_for("it is called full", lambda: storage(s, "small")["state"] == "full")
    s.wait_frames("cam", 50)
    media, _ = wait_for("live goes on", lambda: (p := hls.open_playlist(s, "cam/index.m3u8")) and p[0].segments and p, timeout=15)
    assert hls.samples(s, media.segments[-1:]).of("vide")
    assert s.stream("other")["record"] == "on"
    ballast.unlink()
    s.wait_recording("cam", timeout=20)
    wait_for("it is in order", lambda: storage(s, "small")["state"] == "ok")


@root_only
def test_read_only_disk(small_disk, server, camera):
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, record=True, storages={"default": str(small_disk)})
    s.wait_state("cam")
    s.wait_recording("cam")
    s.wait_frames("cam", 30)
    # What the kernel does after an error. Refused while files are open for writing on some kernels.
    if subprocess.run(["mount", "-o", "remount,ro", small_disk], capture_output=True).returncode != 0:
        pytest.skip("this kernel refuses to remount a file system in use")
    wait_for("recording waits", lambda: s.stream("cam").get("record") == "failed", timeout=30)
    s.wait_frames("cam", 30)
    tools.run("mount", "-o", "remount,rw", small_disk)
    s.wait_recording("cam", timeout=30)


def test_missing_storage_comes_back(server, camera, tmp_path):
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, record=True)
    s.wait_state("cam")
    s.wait_recording("cam")
    wait_for("something recorded", lambda: s.ranges("cam"))
    s.stop()
    stopped = time.monotonic()
    place = pathlib.Path(s.storages["default"])
    away = place.with_name("away")
    place.rename(away)
    # What is less than a second apart is one range, and what the ring still has is recorded later.
    wait_for("three seconds without a server", lambda: time.monotonic() - stopped > 3)
    s.start()
    s.wait_state("cam")
    wait_for("the storage is missing", lambda: storage(s)["state"] == "missing", timeout=10)
    wait_for("nothing is recorded", lambda: s.stream("cam")["record"] == "failed")
    s.wait_frames("cam", 20)
    away.rename(place)
    s.wait_recording("cam", timeout=30)
    wait_for("old and new footage", lambda: len(s.ranges("cam")) == 2, timeout=15)


def test_swapped_storage_is_never_written_on(server, camera):
    """A path that was seen before, without its marker, is refused until the operator says so."""
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, record=True)
    s.wait_state("cam")
    s.wait_recording("cam")
    wait_for("something recorded", lambda: s.ranges("cam"))
    s.stop()
    place = pathlib.Path(s.storages["default"])
    place.rename(place.with_name("away"))
    place.mkdir()
    s.start()
    s.wait_state("cam")
    wait_for("the storage is refused", lambda: storage(s)["state"] == "refused", timeout=10)
    s.wait_frames("cam", 40)
    assert not list(place.rglob("*.mp4"))
    s.msctl("storage", "init", "default")
    s.wait_recording("cam", timeout=15)
    wait_for("footage on it", lambda: list(place.rglob("*.mp4")))


def test_index_is_rebuilt_from_segments(server, camera):
    cam = camera(source="small.h264")
    s = server({"cam": {"stream-url": cam.url(), "dvr-chunk": "10s"}}, record=True)
    s.wait_state("cam")
    wait_for("two segments", lambda: len(s.segments("cam")) >= 2 and sum(d for _, d in s.ranges("cam")) > 12, timeout=40)
    s.stop()
    since = min(p.stat().st_mtime for p in s.segments("cam")) - 30
    place = pathlib.Path(s.storages["default"])
    found = [p for p in place.rglob("data.mdb")]
    assert found, "no index on the storage"
    for p in found:
        p.write_bytes(b"damaged" * 1000)
    s.start()
    wait_for("the archive from its files", lambda: sum(d for _, d in s.ranges("cam", since, starting=True)) > 12, timeout=30)


@pytest.mark.slow
def test_segments_follow_each_other_without_a_gap(server, camera):
    cam = camera(source="small.h264")
    s = server({"cam": {"stream-url": cam.url(), "dvr-chunk": "10s"}}, record=True)
    s.wait_state("cam")
    wait_for("three segments", lambda: len(s.segments("cam")) >= 3, timeout=60)
    truth = [t["sha1"] for t in cam.truth("cam0")]
    got = [x.sha1 for x in s.recorded("cam")]
    first = truth.index(got[0])
    assert got == [truth[(first + i) % len(truth)] for i in range(len(got))]
    assert len(s.ranges("cam")) == 1, "a continuous stretch is one range"
    since, length = s.ranges("cam")[0]
    assert abs(time.time() - since - length) < 5 * tools.SLOW, "ranges reach up to now"
    media, _ = hls.open_playlist(s, f"cam/archive-{int(since)}-{int(length)}.m3u8")
    assert not [x for x in media.segments[1:] if x.discontinuity]
    assert abs(media.duration - length) < 12


@contextlib.contextmanager
def hung(folder):
    """Whatever looks below the folder hangs: a FUSE file system on it whose server never answers."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    if libc.mount(b"hung", str(folder).encode(), b"fuse", 0, options) != 0:
        os.close(fd)
        pytest.skip(f"cannot mount FUSE: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        os.close(fd)  # ends the connection: who hangs gets an error
        libc.umount2(str(folder).encode(), 2)  # MNT_DETACH


@root_only
@pytest.mark.limit(90)
@pytest.mark.skipif(not os.path.exists("/dev/fuse"), reason="no /dev/fuse")
def test_hung_storage_holds_up_nobody(server, camera, tmp_path):
    """A stream on three storages, one of which hangs: the others answer, and say that it is not all; other streams see nothing of it."""
    cam = camera(dict(source="tiny.h264", streams=2))
    names = ("a", "b", "c")
    s = server(
        {
            "cam": {"stream-url": cam.url("cam0"), "dvr-archive": "a"},
            "other": {"stream-url": cam.url("cam1"), "dvr-archive": "c"},
        },
        record=True,
        storages={n: str(tmp_path / n) for n in names},
    )
    s.wait_state("cam")
    s.wait_recording("cam", "other")
    wait_for("something recorded", lambda: s.ranges("cam") and s.ranges("cam")[0][1] >= 4, timeout=30)
    since = s.ranges("cam")[0][0]
    s.write_stream("cam", {"stream-url": cam.url("cam0"), "dvr-archive": "c"})
    s.reload()
    wait_for("it records on another", lambda: s.segments("cam", "c"), timeout=20)
    s.write_stream("cam", {"stream-url": cam.url("cam0"), "dvr-archive": "c*1000, a*1, b*1"})
    s.reload()
    s.msctl("restart", "cam")  # a segment comes between what a holds and the open one: then a's folder is looked into
    wait_for("a second segment there", lambda: len(s.segments("cam", "c")) == 2, timeout=20)
    road = f"cam/archive-{since}-600.m3u8"
    wait_for("one timeline", lambda: s.get(road)["X-Archive-Incomplete"] is None and len(s.ranges("cam")) >= 1, timeout=20)
    whole = hls.open_playlist(s, road)[0].duration
    with hung(pathlib.Path(s.storages["a"]) / "cam"):
        # The master playlist reads the tracks from a segment of each storage; the others may not need to look into the folder.
        began = time.monotonic()
        a = s.get(f"cam/index-{since}-600.m3u8")
        assert 1 < time.monotonic() - began < 2 + 2 * tools.SLOW
        assert a["X-Archive-Incomplete"] == "1 of 3 storages" and a["Cache-Control"] == "no-store"
        assert 0 < hls.open_playlist(s, road)[0].duration
        began = time.monotonic()
        a = s.get(f"other/archive-{since}-600.m3u8")
        assert a["X-Archive-Incomplete"] is None
        media, _ = hls.open_playlist(s, f"other/archive-{since}-600.m3u8")
        assert hls.samples(s, media.segments[:1]).of("vide")
        assert time.monotonic() - began < 1 * tools.SLOW
        s.wait_frames("cam", 20)
    wait_for("whole again", lambda: s.get(road)["X-Archive-Incomplete"] is None and hls.open_playlist(s, road)[0].duration >= whole, timeout=20)
