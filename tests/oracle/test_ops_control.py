"""Bodies, sequences and optionals, against ONNX Runtime."""
import os
import sys

import numpy as np
import onnx
from onnx import parser

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import engine
import peer
from node_call import main, noise, pick, randint


def equal(got, want, where):
    if isinstance(want, list):
        assert isinstance(got, list) and len(got) == len(want), \
            f"{where}: {got}, want {want}"
        for a, b in zip(got, want):
            equal(a, b, where)
        return
    want = np.asarray(want)
    assert got is not None, f"{where}: nothing"
    assert got.shape == want.shape and got.dtype == want.dtype, \
        f"{where}: {got.dtype}{got.shape}, want {want.dtype}{want.shape}"
    np.testing.assert_allclose(got, want, 1e-5, 1e-6, err_msg=where)


def check(text, opset=17, **feeds):
    """A model in ONNX's text form: ours, optimised and not, and theirs."""
    model = parser.parse_model(
        f'<ir_version: 8, opset_import: ["": {opset}]>\n' + text)
    raw = model.SerializeToString()
    want = peer.session(raw, optimize=False).run(None, feeds)
    for optimize in (-1, 0):
        for threads in (1, 2):
            try:
                got = engine.run(raw, feeds, threads, optimize)
            except engine.Failure as problem:
                raise AssertionError(f"{problem}:\n{text}") from None
            for n, (a, b) in enumerate(zip(got, want, strict=True)):
                equal(a, b, f"output {n} of\n{text}")


def i64(value):
    return np.array(value, np.int64)


def if_matches():
    for cond in (True, False):
        check("""
g (bool c, float[2,3] x) => (float[N,M] y, float[K] z) {
  y, z = If (c) <then_branch = g1 () => (float[N,M] a, float[K] b) {
      two = Constant <value = float {2.0}> ()
      a = Mul (x, two)
      b = Constant <value = float[1] {1.0}> ()
    }, else_branch = g2 () => (float[N,M] a, float[K] b) {
      a = Transpose (x)
      b = Constant <value = float[3] {1.0, 2.0, 3.0}> ()
    }>
}""", c=np.array(cond), x=noise(2, 3))


LOOP = """
g (int64 n, bool c, float[3] x) => (float[3] last, float[T,3] all,
                                    int64[T] steps) {
  last, all, steps = Loop (%s, x) <body = b (int64 i, bool before, float[3] v)
      => (bool again, float[3] next, float[3] out, int64 step) {
    f = Cast <to = 1> (i)
    next = Add (v, f)
    out = Mul (next, next)
    limit = Constant <value = int64 {4}> ()
    step = Identity (i)
    again = Less (i, limit)
  }>
}"""


def loops_match():
    for which in ("n, c", ", c", "n, "):  # an empty name: absent
        for n in (0, 1, 3, 9):
            for cond in (True, False):
                check(LOOP % which, n=i64(n), c=np.array(cond), x=noise(3))


def loop_that_grows_a_sequence_matches():
    check("""
g (int64 n, float[2] x) => (float[M] y) {
  c = Constant <value = bool {1}> ()
  empty = SequenceEmpty <dtype = 1> ()
  s = Loop (n, c, empty) <body = b (int64 i, bool before, seq(float[K]) v)
      => (bool again, seq(float[K]) next) {
    again = Identity (before)
    f = Cast <to = 1> (i)
    item = Mul (x, f)
    next = SequenceInsert (v, item)
  }>
  y = ConcatFromSequence <axis = 0> (s)
}""", n=i64(4), x=noise(2))


def nested_loops_match():
    check("""
g (int64 n, float[2] x) => (float[N,M,2] y, float[2] last) {
  c = Constant <value = bool {1}> ()
  last, y = Loop (n, c, x) <body = b (int64 i, bool b1, float[2] v)
      => (bool again, float[2] next, float[M,2] rows) {
    again = Identity (b1)
    m = Constant <value = int64 {3}> ()
    next, rows = Loop (m, b1, v) <body = b2 (int64 j, bool b3, float[2] w)
        => (bool more, float[2] then, float[2] row) {
      more = Identity (b3)
      f = Cast <to = 1> (i)
      then = Add (w, f)
      row = Mul (then, x)
    }>
  }>
}""", n=i64(3), x=noise(2))


def scans_match():
    for in_axis in (0, 1, -1):
        for out_axis in (0, 1):
            for back_in in (0, 1):
                for back_out in (0, 1):
                    x = noise(3, 3, 3)
                    check(f"""
g (float[3,3] s, float[3,3,3] x) => (float[3,3] last, float[A,B,C] all) {{
  last, all = Scan (s, x) <num_scan_inputs = 1, scan_input_axes = [{in_axis}],
      scan_output_axes = [{out_axis}], scan_input_directions = [{back_in}],
      scan_output_directions = [{back_out}],
      body = b (float[3,3] v, float[3,3] e) => (float[3,3] n, float[3,3] o) {{
    n = Add (v, e)
    o = Mul (n, e)
  }}>
}}""", s=noise(3, 3), x=x)


def scans_of_two_inputs_match():
    check("""
g (float[2] s, float[5,2] x, float[2,5] y) => (float[2] last, float[T,2] a,
                                               float[2,T] b) {
  last, a, b = Scan (s, x, y) <num_scan_inputs = 2, scan_input_axes = [0, 1],
      scan_output_axes = [0, 1], scan_input_directions = [0, 1],
      body = k (float[2] v, float[2] e, float[2] f)
        => (float[2] n, float[2] o, float[2] p) {
    t = Add (e, f)
    n = Add (v, t)
    o = Sub (e, f)
    p = Identity (t)
  }>
}""", s=noise(2), x=noise(5, 2), y=noise(2, 5))


def old_scan_matches():
    """Opset 8: a batch, with lengths."""
    for lens in ("lens", ""):
        check(f"""
g (int64[2] lens, float[2,3] s, float[2,4,3] x)
    => (float[2,3] last, float[2,4,3] all) {{
  last, all = Scan ({lens}, s, x) <num_scan_inputs = 1, directions = [0],
      body = b (float[3] v, float[3] e) => (float[3] n, float[3] o) {{
    n = Add (v, e)
    o = Identity (n)
  }}>
}}""", opset=8, lens=i64([2, 4]), s=noise(2, 3), x=noise(2, 4, 3))


def sequences_match():
    for _ in range(10):
        at, gone = randint(-3, 3), randint(-4, 3)
        check("""
g (float[A] x, float[B,C] y, float[D] z, int64 p, int64 q)
    => (seq(float) s, seq(float) r, int64 n, float t, seq(float) short) {
  three = SequenceConstruct (x, y, z)
  s = SequenceInsert (three, y, p)
  r = SequenceErase (s, q)
  n = SequenceLength (r)
  t = SequenceAt (s, q)
  short = SequenceErase (three)
}""", x=noise(2), y=noise(1, 3), z=noise(4), p=i64(at), q=i64(gone))


def splits_to_sequences_match():
    for _ in range(10):
        rows = randint(2, 7)
        x = noise(rows, 3)
        cut = randint(0, rows)
        check("""
g (float[A,B] x, int64[N] parts, int64 size)
    => (seq(float) a, seq(float) b, seq(float) c, seq(float) d) {
  a = SplitToSequence (x, parts)
  b = SplitToSequence (x, size)
  c = SplitToSequence <axis = 1> (x)
  d = SplitToSequence <axis = -1, keepdims = 0> (x)
}""", x=x, parts=i64([cut, rows - cut]), size=i64(randint(1, rows)))


def concats_of_sequences_match():
    for axis in (0, 1, -1):
        check(f"""
g (float[2,3] x, float[2,3] y) => (float[A,B] a, float[A,B,C] b) {{
  s = SequenceConstruct (x, y, x)
  a = ConcatFromSequence <axis = {axis}> (s)
  b = ConcatFromSequence <axis = {axis}, new_axis = 1> (s)
}}""", x=noise(2, 3), y=noise(2, 3))


def sequence_map_matches():
    check("""
g (float[A] x, float[B] y, float[1] z) => (seq(float) out, seq(int64) sizes) {
  s = SequenceConstruct (x, y, x)
  out, sizes = SequenceMap (s, z) <body = b (float[N] a, float[1] k)
      => (float[N] m, int64 n) {
    m = Mul (a, k)
    n = Size (a)
  }>
}""", x=noise(2), y=noise(5), z=noise(1))


def optionals_match():
    check("""
g (float[2] x) => (bool yes, float[2] y) {
  o = Optional (x)
  yes = OptionalHasElement (o)
  y = OptionalGetElement (o)
}""", opset=18, x=noise(2))


def strings_travel_and_match():
    """Through a body, a sequence and back."""
    x = np.array([["a", "bc"], ["", "déf"]], object)
    model = parser.parse_model("""
<ir_version: 8, opset_import: ["": 17]>
g (string[2,2] x) => (string[T,2,2] all, string[N] flat, string[K] one) {
  n = Constant <value = int64 {3}> ()
  c = Constant <value = bool {1}> ()
  last, all = Loop (n, c, x) <body = b (int64 i, bool before, string[2,2] v)
      => (bool again, string[2,2] next, string[2,2] out) {
    again = Identity (before)
    next = Transpose (v)
    out = Identity (next)
  }>
  shape = Constant <value = int64[1] {-1}> ()
  flat = Reshape (last, shape)
  s = SplitToSequence <keepdims = 0> (x)
  zero = Constant <value = int64 {1}> ()
  one = SequenceAt (s, zero)
}""")
    for optimize in (-1, 0):
        every, flat, one = engine.run(model.SerializeToString(), {"x": x},
                                      optimize=optimize)
        assert every.tolist() == [x.T.tolist(), x.tolist(), x.T.tolist()]
        assert flat.tolist() == x.T.ravel().tolist()
        assert one.tolist() == x[1].tolist()


if __name__ == "__main__":
    sys.exit(main({k: v for k, v in globals().items()
                   if k.endswith(("match", "matches"))}))
