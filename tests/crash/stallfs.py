#!/usr/bin/python3
"""A folder seen through FUSE that can be stalled, or break: stallfs.py FOLDER MOUNTPOINT. "stall" on stdin lets every request wait, "fail"
answers each with EIO, "go" ends both; each word is answered with a line. With the end of stdin everything goes on, and the mount is for
others to take away."""
import errno
import os
import sys
import threading

import fusepy


class StallFs(fusepy.Operations):
    def __init__(self, root):
        self.root = root
        self.go = threading.Event()
        self.go.set()
        self.broken = False

    def __call__(self, op, path, *args):
        self.go.wait()
        if self.broken and op not in ("release", "releasedir", "destroy"):
            raise fusepy.FuseOSError(errno.EIO)
        if not hasattr(self, op):
            raise fusepy.FuseOSError(errno.ENOSYS)
        return getattr(self, op)(self.root + path, *args)

    def _give(self, path):
        """To who asked: this process makes everything as root."""
        uid, gid, _ = fusepy.fuse_get_context()
        parent = os.lstat(os.path.dirname(path))
        os.lchown(path, uid, parent.st_gid if parent.st_mode & 0o2000 else gid)

    def getattr(self, path, fh=None):
        st = os.lstat(path)
        return {k: getattr(st, k) for k in ("st_mode", "st_nlink", "st_uid", "st_gid", "st_size", "st_blocks", "st_atime", "st_mtime", "st_ctime", "st_ino", "st_dev")}

    def statfs(self, path):
        st = os.statvfs(path)
        return {k: getattr(st, k) for k in ("f_bavail", "f_bfree", "f_blocks", "f_bsize", "f_favail", "f_ffree", "f_files", "f_flag", "f_frsize", "f_namemax")}

    def readdir(self, path, fh):
        return [".", "..", *os.listdir(path)]

    def mkdir(self, path, mode):
        os.mkdir(path, mode)
        self._give(path)
        os.chmod(path, mode | os.lstat(os.path.dirname(path)).st_mode & 0o2000)

    def create(self, path, mode, fi=None):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, mode)
        self._give(path)
        return fd

    def open(self, path, flags):
        return os.open(path, flags & ~os.O_NOFOLLOW)

    def read(self, path, size, offset, fh):
        return os.pread(fh, size, offset)

    def write(self, path, data, offset, fh):
        return os.pwrite(fh, data, offset)

    def truncate(self, path, length, fh=None):
        os.truncate(path if fh is None else fh, length)

    def release(self, path, fh):
        os.close(fh)

    def fsync(self, path, datasync, fh):
        os.fsync(fh)

    def fsyncdir(self, path, datasync, fh):
        return 0

    def rename(self, old, new):
        os.rename(old, self.root + new)

    def unlink(self, path):
        os.unlink(path)

    def rmdir(self, path):
        os.rmdir(path)

    def chmod(self, path, mode):
        os.chmod(path, mode)

    def chown(self, path, uid, gid):
        os.lchown(path, uid, gid)

    def utimens(self, path, times=None):
        os.utime(path, times)

    def access(self, path, mode):
        return 0

    def flush(self, path, fh):
        return 0

    def opendir(self, path):
        return 0

    def releasedir(self, path, fh):
        return 0

    def init(self, path):
        threading.Thread(target=self._commands, daemon=True).start()
        print("ready", flush=True)

    def destroy(self, path):
        self.go.set()

    def _commands(self):
        for line in sys.stdin:
            word = line.strip()
            self.broken = word == "fail"
            (self.go.clear if word == "stall" else self.go.set)()
            print("ok", flush=True)
        self.broken = False
        self.go.set()


if __name__ == "__main__":
    # The server's processes are other users. Writes come in large pieces, as from a disk's page cache.
    fusepy.FUSE(StallFs(sys.argv[1]), sys.argv[2], foreground=True, allow_other=True, big_writes=True, fsname="stallfs")
