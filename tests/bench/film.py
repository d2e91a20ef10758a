"""A server whose archive holds made-up footage (footage.c): large enough to be measured, made in a moment."""
import contextlib
import os
import shutil
import time

import tools
from server import MediaServer
from tools import wait_for

RATE = 250000  # bytes a second: 2 Mbit/s


@contextlib.contextmanager
def site(seconds):
    """(server, unix second of the first picture) of one stream, film."""
    since, storage = int(time.time()) - 86400, tools.BUILD / "bench-storage"
    shutil.rmtree(storage, ignore_errors=True)
    records = storage / "film" / "records"
    records.mkdir(parents=True)
    os.chmod(storage, 0o755)
    tools.run(tools.BUILD / "bench" / "footage", records, "film", since, seconds, 120, RATE, timeout=300)
    tools.run("chmod", "-R", "a+rX", storage)  # httpd runs as another user
    server = MediaServer({"film": {"stream-url": "rtsp://127.0.0.1:1/"}}, record=True, storages={"default": str(storage)})
    try:
        wait_for("the footage is indexed", lambda: (r := server.ranges("film", starting=True)) and r[0][1] >= seconds - 1, timeout=120, every=0.5)
        yield server, since
    finally:
        server.close()
        shutil.rmtree(storage, ignore_errors=True)
