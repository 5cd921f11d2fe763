"""What pictures show, as ocelli says it without options and as we know it.

First the expectations of ../shared/models/README.md.  Then, for a model of
each family, the same worked out here: Pillow prepares the picture, ONNX
Runtime runs the network, NumPy reads its outputs.
"""
import os
import sys

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import peer
import program
from program import ask, path, picture, pixels, resized


# Of scores: the README's were measured with another filter for resizing.
NEAR = .03


def network(name, tensor):
    """ONNX Runtime's outputs by name."""
    session = peer.session(program.model(name))
    feed = {session.get_inputs()[0].name: tensor.astype(np.float32)}
    return dict(zip([o.name for o in session.get_outputs()],
                    session.run(None, feed)))


def nchw(image):
    return image.transpose(2, 0, 1)[None]


def look(verb, name, image, *options):
    """The result for one picture."""
    found = ask(verb, program.model(name), image, *options)["results"]
    assert len(found) == 1
    return found[0]


# ---- what the README expects ------------------------------------------------

def scores(name, image, label):
    return [o["score"] for o in look("detect", name, picture(image))["objects"]
            if o["label"] == label]


def are(got, want):
    assert len(got) >= len(want), (got, want)
    np.testing.assert_allclose(got[:len(want)], want, atol=NEAR)


def yolox_finds_bus_and_persons():
    are(scores("yolox_nano_coco", "bus.jpg", "bus"), [.91])
    are(scores("yolox_nano_coco", "bus.jpg", "person"), [.85, .82, .69])


def nanodet_finds_bus_and_persons():
    bus = scores("nanodet_m_coco", "bus.jpg", "bus")
    are(bus, [.76])
    persons = scores("nanodet_m_coco", "bus.jpg", "person")
    assert len(bus) == 1 and len(persons) == 3, (bus, persons)


def ssd_finds_persons_and_animals():
    name = "ssd_mobilenet_v3_coco"
    are(scores(name, "bus.jpg", "person"), [.80])
    are(scores(name, "bus.jpg", "bus"), [.75])
    are(scores(name, "cat_720p.jpg", "cat"), [.80])
    are(scores(name, "pets.jpg", "dog"), [.79])


def ultraface_finds_five_faces():
    """No label says how many there are: five is what two networks agree on."""
    found = scores("ultraface_rfb_320", "faces.jpg", "face")
    assert len(found) == 5, found
    assert min(found) >= .98 - NEAR and sum(s >= .98 for s in found) >= 4, found


def yunet_finds_five_faces_with_points():
    faces = look("detect", "yunet_n_320_320", picture("faces.jpg"))["objects"]
    assert len(faces) == 5, faces
    for f in faces:
        x1, y1, x2, y2 = f["box"]
        (ax, ay, _), (bx, by, _), nose, left, right = f["keypoints"]
        # Eyes, nose, corners of the mouth, inside and in that order.
        for x, y, _ in f["keypoints"]:
            assert x1 < x < x2 and y1 < y < y2, f
        assert ax < bx and max(ay, by) < nose[1] < min(left[1], right[1]), f
        assert left[0] < right[0], f


def iou(a, b):
    return (a & b).sum() / (a | b).sum()


def mask_of(name, image):
    out = path("masks")
    r = look("segment", name, image, "--out", out)
    with Image.open(r["mask"]) as mask:
        return np.array(mask), r


def deeplab_finds_the_bird():
    mask, r = mask_of("deeplabv3_mobilenet_v2_voc", picture("bird.png"))
    truth = pixels(picture("bird_mask.png"), "L") == 3
    assert mask.shape == truth.shape
    bird = iou(mask == 3, truth)  # VOC's class 3
    print(f"# bird: IoU {bird:.4f}")
    assert bird > .90, bird
    assert [c["label"] for c in r["classes"]] == ["background", "bird"]
    share = {c["index"]: c["fraction"] for c in r["classes"]}
    assert abs(share[3] - (mask == 3).mean()) < 1e-9


def selfie_finds_the_person():
    """One person in the middle, in one piece, no holes worth the name."""
    mask, r = mask_of("selfie_landscape_nhwc", picture("portrait.jpg"))
    person = mask == 1
    h, w = person.shape
    assert (w, h) == (r["width"], r["height"])
    assert .3 < person.mean() < .8
    assert person[h // 3:2 * h // 3, w * 2 // 5:w * 3 // 5].mean() > .98
    assert person[:h // 10, :w // 10].mean() < .02
    assert person[:h // 10, -w // 10:].mean() < .02
    assert r["classes"][0]["label"] == "person"
    # Flooding from the largest piece of a coarse mask reaches nearly all.
    small = np.array(Image.fromarray(person).resize((64, 64)))
    seen = np.zeros_like(small)
    todo = [(32, 32)]
    while todo:
        y, x = todo.pop()
        if 0 <= y < 64 and 0 <= x < 64 and small[y, x] and not seen[y, x]:
            seen[y, x] = True
            todo += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
    assert seen.sum() > .97 * small.sum(), (seen.sum(), small.sum())


def classifiers_name_animals():
    """ImageNet's classes 151 to 268 are dogs, 281 to 285 cats."""
    for name, first in (("mobilenet_v2_imagenet_nhwc", 1),
                        ("squeezenet1.1_imagenet", 0),
                        ("shufflenet_v2_imagenet_int8", 0)):
        for image, low, high in (("cat_720p.jpg", 281, 285),
                                 ("pets.jpg", 151, 268)):
            best = look("classify", name, picture(image))["labels"][0]
            assert low <= best["index"] - first <= high, (name, image, best)


# ---- detectors, worked out here ---------------------------------------------

def letterboxed(rgb, width, height, pad):
    """All of it at the top left; with the factor."""
    r = min(width / rgb.shape[1], height / rgb.shape[0])
    inner = resized(rgb, round(rgb.shape[1] * r), round(rgb.shape[0] * r))
    out = np.full((height, width, 3), pad, np.uint8)
    out[:inner.shape[0], :inner.shape[1]] = inner
    return out, np.array([r, r, r, r])


def stretched(rgb, width, height):
    x, y = width / rgb.shape[1], height / rgb.shape[0]
    return resized(rgb, width, height), np.array([x, y, x, y])


def corners(cx, cy, w, h):
    return np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], -1)


def grid(stride, width, height):
    w, h = -(-width // stride), -(-height // stride)
    y, x = np.mgrid[:h, :w]
    return x.ravel(), y.ravel()


def overlaps(box, boxes):
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    both = np.clip(high - low, 0, None).prod(1)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
    return both / ((box[2:] - box[:2]).prod() + area - both)


def suppressed(boxes, table, least, limit):
    """Greedy NMS class by class over [N, C] scores: (class, score, box)."""
    kept = []
    for c in range(table.shape[1]):
        order = [i for i in np.argsort(-table[:, c], kind="stable")
                 if table[i, c] >= least]
        while order:
            best = order.pop(0)
            kept.append((c, float(table[best, c]), boxes[best]))
            if order:
                over = overlaps(boxes[best], boxes[order])
                order = [i for i, o in zip(order, over) if o <= limit]
    return sorted(kept, key=lambda k: -k[1])


def yolox(rgb):
    x, factor = letterboxed(rgb, 416, 416, 114)
    out = network("yolox_nano_coco", nchw(x[..., ::-1]))["output"][0]
    boxes, at = [], 0
    for stride in (8, 16, 32):
        gx, gy = grid(stride, 416, 416)
        o = out[at:at + len(gx)]
        at += len(gx)
        boxes.append(corners((o[:, 0] + gx) * stride, (o[:, 1] + gy) * stride,
                             np.exp(o[:, 2]) * stride,
                             np.exp(o[:, 3]) * stride))
    assert at == len(out)
    table = out[:, 4:5] * out[:, 5:]
    return np.concatenate(boxes) / factor, table, .35, .65


def nanodet(rgb):
    x, factor = letterboxed(rgb, 320, 320, 0)
    x = (x[..., ::-1] - np.array([103.53, 116.28, 123.675])) / \
        np.array([57.375, 57.12, 58.395])
    out = network("nanodet_m_coco", nchw(x)).values()
    boxes, table = [], []
    for stride in (8, 16, 32):
        gx, gy = grid(stride, 320, 320)
        score, = [o for o in out if o.shape == (len(gx), 80)]
        bins, = [o for o in out if o.shape == (len(gx), 32)]
        p = np.exp(bins.reshape(-1, 4, 8).astype(np.float64))
        side = (p / p.sum(2, keepdims=True) * np.arange(8)).sum(2) * stride
        cx, cy = (gx + .5) * stride, (gy + .5) * stride
        boxes.append(np.stack([cx - side[:, 0], cy - side[:, 1],
                               cx + side[:, 2], cy + side[:, 3]], 1))
        table.append(score)
    return np.concatenate(boxes) / factor, np.concatenate(table), .35, .6


def ssd(rgb):
    """Anchors as in TensorFlow's ssd_anchor_generator."""
    x, factor = stretched(rgb, 320, 320)
    out = network("ssd_mobilenet_v3_coco", x[None] / 127.5 - 1)
    scales = [*np.linspace(.2, .95, 6), 1]
    anchors = []
    for layer, cells in enumerate((20, 10, 5, 3, 2, 1)):
        s = scales[layer]
        sizes = [(.1, 1), (s, 2), (s, .5)] if layer == 0 else \
            [(s, 1), (s, 2), (s, .5), (s, 3), (s, 1 / 3),
             ((s * scales[layer + 1]) ** .5, 1)]
        for cy in range(cells):
            for cx in range(cells):
                anchors += [((cx + .5) / cells, (cy + .5) / cells,
                             k * r ** .5, k / r ** .5) for k, r in sizes]
    a = np.array(anchors)
    code = out["output1"][0]
    assert len(a) == len(code)
    boxes = 320 * corners(code[:, 1] / 10 * a[:, 2] + a[:, 0],
                          code[:, 0] / 10 * a[:, 3] + a[:, 1],
                          np.exp(code[:, 3] / 5) * a[:, 2],
                          np.exp(code[:, 2] / 5) * a[:, 3])
    return boxes / factor, out["output0"][0][:, 1:], .35, .6


def ultraface(rgb):
    x, factor = stretched(rgb, 320, 240)
    out = network("ultraface_rfb_320", nchw((x - 127.) / 128))
    boxes = out["boxes"][0] * np.array([320, 240, 320, 240])
    return boxes / factor, out["scores"][0][:, 1:], .7, .3


def yunet(rgb):
    x, factor = letterboxed(rgb, 320, 320, 0)
    out = network("yunet_n_320_320", nchw(x[..., ::-1]))
    boxes, table = [], []
    for stride in (8, 16, 32):
        gx, gy = grid(stride, 320, 320)
        b = out[f"bbox_{stride}"][0]
        boxes.append(corners((gx + b[:, 0]) * stride, (gy + b[:, 1]) * stride,
                             np.exp(b[:, 2]) * stride,
                             np.exp(b[:, 3]) * stride))
        table.append(np.sqrt(np.clip(out[f"cls_{stride}"][0], 0, 1) *
                             np.clip(out[f"obj_{stride}"][0], 0, 1)))
    return np.concatenate(boxes) / factor, np.concatenate(table), .6, .3


def detector_matches(name, decode, image, threshold=None):
    """
    The same objects: scores within .01, boxes within half a percent of the
    picture.  Within .01 of the threshold they may be there or not.
    """
    # With --out every pixel is read, as here; without, JPEGs are shrunk.
    r = look("detect", name, picture(image), "--out", path("drawn"),
             "--top", 1000, *(["--threshold", threshold] if threshold else []))
    rgb = pixels(picture(image))
    assert (r["height"], r["width"]) == rgb.shape[:2]
    boxes, table, least, limit = decode(rgb)
    least = threshold or least
    size = np.array([rgb.shape[1], rgb.shape[0]] * 2)
    want = [(c, s, np.clip(b, 0, size)) for c, s, b in
            suppressed(boxes, table.astype(np.float64), least - .01, limit)]
    got = [(o["index"], o["score"], np.array(o["box"])) for o in r["objects"]]
    assert all(s >= least for _, s, _ in got)
    assert got and len(want) < 1000
    for left, right in ((got, want), (want, got)):
        rest = list(right)
        for c, score, box in left:
            if score < least + .01:
                continue
            at = [i for i, (k, s, b) in enumerate(rest)
                  if k == c and abs(s - score) < .01 and
                  np.abs(b - box).max() < .005 * size.max()]
            assert at, f"{name} {image}: {c} {score:.3f} {box} is only on " \
                f"one side, which has {right}"
            rest.pop(at[0])


def detectors_match(name, decode, *images):
    for image in images:
        detector_matches(name, decode, image)
    # Weak ones too, many of which overlap.
    detector_matches(name, decode, images[0], .1)


# ---- classifiers, worked out here -------------------------------------------

def covered(rgb, size):
    """The short side to size, the middle of the long one."""
    h, w = rgb.shape[:2]
    r = size / min(h, w)
    big = resized(rgb, max(round(w * r), size), max(round(h * r), size))
    y, x = (big.shape[0] - size) // 2, (big.shape[1] - size) // 2
    return big[y:y + size, x:x + size].astype(np.float64)


def softmax(x):
    e = np.exp(x.astype(np.float64) - x.max())
    return e / e.sum()


def mobilenet(rgb):
    x = covered(rgb, 224) / 127.5 - 1
    return network("mobilenet_v2_imagenet_nhwc", x[None])["output"].ravel()


def squeezenet(rgb):
    x = covered(rgb, 224)[..., ::-1] - np.array([104, 117, 124])
    return network("squeezenet1.1_imagenet", nchw(x))["softmaxout_1"].ravel()


def shufflenet(rgb):
    x = (covered(rgb, 224) / 255 - np.array([.485, .456, .406])) / \
        np.array([.229, .224, .225])
    return softmax(network("shufflenet_v2_imagenet_int8",
                           nchw(x))["output"].ravel())


def classifiers_match():
    """The five best: the same probabilities, whatever their order."""
    for name, work, near in (
            ("mobilenet_v2_imagenet_nhwc", mobilenet, .02),
            ("squeezenet1.1_imagenet", squeezenet, .02),
            # A step of its quantised logits changes a probability by 4 %.
            ("shufflenet_v2_imagenet_int8", shufflenet, .05)):
        for image in ("cat_720p.jpg", "pets.jpg", "bus.jpg"):
            want = work(pixels(picture(image)))
            got = look("classify", name, picture(image), "--out",
                       path("drawn"))["labels"]
            assert len(got) == 5 and abs(want.sum() - 1) < 1e-3
            for label in got:
                off = abs(label["score"] - want[label["index"]])
                assert off < near, (name, image, label, off)
            lost = set(np.nonzero(want > got[-1]["score"] + near)[0])
            assert lost <= {label["index"] for label in got}, (name, lost)


def resnet8_matches():
    for image in ("cat_720p.jpg", "bus.jpg"):
        small = covered(pixels(picture(image)), 32)
        Image.fromarray(small.astype(np.uint8)).save(path("small.png"))
        want = network("resnet8_cifar10", small[None])["output"].ravel()
        got = look("classify", "resnet8_cifar10", path("small.png"), "--top",
                   10)["labels"]
        assert len(got) == 10 and abs(want.sum() - 1) < 1e-3
        for label in got:
            assert abs(label["score"] - want[label["index"]]) < 1e-4, label


def mnist_reads_digits():
    """Digits of Pillow's own font, white on black."""
    right = 0
    for digit in range(10):
        image = Image.new("L", (28, 28))
        ImageDraw.Draw(image).text((14, 14), str(digit), 255,
                                   ImageFont.load_default(22), "mm")
        image.save(path("digit.png"))
        x = np.array(image)[None, None]
        want = softmax(network("mnist", x)["Plus214_Output_0"].ravel())
        got = look("classify", "mnist", path("digit.png"), "--top",
                   10)["labels"]
        for label in got:
            assert abs(label["score"] - want[label["index"]]) < 1e-4, label
            assert label["label"] == str(label["index"])
        right += got[0]["index"] == digit
    assert right >= 8, right


# ---- masks, worked out here -------------------------------------------------

def upsampled(maps, width, height):
    """[h, w, C] to another size: bilinear, pixel centres at halves."""
    h, w = maps.shape[:2]

    def taps(n, size):
        at = np.clip((np.arange(n) + .5) * size / n - .5, 0, size - 1)
        low = at.astype(int)
        return low, np.minimum(low + 1, size - 1), at - low

    a, b, t = taps(height, h)
    maps = maps[a] + (maps[b] - maps[a]) * t[:, None, None]
    a, b, t = taps(width, w)
    return maps[:, a] + (maps[:, b] - maps[:, a]) * t[:, None]


def agree(got, want, least):
    share = (got == want).mean()
    print(f"# {share:.6f} of the pixels agree")
    assert got.shape == want.shape and share >= least, share


def deeplab_matches():
    """bird.png has the network's size: nothing is resized."""
    rgb = pixels(picture("bird.png"))
    assert rgb.shape == (513, 513, 3)
    want = network("deeplabv3_mobilenet_v2_voc", rgb[None] / 127.5 - 1)
    mask, _ = mask_of("deeplabv3_mobilenet_v2_voc", picture("bird.png"))
    agree(mask, want["output"][0].astype(np.uint8), .9999)


def selfie_matches():
    rgb = pixels(picture("portrait.jpg"))
    x = resized(rgb, 256, 144)[None] / 255
    maps = network("selfie_landscape_nhwc", x)["segment_back"][0]
    mask, _ = mask_of("selfie_landscape_nhwc", picture("portrait.jpg"))
    big = upsampled(maps, rgb.shape[1], rgb.shape[0])[..., 0]
    agree(mask, (big >= .5).astype(np.uint8), .999)


def espnet_matches():
    folder = os.path.join(program.data("camvid"), "val", "images")
    for file in sorted(os.listdir(folder))[::40]:
        rgb = pixels(os.path.join(folder, file))
        x = (resized(rgb, 480, 360)[..., ::-1] -
             np.array([104, 106, 105])) / 76 / 255
        maps = network("espnet_camvid", nchw(x))["logits"][0]
        big = upsampled(maps.transpose(1, 2, 0), rgb.shape[1], rgb.shape[0])
        mask, _ = mask_of("espnet_camvid", os.path.join(folder, file))
        agree(mask, big.argmax(2).astype(np.uint8), .999)


# ---- pictures made better ---------------------------------------------------

def restored(image):
    r = look("restore", "super_resolution", image, "--out", path("better"))
    return pixels(r["output"])


def super_resolution_matches():
    """
    Luma from the network, chroma enlarged by Pillow; between them and RGB
    JFIF's formulas, since Pillow cuts fractions off.
    """
    small = resized(pixels(picture("bird.png")), 224, 224)
    Image.fromarray(small).save(path("bird224.png"))
    r, g, b = small.astype(np.float64).transpose(2, 0, 1)
    y = .299 * r + .587 * g + .114 * b
    luma = network("super_resolution", np.rint(y)[None, None] / 255)["output"]
    y3 = np.clip(np.rint(luma[0, 0] * 255), 0, 255)
    cb, cr = [np.array(Image.fromarray(
        np.clip(np.rint((v - y) / k + 128), 0, 255).astype(np.uint8)).resize(
            (672, 672), Image.Resampling.BICUBIC)) - 128.
        for v, k in ((b, 1.772), (r, 1.402))]
    want = np.stack([y3 + 1.402 * cr, y3 - .344136 * cb - .714136 * cr,
                     y3 + 1.772 * cb], 2)
    want = np.clip(np.rint(want), 0, 255)
    off = np.abs(restored(path("bird224.png")).astype(int) - want)
    print(f"# off by {off.max()} at most, {off.mean():.4f} on average")
    # Rounding may cost a level of luma and one of chroma: 1 + 1.772.
    assert off.max() <= 3 and off.mean() < .1


def super_resolution_tiles_fit():
    """
    Larger pictures go through in tiles.  The network looks 5 pixels far (5x5,
    then three 3x3), so what lies further inside of any window is the same.
    """
    rgb = pixels(picture("bird.png"))
    luma = np.array(Image.fromarray(rgb).convert("L"))
    got = np.array(Image.fromarray(restored(picture("bird.png"))).convert("L"))
    assert got.shape == (3 * 513, 3 * 513)
    for top in (0, 150, 180, 289):
        for left in (0, 130, 200, 289):
            window = luma[top:top + 224, left:left + 224] / 255
            want = network("super_resolution", window[None, None])["output"]
            want = np.clip(np.rint(want[0, 0] * 255), 0, 255)
            inner = got[3 * top:3 * top + 672, 3 * left:3 * left + 672]
            off = np.abs(inner.astype(int) - want)[18:-18, 18:-18]
            # RGB and back costs a level; colours out of range cost more.
            assert (off > 2).mean() < 1e-3, (top, left, off.max())


def super_resolution_beats_bicubic():
    """A picture made smaller, made larger again, against the first one."""
    rgb = pixels(picture("bird.png"))[:510, :510]
    small = Image.fromarray(rgb).resize((170, 170), Image.Resampling.BICUBIC)
    small.save(path("bird170.png"))

    def noise(image):
        y = np.array(Image.fromarray(image).convert("L"), np.float64)
        truth = np.array(Image.fromarray(rgb).convert("L"), np.float64)
        return ((y - truth)[9:-9, 9:-9] ** 2).mean()

    plain = np.array(small.resize((510, 510), Image.Resampling.BICUBIC))
    ours = restored(path("bird170.png"))
    print(f"# squared error {noise(ours):.2f}, bicubic {noise(plain):.2f}")
    assert noise(ours) < noise(plain)


TESTS = [
    yolox_finds_bus_and_persons, nanodet_finds_bus_and_persons,
    ssd_finds_persons_and_animals, ultraface_finds_five_faces,
    yunet_finds_five_faces_with_points, deeplab_finds_the_bird,
    selfie_finds_the_person, classifiers_name_animals, classifiers_match,
    resnet8_matches, mnist_reads_digits, deeplab_matches, selfie_matches,
    espnet_matches, super_resolution_matches, super_resolution_tiles_fit,
    super_resolution_beats_bicubic,
]
DETECTORS = [
    ("yolox_nano_coco", yolox, "bus.jpg", "street_people.jpg", "pets.jpg"),
    ("nanodet_m_coco", nanodet, "bus.jpg", "street_people.jpg"),
    ("ssd_mobilenet_v3_coco", ssd, "bus.jpg", "cat_720p.jpg", "pets.jpg"),
    ("ultraface_rfb_320", ultraface, "faces.jpg", "portrait.jpg"),
    ("yunet_n_320_320", yunet, "faces.jpg", "portrait.jpg"),
]

if __name__ == "__main__":
    sys.exit(program.main(
        [(t.__name__, t) for t in TESTS] +
        [(f"{d[0]}_matches", lambda d=d: detectors_match(*d))
         for d in DETECTORS]))
