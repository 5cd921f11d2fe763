"""The ONNX reader and writer against onnx, ONNX Runtime and NumPy.

Models are made here with onnx.helper, run by $OC_BUILD_DIR/ocelli, and the
outputs compared with what others compute.  Prints TAP.
"""
import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import traceback

import ml_dtypes
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import peer

BUILD = os.path.abspath(os.environ.get("OC_BUILD_DIR", "build"))
OCELLI = os.path.join(BUILD, "ocelli")
WORK = tempfile.mkdtemp(prefix="ocelli-onnx-")
F, I64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
OPSET = 17
rng = np.random.default_rng(3)


def path(name):
    return os.path.join(WORK, name)


def ocelli(*args, **how):
    return subprocess.run([OCELLI, *args], capture_output=True, text=True,
                          timeout=120, **how)


def file_of(name):
    return name.replace("/", "_").replace(":", "_") + ".npy"


def run(model, feeds, extra=()):
    """Outputs of `ocelli run` by name."""
    f, out = path("model.onnx"), path("out")
    shutil.rmtree(out, ignore_errors=True)
    if model is not None:
        onnx.save(model, f)
    args = []
    for i, (name, x) in enumerate(feeds.items()):
        np.save(path(f"in{i}.npy"), x)
        args += ["--input", f"{name}=" + path(f"in{i}.npy")]
    r = ocelli("run", f, "--output-dir", out, *args, *extra)
    assert r.returncode == 0, r.stderr
    g = onnx.load(f, load_external_data=False).graph
    return {o.name: np.load(os.path.join(out, file_of(o.name)))
            for o in g.output}


def same(ours, theirs):
    for name, want in theirs.items():
        got = ours[name]
        assert got.shape == want.shape, (name, got.shape, want.shape)
        assert got.dtype == want.dtype, (name, got.dtype, want.dtype)
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def like_ort(model, feeds):
    onnx.checker.check_model(model)
    s = peer.session(model.SerializeToString())
    want = dict(zip([o.name for o in s.get_outputs()], s.run(None, feeds)))
    for level in ("none", "full"):
        same(run(model, feeds, ("--optimize", level)), want)


def value(name, dtype=F, shape=None):
    return helper.make_tensor_value_info(name, dtype, shape)


def model_of(nodes, inputs, outputs, inits=(), functions=(), ir=10, sparse=(),
             opsets=(), **more):
    g = helper.make_graph(nodes, "g", inputs, outputs, list(inits),
                          sparse_initializer=list(sparse))
    sets = [helper.make_opsetid("", OPSET), *opsets]
    m = helper.make_model(g, functions=list(functions), opset_imports=sets,
                          **more)
    m.ir_version = ir
    return m


def node(op, ins, outs, **attrs):
    return helper.make_node(op, ins, outs, **attrs)


def x23():
    return rng.standard_normal((2, 3)).astype(np.float32)


# ---- functions ---------------------------------------------------------------

LOCAL = helper.make_opsetid("local", 1)
STANDARD = helper.make_opsetid("", OPSET)


def ref(n, name, attr, kind):
    a = onnx.AttributeProto(name=name, ref_attr_name=attr, type=kind)
    n.attribute.append(a)
    return n


def functions_take_attributes_and_defaults():
    body = [ref(node("Elu", ["x"], ["e"]), "alpha", "alpha",
                onnx.AttributeProto.FLOAT),
            ref(node("Constant", [], ["c"]), "value_float", "add",
                onnx.AttributeProto.FLOAT),
            node("Add", ["e", "c"], ["y"])]
    f = helper.make_function("local", "EluPlus", ["x"], ["y"], body, [STANDARD],
                             ["alpha"],
                             [helper.make_attribute("add", 0.5)])
    m = model_of([node("EluPlus", ["a"], ["b"], domain="local", alpha=0.3),
                  node("EluPlus", ["b"], ["z"], domain="local", alpha=2.0,
                       add=-1.0)],
                 [value("a", F, [2, 3])], [value("z", F, [2, 3])],
                 functions=[f], opsets=[LOCAL])
    like_ort(m, {"a": x23()})


def functions_call_functions():
    inner = helper.make_function(
        "local", "Twice", ["v"], ["w"],
        [node("Add", ["v", "v"], ["t"]), node("Neg", ["t"], ["w"])],
        [STANDARD])
    outer = helper.make_function(
        "local", "Four", ["v"], ["w", "t"],
        [node("Twice", ["v"], ["t"], domain="local"),
         node("Twice", ["t"], ["w"], domain="local")], [STANDARD, LOCAL])
    m = model_of([node("Four", ["a"], ["b", "t"], domain="local"),
                  node("Four", ["b"], ["z", ""], domain="local"),
                  node("Sub", ["z", "t"], ["d"])],
                 [value("a", F, [2, 3])], [value("d", F, [2, 3])],
                 functions=[inner, outer], opsets=[LOCAL])
    like_ort(m, {"a": x23()})


def functions_may_lack_arguments_and_hold_graphs():
    """An absent input, and If branches that capture inside of a function."""
    yes = helper.make_graph([node("Clip", ["v", "lo", "hi"], ["r"])], "yes", [],
                            [value("r", F, None)])
    no = helper.make_graph([node("Mul", ["v", "t"], ["s"])], "no", [],
                           [value("s", F, None)])
    f = helper.make_function(
        "local", "MaybeClip", ["v", "lo", "hi", "c"], ["w"],
        [node("Add", ["v", "v"], ["t"]),
         node("If", ["c"], ["w"], then_branch=yes, else_branch=no)],
        [STANDARD])
    for flag in (True, False):
        m = model_of([node("MaybeClip", ["a", "", "h", "c"], ["z"],
                           domain="local")],
                     [value("a", F, [2, 3]), value("h", F, []),
                      value("c", BOOL, [])],
                     [value("z", F, [2, 3])], functions=[f], opsets=[LOCAL])
        a, h = x23(), np.float32(0.1)
        want = np.minimum(a, h) if flag else a * (a + a)
        same(run(m, {"a": a, "h": h, "c": np.array(flag)}), {"z": want})


def functions_have_overloads_and_pass_inputs_through():
    one = helper.make_function("local", "F", ["v"], ["v"], [], [STANDARD])
    two = helper.make_function("local", "F", ["v"], ["w"],
                               [node("Neg", ["v"], ["w"])], [STANDARD])
    one.overload, two.overload = "same", "neg"
    call = [node("F", ["a"], ["b"], domain="local"),
            node("F", ["b"], ["z"], domain="local")]
    call[0].overload, call[1].overload = "neg", "same"
    m = model_of(call, [value("a", F, [2, 3])], [value("z", F, [2, 3])],
                 functions=[one, two], opsets=[LOCAL])
    a = x23()
    same(run(m, {"a": a}), {"z": -a})


# ---- graphs -------------------------------------------------------------------

def loops_capture_through_two_levels():
    """An If inside of a Loop uses values of the loop and of the graph."""
    then = helper.make_graph([node("Add", ["acc", "scaled"], ["p"])], "then",
                             [], [value("p", F, None)])
    other = helper.make_graph([node("Mul", ["acc", "k"], ["q"])], "else", [],
                              [value("q", F, None)])
    body = helper.make_graph(
        [node("Mul", ["a", "k"], ["scaled"]),
         node("Mod", ["i", "two"], ["odd"]), node("Cast", ["odd"], ["c"],
                                                  to=BOOL),
         node("If", ["c"], ["next"], then_branch=then, else_branch=other),
         node("Identity", ["go"], ["go_on"]),
         node("Identity", ["next"], ["seen"])],
        "body", [value("i", I64, []), value("go", BOOL, []),
                 value("acc", F, None)],
        [value("go_on", BOOL, []), value("next", F, None),
         value("seen", F, None)])
    m = model_of([node("Loop", ["n", "", "a"], ["z", "all"], body=body)],
                 [value("a", F, [2, 3]), value("n", I64, [])],
                 [value("z", F, [2, 3]), value("all", F, [None, 2, 3])],
                 [numpy_helper.from_array(np.array(2), "two"),
                  numpy_helper.from_array(np.float32(0.5), "k")])
    like_ort(m, {"a": x23(), "n": np.array(5)})


def nodes_may_stand_in_any_order():
    m = model_of([node("Add", ["t", "u"], ["z"]), node("Neg", ["t"], ["u2"]),
                  node("Mul", ["u2", "a"], ["u"]), node("Abs", ["a"], ["t"])],
                 [value("a", F, [2, 3])], [value("z", F, [2, 3])])
    a = x23()
    same(run(m, {"a": a}), {"z": np.abs(a) - np.abs(a) * a})


def inputs_may_have_defaults():
    init = [numpy_helper.from_array(np.full((2, 3), 2, np.float32), "b")]
    inputs = [value("b", F, [2, 3]), value("a", F, [2, 3])]
    nodes = [node("Mul", ["b", "b"], ["c"]), node("Mul", ["a", "c"], ["z"])]
    a, b = x23(), x23()
    m = model_of(nodes, inputs, [value("z", F, [2, 3])], init)
    same(run(m, {"a": a}), {"z": a * 4})
    same(run(m, {"a": a, "b": b}), {"z": a * (b * b)})
    m.ir_version = 3  # there it is a constant, and no input
    same(run(m, {"a": a}), {"z": a * 4})
    np.save(path("b.npy"), b)
    r = ocelli("run", path("model.onnx"), "--input", "b=" + path("b.npy"))
    assert r.returncode == 2 and 'no input "b"' in r.stderr, r


def sparse_tensors_become_dense():
    values = numpy_helper.from_array(np.array([1.5, -2, 7], np.float32), "s")
    linear = helper.make_sparse_tensor(
        values, numpy_helper.from_array(np.array([0, 3, 5]), "i"), [2, 3])
    pairs = helper.make_sparse_tensor(
        numpy_helper.from_array(np.array([4, 5], np.float32), ""),
        numpy_helper.from_array(np.array([[0, 2], [1, 1]]), "j"), [2, 3])
    m = model_of([node("Constant", [], ["k"], sparse_value=pairs),
                  node("Add", ["s", "k"], ["t"]),
                  node("Add", ["a", "t"], ["z"])],
                 [value("a", F, [2, 3])], [value("z", F, [2, 3])],
                 sparse=[linear])
    a = x23()
    dense = np.array([[1.5, 0, 0 + 4], [-2, 5, 7]], np.float32)
    same(run(m, {"a": a}), {"z": a + dense})


# ---- tensors ------------------------------------------------------------------

TYPES = {
    TensorProto.FLOAT: np.float32, TensorProto.UINT8: np.uint8,
    TensorProto.INT8: np.int8, TensorProto.UINT16: np.uint16,
    TensorProto.INT16: np.int16, TensorProto.INT32: np.int32,
    TensorProto.INT64: np.int64, TensorProto.BOOL: np.bool_,
    TensorProto.FLOAT16: np.float16, TensorProto.DOUBLE: np.float64,
    TensorProto.UINT32: np.uint32, TensorProto.UINT64: np.uint64,
    TensorProto.COMPLEX64: np.complex64, TensorProto.COMPLEX128: np.complex128,
    TensorProto.BFLOAT16: ml_dtypes.bfloat16,
    TensorProto.FLOAT8E4M3FN: ml_dtypes.float8_e4m3fn,
    TensorProto.FLOAT8E4M3FNUZ: ml_dtypes.float8_e4m3fnuz,
    TensorProto.FLOAT8E5M2: ml_dtypes.float8_e5m2,
    TensorProto.FLOAT8E5M2FNUZ: ml_dtypes.float8_e5m2fnuz,
    TensorProto.UINT4: ml_dtypes.uint4, TensorProto.INT4: ml_dtypes.int4,
    TensorProto.FLOAT4E2M1: ml_dtypes.float4_e2m1fn,
    TensorProto.FLOAT8E8M0: ml_dtypes.float8_e8m0fnu,
    TensorProto.UINT2: ml_dtypes.uint2, TensorProto.INT2: ml_dtypes.int2,
}


def widened(x):
    """As ocelli writes .npy: types NumPy has not become wider ones."""
    name = x.dtype.name
    if name in ("uint4", "uint2"):
        return x.astype(np.uint8)
    if name in ("int4", "int2"):
        return x.astype(np.int8)
    if name.startswith(("bfloat", "float8", "float4")):
        return x.astype(np.float32)
    return x


def sample(dtype, shape=(5, 3)):
    """Numbers every type can tell apart, signs where there are any."""
    x = rng.integers(0, 4, shape)
    if np.dtype(dtype).name.startswith("int"):
        x = x - 2
    if np.dtype(dtype).name.startswith("complex"):
        x = x + 1j * rng.integers(-3, 3, shape)
    if np.dtype(dtype).name == "float8_e8m0fnu":
        x = 2.0 ** x
    return x.astype(dtype)


def every_type_is_read_from_raw_and_typed_fields():
    for kind, dtype in TYPES.items():
        x = sample(dtype)
        raw = numpy_helper.from_array(x, "raw")
        assert raw.data_type == kind and raw.HasField("raw_data")
        typed = helper.make_tensor("typed", kind, x.shape, x.ravel())
        assert not typed.HasField("raw_data")
        # Odd names move the data to odd addresses.
        for name in ("raw", "raw_", "raw__", "raw___"):
            raw.name = name
            m = model_of([], [], [value(name, kind, [5, 3]),
                                  value("typed", kind, [5, 3])], [raw, typed],
                         ir=13)
            same_bits(run(m, {}), {name: widened(x), "typed": widened(x)})


def same_bits(ours, theirs):
    for name, want in theirs.items():
        got = ours[name]
        assert got.dtype == want.dtype, (name, got.dtype, want.dtype)
        np.testing.assert_array_equal(got, want)


def external_data_is_read_and_confined():
    big = rng.standard_normal((40, 50)).astype(np.float32)
    half = rng.standard_normal(31).astype(np.float16)
    m = model_of([], [], [value("w", F, [40, 50]),
                          value("h", TensorProto.FLOAT16, [31])],
                 [numpy_helper.from_array(big, "w"),
                  numpy_helper.from_array(half, "h")])
    onnx.save(m, path("model.onnx"), save_as_external_data=True,
              all_tensors_to_one_file=True, location="weights.bin",
              size_threshold=0)
    same_bits(run(None, {}), {"w": big, "h": half})

    m = onnx.load(path("model.onnx"), load_external_data=False)
    os.makedirs(path("inner"), exist_ok=True)
    shutil.copy(path("weights.bin"), path("inner/in.bin"))
    os.symlink("inner/in.bin", path("good.bin"))
    outside = tempfile.mkdtemp(prefix="ocelli-outside-")
    shutil.copy(path("weights.bin"), outside)
    os.symlink(os.path.join(outside, "weights.bin"), path("bad.bin"))
    places = {
        "inner/in.bin": 0, "good.bin": 0, "./weights.bin": 0,
        "bad.bin": 3, os.path.join(outside, "weights.bin"): 3,
        f"../{os.path.basename(WORK)}/weights.bin": 3, "inner/../x": 3,
        "gone.bin": 3, "": 3, "inner": 3,
    }
    for place, code in places.items():
        for t in m.graph.initializer:
            for e in t.external_data:
                if e.key == "location":
                    e.value = place
        with open(path("model.onnx"), "wb") as f:
            f.write(m.SerializeToString())
        r = ocelli("inspect", path("model.onnx"))
        assert r.returncode == code, (place, r)
        assert code == 0 or one_sentence(r.stderr), r.stderr
    for key, text in (("offset", "8001"), ("length", "12"), ("offset", "-1"),
                      ("offset", "99999999999999999999"), ("length", "x")):
        other = onnx.ModelProto()
        other.CopyFrom(m)
        for e in other.graph.initializer[0].external_data:
            if e.key == "location":
                e.value = "weights.bin"
            if e.key == key:
                e.value = text
        with open(path("model.onnx"), "wb") as f:
            f.write(other.SerializeToString())
        r = ocelli("inspect", path("model.onnx"))
        assert r.returncode == 3 and one_sentence(r.stderr), (key, text, r)
    shutil.rmtree(outside)


def one_sentence(text):
    return text.startswith("ocelli: ") and text.count("\n") == 1


# ---- NumPy files ----------------------------------------------------------------

def identity(kind, x, name="x"):
    return model_of([node("Identity", [name], ["y"])],
                    [value(name, kind, [None] * x.ndim)],
                    [value("y", kind, [None] * x.ndim)], ir=13)


def numpy_arrays_travel_through():
    arrays = [sample(t) for k, t in TYPES.items()
              if np.dtype(t).kind in "fiubc" and k < 16]
    arrays += [np.float32(3.5), np.zeros((0, 4), np.float32),
               np.asfortranarray(rng.standard_normal((4, 5, 6))),
               np.arange(24, dtype=">i4").reshape(2, 3, 4),
               np.arange(6, dtype=">c16").reshape(3, 2),
               np.asfortranarray(np.arange(6, dtype=">u2").reshape(3, 2))]
    for x in arrays:
        x = np.asanyarray(x)
        native = x.astype(x.dtype.newbyteorder("="))
        kind = helper.np_dtype_to_tensor_dtype(native.dtype)
        onnx.save(identity(kind, x), path("model.onnx"))
        np.save(path("x.npy"), x)
        np.savez(path("x.npz"), other=np.zeros(3), x=x)
        np.savez_compressed(path("y.npz"), only=x)
        for f in ("x.npy", "x.npz", "y.npz"):
            r = ocelli("run", path("model.onnx"), "--input", "x=" + path(f),
                       "--output-dir", path("out"))
            assert r.returncode == 0, (x.dtype, f, r.stderr)
            same_bits({"y": np.load(path("out/y.npy"))}, {"y": native})


def strings_travel_through():
    x = np.array([["", "a"], ["\u00fcber \U0001f441", " end "]])
    onnx.save(identity(TensorProto.STRING, x), path("model.onnx"))
    np.save(path("x.npy"), x)
    np.save(path("b.npy"), np.char.encode(x, "utf-8"))
    for f in ("x.npy", "b.npy"):
        r = ocelli("run", path("model.onnx"), "--input", "x=" + path(f),
                   "--output-dir", path("out"))
        assert r.returncode == 0, r.stderr
        got = np.load(path("out/y.npy"))
        assert (got == x).all(), got


def raw_npy_types_are_taken_as_the_model_wants():
    for kind in (TensorProto.BFLOAT16, TensorProto.FLOAT8E5M2):
        x = sample(TYPES[kind])
        got = run(identity(kind, x), {"x": x})
        same_bits(got, {"y": widened(x)})


def damaged_npy_files_are_refused():
    onnx.save(identity(F, x23()), path("model.onnx"))
    np.save(path("x.npy"), x23())
    np.savez_compressed(path("x.npz"), x=np.zeros((200, 300), np.float32))
    for f in ("x.npy", "x.npz"):
        data = open(path(f), "rb").read()
        step = max(1, len(data) // 60)
        for cut in range(0, len(data), step):
            bad = path("bad." + f[2:])
            with open(bad, "wb") as out:
                out.write(data[:cut])
            r = ocelli("run", path("model.onnx"), "--input", "x=" + bad)
            assert r.returncode == 3 and one_sentence(r.stderr), (f, cut, r)
    np.save(path("o.npy"), np.array([{}], object), allow_pickle=True)
    r = ocelli("run", path("model.onnx"), "--input", "x=" + path("o.npy"))
    assert r.returncode == 3 and "objects" in r.stderr, r


# ---- writing -------------------------------------------------------------------

class Options(ctypes.Structure):
    _fields_ = [("allocator", ctypes.c_void_p), ("cpu_mask", ctypes.c_uint32),
                ("optimize", ctypes.c_int), ("max_file_bytes", ctypes.c_size_t),
                ("no_external_data", ctypes.c_int),
                ("cache_folder", ctypes.c_char_p),
                ("cache_bytes", ctypes.c_size_t),
                ("precision", ctypes.c_int)]


def library():
    lib = ctypes.CDLL(os.path.join(BUILD, "libocelli.so"))
    lib.oc_model_destroy.argtypes = [ctypes.c_void_p]
    lib.oc_model_save.argtypes = [ctypes.c_void_p, ctypes.c_char_p,
                                  ctypes.c_void_p]
    return lib


def saved(model, optimize):
    lib = library()
    onnx.save(model, path("before.onnx"))
    opt = Options(optimize=optimize)
    m = ctypes.c_void_p()
    err = ctypes.create_string_buffer(1024)
    st = lib.oc_model_load(ctypes.byref(m), path("before.onnx").encode(),
                           ctypes.byref(opt), err)
    assert st == 0
    st = lib.oc_model_save(m, path("after.onnx").encode(), err)
    lib.oc_model_destroy(m)
    assert st == 0
    after = onnx.load(path("after.onnx"))
    onnx.checker.check_model(after)
    return after


def models_are_written_as_they_were_read():
    tensors = []
    for k, t in TYPES.items():
        tensors.append(numpy_helper.from_array(sample(t), f"t{k}"))
    tensors.append(helper.make_tensor("s", TensorProto.STRING, [2],
                                      [b"a\0b", "\u00e4".encode()]))
    then = helper.make_graph([node("Add", ["a", "a"], ["p"])], "then", [],
                             [value("p", F, None)])
    other = helper.make_graph([node("Neg", ["a"], ["q"])], "else", [],
                              [value("q", F, None)])
    m = model_of([node("If", ["c"], ["z"], name="choose", then_branch=then,
                       else_branch=other),
                  node("Gemm", ["z", "w"], ["g"], name="mm", alpha=0.25,
                       transB=1)],
                 [value("a", F, ["rows", 3]), value("c", BOOL, [])],
                 [value("g", F, ["rows", 4])] +
                 [value(t.name, t.data_type, t.dims) for t in tensors],
                 tensors + [numpy_helper.from_array(
                     rng.standard_normal((4, 3)).astype(np.float32), "w")],
                 ir=13, producer_name="me", producer_version="7",
                 doc_string="words", domain="d", model_version=5)
    helper.set_model_props(m, {"k": "v", "empty": ""})
    after = saved(m, -1)
    for field in ("ir_version", "producer_name", "producer_version", "domain",
                  "model_version", "doc_string"):
        assert getattr(after, field) == getattr(m, field), field
    assert {p.key: p.value for p in after.metadata_props} == \
        {"k": "v", "empty": ""}
    assert {o.domain: o.version for o in after.opset_import} == {"": OPSET}
    inits = {t.name: t for t in after.graph.initializer}
    for t in m.graph.initializer:
        a, b = numpy_helper.to_array(t), numpy_helper.to_array(inits[t.name])
        assert a.dtype == b.dtype and a.tobytes() == b.tobytes() or \
            (a == b).all(), t.name
    assert [str(n) for n in after.graph.node][1] == str(m.graph.node[1])
    assert [(i.name, str(i.type)) for i in after.graph.input] == \
        [(i.name, str(i.type)) for i in m.graph.input]
    assert [(i.name, str(i.type)) for i in after.graph.output] == \
        [(i.name, str(i.type)) for i in m.graph.output]


def optimised_models_keep_the_names_of_outputs():
    """Passes merge equal values and fold; the outputs stay who they are."""
    m = model_of([node("Neg", ["a"], ["p"]), node("Neg", ["a"], ["q"]),
                  node("Identity", ["a"], ["r"]),
                  node("Add", ["k", "k"], ["s"])],
                 [value("a", F, [2, 3])],
                 [value(n, F, [2, 3]) for n in "pqrs"],
                 [numpy_helper.from_array(x23(), "k")])
    after = saved(m, 0)
    a = x23()
    feeds = {"a": a}
    one, two = (peer.session(f.SerializeToString()) for f in (m, after))
    assert [o.name for o in two.get_outputs()] == list("pqrs")
    for x, y in zip(one.run(None, feeds), two.run(None, feeds)):
        np.testing.assert_array_equal(x, y)


def metadata_is_spliced():
    lib = library()
    m = model_of([node("Neg", ["a"], ["z"])], [value("a", F, [2, 3])],
                 [value("z", F, [2, 3])])
    helper.set_model_props(m, {"keep": "1", "change": "2", "drop": "3"})
    onnx.save(m, path("before.onnx"))
    keys = (ctypes.c_char_p * 3)(b"change", b"drop", b"new")
    values = (ctypes.c_char_p * 3)(b"two", None, "\u00e9".encode())
    st = lib.oc_model_rewrite_metadata(path("before.onnx").encode(),
                                       path("before.onnx").encode(), keys,
                                       values, ctypes.c_size_t(3), None)
    assert st == 0
    after = onnx.load(path("before.onnx"))
    assert {p.key: p.value for p in after.metadata_props} == \
        {"keep": "1", "change": "two", "new": "\u00e9"}
    del after.metadata_props[:], m.metadata_props[:]
    assert after == m


# ---- the program ----------------------------------------------------------------

def bad_models_end_with_one_sentence():
    m = model_of([node("Neg", ["a"], ["z"])], [value("a", F, [2, 3])],
                 [value("z", F, [2, 3])])
    good = m.SerializeToString()
    cases = {"empty": b"", "text": b"hello, this is no model\n",
             "zeros": bytes(100), "ones": b"\xff" * 100, "cut": good[:-9]}
    broken = {
        "no such op": [node("Frobnicate", ["a"], ["z"], name="bad one")],
        "cycle": [node("Add", ["a", "y"], ["z"]), node("Neg", ["z"], ["y"])],
        "missing": [node("Neg", ["nobody"], ["z"])],
        "twice": [node("Neg", ["a"], ["z"]), node("Abs", ["a"], ["z"])],
    }
    for name, nodes in broken.items():
        cases[name] = model_of(nodes, [value("a", F, [2, 3])],
                               [value("z", F, [2, 3])]).SerializeToString()
    for name, data in cases.items():
        with open(path("bad.onnx"), "wb") as f:
            f.write(data)
        r = ocelli("inspect", path("bad.onnx"))
        assert r.returncode == 3 and one_sentence(r.stderr), (name, r)
        assert not r.stdout, name
        if name == "no such op":
            for word in ("Frobnicate", "bad one", "ai.onnx", str(OPSET)):
                assert word in r.stderr, r.stderr
    for args, code in ((["inspect", path("gone.onnx")], 3), ([], 2),
                       (["frob"], 2), (["run"], 2), (["run", "a", "b"], 2),
                       (["run", "--threads", "x", path("model.onnx")], 2),
                       (["run", "--nope", path("model.onnx")], 2),
                       (["inspect", WORK], 3), (["conform", WORK + "/no"], 3)):
        r = ocelli(*args)
        assert r.returncode == code and r.stderr, (args, r)


def conform_tells_right_from_wrong():
    suite = path("suite")
    for case, wrong in (("test_good", 0.0), ("test_close", 5e-4),
                        ("test_far", 2e-3)):
        d = os.path.join(suite, case, "test_data_set_0")
        os.makedirs(d)
        a = np.abs(x23()) + 1
        onnx.save(model_of([node("Neg", ["a"], ["z"])],
                           [value("a", F, [2, 3])], [value("z", F, [2, 3])]),
                  os.path.join(suite, case, "model.onnx"))
        for name, x in (("input_0", a), ("output_0", -a * (1 + wrong))):
            with open(os.path.join(d, name + ".pb"), "wb") as f:
                t = numpy_helper.from_array(x.astype(np.float32))
                f.write(t.SerializeToString())
    r = ocelli("conform", suite)
    assert r.returncode == 1, r
    lines = r.stdout.splitlines()
    assert lines[-1] == "2 passed, 1 failed, 0 unsupported", lines
    assert len(lines) == 2 and "test_far" in lines[0], lines


def a_full_disk_leaves_nothing():
    m = identity(F, np.zeros((300, 300)))
    onnx.save(m, path("model.onnx"))
    np.save(path("x.npy"), np.zeros((300, 300), np.float32))
    shutil.rmtree(path("out"), ignore_errors=True)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

    r = ocelli("run", path("model.onnx"), "--input", "x=" + path("x.npy"),
               "--output-dir", path("out"), preexec_fn=limit)
    assert r.returncode == 1 and one_sentence(r.stderr), r
    assert os.listdir(path("out")) == [], os.listdir(path("out"))


TESTS = [
    functions_take_attributes_and_defaults, functions_call_functions,
    functions_may_lack_arguments_and_hold_graphs,
    functions_have_overloads_and_pass_inputs_through,
    loops_capture_through_two_levels, nodes_may_stand_in_any_order,
    inputs_may_have_defaults, sparse_tensors_become_dense,
    every_type_is_read_from_raw_and_typed_fields,
    external_data_is_read_and_confined, numpy_arrays_travel_through,
    strings_travel_through, raw_npy_types_are_taken_as_the_model_wants,
    damaged_npy_files_are_refused, models_are_written_as_they_were_read,
    optimised_models_keep_the_names_of_outputs, metadata_is_spliced,
    bad_models_end_with_one_sentence, conform_tells_right_from_wrong,
    a_full_disk_leaves_nothing,
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
    shutil.rmtree(WORK, ignore_errors=True)
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
