"""Networks in the pieces that exporters write, against ONNX Runtime.

Each block is written as some exporter writes it, run as it is and fused, with
1 and 3 threads, and compared; the steps that run must be the fused ones.
Prints TAP.
"""
import os
import subprocess
import sys
import tempfile
import traceback

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import engine
import peer

BUILD = os.path.abspath(os.environ.get("OC_BUILD_DIR", "build"))


class Net:
    """A graph under construction; every method returns the names it makes."""

    def __init__(self, opset):
        self.opset, self.nodes, self.inits, self.feeds = opset, [], [], {}
        self.rng = np.random.default_rng(11)
        self.domains = []

    def input(self, *shape):
        name = f"x{len(self.feeds)}"
        self.feeds[name] = self.rng.standard_normal(shape).astype(np.float32)
        return name

    def const(self, value, dtype=np.float32):
        name = f"c{len(self.inits)}"
        self.inits.append(numpy_helper.from_array(np.array(value, dtype), name))
        return name

    def ints(self, *values):
        return self.const(values, np.int64)

    def weight(self, *shape):
        scale = 1 / np.sqrt(shape[0])
        return self.const(self.rng.standard_normal(shape) * scale)

    def op(self, name, *ins, outs=1, domain="", **attrs):
        ins = [i if isinstance(i, str) else self.const(i) for i in ins]
        made = [f"v{len(self.nodes)}_{i}" for i in range(outs)]
        self.nodes.append(helper.make_node(name, ins, made, domain=domain,
                                           **attrs))
        if domain and domain not in self.domains:
            self.domains.append(domain)
        return made[0] if outs == 1 else made

    def linear(self, x, n_in, n_out):
        return self.op("Add", self.weight(n_out),
                       self.op("MatMul", x, self.weight(n_in, n_out)))

    def reshape(self, x, *shape):
        return self.op("Reshape", x, self.ints(*shape))

    def turn(self, x, *perm):
        return self.op("Transpose", x, perm=list(perm))

    def squeeze(self, x, axis):
        if self.opset < 13:
            return self.op("Squeeze", x, axes=[axis])
        return self.op("Squeeze", x, self.ints(axis))

    def split3(self, x, axis, each):
        if self.opset < 13:
            return self.op("Split", x, outs=3, axis=axis, split=[each] * 3)
        return self.op("Split", x, self.ints(each, each, each), outs=3,
                       axis=axis)

    def mean(self, x, *axes):
        if self.opset < 18:
            return self.op("ReduceMean", x, axes=list(axes), keepdims=1)
        return self.op("ReduceMean", x, self.ints(*axes), keepdims=1)

    def norm(self, x, n):
        """torch.nn.LayerNorm"""
        c = self.op("Sub", x, self.mean(x, -1))
        v = self.mean(self.op("Pow", c, 2.0), -1)
        y = self.op("Div", c, self.op("Sqrt", self.op("Add", v, 1e-6)))
        return self.op("Add", self.op("Mul", y, self.weight(n)),
                       self.weight(n))

    def model(self, *outs, dtype=TensorProto.FLOAT):
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes, "g",
            [value(k, TensorProto.FLOAT, v.shape)
             for k, v in self.feeds.items()],
            [value(o, dtype, None) for o in outs], self.inits)
        sets = [helper.make_opsetid("", self.opset)]
        sets += [helper.make_opsetid(d, 1) for d in self.domains]
        model = helper.make_model(graph, opset_imports=sets)
        model.ir_version = 8
        return model.SerializeToString()


def steps(model):
    """Names of the operators that run."""
    with tempfile.NamedTemporaryFile(suffix=".onnx") as f:
        f.write(model)
        f.flush()
        r = subprocess.run([os.path.join(BUILD, "ocelli"), "bench", f.name,
                            "--layers", "--time", "0.01", "--threads", "1"],
                           capture_output=True, text=True, timeout=120)
    assert r.returncode == 0, r.stderr
    table = r.stdout[r.stdout.index("\nstep"):].splitlines()[2:]
    return [line.split()[1] for line in table if line.strip()]


def check(net, out, dtype=TensorProto.FLOAT, **wanted):
    """Compares; wanted says how many steps of a name there must be."""
    model = net.model(out, dtype=dtype)
    want = peer.session(model).run(None, net.feeds)[0]
    plain = engine.run(model, net.feeds, optimize=-1)[0]
    one = engine.run(model, net.feeds, threads=1, optimize=0)[0]
    three = engine.run(model, net.feeds, threads=3, optimize=0)[0]
    limit = 1e-5 * max(1, np.abs(want).max())
    np.testing.assert_allclose(plain, want, rtol=1e-5, atol=limit)
    np.testing.assert_allclose(one, want, rtol=1e-5, atol=limit)
    assert one.tobytes() == three.tobytes(), "threads change the result"
    names = steps(model)
    for name, count in wanted.items():
        assert names.count(name) == count, (name, count, names)


# ---- blocks of transformers --------------------------------------------------

def timm_block(opset, how):
    """timm's VisionTransformer block, queries, keys and values in one."""
    t, e, h = 50, 48, 3
    d = e // h
    n = Net(opset)
    x = n.input(2, t, e)
    qkv = n.linear(n.norm(x, e), e, 3 * e)
    qkv = n.turn(n.reshape(qkv, 2, t, 3, h, d), 2, 0, 3, 1, 4)
    if how == "split":
        q, k, v = (n.squeeze(i, 0) for i in n.split3(qkv, 0, 1))
    else:
        q, k, v = (n.op("Gather", qkv, n.const(i, np.int64), axis=0)
                   for i in range(3))
    s = n.op("MatMul", q, n.turn(k, 0, 1, 3, 2))
    s = n.op("Softmax", n.op("Mul", s, d ** -0.5), axis=3)
    y = n.reshape(n.turn(n.op("MatMul", s, v), 0, 2, 1, 3), 2, t, e)
    x = n.op("Add", x, n.linear(y, e, e))
    y = n.linear(n.norm(x, e), e, 4 * e)
    y = n.op("Mul", n.op("Mul", y, n.op("Add", n.op(
        "Erf", n.op("Div", y, 2 ** 0.5)), 1.0)), 0.5)
    check(n, n.op("Add", x, n.linear(y, 4 * e, e)), Attend=1, Softmax=0,
          LayerNormalization=2, MatMulPacked=4, Erf=0, Transpose=0, Act=0)


def timm_by_gather_at_opset_11():
    timm_block(11, "gather")


def timm_by_split_at_opset_13():
    timm_block(13, "split")


def timm_by_gather_at_opset_18():
    timm_block(18, "gather")


def bert_with_mask_and_tanh_gelu():
    """transformers' BertLayer: three products, a mask of keys, gelu_new"""
    b, t, e, h = 3, 40, 32, 4
    d = e // h
    n = Net(14)
    x, seen = n.input(b, t, e), n.input(b, 1, 1, t)
    n.feeds[seen] = np.where(n.feeds[seen] < -0.5, np.finfo(np.float32).min,
                             0).astype(np.float32)
    q, k, v = (n.turn(n.reshape(n.linear(x, e, e), 0, 0, h, d), 0, 2, 1, 3)
               for _ in range(3))
    s = n.op("Div", n.op("MatMul", q, n.turn(k, 0, 1, 3, 2)), d ** 0.5)
    s = n.op("Softmax", n.op("Add", s, seen), axis=-1)
    y = n.reshape(n.turn(n.op("MatMul", s, v), 0, 2, 1, 3), 0, 0, e)
    y = n.norm(n.op("Add", n.linear(y, e, e), x), e)
    u = n.linear(y, e, 2 * e)
    w = n.op("Add", u, n.op("Mul", 0.044715, n.op("Pow", u, 3.0)))
    w = n.op("Tanh", n.op("Mul", 0.7978845608028654, w))
    u = n.op("Mul", n.op("Mul", 0.5, u), n.op("Add", 1.0, w))
    check(n, n.linear(u, 2 * e, e), Attend=1, Softmax=0, Tanh=0, Pow=0,
          LayerNormalization=1)


def torch_2_scales_both_and_masks():
    """torch 2's scaled_dot_product_attention, causal"""
    b, t, h, d = 1, 70, 2, 16
    n = Net(17)
    q, k, v = (n.turn(n.reshape(n.input(b, t, h * d), b, t, h, d), 0, 2, 1, 3)
               for _ in range(3))
    root = d ** -0.25
    causal = np.triu(np.full((t, t), -np.inf, np.float32), 1)
    s = n.op("MatMul", n.op("Mul", q, root),
             n.op("Mul", n.turn(k, 0, 1, 3, 2), root))
    s = n.op("Softmax", n.op("Add", s, n.const(causal)), axis=-1)
    y = n.turn(n.op("MatMul", s, v), 0, 2, 1, 3)
    check(n, n.reshape(y, b, t, h * d), Attend=1, Softmax=0, Transpose=0)


def detr_with_three_dimensions():
    """torch.nn.MultiheadAttention: batch and heads in one, scaled early"""
    t, s, b, e, h = 30, 450, 2, 32, 4
    d = e // h
    n = Net(12)
    q, m = n.input(t, b, e), n.input(s, b, e)
    q = n.op("Mul", n.linear(q, e, e), d ** -0.5)
    q = n.turn(n.reshape(q, t, b * h, d), 1, 0, 2)
    k, v = (n.turn(n.reshape(n.linear(m, e, e), s, b * h, d), 1, 0, 2)
            for _ in range(2))
    w = n.op("Softmax", n.op("MatMul", q, n.turn(k, 0, 2, 1)), axis=2)
    y = n.reshape(n.turn(n.op("MatMul", w, v), 1, 0, 2), t, b, e)
    check(n, n.linear(y, e, e), Attend=1, Softmax=0, Transpose=0)


def swin_with_relative_positions():
    """windows as a batch, a bias for each head"""
    w, t, e, h = 12, 49, 32, 2
    d = e // h
    n = Net(16)
    x = n.input(w, t, e)
    qkv = n.turn(n.reshape(n.linear(x, e, 3 * e), w, t, 3, h, d),
                 2, 0, 3, 1, 4)
    q, k, v = (n.op("Gather", qkv, n.const(i, np.int64), axis=0)
               for i in range(3))
    s = n.op("MatMul", n.op("Mul", q, d ** -0.5), n.turn(k, 0, 1, 3, 2))
    s = n.op("Softmax", n.op("Add", s, n.weight(1, h, t, t)), axis=-1)
    y = n.reshape(n.turn(n.op("MatMul", s, v), 0, 2, 1, 3), w, t, e)
    check(n, n.linear(y, e, e), Attend=1, Softmax=0, Transpose=0)


def yolo_with_channels_first():
    """the PSA block of YOLO11: heads of channels, keys before values"""
    c, h, hw = 64, 2, 10
    key, val, t = 16, 32, hw * hw
    n = Net(17)
    x = n.input(1, c, hw, hw)
    qkv = n.op("Conv", x, n.weight(h * (2 * key + val), c, 1, 1))
    qkv = n.reshape(qkv, 1, h, 2 * key + val, t)
    q, k, v = n.op("Split", qkv, n.ints(key, key, val), outs=3, axis=2)
    s = n.op("Mul", n.op("MatMul", n.turn(q, 0, 1, 3, 2), k), key ** -0.5)
    s = n.turn(n.op("Softmax", s, axis=-1), 0, 1, 3, 2)
    y = n.reshape(n.op("MatMul", v, s), 1, h * val, hw, hw)
    check(n, n.op("Relu", y), Attend=1, Softmax=0)


def llama_with_rms_norm_and_silu():
    e = 24
    n = Net(18)
    x = n.input(2, 9, e)
    v = n.op("Add", n.mean(n.op("Pow", x, 2.0), -1), 1e-5)
    y = n.op("Mul", x, n.op("Reciprocal", n.op("Sqrt", v)))
    y = n.op("Mul", n.weight(e), y)
    u = n.op("MatMul", y, n.weight(e, 2 * e))
    u = n.op("Mul", u, n.op("Sigmoid", u))
    check(n, n.op("MatMul", u, n.weight(2 * e, e)), RMSNormalization=1,
          Sigmoid=0, MatMulPacked=2, Mul=0)


def clip_with_quick_gelu():
    e = 24
    n = Net(13)
    x = n.linear(n.input(2, 9, e), e, 2 * e)
    x = n.op("Mul", x, n.op("Sigmoid", n.op("Mul", x, 1.702)))
    check(n, n.linear(x, 2 * e, e), Sigmoid=0, MatMulPacked=2, Mul=0)


# ---- attention as an operator ------------------------------------------------

def long_sequences_of_multi_head_attention():
    """more keys than one part has, queries that leave a rest"""
    for t, s in ((1, 900), (150, 513), (700, 700)):
        n = Net(17)
        q, k, v = n.input(1, t, 48), n.input(1, s, 48), n.input(1, s, 48)
        y = n.op("MultiHeadAttention", q, k, v, domain="com.microsoft",
                 num_heads=3)
        check(n, y, MultiHeadAttention=1)


def long_sequences_with_a_bias():
    for t in (150, 600):
        n = Net(17)
        q, k, v = (n.input(2, t, 32) for _ in range(3))
        bias = n.input(1, 2, t, t)
        n.feeds[bias][0, 0, 3, :] *= 40
        y = n.op("MultiHeadAttention", q, k, v, "", "", bias,
                 domain="com.microsoft", num_heads=2)
        check(n, y, MultiHeadAttention=1)


# ---- batch norms behind products ---------------------------------------------

def batch_norm(n, x, c):
    stats = [n.rng.uniform(0.5, 1.5, c).astype(np.float32) for _ in range(4)]
    return n.op("BatchNormalization", x, *(n.const(s) for s in stats))


def levit_with_flattened_rows():
    n = Net(17)
    x = n.input(2, 30, 24)
    y = n.op("MatMul", x, n.weight(24, 32))
    flat = batch_norm(n, n.op("Flatten", y, axis=2), 32)
    y = n.op("HardSwish", n.op("Reshape", flat, n.op("Shape", y)))
    z = n.op("MatMul", y, n.weight(32, 24))
    z = n.reshape(batch_norm(n, n.reshape(z, 60, 24), 24), 2, 30, 24)
    check(n, n.op("Add", x, z), BatchNormalization=0, MatMulPacked=2)


def heads_with_batch_norms():
    n = Net(17)
    x = n.input(5, 20)
    y = n.op("Gemm", x, n.weight(12, 20), n.weight(12), transB=1)
    y = n.op("Relu", batch_norm(n, y, 12))
    y = batch_norm(n, n.op("Gemm", y, n.weight(12, 7), alpha=0.5), 7)
    check(n, y, BatchNormalization=0, GemmPacked=2)


def norms_that_stay():
    """Of another dimension; of what somebody else reads, too."""
    n = Net(17)
    x = n.input(2, 24, 24)
    y = batch_norm(n, n.op("MatMul", x, n.weight(24, 24)), 24)
    z = n.op("Gemm", n.reshape(y, 48, 24), n.weight(24, 24))
    check(n, n.op("Add", z, batch_norm(n, z, 24)), BatchNormalization=2)


def fastvit_with_two_filters_a_channel():
    n = Net(17)
    x = n.input(2, 12, 15, 17)
    y = n.op("Conv", x, n.weight(24, 1, 7, 7), n.weight(24), group=12,
             strides=[2, 2], pads=[3, 3, 3, 3])
    check(n, n.op("Relu", y), Conv=0, ConvBlocked=1, Gather=1)


def conv(n, x, c_in, c_out, k=1, **attrs):
    return n.op("Conv", x, n.weight(c_out, c_in, k, k), n.weight(c_out),
                pads=[k // 2] * 4, **attrs)


def yolo_with_channels_split_and_joined():
    """Parts lie in the whole: one that is read twice, one joined twice."""
    n = Net(13)
    x = n.op("Relu", conv(n, n.input(1, 3, 20, 22), 3, 32))
    a, b = n.op("Split", x, n.ints(16, 16), outs=2, axis=1)
    c = n.op("Add", b, n.op("Relu", conv(n, b, 16, 16, 3)))
    d = n.op("Relu", conv(n, c, 16, 16, 3))
    y = n.op("Relu", conv(n, n.op("Concat", a, b, c, d, axis=1), 64, 32))
    z = n.op("Concat", y, d, n.op("MaxPool", d, kernel_shape=[3, 3],
                                  pads=[1, 1, 1, 1]), axis=1)
    check(n, conv(n, z, 64, 8), Block=0, Unblock=1, Split=1, Concat=2)


def split_between_blocks():
    n = Net(11)
    x = conv(n, n.input(2, 3, 9, 11), 3, 28)
    a, b = n.op("Split", x, outs=2, axis=1, split=[12, 16])
    y = n.op("Concat", conv(n, b, 16, 16), conv(n, a, 12, 16), axis=1)
    check(n, y, Split=1)


def segmentation_enlarged_at_the_end():
    """What changes nothing is gone; the small tensor is made plain."""
    n = Net(17)
    x = conv(n, n.input(1, 3, 19, 17), 3, 21, 3)
    same = n.op("Resize", x, "", "", n.ints(1, 21, 19, 17), mode="linear")
    big = n.op("Resize", same, "", "", n.ints(1, 21, 75, 70), mode="linear",
               coordinate_transformation_mode="align_corners")
    check(n, n.op("Sigmoid", big), ResizeBlocked=0, Resize=1, Unblock=1)


def segmentation_by_class():
    """The classes of what is enlarged, the enlarged scores nowhere."""
    for keep, mode in (1, "half_pixel"), (0, "align_corners"):
        n = Net(13)
        x = conv(n, n.input(2, 3, 13, 17), 3, 21, 3)
        big = n.op("Resize", x, "", n.const([1, 1, 4, 3]), mode="linear",
                   coordinate_transformation_mode=mode)
        best = n.op("ArgMax", big, axis=1, keepdims=keep)
        check(n, best, TensorProto.INT64, ResizeArgMax=1, Resize=0, ArgMax=0)
    model = n.model(best, dtype=TensorProto.INT64)
    n.feeds["x0"][1, 1, 5, 6] = np.nan
    plain = engine.run(model, n.feeds, optimize=-1)[0]
    np.testing.assert_array_equal(engine.run(model, n.feeds, threads=2)[0],
                                  plain)


def tokens_to_pictures_and_back():
    """PVT's MLP; then rows that something else reads, too."""
    n = Net(13)
    x = n.input(2, 5 * 7, 24)
    picture = n.reshape(n.turn(x, 0, 2, 1), 2, 24, 5, 7)
    y = n.op("Conv", picture, n.weight(24, 1, 3, 3), n.weight(24), group=24,
             pads=[1] * 4)
    rows = n.turn(n.reshape(y, 2, 24, -1), 0, 2, 1)
    check(n, n.op("Relu", n.linear(rows, 24, 16)), Transpose=0, Block=1,
          Unblock=1)
    n = Net(13)
    x = n.turn(n.input(1, 15, 8), 0, 2, 1)
    y = conv(n, n.reshape(x, 1, 8, 3, 5), 8, 8, 3)
    check(n, n.op("Add", x, n.reshape(y, 1, 8, 15)), Transpose=1)


def cuts_that_cut_nothing():
    n = Net(13)
    x = conv(n, n.input(1, 3, 8, 9), 3, 16)
    y = n.op("Slice", x, n.ints(0), n.ints(16), n.ints(1), n.ints(1))
    z = n.op("Expand", n.op("Relu", y), n.ints(1, 16, 1, 1))
    back = n.op("Slice", z, n.ints(-1), n.ints(-99), n.ints(3), n.ints(-1))
    check(n, conv(n, back, 16, 8), Slice=1, Expand=0)


TESTS = [
    timm_by_gather_at_opset_11, timm_by_split_at_opset_13,
    timm_by_gather_at_opset_18, bert_with_mask_and_tanh_gelu,
    torch_2_scales_both_and_masks, detr_with_three_dimensions,
    swin_with_relative_positions, yolo_with_channels_first,
    llama_with_rms_norm_and_silu, clip_with_quick_gelu,
    long_sequences_of_multi_head_attention, long_sequences_with_a_bias,
    levit_with_flattened_rows, heads_with_batch_norms, norms_that_stay,
    fastvit_with_two_filters_a_channel, yolo_with_channels_split_and_joined,
    split_between_blocks, segmentation_enlarged_at_the_end,
    segmentation_by_class, tokens_to_pictures_and_back, cuts_that_cut_nothing,
]


def main():
    failed = 0
    print(f"1..{len(TESTS)}")
    for i, test in enumerate(TESTS, 1):
        try:
            test()
            print(f"ok {i} - {test.__name__}")
        except Exception:  # a failed assertion, a crash, a timeout
            failed += 1
            print(f"not ok {i} - {test.__name__}")
            for line in traceback.format_exc().splitlines():
                print("#", line)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
