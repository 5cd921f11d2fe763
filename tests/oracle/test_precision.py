"""Networks in bf16 against ONNX Runtime.

It computes them in f32, and once more in f32 with weights and inputs of
convolutions and products rounded to bf16 by itself (Cast): from the f32 answer
bf16 may be as far away as that, and no further.  Rounding falls here and there
on another number, since batch norms have gone into weights and some
convolutions stay f32.

In plain C, which says what bf16 gives, and on processors that have it in
their own instructions too.
"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import peer
import program
from program import FULL, Skip
from test_models import Network, same_bits

# Name, and whether outputs are scores of classes.
NETWORKS = [("resnet8_cifar10", True), ("selfie_landscape_nhwc", False),
            ("ultraface_rfb_320", False)]
LARGE = [("mobilenet_v2_imagenet_nhwc", True), ("nanodet_m_coco", False),
         ("squeezenet1.1_imagenet", True)]
# Decibels that one rounding may add to another's.
SLACK = 3


def sqnr(got, want):
    noise = np.square(got.astype(np.float64) - want).mean()
    signal = np.square(want.astype(np.float64) - want.mean()).mean()
    return 10 * np.log10(signal / noise)


def rounded(model):
    """The model with casts to bf16 and back before its products."""
    m = onnx.ModelProto()
    m.CopyFrom(model)
    weights = {i.name: i for i in m.graph.initializer}
    nodes, made = [], {}

    def through_bf16(name):
        if name not in made:
            made[name] = name + ".rounded"
            nodes.append(helper.make_node("Cast", [name], [name + ".narrow"],
                                          to=TensorProto.BFLOAT16))
            nodes.append(helper.make_node("Cast", [name + ".narrow"],
                                          [made[name]], to=TensorProto.FLOAT))
        return made[name]

    for n in m.graph.node:
        if n.op_type in ("Conv", "MatMul", "Gemm") and n.input[1] in weights:
            w = numpy_helper.to_array(weights[n.input[1]])
            # Depthwise ones and those of few channels are done in f32.
            if n.op_type != "Conv" or w.shape[1] > 4:
                n.input[0] = through_bf16(n.input[0])
                n.input[1] = through_bf16(n.input[1])
        nodes.append(n)
    del m.graph.node[:]
    m.graph.node.extend(nodes)
    # A Cast to bf16 is of opset 13.
    old = [o.version for o in m.opset_import if o.domain in ("", "ai.onnx")]
    return m if old[0] >= 13 else onnx.version_converter.convert_version(m, 13)


def agrees(name, classes, *cpu):
    network = Network(program.model(name))
    oracle = peer.session(rounded(network.model).SerializeToString())
    for kind in ("photograph", "noise"):
        feeds = network.feeds(kind)
        want = network.theirs(feeds)
        theirs = dict(zip(network.outputs,
                          oracle.run(network.outputs, feeds)))
        got = network.ours(feeds, *cpu, "--precision", "bf16")
        same_bits(got, network.ours(feeds, *cpu, "--precision", "bf16",
                                    "--threads", 2), "depends on threads")
        for o in network.outputs:
            far, near = sqnr(got[o], want[o]), sqnr(theirs[o], want[o])
            print(f"# {name} {o}, {kind}: {far:.1f} dB, theirs {near:.1f}, "
                  f"one from the other {sqnr(got[o], theirs[o]):.1f}")
            assert far >= near - SLACK, f"{o}, {kind}: {far:.1f} dB"
            assert far < 100, "nothing was rounded"
            if classes:
                assert got[o].argmax() == want[o].argmax(), f"{o}, {kind}"


def on_this_cpu(name, classes):
    features = program.ask("devices")["devices"][0]["features"]
    if not {"avx512-bf16", "neon-bf16"} & set(features):
        raise Skip("this processor has no bf16")
    agrees(name, classes)


if __name__ == "__main__":
    tests = [(f"{n[0]}_in_plain_c", lambda n=n: agrees(*n, "--cpu", "scalar"))
             for n in NETWORKS + (LARGE if FULL else [])]
    tests += [(f"{n[0]}_on_this_cpu", lambda n=n: on_this_cpu(*n))
              for n in NETWORKS + LARGE]
    sys.exit(program.main(tests))
