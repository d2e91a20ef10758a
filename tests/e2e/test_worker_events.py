"""A real worker that records windows: events and orders of its master, and what the ring held before them."""
import os
import signal
import time

import mp4
import tools
import worker_host
from test_worker import frames, hashes, host, mdat_hashes  # noqa: F401 (host is a fixture)

ENTRY = 1


def now_us():
    return int(time.time() * 1e6)


def event(w, number, start_us, end_us=0, before_s=2, after_s=1):
    w.master.send(worker_host.EVENT, dict(id=number, uid=w.uid, kind="motion", source="call", start_us=start_us, end_us=end_us,
                                          before_us=int(before_s * 1e6), after_us=int(after_s * 1e6), payload=""))


def armed(w, seconds=0):
    """Nothing is recorded, and the ring holds so much."""
    w.wait(lambda w: w.status()["record_state"] == "armed" and len(frames(w)) > 25 * seconds, 20)


def key_before(w, t_us):
    return max(f["wall_us"] for f in frames(w) if f["flags"] & ENTRY and f["wall_us"] <= t_us)


def last_before(w, t_us):
    """The picture before the first one of that time or later. Of the ring's times, which the worker cuts by: those of a
    file are its beginning and what the camera counted since, and a camera's clock is fitted to ours meanwhile."""
    fs = frames(w)
    at = next(i for i, f in enumerate(fs) if f["wall_us"] >= t_us)
    return hashes(fs[at - 1:at])


def ends_at(w, t_us):
    return mdat_hashes(w.segments()[0])[-1:] == last_before(w, t_us)


def footers(w):
    return [mp4.footer(p) for p in w.segments()]


def test_an_event_keeps_what_was_before_and_after_it(camera, host):
    """From the key frame at or before its beginning to the last picture before its end; and live goes on."""
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"), record=True, mode="event", event_before_us=3000000)
    armed(w, 5)
    assert w.segments() == []
    start = now_us()
    first = key_before(w, start - 3000000)
    event(w, 1, start, start + 1000000, before_s=3, after_s=2)
    w.wait(lambda w: len(w.closed) == 1)
    (f,) = footers(w)
    assert f["start_us"] == first
    assert ends_at(w, start + 3000000)
    assert tools.decode(w.segments()[0]) == ""
    at = w.ring.span()[1]
    w.wait(lambda w: w.ring.span()[1] > at + 25 and w.status()["record_state"] == "armed")
    assert w.status()["state"] == "active" and len(w.opened) == 1


def test_events_that_overlap_are_one_recording(camera, host):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"), record=True, mode="event", event_before_us=2000000)
    armed(w, 3)
    start = now_us()
    event(w, 1, start)
    w.wait(lambda w: w.status()["record_state"] == "on")
    event(w, 2, start + 1500000, start + 2500000)
    event(w, 1, start, start + 1000000)
    w.wait(lambda w: len(w.closed) == 1)
    assert ends_at(w, start + 3500000)


def test_a_worker_killed_in_an_event_loses_no_frame_of_it(camera, host):
    cam = camera(source="cam.h264", start="key")
    w = host().worker("cam-1", cam.url("cam0"), record=True, mode="event", event_before_us=1000000)
    armed(w, 2)
    start = now_us()
    event(w, 1, start, before_s=1)
    w.wait(lambda w: w.status()["rec_next_seq"] > 60)
    seq = w.status()["rec_next_seq"]
    w.wait(lambda w: w.ring.span()[1] > seq + 20)
    os.kill(w.process.pid, signal.SIGKILL)
    w.process.wait()
    left = hashes(f for f in frames(w) if f["wall_us"] >= start)
    told = len(w.states)
    w.start()
    w.wait(lambda w: len(w.states) > told)
    event(w, 1, start, before_s=1)  # as the master does: it knows what goes on
    w.wait(lambda w: len(w.opened) == 2)
    w.wait_state("active")
    end = now_us()
    event(w, 1, start, end, before_s=1, after_s=0)
    w.wait(lambda w: w.status()["record_state"] == "armed")
    assert w.stop() == 0
    stored = [h for path in w.segments() for h in mdat_hashes(path)]
    assert [stored.count(h) for h in left] == [1] * len(left)


def test_an_order_records_from_now_until_it_ends(camera, host):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"), record=True, mode="ondemand")
    armed(w, 1)
    start = now_us()
    w.master.send(worker_host.RECORD, dict(from_us=start, until_us=-1))
    w.wait(lambda w: w.status()["record_state"] == "on")
    until = now_us() + 2000000
    w.master.send(worker_host.RECORD, dict(from_us=start, until_us=until))
    w.wait(lambda w: len(w.closed) == 1)
    (f,) = footers(w)
    assert f["start_us"] <= start < f["end_us"] and ends_at(w, until)
    w.master.send(worker_host.RECORD, dict(from_us=now_us(), until_us=-1))
    w.wait(lambda w: w.status()["record_state"] == "on")
    w.master.send(worker_host.RECORD, dict(from_us=0, until_us=0))
    w.wait(lambda w: len(w.closed) == 2 and w.status()["record_state"] == "armed")


def test_on_demand_an_event_connects_the_camera(camera, host):
    cam = camera()
    w = host().worker("cam-1", cam.url("cam0"), record=True, mode="event", on_demand=True)
    w.wait_state("idle")
    event(w, 1, now_us())
    w.wait(lambda w: w.status()["record_state"] == "on", 20)
    end = now_us()
    event(w, 1, end - 1, end)
    w.wait(lambda w: len(w.closed) == 1)


def test_the_ring_is_made_large_enough_for_what_is_before_an_event(camera, host):
    cam = camera(source="cam.h264", fast=4)
    w = host().worker("cam-1", cam.url("cam0"), record=True, mode="event", event_before_us=20000000)
    w.wait(lambda w: w.ring.generation > 1, 30)
    w.wait(lambda w: w.ring.data > 1 << 20 or w.ring.frames > 512)
