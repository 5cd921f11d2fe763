"""A running `ocelli serve` with models made here, for Python tests."""
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper

BUILD = os.path.abspath(os.environ.get("OC_BUILD_DIR", "build"))
OCELLI = os.environ.get("OCELLI", os.path.join(BUILD, "ocelli"))
SHARED = os.path.abspath(os.environ.get("OC_SHARED", "../shared"))
SLOW = "1" in (os.environ.get("OC_SERVER_SLOW"),  # under a sanitizer
               os.environ.get("OC_TEST_SMALL"))


# ---- models ----------------------------------------------------------------

def save(graph, path):
    model = helper.make_model(graph, opset_imports=[
        helper.make_opsetid("", 17)], ir_version=8)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    # As somebody careful would: complete, then under its name.
    onnx.save(model, path + ".part")
    os.replace(path + ".part", path)


def info(name, dtype, dims):
    return helper.make_tensor_value_info(name, dtype, dims)


ECHO = {"FP32": T.FLOAT, "FP64": T.DOUBLE, "FP16": T.FLOAT16, "BOOL": T.BOOL,
        "UINT8": T.UINT8, "UINT16": T.UINT16, "UINT32": T.UINT32,
        "UINT64": T.UINT64, "INT8": T.INT8, "INT16": T.INT16,
        "INT32": T.INT32, "INT64": T.INT64, "BYTES": T.STRING,
        "BF16": T.BFLOAT16}


def echo_model(path):
    """Gives back what it gets, one input and output for each type."""
    names = list(ECHO)
    save(helper.make_graph(
        [helper.make_node("Identity", [f"in_{n}"], [f"out_{n}"])
         for n in names], "echo",
        [info(f"in_{n}", ECHO[n], ["n", "m"]) for n in names],
        [info(f"out_{n}", ECHO[n], ["n", "m"]) for n in names]), path)


def scale_model(path, factor, width=4):
    """y = x * factor, for any number of rows."""
    save(helper.make_graph(
        [helper.make_node("Mul", ["x", "k"], ["y"])], "scale",
        [info("x", T.FLOAT, ["n", width])], [info("y", T.FLOAT, ["n", width])],
        [helper.make_tensor("k", T.FLOAT, [1], [factor])]), path)


def dense_model(path, width=64):
    """A layer whose rows do not see each other, for batches."""
    w = np.random.default_rng(5).standard_normal((width, width))
    save(helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["h"]),
         helper.make_node("Tanh", ["h"], ["y"])], "dense",
        [info("x", T.FLOAT, ["n", width])], [info("y", T.FLOAT, ["n", width])],
        [helper.make_tensor("w", T.FLOAT, w.shape,
                            w.astype(np.float32).tobytes(), raw=True)]), path)


def optional_model(path):
    """y = x + k, where k is 10 unless it is given."""
    save(helper.make_graph(
        [helper.make_node("Add", ["x", "k"], ["y"])], "optional",
        [info("x", T.FLOAT, [2]), info("k", T.FLOAT, [1])],
        [info("y", T.FLOAT, [2])],
        [helper.make_tensor("k", T.FLOAT, [1], [10])]), path)


def slow_model(path, size=768, layers=None):
    """Some seconds of work for a few bytes."""
    layers = layers or (4 if SLOW else 40)
    w = np.eye(size, dtype=np.float32)[::-1].copy()
    nodes = [helper.make_node("Expand", ["x", "shape"], ["h0"])]
    for i in range(layers):
        nodes.append(helper.make_node("MatMul", [f"h{i}", "w"], [f"h{i+1}"]))
    nodes.append(helper.make_node("ReduceMean", [f"h{layers}"], ["y"],
                                  keepdims=0))
    save(helper.make_graph(
        nodes, "slow", [info("x", T.FLOAT, [1])], [info("y", T.FLOAT, [])],
        [helper.make_tensor("w", T.FLOAT, w.shape, w.tobytes(), raw=True),
         helper.make_tensor("shape", T.INT64, [2], [size, size])]), path)


# ---- the server ------------------------------------------------------------

class Server:
    """with Server(models, "--queue", "2") as s: ..."""

    def __init__(self, models, *args, env=None, wait=True, preexec=None,
                 scheme="http"):
        command = [OCELLI, "serve", "--listen", "127.0.0.1:0", *args]
        if models:
            command += ["--models", models]
        self.lines = []
        self.changed = threading.Condition()
        self.scheme = scheme
        self.process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            text=True, env=env, preexec_fn=preexec)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            address = self.wait_for("listening")["address"]
            self.host, port = address.split("://")[1].rsplit(":", 1)
            self.port = int(port)
            if wait:
                self.wait_for("ready")
        except BaseException:
            self.process.kill()
            raise

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                try:
                    self.lines.append(json.loads(line))
                except ValueError:
                    self.lines.append({"message": "no JSON", "line": line})
                self.changed.notify_all()
        with self.changed:
            self.lines.append({"message": "the log ended"})
            self.changed.notify_all()

    def wait_for(self, message, seconds=60, after=0, **members):
        """The first line of the log with this message and these members."""
        end = time.monotonic() + seconds

        def fits(line):
            return line["message"] == message and all(
                line.get(k) == v for k, v in members.items())
        with self.changed:
            while True:
                for line in self.lines[after:]:
                    if fits(line):
                        return line
                left = end - time.monotonic()
                if left <= 0 or self.lines[-1:] == [
                        {"message": "the log ended"}]:
                    raise AssertionError(
                        f"no \"{message}\" in the log: {self.lines[-5:]}")
                self.changed.wait(left)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self, sig=signal.SIGTERM):
        """Ends it; its exit code, after its log was read to the end."""
        if self.process.poll() is None:
            self.process.send_signal(sig)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        self.reader.join(10)
        strange = [x["line"] for x in self.lines if x["message"] == "no JSON"]
        assert not strange, "".join(strange[:60])
        return code

    @property
    def at(self):
        return f"{self.host}:{self.port}"

    def connect(self, timeout=60, **how):
        if self.scheme == "https":
            return http.client.HTTPSConnection(
                self.host, self.port, timeout=timeout, **how)
        return http.client.HTTPConnection(self.host, self.port,
                                          timeout=timeout)

    def ask(self, method, path, body=None, headers=None, timeout=60, **how):
        """(status, headers, bytes) on a connection of its own."""
        c = self.connect(timeout, **how)
        try:
            c.request(method, path, body, headers or {})
            a = c.getresponse()
            return a.status, a.headers, a.read()
        finally:
            c.close()

    def json(self, method, path, body=None, headers=None):
        """The answer's JSON; an error's sentence if it is one."""
        status, _, data = self.ask(method, path, body, headers)
        return status, json.loads(data) if data else None

    def infer(self, model, x, name="x", timeout=60, query="", headers=None):
        """A JSON request of one FP32 input: (status, document)."""
        x = np.asarray(x, np.float32)
        body = json.dumps({"inputs": [{
            "name": name, "datatype": "FP32", "shape": list(x.shape),
            "data": x.ravel().tolist()}]})
        status, _, data = self.ask(
            "POST", f"/v2/models/{model}/infer{query}", body, headers, timeout)
        return status, json.loads(data)

    def alive(self):
        assert self.process.poll() is None, "the server ended"
        assert self.ask("GET", "/v2/health/live")[0] == 200


def self_signed(folder, name, common="127.0.0.1"):
    """A key and a certificate for it: the files' names."""
    cert, key = (os.path.join(folder, f"{name}.{e}") for e in ("pem", "key"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days",
         "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{common}",
         "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


def trusting(cert):
    return ssl.create_default_context(cafile=cert)


def fresh_folder():
    return tempfile.mkdtemp(prefix="ocelli-serve-")


def run_all(tests):
    """Runs functions as TAP cases; returns an exit code."""
    print(f"1..{len(tests)}")
    failed = 0
    only = os.environ.get("OC_ONLY")  # for whoever works on one of them
    for i, test in enumerate(tests, 1):
        if only and only not in test.__name__:
            print(f"ok {i} - {test.__name__} # SKIP not {only}")
            continue
        try:
            skip = test()
            print(f"ok {i} - {test.__name__}" +
                  (f" # SKIP {skip}" if skip else ""), flush=True)
        except Exception as problem:
            failed += 1
            for line in traceback.format_exc().splitlines():
                print("#", line)
            print(f"not ok {i} - {test.__name__}: {problem}", flush=True)
    return 1 if failed else 0


def needs_shared():
    return None if os.path.isdir(os.path.join(SHARED, "models")) else (
        f"no models in {SHARED}")


__all__ = [n for n in dir() if not n.startswith("_")]
