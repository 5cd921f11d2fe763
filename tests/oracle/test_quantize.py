"""`ocelli quantize` on the models of ../shared: what it writes is ONNX that
ONNX Runtime loads, scores like the original, and computes as ocelli does.
Prints TAP."""
import os
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import program
from peer import session

PICTURES = ("bus.jpg", "cat_720p.jpg", "pets.jpg", "faces.jpg",
            "street_people.jpg")


def quantized(name, *args):
    out = program.path(name + ".int8.onnx")
    report = program.ask("quantize", program.model(name), "-o", out,
                         *[program.picture(p) for p in PICTURES], *args)
    return out, report


def weights_of(path):
    return {i.name: numpy_helper.to_array(i)
            for i in onnx.load(path).graph.initializer}


def outputs_agree(name):
    """Ours and ONNX Runtime's of one random picture, in f32 and 8 bits."""
    out, report = quantized(name)
    assert report["images"] == len(PICTURES)
    assert all(layer["precision"] == "int8" for layer in report["layers"])
    assert os.path.getsize(out) < 0.35 * os.path.getsize(program.model(name))
    net = session(out)
    x = net.get_inputs()[0]
    program.run("run", program.model(name), "--output-dir", program.WORK)
    feed = np.random.default_rng(2).normal(0.2, 0.5, [
        d if isinstance(d, int) else 1 for d in x.shape]).astype(np.float32)
    np.save(program.path("x.npy"), feed)
    program.run("run", out, "--input", f"{x.name}={program.path('x.npy')}",
                "--output-dir", program.WORK)
    for info, theirs in zip(net.get_outputs(), net.run(None, {x.name: feed})):
        file = info.name.replace("/", "_").replace(":", "_") + ".npy"
        ours = np.load(program.path(file))
        assert ours.shape == theirs.shape
        # Rounding to codes may fall either way in every layer.
        span = theirs.max() - theirs.min()
        assert np.abs(ours - theirs).mean() <= 0.02 * span + 1e-6


def mobilenet():
    outputs_agree("mobilenet_v2_imagenet_nhwc")


def squeezenet():
    outputs_agree("squeezenet1.1_imagenet")


def yolox():
    outputs_agree("yolox_nano_coco")


def labels_stay():
    for name in ("mobilenet_v2_imagenet_nhwc", "squeezenet1.1_imagenet"):
        out, _ = quantized(name)
        for p in PICTURES[:3]:
            before, after = (
                program.ask("classify", m, program.picture(p), "--top", 1)
                ["results"][0]["labels"][0] for m in (program.model(name), out))
            assert before["label"] == after["label"]
            assert abs(before["score"] - after["score"]) < 0.25


def weights_are_rounded():
    """Each channel's greatest weight is 127, and codes times scales are the
    weights within half a step."""
    name = "mobilenet_v2_imagenet_nhwc"
    out, _ = quantized(name)
    values = weights_of(out)
    graph = onnx.load(out).graph
    seen = 0
    for n in graph.node:
        if n.op_type != "DequantizeLinear" or n.input[0] not in values:
            continue
        q, s = values[n.input[0]], values[n.input[1]]
        if q.dtype != np.int8:
            continue
        axis = next(a.i for a in n.attribute if a.name == "axis")
        rows = np.abs(np.moveaxis(q.astype(int), axis, 0).reshape(len(s), -1))
        assert ((rows.max(1) == 127) | (s == 1)).all()
        seen += 1
    assert seen == 53


def nodes_can_stay():
    out, report = quantized("resnet8_cifar10", "--ignore", "Conv")
    kinds = {(n["op"], n["precision"]) for n in report["layers"]}
    assert ("Conv", "f32") in kinds and ("Conv", "int8") not in kinds
    session(out)


def sizes_are_no_activations():
    """A network that computes with sizes is quantized around them."""
    rng, node = np.random.default_rng(4), helper.make_node
    value = helper.make_tensor_value_info
    init = [numpy_helper.from_array(v, k) for k, v in (
        ("w", rng.normal(0, 0.3, (8, 3, 3, 3)).astype(np.float32)),
        ("zero", np.array([0], np.int64)), ("rest", np.array([-1], np.int64)),
        ("fc", rng.normal(0, 0.1, (8 * 30 * 30, 10)).astype(np.float32)))]
    n = [node("Conv", ["x", "w"], ["c"]), node("Relu", ["c"], ["r"]),
         node("Shape", ["r"], ["shape"]),
         node("Gather", ["shape", "zero"], ["batch"]),
         node("Concat", ["batch", "rest"], ["to"], axis=0),
         node("Reshape", ["r", "to"], ["f"]), node("MatMul", ["f", "fc"], ["y"])]
    graph = helper.make_graph(
        n, "g", [value("x", TensorProto.FLOAT, ("n", 3, 32, 32))],
        [value("y", TensorProto.FLOAT, ("n", 10))], init)
    path, out = program.path("sizes.onnx"), program.path("sizes8.onnx")
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 12)]), path)
    report = program.ask("quantize", path, "-o", out, "--decode", "logits",
                         program.picture("bus.jpg"))
    assert {n["precision"] for n in report["layers"]} == {"int8"}
    x = rng.random((2, 3, 32, 32), np.float32)
    a, b = (session(p).run(None, {"x": x})[0] for p in (path, out))
    assert np.abs(a - b).max() <= 0.1 * (a.max() - a.min())


def bad_input():
    model = program.model("resnet8_cifar10")
    for args, code, words in (
            ([model], 2, "--data"),
            ([model, "/nowhere.jpg"], 3, "nowhere"),
            ([model, program.picture("bus.jpg"), "--ignore", "*"], 3,
             "nothing to quantize"),
            ([model, program.picture("bus.jpg"), "-o", "/nowhere/x.onnx"], 1,
             "/nowhere/x.onnx")):
        r = subprocess.run([program.OCELLI, "quantize", *args],
                           capture_output=True, text=True)
        assert (r.returncode, words in r.stderr) == (code, True), r


if __name__ == "__main__":
    sys.exit(program.main([
        ("mobilenet_v2 in 8 bits", mobilenet),
        ("squeezenet in 8 bits", squeezenet), ("yolox in 8 bits", yolox),
        ("labels stay", labels_stay),
        ("weights are rounded", weights_are_rounded),
        ("nodes can stay in f32", nodes_can_stay),
        ("sizes are no activations", sizes_are_no_activations),
        ("bad input", bad_input)]))
