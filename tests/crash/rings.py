"""Witness of the frames: reads the rings of a running server, so that every frame that ever was in one is known."""
import dataclasses
import mmap
import os
import struct

import paths  # noqa: F401
import tools
import worker_host

RING = "/memfd:ms-ring"


class LiveRing(worker_host.Ring):
    """A ring that a master holds, mapped for reading (as root: its mode is 0)."""

    def __init__(self, path):
        self.fd = os.open(path, os.O_RDONLY)
        self.map = mmap.mmap(self.fd, 0, prot=mmap.PROT_READ)
        _, self.generation, _, self.data, self.frames, _, uid = struct.unpack_from("<IIQIIq40s", self.map, 8)
        self.uid = uid.split(b"\0")[0].decode()


@dataclasses.dataclass
class Seen:
    sha1: str
    wall_us: int


class Witness:
    """seen[uid]: {media time: Seen} of the video frames that were in the rings of one master. look() often: a ring holds some 20 s."""

    def __init__(self, master):
        self.master = master
        self.seen, self.next, self.missed = {}, {}, 0
        self.rings = {}  # inode -> LiveRing

    def _newest(self):
        """{uid: the ring of the last generation}."""
        found, there = {}, set()
        folder = f"/proc/{self.master}/fd"
        for name in os.listdir(folder):
            path = f"{folder}/{name}"
            try:
                if not os.readlink(path).startswith(RING):
                    continue
                inode = os.stat(path).st_ino
                if inode not in self.rings:
                    self.rings[inode] = LiveRing(path)
            except FileNotFoundError:
                continue
            there.add(inode)
        for inode in set(self.rings) - there:
            self.rings.pop(inode).close()
        for ring in self.rings.values():
            if ring.uid not in found or found[ring.uid].generation < ring.generation:
                found[ring.uid] = ring
        return found

    def look(self):
        for uid, ring in self._newest().items():
            oldest, end = ring.span()
            first = self.next.get(uid, oldest)
            self.missed += max(0, oldest - first)
            frames = self.seen.setdefault(uid, {})
            for seq in range(max(first, oldest), end):
                f = ring.frame(seq)
                if f["track"] == 0:
                    frames[f["dts"]] = Seen(tools.sha1(f["data"]), f["wall_us"])
            self.next[uid] = max(end, first)

    def close(self):
        for ring in self.rings.values():
            ring.close()
        self.rings = {}
