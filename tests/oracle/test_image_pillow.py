"""Pictures compared with Pillow: resized, decoded, encoded, converted.

Runs against libocelli.so in $OC_BUILD_DIR and prints TAP.
"""
import io
import os
import sys
import traceback

import numpy as np
from PIL import Image, ImageOps, features

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import picture as oc

rng = np.random.default_rng(7)


def noise(height, width, channels):
    shape = (height, width) if channels == 1 else (height, width, channels)
    return rng.integers(0, 256, shape, np.uint8)


def scene(height, width):
    """Smooth colours with hard edges, closer to a photo than noise."""
    y, x = np.mgrid[0:height, 0:width]
    a = np.stack([127 + 120 * np.sin(x / 9.0), 127 + 120 * np.cos(y / 13.0),
                  (x * 255 / width + y) % 256], -1)
    a[height // 3:height // 2, width // 4:width // 2] = (250, 10, 30)
    return a.clip(0, 255).astype(np.uint8)


def worst(a, b):
    assert a.shape == b.shape, f"shape {a.shape} is not {b.shape}"
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def encoded(image, fmt, **how):
    f = io.BytesIO()
    image.save(f, fmt, **how)
    return f.getvalue()


# ---- size ------------------------------------------------------------------

FILTERS = {
    oc.NEAREST: Image.NEAREST, oc.BILINEAR: Image.BILINEAR,
    oc.AREA: Image.BOX, oc.BICUBIC: Image.BICUBIC, oc.LANCZOS: Image.LANCZOS,
}
SIZES = [(64, 48), (33, 17), (1, 1), (7, 200), (200, 5), (131, 97), (130, 97),
         (300, 250), (262, 194)]


def resize_matches_pillow():
    for channels in (1, 3, 4):
        source = noise(97, 131, channels)
        # Pillow multiplies alpha in; four planes of gray do not.
        planes = source.reshape(97, 131, channels)
        for ours, theirs in FILTERS.items():
            for w, h in SIZES:
                got = oc.resize(source, w, h, ours)
                want = np.stack([np.asarray(
                    Image.fromarray(planes[..., i]).resize((w, h), theirs))
                    for i in range(channels)], -1).reshape(got.shape)
                limit = 0
                d = worst(got, want)
                assert d <= limit, f"{channels} ch, filter {ours}, {w}x{h}: {d}"


def resize_with_box_matches_pillow():
    source = noise(97, 131, 3)
    image = Image.fromarray(source)
    for ours, theirs in FILTERS.items():
        for box in ((10, 20, 90, 80), (3.25, 0, 130.5, 96.75),
                    (50.1, 50.1, 50.9, 50.9)):
            for w, h in ((20, 30), (80, 60), (200, 150)):
                d = worst(oc.resize(source, w, h, ours, box),
                          np.asarray(image.resize((w, h), theirs, box)))
                assert d == 0, f"filter {ours}, {box}, {w}x{h}: {d}"


def resize_of_large_reductions_matches_pillow():
    source = scene(1400, 1900)
    image = Image.fromarray(source)
    for ours, theirs in FILTERS.items():
        for w, h in ((1, 1), (3, 2), (224, 224), (1899, 1399)):
            d = worst(oc.resize(source, w, h, ours),
                      np.asarray(image.resize((w, h), theirs)))
            assert d == 0, f"filter {ours}, {w}x{h}: {d}"


def resize_of_random_boxes_matches_pillow():
    """The order of the two passes depends on sizes in a subtle way."""
    for i in range(400):
        h, w = rng.integers(2, 80, 2)
        W, H = (int(v) for v in rng.integers(1, 120, 2))
        source = noise(h, w, 1)
        box = (0, 0, int(w), int(h))
        if i % 2:
            x = np.sort(rng.choice(np.arange(0, w + 0.25, 0.25), 2, False))
            y = np.sort(rng.choice(np.arange(0, h + 0.25, 0.25), 2, False))
            box = (float(x[0]), float(y[0]), float(x[1]), float(y[1]))
        ours = list(FILTERS)[i % 5]
        d = worst(oc.resize(source, W, H, ours, box),
                  np.asarray(Image.fromarray(source).resize(
                      (W, H), FILTERS[ours], box)))
        assert d == 0, f"filter {ours}, {w}x{h} {box} to {W}x{H}: {d}"


def sampled(source, out, a, cubic):
    """One direction of half-pixel sampling with edge clamp, in doubles."""
    n = source.shape[0]
    at = (np.arange(out) + 0.5) * n / out - 0.5
    base = np.floor(at).astype(int)
    f = at - base
    result = 0
    for t in (range(-1, 3) if cubic else range(2)):
        x = np.abs(f - t)
        if cubic:
            w = np.where(x <= 1, ((a + 2) * x - (a + 3)) * x * x + 1,
                         ((x - 5) * x + 8) * x * a - 4 * a)
        else:
            w = 1 - x
        w = w.reshape((-1,) + (1,) * (source.ndim - 1))
        result = result + w * source[np.clip(base + t, 0, n - 1)]
    return result


def resize_without_antialias_is_half_pixel_sampling():
    source = noise(60, 90, 3)
    for ours, cubic in ((oc.BILINEAR, False), (oc.BICUBIC, True)):
        for w, h in ((45, 30), (31, 17), (200, 133), (90, 7)):
            rows = sampled(source.transpose(1, 0, 2).astype(float), w, -0.75,
                           cubic)
            rows = np.clip(np.rint(rows), 0, 255).transpose(1, 0, 2)
            want = np.clip(np.rint(sampled(rows, h, -0.75, cubic)), 0, 255)
            d = worst(oc.resize(source, w, h, ours, None, 1), want)
            # Halves of levels may go either way between the passes.
            limit = 2 if cubic else 1
            assert d <= limit, f"filter {ours}, {w}x{h}: {d}"


def area_without_antialias_is_exact_coverage():
    source = noise(60, 90, 3)
    for w, h in ((45, 30), (30, 20), (15, 60)):
        want = source.reshape(h, 60 // h, w, 90 // w, 3).mean((1, 3))
        d = worst(oc.resize(source, w, h, oc.AREA, None, 1), np.rint(want))
        assert d <= 1, f"{w}x{h}: {d}"


# ---- reading ---------------------------------------------------------------

def same_as_pillow(data, limit, what, **options):
    image = Image.open(io.BytesIO(data))
    want = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    d = worst(oc.load(data, **options), want)
    assert d <= limit, f"{what}: {d}"


def jpeg_matches_pillow():
    image = Image.fromarray(scene(117, 203))
    for quality in (30, 75, 95):
        for sub in (0, 1, 2):
            for progressive in (False, True):
                same_as_pillow(
                    encoded(image, "JPEG", quality=quality, subsampling=sub,
                            progressive=progressive), 1,
                    f"q{quality} s{sub} p{progressive}")
    same_as_pillow(encoded(image.convert("L"), "JPEG"), 0, "gray")
    same_as_pillow(encoded(image, "JPEG", restart_marker_rows=1), 1,
                   "restart")
    same_as_pillow(encoded(image, "JPEG", keep_rgb=True), 1, "stored as rgb")


def jpeg_gray_matches_pillow():
    data = encoded(Image.fromarray(scene(64, 64)), "JPEG")
    want = np.asarray(Image.open(io.BytesIO(data)).convert("L"))
    assert worst(oc.load(data, color=oc.GRAY), want) <= 1


def jpeg_cmyk_matches_pillow():
    image = Image.fromarray(noise(40, 50, 4), "CMYK")
    same_as_pillow(encoded(image, "JPEG", quality=90), 1, "cmyk")


def jpeg_is_turned_as_pillow_turns_it():
    image = Image.fromarray(scene(40, 64))
    for o in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = o
        same_as_pillow(encoded(image, "JPEG", exif=exif), 1, f"turn {o}")
        same_as_pillow(encoded(image, "PNG", exif=exif), 0, f"png turn {o}")
        same_as_pillow(encoded(image, "WEBP", exif=exif, lossless=True), 0,
                       f"webp turn {o}")


def jpeg_scaled_decoding_matches_draft():
    data = encoded(Image.fromarray(scene(480, 640)), "JPEG", quality=90)
    for n in (1, 2, 4):
        w, h = 640 * n // 8, 480 * n // 8
        image = Image.open(io.BytesIO(data))
        image.draft("RGB", (w, h))
        got = oc.load(data, min_width=w, min_height=h)
        d = worst(got, np.asarray(image))
        assert d <= 1, f"{n}/8: {d}"


def png_matches_pillow():
    rgb = Image.fromarray(scene(37, 53))
    alpha = Image.fromarray(noise(37, 53, 4), "RGBA")
    for what, image in (("rgb", rgb), ("gray", rgb.convert("L")),
                        ("bits", rgb.convert("1")),
                        ("palette", rgb.quantize(200)),
                        ("palette 4 bits", rgb.quantize(13)),
                        ("palette 1 bit", rgb.quantize(2))):
        same_as_pillow(encoded(image, "PNG"), 0, what)
    d = worst(oc.load(encoded(alpha, "PNG"), color=oc.RGBA),
              np.asarray(alpha))
    assert d == 0, f"alpha: {d}"
    la = alpha.convert("LA")
    d = worst(oc.load(encoded(la, "PNG"), color=oc.RGBA),
              np.asarray(la.convert("RGBA")))
    assert d == 0, f"gray and alpha: {d}"


def png_of_16_bits_is_scaled():
    deep = rng.integers(0, 65536, (20, 30), np.uint16)
    data = encoded(Image.fromarray(deep), "PNG")
    want = np.rint(deep / 257.0)
    assert worst(oc.load(data, color=oc.GRAY), want) <= 1


def png_palette_gives_its_indices():
    image = Image.fromarray(noise(9, 11, 1) % 21, "P")
    image.putpalette([i for k in range(21) for i in (k * 5, k, 255 - k)])
    for bits in (8,):
        got = oc.load(encoded(image, "PNG", bits=bits), color=oc.INDEX)
        assert worst(got, np.asarray(image)) == 0
    small = Image.fromarray(noise(9, 11, 1) % 3, "P")
    small.putpalette([0, 0, 0, 9, 9, 9, 200, 100, 0])
    got = oc.load(encoded(small, "PNG", bits=2), color=oc.INDEX)
    assert worst(got, np.asarray(small)) == 0


def webp_matches_pillow():
    image = Image.fromarray(scene(61, 83))
    same_as_pillow(encoded(image, "WEBP", quality=80), 0, "lossy")
    same_as_pillow(encoded(image, "WEBP", lossless=True), 0, "lossless")
    alpha = Image.fromarray(noise(31, 33, 4), "RGBA")
    data = encoded(alpha, "WEBP", lossless=True, exact=True)
    assert worst(oc.load(data, color=oc.RGBA), np.asarray(alpha)) == 0


def webp_animation_gives_its_first_frame():
    first, second = (Image.fromarray(scene(40, 48)),
                     Image.fromarray(noise(40, 48, 3)))
    data = encoded(first, "WEBP", save_all=True, append_images=[second],
                   lossless=True)
    assert worst(oc.load(data), np.asarray(first)) == 0


def tiff_matches_pillow():
    rgb = Image.fromarray(scene(150, 90))
    for how in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits"):
        for what, image in (("rgb", rgb), ("gray", rgb.convert("L")),
                            ("palette", rgb.quantize(100)),
                            ("cmyk", rgb.convert("CMYK")),
                            ("bits", rgb.convert("1"))):
            same_as_pillow(encoded(image, "TIFF", compression=how), 1,
                           f"{what} {how}")
    for how in ("group4", "group3"):
        same_as_pillow(encoded(rgb.convert("1"), "TIFF", compression=how), 0,
                       how)
    same_as_pillow(encoded(rgb, "TIFF", compression="jpeg"), 2, "jpeg")
    same_as_pillow(encoded(rgb.convert("YCbCr"), "TIFF"), 3, "ycbcr")
    alpha = Image.fromarray(noise(31, 33, 4), "RGBA")
    got = oc.load(encoded(alpha, "TIFF"), color=oc.RGBA)
    assert worst(got, np.asarray(alpha)) == 0, "alpha"
    deep = rng.integers(0, 65536, (20, 30), np.uint16)
    got = oc.load(encoded(Image.fromarray(deep), "TIFF"), color=oc.GRAY)
    assert worst(got, np.rint(deep / 257.0)) <= 1, "16 bit"


def jpeg2000_matches_pillow():
    if not features.check("jpg_2000") or not oc.reads(oc.JP2):
        return "no JPEG 2000"
    rgb = Image.fromarray(scene(37, 53))
    for what, image in (("rgb", rgb), ("gray", rgb.convert("L"))):
        same_as_pillow(encoded(image, "JPEG2000"), 0, what)
        same_as_pillow(encoded(image, "JPEG2000", irreversible=True,
                               quality_layers=[10]), 1, f"lossy {what}")
        same_as_pillow(encoded(image, "JPEG2000", no_jp2=True,
                               tile_size=(16, 16), num_resolutions=2), 0,
                       f"bare {what}")
    alpha = Image.fromarray(noise(31, 33, 4), "RGBA")
    got = oc.load(encoded(alpha, "JPEG2000"), color=oc.RGBA)
    assert worst(got, np.asarray(alpha)) == 0, "alpha"


def bmp_matches_pillow():
    rgb = Image.fromarray(scene(37, 53))
    alpha = Image.fromarray(noise(37, 53, 4), "RGBA")
    for what, image in (("rgb", rgb), ("gray", rgb.convert("L")),
                        ("bits", rgb.convert("1")),
                        ("palette", rgb.quantize(200))):
        same_as_pillow(encoded(image, "BMP"), 0, what)
    got = oc.load(encoded(alpha, "BMP"), color=oc.RGB)
    assert worst(got, np.asarray(alpha.convert("RGB"))) == 0


def pnm_matches_pillow():
    rgb = Image.fromarray(scene(37, 53))
    for what, image in (("rgb", rgb), ("gray", rgb.convert("L")),
                        ("bits", rgb.convert("1"))):
        same_as_pillow(encoded(image, "PPM"), 0, what)
    deep = rng.integers(0, 65536, (20, 30), np.uint16)
    got = oc.load(encoded(Image.fromarray(deep), "PPM"), color=oc.GRAY)
    assert worst(got, np.rint(deep / 257.0)) <= 1, "16 bit"
    for text in (b"P3\n# two pixels\n2 1 15\n0 7 15 3 3 3\n",
                 b"P2 3 1 100 0 50 100 ", b"P1\n4 2\n0 1 1 0\n1 0 0 1\n"):
        same_as_pillow(text, 1, str(text))


def files_cut_anywhere_are_refused():
    """The variants that our own encoders do not write."""
    image = Image.fromarray(scene(17, 23))
    files = {
        "progressive": encoded(image, "JPEG", progressive=True),
        "restarts": encoded(image, "JPEG", restart_marker_blocks=1),
        "palette": encoded(image.quantize(20), "PNG"),
        "strips": encoded(image, "TIFF"),
        "lzw": encoded(image, "TIFF", compression="tiff_lzw"),
        "animation": encoded(image, "WEBP", save_all=True, lossless=True,
                             append_images=[image.rotate(90)]),
    }
    if oc.reads(oc.JP2):
        files["jpeg 2000"] = encoded(image, "JPEG2000", num_resolutions=2)
    for what, data in files.items():
        whole, accepted = oc.load(data), 0
        for n in range(len(data)):
            try:
                part = oc.load(data[:n])
            except oc.Failure as problem:
                assert len(str(problem)) > 10
                continue
            accepted += 1
            # Only where nothing of the picture is missing: behind it stand
            # end marks, tags that say nothing of pixels, later frames.
            d = worst(part, whole)
            assert d == 0, f"{what} cut at {n} of {len(data)}: {d}"
        assert accepted < len(data) // 2 + 1, f"{what}: {accepted} accepted"


# ---- writing, colours ------------------------------------------------------

def pillow_reads_what_is_written():
    for channels in (1, 3, 4):
        a = noise(23, 31, channels)
        for fmt in (oc.PNG, oc.BMP, oc.PNM):
            if channels == 4 and fmt == oc.PNM:
                continue  # Pillow reads no alpha there
            b = np.asarray(Image.open(io.BytesIO(oc.save(a, fmt))))
            assert worst(a, b) == 0, f"{channels} ch as {fmt}"
        data = oc.save(a, oc.WEBP, lossless=1)
        b = Image.open(io.BytesIO(data))
        b = b.convert({1: "L", 3: "RGB", 4: "RGBA"}[channels])
        assert worst(a, np.asarray(b)) == 0, f"{channels} ch as webp"
    smooth = scene(96, 128)
    for fmt in (oc.JPEG, oc.WEBP):
        for a in (smooth, np.ascontiguousarray(smooth[..., 0])):
            data = oc.save(a, fmt, quality=95)
            b = Image.open(io.BytesIO(data)).convert(
                "L" if a.ndim == 2 else "RGB")
            d = np.abs(a.astype(int) - np.asarray(b).astype(int)).mean()
            assert d < 4, f"{fmt}: mean {d}"


def pillow_reads_the_palette():
    a = noise(12, 17, 1) % 5
    palette = bytes(range(15))
    b = Image.open(io.BytesIO(oc.save(a, oc.PNG, palette=palette)))
    assert b.mode == "P" and worst(a, np.asarray(b)) == 0
    assert bytes(b.getpalette()[:15]) == palette


def colours_match_pillow():
    a = noise(64, 64, 3)
    image = Image.fromarray(a)
    gray = oc.convert(a, oc.RGB, oc.GRAY)
    assert worst(gray, np.asarray(image.convert("L"))) == 0, "gray"
    ycc = oc.convert(a, oc.RGB, oc.YCBCR)
    assert worst(ycc, np.asarray(image.convert("YCbCr"))) <= 1, "to ycbcr"
    back = np.asarray(Image.fromarray(a, "YCbCr").convert("RGB"))
    assert worst(oc.convert(a, oc.YCBCR, oc.RGB), back) <= 1, "to rgb"
    assert worst(oc.convert(a, oc.RGB, oc.BGR), a[..., ::-1]) == 0, "bgr"


# ---- preprocessing ---------------------------------------------------------

def values(pixels, p_scale, mean, std, nhwc=False):
    v = (pixels.astype(np.float64) * p_scale - mean) / std
    return (v if nhwc else v.transpose(2, 0, 1))[None]


MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def tensor_covers_from_the_middle():
    for h, w in ((480, 640), (333, 500), (500, 333), (256, 256), (90, 47)):
        source = scene(h, w)
        got, where = oc.to_tensor(source, MEAN, STD, width=224, height=224,
                                  fit=oc.COVER, crop=0.875, scale=1 / 255)
        size = ((256, round(256 * h / w)) if w <= h
                else (round(256 * w / h), 256))
        x, y = (size[0] - 224) // 2, (size[1] - 224) // 2
        image = Image.fromarray(source).resize(size, Image.BILINEAR)
        crop = np.asarray(image.crop((x, y, x + 224, y + 224)))
        want = values(crop, 1 / 255, MEAN, STD)
        assert got.shape == want.shape
        assert np.abs(got - want).max() < 1e-5, f"{w}x{h}"
        assert abs(where.offset_x + x) < 1e-9
        assert abs(where.scale_x - size[0] / w) < 1e-9


def tensor_letterboxes_top_left():
    source = scene(480, 640)
    got, where = oc.to_tensor(source, pad=(114, 114, 114), width=416,
                              height=416, fit=oc.LETTERBOX, color=oc.BGR)
    want = np.full((416, 416, 3), 114.0)
    want[:312] = np.asarray(Image.fromarray(source).resize(
        (416, 312), Image.BILINEAR))[..., ::-1]
    assert np.array_equal(got, values(want, 1, 0, 1))
    assert (where.scale_x, where.offset_y) == (0.65, 0.0)


def tensor_contains_in_the_centre():
    source = scene(480, 640)
    for dtype, kind in ((oc.U8, np.uint8), (oc.F16, np.float16),
                        (oc.F32, np.float32)):
        for layout in (oc.NCHW, oc.NHWC):
            got, where = oc.to_tensor(
                source, pad=(10, 20, 30), width=300, height=301,
                fit=oc.CONTAIN, dtype=dtype, layout=layout,
                interpolation=oc.BICUBIC)
            want = np.tile(np.array([10.0, 20.0, 30.0]), (301, 300, 1))
            want[38:263] = np.asarray(Image.fromarray(source).resize(
                (300, 225), Image.BICUBIC))
            want = values(want, 1, 0, 1, layout == oc.NHWC).astype(kind)
            assert got.dtype == kind and np.array_equal(got, want)
            assert where.offset_y == 38


def tensor_stretches_to_int8():
    source = scene(70, 90)
    got, _ = oc.to_tensor(source, (0.5,) * 3, (1 / 64,) * 3, width=33,
                          height=21, scale=1 / 255, dtype=oc.I8)
    pixels = np.asarray(Image.fromarray(source).resize((33, 21),
                                                       Image.BILINEAR))
    want = values(pixels, 1 / 255, 0.5, 1 / 64)
    assert np.abs(got - want).max() <= 0.5 + 1e-4


def tensor_of_gray_and_alpha():
    source = scene(40, 50)
    image = Image.fromarray(source)
    got, _ = oc.to_tensor(source, width=50, height=40, color=oc.GRAY)
    assert np.array_equal(got[0, 0], np.asarray(image.convert("L")))
    gray = np.ascontiguousarray(source[..., 1])
    got, _ = oc.to_tensor(gray, width=50, height=40)
    for i in range(3):
        assert np.array_equal(got[0, i], gray)
    rgba = np.dstack([source, noise(40, 50, 1)])
    got, _ = oc.to_tensor(np.ascontiguousarray(rgba), width=50, height=40)
    assert np.array_equal(got[0].transpose(1, 2, 0), source)


def halves_round_to_even():
    scales = rng.uniform(-12, 8, 200)
    gray = np.arange(256, dtype=np.uint8).reshape(1, 256)
    for s in np.exp2(scales):
        f, _ = oc.to_tensor(gray, (3.0,) * 3, width=256, height=1,
                            color=oc.GRAY, scale=s)
        h, _ = oc.to_tensor(gray, (3.0,) * 3, width=256, height=1,
                            color=oc.GRAY, scale=s, dtype=oc.F16)
        assert np.array_equal(f.astype(np.float16), h), s
        f, _ = oc.to_tensor(gray, width=256, height=1, color=oc.GRAY,
                            scale=s * 1e-5)
        h, _ = oc.to_tensor(gray, width=256, height=1, color=oc.GRAY,
                            scale=s * 1e-5, dtype=oc.F16)
        assert np.array_equal(f.astype(np.float16), h), s


def files_match_pillow():
    """The real photos, where they are."""
    folder = os.path.join(os.environ.get("OC_SHARED", "../shared"), "images")
    if not os.path.isdir(folder):
        return "no pictures at hand"
    for name in sorted(os.listdir(folder)):
        if name.endswith((".jpg", ".png")):
            with open(os.path.join(folder, name), "rb") as f:
                same_as_pillow(f.read(), 1, name)


def main():
    tests = [(n, f) for n, f in globals().items()
             if callable(f) and getattr(f, "__module__", "") == "__main__"
             and "_" in n and n not in ("same_as_pillow",)]
    print(f"1..{len(tests)}")
    failed = 0
    for i, (name, test) in enumerate(tests, 1):
        try:
            skip = test()
            print(f"ok {i} - {name}" + (f" # SKIP {skip}" if skip else ""))
        except Exception as problem:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print(f"not ok {i} - {name}: {problem}")
    return 1 if failed else 0


sys.exit(main())
