"""File systems of their own, on loop devices: made, mounted, cut off from their power, mounted again, and always taken away."""
import ctypes
import functools
import os
import pathlib
import subprocess
import tempfile

import paths  # noqa: F401
import tools
from tools import wait_for

MKFS = {"ext4": ("mkfs.ext4", "-q", "-m", "0"), "xfs": ("mkfs.xfs", "-q")}


CLONE_NEWNS = 0x20000  # sched.h


@functools.cache
def alone():
    """A mount namespace of this process and its children. Whoever makes one out of ours (as ip netns exec does) gets our file systems too, and
    as long as he lives none of them is ever gone: mounted again, it is still the one without power."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    tools.run("mount", "--make-rprivate", "/")


def unusable():
    """Why there can be no disk here, or ""."""
    if os.geteuid() != 0:
        return "needs root"
    try:
        with Disk("ext4", 8), Disk("xfs", 300):
            return ""
    except (AssertionError, OSError) as e:
        return f"cannot mount a loop device: {e}"


def mounted(path):
    """As the kernel lists it: a file system without power cannot be asked."""
    return any(line.split()[4] == str(path) for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines())


class Disk:
    """Disk("ext4", 20) as a context: .path is mounted."""

    def __init__(self, fs, mb):
        alone()
        self.dir = tempfile.TemporaryDirectory(prefix="ms-disk-")
        os.chmod(self.dir.name, 0o755)
        self.image, self.path = pathlib.Path(self.dir.name, "image"), pathlib.Path(self.dir.name, "disk")
        try:
            self.path.mkdir()
            with open(self.image, "wb") as f:
                f.truncate(mb << 20)
            tools.run(*MKFS[fs], self.image)
            self.mount()
            self.path.chmod(0o755)
        except BaseException:
            self.close()
            raise

    def mount(self):
        tools.run("mount", "-o", "loop", self.image, self.path)

    def umount(self):
        """Tries for a while: what died a moment ago may still hold files."""
        wait_for("unmounted", lambda: not mounted(self.path) or subprocess.run(["umount", self.path], capture_output=True).returncode == 0, timeout=10)

    def cut(self):
        """The power is gone: nothing more reaches the disk, what was not synced is lost."""
        tools.run("xfs_io", "-x", "-c", "shutdown", self.path)

    def again(self):
        """Power is back: the journal is replayed by the mount. The kernel takes a loop device away a moment behind its last user; mount would
        take it for one that stays, and all that is read there would fail."""
        self.umount()
        wait_for("the loop device has gone", lambda: not tools.run("losetup", "-j", self.image).stdout.strip())
        self.mount()

    def free(self):
        st = os.statvfs(self.path)
        return st.f_bavail * st.f_bsize

    def fill(self, name="ballast"):
        """Until not a single block is left; returns the file that holds them."""
        ballast = self.path / name
        with open(ballast, "ab", buffering=0) as f:
            for size in (1 << 20, 4096, 1):
                try:
                    while True:
                        f.write(b"x" * size)
                except OSError:
                    continue
            os.fsync(f.fileno())
        return ballast

    def close(self):
        if mounted(self.path):
            try:
                self.umount()
            except tools.Late:
                # A loop device of mount -o loop goes with its last user.
                subprocess.run(["umount", "-l", self.path], capture_output=True)
        self.dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
