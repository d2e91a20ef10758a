"""A stream moves to another node, with its archive: three nodes, and the one that leads it goes on the way."""
import time

import pytest

from nodes import Cluster
from tools import wait_for

UID = "cam"
FRAME_S = 0.04  # of the camera: a gap of less is none
pytestmark = pytest.mark.limit(1200)


@pytest.fixture(scope="module")
def three():
    c = Cluster(3, {UID: {"primary-node": "1", "secondary-node": "2", "dvr-chunk": "10s"}})
    with c:
        c.start()
        for node in c.nodes.values():
            for other in c.nodes:
                if other != node.number:
                    node.sees(other, "active")
        c[1].wait_recording(UID)
        yield c


def move(node):
    return {r["uid"]: r for r in node.rows("transfers")}[UID]


def text(node):
    return (node.path / "streams" / f"{UID}.ini").read_text()


def recorded_by(c, n, timeout=60):
    wait_for(f"node {n} alone records", lambda: [k for k in c.nodes if c[k].workers()] == [n], timeout)


def test_what_cannot_be_is_refused(three):
    for words in (("1,9",), ("2,2",), ("3", "burn"), ("nobody",)):
        refused = three[1].msctl("transfer", UID, *words, ok=False)
        assert refused.returncode == 2, (words, refused)
    assert three[1].msctl("transfer", "no-such", "2", ok=False).returncode == 4
    assert not three[1].rows("transfers")


def test_it_moves_with_its_archive(three):
    """Asked of a node that is neither; nothing goes before it is elsewhere, and who leads it may be gone for a while."""
    began = time.time()
    path = wait_for("a segment", lambda: sorted(three[1].segments(UID))[:-1], 60)[0]
    three[2].msctl("transfer", UID, "3,2", "free")
    assert move(three[2])["from"] == "1" and move(three[2])["to"] == "3,2"
    wait_for("its file has the order", lambda: all("primary-node = 3" in text(n) for n in three.nodes.values()), 30)
    recorded_by(three, 3)
    three[2].msctl("transfer", UID, "3,2", "free")  # again: it goes on
    wait_for("footage is fetched", lambda: move(three[2])["phase"] not in ("spread", "take"), 30)
    assert path.exists() or move(three[2])["phase"] != "fill"
    three[2].stop()
    three[2].start()
    wait_for("all of it is there", lambda: move(three[2])["phase"] == "done", 60)
    assert abs(move(three[2])["began_s"] - began) < 120
    wait_for("its files go", lambda: not three[1].segments(UID), 30)
    assert "secondary-node = 2" in text(three[1])
    three[3].wait_recording(UID)
    assert three[3].stop() == 0
    spans = three.spans(UID)
    gap = three.gap(UID, began, spans[-1][1])
    three[3].start()
    assert {n for _, _, n in spans} == {3} and spans[0][0] < began, (began, spans)
    assert gap < FRAME_S, (gap, spans)
