"""Cameras of every kind are captured, played live and recorded bit by bit. One fleet for all: a test looks at its stream."""
import json
import time

import pytest

import gst as gst_launch
import hls
import mp4
import tools
from camera import Camera
from gst import GstServer
from server import MediaServer, need_server
from tools import wait_for

LOGIN = dict(user="admin", password="secret-1")

# group -> options of ms-camera, and keys of its stream's file
FLEET = {
    "tcp": (dict(source=["small.h264", "audio.aac"]), {}),
    "udp": (dict(source=["small.h264", "audio.alaw"]), {"stream-transport": "udp"}),
    "hd": (dict(source=["cam.h264", "stereo.aac"], auth="digest-md5", **LOGIN), {}),
    "hevc": (dict(source=["cam.h265", "audio.ulaw"], auth="digest-sha256", qop=1, **LOGIN), {}),
    "hevcudp": (dict(source="small.h265"), {"stream-transport": "udp"}),
    "opus": (dict(source=["small.h264", "audio.opus"], auth="basic", **LOGIN), {}),
    "bframes": (dict(source="bframes.h264"), {}),
    "bhevc": (dict(source="bframes.h265"), {}),
    "odd": (dict(source="odd.h264", mtu=500), {}),
    "aud": (dict(source="aud.h264", style="single"), {}),
    "large": (dict(source="large.h264"), {}),
    "longgop": (dict(source="longgop.h264"), {}),
    "mtu": (dict(source="small.h264", mtu=60000), {}),
    "aggregate": (dict(source=["tiny.h264", "audio.aac"], aggregate=4), {}),
    "onvif": (dict(source=["tiny.h264", "metadata.xml"]), {"stream-tracks": "video, audio, data"}),
    "digestall": (dict(source="tiny.h264", auth="digest-both", nonce="request", **LOGIN), {}),
}
VIDEO = {"hd": (1920, 1080), "hevc": (1920, 1080), "large": (1920, 1080), "odd": (718, 402), "longgop": (320, 240),
         "aggregate": (320, 240), "onvif": (320, 240), "digestall": (320, 240)}  # fmt: skip
RECORD_S = 12


def hevc(name):
    return FLEET[name][0]["source"][0].endswith("h265") or str(FLEET[name][0]["source"]).endswith("h265")


class Fleet:
    def __init__(self):
        self.camera = Camera(*[dict(group=name, **options) for name, (options, _) in FLEET.items()])
        streams = {name: {"stream-url": self.camera.url(f"{name}0"), **keys} for name, (_, keys) in FLEET.items()}
        self.server = MediaServer(streams, record=True, sections={"server/stream": {"reconnect-timeout": "1s"}})
        self.started = time.time()

    def close(self):
        try:
            self.server.close()
        finally:
            self.camera.close()


@pytest.fixture(scope="module")
def fleet():
    need_server()
    f = Fleet()
    try:
        yield f
    finally:
        f.close()


@pytest.fixture
def stream(fleet, request):
    request.node.logs = [fleet.server.shown]
    name = request.param
    fleet.server.wait_state(name, timeout=20)
    fleet.server.wait_recording(name, timeout=20)
    wait_for(f"{RECORD_S} s of {name}", lambda: sum(d for _, d in fleet.server.ranges(name)) >= RECORD_S, timeout=40)
    return name


every_stream = pytest.mark.parametrize("stream", FLEET, indirect=True)


@every_stream
def test_recorded_bit_by_bit(fleet, stream):
    truth = [t["sha1"] for t in fleet.camera.truth(f"{stream}0")]
    got = fleet.server.recorded(stream)
    assert len(got) > 100 or len(truth) < 150
    assert got[0].key
    first = truth.index(got[0].sha1)
    assert [s.sha1 for s in got] == [truth[(first + i) % len(truth)] for i in range(len(got))]


@every_stream
def test_times(fleet, stream):
    """Decode times rise, presentation times are the source's."""
    truth = fleet.camera.truth(f"{stream}0")
    path = fleet.server.segments(stream)[0]
    m = mp4.Mp4(path.read_bytes(), growing=True)
    got = m.of("vide")
    mp4.check_times(got)
    assert got[0].dts == 0, "a segment's own time begins at 0"
    scale = m.track("vide").timescale
    first = [t["sha1"] for t in truth].index(got[0].sha1)
    run = min(len(got), len(truth) - first)
    shown = [(s.dts + s.cts) * 90000 // scale for s in got[:run]]
    want = [t["pts"] for t in truth[first : first + run]]
    error = [abs((a - shown[0]) - (b - want[0])) for a, b in zip(shown, want)]
    assert max(error) <= 2


@every_stream
def test_nothing_was_lost_or_repaired(fleet, stream):
    row = fleet.server.stream(stream)
    assert (row.get("losses", 0), row.get("repairs", 0), row.get("restarts", 0)) == (0, 0, 0), row
    s = fleet.camera.stats(f"{stream}0")
    assert s["sessions_max"] == 1 and s["sessions_opened"] == 1
    assert s["frames_dropped"] == 0 and s["rtcp_bad"] == 0


@every_stream
def test_segments_play_anywhere(fleet, stream):
    path = fleet.server.segments(stream)[0]
    found = tools.ffprobe(path)["streams"]
    video = next(s for s in found if s["codec_type"] == "video")
    assert (video["width"], video["height"]) == VIDEO.get(stream, (640, 360))
    assert video["codec_name"] == ("hevc" if hevc(stream) else "h264")


@pytest.mark.parametrize("stream,codec", [("tcp", "aac"), ("udp", "pcm_alaw"), ("hevc", "pcm_mulaw"), ("opus", "opus"), ("hd", "aac"), ("aggregate", "aac")], indirect=["stream"])
def test_audio_is_recorded_bit_by_bit(fleet, stream, codec):
    truth = [t["sha1"] for t in fleet.camera.truth(f"{stream}0", 1)]
    got = [s.sha1 for s in fleet.server.recorded(stream, "soun")]
    assert len(got) > 50
    # G.711's truth repeats itself: a tone.
    if len(set(truth)) == len(truth):
        first = truth.index(got[0])
        assert got == [truth[(first + i) % len(truth)] for i in range(len(got))]
    found = tools.ffprobe(fleet.server.segments(stream)[0])["streams"]
    assert next(s for s in found if s["codec_type"] == "audio")["codec_name"] == codec


@pytest.mark.parametrize("stream", ["onvif"], indirect=True)
def test_metadata_is_recorded(fleet, stream):
    document = open(tools.media("metadata.xml"), "rb").read()
    assert document.strip() in fleet.server.segments(stream)[0].read_bytes()


@pytest.mark.parametrize("stream", ["tcp", "udp", "hd", "hevc", "opus", "bframes", "odd"], indirect=True)
def test_live_hls(fleet, stream):
    server = fleet.server
    media, master = wait_for("a live playlist", lambda: (p := hls.open_playlist(server, f"{stream}/index.m3u8")) and p[0].segments and p, timeout=15)
    attributes = master.variants[0][0]
    assert ("hvc1." if hevc(stream) else "avc1.") in attributes["CODECS"]
    assert attributes["RESOLUTION"] == "{}x{}".format(*VIDEO.get(stream, (640, 360)))
    assert not media.ended
    assert abs(media.segments[-1].date - time.time()) < 30
    assert len({s.map_url for s in media.segments}) == 1
    pieces = [hls.samples(server, [s]).of("vide") for s in media.segments]
    truth = [t["sha1"] for t in fleet.camera.truth(f"{stream}0")]
    video = [sample for piece in pieces for sample in piece]
    first = truth.index(video[0].sha1)
    assert [s.sha1 for s in video] == [truth[(first + i) % len(truth)] for i in range(len(video))]
    mp4.check_times(video)
    for s, piece in zip(media.segments, pieces):
        assert abs(s.duration - sum(x.duration for x in piece) / 90000) < 0.1
    assert tools.decode(server.url(f"{stream}/index.m3u8"), seconds="3") == ""


@pytest.mark.parametrize("stream", ["tcp", "hevc", "bframes"], indirect=True)
def test_archive_hls(fleet, stream):
    server = fleet.server
    since, length = server.ranges(stream)[0]
    path = f"{stream}/archive-{int(since) + 1}-8.m3u8"
    media, _ = hls.open_playlist(server, path)
    assert media.ended and 4 <= media.duration <= 20
    video = hls.samples(server, media.segments).of("vide")
    truth = [t["sha1"] for t in fleet.camera.truth(f"{stream}0")]
    first = truth.index(video[0].sha1)
    assert [s.sha1 for s in video] == [truth[(first + i) % len(truth)] for i in range(len(video))]
    mp4.check_times(video)
    assert tools.decode(server.url(path)) == ""


@pytest.mark.parametrize("stream", ["tcp", "hevc", "longgop"], indirect=True)
def test_preview(fleet, stream):
    a = fleet.server.get(f"{stream}/preview.mp4")
    path = fleet.server.path / f"preview-{stream}.mp4"
    path.write_bytes(a.body)
    found = tools.ffprobe(path, "-count_frames", entries="stream=nb_read_frames,width,height")["streams"]
    assert [s["nb_read_frames"] for s in found] == ["1"]
    m = mp4.Mp4(a.body)
    samples = m.of("vide")
    if samples:
        assert samples[0].sha1 in [t["sha1"] for t in fleet.camera.truth(f"{stream}0") if t["key"]]


# --- an independent camera ---


@pytest.mark.limit(90)
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_gst_rtsp_server(server, transport):
    with GstServer(
        user="u", password="p",
        h264=gst_launch.video("h264") + " " + gst_launch.audio("aac"),
        h265=gst_launch.video("h265") + " " + gst_launch.audio("opus"),
        g711=gst_launch.video("h264", "320x240") + " " + gst_launch.audio("pcma"),
    ) as cam:  # fmt: skip
        names = ("h264", "h265", "g711")
        s = server({n: {"stream-url": cam.url(n), "stream-transport": transport} for n in names}, record=True)
        for n in names:
            s.wait_state(n, timeout=20)
        for n, codec in zip(names, ("aac", "opus", "pcm_alaw")):
            wait_for(f"6 s of {n}", lambda n=n: sum(d for _, d in s.ranges(n)) >= 6, timeout=30)
            wanted = [{"h265": "hevc"}.get(n, "h264"), codec]

            def newest(n=n):
                """Audio that comes a moment after the video begins another segment."""
                copy = s.path / f"{n}.mp4"
                copy.write_bytes(s.segments(n)[-1].read_bytes())
                return json.loads(tools.run("ffprobe", "-v", "error", "-show_entries", "stream=codec_name", "-of", "json", copy, ok=False).stdout)["streams"]

            wait_for(f"{wanted} of {n}", lambda: [x["codec_name"] for x in newest()] == wanted)
            for path in s.segments(n):
                mp4.check_times(mp4.Mp4(path.read_bytes(), growing=True).of("vide"))
            assert s.stream(n).get("losses", 0) == 0


@pytest.mark.parametrize("digest", [True, False])
def test_gst_login(server, digest):
    with GstServer(user="u", password="p", digest=digest, cam=gst_launch.video("h264", "320x240")) as cam:
        s = server({"cam": cam.url("cam")})
        s.wait_state("cam", timeout=20)


# --- footage that nobody of this project made ---


@pytest.mark.limit(150)
def test_corpora(server, camera, corpora):
    files = {
        "BA1_FT_C": "h264/BA1_FT_C.264", "MIDR": "h264/MIDR_MW_D.264", "MPS": "h264/MPS_MW_A.264", "CABAC": "h264/CI_MW_D.264",
        "CVFC1": "h264/CVFC1_Sony_C.jsv", "FM1": "h264/SVA_FM1_E.264", "cars": "h264/cars_320x240.h264", "bbb": "h265/bbb1080_50f.265",
    }  # fmt: skip
    cam = camera(*[dict(group=g, source=str(corpora / f)) for g, f in files.items() if (corpora / f).exists()])
    s = server({g["group"]: cam.url(g["group"] + "0") for g in cam.groups}, record=True)
    for g in cam.groups:
        name = g["group"]
        s.wait_state(name, timeout=20)
        wait_for(f"5 s of {name}", lambda name=name: sum(d for _, d in s.ranges(name)) >= 5, timeout=30)
        got = [mp4.bare_hash(x, files[name].endswith("265")) for x in s.recorded(name)]
        truth = [t["sha1"] for t in cam.truth(f"{name}0")]
        assert got and got[0] in truth, name
        first = truth.index(got[0])
        assert got == [truth[(first + i) % len(truth)] for i in range(len(got))], name
