"""What `ocelli serve` is measured against: FastAPI and OpenVINO doing the
same, as somebody would write it who wants it fast.

    python bench/serve_peer.py MODEL.onnx LABELS.txt PORT

POST /v1/classify takes a JPEG and gives the five best labels, for MobileNetV2
of NHWC: short side to 224, centre cut out, x / 127.5 - 1.
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
queue = [model.create_infer_request() for _ in range(64)]
app = FastAPI()


def classify(data):
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (448, 448))  # decodes the JPEG smaller
    image = image.convert("RGB")
    w, h = image.size
    side = min(w, h)
    box = ((w - side) / 2, (h - side) / 2, (w + side) / 2, (h + side) / 2)
    image = image.resize((224, 224), Image.BILINEAR, box)
    x = np.asarray(image, np.float32)[None] / 127.5 - 1
    request = queue.pop()
    try:
        scores = request.infer({0: x})[0][0]
    finally:
        queue.append(request)
    best = np.argsort(scores)[:-6:-1]
    return {"labels": [{"label": labels[i], "index": int(i),
                        "score": float(scores[i])} for i in best]}


@app.post("/v1/classify")
async def route(request: Request):
    return await run_in_threadpool(classify, await request.body())


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning",
            access_log=False)
