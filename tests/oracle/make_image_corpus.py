"""Writes the seeds of the picture fuzz targets to fuzz/corpus/image_*.

Made-up pictures of a few pixels in as many variants of each format as our
own encoders and Pillow write.  Run with OC_BUILD_DIR set, from the root.
"""
import io
import os
import struct
import sys

import numpy as np
from PIL import Image

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import picture as oc

y, x = np.mgrid[0:9, 0:13]
rgb = np.stack([x * 19, y * 28, (x * y * 7) % 256], -1).astype(np.uint8)
rgba = np.dstack([rgb, (x * 20 % 256).astype(np.uint8)])
gray = np.ascontiguousarray(rgb[..., 2])
color = Image.fromarray(rgb)
palette = color.quantize(16)


def put(target, name, data):
    folder = os.path.join("fuzz", "corpus", "image_" + target)
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "wb") as f:
        f.write(data)


def pil(target, name, image, fmt, **how):
    f = io.BytesIO()
    image.save(f, fmt, **how)
    put(target, name, f.getvalue())


exif = Image.Exif()
exif[0x0112] = 6

for name, a in (("gray", gray), ("rgb", rgb), ("rgba", rgba)):
    for target, fmt in (("jpeg", oc.JPEG), ("png", oc.PNG), ("webp", oc.WEBP),
                        ("bmp", oc.BMP), ("pnm", oc.PNM)):
        put(target, name, oc.save(a, fmt))
put("webp", "lossless", oc.save(rgba, oc.WEBP, lossless=1))
put("png", "index", oc.save(gray % 5, oc.PNG, palette=bytes(range(15))))

pil("jpeg", "progressive", color, "JPEG", progressive=True, exif=exif)
pil("jpeg", "cmyk", color.convert("CMYK"), "JPEG", quality=30)
pil("jpeg", "restarts", color, "JPEG", restart_marker_blocks=1, subsampling=0)
pil("png", "exif", color, "PNG", exif=exif)
pil("png", "bits", color.convert("1"), "PNG")
pil("png", "palette", palette, "PNG", transparency=3)
pil("png", "deep", Image.fromarray(gray.astype(np.uint16) * 257), "PNG")
pil("webp", "exif", color, "WEBP", exif=exif, quality=10)
pil("webp", "moves", color, "WEBP", save_all=True, quality=10,
    append_images=[color.transpose(Image.ROTATE_180)])
pil("bmp", "bits", color.convert("1"), "BMP")
pil("bmp", "palette", palette, "BMP")
for how in (None, "tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg"):
    pil("tiff", f"rgb-{how}", color, "TIFF", compression=how)
for name, image in (("bits", color.convert("1")), ("palette", palette),
                    ("cmyk", color.convert("CMYK")),
                    ("rgba", Image.fromarray(rgba)),
                    ("gray", color.convert("L")),
                    ("ycbcr", color.convert("YCbCr")),
                    ("deep", Image.fromarray(gray.astype(np.uint16)))):
    pil("tiff", name, image, "TIFF")
pil("tiff", "fax", color.convert("1"), "TIFF", compression="group4")
for name, image in (("gray", color.convert("L")), ("rgb", color),
                    ("rgba", Image.fromarray(rgba))):
    pil("jp2", name, image, "JPEG2000", num_resolutions=2)
pil("jp2", "bare", color, "JPEG2000", no_jp2=True, irreversible=True,
    num_resolutions=2, quality_layers=[20])
pil("jp2", "tiles", color, "JPEG2000", tile_size=(8, 8), num_resolutions=1)
put("pnm", "bits", b"P4\n9 2\n\xaa\x80\x55\x00")
put("pnm", "bit-digits", b"P1\n# c\n3 2\n101 0 1 0\n")
put("pnm", "gray-digits", b"P2 2 2 15 0 7 15 3\n")
put("pnm", "rgb-digits", b"P3 1 2 300 0 150 300 1 2 3\n")
put("pnm", "deep", b"P5 2 1 65535\n\x01\x02\x03\x04")
put("pnm", "two", b"P7\nWIDTH 1\nHEIGHT 2\nDEPTH 2\nMAXVAL 9\n"
    b"TUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n\1\2\3\4")


def bmp(width, height, bits, compression, extra, body):
    head = struct.pack("<IiiHHIIIIII", 40, width, height, 1, bits,
                       compression, len(body), 0, 0, 0, 0)
    at = 14 + len(head) + len(extra)
    return (b"BM" + struct.pack("<IHHI", at + len(body), 0, 0, at) + head +
            extra + body)


put("bmp", "rle8", bmp(5, 2, 8, 1, bytes(1024),
                       bytes([2, 5, 0, 3, 6, 7, 8, 0, 0, 0, 0, 2, 1, 0, 1, 9,
                              0, 1])))
put("bmp", "rle4", bmp(6, 1, 4, 2, bytes(64),
                       bytes([3, 0x12, 0, 3, 0x45, 0x60, 0, 1])))
put("bmp", "fields", bmp(2, -1, 16, 3, struct.pack("<III", 0xF800, 0x7E0,
                                                   0x1F), b"\1\2\3\4"))
