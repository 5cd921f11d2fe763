"""Steps of training beside PyTorch, in one run.

    train_peers.py --ours build/bench_train [--threads 1,2] [--rounds N]
                   [--seconds S] [ARCH:SIZE:BATCH ...]

Forward, cross entropy, backward and SGD with momentum on random pictures.
The two take turns, pinned to as many cores as they have threads, so that a
busy moment of the machine hits both.  PyTorch runs in both of its memory
formats and the better one counts.  Printed are the least milliseconds of a
step, pictures a second, the ratio, and peak resident memory.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import time

NETS = ("mobilenetv2:128:32", "resnet18:128:32", "mobilenetv2:224:16")


def cores(n):
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:n])


# ---- the peer ---------------------------------------------------------------

def peer(arch, size, batch, threads, channels_last):
    """Answers a JSON line to each line of seconds it reads."""
    import resource

    import torch
    import torchvision

    torch.set_num_threads(threads)
    make = {"mobilenetv2": torchvision.models.mobilenet_v2,
            "resnet18": torchvision.models.resnet18}[arch]
    net = make(num_classes=10).train()
    x = torch.rand(batch, 3, size, size) * 2 - 1
    y = torch.arange(batch) % 10
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last)
    sgd = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9,
                          weight_decay=1e-4, nesterov=True)
    loss = torch.nn.CrossEntropyLoss()
    for line in sys.stdin:
        ms, end = [], time.monotonic() + float(line)
        while not ms or time.monotonic() < end:
            begun = time.perf_counter()
            sgd.zero_grad()
            loss(net(x), y).backward()
            sgd.step()
            ms.append(1e3 * (time.perf_counter() - begun))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"ms": ms, "peak_mb": peak}), flush=True)


class Peer:
    def __init__(self, spec, threads, channels_last):
        self.p = subprocess.Popen(
            [sys.executable, __file__, "--peer", spec, str(threads),
             str(channels_last)], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL,
            preexec_fn=lambda: cores(threads))

    def run(self, seconds):
        self.p.stdin.write("%g\n" % seconds)
        self.p.stdin.flush()
        line = self.p.stdout.readline()
        if not line:
            sys.exit("PyTorch did not run: is torch installed?")
        return json.loads(line)

    def quit(self):
        self.p.stdin.close()
        self.p.wait()


# ---- both -------------------------------------------------------------------

def run_ours(program, spec, threads, seconds):
    arch, size, batch = spec.split(":")
    p = subprocess.Popen([program, arch, size, batch, "1", str(threads),
                          str(seconds)], stdout=subprocess.PIPE, text=True,
                         preexec_fn=lambda: cores(threads))
    text = p.stdout.read()
    _, status, used = os.wait4(p.pid, 0)
    found = re.search(r": ([\d.]+) ms", text)
    if status or not found:
        sys.exit("%s did not run" % program)
    return {"ms": [float(found[1])], "peak_mb": used.ru_maxrss / 1024}


def measure(spec, threads, args):
    peers = {"contiguous": Peer(spec, threads, 0),
             "channels last": Peer(spec, threads, 1)}
    got = {}
    for _ in range(args.rounds):
        turns = {"ocelli": lambda s: run_ours(args.ours, spec, threads, s)}
        turns.update({name: p.run for name, p in peers.items()})
        for name, run in turns.items():
            r = run(args.seconds)
            one = got.setdefault(name, {"ms": [], "peak_mb": 0})
            one["ms"] += r["ms"]
            one["peak_mb"] = max(one["peak_mb"], r["peak_mb"])
    for p in peers.values():
        p.quit()
    return got


def report(spec, threads, got):
    batch = int(spec.split(":")[2])
    ours = got.pop("ocelli")
    form, best = min(got.items(), key=lambda kv: min(kv[1]["ms"]))
    a, b = min(ours["ms"]), min(best["ms"])
    print("%-20s %dt  ocelli %7.1f ms %6.1f/s %5.0f MB   PyTorch (%s) "
          "%7.1f ms %6.1f/s %5.0f MB   %.2fx faster, %.2f of its memory" %
          (spec, threads, a, 1e3 * batch / a, ours["peak_mb"], form, b,
           1e3 * batch / b, best["peak_mb"], b / a,
           ours["peak_mb"] / best["peak_mb"]), flush=True)


def main():
    if sys.argv[1:2] == ["--peer"]:
        arch, size, batch = sys.argv[2].split(":")
        peer(arch, int(size), int(batch), int(sys.argv[3]),
             int(sys.argv[4]))
        return
    ap = argparse.ArgumentParser()
    ap.add_argument("--ours", required=True)
    ap.add_argument("--threads", default="1")
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=float, default=4)
    ap.add_argument("nets", nargs="*", default=NETS)
    args = ap.parse_args()
    for threads in map(int, args.threads.split(",")):
        for spec in args.nets:
            report(spec, threads, measure(spec, threads, args))


if __name__ == "__main__":
    main()
