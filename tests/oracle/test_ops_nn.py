"""Operators of networks compared with ONNX Runtime on random shapes.

Runs against libocelli.so in $OC_BUILD_DIR and prints TAP.  A failure names
its case; OC_TEST_SEED replays a run.
"""
import math
import os
import sys
import traceback

import numpy as np
import onnx
from onnx import helper

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engine
import peer

SEED = int(os.environ.get("OC_TEST_SEED", "1"))
rng = np.random.default_rng(SEED)


def randint(low, high):
    """Both ends included."""
    return int(rng.integers(low, high + 1))


def pick(*items):
    return items[randint(0, len(items) - 1)]


def noise(*shape, dtype=np.float32):
    return rng.standard_normal(shape).astype(dtype)


def node(op, inputs, output, **attrs):
    return helper.make_node(op, inputs, [output], **attrs)


class Call:
    """One node with its inputs; None is an absent one."""

    def __init__(self, op, inputs, outputs=1, domain="", opset=17, **attrs):
        self.op, self.domain, self.opset = op, domain, opset
        self.made_of = (inputs, outputs)
        self.attrs = {k: v for k, v in attrs.items() if v is not None}
        self.feeds = {f"i{n}": x for n, x in enumerate(inputs)
                      if x is not None}
        names = [f"i{n}" if x is not None else ""
                 for n, x in enumerate(inputs)]
        wanted = outputs if isinstance(outputs, list) else [1] * outputs
        self.outputs = [f"o{n}" for n, w in enumerate(wanted) if w]
        node = helper.make_node(
            op, names, [f"o{n}" if w else "" for n, w in enumerate(wanted)],
            domain=domain, **self.attrs)
        graph = helper.make_graph(
            [node], "test",
            [helper.make_tensor_value_info(k, engine.NUMBERS[v.dtype], v.shape)
             for k, v in self.feeds.items()],
            [onnx.ValueInfoProto(name=o) for o in self.outputs])
        imports = [helper.make_opsetid("", opset)]
        if domain:
            imports.append(helper.make_opsetid(domain, 1))
        self.model = helper.make_model(graph, opset_imports=imports,
                                       ir_version=10).SerializeToString()

    def __str__(self):
        shapes = " ".join(f"{k}:{v.dtype}{list(v.shape)}"
                          for k, v in self.feeds.items())
        return f"{self.op} {shapes} {self.attrs} opset {self.opset}"

    def cast(self, dtype, back=False):
        """The same with every f32 input in another type (and back)."""
        inputs, outputs = self.made_of
        inputs = [x if x is None or x.dtype != np.float32 else
                  x.astype(dtype).astype(np.float32) if back else
                  x.astype(dtype) for x in inputs]
        return Call(self.op, inputs, outputs, self.domain, self.opset,
                    **self.attrs)

    def ours(self, **how):
        return engine.run(self.model, self.feeds, **how)

    def theirs(self):
        return peer.session(self.model, optimize=False).run(None, self.feeds)


def same(call, got, want, rtol=1e-4, atol=1e-4):
    """Equal within the tolerance, relative to the largest value, too."""
    for n, (a, b) in enumerate(zip(got, want)):
        b = np.asarray(b)
        assert a is not None and a.shape == b.shape, \
            f"{call}: output {n} is {None if a is None else a.shape}, " \
            f"want {b.shape}"
        assert a.dtype == b.dtype, f"{call}: output {n} is {a.dtype}"
        x, y = a.astype(np.float64), b.astype(np.float64)
        finite = np.abs(y[np.isfinite(y)])
        scale = max(1.0, finite.max()) if finite.size else 1.0
        np.testing.assert_allclose(x, y, rtol, atol * scale,
                                   err_msg=f"{call}: output {n}")


def compare(call, **how):
    """Ours against ONNX Runtime, and one thread against two."""
    got = call.ours()
    same(call, got, call.theirs(), **how)
    again = call.ours(threads=2)
    for a, b in zip(got, again):
        assert a.tobytes() == b.tobytes(), f"{call}: depends on threads"
    return got


# ---- windows ----------------------------------------------------------------

def window(rank, dilations=True, pooling=False):
    """Attributes of a window that fits into 8 pixels and more, of what ONNX
    Runtime takes: no dilation where it is to find the padding itself."""
    attrs = dict(kernel_shape=[randint(1, 3) for _ in range(rank)],
                 strides=[randint(1, 3) for _ in range(rank)])
    if dilations and randint(0, 1):
        attrs["dilations"] = [randint(1, 3) for _ in range(rank)]
    mode = pick("pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID")
    if mode == "pads":
        attrs["pads"] = [randint(0, k - 1) for k in attrs["kernel_shape"] * 2]
    else:
        attrs["auto_pad"] = mode
        attrs.pop("dilations", None)
        if pooling:
            attrs["kernel_shape"] = [
                max(k, s) for k, s in zip(attrs["kernel_shape"],
                                          attrs["strides"])]
    return attrs


def space(rank):
    return [randint(8, 14 if rank < 3 else 9) for _ in range(rank)]


def conv_matches():
    for _ in range(80):
        rank = randint(1, 3)
        group = pick(1, 1, 2, 3, 4)
        ic, oc = group * randint(1, 5), group * randint(1, 9)
        attrs = window(rank)
        x = noise(randint(1, 2), ic, *space(rank))
        w = noise(oc, ic // group, *attrs["kernel_shape"])
        b = noise(oc) if randint(0, 1) else None
        compare(Call("Conv", [x, w, b], opset=pick(7, 11, 22), group=group,
                     **attrs))


def conv_matches_when_large():
    for ic, oc, size, kernel, group in ((64, 96, 30, 3, 1), (3, 32, 65, 7, 1),
                                        (128, 128, 9, 1, 1),
                                        (48, 48, 33, 5, 48),
                                        (300, 40, 7, 3, 1)):
        x = noise(1, ic, size, size)
        w = noise(oc, ic // group, kernel, kernel)
        compare(Call("Conv", [x, w, noise(oc)], group=group,
                     pads=[kernel // 2] * 4, strides=[2, 1]))
    # Long sums where channels fill no blocks, in any number of dimensions.
    for ic, oc, size, group in ((34, 40, (9, 13), 2), (48, 20, (31,), 1),
                                (51, 7, (8, 5, 6), 1)):
        w = noise(oc, ic // group, *[5 if len(size) < 3 else 3] * len(size))
        if len(size) == 1:
            w = noise(oc, ic, 15)
        compare(Call("Conv", [noise(2, ic, *size), w, noise(oc)], group=group,
                     pads=[1] * 2 * len(size)))


def conv_matches_in_other_types():
    for dtype, tolerance in ((np.float64, 1e-6), (np.float16, 4e-3),
                             (engine.DTYPES[16], 3e-2)):
        for _ in range(8):
            group = pick(1, 2)
            x = noise(2, 4 * group, 9, 8)
            w = noise(3 * group, 4, 3, 3)
            b = noise(3 * group)
            attrs = dict(group=group, pads=[1, 0, 1, 2], strides=[2, 1])
            low = [v.astype(dtype) for v in (x, w, b)]
            got = Call("Conv", low, opset=22, **attrs).ours()[0]
            # What the rounded inputs give in f32.
            call = Call("Conv", [v.astype(np.float32) for v in low], **attrs)
            assert got.dtype == dtype
            same(call, [got.astype(np.float32)], call.theirs(), tolerance,
                 tolerance)


def conv_transpose_matches():
    for _ in range(80):
        rank = randint(1, 3)
        group = pick(1, 1, 2, 3)
        ic, oc = group * randint(1, 5), group * randint(1, 5)
        attrs = window(rank)
        stride = attrs["strides"]
        if "auto_pad" in attrs:
            # Where the standard and ONNX Runtime part: no room to pad.
            attrs["kernel_shape"] = [max(k, s) for k, s in
                                     zip(attrs["kernel_shape"], stride)]
        elif randint(0, 1):
            attrs["output_padding"] = [randint(0, s - 1) for s in stride]
        x = noise(randint(1, 2), ic, *[randint(3, 7) for _ in range(rank)])
        w = noise(ic, oc // group, *attrs["kernel_shape"])
        b = noise(oc) if randint(0, 1) else None
        compare(Call("ConvTranspose", [x, w, b], opset=pick(7, 11, 22),
                     group=group, **attrs))


def conv_transpose_matches_where_windows_do_not_meet():
    for _ in range(60):
        rank = randint(1, 3)
        group = pick(1, 1, 2, 3)
        ic, oc = group * randint(1, 20), group * randint(1, 9)
        kernel = [pick(1, 2, 2, 3, 4, 5) for _ in range(rank)]
        stride = [k + pick(0, 0, 0, 1) for k in kernel]
        size = [randint(1, {1: 3000, 2: 90, 3: 14}[rank])
                for _ in range(rank)]
        # Something must be left of the output.
        pads = [pick(0, 0, randint(0, k // 2)) if n > 1 else 0
                for k, n in zip(kernel * 2, size * 2)]
        more = [randint(0, s - 1) for s in stride]
        x, w = noise(pick(1, 1, 2), ic, *size), noise(ic, oc // group, *kernel)
        compare(Call("ConvTranspose", [x, w, pick(None, noise(oc))],
                     group=group, strides=stride, pads=pads,
                     output_padding=pick(None, more)))
    # Rows as long as several tiles, and channels for several products.
    for ic, oc, size in ((40, 3, (2, 9000)), (300, 70, (17, 16)),
                         (2, 1, (260, 260))):
        compare(Call("ConvTranspose", [noise(1, ic, *size),
                                       noise(ic, oc, 2, 2), noise(oc)],
                     strides=[2, 2]))


def conv_transpose_matches_on_long_rows():
    for _ in range(40):
        rank = randint(1, 3)
        group = pick(1, 1, 2)
        kernel = [randint(1, 4) for _ in range(rank - 1)] + [randint(1, 9)]
        stride = [randint(1, 3) for _ in range(rank - 1)] + [randint(1, 5)]
        size = [randint(2, 5) for _ in range(rank - 1)] + [randint(16, 700)]
        ic, oc = group * randint(3, 6), group * randint(1, 5)
        attrs = dict(strides=stride, group=group,
                     pads=[randint(0, k // 2) for k in kernel * 2])
        if randint(0, 1):
            attrs["dilations"] = [pick(1, 1, 2) for _ in range(rank)]
        x, w = noise(pick(1, 2), ic, *size), noise(ic, oc // group, *kernel)
        compare(Call("ConvTranspose", [x, w, pick(None, noise(oc))], **attrs))
    compare(Call("ConvTranspose", [noise(1, 3, 4, 40), noise(3, 2, 2, 3)],
                 dilations=[1, 3], pads=[0, 2, 0, 1]))


def conv_transpose_matches_with_output_shape():
    for _ in range(30):
        stride = [randint(1, 3), randint(1, 3)]
        size = [randint(3, 6), randint(3, 6)]
        kernel = [randint(2, 4), randint(2, 4)]
        shape = [(n - 1) * s + k - randint(0, k - 1)
                 for n, s, k in zip(size, stride, kernel)]
        x, w = noise(1, 3, *size), noise(3, 2, *kernel)
        compare(Call("ConvTranspose", [x, w], strides=stride,
                     output_shape=shape,
                     auto_pad=pick("NOTSET", "SAME_UPPER", "SAME_LOWER")))


def deform_conv_matches():
    for _ in range(30):
        group, offset_group = pick(1, 2), pick(1, 2)
        ic, oc = 4, 2 * randint(1, 3)
        k, s = [randint(1, 3), randint(1, 3)], [randint(1, 2), randint(1, 2)]
        h, w = randint(6, 9), randint(6, 9)
        pads = [randint(0, 1) for _ in range(4)]
        oh = (h + pads[0] + pads[2] - k[0]) // s[0] + 1
        ow = (w + pads[1] + pads[3] - k[1]) // s[1] + 1
        taps = k[0] * k[1] * offset_group
        offset = noise(2, 2 * taps, oh, ow) * np.float32(2)
        mask = rng.random((2, taps, oh, ow), np.float32)
        compare(Call("DeformConv",
                     [noise(2, ic, h, w), noise(oc, ic // group, *k), offset,
                      pick(None, noise(oc)), pick(None, mask)], opset=19,
                     kernel_shape=k, strides=s, pads=pads, group=group,
                     offset_group=offset_group))


def fused_conv_matches():
    cases = (("Relu", None), ("Tanh", None), ("Sigmoid", None),
             ("LeakyRelu", [0.2]), ("Clip", [-0.5, 0.7]),
             ("HardSigmoid", [0.3, 0.4]))
    for name, params in cases:
        for group in (1, 6):
            x = noise(1, 6, 9, 9)
            w = noise(12, 6 // group, 3, 3)
            z = noise(1, 12, 9, 9)
            # Its own kernel takes a residual with Relu and without groups.
            with_z = z if name == "Relu" and group == 1 else None
            compare(Call("FusedConv", [x, w, noise(12), with_z],
                         domain="com.microsoft", activation=name,
                         activation_params=params, group=group,
                         pads=[1, 1, 1, 1]))


def max_pool_matches():
    for _ in range(80):
        rank = randint(1, 3)
        attrs = window(rank, pooling=True)
        if "auto_pad" not in attrs:
            attrs["ceil_mode"] = randint(0, 1)
        dtype = pick(np.float32, np.float32, np.float64, np.int8, np.uint8)
        x = (noise(2, 3, *space(rank)) * 40).astype(dtype)
        small = dtype in (np.int8, np.uint8)
        compare(Call("MaxPool", [x], outputs=1 if small else randint(1, 2),
                     opset=12, storage_order=0 if small else randint(0, 1),
                     **attrs))


def average_pool_matches():
    for _ in range(80):
        rank = randint(1, 3)
        opset = pick(10, 11, 19)
        attrs = window(rank, dilations=opset == 19, pooling=True)
        if "auto_pad" not in attrs:
            attrs["ceil_mode"] = randint(0, 1)
        if attrs.get("ceil_mode") and opset < 19:
            # What overhangs the padding was not settled then.
            attrs["count_include_pad"] = 0
        else:
            attrs["count_include_pad"] = randint(0, 1)
        compare(Call("AveragePool", [noise(2, 3, *space(rank))], opset=opset,
                     **attrs))


def lp_pool_matches():
    for _ in range(40):
        rank = randint(1, 3)
        attrs = window(rank, dilations=False, pooling=True)
        compare(Call("LpPool", [noise(2, 3, *space(rank))], opset=11,
                     p=randint(1, 3), **attrs))


def global_pools_match():
    for _ in range(20):
        x = noise(randint(1, 3), randint(1, 20),
                  *[randint(1, 40) for _ in range(randint(1, 3))])
        compare(Call("GlobalAveragePool", [x]))
        compare(Call("GlobalMaxPool", [x]))
        compare(Call("GlobalLpPool", [x], p=randint(1, 3)))


def nhwc_max_pool_matches():
    for _ in range(20):
        attrs = window(2, pooling=True)
        x = rng.integers(-128, 128, (2, 9, 11, 5)).astype(np.int8)
        if randint(0, 1):
            x = x.view(np.uint8)
        compare(Call("NhwcMaxPool", [x], domain="com.microsoft", **attrs))


def crop_and_resize_matches():
    for _ in range(30):
        boxes = rng.random((5, 4), np.float32) * np.float32(1.4) - \
            np.float32(0.2)
        size = np.array([randint(1, 6), randint(1, 6)], np.int32)
        compare(Call("CropAndResize",
                     [noise(2, 3, randint(2, 9), randint(2, 9)), boxes,
                      rng.integers(0, 2, 5).astype(np.int32), size],
                     domain="com.microsoft", mode=pick("bilinear", "nearest"),
                     extrapolation_value=0.5))


def resize_between_convolutions_matches():
    """Where the optimiser keeps it in blocked channels."""
    for _ in range(40):
        mode = pick("nearest", "nearest", "linear", "cubic")
        attrs = dict(mode=mode, coordinate_transformation_mode=pick(
            "half_pixel", "asymmetric", "align_corners",
            "pytorch_half_pixel"))
        if mode == "nearest":
            attrs["nearest_mode"] = pick("floor", "round_prefer_floor",
                                         "ceil")
        h, w = randint(4, 9), randint(4, 9)
        c = pick(16, 24)
        # Of corners and scales the two understand different things.
        if randint(0, 1) and "align_corners" not in attrs.values():
            scales = [1, 1, pick(0.75, 1.25, 2, 3), pick(0.5, 1.5, 2)]
            extra = ["", "scales"]
            more = [helper.make_tensor("scales", 1, [4], scales)]
        else:
            sizes = [1, c, randint(2, 20), randint(2, 20)]
            if mode == "nearest":  # else the last bit of a position decides
                sizes[2:] = [h * pick(1, 2, 4), w * pick(1, 2, 4)]
            extra = ["", "", "sizes"]
            more = [helper.make_tensor("sizes", 7, [4], sizes)]
        weights = [noise(c, 3, 3, 3), noise(8, c, 1, 1)]
        graph = helper.make_graph(
            [node("Conv", ["x", "w0"], "a", pads=[1, 1, 1, 1]),
             node("Relu", ["a"], "b"),
             node("Resize", ["b"] + extra, "c", **attrs),
             node("Conv", ["c", "w1"], "y")], "resize",
            [helper.make_tensor_value_info("x", 1, [1, 3, h, w])],
            [onnx.ValueInfoProto(name="y")],
            [onnx.numpy_helper.from_array(v, f"w{i}")
             for i, v in enumerate(weights)] + more)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", 13)],
            ir_version=8).SerializeToString()
        feeds = {"x": noise(1, 3, h, w)}
        session = peer.session(model)
        want = session.run(None, feeds)
        for threads in (1, 2):
            same(f"{attrs} {h}x{w} {more}",
                 engine.run(model, feeds, threads, optimize=0), want)


# ---- normalisation ------------------------------------------------------------

def batch_normalization_matches():
    for _ in range(30):
        c = randint(1, 20)
        x = noise(randint(1, 3), c, *[randint(1, 9) for _ in
                                      range(randint(0, 3))])
        stats = [noise(c), noise(c), noise(c), np.abs(noise(c)) + 0.1]
        compare(Call("BatchNormalization", [x] + stats, opset=pick(7, 9, 15),
                     epsilon=1e-3))
        if x.size > 4 * c:
            compare(Call("BatchNormalization", [x] + stats, outputs=3,
                         opset=15, training_mode=1, momentum=0.7))


def instance_and_group_normalization_match():
    for _ in range(20):
        groups = randint(1, 4)
        c = groups * randint(1, 5)
        x = noise(2, c, *[randint(4, 9) for _ in range(randint(1, 3))])
        compare(Call("InstanceNormalization", [x, noise(c), noise(c)]))
        compare(Call("GroupNormalization", [x, noise(c), noise(c)], opset=21,
                     num_groups=groups))
        compare(Call("GroupNormalization",
                     [x, noise(groups), noise(groups)], opset=18,
                     num_groups=groups))


def layer_normalization_matches():
    for _ in range(40):
        shape = [randint(1, 9) for _ in range(randint(2, 4))]
        axis = randint(-len(shape), len(shape) - 1)
        tail = shape[axis:]
        x = noise(*shape)
        bias = pick(None, noise(*tail))
        compare(Call("LayerNormalization", [x, noise(*tail), bias], outputs=3,
                     axis=axis, epsilon=1e-4))
        compare(Call("SimplifiedLayerNormalization", [x, noise(*tail)],
                     axis=axis, epsilon=1e-4))
        compare(Call("RMSNormalization", [x, noise(*tail)], opset=23,
                     axis=axis, epsilon=1e-4))


def skip_layer_normalization_matches():
    for _ in range(20):
        b, s, h = randint(1, 3), randint(1, 7), 8 * randint(1, 9)
        x = noise(b, s, h)
        skip = pick(noise(b, s, h), noise(1, s, h), noise(s, h))
        inputs = [x, skip, noise(h), pick(None, noise(h)),
                  pick(None, noise(h))]
        compare(Call("SkipLayerNormalization", inputs, outputs=[1, 0, 0, 1],
                     domain="com.microsoft", epsilon=1e-5))
        inputs = [x, skip, noise(h), pick(None, noise(h))]
        compare(Call("SkipSimplifiedLayerNormalization", inputs,
                     outputs=[1, 0, 0, 1], domain="com.microsoft",
                     epsilon=1e-5))


def embed_layer_normalization_matches():
    for _ in range(20):
        b, s, h = randint(1, 3), randint(1, 6), 8 * randint(1, 4)
        ids = rng.integers(0, 11, (b, s)).astype(np.int32)
        kinds = [rng.integers(0, 2, (b, s)).astype(np.int32), noise(2, h)]
        if randint(0, 1):
            kinds = [None, None]
        mask = (rng.random((b, s)) < 0.7).astype(np.int32)
        places = rng.integers(0, 9, (pick(1, b), s)).astype(np.int32)
        inputs = [ids, kinds[0], noise(11, h), noise(9, h), kinds[1],
                  noise(h), noise(h), pick(None, mask), pick(None, places)]
        while inputs[-1] is None:
            inputs.pop()
        compare(Call("EmbedLayerNormalization", inputs, outputs=3,
                     domain="com.microsoft", epsilon=1e-5))


def local_normalizations_match():
    for _ in range(20):
        x = noise(2, randint(1, 12), randint(1, 7), randint(1, 7))
        compare(Call("LRN", [x], size=2 * randint(0, 3) + 1, alpha=0.02,
                     beta=pick(0.75, 0.5), bias=1.5))
        compare(Call("LpNormalization", [x], axis=randint(-4, 3),
                     p=randint(1, 2)))
        if x.shape[0] * x.shape[2] * x.shape[3] > 4:
            compare(Call("MeanVarianceNormalization", [x], opset=13))


# ---- recurrent ------------------------------------------------------------------

ACTIVATIONS = {"Relu": 0, "Tanh": 0, "Sigmoid": 0, "LeakyRelu": 1,
               "HardSigmoid": 2, "Elu": 1, "Softsign": 0, "Softplus": 0,
               "ThresholdedRelu": 1, "ScaledTanh": 2, "Affine": 2}


def recurrent_attrs(per, directions):
    attrs = {}
    if randint(0, 1):
        names = [pick(*ACTIVATIONS) for _ in range(per * directions)]
        attrs["activations"] = names
        # Small factors: an unbounded activation fed back grows fast.
        alpha = [0.3 for n in names if ACTIVATIONS[n] > 0]
        beta = [0.2 for n in names if ACTIVATIONS[n] > 1]
        if alpha:
            attrs["activation_alpha"] = alpha
        if beta:
            attrs["activation_beta"] = beta
    if randint(0, 2) == 0:
        attrs["clip"] = 0.4
    return attrs


def recurrent_case(op):
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[op]
    per = {"RNN": 1, "GRU": 2, "LSTM": 3}[op]
    direction = pick("forward", "reverse", "bidirectional")
    d = 2 if direction == "bidirectional" else 1
    t, b, n, h = randint(1, 6), randint(1, 4), randint(1, 7), randint(1, 9)
    small = np.float32(0.4)
    inputs = [noise(t, b, n), noise(d, gates * h, n) * small,
              noise(d, gates * h, h) * small,
              pick(None, noise(d, 2 * gates * h) * small),
              pick(None, rng.integers(1, t + 1, b).astype(np.int32)),
              pick(None, noise(d, b, h))]
    attrs = recurrent_attrs(per, d)
    if op == "GRU":
        attrs["linear_before_reset"] = randint(0, 1)
    if op == "LSTM":
        inputs += [pick(None, noise(d, b, h)),
                   pick(None, noise(d, 3 * h) * small)]
        attrs["input_forget"] = randint(0, 1)
        if inputs[7] is not None and attrs["input_forget"]:
            attrs["input_forget"] = 0
    while inputs[-1] is None:
        inputs.pop()
    return Call(op, inputs, outputs=3 if op == "LSTM" else 2, opset=14,
                direction=direction, hidden_size=h, **attrs)


def compare_recurrent(op):
    call = recurrent_case(op)
    # An unbounded activation may run away; then the last bits decide.
    if np.abs(call.theirs()[0]).max() < 30:
        compare(call, rtol=1e-3)


def rnn_matches():
    for _ in range(60):
        compare_recurrent("RNN")


def gru_matches():
    for _ in range(60):
        compare_recurrent("GRU")


def lstm_matches():
    for _ in range(60):
        compare_recurrent("LSTM")


# ---- attention --------------------------------------------------------------------

def attention_matches():
    for _ in range(60):
        b, kv, rep = randint(1, 3), randint(1, 3), randint(1, 3)
        s, t, past = randint(1, 9), randint(1, 9), pick(0, 0, 4)
        d, dv = 4 * randint(1, 4), 4 * randint(1, 4)
        heads = kv * rep
        flat = randint(0, 1)
        # One query is not masked there, wherever it stands.
        attrs = dict(is_causal=randint(0, 1) if s > 1 else 0)
        if flat:
            q, k, v = (noise(b, s, heads * d), noise(b, t, kv * d),
                       noise(b, t, kv * dv))
            attrs.update(q_num_heads=heads, kv_num_heads=kv)
        else:
            q, k, v = (noise(b, heads, s, d), noise(b, kv, t, d),
                       noise(b, kv, t, dv))
        total = t + past
        mask = pick(None, noise(s, total), noise(b, heads, s, total),
                    noise(b, 1, s, total),
                    rng.random((s, total)) < 0.7)
        if mask is not None and mask.dtype == bool:
            mask[..., 0] = True  # every query sees something
        pasts = [noise(b, kv, past, d), noise(b, kv, past, dv)] if past else []
        inputs = [q, k, v, mask] + pasts
        while inputs[-1] is None:
            inputs.pop()
        compare(Call("Attention", inputs, outputs=3 if past else 1, opset=23,
                     scale=pick(None, 0.3), **attrs))


def ms_attention_matches():
    for _ in range(60):
        b, s, n, d = randint(1, 3), randint(1, 9), randint(1, 4), 8
        past = pick(0, 0, 3)
        hidden, total = n * d, s + past
        x = noise(b, s, 20)
        lengths = rng.integers(1, total + 1, b).astype(np.int32)
        mask = pick(None, lengths,
                    (rng.random((b, total)) < 0.7).astype(np.int32),
                    (rng.random((b, s, total)) < 0.7).astype(np.int32))
        extra = None if past else pick(None, noise(1, n, s, total),
                                       noise(b, n, s, total))
        state = noise(2, b, n, past, d) if past else None
        inputs = [x, noise(20, 3 * hidden) * np.float32(0.3),
                  noise(3 * hidden), mask, state, extra]
        while inputs[-1] is None:
            inputs.pop()
        compare(Call("Attention", inputs, outputs=2 if past else 1,
                     domain="com.microsoft", num_heads=n,
                     unidirectional=randint(0, 1)))


def q_attention_matches():
    for _ in range(20):
        b, s, n, d = randint(1, 2), randint(1, 6), 2, 8
        hidden = n * d
        x = rng.integers(0, 256, (b, s, 12)).astype(np.uint8)
        w = peer.int8_weights(rng, 12, 3 * hidden)
        many = randint(0, 1)
        scale = np.abs(noise(3 * hidden if many else 1)) * 0.01 + 0.001
        zero = rng.integers(-9, 9, 3 * hidden if many else 1).astype(np.int8)
        mask = pick(None, np.full(b, s, np.int32))
        if not many:
            scale, zero = scale[0], zero[0]
        compare(Call("QAttention",
                     [x, w, noise(3 * hidden), np.array(0.02, np.float32),
                      np.asarray(scale, np.float32), mask, np.array(120, np.uint8),
                      np.asarray(zero)], domain="com.microsoft", num_heads=n,
                     unidirectional=randint(0, 1)))


def multi_head_attention_matches():
    for _ in range(60):
        b, s, n, d, dv = randint(1, 3), randint(1, 9), randint(1, 4), 8, 4
        t, past = randint(1, 9), pick(0, 0, 3)
        dv, bias = d if past else dv, None
        if randint(0, 3) == 0:  # keys and values of an encoder
            past, dv = 0, d
            qkv = [noise(b, s, n * d), noise(b, n, t, d), noise(b, n, t, d)]
        else:
            qkv = [noise(b, s, n * d), noise(b, t, n * d), noise(b, t, n * dv)]
            bias = pick(None, noise(n * (2 * d + dv)))
        total = t + past
        mask = pick(None, rng.integers(1, total + 1, b).astype(np.int32),
                    (rng.random((b, total)) < 0.7).astype(np.int32),
                    (rng.random((b, s, total)) < 0.7).astype(np.int32))
        extra = pick(None, noise(1, 1, s, total), noise(b, n, s, total))
        pasts = ([noise(b, n, past, d), noise(b, n, past, dv)] if past
                 else [None, None])
        inputs = qkv + [bias, mask, extra] + pasts
        while inputs[-1] is None:
            inputs.pop()
        compare(Call("MultiHeadAttention", inputs,
                     outputs=3 if past else 1, domain="com.microsoft",
                     num_heads=n, unidirectional=randint(0, 1) if t == s else 0))


def multi_head_attention_unpacks_as_it_matches():
    """Forms that ONNX Runtime has on GPUs only, against the plain one."""
    for _ in range(10):
        b, s, t, n, d = randint(1, 3), randint(1, 5), randint(1, 5), 3, 8
        how = dict(domain="com.microsoft", num_heads=n)
        q, kv = noise(b, s, n * d), noise(b, t, n, 2, d)
        k, v = (kv[:, :, :, i].reshape(b, t, n * d) for i in (0, 1))
        want = Call("MultiHeadAttention", [q, k, v], **how).theirs()
        same(kv.shape, Call("MultiHeadAttention", [q, kv], **how).ours(), want)
        qkv = noise(b, s, n, 3, d)
        q, k, v = (qkv[:, :, :, i].reshape(b, s, n * d) for i in range(3))
        want = Call("MultiHeadAttention", [q, k, v], **how).theirs()
        same(qkv.shape, Call("MultiHeadAttention", [qkv], **how).ours(), want)


def group_query_case():
    b, kv, rep, d = randint(1, 3), randint(1, 2), randint(1, 3), 16
    n = kv * rep
    prompt = randint(0, 1)
    room, used = randint(20, 24), randint(1, 8)
    s = randint(2, 8) if prompt else 1
    if prompt:
        lengths = np.full(b, s)
        past = [None, None] if randint(0, 1) else \
            [noise(b, kv, room, d), noise(b, kv, room, d)]
    else:
        lengths = rng.integers(1, used + 1, b) + 1
        past = [noise(b, kv, room, d), noise(b, kv, room, d)]
    total = int(lengths.max())
    attrs = dict(num_heads=n, kv_num_heads=kv,
                 local_window_size=pick(-1, -1, 3),
                 softcap=pick(0.0, 0.0, 5.0), scale=pick(None, 0.2))
    if randint(0, 2) == 0:
        attrs["smooth_softmax"] = 1
    if randint(0, 1):
        qkv = [noise(b, s, (n + 2 * kv) * d), None, None]
    else:
        qkv = [noise(b, s, n * d), noise(b, s, kv * d), noise(b, s, kv * d)]
    caches = [None, None]
    if randint(0, 1):
        angle = noise(32, d // 2)
        caches = [np.cos(angle), np.sin(angle)]
        attrs.update(do_rotary=1, rotary_interleaved=randint(0, 1))
    extra = pick(None, None, noise(1, n, s, total))
    sink = noise(n) if "smooth_softmax" not in attrs and \
        randint(0, 2) == 0 else None
    inputs = qkv + past + [(lengths - 1).astype(np.int32), np.array(total, np.int32)]
    inputs += caches + [None, extra, sink]
    while inputs[-1] is None:
        inputs.pop()
    return Call("GroupQueryAttention", inputs, outputs=3,
                domain="com.microsoft", **attrs), lengths


def group_query_attention_matches():
    for _ in range(80):
        call, lengths = group_query_case()
        got, want = call.ours(), call.theirs()
        # Of the caches only what is in use is defined.
        for n in (1, 2):
            for i, length in enumerate(lengths):
                got[n][i, :, length:] = 0
                want[n][i, :, length:] = 0
        same(call, got, want)


def rotary_embedding_matches():
    for _ in range(40):
        b, s, n, d = randint(1, 3), randint(1, 6), randint(1, 3), 16
        rotated = pick(0, 0, 8)
        angle = noise(24, (rotated or d) // 2)
        cos, sin = np.cos(angle), np.sin(angle)
        flat = randint(0, 1) or rotated
        x = noise(b, s, n * d) if flat else noise(b, n, s, d)
        ids = rng.integers(0, 24, (b, s))
        attrs = dict(interleaved=randint(0, 1), rotary_embedding_dim=rotated)
        if flat:
            attrs["num_heads"] = n
        compare(Call("RotaryEmbedding", [x, cos, sin, ids], opset=23, **attrs))
        ids = pick(ids, np.array([randint(0, 10)]))
        compare(Call("RotaryEmbedding", [x, ids, cos, sin],
                     domain="com.microsoft", **attrs))


# ---- other types --------------------------------------------------------------------

def plain_calls():
    """One f32 call of each operator whose other types are computed apart."""
    x, c = noise(2, 6, 7, 8), 6
    yield Call("ConvTranspose", [x, noise(6, 4, 3, 3), noise(4)], opset=22,
               strides=[2, 1], pads=[1, 0, 1, 1])
    yield Call("ConvTranspose", [x, noise(6, 2, 3, 3)], group=3)
    yield Call("ConvTranspose", [x, noise(6, 3, 2, 2), noise(3)],
               strides=[2, 2])
    yield Call("DeformConv", [x, noise(5, 6, 2, 2), noise(2, 8, 6, 7)],
               opset=19)
    yield Call("MaxPool", [x], outputs=2, kernel_shape=[3, 2],
               strides=[2, 1])
    yield Call("AveragePool", [x], kernel_shape=[3, 3],
               pads=[1, 1, 1, 1])
    yield Call("LpPool", [x], kernel_shape=[2, 2], p=3)
    yield Call("GlobalAveragePool", [x])
    yield Call("GlobalMaxPool", [x])
    yield Call("GlobalLpPool", [x])
    stats = [noise(c), noise(c), noise(c), np.abs(noise(c)) + 0.5]
    yield Call("BatchNormalization", [x] + stats, opset=15)
    yield Call("BatchNormalization", [x] + stats, outputs=3, opset=15,
               training_mode=1)
    yield Call("InstanceNormalization", [x, noise(c), noise(c)])
    yield Call("GroupNormalization", [x, noise(c), noise(c)], opset=21,
               num_groups=3)
    yield Call("LayerNormalization", [x, noise(7, 8), noise(7, 8)], opset=17,
               axis=2)
    yield Call("RMSNormalization", [x, noise(8)], opset=23)
    yield Call("LRN", [x], opset=13, size=3)
    yield Call("LpNormalization", [x], axis=1)
    yield Call("MeanVarianceNormalization", [x], opset=13)
    seq, w = noise(4, 2, 5), np.float32(0.3)
    for op, gates in (("RNN", 1), ("GRU", 3), ("LSTM", 4)):
        yield Call(op, [seq, noise(2, gates * 6, 5) * w,
                        noise(2, gates * 6, 6) * w,
                        noise(2, 12 * gates) * w], hidden_size=6,
                   direction="bidirectional",
                   outputs=3 if op == "LSTM" else 2)
    q, k, v = noise(2, 4, 5, 8), noise(2, 2, 9, 8), noise(2, 2, 9, 4)
    yield Call("Attention", [q, k, v, noise(5, 9)], opset=23)
    target = rng.integers(0, 6, (2, 7, 8))
    yield Call("NegativeLogLikelihoodLoss", [x, target, np.abs(noise(6))],
               opset=22)
    yield Call("SoftmaxCrossEntropyLoss", [x, target], opset=13, outputs=2)


def other_types_match():
    for call in plain_calls():
        for dtype, tolerance in ((np.float64, 1e-5), (np.float16, 4e-3),
                                 (engine.DTYPES[16], 4e-2)):
            got = call.cast(dtype).ours()
            want = call.cast(dtype, back=True).theirs()
            for n, (a, b) in enumerate(zip(got, want)):
                # Indices stay what they are, LayerNormalization's mean too.
                assert a.dtype in (np.dtype(dtype), b.dtype), f"{call}: {n}"
            same(call, [a.astype(b.dtype) for a, b in zip(got, want)], want,
                 tolerance, tolerance)


# ---- losses -------------------------------------------------------------------------

def losses_match():
    for _ in range(40):
        b, classes = randint(1, 4), randint(2, 7)
        rest = [randint(1, 4) for _ in range(randint(0, 3))]
        x = noise(b, classes, *rest)
        target = rng.integers(0, classes, (b, *rest))
        ignore = pick(None, 0, -1)
        if ignore == -1:
            target.flat[0] = -1
        weight = pick(None, np.abs(noise(classes)) + 0.1)
        reduction = pick("none", "sum", "mean")
        valid = (target != ignore).any()
        inputs = [x, target] + ([weight] if weight is not None else [])
        if reduction == "mean" and not valid:
            continue
        compare(Call("NegativeLogLikelihoodLoss", inputs, opset=13,
                     reduction=reduction, ignore_index=ignore))
        compare(Call("SoftmaxCrossEntropyLoss", inputs, opset=13,
                     outputs=randint(1, 2), reduction=reduction,
                     ignore_index=ignore))


# ---- derivatives ----------------------------------------------------------------------

def ints(name, values):
    return helper.make_node("Constant", [], [name], value_ints=values)


# A function of a (3, 4) and b (4, 2) or so: nodes that make y.
FUNCTIONS = {
    "arithmetic": [
        node("Mul", ["a", "c"], "t0"), node("Add", ["t0", "a"], "t1"),
        node("Div", ["t1", "c"], "t2"), node("Sub", ["t2", "c"], "t3"),
        node("Neg", ["t3"], "t4"), node("Sum", ["t4", "a", "c"], "y")],
    "powers": [
        node("Abs", ["a"], "t0"), node("Exp", ["c"], "t1"),
        node("Add", ["t0", "t1"], "t2"), node("Pow", ["t2", "c"], "t3"),
        node("Sqrt", ["t2"], "t4"), node("Log", ["t4"], "t5"),
        node("Reciprocal", ["t2"], "t6"), node("Mul", ["t5", "t6"], "t7"),
        node("Add", ["t3", "t7"], "y")],
    "waves": [
        node("Sin", ["a"], "t0"), node("Cos", ["c"], "t1"),
        node("Mul", ["t0", "t1"], "t2"), node("Tanh", ["t2"], "t3"),
        node("Sigmoid", ["t3"], "t4"), node("Relu", ["a"], "t5"),
        node("Mul", ["t4", "t5"], "y")],
    "products": [
        node("MatMul", ["a", "b"], "t0"),
        node("Gemm", ["a", "b", "d"], "t1", alpha=0.5, beta=2.0),
        node("Mul", ["t0", "t1"], "t2"),
        node("Gemm", ["b", "a"], "t3", transA=1, transB=1, alpha=3.0),
        node("Transpose", ["t3"], "t4", perm=[1, 0]),
        node("Add", ["t2", "t4"], "y")],
    "softmax": [
        node("Softmax", ["a"], "t0", axis=0),
        node("LogSoftmax", ["a"], "t1", axis=-1),
        node("Mul", ["t0", "t1"], "t2"), node("Mul", ["t2", "c"], "y")],
    "shapes": [
        ints("shape", [2, 6]), ints("axes", [1]),
        node("Reshape", ["a", "shape"], "t0"),
        node("ReduceMean", ["t0"], "t1", axes=[1], keepdims=0),
        node("ReduceSum", ["t0", "axes"], "t2", keepdims=1),
        node("Unsqueeze", ["t1", "axes"], "t3"),
        node("Mul", ["t2", "t3"], "t4"), node("Flatten", ["t4"], "t5"),
        node("Squeeze", ["t5", "axes"], "t6"),
        node("Mul", ["t6", "t1"], "t7"), ints("wide", [3, 2]),
        node("Expand", ["t7", "wide"], "y")],
    "choices": [
        node("Greater", ["a", "c"], "t0"),
        node("Where", ["t0", "a", "c"], "t1"), node("Mul", ["t1", "a"], "y")],
}


def gradient_model(nodes, feeds, xs, y="y", more=()):
    """y and its derivatives by xs; `more` are nodes behind."""
    outs = [f"g{i}" for i in range(len(xs))]
    zs = [k for k in feeds if k not in xs]
    grad = helper.make_node("Gradient", xs + zs, outs,
                            domain="ai.onnx.preview.training", xs=xs, y=y,
                            **({"zs": zs} if zs else {}))
    graph = helper.make_graph(
        list(nodes) + [grad] + list(more), "gradient",
        [helper.make_tensor_value_info(k, engine.NUMBERS[v.dtype], v.shape)
         for k, v in feeds.items()],
        [onnx.ValueInfoProto(name=o) for o in [y] + outs])
    return helper.make_model(
        graph, opset_imports=[
            helper.make_opsetid("", 13),
            helper.make_opsetid("ai.onnx.preview.training", 1)],
        ir_version=8)


def slope(value, feeds, name, step=1e-5):
    """d value(feeds) / d feeds[name] by central differences."""
    out = np.zeros_like(feeds[name])
    for i in range(out.size):
        pair = []
        for sign in (1, -1):
            moved = {k: v.copy() for k, v in feeds.items()}
            moved[name].flat[i] += sign * step
            pair.append(value(moved))
        out.flat[i] = (pair[0] - pair[1]) / (2 * step)
    return out


def gradient_matches_differences():
    for name, nodes in FUNCTIONS.items():
        used = {i for n in nodes for i in n.input}
        feeds = {k: v for k, v in (
            ("a", noise(3, 4, dtype=np.float64)),
            ("b", noise(4, 2, dtype=np.float64)),
            ("c", noise(4, dtype=np.float64) + np.sign(noise(4)) * 0.3),
            ("d", noise(2, dtype=np.float64))) if k in used}
        model = gradient_model(nodes, feeds, list(feeds))
        raw = model.SerializeToString()
        got = engine.run(raw, feeds)
        best = engine.run(raw, feeds, optimize=0)
        # The forward part alone, in ONNX Runtime.
        del model.graph.node[-1]
        del model.graph.output[1:]
        session = peer.session(model.SerializeToString())

        def value(x):
            return session.run(None, x)[0].sum()

        for i, x in enumerate(feeds):
            want = slope(value, feeds, x)
            for result in (got, best):
                np.testing.assert_allclose(result[i + 1], want, 1e-4, 1e-6,
                                           err_msg=f"{name}: d y / d {x}")


def gradient_matches_elsewhere_and_twice():
    # At other values than those of the graph: y's nodes are copied.
    cube = [node("Mul", ["a", "a"], "s"), node("Mul", ["s", "a"], "y")]
    feeds = {"a": noise(5, dtype=np.float64), "e": noise(5, dtype=np.float64)}
    model = gradient_model(cube, feeds, ["a"])
    del model.graph.node[-1].attribute[:]
    model.graph.node[-1].input[:] = ["e"]
    model.graph.node[-1].attribute.extend(
        [helper.make_attribute("xs", ["a"]), helper.make_attribute("y", "y")])
    got = engine.run(model.SerializeToString(), feeds)
    np.testing.assert_allclose(got[0], feeds["a"] ** 3)
    np.testing.assert_allclose(got[1], 3 * feeds["e"] ** 2)
    softplus = gradient_model([node("Softplus", ["a"], "y")],
                              {"a": feeds["a"]}, ["a"])
    got = engine.run(softplus.SerializeToString(), {"a": feeds["a"]})
    np.testing.assert_allclose(got[1], 1 / (1 + np.exp(-feeds["a"])))
    # The derivative of a derivative.
    again = helper.make_node("Gradient", ["a"], ["gg"],
                             domain="ai.onnx.preview.training", xs=["a"],
                             y="g0")
    model = gradient_model(cube, {"a": feeds["a"]}, ["a"], more=[again])
    model.graph.output.append(onnx.ValueInfoProto(name="gg"))
    got = engine.run(model.SerializeToString(), {"a": feeds["a"]})
    np.testing.assert_allclose(got[2], 6 * feeds["a"])
    # mean(a)^2 has the second derivative 2 / n^2, summed over n: 2 / n.
    mean = [node("ReduceMean", ["a"], "s", keepdims=0),
            node("Mul", ["s", "s"], "y")]
    model = gradient_model(mean, {"a": feeds["a"]}, ["a"], more=[again])
    model.graph.output.append(onnx.ValueInfoProto(name="gg"))
    got = engine.run(model.SerializeToString(), {"a": feeds["a"]})
    np.testing.assert_allclose(got[2], np.full(5, 2 / 5))


def main():
    tests = [(n, f) for n, f in globals().items()
             if n.endswith(("_match", "_matches")) or "_matches_" in n]
    print(f"1..{len(tests)}")
    print(f"# OC_TEST_SEED={SEED}")
    failed = 0
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    for i, (name, test) in enumerate(tests, 1):
        if only not in name:
            continue
        try:
            test()
            print(f"ok {i} - {name}", flush=True)
        except Exception as problem:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print(f"not ok {i} - {name}", flush=True)
    return 1 if failed else 0


sys.exit(main())
