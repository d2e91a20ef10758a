"""The master: privileges, restarts and their limits, stopping, sd_notify, listeners over a reload, the control socket."""
import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import time

import pytest

import tools
from tools import wait_for

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives processes users of their own")
CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER = 1 << 0, 1 << 1, 1 << 3


def proc_status(pid):
    """/proc/PID/status as a dict."""
    return dict(line.split(":\t", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)


def log_time(line):
    """Wall seconds of a log line."""
    stamp = line.split(" ", 1)[0]
    return time.mktime(time.strptime(stamp[:19], "%Y-%m-%dT%H:%M:%S")) - time.timezone + float("0" + stamp[19:-1])


def births(server):
    """[(time, id)] of all handshakes so far; the server has to log at debug."""
    found = re.findall(r"^(\S+ debug master\S* \S+ handshake of=(\S+) .*)$", server.log(), re.M)
    return [(log_time(line), who) for line, who in found]


@needs_root
def test_each_process_has_what_it_needs_and_no_more(server, camera):
    cam = camera(dict(group="cam", source="tiny.h264", streams=2))
    s = server({"cam0": cam.url("cam0"), "cam1": cam.url("cam1")}, record=True)
    for uid in ("cam0", "cam1"):
        s.wait_state(uid)
    pids = {name: s.status()[f"{name}_pid"] for name in ("connector", "keeper", "httpd")} | {u: s.pid(u) for u in ("cam0", "cam1")}
    users = set()
    for name, pid in pids.items():
        st = proc_status(pid)
        uids, gids = st["Uid"].split(), st["Gid"].split()
        assert len(set(uids)) == 1 and uids[0] != "0" and len(set(gids)) == 1 and gids[0] != "0", name
        users.add(uids[0])
        assert st["Groups"].strip() == "" and st["NoNewPrivs"] == "1", name
        want = CAP_CHOWN | CAP_DAC_OVERRIDE | CAP_FOWNER if name == "keeper" else 0
        for kind in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(st[kind], 16) == want, f"{name} {kind}"
        limits = pathlib.Path(f"/proc/{pid}/limits").read_text()
        assert re.search(r"Max core file size\s+0\s+0", limits), name
        env = {e.split(b"=")[0] for e in pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0") if e}
        assert env <= {b"PATH", b"LANG", b"TZ", b"MS_GENERATION", b"MS_SETTINGS", b"ASAN_OPTIONS", b"UBSAN_OPTIONS", b"LSAN_OPTIONS", b"TSAN_OPTIONS"}, name
    assert len(users) == len(pids), "a user of its own for each"
    for uid in ("cam0", "cam1"):
        assert 0x60000000 <= int(proc_status(pids[uid])["Uid"].split()[0]) <= 0x6FFFFFFF
        old, wait_new = s.kill(uid)
        assert proc_status(wait_new())["Uid"].split()[0] in users, "the same user for the next worker"


@needs_root
def test_folder_that_is_closed_to_others(server, camera):
    """A checkout or an archive in /root: nobody but root gets there, so all run as root, which the log says."""
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, record=True)
    s.stop()
    s.path.chmod(0o700)
    s.start()
    s.wait_state("cam")
    s.wait_recording("cam")
    wait_for("a range", lambda: s.ranges("cam"))
    assert s.get("cam/video.m3u8").text.startswith("#EXTM3U")
    assert proc_status(s.status()["httpd_pid"])["Uid"].split()[0] == "0"
    assert f'closed-to-others folder="{s.path}"' in s.log_path.read_text()


def programs_in(folder):
    """The programs and what they serve, installed in a folder of its own. Returns media-server there."""
    shutil.copytree(tools.ROOT / "cpanel", folder / "share" / "media-server" / "cpanel", ignore=shutil.ignore_patterns("node_modules"))
    shutil.copytree(tools.ROOT / "lua", folder / "share" / "media-server" / "lua")
    sisters = dict.fromkeys(("ms-worker", "ms-keeper", "ms-httpd", "ms-picture", "ms-luahost", "ms-connector", "ms-courier"), "libexec/media-server")
    for name, where in ({"media-server": "bin"} | sisters).items():
        (folder / where).mkdir(parents=True, exist_ok=True)
        shutil.copy(tools.BUILD / "bin" / name, folder / where / name)
    return folder / "bin" / "media-server"


@needs_root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv")
def test_ordinary_user(server, camera):
    """Without privileges all roles share the user who started the server; one line says so, and everything works."""
    nobody = pwd.getpwnam("nobody")
    cam = camera(source="small.h264")
    s = server({"cam": cam.url()}, record=True, start=False)
    programs = s.path / "programs"
    who = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]
    s.command = [*who, str(programs_in(programs))]
    for path in (s.path, *s.path.glob("*"), *(s.path / "streams").iterdir()):
        if path != programs:
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
    s.start()
    s.wait_state("cam")
    s.wait_recording("cam")
    first = wait_for("a range", lambda: s.ranges("cam"))[0][0]
    assert s.get("cam/video.m3u8").text.startswith("#EXTM3U")
    assert s.get("cam/preview.mp4").body[4:8] == b"ftyp"
    assert "#EXTINF" in wait_for("the archive", lambda: s.get(f"cam/archive-{int(first)}-60.m3u8", status=None)).text
    for pid in s.family():
        st = proc_status(pid)
        assert set(st["Uid"].split()) == {str(nobody.pw_uid)} and int(st["CapEff"], 16) == 0
    assert all(p.stat().st_uid == nobody.pw_uid for p in s.segments("cam"))
    _, wait_new = s.kill("cam")
    wait_new()
    s.wait_frames("cam", 30)
    old = s.status()["httpd_pid"]
    os.kill(old, signal.SIGKILL)
    wait_for("a new httpd", lambda: s.status()["httpd_pid"] not in (0, old))
    assert s.get("cam/index.m3u8").text.startswith("#EXTM3U")
    s.reload()
    assert s.stop() == 0
    lines = re.findall(r"^.* not-root .*$", s.log(), re.M)
    assert len(lines) == 1 and f"all processes run as uid {nobody.pw_uid}" in lines[0]
    assert set(re.findall(r"^\S+ (?:warn|error) \S+ \S+ (\S+)", s.log(), re.M)) == {"worker-died", "service-died"}


def test_killed_workers_shake_hands_at_once(server, camera):
    """Every worker that had delivered is replaced without a delay; the figure of 25 ms is the bench's."""
    cam = camera(dict(group="cam", source="tiny.h264", streams=6, start="key"))
    s = server({f"cam{i}": cam.url(f"cam{i}") for i in range(6)}, sections={"server": {"log-level": "debug"}})
    for i in range(6):
        s.wait_state(f"cam{i}")
        s.wait_frames(f"cam{i}", 30)
    took = []
    for i in range(6):
        before, pid = len(births(s)), s.pid(f"cam{i}")
        killed = time.time()
        os.kill(pid, signal.SIGKILL)
        wait_for("a handshake", lambda before=before: len(births(s)) > before, timeout=5, every=0.01)
        took.append(births(s)[-1][0] - killed)
    assert sorted(took)[3] < 0.1 * tools.SLOW, took
    assert max(took) < 0.5 * tools.SLOW, took


def test_worker_that_crashes_again_and_again(server, camera):
    """Delays double from 0.5 s; five crashes in a minute are quarantine, seen by whoever asks; restart gets it out."""
    cam = camera(source="tiny.h264")
    nobody = f"rtsp://127.0.0.1:{tools.free_port()}/none"  # so that the worker never delivers
    s = server({"bad": nobody, "good": cam.url()})
    s.wait_state("good")
    steady = s.pid("good")
    for i in range(5):
        pid = wait_for("a worker", lambda: s.pid("bad"), timeout=12)
        os.kill(pid, signal.SIGSEGV)
        wait_for("its death", lambda i=i: s.stream("bad")["restarts"] == i + 1, timeout=5)
    row = s.stream("bad")
    assert row["state"] == "down" and "quarantined" in row["reason"] and "signal 11" in row["reason"]
    waits = [int(n) for n in re.findall(r" bad worker-died .*next_ms=(\d+)", s.log())]
    assert len(waits) == 5
    for got, want in zip(waits, (500, 1000, 2000, 4000, 60000)):
        assert 0.75 * want <= got <= 1.25 * want, waits
    assert s.pid("bad") == 0 and s.pid("good") == steady
    s.msctl("restart", "bad")
    wait_for("a worker", lambda: s.pid("bad"))


@pytest.mark.limit(180)
def test_herd_comes_back_in_turn(server, camera):
    """All workers killed at once: at most the rate of births a second, and all are back."""
    n = 90
    cam = camera(dict(group="cam", source="tiny.h264", streams=n))
    s = server({f"cam{i}": cam.url(f"cam{i}") for i in range(n)}, sections={"server": {"log-level": "debug"}})
    wait_for("all are asked", lambda: cam.stats()["sessions_opened"] >= n, timeout=10)
    wait_for("all are active", lambda: all(r["state"] == "active" for r in s.streams().values()), timeout=20)
    wait_for("all have a GOP", lambda: all(r["frames"] > 30 for r in s.streams().values()), timeout=20)
    first = len(births(s))
    began = time.time()
    for r in s.streams().values():
        os.kill(r["pid"], signal.SIGKILL)
    wait_for("all are born again", lambda: len(births(s)) >= first + n, timeout=15)
    times = [t - began for t, _ in births(s)[first:]]
    assert sum(t < 1.0 for t in times) <= 25 + 50 + 10
    wait_for("all are active again", lambda: all(r["state"] == "active" for r in s.streams().values()), timeout=20)


def test_stop_does_not_wait_for_the_hung(server, camera):
    cam = camera(dict(group="cam", source="tiny.h264", streams=3))
    s = server({f"cam{i}": cam.url(f"cam{i}") for i in range(3)}, record=True)
    for i in range(3):
        s.wait_state(f"cam{i}")
    kin = s.family()
    for pid in (s.pid("cam0"), s.status()["keeper_pid"], s.status()["connector_pid"]):
        os.kill(pid, signal.SIGSTOP)
    began = time.monotonic()
    s.process.send_signal(signal.SIGTERM)
    assert s.process.wait(12 * tools.SLOW) == 0
    assert time.monotonic() - began < 10 * tools.SLOW
    wait_for("all have gone", lambda: not [p for p in kin if tools.alive(p)])
    s.process = None


def test_hung_before_its_handshake(server, camera):
    """A worker that is stopped between exec and HELLO is replaced as soon as one that hangs later: within 7 s."""
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, start=False)
    s.command = [str(programs_in(s.path / "programs"))]
    worker = s.path / "programs" / "libexec" / "media-server" / "ms-worker"
    worker.rename(worker.with_name("real"))
    once = s.path / "once"
    once.mkdir()
    once.chmod(0o777)
    # The master executes this: the process stops itself where the contract's first word is due, the first time only.
    worker.write_text(f'#!/bin/sh\nmkdir {once}/stopped 2>/dev/null && kill -STOP $$\nexec {worker.with_name("real")} "$@"\n')
    worker.chmod(0o755)
    s.start()
    wait_for("a stopped worker", (once / "stopped").exists)
    began = time.monotonic()
    s.wait_state("cam")
    took = time.monotonic() - began
    assert s.logged(" no-handshake of=cam ")
    assert took < 7 * tools.SLOW, took


@pytest.mark.parametrize("role", ["connector", "keeper", "httpd"])
@pytest.mark.slow
def test_hung_service_is_replaced(server, camera, role):
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()}, record=True)
    s.wait_state("cam")
    old = s.status()[f"{role}_pid"]
    os.kill(old, signal.SIGSTOP)
    wait_for(f"a new {role}", lambda: s.status()[f"{role}_pid"] not in (0, old), timeout=8)
    assert not tools.alive(old)
    s.wait_frames("cam", 12)


def test_tells_systemd(server, monkeypatch, tmp_path):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(path)
        sock.settimeout(10 * tools.SLOW)
        monkeypatch.setenv("NOTIFY_SOCKET", path)
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        s = server({})

        def expect(what):
            while what not in (text := sock.recv(4096).decode()).split("\n"):
                assert text == "WATCHDOG=1", f"{text!r} before {what}"
            return text

        assert "STATUS=0 streams" in expect("READY=1")
        expect("WATCHDOG=1")
        os.kill(s.process.pid, signal.SIGHUP)
        assert "MONOTONIC_USEC=" in expect("RELOADING=1")
        expect("READY=1")
        s.process.send_signal(signal.SIGTERM)
        expect("STOPPING=1")
        assert s.process.wait(10 * tools.SLOW) == 0
        s.process = None


def answers(port):
    with socket.socket() as c:
        c.settimeout(2)
        return c.connect_ex(("127.0.0.1", port)) == 0


def test_reload_moves_listeners(server, camera):
    s = server({})
    wait_for("the page", lambda: s.get("nobody/index.m3u8", status=None).status == 404)
    old, new = s.web_port, tools.free_port()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", new))
        taken.listen()
        s.sections["server/stream"]["web"] = f"127.0.0.1:{new}:/"
        s.write_ini()
        p = s.msctl("reload", ok=False)
        assert p.returncode == 1 and "listener" in p.stdout + p.stderr
    assert s.get("nobody/index.m3u8", status=None).status == 404, "what runs goes on"
    s.reload()
    s.web_port = new
    wait_for("the new port", lambda: s.get("nobody/index.m3u8", status=None).status == 404)
    wait_for("the old port is closed", lambda: not answers(old))
    assert len(re.findall(r"^\S+ note master\S+ \S+ service-restarts service=httpd ", s.log(), re.M)) == 1
    assert "service-died" not in s.log(), "what was asked for is no error"


def test_listener_waits_for_httpd(server):
    """Nobody is refused while httpd is born again: the master holds the listening socket."""
    s = server({})
    wait_for("the page", lambda: s.get("nobody/index.m3u8", status=None).status == 404)
    for _ in range(5):
        old = s.status()["httpd_pid"]
        os.kill(old, signal.SIGKILL)
        assert answers(s.web_port)
        wait_for("a new httpd", lambda old=old: s.status()["httpd_pid"] not in (0, old))
        assert s.get("nobody/index.m3u8", status=None).status == 404


def test_one_master_for_a_state_dir(server, camera):
    cam = camera(source="tiny.h264")
    s = server({"cam": cam.url()})
    s.wait_state("cam")
    p = tools.run(tools.BUILD / "bin" / "media-server", "-c", s.ini, ok=False, timeout=10)
    assert p.returncode == 1 and "already-running" in p.stdout
    assert s.stream("cam")["state"] == "active"
    assert s.status()["pid"] == s.process.pid


def test_damaged_state_keeps_nobody_from_recording(server, camera):
    """Every file of state-dir, and a cluster port that somebody has: what is lost is said, and it records."""
    with socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True) as taken:
        keys = {"node-id": 1, "cluster-enable": "true", "cluster-key": "0123456789abcdef" * 4, "cluster-port": taken.getsockname()[1], "cluster-warming-up": "1s"}
        s = server({"cam": camera(source="tiny.h264").url()}, record=True, sections={"server": keys}, start=False)
        names = ("acts", "files", "transfers", "cluster", "storages", "record", "revoked", "exports", "secondary")
        for name in (*names, "records", "tokens", "layouts", "plugins"):
            (s.path / "state" / name).write_bytes(b"\xc1\0garbage\n" * 100)
        s.start()
        s.wait_state("cam")
        wait_for("it is recorded", lambda: list((s.path / "storage").rglob("*.mp4")), timeout=20)
        for name in names:
            assert s.logged(f"state-lost file={name} ") and (s.path / "state" / f"{name}.bad").exists(), name
        assert s.logged("cluster-port ")
        pushed = s.msctl("config", "push", ok=False)
        assert pushed.returncode != 0 and "files.bad" in pushed.stdout + pushed.stderr


def test_log_level(server):
    s = server({})
    assert " debug " not in s.log()
    s.msctl("log-level", "debug")
    os.kill(s.status()["httpd_pid"], signal.SIGKILL)
    wait_for("debug lines", lambda: " debug " in s.log())
    assert s.msctl("log-level", "9", ok=False).returncode == 2


@needs_root
@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv")
def test_children_may_not_command_the_master(server):
    s = server({})
    (s.path / "state").chmod(0o755)
    st = proc_status(s.status()["httpd_pid"])
    who = ["setpriv", f"--reuid={st['Uid'].split()[0]}", f"--regid={st['Gid'].split()[0]}", "--clear-groups"]
    exe = s.path / "msctl"
    shutil.copy(tools.BUILD / "bin" / "msctl", exe)
    p = subprocess.run([*who, str(exe), "-s", str(s.path / "state" / "control.sock"), "status"], capture_output=True, text=True, timeout=20 * tools.SLOW, check=False)
    assert p.returncode != 0 and "version" not in p.stdout
    assert s.logged("control-refused")


def test_control_socket_takes_no_nonsense(server):
    s = server({})
    path = str(s.path / "state" / "control.sock")
    for garbage in (b"\xff\xff\xff\xff", b"\0\0\0\5\xdd\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", b"\0\0\0\1\xc1", b""):
        with socket.socket(socket.AF_UNIX) as c:
            c.settimeout(15 * tools.SLOW)
            c.connect(path)
            c.sendall(garbage)
            if garbage:
                assert c.recv(1) == b""
    many = [socket.socket(socket.AF_UNIX) for _ in range(40)]
    try:
        for c in many:
            c.connect(path)
        wait_for("those that ask nothing are let go", lambda: s.msctl("status", ok=False).returncode == 0, timeout=15)
    finally:
        for c in many:
            c.close()
    assert s.status()["pid"] == s.process.pid
