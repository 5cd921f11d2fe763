"""`ocelli train --qat`: what it writes is QDQ that ONNX Runtime loads and
scores as ocelli does; what it says of val, ONNX Runtime finds too.  Prints
TAP."""
import functools
import json
import os
import sys

import numpy as np
import onnx
from onnx import numpy_helper
from PIL import Image

import program
from peer import session

rng = np.random.default_rng(program.SEED)
KINDS = ("along", "across", "plain")


def picture(kind):
    """Stripes one way or the other, or none, with noise."""
    at = np.arange(16) // 2 % 2 * 120
    x = {"along": np.tile(at, (16, 1)), "across": np.tile(at, (16, 1)).T,
         "plain": np.full((16, 16), 60)}[kind]
    x = x[..., None] + rng.integers(0, 130, (16, 16, 3))
    return Image.fromarray(x.clip(0, 255).astype(np.uint8))


@functools.cache
def trained():
    """Folder of data, model in f32, model in 8 bits."""
    data = program.path("stripes")
    for part, n in (("train", 40), ("val", 20)):
        for kind in KINDS:
            os.makedirs(f"{data}/{part}/{kind}", exist_ok=True)
            for i in range(n):
                picture(kind).save(f"{data}/{part}/{kind}/{i}.png")
    f32, i8 = program.path("f32.onnx"), program.path("i8.onnx")
    program.run("train", "--data", data, "--arch", "resnet8", "--width", 0.5,
                "--size", 16, "--batch", 16, "--epochs", 6, "--augment", "none",
                "--out", f32, "-q")
    program.run("train", "--data", data, "--model", f32, "--qat", "--batch", 16,
                "--epochs", 3, "--augment", "none", "--out", i8, "-q")
    return data, f32, i8


def ready(path, data):
    """Pictures of val as the card has them, and their classes."""
    props = {p.key: p.value for p in onnx.load(path).metadata_props}
    card = json.loads(props["ocelli.card"])
    mean, std = (np.array(card["input"][k], np.float32).reshape(3, 1, 1)
                 for k in ("mean", "std"))
    scale, xs, ks = card["input"].get("scale", 1), [], []
    for k, label in enumerate(card["labels"]):
        for i in range(20):
            x = program.pixels(f"{data}/val/{label}/{i}.png")
            x = x.astype(np.float32).transpose(2, 0, 1) * np.float32(scale)
            xs.append((x - mean) / std)
            ks.append(k)
    return np.stack(xs), np.array(ks)


def logits_agree():
    data, _, path = trained()
    onnx.checker.check_model(onnx.load(path), full_check=True)
    x, _ = ready(path, data)
    theirs = session(path).run(None, {"input": x})[0]
    np.save(program.path("x.npy"), x)
    program.run("run", path, "--input", "input=" + program.path("x.npy"),
                "--output-dir", program.WORK)
    name = session(path).get_outputs()[0].name
    ours = np.load(program.path(name + ".npy"))
    # Rounding to codes may fall either way in every layer.
    span = theirs.max() - theirs.min()
    assert np.abs(ours - theirs).mean() <= 0.01 * span
    assert np.mean(ours.argmax(1) == theirs.argmax(1)) >= 0.98


def top1_agrees():
    """And is what it was in f32, or better."""
    data, f32, i8 = trained()
    said = {}
    for path in (f32, i8):
        x, k = ready(path, data)
        right = np.mean(session(path).run(None, {"input": x})[0].argmax(1) == k)
        said[path] = program.ask("eval", path, "--data", data)["top1"]
        assert abs(right - said[path]) <= 1 / 60 + 1e-9, (right, said[path])
    assert said[i8] >= said[f32] - 1 / 60 - 1e-9 and said[i8] > 0.8, said


def codes_are_as_quantize_writes_them():
    """The same layers, coders at the same places."""
    data, f32, i8 = trained()
    other = program.path("post.onnx")
    program.run("quantize", f32, "--data", data + "/train", "--machine", "any",
                "-o", other, "-q")

    def kinds(path):
        m = onnx.load(path)
        init = {i.name: numpy_helper.to_array(i) for i in m.graph.initializer}
        weights = sorted(
            (init[n.input[0]].shape, init[n.input[1]].shape)
            for n in m.graph.node if n.op_type == "DequantizeLinear"
            and n.input[0] in init and init[n.input[0]].dtype == np.int8)
        ops = [n.op_type for n in m.graph.node]
        return weights, {o: ops.count(o) for o in set(ops)}
    assert kinds(i8) == kinds(other), (kinds(i8), kinds(other))


if __name__ == "__main__":
    sys.exit(program.main([
        ("logits agree", logits_agree), ("top-1 agrees", top1_agrees),
        ("codes are as quantize writes them",
         codes_are_as_quantize_writes_them)]))
