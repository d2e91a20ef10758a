"""Nodes that are there and not well, one whose clock is wrong, and a camera that makes it difficult."""
import subprocess
import sys
import time

import pytest

import tools
import wire
from nodes import KEY, Cluster
from tools import wait_for

UID = "cam"
PORT = 7445


def test_a_camera_with_one_session():
    """The first one is refused as long as the backup holds the camera's only session: it steps aside."""
    c = Cluster(2, {UID: {"primary-node": "1", "secondary-node": "2"}}, camera={"max_sessions": 1})
    with c:
        c.start()
        c[1].wait_recording(UID)
        c[2].sees(1, "active")
        c[1].kill_all()
        c[2].wait_recording(UID, timeout=30)
        c[1].start()
        wait_for("it has it back", lambda: c[1].records(UID) and not c[2].workers(), 60)


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


def test_a_disk_that_stalls(disk_image):
    """The process is well, the sockets are open, the disk takes nothing: another one records."""
    c = Cluster(2, {UID: {"primary-node": "1", "secondary-node": "2"}})
    folder = disk_image(64)
    with c:
        c[1].sections["storages"]["default"] = str(folder)
        c[1].write_ini()
        c.start()
        c[1].wait_recording(UID)
        c[2].sees(1, "active")
        if subprocess.run(["fsfreeze", "-f", folder], capture_output=True, check=False).returncode != 0:
            pytest.skip("no fsfreeze here")
        at = time.monotonic()
        try:
            c[2].wait_recording(UID, timeout=15)
            print(f"recorded by the backup after {time.monotonic() - at:.1f} s")
            assert c[2].cluster()[1]["state"] == "active"
        finally:
            tools.run("fsfreeze", "-u", folder)
        wait_for("it has it back", lambda: c[1].records(UID) and not c[2].workers(), 60)


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
