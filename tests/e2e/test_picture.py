"""JPEG of live and archive, AAC of telephone sound: through the whole server, and ms-picture by itself with hostile frames."""
import array
import concurrent.futures
import http.client
import math
import os
import random
import re
import signal
import subprocess
import time

import pytest

import picture
import tools
from tools import wait_for

BLACK_MOST = 40  # mean of luma, 16 is black


def look(path):
    """(width, height, mean luma, its deviation) as ffmpeg decodes the picture."""
    found = tools.ffprobe(path, entries="stream=codec_name,width,height")
    stream = found["streams"][0]
    assert stream["codec_name"] == "mjpeg"
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-pix_fmt", "gray", "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
    assert len(raw) == stream["width"] * stream["height"]
    mean = sum(raw) / len(raw)
    return stream["width"], stream["height"], mean, (sum((v - mean) ** 2 for v in raw[::7]) / len(raw[::7])) ** 0.5


def seen(server, answer, name="seen.jpg"):
    """The picture of an answer; it is one, and not black."""
    assert answer["Content-Type"] == "image/jpeg"
    path = server.path / name
    path.write_bytes(answer.body)
    width, height, mean, deviation = look(path)
    assert mean > BLACK_MOST and deviation > 10, (mean, deviation)
    return width, height


def helpers(server):
    return [pid for pid, name in server.family().items() if name == "ms-picture"]


def frozen(server, cam, uid="cam0"):
    """From now on the last key frame stays the same one: what was sent is there."""
    cam.set(freeze=1)
    wait_for("all frames", lambda: server.stream(uid)["frames"] >= cam.stats(uid)["frames_sent"] > 0)


def iso(answer):
    """X-Picture-Time in unix seconds."""
    text = answer["X-Picture-Time"]
    whole, ms = re.fullmatch(r"(.*)\.(\d{3})Z", text).groups()
    return time.mktime(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) - time.timezone + int(ms) / 1000


# --- the whole server ---


def test_last_key_frame(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="key"))
    s = server({"cam0": cam.url("cam0")})
    s.wait_state("cam0")
    a = s.get("cam0/preview.jpg")
    assert seen(s, a) == (640, 360)
    assert abs(iso(a) - time.time()) < 5 * tools.SLOW
    assert a["X-Picture-Age"] is None
    small = s.get("cam0/preview.jpg?width=160")
    assert seen(s, small) == (160, 90)
    assert s.get("live/cam0/preview.jpg").status == 200
    for width in ("", "0", "15", "4097", "-1", "x", "99999999999"):
        s.get(f"cam0/preview.jpg?width={width}", status=400)
    status = s.status()
    assert status["picture_helpers"] >= 1
    assert status["sandbox_missing"] == ("calls" if tools.SANITIZED else "")


def test_picture_of_the_archive(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="key"))
    s = server({"cam0": {"stream-url": cam.url("cam0"), "dvr-chunk": "10s"}}, record=True)
    s.wait_recording("cam0")
    wait_for("14 s are recorded", lambda: s.ranges("cam0") and s.ranges("cam0")[0][1] >= 14, timeout=25)
    start, length = s.ranges("cam0")[0]
    for at in (int(start) + 1, int(start) + 9, int(start) + 12):
        a = s.get(f"cam0/{at}-preview.jpg")
        assert seen(s, a) == (640, 360)
        assert at - 1.5 < iso(a) <= at  # a key frame a second
        assert s.get(f"cam0/{at}.jpg").body == a.body
        assert s.get(f"dvr/cam0/screenshot.jpg?timestamp={at}").body == a.body
        assert s.get(f"cam0/{at}.jpg", headers={"If-None-Match": a["ETag"]}, status=304).body == b""
        exact = s.get(f"cam0/{at}.jpg?exact=1&width=320")
        assert seen(s, exact) == (320, 180)
        assert at - 0.05 < iso(exact) <= at
    # A second in which footage begins is answered with its first picture.
    assert 0 <= iso(s.get(f"cam0/{int(start)}.jpg")) - int(start) < 1
    day = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(int(start) + 2))
    assert abs(iso(s.get(f"dvr/cam0/screenshot.jpg?time={day}")) - int(start) - 2) < 1.1
    missed = s.get(f"cam0/{int(start) - 1000}.jpg", status=404)
    assert abs(int(missed["X-Nearest-Recorded"]) - start) <= 1
    s.get("cam0/x.jpg", status=400)
    s.get("dvr/cam0/screenshot.jpg", status=400)
    s.get("nobody/1700000000.jpg", status=404)


@pytest.mark.parametrize("source", ["bframes.h264", "bframes.h265", "odd.h264", "large.h264"])
def test_codecs_and_sizes(server, camera, source):
    cam = camera(dict(group="cam", source=source, start="key"))
    s = server({"cam0": cam.url("cam0")})
    s.wait_state("cam0")
    a = s.get("cam0/preview.jpg")
    said = next(t for t in s.get("cam0/stream.json").json()["tracks"] if "width" in t)
    assert seen(s, a) == (said["width"], said["height"])


def test_camera_that_is_down_shows_its_last_picture(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="key"))
    s = server({"cam0": cam.url("cam0")})
    s.wait_state("cam0")
    fresh = iso(s.get("cam0/preview.jpg"))
    cam.set(freeze=1)
    wait_for("it is not active", lambda: s.stream("cam0")["state"] != "active", timeout=40)
    a = s.get("cam0/preview.jpg")
    assert seen(s, a) == (640, 360)
    assert int(a["X-Picture-Age"]) >= 1 and a["Cache-Control"] == "no-store"
    assert iso(a) >= fresh
    film = s.get("cam0/preview.mp4")
    assert film.body[4:8] == b"ftyp" and film["X-Picture-Time"] == a["X-Picture-Time"]
    assert int(film["X-Picture-Age"]) >= 1 and film["Cache-Control"] == "no-store"
    cam.set(freeze=0)
    s.wait_state("cam0", timeout=60)
    wait_for("pictures are fresh again", lambda: s.get("cam0/preview.mp4")["X-Picture-Age"] is None and s.get("cam0/preview.jpg")["X-Picture-Age"] is None)


def test_camera_that_is_down_since_the_server_began(server, camera):
    """The last recorded picture, and how old it is; where nothing is recorded, why there is none."""
    cam = camera(dict(group="cam", source="small.h264", start="key", streams=2))
    s = server({"cam0": cam.url("cam0"), "cam1": {"stream-url": cam.url("cam1"), "dvr-enable": "false"}}, record=True)
    s.wait_recording("cam0")
    wait_for("an archive", lambda: s.ranges("cam0") and s.ranges("cam0")[0][1] >= 4, timeout=25)
    s.stop()
    ended = time.time()
    cam.set(describe_status=404)
    s.start()
    wait_for("they are away", lambda: all(s.stream(uid)["state"] == "down" for uid in ("cam0", "cam1")), timeout=40)
    a = wait_for("the archive is read", lambda: (a := s.get("cam0/preview.jpg?width=320", status=None)).status == 200 and a, timeout=20)
    assert seen(s, a) == (320, 180) and a["Cache-Control"] == "no-store"
    assert ended - 8 < iso(a) < ended and abs(int(a["X-Picture-Age"]) - (time.time() - iso(a))) < 4 * tools.SLOW
    none = s.get("cam1/preview.jpg", status=503)
    assert "down" in none.text and none["Retry-After"]


def test_many_ask_and_one_is_made(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="key"))
    s = server({"cam0": cam.url("cam0")})
    s.wait_state("cam0")
    frozen(s, cam)
    first = s.get("cam0/preview.jpg?width=320")
    with concurrent.futures.ThreadPoolExecutor(40) as pool:
        answers = list(pool.map(lambda _: s.get("cam0/preview.jpg?width=320"), range(80)))
    assert {a.body for a in answers} == {first.body}
    assert len(helpers(s)) == 1  # one helper was enough


def test_killed_helper_is_replaced(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="key"))
    s = server({"cam0": cam.url("cam0")})
    s.wait_state("cam0")
    s.get("cam0/preview.jpg")
    for width in (100, 101, 102):
        pids = helpers(s)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        wait_for("they are gone", lambda: not any(tools.alive(p) for p in pids))
        s.get(f"cam0/preview.jpg?width={width}")
        assert helpers(s) and not set(helpers(s)) & set(pids)
    before = s.status()["httpd_pid"]
    assert s.stream("cam0")["state"] == "active" and s.status()["httpd_restarts"] == 0
    os.kill(before, signal.SIGKILL)  # its helpers go with it
    wait_for("another httpd", lambda: s.status()["httpd_pid"] not in (0, before))
    wait_for("no helper is left", lambda: not helpers(s))
    assert seen(s, wait_for("a picture again", lambda: s.get("cam0/preview.jpg"))) == (640, 360)


def test_hung_helper_costs_its_picture_only(server, camera):
    """The picture is given up within 2 s, and not tried again; the next one is made."""
    cam = camera(dict(group="cam", source="small.h264", start="key"), dict(group="other", source="small.h264", start="key"))
    s = server({"cam0": cam.url("cam0"), "other": cam.url("other0")}, sections={"server": {"pictures": 1}})
    s.wait_state("cam0")
    s.wait_state("other")
    frozen(s, cam)
    s.get("cam0/preview.jpg")
    (pid,) = helpers(s)
    os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    a = s.get("cam0/preview.jpg?width=200", status=503)
    assert 1.5 < time.monotonic() - began < 4 * tools.SLOW and "took too long" in a.text
    assert int(a["Retry-After"]) > 0
    wait_for("it was killed", lambda: not tools.alive(pid))
    again = s.get("cam0/preview.jpg?width=201", status=None)
    assert again.status == 503 and "a moment ago" in again.text and again["Retry-After"] == "60"
    assert s.get("other/preview.jpg").status == 200


def test_queue_is_bounded(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="key"))
    s = server({"cam0": cam.url("cam0")}, sections={"server": {"pictures": 1}})
    s.wait_state("cam0")
    s.get("cam0/preview.jpg")
    (pid,) = helpers(s)
    # All at once: 2 s later the helper is another one, and the queue moves.
    asking = [http.client.HTTPConnection("127.0.0.1", s.web_port, timeout=30 * tools.SLOW) for _ in range(200, 260)]
    for c in asking:
        c.connect()
    os.kill(pid, signal.SIGSTOP)
    for width, c in enumerate(asking, 200):
        c.request("GET", f"/cam0/preview.jpg?width={width}")
    answers = [c.getresponse() for c in asking]
    busy = [a for a in answers if a.status == 503 and b"too many pictures" in a.read()]
    assert len(busy) >= 60 - 32 - 5, [a.status for a in answers]
    assert all(a.headers["Retry-After"] for a in busy)
    for c in asking:
        c.close()
    assert s.get("cam0/index.m3u8").status == 200


def test_switched_off(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="key"))
    s = server({"cam0": cam.url("cam0")}, sections={"server": {"pictures": 0, "sandbox": "required"}})
    s.wait_state("cam0")
    assert "switched off" in s.get("cam0/preview.jpg", status=503).text
    assert s.status()["picture_helpers"] == 0


def test_sandbox_that_is_required(server, camera):
    cam = camera(dict(group="cam", source="small.h264", start="key"))
    s = server({"cam0": cam.url("cam0")}, sections={"server": {"sandbox": "required"}})
    s.wait_state("cam0")
    if tools.SANITIZED:  # no list of calls
        assert "nothing can make pictures" in s.get("cam0/preview.jpg", status=503).text
        assert "helper-refuses" in s.log()
        return
    s.get("cam0/preview.jpg")
    (pid,) = helpers(s)
    status = dict(line.split(":\t") for line in open(f"/proc/{pid}/status").read().splitlines() if ":\t" in line)
    assert status["Seccomp"] == "2" and status["NoNewPrivs"] == "1"
    if os.getuid() == 0 and "closed-to-others" not in s.log():
        assert status["Uid"].split()[0] == str(0x5FFF0005) and status["Groups"].strip() == ""
    fds = {int(f): os.readlink(f"/proc/{pid}/fd/{f}") for f in os.listdir(f"/proc/{pid}/fd")}
    assert sorted(fds) == [0, 1, 2, 3] and {fds[0], fds[1], fds[2]} == {"/dev/null"} and fds[3].startswith("socket:")


# --- ms-picture by itself ---

KINDS = [("libx264", "640x360", "yuv420p"), ("libx265", "640x360", "yuv420p"), ("libx265", "640x360", "yuv420p10le"),
         ("libx264", "640x360", "yuv422p"), ("libx264", "640x360", "yuv422p10le"), ("libx264", "642x362", "yuv444p")]


@pytest.mark.parametrize("encoder,size,pixels", KINDS)
def test_decodes(encoder, size, pixels, tmp_path):
    codec, config, units = picture.units(encoder, size, 1, pixels)
    with picture.Helper() as h:
        answer, jpeg = h.jpeg(codec, config, units)
        assert answer["err"] == 0
        (tmp_path / "a.jpg").write_bytes(jpeg)
        w, height, mean, deviation = look(tmp_path / "a.jpg")
        assert (w, height) == (answer["width"], answer["height"]) == tuple(map(int, size.split("x")))
        assert mean > BLACK_MOST and deviation > 10
        assert h.jpeg(codec, config, units)[1] == jpeg  # the same again


def test_colours_are_right(tmp_path):
    """Red, as BT.601 and as BT.709, narrow and full range, comes out red."""
    for options, pixels in ((["-colorspace", "bt709", "-color_range", "tv"], "yuv420p"), (["-colorspace", "smpte170m", "-color_range", "pc"], "yuv420p")):
        matrix = "bt709" if "bt709" in options else "smpte170m"
        source_range = options[-1]
        codec, config, units = picture.units("libx264", "320x240", 1, pixels, options + ["-vf", f"scale=out_color_matrix={matrix}:out_range={source_range}"],
                                             source="color=c=red")
        with picture.Helper() as h:
            (tmp_path / "a.jpg").write_bytes(h.jpeg(codec, config, units)[1])
        raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(tmp_path / "a.jpg"), "-pix_fmt", "rgb24", "-f", "rawvideo", "-"], capture_output=True, check=True).stdout
        r, g, b = raw[30000:30003]
        assert r > 240 and g < 16 and b < 16, (options, r, g, b)


def test_proportions_are_kept():
    codec, config, units = picture.units("libx264", "704x576")
    with picture.Helper() as h:
        for sar, width, size in (((12, 11), 0, (768, 576)), ((12, 11), 384, (384, 288)), ((0, 0), 0, (704, 576)), ((1, 1), 176, (176, 144)),
                                 ((1, 60000), 0, (704, 576)), ((1, 1), 4096, (4096, 3351))):
            answer, _ = h.jpeg(codec, config, units, sar_w=sar[0], sar_h=sar[1], width=width)
            assert (answer["width"], answer["height"]) == size


def test_exact_picture_among_frames_that_are_reordered():
    """The picture of a time, or the last one before it."""
    codec, config, units = picture.units("libx264", frames=30, options=["-bf", "3"])
    shown = sorted(pts for _, pts in units)
    assert [pts for _, pts in units] != shown  # there are B-frames
    with picture.Helper() as h:
        for i in (0, 1, 7, 20, 29):
            assert h.jpeg(codec, config, units, want=shown[i])[0]["pts"] == shown[i]
            assert h.jpeg(codec, config, units, want=shown[i] + 1)[0]["pts"] == shown[i]
        assert h.jpeg(codec, config, units, want=shown[0] - 10**9)[0]["pts"] == shown[0]


@pytest.mark.limit(120)
def test_large_pictures_and_memory():
    with picture.Helper() as h:
        for encoder, size, most_s in (("libx265", "3840x2160", 1.9), ("libx264", "4096x4096", 1.9)):
            codec, config, units = picture.units(encoder, size)
            before = tools.cpu_seconds(h.process.pid)
            answer, jpeg = h.jpeg(codec, config, units)
            assert answer["err"] == 0 and answer["width"] <= 4096 and len(jpeg) > 10000
            assert tools.cpu_seconds(h.process.pid) - before < most_s * (3 if tools.SANITIZED else 1)
        rss, private = picture.memory_kib(h.process.pid)
        print(f"ms-picture after 4096x4096: resident {rss} KiB, private {private} KiB")
        assert tools.SANITIZED or rss < 300 * 1024


def test_hostile_frames():
    """Bits flipped, cut and shuffled, in frames, configurations and sizes: a helper answers or dies, and the next one works."""
    dice = random.Random(1)
    good = [picture.units(kind[0], kind[1], 3, kind[2]) for kind in KINDS[:3]]
    deaths = 0
    helper = picture.Helper()
    for i in range(150):
        codec, config, units = dice.choice(good)
        units = [bytearray(u) for u, _ in units]
        config = bytearray(config)
        for _ in range(dice.choice((1, 3, 30))):
            target = dice.choice([*units, config])
            how = dice.randrange(4)
            at = dice.randrange(len(target)) if target else 0
            if how == 0 and target:
                target[at] ^= 1 << dice.randrange(8)
            elif how == 1 and len(target) > 8:
                del target[at:]
                target += b"\0"
            elif how == 2 and target:
                target[at] = dice.randrange(256)
            else:
                target[at:at] = dice.randbytes(dice.randrange(1, 9))
        try:
            answer, out = helper.jpeg(dice.choice((codec, codec, codec, 3 - codec)), bytes(config), [bytes(u) or b"\0" for u in units])
            assert answer["err"] in (0, 1, 2, 3) and (len(out) > 0) == (answer["err"] == 0)
        except (picture.Gone, ConnectionError):
            deaths += 1
            assert helper.process.wait(10 * tools.SLOW) in (0, -signal.SIGSYS, -signal.SIGALRM, -signal.SIGSEGV, -signal.SIGABRT)
            assert helper.process.returncode != -signal.SIGSYS, f"input {i} made it call what it may not"
            helper = picture.Helper()
    codec, config, units = good[0]
    assert helper.jpeg(codec, config, units)[0]["err"] == 0
    helper.__exit__()
    assert deaths <= 3, "nearly every broken frame is answered"


@pytest.mark.parametrize("head", [b"", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\0\0\0\1\xc1", b"\0\0\0\3\x81\xa1a", b"\0\1\0\1" + b"x" * 70000])
def test_requests_that_are_none(head):
    with picture.Helper() as h:
        try:
            h.socket.sendall(head)
            h.socket.shutdown(1)
            assert h.socket.recv(1) == b""
        except ConnectionError:
            pass
        assert h.process.wait(10 * tools.SLOW) == 0


# --- telephone sound ---


def pcm(path, *options):
    """What ffmpeg hears: bytes of 16 bit samples, and what it says."""
    p = subprocess.run(["ffmpeg", "-v", "warning", *options, "-i", str(path), "-vn", "-f", "s16le", "-ac", "1", "-ar", "8000", "-"], capture_output=True)
    return p.stdout, [line for line in p.stderr.decode().splitlines() if "Estimating duration" not in line]


def adts(frames, rate_index=11, channels=1):
    """Raw AAC frames with headers, for decoders."""
    whole = b""
    for f in frames:
        n = len(f) + 7
        whole += bytes([0xFF, 0xF1, 1 << 6 | rate_index << 2 | channels >> 2, (channels & 3) << 6 | n >> 11, n >> 3 & 255, (n & 7) << 5 | 0x1F, 0xFC]) + f
    return whole


def apart(a, b):
    """Decibels between a sound and what differs from it."""
    a, b = (array.array("h", x[: min(len(a), len(b))]) for x in (a, b))
    power, noise = sum(x * x for x in a), sum((x - y) ** 2 for x, y in zip(a, b))
    return 10 * math.log10(power / max(noise, 1))


@pytest.mark.parametrize("codec,name", [(picture.PCMA, "alaw"), (picture.PCMU, "mulaw")])
def test_sound_is_the_same_as_aac(codec, name, tmp_path):
    """Made in two pieces with run-in; ffmpeg and GStreamer decode it without a word, sample for sample where it was."""
    frames = 100
    raw = subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", "aevalsrc=0.4*sin(2*PI*(300+40*t)*t):s=8000:d=14", "-f", name, "-"],
                         capture_output=True, check=True).stdout
    size = picture.AAC_SAMPLES
    with picture.Helper() as h:
        out = b""
        for first in (0, 50):
            answer, piece = h.aac(raw[first * size : (first + 50 + 3) * size], codec)
            assert answer["err"] == 0 and len(piece) == 50 * picture.AAC_BYTES
            assert h.aac(raw[first * size : (first + 50 + 3) * size], codec)[1] == piece  # the same again
            out += piece
    path = tmp_path / "a.aac"
    path.write_bytes(adts([out[i * picture.AAC_BYTES : (i + 1) * picture.AAC_BYTES] for i in range(frames)]))
    heard, said = pcm(path, "-f", "aac")
    assert said == [] and len(heard) == frames * size * 2
    (tmp_path / "raw").write_bytes(raw[picture.RUN_IN * size :])
    meant, _ = pcm(tmp_path / "raw", "-f", name, "-ar", "8000", "-ac", "1")
    for i in range(1, frames):
        at = i * size * 2
        assert apart(meant[at : at + size * 2], heard[at : at + size * 2]) > 20, i
    gst = subprocess.run(["gst-launch-1.0", "-q", "filesrc", f"location={path}", "!", "aacparse", "!", "avdec_aac", "!", "fakesink"], capture_output=True, text=True, timeout=60 * tools.SLOW)
    assert gst.returncode == 0 and gst.stderr == ""


@pytest.mark.slow
def test_film_with_sound_that_players_know(server, camera, tmp_path):
    """audio=aac: G.711 over three segments is AAC in the film; every range has the same bytes; sound and picture are as long."""
    cam = camera(dict(group="cam", source=["small.h264", "audio.alaw"], start="key"))
    s = server({"cam0": {"stream-url": cam.url("cam0"), "dvr-chunk": "10s"}}, record=True, sections={"server": {"pictures": 1}})
    s.wait_recording("cam0")
    wait_for("24 s are recorded", lambda: s.ranges("cam0") and s.ranges("cam0")[0][1] >= 24, timeout=40)
    start = int(s.ranges("cam0")[0][0]) + 1
    url = f"cam0/archive-{start}-20.mp4?audio=aac"
    film = s.get(url)
    assert film["X-Tracks-Left-Out"] is None
    path = tmp_path / "film.mp4"
    path.write_bytes(film.body)
    found = {t["codec_type"]: t for t in tools.ffprobe(path, "-count_frames", entries="stream=codec_name,codec_type,nb_read_frames,duration,sample_rate,channels")["streams"]}
    assert found["audio"]["codec_name"] == "aac" and found["audio"]["sample_rate"] == "8000"
    assert abs(float(found["audio"]["duration"]) - float(found["video"]["duration"])) < 0.5
    heard, said = pcm(path)
    assert said == []
    # As many samples as there is time: nothing piles up at the joints of segments.
    assert abs(len(heard) / 2 / 8000 - float(found["audio"]["duration"])) < 0.2
    rng = random.Random(2)
    for _ in range(8):
        a = rng.randrange(len(film.body))
        b = min(a + rng.randrange(1, 100000), len(film.body) - 1)
        part = s.get(url, headers={"Range": f"bytes={a}-{b}"}, status=206)
        assert part.body == film.body[a : b + 1] and part["ETag"] == film["ETag"]
    assert s.get(url).body == film.body
    assert s.get(f"cam0/archive-{start}-20.mp4")["X-Tracks-Left-Out"] == "PCMA"
    s.get(f"cam0/archive-{start}-20.mp4?audio=mp3", status=400)
    # A helper that hangs is known before the answer begins, and named; what needs none goes on.
    os.kill(s.status()["httpd_pid"], signal.SIGKILL)  # what it has made is forgotten
    s.get(f"cam0/archive-{start + 1}-2.mp4?audio=aac", timeout=60)
    for pid in wait_for("a helper", lambda: helpers(s)):
        os.kill(pid, signal.SIGSTOP)
    hung = s.get(url, status=503)
    assert "this sound took too long" in hung.text and int(hung["Retry-After"]) > 0
    again = s.get(url, status=503)
    assert "a moment ago" in again.text and again["Retry-After"] == "60"
    s.get(f"cam0/archive-{start}-20.mp4")
