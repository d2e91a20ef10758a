"""Who pushes: ffmpeg and GStreamer as cameras, and a client that says what it likes."""
import hashlib
import re
import socket
import subprocess

import tools
from server import MediaServer

SDP = ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nt=0 0\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n"
       "a=fmtp:96 packetization-mode=1\r\na=control:streamid=0\r\n")


class Pusher:
    """A program that pushes, as a context; ended by SIGTERM."""

    def __init__(self, *command):
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def said(self, timeout=15):
        """Waits for its end; what it complained about."""
        return self.process.communicate(timeout=timeout * tools.SLOW)[1]

    def close(self):
        tools.stop(self.process)
        self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def ffmpeg(url, transport="tcp", size="320x240", audio=True):
    sound = ["-f", "lavfi", "-i", "sine=sample_rate=16000"] if audio else []
    return Pusher("ffmpeg", "-nostdin", "-v", "warning", "-re", "-f", "lavfi", "-i", f"testsrc2=size={size}:rate=25", *sound, "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "25",
                  "-pix_fmt", "yuv420p", "-c:a", "aac", "-f", "rtsp", "-rtsp_transport", transport, url)


def gstreamer(url, protocols="tcp", *options):
    return Pusher("gst-launch-1.0", "-q", "rtspclientsink", "name=s", f"location={url}", f"protocols={protocols}", *options, "videotestsrc", "is-live=true", "!", "video/x-raw,width=320,height=240,framerate=25/1,format=I420",
                  "!", "x264enc", "tune=zerolatency", "speed-preset=ultrafast", "key-int-max=25", "!", "h264parse", "!", "s.")


class Server(MediaServer):
    """MediaServer that listens for pushes on push_port; keys of [[stream]] as stream={...}."""

    def __init__(self, *args, stream=None, **kw):
        self.push_port = tools.free_port()
        keys = {"enable": "web, publish", "publish": f"*:{self.push_port}:/", **(stream or {})}
        super().__init__(*args, sections={"server/stream": keys}, **kw)

    def push_url(self, uid, user="u:p@", slash=""):
        return f"rtsp://{user}127.0.0.1:{self.push_port}/{uid}{slash}"


class Client:
    """One connection to the publish listener."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), 15 * tools.SLOW)
        self.file = self.socket.makefile("rb")
        self.cseq = 0

    def ask(self, method, url, body="", **fields):
        """Status and fields of the answer; (0, {}) when the connection ends."""
        self.cseq += 1
        lines = [f"{method} {url} RTSP/1.0", f"CSeq: {self.cseq}"]
        lines += [f"{k.replace('_', '-')}: {v}" for k, v in fields.items()]
        if body:
            lines += ["Content-Type: application/sdp", f"Content-Length: {len(body)}"]
        try:
            self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
            return self.answer()
        except (ConnectionResetError, BrokenPipeError):
            return 0, {}  # it had been closed before this was asked

    def answer(self):
        line = self.file.readline().decode()
        if not line:
            return 0, {}
        fields = {}
        for text in iter(lambda: self.file.readline().decode().strip(), ""):
            name, _, value = text.partition(":")
            fields.setdefault(name.lower(), []).append(value.strip())
        return int(line.split()[1]), fields

    def announce(self, url, user=None, password=None, body=SDP):
        """ANNOUNCE, and again with Digest MD5 where that is asked for."""
        status, fields = self.ask("ANNOUNCE", url, body)
        if status != 401 or user is None:
            return status, fields
        offer = next(v for v in fields["www-authenticate"] if "SHA" not in v)
        realm, nonce = (re.search(f'{k}="([^"]*)"', offer).group(1) for k in ("realm", "nonce"))
        md5 = lambda *parts: hashlib.md5(":".join(parts).encode()).hexdigest()  # noqa: E731
        response = md5(md5(user, realm, password), nonce, md5("ANNOUNCE", url))
        return self.ask("ANNOUNCE", url, body, Authorization=f'Digest username="{user}", realm="{realm}", nonce="{nonce}", uri="{url}", response="{response}"')

    def close(self):
        self.file.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
