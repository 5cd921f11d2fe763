"""Writes tests/unit/augment_tables.inc: what Pillow makes of two pictures.

    build/venv/bin/python tests/oracle/make_augment_tables.py \
        > tests/unit/augment_tables.inc

Colour operations are the same bits in both, so their results are digests.
Warped pictures are compared pixel by pixel, within a level or two, where both
look inside the picture.
"""
import hashlib
import math

import numpy as np
import PIL
from PIL import Image, ImageEnhance, ImageOps

W, H = 61, 43


def noise(narrow):
    """The generator of test_augment.c: bytes of a congruential sequence."""
    state, out = 12345, []
    for _ in range(W * H * 3):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        v = state >> 24
        out.append(40 + v % 150 if narrow else v)
    return Image.fromarray(np.array(out, np.uint8).reshape(H, W, 3))


def hue(img, factor):
    """torchvision.transforms.functional_pil.adjust_hue."""
    h, s, v = img.convert("HSV").split()
    np_h = np.array(h, dtype=np.uint8)
    np_h += np.int32(factor * 255).astype(np.uint8)
    return Image.merge("HSV", (Image.fromarray(np_h), s, v)).convert("RGB")


OPS = {
    "brightness": lambda i, f: ImageEnhance.Brightness(i).enhance(f),
    "contrast": lambda i, f: ImageEnhance.Contrast(i).enhance(f),
    "saturation": lambda i, f: ImageEnhance.Color(i).enhance(f),
    "sharpness": lambda i, f: ImageEnhance.Sharpness(i).enhance(f),
    "hue": hue,
    "gray": lambda i, f: i.convert("L").convert("RGB"),
    "posterize": lambda i, f: ImageOps.posterize(i, int(f)),
    "solarize": lambda i, f: ImageOps.solarize(i, int(f)),
    "autocontrast": lambda i, f: ImageOps.autocontrast(i),
    "equalize": lambda i, f: ImageOps.equalize(i),
    "flip-h": lambda i, f: ImageOps.mirror(i),
    "flip-v": lambda i, f: ImageOps.flip(i),
    "quarter": lambda i, f: i.transpose([None, Image.ROTATE_90,
                                         Image.ROTATE_180,
                                         Image.ROTATE_270][int(f)]),
}
AMOUNTS = {
    "brightness": [0.6, 1.0, 1.4], "contrast": [0.3, 0.9, 1.7],
    "saturation": [0.0, 0.5, 1.5], "sharpness": [0.1, 0.8, 1.9],
    "hue": [-0.5, -0.21, 0.02, 0.37], "gray": [0], "posterize": [1, 4, 7],
    "solarize": [0, 100, 255], "autocontrast": [0], "equalize": [0],
    "flip-h": [0], "flip-v": [0], "quarter": [1, 2, 3],
}


def smooth():
    """Something a warp can be judged by: no noise, but edges."""
    y, x = np.mgrid[0:16, 0:20]
    a = np.stack([x * 12 + y, 255 - y * 15, (x * x + y * y) % 256], -1)
    a[5:9, 6:12] = (250, 10, 30)
    return Image.fromarray((a % 256).astype(np.uint8))


def affine(degrees, shear, scale):
    t = math.radians(degrees)
    a, b = math.cos(t) * scale, -math.sin(t) * scale + shear
    c, d = math.sin(t) * scale, math.cos(t) * scale
    cx, cy = 10.0, 8.0
    return (a, b, cx - a * cx - b * cy, c, d, cy - c * cx - d * cy)


def main():
    print("/* Written by tests/oracle/make_augment_tables.py with Pillow "
          f"{PIL.__version__}. */")
    print("/* clang-format off */")
    print("static const struct {\n    const char *op;\n    double amount;\n"
          "    int narrow;\n    const char *sha256;\n} expected[] = {")
    for name, op in OPS.items():
        for amount in AMOUNTS[name]:
            for narrow in (0, 1):
                made = op(noise(narrow), amount)
                digest = hashlib.sha256(made.tobytes()).hexdigest()
                print(f'    {{"{name}", {amount}, {narrow},\n'
                      f'     "{digest}"}},')
    print("};\n\nenum { WARP_W = 20, WARP_H = 16 };")
    for index, how in enumerate([(0, 0, 1), (17, 0, 1.1), (0, 0.25, 1)]):
        m = affine(*how)
        made = smooth().transform((20, 16), Image.AFFINE, m, Image.BILINEAR)
        # Where Pillow looks outside it fills with black; not compared.
        y, x = np.mgrid[0:16, 0:20]
        sx = m[0] * (x + .5) + m[1] * (y + .5) + m[2]
        sy = m[3] * (x + .5) + m[4] * (y + .5) + m[5]
        inside = (sx > .6) & (sx < 19.4) & (sy > .6) & (sy < 15.4)
        print(f"static const double warp_matrix_{index}[6] = {{"
              + ",\n    ".join(repr(float(v)) for v in m) + "};")
        print(f"/* -1: outside */\nstatic const int16_t warped_{index}"
              "[WARP_H][WARP_W][3] = {")
        for row, ok in zip(np.asarray(made).astype(int), inside):
            cells = [tuple(p) if o else (-1, -1, -1) for p, o in zip(row, ok)]
            for k in range(0, 20, 4):
                part = ", ".join("{%d,%d,%d}" % c for c in cells[k:k + 4])
                print("    " + ("{" if k == 0 else " ") + part
                      + ("}," if k == 16 else ","))
        print("};")


main()
