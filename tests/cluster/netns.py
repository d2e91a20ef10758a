"""A network for a cluster on one machine: a namespace for each node and one for the cameras, two bridges between them
(ways A and B), and nftables where packets are lost. Everything ends with close(), and is named after this process."""
import itertools
import os
import subprocess

import tools

CAMERAS = "10.213.1.200"
_networks = itertools.count()


def sh(*words, ok=True):
    return tools.run(*words, timeout=20, ok=ok)


class Network:
    def __init__(self, nodes):
        self.prefix = f"msc{os.getpid()}x{next(_networks)}"
        self.hub = f"{self.prefix}h"
        self.names = {n: f"{self.prefix}n{n}" for n in nodes}
        self.made = []
        try:
            self._add(self.hub)
            for way in (1, 2):
                self._in(self.hub, "link", "add", f"br{way}", "type", "bridge")
                self._in(self.hub, "link", "set", f"br{way}", "up")
            self._in(self.hub, "addr", "add", f"{CAMERAS}/24", "dev", "br1")
            for n, name in self.names.items():
                self._add(name)
                for way in (1, 2):
                    self._join(n, name, way)
                self.nft(n, "add table inet cut")
                for hook in ("input", "output"):
                    self.nft(n, f"add chain inet cut {hook} {{ type filter hook {hook} priority 0; }}")
        except BaseException:
            self.close()
            raise

    def _add(self, name):
        sh("ip", "netns", "add", name)
        self.made.append(name)
        self._in(name, "link", "set", "lo", "up")

    def _in(self, name, *words):
        sh("ip", "-n", name, *words)

    def _join(self, n, name, way):
        self._in(self.hub, "link", "add", f"v{n}w{way}", "type", "veth", "peer", "name", f"way{way}", "netns", name)
        self._in(self.hub, "link", "set", f"v{n}w{way}", "master", f"br{way}", "up")
        self._in(name, "addr", "add", f"{self.address(n, way)}/24", "dev", f"way{way}")
        self._in(name, "link", "set", f"way{way}", "up")

    @staticmethod
    def address(n, way=1):
        return f"10.213.{way}.{n}"

    def within(self, n):
        """Words before a command that runs in a node's namespace; None: the cameras'."""
        return ["ip", "netns", "exec", self.hub if n is None else self.names[n]]

    # --- faults ---

    def nft(self, n, rule):
        sh(*self.within(n), "nft", rule)

    def cut(self, a, b, both=True, ways=(1, 2)):
        """Nothing of b reaches a; both: nor of a b."""
        for way in ways:
            self.nft(a, f"add rule inet cut input ip saddr {self.address(b, way)} drop")
        if both:
            self.cut(b, a, both=False, ways=ways)

    def cut_camera(self, n):
        self.nft(n, f"add rule inet cut input ip saddr {CAMERAS} drop")

    def unplug(self, n):
        """Nothing leaves the node or reaches it, not even the end of its connections."""
        for hook, name in (("input", "iifname"), ("output", "oifname")):
            self.nft(n, f"add rule inet cut {hook} {name} != lo drop")

    def lose(self, n, percent):
        """Of all packets that reach the node from others of the cluster; the camera's way is whole."""
        self.nft(n, f"add rule inet cut input ip saddr != {CAMERAS} numgen random mod 100 < {percent} drop")

    def heal(self):
        for n in self.names:
            for hook in ("input", "output"):
                self.nft(n, f"flush chain inet cut {hook}")

    def close(self):
        for name in reversed(self.made):
            subprocess.run(["ip", "netns", "del", name], capture_output=True, timeout=20, check=False)
        self.made = []
