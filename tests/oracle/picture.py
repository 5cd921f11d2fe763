"""The pictures of vision.h for Python tests: libocelli.so through ctypes.

The struct layouts repeat include/ocelli/vision.h; test_image_pillow.py fails
at once when they part.
"""
import ctypes as c
import os

import numpy as np


class Error(c.Structure):
    _fields_ = [("status", c.c_int), ("offset", c.c_int64),
                ("node", c.c_char * 96), ("message", c.c_char * 384)]


class Image(c.Structure):
    _fields_ = [("width", c.c_int), ("height", c.c_int),
                ("channels", c.c_int), ("stride", c.c_size_t),
                ("pixels", c.c_void_p), ("full_width", c.c_int),
                ("full_height", c.c_int), ("owned", c.c_void_p),
                ("owned_bytes", c.c_size_t), ("allocator", c.c_void_p)]


class Options(c.Structure):
    _fields_ = [("color", c.c_int), ("max_pixels", c.c_size_t),
                ("max_file_bytes", c.c_size_t), ("min_width", c.c_int),
                ("min_height", c.c_int), ("min_either", c.c_int),
                ("ignore_orientation", c.c_int), ("allocator", c.c_void_p)]


class SaveOptions(c.Structure):
    _fields_ = [("format", c.c_int), ("quality", c.c_int),
                ("lossless", c.c_int), ("palette", c.c_char_p),
                ("palette_count", c.c_int), ("allocator", c.c_void_p)]


class Bytes(c.Structure):
    _fields_ = [("data", c.c_void_p), ("size", c.c_size_t),
                ("capacity", c.c_size_t), ("allocator", c.c_void_p)]


class Resize(c.Structure):
    _fields_ = [("width", c.c_int), ("height", c.c_int),
                ("interpolation", c.c_int), ("no_antialias", c.c_int),
                ("box", c.c_double * 4), ("allocator", c.c_void_p)]


class Preprocess(c.Structure):
    _fields_ = [("width", c.c_int), ("height", c.c_int), ("fit", c.c_int),
                ("interpolation", c.c_int), ("no_antialias", c.c_int),
                ("crop", c.c_double), ("pad_value", c.c_float * 3),
                ("color", c.c_int), ("layout", c.c_int), ("dtype", c.c_int),
                ("scale", c.c_float), ("mean", c.c_float * 3),
                ("std", c.c_float * 3), ("allocator", c.c_void_p)]


class Transform(c.Structure):
    _fields_ = [("scale_x", c.c_double), ("scale_y", c.c_double),
                ("offset_x", c.c_double), ("offset_y", c.c_double),
                ("source_width", c.c_int), ("source_height", c.c_int)]


RGB, BGR, GRAY, RGBA, YCBCR, KEEP, INDEX = range(7)
BILINEAR, NEAREST, AREA, BICUBIC, LANCZOS = range(5)
STRETCH, COVER, CONTAIN, LETTERBOX = range(4)
NCHW, NHWC = range(2)
F32, U8, I8, F16 = 1, 2, 3, 10
JPEG, PNG, WEBP, TIFF, BMP, PNM, JP2 = range(1, 8)

lib = c.CDLL(os.path.join(os.environ.get("OC_BUILD_DIR", "build"),
                          "libocelli.so"))


class Failure(Exception):
    pass


def call(name, *args):
    error = Error()
    if getattr(lib, name)(*args, c.byref(error)):
        raise Failure(error.message.decode())


def reads(fmt):
    return lib.oc_image_format_support(fmt) & 1


def channels(array):
    return 1 if array.ndim == 2 else array.shape[2]


def borrow(array):
    """An oc_image over a contiguous array, which must outlive it."""
    assert array.dtype == np.uint8 and array.flags.c_contiguous
    n = channels(array)
    return Image(array.shape[1], array.shape[0], n, array.shape[1] * n,
                 array.ctypes.data, 0, 0, None, 0, None)


def take(image):
    """The pixels as an array; frees the picture."""
    shape = (image.height, image.width)
    if image.channels > 1:
        shape += (image.channels,)
    raw = c.string_at(image.pixels, image.height * image.stride)
    lib.oc_image_deinit(c.byref(image))
    return np.frombuffer(raw, np.uint8).reshape(shape)


def load(data, **options):
    out, opt = Image(), Options(**options)
    call("oc_image_load_memory", c.byref(out), data, c.c_size_t(len(data)),
         c.byref(opt))
    return take(out)


def save(array, fmt, palette=None, **options):
    out = Bytes()
    opt = SaveOptions(format=fmt, **options)
    if palette is not None:
        opt.palette, opt.palette_count = palette, len(palette) // 3
    call("oc_image_save_memory", c.byref(out), c.byref(borrow(array)),
         c.byref(opt))
    data = c.string_at(out.data, out.size)
    lib.oc_bytes_deinit(c.byref(out))
    return data


def resize(array, width, height, interpolation, box=None, no_antialias=0):
    how = Resize(width, height, interpolation, no_antialias)
    if box:
        how.box[:] = box
    out = Image()
    call("oc_image_resize", c.byref(out), c.byref(borrow(array)),
         c.byref(how))
    return take(out)


def convert(array, source, target):
    out = Image()
    call("oc_image_convert", c.byref(out), c.byref(borrow(array)), source,
         target, None)
    return take(out)


def to_tensor(array, mean=None, std=None, pad=None, **fields):
    p = Preprocess(**fields)
    for name, values in (("mean", mean), ("std", std), ("pad_value", pad)):
        if values is not None:
            getattr(p, name)[:] = values
    kind = {0: np.float32, F32: np.float32, F16: np.float16, U8: np.uint8,
            I8: np.int8}[p.dtype]
    n = 1 if p.color == GRAY else 3
    shape = ((1, p.height, p.width, n) if p.layout == NHWC
             else (1, n, p.height, p.width))
    out, where = np.zeros(shape, kind), Transform()
    call("oc_image_to_tensor", c.byref(borrow(array)), c.byref(p),
         c.c_void_p(out.ctypes.data), c.c_size_t(out.nbytes), c.byref(where))
    return out, where
