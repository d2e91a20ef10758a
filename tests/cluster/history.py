"""What the keepers of all nodes wrote of singular acts, and a checker of it (docs/decisions/033): no act whose stamp is older than one that was acted on
before, none done twice. Times are CLOCK_MONOTONIC, which the nodes of one machine share."""
import collections
import re

LINE = re.compile(r"\bact .*?what=(\w+) storage=(\S+) id=([0-9a-f]{16}) term=(\d+) node=(\d+) boot=([0-9a-f]{16}) mono_us=(\d+)")

Event = collections.namedtuple("Event", "at node storage uid what id stamp")


def read(node, text):
    """Events of a node's log, all streams of which the acts were about."""
    found = []
    for line in text.splitlines():
        m = LINE.search(line)
        if m:
            what, storage, act, term, by, boot, at = m.groups()
            found.append(Event(int(at), node, storage, uid_of(line), what, act, (int(term), int(by), int(boot, 16))))
    return found


def uid_of(line):
    return line[: line.index("what=")].split(" act ")[0].split()[-1]


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
