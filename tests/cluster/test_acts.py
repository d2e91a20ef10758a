"""Deletes and locks that people ask of a cluster, and streams' files: three nodes, done once and everywhere, whoever was asked and whoever was away."""
import json
import random
import signal
import subprocess
import sys
import time

import pytest

import history
import receiver
from netns import CAMERAS
from nodes import Cluster
from tools import wait_for

UID = "cam"
pytestmark = pytest.mark.limit(7200)
START, STEP = 1_600_000_000, 1000


HOOKS_PORT = 8099


@pytest.fixture(scope="module")
def three(tmp_path_factory):
    c = Cluster(3, {UID: {"primary-node": "1", "secondary-node": "2", "dvr-chunk": "10s"}},
                server={"cluster-controller": f"http://{CAMERAS}:{HOOKS_PORT}/"})
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
        assert not history.check(all_events(c))


def told(c, event):
    """Data of webhooks."""
    lines = c.told.read_text().splitlines() if c.told.exists() else []
    return [e["data"] for e in map(json.loads, lines) if e["event"] == event]


def all_events(c):
    return [e for n, node in c.nodes.items() for e in history.read(n, node.log())]


def lock(node, i, timeout=25):
    """Was it decided?"""
    done = node.msctl("archive", "lock", UID, str(START + i * STEP), str(START + i * STEP + 10), ok=False, timeout=timeout)
    return done.returncode == 0


def locks(node):
    return {r["id"] for r in node.rows("archive", "locks")}


def text(node):
    return (node.path / "streams" / f"{UID}.ini").read_text()


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


NEMESIS_S = 12.0


def one_fault(c, rng, frozen):
    what, n = rng.choice(("cut", "stop", "kill", "heal", "none")), rng.choice(list(c.nodes))
    if what == "cut":
        c.network.cut(n, rng.choice([k for k in c.nodes if k != n]), both=rng.random() < 0.7)
    elif what == "stop" and n not in frozen and c[n].process:
        c[n].freeze()
        frozen.add(n)
    elif what == "kill" and n not in frozen and c[n].process:
        c[n].kill_all()
    elif what == "heal":
        whole(c, frozen)


def whole(c, frozen):
    c.network.heal()
    for n in list(frozen):
        c[n].freeze(signal.SIGCONT)
        frozen.discard(n)
    for n, node in c.nodes.items():
        if not node.process:
            c.start(n)


def test_acts_under_faults(three, rounds):
    """`make cluster-test` asks for hundreds, one fault after the other; then all is the same everywhere, and the histories are in order."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"\nseed {seed}")
    rng, frozen, asked, done = random.Random(seed), set(), 0, 0
    for i in range(6 * rounds):
        if i % 3 == 0:
            one_fault(three, rng, frozen)
        able = [n for n, node in three.nodes.items() if node.process and n not in frozen]
        if not able:
            whole(three, frozen)
            continue
        asked += 1
        done += lock(three[rng.choice(able)], 10 + i)
        if i % 9 == 8:
            whole(three, frozen)
    whole(three, frozen)
    three[1].wait_recording(UID)
    same_locks(three, 120)
    events = all_events(three)
    print(f"{asked} acts asked, {done} done; {len(events)} lines of {len(three.nodes)} keepers")
    assert not history.check(events), three.log()
    assert done > 0
