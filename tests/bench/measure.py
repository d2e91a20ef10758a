"""Measuring: CPU of many processes over windows, private memory without the ring, percentiles, the machine's facts."""
import collections
import ctypes
import os
import pathlib
import platform
import statistics
import subprocess
import time

import tools


def first_line(path, otherwise):
    try:
        return pathlib.Path(path).read_text().strip() or otherwise
    except OSError:
        return otherwise


def landlock_abi():
    """landlock_create_ruleset(NULL, 0, VERSION); its number is the same on every architecture."""
    abi = ctypes.CDLL(None, use_errno=True).syscall(444, None, ctypes.c_size_t(0), 1)
    return abi if abi > 0 else "none"


def has_netem():
    done = subprocess.run(["unshare", "-n", "tc", "qdisc", "add", "dev", "lo", "root", "netem", "delay", "1ms"], capture_output=True, text=True)
    return "present" if done.returncode == 0 else "absent"


def facts():
    """What the figures depend on."""
    cpu = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    memory = next(int(line.split()[1]) for line in open("/proc/meminfo") if line.startswith("MemTotal"))

    def say(*cmd):
        try:
            return subprocess.run(cmd, capture_output=True, text=True, cwd=tools.ROOT).stdout.strip()
        except FileNotFoundError:
            return ""

    return {
        "cpu": cpu,
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(memory / 1e6, 1),
        "kernel": platform.release(),
        "lsm": first_line("/sys/kernel/security/lsm", "none shown"),
        "landlock_abi": landlock_abi(),
        "cgroup": "v2" if pathlib.Path("/sys/fs/cgroup/cgroup.controllers").exists() else "v1",
        "netem": has_netem(),
        "congestion_control": pathlib.Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip(),
        "file_system": say("stat", "-f", "-c", "%T", str(tools.BUILD)),
        "load_before": os.getloadavg()[0],
        "commit": say("git", "rev-parse", "--short=12", "HEAD") + ("+changes" if say("git", "status", "--porcelain") else ""),
        "date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def percentile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * p / 100))]


def spread(values):
    return {"min": min(values), "median": statistics.median(values), "max": max(values)}


class Cpu:
    """CPU seconds of the server's processes by their name, from schedstat. A process that ends meanwhile is not seen any
    more: `lost` counts them, and a window with such is marked."""

    def __init__(self, server):
        self.names = server.family() | {server.process.pid: "media-server"}
        self.at = {pid: self._read(pid) for pid in self.names}

    @staticmethod
    def _read(pid):
        try:
            return tools.cpu_seconds(pid)
        except (FileNotFoundError, ProcessLookupError):
            return None

    def since(self):
        """({name: seconds}, processes lost)."""
        used, lost = collections.Counter(), 0
        for pid, before in self.at.items():
            now = self._read(pid)
            if now is None or before is None:
                lost += 1
            else:
                used[self.names[pid]] += now - before
        return used, lost


def windows(server, camera, n, seconds):
    """n windows: CPU s per Gbit of all the server's processes, by process, and the camera's share of a core."""
    found = []
    for _ in range(n):
        cpu, began = Cpu(server), time.monotonic()
        camera_cpu, bytes_before = tools.cpu_seconds(camera.process.pid), camera.stats()["bytes_sent"]
        time.sleep(seconds)
        stats = camera.stats()
        used, lost = cpu.since()
        took = time.monotonic() - began
        gbit = (stats["bytes_sent"] - bytes_before) * 8 / 1e9
        found.append(
            {
                "cpu_per_gbit": sum(used.values()) / gbit,
                "by_process": {k: round(v / gbit, 4) for k, v in used.items()},
                "gbit_per_s": gbit / took,
                "camera_core": (tools.cpu_seconds(camera.process.pid) - camera_cpu) / took,
                "processes_lost": lost,
            }
        )
    return found


def memory(pid):
    """Kilobytes: private without memfds, private in memfds (the ring, demand), size of the memfds."""
    private, in_ring, ring, of_ring = 0, 0, 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text().splitlines():
        head = line.split(None, 5)
        if "-" in head[0] and not head[0].endswith(":"):
            of_ring = len(head) > 5 and head[5].startswith("/memfd:")
            if of_ring:
                a, b = (int(x, 16) for x in head[0].split("-"))
                ring += (b - a) >> 10
        elif line.startswith(("Private_", "Swap:")):
            if of_ring:
                in_ring += int(head[1])
            else:
                private += int(head[1])
    return private, in_ring, ring
