"""Evidence: the node's key, exports with their signed manifest, and what verify says of them on another machine."""
import datetime
import hashlib
import json
import os
import pathlib
import resource
import shutil
import signal
import stat
import subprocess

import pytest

import tools
from camera import Camera
from server import MediaServer, need_server
from tools import wait_for


def test_the_node_has_a_key(server):
    """Made once, for its owner alone; one that others may read is refused and left, while everything else goes on."""
    s = server({})
    (row,) = s.rows("key", "show")
    file = s.path / "state" / "node.key"
    assert row["file"] == str(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and file.stat().st_uid == os.geteuid()
    public = tools.run("openssl", "pkey", "-in", file, "-pubout").stdout
    assert row["public"] == public and public in s.msctl("key", "show").stdout
    s.stop()
    s.start()
    assert s.rows("key", "show") == [row]
    s.stop()
    file.chmod(0o644)
    before = file.read_bytes()
    s.start()
    p = s.msctl("key", "show", ok=False)
    assert p.returncode == 1 and "mode 0600" in p.stderr and str(file) in p.stderr
    assert file.read_bytes() == before and " node-key " in s.log()


def held(s, uid):
    return sum(r["segments"] for r in s.rows("archive", "list", uid))


def seconds(iso):
    return datetime.datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A camera that changes its resolution, with a gap behind it: (server, unix second from which on, seconds of which)."""
    need_server()
    with Camera(dict(group="yard", source="change.h264"), dict(group="hall", source=["small.h264", "audio.alaw"])) as cam:
        streams = {uid: {"stream-url": cam.url(f"{uid}0"), "dvr-chunk": "10s"} for uid in ("yard", "hall")}
        streams["yard"]["stream-name"] = "Hof \u00fc, hinten"
        with MediaServer(streams, record=True) as server:
            server.wait_recording(*streams)
            wait_for("a segment", lambda: all(held(server, uid) >= 1 for uid in streams), timeout=60)
            for uid in streams:  # away, so that there is nothing for a while
                server.write_stream(uid, streams[uid] | {"stream-enable": "false"})
            server.reload()
            stopped = tools.time.time()
            wait_for("a gap", lambda: tools.time.time() - stopped > 4, timeout=10)
            before = {uid: held(server, uid) for uid in streams}
            for uid in streams:
                server.write_stream(uid, streams[uid] | {"dvr-enable": "true", "stream-enable": "true"})
            server.reload()
            wait_for("segments behind the gap", lambda: all(held(server, uid) >= before[uid] + 2 for uid in streams), timeout=60)
            rows = server.rows("archive", "list")
            since = max(r["from_s"] for r in rows) + 1
            yield server, since, min(r["to_s"] for r in rows) - since - 1


def export(site, uid, path, *args, ok=True, **kw):
    server, since, length = site
    return server.msctl("archive", "export", uid, str(since), str(length), "--out", path, *args, ok=ok, timeout=60, **kw)


def verify(path, *args):
    """As on another machine: no socket, no rights. Exit code and what is wrong."""
    p = tools.run(tools.BUILD / "bin" / "msctl", "--json", "archive", "verify", path, *args, ok=False)
    (row,) = json.loads(p.stdout)
    assert row["good"] == (p.returncode == 0) == (not row["faults"])
    return p.returncode, " | ".join(row["faults"])


def beside(path):
    return [pathlib.Path(f"{path}{s}") for s in ("", ".json", ".sig")]


def test_an_export_is_what_the_server_plays(site, tmp_path):
    server, since, length = site
    film, manifest, signature = beside(tmp_path / "film.mp4")
    p = export(site, "yard", film)
    assert "signed by" in p.stdout
    a = server.get(f"yard/archive-{since}-{length}.mp4")
    assert film.read_bytes() == a.body
    assert sorted(os.listdir(tmp_path)) == ["film.mp4", "film.mp4.json", "film.mp4.sig"]
    m = json.loads(manifest.read_text())
    assert m["format"] == "media-server evidence 1"
    assert m["stream"] == {"uid": "yard", "name": "Hof \u00fc, hinten"}
    assert m["mp4"]["sha256"] == hashlib.sha256(a.body).hexdigest() and m["mp4"]["bytes"] == len(a.body)
    (status,) = server.rows("status")
    (key,) = server.rows("key", "show")
    assert m["software"] == {"version": status["version"], "revision": status["revision"]}
    assert m["key"]["fingerprint"] == key["fingerprint"] and m["key"]["public"] in key["public"]
    assert seconds(m["asked"]["from"]) == since and seconds(m["asked"]["to"]) == since + length
    assert seconds(m["held"]["from"]) == pytest.approx(float(a["X-Archive-From"]), abs=0.002)
    assert m["storages_missing"] == [] and m["index_damaged"] is False
    # every segment, by its file
    assert len(m["segments"]) >= 3
    for s in m["segments"]:
        file = pathlib.Path(server.storages[s["storage"]], s["path"])
        assert hashlib.sha256(file.read_bytes()).hexdigest() == s["sha256"] and file.stat().st_size == s["bytes"]
        assert s["in_mp4"] is True and s["clock"] == "server"
    # the gap and the change of the picture's size
    inner = [g for g in m["gaps"] if seconds(m["held"]["from"]) < seconds(g["from"]) < seconds(m["held"]["to"]) - 1]
    assert len(inner) == int(a["X-Archive-Gaps"]) >= 1
    assert sum(g["seconds"] for g in inner) == pytest.approx(float(a["X-Archive-Gap-Seconds"]), abs=0.01)
    assert len({(f["tracks"][0]["width"], f["tracks"][0]["height"]) for f in m["formats"]}) >= 2
    # by tools that are not ours
    tools.run("openssl", "pkeyutl", "-verify", "-pubin", "-inkey", _pem(tmp_path, key), "-rawin", "-in", manifest, "-sigfile", signature)
    assert verify(film) == (0, "")


def _pem(tmp_path, key):
    path = tmp_path / "node.pem"
    path.write_text(key["public"])
    return path


def test_what_was_left_out_is_said(site, tmp_path):
    export(site, "hall", tmp_path / "a.mp4", "--keep-gaps")
    m = json.loads((tmp_path / "a.mp4.json").read_text())
    assert m["mp4"]["left_out"] == ["PCMA"] and m["mp4"]["gaps"] == "keep"
    assert [t["codec"] for t in m["formats"][0]["tracks"]] == ["H264", "PCMA"]
    assert verify(tmp_path / "a.mp4")[0] == 0


def test_every_change_is_found(site, tmp_path):
    server, _, _ = site
    (key,) = server.rows("key", "show")
    pem = _pem(tmp_path, key)
    good = tmp_path / "good.mp4"
    export(site, "yard", good)
    assert verify(good, "--key", pem) == (0, "")

    def copy():
        to = tmp_path / "copy.mp4"
        for a, b in zip(beside(good), beside(to)):
            shutil.copy(a, b)
        return to

    def flip(path, at):
        b = bytearray(path.read_bytes())
        b[at] ^= 1
        path.write_bytes(b)

    size = good.stat().st_size
    for at in (0, size // 2, size - 1):
        flip(copy(), at)
        code, said = verify(tmp_path / "copy.mp4")
        assert code == 1 and "MP4 was changed: its SHA-256" in said
    os.truncate(copy(), size - 1)
    assert "MP4 was changed: it has" in verify(tmp_path / "copy.mp4")[1]
    text = beside(good)[1].read_bytes()
    for at in (1, text.index(b"yard"), text.index(b"sha256") + 12, text.index(b'"gaps"'), len(text) - 2):
        flip(beside(copy())[1], at)
        code, said = verify(tmp_path / "copy.mp4")
        assert code == 1 and "manifest" in said, (at, said)
    flip(beside(copy())[2], 10)
    assert verify(tmp_path / "copy.mp4") == (1, "the manifest or its signature was changed: they do not belong to each other")
    beside(copy())[2].unlink()
    assert "No such file" in verify(tmp_path / "copy.mp4")[1]
    # a whole set by another key
    other = tmp_path / "other.key"
    tools.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", other)
    public = tools.run("openssl", "pkey", "-in", other, "-pubout").stdout
    body = "".join(public.splitlines()[1:-1])
    film, manifest, signature = beside(copy())
    manifest.write_bytes(text.replace(json.loads(text)["key"]["public"].encode(), body.encode()))
    tools.run("openssl", "pkeyutl", "-sign", "-inkey", other, "-rawin", "-in", manifest, "-out", signature)
    assert verify(film)[0] == 0  # whole in itself: whose it is, only the key tells
    code, said = verify(film, "--key", pem)
    assert code == 1 and "signed by another key" in said and key["fingerprint"] in said
    assert "no Ed25519 key" in verify(good, "--key", signature)[1]


def test_nothing_is_replaced_unasked(site, tmp_path):
    film, manifest, signature = beside(tmp_path / "a.mp4")
    signature.write_text("mine")
    p = export(site, "yard", film, ok=False)
    assert p.returncode == 1 and "is there already" in p.stderr
    assert os.listdir(tmp_path) == ["a.mp4.sig"] and signature.read_text() == "mine"
    export(site, "yard", film, "--force")
    assert verify(film)[0] == 0 and len(os.listdir(tmp_path)) == 3
    export(site, "yard", film, "--force")
    assert verify(film)[0] == 0 and len(os.listdir(tmp_path)) == 3


def test_the_nearest_moment_is_named(site, tmp_path):
    server, since, _ = site
    p = server.msctl("archive", "export", "yard", str(since - 5000), "60", "--out", tmp_path / "a.mp4", ok=False)
    (row,) = server.rows("archive", "list", "yard")
    at = datetime.datetime.fromtimestamp(row["from_s"], datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S")
    assert p.returncode == 1 and f"nothing is recorded then; the nearest footage begins at {at}" in p.stderr
    p = server.msctl("archive", "export", "nobody", str(since), "60", "--out", tmp_path / "a.mp4", ok=False)
    assert p.returncode == 1 and "nothing is recorded" in p.stderr
    for bad in (["yard", "x", "60"], ["yard", str(since), "0"], ["../yard", str(since), "60"]):
        assert server.msctl("archive", "export", *bad, "--out", tmp_path / "a.mp4", ok=False).returncode == 2
    assert server.msctl("archive", "export", "yard", str(since), "60", ok=False).returncode == 2
    assert os.listdir(tmp_path) == []


def begun(site, out, before=None):
    server, since, length = site
    return subprocess.Popen(
        [tools.BUILD / "bin" / "msctl", "-s", server.path / "state" / "control.sock", "archive", "export", "yard", str(since), str(length), "--out", out],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, preexec_fn=before,
    )


def small_files(ignore):
    """A process that may write 100 kB into a file: it dies there, or is told so, as on a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN if ignore else signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_ended_in_the_middle_it_leaves_nothing(site, tmp_path):
    p = begun(site, tmp_path / "a.mp4", lambda: small_files(False))
    p.communicate(timeout=20 * tools.SLOW)
    assert p.returncode == -signal.SIGXFSZ and os.listdir(tmp_path) == []
    p = begun(site, tmp_path / "a.mp4", lambda: small_files(True))
    _, err = p.communicate(timeout=20 * tools.SLOW)
    assert p.returncode == 1 and "a.mp4: File too large" in err and os.listdir(tmp_path) == []


@pytest.mark.parametrize("signo", [signal.SIGKILL, signal.SIGTERM])
def test_killed_it_leaves_all_or_nothing(site, tmp_path, signo):
    for n in range(12):
        out = tmp_path / f"{n}.mp4"
        p = begun(site, out)
        fds = pathlib.Path("/proc", str(p.pid), "fd")

        def written():
            return p.poll() is not None or sum(f.stat().st_size for f in fds.iterdir() if "(deleted)" in os.readlink(f)) > n * 50_000

        wait_for("bytes are written", written)
        p.send_signal(signo)
        p.communicate(timeout=20 * tools.SLOW)
        assert not out.exists() or verify(out)[0] == 0
        left = [f for f in os.listdir(tmp_path) if f.startswith(f"{n}.")]
        assert not any(f.endswith(".part") for f in left)
        assert out.exists() == (len(left) == 3) or signo == signal.SIGKILL  # names of the other two may have come first


def test_what_is_deleted_meanwhile_is_exported(site, tmp_path):
    """Files are open before anything is read: stopped there, and the footage deleted, the export is whole."""
    server, since, length = site
    p = begun(site, tmp_path / "a.mp4")
    fds = pathlib.Path("/proc", str(p.pid), "fd")
    files = server.segments("yard")

    def all_open():
        names = {os.path.basename(os.readlink(f)) for f in fds.iterdir()}
        return p.poll() is not None or len(names & {f.name for f in files}) >= 3

    wait_for("the segments are open", all_open, every=0.001)
    p.send_signal(signal.SIGSTOP)
    server.msctl("archive", "delete", "yard", str(since - 100), str(since + length))
    wait_for("they are gone", lambda: sum(f.exists() for f in files) < len(files))
    p.send_signal(signal.SIGCONT)
    _, err = p.communicate(timeout=30 * tools.SLOW)
    assert p.returncode == 0, err
    assert verify(tmp_path / "a.mp4")[0] == 0
