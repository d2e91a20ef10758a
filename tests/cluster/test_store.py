"""Two nodes whose stream and node records, and keys of who holds what, are in an etcd-server beside them."""
import os
import re
import signal
import subprocess

import pytest

import etcd
from netns import CAMERAS
from nodes import Cluster
from tools import BUILD, wait_for

UID, NEW = "cam", "new"


class Site(Cluster):
    """The second camera's stream is in no file yet."""

    def __init__(self):
        self.etcd = None
        keys = {"primary-node": "1", "secondary-node": "2"}
        super().__init__(2, {UID: keys, NEW: keys}, server={"cluster-store": f"etcd://{CAMERAS}/media"})
        for node in self.nodes.values():
            node.remove_stream(NEW)
        self.etcd = etcd.Etcd(self.network.within(None), CAMERAS)

    def close(self):
        if self.etcd:
            self.etcd.close()
        super().close()

    def put(self, more="", url=None):
        text = f'[{NEW}]\nstream-url = "{url or self.camera.url("cam1")}"\nstream-tracks = video\nprimary-node = 1\nsecondary-node = 2\ndvr-enable = true\n{more}'
        self.etcd.put(f"/media/streams/{NEW}", text)


@pytest.fixture(scope="module")
def site():
    if not os.path.exists(etcd.PROGRAM):
        pytest.skip("no etcd-server here")
    with Site() as s:
        s.start()
        s[1].wait_recording(UID)
        yield s


def file_of(node):
    path = node.path / "streams" / f"{NEW}.ini"
    return path.read_text() if path.exists() else ""


def metrics(node):
    url = f"http://127.0.0.1:{node.module_port}/metrics"
    return subprocess.run([*node.network.within(node.number), "curl", "-s", url], capture_output=True, text=True, timeout=10).stdout.splitlines()


def store_of(node):
    return node.rows("cluster", "store")[0]


def everywhere(site, what, check, timeout=15):
    for node in site.nodes.values():
        wait_for(f"{what} on node {node.number}", lambda n=node: check(n), timeout)


def test_a_stream_comes_from_the_store(site):
    site.put()
    everywhere(site, "it is known", lambda n: NEW in n.streams())
    site[1].wait_recording(NEW)
    assert site[2].holds(NEW)["here"] is False


def test_who_holds_it_has_its_key(site):
    key = wait_for("node 1 has its key", lambda: site.etcd.get(f"/media/owners/{NEW}"), 15)
    assert re.fullmatch("1 [0-9a-f]{16}", key[0]), key
    wait_for("it knows", lambda: f"store-key term={key[1]}" in re.sub(r" uid=\S+", "", site[1].log()), 10)
    # with it, what is asked once is done
    site[1].msctl("archive", "lock", NEW, "2026-01-01T00:00:00Z", "2026-01-01T00:01:00Z", timeout=30)


def test_a_changed_one_is_taken_and_a_wrong_one_is_not(site):
    site.put("title = first\n")
    everywhere(site, "the change is there", lambda n: "first" in file_of(n))
    site.put("dvr-duration = nonsense\n")
    everywhere(site, "it is refused", lambda n: "record-refused" in n.log())
    assert all("first" in file_of(n) for n in site.nodes.values())
    assert site[1].records(NEW)


def test_what_is_refused_is_shown(site):
    row = store_of(site[1])
    assert row["state"] == "up" and row["refused"] == 1 and row["kept"] == 0 and row["streams"] == 1 and row["revision"] > 0, row
    wait_for("it holds the keys of both", lambda: store_of(site[1])["keys"] == 2, 15)
    assert 0 <= row["answered_ms"] < 60000 and row["at"].endswith(":2379") and re.fullmatch("[0-9a-f]{1,16}", row["cluster"]), row
    refused = site[2].rows("cluster", "refused")
    assert [r["uid"] for r in refused] == [NEW] and "dvr-duration" in refused[0]["why"], refused
    wait_for("metrics", lambda: {"ms_cluster_store_up 1", "ms_cluster_store_refused 1"} <= set(metrics(site[1])), 30)
    site.put("title = first\n")
    everywhere(site, "nothing is refused", lambda n: not n.rows("cluster", "refused"))


def test_what_is_changed_by_call_goes_there(site):
    site[2].msctl("stream", "set", NEW, "title=by-call")
    assert "by-call" in site.etcd.get(f"/media/streams/{NEW}")[0]
    assert "by-call" in file_of(site[2]), "it is answered when it is here"
    everywhere(site, "the change is there", lambda n: "by-call" in file_of(n))
    site[1].msctl("stream", "create", "made", f"stream-url={site.camera.url('cam1')}", "primary-node=1", "stream-enable=false")
    assert site.etcd.get("/media/streams/made") and "made" in site[1].streams()
    everywhere(site, "it is known", lambda n: "made" in n.streams())
    site[2].msctl("stream", "remove", "made")
    assert not site.etcd.get("/media/streams/made") and "made" not in site[2].streams()
    everywhere(site, "it has gone", lambda n: "made" not in n.streams())
    # one that has no record is the node's own
    site[1].msctl("stream", "set", UID, "title=local")
    assert not site.etcd.get(f"/media/streams/{UID}")


def test_a_transfer_changes_the_record(site):
    """And back: the order is that of the record, on both nodes."""
    def moved(first, other):
        site[1].msctl("transfer", NEW, f"{first},{other}", "keep")
        wait_for("it is done", lambda: [r["phase"] for r in site[1].rows("transfers", NEW)] == ["done"], 60)
        text = site.etcd.get(f"/media/streams/{NEW}")[0]
        assert re.search(rf"primary-node\s*=\s*{first}\b", text) and re.search(rf"secondary-node\s*=\s*{other}\b", text), text
        everywhere(site, "they go by it", lambda n: n.holds(NEW)["nodes"] == f"{first},{other}")

    moved(2, 1)
    moved(1, 2)


def test_of_two_changes_at_once_one_is_done(site):
    """The node's courier stands still while somebody else changes the record: its own change is of an older one."""
    node, words = site[1], ["stream", "set", NEW, "title=too-late"]
    asked = node.log().count("record-change")
    courier = next(pid for pid, name in node.family().items() if name == "ms-courier")
    os.kill(courier, signal.SIGSTOP)
    try:
        site.put("title = of-another\n")
        asks = subprocess.Popen([BUILD / "bin" / "msctl", "-s", node.path / "state" / "control.sock", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        wait_for("it is asked for", lambda: node.log().count("record-change") > asked, 10)
    finally:
        os.kill(courier, signal.SIGCONT)
    said = asks.communicate(timeout=30)[0]
    assert asks.returncode != 0 and "read it again" in said, said
    everywhere(site, "the other's is there", lambda n: "of-another" in file_of(n))
    assert "too-late" not in site.etcd.get(f"/media/streams/{NEW}")[0]
    site.put("title = first\n")
    everywhere(site, "the first again", lambda n: "first" in file_of(n))


def test_a_fleet_with_broken_ones(site, rounds):
    """All good ones are taken, each broken one is named once."""
    n = 1000 if rounds > 1 else 300
    text = "stream-url = rtsp://10.0.0.1/x\nprimary-node = 9\n"
    fleet = {f"f{i:04}": f"[f{i:04}]\n{text}{'dvr-duration = nonsense' if i % 10 < 3 else ''}\n" for i in range(n)}
    broken = sorted(u for u in fleet if int(u[1:]) % 10 < 3)
    site.etcd.put_all({f"/media/streams/{u}": t for u, t in fleet.items()})
    everywhere(site, "the good ones are known", lambda n: set(fleet) - set(broken) <= set(n.streams()), 120)
    everywhere(site, "the broken ones are refused", lambda n: [r["uid"] for r in n.rows("cluster", "refused")] == broken, 60)
    for node in site.nodes.values():
        named = re.findall(r"(f\d+) record-refused ", node.log())
        assert sorted(named) == broken
    site.etcd.delete_below("/media/streams/f")
    everywhere(site, "they have gone", lambda n: not set(n.streams()) & set(fleet) and not n.rows("cluster", "refused"), 120)


def test_nodes_come_from_the_store(site):
    site.etcd.put("/media/nodes/3", "10.213.1.3, 10.213.2.3")
    everywhere(site, "the third node is known", lambda n: 3 in n.cluster())
    site.etcd.put("/media/nodes/4", "no host")
    site.etcd.delete("/media/nodes/3")
    everywhere(site, "it is not any more", lambda n: 3 not in n.cluster())
    assert 4 not in site[1].cluster() and 2 in site[1].cluster()


def test_without_the_store_all_goes_on(site):
    site.etcd.kill()
    wait_for("the lease is over", lambda: store_of(site[1])["keys"] == 0, 15)
    done = site[1].msctl("archive", "lock", NEW, "2026-01-01T00:02:00Z", "2026-01-01T00:03:00Z", ok=False, timeout=30)
    assert done.returncode != 0, "nobody decides for all without the store"
    wait_for("it is seen", lambda: store_of(site[1])["state"] == "away", 15)
    done = site[1].msctl("stream", "set", NEW, "title=never", ok=False, timeout=30)
    assert done.returncode != 0 and "nothing was changed" in done.stdout + done.stderr, done
    assert "first" in file_of(site[1])
    assert site[1].records(NEW) and "store-lost" in site[1].log()
    site[1].stop()
    site[2].wait_recording(NEW, timeout=15)
    site[1].start()
    site[1].wait_recording(UID, NEW, timeout=20)
    assert "first" in file_of(site[1])


def test_it_comes_back(site):
    site.etcd.start()
    site.put("title = second\n")
    everywhere(site, "what is new there is here", lambda n: "second" in file_of(n), 30)
    wait_for("the key is had again", lambda: (site.etcd.get(f"/media/owners/{NEW}") or " ")[0][0] in "12", 30)
    site.etcd.delete(f"/media/streams/{NEW}")
    everywhere(site, "it has gone", lambda n: NEW not in n.streams())
    assert site[1].records(UID)


def test_another_etcd_takes_nothing_away(site):
    """Begun anew under the same address: another cluster, with another record alone."""
    site.put("title = second\n")
    site.etcd.put("/media/nodes/3", "10.213.1.3")
    everywhere(site, "all is there", lambda n: NEW in n.streams() and 3 in n.cluster())
    site.etcd.anew()
    site.etcd.put("/media/streams/other", "[other]\nstream-url = rtsp://10.0.0.1/x\nprimary-node = 9\n")
    everywhere(site, "it is read", lambda n: "store-other" in n.log() and "other" in n.streams(), 60)
    site[1].stop()
    site[1].start()
    for node in site.nodes.values():
        wait_for("it is read again", lambda n=node: store_of(n)["state"] == "up", 30)
        assert NEW in node.streams() and 3 in node.cluster() and store_of(node)["kept"] == 1
    site[1].msctl("stream", "remove", NEW)  # whoever wants it gone says so
    assert NEW not in site[1].streams()
