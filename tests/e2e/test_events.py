"""Recording by events, schedules and orders, with the whole server."""
import json
import os
import signal
import time

import live
import mp4
import pytest
import tools
from tools import wait_for

UID = "cam-1"


@pytest.fixture
def site(server, camera):
    """One camera, in a mode."""

    def make(mode, **keys):
        cam = camera()
        s = server({UID: {"stream-url": cam.url("cam0"), "dvr-mode": mode, **keys}})
        s.wait_state(UID)
        return s

    return make


def event(s, kind="motion", **options):
    args = [f"--{k}={v}" for k, v in options.items()]
    return s.rows("event", UID, kind, *args)[0]["id"]


def wait_armed(s, seconds=0):
    wait_for("it waits", lambda: s.stream(UID)["record"] == "armed")
    if seconds:
        s.wait_frames(UID, 25 * seconds)


def wait_closed(s, n=1):
    """So many segments, and none is being written."""

    def closed():
        if s.stream(UID)["record"] == "on":
            return None
        footers = [mp4.footer(p) for p in s.segments(UID)]
        return footers if len(footers) == n else None

    return wait_for(f"{n} recordings", closed, 20)


def wait_events(s, n, *args):
    rows = []

    def listed():
        try:
            rows[:] = s.rows("events", *args)
        except AssertionError as e:
            if "does not answer" in str(e):  # the storage is just being opened
                return False
            raise
        return len(rows) == n

    wait_for(f"{n} events", listed, 30)  # what no storage has taken yet is told again every 10 s
    return rows


def near(us, t, within=0.25):  # a frame comes late where others use the processor, and is timed by its coming
    return abs(us / 1e6 - t) < within


def test_an_event_is_kept_with_what_was_before_and_after_it(site):
    s = site("event", **{"dvr-event-before": "3s", "dvr-event-after": "2s"})
    wait_armed(s, 5)
    assert s.segments(UID) == [] and s.status()["not_recording"] == 0
    t = time.time()
    number = event(s, start=f"{t:.6f}", end=f"{t + 1:.6f}", payload="gate, north")
    (f,) = wait_closed(s)
    assert t - 3 - 1.1 < f["start_us"] / 1e6 <= t - 3 and near(f["end_us"], t + 3)
    (e,) = wait_events(s, 1)
    assert (e["id"], e["uid"], e["kind"], e["source"], e["payload"]) == (number, UID, "motion", "call", "gate, north")
    assert near(e["start_us"], t, 1e-5) and near(e["end_us"], t + 1, 1e-5)
    assert s.stream(UID)["state"] == "active" and s.stream(UID)["record_reason"] == "waiting for an event"


def test_events_that_overlap_join_and_one_goes_on_until_it_ends(site):
    s = site("event", **{"dvr-event-before": "2s", "dvr-event-after": "1s"})
    wait_armed(s, 3)
    first = event(s, "door")
    assert event(s, "door") == first  # still the same one
    wait_for("it records", lambda: s.stream(UID)["record"] == "on")
    t = time.time()
    event(s, "motion", start=f"{t:.6f}", end=f"{t + 2:.6f}")
    assert event(s, "door", end="now") == first
    (f,) = wait_closed(s)
    assert near(f["end_us"], t + 3)
    rows = wait_events(s, 2, UID)
    assert [r["kind"] for r in rows] == ["door", "motion"] and all("end_us" in r for r in rows)
    assert [r["kind"] for r in s.rows("events", "--kind=door")] == ["door"]
    assert s.rows("events", f"--to={t - 100:.3f}") == [] and len(s.rows("events", f"--from={t + 1:.3f}")) == 1


def test_an_event_goes_on_over_the_death_of_its_worker_and_of_the_keeper(site):
    s = site("event", **{"dvr-event-before": "1s", "dvr-event-after": "1s"})
    wait_armed(s, 2)
    event(s)
    wait_for("it records", lambda: s.stream(UID)["record"] == "on")
    s.wait_frames(UID)
    _, wait_new = s.kill(UID)
    wait_new()
    s.wait_state(UID)
    wait_for("it records on", lambda: s.stream(UID)["record"] == "on")
    os.kill(s.status()["keeper_pid"], signal.SIGKILL)
    t = time.time()
    event(s, end=f"{t:.6f}")
    wait_for("the keeper is back", lambda: s.status()["keeper_restarts"] == 1 and s.status()["keeper_pid"])
    wait_for("it waits again", lambda: s.stream(UID)["record"] == "armed")
    wait_for("the end is stored", lambda: near(s.rows("events", UID)[0].get("end_us", 0), t, 1e-5), 20)
    samples = s.recorded(UID)
    assert len(samples) > 25


def test_who_watches_live_sees_nothing_of_the_recording(site):
    """A recording that begins and ends beside a viewer costs it no frame."""
    s = site("event", **{"dvr-event-before": "2s", "dvr-event-after": "1s"})
    wait_armed(s, 2)
    with live.Live(s, UID) as viewer:
        s.wait_frames(UID, 25)
        began = time.monotonic()
        event(s, end="now")
        wait_for("it records", lambda: s.stream(UID)["record"] == "on" or s.segments(UID))
        wait_closed(s)
        event(s, "door", end="now")
        wait_closed(s, 2)
        s.wait_frames(UID, 25)
        viewer.check_whole(time.monotonic() - began - 2)


def test_an_event_while_the_camera_is_down_is_listed(server):
    s = server({UID: {"stream-url": f"rtsp://127.0.0.1:{tools.free_port()}/none", "dvr-mode": "event"}})
    t = int(time.time())
    event(s, "door", start=t - 5, end=t)
    (e,) = wait_events(s, 1, UID)
    assert (e["start_s"], e["end_s"]) == (t - 5, t)


def test_events_wait_for_a_storage(server, camera, tmp_path):
    """Kept by the master, and said again, until one is there that takes them."""
    cam = camera()
    s = server({UID: {"stream-url": cam.url("cam0"), "dvr-mode": "event"}}, storages={"default": str(tmp_path / "storage")}, start=False)
    (tmp_path / "storage").rmdir()
    (tmp_path / "storage").write_text("no folder")
    s.start()
    wait_for("the storage is not in order", lambda: s.rows("storage", "list")[0]["state"] not in ("ok", "unknown"))
    number = event(s, "door", end="now")
    waiting = json.loads(s.msctl("--json", "events", ok=False).stdout)
    assert [(e["id"], e["kind"]) for e in waiting] == [(number, "door")]
    assert s.msctl("--json", "events", "other", ok=False).stdout.strip() in ("", "[]")
    (tmp_path / "storage").unlink()
    (tmp_path / "storage").mkdir()
    wait_for("the index is open", lambda: s.msctl("events", ok=False).returncode == 0)
    wait_for("it is listed", lambda: [e["kind"] for e in s.rows("events")] == ["door"], 30)


def test_what_goes_on_when_the_server_is_killed_ends_with_its_footage(site):
    """Nobody lives who knows of it: the next keeper ends it where its recording ended. A new one of its kind is another one."""
    s = site("event", **{"dvr-event-before": "2s", "dvr-event-after": "1s"})
    wait_armed(s, 2)
    number = event(s, "door")
    wait_for("it records", lambda: s.stream(UID)["record"] == "on")
    assert "end_us" not in wait_events(s, 1)[0]
    s.wait_frames(UID, 50)
    left = s.family()
    s.process.kill()
    s.process.wait()
    wait_for("its children are gone", lambda: not [p for p in left if tools.alive(p)])
    killed = time.time()
    s.start()
    s.wait_state(UID)
    e = wait_for("it has an end", lambda: (r := s.rows("events", UID)) and r[0].get("end_us") and r[0], 30)
    (f,) = [mp4.footer(p) for p in s.segments(UID)]
    assert e["id"] == number and e["start_us"] < e["end_us"] == f["end_us"] < killed * 1e6 + 100000  # the last frame lasts, too
    assert event(s, "door") != number
    os.kill(s.status()["keeper_pid"], signal.SIGKILL)  # what the master knows of goes on
    wait_for("the keeper is back", lambda: s.status()["keeper_restarts"] == 1 and s.status()["keeper_pid"])
    s.wait_frames(UID, 50)
    rows = wait_events(s, 2)
    assert ["end_us" in r for r in rows] == [True, False]


def test_an_event_of_a_stream_that_goes_ends_with_it(site):
    s = site("continuous")
    event(s, "door")
    assert "end_us" not in wait_events(s, 1)[0]
    s.remove_stream(UID)
    s.reload()
    wait_for("it has an end", lambda: s.rows("events")[0].get("end_us"), 20)


def test_what_makes_no_event(site):
    s = site("continuous")
    for args in (["none", "motion"],):
        assert s.msctl("event", *args, ok=False).returncode == 4
    for args in (["two words"], ["x" * 65], [""], ["motion", "--start=yesterday"], ["motion", "--end=1"],
                 ["motion", "--start=now", "--end=1700000000"], ["motion", "--before=2d"], ["motion", "--kind=x"],
                 ["motion", "--start=4000000000"], ["motion", "--start=1700000000", "--end=1700090000"]):
        assert s.msctl("event", UID, *args, ok=False).returncode == 2, args
    for args in (["--from=x"], ["--kind="], ["a" * 60], ["--start=1"]):
        assert s.msctl("events", *args, ok=False).returncode == 2, args
    assert s.rows("events") == []


def test_continuous_recording_is_only_marked(site):
    s = site("continuous")
    s.wait_recording(UID)
    event(s, end="now")
    wait_events(s, 1)
    s.wait_frames(UID, 50)
    assert s.stream(UID)["record"] == "on" and len(s.segments(UID)) == 1


def test_a_schedule_is_followed_by_the_clock_of_its_zone(server, camera):
    """A window around now in a zone far away; then one that is over."""
    cam = camera()
    zone = "Pacific/Auckland"

    def window(minutes):
        os.environ["TZ"] = zone
        time.tzset()
        try:
            a, b = (time.localtime(time.time() + 60 * m) for m in minutes)
        finally:
            del os.environ["TZ"]
            time.tzset()
        return f"daily {a.tm_hour:02}:{a.tm_min:02}-{b.tm_hour:02}:{b.tm_min:02}"

    keys = {"stream-url": cam.url("cam0"), "dvr-mode": "schedule", "dvr-schedule": window((-2, 30))}
    s = server({UID: keys}, sections={"server": {"time-zone": zone}})
    s.wait_recording(UID)
    s.write_stream(UID, {**keys, "dvr-schedule": window((30, 60))})
    s.reload()
    wait_armed(s)
    assert s.stream(UID)["record_reason"] == "outside its schedule"
    wait_closed(s)
    s.write_stream(UID, {**keys, "dvr-schedule": window((-30, 60))})
    s.reload()
    s.wait_recording(UID)


def test_on_demand_by_call(site):
    s = site("ondemand")
    wait_armed(s, 1)
    assert s.stream(UID)["record_reason"] == "not asked to"
    t = time.time()
    s.msctl("record", UID, "on", "3")
    said = time.time()
    (f,) = wait_closed(s)
    assert t - 1.1 < f["start_us"] / 1e6 <= time.time() and t + 2.5 < f["end_us"] / 1e6 < said + 3.5
    s.msctl("record", UID, "on")
    s.wait_recording(UID)
    assert s.stop() == 0
    s.start()  # durable
    s.wait_recording(UID)
    s.msctl("record", UID, "off")
    wait_armed(s)
    s.msctl("record", UID, "on", "--until-restart")
    s.wait_recording(UID)
    s.stop()
    s.start()
    s.wait_state(UID)
    wait_armed(s)


def test_only_on_demand_is_ordered(site):
    s = site("event")
    answer = s.msctl("record", UID, "on", ok=False)
    assert answer.returncode == 1 and "not ondemand" in answer.stderr
    assert s.msctl("record", UID, "perhaps", ok=False).returncode == 2
    assert s.msctl("record", "none", "on", ok=False).returncode == 4


def test_the_mode_changes_while_it_runs(site):
    s = site("continuous")
    s.wait_recording(UID)
    s.write_stream(UID, {**s.streams_conf[UID], "stream-url": s.streams_conf[UID]["stream-url"].strip('"'), "dvr-mode": "event"})
    pid = s.pid(UID)
    s.reload()
    wait_armed(s)
    assert s.pid(UID) == pid
    assert json.loads(s.text(f"{UID}/stream.json"))["record"] == "armed"


def test_an_event_protects_its_footage_in_a_short_continuous_recording(site):
    """Footage goes after two seconds, and that of the event stays: pre-roll from before anybody knew of it."""
    s = site("continuous", **{"dvr-chunk": "10s", "dvr-event-duration": "1d", "dvr-event-before": "1s", "dvr-event-after": "0"})
    s.close_segments(1, UID, frames=125)
    kept = s.segments(UID)[0]
    start = mp4.footer(kept)["start_us"] / 1e6
    event(s, start=f"{start + 3:.3f}", end=f"{start + 4:.3f}")
    wait_events(s, 1)
    s.close_segments(3, UID)
    s.write_stream(UID, {**s.streams_conf[UID], "stream-url": s.streams_conf[UID]["stream-url"].strip('"'), "dvr-duration": "2s"})
    other = s.segments(UID)[1]
    s.reload()
    wait_for("the others are gone", lambda: not other.exists(), 20)
    assert kept.exists()


# --- the camera's own metadata ---

DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8"?><tt:MetadataStream xmlns:tt="http://www.onvif.org/ver10/schema" '
    'xmlns:wsnt="http://docs.oasis-open.org/wsn/b-2">{}</tt:MetadataStream>'
)
MESSAGE = (
    "<tt:Event><wsnt:NotificationMessage><wsnt:Topic>tns1:RuleEngine/CellMotionDetector/Motion</wsnt:Topic><wsnt:Message>"
    '<tt:Message UtcTime="2008-10-10T12:24:57Z" PropertyOperation="{}"><tt:Source><tt:SimpleItem Name="Rule" Value="yard"/></tt:Source>'
    '<tt:Data><tt:SimpleItem Name="IsMotion" Value="{}"/></tt:Data></tt:Message></wsnt:Message></wsnt:NotificationMessage></tt:Event>'
)


@pytest.fixture
def onvif(server, camera, tmp_path):
    """A camera with a metadata track, recorded by events, and what makes it say something."""
    documents = {"quiet": DOCUMENT.format("<tt:VideoAnalytics/>"), "motion": DOCUMENT.format(MESSAGE.format("Changed", "true")),
                 "still": DOCUMENT.format(MESSAGE.format("Changed", "false")), "bad": DOCUMENT.format("<tt:Event>"),
                 "bomb": '<!DOCTYPE a [<!ENTITY b "b"><!ENTITY c "&b;&b;">]><a>&c;</a>'}
    for name, text in documents.items():
        (tmp_path / f"{name}.xml").write_text(text)
    cam = camera(source=["small.h264", str(tmp_path / "quiet.xml")], mtu=200)
    s = server({UID: {"stream-url": cam.url("cam0"), "dvr-mode": "event", "stream-tracks": "video", "dvr-event-before": "2s", "dvr-event-after": "1s"}})
    s.wait_state(UID)
    wait_armed(s, 3)
    return s, lambda name: cam.do("document", str(tmp_path / f"{name}.xml"), name="cam0")


def test_motion_that_the_camera_reports_is_recorded(onvif):
    """Told in documents of several packets; its clock is wrong, ours counts; the track itself is not recorded."""
    s, say = onvif
    t = time.time()
    say("motion")
    wait_for("it records", lambda: s.stream(UID)["record"] == "on")
    (e,) = wait_events(s, 1)
    assert (e["kind"], e["source"]) == ("motion", "onvif") and "end_us" not in e
    assert "Rule=yard" in e["payload"] and "UtcTime=2008-10-10T12:24:57Z" in e["payload"]
    assert near(e["start_us"], t, 5)
    s.wait_frames(UID, 25)
    say("still")
    (f,) = wait_closed(s)
    e = wait_for("its end is stored", lambda: (r := s.rows("events"))[0].get("end_us") and r[0])
    assert e["start_us"] - 2000000 - 1100000 < f["start_us"] <= e["start_us"] - 2000000
    assert near(f["end_us"], e["end_us"] / 1e6 + 1)
    assert mp4.Mp4(s.segments(UID)[0].read_bytes()).of("vide") and len(mp4.Mp4(s.segments(UID)[0].read_bytes()).tracks) == 1


def test_motion_goes_on_over_the_death_of_the_worker_and_ends_with_the_session(onvif):
    s, say = onvif
    say("motion")
    wait_for("it records", lambda: s.stream(UID)["record"] == "on")
    _, wait_new = s.kill(UID)
    wait_new()
    s.wait_state(UID)
    wait_for("it records on", lambda: s.stream(UID)["record"] == "on")
    say("still")  # the first word of the camera to the new worker
    wait_for("it is over", lambda: s.rows("events")[0].get("end_us"))
    wait_for("it waits", lambda: s.stream(UID)["record"] == "armed")


def test_hostile_documents_cost_themselves(onvif):
    s, say = onvif
    pid = s.pid(UID)
    for name in ("bad", "bomb", "bad"):
        say(name)
    wait_for("they are counted", lambda: s.rows("streams", UID)[0]["payload_bad"] == 3)
    s.wait_frames(UID, 25)
    assert s.pid(UID) == pid and s.rows("events") == [] and s.stream(UID)["reconnects"] == 0
    say("motion")
    wait_events(s, 1)
