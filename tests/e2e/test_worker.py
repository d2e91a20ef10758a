"""A single worker against simulated and foreign cameras, with worker_host.py in the place of master, connector, keeper."""
import errno
import json
import os
import signal
import socket
import subprocess
import time

import pytest

import gst as gst_help
import mp4
import tools
from worker_host import CAMERA_FREE, Host

KEY, DISCONT, DAMAGED = 1, 2, 4


@pytest.fixture
def host(request):
    hosts = []

    def start(**kw):
        h = Host(**kw)
        hosts.append(h)
        request.node.logs = getattr(request.node, "logs", []) + [h.shown]
        return h

    yield start
    for h in hosts:
        h.close()


def frames(worker, track=0, since=0):
    oldest, end = worker.ring.span()
    out = []
    for seq in range(max(oldest, since), end):
        f = worker.ring.frame(seq)
        if f is None:  # overwritten meanwhile, and all before it
            out.clear()
        elif f["track"] == track:
            out.append(f)
    return out


def hashes(fs):
    return [tools.sha1(f["data"]) for f in fs]


def is_run_of(got, truth):
    """Are these a continuous run of the camera's loop?"""
    order = [t["sha1"] for t in truth]
    if not got or got[0] not in order:
        return False
    first = order.index(got[0])
    return got == [order[(first + i) % len(order)] for i in range(len(got))]


def samples(path):
    """Presentation times and key flags of the first stream of a segment."""
    return tools.ffprobe(path, "-select_streams", "v:0", entries="packet=pts_time,flags")["packets"]


def seen(worker, n, track=0):
    return lambda w: len(frames(w, track)) >= n


# --- capture ---


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("source", ["small.h264", "small.h265"])
def test_every_frame_comes_bit_exact(camera, host, source, transport):
    cam = camera(source=source, auth="digest-md5", user="u", password="p")
    w = host().worker("cam-1", cam.url("cam0"), transport=transport)
    w.wait_state("active")
    w.wait(seen(w, 60))
    got = frames(w)
    assert is_run_of(hashes(got), cam.truth("cam0"))
    assert got[0]["flags"] & KEY
    dts = [f["dts"] for f in got]
    assert all(b - a == 3600 for a, b in zip(dts, dts[1:]))
    s = w.status()
    assert s["packets_lost"] == 0 and s["frames_damaged"] == 0 and s["reason"] == ""
    assert s["source"].startswith(transport + " 127.0.0.1:")
    assert abs(s["last_frame_us"] / 1e6 - time.time()) < 2 * tools.SLOW
    assert w.stop() == 0


@pytest.mark.parametrize("auth", ["basic", "digest-sha256", "digest-both"])
def test_logins(camera, host, auth):
    cam = camera(auth=auth, user="u", password="p@:%/", qop=1)
    w = host().worker("cam-1", f"rtsp://u:p%40%3A%25%2F@127.0.0.1:{cam.port}/cam0")
    w.wait_state("active")


@pytest.mark.parametrize("audio,codec", [("audio.aac", "aac"), ("audio.alaw", "pcm_alaw"), ("audio.ulaw", "pcm_mulaw"), ("audio.opus", "opus")])
def test_sound_comes_along(camera, host, audio, codec):
    cam = camera(source=["small.h264", audio])
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait(seen(w, 40, 1))
    assert is_run_of(hashes(frames(w, 1)), cam.truth("cam0", 1))
    video, sound = frames(w, 0)[-1], frames(w, 1)[-1]
    assert abs(video["wall_us"] - sound["wall_us"]) < 500000
    w.wait(lambda w: w.status()["rec_bytes"] > 50000)
    assert w.stop() == 0
    streams = tools.ffprobe(w.segments()[0])["streams"]
    assert [s["codec_name"] for s in streams] == ["h264", codec]


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_an_independent_server(gst, host, codec):
    server = gst(cam=f"{gst_help.video(codec)} {gst_help.audio('aac')}", user="u", password="p")
    w = host().worker("cam-1", server.url("cam"), record=True)
    w.wait_state("active", 20)
    w.wait(seen(w, 50), 20)
    w.wait(lambda w: w.status()["rec_end_us"] - w.status()["rec_start_us"] > 2000000)
    assert w.stop() == 0
    assert tools.decode(w.segments()[0]) == ""


def test_only_wanted_tracks_are_taken(camera, host):
    cam = camera(source=["small.h264", "audio.aac"])
    w = host().worker("cam-1", cam.url("cam0"), tracks="video")
    w.wait(seen(w, 30))
    assert frames(w, 1) == []


# --- wake-ups and latency ---


def test_without_viewers_it_wakes_seldom_and_with_them_at_once(camera, host):
    cam = camera(source="cam.h264")
    w = host().worker("cam-1", cam.url("cam0"))
    w.wait_state("active")

    def wakeups():
        return int([x for x in open(f"/proc/{w.process.pid}/status") if x.startswith("voluntary")][0].split()[1])

    def rate():
        n, t = wakeups(), time.monotonic()
        w.wait(lambda w: time.monotonic() - t > 3)
        return (wakeups() - n) / (time.monotonic() - t)

    w.wait(lambda w: rate() < 7)
    w.follow(1)
    os.set_blocking(w.frames_event, False)
    w.wait(lambda w: rate() > 20, 10)
    assert os.eventfd_read(w.frames_event) > 0

    def at_once(w):
        arrivals = [f["arrival_us"] for f in frames(w)[-20:]]
        return max(b - a for a, b in zip(arrivals, arrivals[1:])) < 150000

    w.wait(at_once)
    w.follow(0)
    w.wait(lambda w: rate() < 7, 15)


def test_memory_is_small(camera, host):
    cam = camera(source="cam.h264", auth="digest-md5", user="u", password="p", streams=2)
    h = host()
    ws = [h.worker(f"cam-{i}", cam.url(f"cam{i}"), record=True) for i in range(2)]
    for w in ws:
        w.wait(lambda w: w.status()["recorded_bytes"] > 1000000, 30)
    if not tools.SANITIZED:
        private, ring = ws[0].memory()
        assert private <= 600 and private + ring <= 1800


# --- states ---


def test_an_unreachable_camera_is_down_and_asked_ever_less(host):
    port = tools.free_port()
    w = host().worker("cam-1", f"rtsp://127.0.0.1:{port}/cam0")
    w.wait_state("down")
    assert "refused" in w.status()["reason"].lower()
    w.wait(lambda w: len(w.dials) >= 3, 20)
    waits = [b[0] - a[0] for a, b in zip(w.dials, w.dials[1:])]
    assert 0.7 < waits[0] < 1.5 * tools.SLOW and 1.5 < waits[1] < 3 * tools.SLOW
    assert w.stop() == 0


def test_a_camera_that_goes_away_is_down_and_asked_ever_less(camera, host):
    """What was recorded of it is closed, and nothing says that it still records."""
    cam = camera(source="tiny.h264")
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait_state("active")
    w.wait(lambda w: w.status()["record_state"] == "on")
    w.dials.clear()
    cam.process.terminate()
    w.wait(lambda w: len(w.closed) == 1)
    w.wait(lambda w: w.status()["record_state"] == "waiting" and w.status()["bitrate_in"] == 0)
    w.wait_state("down", 20)
    w.wait(lambda w: len(w.dials) >= 3, 20)
    waits = [b[0] - a[0] for a, b in zip(w.dials, w.dials[1:])]
    assert waits[0] > 1.5 and waits[1] > 3, waits  # the first second was before the first of them
    assert w.stop() == 0


def test_a_wrong_password_is_said_and_not_hammered(camera, host):
    cam = camera(auth="digest-md5", user="u", password="right")
    w = host().worker("cam-1", f"rtsp://u:secretword@127.0.0.1:{cam.port}/cam0")
    w.wait_state("down")
    assert "401" in w.status()["reason"] or "password" in w.status()["reason"]
    t = time.monotonic()
    w.wait(lambda w: time.monotonic() - t > 4)
    assert len(w.dials) <= 4
    assert w.stop() == 0
    assert "secretword" not in w.host.shown()[1]


def test_a_reset_costs_a_second(camera, host):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait(seen(w, 30))
    cam.do("rst")
    w.wait(lambda w: w.status()["reconnects"] == 1)
    w.wait_state("active")
    w.wait(lambda w: any(f["flags"] & DISCONT for f in frames(w)))
    w.wait(lambda w: len(w.opened) == 2)
    s = w.status()
    assert s["connects"] == 2
    assert [x[0] for x in w.states].count("connecting") >= 2
    assert w.stop() == 0
    assert len(w.segments()) == 2
    for path in w.segments():
        assert tools.decode(path) == ""


@pytest.mark.slow
def test_frozen_video_is_stale_and_asked_for_anew(camera, host):
    """K11, K13: sound goes on, the picture stands."""
    cam = camera(source=["small.h264", "audio.aac"])
    w = host().worker("cam-1", cam.url("cam0"))
    w.wait_state("active")
    cam.set(freeze_video=1)
    w.wait_state("stale", 20)
    assert "no media" in w.status()["reason"]
    cam.set(freeze_video=0)
    w.wait_state("active", 20)
    assert w.status()["reconnects"] == 1


def test_long_gops_stay_active(camera, host):
    """K14: fragments go on inside the GOP."""
    cam = camera(source="longgop.h264", fast=1)
    w = host().worker("cam-1", cam.url("cam0"), record=True, chunk_us=5000000)
    w.wait_state("active", 30)
    w.wait(lambda w: w.status()["rec_end_us"] - w.status()["rec_start_us"] > 4000000, 30)
    assert len(w.opened) == 1


def test_on_demand_the_camera_is_left_alone(camera, host):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"), on_demand=True)
    w.wait_state("idle")
    t = time.monotonic()
    w.wait(lambda w: time.monotonic() - t > 1)
    assert w.dials == []
    w.follow(0, 1)
    w.wait_state("active", 5)
    w.follow(0, 0)
    t = time.monotonic()
    w.wait(lambda w: time.monotonic() - t > 2)
    assert w.status()["state"] == "active"  # left 30 s after the last


@pytest.mark.parametrize("knobs", [
    dict(loss=500), dict(duplicate=2000), dict(foreign=2000), dict(other_pt=3000), dict(strange_channel=2000), dict(marker="never"),
    dict(marker="always"), dict(params_ts=-1800), dict(same_ts=1), dict(ts_stray=3000000), dict(sr="1970"), dict(sr="jumps"), dict(channels="swapped"),
    dict(channels="rtcp-on-rtp"), dict(rtp_info="junk"), dict(transport="bad-ssrc"), dict(heads="lf"), dict(style="annexb"), dict(dribble=1),
    dict(mtu=60000), dict(slow_start=1500), dict(early=1), dict(no_range=1), dict(auth_close=1, auth="basic", user="u", password="p"),
    dict(nonce="request", auth="digest-md5", user="u", password="p"), dict(wire_pt=110), dict(session="none"), dict(base="wrong-host"),
], ids=lambda k: " ".join(f"{a}={b}" for a, b in k.items() if a not in ("user", "password")))
def test_habits(camera, host, knobs):
    """Whatever cameras do, it is captured, and media time rises."""
    cam = camera(**knobs)
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait(seen(w, 70), 30)
    fs = frames(w)
    dts = [f["dts"] for f in fs]
    assert all(b > a for a, b in zip(dts, dts[1:]))
    assert dts[-1] - dts[0] < 90000 * 12
    truth = {t["sha1"] for t in cam.truth("cam0")}
    assert all(h in truth for f, h in zip(fs, hashes(fs)) if not f["flags"] & DAMAGED)
    assert w.stop() == 0
    assert "error" not in tools.decode(w.segments()[0]).lower() or "loss" in knobs


@pytest.mark.parametrize("action,arg", [("ts-jump", "900000000"), ("ts-zero", ""), ("seq-jump", "20000"), ("ssrc", ""), ("restart", ""), ("bye", ""), ("garbage", "5000")])
@pytest.mark.slow
def test_what_happens_once(camera, host, action, arg):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"))
    w.wait(seen(w, 30))
    at = w.ring.span()[1]
    cam.do(action, arg)
    w.wait(lambda w: w.ring.span()[1] > at + 60)
    dts = [f["dts"] for f in frames(w)]
    assert all(b > a for a, b in zip(dts, dts[1:]))
    assert dts[-1] - dts[0] < 90000 * 15
    assert w.status()["state"] == "active"


def test_udp_reordering_costs_nothing(camera, host):
    """T3"""
    cam = camera(reorder=5000, duplicate=3000, start="key")
    w = host().worker("cam-1", cam.url("cam0"), transport="udp")
    w.wait(lambda w: len(frames(w)) > 150 and w.status()["packets_reordered"] > 3, 30)
    assert is_run_of(hashes(frames(w)), cam.truth("cam0"))
    assert w.status()["packets_lost"] == 0


def test_udp_loss_is_counted(camera, host):
    cam = camera(source="cam.h264", loss=300, reorder=1000)
    w = host().worker("cam-1", cam.url("cam0"), transport="udp")
    w.wait(lambda w: w.status()["packets_lost"] > 5 and w.status()["packets_reordered"] > 5, 30)
    assert w.status()["frames_damaged"] > 0


# --- ring ---


def test_the_ring_grows_by_need(camera, host):
    cam = camera(source="large.h264")
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait(lambda w: w.ring.generation > 1, 30)
    w.wait(lambda w: getattr(w, "moved", 0) >= 1)
    w.wait(lambda w: w.ring.span()[1] - w.ring.span()[0] > 60, 30)
    seqs = frames(w)
    assert [f["seq"] for f in seqs] == list(range(seqs[0]["seq"], seqs[0]["seq"] + len(seqs)))
    w.wait(lambda w: w.status()["rec_next_seq"] > seqs[-1]["seq"])
    assert w.stop() == 0
    assert tools.decode(w.segments()[0]) == ""


# --- recording ---


@pytest.mark.parametrize("knobs,offset_s", [
    (dict(sr_offset=7300), 7.3), (dict(sr_offset=-400), -0.4), (dict(sr="local"), 10800), (dict(sr="none"), None), (dict(sr="zero"), None),
], ids=lambda v: str(v))
def test_the_footer_has_the_cameras_clock(camera, host, knobs, offset_s):
    """T8: whatever the camera thinks the time is, wall time stays ours; what it thinks is noted."""
    cam = camera(**knobs)
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait(lambda w: w.status()["rec_end_us"] - w.status()["rec_start_us"] > 3000000)
    now = time.time()
    assert w.stop() == 0
    f = mp4.footer(w.segments()[0])
    assert abs(f["end_us"] / 1e6 - now) < 2 * tools.SLOW
    if offset_s is None:
        assert (f["clock"], f["clock_offset_us"]) == ("server", 0)
    else:
        assert f["clock"] == "camera" and abs(f["clock_offset_us"] / 1e6 - offset_s) < 0.15 * tools.SLOW


@pytest.mark.slow
def test_segments_follow_each_other_without_a_gap(camera, host):
    cam = camera(fast=4)
    w = host().worker("cam-1", cam.url("cam0"), record=True, chunk_us=5000000)
    w.wait(lambda w: len(w.closed) >= 3, 40)
    assert w.stop() == 0
    paths = w.segments()
    total = 0
    for path in paths:
        assert tools.decode(path) == ""
        packets = samples(path)
        assert float(packets[0]["pts_time"]) < 0.1
        total += len(packets)
    assert len(w.closed) == len(w.opened) == len(paths)
    assert [c["id"] for c in w.closed] == [o["id"] for o in w.opened]


def test_a_killed_worker_loses_no_frame_of_the_ring(camera, host):
    cam = camera(source="cam.h264", start="key")
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait(lambda w: w.status()["rec_next_seq"] > 60 and len(frames(w)) > 60)
    os.kill(w.process.pid, signal.SIGKILL)
    w.process.wait()
    left = hashes(frames(w))
    t = time.monotonic()
    w.start()
    w.wait(lambda w: len(w.opened) == 2)
    w.wait_state("active")
    assert time.monotonic() - t < 5 * tools.SLOW
    assert w.status()["reconnects"] == 0 and w.status()["connects"] == 2
    w.wait(lambda w: any(f["flags"] & DISCONT for f in frames(w)))
    seq = w.ring.span()[1]
    w.wait(lambda w: w.status()["rec_next_seq"] > seq + 10)
    assert w.stop() == 0
    stored = [h for path in w.segments() for h in mdat_hashes(path)]
    assert [stored.count(h) for h in left] == [1] * len(left)


def mdat_hashes(path):
    """SHA-1 of the samples of the first stream; a segment without its footer too."""
    out = subprocess.run(["ffprobe", "-v", "error", "-select_streams", "v:0", "-show_entries", "packet=pos,size", "-of", "json", path],
                         capture_output=True, text=True).stdout
    data = open(path, "rb").read()
    return [tools.sha1(data[int(p["pos"]):int(p["pos"]) + int(p["size"])]) for p in json.loads(out)["packets"]]


def test_a_missing_storage_pauses_recording_and_live_goes_on(camera, host):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait(lambda w: w.status()["record_state"] == "on")
    w.take_folder(errno.ENODEV)
    w.wait(lambda w: w.status()["record_state"] == "paused" and len(w.closed) == 1)
    assert w.status()["rec_errno"] == errno.ENODEV
    at = w.ring.span()[1]
    w.wait(lambda w: w.ring.span()[1] > at + 30)
    assert w.status()["state"] == "active"
    w.give_folder()
    w.wait(lambda w: w.status()["record_state"] == "on" and len(w.opened) == 2)


def test_a_new_keeper_hears_what_the_old_one_had_not_stored(camera, host):
    cam = camera(fast=4)
    w = host().worker("cam-1", cam.url("cam0"), record=True, chunk_us=5000000)
    w.store = False
    w.wait(lambda w: len(w.closed) >= 1, 20)
    w.keeper.sock.shutdown(socket.SHUT_RDWR)
    first = w.closed[0]["id"]
    w.closed, w.opened = [], []
    w.store = True
    w.send_keeper()
    w.wait(lambda w: any(c["id"] == first for c in w.closed))
    w.wait(lambda w: len(w.opened) >= 1)  # the open one is said again


@pytest.mark.slow
def test_a_full_disk(camera, host, tmp_path):
    """The segment is cut back and closed as far as it goes, the keeper hears of it, live goes on."""
    image, mount = tmp_path / "disk", tmp_path / "mount"
    mount.mkdir()
    tools.run("truncate", "-s", "4M", image)
    tools.run("mkfs.ext4", "-q", "-O", "^has_journal", image)
    if subprocess.run(["mount", "-o", "loop", str(image), str(mount)], capture_output=True).returncode != 0:
        pytest.skip("no loop mounts here")
    try:
        cam = camera(source="cam.h264")
        w = host(archive=str(mount)).worker("cam-1", cam.url("cam0"), record=True)
        w.wait(lambda w: errno.ENOSPC in w.failed, 40)
        assert w.status()["record_state"] == "paused" and w.status()["rec_errno"] == errno.ENOSPC
        at = w.ring.span()[1]
        w.wait(lambda w: w.ring.span()[1] > at + 30)
        assert w.status()["state"] == "active"
        for path in w.segments():
            os.unlink(path)
        w.give_folder()
        w.wait(lambda w: w.status()["record_state"] == "on", 20)
        assert w.stop() == 0
    finally:
        subprocess.run(["umount", "-l", str(mount)])


def test_a_hung_disk_stops_only_the_recorder(camera, host):
    """The recorder's thread is stopped in a write; the loop goes on, and says by record_beat_us that the disk hangs."""
    cam = camera()
    h = host()
    w = h.worker("cam-1", cam.url("cam0"), record=True)
    w.wait(lambda w: w.status()["record_state"] == "on")
    pipe = f"{h.dir.name}/hang"
    os.mkdir(pipe)
    folder = f"{pipe}/records"
    os.makedirs(folder)
    # A frozen file system: writes wait in the kernel until it is thawed.
    image = f"{h.dir.name}/image"
    tools.run("truncate", "-s", "32M", image)
    tools.run("mkfs.ext4", "-q", image)
    if subprocess.run(["mount", "-o", "loop", image, folder], capture_output=True).returncode != 0:
        pytest.skip("no loop mounts here")
    frozen = False
    try:
        w.folder = folder
        w.give_folder("other")
        w.wait(lambda w: len(w.opened) == 2)
        frozen = subprocess.run(["fsfreeze", "-f", folder], capture_output=True).returncode == 0
        if not frozen:
            pytest.skip("no fsfreeze here")

        def behind(w, beat):
            return time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6 - w.status()[beat]

        w.wait(lambda w: behind(w, "record_beat_us") > 3000000)
        w.wait(lambda w: behind(w, "beat_mono_us") < 1000000)
        assert w.status()["state"] == "active"
        at = w.ring.span()[1]
        w.wait(lambda w: w.ring.span()[1] > at + 20)
        subprocess.run(["fsfreeze", "-u", folder])
        frozen = False
        w.wait(lambda w: behind(w, "record_beat_us") < 1500000)
        w.wait(lambda w: w.status()["rec_next_seq"] > at)
        assert w.stop() == 0
    finally:
        if frozen:
            subprocess.run(["fsfreeze", "-u", folder])
        subprocess.run(["umount", "-l", folder])


# --- its parents ---


def test_without_its_master_it_ends_within_two_seconds(camera, host):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"), record=True)
    w.wait(lambda w: w.status()["record_state"] == "on")
    t = time.monotonic()
    w.master.sock.shutdown(socket.SHUT_RDWR)
    assert w.process.wait(5 * tools.SLOW) == 75
    assert time.monotonic() - t < 2.5 * tools.SLOW
    assert tools.decode(w.segments()[0]) == ""
    tools.wait_for("TEARDOWN", lambda: cam.stats("cam0"))


def test_stop_says_teardown(camera, host):
    cam = camera(max_sessions=1)
    for _ in range(3):  # a session left behind would refuse the next one
        w = host().worker("cam-1", cam.url("cam0"))
        w.wait_state("active")
        assert w.stop() == 0


def test_a_full_camera_that_may_be_free(camera, host):
    """K9: whoever waits is told so, and asks between its waits, which go on as they were."""
    cam = camera(max_sessions=1)
    h = host()
    has = h.worker("cam-1", cam.url("cam0"))
    has.wait_state("active")
    waits = h.worker("cam-2", cam.url("cam0"))
    waits.wait(lambda w: w.status()["end_capacity"] == 1)

    def told(w):
        w.master.send(CAMERA_FREE, {})
        return w.status()

    waits.wait(lambda w: told(w)["end_capacity"] >= 4)
    assert [s for s, _ in waits.states] == ["connecting", "down"], waits.states
    assert has.stop() == 0
    waits.wait(lambda w: told(w)["state"] == "active")


def test_a_connector_that_dies_is_replaced(camera, host):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"))
    w.wait_state("active")
    w.connector.sock.shutdown(socket.SHUT_RDWR)
    at = w.ring.span()[1]
    w.wait(lambda w: w.ring.span()[1] > at + 20)
    assert w.status()["reconnects"] == 0
    cam.do("rst")
    w.wait(lambda w: w.status()["reconnects"] == 1)
    w.send_connector()
    w.wait_state("active")


def test_new_settings_are_taken_over(camera, host):
    """While it runs, and said in the ring's header; the camera is not asked anew."""
    cam = camera(source="tiny.h264")
    w = host().worker("cam-1", cam.url(), record=True, hash=1 << 63)
    w.wait_state("active")
    w.wait(lambda w: w.opened)
    assert w.ring.settings_hash() == 1 << 63
    w.settings.update(record=False, hash=2)
    w.master.send(10, w.settings)
    w.wait(lambda w: w.status()["record_state"] == "off" and len(w.closed) == 1)
    assert w.ring.settings_hash() == 2
    w.settings.update(record=True, chunk_us=10_000_000, hash=3)
    w.master.send(10, w.settings)
    w.wait(lambda w: len(w.opened) == 3, seconds=25)  # the second is over after its 10 s
    assert w.ring.settings_hash() == 3
    assert w.status()["connects"] == 1


def test_on_demand_no_more(camera, host):
    cam = camera(source="tiny.h264")
    w = host().worker("cam-1", cam.url(), on_demand=True)
    w.wait_state("idle")
    w.settings.update(on_demand=False)
    w.master.send(10, w.settings)
    w.wait_state("active")


def test_new_waits_are_taken_over(camera, host):
    nobody = f"rtsp://127.0.0.1:{tools.free_port()}/none"
    w = host().worker("cam-1", nobody, retry_first_us=10_000_000, retry_most_us=3600_000_000)
    w.wait(lambda w: len(w.dials) == 3, seconds=15)  # after 1 and 2 s
    w.settings.update(retry_first_us=1_000_000, retry_most_us=1_000_000)
    w.master.send(10, w.settings)
    w.wait(lambda w: len(w.dials) == 7, seconds=20)  # after the wait under way, of 4 s, at most 1 s each
    gaps = [b[0] - a[0] for a, b in zip(w.dials, w.dials[1:])]
    assert max(gaps[3:]) < 1.5 * tools.SLOW, gaps


def test_another_camera_is_another_worker(camera, host):
    """Nobody tells it to change its camera: that is nonsense from whoever says it."""
    cam = camera(dict(group="cam"), dict(group="two"))
    w = host().worker("cam-1", cam.url("cam0"))
    w.wait_state("active")
    w.settings.update(url=cam.url("two0"))
    w.master.send(10, w.settings)
    assert w.process.wait(5 * tools.SLOW) == 75


def test_settings_that_cannot_be_used_end_it(host):
    w = host().worker("cam-1", "gopher://nowhere/")
    assert w.process.wait(5 * tools.SLOW) == 78


def test_it_makes_no_socket_of_its_own(camera, host):
    """The connector is the only way out: socket, connect and bind are never called."""
    if subprocess.run(["which", "strace"], capture_output=True).returncode != 0:
        pytest.skip("no strace")
    cam = camera()
    h = host()
    w = h.worker("cam-1", cam.url("cam0"), transport="udp", record=True)
    trace = f"{h.dir.name}/trace"
    strace = subprocess.Popen(["strace", "-f", "-qq", "-e", "trace=socket,connect,bind,execve,clone,fork", "-o", trace, "-p", str(w.process.pid)])
    try:
        w.wait_state("active")
        cam.do("close")
        w.wait(lambda w: w.status()["reconnects"] == 1)
        w.wait_state("active")
    finally:
        strace.terminate()
        strace.wait()
    assert all(call not in open(trace).read() for call in ("socket(", "connect(", "bind(", "execve("))
