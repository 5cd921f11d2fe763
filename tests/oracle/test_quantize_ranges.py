"""`ocelli quantize`: ranges of activations against numpy's, and channels that
share what they reach with the weights around them, in ONNX Runtime.
Prints TAP."""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import program
from peer import session
from test_quantize import PICTURES, colour_net, ours_of, weights_of


# ---- ranges ------------------------------------------------------------------

def range_data():
    """Pictures of which few pixels are far from all others, and what a Conv
    reads of them."""
    rng, read = np.random.default_rng(12), []
    os.makedirs(program.path("ranges"), exist_ok=True)
    for i in range(6):
        x = np.clip(rng.normal(0, 12 + 2 * i, (16, 16, 3)) + 128, 60, 200)
        x.reshape(-1)[rng.integers(0, x.size, 2)] = 250
        x.reshape(-1)[rng.integers(0, x.size, 2)] = i
        x = x.astype(np.uint8)
        Image.fromarray(x).save(program.path(f"ranges/{i}.png"))
        read.append((x.astype(np.float32) - 128) / 64)
    return np.stack(read)


def first_range(*args):
    """Limits and step of the input of the first layer of colour_net()."""
    report = program.ask(
        "quantize", colour_net(), "-o", program.path("ranges8.onnx"),
        "--machine", "any", "--agreement", 0, "--decode", "logits", "--scale",
        1 / 64, "--mean", 2, "--std", 1, "--data", program.path("ranges"),
        *args)
    n = report["layers"][0]
    return n["lo"], n["hi"], n["scale"]


def divergence(x, cut, bins=2048, levels=255):
    """TensorRT's: what is cut counts at the ends of what there is; what there
    is in 8 bits is spread over the bins that have any."""
    lo, hi = max(x.min(), -cut), min(x.max(), cut)
    counts, edges = np.histogram(x, bins, (x.min(), x.max()))
    inside = np.nonzero((edges[:-1] < hi) & (edges[1:] > lo))[0]
    p = counts[inside].astype(float)
    middles = (edges[inside] + edges[inside + 1]) / 2
    level = np.clip((middles - lo) / (hi - lo) * levels, 0, levels - 1)
    level = level.astype(int)
    each = np.bincount(level, p) / np.maximum(np.bincount(level, p > 0), 1)
    q = np.where(p > 0, each[level], 0)
    p[0] += counts[:inside[0]].sum()
    p[-1] += counts[inside[-1] + 1:].sum()

    def smooth(x):
        none = x == 0
        x = x / x.sum()
        x[~none] -= 1e-4 * none.sum() / (~none).sum()
        return np.where(none, 1e-4, x)

    p, q = smooth(p), smooth(q)
    good = (p > 0) & (q > 0)
    return (p[good] * np.log(p[good] / q[good])).sum()


def ranges_are_numpys():
    x = range_data()
    lo, hi, _ = first_range("--range", "minmax")
    assert np.allclose((lo, hi), (x.min(), x.max()), atol=1e-6)
    lo, hi, _ = first_range("--range", "average")
    each = x.reshape(len(x), -1)
    assert np.allclose((lo, hi), (each.min(1).mean(), each.max(1).mean()),
                       atol=1e-6)
    lo, hi, _ = first_range("--range", "percentile", "--percentile", 99)
    assert np.allclose((lo, hi), np.percentile(x, (0.5, 99.5)), atol=0.03)
    lo, hi, _ = first_range("--range", "entropy")
    most = np.abs(x).max()
    found = [divergence(x, most * k / 256) for k in range(16, 257)]
    ours = divergence(x, max(-lo, hi))
    assert hi < 0.95 * x.max() or lo > 0.95 * x.min()
    assert ours <= min(found) + 0.02 * (found[-1] - min(found))


def halves_are_even():
    """--symmetric: 0 is code 128 of what is negative, too."""
    x, out = range_data(), program.path("ranges8.onnx")
    for how in ("minmax", "mse", "entropy"):
        lo, hi, step = first_range("--range", how, "--symmetric")
        assert abs(lo + 128 * step) < 1e-5 and abs(hi - 127 * step) < 1e-5
        if how == "minmax":
            assert abs(step - max(-x.min() / 128, x.max() / 127)) < 1e-6
        values = weights_of(out)
        zeros = {n.output[0]: int(values[n.input[2]])
                 for n in onnx.load(out).graph.node
                 if n.op_type == "QuantizeLinear"}
        # What is behind a Relu keeps all codes.
        assert sorted(zeros.values()) == [0, 128]
        session(out)


# ---- channels that differ ----------------------------------------------------

def outlier_net(name, pieces):
    """A transformer's block without attention on 64 patches of 48 values.  Some
    channels of the norm are 60 times as large as others, as in Xiao et al.;
    pieces: the norm as exporters write it before operator set 17."""
    rng, node = np.random.default_rng(21), helper.make_node
    value = helper.make_tensor_value_info
    width, inner = 48, 96

    def normal(*shape):
        return rng.normal(0, shape[0] ** -0.5, shape).astype(np.float32)

    gain = np.ones(width, np.float32)
    gain[[3, 17, 40]] = 60
    query, key = normal(width, inner), normal(width, width)
    for w in (query, key):  # what is read of all channels is alike
        w[[3, 17, 40]] /= 60
    values = {"patch": normal(width, 3, 4, 4) / 4, "gain": gain,
              "shift": gain * 0.1, "query": query, "key": key,
              "bias": normal(inner), "out": normal(inner, 10),
              "keyout": normal(width, 10), "two": np.float32(2),
              "little": np.float32(1e-6), "rows": np.array([1, width, 64]),
              "root": np.float32(2 ** 0.5), "one": np.float32(1)}
    norm = [node("LayerNormalization", ["t", "gain", "shift"], ["n"],
                 epsilon=1e-6)]
    if pieces:
        norm = [node("ReduceMean", ["t"], ["mean"], axes=[-1]),
                node("Sub", ["t", "mean"], ["c"]),
                node("Pow", ["c", "two"], ["squares"]),
                node("ReduceMean", ["squares"], ["var"], axes=[-1]),
                node("Add", ["var", "little"], ["var2"]),
                node("Sqrt", ["var2"], ["sd"]), node("Div", ["c", "sd"], ["d"]),
                node("Mul", ["d", "gain"], ["scaled"]),
                node("Add", ["scaled", "shift"], ["n"])]
    graph = helper.make_graph(
        [node("Conv", ["x", "patch"], ["p"], "patch", strides=[4, 4]),
         node("Reshape", ["p", "rows"], ["r"]),
         node("Transpose", ["r"], ["t"], perm=[0, 2, 1])] + norm +
        [node("MatMul", ["n", "query"], ["q"], "query"),
         node("Add", ["q", "bias"], ["qb"]),
         node("Div", ["qb", "root"], ["e0"]), node("Erf", ["e0"], ["e1"]),
         node("Add", ["e1", "one"], ["e2"]), node("Mul", ["qb", "e2"], ["g"]),
         node("MatMul", ["g", "out"], ["y0"], "out"),
         node("MatMul", ["n", "key"], ["k"], "key"),
         node("MatMul", ["k", "keyout"], ["y1"], "keyout"),
         node("Add", ["y0", "y1"], ["y2"]),
         node("ReduceMean", ["y2"], ["y"], axes=[1], keepdims=0)], "g",
        [value("x", TensorProto.FLOAT, (1, 3, 32, 32))],
        [value("y", TensorProto.FLOAT, (1, 10))],
        [numpy_helper.from_array(v, k) for k, v in values.items()])
    path = program.path(name)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 13 if pieces else 17)]), path)
    return path


def decibels(truth, got):
    return 10 * np.log10(np.sum(truth ** 2) / np.sum((truth - got) ** 2))


def outliers_are_smoothed():
    """Large channels of a norm go to the weights: far less is lost, no node
    more is there, and layers that stay in f32 read the same."""
    for pieces in (0, 1):
        path = outlier_net(f"outliers{pieces}.onnx", pieces)
        out = program.path("outliers8.onnx")
        lost, ops = {}, {}
        for how in ((), ("--no-equalize",), ("--ignore", "key")):
            report = program.ask(
                "quantize", path, "-o", out, "--machine", "any",
                "--agreement", 1, "--decode", "logits", "--scale", 1 / 64,
                "--mean", 2, "--std", 1, *how,
                *[program.picture(p) for p in PICTURES])
            layers = {n["name"]: n for n in report["layers"]}
            assert ("equalized" in layers["query"]) == (
                "--no-equalize" not in how)
            # The better of both was taken, by what is said.
            said = report["accuracy"]
            assert said["first"] > said.get("not_equalized", 0)
            assert ("not_equalized" in said) == ("equalized" in layers["query"])
            truth, theirs, ours = [], [], []
            for seed in range(4):
                x = np.random.default_rng(seed).normal(
                    0, 0.8, (1, 3, 32, 32)).astype(np.float32)
                truth.append(session(path).run(None, {"x": x})[0])
                theirs.append(session(out).run(None, {"x": x})[0])
                ours.append(ours_of(out, x))
            lost[how] = decibels(np.array(truth), np.array(theirs))
            ops[how] = sorted(n.op_type for n in onnx.load(out).graph.node)
            span = np.ptp(truth)
            assert np.abs(np.array(ours) - theirs).mean() <= 0.02 * span
        assert ops[()] == ops[("--no-equalize",)]
        assert lost[()] > lost[("--no-equalize",)] + 6, lost
        assert lost[("--ignore", "key")] > lost[("--no-equalize",)] + 6, lost


if __name__ == "__main__":
    sys.exit(program.main([
        ("ranges are numpy's", ranges_are_numpys),
        ("halves are even", halves_are_even),
        ("outliers are smoothed", outliers_are_smoothed)]))
