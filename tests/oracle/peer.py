"""ONNX Runtime as an oracle: exact, on one thread."""
import onnxruntime as ort

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
