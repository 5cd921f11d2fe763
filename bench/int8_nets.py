"""The networks that int8_peers.py measures accuracy on: their pictures, the
tensors made of them, and what the outputs are worth.

Tensors are libocelli's, so that every engine sees the same numbers.  Boxes are
decoded here and measured by pycocotools, whoever has computed them.
"""
import contextlib
import ctypes as c
import io
import json
import os
import shutil

import numpy as np
from PIL import Image

from peer_worker import Ocelli


class Pictures:
    """What `ocelli eval` would give a model for a picture."""

    def __init__(self, library, model):
        self.lib = lib = c.CDLL(library)
        self.model, self.vision = c.c_void_p(), c.c_void_p()
        self.err = Ocelli.Error()
        self.call(lib.oc_model_load, c.byref(self.model), model.encode(), None)
        self.call(lib.oc_vision_create, c.byref(self.vision), self.model, None)

    def call(self, fn, *args):
        if fn(*args, c.byref(self.err)):
            raise RuntimeError(self.err.message.decode())

    def tensor(self, path, whole):
        """whole: a JPEG is not decoded at a part of its size."""
        options, image = (c.create_string_buffer(256) for _ in range(2))
        t, which = Ocelli.Tensor(), c.c_int()
        if not whole:
            self.lib.oc_vision_load_options(self.vision, options)
        self.call(self.lib.oc_image_load, image, path.encode(), options)
        self.call(self.lib.oc_vision_preprocess, self.vision, image,
                  c.byref(t), c.byref(which))
        dims = list(t.dims[:t.rank])
        at = c.cast(t.data, c.POINTER(c.c_float))
        x = np.ctypeslib.as_array(at, dims).copy()
        self.lib.oc_image_deinit(image)
        return x

    def close(self):
        self.lib.oc_vision_destroy(self.vision)
        self.lib.oc_model_destroy(self.model)


# ---- boxes ------------------------------------------------------------------

def found(boxes, scores, iou, least=0.001, most=100, room=4000):
    """(score, class, box) of the best: non-maximum suppression, each class by
    itself, which one pass in the order of scores does for all."""
    row, kind = np.nonzero(scores >= least)
    order = np.argsort(-scores[row, kind], kind="stable")[:room]
    row, kind = row[order], kind[order]
    area, out = np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(1), []
    while row.size and len(out) < most:
        i, k = row[0], kind[0]
        out.append((float(scores[i, k]), int(k), boxes[i]))
        near = np.minimum(boxes[i, 2:], boxes[row, 2:]) - np.maximum(
            boxes[i, :2], boxes[row, :2])
        both = np.maximum(near, 0).prod(1)
        stay = (kind != k) | (both <= iou * (area[i] + area[row] - both))
        stay[0] = False
        row, kind = row[stay], kind[stay]
    return out


def yolox(outputs, image):
    y = outputs[0][0]
    places = []
    for stride in (8, 16, 32):
        n = 416 // stride
        v, u = np.mgrid[:n, :n]
        places.append(np.stack([u.ravel(), v.ravel(),
                                np.full(n * n, stride)], 1))
    at = np.concatenate(places).astype(np.float32)
    middle = (y[:, :2] + at[:, :2]) * at[:, 2:]
    half = np.exp(np.minimum(y[:, 2:4], 30)) * at[:, 2:] / 2
    boxes = np.concatenate([middle - half, middle + half], 1)
    boxes /= min(416 / image["width"], 416 / image["height"])
    return found(boxes, y[:, 4:5] * y[:, 5:], 0.65)


def anchors():
    """TensorFlow's for SSD at 320: centres and sizes, as shares."""
    out = []
    for i in range(6):
        n, scale = -(-320 // (16 << i)), 0.2 + 0.15 * i
        after = scale + 0.15 if i < 5 else 1.0
        kinds = [(0.1, 1), (scale, 2), (scale, 0.5)] if i == 0 else [
            (scale, r) for r in (1, 2, 0.5, 3, 1 / 3)] + [
            ((scale * after) ** 0.5, 1)]
        for k in range(n * n):
            out += [((k % n + 0.5) / n, (k // n + 0.5) / n, s * r ** 0.5,
                     s / r ** 0.5) for s, r in kinds]
    return np.array(out, np.float32)


def ssd(outputs, image):
    scores, code = (o[0] for o in outputs)
    a = anchors()
    middle = code[:, 1::-1] / 10 * a[:, 2:] + a[:, :2]
    half = np.exp(np.minimum(code[:, :1:-1] / 5, 30)) * a[:, 2:] / 2
    boxes = np.concatenate([middle - half, middle + half], 1)
    boxes *= np.array([image["width"], image["height"]] * 2, np.float32)
    return found(boxes, scores[:, 1:], 0.6)


# ---- measures ---------------------------------------------------------------

class Labels:
    """Top-1.  first: the index of the data's class 0."""
    metric, whole = "top-1", False

    def __init__(self, folder, first):
        self.folder, self.first = folder, first
        with open(os.path.join(folder, "labels.txt")) as f:
            self.truth = dict(line.split() for line in f if line.strip())

    def pictures(self):
        return [os.path.join("images", name) for name in sorted(self.truth)]

    def part(self, to, pictures):
        chosen = {os.path.basename(p) for p in pictures}
        with open(os.path.join(to, "labels.txt"), "w") as f:
            f.writelines(f"{k} {v}\n" for k, v in self.truth.items()
                         if k in chosen)
        shutil.copy(os.path.join(self.folder, "classes.txt"), to)

    def figure(self, answers):
        return float(np.mean([
            outputs[0].reshape(-1).argmax() - self.first ==
            int(self.truth[os.path.basename(p)])
            for p, outputs in answers]))


class Boxes:
    metric, whole = "mAP", False

    def __init__(self, folder, decode, labels):
        self.folder, self.decode = folder, decode
        with open(os.path.join(folder, "instances.json")) as f:
            self.truth = json.load(f)
        with open(labels) as f:
            names = [line.strip() for line in f]
        ids = {k["name"]: k["id"] for k in self.truth["categories"]}
        self.category = [ids.get(name) for name in names]

    def pictures(self):
        return sorted(os.path.join("images", i["file_name"])
                      for i in self.truth["images"])

    def some(self, pictures):
        chosen = {os.path.basename(p) for p in pictures}
        truth = dict(self.truth)
        truth["images"] = [i for i in truth["images"]
                           if i["file_name"] in chosen]
        ids = {i["id"] for i in truth["images"]}
        truth["annotations"] = [a for a in truth["annotations"]
                                if a["image_id"] in ids]
        return truth

    def part(self, to, pictures):
        with open(os.path.join(to, "instances.json"), "w") as f:
            json.dump(self.some(pictures), f)

    def figure(self, answers):
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
        boxes, truth = [], self.some([p for p, _ in answers])
        image = {i["file_name"]: i for i in truth["images"]}
        for p, outputs in answers:
            i = image[os.path.basename(p)]
            for score, k, (x1, y1, x2, y2) in self.decode(outputs, i):
                x1, x2 = np.clip([x1, x2], 0, i["width"])
                y1, y2 = np.clip([y1, y2], 0, i["height"])
                if self.category[k] is not None and x2 > x1 and y2 > y1:
                    boxes.append({
                        "image_id": i["id"], "score": score,
                        "category_id": self.category[k],
                        "bbox": [*map(float, (x1, y1, x2 - x1, y2 - y1))]})
        if not boxes:
            return 0.0
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = truth
            coco.createIndex()
            e = COCOeval(coco, coco.loadRes(boxes), "bbox")
            e.evaluate()
            e.accumulate()
            e.summarize()
        return float(e.stats[0])


class Masks:
    """mIoU; the outputs are maps of classes, stretched over the picture.  Masks
    have COCO's numbers from 1 to 90 and on, the model Pascal VOC's: what VOC
    does not know is its background."""
    metric, whole = "mIoU", True
    OTHERWISE = {"aeroplane": "airplane", "motorbike": "motorcycle",
                 "diningtable": "dining table", "pottedplant": "potted plant",
                 "sofa": "couch", "tvmonitor": "tv"}

    def __init__(self, folder, labels, coco):
        self.folder, self.labels = folder, labels
        with open(coco) as f:
            ids = {name.strip(): i for i, name in enumerate(f, 1)}
        self.table = np.zeros(256, np.uint8)
        self.table[255] = 255  # nobody says
        with open(labels) as f:
            for i, name in enumerate(f.read().split("\n")):
                name = self.OTHERWISE.get(name.replace(" ", ""), name)
                if name in ids:
                    self.table[ids[name]] = i

    def pictures(self):
        return sorted(os.path.join("images", n.removesuffix(".png") + ".jpg")
                      for n in os.listdir(os.path.join(self.folder, "masks")))

    def mask(self, picture):
        name = os.path.basename(picture).removesuffix(".jpg") + ".png"
        with Image.open(os.path.join(self.folder, "masks", name)) as f:
            return name, self.table[np.array(f)]

    def part(self, to, pictures):
        os.mkdir(os.path.join(to, "masks"))
        shutil.copy(self.labels, os.path.join(to, "classes.txt"))
        for p in pictures:
            name, mask = self.mask(p)
            Image.fromarray(mask).save(os.path.join(to, "masks", name))

    def figure(self, answers):
        count = np.zeros((256, 256), np.int64)
        for p, outputs in answers:
            truth = self.mask(p)[1]
            got = np.rint(outputs[0].reshape(outputs[0].shape[-2:]))
            y, x = (((2 * np.arange(n) + 1) * m) // (2 * n)
                    for n, m in zip(truth.shape, got.shape))
            answer = got.astype(np.int64)[np.ix_(y, x)]
            np.add.at(count, (truth, answer), 1)
        count[255] = 0
        both, any_ = np.diag(count), count.sum(0) + count.sum(1)
        seen = any_ > 0
        return float((both[seen] / (any_ - both)[seen]).mean())


def nets(shared, data):
    """{name: (model, measure, pictures to calibrate on)}"""
    def model(name):
        return os.path.join(shared, "models", name)

    classes, coco = (os.path.join(data, n)
                     for n in ("imagenet_samples", "coco128"))
    return {
        "mobilenet_v2": (
            model("mobilenet_v2_imagenet_nhwc.onnx"), Labels(classes, 1), 200),
        "squeezenet": (
            model("squeezenet1.1_imagenet.onnx"), Labels(classes, 0), 200),
        "ssd": (
            model("ssd_mobilenet_v3_coco.onnx"),
            Boxes(coco, ssd, model("coco90_ssd.labels.txt")), 64),
        "yolox": (
            model("yolox_nano_coco.onnx"),
            Boxes(coco, yolox, model("coco80.labels.txt")), 64),
        "deeplab": (
            model("deeplabv3_mobilenet_v2_voc.onnx"),
            Masks(coco, model("voc21.labels.txt"),
                  model("coco90_ssd.labels.txt")), 50),
    }
