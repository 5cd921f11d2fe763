"""`ocelli serve` as Triton's own client sees it, and against the CLI.

Prints TAP.
"""
import gzip
import io
import subprocess

import jsonschema
import ml_dtypes
import tritonclient.http as triton
from openapi_spec_validator import OpenAPIV31SpecValidator
from PIL import Image
from tritonclient.utils import InferenceServerException

from server_process import *

FOLDER = fresh_folder()
rng = np.random.default_rng(11)


def at(*names):
    return os.path.join(FOLDER, *names)


def client(server, **how):
    return triton.InferenceServerClient(server.at, network_timeout=60,
                                        connection_timeout=60, **how)


# ---- server and models -----------------------------------------------------

def health_is_what_the_client_expects():
    c = client(S)
    assert c.is_server_live() and c.is_server_ready()
    assert c.is_model_ready("scale") and c.is_model_ready("scale", "2")
    assert not c.is_model_ready("scale", "9")
    assert not c.is_model_ready("gone")


def server_metadata_names_the_extensions():
    m = client(S).get_server_metadata()
    assert m["name"] == "ocelli" and m["version"]
    assert "binary_tensor_data" in m["extensions"]


def model_metadata_is_the_models():
    m = client(S).get_model_metadata("echo")
    assert m["versions"] == ["1"]
    assert [(i["name"], i["datatype"], i["shape"]) for i in m["inputs"]] == [
        (f"in_{n}", n, [-1, -1]) for n in ECHO]
    assert [o["name"] for o in m["outputs"]] == [f"out_{n}" for n in ECHO]


def unknown_models_are_not_found():
    for path in ("gone", "scale/versions/9", "scale/versions/x"):
        status, d = S.json("GET", f"/v2/models/{path}")
        assert status == 404 and d["error"], (path, status, d)


# ---- tensors ---------------------------------------------------------------

def sample(name, shape):
    if name == "BYTES":
        words = ["", "a", "zwölf", "x\x00y", "\"quoted\" \\ \n", "😀" * 3]
        n = int(np.prod(shape))
        return np.array([words[i % 6].encode() for i in range(n)],
                        object).reshape(shape)
    if name == "BF16":
        return rng.standard_normal(shape).astype(ml_dtypes.bfloat16)
    dtype = triton.np_to_triton_dtype
    kind = {n: t for n, t in (
        (dtype(t), t) for t in (
            np.float32, np.float64, np.float16, bool, np.uint8, np.uint16,
            np.uint32, np.uint64, np.int8, np.int16, np.int32, np.int64))}
    t = np.dtype(kind[name])
    if t.kind == "f":
        return rng.standard_normal(shape).astype(t)
    if t.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    i = np.iinfo(t)
    return rng.integers(i.min, i.max, shape, t, endpoint=True)


def echo(binary_in, binary_out, shape, types):
    inputs, wanted, arrays = [], [], {}
    for n in types:
        arrays[n] = sample(n, shape)
        x = triton.InferInput(f"in_{n}", list(shape), n)
        x.set_data_from_numpy(arrays[n], binary_data=binary_in)
        inputs.append(x)
    for n in ECHO:
        if n in types:
            wanted.append(triton.InferRequestedOutput(
                f"out_{n}", binary_data=binary_out))
        else:  # the model wants every input
            arrays[n] = sample(n, (1, 1))
            x = triton.InferInput(f"in_{n}", [1, 1], n)
            x.set_data_from_numpy(arrays[n], binary_data=True)
            inputs.append(x)
    got = client(S).infer("echo", inputs, outputs=wanted, request_id="77")
    assert got.get_response()["id"] == "77"
    assert got.get_response()["model_version"] == "1"
    for n in types:
        y, x = got.as_numpy(f"out_{n}"), arrays[n]
        assert y.shape == tuple(shape), (n, y.shape)
        if n == "BYTES":  # JSON has them as text, binary as bytes
            y = np.array([v.encode() if isinstance(v, str) else v
                          for v in y.ravel()], object).reshape(shape)
        assert y.dtype == x.dtype, (n, y.dtype)
        assert np.array_equal(y, x), n


def every_type_comes_back_binary():
    for shape in ((2, 3), (1, 1), (7, 11), (3, 0)):
        echo(True, True, shape, list(ECHO))


def every_type_comes_back_as_json():
    # Triton's client itself has no JSON form of FP16 and BF16.
    types = [n for n in ECHO if n not in ("FP16", "BF16")]
    for binary_in, binary_out in ((False, False), (True, False),
                                  (False, True)):
        for shape in ((2, 3), (1, 1), (7, 11)):
            echo(binary_in, binary_out, shape, types)


def half_floats_are_written_as_numbers():
    x = np.array([[1.5, -2.25]], np.float16)
    inputs = []
    for n in ECHO:
        a = x if n == "FP16" else sample(n, (1, 1))
        i = triton.InferInput(f"in_{n}", list(a.shape), n)
        i.set_data_from_numpy(a)
        inputs.append(i)
    body, n = triton.InferenceServerClient.generate_request_body(
        inputs, outputs=[triton.InferRequestedOutput("out_FP16", False)])
    status, d = S.json("POST", "/v2/models/echo/infer", bytes(body), {
        "Inference-Header-Content-Length": str(n)})
    assert status == 200 and d["outputs"][0]["data"] == [1.5, -2.25], d


def extreme_numbers_survive_json():
    f32 = np.array([[0.1, -0.0, 1e-45, 3.4028235e38, 1 / 3, 16777217]],
                   np.float32)
    scale_model(at("m", "six", "1", "model.onnx"), 1, 6)
    S.json("POST", "/v2/repository/models/six/load")
    status, d = S.infer("six", f32)
    assert status == 200, d
    got = np.array(d["outputs"][0]["data"], np.float32)
    assert np.array_equal(got.view(np.uint32), f32.ravel().view(np.uint32))


def nested_lists_are_read():
    for data in ([1, 2, 3, 4, 5, 6, 7, 8], [[1, 2, 3, 4], [5, 6, 7, 8]],
                 [[[1], 2], [3, [4, 5]], 6, [[[7]]], 8]):
        status, d = S.json("POST", "/v2/models/scale/infer", json.dumps({
            "inputs": [{"data": data, "shape": [2, 4], "datatype": "FP32",
                        "name": "x"}]}))
        assert status == 200, d
        assert d["outputs"][0]["data"] == [3 * v for v in range(1, 9)]


def a_raw_body_is_the_only_input():
    x = np.arange(8, dtype=np.float32).reshape(2, 4)
    status, headers, data = S.ask(
        "POST", "/v2/models/scale/infer", x.tobytes(), {
            "Inference-Header-Content-Length": "0",
            "Content-Type": "application/octet-stream"})
    assert status == 200, data
    n = int(headers["Inference-Header-Content-Length"])
    d = json.loads(data[:n])
    assert d["outputs"][0]["shape"] == [2, 4]
    assert np.array_equal(np.frombuffer(data[n:], np.float32), 3 * x.ravel())


def all_outputs_may_be_asked_for_binary():
    status, headers, data = S.ask("POST", "/v2/models/scale/infer", json.dumps({
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4],
                    "data": [1, 2, 3, 4]}],
        "parameters": {"binary_data_output": True}}))
    n = int(headers["Inference-Header-Content-Length"])
    assert status == 200
    assert np.frombuffer(data[n:], np.float32).tolist() == [3, 6, 9, 12]


def a_default_does_not_remember_the_last_caller():
    def ask(*more):
        status, d = S.json("POST", "/v2/models/optional/infer", json.dumps({
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [2],
                        "data": [1, 2]}, *more]}))
        assert status == 200, d
        return d["outputs"][0]["data"]
    k = {"name": "k", "datatype": "FP32", "shape": [1], "data": [100]}
    for _ in range(3):
        assert ask() == [11, 12]
        assert ask(k) == [101, 102]
    assert ask() == [11, 12]


def versions_are_chosen_by_the_path():
    c = client(S)
    x = triton.InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(np.ones((1, 4), np.float32))
    for version, want in (("1", 2), ("2", 3), ("", 3)):
        y = c.infer("scale", [x], model_version=version)
        assert y.as_numpy("y").tolist() == [[want] * 4]
        assert y.get_response()["model_version"] == (version or "2")


def wrong_requests_get_sentences():
    good = {"name": "x", "datatype": "FP32", "shape": [1, 4],
            "data": [1, 2, 3, 4]}
    wrong = [
        ({}, "missing"), ({"inputs": []}, "missing"),
        ({"inputs": [good, good]}, "twice"),
        ({"inputs": [{**good, "name": "z"}]}, "no input \"z\""),
        ({"inputs": [{**good, "datatype": "INT8"}]}, "FP32, not INT8"),
        ({"inputs": [{**good, "datatype": "FP7"}]}, "no datatype"),
        ({"inputs": [{**good, "shape": [1, 5]}]}, "dimension 1"),
        ({"inputs": [{**good, "shape": [4]}]}, "dimensions"),
        ({"inputs": [{**good, "shape": [-1, 4]}]}, "negative"),
        ({"inputs": [{**good, "shape": [2, 4]}]}, "4 elements"),
        ({"inputs": [{**good, "shape": [0, 4]}]}, "more elements"),
        ({"inputs": [{**good, "shape": [10 ** 9, 4]}]}, "too few"),
        ({"inputs": [{**good, "shape": [2 ** 62, 4]}]}, "too large"),
        ({"inputs": [{**good, "data": ["a"] * 4}]}, "number"),
        ({"inputs": [{**good, "data": [1e39] * 4}]}, "FP32"),
        ({"inputs": [{**good, "data": "x"}]}, "array"),
        ({"inputs": [{k: good[k] for k in ("name", "shape", "datatype")}]},
         "needs \"data\""),
        ({"inputs": [good], "outputs": [{"name": "z"}]}, "no output \"z\""),
        ({"inputs": [good], "outputs": [
            {"name": "y", "parameters": {"classification": 2}}]},
         "not supported"),
        ({"inputs": [{**good, "parameters": {
            "shared_memory_region": "a"}}]}, "not supported"),
    ]
    for document, sentence in wrong:
        status, d = S.json("POST", "/v2/models/scale/infer",
                           json.dumps(document))
        assert status == 400 and sentence in d["error"], (document, status, d)
        assert list(d) == ["error"]
    for text in (b"", b"{", b"[]", b"nul", b"{\"inputs\": [}", b"\xff",
                 b"{}x", b"[" * 100000, b"{\"a\":" * 100000,
                 b"{\"inputs\":[{\"name\":\"\\ud800\"}]}"):
        status, d = S.json("POST", "/v2/models/scale/infer", text)
        assert status == 400 and d["error"], (text[:20], status, d)


def wrong_binary_requests_get_sentences():
    def ask(header, binary, length=None):
        text = json.dumps(header).encode()
        return S.json("POST", "/v2/models/scale/infer", text + binary, {
            "Inference-Header-Content-Length":
                str(len(text) if length is None else length)})
    x = {"name": "x", "datatype": "FP32", "shape": [1, 4],
         "parameters": {"binary_data_size": 16}}
    raw = np.arange(4, dtype=np.float32).tobytes()
    status, d = ask({"inputs": [x]}, raw)
    assert status == 200 and d["outputs"][0]["data"] == [0, 3, 6, 9]
    for document, binary, length, sentence in (
            ({"inputs": [x]}, raw[:-1], None, "15 came"),
            ({"inputs": [x]}, raw + b"!", None, "1 bytes stand behind"),
            ({"inputs": [{**x, "shape": [2, 4]}]}, raw, None, "16 bytes"),
            ({"inputs": [{**x, "data": [1]}]}, raw, None, "needs"),
            ({"inputs": [x]}, raw, 10 ** 9, "Content-Length"),
            ({"inputs": [x]}, raw, -1, "no number"),
            ({"inputs": [x]}, raw, "seven", "no number"),
            ({"inputs": [{**x, "parameters": {"binary_data_size": -1}}]}, raw,
             None, "negative")):
        status, d = ask(document, binary, length)
        assert status == 400 and sentence in d["error"], (document, status, d)
    for size, binary in ((8, b"\x09\0\0\0abcd"), (4, b"\xff\xff\xff\xff"),
                         (3, b"\0\0\0"), (0, b"")):
        text = json.dumps({"inputs": [{
            "name": "in_BYTES", "datatype": "BYTES", "shape": [1, 1],
            "parameters": {"binary_data_size": size}}]}).encode()
        status, d = S.json("POST", "/v2/models/echo/infer", text + binary, {
            "Inference-Header-Content-Length": str(len(text))})
        assert status == 400 and "in_BYTES" in d["error"], d


# ---- the repository --------------------------------------------------------

def the_index_lists_versions_with_reasons():
    c = client(S)
    index = {(m["name"], m["version"]): m
             for m in c.get_model_repository_index()}
    assert index["scale", "2"]["state"] == "READY"
    assert index["bad", "1"]["state"] == "UNAVAILABLE"
    assert "model.onnx" in index["bad", "1"]["reason"]


def models_are_unloaded_and_loaded():
    c = client(S)
    c.unload_model("scale5")
    assert not c.is_model_ready("scale5")
    status, d = S.infer("scale5", np.ones((1, 5)))
    assert status == 503 and "does not serve" in d["error"]
    time.sleep(1)  # looking at the folder does not bring it back
    assert not c.is_model_ready("scale5")
    c.load_model("scale5")
    assert c.is_model_ready("scale5")
    assert S.infer("scale5", np.ones((1, 5)))[0] == 200
    for do in (c.load_model, c.unload_model):
        try:
            do("gone")
            raise AssertionError("there is no model \"gone\"")
        except InferenceServerException as e:
            assert "gone" in str(e)
    try:
        c.load_model("bad")
        raise AssertionError("it cannot be loaded")
    except InferenceServerException as e:
        assert "model.onnx" in str(e), e


def versions_follow_the_policy():
    folder = at("versions")
    for n in (1, 2, 3, 10):
        scale_model(os.path.join(folder, "v", str(n), "model.onnx"), n)
    for policy, want in (("latest", [10]), ("latest:2", [3, 10]),
                         ("all", [1, 2, 3, 10]), ("1,3", [1, 3]),
                         ("3,7", [3])):
        with Server(folder, "--versions", policy) as s:
            m = s.json("GET", "/v2/models/v")[1]
            assert m["versions"] == [str(n) for n in want], (policy, m)
            for n in (1, 2, 3, 10):
                status = s.infer("v/versions/%d" % n, np.ones((1, 4)))[0]
                assert status == (200 if n in want else 503), (policy, n)
            d = s.infer("v", np.ones((1, 4)))[1]
            assert d["outputs"][0]["data"] == [want[-1]] * 4


def statistics_count_what_was_done():
    c = client(S)

    def counts():
        s = c.get_inference_statistics("scale", "1")["model_stats"][0]
        assert s["name"] == "scale" and s["version"] == "1"
        return (s["inference_count"], s["inference_stats"]["success"]["count"],
                s["inference_stats"]["fail"]["count"],
                s["inference_stats"]["compute_infer"]["ns"])
    before = counts()
    x = triton.InferInput("x", [1, 4], "FP32")
    x.set_data_from_numpy(np.ones((1, 4), np.float32))
    for _ in range(5):
        c.infer("scale", [x], model_version="1")
    S.json("POST", "/v2/models/scale/versions/1/infer", "{}")
    after = counts()
    assert [b - a for a, b in zip(before, after)][:3] == [5, 5, 1]
    assert after[3] > before[3]
    names = {s["name"] for s in c.get_inference_statistics()["model_stats"]}
    assert {"scale", "echo"} <= names and "bad" not in names


# ---- batches ---------------------------------------------------------------

def batches_give_everybody_their_rows():
    import onnxruntime
    folder = at("batch")
    path = os.path.join(folder, "dense", "1", "model.onnx")
    dense_model(path)
    want = onnxruntime.InferenceSession(path)
    with Server(folder, "--batch", "8", "--batch-delay", "50", "--workers",
                "2") as s:
        c = triton.InferenceServerClient(s.at, concurrency=24)
        sizes = [1, 2, 3, 1, 1, 4, 7, 8, 9, 1, 1, 2] * 4
        arrays = [rng.standard_normal((n, 64)).astype(np.float32)
                  for n in sizes]
        waiting = []
        for a in arrays:
            x = triton.InferInput("x", list(a.shape), "FP32")
            x.set_data_from_numpy(a)
            waiting.append(c.async_infer("dense", [x]))
        for a, w in zip(arrays, waiting):
            y = w.get_result().as_numpy("y")
            assert np.abs(y - want.run(None, {"x": a})[0]).max() < 1e-5
        text = s.ask("GET", "/metrics")[2].decode()
        stats = s.json("GET", "/v2/models/dense/stats")[1]["model_stats"][0]
        assert stats["inference_count"] >= len(sizes)
        assert stats["execution_count"] < len(sizes), "none went together"
        assert "ocelli_batch_rows_count{model=\"dense\"}" in text


# ---- the description -------------------------------------------------------

def the_openapi_document_is_one():
    status, d = S.json("GET", "/openapi.json")
    assert status == 200 and d["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(d).validate()
    # What it gives as an example is of the kind it says.
    for item in d["paths"].values():
        for content in item.get("post", {}).get("requestBody", {}).get(
                "content", {}).values():
            if "example" in content:
                jsonschema.validate(content["example"], {
                    **d, **content["schema"]})
    assert "example" in d["paths"]["/v1/audio/speech"]["post"]["requestBody"][
        "content"]["application/json"]


def every_route_described_is_there():
    d = S.json("GET", "/openapi.json")[1]
    n = 0
    for path, methods in d["paths"].items():
        for method in methods:
            real = path.replace("{model}", "scale").replace("{version}", "1")
            if real.endswith(("unload", "load")):
                continue
            status, answer = S.json(method.upper(), real, b"") \
                if not real.endswith("metrics") else (200, None)
            assert status not in (404, 405) or real.startswith("/v1/"), real
            if real.startswith("/v1/"):
                missing = "object" if "audio" in real else "picture"
                assert status == 400 and missing in answer["error"], real
            n += 1
    assert n >= 18
    for method, path in (("GET", "/nothing"), ("GET", "/v2/"), ("POST", "/v3/x"),
                         ("GET", "/v2/models/scale/nothing")):
        status, _ = S.json(method, path)
        assert status == (200 if path == "/v2/" else 404), path
    status, headers, _ = S.ask("DELETE", "/v2/models/scale")
    assert status == 405 and headers["Allow"] == "GET"


# ---- pictures, against the program -----------------------------------------

TIMES = ("time_ms", "input")


def comparable(document):
    document = {k: v for k, v in document.items() if k != "model"}
    document["results"] = [
        {k: v for k, v in r.items() if k not in TIMES + ("mask", "overlay",
                                                         "annotated")}
        for r in document["results"]]
    return document


def cli(*args):
    r = subprocess.run([OCELLI, *args, "--json", "--threads", "1"],
                       capture_output=True, text=True, timeout=300)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)


def picture(name):
    with open(os.path.join(SHARED, "images", name), "rb") as f:
        return f.read()


def model_path(name):
    return os.path.join(SHARED, "models", name + ".onnx")


CASES = [
    ("classify", "mobilenet_v2_imagenet_nhwc", "cat_720p.jpg", "top=7"),
    ("classify", "squeezenet1.1_imagenet", "bus.jpg", "threshold=0.05"),
    ("classify", "mnist", "pets.jpg", ""),
    ("detect", "yolox_nano_coco", "bus.jpg", ""),
    ("detect", "yolox_nano_coco", "street_people.jpg",
     "threshold=0.2&top=3"),
    ("detect", "nanodet_m_coco", "bus.jpg", ""),
    ("detect", "yunet_n_320_320", "faces.jpg", ""),
    ("detect", "ssd_mobilenet_v3_coco", "pets.jpg", ""),
    ("segment", "selfie_landscape_nhwc", "portrait.jpg", ""),
    ("segment", "espnet_camvid", "bus.jpg", ""),
]


def results_are_the_programs():
    if needs_shared():
        return needs_shared()
    models = []
    for name in {c[1] for c in CASES}:
        models += ["--model", f"{name}={model_path(name)}"]
    with Server(None, *models) as s:
        for verb, model, name, query in CASES:
            options = []
            for pair in filter(None, query.split("&")):
                options += ["--" + pair.split("=")[0], pair.split("=")[1]]
            path = os.path.join(SHARED, "images", name)
            want = cli(verb, model_path(model), path, *options)
            route = f"/v1/{verb}?model={model}&{query}"
            status, got = s.json("POST", route, picture(name))
            assert status == 200, got
            assert comparable(got) == comparable(want), (model, name)
            form, kind = multipart([("file", name, picture(name)),
                                    ("file", "b.jpg", picture(name))])
            status, got = s.json("POST", route, form, {"Content-Type": kind})
            assert status == 200, got
            assert [r["input"] for r in got["results"]] == [name, "b.jpg"]
            assert comparable(got)["results"] == comparable(
                want)["results"] * 2
        status, d = s.json("POST", "/v1/detect", picture("bus.jpg"))
        assert status == 400 and "nanodet_m_coco, ssd" in d["error"]
        status, d = s.json("POST", "/v1/detect?model=mnist",
                           picture("bus.jpg"))
        assert status == 400 and "there to classify" in d["error"]
        labels_come_from_sets_only(s)
        pictures_are_the_programs(s)


def multipart(parts, boundary="XyZ--bound'ary"):
    out = b"ignored before\r\n"
    for field, filename, data in parts:
        out += (f"--{boundary}\r\nContent-Disposition: form-data; "
                f"name=\"{field}\"; filename=\"{filename}\"\r\n"
                "Content-Type: image/jpeg\r\n\r\n").encode() + data + b"\r\n"
    return (out + f"--{boundary}--\r\nignored behind".encode(),
            f"multipart/form-data; charset=utf-8; boundary=\"{boundary}\"")


def labels_come_from_sets_only(s):
    cat = picture("cat_720p.jpg")
    route = "/v1/classify?model=squeezenet1.1_imagenet&labels="
    for name in ("/etc/passwd", "../x", "CMakeLists.txt", ""):
        status, d = s.json("POST", route + name, cat)
        assert status == 400 and "no set" in d["error"], (name, d)
    status, d = s.json("POST", route + "coco80", cat)
    assert status == 400 and "1000 classes" in d["error"]
    status, d = s.json("POST", route + "imagenet", cat)
    assert status == 200 and "cat" in d["results"][0]["labels"][0]["label"]


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def pictures_are_the_programs(s):
    out = at("pictures")
    os.makedirs(out, exist_ok=True)
    for verb, model, name, accept, made in (
            ("detect", "yolox_nano_coco", "bus.jpg", "image/jpeg", "bus.jpg"),
            ("segment", "selfie_landscape_nhwc", "portrait.jpg", "image/png",
             "portrait.mask.png"),
            ("segment", "selfie_landscape_nhwc", "portrait.jpg", "image/jpeg",
             "portrait.overlay.jpg"),
            ("classify", "mnist", "pets.jpg", "image/jpeg", "pets.jpg")):
        cli(verb, model_path(model), os.path.join(SHARED, "images", name),
            "--out", out)
        status, headers, data = s.ask(
            "POST", f"/v1/{verb}?model={model}", picture(name),
            {"Accept": f"text/html, {accept};q=0.8, application/json;q=0.1"})
        assert status == 200 and headers["Content-Type"] == accept, data
        with open(os.path.join(out, made), "rb") as f:
            assert np.array_equal(pixels(data), pixels(f.read())), made
        for f in os.listdir(out):
            os.remove(os.path.join(out, f))
    route = "/v1/segment?model=selfie_landscape_nhwc"
    portrait = picture("portrait.jpg")
    status, headers, data = s.ask("POST", route + "&picture=overlay", portrait,
                                  {"Accept": "image/png"})
    assert status == 200 and pixels(data).ndim == 3
    for accept, want in (("text/html", 406), ("image/*;q=0", 406),
                         ("*/*", 200), ("application/*", 200)):
        assert s.ask("POST", route, portrait, {"Accept": accept})[0] == want


def restored_pictures_are_the_programs():
    if needs_shared():
        return needs_shared()
    out = at("restored")
    os.makedirs(out, exist_ok=True)
    model = model_path("super_resolution")
    small = Image.open(io.BytesIO(picture("portrait.jpg"))).resize((120, 90))
    f = at("small.png")
    small.save(f)
    cli("restore", model, f, "--out", out)
    with open(f, "rb") as f, Server(None, "--model", f"up={model}") as s:
        status, headers, data = s.ask("POST", "/v1/restore", f.read())
    assert status == 200 and headers["Content-Type"] == "image/png"
    with open(os.path.join(out, "small.png"), "rb") as f:
        assert np.array_equal(pixels(data), pixels(f.read()))


def answers_about_pictures_are_kept():
    if needs_shared():
        return needs_shared()
    with Server(None, "--model", "m=" + model_path("mnist"), "--keep-answers",
                "8") as s:
        for how in ({}, {"Accept": "image/png"}, {"Accept": "image/jpeg"}):
            answers = [s.ask("POST", "/v1/classify?top=2", picture("pets.jpg"),
                             how) for _ in range(2)]
            assert [a[0] for a in answers] == [200, 200]
            assert [a[1]["Cache-Status"] for a in answers] == [
                "ocelli; fwd=miss", "ocelli; hit"]
            assert answers[0][2] == answers[1][2]
            assert answers[0][1]["Content-Type"] == answers[1][1][
                "Content-Type"]
        _, headers, data = s.ask("POST", "/v1/classify?top=3",
                                 picture("pets.jpg"))
        assert "miss" in headers["Cache-Status"]
        assert len(json.loads(data)["results"][0]["labels"]) == 3


def pictures_that_are_none_are_refused():
    if needs_shared():
        return needs_shared()
    bus = picture("bus.jpg")
    with Server(None, "--model", "m=" + model_path("mnist"), "--max-pixels",
                "1") as s:
        for body, status, sentence in (
                (b"", 400, "picture is missing"), (b"no picture", 400, "known format"),
                (bus[:5000], 400, ""), (b"\xff\xd8\xff" + bytes(500), 400, ""),
                (picture("cat_720p.jpg"), 200, ""),):
            got, d = s.json("POST", "/v1/classify", body)
            assert got == status or (got == 413 and status == 200), (got, d)
            assert status == 200 or sentence in d["error"]
        big = io.BytesIO()
        Image.new("RGB", (1200, 900)).save(big, "PNG")
        status, d = s.json("POST", "/v1/classify", big.getvalue())
        assert status == 413 and "pixels" in d["error"], d
        for kind, body in (
                ("multipart/form-data", b"x"),
                ("multipart/form-data; boundary=b", b"nothing of it"),
                ("multipart/form-data; boundary=b", b"--b--\r\n"),
                ("multipart/form-data; boundary=b", b"--b\r\n\r\nx"),
                ("multipart/form-data; boundary=b", b"--b"),
                ("multipart/form-data; boundary=" + "b" * 80, b"--b")):
            status, d = s.json("POST", "/v1/classify", body,
                               {"Content-Type": kind})
            assert status == 400 and "form" in d["error"], (kind, body, d)
        for query in ("top=0", "top=x", "threshold=2", "version=-1",
                      "picture=mask", "timeout_ms=0", "priority=9",
                      "threshold=nan"):
            status, d = s.json("POST", "/v1/classify?" + query, bus)
            assert status == 400 and query.split("=")[0] in d["error"], d
        s.alive()


def jpeg_of_another_size(data, width, height):
    """The same bytes, whose frame header says something else."""
    at = 2
    while data[at + 1] not in (0xc0, 0xc1, 0xc2):
        at += 2 + int.from_bytes(data[at + 2:at + 4], "big")
    return (data[:at + 5] + height.to_bytes(2, "big") +
            width.to_bytes(2, "big") + data[at + 9:])


def pictures_that_lie_do_no_harm():
    if needs_shared():
        return needs_shared()
    image = Image.open(io.BytesIO(picture("pets.jpg"))).resize((96, 64))
    made = {}
    for kind in ("JPEG", "PNG", "WEBP", "TIFF", "BMP"):
        out = io.BytesIO()
        image.save(out, kind)
        made[kind] = out.getvalue()
    with Server(None, "--model", "m=" + model_path("mnist")) as s:
        jpeg = made["JPEG"]
        for size, want in (((96, 64), (200,)), ((65500, 65500), (413,)),
                           ((65500, 64), (200, 400)), ((96, 6400), (200, 400)),
                           ((0, 64), (400,)), ((1, 1), (200, 400))):
            lie = jpeg_of_another_size(jpeg, *size)
            status, d = s.json("POST", "/v1/classify", lie)
            assert status in want, (size, status, d)
        # Nobody's picture, but much like one: seeded, so that it is found
        # again by its number.
        lies = np.random.default_rng(20)
        for i in range(300):
            kind = list(made)[i % len(made)]
            data = bytearray(made[kind])
            for _ in range(1 + i % 7):
                data[lies.integers(len(data) if i % 2 else 64)] = \
                    lies.integers(256)
            if i % 5 == 0:
                del data[lies.integers(len(data)):]
            status, d = s.json("POST", "/v1/classify", bytes(data))
            assert status in (200, 400, 413, 415), (i, kind, status, d)
            assert status == 200 or list(d) == ["error"], (i, kind, d)
        s.alive()
        assert s.ask("POST", "/v1/classify", jpeg)[0] == 200


def a_restored_connection_serves_many_requests():
    c = S.connect()
    for i in range(20):
        c.request("POST", "/v2/models/scale/infer", json.dumps({
            "inputs": [{"name": "x", "datatype": "FP32", "shape": [1, 4],
                        "data": [i, 0, 0, 0]}]}))
        a = c.getresponse()
        assert json.loads(a.read())["outputs"][0]["data"][0] == 3 * i
        assert a.headers.get("Connection", "keep-alive") != "close"
    c.close()


def chunked_bodies_are_read():
    body = json.dumps({"inputs": [{"name": "x", "datatype": "FP32", "shape":
                       [1, 4], "data": [1, 1, 1, 1]}]}).encode()
    c = S.connect()
    c.request("POST", "/v2/models/scale/infer",
              (body[i:i + 7] for i in range(0, len(body), 7)),
              encode_chunked=True, headers={"Transfer-Encoding": "chunked"})
    a = c.getresponse()
    assert a.status == 200, a.read()


def coded_bodies_are_refused():
    status, d = S.json("POST", "/v2/models/scale/infer", gzip.compress(b"{}"),
                       {"Content-Encoding": "gzip"})
    assert status == 415 and "gzip" in d["error"]


def prepare():
    scale_model(at("m", "scale", "1", "model.onnx"), 2)
    scale_model(at("m", "scale", "2", "model.onnx"), 3)
    scale_model(at("m", "scale5.onnx"), 1, 5)
    echo_model(at("m", "echo", "1", "model.onnx"))
    optional_model(at("m", "optional", "1", "model.onnx"))
    os.makedirs(at("m", "bad", "1"))
    with open(at("m", "bad", "1", "model.onnx"), "wb") as f:
        f.write(b"this is no model")


TESTS = [
    health_is_what_the_client_expects, server_metadata_names_the_extensions,
    model_metadata_is_the_models, unknown_models_are_not_found,
    every_type_comes_back_binary, every_type_comes_back_as_json,
    half_floats_are_written_as_numbers, extreme_numbers_survive_json,
    nested_lists_are_read, a_raw_body_is_the_only_input,
    all_outputs_may_be_asked_for_binary,
    a_default_does_not_remember_the_last_caller,
    versions_are_chosen_by_the_path, wrong_requests_get_sentences,
    wrong_binary_requests_get_sentences,
    the_index_lists_versions_with_reasons, models_are_unloaded_and_loaded,
    versions_follow_the_policy,
    statistics_count_what_was_done, batches_give_everybody_their_rows,
    the_openapi_document_is_one, every_route_described_is_there,
    results_are_the_programs, restored_pictures_are_the_programs,
    answers_about_pictures_are_kept, pictures_that_are_none_are_refused,
    pictures_that_lie_do_no_harm,
    a_restored_connection_serves_many_requests, chunked_bodies_are_read,
    coded_bodies_are_refused,
]

try:
    prepare()
    with Server(at("m"), "--versions", "all", "--poll", "0.2") as S:
        code = run_all(TESTS)
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
sys.exit(code)
