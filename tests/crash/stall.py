#!/usr/bin/python3
"""A storage (FUSE) that answers nothing for N=30 seconds: stall.py [N] [no choices, no seed].

Meanwhile frames reach viewers as before, of streams on either storage; the other storage is recorded on without a gap and played as before;
no process dies and no camera is asked anew. Then recording on the stalled one goes on."""
import contextlib
import http.client
import pathlib
import subprocess
import tempfile
import threading
import time

import paths
import hls
import live
import tools
from disks import mounted
from fleet import Fleet, main, percentile
from tools import wait_for

BEFORE_S = 15
HANGING = 12  # requests for the stalled archive, all the while
# "Unchanged", on a machine that others use too: what a p99 may differ by.
SLACK = 1.5
SLACK_MS = 40


class StallFs:
    """stallfs.py over a folder of its own, mounted at .path."""

    def __init__(self):
        self.dir = tempfile.TemporaryDirectory(prefix="ms-stall-")
        pathlib.Path(self.dir.name).chmod(0o755)
        self.path = pathlib.Path(self.dir.name, "mount")
        below = pathlib.Path(self.dir.name, "below")
        for p in (self.path, below):
            p.mkdir()
        self.log = open(f"{self.dir.name}/log", "w+")
        self.process = subprocess.Popen(["/usr/bin/python3", str(paths.ROOT / "tests/crash/stallfs.py"), below, self.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)
        try:
            wait_for("the mount", lambda: mounted(self.path) or self.process.poll() is not None, timeout=10)
            assert self.process.stdout.readline() == "ready\n", self.said()
        except BaseException:
            self.close()
            raise

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def say(self, word):
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "ok\n"

    def close(self):
        self.process.stdin.close()  # whatever waits goes on
        if mounted(self.path):
            with contextlib.suppress(tools.Late):
                wait_for("unmounted", lambda: subprocess.run(["umount", self.path], capture_output=True).returncode == 0, timeout=5)
        if mounted(self.path):
            subprocess.run(["umount", "-l", self.path], capture_output=True)
        tools.stop(self.process)
        self.process.stdout.close()
        self.log.close()
        self.dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class Viewer(live.Live):
    """latencies(): of each frame, from when the camera sent it to when its fragment was here."""

    def __init__(self, fleet, uid, sent):
        self.fleet, self.uid, self.sent = fleet, uid, sent
        super().__init__(fleet.server, uid)

    def latencies(self):
        """[(wall time of arrival, seconds)]"""
        places = {t["sha1"]: t["au"] for t in self.fleet.camera.truth(self.uid)}
        times = {}
        for f in self.sent():
            if f["stream"] == self.uid and f["track"] == 0:
                times.setdefault(f["au"], []).append(f["wall_us"] / 1e6)
        out = []
        for at, samples in self.fragments():
            for s in samples:
                sent = [t for t in times.get(places[s.sha1], ()) if t <= at]
                if sent:
                    out.append((at, at - sent[-1]))
        return out


class Player(threading.Thread):
    """Plays a few seconds of an archive again and again; times: [(when, seconds)]."""

    def __init__(self, server, uid):
        super().__init__(daemon=True)
        self.server, self.uid, self.times, self.ended = server, uid, [], False
        self.error = None
        self.since = int(server.ranges(uid)[0][0])
        self.start()

    def run(self):
        try:
            while not self.ended:
                began = time.time()
                media, _ = hls.open_playlist(self.server, f"{self.uid}/archive-{self.since}-8.m3u8")
                assert hls.samples(self.server, media.segments[:1]).of("vide")
                self.times.append((time.time(), time.time() - began))
                time.sleep(0.05)
        except Exception as e:  # it is looked at by the thread that started this one
            self.error = e

    def end(self):
        self.ended = True
        self.join(20)
        assert self.error is None, f"playing {self.uid}: {self.error!r}"


def hang(server, uid, until):
    """Asks for a stalled archive, and gives up only when it is no longer stalled."""

    def ask():
        while time.monotonic() < until:
            with contextlib.suppress(OSError, http.client.HTTPException):
                server.get(f"{uid}/archive-{int(time.time()) - 20}-10.m3u8", status=None, timeout=3)
            time.sleep(0.2)

    for _ in range(HANGING):
        threading.Thread(target=ask, daemon=True).start()


def compare(say, what, samples, began, ended):
    before = [s * 1e3 for at, s in samples if began - BEFORE_S <= at < began]
    during = [s * 1e3 for at, s in samples if began <= at < ended]
    a, b = percentile(before, 99), percentile(during, 99)
    say(f"{what}: p50 {percentile(before, 50):.0f} -> {percentile(during, 50):.0f} ms, p99 {a:.0f} -> {b:.0f} ms, {len(before)} and {len(during)} of them")
    assert len(during) > len(before) * (ended - began) / BEFORE_S * 0.8, f"{what}: too few meanwhile"
    assert b <= max(a * SLACK, a + SLACK_MS), f"{what}: p99 {a:.0f} -> {b:.0f} ms"


def run(n, _, say=print):
    with StallFs() as fs, tempfile.TemporaryDirectory(prefix="ms-good-") as good:
        pathlib.Path(good).chmod(0o755)
        with Fleet(6, {"slow": str(fs.path), "good": good}) as fleet:
            try:
                stalled(n, fs, fleet, say)
            finally:
                fs.say("go")


def stalled(n, fs, fleet, say):
    s = fleet.server
    wait_for("8 s recorded", lambda: sum(d for _, d in s.ranges("cam1")) > 8 and sum(d for _, d in s.ranges("cam0")) > 8, timeout=30)
    sent = fleet.camera.log_sent("cam")
    viewers = [Viewer(fleet, u, sent) for u in ("cam0", "cam1")]
    player = Player(s, "cam1")
    born = s.family()
    until = time.monotonic() + BEFORE_S + 1
    wait_for("how it is before", lambda: time.monotonic() > until, timeout=BEFORE_S * 2)
    fs.say("stall")
    began = time.time()
    until = time.monotonic() + n
    hang(s, "cam0", until)
    say(f"stalled for {n} s")
    while time.monotonic() < until:
        fleet.witness.look()
        time.sleep(0.5)
    row = next(r for r in s.rows("storage", "list") if r["name"] == "slow")
    fs.say("go")
    ended, now = time.time(), time.monotonic()
    player.end()
    for v in viewers:
        v.end()
    live = [v.latencies() for v in viewers]
    recorded = sum(len(x.frames) for x in fleet.archives["slow"].read())
    wait_for("recording goes on", lambda: sum(len(x.frames) for x in fleet.archives["slow"].read()) > recorded, timeout=20)
    say(f"the storage was shown as {row['state']}; recorded again {time.monotonic() - now:.1f} s behind the stall")
    s.wait_recording(*fleet.uids, timeout=10)
    assert s.family() == born, "a process has died"
    assert [fleet.camera.stats(u)["sessions_opened"] for u in fleet.uids] == [1] * len(fleet.uids), "a camera was asked anew"
    compare(say, "live of a stream on the stalled storage", live[0], began, ended)
    compare(say, "live of a stream on the other storage", live[1], began, ended)
    compare(say, "a playlist and a segment of the other storage", player.times, began, ended)
    fleet.witness.look()
    assert s.stop() == 0
    fleet.check_whole(frames=False)
    missing = fleet.missing()
    others = {u: len(t) for u, t in missing.items() if u in ("cam1", "cam3", "cam5")}
    assert not others, f"frames of the other storage that are not recorded: {others}"
    say(f"0 frames of the other storage are missing; of the stalled one, by stream: {[len(missing.get(u, ())) for u in ('cam0', 'cam2', 'cam4')]}")


if __name__ == "__main__":
    main(run, 30)
