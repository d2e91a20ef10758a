#!/usr/bin/python3
"""N=2000 segments of 1 MB are checked byte by byte, their index is made anew beside the one in use, and they grow old at once, of the streams
that are recorded and watched meanwhile: delete.py [N] [no choices, no seed].

Nothing of it may reach who is recorded or watched: frames reach viewers as before, playing as before, and every frame that was in a ring is in
the archive."""
import concurrent.futures
import pathlib
import time

import paths  # noqa: F401
import tools
from fleet import Fleet, main
from stall import BEFORE_S, Player, Viewer, compare
from tools import wait_for

STREAMS = 6
SEGMENT_S = 10
RATE = 100000  # bytes a second
DAY = 86400
LOOK_S = 8.0  # of checks, and of rebuilds


def old_footage(server, uid, n, since):
    records = pathlib.Path(server.storages["default"], uid, "records")
    records.mkdir(parents=True)
    tools.run(tools.BUILD / "bench" / "footage", records, uid, since, n * SEGMENT_S, SEGMENT_S, RATE, timeout=600)


def run(n, _, say=print):
    with Fleet(STREAMS, start=False) as fleet:
        *old, fresh = fleet.uids  # the last one is played meanwhile
        since = int(time.time()) - 2 * DAY
        for uid in old:
            old_footage(fleet.server, uid, n // len(old), since)
        fleet.start()
        deleted(fleet, n // len(old), old, fresh, say)


def walk(fleet, *args):
    """What msctl archive does, in the background, until there is something to compare; returns when it began and ended, and what it said last."""
    began = time.time()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        while time.time() - began < LOOK_S:
            done = pool.submit(fleet.server.msctl, "archive", *args, timeout=600)
            wait_for(f"archive {args[0]} ends", lambda done=done: fleet.witness.look() or done.done(), timeout=620, every=0.1)
    return began, time.time(), done.result().stdout


def deleted(fleet, each, old, fresh, say):
    s = fleet.server

    def segments():
        rows = {r["uid"]: r["segments"] for r in s.rows("archive", "list")}
        return [rows.get(u, 0) for u in old]

    wait_for("all are in the index", lambda: min(segments()) >= each, timeout=120, every=0.5)
    wait_for("8 s recorded", lambda: sum(d for _, d in s.ranges(fresh)) > 8, timeout=30)
    sent = fleet.camera.log_sent("cam")
    viewers = [Viewer(fleet, u, sent) for u in (old[0], fresh)]
    player = Player(s, fresh)
    born = s.family()
    until = time.monotonic() + BEFORE_S + 1
    wait_for("how it is before", lambda: fleet.witness.look() or time.monotonic() > until, timeout=BEFORE_S * 2, every=0.5)
    quiet = time.time()
    spans = {}
    for args in (("check", "--sum"), ("rebuild", "--verify")):
        *spans[args[0]], text = walk(fleet, *args)
        say(f"archive {' '.join(args)}: {text.splitlines()[-1]}, again and again for {spans[args[0]][1] - spans[args[0]][0]:.1f} s")
    days = [p for u in old for p in pathlib.Path(s.storages["default"], u, "records").glob("*/*/*") if any(p.iterdir())]
    there = sum(1 for d in days for _ in d.iterdir())
    for u in old:
        s.write_stream(u, {"stream-url": fleet.camera.url(u), "dvr-chunk": "10s", "dvr-duration": "1d"})
    began = time.time()
    s.reload()

    def gone():
        fleet.witness.look()
        return there - sum(1 for d in days if d.is_dir() for _ in d.iterdir()) >= each * len(old) * 0.95

    wait_for("they are gone", gone, timeout=600, every=0.5)
    ended = time.time()
    player.end()
    for v in viewers:
        v.end()
    say(f"{each * len(old)} segments of {SEGMENT_S * RATE / 1e6:.0f} MB went in {ended - began:.1f} s")
    assert s.family() == born, "a process has died"
    assert [fleet.camera.stats(u)["sessions_opened"] for u in fleet.uids] == [1] * len(fleet.uids), "a camera was asked anew"
    spans["delete"] = began, ended
    one, other = (v.latencies() for v in viewers)
    for what, (began, ended) in spans.items():
        for who, times in (("live of a stream whose footage goes", one), ("live of another stream", other), ("a playlist and a segment of another stream", player.times)):
            before = [(at + began - quiet, took) for at, took in times if at < quiet]
            compare(say, f"{what}: {who}", before + [t for t in times if t[0] >= began], began, ended)
    fleet.witness.look()
    assert s.stop() == 0
    fleet.check_whole(frames=False)
    missing = {u: len(t) for u, t in fleet.missing().items()}
    assert not missing, f"frames that are not recorded: {missing}"
    say("0 frames that were in a ring are missing in the archive")


if __name__ == "__main__":
    main(run, 2000)
