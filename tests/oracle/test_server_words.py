"""Pictures in words and spoken texts from `ocelli serve`, against the program.

Sound is read by Python's wave module.  Prints TAP.
"""
import array
import io
import socket
import subprocess
import wave

from server_process import *

FOLDER = fresh_folder()
MODELS = os.path.join(FOLDER, "m")
BUS = os.path.join(SHARED, "images", "bus.jpg")
TEXT = ("A bus ahead, large and close; three people on the left, ahead and on "
        "the right, close.")


def model(name):
    return os.path.join(SHARED, "models", name + ".onnx")


def picture(name="bus.jpg"):
    with open(os.path.join(SHARED, "images", name), "rb") as f:
        return f.read()


def program(*args):
    p = subprocess.run([OCELLI, *args], capture_output=True, timeout=120)
    assert p.returncode == 0, p.stderr
    return p.stdout.decode()


def without_times(d):
    for r in d["results"]:
        r.pop("time_ms")
        r.pop("input")
    d.pop("models")
    return d


# ---- words -----------------------------------------------------------------

def descriptions_are_the_programs():
    if needs_shared():
        return needs_shared()
    for query, args in (("", []), ("&locale=de", ["--locale", "de"]),
                        ("&locale=pl&sure=0.7",
                         ["--locale", "pl", "--sure", "0.7"]),
                        ("&view=90&threshold=0.6",
                         ["--view", "90", "--threshold", "0.6"])):
        status, d = S.json("POST", "/v1/describe?model=yolox" + query,
                           picture())
        assert status == 200, d
        want = json.loads(program("describe", "-m", model("yolox_nano_coco"),
                                  BUS, "--json", "--threads", "1", *args))
        assert [m["task"] for m in d["models"]] == ["detect"]
        assert without_times(d) == without_times(want), query


def several_models_look_at_several_pictures():
    if needs_shared():
        return needs_shared()
    body, bound = b"", "xyz"
    for name in ("bus.jpg", "cat_720p.jpg"):
        body += (f"--{bound}\r\nContent-Disposition: form-data; name=\"f\"; "
                 f"filename=\"{name}\"\r\n\r\n").encode() + picture(name) + (
                     b"\r\n")
    body += f"--{bound}--\r\n".encode()
    status, d = S.json(
        "POST", "/v1/describe?model=yolox,deeplab,mobilenet", body,
        {"Content-Type": f"multipart/form-data; boundary={bound}"})
    assert status == 200, d
    assert [m["task"] for m in d["models"]] == ["detect", "segment", "classify"]
    bus, cat = d["results"]
    assert "minibus" in bus["long"] and bus["areas"][0]["name"] == "bus"
    assert cat["short"].startswith("A cat ahead") and "tabby" not in cat["long"]


def plain_text_is_one_sentence():
    if needs_shared():
        return needs_shared()
    for text in ("short", "long"):
        status, headers, data = S.ask(
            "POST", f"/v1/describe?text={text}&locale=de", picture(),
            {"Accept": "text/plain;q=0.9, application/json;q=0.5"})
        assert status == 200 and headers["Content-Type"].startswith(
            "text/plain"), (status, data)
        assert headers["Content-Language"] == "de"
        assert data.decode() == program(
            "describe", "-m", model("yolox_nano_coco"), BUS, "--locale", "de",
            f"--{text}", "--threads", "1")


def descriptions_nobody_can_give_are_refused():
    if needs_shared():
        return needs_shared()
    for query, headers, want, says in (
            ("model=gone", {}, 404, "gone"),
            ("model=yolox,gone", {}, 404, "gone"),
            ("model=,", {}, 400, "commas"),
            ("locale=xx", {}, 400, "language"),
            ("locale=./m/x", {}, 400, "language"),
            ("locale=../../etc/passwd", {}, 400, "language"),
            ("text=middle", {}, 400, "short or long"),
            ("view=200", {}, 400, "view"),
            ("", {"Accept": "image/png"}, 406, "text/plain")):
        status, d = S.json("POST", "/v1/describe?" + query, picture(), headers)
        assert status == want and says in d["error"], (query, status, d)
    status, d = S.json("POST", "/v1/describe", b"no picture")
    assert status in (400, 415) and d["error"]
    S.alive()


# ---- voice -----------------------------------------------------------------

def has_voice():
    p = subprocess.run([OCELLI, "speak", "--voices"], capture_output=True,
                       text=True)
    return None if "flite" in p.stdout else "there is no flite"


def speech(**what):
    return S.ask("POST", "/v1/audio/speech", json.dumps(what),
                 {"Content-Type": "application/json"})


def samples(data):
    w = wave.open(io.BytesIO(data))
    assert (w.getnchannels(), w.getsampwidth()) == (1, 2)
    s = array.array("h")
    s.frombytes(data[44:len(data) // 2 * 2])  # the length is left open
    return w.getframerate(), s


def a_wav_is_what_the_program_says():
    if has_voice():
        return has_voice()
    status, headers, data = speech(input=TEXT, voice="kal16", model="tts-1")
    assert status == 200 and headers["Content-Type"] == "audio/wav"
    assert headers["Transfer-Encoding"] == "chunked"
    rate, s = samples(data)
    path = os.path.join(FOLDER, "a.wav")
    program("speak", TEXT, "--voice", "kal16", "-o", path)
    with wave.open(path) as w:
        assert rate == w.getframerate()
        assert w.readframes(w.getnframes()) == s.tobytes()


def pcm_is_what_clients_take_for_granted():
    """24 kHz, 16 bit, little-endian, one channel."""
    if has_voice():
        return has_voice()
    rate, s = samples(speech(input=TEXT, voice="kal16")[2])
    status, headers, data = speech(input=TEXT, voice="kal16",
                                   response_format="pcm")
    assert status == 200 and headers["Content-Type"].startswith("audio/pcm")
    x, y = np.array(s, float), np.frombuffer(data, "<i2").astype(float)
    assert abs(len(y) / 24000 - len(x) / rate) < 0.01
    at = np.arange(len(y)) * rate / 24000 - 1
    inside = (at >= 0) & (at < len(x) - 1)
    want = np.interp(at[inside], np.arange(len(x)), x)
    assert np.abs(y[inside] - want).max() <= 1.5


def speed_and_foreign_voices_are_taken():
    if has_voice():
        return has_voice()
    long = samples(speech(input=TEXT, voice="alloy", speed=0.5)[2])[1]
    short = samples(speech(input=TEXT, voice="alloy", speed=2)[2])[1]
    assert 3.5 < len(long) / len(short) < 4.5


def sound_comes_while_it_is_made():
    if has_voice():
        return has_voice()
    c = S.connect()
    c.request("POST", "/v1/audio/speech", json.dumps(
        {"input": " ".join([TEXT] * 10), "voice": "slt"}))
    begin = time.monotonic()
    a = c.getresponse()
    assert len(a.read(4096)) == 4096
    first = time.monotonic() - begin
    n = 4096 + len(a.read())
    whole = time.monotonic() - begin
    c.close()
    assert n > 10 * 4 * 32000, n
    assert first < whole / 4, (first, whole)


def a_client_that_goes_away_stops_the_voice():
    if has_voice():
        return has_voice()
    body = json.dumps({"input": " ".join([TEXT] * 40), "voice": "slt"}).encode()
    sent = len(S.lines)
    with socket.create_connection((S.host, S.port)) as c:
        c.sendall(b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\n"
                  b"X-Request-Id: gone-1\r\nContent-Length: %d\r\n\r\n" %
                  len(body) + body)
        assert c.recv(4096)
        c.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                     b"\1\0\0\0\0\0\0\0")  # closes with a reset
    line = S.wait_for("request", 30, after=sent, request_id="gone-1")
    # It is 240 seconds of sound; far from all was made.
    assert line["cut_off"] and line["bytes_out"] < 200 * 32000, line
    begin = time.monotonic()
    assert speech(input="Yes.", voice="kal16")[0] == 200
    assert time.monotonic() - begin < 10
    S.alive()


def many_listen_at_once():
    if has_voice():
        return has_voice()
    got = []

    def one():
        status, _, data = speech(input=TEXT, voice="kal16")
        got.append((status, data))
    threads = [threading.Thread(target=one) for _ in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(set(got)) == 1 and got[0][0] == 200, [len(d) for _, d in got]


def wrong_speeches_get_sentences():
    if has_voice():
        return has_voice()
    for body, want, says in (
            (b"", 400, "object"), (b"[]", 400, "object"), (b"{", 400, "body"),
            (b"{}", 400, "input"), (b'{"input": 3}', 400, "body"),
            (b'{"input": ""}', 400, "nothing to say"),
            (b'{"input": "..."}', 400, "nothing to say"),
            (b'{"input": "a\\u0000b"}', 400, "zero"),
            (b'{"input": "a", "speed": 9}', 400, "speed"),
            (b'{"input": "a", "response_format": "mp3"}', 400, "wav or pcm"),
            (b'{"input": "a", "voice": "a b"}', 400, "no voice"),
            (b'{"input": "a", "voice": "-h"}', 400, "no voice"),
            (json.dumps({"input": "a" * 4097}).encode(), 413, "4096"),
            (b'{"input": "a"} x', 400, "body")):
        status, d = S.json("POST", "/v1/audio/speech", body)
        assert status == want and says in d["error"], (body[:60], status, d)
    S.alive()


def a_speech_is_finished_when_the_server_ends():
    if has_voice():
        return has_voice()
    with Server(MODELS) as s:
        c = s.connect()
        c.request("POST", "/v1/audio/speech",
                  json.dumps({"input": TEXT, "voice": "kal16"}))
        a = c.getresponse()
        s.process.send_signal(signal.SIGTERM)
        data = a.read()
        c.close()
        assert s.stop() == 0
    assert samples(data)[1] == samples(speech(input=TEXT, voice="kal16")[2])[1]


def a_speech_is_cut_off_when_there_is_no_time():
    if has_voice():
        return has_voice()
    with Server(MODELS, "--drain", "0.2") as s:
        c = s.connect()
        c.request("POST", "/v1/audio/speech", json.dumps(
            {"input": " ".join([TEXT] * 40), "voice": "slt"}))
        a = c.getresponse()
        a.read(100)
        begin = time.monotonic()
        assert s.stop() == 0
        assert time.monotonic() - begin < 10
        try:
            while a.read(65536):
                pass
        except (http.client.HTTPException, OSError):
            pass
        c.close()


TESTS = [
    descriptions_are_the_programs, several_models_look_at_several_pictures,
    plain_text_is_one_sentence, descriptions_nobody_can_give_are_refused,
    a_wav_is_what_the_program_says, pcm_is_what_clients_take_for_granted,
    speed_and_foreign_voices_are_taken, sound_comes_while_it_is_made,
    a_client_that_goes_away_stops_the_voice, many_listen_at_once,
    wrong_speeches_get_sentences, a_speech_is_finished_when_the_server_ends,
    a_speech_is_cut_off_when_there_is_no_time,
]

try:
    os.makedirs(MODELS)
    scale_model(os.path.join(MODELS, "scale.onnx"), 2)
    if not needs_shared():
        for name, file in (("yolox", "yolox_nano_coco"),
                           ("deeplab", "deeplabv3_mobilenet_v2_voc"),
                           ("mobilenet", "mobilenet_v2_imagenet_nhwc")):
            os.symlink(model(file), os.path.join(MODELS, name + ".onnx"))
    with Server(MODELS) as S:
        code = run_all(TESTS)
finally:
    shutil.rmtree(FOLDER, ignore_errors=True)
sys.exit(code)
