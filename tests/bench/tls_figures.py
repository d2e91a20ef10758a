"""What encryption costs: one film of the archive, plain, inside TLS, and as streams of HTTP/2."""
import shutil
import subprocess

import film
import measure
import tools
import viewers
from tools import wait_for

VIEWERS = 4
ROADS = {"plain": ("http", "--http1.1"), "tls": ("https", "--http1.1"), "h2": ("https", "--http2")}


def line(text):
    print(f"   {text}", flush=True)


def fetch(url, option, n):
    """So many curls at once, each the whole of it: bytes."""
    command = ["curl", "-sk", option, url, "-o", "/dev/null", "-w", "%{size_download} %{http_code}"]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(n)]
    ends = [p.communicate(timeout=600)[0].split() for p in running]
    assert all(code == "200" for _, code in ends), ends
    return sum(int(size) for size, _ in ends)


def cost(url, option, cpu):
    """CPU s per Gbit of who serves."""
    before = cpu()
    moved = fetch(url, option, VIEWERS)
    return (cpu() - before) / (moved * 8 / 1e9)


def certificate(folder):
    pair = [folder / "bench.crt", folder / "bench.key"]
    tools.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 2, "-subj", "/CN=bench", "-out", pair[0], "-keyout", pair[1])
    return pair


def use(server, pair):
    """Plain without a pair."""
    server.sections["server/stream"] |= {"ssl-enable": "true" if pair else "false", "ssl-cert": pair[0] if pair else "", "ssl-key": pair[1] if pair else ""}
    server.scheme = "https" if pair else "http"
    server.write_ini()
    server.reload()
    wait_for("the archive answers", lambda: server.ranges("film", starting=True), timeout=30)


def tls(scale):
    """CPU s per Gbit of httpd for films of the archive to 4 viewers: plain (sendfile), TLS, HTTP/2; nginx beside it for TLS and HTTP/2"""
    seconds, found = 1024 if scale.kills > 10 else 256, {road: [] for road in ROADS}
    with film.site(seconds) as (server, since):
        pair = certificate(server.path)
        path = f"film/archive-{since}-{seconds}.mp4"
        for _ in range(max(3, scale.windows)):
            for road, (scheme, option) in ROADS.items():
                if server.scheme != scheme:
                    use(server, pair if scheme == "https" else None)
                httpd = server.status()["httpd_pid"]
                fetch(server.url(path), option, 1)  # laid out, and in the page cache
                found[road].append(cost(server.url(path), option, lambda pid=httpd: tools.cpu_seconds(pid)))
            use(server, None)
        found |= nginx(server, path, pair, len(found["tls"]))
    result = {}
    for road, values in found.items():
        result[road] = measure.spread(values)
        line("{}: {min:.3f} / {median:.3f} / {max:.3f} CPU s/Gbit".format(road, **result[road]))
    return result


def nginx(server, path, pair, windows):
    if not shutil.which("nginx"):
        line("no nginx here: not measured beside it")
        return {}
    found = {"nginx plain": [], "nginx tls": [], "nginx h2": []}
    with viewers.Nginx(tools.BUILD / "bench-nginx", {}, pair) as other:
        tools.run("curl", "-sS", "-o", other.folder / "files" / "film.mp4", server.url(path), timeout=300)
        for _ in range(windows):
            for road, (scheme, option) in ROADS.items():
                port = other.tls_port if scheme == "https" else other.port
                found[f"nginx {road}"].append(cost(f"{scheme}://127.0.0.1:{port}/film.mp4", option, other.cpu))
    return found
