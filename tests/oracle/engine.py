"""Models run by libocelli.so through ctypes, for Python tests.

The struct layouts repeat include/ocelli/ocelli.h.
"""
import ctypes as c
import os

import ml_dtypes
import numpy as np

_lib = c.CDLL(os.path.join(os.environ.get("OC_BUILD_DIR", "build"),
                           "libocelli.so"))


class Tensor(c.Structure):
    _fields_ = [("dtype", c.c_int), ("rank", c.c_int),
                ("dims", c.c_int64 * 8), ("data", c.c_void_p)]


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("offset", c.c_int64),
                ("node", c.c_char * 96), ("message", c.c_char * 384)]


class Options(c.Structure):
    _fields_ = [("allocator", c.c_void_p), ("cpu_mask", c.c_uint32),
                ("optimize", c.c_int), ("max_file_bytes", c.c_size_t),
                ("no_external_data", c.c_int), ("cache_folder", c.c_char_p),
                ("cache_bytes", c.c_size_t), ("precision", c.c_int)]


class SessionOptions(c.Structure):
    _fields_ = [("threads", c.c_int), ("plan_cache_bytes", c.c_size_t),
                ("profile", c.c_int), ("any_shape", c.c_int),
                ("tune", c.c_int), ("tuned", c.c_void_p),
                ("tuned_user", c.c_void_p)]


class String(c.Structure):
    _fields_ = [("data", c.c_void_p), ("bytes", c.c_size_t)]


_lib.oc_session_output.restype = c.c_void_p
_lib.oc_value_tensor.restype = c.POINTER(Tensor)
_lib.oc_value_count.restype = c.c_size_t
_lib.oc_value_item.restype = c.c_void_p
STRING = 8

# ONNX's numbers of the types.
DTYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16,
          6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16,
          11: np.float64, 12: np.uint32, 13: np.uint64,
          16: ml_dtypes.bfloat16, 17: ml_dtypes.float8_e4m3fn,
          18: ml_dtypes.float8_e4m3fnuz, 19: ml_dtypes.float8_e5m2,
          20: ml_dtypes.float8_e5m2fnuz, 21: ml_dtypes.uint4,
          22: ml_dtypes.int4, 23: ml_dtypes.float4_e2m1fn,
          24: ml_dtypes.float8_e8m0fnu, 25: ml_dtypes.uint2,
          26: ml_dtypes.int2}
NUMBERS = {np.dtype(v): k for k, v in DTYPES.items()}
# Types below a byte lie one to a byte, as numbers; numpy's i2 and i4 leave
# the bits above undefined.
_WIDER = {21: np.uint8, 22: np.int8, 25: np.uint8, 26: np.int8}


class Failure(Exception):
    pass


def _strings(array):
    """A tensor of strings, and what it points at."""
    texts = [x.encode() for x in array.ravel()]
    items = (String * max(len(texts), 1))()
    for item, text in zip(items, texts):
        item.data = c.cast(c.c_char_p(text), c.c_void_p)
        item.bytes = len(text)
    tensor = Tensor(STRING, array.ndim, (c.c_int64 * 8)(*array.shape),
                    c.addressof(items))
    return tensor, (texts, items)


def _tensor(array):
    """A view of array (of its plain form for types below a byte)."""
    return Tensor(NUMBERS[array.dtype], array.ndim,
                  (c.c_int64 * 8)(*array.shape), array.ctypes.data)


def _array(tensor):
    if tensor.dtype == STRING:
        shape = tuple(tensor.dims[i] for i in range(tensor.rank))
        count = int(np.prod(shape, dtype=np.int64))
        items = c.cast(tensor.data, c.POINTER(String))
        out = np.empty(count, object)
        for i in range(count):
            out[i] = c.string_at(items[i].data, items[i].bytes).decode()
        return out.reshape(shape)
    dtype = np.dtype(DTYPES[tensor.dtype])
    shape = tuple(tensor.dims[i] for i in range(tensor.rank))
    count = int(np.prod(shape, dtype=np.int64))
    raw = c.string_at(tensor.data, count * dtype.itemsize) if count else b""
    stored = np.dtype(_WIDER.get(tensor.dtype, dtype))
    return np.frombuffer(raw, stored).reshape(shape).astype(dtype)


def _value(value):
    """Tensors as arrays, sequences as lists, maps as dicts, none as None."""
    value = c.c_void_p(value)
    kind = _lib.oc_value_kind(value)
    if kind == 1:
        return _array(_lib.oc_value_tensor(value).contents)
    items = [_value(_lib.oc_value_item(value, c.c_size_t(i)))
             for i in range(_lib.oc_value_count(value))]
    if kind == 3:
        keys, values = items
        return dict(zip(keys.tolist(), values.tolist()))
    return items if kind == 2 else None


def run(model, feeds, threads=1, optimize=-1, cpu_mask=0):
    """Outputs of a serialised model for inputs by name."""
    error, loaded, session = Error(), c.c_void_p(), c.c_void_p()
    options = Options(None, cpu_mask, optimize, 0, 0)
    raw = c.create_string_buffer(model, len(model))

    def check(status):
        if status:
            raise Failure(error.message.decode())

    try:
        check(_lib.oc_model_load_memory(
            c.byref(loaded), raw, c.c_size_t(len(model)), c.byref(options),
            c.byref(error)))
        how = SessionOptions(threads, 0, 0)
        check(_lib.oc_session_create(c.byref(session), loaded, c.byref(how),
                                     c.byref(error)))
        kept = []
        for name, value in feeds.items():
            value = np.asarray(value, order="C")
            if value.dtype == object:
                tensor, owner = _strings(value)
                kept.append(owner)
            else:
                number = NUMBERS[value.dtype]
                if number in _WIDER:
                    value = value.astype(_WIDER[number])
                kept.append(value)
                tensor = _tensor(value)
                tensor.dtype = number
            at = _lib.oc_model_find_input(loaded, name.encode())
            check(_lib.oc_session_set_input(
                session, at, c.byref(tensor), c.byref(error)))
        check(_lib.oc_session_run(session, c.byref(error)))
        outputs = []
        for i in range(_lib.oc_model_output_count(loaded)):
            got = _lib.oc_session_output(session, i)
            outputs.append(_value(got) if got else None)
        return outputs
    finally:
        if session:
            _lib.oc_session_destroy(session)
        if loaded:
            _lib.oc_model_destroy(loaded)
