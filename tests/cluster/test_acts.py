"""Deletes and locks that people ask of a cluster, and streams' files: three nodes, done once and everywhere, whoever was asked and whoever was away."""
import collections
import json
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

import history
import receiver
from netns import CAMERAS
from nodes import Cluster
from tools import wait_for

UID, ROAM = "cam", "roam"  # ROAM: its owner changes
pytestmark = pytest.mark.limit(7200)
START, STEP = 1_600_000_000, 1000


HOOKS_PORT = 8099


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    keys = {"primary-node": "1", "secondary-node": "2", "dvr-chunk": "10s"}
    c = Cluster(3, {UID: keys, ROAM: keys}, server={"cluster-controller": f"http://{CAMERAS}:{HOOKS_PORT}/"}, clocks=True)
    c.told = tmp_path_factory.mktemp("hooks") / "events"
    hooks = subprocess.Popen([*c.network.within(None), sys.executable, receiver.__file__, CAMERAS, str(HOOKS_PORT), str(c.told)])
    c.on_close = [hooks.kill, hooks.wait]
    with c:
        c.start()
        for node in c.nodes.values():
            for other in c.nodes:
                if other != node.number:
                    node.sees(other, "active")
        c[1].wait_recording(UID)
        # a node that has just started promises nothing for ten seconds
        wait_for("an act is decided", lambda: lock(c[1], 0), 40)
        yield c
        assert not wrong_in(c)


def told(c, event):
    """Data of webhooks."""
    lines = c.told.read_text().splitlines() if c.told.exists() else []
    return [e["data"] for e in map(json.loads, lines) if e["event"] == event and e["data"].get("uid") == UID]


def all_events(c):
    return [e for n, node in c.nodes.items() for e in history.read(n, node.log())]


def wrong_in(c):
    """Of the histories of all nodes."""
    return history.check(all_events(c)) + history.check_versions([v for n, node in c.nodes.items() for v in history.versions(n, node.log())])


def lock(node, i, timeout=25):
    """Was it decided?"""
    done = node.msctl("archive", "lock", UID, str(START + i * STEP), str(START + i * STEP + 10), ok=False, timeout=timeout)
    return done.returncode == 0


def locks(node):
    return {r["id"] for r in node.rows("archive", "locks")}


def text(node, uid=UID):
    return (node.path / "streams" / f"{uid}.ini").read_text()


def same_locks(c, timeout=40):
    wait_for("the same locks everywhere", lambda: len({frozenset(locks(n)) for n in c.nodes.values()}) == 1, timeout)
    return locks(c[1])


def test_asked_anywhere_done_everywhere(three):
    before = same_locks(three)
    assert lock(three[3], 1)
    after = same_locks(three)
    new = after - before
    assert len(new) == 1
    three[2].msctl("archive", "unlock", UID, new.pop(), timeout=25)
    assert same_locks(three) == before
    assert not three[1].rows("cluster", "acts")


def test_footage_goes_everywhere(three):
    path = wait_for("a closed segment", lambda: sorted(three[1].segments(UID))[:-1], 60)
    start = int(path[0].stat().st_mtime) - 60
    rows = three[2].msctl("--json", "archive", "delete", UID, str(start), str(int(time.time()) + 60), timeout=25)
    assert rows.returncode == 0
    wait_for("the file goes", lambda: not path[0].exists(), 30)


def test_who_is_cut_off_may_not(three):
    """Alone, the holder records on and decides nothing; the two others do, and it gets to know."""
    for other in (2, 3):
        three.network.cut(1, other)
    three[1].sees(2, "down")
    refused = three[1].msctl("archive", "lock", UID, str(START), str(START + 5), ok=False, timeout=25)
    assert refused.returncode == 7 and "1 of 3 nodes are reachable" in refused.stderr + refused.stdout
    three[2].wait_recording(UID)
    wait_for("the others decide", lambda: lock(three[3], 2), 40)
    wait_for("only who is away waits", lambda: {r["node"] for r in three[2].rows("cluster", "acts")} == {1}, 20)
    three.network.heal()
    three[2].sees(1, "active", "warming")
    same_locks(three)
    wait_for("nothing waits", lambda: not three[2].rows("cluster", "acts"), 40)
    taken = wait_for("webhooks have told who took it", lambda: told(three, "server:capture"), 30)[0]
    assert (taken["uid"], taken["from"]) == (UID, "1") and int(taken["waited_ms"]) >= 0
    given = wait_for("and who gave it back", lambda: told(three, "server:release"), 60)[0]
    assert (given["uid"], given["to"]) == (UID, "1") and int(given["held_s"]) > 0


def test_files_are_pushed(three):
    three[3].msctl("stream", "set", UID, "stream-name=pushed")
    rows = three[3].rows("config", "push", UID)
    assert {r["node"]: (r["has"], r["files"]) for r in rows} == {1: (1, 1), 2: (1, 1)}
    for node in three.nodes.values():
        assert "pushed" in text(node)
    three[2].kill_all()
    three[1].sees(2, "down")
    three[1].msctl("stream", "set", UID, "stream-name=later")
    assert {r["node"]: r["has"] for r in three[1].rows("config", "push", UID)} == {2: 0, 3: 1}
    three[2].start()
    wait_for("it catches up", lambda: "later" in text(three[2]), 40)


def pushed_by(node, uid, answers):
    answers[node.number] = node.msctl("config", "push", uid, ok=False, timeout=25)


def last_version(c, uid):
    return max((v for n, node in c.nodes.items() for v in history.versions(n, node.log()) if v.uid == uid), key=lambda v: v.stamp)


def test_two_pushes_at_once(three):
    """Two nodes that do not hear each other, and both have the third: one order, and who has lost is told. Then one is alone: nobody takes what it pushes, then
    or later."""
    three.network.cut(1, 2)
    three[1].sees(2, "unavailable", "down")
    answers = {}
    for n in (1, 2):
        three[n].msctl("stream", "set", UID, f"stream-name=of node {n}")
    threads = [threading.Thread(target=pushed_by, args=(three[n], UID, answers)) for n in (1, 2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    won = [n for n, a in answers.items() if a.returncode == 0]
    assert won and all(a.returncode in (0, 7) for a in answers.values()), answers
    winner = last_version(three, UID).stamp[1]
    assert winner in won
    wait_for("the third has the last", lambda: f"of node {winner}" in text(three[3]), 20)
    three.network.cut(1, 3)
    three[1].sees(2, "down")
    three[1].sees(3, "down")
    three[1].msctl("stream", "set", UID, "stream-name=nobody's")
    refused = three[1].msctl("config", "push", UID, ok=False, timeout=25)
    assert refused.returncode == 7 and "more than half" in refused.stdout + refused.stderr
    three[3].msctl("stream", "set", UID, "stream-name=of two")
    three[3].msctl("config", "push", UID, timeout=25)
    three.network.heal()
    wait_for("that is everywhere", lambda: all("of two" in text(n) for n in three.nodes.values()), 40)
    assert not wrong_in(three)


def test_a_broken_file_in_a_push(three):
    """Each node keeps its last good one, and says why; the next good one is taken."""
    good, path = text(three[1]), three[1].path / "streams" / f"{UID}.ini"
    path.write_text(good + "dvr-chunk = as long as it takes\n")
    rows = {r["node"]: r for r in three[1].rows("config", "push", UID)}
    assert all(r.get("refuses") == UID and "dvr-chunk" in r["why"] for r in rows.values()) and set(rows) == {2, 3}, rows
    assert all(text(three[n]) == good for n in (2, 3))
    three[1].wait_recording(UID)  # nor does it stop anything where it lies
    version = {r["uid"]: r for r in three[1].rows("cluster", "files")}[UID]
    assert version["why"] and not version["has"], version
    path.write_text(good.replace("dvr-chunk", "stream-name = mended\ndvr-chunk"))
    rows = {r["node"]: r["has"] for r in three[1].rows("config", "push", UID)}
    assert rows == {2: 1, 3: 1}
    assert all("mended" in text(n) for n in three.nodes.values())


def test_the_checker_sees_what_it_should():
    """A history that never was: each thing that it is there for is found in it."""
    line = "{:.0f} info cam act what={} storage=a id={:016x} term={} node={} boot={:016x} mono_us={}"
    good = [history.read(n, line.format(0, what, act, term, by, 7, at)) for n, what, act, term, by, at in (
        (1, "promised", 1, 5, 1, 1), (1, "done", 1, 5, 1, 2), (2, "done", 1, 5, 1, 3), (2, "done", 2, 6, 2, 4), (1, "done", 2, 6, 2, 5), (1, "older", 3, 5, 2, 6))]
    good = [e for events in good for e in events]
    assert len(good) == 6 and {e.uid for e in good} == {"cam"} and not history.check(good)
    for planted, words in (((2, "done", 9, 5, 1, 9), "older than"), ((1, "done", 1, 8, 1, 9), "done twice"), ((3, "done", 4, 4, 3, 9), "decided behind")):
        n, what, act, term, by, at = planted
        assert any(words in w for w in history.check([*good, *history.read(n, line.format(0, what, act, term, by, 7, at))])), planted
    line = "{:.0f} note cam file-{} term={} node={} boot={:016x}{} mono_us={}"
    base = " base={}".format
    good = [history.versions(n, line.format(0, what, term, by, 7, base(b) if what == "pushed" else "", at)) for n, what, term, by, b, at in (
        (1, "pushed", 5, 1, 0, 1), (2, "taken", 5, 1, 0, 2), (2, "pushed", 7, 2, 0, 3), (1, "taken", 7, 2, 0, 4), (1, "pushed", 9, 1, 7, 5), (1, "pushed", 9, 1, 7, 6))]
    good = [v for found in good for v in found]
    assert len(good) == 6 and not history.check_versions(good)
    late = history.ROUND_US + 10
    for (n, what, term, by, b, at), words in (((1, "taken", 8, 2, 0, 9), "older than"), ((3, "pushed", 6, 3, 0, late), "decided behind"), ((3, "pushed", 10, 3, 5, 9), "undoes")):
        planted = history.versions(n, line.format(0, what, term, by, 7, base(b) if what == "pushed" else "", at))
        assert any(words in w for w in history.check_versions([*good, *planted])), words


class Storm:
    """People who ask for acts of every nodes, several at a time, while things happen to the nodes."""

    ASKERS = 3
    KINDS = ("lock",) * 5 + ("delete",) * 3 + ("unlock", "push", "move", "move", "drain")
    FAULTS = ("cut", "cut", "clock", "clock", "stop", "kill", "none")

    def __init__(self, c, seed, n, long):
        self.c, self.seed, self.n, self.long = c, seed, n, long
        self.rng, self.frozen, self.drained = random.Random(seed), set(), set()
        self.asked, self.done, self.faults = collections.Counter(), collections.Counter(), collections.Counter()
        self.lock, self.errors = threading.Lock(), []

    # --- acts ---

    def command(self, kind, node, rng, i):
        now = int(time.time())
        if kind == "lock":
            return "archive", "lock", UID, str(START + i * STEP), str(START + i * STEP + 10)
        if kind == "delete":  # what was just recorded, and what was locked long ago
            since = now - rng.randrange(20, 90)
            return "archive", "delete", UID, str(since), str(since + rng.randrange(1, 20))
        if kind == "unlock":
            there = sorted(locks(node))
            return ("archive", "unlock", UID, rng.choice(there)) if there else None
        if kind == "push":
            return "config", "push", UID
        if kind == "drain":
            return ("drain",) if rng.random() < 0.5 else ("drain", "off")
        order = rng.sample(sorted(self.c.nodes), 2)
        return "transfer", ROAM, f"{order[0]},{order[1]}", rng.choice(("keep", "free"))

    def ask(self, rng, i):
        kind, node = rng.choice(self.KINDS), self.c[rng.choice(sorted(self.c.nodes))]
        if kind == "drain" and not self.long:
            kind = "move"
        try:
            words = self.command(kind, node, rng, i)
            code = node.msctl(*words, ok=False, timeout=40).returncode if words else 1
        except (subprocess.TimeoutExpired, AssertionError, KeyError, ValueError):
            code = 1  # of a node that is stopped or gone
        with self.lock:
            self.asked[kind] += 1
            self.done[kind] += code == 0

    def asker(self, k):
        rng = random.Random(self.seed * 10 + k)
        try:
            for i in range(k, self.n, self.ASKERS):
                self.ask(rng, 10 + i)
        except Exception as e:  # a thread's failure is the test's
            self.errors.append(e)

    # --- faults ---

    def stop(self, n):
        self.c[n].freeze()
        self.frozen.add(n)

    def one_fault(self):
        what, n = self.rng.choice(self.FAULTS), self.rng.choice(sorted(self.c.nodes))
        well = n not in self.frozen and self.c[n].process
        if what == "cut":
            self.c.network.cut(n, self.rng.choice([k for k in self.c.nodes if k != n]), both=self.rng.random() < 0.7)
        elif what == "clock" and self.c[n].clock:
            self.c[n].clock.set(self.rng.choice((-3600, -60, -5, 5, 60, 3600)))
        elif what == "stop" and well:
            self.stop(n)
        elif what == "kill" and well and self.long:
            self.c[n].kill_all()
        else:
            return
        self.faults[what] += 1

    def whole(self):
        self.c.network.heal()
        for n in list(self.frozen):
            self.c[n].freeze(signal.SIGCONT)
            self.frozen.discard(n)
        for n, node in self.c.nodes.items():
            if node.clock:
                node.clock.set(0)
            if not node.process:
                self.c.start(n)

    def nemesis(self, threads):
        """The stops of the long form outlast the promises (ACT_LEASE_US), so that what goes on behind them is late."""
        i = 0
        while alive := [t for t in threads if t.is_alive()]:
            i += 1
            self.one_fault()
            alive[0].join(1.5 if not self.long else 13 if self.frozen else 3)
            if i % 4 == 0 or len(self.frozen) > 1:
                self.whole()
                alive[0].join(1.0)

    def run(self):
        threads = [threading.Thread(target=self.asker, args=(k,), daemon=True) for k in range(self.ASKERS)]
        for t in threads:
            t.start()
        try:
            self.nemesis(threads)
        finally:
            self.whole()
        for t in threads:
            t.join()
        assert not self.errors, self.errors


def moves_over(c):
    return all(r["phase"] in ("done", "failed") for node in c.nodes.values() for r in node.rows("transfers"))


def test_acts_under_faults(three, rounds):
    """30 acts; `make cluster-test` asks for hundreds and has longer faults: then all is the same everywhere, and the histories are in order."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"\nseed {seed}")
    storm = Storm(three, seed, 30 if rounds == 1 else 12 * rounds, rounds > 1)
    storm.run()
    for node in three.nodes.values():
        node.msctl("drain", "off", ok=False)
    three[1].wait_recording(UID, timeout=60)
    wait_for("nothing waits", lambda: not any(node.rows("cluster", "acts") for node in three.nodes.values()), 120)
    same_locks(three, 120)
    wait_for("one order is everywhere", lambda: len({text(n, ROAM) for n in three.nodes.values()}) == 1, 60)
    if rounds > 1:
        wait_for("every transfer has come to an end", lambda: moves_over(three), 300)
    print(f"{sum(storm.asked.values())} acts asked {dict(storm.asked)}, done {dict(storm.done)}; faults {dict(storm.faults)}; {len(all_events(three))} lines of keepers")
    wrong = wrong_in(three)
    assert not wrong, [wrong[:5], three.log()]
    assert storm.done["lock"] > 0 and storm.done["delete"] + storm.done["move"] > 0, storm.done
