"""How long nobody records, when a node goes: the short form once, `make cluster-test ROUNDS=50` for the figures of docs/cluster.md."""
import signal
import time

import pytest

from figures import GOP_S, give_back, report
from nodes import Cluster

UID = "cam"
BEFORE_S = 3.0
pytestmark = pytest.mark.limit(7200)


@pytest.fixture(scope="module")
def pair():
    c = Cluster(2, {UID: {"primary-node": "1", "secondary-node": "2"}})
    with c:
        c.start()
        c[1].wait_recording(UID)
        give_back(c, UID)
        yield c


def gaps_at(c, times):
    """Around each time: the longest of which no node has anything, with what the first one had not yet written."""
    for node in c.nodes.values():
        assert node.stop() == 0
    found = [c.gap(UID, since - BEFORE_S, until) for since, until in times]
    c.start()
    c[1].wait_recording(UID)
    give_back(c, UID)
    return found


def test_deaths_and_cuts(pair, rounds):
    times = []
    for i in range(2 * rounds):
        at = time.time()
        if i % 2 == 0:
            pair[1].kill_all()
        else:
            pair.network.cut(1, 2)
            pair.network.cut_camera(1)
        pair[2].wait_recording(UID, timeout=30)
        if i % 2 == 0:
            pair[1].start()
        give_back(pair, UID)
        times.append((at, time.time()))
    report("killed or cut off", gaps_at(pair, times), 5 + GOP_S, rounds)


def test_masters_that_are_stopped(pair, rounds):
    times = []
    for _ in range(max(rounds // 5, 1)):
        at = time.time()
        pair[1].freeze()
        try:
            pair[2].wait_recording(UID, timeout=30)
        finally:
            pair[1].freeze(signal.SIGCONT)
        give_back(pair, UID)
        times.append((at, time.time()))
    report("stopped whole", gaps_at(pair, times), 6, rounds)
