"""make install: what is put where, what a site's own files are spared, and that the installed programs find each other."""
import os
import pathlib
import shutil
import subprocess

import pytest

import tools

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Installed:
    def __init__(self, dest, **env):
        self.dest = dest
        self.env = {"PREFIX": "/usr/local", "SYSCONFDIR": "/etc/media-server", "LOCALSTATEDIR": "/var", **env}

    def run(self):
        env = {**os.environ, "B": str(tools.BUILD), "DESTDIR": str(self.dest), **self.env}
        return subprocess.run([ROOT / "scripts" / "install"], env=env, capture_output=True, text=True, check=True, timeout=60 * tools.SLOW)

    def path(self, name):
        return self.dest / name.lstrip("/")

    def check(self, ini="etc/media-server/media-server.ini"):
        """media-server -t, run from where it was installed."""
        program = self.path(self.env["PREFIX"] + "/sbin/media-server")
        return subprocess.run([program, "-t", "-c", self.path(ini)], capture_output=True, text=True, timeout=30 * tools.SLOW)


@pytest.fixture
def installed(tmp_path):
    i = Installed(tmp_path / "dest")
    i.run()
    return i


def test_everything_is_in_place(installed):
    wanted = {
        0o755: ["usr/local/sbin/media-server", "usr/local/bin/msctl"]
        + [f"usr/local/libexec/media-server/ms-{p}" for p in ("worker", "keeper", "httpd", "connector")],
        0o644: [
            "etc/media-server/media-server.nodes",
            "etc/media-server/streams/example.ini.sample",
            "etc/logrotate.d/media-server",
            "usr/local/lib/systemd/system/media-server.service",
            "usr/local/lib/sysusers.d/media-server.conf",
            "usr/local/lib/tmpfiles.d/media-server.conf",
            "usr/local/share/man/man1/msctl.1",
            "usr/local/share/man/man5/media-server.ini.5",
            "usr/local/share/man/man8/media-server.8",
            "usr/local/share/media-server/lua/README.md",
            "usr/local/share/media-server/cpanel/player/embed.html",
            "usr/local/share/media-server/cpanel/node_modules/hls.js/LICENSE",
            "usr/local/share/doc/media-server/user-guide.md",
            "usr/local/share/doc/media-server/reference/configuration.md",
        ],
        0o640: ["etc/media-server/media-server.ini"],
    }
    for mode, names in wanted.items():
        for name in names:
            assert installed.path(name).stat().st_mode & 0o777 == mode, name
    assert not installed.path("usr/local/libexec/media-server/ms-camera").exists()
    for f in installed.dest.rglob("*"):
        if f.is_file() and not {"sbin", "bin", "libexec"} & set(f.parts[len(installed.dest.parts):]):
            assert "DIR@" not in f.read_text() and str(ROOT) not in f.read_text(), f


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_secrets_are_root_s_alone(installed):
    """httpd, connector, keeper and workers have the server's group, or none: no file that holds a password is theirs."""
    own = installed.path("etc/media-server/media-server.ini")
    own.write_text(own.read_text() + "\n# ours\n")
    installed.run()
    for name, mode in (("media-server.ini", 0o640), ("media-server.ini.new", 0o640), ("streams", 0o750)):
        s = installed.path("etc/media-server/" + name).stat()
        assert (s.st_uid, s.st_gid, s.st_mode & 0o7777) == (0, 0, mode), name
    as_service = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "cat"]
    for name in ("media-server.ini", "streams/example.ini.sample"):
        done = subprocess.run([*as_service, installed.path("etc/media-server/" + name)], capture_output=True, text=True, timeout=30 * tools.SLOW)
        assert done.returncode == 1 and "Permission denied" in done.stderr, name


def test_the_installed_configuration_is_taken(installed):
    done = installed.check()
    assert done.returncode == 0, done.stdout + done.stderr


def test_mistakes_are_named_from_there(installed):
    ini = installed.path("etc/media-server/media-server.ini")
    ini.write_text("[server]\nnode-id = none\nfuture = 1\n[dvr]\ndvr-sync = 1h\n")
    done = installed.check()
    said = done.stdout + done.stderr
    assert done.returncode == 78
    assert f"{ini}:2: server/node-id: " in said
    assert f"{ini}:3: warning: server/future: " in said
    assert f"{ini}:5: dvr/dvr-sync: " in said


def test_a_sites_own_files_are_kept(installed):
    ini = installed.path("etc/media-server/media-server.ini")
    new = ini.with_name("media-server.ini.new")
    shipped = ini.read_text()
    own = installed.path("etc/media-server/streams/door.ini")
    own.write_text("[door]\nstream-url = rtsp://192.0.2.1/\n")
    assert installed.run().stdout == ""
    assert not new.exists()
    ini.write_text(shipped + "\n# ours\n")
    assert "kept /etc/media-server/media-server.ini" in installed.run().stdout
    assert ini.read_text() == shipped + "\n# ours\n"
    assert new.read_text() == shipped
    assert own.exists()
    ini.write_text(shipped)
    installed.run()
    assert not new.exists()


def test_other_places(tmp_path):
    i = Installed(tmp_path, PREFIX="/opt/ms", SYSCONFDIR="/opt/ms/etc", LOCALSTATEDIR="/data")
    i.run()
    unit = i.path("/opt/ms/lib/systemd/system/media-server.service").read_text()
    assert "ExecStart=/opt/ms/sbin/media-server -c /opt/ms/etc/media-server.ini" in unit
    assert "ReadWritePaths=/data/lib/media-server" in unit
    ini = i.path("/opt/ms/etc/media-server.ini").read_text()
    assert "\n    state-dir = /data/lib/media-server " in ini
    assert "default = /data/lib/media-server/archive" in ini
    assert i.check("opt/ms/etc/media-server.ini").returncode == 0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")
def test_the_unit_is_right_and_hardened(installed, tmp_path):
    unit = tmp_path / "media-server.service"
    text = installed.path("usr/local/lib/systemd/system/media-server.service").read_text()
    unit.write_text(text.replace("/usr/local/sbin/media-server", "/bin/true"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True, timeout=60 * tools.SLOW)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--threshold=27", unit], capture_output=True, text=True, timeout=60 * tools.SLOW)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="no systemd-sysusers")
def test_users_and_folders(installed, tmp_path):
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    subprocess.run(["systemd-sysusers", f"--root={root}", installed.path("usr/local/lib/sysusers.d/media-server.conf")],
                   check=True, capture_output=True, timeout=60 * tools.SLOW)
    users = {line.split(":")[0] for line in (root / "etc/passwd").read_text().splitlines()}
    assert {"ms-keeper", "ms-httpd", "ms-connector", "ms-courier", "ms-picture", "ms-lua", "ms-worker"} <= users
    groups = dict(line.split(":")[::3] for line in (root / "etc/group").read_text().splitlines())
    assert set(groups["media-server"].split(",")) == {"ms-keeper", "ms-httpd", "ms-connector", "ms-courier"}


def test_man_pages_are_well_formed():
    if not shutil.which("man"):
        pytest.skip("no man")
    for page in sorted((ROOT / "conf" / "man").iterdir()):
        done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], capture_output=True, text=True,
                              timeout=60 * tools.SLOW, env={**os.environ, "MANROFFSEQ": ""})
        assert done.returncode == 0 and done.stderr == "", done.stderr


# In a mount namespace with overlays of what an installation writes, so that nothing stays.
REAL = """
set -e
mount --make-rprivate /
mount -t tmpfs none {place}
for d in etc usr/local var; do
    mkdir -p {place}/$d.upper {place}/$d.work
    mount -t overlay none -o lowerdir=/$d,upperdir={place}/$d.upper,workdir={place}/$d.work /$d
done
echo mounted
# An older installation had given its secrets to the group.
groupadd -r media-server
mkdir -p /etc/media-server/streams
echo '[door]' >/etc/media-server/streams/door.ini
echo 'stream-url = rtsp://user:password@192.0.2.1/' >>/etc/media-server/streams/door.ini
chgrp -R media-server /etc/media-server
chmod 0640 /etc/media-server/streams/door.ini
chmod 2750 /etc/media-server/streams
B={build} PREFIX=/usr/local scripts/install
sed -i 's|^ *# web = .*|web = 127.0.0.1:{web}\\nenable = web|; s|^ *# listen = .*|listen = 127.0.0.1:{module}|' /etc/media-server/media-server.ini
/usr/local/sbin/media-server -t
/usr/local/sbin/media-server &
trap 'kill $!; wait' EXIT
for _ in $(seq 300); do
    msctl=$(/usr/local/bin/msctl --json storage list || true)
    case $msctl in *'"state": "ok"'*) break ;; esac
    sleep 0.1
done
/usr/local/bin/msctl storage list
/usr/local/bin/msctl status
ps -o user:20,group:20,args --ppid $!
stat -c '%a %U %G %n' /etc/media-server/media-server.ini /etc/media-server/streams /var/lib/media-server /var/lib/media-server/archive
for user in ms-httpd ms-keeper ms-connector ms-courier ms-picture ms-lua ms-worker; do
    for secret in /etc/media-server/media-server.ini /etc/media-server/streams/door.ini; do
        setpriv --reuid=$user --regid=media-server --clear-groups cat $secret >/dev/null 2>&1 && echo "$user reads $secret"
    done
done
true
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="not root")
def test_on_a_machine(tmp_path):
    place = tmp_path / "place"
    place.mkdir()
    script = REAL.format(place=place, build=tools.BUILD, web=tools.free_port(), module=tools.free_port())
    done = subprocess.run(["unshare", "-m", "bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60 * tools.SLOW)
    if "mounted" not in done.stdout:
        pytest.skip(f"no overlays here: {done.stderr.strip()}")
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "default  ok " in done.stdout, said
    for user in ("ms-httpd", "ms-keeper", "ms-connector"):
        assert [user, "media-server", user] in [line.split()[:3] for line in done.stdout.splitlines()], said
    assert "640 root root /etc/media-server/media-server.ini" in done.stdout
    assert "750 root root /etc/media-server/streams" in done.stdout.splitlines()
    assert " reads /etc/" not in done.stdout
    assert "2750 root media-server /var/lib/media-server\n" in done.stdout
    assert "2750 ms-keeper media-server /var/lib/media-server/archive" in done.stdout
