"""Processes live and die: workers, connector, keeper, httpd, the master; reload; clean end."""
import os
import pathlib
import re
import signal
import struct
import time

import pytest

import hls
import mp4
import tools
from tools import wait_for

GOP, GOP_S = 25, 1.0  # of small.h264
DRAIN_S = 0.5 * tools.SLOW  # what a worker may not have read yet, and a test machine's slack


def sent_numbers(sent, since=None, until=None):
    """Frame numbers of the video that the camera sent in a span of its log (wall seconds)."""
    return [f["n"] for f in sent if f["track"] == 0 and (since is None or f["wall_us"] >= since * 1e6) and (until is None or f["wall_us"] <= until * 1e6)]


def number_recorded(got, truth):
    """Numbers of recorded frames as the camera counts them, modulo the loop: [(place in the loop, is the next one)]."""
    order = {t["sha1"]: t["au"] for t in truth}
    return [order[s.sha1] for s in got]


def breaks(numbers, loop):
    """Places where a run ends: index of the first frame behind each break."""
    return [i for i in range(1, len(numbers)) if numbers[i] != (numbers[i - 1] + 1) % loop]


def unrepeated(numbers, loop, gop):
    """Without what a new segment repeats: it begins with a key frame, so at most one GOP of it may be in the one before."""
    kept = []
    for n in numbers:
        if kept and 0 <= (kept[-1] - n) % loop < gop:
            continue
        kept.append(n)
    return kept


def test_kill_loses_no_frame_of_the_ring(server, camera):
    cam = camera(dict(group="cam", source="small.h264", streams=3, start="key"))
    s = server({f"cam{i}": cam.url(f"cam{i}") for i in range(3)}, record=True)
    for i in range(3):
        s.wait_state(f"cam{i}")
    s.wait_recording("cam0", "cam1", "cam2")
    sent = cam.log_sent("cam0")
    s.wait_frames("cam0", 60)
    pid = s.pid("cam0")
    killed = time.time()
    os.kill(pid, signal.SIGKILL)
    wait_for("a new worker", lambda: s.pid("cam0") not in (0, pid))
    s.wait_state("cam0")
    s.wait_frames("cam0", 60)
    wait_for("the gap is one for players too", lambda: "#EXT-X-DISCONTINUITY\n" in s.text(f"cam0/archive-{int(killed) - 5}-60.m3u8"))
    s.stop()
    for path in s.segments("cam0"):
        of = mp4.Mp4(path.read_bytes()).of("vide")
        assert all(b.dts - a.dts < 9000 for a, b in zip(of, of[1:])), "a segment has no hole"

    truth = cam.truth("cam0")
    got = unrepeated(number_recorded(s.recorded("cam0"), truth), len(truth), GOP)
    cut = breaks(got, len(truth))
    assert len(cut) == 1, "one gap"
    before, after = got[cut[0] - 1], got[cut[0]]
    log = [f for f in sent() if f["track"] == 0]
    last = max(f["wall_us"] for f in log if f["au"] == before and f["wall_us"] <= killed * 1e6 + 1e5)
    assert last >= (killed - DRAIN_S) * 1e6, f"{killed - last / 1e6:.2f} s of the ring are not recorded"
    resumed = next(f for f in log if f["wall_us"] > killed * 1e6 and f["au"] == after)
    first_sent = next(f for f in log if f["wall_us"] > killed * 1e6 + 1e4 and f["n"] > 0 and truth[f["au"]]["key"])
    assert after == first_sent["au"], "recording goes on with the first key frame"
    assert resumed["wall_us"] / 1e6 - killed < (GOP_S * 2 + 1.5) * tools.SLOW
    for i in (1, 2):
        assert not breaks(number_recorded(s.recorded(f"cam{i}"), truth), len(truth)), "another stream has a gap"
        assert cam.stats(f"cam{i}")["sessions_opened"] == 1


@pytest.mark.parametrize("signo", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM])
def test_worker_dies_otherwise(server, camera, signo):
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()})
    s.expects_signals = True
    s.wait_state("cam")
    s.wait_frames("cam", 30)
    _, wait_new = s.kill("cam", signo)
    wait_new()
    s.wait_state("cam")
    s.wait_frames("cam", 12)


def test_hung_worker_is_replaced(server, camera):
    cam = camera(dict(group="cam", source="tiny.h264", streams=2))
    s = server({"cam0": cam.url("cam0"), "cam1": cam.url("cam1")}, record=True)
    for uid in ("cam0", "cam1"):
        s.wait_state(uid)
    s.wait_frames("cam0", 30)
    began = time.monotonic()
    old, wait_new = s.kill("cam0", signal.SIGSTOP)
    wait_new(10)
    took = time.monotonic() - began
    assert took <= 7 * tools.SLOW, f"{took:.1f} s"
    assert not tools.alive(old)
    s.wait_state("cam0")
    s.wait_frames("cam0", 12)
    assert cam.stats("cam1")["sessions_opened"] == 1


@pytest.mark.parametrize("role", ["connector", "keeper", "httpd"])
def test_sister_process_dies(server, camera, role):
    """Recording and live go on, and the process comes back."""
    cam = camera(source="small.h264")
    s = server({"cam": cam.url()}, record=True)
    s.expects_signals = True
    s.wait_state("cam")
    s.wait_recording("cam")
    s.wait_frames("cam", 30)
    for signo in (signal.SIGKILL, signal.SIGSEGV):
        old = s.status()[f"{role}_pid"]
        os.kill(old, signo)
        wait_for(f"a new {role}", lambda old=old: (p := s.status()[f"{role}_pid"]) and p != old, timeout=10)
        s.wait_frames("cam", 30)
    wait_for("httpd answers", lambda: s.get("cam/recording_status.json?from=0&to=2000000000&request=ranges").json()[0]["ranges"], timeout=10)
    cam.do("close")  # the connector is asked again
    wait_for("the next session", lambda: cam.stats("cam0")["sessions_opened"] == 2, timeout=10)
    s.wait_state("cam")
    s.wait_recording("cam")
    s.wait_frames("cam", 30)
    s.stop()
    truth = cam.truth("cam0")
    assert len(breaks(unrepeated(number_recorded(s.recorded("cam"), truth), len(truth), GOP), len(truth))) <= 1, "only the camera's own cut is a gap"


def test_children_leave_a_dead_master(server, camera):
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, record=True)
    s.wait_state("cam")
    s.wait_recording("cam")
    s.wait_frames("cam", 40)
    kin = s.family()
    os.kill(s.process.pid, signal.SIGKILL)
    s.process.wait()
    wait_for("all children are gone", lambda: not [p for p in kin if tools.alive(p)], timeout=4)
    s.process = None
    for path in s.segments("cam"):
        mp4.Mp4(path.read_bytes())  # closed: nothing half at the end
    s.start()
    s.wait_state("cam")
    s.wait_recording("cam")
    s.wait_frames("cam", 40)
    assert len(s.segments("cam")) >= 2


def test_ends_cleanly(server, camera):
    cam = camera(dict(group="cam", source="tiny.h264", streams=5))
    s = server({f"cam{i}": cam.url(f"cam{i}") for i in range(5)}, record=True)
    for i in range(5):
        s.wait_state(f"cam{i}")
    s.wait_frames("cam0", 40)
    began = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - began < 10 * tools.SLOW
    for i in range(5):
        assert s.recorded(f"cam{i}", growing=False)
    assert cam.stats()["sessions"] == 0


def test_restart_continues_the_archive(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="now"))
    s = server({"cam": cam.url("cam0")}, record=True)
    s.wait_state("cam")
    s.wait_recording("cam")
    s.wait_frames("cam", 80)
    s.stop()
    stopped = time.monotonic()
    # What is less than a second apart is one range.
    wait_for("three seconds without a server", lambda: time.monotonic() - stopped > 3)
    s.start()
    s.wait_state("cam")
    s.wait_frames("cam", 80)
    ranges = wait_for("both stretches", lambda: len(r := s.ranges("cam")) == 2 and r, timeout=10)
    assert ranges[0][0] + ranges[0][1] <= ranges[1][0]
    path = f"cam/archive-{int(ranges[0][0])}-60.m3u8"
    media = wait_for("both stretches in the playlist", lambda: len((p := hls.open_playlist(s, path)[0]).segments) >= 2 and p, timeout=10)
    assert [x.discontinuity for x in media.segments].count(True) == 1


# --- reload ---


def ring_settings(s, uid):
    """The settings hash in the header of the stream's ring, as its worker has it mapped."""
    for fd in pathlib.Path(f"/proc/{s.pid(uid)}/fd").iterdir():
        if os.readlink(fd).startswith("/memfd:ms-ring"):
            with open(fd, "rb") as f:
                return struct.unpack_from("<Q", f.read(24), 16)[0]
    raise AssertionError("no ring")


def test_a_master_that_stood_still_kills_nobody(server, camera):
    """A machine that was paused, or too loaded: what the others said meanwhile is read before they are judged."""
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, record=True)
    s.wait_state("cam")
    pids = s.family()
    stopped = time.monotonic()
    os.kill(s.process.pid, signal.SIGSTOP)
    wait_for("six seconds", lambda: time.monotonic() - stopped > 6, timeout=20)
    os.kill(s.process.pid, signal.SIGCONT)
    wait_for("its word", lambda: " stood-still " in s.log(), timeout=10)
    resumed = time.monotonic()
    wait_for("the judgement", lambda: time.monotonic() - resumed > 3, timeout=20)
    assert pids.items() <= s.family().items()  # what was born meanwhile was wanted
    assert " hangs " not in s.log()
    assert cam.stats("cam")["sessions_opened"] == 1


def test_reload_touches_only_what_changed(server, camera):
    cam = camera(dict(group="cam", source="tiny.h264", streams=4))
    s = server({f"cam{i}": cam.url(f"cam{i}") for i in range(3)}, record=True)
    for i in range(3):
        s.wait_state(f"cam{i}")
    pids = {u: r["pid"] for u, r in s.streams().items()}
    s.write_stream("cam3", cam.url("cam3"))
    s.write_stream("cam2", {"stream-url": cam.url("cam2"), "stream-tracks": "video"})
    s.remove_stream("cam1")
    s.reload()
    s.wait_state("cam3")
    wait_for("a new worker of cam2", lambda: s.pid("cam2") not in (0, pids["cam2"]), timeout=10)
    wait_for("cam1 is gone", lambda: "cam1" not in s.streams() and not tools.alive(pids["cam1"]), timeout=10)
    assert s.pid("cam0") == pids["cam0"] and cam.stats("cam0")["sessions_opened"] == 1
    wait_for("httpd knows it, too", lambda: s.get("cam1/index.m3u8", status=None).status == 404)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root looks into a worker")
def test_reload_of_what_a_worker_takes_over(server, camera, tmp_path):
    """All but the way to the camera is taken over by the worker that runs, and its session with the camera goes on."""
    cam = camera(source="tiny.h264")
    tmp_path.chmod(0o755)
    s = server({"cam": cam.url()}, record=True, storages={"default": str(tmp_path / "a"), "other": str(tmp_path / "b")})
    s.wait_state("cam")
    s.wait_recording("cam")
    pid, hashes = s.pid("cam"), [ring_settings(s, "cam")]

    def change(what, **keys):
        s.write_stream("cam", {"stream-url": cam.url()} | {k.replace("_", "-"): v for k, v in keys.items()})
        s.reload()
        wait_for(what, lambda: ring_settings(s, "cam") != hashes[-1], timeout=5)
        hashes.append(ring_settings(s, "cam"))

    change("shorter segments", dvr_chunk="10s")
    wait_for("a second segment", lambda: len(s.segments("cam")) >= 2, timeout=20)
    change("another storage", dvr_archive="other")
    wait_for("a segment there", lambda: s.segments("cam", "other"), timeout=10)
    change("no recording", dvr_mode="off", dvr_archive="other")
    wait_for("it is off", lambda: s.stream("cam")["record"] == "off")
    before = len(s.segments("cam"))
    change("recording again", dvr_archive="default")
    wait_for("another segment", lambda: len(s.segments("cam")) > before, timeout=10)
    s.sections["server"]["ring-max"] = "4M"
    s.sections["server/stream"]["reconnect-invalid"] = "20"
    s.write_ini()
    change("keys of the server", dvr_archive="default")
    before = len(s.log())
    s.sections["dvr"]["dvr-sync"] = "2s"
    s.write_ini()
    s.write_stream("cam", {"stream-url": cam.url(), "dvr-archive": "default", "stream-name": "Gate", "camera-uid": "c-7"})
    s.reload()
    s.wait_frames("cam", 30)
    assert ring_settings(s, "cam") == hashes[-1] and " settings hash=" not in s.log()[before:], "not the worker's matter"
    assert s.pid("cam") == pid
    assert len(set(hashes)) == len(hashes) - 1 and hashes[4] == hashes[0], "the same settings have the same hash"
    assert cam.stats("cam0")["sessions_opened"] == 1
    s.stop()
    for storage in ("default", "other"):
        assert s.recorded("cam", storage=storage, growing=False)


@pytest.mark.parametrize("way", ["msctl", "SIGHUP"])
def test_broken_configuration_is_refused_as_a_whole(server, camera, way):
    cam = camera(dict(group="cam", source="tiny.h264", streams=2))
    s = server({"cam0": cam.url("cam0")})
    s.wait_state("cam0")
    s.write_stream("cam1", {"stream-url": cam.url("cam1"), "dvr-chunk": "nonsense"})
    if way == "msctl":
        p = s.msctl("reload", ok=False)
        assert p.returncode != 0 and re.search(r"cam1\.ini:\d+.*dvr-chunk", p.stdout + p.stderr)
    else:
        os.kill(s.process.pid, signal.SIGHUP)
        wait_for("the mistake in the log", lambda: re.search(r"cam1\.ini:\d+.*dvr-chunk", s.log()), timeout=5)
    assert list(s.streams()) == ["cam0"] and s.stream("cam0")["state"] == "active"
    s.write_stream("cam1", cam.url("cam1"))
    s.reload()
    s.wait_state("cam1")
    assert cam.stats("cam0")["sessions_opened"] == 1


def test_configuration_check(server, camera):
    s = server({}, sections={"server": {"node-id": 1}})
    exe = tools.BUILD / "bin" / "media-server"
    assert tools.run(exe, "-t", "-c", s.ini).returncode == 0
    bad = s.path / "bad.ini"
    bad.write_text("[server]\n  node-id = x\n  no-such-key = 1\n  [[stream]]\n  web = 127.0.0.1:99999:/\n")
    p = tools.run(exe, "-t", "-c", bad, ok=False)
    text = p.stdout + p.stderr
    assert p.returncode != 0
    assert re.search(r"bad\.ini:2:.*node-id", text) and re.search(r"bad\.ini:5:.*web", text)
    assert re.search(r"bad\.ini:3:.*warning.*no-such-key", text)
    assert tools.run(exe, "-vs").stdout.strip() == (tools.ROOT / "VERSION").read_text().strip()


def test_msctl(server, camera):
    cam = camera(dict(group="cam", source="tiny.h264", auth="digest-md5", user="u", password="planted-secret"))
    s = server({"cam": cam.url("cam0")}, record=True)
    s.wait_state("cam")
    assert "cam" in s.msctl("streams").stdout
    assert s.status()["streams"] == 1
    old = s.pid("cam")
    s.msctl("restart", "cam")
    wait_for("a new worker", lambda: s.pid("cam") not in (0, old), timeout=10)
    s.wait_state("cam")
    assert wait_for("lines of the stream", lambda: s.msctl("logs", "cam").stdout, timeout=5)
    assert s.rows("storage", "list")[0]["state"] == "ok"
    assert s.msctl("restart", "nobody", ok=False).returncode == 4
    everything = s.log() + s.msctl("logs", "cam").stdout + s.msctl("--json", "streams").stdout
    everything += "".join(pathlib.Path(f"/proc/{p}/{f}").read_bytes().decode("latin-1") for p in s.family() for f in ("cmdline", "environ"))
    assert "planted-secret" not in everything


def test_log_file_is_opened_anew(server, camera):
    s = server({}, sections={"server": {"log-file": "server.log"}})
    log = s.path / "server.log"
    wait_for("the log", log.exists)
    log.rename(s.path / "old.log")
    os.kill(s.process.pid, signal.SIGUSR1)
    wait_for("a new log", log.exists)
    s.msctl("reload")
    wait_for("lines in it", lambda: log.stat().st_size > 0)


@pytest.mark.slow
def test_on_demand(server, camera):
    cam = camera(source="small.h264")
    s = server({"cam": {"stream-url": cam.url(), "stream-enable": "on-demand"}})
    wait_for("the stream is known", lambda: s.stream("cam"))
    assert cam.stats("cam0")["requests"] == 0
    began = time.monotonic()
    media, _ = wait_for("a live playlist", lambda: (p := hls.open_playlist(s, "cam/index.m3u8")) and p[0].segments and p, timeout=12)
    assert hls.samples(s, media.segments[:1]).of("vide")
    assert time.monotonic() - began < 12 * tools.SLOW
    assert cam.stats("cam0")["sessions"] == 1
    wait_for("it is left 30 s after the last viewer", lambda: cam.stats("cam0")["sessions"] == 0, timeout=50)


def test_disabled_and_closed_streams(server, camera):
    cam = camera(dict(group="cam", source="tiny.h264", streams=3))
    s = server(
        {
            "off": {"stream-url": cam.url("cam0"), "stream-enable": "false"},
            "private": {"stream-url": cam.url("cam1"), "stream-access": "private"},
            "listed": {"stream-url": cam.url("cam2"), "stream-access": "protected", "stream-whitelist": "10.0.0.0/8"},
        }
    )
    s.wait_state("private")
    s.wait_state("listed")
    assert s.stream("off")["state"] == "disabled"
    assert cam.stats("cam0")["requests"] == 0
    for uid in ("private", "listed"):
        for path in ("index.m3u8", "live.mp4", "preview.mp4", f"archive-{int(time.time()) - 60}-30.m3u8", "recording_status.json"):
            assert s.get(f"{uid}/{path}", status=None).status == 403, f"{uid}/{path}"


# --- first picture ---


def test_first_picture(server, camera):
    """HLS plays within 2 s of the first request on a stream already captured."""
    cam = camera(source="cam.h264", start="now")
    s = server({"cam": cam.url()})
    s.wait_state("cam")
    s.wait_frames("cam", 75)
    began = time.monotonic()

    def first_segment():
        media, _ = hls.open_playlist(s, "cam/index.m3u8")
        return media.segments and hls.samples(s, media.segments[:1]).of("vide")

    assert wait_for("a segment", first_segment, timeout=10)[0].key
    assert time.monotonic() - began < 2 * tools.SLOW
