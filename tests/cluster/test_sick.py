"""Nodes that are there and not well, and one whose clock is wrong."""
import subprocess
import sys
import time

import pytest

import tools
import wire
from figures import give_back, report
from frames import Frames
from nodes import KEY, Cluster
from tools import wait_for

UID = "cam"
PORT = 7445
SICK_S = 6.0  # that a node may be there and not well


def test_a_node_that_is_full():
    """The first backup may take one stream of two: the other one goes to the next."""
    order = {"primary-node": "1", "secondary-node": "2, 3"}
    c = Cluster(3, {"cam": order, "gate": order})
    with c:
        c[2].sections["server"]["cluster-max-streams"] = 1
        c[2].write_ini()
        c.start()
        c[1].wait_recording("cam", "gate")
        for n in (2, 3):
            c[n].sees(1, "active")
            wait_for("it is warm", lambda n=n: c[n].cluster()[n]["state"] == "active", 20)
        c[1].kill_all()
        wait_for("both are recorded", lambda: sorted(uid for n in (2, 3) for uid in ("cam", "gate") if c[n].records(uid)) == ["cam", "gate"], 30)
        assert len(c[2].workers()) == 1 and len(c[3].workers()) == 1
        assert c[3].cluster()[2]["flags"] == "full"


def test_a_disk_that_has_no_room(disk_image):
    """The first backup's disk is a small one whose footage is to stay for a month: the next takes over."""
    order = {"primary-node": "1", "secondary-node": "2, 3"}
    c = Cluster(3, {"cam": order, "own": {"primary-node": "2", "dvr-chunk": "10s", "dvr-duration": "30d"}})
    with c:
        c[2].sections["storages"]["default"] = str(disk_image(64))
        c[2].write_ini()
        c.start()
        c[1].wait_recording("cam")
        c[2].wait_recording("own")
        for n in (2, 3):
            c[n].sees(1, "active")
            wait_for("it is warm", lambda n=n: c[n].cluster()[n]["state"] == "active", 20)
        wait_for("it knows what is to stay", lambda: c[2].rows("storage", "list")[0].get("spare") == 0, 40)
        c[1].kill_all()
        c[3].wait_recording("cam", timeout=30)
        assert not c[2].records("cam")
        c[3].kill_all()
        c[2].wait_recording("cam", timeout=30)  # nobody else is left: recording goes before what is to stay


def test_a_machine_that_is_not_there():
    """What is sent to it waits in the kernel for its address, and may not take the room of what goes to the others."""
    streams = {f"cam{i}": {"primary-node": "3", "secondary-node": "1, 2"} for i in range(600)}
    c = Cluster(2, streams, server={"cluster-warming-up": "1h"}, camera={"streams": 1})
    with c:
        for node in c.nodes.values():
            node.write_nodes([1, 2, 3])
        c.start()
        c[2].sees(1, "warming")
        sent, received = c[1].cluster()[2]["sent"], c[2].cluster()[1]["received"]
        wait_for("much is sent", lambda: c[1].cluster()[2]["sent"] > sent + 400, 60)
        sent, received = c[1].cluster()[2]["sent"] - sent, c[2].cluster()[1]["received"] - received
        assert received > 0.9 * sent, (sent, received)


@pytest.fixture
def disks(disk_image):
    """(a file system, and one whose device is a file in it): who freezes the first makes the other's device hang, behind a page cache that takes all."""
    outer = disk_image(300)
    inner, image = outer.parent / "inner", outer / "image"
    tools.run("truncate", "-s", "200M", image)
    tools.run("mkfs.ext4", "-q", "-m", "0", image)
    inner.mkdir()
    if subprocess.run(["mount", "-o", "loop", image, inner], capture_output=True, check=False).returncode != 0:
        pytest.skip("cannot mount a disk on a disk")
    inner.chmod(0o755)
    yield outer, inner
    for folder in (inner, outer):  # namespaces of other tests may have them yet
        tools.run("umount", "-l", folder)


def froze(folder, how):
    return subprocess.run(["fsfreeze", how, folder], capture_output=True, check=False).returncode == 0


def stall(c, folder):
    """Until the other one records, and back; when it was, and when all was as before."""
    at = time.time()
    if not froze(folder, "-f"):
        pytest.skip("no fsfreeze here")
    try:
        c[2].wait_recording(UID, timeout=20)
        assert c[2].cluster()[1]["state"] == "active"
    finally:
        assert froze(folder, "-u")
    give_back(c, UID)
    return at, time.time()


@pytest.mark.limit(3600)
def test_a_disk_that_stalls(disks, rounds):
    """The process is well, the sockets are open, the file system takes nothing, or its device finishes nothing: another one records, also for good; what
    waited in memory meanwhile is written later."""
    c, times = Cluster(2, {UID: {"primary-node": "1", "secondary-node": "2"}}, camera={"start": "key"}), {}
    with c:
        c[1].sections["storages"]["default"] = str(disks[1])
        c[1].sections["dvr"]["dvr-sync"] = "5s"
        c[1].write_ini()
        frames = Frames(c, {UID: "cam0"})
        c.start()
        c[1].wait_recording(UID)
        give_back(c, UID)
        for _ in range(max(rounds // 2, 1)):
            for what, folder in zip(("device", "file system"), disks):
                times.setdefault(what, []).append(stall(c, folder))
        for node in c.nodes.values():
            assert node.stop() == 0
        frames.read()
        for what, spans in times.items():
            report(f"{what} stalled, until another records", [frames.begins(UID, at, 2) for at, _ in spans], SICK_S, rounds, SICK_S)
            report("of which nobody has anything, now that it goes on", [frames.gap(UID, at, until) for at, until in spans], SICK_S, rounds, SICK_S)
        c.start()


def test_a_clock_that_differs():
    """Node 1 is no code of ours (wire.py), and an hour ahead: shown, said, and nothing else comes of it."""
    c = Cluster(2, {UID: {"primary-node": "2", "secondary-node": "1"}})
    with c:
        c.start(2)
        other = subprocess.Popen([*c.network.within(1), sys.executable, wire.__file__, KEY, c.network.address(2), str(PORT)])
        try:
            ahead = wait_for("it is heard and seen", lambda: c[2].cluster()[1].get("clock_ms"), 20)
            assert 3_590_000 < ahead < 3_610_000
            c[2].sees(1, "active")
            wait_for("and said", lambda: "clock-differs node=1" in c[2].log(), 5)
        finally:
            assert other.wait(30) == 0
        c[2].wait_recording(UID)
