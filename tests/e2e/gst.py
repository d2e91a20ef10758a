"""gst-rtsp-server as a camera that nobody of this project wrote."""
import subprocess
import sys

import tools


class GstServer:
    """GstServer(cam="videotestsrc is-live=true ! x264enc ... ! rtph264pay name=pay0 pt=96", user="u", password="p", digest=True)"""

    def __init__(self, user=None, password=None, digest=True, **mounts):
        self.user, self.password = user, password
        args = [sys.executable, str(tools.ROOT / "tests" / "e2e" / "gst_server.py")]
        if user:
            args += ["--user", user, "--password", password, "--auth", "digest" if digest else "basic"]
        for name, launch in mounts.items():
            args += ["--mount", name, launch]
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        line = self.process.stdout.readline().strip()
        if not line:
            raise OSError(f"gst_server.py did not start: {self.process.stderr.read()}")
        self.port = int(line)

    def url(self, name):
        login = f"{self.user}:{self.password}@" if self.user else ""
        return f"rtsp://{login}127.0.0.1:{self.port}/{name}"

    def close(self):
        tools.stop(self.process, 3)
        self.process.stdout.close()
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def video(codec="h264", size="640x360", rate=25, gop=25, bits=500):
    """A launch line for a live test picture."""
    width, height = size.split("x")
    caps = f"video/x-raw,width={width},height={height},framerate={rate}/1,format=I420"
    encoder = {
        "h264": f"x264enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate={bits} ! h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1",
        "h265": f"x265enc tune=zerolatency speed-preset=ultrafast key-int-max={gop} bitrate={bits} ! h265parse ! rtph265pay name=pay0 pt=96 config-interval=-1",
    }[codec]
    return f"videotestsrc is-live=true pattern=ball ! {caps} ! {encoder}"


def audio(codec="aac", pay="pay1"):
    source = "audiotestsrc is-live=true wave=ticks ! audioconvert ! audioresample"
    return {
        "aac": f"{source} ! audio/x-raw,rate=16000,channels=1 ! avenc_aac ! aacparse ! rtpmp4gpay name={pay} pt=97",
        "pcma": f"{source} ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name={pay}",
        "pcmu": f"{source} ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name={pay}",
        "opus": f"{source} ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay name={pay} pt=98",
    }[codec]


def receive(url, to, *options, codec="h264", frames=30):
    """Plays RTSP with rtspsrc until so many pictures have come, and decodes them. What GStreamer says when it closes is its own."""
    p = tools.run("gst-launch-1.0", "-q", "rtspsrc", f"location={url}", *options, "!", f"rtp{codec}depay", "!", f"video/x-{codec},stream-format=byte-stream,alignment=au", "!",
                  "identity", f"eos-after={frames}", "!", "filesink", f"location={to}", timeout=30, ok=False)
    found = tools.run("ffprobe", "-v", "error", "-count_frames", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0", to, ok=False)
    assert found.stdout.strip() and int(found.stdout) >= frames - 3 and not found.stderr, f"{found.stdout}{found.stderr}\n{p.stdout}{p.stderr}"
