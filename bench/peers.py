"""ocelli beside ONNX Runtime and OpenVINO, in one run.

    peers.py --library build/libocelli.so [--threads 1,2] [--rounds N]
             [--seconds S] [--json FILE] MODEL...

Every engine is a process of its own, pinned to as many cores as it has
threads; they take turns, so that a busy moment of the machine hits all of
them.  Printed are minimum milliseconds, the ratio of the best peer's to
ours, load with first inference, and peak memory above the start.
"""
import argparse
import json
import math
import os
import statistics
import subprocess
import sys

PEERS = ("onnxruntime", "openvino")


class Worker:
    def __init__(self, engine, model, threads, library, cache=""):
        here = os.path.dirname(os.path.abspath(__file__))
        self.p = subprocess.Popen(
            [sys.executable, os.path.join(here, "peer_worker.py"), engine,
             model, str(threads), library, cache],
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


def measure(model, threads, args):
    """{engine: {first_ms, rss_mb, min_ms, median_ms} or {error}}"""
    workers, out = {}, {}
    for engine in ("ocelli",) + PEERS:
        w = Worker(engine, model, threads, args.library)
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
    return form % r[key] if key in r else "fails"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--library", required=True)
    ap.add_argument("--threads", default="1")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=0.3)
    ap.add_argument("--json")
    ap.add_argument("models", nargs="+")
    args = ap.parse_args()
    args.library = os.path.abspath(args.library)
    rows = []
    for threads in map(int, args.threads.split(",")):
        print("\n%d thread%s, milliseconds (minimum); x = best peer / ocelli"
              % (threads, "s" * (threads > 1)))
        print("%-26s %8s %8s %8s %6s | %s" %
              ("net", "ocelli", "ORT", "OV", "x",
               "load + first, ms: ocelli ORT OV | peak MB"))
        ratios = []
        for model in args.models:
            r = measure(model, threads, args)
            name = os.path.basename(model).removesuffix(".onnx")[:26]
            rows.append({"net": name, "threads": threads, **r})
            peers = [r[p]["min_ms"] for p in PEERS if "min_ms" in r[p]]
            ratio = "-"
            if peers and "min_ms" in r["ocelli"]:
                ratios.append(min(peers) / r["ocelli"]["min_ms"])
                ratio = "%.2f" % ratios[-1]
            three = ("ocelli",) + PEERS
            print("%-26s %8s %8s %8s %6s | %7s %7s %7s | %6s %6s %6s" % (
                name, *(cell(r[e], "min_ms") for e in three), ratio,
                *(cell(r[e], "first_ms", "%.0f") for e in three),
                *(cell(r[e], "rss_mb", "%.0f") for e in three)), flush=True)
        if ratios:
            print("geometric mean %.2f, least %.2f" %
                  (geomean(ratios), min(ratios)))
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
