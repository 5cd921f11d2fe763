"""What `ocelli classify --explain` says, worked out here: ONNX Runtime runs the
network in two halves, cut at its last map of places.

Recipro-CAM is its paper's formula on the second half (arXiv:2209.14074).
Grad-CAM's weight of a channel is the mean over places of the score's gradient
(arXiv:1610.02391), so places times it is the slope of the score along that
channel: a central difference, no gradient needed.
"""
import sys

import numpy as np
import onnx
import onnxruntime as ort
from PIL import Image

import program
from program import ask, path, picture, pixels, resized

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# model: size, map of places, scores before a softmax, softmax, mean, std
NETWORKS = {
    "resnet8_cifar10": (32, "Relu_38", "Gemm_47", True, 0.5, 0.25),
    "squeezenet1.1_imagenet": (224, "conv10_2", "pool10_1", True, MEAN, STD),
    "mobilenet_v2_imagenet_nhwc": (224, "Clip_272", "Reshape_279", True,
                                   0.5, 0.5),
    "mnist": (28, "Pooling160_Output_0", "Plus214_Output_0", False, 0.5, 0.5),
    "shufflenet_v2_imagenet_int8": (224, "610", "output", False, MEAN, STD),
}


def text(v):
    return str(v) if np.isscalar(v) else ",".join(map(str, v))


class Case:
    """A network, a picture of its size, and both halves of the network."""

    def __init__(self, name, image):
        size, self.places, score, self.soft, mean, std = NETWORKS[name]
        gray = name == "mnist"
        rgb = resized(pixels(picture(image)), size, size)
        level = np.array(Image.fromarray(rgb).convert("L"))[..., None] \
            if gray else rgb
        self.file = path(f"{name}.{image}.png")
        Image.fromarray(level[..., 0] if gray else rgb).save(self.file)
        self.model = program.model(name)
        self.options = ["--scale", repr(1 / 255), "--mean", text(mean),
                        "--std", text(std), "--resize", "stretch",
                        "--color", "gray" if gray else "rgb"]
        net = onnx.shape_inference.infer_shapes(onnx.load(self.model))
        first = [i for i in net.graph.input if i.name not in
                 {t.name for t in net.graph.initializer}][0]
        dims = [d.dim_value for d in first.type.tensor_type.shape.dim]
        x = (level / 255 - np.array(mean)) / np.array(std)
        x = x[None] if dims[3] < 4 else x.transpose(2, 0, 1)[None]
        take = onnx.utils.Extractor(net)
        front = take.extract_model([first.name], [self.places])
        self.tail = ort.InferenceSession(
            take.extract_model([self.places], [score]).SerializeToString())
        self.a = ort.InferenceSession(front.SerializeToString()).run(
            None, {first.name: x.astype(np.float32)})[0]
        self.cls = int(self.scores(self.a).argmax())

    def scores(self, a):
        return self.tail.run(None, {self.places: a})[0].ravel().astype(float)

    def ours(self, by, *options):
        found = ask("classify", self.model, self.file, "--explain-by", by,
                    *self.options, *options)["results"][0]["explained"]
        assert found["method"] == by
        assert found["box"] == [0, 0, *Image.open(self.file).size]
        if not options:
            assert found["index"] == self.cls, (found["index"], self.cls)
        return np.array(found["map"])


def recipro_cam(case, cls):
    h, w = case.a.shape[2:]
    side = np.array([.25, .5, .25])
    window = np.pad(np.outer(side, side), ((h, h), (w, w)))
    out = np.zeros((h, w))
    for y in range(h):
        for x in range(w):
            top, left = h + 1 - y, w + 1 - x
            mask = window[top:top + h, left:left + w].astype(np.float32)
            s = case.scores(case.a * mask)
            e = np.exp(s - s.max())
            # What the program is told: mnist's and shufflenet's are logits.
            out[y, x] = (e / e.sum())[cls]
    return (out - out.min()) / (out.max() - out.min())


def grad_cam(case, cls):
    channels, h, w = case.a.shape[1:]
    step = np.float32(np.abs(case.a).mean() + .01)
    weight = np.zeros(channels)
    for c in range(channels):
        d = np.zeros_like(case.a)
        d[:, c] = step
        up, down = case.scores(case.a + d)[cls], case.scores(case.a - d)[cls]
        weight[c] = (up - down) / (2 * step) / (h * w)
    cam = np.maximum((weight[:, None, None] * case.a[0]).sum(0), 0)
    return cam / cam.max()


def near(got, want, off):
    assert got.shape == want.shape, (got.shape, want.shape)
    worst = np.abs(got - want).max()
    print(f"# {got.shape}, off by {worst:.2g}")
    assert worst <= off, worst


def recipro(name, image, off=1e-4):
    case = Case(name, image)
    near(case.ours("recipro-cam"), recipro_cam(case, case.cls), off)
    other = (case.cls + 3) % 10
    near(case.ours("recipro-cam", "--explain-class", other),
         recipro_cam(case, other), off)


def gradient(name, image, off=1e-4):
    case = Case(name, image)
    near(case.ours("grad-cam"), grad_cam(case, case.cls), off)


def recipro_cam_of_resnet():
    recipro("resnet8_cifar10", "cat_720p.jpg")


def recipro_cam_of_squeezenet():
    recipro("squeezenet1.1_imagenet", "bus.jpg")


def recipro_cam_of_mobilenet():
    recipro("mobilenet_v2_imagenet_nhwc", "cat_720p.jpg")


def recipro_cam_of_mnist():
    recipro("mnist", "bird.png")


def recipro_cam_of_a_quantised_network():
    """Scores are so coarse here that rounding one to its neighbour moves a map
    by its whole range; so it is the pattern that must be the same."""
    case = Case("shufflenet_v2_imagenet_int8", "cat_720p.jpg")
    got, want = case.ours("recipro-cam"), recipro_cam(case, case.cls)
    alike = np.corrcoef(got.ravel(), want.ravel())[0, 1]
    print(f"# correlation {alike:.4f}")
    assert alike > 0.95, alike
    assert got.argmax() == want.argmax()


def grad_cam_of_resnet():
    gradient("resnet8_cifar10", "cat_720p.jpg")


def grad_cam_of_mobilenet():
    gradient("mobilenet_v2_imagenet_nhwc", "bus.jpg")


def grad_cam_of_mnist():
    gradient("mnist", "bird.png")


def explanations_are_drawn():
    """Where the map glows, the drawing is lighter than where it does not."""
    case = Case("resnet8_cifar10", "cat_720p.jpg")
    found = ask("classify", case.model, picture("cat_720p.jpg"), "--explain",
                "--out", path("drawn"))["results"][0]["explained"]
    drawn = pixels(found["picture"]).astype(float).mean(2)
    plain = pixels(picture("cat_720p.jpg")).astype(float).mean(2)
    assert drawn.shape == plain.shape
    x1, y1, x2, y2 = found["box"]
    m = np.array(found["map"])
    y, x = np.mgrid[0:drawn.shape[0], 0:drawn.shape[1]] + .5
    column = np.floor((x - x1) / (x2 - x1) * m.shape[1]).astype(int)
    row = np.floor((y - y1) / (y2 - y1) * m.shape[0]).astype(int)
    seen = (column >= 0) & (column < m.shape[1])
    v = np.where(seen, m[row.clip(0, m.shape[0] - 1),
                         column.clip(0, m.shape[1] - 1)], 0)
    hot, cold = v > .8, ~seen
    assert hot.sum() > 1000 and cold.sum() > 1000
    gain = drawn / (plain + 20)
    assert gain[hot].mean() > 1.3 * gain[cold].mean()


def quantised_networks_are_explained_without_gradients():
    name = program.model("shufflenet_v2_imagenet_int8")
    found = ask("classify", name, picture("cat_720p.jpg"), "--explain")
    assert found["results"][0]["explained"]["method"] == "recipro-cam"


if __name__ == "__main__":
    sys.exit(program.main([(n, f) for n, f in list(globals().items())
                           if n.startswith(("recipro_cam_of", "grad_cam_of",
                                            "explanations", "quantised"))]))
