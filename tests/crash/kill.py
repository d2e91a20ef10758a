#!/usr/bin/python3
"""Random kill -9 of workers, keeper, httpd and connector while streams are recorded: kill.py [N=500] [SEED].

After each kill: the index still holds what it ever held, and has it on the disk; within LATE_S every frame that was in the ring of a dead
worker is in the archive; the next process is there. At the end of all: Fleet.check_whole."""
import collections
import os
import random
import signal
import time

import paths  # noqa: F401
import tools
from fleet import Fleet, main, percentile
from tools import wait_for

WEIGHTS = {"worker": 58, "keeper": 20, "httpd": 13, "connector": 3, "worker and keeper": 6}
PAUSE_S = (0.1, 1.1)  # between two kills
LATE_S = 15.0  # for the frames of a dead worker's ring
# master/throttle.h: five crashes in a minute are a quarantine, in which nothing is recorded.
CRASHES, WINDOW_S = 4, 62.0


class Killer:
    def __init__(self, fleet, seed):
        self.fleet, self.rng = fleet, random.Random(seed)
        self.kills = collections.Counter()
        self.killed_at = {u: [] for u in fleet.uids}
        self.waiting = []  # (deadline, uid, killed at, its frames)
        self.acknowledged = {}  # (uid, id) -> Info, ever seen in the index
        self.back_s, self.recorded_s = collections.defaultdict(list), []

    def _stream(self):
        """A stream whose worker may die without being quarantined, or None."""
        now = time.monotonic()
        rows = self.fleet.server.streams()
        for uid in self.rng.sample(self.fleet.uids, len(self.fleet.uids)):
            self.killed_at[uid] = [t for t in self.killed_at[uid] if now - t < WINDOW_S]
            if len(self.killed_at[uid]) < CRASHES and rows[uid]["pid"]:
                return uid, rows[uid]["pid"]
        return None

    def kill_worker(self):
        found = self._stream()
        if not found:
            return False
        uid, pid = found
        os.kill(pid, signal.SIGKILL)
        now = time.monotonic()
        self.fleet.witness.look()
        self.killed_at[uid].append(now)
        self.waiting.append((now + LATE_S * tools.SLOW, uid, now, dict(self.fleet.witness.seen[uid])))
        return lambda: (p := self.fleet.server.pid(uid)) and p != pid

    def kill_service(self, role):
        pid = self.fleet.server.status()[f"{role}_pid"]
        if not pid:
            return False
        os.kill(pid, signal.SIGKILL)
        return lambda: (p := self.fleet.server.status()[f"{role}_pid"]) and p != pid

    def kill(self):
        """One kill or a pair; returns how many it were."""
        what = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()))[0]
        began, returns = time.monotonic(), []
        for part in what.split(" and "):
            back = self.kill_worker() if part == "worker" else self.kill_service(part)
            if back:
                self.kills[part] += 1
                returns.append((part, back))
        for part, back in returns:
            wait_for(f"a new {part}", back, timeout=10)
            self.back_s[part].append(time.monotonic() - began)
        return len(returns)

    def check_index(self):
        index = self.fleet.archives["default"].index()
        lost = [f"{u} {n:x}" for u, n in self.acknowledged if (u, n) not in index]
        assert not lost, f"was in the index and is not any more: {lost}"
        self.fleet.archives["default"].check_index(index)
        self.acknowledged |= index

    def check(self):
        self.check_index()
        self.fleet.witness.look()
        waiting, self.waiting = self.waiting, []
        for deadline, uid, killed, frames in waiting:
            missing = self.fleet.missing({uid: frames})
            if not missing:
                self.recorded_s.append(time.monotonic() - killed)
                continue
            assert time.monotonic() < deadline, f"{len(missing[uid])} frames of {uid}'s ring are not recorded after {LATE_S} s: {missing[uid][:9]}"
            self.waiting.append((deadline, uid, killed, frames))

    def pause(self):
        until = time.monotonic() + self.rng.uniform(*PAUSE_S)
        wait_for("the next kill", lambda: time.monotonic() > until)


def run(n, seed, streams=8, say=print):
    say(f"{n} kills, SEED={seed}")
    with Fleet(streams) as fleet:
        fleet.server.expects_signals = True
        killer, done = Killer(fleet, seed), 0
        while done < n:
            killer.pause()
            before = done
            done += killer.kill()
            killer.check()
            if done // 50 > before // 50:
                say(f"{done} kills, {len(killer.acknowledged)} segments in the index")
        wait_for("the last frames are recorded", lambda: killer.check() or not killer.waiting, timeout=LATE_S * 2)
        fleet.server.wait_recording(*fleet.uids, timeout=20)
        wait_for("what the dead left is repaired and in the index", fleet.settled, timeout=30)
        fleet.witness.look()
        assert fleet.server.stop() == 0
        fleet.check_whole()
        killer.check_index()
        frames = sum(len(f) for f in fleet.witness.seen.values())
        say(f"done: {dict(killer.kills)}; {len(killer.acknowledged)} segments, 0 unreadable, 0 index entries lost; {frames} frames, 0 missing")
        say("back in (p50/p99 ms): " + ", ".join(f"{k} {percentile(v, 50) * 1e3:.0f}/{percentile(v, 99) * 1e3:.0f}" for k, v in killer.back_s.items()))
        say(f"the ring of a dead worker was seen in the archive after p50 {percentile(killer.recorded_s, 50):.2f} s, p99 {percentile(killer.recorded_s, 99):.2f} s")
        return killer


if __name__ == "__main__":
    main(run, 500)
