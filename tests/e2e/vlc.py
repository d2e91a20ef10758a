"""VLC without a face: it plays a URL, and what it demultiplexed is looked at. Debian's build plays no RTSP."""
import os
import pathlib
import shutil
import subprocess
import tempfile

import tools

VLC = shutil.which("cvlc")


def play(url, seconds):
    """{codec: packets} of what VLC took out of the URL in so many seconds of it."""
    with tempfile.TemporaryDirectory(prefix="vlc-") as folder:
        os.chmod(folder, 0o777)
        out = pathlib.Path(folder, "out.ts")
        command = [VLC, "-I", "dummy", "--play-and-exit", "--run-time", str(seconds), url, "--sout", f"#std{{access=file,mux=ts,dst={out}}}", "vlc://quit"]
        if os.geteuid() == 0:  # it refuses to run as root
            command = ["runuser", "-u", "nobody", "--", *command]
        p = subprocess.run(command, capture_output=True, text=True, timeout=(seconds + 40) * tools.SLOW, env={**os.environ, "HOME": folder})
        assert out.exists() and out.stat().st_size > 0, p.stderr[-2000:]
        streams = tools.ffprobe(out, "-count_packets", entries="stream=codec_name,nb_read_packets")["streams"]
    return {s["codec_name"]: int(s["nb_read_packets"]) for s in streams}
