"""Prints the server's figures with the machine's facts, and writes them to BUILD/bench.json.

CPU is that of all the server's processes, user and system, from schedstat, in CPU seconds per Gbit moved: wall time says
little here, ratios do. Everything runs on loopback. At the end each promise stands with what was measured and its verdict. Exit
code: 0 where every figure asked for was measured, whatever its verdict (a machine may be too small); 1 where one failed."""
import argparse
import json
import sys

import bars
import figures
import measure
import tools


def main():
    p = argparse.ArgumentParser(prog="scripts/bench BUILD", description=__doc__)
    p.add_argument("--quick", action="store_true", help="short windows and few repetitions: to see that it runs")
    p.add_argument("--only", default="", help=f"figures, separated by commas, out of: {', '.join(figures.ALL)}")
    p.add_argument("--streams", type=int, default=500, help="cameras of the ingest figures (500)")
    args = p.parse_args()
    chosen = [n for n in args.only.split(",") if n] or list(figures.ALL)
    unknown = set(chosen) - set(figures.ALL)
    if unknown:
        p.error(f"no such figure: {', '.join(unknown)}")

    scale = figures.Scale.quick(args.streams) if args.quick else figures.Scale.full(args.streams)
    results = {"facts": measure.facts(), "quick": args.quick, "figures": {}}
    print("Machine: {cpu}, {cores} cores, {memory_gb} GB, Linux {kernel}, {congestion_control}, {file_system}, load {load_before:.1f}".format(**results["facts"]))
    print("Kernel:  LSMs {lsm}; Landlock ABI {landlock_abi}; cgroups {cgroup}; netem {netem}".format(**results["facts"]))
    print("Commit:  {commit}, {date}".format(**results["facts"]))
    failed = []
    for name in chosen:
        print(f"\n== {name}: {figures.ALL[name].__doc__.splitlines()[0]}", flush=True)
        try:
            results["figures"][name] = figures.ALL[name](scale)
        except Exception as e:  # the other figures are still wanted
            print(f"   FAILED: {type(e).__name__}: {str(e)[:2000]}")
            results["figures"][name] = {"failed": str(e)}
            failed.append(name)
        results["verdicts"] = bars.verdicts(results["figures"])
        (tools.BUILD / "bench.json").write_text(json.dumps(results, indent=1))
    bars.show(results["verdicts"])
    if args.quick:
        print("--quick: too short for verdicts that count")
    print(f"\nAs JSON: {tools.BUILD}/bench.json")
    sys.exit(1 if failed else 0)


main()
