"""The archive's figures, with made-up footage at the size of a large site."""
import json
import os
import shutil
import subprocess
import time

import tools

CAMERAS, DAYS = 1000, 30
SEGMENTS = DAYS * 24 * 30  # of two minutes, a camera
CHECK_CAMERAS, CHECK_SEGMENTS = 100, 5000
ROOM = 12 << 30  # bytes of disk


def line(text):
    print(f"   {text}", flush=True)


def made(*args):
    """One run of bench/index_figures."""
    p = subprocess.run([str(tools.BUILD / "bench" / "index_figures"), *map(str, args)], stdout=subprocess.PIPE, check=True)
    return json.loads(p.stdout)


def folder(name):
    path = tools.BUILD / name
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    return path


def index(scale):
    """An index of 30 days of 1,000 cameras: ranges of a day, seeks to a second, starts; bars 5 ms, 2 ms, 1 s, 5 s"""
    if shutil.disk_usage(tools.BUILD).free < ROOM:
        return {"skipped": "needs 12 GB of disk"}
    cameras, segments = (CAMERAS, SEGMENTS) if scale.kills > 10 else (100, SEGMENTS // 10)
    path = folder("bench-index")
    mixed = folder("bench-index-mixed")
    try:
        result = {"made": made("make", path, cameras, segments), "mixed": made("mixed", mixed, cameras, 300)}
        line("{segments} segments made in {seconds:.1f} s: {bytes_a_segment:.0f} bytes each".format(**result["made"]))
        line("as a keeper makes it, all cameras in turn: {bytes_a_segment:.0f} bytes each".format(**result["mixed"]))
        for how, n in (("cold", 2000), ("warm", 20000)):
            r = result[how] = made("read", path, cameras, segments, n, how)
            for what, key in (("ranges of a day", "day_ms"), ("a second", "second_ms")):
                line(f"{how} page cache: {what}: p50 {r[key]['median']:.3f} ms, p99 {r[key]['p99']:.3f} ms, max {r[key]['max']:.3f} ms of {n}")
        for how in ("clean", "unclean"):
            runs = [made("start", path, how)["seconds"] for _ in range(3)]
            result[how] = {"seconds": runs}
            line(f"start after a stop that was {how}, cold page cache: {', '.join(f'{s:.3f}' for s in runs)} s until it is open")
    finally:
        shutil.rmtree(path, ignore_errors=True)
        shutil.rmtree(mixed, ignore_errors=True)
    return result


def msctl(*args):
    began = time.monotonic()
    p = subprocess.run([str(tools.BUILD / "bin" / "msctl"), "--json", "archive", *map(str, args)], capture_output=True, text=True)
    return time.monotonic() - began, p.returncode, json.loads(p.stdout)


def check(scale):
    """Presence and size of 500,000 segments (sparse files), warm; a rebuilt index equal to the original; bar 10 s"""
    cameras, segments = (CHECK_CAMERAS, CHECK_SEGMENTS) if scale.kills > 10 else (10, 2000)
    if shutil.disk_usage(tools.BUILD).free < ROOM or os.statvfs(tools.BUILD).f_favail < 2 * cameras * segments:
        return {"skipped": "needs 12 GB of disk and a million inodes"}
    path = folder("bench-check")
    try:
        n = made("files", path, cameras, segments)["segments"]
        runs = [msctl("check", "--path", path)[0] for _ in range(3)]
        line(f"{n} segments checked in {', '.join(f'{s:.2f}' for s in runs)} s (the first is the coldest)")
        equal = made("rebuild", path)
        if equal["segments"] != n or equal["made"] != n or equal["faults"] or equal["hash"] != equal["made_hash"]:
            raise AssertionError(f"not the equal of the original: {equal}")
        line(f"an index out of {n} files alone, made and compared in {equal['seconds']:.1f} s: every total, range and segment of it is the original's ({equal['hash']})")
        shutil.rmtree(path / ".made")
        victim = next((path / "camera-00001" / "records").rglob("*.mp4"))
        os.truncate(victim, 1000)
        _, code, found = msctl("check", "--path", path)
        if code != 1 or [r["fault"] for r in found] != ["size"]:
            raise AssertionError(f"a short file was not found: {code} {found}")
        victim.unlink()
        _, code, found = msctl("rebuild", "--verify", "--path", path)
        if code != 1 or [r["fault"] for r in found] != ["not on the disk"]:
            raise AssertionError(f"a file that is not there was not found: {code} {found}")
        line("equal but for the one file that was removed then")
    finally:
        shutil.rmtree(path, ignore_errors=True)
    return {"segments": n, "seconds": runs, "rebuild_s": equal["seconds"], "differences": equal["faults"]}
