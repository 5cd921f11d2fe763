"""A peer quantizes a model after training, on tensors it is given.

    int8_makers.py nncf|onnxruntime MODEL TENSORS.npy INPUT OUT

NNCF writes OpenVINO's form (OUT.xml), ONNX Runtime ONNX with pairs of
QuantizeLinear and DequantizeLinear, per channel; both by their defaults, but
for what they are told about transformers.
"""
import os
import sys

import numpy as np


def is_transformer(path):
    import onnx
    nodes = onnx.load(path, load_external_data=False).graph.node
    return sum(n.op_type == "Softmax" for n in nodes) > 4


def by_nncf(model, x, name, out):
    import nncf
    import openvino as ov
    net = ov.Core().read_model(model)
    kind = nncf.ModelType.TRANSFORMER if is_transformer(model) else None
    data = nncf.Dataset([{name: x[i:i + 1]} for i in range(len(x))])
    done = nncf.quantize(net, data, subset_size=len(x), model_type=kind)
    ov.save_model(done, out, compress_to_fp16=False)


def by_onnxruntime(model, x, name, out):
    import onnx
    from onnx import version_converter
    from onnxruntime.quantization import (CalibrationDataReader, QuantFormat,
                                          QuantType, quantize_static)
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        rest = iter(range(len(x)))

        def get_next(self):
            i = next(self.rest, None)
            return None if i is None else {name: x[i:i + 1]}

    ready = out + ".ready.onnx"
    net = onnx.load(model)
    if net.opset_import[0].version < 13:  # without scales for channels
        net = version_converter.convert_version(net, 13)
    onnx.save(net, ready)
    quant_pre_process(ready, ready, skip_symbolic_shape=True)
    quantize_static(ready, out, Reader(), quant_format=QuantFormat.QDQ,
                    per_channel=True, activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8)
    os.unlink(ready)


def main():
    peer, model, tensors, name, out = sys.argv[1:]
    x = np.load(tensors, mmap_mode="r")
    make = {"nncf": by_nncf, "onnxruntime": by_onnxruntime}[peer]
    make(model, x, name, out)


if __name__ == "__main__":
    main()
