"""ocelli beside ONNX Runtime and OpenVINO, in one run.

    peers.py --library build/libocelli.so [--threads 1,2] [--rounds N]
             [--seconds S] [--json FILE] [--way f32|bf16|avx2] MODEL...

Every engine is a process of its own, pinned to as many cores as it has
threads; they take turns, so that a busy moment of the machine hits all of
them.  Printed are least milliseconds, the ratio of the best peer's to ours,
load with first inference (with the most threads of several starts, and
"kept": from the program or model cache), and peak memory above the start.
With bf16 products, and without AVX-512 (avx2), OpenVINO alone is the peer: ONNX
Runtime has no such switch.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile

PEERS = ("onnxruntime", "openvino")


class Worker:
    def __init__(self, engine, model, threads, library, cache="", way="f32"):
        here = os.path.dirname(os.path.abspath(__file__))
        self.p = subprocess.Popen(
            [sys.executable, os.path.join(here, "peer_worker.py"), engine,
             model, str(threads), library, cache, way],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            stderr=subprocess.DEVNULL)

    def ask(self, line):
        try:
            self.p.stdin.write(line + "\n")
            self.p.stdin.flush()
            return json.loads(self.p.stdout.readline() or '{"error": "died"}')
        except BrokenPipeError:
            return {"error": "died"}

    def quit(self):
        try:
            self.p.stdin.close()
        except BrokenPipeError:
            pass
        self.p.wait()


def load_once(engine, model, threads, args, cache=""):
    w = Worker(engine, model, threads, args.library, cache, args.way)
    answer = w.ask("load")
    w.quit()
    return answer.get("first_ms", math.inf)


def measure_starts(model, threads, args, out):
    """The least of --loads starts each; cached_ms from what one before it
    has kept.  ONNX Runtime keeps nothing."""
    with tempfile.TemporaryDirectory() as folder:
        caches = {e: os.path.join(folder, e) for e in ("ocelli", "openvino")}
        for engine, cache in caches.items():
            load_once(engine, model, threads, args, cache)
        for _ in range(args.loads):
            for engine, r in out.items():
                if "error" in r:
                    continue
                r["first_ms"] = min(
                    r["first_ms"], load_once(engine, model, threads, args))
                if engine in caches:
                    r["cached_ms"] = min(
                        r.get("cached_ms", math.inf),
                        load_once(engine, model, threads, args,
                                  caches[engine]))


def measure(model, threads, args):
    """{engine: {first_ms, rss_mb, min_ms, median_ms} or {error}}"""
    workers, out = {}, {}
    with open(model, "rb") as f:  # nobody pays for reading it from the disk
        f.read()
    for engine in ("ocelli",) + PEERS:
        if args.way != "f32" and engine == "onnxruntime":
            out[engine] = {"error": "has no such switch"}
            continue
        w = Worker(engine, model, threads, args.library, way=args.way)
        out[engine] = w.ask("load")
        if "error" in out[engine]:
            w.quit()
        else:
            workers[engine] = w
    times = {e: [] for e in workers}
    for _ in range(args.rounds):
        for engine, w in workers.items():
            times[engine] += w.ask("run %g" % args.seconds).get("ms", [])
    for engine, w in workers.items():
        w.quit()
        out[engine]["min_ms"] = min(times[engine])
        out[engine]["median_ms"] = statistics.median(times[engine])
    return out


def geomean(values):
    return math.exp(sum(math.log(v) for v in values) / len(values))


def cell(r, key, form="%.2f"):
    return form % r[key] if key in r else "-" if "min_ms" in r else "fails"


def ratio(r, key, ours="", peers=PEERS):
    """The best peer's figure by ours; None where one of them is missing."""
    theirs = [r[p][key] for p in peers if key in r[p]]
    mine = r["ocelli"].get(ours or key)
    return min(theirs) / mine if theirs and mine else None


THREE = ("ocelli",) + PEERS
COLUMNS = "%-26s %8s %8s %8s %6s | %7s %7s %7s | %6s %6s | %6s %6s %6s"


def print_row(name, r):
    x = ratio(r, "min_ms")
    print(COLUMNS % (
        name, *(cell(r[e], "min_ms") for e in THREE),
        "%.2f" % x if x else "-",
        *(cell(r[e], "first_ms", "%.0f") for e in THREE),
        *(cell(r[e], "cached_ms", "%.1f") for e in ("ocelli", "openvino")),
        *(cell(r[e], "rss_mb", "%.1f") for e in THREE)), flush=True)


def print_summary(rows):
    for what, *asked in (
            ("time", "min_ms"), ("load + first", "first_ms"),
            ("the same kept, to the peer's cold", "first_ms", "cached_ms"),
            ("the same kept, to OpenVINO's kept", "cached_ms", "cached_ms",
             PEERS[1:]),
            ("peak memory", "rss_mb")):
        values = [v for v in (ratio(r, *asked) for r in rows) if v]
        if values:
            print("%-34s geometric mean %.2f, least %.2f" %
                  (what, geomean(values), min(values)))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--library", required=True)
    ap.add_argument("--threads", default="1")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=0.3)
    ap.add_argument("--loads", type=int, default=2,
                    help="starts of each engine beside the first, "
                    "with the most threads")
    ap.add_argument("--json")
    ap.add_argument("--way", default="f32", choices=("f32", "bf16", "avx2"))
    ap.add_argument("models", nargs="+")
    args = ap.parse_args()
    args.library = os.path.abspath(args.library)
    every = []
    counts = list(map(int, args.threads.split(",")))
    for threads in counts:
        print("\n%d thread%s, milliseconds (least); x = best peer / ocelli"
              % (threads, "s" * (threads > 1)))
        print(COLUMNS % ("net", "ocelli", "ORT", "OV", "x", "load +", "first",
                         "", "kept", "OV", "MB", "", ""))
        rows = []
        for model in args.models:
            r = measure(model, threads, args)
            if threads == max(counts):
                measure_starts(model, threads, args, r)
            name = os.path.basename(model).removesuffix(".onnx")[:26]
            rows.append({"net": name, "threads": threads, **r})
            print_row(name, r)
        print_summary(rows)
        every += rows
    if args.json:
        with open(args.json, "w") as f:
            json.dump(every, f, indent=1)


if __name__ == "__main__":
    main()
