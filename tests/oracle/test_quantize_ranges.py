"""`ocelli quantize`: ranges of activations against numpy's.  Prints TAP."""
import os
import sys

import numpy as np
import onnx
from PIL import Image

import program
from peer import session
from test_quantize import colour_net, weights_of


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


if __name__ == "__main__":
    sys.exit(program.main([
        ("ranges are numpy's", ranges_are_numpys),
        ("halves are even", halves_are_even)]))
