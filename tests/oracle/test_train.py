"""Training beside JAX and ONNX Runtime.

A linear classifier is trained by libocelli.so, in $OC_BUILD_DIR, with every
loss and optimiser; the same steps are taken in f64 with JAX's derivatives and
PyTorch's published formulas.  Architectures are trained for a moment, saved,
and must give ONNX Runtime the scores they give us.  Prints TAP.
"""
import ctypes as c
import os
import sys
import tempfile
import traceback

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engine

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    print("1..0 # SKIP no JAX")
    sys.exit(77)

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_platforms", "cpu")
seed = int(os.environ.get("OC_TEST_SEED", "1"))
rng = np.random.default_rng(seed)
lib = engine._lib
CRITERIA = ["auto", "cross-entropy", "bce", "focal", "dice", "l1", "l2",
            "huber", "kl"]
SGD, ADAMW = 1, 2
work = tempfile.mkdtemp(prefix="ocelli-train-")


class Options(c.Structure):
    _fields_ = [("arch", c.c_char_p), ("model", c.c_char_p),
                ("classes", c.c_int), ("keep_head", c.c_int),
                ("height", c.c_int), ("width", c.c_int),
                ("width_factor", c.c_double), ("batch", c.c_int),
                ("multi", c.c_int), ("criterion", c.c_int),
                ("class_weights", c.c_void_p), ("focus", c.c_double),
                ("levels", c.c_int), ("above", c.c_void_p),
                ("hierarchy", c.c_double),
                ("taught", c.c_int), ("distill", c.c_double),
                ("temperature", c.c_double),
                ("optimizer", c.c_int), ("no_nesterov", c.c_int),
                ("ema", c.c_double), ("freeze", c.c_int),
                ("freeze_norm", c.c_int), ("qat", c.c_int),
                ("seed", c.c_uint64),
                ("threads", c.c_int), ("cpu_mask", c.c_uint32),
                ("optimize", c.c_int), ("memory_bytes", c.c_size_t),
                ("profile", c.c_int), ("allocator", c.c_void_p)]


class Step(c.Structure):
    _fields_ = [("rate", c.c_double), ("decay", c.c_double),
                ("momentum", c.c_double), ("beta2", c.c_double),
                ("epsilon", c.c_double), ("clip", c.c_double),
                ("ema", c.c_double), ("teacher", c.c_void_p)]


class Result(c.Structure):
    _fields_ = [("loss", c.c_double), ("norm", c.c_double),
                ("logits", c.POINTER(engine.Tensor))]


class Trainer:
    def __init__(self, **options):
        self.error, self.handle = engine.Error(), c.c_void_p()
        self.kept = options
        if lib.oc_trainer_create(c.byref(self.handle),
                                 c.byref(Options(**options)),
                                 c.byref(self.error)):
            raise RuntimeError(self.error.message.decode())

    def _check(self, status):
        if status:
            raise RuntimeError(self.error.message.decode())

    def step(self, x, y, **options):
        result = Result()
        a, b = engine._tensor(x), engine._tensor(y)
        self._check(lib.oc_trainer_step(
            self.handle, c.byref(a), c.byref(b),
            c.byref(Step(**options)), c.byref(result), c.byref(self.error)))
        return result.loss, result.norm

    def predict(self, x):
        out, a = c.POINTER(engine.Tensor)(), engine._tensor(x)
        self._check(lib.oc_trainer_predict(self.handle, c.byref(a),
                                           c.byref(out), c.byref(self.error)))
        t = out.contents
        shape = tuple(t.dims[:t.rank])
        data = (c.c_float * int(np.prod(shape))).from_address(t.data)
        return np.array(data, np.float32).reshape(shape)

    def save(self, name):
        path = os.path.join(work, name)
        self._check(lib.oc_trainer_save(self.handle, path.encode(),
                                        c.byref(self.error)))
        return path

    def close(self):
        lib.oc_trainer_destroy(self.handle)


# ---- what PyTorch's documentation says --------------------------------------

def loss_of(name, multi, x, t, weights, gamma):
    """torch.nn.functional, for targets that are shares of classes."""
    n, log_p = x.shape[0], jax.nn.log_softmax(x)
    w = jnp.ones(x.shape[1]) if weights is None else weights
    if name == "auto":
        name = "bce" if multi else "cross-entropy"
    if name == "cross-entropy":
        return -(w * t * log_p).sum() / n
    if name == "focal" and not multi:
        return -(w * t * (1 - jnp.exp(log_p)) ** gamma * log_p).sum() / n
    bce = -(w * t * jax.nn.log_sigmoid(x) + (1 - t) * jax.nn.log_sigmoid(-x))
    if name == "bce":
        return bce.mean()
    p = jax.nn.sigmoid(x)
    if name == "focal":
        right = p * t + (1 - p) * (1 - t)
        return ((1 - right) ** gamma * bce).mean()
    if name == "dice":
        p = p if multi else jnp.exp(log_p)
        return (1 - (2 * (p * t).sum(0) + 1) / (p.sum(0) + t.sum(0) + 1)
                ).mean()
    e = jnp.abs(x - t)
    if name == "l1":
        return e.mean()
    if name == "l2":
        return (e * e).mean()
    if name == "huber":
        return jnp.where(e < 1, e * e / 2, e - 0.5).mean()
    assert name == "kl"
    log_t = jnp.log(jnp.maximum(t, 1e-30))
    return (t * (log_t - log_p)).sum() / n


def loss_above(x, t, weights, above):
    """Cross entropy of sums of shares, each level's the same."""
    w = jnp.ones(x.shape[1]) if weights is None else weights
    log_p, losses = jax.nn.log_softmax(x), []
    for groups in above:
        for g in set(groups):
            of = [i for i, k in enumerate(groups) if k == g]
            share = jax.nn.logsumexp(log_p[:, of], axis=1)
            losses.append(-((w * t)[:, of].sum(1) * share).sum())
    return sum(losses) / len(above) / x.shape[0]


def sgd(w, g, s, o, k):
    """torch.optim.SGD."""
    g = g + o["decay"] * (k == "w") * w
    s["v"] = o["momentum"] * s.get("v", 0) + g
    step = g + o["momentum"] * s["v"] if o["nesterov"] else s["v"]
    return w - o["rate"] * step


def adamw(w, g, s, o, k):
    """torch.optim.AdamW."""
    s["t"] = s.get("t", 0) + 1
    w = w * (1 - o["rate"] * o["decay"] * (k == "w"))
    s["m"] = o["momentum"] * s.get("m", 0) + (1 - o["momentum"]) * g
    s["s"] = o["beta2"] * s.get("s", 0) + (1 - o["beta2"]) * g * g
    m = s["m"] / (1 - o["momentum"] ** s["t"])
    v = s["s"] / (1 - o["beta2"] ** s["t"])
    return w - o["rate"] * m / (np.sqrt(v) + o["epsilon"])


# ---- a linear classifier ----------------------------------------------------

BATCH, CLASSES, SHAPE = 6, 5, (3, 4, 4)
INPUTS = int(np.prod(SHAPE))


def linear(path, w, b):
    g = helper.make_graph(
        [helper.make_node("Flatten", ["x"], ["f"]),
         helper.make_node("Gemm", ["f", "w", "b"], ["y"], transB=1)],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT,
                                       ("n",) + SHAPE)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT,
                                       ("n", CLASSES))],
        [numpy_helper.from_array(w, "w"), numpy_helper.from_array(b, "b")])
    onnx.save(helper.make_model(
        g, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def weights_of(path):
    found = {i.name: numpy_helper.to_array(i)
             for i in onnx.load(path).graph.initializer}
    return found["w"].astype(np.float64), found["b"].astype(np.float64)


def targets(multi):
    if multi:
        return rng.integers(0, 2, (BATCH, CLASSES)).astype(np.float32)
    t = rng.dirichlet(np.ones(CLASSES), BATCH)
    t[0] = np.eye(CLASSES)[1]
    return t.astype(np.float32)


def trained(criterion, multi=False, optimizer=SGD, weights=None, gamma=0.0,
            clip=0.0, decay=0.01, nesterov=True, ema=0.0, steps=4,
            above=None, hierarchy=0.0):
    w = rng.standard_normal((CLASSES, INPUTS)).astype(np.float32) * 0.3
    b = rng.standard_normal(CLASSES).astype(np.float32) * 0.1
    path = os.path.join(work, "linear.onnx")
    linear(path, w, b)
    listed = None
    if weights is not None:
        listed = np.asarray(weights, np.float32)
    levels = None if above is None else np.asarray(above, np.int32)
    t = Trainer(model=path.encode(), classes=CLASSES, keep_head=1, batch=BATCH,
                criterion=CRITERIA.index(criterion), multi=multi, focus=gamma,
                optimizer=optimizer, no_nesterov=not nesterov, threads=1,
                ema=ema, hierarchy=hierarchy,
                levels=0 if levels is None else len(levels),
                above=None if levels is None else levels.ctypes.data,
                class_weights=None if listed is None else listed.ctypes.data)
    o = dict(rate=0.05, decay=decay, momentum=0.9, beta2=0.98, epsilon=1e-7)
    p = {"w": w.astype(np.float64), "b": b.astype(np.float64)}
    mean = dict(p)
    state = {"w": {}, "b": {}}

    def loss(p, x, y):
        x = x.reshape(BATCH, INPUTS) @ p["w"].T + p["b"]
        flat = loss_of(criterion, multi, x, y, weights, gamma or 2.0)
        if above is None:
            return flat
        return (1 - hierarchy) * flat + hierarchy * loss_above(
            x, y, weights, above)
    for n in range(1, steps + 1):
        x = rng.standard_normal((BATCH,) + SHAPE).astype(np.float32)
        y = targets(multi)
        got = t.step(x, y, clip=clip, **o)
        value, g = jax.value_and_grad(loss)(p, x.astype(np.float64),
                                            y.astype(np.float64))
        norm = np.sqrt(sum(float((v * v).sum()) for v in g.values()))
        np.testing.assert_allclose(got, (value, norm), rtol=2e-5, atol=1e-6)
        scale = clip / (norm + 1e-6) if 0 < clip < norm else 1
        for k in p:
            f = adamw if optimizer == ADAMW else sgd
            p[k] = f(p[k], np.asarray(g[k]) * scale, state[k],
                     dict(o, nesterov=nesterov), k)
            keep = min(ema, n / (n + 9))
            mean[k] = keep * mean[k] + (1 - keep) * p[k]
    got = weights_of(t.save("after.onnx"))
    want = mean if ema else p
    np.testing.assert_allclose(got[0], want["w"], rtol=2e-5, atol=2e-6)
    np.testing.assert_allclose(got[1], want["b"], rtol=2e-5, atol=2e-6)
    t.close()


def every_loss():
    for name in CRITERIA:
        trained(name)
        trained(name, multi=True) if name in ("auto", "bce", "focal",
                                              "dice") else None


def weighted_losses():
    w = rng.uniform(0.2, 3, CLASSES)
    trained("cross-entropy", weights=w)
    trained("focal", weights=w, gamma=1.5)
    trained("bce", multi=True, weights=w)


def classes_in_classes():
    groups = rng.integers(0, 2, CLASSES)
    groups[:2] = 0, 1
    finer = groups.copy()
    finer[-1] = 2
    trained("cross-entropy", above=[groups], hierarchy=0.3)
    trained("focal", above=[groups, finer], hierarchy=1.0,
            weights=rng.uniform(0.2, 3, CLASSES))


def plain_and_nesterov_momentum():
    trained("cross-entropy", nesterov=False)
    trained("cross-entropy", nesterov=True, decay=0.0)


def adamw_with_decoupled_decay():
    trained("cross-entropy", optimizer=ADAMW, steps=6)
    trained("bce", multi=True, optimizer=ADAMW, decay=0.3)


def clipped_gradients():
    trained("l2", clip=0.1)
    trained("cross-entropy", optimizer=ADAMW, clip=0.05)
    trained("cross-entropy", clip=1e6)


def averaged_weights():
    trained("cross-entropy", ema=0.999, steps=5)
    trained("cross-entropy", ema=0.05, steps=5)


# ---- architectures ----------------------------------------------------------

def runs_elsewhere(name, size, width):
    t = Trainer(arch=name.encode(), classes=4, height=size, width=size,
                width_factor=width, batch=4, threads=2, seed=seed, ema=0.9)
    for _ in range(3):
        x = rng.standard_normal((4, 3, size, size)).astype(np.float32)
        y = np.eye(4, dtype=np.float32)[rng.integers(0, 4, 4)]
        t.step(x, y, rate=0.01, clip=1.0)
    path = t.save(name + ".onnx")
    onnx.checker.check_model(onnx.load(path), full_check=True)
    other = onnxruntime.InferenceSession(path)
    for n in (1, 3):
        x = rng.standard_normal((n, 3, size, size)).astype(np.float32)
        want, = other.run(None, {"input": x})
        got = t.predict(x)
        bound = 1e-3 * max(np.abs(want).max(), 1e-3)
        np.testing.assert_allclose(got, want, atol=bound, rtol=0)
    t.close()


def architectures_run_in_onnx_runtime():
    for name, size, width in (("resnet8", 32, 1), ("mobilenetv2", 64, 0.35),
                              ("mobilenetv2", 96, 0.5), ("resnet18", 80, 0.25),
                              ("resnet50", 72, 0.125), ("convnext", 64, 0.4),
                              ("convnext", 96, 0.4), ("vit", 64, 0.34),
                              ("vit", 176, 0.34)):
        runs_elsewhere(name, size, width)


TESTS = [every_loss, weighted_losses, plain_and_nesterov_momentum,
         adamw_with_decoupled_decay, clipped_gradients, averaged_weights,
         architectures_run_in_onnx_runtime, classes_in_classes]


def main():
    failed = 0
    print(f"1..{len(TESTS)} # seed {seed}")
    for i, test in enumerate(TESTS, 1):
        name = test.__name__.replace("_", " ")
        try:
            test()
            print(f"ok {i} - {name}", flush=True)
        except Exception:
            failed += 1
            print(f"not ok {i} - {name}", flush=True)
            print("".join("#   " + line + "\n" for line in
                          traceback.format_exc().splitlines()), flush=True)
    return failed > 0


if __name__ == "__main__":
    code = main()
    for name in os.listdir(work):
        os.unlink(os.path.join(work, name))
    os.rmdir(work)
    sys.exit(code)
