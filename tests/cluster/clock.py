"""A node's wall clock, which may be wrong and jump: all of its processes get clock.c, by an /etc of the node's own mount namespace (a copy of the machine's
with an ld.so.preload), so that nothing in the product knows of it."""
import mmap
import pathlib
import shutil
import struct
import subprocess

import tools

# The sanitizers' library wants to be the first that is loaded.
USABLE = tools.BUILD.name not in ("asan", "tsan")
_built = None


def library():
    """clock.c, compiled once for all nodes of this run."""
    global _built
    if _built is None:
        folder = tools.BUILD / "cluster"
        folder.mkdir(exist_ok=True)
        _built = folder / "clock.so"
        subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-Wall", "-Werror", "-shared", "-fPIC", "-o", _built, pathlib.Path(__file__).with_name("clock.c")], check=True, timeout=60)
    return _built


class Clock:
    """Of one node, whose files lie in folder."""

    def __init__(self, folder):
        self.etc = folder / "etc"
        shutil.copytree("/etc", self.etc, symlinks=True, ignore_dangling_symlinks=True)
        shutil.copy(library(), self.etc / "ms-test-clock.so")
        (self.etc / "ld.so.preload").write_text("/etc/ms-test-clock.so\n")
        (self.etc / "ms-test-clock").write_bytes(bytes(8))

    def around(self, command):
        """The command, with that /etc; for one that runs in a mount namespace already, as by ip netns exec."""
        return ["sh", "-c", 'mount --bind "$0" /etc && exec "$@"', str(self.etc), *command]

    def set(self, ahead_s):
        with open(self.etc / "ms-test-clock", "r+b") as f, mmap.mmap(f.fileno(), 8) as m:
            m[:8] = struct.pack("<q", int(ahead_s * 1_000_000))
