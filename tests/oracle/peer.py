"""ONNX Runtime as an oracle: exact, on one thread."""
import functools

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

ort.set_default_logger_severity(4)


def session(model, optimize=True):
    """A session over a path or the bytes of a model."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    # Without VNNI its sums of bytes saturate, unless asked for all bits.
    options.add_session_config_entry("session.x64quantprecision", "1")
    if not optimize:
        options.graph_optimization_level = \
            ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return ort.InferenceSession(model, options,
                                providers=["CPUExecutionProvider"])


@functools.cache
def saturates():
    """Whether its sums of u8 x i8 overflow 16 bits here: without VNNI they do
    for weights that are inputs, whatever is asked for."""
    a = np.full((1, 64), 255, np.uint8)
    b = np.full((64, 32), 127, np.int8)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger", ["a", "b"], ["y"])], "g",
        [value("a", TensorProto.UINT8, a.shape),
         value("b", TensorProto.INT8, b.shape)],
        [value("y", TensorProto.INT32, (1, 32))])
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    got = session(model.SerializeToString()).run(None, {"a": a, "b": b})[0]
    return bool((got != 64 * 255 * 127).any())


def int8_weights(rng, *shape):
    """Of full range; where it saturates, small enough that it does not:
    255 * 64 * 2 is below 2^15."""
    high = 64 if saturates() else 128
    return rng.integers(-high, high, shape).astype(np.int8)
