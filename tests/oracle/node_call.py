"""One operator with its inputs, run by us and by ONNX Runtime.

Each test module is a list of functions named ..._match(es); main() runs them
and prints TAP.  A failure names its case; OC_TEST_SEED replays a run.
"""
import os
import sys
import traceback

import numpy as np
import onnx
from onnx import helper

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


def numbers(shape, dtype, low=-50, high=50):
    """Random numbers that any type holds; small ones for floats."""
    dtype = np.dtype(dtype)
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = max(low, info.min), min(high, info.max)
        return rng.integers(low, high, shape, endpoint=True).astype(dtype)
    return rng.standard_normal(shape).astype(np.float64).astype(dtype)


def element_type(array):
    if array.dtype == object:
        return engine.STRING
    return engine.NUMBERS[array.dtype]


class Call:
    """One node with its inputs; None is an absent one."""

    def __init__(self, op, inputs, outputs=1, domain="", opset=17,
                 constants=(), more=None, version=1, **attrs):
        """version: of the domain; constants: numbers of inputs that are initialisers; more: attributes
        whose names collide with parameters here."""
        self.op, self.domain, self.opset = op, domain, opset
        attrs.update(more or {})
        self.attrs = {k: v for k, v in attrs.items() if v is not None}
        given = {f"i{n}": np.asarray(x) for n, x in enumerate(inputs)
                 if x is not None}
        fixed = {f"i{n}" for n in constants}
        self.feeds = {k: v for k, v in given.items() if k not in fixed}
        names = [f"i{n}" if x is not None else ""
                 for n, x in enumerate(inputs)]
        self.outputs = [f"o{n}" for n in range(outputs)]
        node = helper.make_node(op, names, self.outputs, domain=domain,
                                **self.attrs)
        graph = helper.make_graph(
            [node], "test",
            [helper.make_tensor_value_info(k, element_type(v), v.shape)
             for k, v in self.feeds.items()],
            [onnx.ValueInfoProto(name=o) for o in self.outputs],
            [onnx.numpy_helper.from_array(given[k], k) for k in fixed])
        imports = [helper.make_opsetid("", opset)]
        if domain:
            imports.append(helper.make_opsetid(domain, version))
        self.model = helper.make_model(graph, opset_imports=imports,
                                       ir_version=10).SerializeToString()

    def __str__(self):
        shapes = " ".join(f"{k}:{v.dtype}{list(v.shape)}"
                          for k, v in self.feeds.items())
        return f"{self.op} {shapes} {self.attrs} opset {self.opset}"

    def ours(self, **how):
        try:
            return engine.run(self.model, self.feeds, **how)
        except engine.Failure as problem:
            raise AssertionError(f"{self}: {problem}") from None

    def reference(self):
        """What ONNX's own reference says."""
        from onnx.reference import ReferenceEvaluator
        return ReferenceEvaluator(
            onnx.load_model_from_string(self.model)).run(None, self.feeds)

    def theirs(self):
        return peer.session(self.model, optimize=False).run(None, self.feeds)


def same(call, got, want, rtol=1e-4, atol=1e-5, steps=0):
    """Equal within the tolerance, or for integers within some steps."""
    for n, (a, b) in enumerate(zip(got, want, strict=True)):
        b = np.asarray(b)
        assert a is not None and a.shape == b.shape, \
            f"{call}: output {n} is {None if a is None else a.shape}, " \
            f"want {b.shape}"
        assert a.dtype == b.dtype, f"{call}: output {n} is {a.dtype}, " \
            f"want {b.dtype}"
        where = f"{call}: output {n}"
        if a.dtype == object:
            assert a.tolist() == b.tolist(), \
                f"{where} is {a.tolist()}, want {b.tolist()}"
            continue
        if a.dtype.kind in "iub":
            if steps:
                far = np.abs(a.astype(np.int64) - b.astype(np.int64))
                assert not far.size or far.max() <= steps, \
                    f"{where} is off by {far.max()}"
            else:
                np.testing.assert_array_equal(a, b, err_msg=where)
            continue
        np.testing.assert_allclose(a.astype(np.float64), b.astype(np.float64),
                                   rtol, atol, err_msg=where)


def compare(call, want=None, **how):
    """Ours against `want` (ONNX Runtime's), and one thread against two."""
    got = call.ours()
    same(call, got, call.theirs() if want is None else want, **how)
    again = call.ours(threads=2)
    for a, b in zip(got, again):
        alike = a.tolist() == b.tolist() if a.dtype == object \
            else a.tobytes() == b.tobytes()
        assert alike, f"{call}: depends on threads"
    return got


def main(names):
    tests = [(n, f) for n, f in names.items()
             if n.endswith(("_match", "_matches")) or "_matches_" in n or
             "_match_" in n]
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
        except Exception:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print(f"not ok {i} - {name}", flush=True)
    return 1 if failed else 0
