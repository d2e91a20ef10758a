"""A stream moves to another node, with its archive: three nodes, and the one that leads it goes on the way; by msctl, by both APIs, by the panel."""
import json
import time

import pytest

import chromium
import tools
from frames import STOPS_S, Frames
from nodes import Cluster
from panel import EXPECTED
from tools import wait_for

UID = "cam"
PASSWORD = "a-root-password"
pytestmark = pytest.mark.limit(1200)


@pytest.fixture(scope="module")
def three():
    c = Cluster(3, {UID: {"primary-node": "1", "secondary-node": "2", "dvr-chunk": "10s"}}, camera={"start": "key"})
    with c:
        c.frames = Frames(c, {UID: "cam0"})
        for node in c.nodes.values():
            node.sections["server/module/users"] = {"root": f"root:{PASSWORD}"}
            node.sections["server/stream"]["auth-secret"] = '"a secret of this test"'
            node.write_ini()
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
    until = time.time() - STOPS_S
    assert three[3].stop() == 0
    frames = three.frames.read()
    three[3].start()
    last = frames.at(UID, until)
    assert all(3 in by for k, by in frames.have[UID].items() if k < last)  # the second of its order may have recorded a moment too
    assert frames.gap(UID, began, until) == 0, three.spans(UID)


def call(node, path, method="GET", body=None, token=""):
    """(status, answer) of the node's API, asked on its machine."""
    words = ["curl", "-s", "--max-time", "15", "-X", method, "-w", "\n%{http_code}", "-H", f"Authorization: {token}", "-H", "Content-Type: application/json"]
    if body is not None:
        words += ["-d", json.dumps(body)]
    text, _, status = tools.run(*node.network.within(node.number), *words, f"http://127.0.0.1:{node.module_port}/api/{path}", timeout=30).stdout.rpartition("\n")
    return int(status), json.loads(text)


def test_it_moves_by_http(three):
    """By the first generation's call, to a node that is away: what it waits for is seen, the same order is taken again, another refused; it goes on by itself. The old node's copies stay."""
    node = three[2]
    token = wait_for("the API answers", lambda: (a := call(node, "auth/token/api/", "POST", {"client": "test", "duration": 600}))[0] == 200 and a[1])
    move_by = {"stream_config": {}, "current_primary": "3", "current_secondary": ["2"], "target_primary": "1", "target_secondary": ["2"], "is_save_current": True}
    assert call(node, f"streams/{UID}/transfer/", "POST", move_by | {"target_primary": "9"}, token)[0] == 400
    assert call(node, "streams/no-such/transfer/", "POST", move_by, token)[0] == 404
    assert call(node, f"streams/{UID}/transfer/", "POST", move_by)[0] == 403
    wait_for("node 3 may agree", lambda: (n := node.cluster()[3])["state"] == "active" and n["channel"], 30)
    three[1].stop()
    node.sees(1, "down", "unavailable", timeout=30)
    assert call(node, f"streams/{UID}/transfer/", "POST", move_by, token) == (200, {"uid": UID})
    now = wait_for("it waits for node 1", lambda: (a := call(node, f"v3/streams/{UID}/transfer", token=token))[0] == 200 and "node 1" in a[1]["text"] and a[1])
    assert (now["phase"], now["from"], now["to"], now["keep"]) == ("spread", [3], [1, 2], True) and now["by"]
    assert call(node, f"streams/{UID}/transfer/", "POST", move_by, token) == (200, {"uid": UID})
    status, other = call(node, f"v3/streams/{UID}/transfer", "POST", {"primary": "2"}, token)
    assert status == 409 and "on its way" in other["detail"]
    three[1].start()
    wait_for("it is there", lambda: call(node, f"v3/streams/{UID}/transfer", token=token)[1]["phase"] == "done", 60)
    recorded_by(three, 1)
    assert three[3].segments(UID) and [m["uid"] for m in call(node, "v3/cluster/transfers", token=token)[1]["items"]] == [UID]


def test_a_token_that_is_taken_back_counts_nowhere(three):
    """On the other nodes at once, on one that was away when it is back."""
    token = call(three[1], "auth/token/api/", "POST", {"client": "away", "duration": 600})[1]
    assert [call(node, "v3/cluster", token=token)[0] for node in three.nodes.values()] == [200] * 3
    three[3].stop()
    three[1].msctl("token", "revoke", f"token={token}")
    wait_for("node 2 knows", lambda: call(three[2], "v3/cluster", token=token)[0] == 401, 10)
    three[3].start()
    wait_for("node 3 learns it", lambda: call(three[3], "v3/cluster", token=token)[0] == 401, 30)
    assert {r["kind"] for r in three[3].rows("token", "revoked")} == {"token"}


@pytest.mark.skipif(not chromium.usable(), reason="no chromium, node or playwright-core")
def test_it_moves_by_the_panel(three):
    """From the camera's page: the node is chosen, every step is seen, and the way back is offered."""
    driver = chromium.Driver(three.network.within(1))
    done = {"text": "dialog .pill", "has": "Done", "ms": 60000}
    try:
        got = chromium.browse(
            f"http://127.0.0.1:{three[1].module_port}/cpanel/camera/{UID}", {"fill": ["input[name=user]", "root"]}, {"fill": ["input[name=password]", PASSWORD]}, {"press": "Enter"},
            {"click": ".camera-head >> text=Move to another node", "ms": 20000}, {"count": "dialog input[name=primary]", "is": 3}, {"eval": "document.querySelector('input[name=primary]:checked').value"},
            {"click": "dialog [aria-label='Node 3 records']"}, {"click": "dialog footer .primary"}, {"text": "dialog", "has": "The new node fetches the archive"}, done, {"eval": "document.querySelectorAll('.move-steps [data-done=true]').length"},
            {"click": "dialog >> text=Move it back"}, {"count": "dialog input[name=primary]:checked", "is": 1}, {"eval": "[...document.querySelectorAll('dialog :checked')].map((e) => e.value)"}, {"visit": "/cpanel/server/cluster"}, {"count": "tr:has-text('cam'):has-text('Done')", "is": 1},
            via=driver, timeout=150, expected=EXPECTED,
        )
    finally:
        driver.close()
    assert got[5] == "1" and got[10] == 5 and got[13] == ["1", "2", "keep"]
    recorded_by(three, 3)
