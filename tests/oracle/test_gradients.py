"""Gradients of whole networks compared with JAX.

Each network is written twice: as an ONNX graph with a Gradient node, which
libocelli.so in $OC_BUILD_DIR runs, and as a JAX function, in f64, which is
differentiated there.  Prints TAP; exits with 77 where JAX is not installed.
"""
import os
import sys
import traceback

import numpy as np
from onnx import helper

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engine

try:
    import jax
    import jax.numpy as jnp
    from jax import lax
except ImportError:
    print("1..0 # SKIP no JAX")
    sys.exit(77)

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")
rng = np.random.default_rng(int(os.environ.get("OC_TEST_SEED", "1")))


class Graph:
    """Nodes in order; every method returns the name of a new value."""

    def __init__(self):
        self.nodes, self.feeds, self.wanted = [], {}, []

    def weight(self, *shape, scale=None, around=0.0):
        """A parameter, which the loss is differentiated by."""
        name = f"w{len(self.wanted)}"
        if scale is None:
            scale = 1 / np.sqrt(max(np.prod(shape[1:]), 1))
        self.feeds[name] = around + scale * rng.standard_normal(shape)
        self.wanted.append(name)
        return name

    def constant(self, value):
        name = f"c{len(self.feeds)}"
        self.feeds[name] = np.asarray(value)
        return name

    def op(self, op, *inputs, outputs=1, **attrs):
        names = [f"t{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, list(inputs), names, **attrs))
        return names[0] if outputs == 1 else names

    def gradients(self, loss, dtype):
        """The loss and what ocelli says are its derivatives."""
        outs = [f"d_{name}" for name in self.wanted]
        grad = helper.make_node(
            "Gradient", self.wanted, outs, xs=self.wanted, y=loss,
            domain="ai.onnx.preview.training")
        feeds = {k: v.astype(dtype) if v.dtype == np.float64 else v
                 for k, v in self.feeds.items()}
        graph = helper.make_graph(
            self.nodes + [grad], "network",
            [helper.make_tensor_value_info(k, engine.NUMBERS[v.dtype], v.shape)
             for k, v in feeds.items()],
            [helper.make_empty_tensor_value_info(o) for o in [loss] + outs])
        model = helper.make_model(graph, ir_version=10, opset_imports=[
            helper.make_opsetid("", 20),
            helper.make_opsetid("ai.onnx.preview.training", 1)])
        return engine.run(model.SerializeToString(), feeds, optimize=0)


def check(graph, loss, function):
    """function: JAX, from the feeds to the loss."""
    feeds = {k: jnp.asarray(v) for k, v in graph.feeds.items()}
    free = {k: feeds.pop(k) for k in graph.wanted}
    value, grads = jax.value_and_grad(lambda w: function({**feeds, **w}))(free)
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 2e-4)):
        got = graph.gradients(loss, dtype)
        np.testing.assert_allclose(got[0], value, tolerance)
        for name, g in zip(graph.wanted, got[1:]):
            want = np.asarray(grads[name])
            assert g.shape == want.shape, (name, g.shape, want.shape)
            most = np.abs(want).max()
            worst = np.abs(g - want).max()
            assert worst <= tolerance * most + 1e-7, (
                f"{name} {g.shape}, {dtype.__name__}: off by {worst} of {most}")


# ---- the same layers in both -----------------------------------------------


def conv(x, w, b=None, stride=1, pad=0, groups=1):
    y = lax.conv_general_dilated(x, w, (stride, stride), [(pad, pad)] * 2,
                                 feature_group_count=groups,
                                 dimension_numbers=("NCHW", "OIHW", "NCHW"))
    return y if b is None else y + b[:, None, None]


def conv_node(g, x, w, *bias, stride=1, pad=0, groups=1):
    return g.op("Conv", x, w, *bias, strides=[stride] * 2, pads=[pad] * 4,
                group=groups)


def batch_norm(x, scale, bias):
    mean = x.mean((0, 2, 3), keepdims=True)
    var = ((x - mean) ** 2).mean((0, 2, 3), keepdims=True)
    return ((x - mean) / jnp.sqrt(var + 1e-5) * scale[:, None, None] +
            bias[:, None, None])


class BatchNorm:
    """In training: with the batch's statistics, updating the running ones."""

    def __init__(self, g, channels):
        self.scale = g.weight(channels, scale=0.2, around=1)
        self.bias = g.weight(channels, scale=0.2)
        self.running = [g.constant(np.zeros(channels)),
                        g.constant(np.ones(channels))]

    def node(self, g, x):
        return g.op("BatchNormalization", x, self.scale, self.bias,
                    *self.running, outputs=3, training_mode=1)[0]

    def __call__(self, f, x):
        return batch_norm(x, f[self.scale], f[self.bias])


def max_pool(x, size, stride, pad):
    edge = [(0, 0), (0, 0), (pad, pad), (pad, pad)]
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 1, size, size),
                             (1, 1, stride, stride), edge)


def layer_norm(x, scale, bias):
    mean = x.mean(-1, keepdims=True)
    var = ((x - mean) ** 2).mean(-1, keepdims=True)
    return (x - mean) / jnp.sqrt(var + 1e-5) * scale + bias


def cross_entropy(logits, target):
    log_prob = jax.nn.log_softmax(logits, 1)
    return -jnp.take_along_axis(log_prob, target[:, None], 1).mean()


# ---- the networks ------------------------------------------------------------


def mobilenet_block_matches():
    """Inverted residual with squeeze and excitation, MobileNetV3's."""
    g = Graph()
    x = g.weight(4, 16, 14, 14, scale=1)
    expand, spread = g.weight(48, 16, 1, 1), g.weight(48, 1, 5, 5)
    w1, b1 = g.weight(12, 48, 1, 1), g.weight(12, scale=0.1)
    w2, b2 = g.weight(48, 12, 1, 1), g.weight(48, scale=0.1)
    project = g.weight(16, 48, 1, 1)
    norms = [BatchNorm(g, n) for n in (48, 48, 16)]

    t = g.op("HardSwish", norms[0].node(g, conv_node(g, x, expand)))
    t = conv_node(g, t, spread, pad=2, groups=48)
    t = g.op("HardSwish", norms[1].node(g, t))
    s = g.op("Relu", conv_node(g, g.op("GlobalAveragePool", t), w1, b1))
    s = g.op("HardSigmoid", conv_node(g, s, w2, b2), alpha=1 / 6, beta=0.5)
    t = norms[2].node(g, conv_node(g, g.op("Mul", t, s), project))
    y = g.op("Add", t, x)
    loss = g.op("ReduceMean", g.op("Mul", y, g.op("Tanh", y)), keepdims=0)

    def hard_sigmoid(v):
        return jnp.clip(v / 6 + 0.5, 0, 1)

    def network(f):
        t = norms[0](f, conv(f[x], f[expand]))
        t = conv(t * hard_sigmoid(t), f[spread], pad=2, groups=48)
        t = norms[1](f, t)
        t = t * hard_sigmoid(t)
        s = conv(t.mean((2, 3), keepdims=True), f[w1], f[b1])
        s = hard_sigmoid(conv(jnp.maximum(s, 0), f[w2], f[b2]))
        y = norms[2](f, conv(t * s, f[project])) + f[x]
        return (y * jnp.tanh(y)).mean()

    check(g, loss, network)


def resnet_blocks_match():
    """A stem, a block that goes down and a classifier, as in ResNet."""
    g = Graph()
    x = g.constant(rng.standard_normal((3, 3, 33, 31)))
    target = g.constant(np.array([1, 4, 0]))
    stem, first = g.weight(16, 3, 7, 7), g.weight(32, 16, 3, 3)
    second, short = g.weight(32, 32, 3, 3), g.weight(32, 16, 1, 1)
    head, bias = g.weight(6, 32), g.weight(6, scale=0.1)
    norms = [BatchNorm(g, n) for n in (16, 32, 32, 32)]

    t = conv_node(g, x, stem, stride=2, pad=3)
    t = g.op("MaxPool", g.op("Relu", norms[0].node(g, t)),
             kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    u = norms[1].node(g, conv_node(g, t, first, stride=2, pad=1))
    u = norms[2].node(g, conv_node(g, g.op("Relu", u), second, pad=1))
    v = norms[3].node(g, conv_node(g, t, short, stride=2))
    y = g.op("Relu", g.op("Add", u, v))
    y = g.op("Flatten", g.op("GlobalAveragePool", y))
    y = g.op("Gemm", y, head, bias, transB=1)
    loss = g.op("SoftmaxCrossEntropyLoss", y, target)

    def network(f):
        t = jax.nn.relu(norms[0](f, conv(f[x], f[stem], stride=2, pad=3)))
        t = max_pool(t, 3, 2, 1)
        u = jax.nn.relu(norms[1](f, conv(t, f[first], stride=2, pad=1)))
        u = norms[2](f, conv(u, f[second], pad=1))
        v = norms[3](f, conv(t, f[short], stride=2))
        y = jax.nn.relu(u + v).mean((2, 3))
        return cross_entropy(y @ f[head].T + f[bias], f[target])

    check(g, loss, network)


def vit_block_matches():
    """Patches, one block of attention and one of features, a class token."""
    g = Graph()
    size, heads, width = 24, 4, 48
    x = g.constant(rng.standard_normal((2, 3, 16, 16)))
    target = g.constant(np.array([3, 0]))
    patch = g.weight(size, 3, 4, 4)
    token, place = g.weight(1, 1, size), g.weight(1, 17, size, scale=0.3)
    norms = [(g.weight(size, scale=0.2, around=1), g.weight(size, scale=0.2))
             for _ in range(3)]
    qkv, qkv_bias = g.weight(size, 3 * size), g.weight(3 * size, scale=0.1)
    out, out_bias = g.weight(size, size), g.weight(size, scale=0.1)
    up, up_bias = g.weight(size, width), g.weight(width, scale=0.1)
    down, head = g.weight(width, size), g.weight(size, 5)

    def ints(*v):
        return g.constant(np.array(v))

    def linear(x, w, b):
        return g.op("Add", g.op("MatMul", x, w), b)

    t = g.op("Reshape", conv_node(g, x, patch, stride=4), ints(2, size, 16))
    t = g.op("Transpose", t, perm=[0, 2, 1])
    tokens = g.op("Expand", token, ints(2, 1, size))
    t = g.op("Add", g.op("Concat", tokens, t, axis=1), place)
    n = g.op("LayerNormalization", t, *norms[0])
    n = g.op("Reshape", linear(n, qkv, qkv_bias),
             ints(2, 17, 3, heads, size // heads))
    n = g.op("Transpose", n, perm=[2, 0, 3, 1, 4])
    q, k, v = g.op("Split", n, outputs=3, axis=0, num_outputs=3)
    q, k, v = (g.op("Squeeze", i, ints(0)) for i in (q, k, v))
    scale = g.constant(np.array(1 / np.sqrt(size // heads)))
    s = g.op("MatMul", g.op("Mul", q, scale),
             g.op("Transpose", k, perm=[0, 1, 3, 2]))
    a = g.op("MatMul", g.op("Softmax", s, axis=-1), v)
    a = g.op("Reshape", g.op("Transpose", a, perm=[0, 2, 1, 3]),
             ints(2, 17, size))
    t = g.op("Add", t, linear(a, out, out_bias))
    n = linear(g.op("LayerNormalization", t, *norms[1]), up, up_bias)
    t = g.op("Add", t, g.op("MatMul", g.op("Gelu", n), down))
    first = g.op("Gather", g.op("LayerNormalization", t, *norms[2]), ints(0),
                 axis=1)
    first = g.op("Squeeze", first, ints(1))
    loss = g.op("SoftmaxCrossEntropyLoss", g.op("MatMul", first, head), target)

    def network(f):
        t = conv(f[x], f[patch], stride=4).reshape(2, size, 16)
        t = jnp.concatenate([jnp.broadcast_to(f[token], (2, 1, size)),
                             t.transpose(0, 2, 1)], 1) + f[place]
        n = layer_norm(t, f[norms[0][0]], f[norms[0][1]])
        n = (n @ f[qkv] + f[qkv_bias]).reshape(2, 17, 3, heads, size // heads)
        q, k, v = n.transpose(2, 0, 3, 1, 4)
        s = jax.nn.softmax(q @ k.swapaxes(2, 3) / np.sqrt(size // heads), -1)
        a = (s @ v).transpose(0, 2, 1, 3).reshape(2, 17, size)
        t = t + a @ f[out] + f[out_bias]
        n = layer_norm(t, f[norms[1][0]], f[norms[1][1]]) @ f[up] + f[up_bias]
        t = t + jax.nn.gelu(n, approximate=False) @ f[down]
        t = layer_norm(t, f[norms[2][0]], f[norms[2][1]])
        return cross_entropy(t[:, 0] @ f[head], f[target])

    check(g, loss, network)




def unet_block_matches():
    """Down, up by a transposed convolution and by interpolation, joined."""
    g = Graph()
    x = g.weight(2, 3, 16, 12, scale=1)
    target = g.constant(rng.integers(0, 4, (2, 16, 12)))
    a1, a1_bias = g.weight(8, 3, 3, 3), g.weight(8, scale=0.1)
    scale, bias = g.weight(8, scale=0.2, around=1), g.weight(8, scale=0.2)
    deep = g.weight(16, 8, 3, 3)
    up, up_bias = g.weight(16, 8, 2, 2), g.weight(8, scale=0.1)
    slope = g.weight(16, 1, 1, scale=0.1, around=0.25)
    last, last_bias = g.weight(4, 32, 1, 1), g.weight(4, scale=0.1)

    t = conv_node(g, x, a1, a1_bias, pad=1)
    t = g.op("InstanceNormalization", t, scale, bias)
    skip = g.op("LeakyRelu", t, alpha=0.1)
    t = g.op("AveragePool", skip, kernel_shape=[2, 2], strides=[2, 2])
    t = g.op("PRelu", conv_node(g, t, deep, pad=1), slope)
    u = g.op("ConvTranspose", t, up, up_bias, strides=[2, 2])
    v = g.op("Resize", t, "", g.constant(np.array([1, 1, 2, 2], np.float32)),
             mode="linear")
    t = g.op("Concat", skip, u, v, axis=1)
    y = conv_node(g, t, last, last_bias)
    loss = g.op("SoftmaxCrossEntropyLoss", y, target)

    def network(f):
        t = conv(f[x], f[a1], f[a1_bias], pad=1)
        mean = t.mean((2, 3), keepdims=True)
        var = ((t - mean) ** 2).mean((2, 3), keepdims=True)
        t = ((t - mean) / jnp.sqrt(var + 1e-5) * f[scale][:, None, None] +
             f[bias][:, None, None])
        skip = jnp.where(t < 0, 0.1 * t, t)
        t = skip.reshape(2, 8, 8, 2, 6, 2).mean((3, 5))
        t = conv(t, f[deep], pad=1)
        t = jnp.where(t < 0, t * f[slope], t)
        u = lax.conv_transpose(t, f[up], (2, 2), "VALID",
                               dimension_numbers=("NCHW", "OIHW", "NCHW"),
                               transpose_kernel=True)
        u = u + f[up_bias][:, None, None]
        v = jax.image.resize(t, (2, 16, 16, 12), "linear", antialias=False)
        y = conv(jnp.concatenate([skip, u, v], 1), f[last], f[last_bias])
        y = y.transpose(0, 2, 3, 1).reshape(-1, 4)
        return cross_entropy(y, f[target].reshape(-1))

    check(g, loss, network)


def main():
    tests = [(n, f) for n, f in globals().items()
             if n.endswith(("_match", "_matches"))]
    failed = 0
    print(f"1..{len(tests)}")
    for i, (name, test) in enumerate(tests, 1):
        try:
            test()
            print(f"ok {i} - {name}", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"not ok {i} - {name}", flush=True)
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
