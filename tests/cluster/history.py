"""What the nodes wrote of singular acts, and a checker of it (docs/decisions/033). Of keepers (deletes and locks): no act whose stamp is older than one that
was acted on before, none done twice. Of masters (who is to have a stream: pushes of its file): none decided or taken that is older than what was there, none
that undoes what was decided since it began. Times are CLOCK_MONOTONIC, which the nodes of one machine share."""
import collections
import re

LINE = re.compile(r"(\S+) act .*?what=(\w+) storage=(\S+) id=([0-9a-f]{16}) term=(\d+) node=(\d+) boot=([0-9a-f]{16}) mono_us=(\d+)")
FILE = re.compile(r"(\S+) file-(pushed|taken) term=(\d+) node=(\d+) boot=([0-9a-f]{16})(?: base=(\d+))? mono_us=(\d+)")
ROUND_US = 12_000_000  # within which a push is decided, or asks anew (SPREAD_ONCE_US), with a beat or two

Event = collections.namedtuple("Event", "at node storage uid what id stamp")
Version = collections.namedtuple("Version", "at node uid what stamp base")


def read(node, text):
    """Events of a node's log, all streams of which the acts were about."""
    found = []
    for line in text.splitlines():
        m = LINE.search(line)
        if m:
            uid, what, storage, act, term, by, boot, at = m.groups()
            found.append(Event(int(at), node, storage, uid, what, act, (int(term), int(by), int(boot, 16))))
    return found


def versions(node, text):
    """Of files, of a node's log."""
    found = []
    for line in text.splitlines():
        m = FILE.search(line)
        if m:
            uid, what, term, by, boot, base, at = m.groups()
            found.append(Version(int(at), node, uid, what, (int(term), int(by), int(boot, 16)), int(base or 0)))
    return found


def check(events):
    """What is wrong, as a list of texts."""
    wrong, done, there, decided = [], set(), {}, {}
    for e in sorted(events):
        if e.what not in ("done", "begun"):
            continue
        place = (e.node, e.storage, e.uid)
        if e.what == "done" and (place, e.id) in done:
            wrong.append(f"done twice: {e}")
        if e.what == "done":
            done.add((place, e.id))
        if e.stamp < there.get(place, e).stamp:
            wrong.append(f"older than {there[place]}: {e}")
        there[place] = e
        if e.stamp[1] != e.node:
            continue
        if e.stamp < decided.get(e.uid, e).stamp:
            wrong.append(f"decided behind {decided[e.uid]}: {e}")
        decided[e.uid] = e
    return wrong


def check_versions(found):
    """The same of files."""
    wrong, there = [], {}
    found = sorted(found)
    pushed = [v for v in found if v.what == "pushed"]
    for v in found:
        place = (v.node, v.uid)
        # what is decided is written when it is durable, a moment later, and again behind a restart
        if v.what == "taken" and place in there and v.stamp <= there[place].stamp:
            wrong.append(f"older than {there[place]}: {v}")
        there[place] = max(v, there.get(place, v), key=lambda v: v.stamp)
    for v in pushed:
        for other in pushed:
            if other.uid != v.uid or other.stamp == v.stamp:
                continue
            if other.at + ROUND_US < v.at and other.stamp > v.stamp:
                wrong.append(f"decided behind {other}: {v}")
            if v.base and v.base < other.stamp[0] < v.stamp[0]:
                wrong.append(f"undoes {other}: {v}")
    return wrong
