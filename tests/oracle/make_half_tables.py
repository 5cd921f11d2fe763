#!/usr/bin/env python3
"""Writes tests/unit/half_tables.inc: what ml_dtypes, numpy and onnx make of
the narrow floating-point types.  Needs numpy, ml_dtypes and onnx.

    python3 tests/oracle/make_half_tables.py > tests/unit/half_tables.inc
"""
import ml_dtypes
import numpy as np
from onnx import numpy_helper

F8 = [
    ("f8e4m3fn", ml_dtypes.float8_e4m3fn),
    ("f8e4m3fnuz", ml_dtypes.float8_e4m3fnuz),
    ("f8e5m2", ml_dtypes.float8_e5m2),
    ("f8e5m2fnuz", ml_dtypes.float8_e5m2fnuz),
]
SMALL = F8 + [("f4e2m1", ml_dtypes.float4_e2m1fn)]


def emit(kind, name, values, fmt, per_line):
    print(f"static const {kind} {name}[{len(values)}] = {{")
    for i in range(0, len(values), per_line):
        print("    " + " ".join(fmt % v + "," for v in values[i : i + per_line]))
    print("};")


def canonical(bits):
    """One NaN for all, so that payloads do not matter."""
    f = bits.view(np.float32)
    return np.where(np.isnan(f), np.uint32(0x7FC00000), bits)


def inputs():
    """Random bits, numbers near each type's range, ends and ties."""
    rng = np.random.default_rng(1)
    parts = [rng.integers(0, 2**32, 80, dtype=np.uint32).view(np.float32)]
    parts.append((rng.standard_normal(120) * 2.0 ** rng.integers(-20, 18, 120)).astype(np.float32))
    ends = [0.0, np.inf, np.nan, 448, 464, 465, 480, 240, 248, 249, 256, 57344, 61440, 61441,
            65504, 65519, 65520, 65536, 3.3895e38, 3.3961e38, 3.4e38, 6, 7, 8, 5, 0.25, 0.75,
            2**-9, 2**-10, 2**-11, 2**-16, 2**-17, 2**-18, 2**-24, 2**-25, 2**-26, 1e-45]
    ends = np.array(ends, dtype=np.float32)
    parts += [ends, -ends, np.nextafter(ends, np.float32(0)), -np.nextafter(ends, np.float32(0)),
              np.nextafter(ends, np.float32(np.inf))]
    return np.concatenate(parts)


np.seterr(all="ignore")
print("/* half_tables.inc - written by tests/oracle/make_half_tables.py. */")
print("/* clang-format off */")
for name, t in SMALL:
    codes = np.arange(16 if name == "f4e2m1" else 256, dtype=np.uint8)
    bits = canonical(codes.view(t).astype(np.float32).view(np.uint32))
    emit("uint32_t", f"{name}_decoded", bits, "0x%08x", 6)
codes = np.arange(256, dtype=np.uint8)
e8m0 = codes.view(ml_dtypes.float8_e8m0fnu).astype(np.float32)
emit("uint32_t", "f8e8m0_decoded", canonical(e8m0.view(np.uint32)), "0x%08x", 6)

x = inputs()
emit("uint32_t", "encode_inputs", x.view(np.uint32), "0x%08x", 6)
for name, t in SMALL:
    emit("uint8_t", f"{name}_plain", x.astype(t).view(np.uint8), "%3d", 14)
for name, t in F8:
    y = numpy_helper.saturate_cast(x, np.dtype(t))
    emit("uint8_t", f"{name}_saturated", y.view(np.uint8), "%3d", 14)
emit("uint16_t", "f16_encoded", x.astype(np.float16).view(np.uint16), "0x%04x", 9)
emit("uint16_t", "bf16_encoded", x.astype(ml_dtypes.bfloat16).view(np.uint16), "0x%04x", 9)

# Doubles whose rounding to f32 would land on a tie.
d = np.concatenate([x.astype(np.float64), x * (1 + 2.0**-30), 1 + 2.0**-11 + np.array([2.0**-40, -2.0**-40, 0])])
emit("uint64_t", "f64_inputs", d.view(np.uint64), "0x%016xu", 3)
emit("uint16_t", "f64_to_f16", d.astype(np.float16).view(np.uint16), "0x%04x", 9)
