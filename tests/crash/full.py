#!/usr/bin/python3
"""A 20 MB ext4 that is full from the first start on: full.py [N=8] [SEED]; N times it is filled and emptied. First as storage, then as index-path.

No process dies, live and the other storage go on, and RESUME_S after there is space footage is on the disk again."""
import random
import time

import paths  # noqa: F401
import hls
import tools
from disks import Disk
from fleet import Fleet, main, percentile
from tools import wait_for

MB = 20
RESUME_S = 2.0
STATUS = "recording_status.json?from=0&to=9999999999&request=ranges"
FULL_S = (1.5, 6.0)  # how long it stays full


def pids(server):
    status = server.status()
    return {u: r["pid"] for u, r in server.streams().items()} | {k: v for k, v in status.items() if k.endswith("_pid")}


def plays_live(server, uid):
    media, _ = hls.open_playlist(server, f"{uid}/index.m3u8")
    return media.segments and hls.samples(server, media.segments[-1:]).of("vide")


def recorded(a):
    """Frames on the disk, by the files alone."""
    return sum(len(s.frames) for s in a.read())


def as_storage(n, rng, say):
    resumed = []
    with Disk("ext4", MB) as disk, Disk("ext4", 64) as other:
        ballast = disk.fill()
        assert disk.free() == 0
        with Fleet(4, {"small": str(disk.path), "large": str(other.path)}, start=False) as fleet:
            s = fleet.server
            fleet.start(record=False)
            s.wait_recording("cam1", "cam3", timeout=20)
            born = pids(s)
            for i in range(n):
                wait_for("the storage is full", lambda: state(s, "small") == "full", timeout=10)
                wait_for("recording has stopped", lambda: {s.stream(u)["record"] for u in ("cam0", "cam2")} == {"paused"}, timeout=15)
                until = time.monotonic() + rng.uniform(*FULL_S)
                wait_for("live goes on", lambda: plays_live(s, "cam0"), timeout=15)
                # 503: there never was an index. The other storage's archive is read as ever.
                assert s.get(f"cam0/{STATUS}", status=None).status in (200, 503)
                s.get(f"cam1/{STATUS}")
                wait_for("some seconds of a full disk", lambda until=until: time.monotonic() > until)
                fleet.witness.look()
                frames = recorded(fleet.archives["small"])
                began = time.monotonic()
                ballast.unlink()
                wait_for("footage on the disk", lambda frames=frames: recorded(fleet.archives["small"]) > frames, timeout=20, every=0.02)
                resumed.append(time.monotonic() - began)
                assert resumed[-1] <= RESUME_S * tools.SLOW, f"footage came {resumed[-1]:.2f} s after the space"
                s.wait_recording(*fleet.uids, timeout=10)
                assert pids(s) == born, "a process has died"
                if i + 1 < n:
                    ballast = disk.fill()
            fleet.witness.look()
            assert s.stop() == 0
            fleet.check_whole(frames=False)
            held = {u: t for u, t in fleet.missing().items() if u in ("cam1", "cam3")}
            assert not held, f"the other storage lacks frames: {held}"
    say(f"as storage: full {n} times, 0 deaths; footage on the disk again after p50 {percentile(resumed, 50):.2f} s, most {max(resumed):.2f} s (at most {RESUME_S:.0f} s)")
    return resumed


def state(server, name):
    return next(r["state"] for r in server.rows("storage", "list") if r["name"] == name)


def as_index(say):
    """Recording needs no index: segments describe themselves."""
    with Disk("ext4", MB) as disk, Disk("ext4", 64) as large:
        ballast = disk.fill()
        with Fleet(2, {"large": str(large.path)}, indexes={"large": str(disk.path)}) as fleet:
            s, a = fleet.server, fleet.archives["large"]
            born = pids(s)
            wait_for("two closed segments of each", lambda: [x.info for x in a.read()].count(None) <= 2 and len(a.read()) >= 6, timeout=40)
            assert s.get(f"cam0/{STATUS}", status=None).status in (200, 503)
            assert pids(s) == born, "a process has died"
            began = time.monotonic()
            ballast.unlink()
            closed = {(x.info.uid, x.info.id) for x in a.read() if x.info}
            wait_for("all closed segments are in the index", lambda: closed <= set(a.index()), timeout=20)
            took = time.monotonic() - began
            s.get(f"cam0/{STATUS}")
            ballast = disk.fill()
            n = len(a.read())
            wait_for("further segments while it is full again", lambda: len(a.read()) >= n + 2, timeout=30)
            ballast.unlink()
            fleet.witness.look()
            assert pids(s) == born, "a process has died"
            wait_for("the index is written again", lambda: len(a.index()) >= n, timeout=20)
            assert s.stop() == 0
            fleet.check_whole()
    say(f"as index-path: 0 deaths, recording never paused; {len(closed)} segments were indexed {took:.2f} s after there was space")
    return took


def run(n, seed, say=print):
    say(f"SEED={seed}")
    rng = random.Random(seed)
    return as_storage(n, rng, say), as_index(say)


if __name__ == "__main__":
    main(run, 8)
