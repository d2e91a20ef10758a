"""VLC plays live and archive, HLS, MP4 and MPEG-TS: picture and sound of most of the time it was given."""
import pytest

import vlc
from camera import Camera
from server import MediaServer, need_server
from tools import wait_for

pytestmark = pytest.mark.skipif(not vlc.VLC, reason="no vlc: scripts/deps test")
SECONDS = 4


@pytest.fixture(scope="module")
def recorded():
    need_server()
    with Camera(dict(source=["small.h264", "audio.aac"])) as cam, MediaServer({"cam": cam.url()}, record=True) as server:
        server.wait_state("cam")
        wait_for("an archive", lambda: server.ranges("cam") and server.ranges("cam")[0][1] >= 10, timeout=40)
        yield server, int(server.ranges("cam")[0][0]) + 1


@pytest.mark.limit(90)
@pytest.mark.parametrize("name", ["index.m3u8", "index.ll.m3u8", "live.mp4", "mpegts.m3u8", "mpegts", "archive-{from}-6.m3u8", "archive-{from}-6.mp4"])
def test_plays(recorded, name):
    server, start = recorded
    got = vlc.play(server.url("cam/" + name.format(**{"from": start})), SECONDS)
    assert got["h264"] >= SECONDS * 25 / 2 and got["aac"] >= SECONDS * 16000 / 1024 / 2
