"""Servers of one cluster, each in its network namespace; the camera in another."""
import os
import signal

import clock
import mp4
import tools
from camera import Camera
from netns import CAMERAS, Network
from server import MediaServer
from tools import wait_for

KEY = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"


class Node(MediaServer):
    def __init__(self, number, network, others, streams, server=None, clocks=False):
        self.number, self.network = number, network
        sections = {
            "server": {"node-id": number, "node-host": f"h{number}", "cluster-enable": "true", "cluster-key": KEY,
                       "cluster-warming-up": "3s", "cluster-return": "2s", **(server or {})},
            "nodes": {"include": "media-server.nodes"},
        }
        super().__init__(streams, record=True, sections=sections, start=False)
        self.sections["server/stream"].update({"web": f"*:{self.web_port}:/", "rtsp": f"*:{self.rtsp_port}:/"})
        self.write_ini()
        self.write_nodes(others)
        self.clock = clock.Clock(self.path) if clocks and clock.USABLE else None
        self.command = [*network.within(number), *(self.clock.around(self.command) if self.clock else self.command)]

    def write_nodes(self, numbers):
        lines = [f"{n} = {self.network.address(n, 1)}, {self.network.address(n, 2)}" for n in numbers]
        (self.path / "media-server.nodes").write_text("\n".join(lines) + "\n")

    # --- what it says ---

    def cluster(self):
        """Rows of msctl cluster by node; its own too."""
        return {r["node"]: r for r in self.rows("cluster")}

    def sees(self, other, *states, timeout=15):
        return wait_for(f"node {self.number} sees {other} as {states}", lambda: self.cluster()[other]["state"] in states, timeout)

    def holds(self, uid):
        return {r["uid"]: r for r in self.rows("cluster", "streams")}[uid]

    def records(self, uid):
        return self.stream(uid).get("record") == "on"

    def workers(self):
        return [pid for pid, name in self.family().items() if name == "ms-worker"]

    # --- what happens to it ---

    def freeze(self, signo=signal.SIGSTOP):
        """The whole machine, as far as it is ours: master and children."""
        for pid in [self.process.pid, *self.family()]:
            os.kill(pid, signo)

    def kill_all(self):
        """As a machine that loses its power: nobody says anything."""
        kin = [self.process.pid, *self.family()]
        for pid in kin:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        wait_for("all of the node have gone", lambda: not [p for p in kin if tools.alive(p)], timeout=5)
        self.log_file.close()
        self.process = None


class Cluster:
    """Cluster(3, {"cam": dict of keys}) with primary and secondary nodes from the keys; a camera for all of them. clocks: each node has one that can be set."""

    def __init__(self, n, streams, server=None, camera=None, clocks=False):
        self.nodes, self.camera, self.network, self.on_close = {}, None, None, []
        try:
            self.network = Network(range(1, n + 1))
            self.camera = Camera({"group": "cam", "streams": len(streams), **(camera or {})}, within=self.network.within(None), address=CAMERAS)
            keys = {uid: {"stream-url": self.camera.url(f"cam{i}"), "stream-tracks": "video", **k} for i, (uid, k) in enumerate(streams.items())}
            for number in range(1, n + 1):
                self.nodes[number] = Node(number, self.network, range(1, n + 1), keys, server, clocks)
        except BaseException:
            self.close()
            raise

    def start(self, *numbers):
        for n in numbers or self.nodes:
            self.nodes[n].start()

    def __getitem__(self, n):
        return self.nodes[n]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        errors = []
        for node in self.nodes.values():
            try:
                node.close()
            except AssertionError as e:
                errors.append(e)
        for call in self.on_close:
            call()
        if self.camera:
            self.camera.close()
        if self.network:
            self.network.close()
        if errors:
            raise errors[0]

    def log(self):
        return "\n".join(f"--- node {n}\n{node.log()[-5000:]}" for n, node in self.nodes.items())

    # --- the joint archive ---

    def spans(self, uid):
        """[(from, to, node)] of wall clock, of every segment that is closed, on every node."""
        found = []
        for n, node in self.nodes.items():
            for path in node.segments(uid):
                f = mp4.footer(path)
                if f and f["end_us"] > f["start_us"]:
                    found.append((f["start_us"] / 1e6, f["end_us"] / 1e6, n))
        return sorted(found)

    def gap(self, uid, since, until):
        """The longest time within which no node has anything of the stream."""
        at, longest = since, 0.0
        for start, end, _ in self.spans(uid):
            longest = max(longest, min(start, until) - at)
            at = max(at, end)
            if at >= until:
                break
        return max(longest, until - at)

