"""Whole networks against ONNX Runtime: same inputs, same outputs.

Every model of ../shared/models, and architectures with random weights made
by ../shared/bench/make_models.py.  Each runs on noise and on a photograph,
with one thread and with two, which must give the same bits.
"""
import glob
import importlib.util
import os
import shutil
import sys

import numpy as np
import onnx
from onnx import numpy_helper

import peer
import program
from program import FULL, Skip, path, pixels, resized


# What a float network's outputs may be off by, as part of their range.
FLOAT = 1e-3
# Levels 0..255 become numbers from .. to; 0 to 1 where nothing is said.
RANGES = {
    "mobilenet_v2_imagenet_nhwc": (-1, 1), "ssd_mobilenet_v3_coco": (-1, 1),
    "deeplabv3_mobilenet_v2_voc": (-1, 1),
    "squeezenet1.1_imagenet": (-117, 138),
    "shufflenet_v2_imagenet_int8": (-2.1, 2.6), "mnist": (0, 255),
    "resnet8_cifar10": (0, 255), "yolox_nano_coco": (0, 255),
    "yunet_n_320_320": (0, 255), "nanodet_m_coco": (-2, 2.4),
    "ultraface_rfb_320": (-1, 1), "espnet_camvid": (-.0055, .008),
    "resnet18": (-2.1, 2.6), "resnet50": (-2.1, 2.6),
    "mobilenet_v2": (-2.1, 2.6), "deeplabv3_mnv2_512": (-2.1, 2.6),
    "deit_tiny": (-2.1, 2.6), "vit_b16": (-2.1, 2.6),
}
# The scalar kernels are slow, so small networks only; all four together use
# plain, depthwise and grouped convolution, pooling, softmax, resizing.
SCALAR = ["mnist", "resnet8_cifar10", "ultraface_rfb_320",
          "selfie_landscape_nhwc"]


class Network:
    """A model file with its inputs, and what its outputs mean."""

    def __init__(self, file):
        self.file = file
        self.name = os.path.basename(file)[:-len(".onnx")]
        self.model = onnx.load(file)
        graph = self.model.graph
        fixed = {i.name for i in graph.initializer}
        self.inputs = [i for i in graph.input if i.name not in fixed]
        self.outputs = [o.name for o in graph.output]
        self.made_by = {o: n for n in graph.node for o in n.output}

    def dims(self, batch=1):
        """The first input's; a free batch becomes `batch`."""
        dims = self.inputs[0].type.tensor_type.shape.dim
        sizes = [d.dim_value for d in dims]
        free = [i for i, d in enumerate(sizes) if not d]
        assert free in ([], [0]), f"{self.name}: what is its input's shape?"
        return [batch if i in free else d for i, d in enumerate(sizes)]

    def batch_is_free(self):
        return not self.inputs[0].type.tensor_type.shape.dim[0].dim_value

    def source(self, output):
        """The node an output comes from, without what only changes form."""
        node = self.made_by[output]
        while node.op_type in ("Cast", "Squeeze", "Reshape", "Identity"):
            node = self.made_by[node.input[0]]
        return node

    def quantum(self, output):
        """The step of an output that was an integer; 0 for a float one."""
        node = self.made_by[output]
        if node.op_type != "DequantizeLinear":
            return 0
        scale = [numpy_helper.to_array(i) for i in
                 self.model.graph.initializer if i.name == node.input[1]]
        return float(scale[0])

    def feeds(self, kind, batch=1):
        """The input as noise or as a photograph."""
        dims = self.dims(batch)
        low, high = RANGES.get(self.name, (0, 1))
        rng = np.random.default_rng(program.SEED)
        if kind == "noise":
            level = rng.uniform(0, 255, dims)
        else:
            nhwc = dims[3] in (1, 3)
            height, width = dims[1:3] if nhwc else dims[2:4]
            level = resized(pixels(program.picture("bus.jpg")), width, height)
            level = level.astype(np.float64)
            if 1 in (dims[3], dims[1]):
                level = level.mean(2, keepdims=True)
            level = level[None] if nhwc else level.transpose(2, 0, 1)[None]
            # Items of a batch differ.
            level = np.concatenate([np.roll(level, 7 * i, 2)
                                    for i in range(dims[0])])
        x = (low + level / 255 * (high - low)).astype(np.float32)
        assert x.shape == tuple(dims)
        return {self.inputs[0].name: x}

    def theirs(self, feeds, extra=()):
        """ONNX Runtime's outputs by name, and inner values named in extra."""
        m = self.model
        if extra:
            m = onnx.ModelProto()
            m.CopyFrom(self.model)
            m.graph.output.extend(onnx.ValueInfoProto(name=e) for e in extra)
        session = peer.session(m.SerializeToString())
        names = [*self.outputs, *extra]
        return dict(zip(names, session.run(names, feeds)))

    def ours(self, feeds, *options):
        """The outputs of `ocelli run` by name."""
        out = path("out")
        shutil.rmtree(out, ignore_errors=True)
        args = []
        for i, (name, x) in enumerate(feeds.items()):
            np.save(path(f"in{i}.npy"), x)
            args += ["--input", f"{name}=" + path(f"in{i}.npy")]
        program.run("run", self.file, *args, "--output-dir", out, *options)
        return {o: np.load(os.path.join(
            out, o.replace("/", "_").replace(":", "_") + ".npy"))
            for o in self.outputs}


def same_classes(where, got, want, scores, axis):
    """Class numbers are equal, but for scores that are as good as equal."""
    differ = np.nonzero(got != want)
    if not len(differ[0]):
        return
    assert len(differ[0]) < got.size * 1e-3, f"{where}: " \
        f"{len(differ[0])} of {got.size} class numbers differ"
    scores = np.moveaxis(scores, axis, -1).reshape(*got.shape, -1)
    rows = scores[differ]
    at = np.arange(len(rows))
    lost = (rows[at, want[differ].astype(int)] -
            rows[at, got[differ].astype(int)])
    assert lost.max() <= FLOAT * np.ptp(scores), \
        f"{where}: a class is off by a score of {lost.max()}"


def close(network, got, feeds, what):
    """Outputs within the tolerance of ONNX Runtime's."""
    choices = {}
    for o in network.outputs:
        node = network.source(o)
        if node.op_type == "ArgMax":
            axis = [a.i for a in node.attribute if a.name == "axis"]
            choices[o] = (node.input[0], axis[0] if axis else 0)
    want = network.theirs(feeds, [v for v, _ in choices.values()])
    for o in network.outputs:
        where = f"{network.name} {o}, {what}"
        a, b = got[o], want[o]
        assert a.shape == b.shape and a.dtype == b.dtype, \
            f"{where}: {a.dtype}{a.shape}, want {b.dtype}{b.shape}"
        if o in choices:
            value, axis = choices[o]
            same_classes(where, a, b, want[value], axis)
            continue
        assert np.isfinite(b).all() and np.ptp(b) > 0, f"{where}: a bad test"
        off = np.abs(a.astype(np.float64) - b).max()
        step = network.quantum(o)
        allowed = step * 1.001 if step else FLOAT * np.ptp(b)
        print(f"# {where}: off by {off:.3g}, "
              f"{off / (step or np.ptp(b)):.2g} of the "
              f"{'step' if step else 'range'}")
        assert off <= allowed, f"{where}: off by {off}, allowed {allowed}"


def same_bits(a, b, what):
    for name in a:
        assert a[name].tobytes() == b[name].tobytes(), f"{name}: {what}"


def matches(file, kinds=("noise", "photograph")):
    network = Network(file)
    for kind in kinds:
        feeds = network.feeds(kind)
        one = network.ours(feeds, "--threads", 1)
        close(network, one, feeds, kind)
        same_bits(one, network.ours(feeds, "--threads", 2),
                  "depends on threads")


def scalar_matches(name):
    network = Network(program.model(name))
    feeds = network.feeds("photograph")
    close(network, network.ours(feeds, "--cpu", "scalar"), feeds, "scalar")


def batches_match():
    """Two sizes, so that one is not what the file was made for."""
    files = [f for f in files_at_hand() if Network(f).batch_is_free()]
    if not files:
        raise Skip("no model with a free batch")
    for file in files:
        network = Network(file)
        for batch in (2, 3):
            feeds = network.feeds("photograph", batch)
            close(network, network.ours(feeds), feeds, f"batch of {batch}")


def without_passes_matches():
    """The graph as it is in the file, for the operators themselves."""
    network = Network(program.model("yolox_nano_coco"))
    feeds = network.feeds("photograph")
    close(network, network.ours(feeds, "--optimize", "none"), feeds, "plain")


# ---- models that are made ---------------------------------------------------

# Each is like a smaller one.
LARGE = ["resnet50", "vit_b16"]


def made(name):
    """The file of an architecture, written by make_models.py when missing."""
    if name in LARGE and not FULL:
        raise Skip("large; OC_TEST_FULL=1 takes it")
    script = program.shared("bench", "make_models.py")
    folder = os.path.join(program.BUILD, "made_models")
    file = os.path.join(folder, name + ".onnx")
    if not os.path.exists(file):
        spec = importlib.util.spec_from_file_location("make_models", script)
        maker = importlib.util.module_from_spec(spec)
        sys.dont_write_bytecode = True
        spec.loader.exec_module(maker)
        part = path("made")
        os.makedirs(part, exist_ok=True)
        os.makedirs(folder, exist_ok=True)
        key = name.replace("_512", "_513")  # what it is called there
        sys.stdout.write("# ")
        maker.ALL[key](part)
        shutil.move(os.path.join(part, name + ".onnx"), file)
    return file


MADE = ["resnet18", "resnet50", "mobilenet_v2", "deeplabv3_mnv2_512",
        "yolov8n", "deit_tiny", "vit_b16"]


def files_at_hand():
    return sorted(glob.glob(os.path.join(program.SHARED, "models", "*.onnx")))


def none_at_hand():
    raise Skip(f"no models in {program.SHARED}")


def name_of(file):
    return os.path.basename(file)[:-len(".onnx")]


if __name__ == "__main__":
    tests = [(f"{name_of(f)}_matches", lambda f=f: matches(f))
             for f in files_at_hand()] or [("models_match", none_at_hand)]
    tests += [(f"{n}_matches_with_scalar_kernels",
               lambda n=n: scalar_matches(n)) for n in SCALAR]
    tests += [("batches_match", batches_match),
              ("graphs_match_without_passes", without_passes_matches)]
    tests += [(f"made_{n}_matches", lambda n=n: matches(made(n), ["noise"]))
              for n in MADE]
    sys.exit(program.main(tests))
