#!/usr/bin/python3
"""Power cuts under a recording server, on ext4 and xfs at once: power.py [N=100] [SEED]; a round is a cut of each.

The index of the xfs lies on a disk of its own, which loses its power with them every other time. Every other time the server lives on for
a moment, as when disks fail and the machine does not: what it then says of them must be wrong in no index either.

After each cut: all processes die, the disks are mounted again (the journal is replayed). Before the server starts the index claims only what is
on the disk, and all that it held before; behind its start, what is lost is at most dvr-sync and one fragment, each frame that is there is the
camera's, and recording goes on."""
import contextlib
import random
import time

import paths  # noqa: F401
import tools
from disks import Disk
from fleet import Fleet, main, percentile
from tools import wait_for

SYNC_S, FRAGMENT_S = 2.0, 1.0
# What lies between a frame's reception and the moment its fragment is due: two turns of a worker that nobody watches.
SLACK_S = 0.5
RUN_S = (0.0, 3.0)  # of a round, once all is recorded and repaired
START_S = 5.0
IMAGE_MB = 300  # the least that xfs takes
INDEX_MB = 40
SURVIVED_S = (0.0, 2.5)  # how long the server lives without disks


class Cuts:
    def __init__(self, fleet, disks, index_disk, seed):
        self.fleet, self.disks, self.index_disk, self.rng = fleet, disks, index_disk, random.Random(seed)
        self.lost_s, self.start_s, self.held = {n: [] for n in disks}, [], {n: {} for n in disks}

    def start(self):
        began = time.monotonic()
        self.fleet.start()
        self.start_s.append(time.monotonic() - began)
        assert self.start_s[-1] < START_S * tools.SLOW, f"recording came after {self.start_s[-1]:.1f} s"

    def cut(self):
        until = time.monotonic() + self.rng.uniform(*RUN_S)
        wait_for("the next cut", lambda: time.monotonic() > until)
        for name, a in self.fleet.archives.items():
            self.held[name] |= a.index()
        self.fleet.witness.look()
        dark = [*self.disks.values(), *([self.index_disk] if self.rng.random() < 0.5 else [])]
        self.rng.shuffle(dark)
        for d in dark:
            d.cut()
        if self.rng.random() < 0.5:
            until = time.monotonic() + self.rng.uniform(*SURVIVED_S)
            wait_for("the end of the server", lambda: time.monotonic() > until)
        self.fleet.kill_all()
        for d in (*self.disks.values(), self.index_disk):
            d.again()
        for name, a in self.fleet.archives.items():
            index = a.index()
            a.checked = {}
            a.check_index(index)
            lost = [k for k in self.held[name] if k not in index]
            assert not lost, f"{name}: the index had held {lost}"

    def check_footage(self, seen):
        """seen: what the rings held at the cut."""
        for name, a in self.fleet.archives.items():
            recorded = a.frames()
            assert not a.bad(), a.bad()
            for i, uid in enumerate(self.fleet.uids):
                if list(self.disks)[i % len(self.disks)] != name or not seen.get(uid):
                    continue
                mine, theirs = recorded.get(uid, {}), seen[uid]
                wrong = [t for t in mine if t in theirs and theirs[t].sha1 != mine[t]]
                assert not wrong, f"{uid}: frames that are not the camera's: {wrong}"
                gone = [f.wall_us for t, f in theirs.items() if t not in mine]
                last = max(f.wall_us for f in theirs.values())
                self.lost_s[name].append((last - min(gone)) / 1e6 if gone else 0.0)
                assert self.lost_s[name][-1] <= SYNC_S + FRAGMENT_S + SLACK_S * tools.SLOW, f"{uid} on {name}: {self.lost_s[name][-1]:.2f} s are lost"


def run(n, seed, say=print):
    rounds = max(1, n // 2)
    say(f"{rounds} cuts of ext4 and {rounds} of xfs, dvr-sync {SYNC_S:.0f} s, SEED={seed}")
    with contextlib.ExitStack() as stack:
        disks = {fs: stack.enter_context(Disk(fs, IMAGE_MB)) for fs in ("ext4", "xfs")}
        index_disk = stack.enter_context(Disk("ext4", INDEX_MB))
        storages = {n: str(d.path) for n, d in disks.items()}
        fleet = stack.enter_context(Fleet(8, storages, {"dvr": {"dvr-sync": f"{SYNC_S:.0f}s"}}, indexes={"xfs": str(index_disk.path)}, start=False))
        cuts = Cuts(fleet, disks, index_disk, seed)
        cuts.start()
        for i in range(rounds):
            cuts.cut()
            seen = fleet.witness.seen
            cuts.start()
            wait_for("what was left behind is repaired", lambda: not [s for a in fleet.archives.values() for s in a.read() if not s.info and older(s, seen)], timeout=10)
            cuts.check_footage(seen)
            if (i + 1) % 10 == 0:
                say(f"{i + 1} rounds, {sum(map(len, cuts.held.values()))} segments in the indexes")
        fleet.witness.look()
        assert fleet.server.stop() == 0
        fleet.check_whole(frames=False)
        for name, v in cuts.lost_s.items():
            say(f"{name}: {rounds} cuts, {len(cuts.held[name])} segments held; lost of a stream p50 {percentile(v, 50):.2f} s, most {max(v):.2f} s (at most {SYNC_S + FRAGMENT_S:.0f} s + {SLACK_S} s)")
        say(f"from the start of the server to all streams recording: p50 {percentile(cuts.start_s, 50):.2f} s, most {max(cuts.start_s):.2f} s")
        return cuts


def older(segment, seen):
    """Is it from before the cut?"""
    return segment.first_wall_us <= max(f.wall_us for frames in seen.values() for f in frames.values())


if __name__ == "__main__":
    main(run, 100)
