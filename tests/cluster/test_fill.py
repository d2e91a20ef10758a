"""Back-fill: a primary that was away gets what its backup recorded, byte for byte, whatever is killed meanwhile."""
import hashlib
import os
import signal
import time

import pytest

import mp4
from nodes import Cluster
from tools import wait_for

UID = "cam"


def hashes(node):
    """SHA-256 of every closed segment, by name."""
    return {name: hashlib.sha256(data).hexdigest() for name, (_, data) in contents(node).items()}


def contents(node):
    found = {p.name: (p, p.read_bytes()) for p in node.segments(UID)}
    return {name: (p, data) for name, (p, data) in found.items() if closed(data)}


def closed(data):
    """Has it its footer (archive/segbox.h)?"""
    box = data[-int.from_bytes(data[-4:], "big"):]
    return box[4:8] == b"uuid" and box[24:28] == b"MSS1"


def kill(node, name):
    pids = [pid for pid, n in node.family().items() if n == name]
    assert pids, node.family()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def pair():
    streams = {UID: {"primary-node": "1", "secondary-node": "2", "dvr-chunk": "10s"}}
    with Cluster(2, streams, server={"cluster-return": "2s"}) as c:
        c.start()
        c[1].sees(2, "active")
        c[2].sees(1, "active")
        c[1].wait_recording(UID)
        yield c


def away(pair, segments):
    """Node 1 loses its power until node 2 has closed so many; the names of what that had before."""
    before = set(hashes(pair[2]))
    pair[1].kill_all()
    pair[2].wait_recording(UID, timeout=15)
    wait_for("the backup has closed some", lambda: len(set(hashes(pair[2])) - before) >= segments, 30 + 20 * segments)
    return before


def span(path):
    f = mp4.footer(path)
    return f["start_us"] / 1e6, f["end_us"] / 1e6


def missed(pair, before):
    """Names of what node 2 closed behind `before` of times that node 1 did not record itself."""
    there, here = contents(pair[2]), contents(pair[1])
    own = sorted(span(p) for name, (p, _) in here.items() if name not in there)
    found = set()
    for name, (path, _) in there.items():
        at, end = span(path)
        for a, b in own:
            if a <= at + 1.5 and b > at:
                at = b
        if name not in before and end - at > 1.5:
            found.add(name)
    return found


def filled(pair, before):
    """All of that is on node 1, the same bytes."""
    names, there, here = missed(pair, before), hashes(pair[2]), hashes(pair[1])
    return names and all(here.get(n) == there[n] for n in names)


def test_what_a_killed_primary_missed(pair):
    before = away(pair, 1)
    pair[1].start()
    returned = time.monotonic()
    began = wait_for("it begins", lambda: pair[1].cluster()[2].get("filled", 0) or pair[1].cluster()[2].get("fill_left", 0), 20)
    assert began
    print(f"\nback-fill begins {time.monotonic() - returned:.1f} s after the return")
    wait_for("the backup gives it back", lambda: not pair[2].workers(), 40)
    wait_for("node 1 has it all", lambda: filled(pair, before), 60)
    wait_for("nothing is left", lambda: pair[1].cluster()[2].get("fill_left") == 0, 30)


def test_kill_in_the_middle(pair):
    """Courier and keeper of both nodes, while the rate is low: nothing is lost, nothing is half."""
    pair[1].sections["server"]["cluster-fill-rate"] = "1"
    pair[1].write_ini()
    before = away(pair, 1)
    pair[1].start()
    for node, name in ((1, "ms-courier"), (2, "ms-courier"), (1, "ms-keeper"), (2, "ms-keeper")):
        wait_for("it goes on", lambda: pair[1].cluster()[2].get("fill_left", 0), 30)
        time.sleep(0.3)
        kill(pair[node], name)
    pair[1].sections["server"]["cluster-fill-rate"] = "0"
    pair[1].write_ini()
    pair[1].reload()
    wait_for("the backup gives it back", lambda: not pair[2].workers(), 60)
    wait_for("node 1 has it all", lambda: filled(pair, before), 60)
    day = next(iter(pair[1].segments(UID))).parent
    assert not [p for p in day.iterdir() if p.suffix != ".mp4"]
    check = pair[1].msctl("archive", "check", "--sum")
    print(check)


def test_the_archives_join(pair):
    for node in pair.nodes.values():
        assert node.stop() == 0
    spans = pair.spans(UID)
    own = sorted((a, b) for a, b, n in spans if n == 1)
    at, longest = own[0][1], 0.0
    for start, end in own:
        longest = max(longest, start - at)
        at = max(at, end)
    print(f"longest gap on node 1: {longest:.1f} s")
    assert longest < 10, own
