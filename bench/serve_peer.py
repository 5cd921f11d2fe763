"""What `ocelli serve` is measured against: FastAPI and OpenVINO doing the
same, as somebody would write it who wants it fast.

    python bench/serve_peer.py MODEL.onnx LABELS.txt PORT

POST /v1/classify takes a JPEG and gives the five best labels, as MobileNetV2
wants it: short side to the size of the input, centre cut out, x / 127.5 - 1.
"""
import io
import os
import sys

import numpy as np
import openvino as ov
import uvicorn
from fastapi import FastAPI, Request
from PIL import Image
from starlette.concurrency import run_in_threadpool

MODEL, LABELS, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
labels = ["background"] + open(LABELS).read().splitlines()
core = ov.Core()
cores = len(os.sched_getaffinity(0))
# As many requests in flight as cores, one thread each: what gives most
# requests a second.
model = core.compile_model(MODEL, "CPU", {
    "PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": cores,
    "INFERENCE_NUM_THREADS": cores})
# NHWC or NCHW, and what is not said is 224.
shape = [d.get_length() if d.is_static else 224
         for d in model.input(0).partial_shape]
last = shape[3] == 3
SIZE = shape[1] if last else shape[2]
queue = [model.create_infer_request() for _ in range(64)]
app = FastAPI()


def named(i):
    return labels[i] if i < len(labels) else str(i)


def classify(data):
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (2 * SIZE, 2 * SIZE))  # decodes the JPEG smaller
    image = image.convert("RGB")
    w, h = image.size
    side = min(w, h)
    box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
    image = image.resize((SIZE, SIZE), Image.BILINEAR, box)
    x = np.asarray(image, np.float32)[None] / 127.5 - 1
    if not last:
        x = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    request = queue.pop()
    try:
        scores = request.infer({0: x})[0][0]
    finally:
        queue.append(request)
    best = np.argsort(scores)[:-6:-1]
    return {"labels": [{"label": named(i), "index": int(i),
                        "score": float(scores[i])} for i in best]}


@app.post("/v1/classify")
async def route(request: Request):
    return await run_in_threadpool(classify, await request.body())


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning",
            access_log=False)
