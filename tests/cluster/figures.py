"""How figures are said and held, and what lies between two of them."""
from tools import wait_for

P99_S = 3.0  # of every figure of a node that goes
GOP_S = 2.0  # of the camera's footage, with room for a machine that does other things too
LOOSE_S = 30.0  # once, beside other tests on a busy machine: it came to an end


def report(what, gaps, bound, rounds, p99_s=P99_S):
    """Often, alone, they are held to the figure."""
    gaps = sorted(gaps)
    p99 = gaps[min(len(gaps) - 1, int(len(gaps) * 0.99))]
    print(f"\n{what}: {len(gaps)} times, median {gaps[len(gaps) // 2]:.2f} s, p99 {p99:.2f} s, longest {gaps[-1]:.2f} s")
    assert gaps[-1] < (bound if rounds > 1 else LOOSE_S), gaps
    assert rounds == 1 or p99 < p99_s, gaps


def give_back(c, uid):
    """The first one records again, the second stands by; no wait for cluster-return."""
    c.network.heal()
    c[1].sees(2, "active", "warming")
    c[2].sees(1, "active", "warming")
    c[1].wait_recording(uid)
    wait_for("what it records plays", lambda: c[1].holds(uid)["runs"].split(",")[0] == "1", 20)
    c[2].msctl("drain")
    wait_for("the second gives it back", lambda: not c[2].workers(), 30)
    c[2].msctl("drain", "off")
    wait_for("it stands by, warm", lambda: c[2].cluster()[2]["state"] == "active" and "node 1" in c[2].stream(uid)["reason"], 30)
