"""What was promised of the figures, and whether it was met. The bars are those of the figures' own descriptions."""
import measure


def growth(r):
    few, many = sorted(r, key=int)
    return r[many]["median"] / r[few]["median"]


def refusals_apart(r):
    """Of tokens that are refused: a right one takes longer, and is not."""
    return max(abs(x["a_ns"] - x["b_ns"]) for x in r["timing"] if x["b"] != "right")


# figure, what, from its result, most, unit
BARS = (
    ("ingest", "CPU for capturing", lambda r: r["frame"]["median"], 0.22, "CPU s/Gbit"),
    ("record", "CPU for capturing and recording", lambda r: r["frame"]["median"], 0.40, "CPU s/Gbit"),
    ("record", "private memory of a worker", lambda r: r["memory"]["private_kb"]["max"], 600, "KB"),
    ("record", "ring and worker together", lambda r: r["memory"]["with_ring_kb"]["max"], 1800, "KB"),
    ("growth", "cost at 200 cameras against 50", growth, 1.10, "times"),
    ("kill", "hand-shake of the next worker, p99", lambda r: measure.percentile(r["handshake_ms"], 99), 25, "ms"),
    ("kill", "frames of the ring that are missing", lambda r: r["missing_of_ring"], 0, "frames"),
    ("kill", "gaps and sessions of streams that were not killed", lambda r: r["harm_to_others"], 0, ""),
    ("stop", "a hung worker is replaced, longest", lambda r: max(r["seconds"]), 7, "s"),
    ("start", "1,000 cameras asked", lambda r: r["asked_s"], 10, "s"),
    ("picture", "first picture, longest", lambda r: max(max(v) for v in r.values()), 2, "s"),
    ("index", "ranges of a day, warm, p99", lambda r: r["warm"]["day_ms"]["p99"], 5, "ms"),
    ("index", "ranges of a day, cold, p99", lambda r: r["cold"]["day_ms"]["p99"], 5, "ms"),
    ("index", "seek to a second, warm, p99", lambda r: r["warm"]["second_ms"]["p99"], 2, "ms"),
    ("index", "seek to a second, cold, p99", lambda r: r["cold"]["second_ms"]["p99"], 2, "ms"),
    ("index", "start after a clean stop, longest", lambda r: max(r["clean"]["seconds"]), 1, "s"),
    ("index", "start after an unclean stop, longest", lambda r: max(r["unclean"]["seconds"]), 5, "s"),
    ("check", "500,000 segments, presence and size, warm", lambda r: min(r["seconds"][1:]), 10, "s"),
    ("check", "differences of the rebuilt index", lambda r: r["differences"], 0, ""),
    ("archive", "HLS segments, CPU against nginx", lambda r: r["ratio"]["median"], 1.5, "times"),
    ("export", "MP4 of 1 GB, CPU against nginx", lambda r: r["ratio"]["median"], 1.5, "times"),
    ("export", "first byte of an hour as MP4, longest", lambda r: max(r["first_byte_ms"]), 200, "ms"),
    ("export", "memory that sending it takes and keeps", lambda r: r["grown_kb"], 4096, "KB"),
    ("latency", "glass to glass by WebSocket, p95", lambda r: r["mse"]["p95"], 0.5, "s"),
    ("latency", "glass to glass by low-latency HLS, p95", lambda r: r["ll-hls"]["p95"], 2, "s"),
    ("siege", "playlist beside 5,000 slow heads, 500 stuck, p99", lambda r: r["besieged"]["p99_ms"], 100, "ms"),
    ("siege", "gaps of the recording meanwhile", lambda r: r["gaps_of_the_recording"], 0, ""),
    ("fanout", "one stream to 500 over RTSP", lambda r: r["one"]["median"], 0.10, "CPU s/Gbit"),
    ("fanout", "200 streams to one each over RTSP", lambda r: r["each"]["median"], 0.20, "CPU s/Gbit"),
    ("fanout", "first packet with 500 others, p99", lambda r: r["first"]["p99"], 20, "ms"),
    ("fanout", "memory of an idle RTSP viewer", lambda r: r["idle_kb"], 32, "KB"),
    ("fanout", "memory of an HLS player between requests", lambda r: r["idle_hls_kb"], 8, "KB"),
    ("fanout", "live HLS to 500, CPU against nginx", lambda r: r["hls"]["ratio"]["median"], 1.5, "times"),
    ("api", "1,000 streams by one call", lambda r: r["made_s"], 5, "s"),
    ("api", "list of 1,000 streams, p99", lambda r: r["list_ms"]["p99"], 20, "ms"),
    ("metrics", "/metrics of 1,000 streams, p99", lambda r: r["ms"]["p99"], 50, "ms"),
    ("beside", "CPU of playback beside 200 calls a second", lambda r: r["cpu_ratio"], 1.15, "times"),
    ("beside", "p99 of a player's requests beside them", lambda r: r["p99_ratio"], 1.25, "times"),
    ("panel", "fleet of 1,000 cameras, used", lambda r: r["interactive_ms"]["p50"], 1000, "ms"),
    ("panel", "first load, packed", lambda r: r["packed_kb"], 300, "KB"),
    ("panel", "page that nobody touches", lambda r: r["idle_core"] * 100, 2, "% of a core"),
    ("panel", "ten live tiles, of the server", lambda r: r["wall"]["median"] * 100, 1, "% of a core"),
    ("fanout", "archive HLS to 500, CPU against nginx", lambda r: r["archive"]["ratio"]["median"], 1.5, "times"),
    ("access", "wrong first or last byte of a MAC, dudect's t", lambda r: r["timing"][0]["t"], 4.5, ""),
    ("access", "MAC of nobody against one wrong byte, dudect's t", lambda r: r["timing"][1]["t"], 4.5, ""),
    ("access", "refusals by what is wrong, means farthest apart", refusals_apart, 50, "ns"),
    ("access", "errors of sessions while a key is changed", lambda r: r["rotation"]["errors"], 0, ""),
    ("access", "sessions of a key behind its end, longest", lambda r: r["rotation"]["dead_after_s"]["max"], 1, "s"),
    ("access", "taking back, longest of all roads", lambda r: max(r["taking_back_s"].values()), 2, "s"),
    ("access", "login from a clean address beside guesses, p99", lambda r: r["guessing"]["p99_ms"], 50, "ms"),
)


def judged(value_of, r, most):
    try:
        value = value_of(r)
    except KeyError:  # this part of the figure was not possible here
        return {"verdict": "skipped"}
    return {"value": value, "verdict": "met" if value <= most else "not met"}


def verdicts(results):
    """One dict a bar: verdict is met, not met, failed (no figure), or skipped (not asked for, or not possible here)."""
    rows = []
    for figure, what, value_of, most, unit in BARS:
        row = {"figure": figure, "what": what, "bar": most, "unit": unit, "value": None}
        r = results.get(figure)
        if r is None or "skipped" in r:
            row["verdict"] = "skipped"
        elif "failed" in r:
            row["verdict"] = "failed"
        else:
            row |= judged(value_of, r, most)
        rows.append(row)
    return rows


def show(rows):
    print(f"\n{'figure':8} {'what':50} {'measured':>10} {'at most':>8} {'unit':11} verdict")
    for r in rows:
        value = "-" if r["value"] is None else f"{r['value']:.3f}".rstrip("0").rstrip(".")
        print(f"{r['figure']:8} {r['what']:50} {value:>10} {r['bar']:>8g} {r['unit']:11} {r['verdict']}")
