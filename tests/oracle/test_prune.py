"""`ocelli prune`: channels that are zero go, with everything that depends on
them, and ONNX Runtime gives what it gave; whatever went, it gives what ocelli
does.  Prints TAP."""
import os
import subprocess
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

import program
from peer import session

rng = np.random.default_rng(program.SEED)


# ---- networks some of whose channels are zero --------------------------------

class Net:
    """A network that is written down; `dead` of ten channels of a layer make
    nothing: their filters, biases and shifts are zero."""
    def __init__(self, opset=13):
        self.nodes, self.init, self.opset, self.n = [], [], opset, 0

    def const(self, v):
        self.n += 1
        self.init.append(numpy_helper.from_array(np.asarray(v), f"c{self.n}"))
        return f"c{self.n}"

    def add(self, op, *inputs, outputs=1, **attrs):
        self.n += 1
        out = [f"v{self.n}_{k}" for k in range(outputs)]
        self.nodes.append(helper.make_node(op, inputs, out, f"n{self.n}",
                                           **attrs))
        return out[0] if outputs == 1 else out

    def conv(self, x, cin, cout, k=1, dead=(), group=1, bias=True, **attrs):
        w = rng.normal(0, 0.4, (cout, cin // group, k, k)).astype(np.float32)
        b = rng.normal(0, 0.3, cout).astype(np.float32)
        w[list(dead)] = 0
        b[list(dead)] = 0
        inputs = [self.const(w)] + ([self.const(b)] if bias else [])
        return self.add("Conv", x, *inputs, group=group, pads=[k // 2] * 4,
                        **attrs)

    def norm(self, x, n, dead=(), flat=()):
        """dead: no shift; flat: no scale either."""
        scale = rng.uniform(0.5, 2, n).astype(np.float32)
        shift, mean = rng.normal(0, 0.3, (2, n)).astype(np.float32)
        var = rng.uniform(0.5, 2, n).astype(np.float32)
        shift[list(dead)] = 0
        mean[list(dead)] = 0
        scale[list(flat)] = 0
        shift[list(flat)] = 0
        return self.add("BatchNormalization", x, *map(
            self.const, (scale, shift, mean, var)))

    def gemm(self, x, cin, cout, dead=(), trans=True):
        w = rng.normal(0, 0.3, (cout, cin)).astype(np.float32)
        b = rng.normal(0, 0.3, cout).astype(np.float32)
        w[list(dead)] = 0
        b[list(dead)] = 0
        return self.add("Gemm", x, self.const(w if trans else w.T.copy()),
                        self.const(b), transB=int(trans))

    def save(self, name, y, side=12, batch="n"):
        value, self.path = helper.make_tensor_value_info, program.path(name)
        for n in self.nodes:
            for k, o in enumerate(n.output):
                n.output[k] = "y" if o == y else o
            for k, i in enumerate(n.input):
                n.input[k] = "y" if i == y else i
        graph = helper.make_graph(
            self.nodes, "g", [value("x", TensorProto.FLOAT,
                                    (batch, 3, side, side))],
            [value("y", TensorProto.FLOAT, (batch, None))], self.init)
        onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[
            helper.make_opsetid("", self.opset)]), self.path)
        return self.path


def pruned(path, *args):
    out = program.path("pruned.onnx")
    report = program.ask("prune", path, "-o", out, *args)
    onnx.checker.check_model(onnx.load(out), full_check=True)
    return out, report


def shapes(path):
    return [tuple(i.dims) for i in onnx.load(path).graph.initializer
            if len(i.dims) > 1]


def same_without(path, *args, batch=2, side=12, share=0.4):
    """ONNX Runtime gives the same before and after; every group that may has
    lost `share`."""
    out, report = pruned(path, "--round", 1, "--channels", share,
                         "--shape", f"{batch}x3x{side}x{side}", *args)
    x = rng.normal(0, 1, (batch, 3, side, side)).astype(np.float32)
    a, b = (session(p).run(None, {"x": x})[0] for p in (path, out))
    np.testing.assert_allclose(b, a, atol=2e-5 * np.abs(a).max(), rtol=0)
    for g in report["groups"]:
        if "why" not in g:
            assert g["kept"] == round(g["channels"] * (1 - share)), g
    assert report["after"]["parameters"] < report["before"]["parameters"]
    assert (report["after"]["multiply_adds"] <
            report["before"]["multiply_adds"])
    return out, report


DEAD = (1, 3, 4, 8)  # of ten


def residual():
    net = Net()
    x = net.add("Relu", net.norm(net.conv("x", 3, 10, 3, DEAD), 10, DEAD))
    a = net.conv(x, 10, 20, 3, (0, 2, 4, 6, 8, 10, 12, 14), bias=False)
    a = net.add("Relu", net.norm(a, 20, (0, 2, 4, 6, 8, 10, 12, 14)))
    a = net.norm(net.conv(a, 20, 10, 3, DEAD), 10, DEAD)
    x = net.add("Relu", net.add("Add", x, a))
    b = net.conv(x, 10, 10, 3, DEAD, strides=[2, 2])
    c = net.conv(net.add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]),
                 10, 10, 1, DEAD)
    x = net.add("Sum", b, c)
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    return net.save("residual.onnx", net.gemm(x, 10, 5))


def residuals_go_together():
    _, report = same_without(residual())
    assert [g["layers"] for g in report["groups"]] == [2, 1, 2, 1]


def mobile(opset):
    net = Net(opset)
    x = net.conv("x", 3, 20, 3, range(0, 16, 2))
    x = net.add("PRelu", x, net.const(
        rng.uniform(0, 0.5, (20, 1, 1)).astype(np.float32)))
    x = net.conv(x, 20, 20, 3, range(0, 16, 2), group=20)
    x = net.add("Relu", net.norm(x, 20, range(0, 16, 2)))
    gate = net.add("GlobalAveragePool", x)
    gate = net.add("Relu", net.conv(gate, 20, 10, 1, DEAD))
    gate = net.add("HardSigmoid", net.conv(gate, 10, 20))
    x = net.add("Mul", gate, x)
    x = net.add("LeakyRelu", net.conv(x, 20, 10, 1, DEAD))
    # Each channel makes two.
    dead = [2 * d + k for d in DEAD for k in (0, 1)]
    x = net.conv(x, 10, 20, 3, dead, group=10, strides=[2, 2])
    x = net.add("Reshape", x, net.const(np.array([0, 20 * 36], np.int64)))
    return net.save(f"mobile{opset}.onnx", net.gemm(x, 720, 6, trans=False))


def depthwise_and_gates():
    for opset in (11, 13, 17):
        path = mobile(opset)
        out, _ = same_without(path)
        groups = [a.i for n in onnx.load(out).graph.node for a in n.attribute
                  if a.name == "group"]
        assert 12 in groups and 6 in groups, groups


def branches(opset):
    net = Net(opset)
    a = net.add("Relu", net.conv("x", 3, 10, 3, DEAD))
    b = net.add("Tanh", net.conv("x", 3, 20, 1, range(1, 17, 2)))
    x = net.norm(net.add("Concat", a, b, axis=1), 30,
                 DEAD + tuple(10 + i for i in range(1, 17, 2)))
    x = net.add("Relu", net.conv(x, 30, 20, 3, DEAD + tuple(
        10 + d for d in DEAD)))
    if opset < 13:
        p, q = net.add("Split", x, outputs=2, axis=1, split=[10, 10])
    else:
        p, q = net.add("Split", x, outputs=2, axis=1,
                       **({"num_outputs": 2} if opset >= 18 else {}))
    none = net.const(np.zeros(0, np.float32))
    p = net.add("Resize", p, none, net.const(np.array([1, 1, 2, 2],
                                                      np.float32)))
    q = net.add("Resize", q, none, none if opset < 13 else "", net.const(
        np.array([2, 10, 24, 24], np.int64)), mode="nearest")
    x = net.add("Add", net.conv(p, 10, 10, 1, DEAD), q)
    x = net.add("Transpose", x, perm=[0, 2, 3, 1])
    x = net.add("MatMul", x, net.const(
        (rng.normal(0, 0.5, (10, 10)) * ~np.isin(np.arange(10), DEAD)
         ).astype(np.float32)))
    bias = rng.normal(0, 0.3, 10).astype(np.float32)
    bias[list(DEAD)] = 0
    x = net.add("Add", x, net.const(bias))
    x = net.add("ReduceMean", x, axes=[1, 2], keepdims=0) if opset < 18 else \
        net.add("ReduceMean", x, net.const(np.array([1, 2], np.int64)),
                keepdims=0)
    return net.save(f"branches{opset}.onnx", net.gemm(x, 10, 4), batch=2)


def branches_and_moves():
    for opset in (11, 13, 18):
        same_without(branches(opset))


def groups_stay_groups():
    """Two groups of a convolution lose channels at the same places."""
    net, half = Net(), (0, 3)
    both = half + tuple(5 + h for h in half)
    x = net.add("Relu", net.conv("x", 3, 10, 3, both))
    x = net.add("Relu", net.conv(x, 10, 10, 3, both, group=2))
    x = net.add("GlobalAveragePool", x)
    x = net.add("Flatten", x)
    path = net.save("groups.onnx", net.gemm(x, 10, 3))
    out, report = same_without(path)
    assert (6, 3, 3, 3) in shapes(out)
    assert [g["channels"] for g in report["groups"]] == [5, 5, 3]


def scales_rank():
    """By norms: filters are large, scales are zero."""
    net = Net()
    x = net.add("Relu", net.norm(net.conv("x", 3, 10, 3), 10, flat=DEAD))
    x = net.add("Relu", net.norm(net.conv(x, 10, 20, 3), 20,
                                 flat=range(5, 13)))
    x = net.add("Flatten", net.add("GlobalMaxPool", x))
    same_without(net.save("scales.onnx", net.gemm(x, 20, 4)), "--importance",
                 "bn")


# ---- gradients ---------------------------------------------------------------

def loss_of(path, x, label):
    y = session(path).run(None, {"x": x})[0].ravel().astype(np.float64)
    return np.log(np.exp(y - y.max()).sum()) - (y - y.max())[label]


def turned(path, channel, by):
    """The model with one filter and its bias times `by`."""
    m = onnx.load(path)
    for i in m.graph.initializer[:2]:
        v = numpy_helper.to_array(i).copy()
        v[channel] *= by
        i.CopyFrom(numpy_helper.from_array(v, i.name))
    return m.SerializeToString()


def two_sides():
    """A network, pictures of two classes, and options that say how they go
    together."""
    net = Net()
    x = net.add("Relu", net.conv("x", 3, 10, 3))
    x = net.add("Flatten", net.add("GlobalAveragePool", x))
    path = net.save("sides.onnx", net.gemm(x, 10, 2), side=8)
    for name in ("left", "right"):
        os.makedirs(program.path("sides/" + name), exist_ok=True)
        for i in range(4):
            a = rng.integers(0, 255, (8, 8, 3)).astype(np.uint8)
            Image.fromarray(a).save(program.path(f"sides/{name}/{i}.png"))
    with open(program.path("sides.txt"), "w") as f:
        f.write("left\nright\n")
    return path, ("--data", program.path("sides"), "--labels",
                  program.path("sides.txt"), "--scale", 1 / 255, "--mean", 0,
                  "--std", 1, "--size", "8x8")


def gradients_rank():
    """The channels that stay are those whose turning down changes the loss
    most, by differences of ONNX Runtime's outputs."""
    path, args = two_sides()
    out, _ = pruned(path, "--importance", "gradient", "--epochs", 0, "--round",
                    1, "--channels", "50%", *args)
    worth, h = np.zeros(10), 1e-2
    for k, name in enumerate(("left", "right")):
        for i in range(4):
            x = program.pixels(program.path(f"sides/{name}/{i}.png"))
            x = (x / 255).astype(np.float32).transpose(2, 0, 1)[None]
            for c in range(10):
                up, down = (loss_of(turned(path, c, 1 + s), x, k)
                            for s in (h, -h))
                worth[c] += abs(up - down) / (2 * h)
    first = [numpy_helper.to_array(i) for p in (path, out)
             for i in onnx.load(p).graph.initializer if len(i.dims) == 4]
    kept = [c for c in range(10)
            if any(np.array_equal(first[0][c], w) for w in first[1])]
    assert kept == sorted(np.argsort(-worth)[:5]), (kept, worth)


# ---- models of others --------------------------------------------------------

def outputs_agree(name, *args):
    out = program.path("out.onnx")
    report = program.ask("prune", program.model(name), "-o", out, *args)
    net = session(out)
    x = net.get_inputs()[0]
    feed = rng.normal(0.2, 0.5, [d if isinstance(d, int) else 1
                                 for d in x.shape]).astype(np.float32)
    np.save(program.path("x.npy"), feed)
    program.run("run", out, "--input", f"{x.name}={program.path('x.npy')}",
                "--output-dir", program.WORK)
    for info, theirs in zip(net.get_outputs(), net.run(None, {x.name: feed})):
        file = info.name.replace("/", "_").replace(":", "_") + ".npy"
        ours = np.load(program.path(file))
        assert ours.shape == theirs.shape
        span = theirs.max() - theirs.min()
        assert np.abs(ours - theirs).max() <= 1e-4 * span + 1e-6
    before, after = report["before"], report["after"]
    assert os.path.getsize(out) < 0.75 * os.path.getsize(program.model(name))
    assert after["multiply_adds"] < 0.7 * before["multiply_adds"]
    assert any(g["kept"] < g["channels"] for g in report["groups"])
    return report


def classifiers():
    for name in ("resnet8_cifar10", "mobilenet_v2_imagenet_nhwc",
                 "squeezenet1.1_imagenet"):
        outputs_agree(name)


def detectors():
    """As far as their graphs allow; what stays says why."""
    for name in ("yolox_nano_coco", "ultraface_rfb_320"):
        report = outputs_agree(name)
        assert any("why" in g for g in report["groups"])


def cards_stay():
    """Labels and preprocessing are kept, the golden check holds."""
    model, sealed = program.model("resnet8_cifar10"), program.path("s.onnx")
    out = program.path("sealed.onnx")
    program.run("seal", model, "-o", sealed, "--renew", "-q")
    program.run("prune", sealed, "-o", out, "-q")
    program.run("seal", out, "-o", program.path("again.onnx"), "-q")
    a, b = (program.ask("classify", m, program.picture("cat_720p.jpg"), "--top",
                        10)["results"][0]["labels"] for m in (sealed, out))
    assert {x["label"] for x in a} == {x["label"] for x in b}
    program.run("prune", sealed, "-o", out, "-q", "--labels",
                    program.path("nobody.txt"), code=3)


def smallest_become_zero():
    model, out = program.model("resnet8_cifar10"), program.path("thin.onnx")
    program.run("prune", model, "-o", out, "--sparsity", "60%", "-q")
    old, new = ({i.name: numpy_helper.to_array(i)
                 for i in onnx.load(p).graph.initializer} for p in (model, out))
    seen = 0
    for n in onnx.load(model).graph.node:
        if n.op_type not in ("Conv", "Gemm", "MatMul"):
            continue
        a, b = old[n.input[1]].ravel(), new[n.input[1]].ravel()
        gone = int(0.6 * a.size)
        assert (b == 0).sum() - (a == 0).sum() <= gone <= (b == 0).sum()
        assert np.array_equal(a[b != 0], b[b != 0])
        edge = np.sort(np.abs(a))[gone - 1]
        assert (np.abs(a[b == 0]) <= edge).all()
        seen += 1
    assert seen > 5


def zeros_outlive_learning():
    path, args = two_sides()
    out, report = pruned(path, "--sparsity", 0.5, "--epochs", 1, *args)
    for i in onnx.load(out).graph.initializer:
        w = numpy_helper.to_array(i)
        assert w.ndim < 2 or (w == 0).sum() == w.size // 2
    assert not any(np.array_equal(numpy_helper.to_array(i), w) for i in
                   onnx.load(path).graph.initializer for w in
                   map(numpy_helper.to_array,
                       onnx.load(out).graph.initializer))
    assert report["epochs"] == 1 and 0 <= report["after"]["top-1"] <= 1


def ignored_nodes_stay():
    _, report = pruned(residual(), "--ignore", "n5*", "--ignore", "Sum")
    whole = [g for g in report["groups"] if "--ignore" in g.get("why", "")]
    assert whole and all(g["kept"] == g["channels"] for g in whole)


def nothing_to_prune():
    net = Net()
    x = net.conv("x", 3, 4, 3)
    return net.save("only.onnx", net.add("Flatten", net.add(
        "GlobalAveragePool", x)))


def bad_input():
    model, only = program.model("resnet8_cifar10"), nothing_to_prune()
    for args, code, words in (
            ([model, "--channels", "100%"], 2, "--channels takes a share"),
            ([model, "--channels", "1.5"], 2, "--channels takes a share"),
            ([model, "--channels", "x"], 2, "--channels takes a share"),
            ([model, "--channels", "0"], 2, "nothing to do"),
            ([model, "--sparsity", "-1"], 2, "--sparsity takes a share"),
            ([model, "--epochs", "3"], 2, "--data DIR"),
            ([model, "--importance", "gradient"], 2, "--data DIR"),
            ([model, "--importance", "bn"], 3, "no batch norms"),
            ([model, "--ignore", "*"], 3, "no channels can be taken out"),
            ([model, "-o", "/nowhere/x.onnx"], 1, "/nowhere/x.onnx"),
            ([model, "--data", "/nowhere"], 3, "/nowhere"),
            ([only], 3, "it is an output of the model"),
            (["/nowhere.onnx"], 3, "/nowhere.onnx"),
            ([program.model("shufflenet_v2_imagenet_int8")], 3,
             "quantized already")):
        r = subprocess.run([program.OCELLI, "prune", "-o",
                            program.path("bad.onnx"), *args],
                           capture_output=True, text=True)
        assert (r.returncode, words in r.stderr) == (code, True), (args, r)


if __name__ == "__main__":
    sys.exit(program.main([
        ("residuals go together", residuals_go_together),
        ("depthwise convolutions and gates", depthwise_and_gates),
        ("branches and what moves channels", branches_and_moves),
        ("groups stay groups", groups_stay_groups),
        ("scales of norms rank", scales_rank),
        ("gradients rank", gradients_rank),
        ("classifiers", classifiers), ("detectors", detectors),
        ("cards stay", cards_stay),
        ("the smallest weights become zero", smallest_become_zero),
        ("zeros outlive learning", zeros_outlive_learning),
        ("ignored nodes stay", ignored_nodes_stay),
        ("bad input", bad_input)]))
