"""Some simulated cameras, recorded by a server, with a witness of their frames and a reader of their archive."""
import random
import signal
import sys
import time

import paths  # noqa: F401
import archive
import rings
import tools
from camera import Camera
from server import MediaServer
from tools import wait_for

SERVICES = ("keeper", "httpd", "connector")


class Fleet:
    """streams cameras of group "cam", each recorded on storages[i % n]. keys: of every stream; sections: of the server; indexes:
    {storage: its index-path}."""

    def __init__(self, streams=8, storages=None, sections=None, source="tiny.h264", indexes=None, start=True, **keys):
        self.uids = [f"cam{i}" for i in range(streams)]
        self.camera = Camera(dict(group="cam", source=source, streams=streams, start="key"))
        self.server = self.witness = None
        try:
            names = list(storages or {"default": None})
            conf = {u: {"stream-url": self.camera.url(u), "dvr-archive": names[i % len(names)], "dvr-chunk": "10s", **keys} for i, u in enumerate(self.uids)}
            self.server = MediaServer(conf, record=True, storages=storages, sections=sections, start=False)
            for name, path in (indexes or {}).items():
                self.server.sections["storages"] = {n: p for n, p in storages.items() if n not in indexes}
                self.server.sections[f"storages/{name}"] = {"path": storages[name], "index-path": path}
            self.server.write_ini()
            self.archives = {n: archive.Archive(p, (indexes or {}).get(n)) for n, p in self.server.storages.items()}
            if start:
                self.start()
        except BaseException:
            self.close(failed=True)
            raise

    def start(self, record=True):
        self.server.start()
        if self.witness:
            self.witness.close()
        self.witness = rings.Witness(self.server.process.pid)
        if record:
            self.server.wait_recording(*self.uids, timeout=30)

    def kill_all(self):
        """Everything of the server at once, as the power does it."""
        kin = self.server.family()
        for pid in (self.server.process.pid, *kin):
            tools.kill(pid)
        self.server.process.wait()
        wait_for("all are gone", lambda: not [p for p in kin if tools.alive(p)], timeout=5)
        self.server.log_file.close()
        self.server.process = None

    def missing(self, seen=None):
        """{uid: media times} of frames that were in a ring behind the first that was recorded, and are not in the archive."""
        recorded, out = {}, {}
        for a in self.archives.values():
            recorded |= a.frames()
        for uid, frames in (seen or self.witness.seen).items():
            mine = recorded.get(uid, {})
            assert mine, f"nothing of {uid} is recorded"
            first = min(mine)
            lost = [t for t, f in frames.items() if t >= first and mine.get(t) != f.sha1]
            if lost:
                out[uid] = lost
        return out

    def settled(self):
        """Does nothing lack its footer but what is written now, and is all else in the index?"""
        for a in self.archives.values():
            index, found = a.index(), a.read()
            if [s for s in found if s.info and (s.info.uid, s.info.id) not in index]:
                return False
            still = [s.path.relative_to(a.storage).parts[0] for s in found if s.info is None]
            if len(still) > len(set(still)):
                return False
        return True

    def check_whole(self, frames=True):
        """After a clean stop: every segment has its footer and is in the index, the index claims nothing else, no frame that was in a ring
        of this run is missing."""
        for name, a in self.archives.items():
            index, found = a.index(), a.read()
            a.check_index(index)
            assert not a.bad(), a.bad()
            open_ones = [s.path for s in found if s.info is None]
            assert not open_ones, f"without a footer: {open_ones}"
            unknown = [s.path for s in found if (s.info.uid, s.info.id) not in index]
            assert not unknown, f"{name}: not in the index: {unknown}"
            assert len(found) == len(index)
        assert self.witness.missed == 0, "the witness came too late"
        missing = self.missing() if frames else None
        assert not missing, f"frames of the ring that are not recorded: {missing}"

    def close(self, failed=False):
        try:
            if self.witness:
                self.witness.close()
            if self.server:
                self.server.expects_signals = self.server.expects_signals or failed
                self.server.close()
        finally:
            self.camera.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind and self.server.log_path.exists():
            print(f"--- log of the server\n{self.server.log()[-6000:]}")
        self.close(failed=kind is not None)


class Clock:
    """Lines of progress with the seconds since the start."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, text):
        print(f"{time.monotonic() - self.began:7.1f} s  {text}", flush=True)


def percentile(values, p):
    v = sorted(values)
    return v[min(len(v) - 1, int(len(v) * p / 100))] if v else 0


def main(run, n):
    """PROGRAM [N] [SEED]: run(n, seed, say)."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # contexts are left, disks unmounted
    n = int(sys.argv[1]) if len(sys.argv) > 1 and sys.argv[1] else n
    seed = int(sys.argv[2]) if len(sys.argv) > 2 and sys.argv[2] else random.randrange(1 << 31)
    run(n, seed, say=Clock())
