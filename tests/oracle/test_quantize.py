"""`ocelli quantize` on the models of ../shared: what it writes is ONNX that
ONNX Runtime loads, scores like the original, and computes as ocelli does.
Prints TAP."""
import os
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import program
from peer import session

PICTURES = ("bus.jpg", "cat_720p.jpg", "pets.jpg", "faces.jpg",
            "street_people.jpg")


def quantized(name, *args, machine="any"):
    out = program.path(name + ".int8.onnx")
    report = program.ask("quantize", program.model(name), "-o", out,
                         "--machine", machine,
                         *[program.picture(p) for p in PICTURES], *args)
    return out, report


def weights_of(path):
    return {i.name: numpy_helper.to_array(i)
            for i in onnx.load(path).graph.initializer}


def outputs_agree(name):
    """Ours and ONNX Runtime's of one random picture, in f32 and 8 bits."""
    out, report = quantized(name, "--agreement", 0)
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
    out, _ = quantized(name, "--full-range", "--agreement", 0)
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


def sums_fit_16_bits():
    """ONNX Runtime as it comes says what it does where nothing saturates."""
    name = "squeezenet1.1_imagenet"
    out, _ = quantized(name)
    x = session(out).get_inputs()[0]
    plain = ort.InferenceSession(out, providers=["CPUExecutionProvider"])
    for seed in range(3):
        feed = {x.name: np.random.default_rng(seed).normal(0, 80, [
            d if isinstance(d, int) else 1 for d in x.shape]).astype(
                np.float32)}
        a, b = (s.run(None, feed)[0] for s in (session(out), plain))
        assert np.array_equal(a, b)
    for q in weights_of(out).values():
        if q.dtype != np.int8 or q.ndim < 2:
            continue
        rows = np.sort(q.astype(int).reshape(len(q), -1), 1)
        assert rows[:, -2:].sum(1).max() <= 128
        assert rows[:, :2].sum(1).min() >= -128


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
                         "--machine", "any", "--agreement", 0,
                         program.picture("bus.jpg"))
    assert {n["precision"] for n in report["layers"]} == {"int8"}
    x = rng.random((2, 3, 32, 32), np.float32)
    a, b = (session(p).run(None, {"x": x})[0] for p in (path, out))
    assert np.abs(a - b).max() <= 0.1 * (a.max() - a.min())


def softmax_flattens():
    """Before operator set 13 Softmax was over all behind its axis; so it is
    when quantizing writes 13, between layers and at the end."""
    rng, node = np.random.default_rng(8), helper.make_node
    value = helper.make_tensor_value_info
    init = [numpy_helper.from_array(rng.normal(0, s, d).astype(np.float32), k)
            for k, s, d in (("w", 0.6, (4, 3, 3, 3)),
                            ("v", 20, (4 * 900, 10)))]
    graph = helper.make_graph(
        [node("Conv", ["x", "w"], ["c"]), node("Softmax", ["c"], ["s"], axis=1),
         node("Flatten", ["s"], ["f"]), node("MatMul", ["f", "v"], ["m"]),
         node("Reshape", ["m", "to"], ["r"]),
         node("Softmax", ["r"], ["p"], axis=1),
         node("Flatten", ["p"], ["y"])], "g",
        [value("x", TensorProto.FLOAT, (1, 3, 32, 32))],
        [value("y", TensorProto.FLOAT, (1, 10))],
        init + [numpy_helper.from_array(np.array([1, 2, 5], np.int64), "to")])
    path, out = program.path("flat.onnx"), program.path("flat8.onnx")
    onnx.save(helper.make_model(graph, ir_version=7, opset_imports=[
        helper.make_opsetid("", 11)]), path)
    program.ask("quantize", path, "-o", out, "--set", "task=classify", "--set",
                "decode.kind=logits", "--machine", "any", "--agreement", 0,
                program.picture("bus.jpg"))
    x = rng.random((1, 3, 32, 32), np.float32)
    a, b = (session(p).run(None, {"x": x})[0] for p in (path, out))
    assert abs(a.sum() - 1) < 1e-5 > abs(b.sum() - 1)
    assert np.abs(a - b).max() < 0.03 and a.max() - a.min() > 0.01


def colour_net():
    """Logits are the mean red, green and blue.  A fourth channel, read by
    nobody, is so large that all others round to the same 8 bits."""
    value, node = helper.make_tensor_value_info, helper.make_node
    wide, sums = np.zeros((2, 4, 4, 1, 1), np.float32)
    wide, sums = wide[:, :3], sums[:3]
    wide[[0, 1, 2], [0, 1, 2]] = 1
    wide[3] = 4000
    sums[[0, 1, 2], [0, 1, 2]] = 1
    graph = helper.make_graph(
        [node("Conv", ["x", "wide"], ["a"], "wide"),
         node("Relu", ["a"], ["b"], "relu"),
         node("Conv", ["b", "sums"], ["c"], "sums"),
         node("Relu", ["c"], ["d"], "relu2"),
         node("GlobalAveragePool", ["d"], ["p"], "pool"),
         node("Flatten", ["p"], ["y"], "flat")], "g",
        [value("x", TensorProto.FLOAT, (1, 3, 16, 16))],
        [value("y", TensorProto.FLOAT, (1, 3))],
        [numpy_helper.from_array(wide, "wide"),
         numpy_helper.from_array(sums, "sums")])
    path = program.path("colours.onnx")
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 13)]), path)
    return path


def colour_data():
    rng, classes = np.random.default_rng(6), ("red", "green", "blue")
    truth = []
    for k, name in enumerate(classes):
        os.makedirs(program.path("colours/" + name), exist_ok=True)
        for i in range(4):
            x = rng.integers(0, 120, (16, 16, 3))
            x[..., k] += 60
            file = program.path(f"colours/{name}/{i}.png")
            Image.fromarray(x.astype(np.uint8)).save(file)
            truth.append((x.astype(np.float32).transpose(2, 0, 1) / 255, k))
    with open(program.path("names"), "w") as f:
        f.write("\n".join(classes))
    return truth


def top1(path, truth):
    net = session(path)
    return np.mean([net.run(None, {"x": x[None]})[0].argmax() == k
                    for x, k in truth])


def accuracy_is_kept():
    """Of two layers the harmful one goes back to f32 and no other, by labels
    and without."""
    path, truth = colour_net(), colour_data()
    data, out = program.path("colours"), program.path("colours8.onnx")
    args = ("quantize", path, "-o", out, "--machine", "any", "--data", data,
            "--labels", program.path("names"), "--scale", 1 / 255,
            "--mean", 0, "--std", 1, "--range", "minmax", "--no-equalize")
    assert "accuracy" not in program.ask(*args, "--agreement", 0)
    assert top1(path, truth) == 1 and top1(out, truth) < 0.9
    report = program.ask(*args)
    assert top1(out, truth) == 1
    figures = report["accuracy"]
    assert figures["metric"] == "agreement with f32"
    assert figures["first"] < 0.8 < 0.9 < figures["after"] <= 1
    assert [n["precision"] for n in report["layers"]] == ["int8", "f32"]
    report = program.ask(*args, "--eval", data, "--max-drop", "1%")
    assert top1(out, truth) == 1
    figures = report["accuracy"]
    assert (figures["metric"], figures["before"], figures["after"]) == (
        "top-1", 1, 1)
    assert [n["precision"] for n in report["layers"]] == ["int8", "f32"]
    wide, sums = report["layers"]
    assert "harm" in sums["why"] and "harm" not in wide["why"]
    assert sums["output_sqnr_db"] < wide["output_sqnr_db"]
    # What it reads is not rounded either.
    graph = onnx.load(out).graph
    reads = next(n for n in graph.node if n.name == "sums").input[0]
    assert next(n for n in graph.node if reads in n.output).op_type == "Relu"


def rounded(model):
    """The model with its weights rounded to 8 bits, by numpy."""
    for init in model.graph.initializer:
        node = next((n for n in model.graph.node if init.name in n.input[1:2]
                     and n.op_type in ("Conv", "MatMul", "Gemm")), None)
        if node is None:
            continue
        w = numpy_helper.to_array(init)
        first = node.op_type == "Conv" or any(
            a.name == "transB" and a.i for a in node.attribute)
        rest = tuple(range(1, w.ndim)) if first else (0,)
        step = np.abs(w).max(rest, keepdims=True) / 127
        step[step == 0] = 1
        new = (np.rint(w / step) * step).astype(np.float32)
        init.CopyFrom(numpy_helper.from_array(new, init.name))
    return model


def weights_alone():
    """Computed in f32 from weights in 8 bits: nothing else is rounded."""
    name = "resnet8_cifar10"
    out, report = quantized(name, "--cpu", "avx2", "--no-bias-correction",
                            "--rounding", "nearest", machine="this")
    layers = report["layers"]
    assert {n["precision"] for n in layers} <= {"int8", "weights"}
    assert report["ms_after"] < 1.5 * report["ms_before"]
    if any(n["precision"] == "int8" for n in layers):
        raise program.Skip("8 bits are faster here")
    nodes = onnx.load(out).graph.node
    assert "QuantizeLinear" not in {n.op_type for n in nodes}
    assert os.path.getsize(out) < 0.35 * os.path.getsize(program.model(name))
    path = program.path("rounded.onnx")
    onnx.save(rounded(onnx.load(program.model(name))), path)
    x = session(path).get_inputs()[0]
    feed = {x.name: np.random.default_rng(3).normal(0.2, 0.5, [
        d if isinstance(d, int) else 1 for d in x.shape]).astype(np.float32)}
    full, a, b = (session(p).run(None, feed)[0]
                  for p in (program.model(name), path, out))
    assert np.abs(a - b).max() <= 1e-4 < np.abs(full - b).max()


# ---- weights alone, without pictures ----------------------------------------

def product_net(name="products.onnx", features=200, inner=72):
    """A Conv and products of all forms over 3 x 16 x 16 pictures; their rows
    are no multiple of any group."""
    rng, node = np.random.default_rng(8), helper.make_node
    value = helper.make_tensor_value_info

    def init(name, *shape):
        return numpy_helper.from_array(rng.normal(
            0, np.prod(shape) ** -0.25, shape).astype(np.float32), name)

    graph = helper.make_graph(
        [node("Conv", ["x", "conv"], ["c"], "conv", strides=[2, 2]),
         node("Relu", ["c"], ["r"]),
         node("Reshape", ["r", "rows"], ["rows3"]),
         node("MatMul", ["rows3", "w1"], ["m"], "first"),
         node("Relu", ["m"], ["m2"]),
         node("ReduceMean", ["m2"], ["mean"], axes=[1], keepdims=0),
         node("Gemm", ["mean", "w2", "b2"], ["g"], "second", transB=1),
         node("Relu", ["g"], ["g2"]),
         node("Gemm", ["g2", "w3"], ["y"], "third")], "g",
        [value("x", TensorProto.FLOAT, (1, 3, 16, 16))],
        [value("y", TensorProto.FLOAT, (1, 10))],
        [init("conv", 8, 3, 4, 4), init("w1", 56, features),
         init("w2", inner, features), init("b2", inner), init("w3", inner, 10),
         numpy_helper.from_array(np.array([1, 7, 56], np.int64), "rows")])
    path = program.path(name)
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 13)]), path)
    return path


def decoded(node, values):
    """The weight (K, N) of a MatMulNBits, by what its documentation says."""
    a = {k.name: k.i for k in node.attribute}
    q, s = values[node.input[1]], values[node.input[2]]
    if a["bits"] == 4:
        q = np.stack([q & 15, q >> 4], -1).reshape(*q.shape[:2], -1)
    w = (q.astype(np.float32) - 2 ** (a["bits"] - 1)) * s.reshape(
        *q.shape[:2], 1)
    return w.reshape(len(q), -1)[:, :a["K"]].T


def ours_of(path, feed):
    np.save(program.path("x.npy"), feed)
    program.run("run", path, "--input", "x=" + program.path("x.npy"),
                "--output-dir", program.WORK)
    return np.load(program.path("y.npy"))


def blocks(bits, group):
    """Codes stand for the weights, and ONNX Runtime computes as we do."""
    path, out = product_net(), program.path("blocks.onnx")
    report = program.ask("quantize", path, "--weights", f"int{bits}",
                         "--group", group, "-o", out)
    kinds = [(n["name"], n["precision"], n["bits"], n["group"])
             for n in report["layers"]]
    assert kinds == [("conv", "weights", 8, 0)] + [
        (n, "weights", bits, group) for n in ("first", "second", "third")]
    values, full = weights_of(out), weights_of(path)
    nodes = {n.name: n for n in onnx.load(out).graph.node}
    for n, w in (("first", full["w1"]), ("second", full["w2"].T),
                 ("third", full["w3"])):
        assert nodes[n].op_type == "MatMulNBits"
        got = decoded(nodes[n], values)
        assert got.shape == w.shape
        db = 10 * np.log10((w ** 2).sum() / ((w - got) ** 2).sum())
        said = next(k for k in report["layers"] if k["name"] == n)
        assert abs(db - said["sqnr_db"]) < 0.05 and db > (
            17 if bits == 4 else 40)
    for seed in range(3):
        x = np.random.default_rng(seed).random((1, 3, 16, 16), np.float32)
        theirs = session(out).run(None, {"x": x})[0]
        full_y = session(path).run(None, {"x": x})[0]
        assert np.abs(ours_of(out, x) - theirs).max() <= 2e-5 * np.abs(
            theirs).max()
        assert np.abs(theirs - full_y).max() > 1e-4 * np.abs(full_y).max()


def four_bits():
    for group in (32, 64, 128):
        blocks(4, group)


def eight_bits_in_groups():
    blocks(8, 64)


def channels_without_pictures():
    """int8: the weights that numpy rounds, whole channels at a time."""
    path, out = product_net(), program.path("channels.onnx")
    report = program.ask("quantize", path, "--weights", "int8", "-o", out)
    assert {n["bits"] for n in report["layers"]} == {8}
    assert "MatMulNBits" not in {n.op_type for n in onnx.load(out).graph.node}
    same = program.path("rounded.onnx")
    onnx.save(rounded(onnx.load(path)), same)
    x = np.random.default_rng(3).random((1, 3, 16, 16), np.float32)
    # Its optimizer would round activations, too, to multiply in 8 bits.
    full, a, b = (session(p, optimize=False).run(None, {"x": x})[0]
                  for p in (path, same, out))
    assert np.abs(a - b).max() <= 1e-5 * np.abs(a).max() < np.abs(
        full - b).max()
    assert np.abs(ours_of(out, x) - b).max() <= 1e-5 * np.abs(a).max()


# ---- rounded as pictures have it --------------------------------------------

def window_net():
    """Convolutions of all kinds over 3 x 32 x 32 pictures."""
    rng, node = np.random.default_rng(12), helper.make_node
    value = helper.make_tensor_value_info

    def init(name, *shape):
        return numpy_helper.from_array(rng.normal(
            0, np.prod(shape[1:]) ** -0.5, shape).astype(np.float32), name)

    graph = helper.make_graph(
        [node("Conv", ["x", "w1", "b1"], ["a"], "stem", pads=[1] * 4),
         node("Relu", ["a"], ["b"]),
         node("Conv", ["b", "w2"], ["c"], "depth", group=24, pads=[1] * 4,
              strides=[2, 2]),
         node("Relu", ["c"], ["d"]),
         node("Conv", ["d", "w3"], ["e"], "groups", group=3,
              auto_pad="SAME_UPPER"),
         node("Relu", ["e"], ["f"]),
         node("Conv", ["f", "w4"], ["g"], "wide", dilations=[2, 2]),
         node("GlobalAveragePool", ["g"], ["h"]),
         node("Flatten", ["h"], ["i"]),
         node("Gemm", ["i", "w5"], ["y"], "last", transB=1)], "g",
        [value("x", TensorProto.FLOAT, (1, 3, 32, 32))],
        [value("y", TensorProto.FLOAT, (1, 10)),
         value("g", TensorProto.FLOAT, None)],
        [init("w1", 24, 3, 3, 3), init("b1", 24), init("w2", 24, 1, 3, 3),
         init("w3", 30, 8, 3, 3), init("w4", 40, 30, 3, 3),
         init("w5", 10, 40)])
    path = program.path("windows.onnx")
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
        helper.make_opsetid("", 13)]), path)
    return path


def pictures_of(path):
    """What the program makes of pictures, with 1 / 255 and no mean."""
    x = np.asarray(Image.open(path).convert("RGB").resize((32, 32)), np.float32)
    return x.transpose(2, 0, 1)[None] / 255


def coded(path):
    """{name of a node: its codes, its steps}"""
    model = onnx.load(path)
    values = weights_of(path)
    made = {n.output[0]: n for n in model.graph.node}
    out = {}
    for n in model.graph.node:
        of = made.get(n.input[1]) if len(n.input) > 1 else None
        while of is not None and of.op_type == "Identity":
            of = made[of.input[0]]
        if n.op_type in ("Conv", "Gemm") and of is not None:
            out[n.name] = values[of.input[0]], values[of.input[1]]
    return out


def rounding_heeds_pictures():
    """Codes go one up or down and no further; outputs come nearer to those in
    f32, on other pictures too, and ONNX Runtime has what ocelli has."""
    path, outs, reports = window_net(), {}, {}
    for how in ("nearest", "pictures"):
        outs[how] = program.path(how + ".onnx")
        reports[how] = program.ask(
            "quantize", path, "-o", outs[how], "--weights", "int8",
            "--rounding", how, "--decode", "logits", "--scale", 1 / 255,
            "--mean", 0, "--std", 1,
            *[program.picture(p) for p in PICTURES[:4]])
        assert reports[how]["rounding"] == how
    near, far = (coded(outs[k]) for k in ("nearest", "pictures"))
    full = weights_of(path)
    for k, name in enumerate(("stem", "depth", "groups", "wide", "last")):
        (a, s), (b, t) = near[name], far[name]
        assert np.array_equal(s, t) and not np.array_equal(a, b)
        w = full[f"w{k + 1}"].reshape(len(s), -1).astype(float)
        off = np.abs(b.reshape(len(s), -1) - w / s[:, None])
        assert 0.501 < off.max() < 1.001
        layer, same = ({n["name"]: n for n in reports[r]["layers"]}[name]
                       for r in ("pictures", "nearest"))
        assert layer["product_sqnr_db"] > layer["nearest_sqnr_db"] > 20
        assert "nearest_sqnr_db" not in same
    nets = {k: session(p, optimize=False)
            for k, p in [("f32", path), *outs.items()]}
    noise = {k: [] for k in outs}
    for p in (PICTURES[0], PICTURES[4], "portrait.jpg"):
        x = pictures_of(program.picture(p))
        want = nets["f32"].run(None, {"x": x})
        for k in outs:
            got = nets[k].run(None, {"x": x})
            noise[k].append([((u - v) ** 2).mean()
                             for u, v in zip(want, got)])
    a, b = (np.array(noise[k]).mean(0) for k in ("nearest", "pictures"))
    assert (b < 0.6 * a).all()
    theirs = nets["pictures"].run(["y"], {"x": x})[0]
    assert np.abs(ours_of(outs["pictures"], x) - theirs).max() <= 2e-5 * np.abs(
        theirs).max()


# Linux counts what a process had before exec, which is its parent's: so the
# parent is a small one.
SMALL_PARENT = """
import resource, subprocess, sys
status = subprocess.call(sys.argv[1:], stderr=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
sys.exit(status)
"""


def peak_of(*args):
    """Bytes that quantize has in memory at its greatest."""
    r = subprocess.run([sys.executable, "-S", "-c", SMALL_PARENT,
                        program.OCELLI, "quantize", *args, "--threads", "1",
                        "--quiet", "--decode", "logits",
                        program.picture("bus.jpg")],
                       capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return int(r.stdout) * 1024


def weights_are_not_kept_twice():
    """Weights come and go.  Of this model one weight is nearly all, which is
    the worst there is: it is there as read and in 8 bits, and where forms are
    timed packed, too."""
    small, large = product_net("small.onnx"), product_net(
        "large.onnx", features=4096, inner=2048)
    out = program.path("peak.onnx")
    for most, args in ((2.3, ["--weights", "int8"]),
                       (3.6, ["--machine", "any"])):
        base = peak_of(small, "-o", out, *args)
        more = peak_of(large, "-o", out, *args) - base
        assert more < most * os.path.getsize(large), more
    # What was read again is what had gone.
    peak_of(large, "-o", out, "--machine", "any", "--rounding", "nearest")
    w, values = weights_of(large)["w2"], weights_of(out)
    name = next(k for k, v in values.items() if v.shape == w.shape)
    node = next(n for n in onnx.load(out).graph.node if name in n.input)
    assert values[name].dtype == np.int8
    step = values[node.input[1]][:, None]
    assert np.abs(values[name] * step - w).max() <= 0.51 * step.max()


def large_ones_are_timed():
    """Forms of a large model to be timed lie in a file for a moment, which
    goes; where there can be none, that is said."""
    large = product_net("larger.onnx", features=4096, inner=4160)
    args = ["quantize", large, "--decode", "logits", "--ignore", "Conv",
            program.picture("bus.jpg")]
    out = program.path("timed/large8.onnx")
    os.makedirs(os.path.dirname(out))
    report = program.ask(*args, "-o", out)
    assert os.listdir(os.path.dirname(out)) == ["large8.onnx"]
    assert report["ms_before"] > 0 and report["ms_after"] > 0
    assert report["accuracy"]["after"] > 0.9
    x = np.random.default_rng(3).random((1, 3, 16, 16), np.float32)
    a, b = (session(p).run(None, {"x": x})[0] for p in (large, out))
    assert np.abs(a - b).max() < 0.1 * (a.max() - a.min())
    r = subprocess.run([program.OCELLI, *args, "-o", "/nowhere/x.onnx"],
                       capture_output=True, text=True)
    assert r.returncode != 0 and "/nowhere/x.onnx.trial" in r.stderr


def smooth_picture(rng):
    """Neighbours are alike, as in photographs."""
    x = rng.integers(0, 256, (4, 4, 3)).astype(np.uint8)
    return np.array(Image.fromarray(x).resize((16, 16),
                                              Image.Resampling.BICUBIC))


def pictures_help():
    """With pictures, the outputs for others are nearer to what they were."""
    path, rng = product_net(), np.random.default_rng(9)
    os.makedirs(program.path("smooth"), exist_ok=True)
    for i in range(60):
        Image.fromarray(smooth_picture(rng)).save(
            program.path(f"smooth/{i}.png"))
    others = [smooth_picture(rng).astype(np.float32).transpose(2, 0, 1)[None]
              / 255 for _ in range(40)]
    full, error = session(path), {}
    for how in ("without", "with"):
        out = program.path(how + ".onnx")
        data = ("--data", program.path("smooth"), "--decode", "logits",
                "--scale", 1 / 255, "--mean", 0, "--std", 1)
        report = program.ask("quantize", path, "--weights", "int4", "-o", out,
                             *(data if how == "with" else ()))
        assert report["images"] == (60 if how == "with" else 0)
        assert [n.get("product_sqnr_db", 0) > 10 for n in report["layers"]] \
            == 4 * [how == "with"]
        net = session(out)
        error[how] = np.mean([
            ((net.run(None, {"x": x})[0] - full.run(None, {"x": x})[0]) ** 2)
            .mean() for x in others])
    assert error["with"] < 0.5 * error["without"], error


class Page(HTMLParser):
    """Rows of tables; tags that are closed wrongly, what is fetched."""
    def __init__(self, text):
        super().__init__()
        self.open, self.rows, self.wrong, self.fetched = [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append("")
        self.fetched += [v for k, v in attrs if k in ("src", "href")]

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)

    def handle_data(self, data):
        if "tr" in self.open and self.rows:
            self.rows[-1] += data + " "


def report_adds_up():
    """Histograms are shares of one, between limits that were seen; the page
    says the same."""
    file = program.path("page.html")
    _, report = quantized("squeezenet1.1_imagenet", "--report", file)
    for n in report["layers"]:
        h = n["input"]
        assert abs(sum(h["histogram"]) - 1) < 1e-4
        assert h["least"] <= n["lo"] + 1e-6 or n["lo"] == 0
        assert n["hi"] <= h["most"] + 1e-6 or n["hi"] == 0
        assert n["input_sqnr_db"] > 5 and n["ms_before"] >= 0
    with open(file, encoding="utf-8") as f:
        page = Page(f.read())
    assert (page.wrong, page.open, page.fetched) == ([], [], [])
    rows = [r for r in page.rows if " weights " in r]
    assert len(rows) == len(report["layers"])
    for row, n in zip(rows, report["layers"]):
        assert n["name"] in row and n["precision"] in row and n["why"] in row
        assert f"{n['sqnr_db']:.1f}" in row


def bad_input():
    model = program.model("resnet8_cifar10")
    for args, code, words in (
            ([model], 2, "--data"),
            ([model, "/nowhere.jpg"], 3, "nowhere"),
            ([model, program.picture("bus.jpg"), "--max-drop", "1%"], 2,
             "--eval"),
            ([model, program.picture("bus.jpg"), "--eval", "/nowhere",
              "--max-drop", "50"], 2, "--max-drop takes points"),
            ([model, program.picture("bus.jpg"), "--eval", "/nowhere"], 3,
             "/nowhere"),
            ([model, program.picture("bus.jpg"), "--ignore", "*"], 3,
             "nothing to quantize"),
            ([model, program.picture("bus.jpg"), "-o", "/nowhere/x.onnx"], 1,
             "/nowhere/x.onnx"),
            ([model, program.picture("bus.jpg"), "--agreement", "101"], 2,
             "--agreement"),
            ([model, "--weights", "int8", "--agreement", "90"], 2,
             "--agreement says nothing"),
            ([model, "--weights", "int3"], 2, "int3"),
            ([model, "--rounding", "up"], 2, "up"),
            ([model, "--weights", "int4", "--group", "48"], 2, "48"),
            ([model, program.picture("bus.jpg"), "--group", "32"], 2,
             "--weights"),
            ([model, "--weights", "int8", "--eval", "/nowhere"], 2,
             "--eval says nothing"),
            ([model, "--weights", "int8", "--machine", "any"], 2,
             "--machine says nothing"),
            ([model, "--weights", "int4", "--data", "/nowhere"], 3,
             "/nowhere"),
            ([model, "--weights", "int4", "--ignore", "*"], 3,
             "nothing to quantize")):
        r = subprocess.run([program.OCELLI, "quantize", *args],
                           capture_output=True, text=True)
        assert (r.returncode, words in r.stderr) == (code, True), r


if __name__ == "__main__":
    sys.exit(program.main([
        ("mobilenet_v2 in 8 bits", mobilenet),
        ("squeezenet in 8 bits", squeezenet), ("yolox in 8 bits", yolox),
        ("labels stay", labels_stay),
        ("weights are rounded", weights_are_rounded),
        ("sums fit 16 bits", sums_fit_16_bits),
        ("nodes can stay in f32", nodes_can_stay),
        ("sizes are no activations", sizes_are_no_activations),
        ("softmax flattens", softmax_flattens),
        ("accuracy is kept", accuracy_is_kept),
        ("weights alone in 8 bits", weights_alone),
        ("weights in 4 bits", four_bits),
        ("weights in 8 bits, in groups", eight_bits_in_groups),
        ("weights in 8 bits, channels", channels_without_pictures),
        ("pictures help weights", pictures_help),
        ("rounding heeds pictures", rounding_heeds_pictures),
        ("weights are not kept twice", weights_are_not_kept_twice),
        ("large ones are timed", large_ones_are_timed),
        ("the report adds up", report_adds_up),
        ("bad input", bad_input)]))
