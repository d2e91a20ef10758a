"""/metrics, /healthz, /readyz: what who collects numbers reads, on the panel's listener only."""
import contextlib
import http.client
import json
import re

import pytest

import tools
from camera import Camera
from server import MediaServer, need_server
from tools import wait_for

LINE = re.compile(r'^(?P<name>[a-z_]+)(?:\{(?P<labels>[a-z_]+="(?:[^"\\\n]|\\["\\n])*"(?:,[a-z_]+="(?:[^"\\\n]|\\["\\n])*")*)\})? (?P<value>-?[0-9]+(?:\.[0-9]+)?)$')
NAME = 'Gate "1" \\ № 2'


def read(text):
    """{family: {labels: value}}; strict: each family once, said before its values, no value twice."""
    families, kinds, now = {}, {}, None
    for line in text.splitlines():
        if line.startswith("# HELP "):
            now = line.split()[2]
            assert now not in families, f"{now} stands there twice"
            families[now] = {}
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split()
            assert name == now and kind == ("counter" if name.endswith("_total") else "gauge")
            kinds[name] = kind
        else:
            m = LINE.match(line)
            assert m, f"no line of the format: {line!r}"
            assert m["name"] == now, line
            labels = m["labels"] or ""
            assert labels not in families[now], line
            families[now][labels] = float(m["value"])
    assert set(kinds) == set(families)
    return families


@pytest.fixture(scope="module")
def site():
    need_server()
    with Camera(dict(group="cam", streams=2)) as cam:
        streams = {"gate": {"stream-url": cam.url("cam0"), "stream-name": f"'{NAME}'"}, "yard": cam.url("cam1"), "gone": "rtsp://127.0.0.1:1/x"}
        with MediaServer(streams, record=True) as server:
            server.wait_recording("gate", "yard")
            yield server, cam


@contextlib.contextmanager
def live(server, uid):
    """A viewer of endless MP4."""
    conn = http.client.HTTPConnection("127.0.0.1", server.web_port, timeout=30 * tools.SLOW)
    conn.request("GET", f"/{uid}/live.mp4")
    answer = conn.getresponse()
    assert answer.status == 200 and answer.read(8)
    yield
    answer.close()
    conn.close()


def panel(server, path, **kw):
    return server.get(f"http://127.0.0.1:{server.module_port}{path}", **kw)


def metrics(server):
    a = panel(server, "/metrics")
    assert a["Content-Type"].startswith("text/plain; version=0.0.4")
    return read(a.text)


def test_what_cameras_do(site):
    server, _ = site

    def counted():
        m = metrics(server)
        return m if m["ms_recording_seconds_total"].get('stream="gate"', 0) > 3 else None

    m = wait_for("seconds that were recorded", counted)
    of = 'stream="gate"'
    assert m["ms_stream_up"] == {of: 1, 'stream="yard"': 1, 'stream="gone"': 0}
    escaped = NAME.replace("\\", "\\\\").replace('"', '\\"')
    assert f'{of},name="{escaped}"' in m["ms_stream_info"]
    assert m["ms_stream_state"][f'{of},state="active"'] == 1 and m["ms_stream_frames_total"][of] > 0
    assert m["ms_recording_state"][f'{of},state="on"'] == 1 and m["ms_recording_errno"][of] == 0
    expected, recorded = m["ms_recording_expected_seconds_total"][of], m["ms_recording_seconds_total"][of]
    assert abs(expected - recorded) < 4 * tools.SLOW, "the recorder keeps up with the clock"
    assert m["ms_stream_ends_total"]['stream="gone",cause="unreachable"'] >= 1
    assert m["ms_stream_ends_total"][f'{of},cause="unreachable"'] == 0
    assert m["ms_stream_last_frame_age_seconds"][of] < 5 * tools.SLOW


def test_what_the_machine_does(site):
    server, _ = site
    m = wait_for("the master's part", lambda: (m := metrics(server)) and m.get("ms_process_up") and m.get("ms_workers_resident_bytes", {}).get("", 0) > 0 and m)
    assert m["ms_process_up"] == {f'process="{p}"': 1 for p in ("master", "connector", "keeper", "httpd")}
    assert all(v > 100_000 for v in m["ms_process_resident_bytes"].values())
    assert m["ms_streams"]['state="active"'] == 2 and m["ms_workers"][""] == 3
    assert m["ms_storage_up"] == {'storage="default"': 1} and m["ms_storage_free_bytes"]['storage="default"'] > 0


def test_by_road(site):
    server, _ = site
    before = metrics(server)
    server.get("gate/video.m3u8", status=None)
    server.get("gate/preview.jpg", status=None)
    for road in ("hls", "picture", "page"):
        name = f'road="{road}"'
        wait_for(f"{road} is counted", lambda: metrics(server)["ms_road_requests_total"][name] > before["ms_road_requests_total"][name])
    with live(server, "gate"):
        wait_for("a viewer of MP4", lambda: metrics(server)["ms_road_viewers"]['road="mp4"'] == 1)
    wait_for("he has gone", lambda: metrics(server)["ms_road_viewers"]['road="mp4"'] == 0)
    assert wait_for("the master's part", lambda: (m := metrics(server)) and "ms_webhook_events_waiting" in m and m)["ms_webhook_events_dropped_total"][""] == 0


def test_where_and_by_whom(site):
    server, _ = site
    assert panel(server, "/healthz").text == "ok\n" and panel(server, "/readyz").text == "ready\n"
    for path in ("/metrics", "/healthz", "/readyz"):
        assert server.get(path.lstrip("/"), status=404)
        assert panel(server, path, method="POST", status=405)


def test_board_and_alerts_ask_for_what_there_is(site):
    """Every name in conf/grafana and conf/prometheus is a family of ours."""
    server, _ = site
    have = wait_for("the master's part", lambda: (m := metrics(server)) and "ms_process_up" in m and set(m))
    for path in ("conf/prometheus/alerts.yml", "conf/grafana/media-server.json"):
        asked = set(re.findall(r"\bms_[a-z_]+", (tools.ROOT / path).read_text()))
        assert len(asked) > 8 and asked <= have, asked - have
    assert json.loads((tools.ROOT / "conf/grafana/media-server.json").read_text())["panels"]
