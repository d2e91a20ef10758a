"""msctl archive check, rebuild and vacuum beside a server that records, and an index that is damaged under it."""
import os
import random

import tools
from tools import wait_for


def recording(server, camera, *uids, segments=3):
    cam = camera(*[dict(group=uid, source="tiny.h264") for uid in uids])
    s = server({uid: {"stream-url": cam.url(f"{uid}0")} for uid in uids}, record=True)
    for n in range(1, segments + 1):
        s.wait_recording(*uids)
        for uid in uids:
            s.wait_frames(uid)
            s.msctl("restart", uid)  # a worker that ends closes its segment
        wait_for("segments are in the index", lambda: all(held(s, uid) >= n for uid in uids), timeout=20)
    s.wait_recording(*uids)
    return s


def held(s, uid):
    return sum(r["segments"] for r in s.rows("archive", "list", uid))


def indexed(s, uid):
    """Segments that the index knows: all but the newest, which is open or on its way."""
    return s.segments(uid)[: held(s, uid)]


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        b = f.read(1)
        f.seek(at)
        f.write(bytes([b[0] ^ 1]))


def found(s, *args):
    """Faults by the segment's file name; the exit code says whether there were any."""
    p = s.msctl("--json", "archive", "check", *args, ok=False, timeout=60)
    rows = tools.json.loads(p.stdout)
    assert p.returncode == (1 if rows else 0), p.stderr
    return {os.path.basename(r["path"]): r["fault"] for r in rows}


def test_check_and_rebuild(server, camera):
    s = recording(server, camera, "cam", segments=5)
    assert found(s, "--sum") == {}
    missing, short, flipped = indexed(s, "cam")[:3]
    missing.unlink()
    os.truncate(short, short.stat().st_size // 2)
    flip(flipped, flipped.stat().st_size // 2)
    assert found(s, "default") == {missing.name: "missing", short.name: "size"}
    assert found(s, "default", "--sum") == {missing.name: "missing", short.name: "size", flipped.name: "checksum"}
    p = s.msctl("archive", "check", "--sum", ok=False)
    assert "missing  default cam/records/" in p.stdout and missing.name in p.stdout
    assert "3 not as they should be" in p.stdout
    # without a server's help
    p = s.msctl("archive", "check", "--path", s.storages["default"], ok=False)
    assert p.returncode == 1 and short.name in p.stdout

    p = s.msctl("archive", "rebuild", "--verify", ok=False)
    assert p.returncode == 1 and "not on the disk" in p.stdout and missing.name in p.stdout
    p = s.msctl("archive", "rebuild")
    assert "mended from the files" in p.stdout
    p = s.msctl("archive", "rebuild", "--verify")
    assert "the index is what its files say" in p.stdout
    assert missing.name not in found(s) and short.name not in found(s)
    assert s.stream("cam")["record"] == "on"
    assert s.msctl("archive", "check", "nowhere", ok=False).returncode == 4
    assert s.msctl("status", "--sum", ok=False).returncode == 2


def test_vacuum(server, camera):
    s = recording(server, camera, "stays", "goes")
    foreign = s.segments("goes")[0].parent / "notes.txt"
    foreign.write_text("not ours")
    assert s.rows("archive", "vacuum") == []
    s.remove_stream("goes")
    s.reload()
    wait_for("its last segment is in the index", lambda: held(s, "goes") == len(s.segments("goes")), timeout=20)
    rows = s.rows("archive", "vacuum")
    assert [(r["uid"], r["deleted"]) for r in rows] == [("goes", 0)] and rows[0]["segments"] > 0
    assert s.segments("goes")
    rows = s.rows("archive", "vacuum", "--yes")
    assert [r["uid"] for r in rows] == ["goes"] and rows[0]["deleted"] == rows[0]["segments"]
    wait_for("its files are gone", lambda: not s.segments("goes"), timeout=20)
    assert foreign.read_text() == "not ours"
    assert s.rows("archive", "vacuum") == []
    assert held(s, "stays") > 0 and found(s) == {}


def test_damaged_index_under_a_server(server, camera):
    s = recording(server, camera, "cam", segments=4)
    first = s.ranges("cam")[0][0]
    told = s.msctl("event", "cam", "door").stdout
    event = wait_for("the event is in the index", lambda: s.rows("events", "cam"), timeout=20)
    assert told == f"{event[0]['id']}\n"
    before = held(s, "cam")
    pids = {k: v for k, v in s.status().items() if k in ("httpd_pid", "pid")}
    data = os.path.join(s.storages["default"], ".index", "data.mdb")
    rng = random.Random(7)
    with open(data, "r+b") as f:
        for page in range(os.path.getsize(data) // 4096):
            for _ in range(40):
                f.seek(page * 4096 + rng.randrange(64 if page > 1 else 4096))
                f.write(bytes([rng.randrange(256)]))

    def rebuilt():
        s.get("cam/recording_status.json?from=0&to=4000000000&request=ranges", status=None)
        rows = s.msctl("--json", "archive", "list", "cam", ok=False)
        return "index-damaged" in s.log() and rows.returncode == 0 and held(s, "cam") >= before

    wait_for("the index is built anew", rebuilt, timeout=60)
    wait_for("what was recorded is played", lambda: s.ranges("cam")[0][0] == first, timeout=30)
    wait_for("the event is in the new index", lambda: s.rows("events", "cam") == event, timeout=30)
    assert {k: v for k, v in s.status().items() if k in pids} == pids, "nobody who reads has died"
    now = held(s, "cam")
    s.msctl("restart", "cam")
    wait_for("recording goes on", lambda: held(s, "cam") > now, timeout=30)
    s.msctl("archive", "rebuild", "--verify")
