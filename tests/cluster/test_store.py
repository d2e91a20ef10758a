"""Two nodes whose stream and node records, and keys of who holds what, are in an etcd-server beside them."""
import os
import re

import pytest

import etcd
from netns import CAMERAS
from nodes import Cluster
from tools import wait_for

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


def test_nodes_come_from_the_store(site):
    site.etcd.put("/media/nodes/3", "10.213.1.3, 10.213.2.3")
    everywhere(site, "the third node is known", lambda n: 3 in n.cluster())
    site.etcd.put("/media/nodes/4", "no host")
    site.etcd.delete("/media/nodes/3")
    everywhere(site, "it is not any more", lambda n: 3 not in n.cluster())
    assert 4 not in site[1].cluster() and 2 in site[1].cluster()


def test_without_the_store_all_goes_on(site):
    site.etcd.kill()
    wait_for("the lease is over", lambda: "store-key-lost" in site[1].log(), 15)
    done = site[1].msctl("archive", "lock", NEW, "2026-01-01T00:02:00Z", "2026-01-01T00:03:00Z", ok=False, timeout=30)
    assert done.returncode != 0, "nobody decides for all without the store"
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
