"""`ocelli serve` with everything at once: tensors and pictures, batches, kept
answers, models that change, keys that are read again, clients that leave, and
SIGTERM in the middle.  Made for the thread sanitizer, whose reports on the log
fail it; anywhere, answers must be right.  Prints TAP.
"""
import hashlib
import io
import itertools
import socket
import struct

from PIL import Image
from server_process import *

FOLDER = fresh_folder()
SECONDS = 4
KEY = "open sesame"
HEAD = {"X-API-Key": KEY}


def at(*names):
    return os.path.join(FOLDER, *names)


def write_keys(n):
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    with open(at("keys.part"), "w") as f:
        f.write(f"# {n}\n{digest} tester admin\n")
    os.replace(at("keys.part"), at("keys"))


def picture():
    out = io.BytesIO()
    x = np.random.default_rng(3).integers(0, 255, (64, 48, 3), np.uint8)
    Image.fromarray(x).save(out, "PNG")
    return out.getvalue()


# ---- what clients do; each says how many answers were right ------------------

class Clients:
    def __init__(self, server):
        self.server, self.counts, self.wrong = server, {}, []
        self.stop = threading.Event()
        self.threads = []

    def run(self, what, times=1):
        for _ in range(times):
            t = threading.Thread(target=self._loop, args=(what,))
            self.threads.append(t)
            t.start()

    def _loop(self, what):
        connection = None
        for i in itertools.count():
            if self.stop.is_set():
                break
            try:
                connection = connection or self.server.connect(20)
                good = what(self.server, connection, i)
            except (OSError, http.client.HTTPException) as problem:
                # Not taken, once it ends; before, nobody may be sent away.
                if self.server.process.poll() is None and not self.ending:
                    self.wrong.append((what.__name__, repr(problem)))
                break
            with self.server.changed:
                name = what.__name__
                self.counts[name] = self.counts.get(name, 0) + 1
            if not good and not self.ending:
                self.wrong.append((what.__name__, i))
        if connection:
            connection.close()

    ending = False

    def end(self):
        self.stop.set()
        for t in self.threads:
            t.join(60)


def ask(c, method, path, body=None, **headers):
    c.request(method, path, body, {
        **HEAD, **{k.replace("_", "-"): v for k, v in headers.items()}})
    a = c.getresponse()
    return a.status, a.read(), a


def json_tensors(s, c, i):
    x = [[i, 1, 2, 3]] * (1 + i % 3)
    status, data, _ = ask(c, "POST", "/v2/models/fixed/infer", json.dumps({
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [len(x), 4],
                    "data": x}]}))
    return status == 200 and np.array_equal(
        json.loads(data)["outputs"][0]["data"], 3 * np.ravel(x))


def binary_tensors(s, c, i):
    x = np.full((2, 4), i, np.float32)
    head = json.dumps({
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [2, 4],
                    "parameters": {"binary_data_size": x.nbytes}}],
        "parameters": {"binary_data_output": True}}).encode()
    status, data, _ = ask(
        c, "POST", "/v2/models/fixed/infer", head + x.tobytes(),
        Inference_Header_Content_Length=str(len(head)))
    return status == 200 and data.endswith((3 * x).tobytes())


def changing_tensors(s, c, i):
    status, data, _ = ask(c, "POST", "/v2/models/hot/infer", json.dumps({
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4],
                    "data": [1, 1, 1, 1]}]}))
    y = json.loads(data)["outputs"][0]["data"] if status == 200 else [0]
    return len(set(y)) == 1 and y[0] in range(1, 200)


PICTURE = picture()


def pictures(s, c, i):
    """The same answer each time, or one that was kept."""
    status, data, _ = ask(c, "POST", f"/v1/classify?top={1 + i % 4}", PICTURE)
    labels = json.loads(data)["results"][0]["labels"] if status == 200 else []
    first = vars(pictures).setdefault("first", labels and labels[0])
    return len(labels) == 1 + i % 4 and labels[0] == first


def looks(s, c, i):
    path = ("/metrics", "/v2", "/v2/models", "/v2/models/stats", "/",
            "/v2/health/ready", "/openapi.json", "/v2/models/hot")[i % 8]
    status = ask(c, "GET", path)[0]
    more, index, _ = ask(c, "POST", "/v2/repository/index")
    return status == more == 200 and b"fixed" in index


def leave(s, c, i):
    """Asks for work of some time, or for half of something, and goes."""
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32",
                                   "shape": [1], "data": [1]}]}).encode()
    with socket.create_connection((s.host, s.port), 20) as gone:
        gone.sendall(b"POST /v2/models/slow/infer HTTP/1.1\r\nHost: x\r\n"
                     b"X-API-Key: " + KEY.encode() + b"\r\nContent-Length: " +
                     str(len(body) + 9 * (i % 2)).encode() + b"\r\n\r\n" + body)
        time.sleep(0.02 * (i % 4))
        if i % 3 == 0:  # with a reset
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                            struct.pack("ii", 1, 0))
    return True


def late(s, c, i):
    status, _, _ = ask(c, "POST", "/v2/models/slow/infer?timeout_ms=30",
                       json.dumps({"inputs": [{
                           "name": "x", "datatype": "FP32", "shape": [1],
                           "data": [1]}]}))
    return status in (200, 503, 504)


def unknown_keys(s, c, i):
    c.request("GET", "/v2", headers={"Authorization": f"Bearer {i}"})
    a = c.getresponse()
    a.read()
    return a.status == 401


def change(s, c, i):
    """Another model and another file of keys; now and then by signal."""
    scale_model(at("m", "hot", "1", "model.onnx"), 2 + i % 190)
    write_keys(i)
    if i % 3 == 0:
        s.process.send_signal(signal.SIGHUP)
    time.sleep(0.1)
    unload = ask(c, "POST", "/v2/repository/models/spare/unload")[0]
    load = ask(c, "POST", "/v2/repository/models/spare/load")[0]
    return unload == 200 and load == 200


# ---- the test ----------------------------------------------------------------

def everything_at_once():
    options = ["--keys", at("keys"), "--poll", "0.1", "--batch", "4",
               "--batch-delay", "1", "--workers", "3", "--keep-answers", "1",
               "--queue", "200"]
    with Server(at("m"), *options) as s:
        clients = Clients(s)
        clients.run(json_tensors, 3)
        clients.run(binary_tensors, 2)
        clients.run(leave, 2)
        for what in (changing_tensors, looks, late, unknown_keys, change):
            clients.run(what)
        if not needs_shared():
            clients.run(pictures, 2)
        time.sleep(SECONDS)
        clients.ending = True
        code = s.stop()
        clients.end()
    print("#", clients.counts)
    assert not clients.wrong, clients.wrong[:5]
    assert code == 0, code
    assert len(clients.counts) >= 8 and min(clients.counts.values()) >= 2


def prepare():
    write_keys(0)
    scale_model(at("m", "fixed", "1", "model.onnx"), 3)
    scale_model(at("m", "spare", "1", "model.onnx"), 5)
    scale_model(at("m", "hot", "1", "model.onnx"), 1)
    slow_model(at("m", "slow", "1", "model.onnx"), 64 if SLOW else 256, 30)
    if not needs_shared():
        shutil.copy(os.path.join(SHARED, "models", "mnist.onnx"),
                    at("m", "digits.onnx"))


try:
    prepare()
    failures = run_all([everything_at_once])
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
sys.exit(failures)
