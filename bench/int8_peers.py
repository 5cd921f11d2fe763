"""8 bits after training: ocelli quantize, NNCF and ONNX Runtime's own tool on
the same models and pictures, in one run.

    int8_peers.py accuracy|speed|memory --program build/ocelli
                  --library build/libocelli.so --shared DIR --data DIR
                  --work DIR [--threads 1,2] [--rounds N] [--seconds S]
                  [--json FILE] [MODEL...]

accuracy  of each on pictures it did not see, beside f32; what ocelli writes
          also in ONNX Runtime and OpenVINO, from the same tensors
speed     of each in its own engine, by turns
memory    at its greatest while ocelli quantizes, over the model's size
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

import numpy as np

from int8_nets import Pictures, nets
from peers import Worker, cell, geomean

HERE = os.path.dirname(os.path.abspath(__file__))
PEERS = {"nncf": "openvino", "onnxruntime": "onnxruntime"}


def say(*words):
    print(*words, flush=True)


def call(command, log):
    """Peak memory in bytes; what went wrong is an exception."""
    with open(log, "w") as f:
        p = subprocess.Popen([str(c) for c in command], stdout=f, stderr=f)
        _, status, used = os.wait4(p.pid, 0)
        p.returncode = status  # waited for
    if status:
        with open(log) as f:
            lines = [s for s in f.read().splitlines() if s.strip()] or ["?"]
        raise RuntimeError("%s: %s" % (os.path.basename(log), lines[-1][:160]))
    return used.ru_maxrss * 1024


# ---- making them ------------------------------------------------------------

class Making:
    """A model's quantized forms in a folder of their own."""

    def __init__(self, args, name, model):
        self.args, self.model = args, model
        self.dir = os.path.join(args.work, name)
        os.makedirs(self.dir, exist_ok=True)
        self.log = os.path.join(self.dir, "log")
        self.peak = None

    def path(self, name):
        return os.path.join(self.dir, name)

    def kept(self, out):
        return self.args.keep and os.path.exists(out) and (
            os.path.getmtime(out) > os.path.getmtime(self.model))

    def ocelli(self, name, data, *options):
        """data: a folder of pictures."""
        out = self.path(name)
        if self.kept(out):
            return out
        self.peak = call([self.args.program, "quantize", self.model, "-o", out,
                          "--data", data, "--quiet", *options],
                         self.path("ocelli.log"))
        return out

    def peer(self, peer, tensors, name):
        """tensors: a file of numpy's."""
        out = self.path(peer + (".xml" if peer == "nncf" else ".onnx"))
        if self.kept(out):
            return out
        call([sys.executable, os.path.join(HERE, "int8_makers.py"), peer,
              self.model, tensors, name, out], self.path(peer + ".log"))
        return out


def input_of(model):
    import onnx
    graph = onnx.load(model, load_external_data=False).graph
    constants = {i.name for i in graph.initializer}
    return next(i.name for i in graph.input if i.name not in constants)


def folder(at, source, pictures, measure=None):
    """A data set with these pictures alone."""
    shutil.rmtree(at, ignore_errors=True)
    os.makedirs(os.path.join(at, "images"))
    for p in pictures:
        os.symlink(os.path.abspath(os.path.join(source, p)),
                   os.path.join(at, p))
    if measure:
        measure.part(at, pictures)
    return at


# ---- engines over tensors ---------------------------------------------------

def ort_session(path, threads):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    # Without VNNI its sums of bytes saturate, unless asked for all bits.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return ort.InferenceSession(path, options,
                                providers=["CPUExecutionProvider"])


def in_onnxruntime(path, name, tensors, threads):
    net = ort_session(path, threads)
    for x in tensors:
        yield net.run(None, {name: x})


def in_openvino(path, name, tensors, threads):
    import openvino as ov
    net = ov.Core().compile_model(path, "CPU", {
        "INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"})
    request = net.create_infer_request()
    for x in tensors:
        request.infer({name: x})
        yield [request.get_output_tensor(i).data.copy()
               for i in range(len(net.outputs))]


ENGINES = {"onnxruntime": in_onnxruntime, "openvino": in_openvino}


# ---- accuracy ---------------------------------------------------------------

def spread(items, n):
    """n of them, evenly out of all, and the others."""
    chosen = {i * len(items) // n for i in range(n)}
    return ([x for i, x in enumerate(items) if i in chosen],
            [x for i, x in enumerate(items) if i not in chosen])


def eval_of(args, model, data, metric):
    r = subprocess.run([args.program, "eval", model, "--data", data, "--json",
                        "--no-cache"], capture_output=True, text=True)
    if r.returncode:
        raise RuntimeError(r.stderr.strip()[-160:])
    return json.loads(r.stdout)[metric.replace("top-1", "top1")]


def accuracy_of(args, name, model, measure, calibrate):
    m = Making(args, name, model)
    seen, unseen = spread(measure.pictures(), calibrate)
    data = folder(m.path("seen"), measure.folder, seen, measure)
    test = folder(m.path("unseen"), measure.folder, unseen, measure)
    pictures = Pictures(args.library, model)
    of = {p: pictures.tensor(os.path.join(measure.folder, p), measure.whole)
          for p in seen + unseen}
    pictures.close()
    np.save(m.path("seen.npy"), np.concatenate([of[p] for p in seen]))
    into = input_of(model)

    def figure(engine, path):
        answers = ENGINES[engine](path, into, (of[p] for p in unseen),
                                  args.all_threads)
        return measure.figure(list(zip(unseen, answers)))

    def ours():
        return m.ocelli("ocelli.onnx", data, "--machine", "any")

    def whole():
        return m.ocelli("whole.onnx", data, "--machine", "any", "--agreement",
                        "0")

    def bounded():
        return m.ocelli("bounded.onnx", data, "--machine", "any", "--eval",
                        data, "--max-drop", "0.2%")

    steps = [("f32 in onnxruntime", lambda: figure("onnxruntime", model)),
             ("f32", lambda: eval_of(args, model, test, measure.metric)),
             ("ocelli", lambda: eval_of(args, ours(), test, measure.metric))]
    for e in ENGINES:
        steps.append(("ocelli's in " + e,
                      lambda e=e: figure(e, m.path("ocelli.onnx"))))
    steps.append(("ocelli, all layers", lambda: eval_of(
        args, whole(), test, measure.metric)))
    steps.append(("ocelli --eval", lambda: eval_of(
        args, bounded(), test, measure.metric)))
    for peer, e in PEERS.items():
        steps.append((peer, lambda peer=peer, e=e: figure(
            e, m.peer(peer, m.path("seen.npy"), into))))
    row = {"net": name, "metric": measure.metric, "seen": len(seen),
           "unseen": len(unseen)}
    say("\n%s, %s on %d pictures, ranges from %d others" % (
        name, measure.metric, len(unseen), len(seen)))
    for what, step in steps:
        try:
            row[what] = step()
            say("  %-22s %.4f" % (what, row[what]))
        except Exception as e:  # the peer's, whatever it is
            row[what + " error"] = str(e)[:200]
            say("  %-22s fails: %s" % (what, str(e)[:160]))
    return row


def accuracy(args):
    known = nets(args.shared, args.data)
    for name in args.models:
        if name not in known:
            sys.exit("no net %s; there are %s" % (name, " ".join(known)))
    return [accuracy_of(args, name, *known[name])
            for name in args.models or known]


# ---- speed ------------------------------------------------------------------

def few_pictures(args, n):
    folder_ = os.path.join(args.data, "imagenet_samples", "images")
    names = [os.path.join("images", f) for f in sorted(os.listdir(folder_))]
    return folder(os.path.join(args.work, "few%d" % n),
                  os.path.dirname(folder_), spread(names, n)[0])


def made(args, model):
    """{what: (engine, path)}, the quantized ones made if need be."""
    m = Making(args, os.path.basename(model).removesuffix(".onnx"), model)
    data, into, out = few_pictures(args, 8), input_of(model), {}
    try:
        pictures = Pictures(args.library, model)
        x = [pictures.tensor(os.path.join(data, "images", f), False)
             for f in sorted(os.listdir(os.path.join(data, "images")))]
        pictures.close()
    except RuntimeError as e:
        say("  %s is no model of pictures: %s" % (model, e))
        return out
    np.save(m.path("few.npy"), np.concatenate(x))
    for e in ("ocelli", *ENGINES):
        out[e + " f32"] = (e, model)
    for what, engine, make in (
            ("ocelli", "ocelli", lambda: m.ocelli(
                "fast.onnx", data, "--machine", "any", "--agreement", "0")),
            ("onnxruntime", "onnxruntime", lambda: m.peer(
                "onnxruntime", m.path("few.npy"), into)),
            ("openvino", "openvino", lambda: m.peer(
                "nncf", m.path("few.npy"), into))):
        try:
            out[what + " int8"] = (engine, make())
        except RuntimeError as e:
            say("  %s: %s" % (os.path.basename(model), e))
    return out


def race(args, threads, forms):
    """{what: least milliseconds}, by turns."""
    workers, times = {}, {}
    for what, (engine, path) in forms.items():
        w = Worker(engine, path, threads, args.library)
        if "error" in w.ask("load"):
            w.quit()
        else:
            workers[what], times[what] = w, []
    for _ in range(args.rounds):
        for what, w in workers.items():
            times[what] += w.ask("run %g" % args.seconds).get("ms", [])
    for w in workers.values():
        w.quit()
    return {what: min(t) for what, t in times.items() if t}


COLUMNS = [e + kind for kind in (" f32", " int8")
           for e in ("ocelli", "onnxruntime", "openvino")]


def speed(args):
    if not args.models:
        sys.exit("no models")
    rows, forms = [], {}
    for model in args.models:
        forms[model] = made(args, model)
    for threads in map(int, args.threads.split(",")):
        say("\n%d thread%s, milliseconds (minimum); x = best peer in 8 bits "
            "/ ocelli; own = ocelli f32 / int8" % (
                threads, "s" * (threads > 1)))
        say("%-26s %26s | %26s %6s %6s" % (
            "net", "f32: ocelli ORT OV", "int8: ocelli ORT NNCF+OV", "x",
            "own"))
        ratios = []
        for model in args.models:
            r = race(args, threads, forms[model])
            name = os.path.basename(model).removesuffix(".onnx")[:26]
            peers = [r[c] for c in COLUMNS[4:] if c in r]
            if peers and "ocelli int8" in r:
                ratios.append(min(peers) / r["ocelli int8"])
                r["x"] = ratios[-1]
                r["own"] = r["ocelli f32"] / r["ocelli int8"]
            say("%-26s %8s %8s %8s | %8s %8s %8s %6s %6s" % (
                name, *(cell(r, c) for c in COLUMNS), cell(r, "x"),
                cell(r, "own")))
            rows.append({"net": name, "threads": threads, **r})
        if ratios:
            say("geometric mean %.2f, least %.2f" %
                (geomean(ratios), min(ratios)))
    return rows


# ---- memory -----------------------------------------------------------------

def memory(args):
    rows = []
    say("peak memory of ocelli quantize over the model's size, 8 pictures")
    for model in args.models:
        name = os.path.basename(model).removesuffix(".onnx")
        m = Making(args, name, model)
        row = {"net": name, "bytes": os.path.getsize(model)}
        for machine in ("this", "any"):
            m.ocelli("memory.onnx", few_pictures(args, 8), "--machine",
                     machine)
            row[machine] = m.peak / row["bytes"]
            say("  %-26s --machine %-5s %7.0f MB, %.2f times %.0f MB" % (
                name, machine, m.peak / 1e6, row[machine],
                row["bytes"] / 1e6))
        rows.append(row)
    return rows


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("part", choices=("accuracy", "speed", "memory"))
    for option in ("program", "library", "shared", "data", "work"):
        ap.add_argument("--" + option, required=True)
    ap.add_argument("--threads", default="1")
    ap.add_argument("--rounds", type=int, default=5)
    ap.add_argument("--seconds", type=float, default=0.3)
    ap.add_argument("--keep", action="store_true",
                    help="take the 8-bit networks of the run before")
    ap.add_argument("--json")
    ap.add_argument("models", nargs="*")
    args = ap.parse_intermixed_args()
    args.library = os.path.abspath(args.library)
    args.all_threads = len(os.sched_getaffinity(0))
    rows = {"accuracy": accuracy, "speed": speed, "memory": memory}[args.part](
        args)
    if args.json:
        with open(args.json, "w") as f:
            json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
