"""What is said to a node by who may not, or not now: nothing changes, and one counted line a minute says so."""
import os
import subprocess
import sys
import textwrap
import time

import pytest

import tools
import wire
from nodes import KEY, Cluster
from tools import wait_for

UID = "cam"
PORT = 7445
REFUSE_US = 20  # of the master, for a datagram that changes nothing


@pytest.fixture(scope="module")
def pair():
    c = Cluster(2, {UID: {"primary-node": "1", "secondary-node": "2"}})
    with c:
        c.start()
        c[2].sees(1, "active")
        c[1].sees(2, "active")
        c[1].wait_recording(UID)
        yield c


def shout(cluster, n, datagrams):
    """Sends bytes to node 2's port from the namespace of node n."""
    code = textwrap.dedent("""
        import socket, sys
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for line in sys.stdin:
            s.sendto(bytes.fromhex(line.strip()), (sys.argv[1], int(sys.argv[2])))
    """)
    text = "".join(d.hex() + "\n" for d in datagrams)
    subprocess.run([*cluster.network.within(n), sys.executable, "-c", code, cluster.network.address(2), str(PORT)],
                   input=text, text=True, check=True, timeout=60)


def refused(node):
    """{why: how many} out of /metrics."""
    url = f"http://127.0.0.1:{node.module_port}/metrics"
    text = subprocess.run([*node.network.within(node.number), "curl", "-s", url], capture_output=True, text=True, timeout=10).stdout
    rows = [line for line in text.splitlines() if line.startswith("ms_cluster_refused_total{")]
    return {r.split('"')[1]: int(r.split()[-1]) for r in rows}


def capture(cluster, n, count, seconds=10):
    """Datagrams that reach node n's port, as they lie on the wire; the node goes on hearing them."""
    code = textwrap.dedent("""
        import socket, struct, sys, time
        s = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        s.settimeout(float(sys.argv[3]))
        found = 0
        while found < int(sys.argv[2]):
            p, at = s.recvfrom(2048)
            head = (p[0] & 15) * 4
            if p[9] == 17 and struct.unpack(">H", p[head + 2 : head + 4])[0] == int(sys.argv[1]) and at[2] == 0:
                print(p[head + 8 :].hex())
                found += 1
    """)
    p = subprocess.run([*cluster.network.within(n), sys.executable, "-c", code, str(PORT), str(count), str(seconds)],
                       capture_output=True, text=True, check=True, timeout=60)
    return [bytes.fromhex(line) for line in p.stdout.split()]


def nothing_changed(pair, before):
    now = pair[2].cluster()[1]
    assert now["state"] == "active" and now["flaps"] == before["flaps"], now
    assert not pair[2].workers() and pair[1].records(UID)
    assert pair[2].cluster()[2]["state"] == "active"


def test_what_is_no_heartbeat(pair):
    """R44 over the wire: noise, foreign keys, flipped bits, replays, too long, all from a node's own address."""
    before = pair[2].cluster()[1]
    good = capture(pair, 2, 20)
    assert all(len(d) <= 1200 and d[:4] == b"MSHB" for d in good)
    flipped = [d[:i] + bytes([d[i] ^ 0x10]) + d[i + 1 :] for d in good for i in range(4, len(d), 7)]
    noise = [os.urandom(n) for n in (0, 1, 31, 47, 48, 200, 1199, 1200)] + [b"MSHB" + os.urandom(n) for n in (0, 28, 44, 1196)]
    long = [d + bytes(1201 - len(d)) for d in good] + [os.urandom(1201), os.urandom(1400)]
    shout(pair, 1, flipped + noise + long + good * 5)
    seen = wait_for("they are counted", lambda: (r := refused(pair[2])) and r["replayed"] >= 60 and r["length"] >= 20 and r["forged"] >= 100 and r, 20)
    assert seen["key"] > 0 and seen["form"] > 0, seen
    nothing_changed(pair, before)
    lines = [line for line in pair[2].log().splitlines() if "heartbeat-refused" in line]
    assert len(lines) == 1, lines  # one a minute, whatever comes


FLOOD = """
import socket, sys, time
lines = [bytes.fromhex(line.strip()) for line in sys.stdin]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
for i in range(int(sys.argv[3])):
    s.send(lines[i % len(lines)])
"""


def test_a_flood(pair, rounds):
    """Bits flipped, what came before, another key, a start that proves nothing: a million of them change nothing, and cost little."""
    count = 10_000 if rounds == 1 else 1_000_000
    good = capture(pair, 2, 20)
    foreign, unproven = wire.Wire(KEY[::-1]), wire.Wire(KEY)
    kinds = [[d[:i] + bytes([d[i] ^ 1 << i % 8]) + d[i + 1 :] for d in good for i in range(4, len(d), 9)], good,
             [foreign.seal(1, 2, 5, k) for k in range(100)], [unproven.seal(1, 2, 77, k) for k in range(100)]]
    mixed = [kind[k % len(kind)] for k in range(max(map(len, kinds))) for kind in kinds]
    before, was, states = pair[2].cluster()[1], sum(refused(pair[2]).values()), pair[2].log().count("node-state")
    cpu, at = tools.cpu_seconds(pair[2].process.pid), time.monotonic()
    subprocess.run([*pair.network.within(1), sys.executable, "-c", FLOOD, pair.network.address(2), str(PORT), str(count)],
                   input="\n".join(d.hex() for d in mixed), text=True, check=True, timeout=600)
    took, cpu = time.monotonic() - at, tools.cpu_seconds(pair[2].process.pid) - cpu
    nothing_changed(pair, before)
    came = wait_for("they are counted", lambda: (n := sum(refused(pair[2]).values()) - was) > count // 10 and n, 20)
    print(f"\n{count} datagrams in {took:.1f} s: {came} read and refused, {cpu:.1f} s of CPU, {cpu / came * 1e6:.1f} us each")
    assert pair[2].log().count("node-state") == states, pair[2].log()
    assert cpu / came < REFUSE_US / 1e6 if rounds > 1 else True


def test_an_old_boot(pair):
    """What the node before its restart has said says nothing after it."""
    old = capture(pair, 2, 20)
    assert pair[1].stop() == 0
    pair[2].sees(1, "down")
    pair[2].wait_recording(UID)
    shout(pair, 1, old)
    time.sleep(0.5)  # nothing is to come of it: there is no state to wait for
    assert pair[2].cluster()[1]["state"] in ("down", "pending")
    pair[1].start()
    pair[2].sees(1, "active")
    wait_for("given back", lambda: not pair[2].workers(), 30)
    before = pair[2].cluster()[1]
    shout(pair, 1, old)
    wait_for("counted", lambda: refused(pair[2])["replayed"] >= 20, 20)
    nothing_changed(pair, before)


def test_another_key_without_a_missed_heartbeat(pair):
    """New one beside the old one, the two change places, the old one goes: on both nodes in turn."""
    other = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210"
    flaps = pair[2].cluster()[1]["flaps"]
    for keys in ({"cluster-key": KEY, "cluster-key-also": other}, {"cluster-key": other, "cluster-key-also": KEY}, {"cluster-key": other}):
        for node in pair.nodes.values():
            node.sections["server"].pop("cluster-key-also", None)
            node.sections["server"].update(keys)
            node.write_ini()
            node.reload()
            heard = pair[2].cluster()[1]["received"]
            wait_for("it is heard by that", lambda h=heard: pair[2].cluster()[1]["received"] >= h + 5, 10)
            wait_for("and hears", lambda: pair[1].cluster()[2]["heard_ms"] < 1000, 10)
    assert pair[2].cluster()[1]["flaps"] == flaps and not pair[2].workers()
    assert "node=1 from=active to=down" not in pair[2].log().split("reload")[-1]


def test_nodes_follow_a_reload(pair):
    pair[2].write_nodes([2])
    pair[2].reload()
    wait_for("it knows nobody", lambda: list(pair[2].cluster()) == [2], 5)
    pair[2].wait_recording(UID)
    pair[2].write_nodes([1, 2])
    pair[2].reload()
    pair[2].sees(1, "active")
    wait_for("given back", lambda: not pair[2].workers(), 30)


def test_two_servers_of_one_number():
    """The second of two says number 1 as well: both say so, and neither takes over."""
    c = Cluster(3, {UID: {"primary-node": "2", "secondary-node": "1"}})
    with c:
        twin = c[3]
        twin.sections["server"]["node-id"] = 1
        twin.write_ini()
        c.start(2, 1)
        c[2].wait_recording(UID)
        c[2].sees(1, "active")
        twin.start()
        c[2].sees(1, "invalid", timeout=20)
        for node in (c[1], twin):
            wait_for("it says so itself", lambda node=node: node.cluster()[1]["state"] == "invalid", 20)
        wait_for("node 2 says it in its log", lambda: "node-twice" in c[2].log(), 5)
        # nor is either of them asked for what is done once, or believed in it
        for node, why in ((c[1], "two servers have this node's number"), (twin, "two servers have this node's number"), (c[2], "1 of 3 nodes are reachable")):
            for words in (("archive", "lock", UID, "1600000000", "1600000010"), ("config", "push", UID)):
                no = node.msctl(*words, ok=False, timeout=25)
                assert no.returncode == 7 and why in no.stdout + no.stderr, (node.number, words, no)
        c[2].kill_all()
        for node in (c[1], twin):
            node.sees(2, "down")
            wait_for("it would, but for that", lambda node=node: "number is there twice" in node.stream(UID)["reason"], 15)
            assert not node.workers()
        assert twin.stop() == 0
        c[1].wait_recording(UID, timeout=30)  # alone again, it does
