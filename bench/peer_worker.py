"""One engine over one model, driven line by line by peers.py.

    peer_worker.py ENGINE MODEL THREADS [LIBRARY] [CACHE] [WAY]

WAY is f32, bf16 (products) or avx2 (f32 without AVX-512).

Answers one JSON line to each line it reads: "load" (load and first inference),
"run SECONDS" (times of runs, in ms), end of input.  A process of its own for each
engine keeps their threads, allocators and memory apart.
"""
import ctypes as c
import json
import os
import sys
import time

import numpy as np
import numpy.random  # noqa: F401  NumPy loads it late: 25 ms, 8 MB of nobody's


def peak_mb():
    with open("/proc/self/status") as f:
        for line in f:
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return 0.0


def reset_peak():
    """Makes VmHWM start again from what is resident now."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        pass


NUMPY = {"f32": np.float32, "f64": np.float64, "u8": np.uint8,
         "i8": np.int8, "i32": np.int32, "i64": np.int64, "bool": np.bool_}


def random_input(dims, dtype, name):
    rng = np.random.default_rng(len(name))
    dims = [d if isinstance(d, int) and d > 0 else 1 for d in dims]
    if np.issubdtype(dtype, np.floating):
        return rng.random(dims, dtype=np.float64).astype(dtype)
    return rng.integers(0, 2, dims).astype(dtype)


class Ocelli:
    """The shared library through ctypes: what any C program would do."""

    class Tensor(c.Structure):
        _fields_ = [("dtype", c.c_int), ("rank", c.c_int),
                    ("dims", c.c_int64 * 8), ("data", c.c_void_p)]

    class Session(c.Structure):
        _fields_ = [("threads", c.c_int), ("rest", c.c_char * 252)]

    class Options(c.Structure):
        _fields_ = [("allocator", c.c_void_p), ("cpu_mask", c.c_uint32),
                    ("optimize", c.c_int), ("max_file_bytes", c.c_size_t),
                    ("no_external_data", c.c_int),
                    ("cache_folder", c.c_char_p), ("cache_bytes", c.c_size_t),
                    ("precision", c.c_int), ("rest", c.c_char * 256)]

    class Error(c.Structure):
        _fields_ = [("status", c.c_int), ("offset", c.c_int64),
                    ("node", c.c_char * 96), ("message", c.c_char * 384)]

    class Info(c.Structure):
        _fields_ = [("name", c.c_char_p), ("kind", c.c_int),
                    ("dtype", c.c_int), ("rank", c.c_int),
                    ("dims", c.c_int64 * 8), ("dim_names", c.c_char_p * 8),
                    ("optional", c.c_int)]

    WAYS = {"f32": {}, "bf16": {"precision": 1},
            "avx2": {"cpu_mask": 0x3}}

    def __init__(self, path, threads, library, cache, way="f32"):
        self.lib = lib = c.CDLL(library)
        lib.oc_dtype_name.restype = c.c_char_p
        lib.oc_model_input.restype = c.POINTER(self.Info)
        self.err = self.Error()
        self.model, self.session = c.c_void_p(), c.c_void_p()
        loading = self.Options(cache_folder=cache.encode() if cache else None,
                               **self.WAYS[way])
        self.call(lib.oc_model_load, c.byref(self.model), path.encode(),
                  c.byref(loading))
        options = self.Session(threads=threads)
        self.call(lib.oc_session_create, c.byref(self.session), self.model,
                  c.byref(options))
        self.keep = []
        for i in range(lib.oc_model_input_count(self.model)):
            info = lib.oc_model_input(self.model, i).contents
            if info.optional:
                continue  # has a default: weights of old models
            dtype = NUMPY[lib.oc_dtype_name(info.dtype).decode()]
            a = random_input(info.dims[:info.rank], dtype, info.name.decode())
            t = self.Tensor(info.dtype, a.ndim)
            t.dims[:a.ndim] = a.shape
            t.data = a.ctypes.data
            self.keep.append((a, t))
            self.call(lib.oc_session_set_input, self.session, i, c.byref(t))

    def call(self, fn, *args):
        if fn(*args, c.byref(self.err)):
            raise RuntimeError(self.err.message.decode())

    def run(self):
        self.call(self.lib.oc_session_run, self.session)


class OnnxRuntime:
    def __init__(self, path, threads, library, cache, way):
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        self.session = ort.InferenceSession(
            path, options, providers=["CPUExecutionProvider"])
        kinds = {"tensor(float)": np.float32, "tensor(double)": np.float64,
                 "tensor(uint8)": np.uint8, "tensor(int8)": np.int8,
                 "tensor(int32)": np.int32, "tensor(int64)": np.int64,
                 "tensor(bool)": np.bool_}
        self.feed = {i.name: random_input(i.shape, kinds[i.type], i.name)
                     for i in self.session.get_inputs()}

    def run(self):
        self.session.run(None, self.feed)


class OpenVino:
    def __init__(self, path, threads, library, cache, way):
        import openvino as ov
        core = ov.Core()
        config = {"INFERENCE_NUM_THREADS": threads,
                  "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1,
                  "INFERENCE_PRECISION_HINT":
                  "bf16" if way == "bf16" else "f32"}
        if cache:
            config["CACHE_DIR"] = cache
        # Inputs become static first, so that it may specialise.
        model = core.read_model(path)
        shapes = {}
        for i in model.inputs:
            dims = [d.get_length() if d.is_static else 1
                    for d in i.get_partial_shape()]
            shapes[i.get_any_name()] = dims
        if any(i.get_partial_shape().is_dynamic for i in model.inputs):
            model.reshape(shapes)
        self.request = core.compile_model(model, "CPU",
                                          config).create_infer_request()
        for i in model.inputs:
            a = random_input(list(i.get_shape()),
                             i.get_element_type().to_dtype(),
                             i.get_any_name())
            self.request.set_tensor(i.get_any_name(), ov.Tensor(a))

    def run(self):
        self.request.infer()


ENGINES = {"ocelli": Ocelli, "onnxruntime": OnnxRuntime, "openvino": OpenVino}


def main():
    engine, path, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    library, cache, way = (sys.argv[4:] + ["", "", "f32"][len(sys.argv) - 4:])
    if way == "avx2":
        os.environ["ONEDNN_MAX_CPU_ISA"] = "AVX2"  # of OpenVINO
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[:threads]))
    if engine == "onnxruntime":
        import onnxruntime  # noqa: F401  its import is not its load
    if engine == "openvino":
        import openvino  # noqa: F401
    if engine == "ocelli":
        c.CDLL(library)
    net = None
    for line in sys.stdin:
        word, *rest = line.split()
        answer = {}
        try:
            if word == "load":
                reset_peak()
                before, start = peak_mb(), time.perf_counter()
                net = ENGINES[engine](path, threads, library, cache, way)
                net.run()
                answer = {"first_ms": (time.perf_counter() - start) * 1e3}
                net.run()
                answer["rss_mb"] = peak_mb() - before
            if word == "run":
                times, end = [], time.perf_counter() + float(rest[0])
                while not times or time.perf_counter() < end:
                    start = time.perf_counter()
                    net.run()
                    times.append((time.perf_counter() - start) * 1e3)
                answer = {"ms": times}
        except Exception as e:  # the peer's, whatever it is
            answer = {"error": str(e).split("\n")[0][:200]}
        print(json.dumps(answer), flush=True)
        if "error" in answer:
            break


if __name__ == "__main__":
    main()
